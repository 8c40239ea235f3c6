// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a task still has to do for what it has charged, on its way to user mode, where it
 * holds no locks:
 *
 *   - who was let past page_max where it could not wait (max.c) waits here;
 *   - who has charged a batch above 9/8 of a page_limit, and the handler could not
 *     help, sleeps, the longer the more the container is above: who cannot be
 *     kept under the limit is made slow.
 *
 * By task_work, not whenever resume_user_mode_work() comes by: so only those who have
 * charged. One debt at a time: what a system call has charged is paid once.
 *
 * Locking: none in memory_owe(); memory_pay() is called without locks.
 * Lifetime: a debt is referenced by the task's list of works, and has a reference on the
 * state whose page_max it is for. A task that exits pays nothing.
 */
#include <linux/container_memory.h>
#include <linux/hrtimer.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/timekeeping.h>

#include "memory.h"

/* What a task sleeps for each time the limit above 9/8 of it. */
#define MEMORY_SLEEP_US		50000
#define MEMORY_SLEEP_MAX_US	(2 * MEMORY_SLEEP_US)

/**
 * struct memory_debt - what a task still has to do
 * @work: on its way to user mode
 * @full: who had no room; referenced; or NULL
 */
struct memory_debt {
	struct callback_head work;
	struct container_memory *full;
};

static u64 memory_sleep_us(struct container_memory *memory)
{
	unsigned long limit = max(READ_ONCE(memory->limit), 1UL);
	unsigned long level = memory_throttle_at(limit), usage = memory_usage(memory);

	if (level == ULONG_MAX || usage <= level)
		return 0;
	return min_t(u64, (u64)(usage - level) * MEMORY_SLEEP_US / limit, MEMORY_SLEEP_MAX_US);
}

/* Sleep for whichever is the furthest above its limit of ours; killable. */
static void memory_slow_down(void)
{
	struct container_memory *memory, *own, *worst = NULL;
	u64 us, longest = 0, start;
	ktime_t time;

	/* first what frees pages */
	container_memory_handle_over_limit();
	own = memory_get_current();
	for (memory = own; memory; memory = memory_parent(memory)) {
		us = memory_sleep_us(memory);
		if (us <= longest)
			continue;
		longest = us;
		worst = memory;
	}
	if (worst && !fatal_signal_pending(current)) {
		start = ktime_get_ns();
		time = us_to_ktime(longest);
		/* a tick would be too coarse */
		set_current_state(TASK_KILLABLE);
		schedule_hrtimeout(&time, HRTIMER_MODE_REL);
		memory_event(worst, MEMORY_THROTTLED_NS, ktime_get_ns() - start);
	}
	if (own)
		container_css_put(&own->css);
}

static void memory_pay(struct callback_head *work)
{
	struct memory_debt *debt = container_of(work, struct memory_debt, work);
	struct container_memory *full = debt->full;
	u64 start = ktime_get_ns();

	kfree(debt);
	if (full && !(current->flags & PF_EXITING)) {
		memory_wait_for_room(full, 0);
		memory_event(full, MEMORY_THROTTLED_NS, ktime_get_ns() - start);
	}
	if (full)
		container_css_put(&full->css);
	if (!(current->flags & PF_EXITING))
		memory_slow_down();
}

/**
 * memory_owe - the current task has charged more than it should
 * @full: who had no room at page_max, referenced; NULL: it is for a page_limit
 *
 * Without memory for it the task owes nothing.
 *
 * Context: any.
 */
void memory_owe(struct container_memory *full)
{
	struct memory_debt *debt;
	struct callback_head *old;

	if (!in_task() || !current->mm || current->flags & (PF_KTHREAD | PF_EXITING))
		return;
	old = task_work_cancel_func(current, memory_pay);
	if (old) {
		debt = container_of(old, struct memory_debt, work);
	} else {
		debt = kzalloc_obj(*debt, GFP_NOWAIT | __GFP_NOWARN);
		if (!debt)
			return;
		init_task_work(&debt->work, memory_pay);
	}
	if (full && !debt->full && memory_tryget(full))
		debt->full = full;
	if (!task_work_add(current, &debt->work, TWA_RESUME))
		return;
	if (debt->full)
		container_css_put(&debt->full->css);
	kfree(debt);
}
