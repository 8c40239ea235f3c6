// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: who uses pages is not who is charged. A is the owner of a file, B reads or writes it, and the limit is A's, or
 * B's, or one above: only who gets the page is asked, and whoever brings it works. (uml-run --swap 256M) (jobs 1 4@debug)
 *
 * What must not happen is counted by the container that it would happen to: max_hits says that it was asked, and
 * whom it kills there is a process that can free nothing, and is looked at again at the end.
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

static char *big = "/tmp/big";

static unsigned long usage(const char *dir)
{
	drain_batches();
	return anon_pages(dir) + file_pages(dir);
}

/* ARG pages, and nothing of the process can be freed from now on. */
static void touch_locked(struct actor *a)
{
	touch(a);
	ck_assert_int_eq(mlockall(MCL_CURRENT), 0);
}

/* From here on DIR is above page_max, whatever its handler does. */
static void fill_up(const char *dir)
{
	expect(write_u64(at(dir, "memory.page_max"), usage(dir) - 100), 0);
	handler_rests(dir);
}

static void make_room(const char *dir)
{
	expect(write_file(at(dir, "memory.page_max"), "max"), 0);
}

/* A file of ARG pages at a->path, mapped; none of them is there yet. */
static void map_file(struct actor *a)
{
	int fd = open(a->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, a->arg * PAGE), 0);
	a->pages = a->arg;
	a->mem = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	close(fd);
}

/* Half of these pages, from ARG on. */
static void mark_half(struct actor *a)
{
	for (unsigned long i = a->arg; i < a->arg + a->pages / 2; i++)
		a->mem[i * PAGE] = 1 + i;
}

static void unlink_file(struct actor *a)
{
	ck_assert_int_eq(unlink(a->path), 0);
}

/* The first page of a file is A's, and the others are faulted in by B, where nothing is free, for A. */
TEST_LIMIT(fault_does_not_ask_who_faults, 120)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *owner = actor_in(a), *full = actor_in(b), *user = actor_in(b);
	unsigned long before;

	strcpy(owner->path, big);
	act(owner, write_whole, 1);
	act(full, touch_locked, 300);
	act(user, touch_locked, 1);
	strcpy(user->path, big);
	act(user, map_file, 1000);
	/* the code and the stack that it takes are there from now on */
	act(user, mark_half, 0);
	drain_batches();
	before = file_pages(a);
	fill_up(b);
	act(user, mark_half, 500);
	ck_assert_uint_eq(stat_of(b, "max_hits"), 0);
	ck_assert_uint_eq(stat_of(b, "ooms"), 0);
	ck_assert_uint_eq(file_pages(a), before + 500);
	act(full, check, 0);
	make_room(b);
	act(user, release, 0);
	act(user, unlink_file, 0);
	dismiss(owner);
	dismiss(full);
	dismiss(user);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* 399 pages fit below p's page_max, but for those of its other child that no counter has yet. */
TEST(claim_asks_for_what_is_not_told)
{
	char *root = mount_memory(), *p = container(root, "p"), *a = container(p, "a"), *b = container(p, "b");
	char *data = make_data(make_disk(16), "data", 390);
	struct actor *reader = actor_in(root), *actor = actor_in(b);

	read_as(reader, data);
	/* and flushes */
	expect(write_u64(at(p, "memory.page_max"), usage(p) + 400), 0);
	act(actor, touch, 25);
	expect(write_file(at(a, "memory.addfile"), data), ENOMEM);
	ck_assert_ptr_ne(strstr(read_file(at(a, "why")), "do not fit below page_max"), NULL);
	ck_assert_uint_eq(file_pages(a), 0);
	/* without those there is room */
	act(actor, release, 0);
	drain_batches();
	expect(write_file(at(a, "memory.addfile"), data), 0);
	ck_assert_uint_eq(file_pages(a), 390);
	dismiss(reader);
	dismiss(actor);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(p), 0);
}

