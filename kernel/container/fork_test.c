// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of fork.c: who may be moved as a process of one thread, without
 * container_thread_rwsem; what a fork refers to; what an exit waits for. That a write asks is attach_test.c's.
 */
#include "testing.h"

#include <linux/completion.h>
#include <linux/container_hooks.h>

/* As pthread_create() does it. With CLONE_VM the parent may sleep meanwhile. */
#define THREAD_FLAGS	(CLONE_VM | CLONE_THREAD)

/* A task that begins to make a thread when it is told to, and gives it up when it is told to. */
struct parent {
	struct task_struct *task, *child;
	struct completion begin, begun, cancel, cancelled;
	int ret;
};

static int begin_and_cancel(void *arg)
{
	struct parent *parent = arg;

	wait_for_completion(&parent->begin);
	parent->ret = container_can_fork(parent->child, THREAD_FLAGS);
	complete(&parent->begun);
	wait_for_completion(&parent->cancel);
	if (!parent->ret)
		container_cancel_fork(parent->child, THREAD_FLAGS);
	complete(&parent->cancelled);
	return wait_for_stop(NULL);
}

static void start_parent(struct kunit *test, struct parent *parent)
{
	memset(parent, 0, sizeof(*parent));
	parent->child = kunit_kzalloc(test, sizeof(*parent->child), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, parent->child);
	init_completion(&parent->begin);
	init_completion(&parent->begun);
	init_completion(&parent->cancel);
	init_completion(&parent->cancelled);
	parent->task = kthread_run(begin_and_cancel, parent, "container-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(parent->task));
}

static bool is_alone(struct task_struct *task)
{
	bool alone;

	container_lock();
	alone = container_moving_alone(task);
	if (alone)
		container_moved_alone();
	container_unlock();
	return alone;
}

/*
 * Regression: nothing noticed when nobody was ever found to be alone, and each move of a process
 * paid for the semaphore.
 */
static void alone_until_a_thread_is_made(struct kunit *test)
{
	struct task_struct *task, *other = start_sleeper(test);
	struct parent parent;

	start_parent(test, &parent);
	task = parent.task;
	KUNIT_EXPECT_TRUE(test, is_alone(task));
	complete(&parent.begin);
	wait_for_completion(&parent.begun);
	KUNIT_EXPECT_EQ(test, parent.ret, 0);
	KUNIT_EXPECT_FALSE(test, is_alone(task));
	/* that concerns nobody else */
	KUNIT_EXPECT_TRUE(test, is_alone(other));
	complete(&parent.cancel);
	wait_for_completion(&parent.cancelled);
	KUNIT_EXPECT_TRUE(test, is_alone(task));
	kthread_stop(task);
	kthread_stop(other);
}

static void who_exits_is_not_alone(struct kunit *test)
{
	struct task_struct *task = start_sleeper(test);

	get_task_struct(task);
	KUNIT_EXPECT_TRUE(test, is_alone(task));
	kthread_stop(task);
	EXPECT_SOON(test, READ_ONCE(task->exit_state));
	/* its signal_struct goes with the last reference to it */
	KUNIT_EXPECT_FALSE(test, is_alone(task));
	put_task_struct(task);
}

/* In two hierarchies, a fork is one reference to a group, and to nothing that hangs off it. */
static void a_fork_takes_one_reference(struct kunit *test)
{
	struct container_hierarchy *h[] = { make_named(test, "one"), make_named(test, "two") };
	struct container *cont[] = { make(test, h[0]->root, "x"), make(test, h[1]->root, "x") };
	unsigned int refs, groups;
	struct container_membership *m;
	struct parent parent;

	start_parent(test, &parent);
	KUNIT_EXPECT_EQ(test, move(cont[0], parent.task), 0);
	KUNIT_EXPECT_EQ(test, move(cont[1], parent.task), 0);
	groups = container_nr_groups();
	m = container_group_get(parent.task);
	refs = refcount_read(&m->ref);
	/* that of the directory: the worker that tells of the moves has put its own */
	EXPECT_SOON(test, refcount_read(&cont[0]->ref) == 1);
	EXPECT_SOON(test, refcount_read(&cont[1]->ref) == 1);
	complete(&parent.begin);
	wait_for_completion(&parent.begun);
	KUNIT_EXPECT_EQ(test, parent.ret, 0);
	KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(parent.child->containers), &m->group);
	KUNIT_EXPECT_EQ(test, refcount_read(&m->ref), refs + 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&cont[0]->ref), 1);
	KUNIT_EXPECT_EQ(test, refcount_read(&cont[1]->ref), 1);
	KUNIT_EXPECT_EQ(test, container_nr_groups(), groups);
	complete(&parent.cancel);
	wait_for_completion(&parent.cancelled);
	KUNIT_EXPECT_EQ(test, refcount_read(&m->ref), refs);
	container_group_put(m);
	kthread_stop(parent.task);
	for (int i = 0; i < 2; i++) {
		EXPECT_SOON(test, !container_populated(cont[i]));
		KUNIT_EXPECT_EQ(test, unmake(cont[i]), 0);
		release(h[i]);
	}
}

