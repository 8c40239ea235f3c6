// SPDX-License-Identifier: GPL-2.0-only
/*
 * utime: user time is told from system time, and the two are what the
 * scheduler says that a task ran. (jobs 1 2 4 1p 4@debug 1p@debug 1@vanilla)
 * (no proof: system_calls itimer_prof switches sum_while_busy)
 *
 * Nothing here is held against the wall clock, as the host may give this kernel
 * any part of a core. A share above one half says which of the two it was: a loop
 * without system calls is in the kernel for a fraction of a millisecond of each
 * tick, and one of system calls in user code for some instructions of each. What
 * the host takes away is split in the same proportion (arch/um/kernel/vtime.c).
 *
 * On the vanilla flavour utime is always 0; what fails there for that reason has
 * a message that starts with "time:".
 */
#include "lib-cpu.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

WITHOUT_CONTAINERS

#define MS 1e6
#define TICK (10 * MS)
/* What a task must have used before its shares say anything. */
#define ENOUGH (200 * MS)
#define MAX_CPUS 8

/* In nanoseconds. */
struct times {
	double user;
	double system;
};

static double ns_of(struct timeval t)
{
	return t.tv_sec * 1e9 + t.tv_usec * 1e3;
}

static struct times times_of(const struct rusage *used)
{
	return (struct times){ ns_of(used->ru_utime), ns_of(used->ru_stime) };
}

/* These are called by a signal handler and in loops: no ck_assert(), which writes to a file. */
static struct times my_times(int who)
{
	struct rusage used = {};

	getrusage(who, &used);
	return times_of(&used);
}

