// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages taken from under a process and put elsewhere, as compaction and migrate_pages(2) do: the
 * path that has to stop a process which is using them.
 */
#include <linux/gfp.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "bench.h"

/* Pages isolated at a time, as compaction does it. */
#define ROUND 32

struct move {
	struct mm_struct *mm;
	unsigned long addr;
};

/* words: pid, address in hexadecimal; count: pages */
static int move_start(struct bench_job *job)
{
	struct task_struct *task;
	struct move *move;
	int pid, err;

	move = kzalloc_obj(*move);
	if (!move)
		return -ENOMEM;
	err = kstrtoint(job->word[0], 10, &pid) ?: kstrtoul(job->word[1], 16, &move->addr);
	if (err)
		goto free;
	err = -ESRCH;
	task = find_get_task_by_vpid(pid);
	if (!task)
		goto free;
	move->mm = get_task_mm(task);
	put_task_struct(task);
	if (!move->mm)
		goto free;
	job->data = move;
	return 0;
free:
	kfree(move);
	return err;
}

static void move_end(struct bench_job *job)
{
	struct move *move = job->data;

	mmput(move->mm);
	kfree(move);
}

static struct folio *new_folio(struct folio *old, unsigned long unused)
{
	return folio_alloc(GFP_HIGHUSER_MOVABLE, 0);
}

/*
 * Off the LRU and on to @list. get_user_pages() would mark the folio accessed, and the second time
 * put it into a batch on its way to the active list, where nobody can isolate it.
 */
static void isolate(struct mm_struct *mm, unsigned long addr, struct list_head *list)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);
	struct folio_walk walk;
	struct folio *folio;

	folio = vma ? folio_walk_start(&walk, vma, addr, 0) : NULL;
	if (!folio)
		return;
	folio_get(folio);
	folio_walk_end(&walk, vma);
	isolate_folio_to_list(folio, list);
	folio_put(folio);
}

/* Returns how many pages from @addr on were moved. */
static unsigned int move_some(struct mm_struct *mm, unsigned long addr, unsigned long nr)
{
	unsigned int moved = 0;
	LIST_HEAD(list);

	mmap_read_lock(mm);
	for (; nr--; addr += PAGE_SIZE)
		isolate(mm, addr, &list);
	mmap_read_unlock(mm);
	if (list_empty(&list))
		return 0;
	if (migrate_pages(&list, new_folio, NULL, 0, MIGRATE_SYNC, MR_COMPACTION, &moved))
		putback_movable_pages(&list);
	return moved;
}

static int move(struct bench_job *job, u64 *ns)
{
	struct move *move = job->data;
	unsigned long moved = 0;
	ktime_t begin;

	/* what is still on its way to the LRU cannot be isolated */
	lru_add_drain_all();
	begin = ktime_get();
	for (unsigned long i = 0; i < job->count; i += ROUND) {
		moved += move_some(move->mm, move->addr + i * PAGE_SIZE,
				   min_t(unsigned long, ROUND, job->count - i));
		cond_resched();
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	/* a few may be held by somebody */
	if (moved < job->count / 10 * 9)
		return -EBUSY;
	*ns = div64_ul(*ns * job->count, moved);
	return 0;
}

const struct bench_op bench_move = {
	.name	= "move",
	.words	= 2,
	.start	= move_start,
	.batch	= move,
	.end	= move_end,
};
