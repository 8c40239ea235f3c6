// SPDX-License-Identifier: GPL-2.0-only
/*
 * The container's OOM kill: when the handler has given up at page_max, the process of the
 * subtree that is over is killed of whose pages, in memory and in swap taken together, most
 * are charged there: one that moved in has left its charges where it was, and would
 * free nothing. If nobody has any it is the biggest. A process belongs to
 * the subtree when a thread of it does.
 * Nobody else: a process outside loses nothing, even if it has pages there.
 *
 * One victim at a time. Until its address space is taken apart nobody else is
 * killed, and after that the handler must give up again first: what it did before,
 * or was doing just then, does not count. A victim that cannot die, because it waits for a
 * lock of who waits for its pages, is taken apart by Linux's OOM reaper, and so is
 * whoever else dies in the container; when that cannot be done either, it is the next one's turn.
 *
 * Exempt are kernel threads, the first process of the machine, whoever has
 * oom_score_adj -1000, and who shares its address space with the first process or
 * one outside: to kill it would free nothing.
 *
 * Locking: memory_oom_mutex, inside of it Linux's oom_lock; RCU for the walk over processes, task_lock for each. None but
 * the first while an address space is looked at (oom_owned.c).
 * Lifetime: the victim's mm_struct is kept (mm_count, not its pages) until the
 * next look, or until the state is destroyed.
 */
#include <linux/container_memory.h>
#include <linux/container_why.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <trace/events/container_memory.h>

#include "memory.h"
#include "oom.h"

/* Of the handler, after a victim is gone: one of them may have begun before. */
#define OOM_GIVEUPS	2

static DEFINE_MUTEX(memory_oom_mutex);

/* Is one of the threads in @top or below it? Context: RCU. */
static bool oom_within(struct container_memory *top, struct task_struct *process)
{
	struct task_struct *thread;

	for_each_thread(process, thread)
		if (memory_within(css_memory(container_task_css(thread, memory_subsys_id)), top))
			return true;
	return false;
}

static bool oom_exempt(struct task_struct *process)
{
	return process->flags & PF_KTHREAD || is_global_init(process) ||
	       process->signal->oom_score_adj == OOM_SCORE_ADJ_MIN;
}

/* Does somebody use @process's @mm who must not be killed? Context: RCU. */
static bool oom_shared(struct container_memory *top, struct task_struct *process,
		       struct mm_struct *mm)
{
	struct task_struct *other;

	for_each_process(other) {
		if (other == process || other->flags & PF_KTHREAD || !process_shares_mm(other, mm))
			continue;
		if (oom_exempt(other) || !oom_within(top, other))
			return true;
	}
	return false;
}

/* Pages in memory and in swap; 0 for whom must not be, or need not be, killed. Context: RCU. */
static unsigned long oom_size(struct container_memory *top, struct task_struct *process)
{
	struct task_struct *thread;
	unsigned long size = 0;
	struct mm_struct *mm;
	bool shared;

	if (oom_exempt(process))
		return 0;
	thread = find_lock_task_mm(process);
	if (!thread)
		return 0;
	mm = thread->mm;
	shared = atomic_read(&mm->mm_users) > 1;
	/* else its pages are free already, for all that a kill can do */
	if (!mm_flags_test(MMF_OOM_SKIP, mm))
		size = max(get_mm_rss(mm) + get_mm_counter(mm, MM_SWAPENTS), 1UL);
	task_unlock(thread);
	/* @mm is compared with, no more */
	return shared && oom_shared(top, process, mm) ? 0 : size;
}

/* Does a process of ours die, and has pages still? Whoever killed it. Context: RCU. */
static bool oom_dying(struct task_struct *process)
{
	struct task_struct *thread;
	bool dying;

	/* one that dumps core takes its time, and can be killed */
	if (!(process->signal->flags & SIGNAL_GROUP_EXIT) ||
	    READ_ONCE(process->signal->core_state) || process->flags & PF_KTHREAD)
		return false;
	thread = find_lock_task_mm(process);
	if (!thread)
		return false;
	dying = !mm_flags_test(MMF_OOM_SKIP, thread->mm);
	task_unlock(thread);
	return dying;
}

