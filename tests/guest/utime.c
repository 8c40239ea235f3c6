// SPDX-License-Identifier: GPL-2.0-only
/*
 * utime: user time is told from system time, and the two are what the
 * scheduler says that a task ran. (jobs 1 2 4 1p 4@debug 1p@debug 1@vanilla)
 * (no proof: system_calls itimer_prof switches sum_while_busy sum_to_a_tick)
 *
 * The host may give this kernel any part of a core, so what is held against a clock has another bound: what the
 * process itself saw of the time-stamp counter. Where nothing is, a share above one half says which of the two it was: a loop
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

/* What a task must have used before its shares say anything. */
#define ENOUGH (200 * MS)
#define MAX_CPUS 8

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

/* What a timer's handler found. */
static volatile sig_atomic_t fired;
static struct times when_fired;

/*
 * A burst of one kind, with nothing of ours beside it, as the process sees it: the time-stamp counter in a loop, which
 * goes on by some ten ns from one look to the next while user code runs, and by far more when that was left.
 */
struct burst {
	double wall;		/* from before the first look at any of these to after the last, ns */
	double inner;		/* between those of getrusage(), which is less */
	double ran;		/* in user code for certain */
	double away;		/* out of it: a tick, or the host had taken the core */
	double waited;		/* of that, while another task of this kernel had the CPU */
	struct times told;	/* by getrusage() */
};

static double run_delay_ns(void)
{
	unsigned long long delay = 0;

	ck_assert_int_eq(sscanf(read_file("/proc/self/schedstat"), "%*u %llu", &delay), 1);
	return delay;
}

static struct burst burst(double ns, bool calls)
{
	struct rusage before, after;
	struct burst b = {};
	double begin;

	stamps_per_ns();
	b.wall = -clock_ns(CLOCK_MONOTONIC);
	b.waited = -run_delay_ns();
	getrusage(RUSAGE_SELF, &before);
	begin = clock_ns(CLOCK_MONOTONIC);
	if (calls)
		while (clock_ns(CLOCK_MONOTONIC) < begin + ns)
			for (int i = 0; i < 1000; i++)
				syscall(SYS_getppid);
	else
		b.ran = spin_until(ns, &fired);
	b.inner = clock_ns(CLOCK_MONOTONIC) - begin;
	getrusage(RUSAGE_SELF, &after);
	b.waited += run_delay_ns();
	b.wall += clock_ns(CLOCK_MONOTONIC);
	b.away = b.wall - b.ran;
	b.told.user = times_of(&after).user - times_of(&before).user;
	b.told.system = times_of(&after).system - times_of(&before).system;
	printf("# %s: wall %.1f ms, in user code %.1f, without the CPU %.1f; utime %.1f, stime %.1f\n",
	       calls ? "calls" : "spins", b.wall / MS, b.ran / MS, b.waited / MS, b.told.user / MS, b.told.system / MS);
	return b;
}

/*
 * utime is the time in user code to a tick: no less, and no more but for what the host has taken away, which is split
 * in the proportion of the rest. On a host at rest that is a few ms of 300.
 */
TEST_LIMIT(user_time_to_a_tick, 40)
{
	for (int i = 0; i < 5; i++) {
		struct burst b = burst(300 * MS, false);

		ck_assert_msg(b.told.user > b.ran - TICK, "time: utime %.1f ms of %.1f in user code", b.told.user / MS, b.ran / MS);
		ck_assert_msg(b.told.user < b.ran + b.away + TICK, "utime %.1f ms of %.1f in user code, and %.1f away",
			      b.told.user / MS, b.ran / MS, b.away / MS);
		ck_assert_msg(b.told.system < b.away + TICK, "time: stime %.1f ms, and %.1f out of user code", b.told.system / MS,
			      b.away / MS);
	}
}

/*
 * utime + stime is the wall clock to a tick, but for the time that another task had this CPU, whichever kind of time
 * it is: who has a CPU has it, whether the host lets it run or not. The host may stop us for longer than a tick between
 * a look at the one and a look at the other, so it is held against a clock that was read inside and one outside.
 */
