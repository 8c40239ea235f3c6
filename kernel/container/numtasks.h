/* SPDX-License-Identifier: GPL-2.0-only */
/* The subsystem "numtasks", for its own files: numtasks.c, numtasks_test.c. */
#ifndef _KERNEL_CONTAINER_NUMTASKS_H
#define _KERNEL_CONTAINER_NUMTASKS_H

#include "shares.h"

#include <linux/containers.h>

/**
 * struct numtasks - the state of one container
 * @css: the core's part
 * @node: its tasks and those below
 * @rated: whose @window its forks are in: its own, or an ancestor's; immutable once a task is in it
 * @cloned: made by a clone, or below such a one; the same
 * @window: forks in the present interval: the interval's key above, their number below
 * @reset: what shares_taken() said of @node at the last reset
 * @failures: refused for a limit, its own or that of a container above
 * @rate_failures: refused for the rate
 */
struct numtasks {
	struct container_subsys_state css;
	struct shares_node node;
	struct numtasks *rated;
	bool cloned;
	atomic64_t window;
	atomic_long_t reset;
	atomic_long_t failures;
	atomic_long_t rate_failures;
};

static inline struct numtasks *to_numtasks(struct container_subsys_state *css)
{
	return container_of(css, struct numtasks, css);
}

#endif /* _KERNEL_CONTAINER_NUMTASKS_H */
