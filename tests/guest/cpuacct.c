// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuacct against Linux's own counters: CLOCK_PROCESS_CPUTIME_ID, /proc/PID/schedstat,
 * /proc/PID/stat.
 *
 * Tolerance: a slice that is running is charged when the scheduler next looks
 * at it (a tick, 10 ms at 100 Hz), to the container the task is in by then. So
 * each entry, move and reading may shift one tick; two are allowed, and 2 %.
 */
#include "lib.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#define MS 1e6
#define TICK (10 * MS)

/* Both in nanoseconds. */
#define near(got, wanted)							\
	do {									\
		double g_ = (got), w_ = (wanted), slack_ = 2 * TICK * lib_slow + 0.02 * w_;	\
		ck_assert_msg(fabs(g_ - w_) <= slack_, "%s: got %.1f ms, wanted %.1f +- %.1f ms (%s)",	\
			      #got, g_ / MS, w_ / MS, slack_ / MS, #wanted);		\
	} while (0)

/* What a child says of itself, in shared memory. */
struct burner {
	unsigned int ms;
	volatile double used;		/* ns since it was put into the container */
	volatile bool done;
	volatile bool quit;
};

static double process_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void burn_and_report(void *arg)
{
	struct burner *b = arg;
	double before = process_ns();

	burn_ms(b->ms);
	b->used = process_ns() - before;
	b->done = true;
	while (!b->quit)
		usleep(20000);
}

static struct burner *new_burner(unsigned int ms)
{
	struct burner *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				-1, 0);

	ck_assert_ptr_ne(b, MAP_FAILED);
	b->ms = ms;
	return b;
}

/* Burn MS in CONTAINER in a child that is gone afterwards; what it used. */
static double burn_in(const char *container, unsigned int ms)
{
	struct burner *b = new_burner(ms);

	b->quit = true;
	finish(start_in(container, burn_and_report, b));
	return b->used;
}

static uint64_t usage(const char *container)
{
	return read_u64(at(container, "cpuacct.usage"));
}

static uint64_t usage_self(const char *container)
{
	return read_u64(at(container, "cpuacct.usage_self"));
}

/* First number of /proc/PID/schedstat: nanoseconds on a CPU. */
static double schedstat_ns(pid_t pid)
{
	return strtoull(read_file(at("/proc", "%d/schedstat", pid)), NULL, 10);
}

/*
 * A busy loop over one complete interval. The intervals of `load` are ten
 * seconds of the kernel's uptime each, so the test waits for the next one.
 */
TEST_LIMIT(load_is_percent_of_the_last_interval, 60)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	struct burner *spin = new_burner(60000);
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	ck_assert_uint_eq(read_u64(at(a, "cpuacct.load")), 0);
	while (fmod(now(), 10) < 9.7)
		usleep(20000);
	pid = start_in(a, burn_and_report, spin);
	usleep(11000000);
	/*
	 * The loop shares the CPU with what this kernel does itself and starts
	 * before the interval: 90 leaves a second for that. Above 101 it would
	 * have run on more than the one CPU.
	 */
	ck_assert_uint_ge(read_u64(at(a, "cpuacct.load")), 90);
	ck_assert_uint_le(read_u64(at(a, "cpuacct.load")), 101);
	ck_assert_uint_eq(read_u64(at(b, "cpuacct.load")), 0);
	ck_assert_uint_ge(read_u64(at(root, "cpuacct.load")), read_u64(at(a, "cpuacct.load")));
	stop(pid);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(usage_is_the_processes_cpu_time)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	double used;

	expect(make_dir(a), 0);
	ck_assert_uint_eq(usage(a), 0);
	used = burn_in(a, 300);
	near(usage(a), used);
	near(usage_self(a), used);
	used += burn_in(a, 200);
	near(usage(a), used);
	expect(remove_dir(a), 0);
}

TEST(usage_agrees_with_schedstat)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	struct burner *b = new_burner(300);
	pid_t pid;

	expect(make_dir(a), 0);
	pid = start_in(a, burn_and_report, b);
	eventually(b->done, 15);
	near(usage(a), schedstat_ns(pid));
	b->quit = true;
	finish(pid);
	expect(remove_dir(a), 0);
}

