// SPDX-License-Identifier: GPL-2.0-only
/*
 * page_max: the limit that a charge waits for.
 *
 * When a batch of charges would bring a container, or one above it, over
 * page_max, the handler is started and the charge waits until there is room. When
 * the handler gives up meanwhile, twice and without a page that came free in between,
 * a process of the container is killed (oom.c).
 *
 * Where a charge may wait. It comes with locks: always mmap_lock or a vma's for
 * reading (in fork and exec for writing), from write(2) an inode's, from a
 * directory's operations several. So:
 *
 *   - The waiting task does nothing itself; it sleeps, killable, with what it
 *     holds. Who works is the kworker, which holds nothing and tries every lock
 *     that a charge may come with: mmap_lock, s_umount, folio locks in reclaim.
 *     An address space or file system that it cannot enter is left out; the pages
 *     of such are found by the walk over page frames (scan_strays.c).
 *   - What the kworker does wait for is writing: of the swap device, and of files.
 *     A charge from inside of a file system, which writing may need (a transaction,
 *     a locked folio), has no __GFP_FS. It never waits, and is let in: it cannot be
 *     undone without an error in the file system's own data. The same goes for
 *     __GFP_NOFAIL, for who frees memory (PF_MEMALLOC), for swapoff (it brings in what is
 *     others', and holds their address spaces), and for who dies. The task
 *     waits when it holds nothing any more, on its way to user mode (throttle.c).
 *   - Who may not sleep, readahead (__GFP_NORETRY) and folios of more than a batch
 *     are refused at once: they have another way.
 *   - Who is killed may wait for the inode's lock that this very task has, and cannot die
 *     before it gets that: its anonymous pages are freed all the same (oom.c).
 *   - What is left is a handler that waits for what this task has to do: it
 *     serves the file system that is written to. Nobody can see that from here.
 *     So who waited memory_max_stall() without the container's usage coming down by
 *     one page takes that as giving up, and after the second time is refused,
 *     which lets its locks go.
 *
 * Who is refused gets ENOMEM from read(2), write(2) and the like; a fault from
 * user mode is tried again, and so waits on with mmap_lock free in between.
 *
 * How far a reading can be above page_max. Only the last charge of a batch looks, and
 * it looks at counters. When they pass page_max there are up to MEMORY_BATCH - 1
 * pages, of anonymous and of file pages each, pending for each CPU and state of the subtree,
 * and for each of these as many again may be asked for before somebody looks the next
 * time: three times unflushed_bound. And a folio for each task that has asked and not charged yet.
 *
 * Locking: memory_list_mutex and memory_oom_mutex while it waits, not while it sleeps.
 * Lifetime: who waits has a reference on the state that has no room.
 */
#include <kunit/static_stub.h>
#include <linux/container_memory.h>
#include <linux/container_why.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "memory.h"

/* How often the handler must give up in a row: the first time it may have begun to write. */
#define MEMORY_MAX_GIVEUPS	2

/* In jiffies: longer than any disk takes to write one page. */
unsigned long memory_max_stall(void)
{
	KUNIT_STATIC_STUB_REDIRECT(memory_max_stall);
	return 30UL * HZ;
}

enum memory_at_max { LET_IN, REFUSE, WAIT };

static enum memory_at_max memory_at_max(long nr, gfp_t gfp)
{
	if (gfp & __GFP_NOFAIL || !in_task() || fatal_signal_pending(current) ||
	    current->flags & (PF_MEMALLOC | PF_EXITING | PF_KTHREAD) || oom_task_origin(current))
		return LET_IN;
	if (!gfpflags_allow_blocking(gfp) || gfp & __GFP_NORETRY || nr > MEMORY_BATCH)
		return REFUSE;
	return current_gfp_context(gfp) & __GFP_FS ? WAIT : LET_IN;
}

/**
 * memory_has_room - can so many pages more be charged?
 * @memory: state, pinned
 * @nr: pages
 *
 * Context: any.
 * Return: a snapshot. The limit of a container that is removed ends with it.
 */
bool memory_has_room(struct container_memory *memory, long nr)
{
	unsigned long max = READ_ONCE(memory->max);

	return max == ULONG_MAX || READ_ONCE(memory->dead) || memory_usage(memory) + nr <= max;
}

/**
 * struct memory_wait - a charge that waits
 * @lowest: usage, the lowest seen since it last mattered
 * @since: jiffies of that
 * @stalls: how often that was too long ago
 * @giveups: of the handler, that are none of ours
 */
struct memory_wait {
	unsigned long lowest;
	unsigned long since;
	unsigned int stalls;
	long giveups;
};

static void memory_wait_anew(struct memory_wait *wait, struct container_memory *memory)
{
	wait->lowest = memory_usage(memory);
	wait->since = jiffies;
	wait->giveups = atomic_long_read(&memory->events[MEMORY_GIVEUPS]);
}

/* Did it take too long? Not if pages came free meanwhile, whoever did it. */
static bool memory_stalled(struct memory_wait *wait, struct container_memory *memory)
{
	if (memory_usage(memory) < wait->lowest) {
		memory_wait_anew(wait, memory);
		wait->stalls = 0;
	}
	if (time_before(jiffies, wait->since + memory_max_stall()))
		return false;
	wait->stalls++;
	return true;
}

static bool memory_gave_up(struct memory_wait *wait, struct container_memory *memory)
{
	return atomic_long_read(&memory->events[MEMORY_GIVEUPS]) - wait->giveups >=
	       MEMORY_MAX_GIVEUPS;
}

