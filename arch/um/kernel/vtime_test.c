// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of user time (vtime.c): what a stub tells of a stay is what the task's utime grows by. The test
 * is the stub and writes the stamps; the clocks are the real ones, so what is compared was measured the same way and
 * no bound depends on what the host does meanwhile.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/irqflags.h>
#include <linux/kthread.h>
#include <linux/posix-timers.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/signal.h>
#include <linux/vtime.h>
#include <os.h>
#include <skas.h>
#include <skas/user_time.h>
#include <stub-data.h>

#ifdef CONFIG_VIRT_CPU_ACCOUNTING_NATIVE

#define MSEC	((u64)NSEC_PER_MSEC)
/* What is taken off for the host's own work is not more than LEAST_USER of vtime.c. */
#define TAKEN_OFF (20 * (u64)NSEC_PER_USEC)

/* Keeps this CPU for @ns and returns how long it did. */
static u64 compute(u64 ns)
{
	unsigned long flags;
	u64 begin, told;

	local_irq_save(flags);
	begin = sched_clock();
	do {
		cpu_relax();
		told = sched_clock() - begin;
	} while (told < ns);
	local_irq_restore(flags);
	return told;
}

/**
 * struct stay - a stay of current in user code
 * @calls: ns that the stub ran queued calls for certain
 * @told: ns that it was in user code for certain
 * @all: ns that passed at most
 * @utime: what user time has grown by when the CPU is back
 * @stime: the same of system time, within @all
 */
struct stay {
	u64 calls;
	u64 told;
	u64 all;
	u64 utime;
	u64 stime;
};

/* The stub's part of it: @calls ns of calls, @ns in user code; it says so if @tells. */
static void play_stub(struct stay *s, struct stub_data *data, u64 calls, u64 ns, bool tells)
{
	u64 called = 0, entered, left;

	if (calls && using_seccomp) {
		called = um_time_stamp();
		s->calls = compute(calls);
	}
	entered = um_time_stamp();
	/* within the stamps */
	s->told = compute(ns);
	left = um_time_stamp();
	if (tells && using_seccomp) {
		data->stamps.called = called;
		data->stamps.entered = entered;
		data->stamps.left = left;
	} else if (tells) {
		data->stamps.left = data->stamps.entered + s->told;
	}
}

/* A stay that @sig ends. In ptrace mode calls are run before it begins. */
static struct stay stay(struct stub_data *data, u64 calls, u64 ns, bool tells, int sig)
{
	struct mm_id id = { .stack = (unsigned long)data };
	u64 begin, utime, stime;
	struct stay s = {};
	unsigned long flags;

	local_irq_save(flags);
	begin = sched_clock();
	vtime_account_kernel(current);
	vtime_flush(current);
	utime = current->utime;
	stime = current->stime;
	if (calls && !using_seccomp)
		s.calls = compute(calls);
	um_user_enter(&id);
	play_stub(&s, data, calls, ns, tells);
	um_user_leave(&id, sig);
	s.utime = current->utime - utime;
	vtime_account_kernel(current);
	vtime_flush(current);
	s.stime = current->stime - stime;
	s.all = sched_clock() - begin;
	local_irq_restore(flags);
	return s;
}

static struct stub_data *a_stub(struct kunit *test)
{
	struct stub_data *data = kunit_kzalloc(test, sizeof(*data), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, data);
	return data;
}

/* Of a stay of a millisecond it is there when the CPU is back, not a tick later. */
static void vtime_stay_is_user_time(struct kunit *test)
{
	struct stub_data *data = a_stub(test);
	struct stay s;

	for (int i = 0; i < 20; i++) {
		s = stay(data, 0, 3 * MSEC, true, SIGIO);
		/* a thousandth for the two clocks, one of which the host may be slewing */
		KUNIT_EXPECT_GE(test, s.utime + TAKEN_OFF + s.told / 1000, s.told);
		KUNIT_EXPECT_LE(test, s.utime, s.all);
	}
}