TEST(usage_grows_while_a_task_runs)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	uint64_t last = 0, next;
	pid_t pid;

	expect(make_dir(a), 0);
	pid = start_in(a, burn_and_report, new_burner(60000));
	for (int i = 0; i < 5; i++, last = next) {
		usleep(50000 * lib_slow);
		next = usage(a);
		ck_assert_uint_gt(next, last);
	}
	stop(pid);
	expect(remove_dir(a), 0);
}

TEST(time_stays_where_it_was_burnt)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	struct burner *first = new_burner(200);
	double in_a;
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	pid = start_in(a, burn_and_report, first);
	eventually(first->done, 15);
	in_a = first->used;
	near(usage(a), in_a);
	expect(move_to(b, pid), 0);
	near(usage(a), in_a);
	near(usage(b), 0);
	first->quit = true;
	finish(pid);
	near(usage(a), in_a);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(a_moved_task_charges_its_new_place)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	double before, used;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	enter(a);
	burn_ms(100);
	enter(b);
	before = process_ns();
	burn_ms(200);
	used = process_ns() - before;
	enter(root);
	near(usage(b), used);
	near(usage(a), 100 * MS);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(usage_counts_descendants)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(a, "b"), *c = at(b, "c");
	double in_a, in_b, in_c;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	in_a = burn_in(a, 100);
	in_b = burn_in(b, 150);
	in_c = burn_in(c, 200);
	near(usage_self(a), in_a);
	near(usage_self(b), in_b);
	near(usage_self(c), in_c);
	near(usage(c), in_c);
	near(usage(b), in_b + in_c);
	near(usage(a), in_a + in_b + in_c);
	ck_assert_uint_eq(usage(a), usage_self(a) + usage_self(b) + usage_self(c));
	ck_assert_uint_ge(usage(root), usage(a));
	expect(remove_dir(c), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

TEST(a_removed_childs_time_counts_on)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(a, "b"), *c = at(b, "c");
	uint64_t in_a, self, user_system;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	burn_in(b, 100);
	burn_in(c, 100);
	in_a = usage(a);
	self = usage_self(a);
	user_system = read_field(at(a, "cpuacct.stat"), "user") +
		      read_field(at(a, "cpuacct.stat"), "system");
	near(in_a, 200 * MS);
	expect(remove_dir(c), 0);
	ck_assert_uint_eq(usage(a), in_a);
	expect(remove_dir(b), 0);
	ck_assert_uint_eq(usage(a), in_a);
	ck_assert_uint_eq(usage_self(a), self);
	ck_assert_uint_eq(read_field(at(a, "cpuacct.stat"), "user") +
			  read_field(at(a, "cpuacct.stat"), "system"), user_system);
	/* a new one of the old name starts from nothing */
	expect(make_dir(b), 0);
	ck_assert_uint_eq(usage(b), 0);
	ck_assert_uint_eq(usage(a), in_a);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

TEST(zero_resets_the_subtree)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(a, "b"), *c = at(a, "c");
	uint64_t above;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	burn_in(a, 50);
	burn_in(b, 50);
	burn_in(c, 50);
	expect(remove_dir(c), 0);
	above = usage_self(root);
	expect(write_file(at(a, "cpuacct.usage"), "0\n"), 0);
	ck_assert_uint_eq(usage(a), 0);
	ck_assert_uint_eq(usage_self(a), 0);
	ck_assert_uint_eq(usage(b), 0);
	ck_assert_uint_eq(read_field(at(a, "cpuacct.stat"), "user"), 0);
	ck_assert_uint_eq(read_field(at(a, "cpuacct.stat"), "system"), 0);
	ck_assert_uint_ge(usage_self(root), above);
	near(burn_in(b, 100), usage(a));
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

TEST(only_zero_can_be_written)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *file = at(a, "cpuacct.usage");
	uint64_t had;

	expect(make_dir(a), 0);
	burn_in(a, 50);
	had = usage(a);
	ck_assert_uint_gt(had, 0);
	expect(write_file(file, "1"), EINVAL);
	expect(write_file(file, "none"), EINVAL);
	expect(write_file(file, "-1"), EINVAL);
	expect(write_file(file, "\n"), EINVAL);
	expect(write_file(file, "0 0"), EINVAL);
	expect(write_file(file, "18446744073709551616"), ERANGE);
	expect(write_file(at(a, "cpuacct.usage_self"), "0"), EACCES);
	ck_assert_uint_eq(usage(a), had);
	expect(remove_dir(a), 0);
}

