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

/**
 * struct stay - a stay of current in user code
 * @told: ns that the stub was there for certain
 * @all: ns that passed at most
 * @utime: what user time has grown by when the CPU is back
 * @stime: the same of system time, within @all
 */
struct stay {
	u64 told;
	u64 all;
	u64 utime;
	u64 stime;
};

/* @ns of it, or more, in user code if @tells, else the stub tells nothing. */
static struct stay stay(struct stub_data *data, u64 ns, bool tells)
{
	struct mm_id id = { .stack = (unsigned long)data };
	u64 begin, utime, stime, entered, left;
	struct stay s = {};
	unsigned long flags;

	local_irq_save(flags);
	begin = sched_clock();
	vtime_account_kernel(current);
	vtime_flush(current);
	utime = current->utime;
	stime = current->stime;
	um_user_enter(&id);
	entered = um_time_stamp();
	/* within the stamps */
	s.told = sched_clock();
	while (sched_clock() - s.told < ns)
		cpu_relax();
	s.told = sched_clock() - s.told;
	left = um_time_stamp();
	if (tells && using_seccomp) {
		data->stamps.entered = entered;
		data->stamps.left = left;
	} else if (tells) {
		data->stamps.left = data->stamps.entered + s.told;
	}
	um_user_leave(&id, SIGALRM);
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

/* It is there when the CPU is back, not a tick later. */
static void vtime_stay_is_user_time(struct kunit *test)
{
	struct stub_data *data = a_stub(test);
	struct stay s;

	for (int i = 0; i < 20; i++) {
		s = stay(data, 3 * MSEC, true);
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
		s = stay(data, 200 * NSEC_PER_USEC, true);
		told += s.told;
		taken_off += TAKEN_OFF;
	}
	KUNIT_EXPECT_GE(test, current->utime - utime + taken_off + told / 1000, told);
}

static void vtime_stub_that_tells_nothing(struct kunit *test)
{
	struct stay s = stay(a_stub(test), 3 * MSEC, false);

	KUNIT_EXPECT_EQ(test, s.utime, 0);
	/* its time is not lost, and the two reads of the clock around it are a little longer */
	KUNIT_EXPECT_GE(test, s.stime, s.told);
	KUNIT_EXPECT_LE(test, s.stime, s.all);
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