static double clock_ns(clockid_t clock)
{
	struct timespec t = {};

	clock_gettime(clock, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double runtime_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* User code for about a millisecond. */
static void spin(void)
{
	for (volatile int i = 0; i < 1000000; i++)
		;
}

/* End a child of start(); what it has used, all of it. */
static struct times end(pid_t pid)
{
	struct rusage used;
	int status;

	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(wait4(pid, &status, 0, &used), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return times_of(&used);
}

#define expect_user(t)								\
	ck_assert_msg((t).user > (t).system,					\
		      "time: user code only, but utime %.1f ms, stime %.1f ms",	\
		      (t).user / MS, (t).system / MS)

#define expect_system(t)							\
	ck_assert_msg((t).system > (t).user,					\
		      "system calls only, but utime %.1f ms, stime %.1f ms",	\
		      (t).user / MS, (t).system / MS)

/* user, or nice, of all CPUs, in ns that are cut to ticks */
static double proc_stat_user(void)
{
	unsigned long user;

	ck_assert_int_eq(sscanf(read_file("/proc/stat"), "cpu %lu", &user), 1);
	return user * TICK;
}

/* One on each CPU. */
TEST_LIMIT(spinning, 40)
{
	int n = sysconf(_SC_NPROCESSORS_ONLN);
	pid_t pid[MAX_CPUS];
	struct times t, all = {};
	double before = proc_stat_user();

	ck_assert_int_le(n, MAX_CPUS);
	for (int i = 0; i < n; i++)
		pid[i] = start(spin_for_ever, NULL);
	for (int i = 0; i < n; i++)
		eventually(schedstat_ns(at(".", "%d", pid[i])) >= ENOUGH, 20);
	for (int i = 0; i < n; i++) {
		t = end(pid[i]);
		expect_user(t);
		all.user += t.user;
	}
	/* what a process has, its CPUs have; each of two readings is cut to a tick */
	before = proc_stat_user() - before;
	ck_assert_msg(before > all.user - TICK,
		      "/proc/stat: user grew by %.0f ms, utime by %.1f ms", before / MS, all.user / MS);
}

TEST_LIMIT(system_calls, 40)
{
	int n = sysconf(_SC_NPROCESSORS_ONLN);
	pid_t pid[MAX_CPUS];
	struct times t;

	ck_assert_int_le(n, MAX_CPUS);
	for (int i = 0; i < n; i++)
		pid[i] = start(call_for_ever, NULL);
	for (int i = 0; i < n; i++)
		eventually(schedstat_ns(at(".", "%d", pid[i])) >= ENOUGH, 20);
	for (int i = 0; i < n; i++) {
		t = end(pid[i]);
		expect_system(t);
	}
}

struct worker {
	volatile bool *quit;
	bool calls;
	struct times used;
	volatile double user;	/* so far, of one that spins */
};

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!*w->quit) {
		if (w->calls) {
			syscall(SYS_getppid);
			continue;
		}
		spin();
		w->user = my_times(RUSAGE_THREAD).user;
	}
	w->used = my_times(RUSAGE_THREAD);
	return NULL;
}

/*
 * Two of one process, which take turns in its stub. On several CPUs the one may spin in the kernel, for
 * the mutex of the stub that the other holds, and on a busy host for nearly all that it runs: no
 * share is sure there. But its user time comes, which would not if it were told as the other's, or as
 * system time.
 */
TEST_LIMIT(threads, 40)
{
	volatile bool quit = false;
	struct worker spins = { &quit, false, {}, 0 }, calls = { &quit, true, {}, 0 };
	bool alone = sysconf(_SC_NPROCESSORS_ONLN) == 1;
	pthread_t a, b;
	clockid_t of_a, of_b;

	ck_assert_int_eq(pthread_create(&a, NULL, work, &spins), 0);
	ck_assert_int_eq(pthread_create(&b, NULL, work, &calls), 0);
	ck_assert_int_eq(pthread_getcpuclockid(a, &of_a), 0);
	ck_assert_int_eq(pthread_getcpuclockid(b, &of_b), 0);
	eventually(clock_ns(of_a) >= ENOUGH / 2 && clock_ns(of_b) >= ENOUGH / 10 &&
		   (alone || spins.user >= ENOUGH / 100), 20);
	quit = true;
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	expect_system(calls.used);
	if (alone)
		expect_user(spins.used);
}

/* What a timer's handler found. */
static volatile sig_atomic_t fired;
static struct times when_fired;

static void on_timer(int sig __attribute__((unused)))
{
	when_fired = my_times(RUSAGE_SELF);
	fired++;
}

static struct times set_timer(int which, int sig, int ms)
{
	struct itimerval timer = { .it_value.tv_usec = ms * 1000 };
	struct times before;

	ck_assert_ptr_ne(signal(sig, on_timer), SIG_ERR);
	before = my_times(RUSAGE_SELF);
	ck_assert_int_eq(setitimer(which, &timer, NULL), 0);
	return before;
}

/*
 * After 3 s of its own CPU time at the latest, as no more than half of it is
 * told to be system time; and not a nanosecond before its 100 ms: the timer is
 * compared with the time that getrusage() tells, and that was read before it was set.
 */
TEST_LIMIT(itimer_virtual, 60)
{
	struct times before = set_timer(ITIMER_VIRTUAL, SIGVTALRM, 100);
	double start = runtime_ns();

	while (!fired && runtime_ns() < start + 3000 * MS)
		spin();
	ck_assert_msg(fired, "time: ITIMER_VIRTUAL of 100 ms has not fired after 3 s");
	ck_assert_double_ge(when_fired.user - before.user, 100 * MS);
	ck_assert_int_eq(fired, 1);
}

/* The same of the sum of both, in a loop of system calls. */
TEST_LIMIT(itimer_prof, 60)
{
	struct times before = set_timer(ITIMER_PROF, SIGPROF, 100);
	double start = runtime_ns();

	while (!fired && runtime_ns() < start + 3000 * MS)
		syscall(SYS_getppid);
	ck_assert_msg(fired, "ITIMER_PROF of 100 ms has not fired after 3 s");
	ck_assert_double_ge(when_fired.user + when_fired.system - before.user - before.system,
			    100 * MS);
}

/*
 * How far utime + stime are from the scheduler's count, at best of many
 * readings: each may lack what is not handed on yet, and what the host took
 * away between two clocks.
 */
static double off_at_best(void)
{
	double best = 1e18, runtime, off;
	struct times t;

	for (int i = 0; i < 100 && best > MS; i++) {
		spin();
		t = my_times(RUSAGE_SELF);
		runtime = runtime_ns();
		off = fabs(runtime - t.user - t.system);
		best = fmin(best, off);
	}
	return best;
}

/*
 * The two measures part at a switch of tasks, which one sees some instructions
 * before the other: if the host stops this kernel right there, by some time slices
 * of the host. Ten ticks are allowed for that; what the mutations lose is far more.
 */
#define expect_the_sum(off, runtime)						\
	do {									\
		double off_ = (off), slack_ = 10 * TICK + 0.05 * (runtime);	\
		ck_assert_msg(off_ <= slack_,					\
			      "utime + stime: %.1f ms from a run time of %.1f ms, allowed %.1f",	\
			      off_ / MS, (runtime) / MS, slack_ / MS);		\
	} while (0)

TEST_LIMIT(sum_while_busy, 40)
{
	while (runtime_ns() < 2 * ENOUGH)
		for (int i = 0; i < 1000; i++)
			syscall(SYS_getppid);
	while (runtime_ns() < 3 * ENOUGH)
		spin();
	expect_the_sum(off_at_best(), runtime_ns());
}

/*
 * Beside a loop on the same CPU, which is switched away from before it has a tick. From a wake-up
 * on the scheduler counts for who was woken, though the other one has to leave its stub first:
 * here the two measures part by 0.1 ms each time on a busy host. What one seems to lose the other
 * gains, so the sum of both is compared.
 */
TEST_LIMIT(switches, 60)
{
	struct times mine, other;
	double runtime, off;
	siginfo_t info;
	cpu_set_t one;
	pid_t pid;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	pid = start(spin_for_ever, NULL);
	for (int i = 0; i < 1000; i++)
		usleep(300);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, pid, &info, WEXITED | WNOWAIT), 0);
	runtime = schedstat_ns(at(".", "%d", pid));
	other = end(pid);
	mine = my_times(RUSAGE_SELF);
	runtime += runtime_ns();
	off = fabs(runtime - mine.user - mine.system - other.user - other.system);
	expect_the_sum(off, runtime);
}

/* On a clock that stands still between ticks each step is a multiple of one. */
TEST(clock_between_ticks)
{
	double last = runtime_ns(), next, least = 1e18;

	for (int i = 0; i < 100000 && least >= TICK / 2; i++, last = next) {
		next = runtime_ns();
		if (next > last)
			least = fmin(least, next - last);
	}
	ck_assert_msg(least < TICK / 2, "time: CPU time grew by %.1f ms at least", least / MS);
}
