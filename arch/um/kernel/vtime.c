// SPDX-License-Identifier: GPL-2.0-only
/*
 * User time, system time, and the clock of the scheduler.
 *
 * Stock UML asks at each tick where it finds the CPU. That is always in the
 * kernel: user code runs in another process of the host, the stub, while the
 * CPU's thread waits for it. So all time is system time. Here time is measured:
 * this file is what Linux wants of an architecture for
 * VIRT_CPU_ACCOUNTING_NATIVE, and sched_clock() in nanoseconds, not ticks.
 *
 * A stay is the time from um_user_enter() to um_user_leave() in which the CPU
 * waits for the stub, without the interrupts that it handles meanwhile. What of
 * it was user code the CPU can not know: the stub has to be woken, has to be
 * given a core of the host, makes the mappings that are queued for it, and the
 * same backwards; on a busy host the waits for a core are longer than all else.
 * So the stub tells:
 *
 *  - In seccomp mode it writes the processor's time-stamp counter when it
 *    returns to user code, and first thing when a signal ends the stay. That
 *    needs no call of the host, where the CPU clock of the stub would cost 10 %
 *    of a short stay, and it is right for short and long stays alike. The CPU
 *    reads the counter at both ends of a stay, which gives the stub's part of
 *    it: neither the counter's rate nor its offset must be known.
 *  - In ptrace mode no code of ours runs there; the stub's CPU time as the host
 *    tells it takes its place (os-Linux/skas/stub_time.c).
 *
 * Both are too long by the host's own work for the switch, at least by the
 * least that has been seen for a stay which a system call ended; that is taken
 * off. What remains is user time, the rest of the stay system time, which is
 * what the switch costs: with the stub on another core of the host, that core
 * and then the CPU's have to be woken. If the rest is longer than even that
 * takes, the host has run somebody else: or the stub has run calls of ours
 * first, which may take it a millisecond. In ptrace mode these are run before
 * the stay begins; in seccomp mode the stub writes when it began with them, and
 * they are system time before all else. Whoever's fault a wait was, it belongs
 * to this task as far as the scheduler's clock goes, and is split in the
 * proportion of the user code to the least cost of a stay: a task that computes
 * is not told to be in the kernel because the host is busy, nor is one that does
 * nothing but system calls told to compute.
 *
 * So utime + stime is what the scheduler says that the task ran, but for what
 * has not been handed on yet: less than a millisecond after the stay that the
 * tick ends, and up to a tick of time in the kernel. A task that exits has
 * handed on all before its process counts what it leaves.
 *
 * Locking: none. Each CPU has a record. Interrupts come at any point of
 * um_user_enter() and um_user_leave(), which do not disable them. So a stretch
 * of time is taken by a cmpxchg of the moment it began at, and @kernel and
 * @user, written by these two, only grow and are written by nobody else; all
 * else is done with interrupts off. A task keeps its CPU
 * meanwhile: the turnstile is not preempted (shootdown.c).
 *
 * Not with time travel: there no time passes in user code, or it passes as
 * time.c says.
 */

#include <linux/kernel_stat.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/posix-timers.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/vtime.h>
#include <os.h>
#include <skas.h>
#include <skas/user_time.h>
#include <stub-data.h>

/* Assumed before the first system call of a CPU: more than any that has been seen. */
#define LEAST_USER	(20 * NSEC_PER_USEC)
#define LEAST_STAY	(100 * NSEC_PER_USEC)
/*
 * Switches that take longer than both of these had to wait for a core: that many
 * times the shortest stay, and what two wake-ups of a core that sleeps take. Where
 * the host is a guest itself these were 70 to 160 us.
 */
#define WAITED		4
#define WAKE_UPS	(200 * NSEC_PER_USEC)

enum { UM_KERNEL, UM_HARDIRQ, UM_SOFTIRQ, UM_IDLE, UM_NR };

/**
 * struct um_vtime - the time of one CPU, in ns
 * @since: when what runs now began; anybody on this CPU, by cmpxchg
 * @ns: by kind, since the last vtime_flush(); interrupts off
 * @stay: of this stay, what ended with an interrupt; interrupts off, and um_user_*()
 * @in_stay: the CPU waits for a stub; um_user_*()
 * @kernel: what um_user_*() found to be system time, since boot
 * @user: the same for user time
 * @kernel_told: what of @kernel has been accounted; interrupts off
 * @user_told: what of @user has been accounted; interrupts off
 * @entered: when this stay began; um_user_*()
 * @entered_stamp: the same on the time-stamp counter
 * @least_user: the least that a stub was in user code for a system call; um_user_*()
 * @least_stay: the shortest stay for a system call; um_user_*()
 */
struct um_vtime {
	u64 since;
	u64 ns[UM_NR];
	u64 stay;
	bool in_stay;
	u64 kernel;
	u64 user;
	u64 kernel_told;
	u64 user_told;
	u64 entered;
	u64 entered_stamp;
	u64 least_user;
	u64 least_stay;
};

