// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace events' code, and how they name things.
 *
 * Context: whatever the events are called in, and preemption off: nothing here
 * sleeps or takes a lock. A path is read under RCU.
 */
#include "internal.h"

static int container_trace_id(struct container_hierarchy *h)
{
	return h ? h->slot + 1 : 0;
}

/* The parking place has no directory. A path that does not fit is cut. */
static void container_trace_path_n(struct container *cont, char *buf, size_t size)
{
	if (!cont->kn || kernfs_path_from_node(cont->kn, NULL, buf, size) < 0)
		strscpy(buf, "?", size);
}

#define container_trace_path(cont, array) container_trace_path_n(cont, array, sizeof(array))

/* "1:/a 3:/b/c", as far as it fits; "-" for a task that is in roots only. */
static void container_trace_memberships_n(struct container_membership *m, char *buf, size_t size)
{
	size_t len = 0;
	int slot;

	strscpy(buf, "-", size);
	for (slot = 0; slot < CONFIG_MAX_CONTAINER_HIERARCHIES && len + 1 < size; slot++) {
		if (!m->container[slot])
			continue;
		len += scnprintf(buf + len, size - len, "%s%d:", len ? " " : "", slot + 1);
		container_trace_path_n(m->container[slot], buf + len, size - len);
		len += strlen(buf + len);
	}
}

#define container_trace_memberships(m, array) container_trace_memberships_n(m, array, sizeof(array))

#define CREATE_TRACE_POINTS
#include <trace/events/container.h>
