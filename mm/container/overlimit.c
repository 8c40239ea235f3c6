// SPDX-License-Identifier: GPL-2.0-only
/*
 * The over-limit handler: brings a container that passed its page_limit down to
 * 31/32 of it, by means of Linux's own LRU code.
 *
 *	1. while more than half of the limit are file pages, a lap over the
 *	   mappings, biggest first: drop clean unmapped pages, deactivate the rest
 *	2. laps over the tasks' address spaces: clear young bits, deactivate
 *	3. policy reclaim: in the same laps, and over the mappings too, isolate
 *	   what was not used since the lap before, write it, swap it, free it
 *
 * 2 and 3 are one clock with one hand. A round looks at MEMORY_ROUND pages; the
 * next goes on where the last one stopped, also across runs, so that nobody is
 * always first. A lap that frees nothing is followed by others, the last of
 * which takes what is in use; after that the handler gives up for a second. One that
 * finds pages on their way to a disk waits for these, and does not count.
 *
 * It runs in a kworker as soon as a batch of charges finds the container above
 * the limit, and above 9/8 of it in the charging task, on its way to user mode,
 * where it holds no locks.
 *
 * At page_max charges wait for it (max.c). Then it reclaims whatever the policy,
 * and it must never wait for what a charging task may hold: mmap_lock, s_umount
 * and folio locks are tried.
 *
 * Locking: handler_mutex, sleeping; see memory.h. A queued work item holds a
 * css reference.
 */
#include <linux/container_memory.h>
#include <linux/container_why.h>
#include <linux/resume_user_mode.h>
#include <linux/sched/signal.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/workqueue.h>
#include <trace/events/container_memory.h>

#include "internal.h"
#include "scan.h"

/* Laps without a freed page until the handler gives up; the last one is forced. */
#define MEMORY_IDLE_LAPS	3
/*
 * Laps in a row that freed nothing, and wrote, or waited for what is being written, or put back what reclaim did not
 * take: they do not count. A page takes two of them; a disk that fails, or somebody who writes all the time, or
 * whose references stay, could have any number.
 */
#define MEMORY_WRITE_LAPS	10
/* Rounds that a task works before it goes on in user mode. */
#define MEMORY_TASK_ROUNDS	64
/* How long the handler rests after it gave up; doubles while that goes on. */
#define MEMORY_RETRY_MIN	((unsigned long)HZ)
#define MEMORY_RETRY_MAX	(32UL * HZ)

static struct workqueue_struct *memory_wq;

struct memory_run {
	struct memory_scan scan;
	unsigned int files_first;	/* laps of step 1 to go */
	unsigned long lap_freed;	/* scan.freed when this lap began */
	unsigned int idle_laps;
	unsigned int write_laps;
	bool leave;	/* to the kworker, which may sleep */
};

/**
 * memory_start_handler - let the kworker look after a container
 * @memory: referenced or under RCU
 *
 * Context: any.
 */
void memory_start_handler(struct container_memory *memory)
{
	if (!memory_wq)
		return;
	if (delayed_work_pending(&memory->work) && !timer_pending(&memory->work.timer))
		return;
	if (!memory_tryget(memory))
		return;
	/* whoever queued it first holds the reference */
	if (mod_delayed_work(memory_wq, &memory->work, 0))
		container_css_put(&memory->css);
}

/**
 * memory_end_retry - a handler of a dead container that waits for its next try looks at once, and ends
 * @memory: dead; with references left, maybe no new ones to be had
 *
 * Context: any.
 */
void memory_end_retry(struct container_memory *memory)
{
	container_css_get(&memory->css);
	if (mod_delayed_work(memory_wq, &memory->work, 0))
		container_css_put(&memory->css);
}

static bool memory_over(struct container_memory *memory, unsigned long level)
{
	return level != ULONG_MAX && memory_usage(memory) > level;
}

static bool memory_backs_off(struct container_memory *memory)
{
	return time_before(jiffies, READ_ONCE(memory->retry_at));
}

