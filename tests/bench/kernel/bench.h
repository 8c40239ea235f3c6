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

#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/types.h>

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

/**
 * bench_edge - children until one is refused, and then all exit
 * @job: how often
 * @ns: result: @count children, each with its part of the refusals
 * @most: that there are; to have as many is an error, as there is no limit then
 * @is_born: 0, or -EAGAIN where there is no room for the Nth
 * @exits: the Nth
 *
 * In line, with both callbacks: these are what is measured.
 *
 * Return: 0, -ERANGE where there is no limit or no room, or another error of @is_born.
 */
static __always_inline int bench_edge(struct bench_job *job, u64 *ns, int most, int (*is_born)(void *data, int n),
				      void (*exits)(void *data, int n), void *data)
{
	ktime_t begin = ktime_get();
	u64 born = 0;

	for (unsigned long i = 0; i < job->count; i++) {
		int n = 0, err = 0;

		while (n < most && !err) {
			err = is_born(data, n);
			n += !err;
		}
		born += n;
		while (n)
			exits(data, --n);
		if (err != -EAGAIN)
			return err ?: -ERANGE;
		cond_resched();
	}
	if (!born)
		return -ERANGE;
	*ns = div64_u64(ktime_to_ns(ktime_sub(ktime_get(), begin)) * job->count, born);
	return 0;
}

extern const struct bench_op bench_fork_hooks, bench_fork_edge, bench_charge, bench_page;
extern const struct bench_op bench_fault, bench_file, bench_munmap, bench_fork, bench_switch, bench_stay;
extern const struct bench_op bench_move;
extern const struct bench_op bench_tasks_charge, bench_tasks_edge, bench_file_charge;
extern const struct bench_op bench_write, bench_mkdir, bench_read;

/* hooks.c: a copy of the current task that nobody else ever sees, for kfree(); NULL without memory. */
struct task_struct *bench_new_child(void);

#endif /* _BENCH_H */
