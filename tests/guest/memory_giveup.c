// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: the handler gives up where nothing comes free, however much there is to try, and not where it takes a
 * while. (uml-run --swap 64M) (jobs 1 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"
#include "lib-rebind.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define PINNED 256UL

static int pipe_ends[2];

/* All pages of the actor in a pipe, which has references, and out of its page tables. */
static void pin_and_page_out(struct actor *a)
{
	struct iovec all = { .iov_base = a->mem, .iov_len = a->pages * PAGE };

	ck_assert_int_eq(pipe(pipe_ends), 0);
	ck_assert_int_ge(fcntl(pipe_ends[1], F_SETPIPE_SZ, a->pages * PAGE), a->pages * PAGE);
	ck_assert_int_eq(vmsplice(pipe_ends[1], &all, 1, SPLICE_F_NONBLOCK), a->pages * PAGE);
	ck_assert_int_eq(madvise(a->mem, a->pages * PAGE, MADV_PAGEOUT), 0);
}

static void check_pipe(struct actor *a)
{
	char page[PAGE];

	for (unsigned long i = 0; i < a->pages; i++) {
		ck_assert_int_eq(read(pipe_ends[0], page, PAGE), PAGE);
		ck_assert_msg(!memcmp(page, a->mem + i * PAGE, PAGE), "page %lu of the pipe is another", i);
	}
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

/* No round for a while that is shorter than the handler rests. */
static bool rests(const char *dir)
{
	unsigned long rounds = stat_of(dir, "rounds");

	usleep(500000);
	return stat_of(dir, "rounds") == rounds;
}

/*
 * Pages in the swap cache to which a pipe has references: reclaim takes each of them, and puts it back, and that is no
 * progress.
 */
TEST_LIMIT(pinned_pages_are_given_up, 60)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct actor *actor = actor_in(a);

	act(actor, touch, PINNED);
	act(actor, pin_and_page_out, 0);
	ck_assert_uint_eq(swapped_out(actor), PINNED);
	ck_assert_uint_ge(anon_pages(a), PINNED);
	set_limit(a, "100");
	eventually(stat_of(a, "giveups") >= 1, 5);
	eventually(rests(a), 5);
	ck_assert_uint_ge(anon_pages(a), PINNED);
	set_limit(a, "max");
	act(actor, check_pipe, 0);
	act(actor, check, 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* What the handler says in `why`, if anything, is of a time when there were PAGES at least. */
static void expect_silent_below(const char *container, unsigned long pages)
{
	const char *path = at(container, "why"), *why = read_file(path);

	ck_assert_msg(!strstr(why, "reclaim") || read_field(path, "usage") >= pages, "%s", why);
}

/*
 * What cannot be freed is above where the handler stops, 3875, and below the limit: what is above that goes each time
 * that the limit is passed. It gave up each time, and rested for a second, in which they could have what they liked.
 */
TEST_LIMIT(a_limit_that_holds_goes_on_to_hold, 60)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct actor *locked = actor_in(a), *actor = actor_in(a);

	act(locked, touch_and_mlock, 3900);
	set_limit(a, "4000");
	for (int i = 0; i < 10; i++) {
		act(actor, touch, 600);
		eventually((drain_batches(), anon_pages(a) + file_pages(a) <= 4000), 10);
		act(actor, check, 0);
		act(actor, release, 0);
	}
	/*
	 * Now and then pages of their own may be in use, and it be above with nothing more to free (2 to 5 times seen): not
	 * with each of them (15 to 19 before).
	 */
	printf("# gave up %lu times\n", stat_of(a, "giveups"));
	ck_assert_uint_lt(stat_of(a, "giveups"), 10);
	expect_silent_below(a, 4000);
	dismiss(actor);
	dismiss(locked);
	expect(remove_dir(a), 0);
}

/* At page_max it may not get as far as it should (875 pages), and there is room: `why` is for when there is none. */
TEST_LIMIT(room_below_page_max_is_not_in_why, 60)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct actor *locked = actor_in(a), *actor = actor_in(a);

	act(locked, touch_and_mlock, 940);
	expect(write_file(at(a, "memory.page_max"), "1000"), 0);
	act(actor, touch, 400);
	/* some times, as there may be none just when it gives up; it goes on a little when nobody waits any more */
	for (int i = 0; i < 5; i++) {
		act(actor, check, 0);
		usleep(50000 * lib_slow);
		expect_silent_below(a, 1000);
	}
	ck_assert_uint_gt(stat_of(a, "giveups"), 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	dismiss(actor);
	dismiss(locked);
	expect(remove_dir(a), 0);
}

/*
 * What a journal has, with data=journal the pages of files, too, is written with its commit, every five seconds, and cannot
 * be freed before. Who waits for room at page_max waits for that, and is not killed. (Nor is he here without the pauses of
 * memory_let_time_pass(): what a run of this test asks for is not enough to fill a journal.)
 */
TEST_LIMIT(what_a_journal_has_is_waited_for, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "400"), *dir = new_dir();
	struct actor *actor;

	ck_assert_int_eq(system(at("", "PATH=/usr/sbin:/sbin:$PATH; truncate -s 64M /tmp/image && mkfs.ext4 -q -F -b 4096 "
				   "-m 0 /tmp/image && mount -o loop,data=journal /tmp/image %s", dir) + 1), 0);
	actor = actor_in(a);
	strcpy(actor->path, at(dir, "data"));
	for (int i = 0; i < 3; i++) {
		act(actor, write_whole, 1000);
		ck_assert_uint_eq(act(actor, check_whole, 0), 1000);
	}
	ck_assert_uint_gt(stat_of(a, "max_hits"), 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	dismiss(actor);
	expect(unmount(dir), 0);
	expect(remove_dir(a), 0);
}

/*
 * After the first time it rests for one second, then for two, four ...: also when a file is to be claimed that does not fit,
 * which starts it whenever that is. From here on there is no swap, and so nothing that is freed by chance, after which it
 * begins with one second again.
 */
TEST_LIMIT(who_is_refused_ends_no_rest, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "3000");
	char *disk = make_disk(32), *data = make_data(disk, "data", 1500);
	struct actor *big = actor_in(a), *reader = actor_in(root);
	unsigned long before;

	no_swap();
	read_as(reader, data);
	act(big, touch, 2000);
	set_limit(a, "1000");
	eventually(stat_of(a, "giveups") > 0, 10);
	before = stat_of(a, "giveups");
	/* in 5 s, however slow the machine is: it can only be later */
	for (double end = now() + 5; now() < end; usleep(5000))
		expect(write_file(at(a, "memory.addfile"), data), ENOMEM);
	ck_assert_uint_le(stat_of(a, "giveups"), before + 3);
	/* and it looks again, though nobody charges or reads memory.stat, which starts it as well */
	before = stat_of(a, "giveups");
	eventually(read_field(at(a, "memory.events"), "giveups") > before, 20);
	dismiss(reader);
	dismiss(big);
	expect(unmount(disk), 0);
	expect(remove_dir(a), 0);
}

/*
 * Who gave up five times rests for 16 seconds. What could not be freed goes meanwhile, and what comes in its place could
 * be: that is not left alone until then. (Without lib_slow, or it would be longer than the rest.)
 */
TEST_LIMIT(a_rest_is_for_what_was_there, 60)
{
	char *root = mount_memory(), *a = container(root, "a");
	char *disk = make_disk(32), *data = make_data(disk, "data", 2000);
	struct actor *big = actor_in(a), *reader = actor_in(a);
	double start;

	no_swap();
	act(big, touch, 2000);
	set_limit(a, "1000");
	eventually(stat_of(a, "giveups") >= 5, 30);
	dismiss(big);
	start = now();
	read_as(reader, data);
	while (drain_batches(), file_pages(a) > 1000) {
		need(now() < start + 12, "%lu pages of a file for 12 s", file_pages(a));
		usleep(5000);
	}
	dismiss(reader);
	expect(unmount(disk), 0);
	expect(remove_dir(a), 0);
}

/*
 * A limit that is written while it gives up for the one before is looked at, however long it would rest now: `why` has the
 * limit. A run takes some milliseconds.
 */
TEST_LIMIT(a_new_limit_waits_for_no_rest, 60)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct actor *big = actor_in(a);

	no_swap();
	act(big, touch, 4000);
	for (int i = 0; i < 40; i++) {
		set_limit(a, at("", "%d", 2000 + i) + 1);
		usleep(random() % 10000);
		set_limit(a, at("", "%d", 1000 + i) + 1);
		eventually(strstr(read_file(at(a, "why")), at("", "limit %d\n", 1000 + i) + 1), 4);
	}
	dismiss(big);
	expect(remove_dir(a), 0);
}

/*
 * Who gave up four times rests for eight seconds. That keeps no state, when memory leaves the tree meanwhile.
 */
TEST_LIMIT(retry_is_over_when_memory_leaves, 60)
{
	char *root = mount_hierarchy("memory,cpuacct"), *a = at(root, "a");
	struct actor *actor;
	double start;

	no_swap();
	expect(make_dir(a), 0);
	set_limit(a, "100");
	actor = actor_in(a);
	act(actor, touch, 1000);
	eventually(stat_of(a, "giveups") >= 4, 20);
	expect(remount(root, "cpuacct"), 0);
	start = now();
	while (states_of("memory") != 1)
		ck_assert_msg(now() < start + 5, "memory has %d states", states_of("memory"));
	dismiss(actor);
	expect(remove_dir(a), 0);
}
