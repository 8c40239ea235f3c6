// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuacct against Linux's own counters: /proc/PID/schedstat, /proc/stat.
 *
 * A slice that is running is charged when the scheduler next looks at it, to the
 * container the task is in by then; on a busy host a tick can be late by as much as the
 * host likes. So processes are looked at while they are asleep: all their slices are
 * charged then, and what schedstat says is exactly what the container was charged.
 */
#include "lib-cpu.h"

#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* A child that burns time when told to, and is asleep otherwise. */
struct burner {
	pid_t pid;
	int wire[2];		/* the parent's end, the child's */
};

static void burn_when_told(void *arg)
{
	struct burner *b = arg;
	unsigned int ms;

	while (read(b->wire[1], &ms, sizeof(ms)) == sizeof(ms) && ms) {
		burn_ms(ms);
		ck_assert_int_eq(write(b->wire[1], "", 1), 1);
	}
}

/* Of a burner that is asleep: this kernel has one CPU, so it is off it when its state says so. */
static uint64_t ran(struct burner *b)
{
	char *stat = at("/proc", "%d/stat", b->pid);

	eventually(strstr(read_file(stat), ") S "), 15);
	return schedstat_ns(at(".", "%d", b->pid));
}

static struct burner *burner_in(const char *container)
{
	struct burner *b = calloc(1, sizeof(*b));

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, b->wire), 0);
	b->pid = start_in(container, burn_when_told, b);
	ran(b);
	return b;
}

/* MS of it; the nanoseconds that it took, until it slept again. */
static uint64_t burn(struct burner *b, unsigned int ms)
{
	uint64_t before = ran(b);
	char byte;

	ck_assert_int_eq(write(b->wire[0], &ms, sizeof(ms)), sizeof(ms));
	ck_assert_int_eq(read(b->wire[0], &byte, 1), 1);
	return ran(b) - before;
}

static void burner_end(struct burner *b)
{
	unsigned int ms = 0;

	ck_assert_int_eq(write(b->wire[0], &ms, sizeof(ms)), sizeof(ms));
	finish(b->pid);
}

/* Burn MS in CONTAINER in a child that is gone afterwards; the least that was charged. */
static uint64_t burn_in(const char *container, unsigned int ms)
{
	struct burner *b = burner_in(container);
	uint64_t used = burn(b, ms);

	burner_end(b);
	return used;
}

static uint64_t usage(const char *container)
{
	return read_u64(at(container, "cpuacct.usage"));
}

static uint64_t usage_self(const char *container)
{
	return read_u64(at(container, "cpuacct.usage_self"));
}

/*
 * Within 25 s (20 it takes, of ticks); looks once a second. A look takes the CPU away from the loop, on a busy host some
 * milliseconds of it: at a look each 5 ms the loop had less than 90 of 100.
 */
static bool load_gets_between(const char *container, uint64_t least, uint64_t most)
{
	uint64_t load = 0;

	for (double end = now() + 25 * lib_slow; now() < end; sleep(1)) {
		load = read_u64(at(container, "cpuacct.load"));
		if (load >= least && load <= most)
			return true;
	}
	printf("# load is %llu\n", (unsigned long long)load);
	return false;
}

/*
 * A busy loop over one complete interval. The intervals of `load` are ten seconds of
 * ticks each. The ticks that a slow boot loses (some seconds of a machine that shares
 * its core) are not made up for, so nobody outside knows where an interval begins: the
 * first that the loop fills ends within twenty seconds, the first without it likewise.
 */
TEST_LIMIT(load_is_percent_of_the_last_interval, 100)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	ck_assert_uint_eq(read_u64(at(a, "cpuacct.load")), 0);
	pid = start_in(a, spin_for_ever, NULL);
	/*
	 * 90 leaves a second for what this kernel does itself; the one before is less, or less than whole.
	 * Above 101 it would have run on more than the one CPU.
	 */
	ck_assert(load_gets_between(a, 90, 101));
	ck_assert_uint_eq(read_u64(at(b, "cpuacct.load")), 0);
	ck_assert_uint_ge(read_u64(at(root, "cpuacct.load")), read_u64(at(a, "cpuacct.load")));
	stop(pid);
	ck_assert(load_gets_between(a, 0, 0));
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(usage_is_the_processes_cpu_time)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	struct burner *b;
	uint64_t at_first, used;

	expect(make_dir(a), 0);
	ck_assert_uint_eq(usage(a), 0);
	b = burner_in(a);
	at_first = usage(a);
	used = burn(b, 300);
	ck_assert_uint_ge(used, 290 * MS);
	ck_assert_uint_eq(usage(a) - at_first, used);
	ck_assert_uint_eq(usage_self(a), usage(a));
	used += burn(b, 200);
	ck_assert_uint_eq(usage(a) - at_first, used);
	/* no more than it has run in all its life */
	ck_assert_uint_le(usage(a), ran(b));
	burner_end(b);
	ck_assert_uint_ge(usage(a), at_first + used);
	expect(remove_dir(a), 0);
}

TEST(usage_grows_while_a_task_runs)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	uint64_t last = 0;
	pid_t pid;

	expect(make_dir(a), 0);
	pid = start_in(a, spin_for_ever, NULL);
	for (int i = 0; i < 5; i++) {
		eventually(usage(a) > last, 10);
		last = usage(a);
	}
	stop(pid);
	expect(remove_dir(a), 0);
}

