// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: what of memset follows from numbers alone, and forks and exits that come between
 * two steps of a change, which load does not bring about when it is wanted.
 */
#include "memset.h"

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/mempolicy.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>

/* A root, a set below it and one below that, of nobody. */
struct line {
	struct memset root, set, leaf;
};

static void make_line(struct line *l, unsigned long set_mems, unsigned long leaf_mems)
{
	*l = (struct line) { .root.flags = BIT(MEMSET_EXCLUSIVE) };
	l->set.css.parent = &l->root.css;
	*l->set.mems.bits = set_mems;
	l->leaf.css.parent = &l->set.css;
	*l->leaf.mems.bits = leaf_mems;
}

static void kernel_is_bounded_by_the_nearest_exclusive(struct kunit *test)
{
	struct line *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l);
	make_line(l, 6, 2);
	/* nobody but the root: all that there is, and node 0 always is */
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->leaf, 0));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(NULL, 0));
	l->set.flags = BIT(MEMSET_EXCLUSIVE);
	KUNIT_EXPECT_FALSE(test, memset_kernel_may_use(&l->leaf, 0));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->leaf, 1));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->leaf, 2));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->root, 0));
	l->leaf.flags = BIT(MEMSET_EXCLUSIVE);
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->leaf, 1));
	KUNIT_EXPECT_FALSE(test, memset_kernel_may_use(&l->leaf, 2));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->set, 2));
}

/* @n events in each of @seconds seconds. */
static void press(struct memset_pressure *p, unsigned int n, int seconds)
{
	spin_lock(&p->lock);
	while (seconds--) {
		p->events = n;
		memset_pressure_catch_up(p, p->second + 1);
	}
	spin_unlock(&p->lock);
}

static void pressure_is_a_rate(struct kunit *test)
{
	struct memset_pressure *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	spin_lock_init(&p->lock);
	press(p, 5, 1);
	KUNIT_EXPECT_EQ(test, p->rate, 335);
	/* in the long run events per second times 1000, but for what is rounded off */
	press(p, 5, 200);
	KUNIT_EXPECT_GT(test, p->rate, 4950);
	KUNIT_EXPECT_LE(test, p->rate, 5000);
	/* half of it in ten seconds of silence, and a hundredth in a minute and a bit */
	press(p, 0, 10);
	KUNIT_EXPECT_GT(test, p->rate, 2400);
	KUNIT_EXPECT_LT(test, p->rate, 2550);
	press(p, 0, 70);
	KUNIT_EXPECT_LT(test, p->rate, 30);
	press(p, 10000, 300);
	KUNIT_EXPECT_GT(test, p->rate, 9900000);
	KUNIT_EXPECT_LE(test, p->rate, 10000000);
	/* a sleep of years is no loop of years */
	spin_lock(&p->lock);
	memset_pressure_catch_up(p, p->second + 1000000000ll);
	spin_unlock(&p->lock);
	KUNIT_EXPECT_EQ(test, p->rate, 0);
}

static const nodemask_t node_1 = { { BIT(1) } };

/* A fork of a task in the root set, with a policy from before a change: node 1 of node 1. */
struct forking {
	struct memset root;
	struct task_struct child;
	struct mempolicy policy;
};

/* The steps of copy_process() up to where the child has its copies and nobody can find it. */
static struct forking *begin_fork(struct kunit *test)
{
	struct forking *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->root.css.ss = &memset_subsys;
	spin_lock_init(&f->child.alloc_lock);
	f->child.mems_allowed = node_states[N_MEMORY];
	container_memset_copied(&f->child);
	f->policy.mode = MPOL_BIND;
	f->policy.nodes = node_1;
	f->policy.w.cpuset_mems_allowed = node_1;
	f->child.mempolicy = &f->policy;
	return f;
}

/* The child can be found now. Returns whether it fitted. */
static bool end_fork(struct forking *f)
{
	bool fits;

	rcu_read_lock();
	fits = memset_fork_fits(&f->child, &f->root.css);
	rcu_read_unlock();
	if (!fits)
		memset_fork(&f->child, &f->root.css);
	return fits;
}

/* Of the set, which is nobody's: no task of this kernel hears of it. */
static void change_nodes(struct forking *f)
{
	mutex_lock(&memset_mutex);
	memset_move_tasks_locked(&f->root);
	mutex_unlock(&memset_mutex);
}

static bool policy_is_old(struct forking *f)
{
	return nodes_equal(f->policy.nodes, node_1) &&
	       nodes_equal(f->policy.w.cpuset_mems_allowed, node_1);
}

