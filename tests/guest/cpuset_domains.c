// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuset: exclusive sets are scheduler domains. (jobs 4 4@debug)
 *
 * Which domains there are is read in /proc/schedstat, and from what the load
 * balancer does. The domains are rebuilt by a worker: that is waited for.
 */
#include "lib-cpuset.h"

#define CPU(n) (1u << (n))
/* Until the worker has rebuilt the domains. */
#define SOON 10

/* The CPUs with which CPU is in its widest domain; itself alone where there is none. */
static unsigned int domain(int cpu)
{
	char *text = read_file("/proc/schedstat"), *p = text, *line;
	unsigned int span = CPU(cpu), mask;
	int at_cpu = -1;

	while ((line = strsep(&p, "\n"))) {
		if (!strncmp(line, "cpu", 3))
			at_cpu = atoi(line + 3);
		else if (at_cpu == cpu && sscanf(line, "domain%*d %*s %x", &mask) == 1)
			span |= mask;
	}
	free(text);
	return span;
}

static bool domains_are(unsigned int c0, unsigned int c1, unsigned int c2, unsigned int c3)
{
	return domain(0) == c0 && domain(1) == c1 && domain(2) == c2 && domain(3) == c3;
}

static int set_exclusive(const char *container, int value)
{
	return write_u64(at(container, "cpuset.cpu_exclusive"), value);
}

TEST(an_exclusive_set_is_a_domain)
{
	char *root = mount_hierarchy("cpuset"), *a = at(root, "a"), *b = at(root, "b");
	char *c = at(root, "a/c");
	unsigned int all = all_cpus(), high = CPU(2) | CPU(3), low = CPU(0) | CPU(1);

	ck_assert_int_eq(nr_cpus(), 4);
	eventually(domains_are(all, all, all, all), SOON);
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	expect(set_cpus(a, high), 0);
	expect(set_exclusive(a, 1), 0);
	eventually(domains_are(low, low, high, high), SOON);
	/* below it: one more, and what is left of its parent */
	expect(set_cpus(c, CPU(3)), 0);
	expect(set_exclusive(c, 1), 0);
	eventually(domains_are(low, low, CPU(2), CPU(3)), SOON);
	/* one beside it */
	expect(set_cpus(b, CPU(0)), 0);
	expect(set_exclusive(b, 1), 0);
	eventually(domains_are(CPU(0), CPU(1), CPU(2), CPU(3)), SOON);
	/* cpus of an exclusive set */
	expect(set_cpus(b, low), 0);
	eventually(domains_are(low, low, CPU(2), CPU(3)), SOON);
	expect(set_exclusive(c, 0), 0);
	eventually(domains_are(low, low, high, high), SOON);
	/* the whole of a parent */
	expect(set_cpus(c, high), 0);
	expect(set_exclusive(c, 1), 0);
	eventually(domains_are(low, low, high, high), SOON);
	expect(remove_dir(c), 0);
	expect(set_exclusive(b, 0), 0);
	expect(remove_dir(a), 0);
	/* with rmdir a domain ends, too */
	eventually(domains_are(all, all, all, all), SOON);
	expect(remove_dir(b), 0);
}

/* Where both have been, in this many hundredths of a second. */
static unsigned int seen_of(struct loop *one, struct loop *two, int looks)
{
	wait_for_rounds(one);
	wait_for_rounds(two);
	atomic_store(&one->seen, 0);
	atomic_store(&two->seen, 0);
	for (int i = 0; i < looks; i++)
		usleep(10000);
	return atomic_load(&one->seen) | atomic_load(&two->seen);
}

/*
 * Two loops that may run on CPUs 1 and 2 start on CPU 1. Without a border between
 * the two CPUs the balancer takes one over within some ticks; with one it never does.
 */
TEST(load_is_balanced_inside_only)
{
	char *root = mount_hierarchy("cpuset"), *a = at(root, "a");
	struct loop *one, *two;

	expect(make_dir(a), 0);
	expect(set_cpus(a, CPU(2) | CPU(3)), 0);
	expect(set_exclusive(a, 1), 0);
	eventually(domain(1) == (CPU(0) | CPU(1)), SOON);
	/* the root's tasks may run on both sides of the border */
	one = loop_in(root);
	two = loop_in(root);
	expect(set_affinity(one->pid, CPU(1)), 0);
	expect(set_affinity(two->pid, CPU(1)), 0);
	expect(set_affinity(one->pid, CPU(1) | CPU(2)), 0);
	expect(set_affinity(two->pid, CPU(1) | CPU(2)), 0);
	ck_assert_uint_eq(seen_of(one, two, 100), CPU(1));
	/* without the border one goes over */
	expect(set_exclusive(a, 0), 0);
	eventually(seen_of(one, two, 5) == (CPU(1) | CPU(2)), 10);
	loop_end(one);
	loop_end(two);
	/* and inside of a domain as ever */
	expect(set_exclusive(a, 1), 0);
	eventually(domain(2) == (CPU(2) | CPU(3)), SOON);
	one = loop_in(a);
	two = loop_in(a);
	expect(set_cpus(a, CPU(2)), 0);
	expect(set_cpus(a, CPU(2) | CPU(3)), 0);
	eventually(seen_of(one, two, 5) == (CPU(2) | CPU(3)), 10);
	loop_end(one);
	loop_end(two);
	expect(remove_dir(a), 0);
	eventually(domain(0) == all_cpus(), SOON);
}
