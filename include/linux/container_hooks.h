/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What Linux calls where a process group cares. Linux has these calls under
 * the names of its cgroups, with empty stubs when CONFIG_CGROUPS=n; this file
 * stands in for the stubs (include/hooks.patch). Included by <linux/cgroup.h>.
 */
#ifndef _LINUX_CONTAINER_HOOKS_H
#define _LINUX_CONTAINER_HOOKS_H

#include <linux/containers.h>
#include <linux/kernel_stat.h>
#include <linux/sched/task.h>

/* __init: the two callers below must end up in start_kernel() whatever the compiler thinks */
int container_init_early(void);
int container_init(void);
int container_can_fork(struct task_struct *child, u64 flags);
void container_cancel_fork(struct task_struct *child, u64 flags);
void container_post_fork(struct task_struct *child, u64 flags);
void container_exit(struct task_struct *task);

/* start_kernel(), before anything can be scheduled or allocated */
static __always_inline int cgroup_init_early(void)
{
	return container_init_early();
}

/* start_kernel(), when allocators and /proc work */
static __always_inline int cgroup_init(void)
{
	return container_init();
}

#ifdef CONFIG_CONTAINER_MEMSET
void container_memset_copied(struct task_struct *child);
#else
static inline void container_memset_copied(struct task_struct *child) {}
#endif

/* copy_process(): the child is a copy, its group not referenced yet */
static inline void cgroup_fork(struct task_struct *child)
{
	RCU_INIT_POINTER(child->containers, NULL);
	container_memset_copied(child);
}

/* copy_process(): last chance to refuse; pid allocated, not visible yet */
static inline int cgroup_can_fork(struct task_struct *child, struct kernel_clone_args *args)
{
	return container_can_fork(child, args->flags);
}

static inline void cgroup_cancel_fork(struct task_struct *child, struct kernel_clone_args *args)
{
	container_cancel_fork(child, args->flags);
}

/* copy_process(): the child is in the pid hash and the thread list */
static inline void cgroup_post_fork(struct task_struct *child, struct kernel_clone_args *args)
{
	container_post_fork(child, args->flags);
}

/* do_exit(), in the task: memory, files and namespaces are gone */
static inline void cgroup_task_exit(struct task_struct *task)
{
	container_exit(task);
}

static inline void cgroup_task_dead(struct task_struct *task) {}
static inline void cgroup_task_release(struct task_struct *task) {}
static inline void cgroup_task_free(struct task_struct *task) {}

/* kernel/fork.c, where it is static otherwise: what numtasks divides if nobody says how much */
extern int max_threads;

#ifdef CONFIG_CONTAINER_CPU
/*
 * kernel/sched/: what the group scheduling of Linux has to know of its cgroups, which are not
 * there: a group has none, and a name only where the scheduler lists its groups (debugfs).
 */
struct cgroup_taskset;
struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

static inline int cgroup_path(struct cgroup *cgrp, char *buf, size_t len)
{
	return strscpy(buf, "-", len);
}

/* where a task belongs: when it is born, and in sched_move_task() */
struct task_group *container_cpu_group(struct task_struct *task);
#endif

#ifdef CONFIG_CONTAINER_CPUACCT
void container_cpuacct_charge(struct task_struct *task, u64 ns);
void container_cpuacct_charge_field(struct task_struct *task, enum cpu_usage_stat index, u64 ns);
#else
static inline void container_cpuacct_charge(struct task_struct *task, u64 ns) {}
static inline void container_cpuacct_charge_field(struct task_struct *task,
						  enum cpu_usage_stat index, u64 ns) {}
#endif

/* scheduler: @task ran for @ns; runqueue lock held */
static inline void cgroup_account_cputime(struct task_struct *task, u64 ns)
{
	container_cpuacct_charge(task, ns);
}

/* tick: @ns of user or system time; interrupts off */
static inline void cgroup_account_cputime_field(struct task_struct *task,
						enum cpu_usage_stat index, u64 ns)
{
	container_cpuacct_charge_field(task, index, ns);
}

#endif /* _LINUX_CONTAINER_HOOKS_H */