/* Who forks pays for two words, and for no lock. */
static void a_fork_that_nothing_overtook_is_left_alone(struct kunit *test)
{
	struct forking *f;

	change_nodes(begin_fork(test));
	f = begin_fork(test);
	KUNIT_EXPECT_TRUE(test, end_fork(f));
	KUNIT_EXPECT_TRUE(test, policy_is_old(f));
	KUNIT_EXPECT_EQ(test, f->child.cpuset_mem_spread_rotor, NUMA_NO_NODE);
}

/*
 * Its nodes are right: there was a change and another one back, or its parent had the
 * new nodes already and not yet the policies. Nothing but the round tells that its policy is not.
 */
static void a_fork_that_a_change_overtook_is_set_right(struct kunit *test)
{
	struct forking *f = begin_fork(test);

	change_nodes(f);
	KUNIT_EXPECT_TRUE(test, policy_is_old(f));
	KUNIT_EXPECT_FALSE(test, end_fork(f));
	KUNIT_EXPECT_TRUE(test, nodes_subset(f->policy.nodes, node_states[N_MEMORY]));
	KUNIT_EXPECT_TRUE(test, nodes_equal(f->policy.w.cpuset_mems_allowed, node_states[N_MEMORY]));
	KUNIT_EXPECT_TRUE(test, nodes_equal(f->child.mems_allowed, node_states[N_MEMORY]));
	KUNIT_EXPECT_EQ(test, f->child.cpuset_mem_spread_rotor, NUMA_NO_NODE);
}

/* And without any change: nodes that are not those of its set, as after a move of the child alone. */
static void a_fork_with_other_nodes_is_set_right(struct kunit *test)
{
	struct forking *f = begin_fork(test);

	/* node 2, too, so that they are not all that there are on any machine of up to two */
	*f->child.mems_allowed.bits = BIT(1) | BIT(2);
	KUNIT_EXPECT_FALSE(test, end_fork(f));
	KUNIT_EXPECT_TRUE(test, nodes_equal(f->child.mems_allowed, node_states[N_MEMORY]));
	KUNIT_EXPECT_TRUE(test, nodes_subset(f->policy.nodes, node_states[N_MEMORY]));
}

/*
 * A process of three threads in a set whose pages follow. All still have the nodes of before a
 * change, and nobody but this test can find them: it is the walk, and takes its time.
 */
struct process {
	struct memset root, set, elsewhere;
	struct container_group group, other;
	struct task_struct thread[3];	/* the first one first */
	struct mm_struct *mm;
	int mm_count;			/* while nobody is about to move pages */
};

static void put_mm(void *mm)
{
	mmput(mm);
}

static struct process *make_process(struct kunit *test)
{
	struct process *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, p->mm);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_mm, p->mm), 0);
	p->set.css.parent = &p->root.css;
	p->set.flags = BIT(MEMSET_MIGRATE);
	/* node 0 is always there */
	*p->set.mems.bits = BIT(0);
	p->elsewhere = p->set;
	RCU_INIT_POINTER(p->group.state[memset_subsys_id], &p->set.css);
	RCU_INIT_POINTER(p->other.state[memset_subsys_id], &p->elsewhere.css);
	for (i = 0; i < ARRAY_SIZE(p->thread); i++) {
		struct task_struct *task = &p->thread[i];

		spin_lock_init(&task->alloc_lock);
		container_memset_copied(task);
		*task->mems_allowed.bits = BIT(1) | BIT(2);
		task->exit_signal = i ? -1 : SIGCHLD;
		task->group_leader = &p->thread[0];
		/* of anybody: it says that the task is alive */
		task->thread_pid = task_pid(current);
		task->mm = p->mm;
		RCU_INIT_POINTER(task->containers, &p->group);
	}
	p->mm_count = atomic_read(&p->mm->mm_count);
	return p;
}

static void change_comes_to(struct process *p, int i)
{
	memset_attach(&p->set.css, &p->root.css, &p->thread[i]);
}

static void exits(struct process *p, int i)
{
	p->thread[i].flags |= PF_EXITING;
	p->thread[i].mm = NULL;
}

/* Who has asked for the pages to be moved, and not settled yet, holds the address space each time. */
static int moves_of_pages(struct process *p)
{
	return atomic_read(&p->mm->mm_count) - p->mm_count;
}

/* The writer's part, by the thread that was the writer: what cleans up after a test is another. */
static void settle(struct kunit *test, struct process *p)
{
	memset_settle();
	KUNIT_EXPECT_EQ(test, moves_of_pages(p), 0);
}

/*
 * The walk goes by numbers, and the first thread need not have the lowest one. What an earlier
 * thread leaves to it is left to nobody when it exits before the walk is there.
 */