/* Appends ARG pages; the result is how long that took, in ns. */
static void append_timed(struct actor *a)
{
	static char page[PAGE];
	int fd = open(a->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	double start = now();

	ck_assert_int_ge(fd, 0);
	for (unsigned long i = 0; i < a->arg; i++)
		ck_assert_int_eq(write(fd, page, PAGE), PAGE);
	close(fd);
	a->result = (now() - start) * 1e9;
}

/* A has a limit that does not hold, and a file. */
static struct actor *owner_over_limit(const char *a)
{
	struct actor *owner = actor_in(a);

	expect(write_file(at(a, "memory.overlimit"), "deactivate"), 0);
	set_limit(a, "250");
	strcpy(owner->path, big);
	act(owner, write_whole, 1);
	return owner;
}

/* Who brings the pages sleeps for it: as memory_throttle has it of a container's own, and as long as it takes itself. */
TEST_LIMIT(who_writes_anothers_file_sleeps, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *owner = owner_over_limit(a), *writer = actor_in(b);
	unsigned long batches = 500 / 32 - 1, slept, took;

	strcpy(writer->path, big);
	took = act(writer, append_timed, 1000);
	slept = stat_of(a, "throttled_ns");
	ck_assert_msg(slept >= batches * 31000000UL, "slept %lu ns, wanted %lu batches of 31 ms", slept, batches);
	ck_assert_msg(slept <= took, "slept %lu ns in %lu ns", slept, took);
	ck_assert_uint_eq(stat_of(b, "throttled_ns"), 0);
	act(writer, unlink_file, 0);
	dismiss(owner);
	dismiss(writer);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* The owner is removed while it sleeps: nothing keeps it then, not who is killed with a sleep to go either. */
TEST_LIMIT(who_sleeps_for_another_keeps_nobody, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *owner = owner_over_limit(a), *writer = actor_in(b);
	double start;

	strcpy(writer->path, big);
	act_begin(writer, append_timed, 1000);
	eventually(stat_of(a, "throttled_ns") > 0, 20);
	dismiss(owner);
	expect(remove_dir(a), 0);
	act_end(writer);
	eventually((drain_batches(), no_dying("memory")), 10);
	/* a new one: the root has the old one until its last page is gone */
	act(writer, unlink_file, 0);
	expect(make_dir(a), 0);
	owner = owner_over_limit(a);
	act_begin(writer, append_timed, 100000);
	eventually(stat_of(a, "throttled_ns") > 0, 20);
	start = now();
	ck_assert_int_eq(kill(writer->pid, SIGKILL), 0);
	expect_killed(writer);
	ck_assert_msg(now() - start < 5 * lib_slow, "was there for %.3f s more", now() - start);
	act(owner, unlink_file, 0);
	dismiss(owner);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	eventually((drain_batches(), no_dying("memory")), 10);
}

static void page_out(struct actor *a)
{
	ck_assert_int_eq(madvise(a->mem, a->pages * PAGE, MADV_PAGEOUT), 0);
}

/* All pages of a file that ACTOR has mapped, and DIR owns, go to swap. */
static void file_out(struct actor *actor, const char *dir)
{
	eventually((act(actor, page_out, 0), set_limit(dir, "0"), cached_pages(big) == 0), 20);
	set_limit(dir, "max");
	handler_rests(dir);
}

/*
 * A file of A's is in swap, and some of it back, when it becomes C's, and then the parent's: nobody but its new owner is asked
 * for room when the rest comes. Those before are full, and have somebody to kill.
 */
TEST_LIMIT(what_is_in_swap_changes_hands, 120)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b"), *p = container(root, "p");
	char *c = container(p, "c");
	struct actor *full = actor_in(a), *maker = actor_in(b), *reader = actor_in(b), *mate = actor_in(c);
	unsigned long here;

	strcpy(maker->path, big);
	act(maker, map_file, 400);
	expect(write_file(at(a, "memory.addfile"), big), 0);
	act(maker, mark_half, 0);
	act(maker, mark_half, 200);
	ck_assert(lists(a, "400 /tmp/big"));
	file_out(maker, a);
	act(maker, mark_half, 0);
	here = cached_pages(big);
	printf("# %lu of 400 pages are not in swap\n", here);
	ck_assert_uint_ge(here, 200);
	ck_assert_uint_lt(here, 400);
	act(full, touch_locked, 300);
	expect(write_file(at(c, "memory.addfile"), big), 0);
	fill_up(a);
	read_as(reader, big);
	ck_assert_uint_eq(stat_of(a, "max_hits"), 0);
	ck_assert(lists(c, "400 /tmp/big"));
	act(full, check, 0);
	make_room(a);
	/* all of it, to the parent */
	file_out(maker, c);
	act(mate, touch_locked, 300);
	expect(write_file(at(c, "memory.rmfile"), big), 0);
	fill_up(c);
	read_as(reader, big);
	ck_assert_uint_eq(stat_of(c, "max_hits"), 0);
	ck_assert(lists(p, "400 /tmp/big"));
	act(mate, check, 0);
	make_room(c);
	act(maker, release, 0);
	act(maker, unlink_file, 0);
	dismiss(full);
	dismiss(maker);
	dismiss(reader);
	dismiss(mate);
	eventually(!remove_dir(a), 5);
	expect(remove_dir(b), 0);
	expect(remove_dir(c), 0);
	expect(remove_dir(p), 0);
}

/* Touches 15 pages from ARG on: too few for Linux to put them on the LRU. */
static void touch_few(struct actor *a)
{
	for (unsigned long i = a->arg; i < a->arg + 15; i++)
		a->mem[i * PAGE + 8]++;
}

static void on_cpu(struct actor *a)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(a->arg, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

/*
 * What has just come back from swap is active, and waits on the CPU that read it to be put on the LRU. Linux does not
 * deactivate it there, and it is not counted by a handler that looks at it from another CPU.
 */
TEST_FOR(what_is_in_a_batch_is_not_deactivated, 120, 2, 1)
{
	char *root = mount_memory(), *a = container(root, "a"), *cluster = "/proc/sys/vm/page-cluster";
	struct actor *actor = actor_in(a);
	char *old = read_file(cluster);
	unsigned long linuxs;

	expect(write_file(cluster, "0"), 0);
	act(actor, on_cpu, 1);
	act(actor, touch, 300);
	eventually((act(actor, page_out, 0), set_limit(a, "0"), drain_batches(), swapped_out(actor) == 300), 20);
	set_limit(a, "max");
	handler_rests(a);
	drain_batches();
	linuxs = vmstat("pgdeactivate") - stat_of(a, "deactivated");
	for (int i = 0; i < 10; i++) {
		act(actor, touch_few, i * 30);
		set_limit(a, "1");
		handler_rests(a);
		set_limit(a, "max");
		drain_batches();
	}
	linuxs = vmstat("pgdeactivate") - linuxs;
	printf("# %lu pages are counted, Linux has %lu\n", stat_of(a, "deactivated"), linuxs);
	ck_assert_uint_eq(stat_of(a, "deactivated"), linuxs);
	expect(write_file(cluster, old), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}
