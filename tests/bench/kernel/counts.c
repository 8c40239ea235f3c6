// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to count a task, and a file: the callbacks of the one subsystem that does it, as the core calls
 * them, and nothing of the core.
 *
 * fork_hooks has all hooks of a fork in it, and what counting adds to them is the difference of two numbers that
 * are each many times as large. Here it is the number. The names are of each kernel's own: there is no other
 * way to numtasks, or to pids, alone.
 */
#include <linux/cgroup.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "bench.h"

#ifdef CONFIG_CONTAINER_NUMTASKS
#include <linux/container_fork.h>
#include <linux/containers.h>

#define BENCH_TASKS

static void *place_of_current(void)
{
	guard(rcu)();
	/* this task keeps it, which stays where it is meanwhile */
	return container_task_css(current, numtasks_subsys_id);
}

static __always_inline int count_in(struct task_struct *child, void *where)
{
	int err = numtasks_subsys.can_fork(child, where);

	if (unlikely(err == CONTAINER_FORK_SLEEPS)) {
		/* the core asks again where that may sleep */
		child->container_locked = 1;
		err = numtasks_subsys.can_fork(child, where);
		child->container_locked = 0;
	}
	return err;
}

static __always_inline void count_out(struct task_struct *child, void *where)
{
	numtasks_subsys.exit(child, where);
}

#elif defined(CONFIG_CGROUP_PIDS)

#define BENCH_TASKS

static void *place_of_current(void)
{
	guard(rcu)();
	/* the same */
	return rcu_dereference(current->cgroups);
}

static __always_inline int count_in(struct task_struct *child, void *where)
{
	return pids_cgrp_subsys.can_fork(child, where);
}

static __always_inline void count_out(struct task_struct *child, void *where)
{
	pids_cgrp_subsys.release(child);
}

#endif

#ifdef BENCH_TASKS

static int tasks_start(struct bench_job *job)
{
	job->data = bench_new_child();
	return job->data ? 0 : -ENOMEM;
}

static void tasks_end(struct bench_job *job)
{
	kfree(job->data);
}

static int tasks_charge(struct bench_job *job, u64 *ns)
{
	struct task_struct *child = job->data;
	void *where = place_of_current();
	ktime_t begin = ktime_get();
	int err;

	for (unsigned long i = 0; i < job->count; i++) {
		err = count_in(child, where);
		if (err)
			return err;
		count_out(child, where);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return 0;
}

const struct bench_op bench_tasks_charge = {
	.name	= "tasks_charge",
	.start	= tasks_start,
	.batch	= tasks_charge,
	.end	= tasks_end,
};

/* Nobody has so many children here: there is no limit. */
#define MOST	100000

/* One task stands for all: what counts them does not look at it. */
struct edge {
	struct task_struct *child;
	void *where;
};

static __always_inline int edge_is_born(void *data, int n)
{
	struct edge *edge = data;

	return count_in(edge->child, edge->where);
}

static __always_inline void edge_exits(void *data, int n)
{
	struct edge *edge = data;

	count_out(edge->child, edge->where);
}

static int tasks_edge(struct bench_job *job, u64 *ns)
{
	struct edge edge = { job->data, place_of_current() };

	return bench_edge(job, ns, MOST, edge_is_born, edge_exits, &edge);
}

const struct bench_op bench_tasks_edge = {
	.name	= "tasks_edge",
	.start	= tasks_start,
	.batch	= tasks_edge,
	.end	= tasks_end,
};

#endif /* BENCH_TASKS */

#ifdef CONFIG_CONTAINER_BC
#include <linux/container_bc.h>
#include <linux/err.h>

static int file_start(struct bench_job *job)
{
	job->data = kzalloc(BC_FILE_SIZE, GFP_KERNEL);
	return job->data ? 0 : -ENOMEM;
}

static void file_end(struct bench_job *job)
{
	kfree(job->data);
}

/* What alloc_empty_file() and the last fput() call, on what is no file; where nobody counts files there is no call. */
static int file_charge(struct bench_job *job, u64 *ns)
{
	struct file *file = job->data;
	ktime_t begin = ktime_get();

	for (unsigned long i = 0; i < job->count; i++) {
		/* at a bound it would be put, which it cannot be: the guest's part sets none */
		if (IS_ERR(container_bc_charge_file(file)))
			return -ENFILE;
		container_bc_uncharge_file(file);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return 0;
}

const struct bench_op bench_file_charge = {
	.name	= "file_charge",
	.start	= file_start,
	.batch	= file_charge,
	.end	= file_end,
};

#endif