static void pages_follow_though_the_first_thread_exits_meanwhile(struct kunit *test)
{
	struct process *p = make_process(test);

	change_comes_to(p, 1);
	KUNIT_EXPECT_EQ(test, moves_of_pages(p), 1);
	exits(p, 0);
	change_comes_to(p, 0);
	change_comes_to(p, 2);
	KUNIT_EXPECT_EQ(test, moves_of_pages(p), 1);
	settle(test, p);
}

/* The walk is over the first thread, which has begun to exit: it did nothing there. */
static void pages_follow_when_the_first_thread_exits(struct kunit *test)
{
	struct process *p = make_process(test);

	/* and with its address space still: it counts for nothing */
	p->thread[0].flags |= PF_EXITING;
	change_comes_to(p, 0);
	KUNIT_EXPECT_EQ(test, moves_of_pages(p), 0);
	change_comes_to(p, 1);
	KUNIT_EXPECT_EQ(test, moves_of_pages(p), 1);
	change_comes_to(p, 2);
	KUNIT_EXPECT_EQ(test, moves_of_pages(p), 1);
	settle(test, p);
}

/* As long as the first thread is elsewhere the pages are its set's affair. */
static void pages_stay_with_the_first_thread(struct kunit *test)
{
	struct process *p = make_process(test);

	RCU_INIT_POINTER(p->thread[0].containers, &p->other);
	change_comes_to(p, 1);
	KUNIT_EXPECT_EQ(test, moves_of_pages(p), 0);
	KUNIT_EXPECT_EQ(test, *p->thread[1].mems_allowed.bits, BIT(0));
	settle(test, p);
}

/* What a reader would see who comes between the two halves of a change of the task that runs. */
static struct {
	unsigned int begun;	/* the sequence that a reader has from before the change */
	int looks;
	bool nodes_are_new;
	bool reads_again;	/* who has begun before, when he is done */
	bool is_waited_for;	/* by who begins now */
} between;

static void look_between(struct task_struct *task, const nodemask_t *mems)
{
	between.looks++;
	between.nodes_are_new = nodes_equal(task->mems_allowed, *mems);
	between.reads_again = read_mems_allowed_retry(between.begun);
	between.is_waited_for = raw_read_seqcount(&task->mems_allowed_seq) & 1;
}

static void change_current(struct kunit *test, nodemask_t mems)
{
	memset(&between, 0, sizeof(between));
	between.begun = read_mems_allowed_begin();
	kunit_activate_static_stub(test, memset_rebind_policy, look_between);
	container_memset_set_current(mems);
	kunit_deactivate_static_stub(test, memset_rebind_policy);
}

/*
 * The new nodes with the old policy, which may have none of them in common: an allocation that
 * fails for that alone looks again. It does because the sequence is odd there, and another one after it.
 */
static void a_change_is_never_half_seen(struct kunit *test)
{
	nodemask_t old = current->mems_allowed;

	/* node 0 is always there; the second time all nodes that there are */
	change_current(test, nodemask_of_node(0));
	KUNIT_EXPECT_EQ(test, between.looks, 1);
	KUNIT_EXPECT_TRUE(test, between.nodes_are_new);
	KUNIT_EXPECT_TRUE(test, between.reads_again);
	KUNIT_EXPECT_TRUE(test, between.is_waited_for);
	KUNIT_EXPECT_TRUE(test, read_mems_allowed_retry(between.begun));
	KUNIT_EXPECT_FALSE(test, raw_read_seqcount(&current->mems_allowed_seq) & 1);
	change_current(test, old);
	KUNIT_EXPECT_TRUE(test, between.nodes_are_new);
	KUNIT_EXPECT_TRUE(test, between.reads_again && between.is_waited_for);
	KUNIT_EXPECT_FALSE(test, read_mems_allowed_retry(read_mems_allowed_begin()));
}

static struct kunit_case memset_cases[] = {
	KUNIT_CASE(kernel_is_bounded_by_the_nearest_exclusive),
	KUNIT_CASE(pressure_is_a_rate),
	KUNIT_CASE(a_fork_that_nothing_overtook_is_left_alone),
	KUNIT_CASE(a_fork_that_a_change_overtook_is_set_right),
	KUNIT_CASE(a_fork_with_other_nodes_is_set_right),
	KUNIT_CASE(pages_follow_though_the_first_thread_exits_meanwhile),
	KUNIT_CASE(pages_follow_when_the_first_thread_exits),
	KUNIT_CASE(pages_stay_with_the_first_thread),
	KUNIT_CASE(a_change_is_never_half_seen),
	{}
};

static struct kunit_suite memset_suite = {
	.name = "container_memset",
	.test_cases = memset_cases,
};
kunit_test_suite(memset_suite);

MODULE_DESCRIPTION("KUnit tests of memset");
MODULE_LICENSE("GPL");
