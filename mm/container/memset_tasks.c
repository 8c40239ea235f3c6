// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset: tasks, their policies and their pages come to their nodes.
 *
 * Whoever changes a set, and whoever moves a task, is in a round: an odd number
 * in memset_rounds. A fork notes the number before it copies policies and pages, and looks
 * at it again when the child can be found. Was it even, and is it the same,
 * then nothing that the child is a copy of has changed meanwhile and only its nodes,
 * copied first of all, are to be compared. Else the child is set right as if
 * it had been moved. That a round which begins after the look finds the child is
 * a pair of barriers: number, then walk; child, then number.
 *
 * Locks and lifetime: memset.h. A migration holds the address space until it is
 * done.
 */
#include "memset.h"

#include <linux/init.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mmu_context.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

/* A page in use just then stays where it is; so often is it tried again. */
#define MIGRATE_TRIES 5

/* Odd: somebody is in a round. Written under memset_mutex. */
static unsigned int memset_rounds;

static struct workqueue_struct *migrate_wq;
/* Queued, or at it. */
static atomic_t nr_migrations;

struct migration {
	struct work_struct work;
	struct mm_struct *mm;
	nodemask_t from;
	nodemask_t to;
};

static void round_begin_locked(void)
{
	lockdep_assert_held(&memset_mutex);
	WRITE_ONCE(memset_rounds, memset_rounds + 1);
	/* the number, and the set's mems, then the walk; pairs with memset_fork() */
	smp_mb();
}

static void round_end_locked(void)
{
	lockdep_assert_held(&memset_mutex);
	/* policies are set, then the number; pairs with container_memset_copied() */
	smp_store_release(&memset_rounds, memset_rounds + 1);
}

/**
 * container_memset_copied - a new task begins as a copy
 * @child: task that nobody sees, with the nodes of its parent and none of its
 *	policies yet; or the first task of all
 *
 * Its rotor is not used before it runs, so the number of the round can wait there.
 *
 * Context: copy_process().
 */
void container_memset_copied(struct task_struct *child)
{
	seqcount_spinlock_init(&child->mems_allowed_seq, &child->alloc_lock);
	/* the number, then copies of policies; pairs with round_end_locked() */
	child->cpuset_mem_spread_rotor = smp_load_acquire(&memset_rounds);
}

/* The nodes of a task, and its policy with them. Its interrupts, too, may read the sequence. */
static void set_nodes(struct task_struct *task, const nodemask_t *mems)
{
	unsigned long flags;

	task_lock(task);
	local_irq_save(flags);
	write_seqcount_begin(&task->mems_allowed_seq);
	WRITE_ONCE(*task->mems_allowed.bits, *mems->bits);
	mpol_rebind_task(task, mems);
	write_seqcount_end(&task->mems_allowed_seq);
	local_irq_restore(flags);
	task_unlock(task);
}

/* A kernel thread at its start. */
void container_memset_set_current(nodemask_t mems)
{
	set_nodes(current, &mems);
}

static bool flags_are_set(struct task_struct *task, unsigned long flags)
{
	return task_spread_page(task) == !!(flags & BIT(MEMSET_SPREAD_PAGE)) &&
	       task_spread_slab(task) == !!(flags & BIT(MEMSET_SPREAD_SLAB));
}

static void set_flags(struct task_struct *task, unsigned long flags)
{
	if (flags & BIT(MEMSET_SPREAD_PAGE))
		task_set_spread_page(task);
	else
		task_clear_spread_page(task);
	if (flags & BIT(MEMSET_SPREAD_SLAB))
		task_set_spread_slab(task);
	else
		task_clear_spread_slab(task);
}

static void migrate(struct work_struct *work)
{
	struct migration *m = container_of(work, struct migration, work);
	int i, tries = MIGRATE_TRIES;

	/*
	 * Nodes for nodes, and a node is both: what has come to it from another
	 * one would go on from there with the second try.
	 */
	if (nodes_weight(m->from) == nodes_weight(m->to) && nodes_intersects(m->from, m->to))
		tries = 1;
	for (i = 0; i < tries; i++)
		if (do_migrate_pages(m->mm, &m->from, &m->to, MPOL_MF_MOVE_ALL) <= 0)
			break;
	mmput(m->mm);
	kfree(m);
	atomic_dec(&nr_migrations);
}

/* Gives the reference to @mm away. */
static void queue_migration(struct mm_struct *mm, const nodemask_t *from, const nodemask_t *to)
{
	/* a move cannot fail */
	struct migration *m = kmalloc_obj(*m, GFP_KERNEL | __GFP_NOFAIL);

	INIT_WORK(&m->work, migrate);
	m->mm = mm;
	m->from = *from;
	m->to = *to;
	atomic_inc(&nr_migrations);
	queue_work(migrate_wq, &m->work);
}

/* Until the pages are where they were to go. Context: process, without memset_mutex. */
void memset_settle(void)
{
	/* those that the caller has queued are counted */
	if (atomic_read(&nr_migrations))
		flush_workqueue(migrate_wq);
}

