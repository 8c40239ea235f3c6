// SPDX-License-Identifier: GPL-2.0-only
/*
 * What process groups cost a fork and a page, alone: the hooks that Linux calls
 * there, in Linux's order, around nothing; and the page allocator, which asks on
 * its own way.
 *
 * Surprise: the child of fork_hooks is a copy of the current task that nobody
 * else ever sees: not in the pid hash, on no run queue, in no list but those
 * that the hooks put it into and take it out of.
 */
#include <linux/cgroup.h>
#include <linux/folio_batch.h>
#include <linux/gfp.h>
#include <linux/ktime.h>
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "bench.h"

struct task_struct *bench_new_child(void)
{
	struct task_struct *child = kmemdup(current, arch_task_struct_size, GFP_KERNEL);

	if (!child)
		return NULL;
	child->__state = TASK_NEW;
	child->on_rq = 0;
	child->on_cpu = 0;
	child->cpus_ptr = &child->cpus_mask;
	child->user_cpus_ptr = NULL;
	refcount_set(&child->usage, 1);
	spin_lock_init(&child->alloc_lock);
	raw_spin_lock_init(&child->pi_lock);
	INIT_LIST_HEAD(&child->children);
	INIT_LIST_HEAD(&child->sibling);
	INIT_LIST_HEAD(&child->tasks);
	INIT_LIST_HEAD(&child->thread_node);
	return child;
}

static int child_start(struct bench_job *job)
{
	job->data = bench_new_child();
	return job->data ? 0 : -ENOMEM;
}

static void child_end(struct bench_job *job)
{
	kfree(job->data);
}

static __always_inline int is_born(struct task_struct *child)
{
	struct kernel_clone_args args = { .exit_signal = SIGCHLD };
	int err;

	child->flags &= ~PF_EXITING;
	cgroup_fork(child);
	err = cgroup_can_fork(child, &args);
	if (!err)
		cgroup_post_fork(child, &args);
	return err;
}

static __always_inline void exits(struct task_struct *child)
{
	child->flags |= PF_EXITING;
	cgroup_task_exit(child);
	cgroup_task_dead(child);
	cgroup_task_release(child);
	cgroup_task_free(child);
}

static int fork_hooks(struct bench_job *job, u64 *ns)
{
	struct task_struct *child = job->data;
	ktime_t begin = ktime_get();
	int err;

	for (unsigned long i = 0; i < job->count; i++) {
		err = is_born(child);
		if (err)
			return err;
		exits(child);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return 0;
}

const struct bench_op bench_fork_hooks = {
	.name	= "fork_hooks",
	.start	= child_start,
	.batch	= fork_hooks,
	.end	= child_end,
};

#define CHILDREN 128

static void children_end(struct bench_job *job)
{
	struct task_struct **child = job->data;

	for (int i = 0; i < CHILDREN; i++)
		kfree(child[i]);
	kfree(child);
}

static int children_start(struct bench_job *job)
{
	struct task_struct **child = kzalloc_objs(*child, CHILDREN);

	if (!child)
		return -ENOMEM;
	job->data = child;
	for (int i = 0; i < CHILDREN; i++) {
		child[i] = bench_new_child();
		if (!child[i]) {
			children_end(job);
			return -ENOMEM;
		}
	}
	return 0;
}

static __always_inline int edge_is_born(void *data, int n)
{
	struct task_struct **child = data;

	return is_born(child[n]);
}

static __always_inline void edge_exits(void *data, int n)
{
	struct task_struct **child = data;

	exits(child[n]);
}

static int fork_edge(struct bench_job *job, u64 *ns)
{
	return bench_edge(job, ns, CHILDREN, edge_is_born, edge_exits, job->data);
}

const struct bench_op bench_fork_edge = {
	.name	= "fork_edge",
	.start	= children_start,
	.batch	= fork_edge,
	.end	= children_end,
};

static int charge_start(struct bench_job *job)
{
	struct folio_batch *folios = kmalloc_obj(*folios);
	struct folio *folio;

	if (!folios)
		return -ENOMEM;
	folio_batch_init(folios);
	job->data = folios;
	do {
		folio = folio_alloc(GFP_HIGHUSER_MOVABLE, 0);
	} while (folio && folio_batch_add(folios, folio));
	return 0;
}

static void charge_end(struct bench_job *job)
{
	struct folio_batch *folios = job->data;

	for (unsigned int i = 0; i < folio_batch_count(folios); i++)
		folio_put(folios->folios[i]);
	kfree(folios);
}

/* @count batches of folios, each charged alone, as faults do, and uncharged together. */
static int charge(struct bench_job *job, u64 *ns)
{
	struct folio_batch *folios = job->data;
	unsigned int nr = folio_batch_count(folios);
	ktime_t begin = ktime_get();
	int err;

	if (!nr)
		return -ENOMEM;
	for (unsigned long i = 0; i < job->count; i++) {
		for (unsigned int j = 0; j < nr; j++) {
			err = mem_cgroup_charge(folios->folios[j], current->mm, GFP_KERNEL);
			if (err)
				return err;
		}
		mem_cgroup_uncharge_folios(folios);
	}
	/* of one folio */
	*ns = div_u64(ktime_to_ns(ktime_sub(ktime_get(), begin)), nr);
	return 0;
}

const struct bench_op bench_charge = {
	.name	= "charge",
	.start	= charge_start,
	.batch	= charge,
	.end	= charge_end,
};

/* From the lists of this CPU and back to them, which is the shortest way there is. */
static int page(struct bench_job *job, u64 *ns)
{
	ktime_t begin = ktime_get();

	for (unsigned long i = 0; i < job->count; i++) {
		struct page *page = alloc_page(GFP_HIGHUSER_MOVABLE);

		if (!page)
			return -ENOMEM;
		__free_page(page);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return 0;
}

const struct bench_op bench_page = { .name = "page", .batch = page };