/*
 * After a charge that leaves it within its limit: what could not be freed has gone, and what comes in its place may be.
 * Not from the rest after the first time: who goes below and above again and again has all pages walked twice a second.
 */
static void memory_end_rest(struct container_memory *memory)
{
	if (!time_after(READ_ONCE(memory->retry_at), jiffies + MEMORY_RETRY_MIN))
		return;
	WRITE_ONCE(memory->retry_at, jiffies);
	WRITE_ONCE(memory->retry_after, MEMORY_RETRY_MIN);
}

/**
 * memory_start_anew - after a limit or the policy was written: what was found before does not count
 * @memory: state, pinned
 * @limit: above which the handler has something to do
 *
 * Context: process.
 */
void memory_start_anew(struct container_memory *memory, unsigned long limit)
{
	WRITE_ONCE(memory->retry_at, jiffies);
	WRITE_ONCE(memory->said, ULONG_MAX);
	/* a run may be under way that gives up for what was written before */
	WRITE_ONCE(memory->anew, true);
	memory_flush(memory);
	if (memory_over(memory, limit))
		memory_start_handler(memory);
}

/**
 * memory_check_limit - after a batch of charges
 * @memory: charged container, referenced or under RCU; its ancestors too
 *
 * Context: process, maybe under spinlocks.
 */
void memory_check_limit(struct container_memory *memory)
{
	struct container_memory *charged = memory;
	bool throttle = false;

	for (; memory; memory = memory_parent(memory)) {
		unsigned long limit = READ_ONCE(memory->limit);

		if (!memory_over(memory, limit)) {
			memory_end_rest(memory);
			continue;
		}
		atomic_long_inc(&memory->hits);
		memory_tell(memory);
		throttle |= memory_over(memory, memory_throttle_at(limit));
		if (!memory_backs_off(memory))
			memory_start_handler(memory);
	}
	if (!throttle || !in_task() || !current->mm ||
	    current->flags & (PF_KTHREAD | PF_MEMALLOC | PF_EXITING))
		return;
	/* it works there, and if that does not help it sleeps (throttle.c) */
	set_notify_resume(current);
	memory_owe_work(charged);
}

/**
 * memory_recheck_limit - after a reading has made the numbers exact
 * @memory: state, pinned; its ancestors too
 *
 * The last pages that passed a limit may have waited in a batch. Nobody is
 * throttled for them, and no hit is counted.
 *
 * Context: process.
 */
void memory_recheck_limit(struct container_memory *memory)
{
	for (; memory; memory = memory_parent(memory))
		if (memory_over(memory, READ_ONCE(memory->limit)) && !memory_backs_off(memory))
			memory_start_handler(memory);
}

/*
 * The last resort. What it only put back, because somebody has references or the swap device fails, it would put back
 * for ever: unless a page came free it is worth as many laps as writing is.
 */
static void memory_look_for_strays(struct memory_run *run)
{
	unsigned long before = run->scan.freed;
	bool more = memory_scan_strays(&run->scan);

	if (run->scan.freed > before) {
		run->idle_laps = 0;
		run->write_laps = 0;
	} else if (more && ++run->write_laps <= MEMORY_WRITE_LAPS) {
		run->idle_laps = 0;
	}
}

/*
 * A journal takes what it is told to write, and writes with its next commit: there is nothing to wait for until
 * then. All these laps together are a little longer than the five seconds of ext4. A task has better things to do.
 */
static void memory_let_time_pass(struct memory_run *run)
{
	if (!run->scan.writing || run->scan.waited || run->write_laps < 2)
		return;
	if (current->flags & PF_KTHREAD)
		schedule_timeout_killable((run->write_laps - 1) * HZ / 8);
	else
		run->leave = true;
}