/* What the address space of a task has to do with the nodes of this task. */
enum mm_follows {
	MM_ELSEWHERE,	/* its first thread is in another set */
	MM_POLICIES,	/* the first thread takes its pages along */
	MM_ALL,
};

static enum mm_follows mm_follows(struct task_struct *task)
{
	enum mm_follows ret = MM_ELSEWHERE;
	struct task_struct *leader;

	if (thread_group_leader(task))
		return MM_ALL;
	rcu_read_lock();
	/* alive: so its leader has not been freed */
	if (pid_alive(task)) {
		leader = READ_ONCE(task->group_leader);
		if (READ_ONCE(leader->flags) & PF_EXITING)
			ret = MM_ALL;
		else if (memset_of_task(leader) == memset_of_task(task))
			ret = MM_POLICIES;
	}
	rcu_read_unlock();
	return ret;
}

/*
 * The task's nodes first, with mmap_lock: an mbind() of the task, which reads them
 * more than once, has only old ones, and finished, or has only new ones. Then the
 * policies, by every thread, as each may have just called mbind().
 */
static void set_nodes_and_mm_locked(struct task_struct *task, const nodemask_t *from,
				    nodemask_t *to, bool pages)
{
	struct mm_struct *mm = get_task_mm(task);
	enum mm_follows follows;

	lockdep_assert_held(&memset_mutex);
	if (!mm) {
		set_nodes(task, to);
		return;
	}
	mmap_write_lock(mm);
	set_nodes(task, to);
	mmap_write_unlock(mm);
	follows = mm_follows(task);
	if (follows != MM_ELSEWHERE)
		mpol_rebind_mm(mm, to);
	if (follows == MM_ALL && pages && !nodes_equal(*from, *to))
		queue_migration(mm, from, to);
	else
		mmput_async(mm);
}

/*
 * A task gets what the tasks of its container have. @copied: its policies may be
 * older, or newer, than its nodes.
 */
static void place_locked(struct task_struct *task, bool copied)
{
	nodemask_t from, to = node_states[N_MEMORY];
	unsigned long flags = 0;
	struct memset *ms;

	lockdep_assert_held(&memset_mutex);
	/* who exits is as in the root, and it is all the same to it; a worker works for everybody */
	if (task->flags & (PF_EXITING | PF_WQ_WORKER))
		return;
	rcu_read_lock();
	ms = memset_of_task(task);
	if (ms) {
		to = memset_nodes(ms);
		flags = READ_ONCE(ms->flags);
	}
	rcu_read_unlock();

	if (!flags_are_set(task, flags))
		set_flags(task, flags);
	from = task->mems_allowed;
	if (nodes_equal(from, to) && !copied)
		return;
	set_nodes_and_mm_locked(task, &from, &to, flags & BIT(MEMSET_MIGRATE));
}

static void move_task_locked(struct container_subsys_state *css, struct task_struct *task,
			     bool again)
{
	place_locked(task, false);
}

/**
 * memset_move_tasks_locked - a set's mems or flags have changed
 * @ms: set
 *
 * Context: memset_mutex; memset_settle() to follow without it.
 */
void memset_move_tasks_locked(struct memset *ms)
{
	round_begin_locked();
	container_css_each_task(&ms->css, move_task_locked);
	round_end_locked();
}

void memset_attach(struct container_subsys_state *css, struct container_subsys_state *from,
		   struct task_struct *task)
{
	mutex_lock(&memset_mutex);
	round_begin_locked();
	place_locked(task, false);
	round_end_locked();
	mutex_unlock(&memset_mutex);
}

/* The head comment. A move of the child alone may have come before, or comes meanwhile. */
void memset_fork(struct task_struct *task, struct container_subsys_state *css)
{
	unsigned int then = task->cpuset_mem_spread_rotor;
	struct memset *ms = to_memset(css);
	nodemask_t mems;

	task->cpuset_mem_spread_rotor = NUMA_NO_NODE;
	/* a copy of kthreadd, which cannot be moved; or kthreadd, which has set its own */
	if (task->flags & PF_KTHREAD)
		return;
	/* the child can be found, then the number; pairs with round_begin_locked() */
	smp_mb();
	mems = memset_nodes(ms);
	if (!(then & 1) && then == READ_ONCE(memset_rounds) &&
	    nodes_equal(task->mems_allowed, mems) &&
	    flags_are_set(task, READ_ONCE(ms->flags)))
		return;
	mutex_lock(&memset_mutex);
	/* nobody waits for pages here: they are the parent's, who moves them for both */
	place_locked(task, true);
	mutex_unlock(&memset_mutex);
}

static int __init migrate_init(void)
{
	migrate_wq = alloc_ordered_workqueue("memset", 0);
	return migrate_wq ? 0 : -ENOMEM;
}
core_initcall(migrate_init);