static DEFINE_PER_CPU(struct um_vtime, um_vtime) = {
	.least_user = LEAST_USER,
	.least_stay = LEAST_STAY,
};

/**
 * sched_clock() - nanoseconds since the first call, early in the boot
 *
 * The same on all CPUs: they read one clock of the host.
 *
 * Return: the time
 */
notrace unsigned long long sched_clock(void)
{
	static unsigned long long first;

	if (unlikely(!first))
		first = os_nsecs();	/* there is one CPU as yet */
	return os_nsecs() - first;
}

/* What has passed on this CPU since time was last taken. */
static u64 take_ns(struct um_vtime *v, u64 *now)
{
	u64 since;

	do {	/* an interrupt in between has taken what was before it */
		since = READ_ONCE(v->since);
		*now = sched_clock();
	} while (cmpxchg64_local(&v->since, since, *now) != since);
	return *now - since;
}

/* End a stretch of kind @kind, with interrupts off. */
static void account(int kind)
{
	struct um_vtime *v = this_cpu_ptr(&um_vtime);
	u64 now, ns = take_ns(v, &now);

	if (kind == UM_KERNEL && v->in_stay)
		v->stay += ns;
	else
		v->ns[kind] += ns;
}

/**
 * vtime_account_kernel() - a stretch of kernel code, or of waiting for a stub, ends
 * @tsk: current
 *
 * Context: an interrupt begins, or tasks are switched; interrupts off.
 */
void vtime_account_kernel(struct task_struct *tsk)
{
	account(UM_KERNEL);
}

/**
 * vtime_account_hardirq() - a stretch of a hard interrupt ends
 * @tsk: current
 *
 * Context: interrupts off.
 */
void vtime_account_hardirq(struct task_struct *tsk)
{
	account(UM_HARDIRQ);
}

/**
 * vtime_account_softirq() - a stretch of a soft interrupt ends
 * @tsk: current
 *
 * Context: interrupts off.
 */
void vtime_account_softirq(struct task_struct *tsk)
{
	account(UM_SOFTIRQ);
}

/**
 * vtime_account_idle() - a stretch of the idle task ends
 * @tsk: current
 *
 * Context: interrupts off.
 */
void vtime_account_idle(struct task_struct *tsk)
{
	account(UM_IDLE);
}

/**
 * vtime_reset() - from now on time is ours again, what was is accounted elsewhere
 *
 * Context: a CPU whose tick is stopped leaves idle, or takes an interrupt in it.
 */
void vtime_reset(void)
{
	u64 now;

	take_ns(this_cpu_ptr(&um_vtime), &now);
}

/**
 * vtime_dyntick_start() - the tick stops, and accounts idle time by itself
 *
 * Context: the idle task, interrupts off.
 */
void vtime_dyntick_start(void)
{
	account(UM_IDLE);
}

/**
 * vtime_dyntick_stop() - the end of what vtime_dyntick_start() began
 *
 * Context: the idle task, interrupts off.
 */
void vtime_dyntick_stop(void)
{
	vtime_reset();
}

/* Hands a kind's time on, if there is any, and forgets it. */
static void tell_system(struct task_struct *tsk, u64 *ns, enum cpu_usage_stat index)
{
	if (*ns)
		account_system_index_time(tsk, *ns, index);
	*ns = 0;
}

/**
 * vtime_flush() - hand the time that was taken on to a task
 * @tsk: who ran on this CPU since the last time
 *
 * Context: the tick, a switch of tasks, the end of a long stay; interrupts off.
 */
void vtime_flush(struct task_struct *tsk)
{
	struct um_vtime *v = this_cpu_ptr(&um_vtime);
	u64 user = READ_ONCE(v->user), kernel = READ_ONCE(v->kernel);

	lockdep_assert_irqs_disabled();
	if (user != v->user_told)
		account_user_time(tsk, user - v->user_told);
	v->user_told = user;
	v->ns[UM_KERNEL] += kernel - v->kernel_told;
	v->kernel_told = kernel;
	tell_system(tsk, &v->ns[UM_KERNEL], CPUTIME_SYSTEM);
	tell_system(tsk, &v->ns[UM_HARDIRQ], CPUTIME_IRQ);
	tell_system(tsk, &v->ns[UM_SOFTIRQ], CPUTIME_SOFTIRQ);
	if (v->ns[UM_IDLE])
		account_idle_time(v->ns[UM_IDLE]);
	v->ns[UM_IDLE] = 0;
}

/* A task whose stub died in a stay does not come back from there. */
static void forsake_stay(struct um_vtime *v)
{
	if (likely(!v->in_stay))
		return;
	v->in_stay = false;
	v->ns[UM_KERNEL] += v->stay;
}

/**
 * vtime_task_switch() - the time until now is another task's
 * @prev: whose it is
 *
 * Context: the scheduler, interrupts off.
 */
void vtime_task_switch(struct task_struct *prev)
{
	forsake_stay(this_cpu_ptr(&um_vtime));
	account(is_idle_task(prev) ? UM_IDLE : UM_KERNEL);
	vtime_flush(prev);
}