/* Short stays are told when they are a millisecond together, nothing of them is lost. */
static void vtime_short_stays_add_up(struct kunit *test)
{
	struct stub_data *data = a_stub(test);
	u64 utime = current->utime, told = 0, taken_off = 0;
	struct stay s;

	for (int i = 0; i < 100; i++) {
		s = stay(data, 0, 200 * NSEC_PER_USEC, true, SIGIO);
		told += s.told;
		taken_off += TAKEN_OFF;
	}
	KUNIT_EXPECT_GE(test, current->utime - utime + taken_off + told / 1000, told);
}

static void vtime_stub_that_tells_nothing(struct kunit *test)
{
	struct stay s = stay(a_stub(test), 0, 3 * MSEC, false, SIGIO);

	KUNIT_EXPECT_EQ(test, s.utime, 0);
	/* its time is not lost, and the two reads of the clock around it are a little longer */
	KUNIT_EXPECT_GE(test, s.stime, s.told);
	KUNIT_EXPECT_LE(test, s.stime, s.all);
}

/* A tick looks for timers that are due: so what ends with one is told, however short it was. */
static void vtime_tick_tells_all(struct kunit *test)
{
	struct stay s = stay(a_stub(test), 0, 200 * NSEC_PER_USEC, true, SIGALRM);

	KUNIT_EXPECT_GE(test, s.utime + TAKEN_OFF + s.told / 1000, s.told);
	KUNIT_EXPECT_LE(test, s.utime, s.all);
}

#ifdef CONFIG_POSIX_TIMERS
/* A timer that comes due in a stay which a tick ends is seen when the CPU is back; no other tick comes in between. */
static void vtime_timers_see_the_stay(struct kunit *test)
{
	u64 *next = &current->posix_cputimers.bases[CPUCLOCK_VIRT].nextevt;
	struct stub_data *data = a_stub(test);
	unsigned long flags;
	struct stay s;
	u64 after;

	local_irq_save(flags);
	vtime_account_kernel(current);
	vtime_flush(current);
	/* there is none on its list, so whoever looks after this moment finds that none comes next */
	*next = current->utime + NSEC_PER_USEC;
	s = stay(data, 0, 200 * NSEC_PER_USEC, true, SIGALRM);
	after = *next;
	*next = U64_MAX;
	local_irq_restore(flags);
	KUNIT_EXPECT_GT(test, s.utime, NSEC_PER_USEC);
	KUNIT_EXPECT_EQ(test, after, U64_MAX);
}
#endif

/* Calls that take longer than the user code after them are not the host's doing, and none of it is user time. */
static void vtime_calls_are_system_time(struct kunit *test)
{
	struct stub_data *data = a_stub(test);
	struct stay s;

	for (int i = 0; i < 20; i++) {
		s = stay(data, 3 * MSEC, 200 * NSEC_PER_USEC, true, SIGIO);
		KUNIT_EXPECT_GE(test, s.utime + TAKEN_OFF + s.told / 1000, s.told);
		KUNIT_EXPECT_LE(test, s.utime + s.calls, s.all + s.calls / 1000);
		/* and are told */
		KUNIT_EXPECT_GE(test, s.stime + s.calls / 1000, s.calls);
	}
}

/* Where a stay under ptrace begins on the stub's CPU clock, when it has run for @ns of ours since it ended at @left. */
static u64 ptrace_stay_begins(struct stub_data *data, u64 left, u64 ns)
{
	/* the kernel's own process, which runs what is to be the stub's */
	struct mm_id id = { .stack = (unsigned long)data, .pid = os_getpid() };
	unsigned long flags;

	local_irq_save(flags);
	data->stamps.left = left;
	data->stamps.called = ns != 0;
	compute(ns);
	os_stub_start(&id);
	um_user_leave(&id, SIGIO);
	local_irq_restore(flags);
	return data->stamps.entered;
}

