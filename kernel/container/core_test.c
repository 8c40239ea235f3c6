// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the container core: what user space cannot bring about or
 * cannot see. Each test has a hierarchy of its own with the subsystem "debug".
 */
#include "testing.h"

#include <linux/completion.h>
#include <linux/container_hooks.h>
#include <linux/percpu-rwsem.h>
#include <linux/sched/task.h>

static struct container_group *group_of(struct task_struct *task)
{
	struct container_group *group;

	rcu_read_lock();
	group = rcu_dereference(task->containers);
	rcu_read_unlock();
	return group;
}

static void bind_follows_the_hierarchy(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;

	KUNIT_EXPECT_PTR_EQ(test, debug_subsys.hierarchy, h);
	KUNIT_EXPECT_PTR_EQ(test, container_debug.root, h->root);
	KUNIT_EXPECT_PTR_EQ(test, h->root->state[debug_subsys_id], debug_subsys.root_css);
	KUNIT_EXPECT_EQ(test, container_debug.bound, 1);
	container_lock();
	container_hierarchy_release_user(h);
	KUNIT_EXPECT_NULL(test, container_hierarchy_find(DEBUG_MASK, ""));
	container_unlock();
	test->priv = NULL;
	KUNIT_EXPECT_PTR_EQ(test, container_debug.root, container_parking.root);
	KUNIT_EXPECT_EQ(test, container_debug.bound, 2);
	KUNIT_EXPECT_EQ(test, container_debug.created, 0);
}

static void slots_run_out(struct kunit *test)
{
	struct container_hierarchy *h[CONFIG_MAX_CONTAINER_HIERARCHIES];
	char name[16];
	int i, n;

	container_lock();
	for (n = 0; n < ARRAY_SIZE(h); n++) {
		snprintf(name, sizeof(name), "slot%d", n);
		h[n] = container_hierarchy_create(0, name, 0, NULL);
		if (IS_ERR(h[n]))
			break;
	}
	/* one slot is this test's own */
	KUNIT_EXPECT_EQ(test, n, CONFIG_MAX_CONTAINER_HIERARCHIES - 1);
	KUNIT_EXPECT_EQ(test, PTR_ERR(h[n]), -ENOSPC);
	for (i = 0; i < n; i++)
		container_hierarchy_release_user(h[i]);
	h[0] = container_hierarchy_create(0, "again", 0, NULL);
	KUNIT_EXPECT_FALSE(test, IS_ERR(h[0]));
	if (!IS_ERR(h[0]))
		container_hierarchy_release_user(h[0]);
	container_unlock();
}

static void clashing_files_undo_the_hierarchy(struct kunit *test)
{
	unsigned long mask = DEBUG_MASK | BIT(cpuacct_subsys_id);
	struct container_hierarchy *h;
	const char *clash = NULL;
	bool begun = container_rebind_lock(mask);

	container_hierarchy_release_user(test->priv);
	h = container_hierarchy_create(mask, "", CONTAINER_NOPREFIX, &clash);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(h), -EEXIST);
	KUNIT_EXPECT_STREQ(test, clash, "stat");
	KUNIT_EXPECT_NULL(test, debug_subsys.hierarchy);
	KUNIT_EXPECT_NULL(test, cpuacct_subsys.hierarchy);
	h = container_hierarchy_create(DEBUG_MASK, "", CONTAINER_NOPREFIX, &clash);
	KUNIT_EXPECT_FALSE(test, IS_ERR(h));
	test->priv = IS_ERR(h) ? NULL : h;
	container_rebind_unlock(begun);
}

static void failed_create_leaves_nothing(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *cont;
	int round;

	for (round = 0; round < 2; round++) {
		container_lock();
		container_debug.fail_create = round ? 0 : -ENOMEM;
		container_debug.fail_online = round ? -EPERM : 0;
		cont = container_create(h->root, "x", 0755);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(cont), round ? -EPERM : -ENOMEM);
		KUNIT_EXPECT_EQ(test, h->nr_containers, 1);
		KUNIT_EXPECT_EQ(test, h->root->nr_children, 0);
		/* a child that never was does not make its parent releasable */
		KUNIT_EXPECT_FALSE(test, test_bit(CONTAINER_USED, &h->root->flags));
		KUNIT_EXPECT_FALSE(test, test_bit(CONTAINER_RELEASE, &h->root->flags));
		KUNIT_EXPECT_TRUE(test, list_empty(&debug_subsys.root_css->children));
		container_unlock();
		EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
	}
	KUNIT_EXPECT_EQ(test, container_debug.created, 1);
	KUNIT_EXPECT_EQ(test, container_debug.offlined, 0);
	EXPECT_SOON(test, atomic_read(&container_debug.destroyed) == 1);
	cont = make(test, h->root, "x");
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	KUNIT_EXPECT_TRUE(test, test_bit(CONTAINER_USED, &h->root->flags));
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