/* Both walks came to their end. Returns false when there is no point in another. */
static bool memory_next_lap(struct memory_run *run, struct memory_cursor *cursor)
{
	struct memory_scan *scan = &run->scan;

	cursor->tasks_done = false;
	cursor->files_done = false;
	if (scan->freed > run->lap_freed) {
		run->idle_laps = 0;
		run->write_laps = 0;
	} else if (!scan->writing || ++run->write_laps > MEMORY_WRITE_LAPS) {
		run->idle_laps++;
	}
	if (run->idle_laps && scan->reclaim)
		memory_look_for_strays(run);
	else if (run->write_laps)
		memory_let_time_pass(run);
	run->lap_freed = scan->freed;
	scan->writing = false;
	scan->waited = false;
	scan->force = run->idle_laps >= MEMORY_IDLE_LAPS - 1;
	/* the first lap may have begun in the middle */
	return run->idle_laps < (scan->reclaim ? MEMORY_IDLE_LAPS : 2);
}

static void memory_round_files(struct memory_run *run, struct container_memory *memory)
{
	run->scan.budget = MEMORY_ROUND;
	memory->cursor.files_done = memory_scan_files(&run->scan, &memory->cursor);
}

/* One round, @over pages above where it stops. Returns false to give up. */
static bool memory_round(struct memory_run *run, struct container_memory *memory,
			 unsigned long limit, unsigned long over)
{
	struct memory_cursor *cursor = &memory->cursor;
	struct memory_scan *scan = &run->scan;

	memory_event(memory, MEMORY_ROUNDS, 1);
	/* pages in this CPU's batches cannot be isolated */
	lru_add_drain();
	scan->budget = MEMORY_ROUND;
	scan->want = min_t(unsigned long, over, MEMORY_ROUND);
	scan->swap = get_nr_swap_pages() > 0;
	if (run->files_first && memory_read(memory, MEMORY_FILE) > limit / 2) {
		scan->invalidate = true;
		run->files_first -= memory_scan_files(scan, cursor);
		scan->invalidate = false;
		return true;
	}
	run->files_first = 0;
	/* a run is short: who is done waits for the other, or the shorter walk would have more laps */
	if (!cursor->tasks_done)
		cursor->tasks_done = memory_scan_tasks(scan, cursor);
	cursor->files_done |= !scan->reclaim;
	if (!cursor->files_done && scan->want > 0)
		memory_round_files(run, memory);
	lru_add_drain();
	return !cursor->tasks_done || !cursor->files_done || memory_next_lap(run, cursor);
}

/**
 * struct memory_goal - what a run is for
 * @limit: the limit that it works for
 * @stop: and where it stops
 * @full: page_max is reached: reclaim whatever the policy
 */
struct memory_goal {
	unsigned long limit;
	unsigned long stop;
	bool full;
};

/* At page_max a run makes room for more than the charge that waits, and a run that did goes on so. */
static struct memory_goal memory_goal(struct container_memory *memory, bool full)
{
	unsigned long limit = READ_ONCE(memory->limit), max = READ_ONCE(memory->max);
	struct memory_goal goal = { .limit = limit, .stop = memory_stop_at(limit) };

	goal.full = max != ULONG_MAX &&
		    (full || atomic_read(&memory->waiters) || memory_usage(memory) >= max);
	if (!goal.full)
		return goal;
	/* with policy deactivate nothing is freed for page_limit */
	if (READ_ONCE(memory->policy) != POLICY_RECLAIM || max < limit) {
		goal.limit = max;
		goal.stop = ULONG_MAX;
	}
	goal.stop = min(goal.stop, memory_room_at(max));
	return goal;
}

/* The limit does not hold with @usage, and nothing else would tell. */
static void memory_say_why(struct container_memory *memory, unsigned long usage, unsigned long limit, bool reclaim)
{
	struct container_refusal why = {
		.what = "reclaim",
		.reason = reclaim ? "nothing more can be freed" : "policy deactivate frees nothing",
		.ss = &memory_subsys,
		.limiter = &memory->css,
		.usage = usage,
		.limit = limit,
		.unit = "pages",
	};

	/* not as far below as it should be, but below: nobody waits */
	if (usage < limit)
		return;
	/* every second it would take the place of what else is said */
	if (!reclaim && READ_ONCE(memory->said) == limit)
		return;
	if (!reclaim)
		WRITE_ONCE(memory->said, limit);
	container_css_refuse(&memory->css, NULL, &why);
}

