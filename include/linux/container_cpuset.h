/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What Linux asks a cpuset. Linux has these calls under the names of its own
 * cpusets, with stubs when CONFIG_CPUSETS=n; this file stands in for those that
 * are about CPUs (include/hooks.patch); container_memset.h for those about memory
 * nodes. Included by <linux/cpuset.h>.
 */
#ifndef _LINUX_CONTAINER_CPUSET_H
#define _LINUX_CONTAINER_CPUSET_H

#include <linux/cpumask.h>
#include <linux/sched.h>

void container_cpuset_lock(void);
void container_cpuset_unlock(void);
void container_cpuset_allowed(struct task_struct *task, struct cpumask *mask);
void container_cpuset_active_cpus(void);
void container_cpuset_rebuild_domains(void);
void container_cpuset_rebuild_deadline(void);

/* sched_cpu_activate() and its counterpart, hotplug lock held: a CPU has come or goes */
static inline void cpuset_update_active_cpus(void)
{
	container_cpuset_active_cpus();
}

/* __sched_setscheduler(), around a task's change to or from SCHED_DEADLINE */
static inline void cpuset_lock(void)
{
	container_cpuset_lock();
}

static inline void cpuset_unlock(void)
{
	container_cpuset_unlock();
}

static inline void inc_dl_tasks_cs(struct task_struct *task) { }
static inline void dec_dl_tasks_cs(struct task_struct *task) { }
static inline void lockdep_assert_cpuset_lock_held(void) { }

/* deadline.c, with pi_lock; and what sched_setaffinity() bounds a task to, before and after */
static inline void cpuset_cpus_allowed_locked(struct task_struct *task, struct cpumask *mask)
{
	container_cpuset_allowed(task, mask);
}

static inline void cpuset_cpus_allowed(struct task_struct *task, struct cpumask *mask)
{
	container_cpuset_allowed(task, mask);
}

/* select_fallback_rq(): no CPU is left to a task; then any will do, as without cpusets */
static inline bool cpuset_cpus_allowed_fallback(struct task_struct *task)
{
	return false;
}

/* partition_sched_domains(), at its end: what deadline tasks have reserved is to be counted anew */
static inline void dl_rebuild_rd_accounting(void)
{
	container_cpuset_rebuild_deadline();
}

/* sysctls and topology code: something about the domains has changed */
static inline void rebuild_sched_domains(void)
{
	container_cpuset_rebuild_domains();
}

#endif /* _LINUX_CONTAINER_CPUSET_H */