/* Ticks of this machine that were not idle, in nanoseconds. */
static double busy_ticks_ns(void)
{
	unsigned long user, nice, system, irq, softirq;

	ck_assert_int_eq(sscanf(read_file("/proc/stat"), "cpu %lu %lu %lu %*u %*u %lu %lu", &user,
				&nice, &system, &irq, &softirq), 5);
	return (user + nice + system + irq + softirq) * TICK;
}

/*
 * user and system are counted by what each tick finds, as /proc/stat's are, so
 * that is what they are held against: the host delays and drops ticks while it
 * is busy, and then both miss them. What else ran here meanwhile is allowed a
 * tenth and three ticks.
 */
TEST(stat_agrees_with_proc_stat)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *file = at(a, "cpuacct.stat");
	double before, got, wanted;

	expect(make_dir(a), 0);
	before = busy_ticks_ns();
	burn_in(a, 500);
	wanted = busy_ticks_ns() - before;
	got = read_field(file, "user") + read_field(file, "system");
	ck_assert_msg(got <= wanted && got >= 0.9 * wanted - 3 * TICK,
		      "user + system: got %.0f ms, wanted about %.0f of /proc/stat", got / MS, wanted / MS);
	ck_assert_msg(got > 0, "no tick in half a second");
	expect(remove_dir(a), 0);
}

TEST(usage_percpu_adds_up)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *text, *end;
	uint64_t sum = 0;
	int n = 0;

	expect(make_dir(a), 0);
	burn_in(a, 50);
	for (text = read_file(at(a, "cpuacct.usage_percpu")); *text != '\n'; text = end, n++)
		sum += strtoull(text, &end, 10);
	ck_assert_int_ge(n, sysconf(_SC_NPROCESSORS_CONF));
	ck_assert_uint_eq(sum, usage(a));
	expect(remove_dir(a), 0);
}

static void *burn_in_thread(void *container)
{
	expect(write_file(at(container, "tasks"), "0"), 0);
	burn_ms(150);
	return NULL;
}

TEST(threads_of_a_process_are_told_apart)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	pthread_t one, two;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	pthread_create(&one, NULL, burn_in_thread, a);
	pthread_create(&two, NULL, burn_in_thread, b);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	near(usage(a), 150 * MS);
	near(usage(b), 150 * MS);
	eventually(!remove_dir(a), 5);
	eventually(!remove_dir(b), 5);
}

TEST(a_sleeper_uses_nothing)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	uint64_t at_first;
	pid_t pid;

	expect(make_dir(a), 0);
	pid = sleeper_in(a);
	usleep(50000);
	at_first = usage(a);
	usleep(300000);
	ck_assert_uint_eq(usage(a), at_first);
	stop(pid);
	expect(remove_dir(a), 0);
}

TEST(unbound_time_is_the_roots)
{
	char *root, *a;
	uint64_t in_root;

	burn_ms(100);
	root = mount_hierarchy("cpuacct");
	a = at(root, "a");
	/* the root state counts from boot, whoever mounts it */
	in_root = usage(root);
	ck_assert_uint_ge(in_root, 90 * MS);
	expect(make_dir(a), 0);
	burn_in(a, 100);
	ck_assert_uint_ge(usage(root), in_root + 90 * MS);
	expect(remove_dir(a), 0);
	expect(unmount(root), 0);
	root = mount_hierarchy("cpuacct");
	ck_assert_uint_ge(usage(root), in_root + 90 * MS);
}
