// SPDX-License-Identifier: GPL-2.0-only
/*
 * numsiginfo: what is queued of signals, as a resource of the beancounter of whom they are sent to.
 *
 * One for each struct sigqueue, as with RLIMIT_SIGPENDING: a signal that is pending with what
 * came with it, and a POSIX timer, which has one of its own from its making to its end. The
 * container of the task that is to get the signal is charged, or that makes the timer; as who sends may be
 * an interrupt, it is also that task's capability that counts.
 *
 *	refused		where RLIMIT_SIGPENDING would be: signals that kill(2) may not lose are
 *			charged by force; of others the caller says what it says then, EAGAIN, or
 *			sends the signal without what comes with it
 *	given back	when it is freed: the signal was taken, its task or timer has ended, or the
 *			process that it was for was reaped
 *
 * The owner stands behind what Linux allocates, as with files: so no struct of Linux grows. A
 * sigqueue that is part of a timer has nothing behind it; Linux knows these by
 * SIGQUEUE_PREALLOC, and they come here as timers only.
 *
 * Locking: none of ours; mostly under the siglock of the task, which keeps it from being reaped,
 * or by the task itself. Any context.
 *
 * Lifetime: the charge has a reference to the beancounter, bc_uncharge() puts it. It stays
 * where it was, wherever the task is moved.
 *
 * Surprise: a process whose first thread has exited is still signalled by way of that, which
 * is in no container any more: another of its threads says which one it is.
 */
#include "bc.h"

#include <linux/posix-timers.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

/* What Linux allocates, with BC_SIGNAL_EXTRA and BC_TIMER_EXTRA. */
struct bc_sigqueue {
	struct sigqueue q;
	struct bc *bc;
};

struct bc_timer {
	struct k_itimer timer;
	struct bc *bc;
};

static_assert(sizeof(struct bc_sigqueue) == sizeof(struct sigqueue) + BC_SIGNAL_EXTRA);
static_assert(sizeof(struct bc_timer) == sizeof(struct k_itimer) + BC_TIMER_EXTRA);

/* Of the process that a signal for @task is for. Context: RCU, or @task is current. */
static struct task_struct *somebody_alive(struct task_struct *task)
{
	struct task_struct *other;

	if (likely(!(READ_ONCE(task->flags) & PF_EXITING)))
		return task;
	for_each_thread(task, other)
		if (!(READ_ONCE(other->flags) & PF_EXITING))
			return other;
	return task;
}

static void uncharge(struct bc *bc)
{
	if (bc)
		bc_uncharge(bc, BC_NUMSIGINFO, 1);
}

/*
 * Returns false if a bound refuses it; else @owner is whom bc_uncharge() is for, or NULL. @error: what is said
 * then to who wants it.
 */
static bool charge(struct bc **owner, struct task_struct *task, bool force, int error)
{
	struct bc *bc;
	int ret = 0;

	rcu_read_lock();
	task = somebody_alive(task);
	bc = bc_get(task);
	if (bc && force)
		bc_enter(bc, NULL, BC_NUMSIGINFO, 1);
	else if (bc)
		ret = bc_charge_task(bc, task, BC_NUMSIGINFO, 1, error);
	rcu_read_unlock();
	if (ret)
		container_css_put(&bc->css);
	*owner = ret ? NULL : bc;
	return !ret;
}

/* What Linux says of a signal that cannot be queued; 0 where it comes without what came with it. */
static int overflow_error(int sig, const struct kernel_siginfo *info)
{
	bool has_info = info != SEND_SIG_NOINFO && info != SEND_SIG_PRIV;

	return sig >= SIGRTMIN && has_info && info->si_code != SI_USER ? -EAGAIN : 0;
}

/**
 * container_bc_charge_signal - something more is queued
 * @q: new, not queued yet; freed here on failure; NULL if Linux has refused it
 * @task: whom it is for, and who cannot be reaped meanwhile
 * @sig: its number
 * @info: what comes with it, or one of the special ones
 * @force: RLIMIT_SIGPENDING does not count
 *
 * Context: any.
 * Return: @q, or NULL if a bound has refused it, too.
 */
struct sigqueue *container_bc_charge_signal(struct sigqueue *q, struct task_struct *task, int sig,
					    const struct kernel_siginfo *info, bool force)
{
	int error = overflow_error(sig, info);

	if (!q || charge(&container_of(q, struct bc_sigqueue, q)->bc, task, force, error))
		return q;
	dec_rlimit_put_ucounts(q->ucounts, UCOUNT_RLIMIT_SIGPENDING);
	kfree(q);
	return NULL;
}

/**
 * container_bc_uncharge_signal - a signal has been taken, or nobody is there to take it
 * @q: not of a timer
 *
 * Context: any.
 */
void container_bc_uncharge_signal(struct sigqueue *q)
{
	uncharge(container_of(q, struct bc_sigqueue, q)->bc);
}

#ifdef CONFIG_POSIX_TIMERS

/**
 * container_bc_charge_timer - the current task makes a POSIX timer
 * @timer: new, known to nobody; freed here on failure
 *
 * Context: process.
 * Return: @timer, or NULL if a bound has refused it.
 */
struct k_itimer *container_bc_charge_timer(struct k_itimer *timer)
{
	if (charge(&container_of(timer, struct bc_timer, timer)->bc, current, false, -EAGAIN))
		return timer;
	posixtimer_free_timer(timer);
	return NULL;
}

/**
 * container_bc_uncharge_timer - the end of a timer, and of its signal
 * @timer: not found any more
 *
 * Context: any.
 */
void container_bc_uncharge_timer(struct k_itimer *timer)
{
	uncharge(container_of(timer, struct bc_timer, timer)->bc);
}

#endif /* CONFIG_POSIX_TIMERS */
