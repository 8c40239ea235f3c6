/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Saying why: what a subsystem calls when it refuses something, kills for a
 * limit, or cannot keep one. The file `why` of the container shows the last.
 */
#ifndef _LINUX_CONTAINER_WHY_H
#define _LINUX_CONTAINER_WHY_H

#include <linux/containers.h>

/**
 * struct container_refusal - what to say
 * @what: what was refused, one word: "attach", "mkdir", "fork", "charge"
 * @reason: NULL, or half a sentence, such as "it has no CPUs"
 * @ss: who refuses; NULL is the core
 * @limiter: NULL, or the state whose limit it was: of the same container or of
 *	an ancestor
 * @usage: with @limiter: what it had when that was found, and
 * @limit: may have,
 * @unit: in these: "pages", "tasks"
 * @asked: how many more there were to be; 0, as well as 1, is not worth a word
 * @error: what the caller returns, -errno; 0 when nothing failed
 *
 * The texts must be constants: they are kept.
 */
struct container_refusal {
	const char *what;
	const char *reason;
	const struct container_subsys *ss;
	const struct container_subsys_state *limiter;
	u64 usage;
	u64 limit;
	u64 asked;
	const char *unit;
	int error;
};

#ifdef CONFIG_CONTAINERS

int container_refuse(struct container *cont, struct task_struct *task,
		     const struct container_subsys *ss, const char *what, const char *reason,
		     int error);
void container_css_refuse(struct container_subsys_state *css, struct task_struct *task,
			  const struct container_refusal *refusal);

#endif /* CONFIG_CONTAINERS */
#endif /* _LINUX_CONTAINER_WHY_H */
