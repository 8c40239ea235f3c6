// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.events: what it says, and that poll(2) and inotify wake.
 * (uml-run --swap 256M)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/wait.h>

static uint64_t event_of(const char *dir, const char *field)
{
	return read_field(at(dir, "memory.events"), field);
}

/* An open memory.events, read once, so that poll() waits for what comes next. */
static int watch(const char *dir)
{
	int fd = open(at(dir, "memory.events"), O_RDONLY | O_CLOEXEC);
	char text[256];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(pread(fd, text, sizeof(text), 0), 0);
	return fd;
}

static bool woken(int fd, double seconds)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	char text[256];

	if (poll(&p, 1, seconds * 1e3 * lib_slow) < 1)
		return false;
	ck_assert_int_ne(p.revents & POLLPRI, 0);
	ck_assert_int_gt(pread(fd, text, sizeof(text), 0), 0);
	return true;
}

/* Woken until the number has come. */
#define told(fd, dir, field, wanted)						\
	do {									\
		while (event_of(dir, field) < (wanted))				\
			ck_assert_msg(woken(fd, 10), "nobody was told of %s", field);	\
	} while (0)

TEST_LIMIT(events_tell_of_the_soft_limit, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "500", NULL);
	char *b = container(root, "b");
	struct actor *actor, *other;
	int fd, quiet;

	no_swap();
	actor = actor_in(a);
	other = actor_in(b);
	fd = watch(a);
	quiet = watch(b);
	act(other, touch, 1000);
	ck_assert_uint_eq(event_of(a, "limit_hits"), 0);
	ck_assert(!woken(fd, 0));
	act(actor, touch, 1000);
	ck_assert_uint_gt(event_of(a, "limit_hits"), 0);
	ck_assert_uint_eq(event_of(a, "limit_hits"), read_u64(at(a, "memory.page_limit_hits")));
	ck_assert(woken(fd, 10));
	told(fd, a, "giveups", 1);
	ck_assert_uint_eq(event_of(a, "max_hits"), 0);
	ck_assert_uint_eq(event_of(a, "ooms"), 0);
	/* the neighbour is told nothing */
	ck_assert(!woken(quiet, 0));
	ck_assert_uint_eq(event_of(b, "limit_hits"), 0);
	close(fd);
	close(quiet);
	dismiss(actor);
	dismiss(other);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST_LIMIT(events_tell_of_the_hard_limit, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "500");
	char event[4096];
	struct actor *actor;
	int fd, notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	no_swap();
	actor = actor_in(a);
	fd = watch(a);
	ck_assert_int_ge(inotify_add_watch(notify, at(a, "memory.events"), IN_MODIFY), 0);
	act_begin(actor, touch, 1000);
	expect_killed(actor);
	ck_assert(woken(fd, 10));
	told(fd, a, "ooms", 1);
	ck_assert_uint_gt(event_of(a, "max_hits"), 0);
	ck_assert_uint_gt(event_of(a, "giveups"), 0);
	ck_assert_uint_eq(event_of(a, "ooms"), 1);
	ck_assert_uint_eq(event_of(a, "limit_hits"), 0);
	/* kernfs tells watchers from a worker */
	eventually(read(notify, event, sizeof(event)) > 0, 10);
	close(notify);
	close(fd);
	expect(remove_dir(a), 0);
}