/**
 * exit_thread() - hand on what a task has used until now, before it is counted
 * @tsk: current, which exits, or a task that was not born after all
 *
 * From exit_notify() on whoever waits for the process may count it, and a thread
 * other than the first is added to its process there: the switch that follows
 * would tell it to nobody. Its containers, too, it leaves soon after this.
 *
 * Context: process context, no locks held.
 */
void exit_thread(struct task_struct *tsk)
{
	unsigned long flags;

	if (tsk != current)
		return;
	local_irq_save(flags);
	forsake_stay(this_cpu_ptr(&um_vtime));
	vtime_account_kernel(tsk);
	vtime_flush(tsk);
	local_irq_restore(flags);
}

/**
 * um_user_enter() - the CPU sets out to run user code
 * @mm_id: whose stub will run it
 *
 * Context: process context, the turnstile held, interrupts on. The stub is at
 * rest, and is set running next.
 */
void um_user_enter(struct mm_id *mm_id)
{
	struct stub_data *data = (void *)mm_id->stack;
	struct um_vtime *v = this_cpu_ptr(&um_vtime);
	u64 now;

	data->stamps.called = 0;
	v->stay = 0;
	v->kernel += take_ns(v, &now);
	v->entered = now;
	v->entered_stamp = um_time_stamp();
	/* an interrupt before this tells the few instructions since as kernel */
	WRITE_ONCE(v->in_stay, true);
}

/* What the stub tells of a stay, in ns. */
struct told {
	u64 calls;	/* it ran what was queued */
	u64 user;	/* then it was in user code */
};

/* @all ns have passed since um_user_enter(), until @stamp. */
static struct told stub_tells(struct um_vtime *v, struct stub_data *data, u64 all, u64 stamp)
{
	u64 called = READ_ONCE(data->stamps.called), entered = READ_ONCE(data->stamps.entered);
	u64 left = READ_ONCE(data->stamps.left);
	u64 stamps = stamp - v->entered_stamp;
	struct told t = { .user = left > entered ? left - entered : 0 };

	if (!using_seccomp) {
		t.user = min(t.user, all);
		return t;
	}
	/* cores of the host may differ a little, and user code could write there */
	t.user = t.user < stamps ? mul_u64_u64_div_u64(t.user, all, stamps) : all;
	if (unlikely(called && called < entered))
		t.calls = entered - called < stamps ? mul_u64_u64_div_u64(entered - called, all, stamps) : all;
	return t;
}

/* What of a stay was user time. */
static u64 user_ns(struct um_vtime *v, u64 stay, struct told t, bool syscall)
{
	u64 rest, switches;

	if (!t.user)
		return 0;
	/* both go on while the CPU handles an interrupt, so they may be more than the stay */
	t.calls = min(t.calls, stay - min(t.user, stay));
	stay -= t.calls;
	/* what remains of a longer one is not exact enough, nor is what an interrupt has left of one: the stub went on */
	if (syscall && !t.calls && !v->stay) {
		v->least_user = min(v->least_user, t.user);
		v->least_stay = min(v->least_stay, stay);
	}
	t.user = min(t.user - min(t.user, v->least_user), stay);
	rest = stay - t.user;
	switches = max(WAITED * v->least_stay, WAKE_UPS);
	if (rest > switches)
		t.user += mul_u64_u64_div_u64(rest - switches, t.user, t.user + v->least_stay);
	return t.user;
}

/**
 * um_user_leave() - the CPU is back from user code
 * @mm_id: whose stub ran it
 * @sig: the signal that ended the stay
 *
 * Context: process context, the turnstile held, interrupts on.
 */
void um_user_leave(struct mm_id *mm_id, int sig)
{
	struct stub_data *data = (void *)mm_id->stack;
	struct um_vtime *v = this_cpu_ptr(&um_vtime);
	/* before the clock, as it was after it: what comes in between is none of the stub's */
	u64 stamp = um_time_stamp();
	unsigned long flags;
	u64 now, stay, user;

	stay = take_ns(v, &now);
	WRITE_ONCE(v->in_stay, false);
	/* nobody adds to it any more */
	barrier();
	stay += v->stay;
	user = user_ns(v, stay, stub_tells(v, data, now - v->entered, stamp),
		       sig == (using_seccomp ? SIGSYS : SIGTRAP + 0x80));
	WRITE_ONCE(v->user, v->user + user);
	WRITE_ONCE(v->kernel, v->kernel + stay - user);

	/* it has run once more after that, to say where it faulted */
	if (!using_seccomp && sig == SIGSEGV)
		data->stamps.left = 0;
	if (sig == SIGALRM || v->user - v->user_told + v->kernel - v->kernel_told >= NSEC_PER_MSEC) {
		local_irq_save(flags);
		vtime_flush(current);
		/* the tick that sent the signal has looked already, but this stay was not told yet */
		if (IS_ENABLED(CONFIG_POSIX_TIMERS) && sig == SIGALRM)
			run_posix_cpu_timers();
		local_irq_restore(flags);
	}
}