/* The handler looks again after @after jiffies, if nobody has it look before. */
static void memory_look_again(struct container_memory *memory, unsigned long after)
{
	if (!memory_tryget(memory))
		return;
	if (!queue_delayed_work(memory_wq, &memory->work, after))
		container_css_put(&memory->css);
	/* pairs with memory_offline(): one of us sees what the other did, and nobody waits with our reference */
	smp_mb();
	if (READ_ONCE(memory->dead))
		memory_end_retry(memory);
}

/*
 * Nothing more to free, or to deactivate. Charges leave the container alone for
 * a while; then it is looked at again, because swap may have been added, or
 * somebody may use less.
 */
static void memory_give_up(struct container_memory *memory, const struct memory_goal *goal,
			   bool reclaim)
{
	unsigned long after = MEMORY_RETRY_MIN, usage;

	/* not if somebody else freed it meanwhile: whoever was killed, say */
	memory_flush(memory);
	usage = memory_usage(memory);
	if (usage <= goal->stop)
		return;
	/* what is left cannot be freed, and the limit holds: what is charged above it from now on can be */
	if (reclaim && !goal->full && usage <= goal->limit)
		return;
	/* `why` names the victim, until its memory is free */
	if (!memory_oom_pending(memory))
		memory_say_why(memory, usage, goal->limit, reclaim);
	if (reclaim) {
		after = clamp(READ_ONCE(memory->retry_after), MEMORY_RETRY_MIN, MEMORY_RETRY_MAX);
		WRITE_ONCE(memory->retry_after, 2 * after);
		memory_event(memory, MEMORY_GIVEUPS, 1);
		memory_tell(memory);
	}
	trace_container_memory_giveup(memory, goal->limit, jiffies_to_msecs(after));
	WRITE_ONCE(memory->retry_at, jiffies + after);
	memory_look_again(memory, after);
}

/*
 * Who started this run, for a charge or a reading, came before the last one gave up, or has put itself in the place of its
 * timer: it is looked at when that is over.
 */
static bool memory_rests(struct container_memory *memory, const struct memory_goal *goal)
{
	long left = READ_ONCE(memory->retry_at) - jiffies;

	if (xchg(&memory->anew, false))
		return false;
	if (left <= 0 || goal->full || READ_ONCE(memory->dead))
		return false;
	memory_look_again(memory, left);
	return true;
}

/* A round, and its line in the trace. */
static bool memory_traced_round(struct memory_run *run, struct container_memory *memory,
				const struct memory_goal *goal, unsigned long usage)
{
	struct memory_round_report report = {
		.full = goal->full && goal->limit == READ_ONCE(memory->max),
		.usage = usage,
		.limit = goal->limit,
	};
	bool more;
	int i;

	if (!trace_container_memory_round_enabled())
		return memory_round(run, memory, goal->limit, usage - goal->stop);
	for (i = 0; i < NR_MEMORY_EVENTS; i++)
		report.did[i] = -atomic_long_read(&memory->events[i]);
	more = memory_round(run, memory, goal->limit, usage - goal->stop);
	for (i = 0; i < NR_MEMORY_EVENTS; i++)
		report.did[i] += atomic_long_read(&memory->events[i]);
	memory_flush(memory);
	usage = memory_usage(memory);
	report.left = usage - min(usage, goal->stop);
	trace_container_memory_round(memory, &report);
	return more;
}

