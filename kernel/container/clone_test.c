// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of container_clone(): refusals at every step, names that are
 * taken, a fork that is called off. Each test has a hierarchy of its own with
 * the subsystem "debug", and kernel threads to move.
 */
#include "testing.h"
#include "debug.h"

#include <linux/sched/task.h>

static int clone_test_init(struct kunit *test)
{
	memset(&container_debug, 0, sizeof(container_debug));
	test->priv = make_hierarchy(test, BIT(debug_subsys_id));
	return 0;
}

/* Nothing that was made is left, and nothing is dying. */
static void clone_test_exit(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;

	if (!h)
		return;
	EXPECT_SOON(test, READ_ONCE(h->nr_containers) == 1);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
	container_lock();
	container_hierarchy_release_user(h);
	KUNIT_EXPECT_NULL(test, debug_subsys.hierarchy);
	container_unlock();
}

static struct container *place_of(struct container_hierarchy *h, struct task_struct *task)
{
	struct container *cont;

	container_lock();
	rcu_read_lock();
	cont = container_of_group(to_membership(rcu_dereference(task->containers)), h);
	rcu_read_unlock();
	container_unlock();
	return cont;
}

static void expect_path(struct kunit *test, struct container *cont, const char *want)
{
	char path[64] = "";

	KUNIT_EXPECT_GT(test, container_path(cont, path, sizeof(path)), 0);
	KUNIT_EXPECT_STREQ(test, path, want);
}

static void clone_makes_and_moves(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct task_struct *task = start_sleeper(test);
	struct container *cont;
	char want[64];
	int n;

	KUNIT_EXPECT_EQ(test, container_clone(&debug_subsys, task), 0);
	cont = place_of(h, task);
	n = snprintf(want, sizeof(want), "/node_%d", task->pid);
	expect_path(test, cont, want);
	KUNIT_EXPECT_PTR_EQ(test, cont->parent, h->root);
	KUNIT_EXPECT_FALSE(test, test_bit(CONTAINER_HIDDEN, &cont->flags));
	KUNIT_EXPECT_EQ(test, container_debug.attached, 1);
	/* again: below */
	KUNIT_EXPECT_EQ(test, container_clone(&debug_subsys, task), 0);
	KUNIT_EXPECT_PTR_EQ(test, place_of(h, task)->parent, cont);
	snprintf(want + n, sizeof(want) - n, "/node_%d", task->pid);
	expect_path(test, place_of(h, task), want);
	KUNIT_EXPECT_EQ(test, h->nr_containers, 3);
	/* clone_test_exit() waits for the two to go */
	kthread_stop(task);
}

static void refused_clone_leaves_nothing(struct kunit *test)
{
	static const int errors[] = { -ENOMEM, -EPERM, -EXFULL };
	struct container_hierarchy *h = test->priv;
	struct task_struct *task = start_sleeper(test);
	unsigned int groups = container_nr_groups();
	int i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		container_debug.fail_create = i == 0 ? errors[0] : 0;
		container_debug.fail_online = i == 1 ? errors[1] : 0;
		container_debug.fail_can_attach = i == 2 ? errors[2] : 0;
		KUNIT_EXPECT_EQ(test, container_clone(&debug_subsys, task), errors[i]);
		KUNIT_EXPECT_PTR_EQ(test, place_of(h, task), h->root);
		KUNIT_EXPECT_EQ(test, h->nr_containers, 1);
		KUNIT_EXPECT_EQ(test, h->root->nr_children, 0);
		KUNIT_EXPECT_EQ(test, container_nr_groups(), groups);
	}
	KUNIT_EXPECT_EQ(test, container_debug.attached, 0);
	container_debug.fail_can_attach = 0;
	KUNIT_EXPECT_EQ(test, container_clone(&debug_subsys, task), 0);
	kthread_stop(task);
}

static void clone_of_an_exited_task(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct task_struct *task = start_sleeper(test);

	get_task_struct(task);
	kthread_stop(task);
	EXPECT_SOON(test, READ_ONCE(task->exit_state));
	KUNIT_EXPECT_EQ(test, container_clone(&debug_subsys, task), -ESRCH);
	KUNIT_EXPECT_EQ(test, h->nr_containers, 1);
	put_task_struct(task);
}