static void state_outlives_the_directory(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *cont = make(test, h->root, "x");
	struct container_subsys_state *css = cont->state[debug_subsys_id];

	rcu_read_lock();
	KUNIT_EXPECT_TRUE(test, container_css_tryget(css));
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	KUNIT_EXPECT_EQ(test, container_debug.offlined, 1);
	/* the name is free, the state is not */
	cont = make(test, h->root, "x");
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	EXPECT_SOON(test, atomic_read(&h->root->nr_dying) == 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&container_debug.destroyed), 1);
	rcu_read_lock();
	KUNIT_EXPECT_FALSE(test, container_css_tryget(css));
	rcu_read_unlock();
	container_css_put(css);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
	KUNIT_EXPECT_EQ(test, atomic_read(&container_debug.destroyed), 2);
}

static void same_memberships_share_a_group(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *cont = make(test, h->root, "x");
	struct task_struct *one = start_sleeper(test), *two = start_sleeper(test);
	unsigned int groups = container_nr_groups();

	KUNIT_EXPECT_PTR_EQ(test, group_of(one), &init_membership.group);
	KUNIT_EXPECT_EQ(test, move(cont, one), 0);
	KUNIT_EXPECT_EQ(test, move(cont, two), 0);
	KUNIT_EXPECT_PTR_EQ(test, group_of(one), group_of(two));
	KUNIT_EXPECT_PTR_NE(test, group_of(one), &init_membership.group);
	KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(group_of(one)->state[debug_subsys_id]),
			    cont->state[debug_subsys_id]);
	KUNIT_EXPECT_EQ(test, container_nr_groups(), groups + 1);
	KUNIT_EXPECT_EQ(test, container_debug.attached, 2);
	KUNIT_EXPECT_EQ(test, unmake(cont), -EBUSY);

	KUNIT_EXPECT_EQ(test, move(h->root, one), 0);
	KUNIT_EXPECT_PTR_EQ(test, group_of(one), &init_membership.group);
	kthread_stop(one);
	/* the other leaves by exiting */
	kthread_stop(two);
	EXPECT_SOON(test, !container_populated(cont));
	KUNIT_EXPECT_EQ(test, container_nr_groups(), groups);
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

