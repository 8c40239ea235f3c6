// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a task still has to do for what it has charged, on its way to user mode, where it
 * holds no locks:
 *
 *   - who was let past page_max where it could not wait (max.c) waits here;
 *   - who has charged a batch above 9/8 of a page_limit, and the handler could not
 *     help, sleeps, the longer the more the container is above: who cannot be
 *     kept under the limit is made slow. It does not matter whose container that is: who
 *     writes to another's file works and sleeps for the file's owner.
 *
 * By task_work, not whenever resume_user_mode_work() comes by: so only those who have
 * charged. One debt at a time: what a system call has charged is paid once.
 *
 * Locking: none in memory_owe_*(); memory_pay() is called without locks.
 * Lifetime: a debt is referenced by the task's list of works, and has references on the
 * states that it names. A task that exits pays nothing, and gives them back all the same.
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
 * @others: who was charged above a page_limit, and is neither the task's container nor above it; referenced; or NULL
 */
struct memory_debt {
	struct callback_head work;
	struct container_memory *full;
	struct container_memory *others;
};

static u64 memory_sleep_us(struct container_memory *memory)
{
	unsigned long limit = max(READ_ONCE(memory->limit), 1UL);
	unsigned long level = memory_throttle_at(limit), usage = memory_usage(memory);

	if (level == ULONG_MAX || usage <= level || READ_ONCE(memory->dead))
		return 0;
	return min_t(u64, (u64)(usage - level) * MEMORY_SLEEP_US / limit, MEMORY_SLEEP_MAX_US);
}

/*
 * Who is worth a sleep longer than *@us, and the longest, of @memory and those above it; but for @own and those
 * above that. NULL for nobody.
 */
static struct container_memory *memory_worst(struct container_memory *memory, struct container_memory *own, u64 *us)
{
	struct container_memory *worst = NULL;
	u64 its;

	for (; memory && !memory_within(own, memory); memory = memory_parent(memory)) {
		its = memory_sleep_us(memory);
		if (its <= *us)
			continue;
		*us = its;
		worst = memory;
	}
	return worst;
}

/* Sleep for whichever is the furthest above its limit of ours, and of those we charged; killable. */
static void memory_slow_down(struct container_memory *others)
{
	struct container_memory *own = memory_get_current(), *worst, *worse;
	u64 us = 0, start;
	ktime_t time;

	/* first what frees pages */
	memory_handle_over_limit(own, others);
	worst = memory_worst(own, NULL, &us);
	worse = memory_worst(others, own, &us);
	if (worse)
		worst = worse;
	if (worst && !fatal_signal_pending(current)) {
		start = ktime_get_ns();
		time = us_to_ktime(us);
		/* a tick would be too coarse */
		set_current_state(TASK_KILLABLE);
		schedule_hrtimeout(&time, HRTIMER_MODE_REL);
		memory_event(worst, MEMORY_THROTTLED_NS, ktime_get_ns() - start);
	}
	if (own)
		container_css_put(&own->css);
}

static void memory_debt_free(struct memory_debt *debt)
{
	if (debt->full)
		container_css_put(&debt->full->css);
	if (debt->others)
		container_css_put(&debt->others->css);
	kfree(debt);
}

static void memory_pay(struct callback_head *work)
{
	struct memory_debt *debt = container_of(work, struct memory_debt, work);
	struct container_memory *full = debt->full;
	u64 start = ktime_get_ns();

	if (full && !(current->flags & PF_EXITING)) {
		memory_wait_for_room(full, 0);
		memory_event(full, MEMORY_THROTTLED_NS, ktime_get_ns() - start);
	}
	if (!(current->flags & PF_EXITING))
		memory_slow_down(debt->others);
	memory_debt_free(debt);
}

/* What the current task owes, taken from it to be added to, or a new one; NULL without memory for it. */
static struct memory_debt *memory_take_debt(void)
{
	struct memory_debt *debt;
	struct callback_head *old;

	if (!in_task() || !current->mm || current->flags & (PF_KTHREAD | PF_EXITING))
		return NULL;
	old = task_work_cancel_func(current, memory_pay);
	if (old)
		return container_of(old, struct memory_debt, work);
	debt = kzalloc_obj(*debt, GFP_NOWAIT | __GFP_NOWARN);
	if (debt)
		init_task_work(&debt->work, memory_pay);
	return debt;
}

static void memory_give_debt(struct memory_debt *debt)
{
	if (task_work_add(current, &debt->work, TWA_RESUME))
		memory_debt_free(debt);
}

/**
 * memory_owe_room - the current task was let past a page_max
 * @full: who had no room, referenced
 *
 * Without memory for it the task owes nothing.
 *
 * Context: any.
 */
void memory_owe_room(struct container_memory *full)
{
	struct memory_debt *debt = memory_take_debt();

	if (!debt)
		return;
	if (!debt->full && memory_tryget(full))
		debt->full = full;
	memory_give_debt(debt);
}

/* Of two owners of files one system call is for whoever is further above: who reads one and writes the other. */
static bool memory_is_worse(struct container_memory *charged, struct container_memory *others)
{
	u64 us = 0;

	memory_worst(others, NULL, &us);
	return memory_worst(charged, NULL, &us);
}

/**
 * memory_owe_work - the current task has charged more than a page_limit's 9/8
 * @charged: whom; the limit may be one above. Referenced, or under RCU
 *
 * Without memory for it the task owes nothing.
 *
 * Context: any.
 */
void memory_owe_work(struct container_memory *charged)
{
	struct memory_debt *debt = memory_take_debt();

	if (!debt)
		return;
	rcu_read_lock();
	/* its own and those above are looked at anyway */
	if (memory_within(memory_of_current(), charged) || charged == debt->others)
		charged = NULL;
	if (charged && debt->others && !memory_is_worse(charged, debt->others))
		charged = NULL;
	charged = memory_get_online(charged);
	if (charged) {
		swap(charged, debt->others);
		if (charged)
			container_css_put(&charged->css);
	}
	rcu_read_unlock();
	memory_give_debt(debt);
}