static void clone_without_a_hierarchy(struct kunit *test)
{
	struct task_struct *task = start_sleeper(test);

	container_lock();
	container_hierarchy_release_user(test->priv);
	container_unlock();
	test->priv = NULL;
	KUNIT_EXPECT_EQ(test, container_clone(&debug_subsys, task), 0);
	KUNIT_EXPECT_EQ(test, container_debug.created, 0);
	kthread_stop(task);
}

static void take_name(struct kunit *test, const char *name)
{
	struct container_hierarchy *h = test->priv;

	make(test, h->root, name);
}

static void remove_children(struct container_hierarchy *h)
{
	struct container_subsys_state *css;

	container_lock();
	while (!list_empty(&debug_subsys.root_css->children)) {
		css = list_first_entry(&debug_subsys.root_css->children,
				       struct container_subsys_state, sibling);
		if (container_remove(rcu_dereference_protected(css->container, 1)))
			break;
	}
	container_unlock();
}

/* Somebody who takes a name after the other ends the search, but nothing is left of it. */
static void clone_beside(struct kunit *test, struct container_hierarchy *h, char *name, size_t size)
{
	struct task_struct *task = start_sleeper(test);

	snprintf(name, size, "node_%d", task->pid);
	take_name(test, name);
	KUNIT_EXPECT_EQ(test, container_clone(&debug_subsys, task), 0);
	KUNIT_EXPECT_PTR_NE(test, place_of(h, task), h->root);
	KUNIT_EXPECT_GT(test, container_path(place_of(h, task), name, size), 0);
	kthread_stop(task);
}

/* Regression: names were counted, and who took a hundred in advance made each clone fail. */
static void no_name_can_be_taken_in_advance(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	unsigned int first, second;
	char name[64], *dot;

	clone_beside(test, h, name, sizeof(name));
	dot = strchr(name, '.');
	KUNIT_ASSERT_NOT_NULL(test, dot);
	KUNIT_ASSERT_EQ(test, kstrtouint(dot + 1, 10, &first), 0);
	clone_beside(test, h, name, sizeof(name));
	dot = strchr(name, '.');
	KUNIT_ASSERT_NOT_NULL(test, dot);
	KUNIT_ASSERT_EQ(test, kstrtouint(dot + 1, 10, &second), 0);
	/* by chance it is nearer once in two million times */
	KUNIT_EXPECT_GT(test, abs((long)first - (long)second), 1000);
	EXPECT_SOON(test, READ_ONCE(h->nr_containers) == 1 + 2);
	remove_children(h);
}

/* A kernel thread that sleeps stands for a child that nobody sees. */
static void cancelled_fork_leaves_nothing(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct task_struct *task = start_sleeper(test);
	struct container *cont;

	KUNIT_EXPECT_EQ(test, container_clone_fork(&debug_subsys, task), 0);
	cont = place_of(h, task);
	KUNIT_EXPECT_PTR_NE(test, cont, h->root);
	KUNIT_EXPECT_TRUE(test, test_bit(CONTAINER_HIDDEN, &cont->flags));
	KUNIT_EXPECT_EQ(test, h->nr_containers, 2);
	container_clone_cancel(task);
	rcu_assign_pointer(task->containers, &container_group_get_current()->group);
	/* at once, not by the worker */
	KUNIT_EXPECT_EQ(test, h->nr_containers, 1);
	KUNIT_EXPECT_EQ(test, h->root->nr_children, 0);
	kthread_stop(task);
}

static void finished_fork_is_shown(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct task_struct *task = start_sleeper(test);
	struct container *cont;

	/* it was born in the root, and shall be once more */
	debug_subsys.exit(task, debug_subsys.root_css);
	KUNIT_EXPECT_EQ(test, container_clone_fork(&debug_subsys, task), 0);
	cont = place_of(h, task);
	container_clone_forked(task);
	KUNIT_EXPECT_EQ(test, container_debug.attached, 0);
	debug_subsys.fork(task, cont->state[debug_subsys_id]);
	KUNIT_EXPECT_FALSE(test, test_bit(CONTAINER_HIDDEN, &cont->flags));
	/* and without one there is nothing to do */
	container_clone_forked(task);
	kthread_stop(task);
}

