/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the suites of cpu: processes that spin, each bound to a CPU, and what they get of it.
 *
 * What two of them get is compared from a time when both have run. The scheduler goes by its own
 * counts: who has had too much, be it that the host was away in its slice, waits the longer
 * afterwards. So what is wrong with a proportion does not grow, and the proportion comes as near
 * as one likes; it is waited for. The bounds are far from what other rules would give.
 */
#ifndef TESTS_GUEST_SPINNERS_H
#define TESTS_GUEST_SPINNERS_H

#include "lib-cpu.h"

#include <sched.h>

/* All wanted proportions are of at most this; what is within a fifth of one is right. */
#define NEAR(x, wanted) ((x) > (wanted) * 0.8 && (x) < (wanted) * 1.25)

/* Processes that spin, and what each had when it was last looked at. */
struct spinners {
	int nr;
	pid_t pid[8];
	uint64_t before[8];
};

static int set_shares(const char *container, const char *text)
{
	return write_file(at(container, "cpu.shares"), text);
}

static uint64_t ran(pid_t pid)
{
	return schedstat_ns(at(".", "%d", pid));
}

static void spin_on(void *cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(*(int *)cpu, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
	spin_for_ever(NULL);
}

static void add_spinner_on(struct spinners *s, const char *container, int cpu)
{
	s->pid[s->nr++] = start_in(container, spin_on, &cpu);
}

static void add_spinners(struct spinners *s, const char *container, int nr)
{
	while (nr--)
		add_spinner_on(s, container, 0);
}

static inline struct spinners spinners_in(const char *container, int nr)
{
	struct spinners s = { .nr = 0 };

	add_spinners(&s, container, nr);
	return s;
}

static void stop_all(struct spinners *s)
{
	while (s->nr)
		stop(s->pid[--s->nr]);
}

static uint64_t ran_since(struct spinners *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < s->nr; i++)
		sum += ran(s->pid[i]) - s->before[i];
	return sum;
}

static void look(struct spinners *s)
{
	for (int i = 0; i < s->nr; i++)
		s->before[i] = ran(s->pid[i]);
}

/* Each has run since the last look: its weight is that of the present, not one of when others were not there. */
static bool have_run(struct spinners *s)
{
	for (int i = 0; i < s->nr; i++)
		if (ran(s->pid[i]) - s->before[i] < 20 * MS)
			return false;
	return true;
}

/* What A gets of what B gets, in at least a second of both: 100 ticks. */
static double part(struct spinners *a, struct spinners *b)
{
	uint64_t of_a = ran_since(a), of_b = ran_since(b);

	return of_a + of_b < 1000 * MS || !of_b ? -1 : (double)of_a / of_b;
}

/* Both, from now on, so that the time of starting, moving and writing does not count. */
static void begin(struct spinners *a, struct spinners *b)
{
	look(a);
	look(b);
	eventually(have_run(a) && have_run(b), 20);
	look(a);
	look(b);
}

static void gets(struct spinners *a, struct spinners *b, double wanted)
{
	double got = -1, end;

	begin(a, b);
	end = now() + 20 * lib_slow;
	do {
		ck_assert_msg(now() < end, "got %g times as much, wanted %g", got, wanted);
		usleep(100000);
		got = part(a, b);
	} while (!NEAR(got, wanted));
	printf("# %g times as much, wanted %g\n", got, wanted);
}

#endif /* TESTS_GUEST_SPINNERS_H */
