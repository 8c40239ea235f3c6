// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the sleep of an idle CPU (os-Linux/idle.c): nothing that came while interrupts
 * were off is slept through, be it before the look for notes or in the middle of it.
 *
 * The timer is put off, so that nothing but what the test sends ends the sleep. A sleep that should
 * not have been one ends after AWHILE, which is longer than any host puts a process aside.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/signal.h>
#include <linux/smp.h>
#include <kern_util.h>
#include <os.h>
#include <skas.h>

#define AWHILE (20ULL * NSEC_PER_SEC)

/* an interrupt from another CPU */
#define IPI 0

static int signal_to_come;

static void let_come(int sig)
{
#ifdef CONFIG_SMP
	if (sig == IPI) {
		arch_smp_send_reschedule(0);
		return;
	}
#endif
	os_test_signal(sig);
}

/* Is @sig sent at all? There is no other CPU without SMP, and ptrace mode takes no SIGCHLD. */
static bool comes(int sig)
{
	return sig == IPI ? IS_ENABLED(CONFIG_SMP) : sig != SIGCHLD || using_seccomp;
}

static const int signals[] = { SIGALRM, SIGIO, IPI, SIGCHLD };

/* instead of need_resched() */
static int come_in_the_look(void)
{
	let_come(signal_to_come);
	return 0;
}

static int yes(void)
{
	return 1;
}

static int idle_test_init(struct kunit *test)
{
	/* the host gives SIGIO to this one alone */
	return set_cpus_allowed_ptr(current, cpumask_of(0));
}

/* With @sig noted before, unless it is -1. */
static void expect_no_sleep(struct kunit *test, int sig)
{
	unsigned long flags;
	long long began, slept;

	local_irq_save(flags);
	os_timer_one_shot(0, AWHILE);
	if (sig >= 0)
		let_come(sig);
	began = os_nsecs();
	os_idle_sleep();
	slept = os_nsecs() - began;
	/* a tick too many does no harm */
	os_timer_set_interval(0, NSEC_PER_SEC / HZ);
	local_irq_restore(flags);
	KUNIT_EXPECT_LT_MSG(test, slept, AWHILE, "signal %d", sig);
}

static void idle_with_a_note(struct kunit *test)
{
	for (int i = 0; i < ARRAY_SIZE(signals); i++)
		if (comes(signals[i]))
			expect_no_sleep(test, signals[i]);
}

static void idle_interrupted_in_the_look(struct kunit *test)
{
	kunit_activate_static_stub(test, uml_need_resched, come_in_the_look);
	for (int i = 0; i < ARRAY_SIZE(signals); i++) {
		signal_to_come = signals[i];
		if (comes(signal_to_come))
			expect_no_sleep(test, -1);
	}
}

/* An interrupt is sent where the host keeps no signal (RLIMIT_SIGPENDING), too: a real-time one would be refused. */
static void idle_where_no_signal_is_kept(struct kunit *test)
{
	unsigned long kept = os_test_keep_signals(0);

	kunit_activate_static_stub(test, uml_need_resched, come_in_the_look);
	signal_to_come = IPI;
	if (comes(IPI))
		expect_no_sleep(test, -1);
	os_test_keep_signals(kept);
}

static void idle_with_a_task_to_run(struct kunit *test)
{
	kunit_activate_static_stub(test, uml_need_resched, yes);
	expect_no_sleep(test, -1);
}

static struct kunit_case idle_cases[] = {
	KUNIT_CASE(idle_with_a_note),
	KUNIT_CASE(idle_interrupted_in_the_look),
	KUNIT_CASE(idle_where_no_signal_is_kept),
	KUNIT_CASE(idle_with_a_task_to_run),
	{}
};

static struct kunit_suite idle_suite = {
	.name = "um_idle",
	.init = idle_test_init,
	.test_cases = idle_cases,
};

kunit_test_suite(idle_suite);

MODULE_LICENSE("GPL");
