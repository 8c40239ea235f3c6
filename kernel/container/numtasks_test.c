// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of numtasks in the core's hands: forks that are called off, refused, or not
 * counted. The test's own thread is in a container for that time, and exits in it.
 */
#include "testing.h"
#include "numtasks.h"

#include <kunit/static_stub.h>
#include <linux/container_hooks.h>
#include <linux/sched.h>

/* The tree, and its container with the test's thread. */
struct place {
	struct container_hierarchy *h;
	struct container *cont;
};

static int go_to(struct container *cont)
{
	struct task_struct *task = current;
	bool begun = container_moving_lock(false);
	int ret = container_attach_tasks(cont, &task, 1);

	container_moving_unlock(begun);
	return ret;
}

static struct numtasks *state_of(struct place *p)
{
	return to_numtasks(p->cont->state[numtasks_subsys_id]);
}

static long usage(struct place *p)
{
	struct shares_numbers numbers;

	shares_numbers(&state_of(p)->node, &numbers);
	return numbers.usage;
}

static int numtasks_test_init(struct kunit *test)
{
	struct place *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->h = make_hierarchy(test, BIT(numtasks_subsys_id));
	test->priv = p;
	p->cont = make(test, p->h->root, "a");
	KUNIT_ASSERT_EQ(test, go_to(p->cont), 0);
	KUNIT_ASSERT_EQ(test, usage(p), 1);
	return 0;
}

/* Another thread than the test's, which has exited or is about to: all is given back then. */
static void numtasks_test_exit(struct kunit *test)
{
	struct place *p = test->priv;

	if (!p)
		return;
	if (p->cont) {
		EXPECT_SOON(test, !usage(p) && !container_populated(p->cont));
		KUNIT_EXPECT_EQ(test, unmake(p->cont), 0);
	}
	container_lock();
	container_hierarchy_release_user(p->h);
	container_unlock();
}

/*
 * All that container_can_fork() and container_cancel_fork() look at. With CLONE_VM: so what is
 * looked at in between may sleep.
 */
static struct task_struct *new_child(struct kunit *test, pid_t pid)
{
	struct task_struct *child = kunit_kzalloc(test, sizeof(*child), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, child);
	child->pid = pid;
	return child;
}

static void cancelled_fork_is_given_back(struct kunit *test)
{
	struct task_struct *child = new_child(test, 1);
	struct place *p = test->priv;

	KUNIT_ASSERT_EQ(test, container_can_fork(child, CLONE_VM), 0);
	KUNIT_EXPECT_EQ(test, usage(p), 2);
	KUNIT_EXPECT_EQ(test, shares_taken(&state_of(p)->node), 1);
	container_cancel_fork(child, CLONE_VM);
	KUNIT_EXPECT_EQ(test, usage(p), 1);
	KUNIT_EXPECT_EQ(test, shares_taken(&state_of(p)->node), 0);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(child->containers));
}

static void refused_fork_is_charged_to_nobody(struct kunit *test)
{
	struct task_struct *child = new_child(test, 1);
	struct place *p = test->priv;
	const char *reason;

	KUNIT_ASSERT_EQ(test, shares_set_limit(&state_of(p)->node, 1, &reason), 0);
	KUNIT_EXPECT_EQ(test, container_can_fork(child, CLONE_VM), -EAGAIN);
	KUNIT_EXPECT_EQ(test, usage(p), 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&state_of(p)->failures), 1);
	KUNIT_EXPECT_NULL(test, rcu_access_pointer(child->containers));
	/* the section is left: else this would wait for ever */
	container_moving_unlock(container_moving_lock(true));
}

/* What becomes of the count between a refusal and what is said of it. */
static long meanwhile;

static bool changes_meanwhile(const struct shares_node *full)
{
	atomic_long_add(meanwhile, (atomic_long_t *)&full->count);
	return true;
}

static void expect_said(struct kunit *test, long limit, long more, u64 usage)
{
	struct task_struct *child = new_child(test, 1);
	struct place *p = test->priv;
	const char *reason;

	meanwhile = more;
	KUNIT_ASSERT_EQ(test, shares_set_limit(&state_of(p)->node, limit, &reason), 0);
	KUNIT_EXPECT_EQ(test, container_can_fork(child, CLONE_VM), -EAGAIN);
	KUNIT_EXPECT_EQ(test, p->cont->why.last.usage, usage);
	KUNIT_EXPECT_EQ(test, p->cont->why.last.limit, (u64)limit);
	atomic_long_sub(more, &state_of(p)->node.count);
}

static void refusal_says_what_there_was(struct kunit *test)
{
	kunit_activate_static_stub(test, shares_refusal_is_final, changes_meanwhile);
	/* somebody has ended, or is about to be refused, too */
	expect_said(test, 1, -1, 1);
	expect_said(test, 1, 1, 1);
	/* more than it may have, and what is so no more */
	expect_said(test, 0, 0, 1);
	expect_said(test, 0, -2, 0);
}

static void kernel_threads_are_never_refused(struct kunit *test)
{
	struct task_struct *child = new_child(test, 1);
	struct place *p = test->priv;
	const char *reason;

	child->flags = PF_KTHREAD;
	KUNIT_ASSERT_EQ(test, shares_set_limit(&state_of(p)->node, 0, &reason), 0);
	KUNIT_ASSERT_EQ(test, container_can_fork(child, CLONE_VM), 0);
	KUNIT_EXPECT_EQ(test, usage(p), 2);
	container_cancel_fork(child, CLONE_VM);
	KUNIT_EXPECT_EQ(test, usage(p), 1);
}

static void idle_threads_are_not_counted(struct kunit *test)
{
	struct task_struct *child = new_child(test, 0);
	struct place *p = test->priv;

	KUNIT_ASSERT_EQ(test, container_can_fork(child, CLONE_VM), 0);
	KUNIT_EXPECT_EQ(test, usage(p), 1);
	container_cancel_fork(child, CLONE_VM);
	KUNIT_EXPECT_EQ(test, usage(p), 1);
}

static struct kunit_case numtasks_test_cases[] = {
	KUNIT_CASE(cancelled_fork_is_given_back),
	KUNIT_CASE(refused_fork_is_charged_to_nobody),
	KUNIT_CASE(refusal_says_what_there_was),
	KUNIT_CASE(kernel_threads_are_never_refused),
	KUNIT_CASE(idle_threads_are_not_counted),
	{}
};

static struct kunit_suite numtasks_test_suite = {
	.name = "container-numtasks",
	.init = numtasks_test_init,
	.exit = numtasks_test_exit,
	.test_cases = numtasks_test_cases,
};
kunit_test_suite(numtasks_test_suite);

MODULE_DESCRIPTION("KUnit tests of numtasks");
MODULE_LICENSE("GPL");