/* Nobody needs what is in @mm any more? Context: RCU. */
static bool oom_all_die(struct mm_struct *mm)
{
	struct task_struct *other;

	for_each_process(other) {
		if (other->flags & PF_KTHREAD || !process_shares_mm(other, mm))
			continue;
		if (!(other->signal->flags & SIGNAL_GROUP_EXIT) ||
		    READ_ONCE(other->signal->core_state))
			return false;
	}
	return true;
}

/*
 * Who dies may wait for a lock that the charge came with, an inode's say: then Linux's OOM reaper
 * frees its anonymous pages, 2 s from now; or says MMF_OOM_SKIP all the same if somebody changes the
 * address space for another second. Context: RCU, oom_lock.
 */
static void oom_reap(struct task_struct *process)
{
	struct task_struct *thread = find_lock_task_mm(process);
	bool reap;

	lockdep_assert_held(&oom_lock);
	if (!thread)
		return;
	reap = oom_all_die(thread->mm);
	if (reap)
		mark_oom_victim(thread);
	task_unlock(thread);
	if (reap)
		queue_oom_reaper(thread);
}

/* Does anybody die, of whom something will come free? */
static bool oom_anybody_dies(struct container_memory *top)
{
	struct task_struct *process;
	bool dying = false;

	guard(mutex)(&oom_lock);
	guard(rcu)();
	for_each_process(process) {
		if (!oom_within(top, process) || !oom_dying(process))
			continue;
		oom_reap(process);
		dying = true;
	}
	return dying;
}

/**
 * struct oom_candidate - a process that could be killed
 * @process: referenced
 * @size: its pages in memory and in swap, whoever is charged
 * @owned: of these, how many the container is charged for
 */
struct oom_candidate {
	struct task_struct *process;
	unsigned long size;
	unsigned long owned;
};

/* The next one from process *@pid on, without ->owned; false at the end. */
static bool oom_next(struct container_memory *top, pid_t *pid, struct oom_candidate *next)
{
	struct task_struct *process;
	struct pid *at;

	guard(rcu)();
	while ((at = find_ge_pid(*pid, &init_pid_ns))) {
		*pid = pid_nr(at) + 1;
		process = pid_task(at, PIDTYPE_TGID);
		if (!process || !oom_within(top, process))
			continue;
		next->size = oom_size(top, process);
		if (!next->size)
			continue;
		next->process = get_task_struct(process);
		return true;
	}
	return false;
}

/* An address space that is being changed counts as a whole. */
static unsigned long oom_owned(struct container_memory *top, struct oom_candidate *candidate)
{
	struct task_struct *thread = find_lock_task_mm(candidate->process);
	struct mm_struct *mm;
	unsigned long owned;

	if (!thread)
		return 0;
	mm = thread->mm;
	mmget(mm);
	task_unlock(thread);
	if (!memory_oom_owned(top, mm, &owned))
		owned = candidate->size;
	mmput_async(mm);
	return owned;
}

/* Whom to kill, referenced; NULL if there is none. */
static struct task_struct *oom_choose(struct container_memory *top)
{
	struct oom_candidate next, best = { };
	pid_t pid = 1;

	while (oom_next(top, &pid, &next)) {
		next.owned = oom_owned(top, &next);
		if (next.owned > best.owned ||
		    (next.owned == best.owned && next.size > best.size))
			swap(next, best);
		if (next.process)
			put_task_struct(next.process);
		cond_resched();
	}
	return best.process;
}

/*
 * Is its memory free? exit_mmap() says MMF_OOM_SKIP before it frees the last batch, and
 * then the program's file is let go. With users, it is Linux's own OOM killer that says so.
 */
static bool oom_mm_gone(struct mm_struct *mm)
{
	return mm_flags_test(MMF_OOM_SKIP, mm) &&
	       (atomic_read(&mm->mm_users) || !rcu_access_pointer(mm->exe_file));
}

/* Is the last victim's memory free? Then it is forgotten. */
static bool oom_victim_gone_locked(struct container_memory *memory)
{
	lockdep_assert_held(&memory_oom_mutex);
	if (!memory->victim)
		return true;
	if (!oom_mm_gone(memory->victim))
		return false;
	mmdrop(memory->victim);
	memory->victim = NULL;
	memory->victim_giveups = atomic_long_read(&memory->events[MEMORY_GIVEUPS]);
	return true;
}