/* One that kills all in a container, when it is told to. */
struct killer {
	struct container *cont;
	struct completion done;
};

static int kill_all(void *arg)
{
	struct killer *killer = arg;

	container_kill(killer->cont);
	complete(&killer->done);
	return wait_for_stop(NULL);
}

/*
 * Regression: a parent that somebody moved out between its child's membership and the moment when
 * the child can be found was not killed, and the child was left in what `kill` had emptied.
 */
static void kill_waits_for_the_unborn(struct kunit *test)
{
	struct container_hierarchy *h = make_named(test, "one");
	struct killer killer = { .cont = make(test, h->root, "x") };
	struct container *out = make(test, h->root, "y");
	struct task_struct *task;
	struct parent parent;

	init_completion(&killer.done);
	start_parent(test, &parent);
	KUNIT_EXPECT_EQ(test, move(killer.cont, parent.task), 0);
	complete(&parent.begin);
	wait_for_completion(&parent.begun);
	KUNIT_EXPECT_EQ(test, parent.ret, 0);
	KUNIT_EXPECT_EQ(test, move(out, parent.task), 0);

	task = kthread_run(kill_all, &killer, "container-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&killer.done, HZ / 2), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&killer.cont->kills), 1);
	complete(&parent.cancel);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&killer.done, 5 * HZ), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&killer.cont->kills), 0);

	wait_for_completion(&parent.cancelled);
	kthread_stop(task);
	kthread_stop(parent.task);
	EXPECT_SOON(test, !container_populated(killer.cont) && !container_populated(out));
	KUNIT_EXPECT_EQ(test, unmake(killer.cont), 0);
	KUNIT_EXPECT_EQ(test, unmake(out), 0);
	release(h);
}

/* Whoever releases has to wait for the mutex; who exits has left a flag, and is gone. */
static void the_last_to_exit_waits_for_nobody(struct kunit *test)
{
	struct container_hierarchy *h = make_named(test, "exit");
	struct container *cont = make(test, h->root, "x");
	struct task_struct *task = start_sleeper(test);

	set_bit(CONTAINER_NOTIFY, &cont->flags);
	KUNIT_EXPECT_EQ(test, move(cont, task), 0);
	KUNIT_EXPECT_FALSE(test, test_bit(CONTAINER_RELEASE, &cont->flags));
	get_task_struct(task);
	container_lock();
	kthread_stop(task);
	EXPECT_SOON(test, READ_ONCE(task->exit_state));
	KUNIT_EXPECT_FALSE(test, container_populated(cont));
	KUNIT_EXPECT_TRUE(test, test_bit(CONTAINER_RELEASE, &cont->flags));
	KUNIT_EXPECT_TRUE(test, list_empty_careful(&cont->release_link));
	container_unlock();
	/* the rest is a worker's; without an agent it stays in the list */
	EXPECT_SOON(test, !list_empty_careful(&cont->release_link));
	KUNIT_EXPECT_FALSE(test, test_bit(CONTAINER_RELEASE, &cont->flags));
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	release(h);
}

static struct kunit_case fork_test_cases[] = {
	KUNIT_CASE(alone_until_a_thread_is_made),
	KUNIT_CASE(who_exits_is_not_alone),
	KUNIT_CASE(a_fork_takes_one_reference),
	KUNIT_CASE(kill_waits_for_the_unborn),
	KUNIT_CASE(the_last_to_exit_waits_for_nobody),
	{}
};

static struct kunit_suite fork_test_suite = {
	.name = "container-fork",
	.test_cases = fork_test_cases,
};
kunit_test_suite(fork_test_suite);

MODULE_DESCRIPTION("KUnit tests of forks in the container core");
MODULE_LICENSE("GPL");
