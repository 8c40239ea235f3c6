// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpu: CPU time by shares on several CPUs. Each divides its own time, by what the scheduler has of each container's
 * weight there: as many times the weight as the container has tasks that run, at most the CPUs, spread
 * over those where they run. That number is an average, rounded down, and at least one: of four tasks that
 * never sleep it is three. (jobs 4 4@debug)
 */
#include "spinners.h"

#define CPUS 4

static char *root, *a, *b;
static struct spinners in_a, in_b;

static const int one_on_each[CPUS] = { 1, 1, 1, 1 }, one_on_one[CPUS] = { 1 }, three_on_one[CPUS] = { 3 };

/* How many of each on each CPU. */
static void start_spinners(const int *of_a, const int *of_b)
{
	root = mount_hierarchy("cpu");
	a = at(root, "a");
	b = at(root, "b");
	expect(make_dir(a) | make_dir(b), 0);
	for (int cpu = 0; cpu < CPUS; cpu++) {
		for (int i = 0; i < of_a[cpu]; i++)
			add_spinner_on(&in_a, a, cpu);
		for (int i = 0; i < of_b[cpu]; i++)
			add_spinner_on(&in_b, b, cpu);
	}
}

static void stop_spinners(void)
{
	stop_all(&in_a);
	stop_all(&in_b);
	expect(remove_dir(a) | remove_dir(b), 0);
}

static struct spinners one_of(const struct spinners *s, int i)
{
	return (struct spinners){ .nr = 1, .pid = { s->pid[i] } };
}

/* Three times as much, there and together; and when that is changed. */
TEST_FOR(shares_hold_on_each_cpu, 130, CPUS, 1)
{
	start_spinners(one_on_each, one_on_each);
	expect(set_shares(a, "min_shares=12") | set_shares(b, "min_shares=4"), 0);
	for (int cpu = 0; cpu < CPUS; cpu++) {
		struct spinners one_a = one_of(&in_a, cpu), one_b = one_of(&in_b, cpu);

		gets(&one_a, &one_b, 3);
	}
	gets(&in_a, &in_b, 3);
	expect(set_shares(b, "min_shares=24"), 0);
	gets(&in_b, &in_a, 2);
	stop_spinners();
}

/* b's being on the other CPUs, too, takes a quarter from it here; not three, as were it spread over them. */
TEST_FOR(who_is_on_more_cpus_has_nearly_as_much_on_each, 130, CPUS, 1)
{
	struct spinners beside;

	start_spinners(one_on_one, one_on_each);
	beside = one_of(&in_b, 0);
	gets(&in_a, &beside, 4.0 / 3);
	expect(set_shares(a, "min_shares=2"), 0);
	gets(&in_a, &beside, 8.0 / 3);
	stop_spinners();
}

/* With one CPU it would be as much: the scheduler counts what could run elsewhere, and does not ask whether it may. */
TEST_FOR(who_is_bound_to_one_cpu_counts_there, 70, CPUS, 1)
{
	start_spinners(three_on_one, one_on_one);
	gets(&in_a, &in_b, 2);
	stop_spinners();
}