/* In ptrace mode calls are run before the stay, and what CPU time they took is none of it. */
static void vtime_calls_before_a_ptrace_stay(struct kunit *test)
{
	struct stub_data *data = a_stub(test);
	u64 first = ptrace_stay_begins(data, 0, 0);

	KUNIT_EXPECT_GT(test, first, 0);
	/* how much, the host may tell by its ticks */
	KUNIT_EXPECT_GT(test, ptrace_stay_begins(data, first, 20 * MSEC), first);
	/* without calls nobody asks the host */
	KUNIT_EXPECT_EQ(test, ptrace_stay_begins(data, first, 0), first);
}

/* The user code of a stay that has begun, which takes @ns and is told. */
static void user_code(struct stub_data *data, u64 ns)
{
	/* under ptrace the stub's CPU clock; left is none if 0 */
	u64 entered = using_seccomp ? um_time_stamp() : 1, ran = compute(ns);

	data->stamps.entered = entered;
	data->stamps.left = using_seccomp ? um_time_stamp() : entered + ran;
}

/* User code of as long as LEAST_STAY of vtime.c, after what is taken off: of a wait it is told half, all if a stay took no time. */
#define OF_A_WAIT (TAKEN_OFF + 100 * NSEC_PER_USEC)

/*
 * Of a stay that waits for a millisecond after some user code, what is told as user code: the less the shortest
 * stay has been that the CPU knows of, the more. The least of some, as the host may take the core away in one.
 */
static u64 user_of_a_wait(struct stub_data *data)
{
	u64 least = U64_MAX;

	for (int i = 0; i < 8; i++) {
		struct mm_id id = { .stack = (unsigned long)data };
		u64 utime = current->utime;

		um_user_enter(&id);
		user_code(data, OF_A_WAIT);
		compute(MSEC);
		um_user_leave(&id, SIGIO);
		least = min(least, current->utime - utime);
	}
	return least;
}

/* A system call that an interrupt cuts short: the CPU has not seen how long the stub took. */
static void interrupted_call(struct stub_data *data)
{
	struct mm_id id = { .stack = (unsigned long)data };

	um_user_enter(&id);
	vtime_account_kernel(current);
	user_code(data, 200 * NSEC_PER_USEC);
	vtime_account_hardirq(current);
	um_user_leave(&id, using_seccomp ? SIGSYS : SIGTRAP + 0x80);
}

/* No stay is believed to be as short as what an interrupt has left of one; all on one CPU. */
static void vtime_interrupted_stay_is_no_measure(struct kunit *test)
{
	struct stub_data *data = a_stub(test);
	unsigned long flags;
	u64 before, after;

	local_irq_save(flags);
	vtime_account_kernel(current);
	vtime_flush(current);
	before = user_of_a_wait(data);
	for (int i = 0; i < 8; i++)
		interrupted_call(data);
	after = user_of_a_wait(data);
	local_irq_restore(flags);
	KUNIT_EXPECT_GT(test, before, 0);
	/* it would be twice as much */
	KUNIT_EXPECT_LE(test, after, before + before / 2);
}

/* A system call that costs as little as one does with stub and CPU on one core of the host. */
static void short_call(struct stub_data *data)
{
	struct mm_id id = { .stack = (unsigned long)data };

	um_user_enter(&id);
	user_code(data, 2 * NSEC_PER_USEC);
	compute(2 * NSEC_PER_USEC);
	um_user_leave(&id, using_seccomp ? SIGSYS : SIGTRAP + 0x80);
}

/* What is told beyond its user code, in ns, of a stay that takes a wake-up of a core on the way in and on the way out. */
static s64 beyond_user_code(struct stub_data *data)
{
	struct mm_id id = { .stack = (unsigned long)data };
	u64 utime = current->utime, begin, user;

	um_user_enter(&id);
	compute(50 * NSEC_PER_USEC);
	begin = sched_clock();
	user_code(data, 100 * NSEC_PER_USEC);
	/* the stamps are within this */
	user = sched_clock() - begin;
	compute(50 * NSEC_PER_USEC);
	/* an interrupt that does nothing: what is left is told at once */
	um_user_leave(&id, SIGALRM);
	return current->utime - utime - user;
}

