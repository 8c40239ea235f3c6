/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of the memory subsystem: what the over-limit handler does.
 *
 * The container is named by its path at that moment, the first
 * CONTAINER_MEMORY_TRACE_PATH - 1 bytes of it. All numbers are pages.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM container_memory

#if !defined(_TRACE_CONTAINER_MEMORY_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_CONTAINER_MEMORY_H

#include <linux/sched.h>
#include <linux/tracepoint.h>

#define CONTAINER_MEMORY_TRACE_PATH	128

struct container_memory;
struct memory_round_report;

/*
 * A round is over. For which limit, by whom, and what became of the pages: those
 * counted as reclaimed include the swapped ones. What is written now is reclaimed in
 * a later round. left: above where the handler stops; 0 ends the run.
 */
TRACE_EVENT(container_memory_round,
	TP_PROTO(struct container_memory *memory, const struct memory_round_report *report),
	TP_ARGS(memory, report),
	TP_STRUCT__entry(
		__field(bool,	full)
		__field(bool,	task)
		__field(unsigned long, usage)
		__field(unsigned long, limit)
		__field(long,	scanned)
		__field(long,	deactivated)
		__field(long,	invalidated)
		__field(long,	written)
		__field(long,	reclaimed)
		__field(long,	swapped)
		__field(unsigned long, left)
		__array(char,	path, CONTAINER_MEMORY_TRACE_PATH)
	),
	TP_fast_assign(
		__entry->full = report->full;
		__entry->task = !(current->flags & PF_KTHREAD);
		__entry->usage = report->usage;
		__entry->limit = report->limit;
		__entry->scanned = report->did[MEMORY_SCANNED];
		__entry->deactivated = report->did[MEMORY_DEACTIVATED];
		__entry->invalidated = report->did[MEMORY_INVALIDATED];
		__entry->written = report->did[MEMORY_WRITTEN_BACK];
		__entry->reclaimed = report->did[MEMORY_RECLAIMED];
		__entry->swapped = report->did[MEMORY_SWAPPED];
		__entry->left = report->left;
		memory_trace_path(memory, __entry->path);
	),
	TP_printk("path=%s for=%s by=%s usage=%lu limit=%lu scanned=%ld deactivated=%ld invalidated=%ld written=%ld reclaimed=%ld swapped=%ld left=%lu",
		  __entry->path, __entry->full ? "page_max" : "page_limit",
		  __entry->task ? "task" : "worker", __entry->usage, __entry->limit,
		  __entry->scanned, __entry->deactivated, __entry->invalidated,
		  __entry->written, __entry->reclaimed, __entry->swapped, __entry->left)
);

/* Nothing more can be freed, or deactivated: the next try is @after milliseconds from now. */
TRACE_EVENT(container_memory_giveup,
	TP_PROTO(struct container_memory *memory, unsigned long limit, unsigned int after),
	TP_ARGS(memory, limit, after),
	TP_STRUCT__entry(
		__field(unsigned long, usage)
		__field(unsigned long, limit)
		__field(unsigned int, after)
		__array(char,	path, CONTAINER_MEMORY_TRACE_PATH)
	),
	TP_fast_assign(
		__entry->usage = memory_usage(memory);
		__entry->limit = limit;
		__entry->after = after;
		memory_trace_path(memory, __entry->path);
	),
	TP_printk("path=%s usage=%lu limit=%lu after_ms=%u", __entry->path, __entry->usage,
		  __entry->limit, __entry->after)
);

/* A process is killed, because nothing more can be freed at page_max. */
TRACE_EVENT(container_memory_oom,
	TP_PROTO(struct container_memory *memory, struct task_struct *victim),
	TP_ARGS(memory, victim),
	TP_STRUCT__entry(
		__field(pid_t,	pid)
		__array(char,	comm, TASK_COMM_LEN)
		__field(unsigned long, usage)
		__field(unsigned long, limit)
		__array(char,	path, CONTAINER_MEMORY_TRACE_PATH)
	),
	TP_fast_assign(
		__entry->pid = task_pid_nr(victim);
		strscpy_pad(__entry->comm, victim->comm);
		__entry->usage = memory_usage(memory);
		__entry->limit = READ_ONCE(memory->max);
		memory_trace_path(memory, __entry->path);
	),
	TP_printk("path=%s pid=%d comm=%s usage=%lu limit=%lu", __entry->path, __entry->pid,
		  __entry->comm, __entry->usage, __entry->limit)
);

#endif /* _TRACE_CONTAINER_MEMORY_H */

#include <trace/define_trace.h>
