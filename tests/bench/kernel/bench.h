/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The in-kernel benchmark: one source for three kernels.
 *
 * It is linked into trees that know nothing of it, one of them Linux as it is,
 * so it uses Linux's own names only: the hooks that both implementations of
 * process groups stand behind, and Linux's functions for all else. The exception is counts.c.
 */
#ifndef _BENCH_H
#define _BENCH_H

#include <linux/types.h>

struct task_struct;

#define BENCH_WORDS	8
#define BENCH_BATCHES	64

/**
 * struct bench_job - one line written to /proc/bench: "NAME COUNT BATCHES WORD..."
 * @count: how often a batch does it
 * @batches: how many batches
 * @words: how many of @word there are
 * @word: the rest of the line
 * @data: of the operation, between start() and end()
 * @ps: picoseconds for one of @count, of each batch
 *
 * Belongs to the open file; everything under bench_mutex.
 */
struct bench_job {
	unsigned long count;
	unsigned int batches;
	int words;
	char *word[BENCH_WORDS];
	void *data;
	u64 ps[BENCH_BATCHES];
};

/**
 * struct bench_op - what can be measured
 * @name: first word of the line
 * @words: how many more it needs after the numbers
 * @start: optional; before the first batch
 * @batch: does it @count times and sets *ns to the time of that, without what has
 *	to be prepared and cleaned up around it
 * @end: optional; after the last batch, also after an error of @batch
 *
 * All run in the task that wrote the line, without locks but bench_mutex, and return -errno.
 */
struct bench_op {
	const char *name;
	int words;
	int (*start)(struct bench_job *job);
	int (*batch)(struct bench_job *job, u64 *ns);
	void (*end)(struct bench_job *job);
};

extern const struct bench_op bench_fork_hooks, bench_fork_edge, bench_charge, bench_page;
extern const struct bench_op bench_fault, bench_file, bench_munmap, bench_fork, bench_switch, bench_stay;
extern const struct bench_op bench_move;
extern const struct bench_op bench_tasks_charge, bench_tasks_edge, bench_file_charge;
extern const struct bench_op bench_write, bench_mkdir, bench_read;

/* hooks.c: a copy of the current task that nobody else ever sees, for kfree(); NULL without memory. */
struct task_struct *bench_new_child(void);

#endif /* _BENCH_H */
