// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: the file `events`. What it counts is compared with what was refused, and who
 * waits for it is woken. (jobs 1 1@debug)
 */
#include "lib-bc.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>

/* A work item that may have to wait for container_mutex. */
#define SOON 10

/* /a and /a/b. */
static void mount_both(void)
{
	mount_bc("a/b");
	expect(make_dir(b), 0);
}

static uint64_t hits(const char *container, const char *what)
{
	return read_field(at(container, "bc.events"), what);
}

/* An open `events`, read once, so that poll() waits for what comes next. */
static int watch(const char *container)
{
	int fd = open(at(container, "bc.events"), O_RDONLY | O_CLOEXEC);
	char text[512];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(read(fd, text, sizeof(text)), 0);
	return fd;
}

static bool woken(int fd, int seconds)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	char text[512];

	if (poll(&p, 1, seconds * 1000 * lib_slow) < 1)
		return false;
	ck_assert_int_ne(p.revents & POLLPRI, 0);
	ck_assert_int_gt(pread(fd, text, sizeof(text), 0), 0);
	return true;
}

TEST(a_new_container_has_met_no_bound)
{
	static const char begin[] = "numfiles.barrier_hit 0\nnumfiles.limit_hit 0\n"
				    "numproc.barrier_hit 0\nnumproc.limit_hit 0\n";

	mount_both();
	ck_assert(!strncmp(read_file(at(a, "bc.events")), begin, sizeof(begin) - 1));
	expect(write_file(at(a, "bc.events"), "1"), EACCES);
	/* no bounds, nothing to meet */
	ck_assert(!exists(at(root, "bc.events")));
	remove_all();
}

TEST(what_is_a_hit)
{
	struct actor *admin, *alice;

	mount_both();
	set_bounds(a, 5, 8);
	admin = quiet_actor_in(b);
	alice = quiet_actor_in(b);
	act(alice, become_alice, 0);
	act(admin, open_files, 5);
	ck_assert_uint_eq(hits(a, "numfiles.barrier_hit"), 0);
	/* refused by it */
	act(alice, open_files, 1);
	ck_assert_uint_eq(hits(a, "numfiles.barrier_hit"), 1);
	/* past it, once; then there is nothing to pass */
	act(admin, open_files, 3);
	ck_assert_uint_eq(hits(a, "numfiles.barrier_hit"), 2);
	ck_assert_uint_eq(hits(a, "numfiles.limit_hit"), 0);
	act(admin, open_files, 1);
	act(admin, open_files, 1);
	ck_assert_uint_eq(hits(a, "numfiles.limit_hit"), 2);
	/* down to it and up again */
	act(admin, close_files, 3);
	act(admin, open_files, 2);
	ck_assert_uint_eq(hits(a, "numfiles.barrier_hit"), 3);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 3);
	/* whose bound it is, and no other resource */
	ck_assert_uint_eq(hits(b, "numfiles.barrier_hit") + hits(b, "numfiles.limit_hit"), 0);
	ck_assert_uint_eq(hits(a, "numproc.barrier_hit") + hits(a, "numproc.limit_hit"), 0);
	/* watchers compare: these are not the marks */
	expect(write_file(at(a, "bc.reset"), "1"), 0);
	ck_assert_uint_eq(hits(a, "numfiles.barrier_hit"), 3);
	dismiss(admin);
	dismiss(alice);
	remove_all();
}

TEST(poll_wakes)
{
	struct actor *actor;
	int on_a, on_b;

	mount_both();
	set_bounds(a, 5, 5);
	actor = quiet_actor_in(b);
	on_a = watch(a);
	on_b = watch(b);
	act(actor, open_files, 5);
	/* nothing was ever hit; who is told is told within 20 ms (BC_TELL_DELAY) */
	usleep(200000);
	ck_assert(!woken(on_a, 0));
	act(actor, open_files, 1);
	ck_assert(woken(on_a, SOON));
	ck_assert_uint_eq(hits(a, "numfiles.limit_hit"), 1);
	/* that was the only one; and again for the next */
	for (int i = 0; i < 50; i++)
		act(actor, open_files, 1);
	ck_assert(woken(on_a, SOON));
	eventually((woken(on_a, 0), hits(a, "numfiles.limit_hit") == 51), SOON);
	/* nobody met b's */
	ck_assert(!woken(on_b, 0));
	set_bounds(b, 1, 1);
	act(actor, open_files, 1);
	ck_assert(woken(on_b, SOON));
	dismiss(actor);
	close(on_a);
	close(on_b);
	remove_all();
}

TEST(inotify_wakes)
{
	char buf[512] __attribute__((aligned(8)));
	int in = inotify_init1(IN_CLOEXEC);
	struct actor *actor;
	struct pollfd p = { .fd = in, .events = POLLIN };

	mount_both();
	set_bounds(b, 0, 0);
	actor = quiet_actor_in(b);
	ck_assert_int_ge(inotify_add_watch(in, at(b, "bc.events"), IN_MODIFY), 0);
	ck_assert_int_eq(poll(&p, 1, 0), 0);
	act(actor, open_files, 1);
	ck_assert_int_eq(poll(&p, 1, SOON * 1000 * lib_slow), 1);
	ck_assert_int_gt(read(in, buf, sizeof(buf)), 0);
	close(in);
	dismiss(actor);
	remove_all();
}

/* Hits up to the end, and the directory goes: nothing is left of it. */
TEST(rmdir_right_after_a_hit)
{
	struct actor *actor;

	mount_both();
	for (int i = 0; i < 20; i++) {
		set_bounds(b, 0, 0);
		actor = actor_in(b);
		act(actor, open_files, 1);
		dismiss(actor);
		expect(remove_dir(b), 0);
		expect(make_dir(b), 0);
		ck_assert_uint_eq(hits(b, "numfiles.limit_hit"), 0);
	}
	eventually(no_dying("bc"), SOON);
	remove_all();
}