/**
 * memory_wait_for_room - wait at page_max
 * @memory: who has none; referenced
 * @nr: pages that it must have room for; 0 to be at page_max or below
 *
 * Context: process; any lock may be held that memory_at_max() knows of. Killable.
 * Return: 0, also when the task is killed; -ENOMEM when nobody can be killed, or it
 * would not help.
 */
int memory_wait_for_room(struct container_memory *memory, long nr)
{
	struct memory_wait wait = { };
	enum memory_verdict verdict;
	bool stalled, hopeless;
	int ret = 0;

	atomic_inc(&memory->waiters);
	memory_flush(memory);
	memory_wait_anew(&wait, memory);
	while (!memory_has_room(memory, nr) && !fatal_signal_pending(current)) {
		stalled = memory_stalled(&wait, memory);
		hopeless = stalled || nr > READ_ONCE(memory->max);
		/* a folio that can never fit, and a page would */
		if (nr > 1 && nr > READ_ONCE(memory->max))
			ret = -ENOMEM;
		if (!ret && (hopeless || memory_gave_up(&wait, memory))) {
			verdict = memory_oom(memory, nr, hopeless);
			if (verdict == OOM_NOBODY || wait.stalls > 1)
				ret = -ENOMEM;
			/* a victim may wait for a lock that we hold: then time goes on */
			if (verdict != OOM_WAIT || stalled)
				memory_wait_anew(&wait, memory);
		}
		if (ret)
			break;
		memory_start_handler(memory);
		/* a victim's exit wakes nobody */
		wait_event_killable_timeout(memory->room, memory_has_room(memory, nr), 1);
		memory_flush(memory);
	}
	atomic_dec(&memory->waiters);
	return ret;
}

/* The lowest state without room, referenced; or NULL. */
static struct container_memory *memory_without_room(struct container_memory *memory, long nr)
{
	for (; memory; memory = memory_parent(memory))
		if (!memory_has_room(memory, nr) && memory_tryget(memory))
			return memory;
	return NULL;
}

/* No room, and no waiting. */
static int memory_pass_or_fail(struct container_memory *full, enum memory_at_max what)
{
	memory_start_handler(full);
	if (what == REFUSE)
		return -ENOMEM;
	/* what swapoff brings in is not its own */
	if (!oom_task_origin(current))
		memory_owe_room(full);
	return 0;
}

/* Somebody gets an error for it, in @memory, which is @full or below it. */
static void memory_refuse(struct container_memory *memory, struct container_memory *full,
			  const char *what, const char *reason)
{
	struct container_refusal why = {
		.what = what,
		.reason = reason,
		.ss = &memory_subsys,
		.limiter = &full->css,
		.usage = memory_usage(full),
		.limit = READ_ONCE(full->max),
		.unit = "pages",
		.error = -ENOMEM,
	};

	container_css_refuse(&memory->css, current, &why);
}

/*
 * A charge is refused, of @nr pages: who asks for several asks for one next. As long as a victim has memory `why` names
 * it: that is where the room will come from.
 */
static void memory_refuse_charge(struct container_memory *memory, struct container_memory *full, long nr)
{
	if (nr > 1 || (memory == full && memory_oom_pending(full)))
		return;
	memory_refuse(memory, full, "charge", "no room at page_max, and nothing more can be freed");
}

/**
 * memory_try_max - may a charge be made?
 * @memory: that is to be charged, referenced; memory_max_due()
 * @nr: pages
 * @gfp: where we are, see the head of the file
 * @final: nobody else is asked after @memory: a refusal is an error, and is said in `why`
 *
 * Context: as @gfp says.
 * Return: 0, or -ENOMEM
 */
int memory_try_max(struct container_memory *memory, long nr, gfp_t gfp, bool final)
{
	struct container_memory *full;
	enum memory_at_max what = WAIT;
	int ret = 0;

	while (!ret && what == WAIT) {
		full = memory_without_room(memory, nr);
		memory_max_looked(memory, !full);
		if (!full)
			break;
		memory_event(full, MEMORY_MAX_HITS, 1);
		memory_tell(full);
		what = memory_at_max(nr, gfp);
		ret = what == WAIT ? memory_wait_for_room(full, nr) :
				     memory_pass_or_fail(full, what);
		/* who was not to wait has another way, and nothing is said of it */
		if (ret && what == WAIT && final)
			memory_refuse_charge(memory, full, nr);
		container_css_put(&full->css);
	}
	return ret;
}

/**
 * memory_may_move - may pages change their owner?
 * @to: new owner, pinned
 * @from: old owner, pinned; NULL if they were nobody's
 * @nr: pages
 *
 * Only those are asked who get more by it. Starts the handler of who has no room, and says so in
 * @to's `why`.
 *
 * Context: any.
 * Return: 0, or -ENOMEM; a snapshot.
 */
int memory_may_move(struct container_memory *to, struct container_memory *from, long nr)
{
	struct container_memory *full;

	for (full = to; full && !(from && memory_within(from, full)); full = memory_parent(full)) {
		if (memory_has_room(full, nr))
			continue;
		memory_event(full, MEMORY_MAX_HITS, 1);
		memory_tell(full);
		memory_start_handler(full);
		memory_refuse(to, full, "addfile", "the file's pages do not fit below page_max");
		return -ENOMEM;
	}
	return 0;
}