TEST(time_stays_where_it_was_burnt)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	uint64_t in_a, used;
	struct burner *burner;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	burner = burner_in(a);
	burn(burner, 200);
	in_a = usage(a);
	ck_assert_uint_ge(in_a, 190 * MS);
	expect(move_to(b, burner->pid), 0);
	ck_assert_uint_eq(usage(a), in_a);
	ck_assert_uint_eq(usage(b), 0);
	used = burn(burner, 100);
	ck_assert_uint_eq(usage(a), in_a);
	ck_assert_uint_eq(usage(b), used);
	burner_end(burner);
	ck_assert_uint_eq(usage(a), in_a);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* A task that moves itself is running when it does; asleep before and after, it is charged exactly. */
TEST(a_task_that_moves_charges_its_new_place)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	uint64_t at_first, in_a, in_b;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	enter(a);
	usleep(1000);
	at_first = schedstat_ns("self");
	burn_ms(100);
	usleep(1000);
	in_a = schedstat_ns("self") - at_first;
	enter(b);
	usleep(1000);
	at_first = schedstat_ns("self");
	burn_ms(200);
	usleep(1000);
	in_b = schedstat_ns("self") - at_first;
	enter(root);
	usleep(1000);
	ck_assert_uint_ge(usage(a), in_a);
	ck_assert_uint_ge(usage(b), in_b);
	ck_assert_uint_ge(in_b, 190 * MS);
	ck_assert_uint_le(usage(a) + usage(b), schedstat_ns("self"));
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(usage_counts_descendants)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(a, "b"), *c = at(b, "c");
	struct burner *ba, *bb, *bc;
	uint64_t in_a, in_b, in_c;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	ba = burner_in(a);
	bb = burner_in(b);
	bc = burner_in(c);
	in_a = usage_self(a);
	in_b = usage_self(b);
	in_c = usage_self(c);
	in_a += burn(ba, 100);
	in_b += burn(bb, 150);
	in_c += burn(bc, 200);
	ck_assert_uint_eq(usage_self(a), in_a);
	ck_assert_uint_eq(usage_self(b), in_b);
	ck_assert_uint_eq(usage_self(c), in_c);
	ck_assert_uint_eq(usage(c), in_c);
	ck_assert_uint_eq(usage(b), in_b + in_c);
	ck_assert_uint_eq(usage(a), in_a + in_b + in_c);
	ck_assert_uint_ge(usage(root), usage(a));
	burner_end(ba);
	burner_end(bb);
	burner_end(bc);
	expect(remove_dir(c), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

TEST(a_removed_childs_time_counts_on)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(a, "b"), *c = at(b, "c");
	uint64_t in_a, self, user_system, used;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	used = burn_in(b, 100) + burn_in(c, 100);
	in_a = usage(a);
	self = usage_self(a);
	user_system = read_field(at(a, "cpuacct.stat"), "user") +
		      read_field(at(a, "cpuacct.stat"), "system");
	ck_assert_uint_ge(in_a, used);
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
	struct burner *burner;
	uint64_t above, used;

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
	burner = burner_in(b);
	used = usage(b);
	used += burn(burner, 100);
	ck_assert_uint_eq(usage(a), used);
	burner_end(burner);
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
	expect(write_file(file, "-0"), EINVAL);
	expect(write_file(file, "+0"), EINVAL);
	expect(write_file(file, "\n"), EINVAL);
	expect(write_file(file, "0 0"), EINVAL);
	expect(write_file(file, "18446744073709551616"), ERANGE);
	expect(write_file(at(a, "cpuacct.usage_self"), "0"), EACCES);
	ck_assert_uint_eq(usage(a), had);
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

struct thread_burner {
	const char *container;
	uint64_t used;
};

static void *burn_in_thread(void *arg)
{
	struct thread_burner *t = arg;
	uint64_t before;

	expect(write_file(at(t->container, "tasks"), "0"), 0);
	usleep(1000);
	before = schedstat_ns("thread-self");
	burn_ms(150);
	usleep(1000);
	t->used = schedstat_ns("thread-self") - before;
	return NULL;
}

TEST(threads_of_a_process_are_told_apart)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	struct thread_burner in_a = { a, 0 }, in_b = { b, 0 };
	pthread_t one, two;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	pthread_create(&one, NULL, burn_in_thread, &in_a);
	pthread_create(&two, NULL, burn_in_thread, &in_b);
	pthread_join(one, NULL);
	pthread_join(two, NULL);
	ck_assert_uint_ge(in_a.used, 140 * MS);
	/* each was charged what it burnt, and neither what the other did */
	ck_assert_uint_ge(usage(a), in_a.used);
	ck_assert_uint_ge(usage(b), in_b.used);
	ck_assert_uint_lt(usage(a), in_a.used + in_b.used);
	ck_assert_uint_lt(usage(b), in_a.used + in_b.used);
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
	/* it may have gone to sleep on its way */
	usleep(50000);
	eventually(strstr(read_file(at("/proc", "%d/stat", pid)), ") S "), 15);
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
