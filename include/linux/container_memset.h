/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What Linux asks a memset. Linux has these calls under the names of its own
 * cpusets, with stubs when CONFIG_CPUSETS=n; this file stands in for those that
 * are about memory nodes (include/hooks.patch), as container_cpuset.h does for
 * CPUs. Included by <linux/cpuset.h>.
 *
 * A task's nodes are in its mems_allowed, where the allocator looks for them;
 * mm/container/memset.h says who writes them.
 */
#ifndef _LINUX_CONTAINER_MEMSET_H
#define _LINUX_CONTAINER_MEMSET_H

#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/seqlock.h>
#include <linux/slab.h>

struct seq_file;
struct zone;

/* Memsets besides the root's: without one every task has all nodes. */
extern atomic_t container_memset_nr;
extern bool container_memset_pressure_enabled;

void container_memset_copied(struct task_struct *child);
bool container_memset_node_allowed(int node, gfp_t gfp);
nodemask_t container_memset_allowed(struct task_struct *task);
int container_memset_spread_node(void);
void container_memset_pressure_bump(void);
void container_memset_status(struct seq_file *m, struct task_struct *task);
void container_memset_print_current(void);
void container_memset_set_current(nodemask_t mems);

/*
 * The page allocator, first of all. A load, as UML patches no jumps; an
 * allocation that began before the first memset was made is as one in the root.
 */
static inline bool cpusets_enabled(void)
{
	return atomic_read(&container_memset_nr);
}

/* Nodes of movable memory only, which UML has not got */
static inline bool cpusets_insane_config(void)
{
	return false;
}

/* move_pages(), migrate_pages(): where pages of @task may be */
static inline nodemask_t cpuset_mems_allowed(struct task_struct *task)
{
	return container_memset_allowed(task);
}

#define cpuset_current_mems_allowed (current->mems_allowed)

/* build_all_zonelists(), in the first task: it may use whatever will be there */
static inline void cpuset_init_current_mems_allowed(void)
{
	container_memset_copied(current);
	nodes_setall(current->mems_allowed);
}

/* policies: does a policy leave anything to choose from? */
static inline int cpuset_nodemask_valid_mems_allowed(const nodemask_t *nodemask)
{
	return nodes_intersects(*nodemask, current->mems_allowed);
}

static inline bool __cpuset_zone_allowed(struct zone *zone, gfp_t gfp)
{
	return container_memset_node_allowed(zone_to_nid(zone), gfp);
}

static inline bool cpuset_zone_allowed(struct zone *zone, gfp_t gfp)
{
	return !cpusets_enabled() || __cpuset_zone_allowed(zone, gfp);
}

/* OOM killer: could killing @b help @a? Old nodes or new ones, either will do. */
static inline int cpuset_mems_allowed_intersects(const struct task_struct *a,
						 const struct task_struct *b)
{
	return nodes_intersects(a->mems_allowed, b->mems_allowed);
}

/* an allocation begins to reclaim by itself */
static inline void cpuset_memory_pressure_bump(void)
{
	if (READ_ONCE(container_memset_pressure_enabled))
		container_memset_pressure_bump();
}

/* /proc/PID/status */
static inline void cpuset_task_status_allowed(struct seq_file *m, struct task_struct *task)
{
	container_memset_status(m, task);
}

/* the page cache */
static inline int cpuset_do_page_mem_spread(void)
{
	return task_spread_page(current);
}

static inline int cpuset_mem_spread_node(void)
{
	return container_memset_spread_node();
}

/* The number that Linux had for it. */
#define PFA_SPREAD_SLAB 2
TASK_PFA_TEST(SPREAD_SLAB, spread_slab)
TASK_PFA_SET(SPREAD_SLAB, spread_slab)
TASK_PFA_CLEAR(SPREAD_SLAB, spread_slab)

/* SLUB, for an object that may be anywhere: inodes and dentries take turns */
static inline int container_memset_slab_node(slab_flags_t flags, int node)
{
	if (likely(!task_spread_slab(current)) || node != NUMA_NO_NODE ||
	    !(flags & SLAB_RECLAIM_ACCOUNT) || !in_task())
		return node;
	return container_memset_spread_node();
}

/* mpol_dup(): what a fork has copied is looked at afterwards, by memset_fork_fits() */
static inline bool current_cpuset_is_being_rebound(void)
{
	return false;
}

/* a failed allocation, and the OOM killer */
static inline void cpuset_print_current_mems_allowed(void)
{
	container_memset_print_current();
}

/* kernel_init() and kthreadd, for all that they will fork */
static inline void set_mems_allowed(nodemask_t mems)
{
	container_memset_set_current(mems);
}

/*
 * Around what could fail only because nodes, or a policy, changed meanwhile. The
 * sequence is read even where no memset is, which is cheaper than to ask.
 */
static inline unsigned int read_mems_allowed_begin(void)
{
	return read_seqcount_begin(&current->mems_allowed_seq);
}

static inline bool read_mems_allowed_retry(unsigned int seq)
{
	return read_seqcount_retry(&current->mems_allowed_seq, seq);
}

#endif /* _LINUX_CONTAINER_MEMSET_H */
