/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The subsystem "memset": which memory nodes the tasks of a container use. What
 * its files share; memset.c has the rules, memset_tasks.c brings tasks to
 * their nodes, memset_alloc.c answers the allocator.
 *
 * A container's mems are some of its parent's; the root has all nodes with
 * memory. What a task may use is kept in the task (mems_allowed), beside the
 * policies of the task and of its address space, which are relative to it. These
 * are set when a task enters a container and when the container's mems
 * change, before the write returns. The pages follow where memory_migrate says
 * so, before it returns, too.
 *
 * Locks, outer to inner:
 *
 *   container_thread_rwsem, container_mutex, or a control file's active reference
 *   memset_mutex         the tree of sets, their mems and flags, what tasks may
 *                        use; sleeps, allocates
 *   mmap_lock            while the policies of an address space are set; so
 *                        nobody may ask for any of the above with it
 *   alloc_lock of a task, and inside of it its mems_allowed_seq, interrupts off:
 *                        mems_allowed and the policy of the task
 *
 * Pages are moved by a worker, who holds none of these, and uses all nodes
 * whatever those of the writer are. One after the other, in the order in which
 * they were asked for.
 *
 * Without the mutex:
 *
 *   the allocator        reads the current task's mems_allowed, one word, which is
 *                        the old one or the new one. What it concluded from it
 *                        may be wrong by the time it fails: hence the sequence
 *   a kernel allocation  that mems_allowed does not satisfy looks at flags and
 *                        mems of the ancestors, under RCU; one word each
 *   mbind()              takes mems_allowed under mmap_lock, twice. Who changes it
 *                        has that lock, too, and sets the policies of the address
 *                        space afterwards, so that either mbind() sees the new
 *                        nodes only or its policy is set
 *   fork                 the child is a copy from before it can be found, and its
 *                        policies are copied in between. When it can be found
 *                        memset_fork_fits() looks whether anybody was moving
 *                        tasks meanwhile; see memset_tasks.c
 *
 * Lifetime: a set is freed after a grace period, so RCU keeps that of a task.
 *
 * Surprises
 * - A new container has no nodes, and lets no task in until it is given some. So
 *   memset is bound only by a mount that names it. Who cannot be asked first gets
 *   the parent's nodes (post_clone).
 * - An address space belongs where its process's first thread is, or, when that
 *   has ended, any of its threads. Its pages are moved for whichever thread of
 *   the process a change comes to first, and once.
 * - Workers (kworker) use all nodes in whatever container somebody has put them.
 * - The policies of a shared mapping (shmem) belong to the file, and are not set.
 * - task_struct has mems_allowed and its sequence, as with Linux's own cpusets:
 *   the allocator wants a word, not a walk.
 */
#ifndef _MM_CONTAINER_MEMSET_H
#define _MM_CONTAINER_MEMSET_H

#include <linux/containers.h>
#include <linux/cpuset.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/spinlock.h>

/* Numbers of bits; each is a file that is 0 or 1. */
enum memset_flag {
	/* no sibling has any of these nodes; kernel allocations for tasks here stay inside */
	MEMSET_EXCLUSIVE,
	MEMSET_MIGRATE,		/* pages follow the nodes */
	MEMSET_SPREAD_PAGE,	/* page cache goes round the nodes */
	MEMSET_SPREAD_SLAB,	/* inodes and dentries do */
};

/**
 * struct memset_pressure - how often tasks had to reclaim by themselves
 * @lock: a leaf, any context but interrupts
 * @rate: per second times 1000, half of what is 10 s old; @lock
 * @events: in the second that has begun at @second; @lock
 * @second: up to where @rate counts; @lock
 */
struct memset_pressure {
	spinlock_t lock;
	u64 rate;
	unsigned int events;
	time64_t second;
};

/**
 * struct memset - the state of one container
 * @css: the core's part
 * @mems: what the file mems says; memset_mutex. Read without it by those who
 *	look again or are looked at afterwards. Of the root: unused
 * @flags: BIT(enum memset_flag); memset_mutex, read without it as @mems
 * @children: list of @sibling, online ones; memset_mutex
 * @sibling: entry in the parent's @children
 * @pressure: own lock
 */
struct memset {
	struct container_subsys_state css;
	nodemask_t mems;
	unsigned long flags;
	struct list_head children;
	struct list_head sibling;
	struct memset_pressure pressure;
};

static inline struct memset *to_memset(struct container_subsys_state *css)
{
	return css ? container_of(css, struct memset, css) : NULL;
}

/* NULL for the root. */
static inline struct memset *memset_parent(struct memset *ms)
{
	return to_memset(ms->css.parent);
}

/* What children may have. One word, so it is never half of two masks. */
static inline nodemask_t memset_nodes(const struct memset *ms)
{
	nodemask_t mems;

	BUILD_BUG_ON(sizeof(mems) != sizeof(unsigned long));
	if (!ms->css.parent)
		return node_states[N_MEMORY];
	*mems.bits = READ_ONCE(*ms->mems.bits);
	return mems;
}

static inline bool memset_is(const struct memset *ms, enum memset_flag flag)
{
	return READ_ONCE(ms->flags) & BIT(flag);
}

/* RCU. NULL before container_init(), and while the task is being forked: as in the root. */
static inline struct memset *memset_of_task(struct task_struct *task)
{
	struct container_group *group = rcu_dereference(task->containers);

	return group ? to_memset(rcu_dereference(group->state[memset_subsys_id])) : NULL;
}

extern struct mutex memset_mutex;

/* memset_tasks.c */
void memset_move_tasks_locked(struct memset *ms);
void memset_attach(struct container_subsys_state *css, struct container_subsys_state *from,
		   struct task_struct *task);
bool memset_fork_fits(struct task_struct *task, struct container_subsys_state *css);
void memset_fork(struct task_struct *task, struct container_subsys_state *css);
bool memset_is_settled(void);
void memset_settle(void);
#if IS_ENABLED(CONFIG_KUNIT)
void memset_rebind_policy(struct task_struct *task, const nodemask_t *mems);
#endif

/* memset_alloc.c */
bool memset_kernel_may_use(struct memset *ms, int node);
void memset_pressure_catch_up(struct memset_pressure *p, time64_t now);
u64 memset_pressure_read(struct container *cont, const struct container_file *file);
u64 memset_pressure_enabled_read(struct container *cont, const struct container_file *file);
int memset_pressure_enabled_write(struct container *cont, const struct container_file *file,
				  u64 val);

#endif /* _MM_CONTAINER_MEMSET_H */