/*
 * Wake-ups are what the switch costs, though the CPU has seen it cost less by far. Said of the best of some, as the host may take
 * the core away in one.
 */
static void vtime_wake_ups_are_system_time(struct kunit *test)
{
	struct stub_data *data = a_stub(test);
	s64 least = S64_MAX;
	unsigned long flags;

	local_irq_save(flags);
	for (int i = 0; i < 8; i++)
		short_call(data);
	vtime_account_kernel(current);
	vtime_flush(current);
	for (int i = 0; i < 20; i++)
		least = min(least, beyond_user_code(data));
	local_irq_restore(flags);
	/* for the two clocks; it would be most of the wake-ups */
	KUNIT_EXPECT_LE(test, least, NSEC_PER_USEC);
}

/**
 * struct other - a thread that takes turns with the test
 * @go: it may compute
 * @done: it has
 * @end: it is not to go on; the test's, before @go
 * @told: ns that it was at it for certain; between @done and @go it is the test's
 */
struct other {
	struct completion go;
	struct completion done;
	bool end;
	u64 told;
};

static int other(void *arg)
{
	struct other *o = arg;

	for (;;) {
		wait_for_completion(&o->go);
		if (o->end)
			break;
		o->told += compute(200 * NSEC_PER_USEC);
		complete(&o->done);
	}
	complete(&o->done);
	return 0;
}

static u64 my_stime(void)
{
	unsigned long flags;
	u64 stime;

	local_irq_save(flags);
	vtime_account_kernel(current);
	vtime_flush(current);
	stime = current->stime;
	local_irq_restore(flags);
	return stime;
}

/* Of two that take turns within a tick each has its own time, told when it is switched away. */
static void take_turns(struct kunit *test, struct task_struct *thread, struct other *o)
{
	u64 stime = my_stime(), others = thread->stime, told = 0;

	o->told = 0;
	for (int i = 0; i < 10; i++) {
		told += compute(200 * NSEC_PER_USEC);
		complete(&o->go);
		wait_for_completion(&o->done);
	}
	/* with another CPU it may not have been switched away yet */
	wait_task_inactive(thread, TASK_ANY);
	KUNIT_EXPECT_GE(test, thread->stime - others, o->told);
	KUNIT_EXPECT_GE(test, my_stime() - stime, told);
}

static void vtime_each_has_its_own(struct kunit *test)
{
	struct other o = {};
	struct task_struct *thread;

	init_completion(&o.go);
	init_completion(&o.done);
	thread = kthread_run(other, &o, "um-vtime-other");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	for (int i = 0; i < 10; i++) {
		wait_task_inactive(thread, TASK_ANY);
		take_turns(test, thread, &o);
	}
	o.end = true;
	complete(&o.go);
	wait_for_completion(&o.done);
}

static struct kunit_case vtime_test_cases[] = {
	KUNIT_CASE(vtime_stay_is_user_time),
	KUNIT_CASE(vtime_short_stays_add_up),
	KUNIT_CASE(vtime_stub_that_tells_nothing),
	KUNIT_CASE(vtime_tick_tells_all),
#ifdef CONFIG_POSIX_TIMERS
	KUNIT_CASE(vtime_timers_see_the_stay),
#endif
	KUNIT_CASE(vtime_calls_are_system_time),
	KUNIT_CASE(vtime_calls_before_a_ptrace_stay),
	KUNIT_CASE(vtime_interrupted_stay_is_no_measure),
	/* after it, as it has this CPU learn of short stays */
	KUNIT_CASE(vtime_wake_ups_are_system_time),
	KUNIT_CASE(vtime_each_has_its_own),
	{}
};

static struct kunit_suite vtime_test_suite = {
	.name = "um-vtime",
	.test_cases = vtime_test_cases,
};
kunit_test_suite(vtime_test_suite);

#endif

MODULE_LICENSE("GPL");