/* One run. Handler_mutex held. A task stops after some rounds, or when killed. */
static void memory_handle(struct container_memory *memory, unsigned int max_rounds)
{
	struct memory_run run = {
		.scan = { .top = memory },
		.files_first = memory->cursor.owner || memory->cursor.class ? 2 : 1,
	};
	struct memory_goal goal;
	unsigned long usage;

	lockdep_assert_held(&memory->handler_mutex);
	INIT_LIST_HEAD(&run.scan.swapbacked);
	INIT_LIST_HEAD(&run.scan.files);
	memory_flush(memory);
	goal = memory_goal(memory, false);
	if (memory_rests(memory, &goal))
		return;
	run.scan.reclaim = READ_ONCE(memory->policy) == POLICY_RECLAIM || goal.full;
	while (max_rounds-- && !fatal_signal_pending(current) && !READ_ONCE(memory->dead)) {
		memory_flush(memory);
		goal = memory_goal(memory, goal.full);
		usage = memory_usage(memory);
		if (usage <= memory_stop_at(READ_ONCE(memory->limit)))
			WRITE_ONCE(memory->said, ULONG_MAX);
		if (goal.limit == ULONG_MAX || usage <= goal.stop)
			break;
		/* somebody waits for what this run may not do, and starts another */
		if (goal.full && !run.scan.reclaim)
			break;
		if (!memory_traced_round(&run, memory, &goal, usage)) {
			memory_give_up(memory, &goal, run.scan.reclaim);
			break;
		}
		if (run.leave) {
			memory_start_handler(memory);
			break;
		}
		if (run.scan.freed)
			WRITE_ONCE(memory->retry_after, MEMORY_RETRY_MIN);
		wake_up_all(&memory->room);
		cond_resched();
	}
	wake_up_all(&memory->room);
	if (run.scan.at)
		container_mapping_stay(run.scan.at, &memory->cursor);
}

/* The kworker. */
void memory_handler_work(struct work_struct *work)
{
	struct container_memory *memory =
		container_of(to_delayed_work(work), struct container_memory, work);

	mutex_lock(&memory->handler_mutex);
	memory_handle(memory, UINT_MAX);
	mutex_unlock(&memory->handler_mutex);
	container_css_put(&memory->css);
}

/*
 * In the task. Whoever has the mutex already works for us while we wait: for a
 * second, no longer, because what it waits for may be a file system that this
 * task serves.
 */
static void memory_throttle(struct container_memory *memory)
{
	unsigned long end = jiffies + HZ;
	u64 start = ktime_get_ns();
	bool locked;

	for (;;) {
		locked = mutex_trylock(&memory->handler_mutex);
		if (locked || time_after(jiffies, end) || fatal_signal_pending(current))
			break;
		schedule_timeout_killable(1);
	}
	if (locked) {
		if (memory_over(memory, READ_ONCE(memory->limit)) && !memory_backs_off(memory))
			memory_handle(memory, MEMORY_TASK_ROUNDS);
		mutex_unlock(&memory->handler_mutex);
	}
	memory_event(memory, MEMORY_THROTTLED_NS, ktime_get_ns() - start);
}

static void memory_throttle_far_over(struct container_memory *memory)
{
	if (memory_over(memory, memory_throttle_at(READ_ONCE(memory->limit))) && !memory_backs_off(memory))
		memory_throttle(memory);
}

/**
 * memory_handle_over_limit - work off what this task charged too much, to whomever
 * @own: its container, referenced; or NULL
 * @others: another that it charged, as the owner of a file, say; referenced; or NULL
 *
 * Who is above both is worked for once.
 *
 * Context: the way to user mode, no locks.
 */
void memory_handle_over_limit(struct container_memory *own, struct container_memory *others)
{
	struct container_memory *memory;

	for (memory = own; memory; memory = memory_parent(memory))
		memory_throttle_far_over(memory);
	for (memory = others; memory && !memory_within(own, memory); memory = memory_parent(memory))
		memory_throttle_far_over(memory);
}

/**
 * container_memory_handle_over_limit - the same for its own container alone
 *
 * Context: the way to user mode, no locks.
 */
void container_memory_handle_over_limit(void)
{
	struct container_memory *own = memory_get_current();

	memory_handle_over_limit(own, NULL);
	if (own)
		container_css_put(&own->css);
}

/* Page faults wait for it: a rescuer goes on where there is no memory for another worker. */
static int __init memory_wq_init(void)
{
	memory_wq = alloc_workqueue("container_memory", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	return memory_wq ? 0 : -ENOMEM;
}
subsys_initcall(memory_wq_init);
