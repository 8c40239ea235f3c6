// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuacct.stat: user time and system time of a container, against what Linux tells of its processes and of the
 * machine. (jobs 1 4 1p 4@debug 1p@debug)
 */
#include "lib-cpu.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void burn(void *ms)
{
	burn_ms(*(unsigned int *)ms);
}

static uint64_t usage(const char *container)
{
	return read_u64(at(container, "cpuacct.usage"));
}

/* Time of this machine that was not idle, in nanoseconds: five numbers, each cut to ticks. */
static double busy_ns(void)
{
	unsigned long user, nice, system, irq, softirq;

	ck_assert_int_eq(sscanf(read_file("/proc/stat"), "cpu %lu %lu %lu %*u %*u %lu %lu", &user,
				&nice, &system, &irq, &softirq), 5);
	return (user + nice + system + irq + softirq) * TICK;
}

static double user_and_system(const char *container)
{
	const char *file = at(container, "cpuacct.stat");

	return read_field(file, "user") + read_field(file, "system");
}

/*
 * What a container is told as user or system time the machine is told in the same
 * breath, so /proc/stat grows by no less. Each of its five numbers may have lost
 * a tick to cutting at the second reading, and none more at the first. It may
 * grow by far more: others ran too. From below stat is held against usage, of which
 * it lacks what a task had used since the last tick when it came or went: a time
 * slice of the host at worst, where half of 500 ms is allowed.
 */
TEST(stat_agrees_with_proc_stat)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	double before, got, wanted;
	unsigned int ms = 500;

	expect(make_dir(a), 0);
	before = busy_ns();
	finish(start_in(a, burn, &ms));
	got = user_and_system(a);
	wanted = busy_ns() - before;
	ck_assert_msg(got < wanted + 5 * TICK, "user + system: %.1f ms, all CPUs by /proc/stat: %.0f ms",
		      got / MS, wanted / MS);
	ck_assert_msg(got > usage(a) / 2, "user + system: %.1f ms, usage %.1f ms", got / MS, usage(a) / MS);
	expect(remove_dir(a), 0);
}

/* A child that computes, and one that does nothing but system calls; utime.c has more of the kind. */
TEST(stat_tells_user_from_system)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	pid_t spins, calls;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	spins = start_in(a, spin_for_ever, NULL);
	calls = start_in(b, call_for_ever, NULL);
	eventually(usage(a) >= 200 * MS && usage(b) >= 200 * MS, 15);
	stop(spins);
	stop(calls);
	ck_assert_uint_gt(read_field(at(a, "cpuacct.stat"), "user"),
			  read_field(at(a, "cpuacct.stat"), "system"));
	ck_assert_uint_gt(read_field(at(b, "cpuacct.stat"), "system"),
			  read_field(at(b, "cpuacct.stat"), "user"));
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

static void expect_to_a_tick(const char *container, const char *field, double wanted)
{
	double got = read_field(at(container, "cpuacct.stat"), field);

	ck_assert_msg(got > wanted - TICK && got < wanted + TICK, "cpuacct.stat: %s %.1f ms, getrusage() %.1f ms", field,
		      got / MS, wanted / MS);
}

/* What a child had used when it was in the container. */
static struct rusage *born;
static void (*body)(void *);

static void from_now_on(void *unused)
{
	getrusage(RUSAGE_SELF, born);
	body(unused);
}

static void expect_what_was_waited_for(void (*fn)(void *))
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	struct rusage used;
	int status;
	pid_t pid;

	expect(make_dir(a), 0);
	born = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(born, MAP_FAILED);
	body = fn;
	pid = start_in(a, from_now_on, NULL);
	eventually(usage(a) >= 200 * MS, 15);
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(wait4(pid, &status, 0, &used), pid);
	expect_to_a_tick(a, "user", times_of(&used).user - times_of(born).user);
	expect_to_a_tick(a, "system", times_of(&used).system - times_of(born).system);
	expect(remove_dir(a), 0);
}

TEST(stat_is_what_wait4_tells_of_user_code)
{
	expect_what_was_waited_for(spin_for_ever);
}

TEST(stat_is_what_wait4_tells_of_system_calls)
{
	expect_what_was_waited_for(call_for_ever);
}

/* A child's life: what of it was user code for certain, in ns, and in which container. */
struct short_life {
	double ran;
	const char *container;
};

static void spin_in(void *arg)
{
	struct short_life *life = arg;

	enter(life->container);
	for (life->ran = 0; life->ran < MS / 2;)
		life->ran += spin_ns(MS / 2 - life->ran);
}

/*
 * What a task has used is its container's, though it exits before a tick has seen it: half a millisecond in user code. A
 * switch while it lives would tell it, too, and so would a wake-up of somebody: so nobody waits for it but by wait4(2), and this
 * is said of many; in ptrace mode the host may take off what was taken from itself (steal), so that one in twenty may be told
 * less than half.
 */
TEST_LIMIT(exits_take_no_time_along, 60)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	struct short_life *life = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	double user, used;
	int n = 200, lost_user = 0, lost_usage = 0;

	ck_assert_ptr_ne(life, MAP_FAILED);
	/* not in each child */
	stamps_per_ns();
	life->container = a;
	expect(make_dir(a), 0);
	for (int i = 0; i < n; i++) {
		user = read_field(at(a, "cpuacct.stat"), "user");
		used = usage(a);
		finish(start(spin_in, life));
		lost_user += read_field(at(a, "cpuacct.stat"), "user") - user < life->ran / 2;
		lost_usage += usage(a) - used < life->ran / 2;
	}
	printf("# of %d children %d were told less than half of their user code in stat, %d in usage\n", n, lost_user, lost_usage);
	ck_assert_int_le(lost_user, n / 20);
	ck_assert_int_le(lost_usage, n / 20);
	expect(remove_dir(a), 0);
}