static void oom_say(struct container_memory *memory, struct task_struct *victim)
{
	struct container_refusal why = {
		.what = "charge",
		.reason = "killed, because nothing more can be freed at page_max",
		.ss = &memory_subsys,
		.limiter = &memory->css,
		.usage = memory_usage(memory),
		.limit = READ_ONCE(memory->max),
		.unit = "pages",
		.error = -ENOMEM,
	};

	trace_container_memory_oom(memory, victim);
	container_css_refuse(&memory->css, victim, &why);
	pr_notice("memory: killed task %d (%s): %llu of %llu pages of its container are in use, and none can be freed\n",
		  task_pid_nr(victim), victim->comm, why.usage, why.limit);
}

/* The others that use @mm, or it would stay: oom_size() has seen that they are ours, too. */
static void oom_kill_sharers(struct container_memory *memory, struct task_struct *victim)
{
	struct task_struct *other;

	rcu_read_lock();
	for_each_process(other) {
		if (same_thread_group(other, victim) || oom_exempt(other) ||
		    !process_shares_mm(other, memory->victim) || !oom_within(memory, other))
			continue;
		do_send_sig_info(SIGKILL, SEND_SIG_PRIV, other, PIDTYPE_TGID);
	}
	rcu_read_unlock();
}

static void oom_kill_locked(struct container_memory *memory, struct task_struct *victim)
{
	struct task_struct *thread = find_lock_task_mm(victim);

	lockdep_assert_held(&memory_oom_mutex);
	if (!thread)
		return;
	memory->victim = thread->mm;
	mmgrab(memory->victim);
	task_unlock(thread);
	memory_event(memory, MEMORY_OOMS, 1);
	memory_tell(memory);
	oom_say(memory, victim);
	do_send_sig_info(SIGKILL, SEND_SIG_PRIV, victim, PIDTYPE_TGID);
	oom_kill_sharers(memory, victim);
	guard(mutex)(&oom_lock);
	guard(rcu)();
	oom_reap(victim);
}

/* Is it time for another one? @hopeless: the handler need not have given up. */
static bool oom_due_locked(struct container_memory *memory, long nr, bool hopeless)
{
	lockdep_assert_held(&memory_oom_mutex);
	/* somebody else may have been here since the caller looked */
	memory_flush(memory);
	if (memory_has_room(memory, nr) || !oom_victim_gone_locked(memory))
		return false;
	return hopeless || atomic_long_read(&memory->events[MEMORY_GIVEUPS]) -
				   memory->victim_giveups >= OOM_GIVEUPS;
}

/**
 * memory_oom - page_max is reached, and the handler gave up
 * @memory: the state that is over, referenced
 * @nr: pages that it must have room for
 * @hopeless: it cannot, and will not
 *
 * Context: process; sleeps. Locks as for a charge (max.c).
 * Return: what the caller can hope for
 */
enum memory_verdict memory_oom(struct container_memory *memory, long nr, bool hopeless)
{
	enum memory_verdict verdict = OOM_WAIT;
	struct task_struct *victim;

	if (mutex_lock_killable(&memory_oom_mutex))
		return OOM_WAIT;
	if (oom_due_locked(memory, nr, hopeless) && !oom_anybody_dies(memory)) {
		victim = oom_choose(memory);
		verdict = OOM_NOBODY;
		/* who is killed meanwhile may be the one that gives way */
		if (fatal_signal_pending(current)) {
			verdict = OOM_WAIT;
		} else if (victim) {
			oom_kill_locked(memory, victim);
			verdict = OOM_KILLED;
		}
		if (victim)
			put_task_struct(victim);
	}
	mutex_unlock(&memory_oom_mutex);
	return verdict;
}

/* Somebody was killed whose memory is not free yet. Context: sleeps. */
bool memory_oom_pending(struct container_memory *memory)
{
	bool pending;

	mutex_lock(&memory_oom_mutex);
	pending = memory->victim && !oom_mm_gone(memory->victim);
	mutex_unlock(&memory_oom_mutex);
	return pending;
}

/* The end of a state. */
void memory_oom_exit(struct container_memory *memory)
{
	if (memory->victim)
		mmdrop(memory->victim);
}
