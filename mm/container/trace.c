// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace events' code, and how they name a container.
 *
 * Context: whatever the events are called in, and preemption off: nothing here
 * sleeps. A path is read under RCU.
 */
#include "memory.h"

/* A path that does not fit is cut; the parking place has none. */
static void memory_trace_path_n(struct container_memory *memory, char *buf, size_t size)
{
	struct container *cont;
	int len = -ENOENT;

	rcu_read_lock();
	cont = rcu_dereference(memory->css.container);
	if (cont)
		len = container_path(cont, buf, size);
	if (len < 0 && len != -ENAMETOOLONG)
		strscpy(buf, "?", size);
	rcu_read_unlock();
}

#define memory_trace_path(memory, array) memory_trace_path_n(memory, array, sizeof(array))

#define CREATE_TRACE_POINTS
#include <trace/events/container_memory.h>
