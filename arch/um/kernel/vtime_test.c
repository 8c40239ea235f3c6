// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of user time (vtime.c): what a stub tells of a stay is what the task's utime grows by. The test
 * is the stub and writes the stamps; the clocks are the real ones, so what is compared was measured the same way and
 * no bound depends on what the host does meanwhile.
 */
#include <kunit/test.h>
#include <linux/irqflags.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/signal.h>
#include <linux/vtime.h>
#include <os.h>
#include <skas.h>
#include <skas/user_time.h>
#include <stub-data.h>

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

static struct kunit_case vtime_test_cases[] = {
	KUNIT_CASE(vtime_stay_is_user_time),
	KUNIT_CASE(vtime_short_stays_add_up),
	KUNIT_CASE(vtime_stub_that_tells_nothing),
	{}
};

static struct kunit_suite vtime_test_suite = {
	.name = "um-vtime",
	.test_cases = vtime_test_cases,
};
kunit_test_suite(vtime_test_suite);

MODULE_LICENSE("GPL");