static void refusal_moves_nobody(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *cont = make(test, h->root, "x");
	struct task_struct *task = start_sleeper(test);
	unsigned int groups = container_nr_groups();

	container_debug.fail_can_attach = -EXFULL;
	KUNIT_EXPECT_EQ(test, move(cont, task), -EXFULL);
	KUNIT_EXPECT_EQ(test, container_debug.attached, 0);
	KUNIT_EXPECT_PTR_EQ(test, group_of(task), &init_membership.group);
	KUNIT_EXPECT_EQ(test, container_nr_groups(), groups);
	container_debug.fail_can_attach = 0;
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

/* What the subsystem before "debug" is told, which has no cancel_attach() of its own. */
static unsigned int told_before;

static void count_cancel(struct container_subsys_state *css, struct container_attach *set)
{
	told_before += set->nr;
}

/* Who had agreed hears that it comes to nothing, and nobody else; when all exit, everybody does. */
static void refusal_is_told_to_who_agreed(struct kunit *test)
{
	unsigned long mask = DEBUG_MASK | BIT(cpuacct_subsys_id);
	struct container_rebind_failure fail = { };
	struct container_hierarchy *h = test->priv;
	struct container *cont = make(test, h->root, "x");
	struct task_struct *task = start_sleeper(test);
	bool begun = container_rebind_lock(mask);

	KUNIT_EXPECT_EQ(test, container_rebind(h, mask, &fail), 0);
	container_rebind_unlock(begun);
	get_task_struct(task);
	told_before = 0;
	cpuacct_subsys.cancel_attach = count_cancel;
	container_debug.fail_can_attach = -EXFULL;
	KUNIT_EXPECT_EQ(test, move(cont, task), -EXFULL);
	KUNIT_EXPECT_EQ(test, told_before, 1);
	KUNIT_EXPECT_EQ(test, container_debug.cancelled, 0);
	container_debug.fail_can_attach = 0;
	kthread_stop(task);
	EXPECT_SOON(test, READ_ONCE(task->exit_state));
	KUNIT_EXPECT_EQ(test, move(cont, task), -ESRCH);
	KUNIT_EXPECT_EQ(test, told_before, 2);
	KUNIT_EXPECT_EQ(test, container_debug.cancelled, 1);
	cpuacct_subsys.cancel_attach = NULL;
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

/* As if the last task had left while the attach is asked about; the worker gets its chance. */
static void become_empty(struct container_attach *set)
{
	unsigned long end = jiffies + HZ / 5;

	set_bit(CONTAINER_USED, &set->to->flags);
	set_bit(CONTAINER_RELEASE, &set->to->flags);
	container_changed(set->to);
	while (test_bit(CONTAINER_RELEASE, &set->to->flags) && time_before(jiffies, end))
		msleep(20);
}

/* Regression: the worker took who was about to be refused for a member, and forgot the container. */
static void refused_attach_hides_no_release(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *cont = make(test, h->root, "x");
	struct task_struct *task = start_sleeper(test);

	set_bit(CONTAINER_NOTIFY, &cont->flags);
	container_debug.fail_can_attach = -EXFULL;
	container_debug.in_can_attach = become_empty;
	KUNIT_EXPECT_EQ(test, move(cont, task), -EXFULL);
	container_debug.in_can_attach = NULL;
	/* there is no agent, so it waits */
	EXPECT_SOON(test, !list_empty(&cont->release_link));
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

/* Regression of 2007: an attach that comes after the exit kept the container busy. */
static void exiting_task_cannot_be_moved(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *cont = make(test, h->root, "x");
	struct task_struct *task = start_sleeper(test);

	get_task_struct(task);
	kthread_stop(task);
	EXPECT_SOON(test, READ_ONCE(task->exit_state));
	KUNIT_EXPECT_EQ(test, move(cont, task), -ESRCH);
	KUNIT_EXPECT_FALSE(test, container_populated(cont));
	put_task_struct(task);
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

/* A task that makes a thread, as far as the core is concerned. */
struct birth {
	struct task_struct *child;
	struct container_group *group;
	struct completion go;
	bool begun;
	bool done;
};

static int give_birth(void *arg)
{
	struct birth *birth = arg;

	wait_for_completion(&birth->go);
	WRITE_ONCE(birth->begun, true);
	if (!container_can_fork(birth->child, CLONE_THREAD)) {
		birth->group = group_of(birth->child);
		container_cancel_fork(birth->child, CLONE_THREAD);
	}
	/* pairs with smp_load_acquire() in the test */
	smp_store_release(&birth->done, true);
	return wait_for_stop(NULL);
}

/*
 * Regression: the parent's group was read before container_thread_rwsem was
 * taken, so a process that moved in between left its new thread behind.
 */
static void thread_born_during_a_move_is_not_left_behind(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *cont = make(test, h->root, "x");
	struct birth birth = {
		.child = kunit_kzalloc(test, sizeof(*birth.child), GFP_KERNEL),
	};
	struct task_struct *parent;

	KUNIT_ASSERT_NOT_NULL(test, birth.child);
	init_completion(&birth.go);
	parent = kthread_run(give_birth, &birth, "container-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(parent));
	percpu_down_write(&container_thread_rwsem);
	complete(&birth.go);
	/* now it waits for us; there is nothing else in its way to wait for */
	EXPECT_SOON(test, READ_ONCE(birth.begun) &&
		    READ_ONCE(parent->__state) & TASK_UNINTERRUPTIBLE);
	KUNIT_EXPECT_EQ(test, move(cont, parent), 0);
	percpu_up_write(&container_thread_rwsem);
	/* pairs with smp_store_release() in give_birth(): the group is there */
	EXPECT_SOON(test, smp_load_acquire(&birth.done));
	KUNIT_EXPECT_PTR_EQ(test, birth.group, group_of(parent));
	KUNIT_EXPECT_PTR_NE(test, birth.group, &init_membership.group);
	kthread_stop(parent);
	EXPECT_SOON(test, !container_populated(cont));
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

static void walk_goes_parents_first(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *a = make(test, h->root, "a");
	struct container *aa = make(test, a, "aa");
	struct container *b = make(test, h->root, "b");
	struct container *want[] = { h->root, a, aa, b };
	struct container_subsys_state *css;
	int n = 0;

	container_lock();
	container_css_for_each_descendant(css, debug_subsys.root_css) {
		KUNIT_ASSERT_LT(test, n, ARRAY_SIZE(want));
		KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(css->container), want[n]);
		n++;
	}
	KUNIT_EXPECT_EQ(test, n, ARRAY_SIZE(want));
	css = container_css_next_descendant(aa->state[debug_subsys_id],
					    a->state[debug_subsys_id]);
	KUNIT_EXPECT_NULL(test, css);
	container_unlock();
	KUNIT_EXPECT_EQ(test, unmake(a), -EBUSY);
	KUNIT_EXPECT_EQ(test, unmake(aa), 0);
	KUNIT_EXPECT_EQ(test, unmake(a), 0);
	KUNIT_EXPECT_EQ(test, unmake(b), 0);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

/* Three levels: the last put of the lowest lets all go, whatever the order. */
static void parents_wait_for_children(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *a = make(test, h->root, "a");
	struct container *b = make(test, a, "b");
	struct container *c = make(test, b, "c");
	struct container_subsys_state *css = c->state[debug_subsys_id];

	container_css_get(css);
	KUNIT_EXPECT_EQ(test, unmake(c), 0);
	KUNIT_EXPECT_EQ(test, unmake(b), 0);
	KUNIT_EXPECT_EQ(test, unmake(a), 0);
	msleep(100);
	KUNIT_EXPECT_EQ(test, atomic_read(&h->root->nr_dying), 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&container_debug.destroyed), 0);
	container_css_put(css);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
	KUNIT_EXPECT_EQ(test, atomic_read(&container_debug.destroyed), 3);
}

#define LINE 20

/* The state of the lowest of a line of containers that have been removed; it is referenced. */
static struct container_subsys_state *removed_line(struct kunit *test, struct container **line)
{
	struct container_hierarchy *h = test->priv;
	struct container_subsys_state *css;
	int i;

	for (i = 0; i < LINE; i++)
		line[i] = make(test, i ? line[i - 1] : h->root, "x");
	css = line[LINE - 1]->state[debug_subsys_id];
	container_css_get(css);
	while (i--)
		KUNIT_EXPECT_EQ(test, unmake(line[i]), 0);
	/* from now on the counts are exact: each state is held by the one below it */
	rcu_barrier();
	KUNIT_EXPECT_EQ(test, atomic_read(&container_debug.destroyed), 0);
	return css;
}

/* One grace period, and one work item after it, whatever the number of levels. */
static void a_removed_line_goes_at_once(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *line[LINE];

	container_css_put(removed_line(test, line));
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
	KUNIT_EXPECT_EQ(test, atomic_read(&container_debug.destroyed), LINE);
	KUNIT_EXPECT_EQ(test, container_debug.destroyers, 1);
}

/* Who is held in the middle stays, and so do those above it. */
static void a_removed_line_goes_in_parts(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container_subsys_state *lowest, *held;
	struct container *line[LINE];

	lowest = removed_line(test, line);
	held = line[LINE / 2]->state[debug_subsys_id];
	container_css_get(held);
	container_css_put(lowest);
	EXPECT_SOON(test, atomic_read(&h->root->nr_dying) == LINE / 2 + 1);
	/* a grace period and more: nothing else comes */
	rcu_barrier();
	flush_workqueue(container_wq);
	KUNIT_EXPECT_EQ(test, atomic_read(&h->root->nr_dying), LINE / 2 + 1);
	KUNIT_EXPECT_EQ(test, container_debug.destroyers, 1);
	container_css_put(held);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
	KUNIT_EXPECT_EQ(test, atomic_read(&container_debug.destroyed), LINE);
	KUNIT_EXPECT_EQ(test, container_debug.destroyers, 2);
}

/*
 * Regression: a container's seals were its own, not its states', so that the next state of
 * a subsystem that had left and come back broke that of the one before, and stayed for ever.
 */
static void a_state_is_not_its_successor(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *a = make(test, h->root, "a");
	struct container *b = make(test, a, "b");
	struct container_subsys_state *lowest = b->state[debug_subsys_id], *next;

	container_css_get(lowest);
	KUNIT_EXPECT_EQ(test, unmake(b), 0);
	KUNIT_EXPECT_EQ(test, unmake(a), 0);
	container_lock();
	KUNIT_ASSERT_EQ(test, container_css_create(a, &debug_subsys), 0);
	next = a->state[debug_subsys_id];
	KUNIT_EXPECT_EQ(test, container_css_online(next), 0);
	container_css_get(next);
	container_css_kill(next);
	container_unlock();
	/* the counts are exact */
	rcu_barrier();
	/* and the grace period in which a's first state goes with b's cannot end meanwhile */
	rcu_read_lock();
	container_css_put(lowest);
	container_css_put(next);
	a->state[debug_subsys_id] = NULL;
	rcu_read_unlock();
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
	KUNIT_EXPECT_EQ(test, atomic_read(&container_debug.destroyed), 3);
}

static void parse_pages(struct kunit *test)
{
	static const struct {
		const char *in;
		int ret;
		unsigned long pages;
	} cases[] = {
		{ "0", 0, 0 }, { "17", 0, 17 }, { "max", 0, ULONG_MAX },
		{ "8K", 0, 8192 >> PAGE_SHIFT }, { "1m", 0, SZ_1M >> PAGE_SHIFT },
		{ "3G", 0, 3UL << (30 - PAGE_SHIFT) }, { "2T", 0, 2UL << (40 - PAGE_SHIFT) },
		{ "0K", 0, 0 }, { "4k", 0, SZ_4K >> PAGE_SHIFT }, { "7K", 0, SZ_4K >> PAGE_SHIFT },
		{ "", -EINVAL, 0 }, { "K", -EINVAL, 0 }, { "-1", -EINVAL, 0 },
		{ "1KK", -EINVAL, 0 }, { "-1K", -EINVAL, 0 }, { "12x", -EINVAL, 0 },
		{ "1 K", -EINVAL, 0 }, { "16\nM", -EINVAL, 0 }, { "0x10", -EINVAL, 0 }, { "maximum", -EINVAL, 0 },
		{ "1K", -ERANGE, 0 }, { "3k", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "18446744073709551615T", -ERANGE, 0 },
		{ "99999999999999999999999999K", -ERANGE, 0 },
	};
	unsigned long pages;
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		pages = 0;
		KUNIT_EXPECT_EQ_MSG(test, container_parse_pages(cases[i].in, &pages), cases[i].ret,
				    "of '%s'", cases[i].in);
		if (!cases[i].ret)
			KUNIT_EXPECT_EQ_MSG(test, pages, cases[i].pages, "of '%s'", cases[i].in);
	}
}

static struct kunit_case core_test_cases[] = {
	KUNIT_CASE(bind_follows_the_hierarchy),
	KUNIT_CASE(slots_run_out),
	KUNIT_CASE(clashing_files_undo_the_hierarchy),
	KUNIT_CASE(failed_create_leaves_nothing),
	KUNIT_CASE(state_outlives_the_directory),
	KUNIT_CASE(same_memberships_share_a_group),
	KUNIT_CASE(refusal_moves_nobody),
	KUNIT_CASE(refusal_is_told_to_who_agreed),
	KUNIT_CASE(refused_attach_hides_no_release),
	KUNIT_CASE(exiting_task_cannot_be_moved),
	KUNIT_CASE(thread_born_during_a_move_is_not_left_behind),
	KUNIT_CASE(walk_goes_parents_first),
	KUNIT_CASE(parents_wait_for_children),
	KUNIT_CASE(a_removed_line_goes_at_once),
	KUNIT_CASE(a_removed_line_goes_in_parts),
	KUNIT_CASE(a_state_is_not_its_successor),
	KUNIT_CASE(parse_pages),
	{}
};

static struct kunit_suite core_test_suite = {
	.name = "container-core",
	.init = debug_hierarchy_init,
	.exit = debug_hierarchy_exit,
	.test_cases = core_test_cases,
};
kunit_test_suite(core_test_suite);

MODULE_DESCRIPTION("KUnit tests of the container core");
MODULE_LICENSE("GPL");
