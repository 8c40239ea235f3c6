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
 * The pages of an address space are moved once by a write, as what has come to a node
 * might go on from there with a second time; by whichever of its threads the write comes
 * to first, as the others, its first one among them, may end meanwhile.
 *
 * Locks and lifetime: memset.h. A migration holds the address space until it is
 * done, and the mere struct until its writer has settled.
 */
#include "memset.h"

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/hashtable.h>
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

/**
 * struct migration - the pages of an address space go to other nodes
 * @work: on migrate_wq
 * @mm: with a user until its pages are moved
 * @from: from where; the first one's go to the first of @to, and so on
 * @to: where to
 * @by: who writes, and will settle; NULL: a fork, which does not wait, and the worker frees it
 * @taken: entry in taken_mms, by @mm, until @by settles; memset_mutex
 */
struct migration {
	struct work_struct work;
	struct mm_struct *mm;
	nodemask_t from;
	nodemask_t to;
	struct task_struct *by;
	struct hlist_node taken;
};

/* What writes that have not settled have begun; memset_mutex. */
static DEFINE_HASHTABLE(taken_mms, 6);
/* How many that is; who settles looks without the mutex: its own are counted. */
static unsigned int nr_taken;

static void round_begin_locked(void)
{
	lockdep_assert_held(&memset_mutex);
	WRITE_ONCE(memset_rounds, memset_rounds + 1);
	/* the number, and the set's mems, then the walk; pairs with fork_looks() */
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

/* The second half of a change, and where a test looks what there is between the two. */
VISIBLE_IF_KUNIT void memset_rebind_policy(struct task_struct *task, const nodemask_t *mems)
{
	KUNIT_STATIC_STUB_REDIRECT(memset_rebind_policy, task, mems);
	mpol_rebind_task(task, mems);
}

/* The nodes of a task, and its policy with them. Its interrupts, too, may read the sequence. */
static void set_nodes(struct task_struct *task, const nodemask_t *mems)
{
	unsigned long flags;

	task_lock(task);
	local_irq_save(flags);
	write_seqcount_begin(&task->mems_allowed_seq);
	WRITE_ONCE(*task->mems_allowed.bits, *mems->bits);
	memset_rebind_policy(task, mems);
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
	if (!m->by)
		kfree(m);
	atomic_dec(&nr_migrations);
}

/* The current writer has moved these pages, or somebody is about to. */
static bool is_taken_locked(struct mm_struct *mm, const nodemask_t *to)
{
	struct migration *m;

	lockdep_assert_held(&memset_mutex);
	/* it is referenced, so it is no other mm at the same place */
	hash_for_each_possible(taken_mms, m, taken, (unsigned long)mm)
		if (m->mm == mm && m->by == current && nodes_equal(m->to, *to))
			return true;
	return false;
}

/* Gives the reference to @mm away. @settles: memset_settle() will follow. */
static void queue_migration_locked(struct mm_struct *mm, const nodemask_t *from,
				   const nodemask_t *to, bool settles)
{
	/* a move cannot fail */
	struct migration *m = kmalloc_obj(*m, GFP_KERNEL | __GFP_NOFAIL);

	lockdep_assert_held(&memset_mutex);
	INIT_WORK(&m->work, migrate);
	m->mm = mm;
	m->from = *from;
	m->to = *to;
	m->by = NULL;
	if (settles) {
		m->by = current;
		mmgrab(mm);
		hash_add(taken_mms, &m->taken, (unsigned long)mm);
		WRITE_ONCE(nr_taken, nr_taken + 1);
	}
	atomic_inc(&nr_migrations);
	queue_work(migrate_wq, &m->work);
}

/* What the caller has queued is listed and, until the worker is about to return from it, counted. */
bool memset_is_settled(void)
{
	return !READ_ONCE(nr_taken) && !atomic_read(&nr_migrations);
}

/* Until the pages are where they were to go. Context: process, without memset_mutex. */
void memset_settle(void)
{
	HLIST_HEAD(own);
	struct hlist_node *next;
	struct migration *m;
	int bucket;

	if (READ_ONCE(nr_taken)) {
		mutex_lock(&memset_mutex);
		hash_for_each_safe(taken_mms, bucket, next, m, taken) {
			if (m->by != current)
				continue;
			hash_del(&m->taken);
			WRITE_ONCE(nr_taken, nr_taken - 1);
			hlist_add_head(&m->taken, &own);
		}
		mutex_unlock(&memset_mutex);
	}
	if (!hlist_empty(&own) || atomic_read(&nr_migrations))
		flush_workqueue(migrate_wq);
	hlist_for_each_entry_safe(m, next, &own, taken) {
		mmdrop(m->mm);
		kfree(m);
	}
}

/* What the address space of a task has to do with the nodes of this task. */
enum mm_follows {
	MM_ELSEWHERE,	/* its first thread is in another set */
	MM_POLICIES,	/* and its pages are where they are to be, or somebody moves them */
	MM_ALL,
};

/*
 * The task has its new nodes; @from: its old ones, and then those of its first thread, if the
 * change has not come to that: they are the address space's.
 */
static enum mm_follows mm_follows_locked(struct task_struct *task, const nodemask_t *to,
					 nodemask_t *from)
{
	enum mm_follows ret = MM_ELSEWHERE;
	struct task_struct *leader;

	lockdep_assert_held(&memset_mutex);
	if (thread_group_leader(task))
		return MM_ALL;
	rcu_read_lock();
	/* alive: so its leader has not been freed */
	if (pid_alive(task)) {
		leader = READ_ONCE(task->group_leader);
		if (READ_ONCE(leader->flags) & PF_EXITING) {
			ret = MM_ALL;
		} else if (memset_of_task(leader) == memset_of_task(task)) {
			/* when the change comes to the leader that may have ended */
			*from = leader->mems_allowed;
			ret = nodes_equal(*from, *to) ? MM_POLICIES : MM_ALL;
		}
	}
	rcu_read_unlock();
	return ret;
}

/*
 * The task's nodes first, with mmap_lock: an mbind() of the task, which reads them
 * more than once, has only old ones, and finished, or has only new ones. Then the
 * policies, by every thread, as each may have just called mbind().
 */
static void set_nodes_and_mm_locked(struct task_struct *task, nodemask_t *to, bool pages,
				    bool copied)
{
	struct mm_struct *mm = get_task_mm(task);
	nodemask_t from = task->mems_allowed;
	enum mm_follows follows;

	lockdep_assert_held(&memset_mutex);
	if (!mm) {
		set_nodes(task, to);
		return;
	}
	mmap_write_lock(mm);
	set_nodes(task, to);
	mmap_write_unlock(mm);
	follows = mm_follows_locked(task, to, &from);
	if (follows != MM_ELSEWHERE)
		mpol_rebind_mm(mm, to);
	/* a new thread's are its parent's, who moves them for both */
	if (copied && !thread_group_leader(task))
		pages = false;
	if (follows == MM_ALL && pages && !nodes_equal(from, *to) && !is_taken_locked(mm, to))
		queue_migration_locked(mm, &from, to, !copied);
	else
		mmput_async(mm);
}

/*
 * A task gets what the tasks of its container have. @copied: its policies may be
 * older, or newer, than its nodes.
 */
static void place_locked(struct task_struct *task, bool copied)
{
	nodemask_t to = node_states[N_MEMORY];
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
	if (nodes_equal(task->mems_allowed, to) && !copied)
		return;
	set_nodes_and_mm_locked(task, &to, flags & BIT(MEMSET_MIGRATE), copied);
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
	/* forked before memset was bound: its number waits there still; to memset_fork_fits() it is odd */
	WRITE_ONCE(task->cpuset_mem_spread_rotor, NUMA_NO_NODE);
	place_locked(task, false);
	round_end_locked();
	mutex_unlock(&memset_mutex);
}

/* The head comment. A move of the child alone may have come before, or comes meanwhile. */
bool memset_fork_fits(struct task_struct *task, struct container_subsys_state *css)
{
	unsigned int then = task->cpuset_mem_spread_rotor;
	struct memset *ms = to_memset(css);
	nodemask_t mems;

	task->cpuset_mem_spread_rotor = NUMA_NO_NODE;
	/* a copy of kthreadd, which cannot be moved; or kthreadd, which has set its own */
	if (task->flags & PF_KTHREAD)
		return true;
	/* fork_looks(): the child can be found, then the number; pairs with round_begin_locked() */
	mems = memset_nodes(ms);
	return !(then & 1) && then == READ_ONCE(memset_rounds) &&
	       nodes_equal(task->mems_allowed, mems) &&
	       flags_are_set(task, READ_ONCE(ms->flags));
}

void memset_fork(struct task_struct *task, struct container_subsys_state *css)
{
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