/* A tree that is unmounted while a clone hides its last container goes with that. */
static void cancelled_fork_ends_an_unmounted_tree(struct kunit *test)
{
	struct task_struct *task = start_sleeper(test);
	struct container_hierarchy *h = test->priv;

	KUNIT_ASSERT_EQ(test, container_clone_fork(&debug_subsys, task), 0);
	container_lock();
	container_hierarchy_release_user(h);
	KUNIT_EXPECT_PTR_EQ(test, debug_subsys.hierarchy, h);
	container_unlock();
	container_clone_cancel(task);
	rcu_assign_pointer(task->containers, &container_group_get_current()->group);
	KUNIT_EXPECT_NULL(test, debug_subsys.hierarchy);
	/* nothing is left for clone_test_exit(), whose user is gone */
	test->priv = NULL;
	kthread_stop(task);
}

/* Can it be looked up? kernfs_find_and_get() finds what is not active, too. */
static bool is_shown(struct kernfs_node *kn)
{
	return atomic_read(&kn->active) >= 0;
}

static void rebinding_shows_no_hidden_container(struct kunit *test)
{
	unsigned long with = BIT(debug_subsys_id) | BIT(cpuacct_subsys_id);
	struct task_struct *task = start_sleeper(test);
	struct container_rebind_failure fail = { };
	struct container_hierarchy *h = test->priv;
	struct container_files *files;
	struct container *cont;
	bool begun;

	debug_subsys.exit(task, debug_subsys.root_css);
	KUNIT_ASSERT_EQ(test, container_clone_fork(&debug_subsys, task), 0);
	cont = place_of(h, task);
	/* a counting subsystem hears of the task when its fork is done: now */
	debug_subsys.fork(task, cont->state[debug_subsys_id]);
	KUNIT_EXPECT_FALSE(test, is_shown(cont->kn));
	begun = container_rebind_lock(with);
	KUNIT_EXPECT_EQ(test, container_rebind(h, with, &fail), 0);
	files = &cont->files[cpuacct_subsys_id];
	KUNIT_EXPECT_GT(test, files->nr, 0);
	KUNIT_EXPECT_FALSE(test, is_shown(cont->kn));
	KUNIT_EXPECT_FALSE(test, files->nr && is_shown(files->node[0].kn));
	container_rebind_unlock(begun);
	container_clone_forked(task);
	KUNIT_EXPECT_TRUE(test, is_shown(cont->kn));
	KUNIT_EXPECT_TRUE(test, files->nr && is_shown(files->node[0].kn));
	begun = container_rebind_lock(with);
	KUNIT_EXPECT_EQ(test, container_rebind(h, BIT(debug_subsys_id), &fail), 0);
	container_rebind_unlock(begun);
	kthread_stop(task);
}

static struct kunit_case clone_test_cases[] = {
	KUNIT_CASE(clone_makes_and_moves),
	KUNIT_CASE(refused_clone_leaves_nothing),
	KUNIT_CASE(clone_of_an_exited_task),
	KUNIT_CASE(clone_without_a_hierarchy),
	KUNIT_CASE(no_name_can_be_taken_in_advance),
	KUNIT_CASE(cancelled_fork_leaves_nothing),
	KUNIT_CASE(finished_fork_is_shown),
	KUNIT_CASE(cancelled_fork_ends_an_unmounted_tree),
	KUNIT_CASE(rebinding_shows_no_hidden_container),
	{}
};

static struct kunit_suite clone_test_suite = {
	.name = "container-clone",
	.init = clone_test_init,
	.exit = clone_test_exit,
	.test_cases = clone_test_cases,
};
kunit_test_suite(clone_test_suite);

MODULE_DESCRIPTION("KUnit tests of container_clone()");
MODULE_LICENSE("GPL");
