/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of process containers: one for every change of state.
 *
 * A container is named by the number of its hierarchy, as in /proc/containers,
 * and its path at that moment, the first CONTAINER_TRACE_PATH - 1 bytes of it;
 * by the inode number of its directory where it must be told from a later one
 * of the same name. Tasks are numbers of the first pid namespace.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM container

#if !defined(_TRACE_CONTAINER_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_CONTAINER_H

#include <linux/container_why.h>
#include <linux/cpumask.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#define CONTAINER_TRACE_PATH	128

struct container_hierarchy;
struct container_membership;

DECLARE_EVENT_CLASS(container_dir,
	TP_PROTO(struct container *cont),
	TP_ARGS(cont),
	TP_STRUCT__entry(
		__field(int,	hierarchy)
		__field(u64,	ino)
		__array(char,	path, CONTAINER_TRACE_PATH)
	),
	TP_fast_assign(
		__entry->hierarchy = container_trace_id(cont->hierarchy);
		__entry->ino = kernfs_ino(cont->kn);
		container_trace_path(cont, __entry->path);
	),
	TP_printk("hierarchy=%d path=%s ino=%llu",
		  __entry->hierarchy, __entry->path, __entry->ino)
);

/* A directory was made, with all its states and files. */
DEFINE_EVENT(container_dir, container_mkdir, TP_PROTO(struct container *cont), TP_ARGS(cont));

/* It was removed. */
DEFINE_EVENT(container_dir, container_rmdir, TP_PROTO(struct container *cont), TP_ARGS(cont));

/* Nothing refers to it any more: it does not count as dying from now on. */
DEFINE_EVENT(container_dir, container_free, TP_PROTO(struct container *cont), TP_ARGS(cont));

/* A subsystem's state has no directory any more; who is charged to it keeps it. */
TRACE_EVENT(container_offline,
	TP_PROTO(struct container *cont, const struct container_subsys *ss),
	TP_ARGS(cont, ss),
	TP_STRUCT__entry(
		__field(int,	hierarchy)
		__string(subsystem, ss->name)
		__array(char,	path, CONTAINER_TRACE_PATH)
	),
	TP_fast_assign(
		__entry->hierarchy = container_trace_id(cont->hierarchy);
		__assign_str(subsystem);
		container_trace_path(cont, __entry->path);
	),
	TP_printk("hierarchy=%d path=%s subsystem=%s",
		  __entry->hierarchy, __entry->path, __get_str(subsystem))
);

/* A task was moved. */
TRACE_EVENT(container_attach,
	TP_PROTO(struct task_struct *task, struct container *from, struct container *to),
	TP_ARGS(task, from, to),
	TP_STRUCT__entry(
		__field(int,	hierarchy)
		__field(pid_t,	pid)
		__array(char,	comm, TASK_COMM_LEN)
		__array(char,	from, CONTAINER_TRACE_PATH)
		__array(char,	to, CONTAINER_TRACE_PATH)
	),
	TP_fast_assign(
		__entry->hierarchy = container_trace_id(to->hierarchy);
		__entry->pid = task_pid_nr(task);
		strscpy_pad(__entry->comm, task->comm);
		container_trace_path(from, __entry->from);
		container_trace_path(to, __entry->to);
	),
	TP_printk("hierarchy=%d from=%s to=%s pid=%d comm=%s", __entry->hierarchy,
		  __entry->from, __entry->to, __entry->pid, __entry->comm)
);

DECLARE_EVENT_CLASS(container_task,
	TP_PROTO(struct task_struct *task, struct container_membership *m),
	TP_ARGS(task, m),
	TP_STRUCT__entry(
		__field(pid_t,	pid)
		__array(char,	comm, TASK_COMM_LEN)
		__array(char,	containers, CONTAINER_TRACE_PATH)
	),
	TP_fast_assign(
		__entry->pid = task_pid_nr(task);
		strscpy_pad(__entry->comm, task->comm);
		container_trace_memberships(m, __entry->containers);
	),
	/* "1:/a 3:/b/c": where it is not in the root */
	TP_printk("pid=%d comm=%s containers=%s",
		  __entry->pid, __entry->comm, __entry->containers)
);

/* A new task is visible, in these containers. */
DEFINE_EVENT(container_task, container_fork,
	     TP_PROTO(struct task_struct *task, struct container_membership *m),
	     TP_ARGS(task, m));

/* A task that exits has left these. */
DEFINE_EVENT(container_task, container_exit,
	     TP_PROTO(struct task_struct *task, struct container_membership *m),
	     TP_ARGS(task, m));