TEST_LIMIT(sum_to_a_tick, 40)
{
	for (int i = 0; i < 6; i++) {
		struct burst b = burst(200 * MS, i % 2);
		double sum = b.told.user + b.told.system;

		ck_assert_msg(sum > b.inner - b.waited - TICK && sum < b.wall - b.waited + TICK,
			      "utime + stime %.1f ms; the wall clock said %.1f to %.1f, %.1f of them without the CPU", sum / MS,
			      b.inner / MS, b.wall / MS, b.waited / MS);
	}
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

/* A thread's id, and what of its life was user code for certain. */
struct short_life {
	volatile pid_t tid;
	double ran;
};

static void *short_life(void *arg)
{
	struct short_life *life = arg;

	life->tid = syscall(SYS_gettid);
	life->ran = spin_ns(MS / 2);
	return NULL;
}

/* User time of one that is gone: what this process has, but for its one thread that is left. */
static double utime_of(struct short_life *life)
{
	double before = my_times(RUSAGE_SELF).user - my_times(RUSAGE_THREAD).user;
	pthread_t thread;

	/* nobody waits for it who would be woken at its end, and switched to: that tells what it has used, too */
	life->tid = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, short_life, life), 0);
	ck_assert_int_eq(pthread_detach(thread), 0);
	do
		usleep(2000);
	while (!life->tid || syscall(SYS_tgkill, getpid(), life->tid, 0) == 0);
	return my_times(RUSAGE_SELF).user - my_times(RUSAGE_THREAD).user - before;
}

/*
 * A thread that is gone has left its process what it used, though no tick has seen it: half a millisecond. For each
 * the host's own work for its stays is taken off, some us; in ptrace mode the host may take off what was taken from itself
 * (steal), so that one in twenty may be told less than half.
 */
TEST_LIMIT(threads_that_exited, 60)
{
	double ran = 0, user = 0, told;
	struct short_life life;
	int n = 300, lost = 0;

	stamps_per_ns();
	for (int i = 0; i < n; i++) {
		told = utime_of(&life);
		lost += told < life.ran / 2;
		ran += life.ran;
		user += told;
	}
	printf("# threads: utime %.1f ms, in user code %.1f; %d told less than half\n", user / MS, ran / MS, lost);
	ck_assert_msg(lost <= n / 20, "time: %d of %d threads were told less than half of their user code", lost, n);
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
 * Not a nanosecond before its 100 ms: the timer is compared with the time that getrusage() tells, and that was
 * read before it was set. And two ticks later at the latest: one Linux adds to what is asked for (set_cpu_itimer()), and in
 * each tick it looks, at the stay that this ends as well. The timer before has fired in a tick; set right after it, this one would be
 * two ticks late exactly, so each begins a millisecond later than the one before it. A host that is busy delays ticks, and takes time that is
 * split, so that this is said of the best of eight.
 */
TEST_LIMIT(itimer_virtual, 60)
{
	double best = 1e18;

	stamps_per_ns();
	for (int i = 0; i < 8; i++) {
		double began, ran, away, late;
		struct times before;

		fired = 0;
		spin_ns(i * MS);
		before = set_timer(ITIMER_VIRTUAL, SIGVTALRM, 100);
		began = clock_ns(CLOCK_MONOTONIC);
		ran = spin_until(3000 * MS, &fired);
		away = clock_ns(CLOCK_MONOTONIC) - began - ran;
		ck_assert_msg(fired, "time: ITIMER_VIRTUAL of 100 ms has not fired after 3 s");
		late = when_fired.user - before.user - 100 * MS;
		printf("# ITIMER_VIRTUAL: late by %.1f ms, out of user code %.1f ms\n", late / MS, away / MS);
		ck_assert_double_ge(late, 0);
		ck_assert_int_eq(fired, 1);
		best = fmin(best, late);
	}
	ck_assert_double_le(best, 2 * TICK);
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
	cpu_set_t one;
	pid_t pid;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	pid = start(spin_for_ever, NULL);
	for (int i = 0; i < 1000; i++)
		usleep(300);
	make_zombie(pid);
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
