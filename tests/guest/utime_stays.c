// SPDX-License-Identifier: GPL-2.0-only
/*
 * utime_stays: what is told of short stays in user code is the user code, not what the host needs for them.
 * (jobs 1 2 4 1p 4@debug 1p@debug 1@vanilla)
 *
 * What the host takes away is split (arch/um/kernel/vtime.c), and of a stay that is much shorter than a slice of the host's that is
 * by far the most: so all of this is said of the best of many bursts.
 *
 * On the vanilla flavour utime is always 0; what fails there for that reason has
 * a message that starts with "time:".
 */
#include "lib-cpu.h"

#include <math.h>
#include <sys/mman.h>
#include <sys/syscall.h>

WITHOUT_CONTAINERS

/* What has been used when nothing is left to be handed on: a switch of tasks does that, and who sleeps for less may not be switched away. */
static double utime_to_now(void)
{
	usleep(500);
	return my_times(RUSAGE_SELF).user;
}

/* Some short stays. */
struct burst {
	double wall;	/* ns */
	double ran;	/* in user code for certain */
	double told;	/* as user time, by getrusage() */
};

#define PAGES 80

/* These many pages, each of which the host has to map by a call of its own: none lies after the one before it. */
static char *scattered_pages(void)
{
	char *pages = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(pages, MAP_FAILED);
	for (int i = PAGES - 1; i >= 0; i--)
		pages[i * 4096] = 1;
	return pages;
}

/* Ten stays, each of which makes 80 mappings, or none, and computes for 20 us. */
static struct burst map_and_spin(char *pages, bool maps)
{
	double before = utime_to_now();
	struct burst b = { .wall = -clock_ns(CLOCK_MONOTONIC) };

	for (int i = 0; i < 10; i++) {
		/* written to they are from the start */
		if (mprotect(pages, PAGES * 4096, i % 2 || !maps ? PROT_READ | PROT_WRITE : PROT_READ))
			ck_abort_msg("mprotect: %s", error_name(errno));
		b.ran += spin_ns(MS / 50);
	}
	b.wall += clock_ns(CLOCK_MONOTONIC);
	b.told = utime_to_now() - before;
	return b;
}

/* The one of both that was told its user code more exactly. */
static struct burst better_of(struct burst a, struct burst b)
{
	return fabs(a.told - a.ran) < fabs(b.told - b.ran) ? a : b;
}

/*
 * The mappings that the stub makes before it enters user code are no user time. On a busy host with several CPUs each stay may wait
 * for the core of the stub, which is user time mostly, as it computes (arch/um/kernel/vtime.c): so what is compared with is the best of
 * bursts that map nothing, in turns with them.
 * And of all together, that what was user code is told.
 */
TEST_LIMIT(mappings_are_system_time, 60)
{
	struct burst best = { .told = 1e18 }, without = best, all = {}, b;
	char *pages = scattered_pages();

	stamps_per_ns();
	for (int i = 0; i < 200; i++) {
		without = better_of(without, map_and_spin(pages, false));
		b = map_and_spin(pages, true);
		all.ran += b.ran;
		all.told += b.told;
		best = better_of(best, b);
	}
	printf("# mappings: at best utime %.0f us for %.0f us in user code, of %.0f us; without: %.0f, %.0f, %.0f\n", best.told / 1e3,
	       best.ran / 1e3, best.wall / 1e3, without.told / 1e3, without.ran / 1e3, without.wall / 1e3);
	ck_assert_msg(all.told > all.ran / 2, "time: utime %.1f ms of %.1f in user code", all.told / MS, all.ran / MS);
	/* as user time they would be all of what the bursts take longer, but for waits */
	ck_assert_msg((best.told - best.ran) - (without.told - without.ran) < (best.wall - without.wall) / 2,
		      "at best utime %.0f us for %.0f us in user code, of %.0f us; without mappings %.0f, %.0f, %.0f",
		      best.told / 1e3, best.ran / 1e3, best.wall / 1e3,
		      without.told / 1e3, without.ran / 1e3, without.wall / 1e3);
}

/* @n stays, each of which computes for @ns and makes a system call. */
static struct burst short_stays(int n, double ns)
{
	double before = utime_to_now();
	struct burst b = { .wall = -clock_ns(CLOCK_MONOTONIC) };

	for (int i = 0; i < n; i++) {
		b.ran += spin_ns(ns);
		syscall(SYS_getppid);
	}
	b.wall += clock_ns(CLOCK_MONOTONIC);
	b.told = utime_to_now() - before;
	return b;
}

/*
 * A system call costs twenty times as much when the host runs stub and CPU on two cores that sleep in turns. That is
 * system time, also next to user code that is much shorter.
 */
TEST_LIMIT(switches_to_another_core_are_system_time, 60)
{
	static const double us[] = { 10, 40, 160 };

	stamps_per_ns();
	for (int i = 0; i < 3; i++) {
		struct burst best = { .told = 1e18 }, all = {}, b;

		for (int j = 0; j < 200; j++) {
			b = short_stays(20, us[i] * 1e3);
			all.ran += b.ran;
			all.told += b.told;
			best = better_of(best, b);
		}
		printf("# stays of %.0f us: at best utime %.0f us for %.0f us in user code, of %.0f us; of all %.2f\n", us[i],
		       best.told / 1e3, best.ran / 1e3, best.wall / 1e3, all.told / all.ran);
		ck_assert_msg(all.told > all.ran / 2, "time: utime %.1f ms of %.1f in user code", all.told / MS,
			      all.ran / MS);
		ck_assert_msg(best.told < 1.5 * best.ran, "at best utime %.0f us for %.0f us in user code, of %.0f us",
			      best.told / 1e3, best.ran / 1e3, best.wall / 1e3);
	}
}