/* A subsystem moved; 0 is the parking place. */
TRACE_EVENT(container_bind,
	TP_PROTO(const struct container_subsys *ss, struct container_hierarchy *from,
		 struct container_hierarchy *to),
	TP_ARGS(ss, from, to),
	TP_STRUCT__entry(
		__string(subsystem, ss->name)
		__field(int,	from)
		__field(int,	to)
	),
	TP_fast_assign(
		__assign_str(subsystem);
		__entry->from = container_trace_id(from);
		__entry->to = container_trace_id(to);
	),
	TP_printk("subsystem=%s from=%d to=%d", __get_str(subsystem), __entry->from, __entry->to)
);

/* A cpuset's cpus or cpu_exclusive are about to be these; its tasks follow. */
TRACE_EVENT(container_cpuset,
	TP_PROTO(struct container *cont, const struct cpumask *cpus, bool exclusive),
	TP_ARGS(cont, cpus, exclusive),
	TP_STRUCT__entry(
		__field(int,	hierarchy)
		__array(char,	path, CONTAINER_TRACE_PATH)
		__array(char,	cpus, CONTAINER_TRACE_PATH)
		__field(bool,	exclusive)
	),
	TP_fast_assign(
		__entry->hierarchy = container_trace_id(cont->hierarchy);
		container_trace_path(cont, __entry->path);
		snprintf(__entry->cpus, CONTAINER_TRACE_PATH, "%*pbl", cpumask_pr_args(cpus));
		__entry->exclusive = exclusive;
	),
	TP_printk("hierarchy=%d path=%s cpus=%s exclusive=%d", __entry->hierarchy,
		  __entry->path, __entry->cpus, __entry->exclusive)
);

/* A memset's mems or flags (mm/container/memset.h) are these now; its tasks follow. */
TRACE_EVENT(container_memset,
	TP_PROTO(struct container *cont, const nodemask_t *mems, unsigned long flags),
	TP_ARGS(cont, mems, flags),
	TP_STRUCT__entry(
		__field(int,	hierarchy)
		__array(char,	path, CONTAINER_TRACE_PATH)
		__field(unsigned long, mems)
		__field(unsigned long, flags)
	),
	TP_fast_assign(
		__entry->hierarchy = container_trace_id(cont->hierarchy);
		container_trace_path(cont, __entry->path);
		__entry->mems = *mems->bits;
		__entry->flags = flags;
	),
	TP_printk("hierarchy=%d path=%s mems=%#lx flags=%s", __entry->hierarchy, __entry->path,
		  __entry->mems, __print_flags(__entry->flags, "|", { 1, "exclusive" },
					       { 2, "migrate" }, { 4, "spread_page" },
					       { 8, "spread_slab" }))
);

/* A release agent was handed a container. */
TRACE_EVENT(container_release,
	TP_PROTO(struct container *cont, const char *agent),
	TP_ARGS(cont, agent),
	TP_STRUCT__entry(
		__field(int,	hierarchy)
		__array(char,	path, CONTAINER_TRACE_PATH)
		__string(agent, agent)
	),
	TP_fast_assign(
		__entry->hierarchy = container_trace_id(cont->hierarchy);
		container_trace_path(cont, __entry->path);
		__assign_str(agent);
	),
	TP_printk("hierarchy=%d path=%s agent=%s",
		  __entry->hierarchy, __entry->path, __get_str(agent))
);

/* What `why` tells. */
TRACE_EVENT(container_refusal,
	TP_PROTO(struct container *cont, struct task_struct *task,
		 const struct container_refusal *refusal),
	TP_ARGS(cont, task, refusal),
	TP_STRUCT__entry(
		__field(int,	hierarchy)
		__array(char,	path, CONTAINER_TRACE_PATH)
		__string(what,	refusal->what)
		__string(subsystem, refusal->ss ? refusal->ss->name : "core")
		__field(pid_t,	pid)
		__field(int,	error)
		__field(u64,	usage)
		__field(u64,	limit)
		__field(u64,	asked)
	),
	TP_fast_assign(
		__entry->hierarchy = container_trace_id(cont->hierarchy);
		container_trace_path(cont, __entry->path);
		__assign_str(what);
		__assign_str(subsystem);
		__entry->pid = task ? task_pid_nr(task) : 0;
		__entry->error = refusal->error;
		__entry->usage = refusal->usage;
		__entry->limit = refusal->limit;
		__entry->asked = refusal->asked;
	),
	TP_printk("hierarchy=%d path=%s what=%s subsystem=%s pid=%d error=%d usage=%llu limit=%llu asked=%llu",
		  __entry->hierarchy, __entry->path, __get_str(what), __get_str(subsystem),
		  __entry->pid, __entry->error, __entry->usage, __entry->limit, __entry->asked)
);

#endif /* _TRACE_CONTAINER_H */

#include <trace/define_trace.h>
