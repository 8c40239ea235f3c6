// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file `events`: what it says, and that poll(2) and inotify wake when that
 * changes and sleep when it does not.
 */
#include "lib-memory.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/mount.h>

/* An open `events`, read once, so that poll() waits for what comes next. */
struct watch {
	int fd;
	char text[128];
};

static void read_again(struct watch *w)
{
	ssize_t got = pread(w->fd, w->text, sizeof(w->text) - 1, 0);

	ck_assert_msg(got > 0, "read of events: %s", error_name(errno));
	w->text[got] = 0;
}

static struct watch watch(const char *container)
{
	struct watch w = { .fd = open(at(container, "events"), O_RDONLY | O_CLOEXEC) };

	ck_assert_msg(w.fd >= 0, "%s/events: %s", container, error_name(errno));
	read_again(&w);
	return w;
}

/* Whether it woke within SECONDS. */
static bool woken(struct watch *w, double seconds)
{
	struct pollfd p = { .fd = w->fd, .events = POLLPRI };

	if (poll(&p, 1, seconds * 1e3 * lib_slow) < 1)
		return false;
	ck_assert_int_ne(p.revents & POLLPRI, 0);
	read_again(w);
	return true;
}

#define says(w, wanted)								\
	ck_assert_msg(strstr((w).text, wanted), "events reads \"%s\", wanted \"%s\" in it",	\
		      (w).text, wanted)

static uint64_t populated(const char *container)
{
	return read_field(at(container, "events"), "populated");
}

static uint64_t dying(const char *container)
{
	return read_field(at(container, "events"), "dying");
}

TEST(events_has_two_lines)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	ck_assert_str_eq(read_file(at(a, "events")), "populated 0\ndying 0\n");
	ck_assert_str_eq(read_file(at(root, "events")), "populated 1\ndying 0\n");
	expect(write_file(at(a, "events"), "1"), EACCES);
	expect(remove_dir(a), 0);
}

TEST(populated_counts_what_is_below)
{
	char *root = mount_hierarchy("none,name=events");
	char *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "a/b/c"), *d = at(root, "a/d");
	pid_t deep, middle, beside;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	expect(make_dir(d), 0);
	deep = sleeper_in(c);
	ck_assert_uint_eq(populated(a), 1);
	ck_assert_uint_eq(populated(b), 1);
	ck_assert_uint_eq(populated(c), 1);
	ck_assert_uint_eq(populated(d), 0);
	middle = sleeper_in(b);
	beside = sleeper_in(d);
	/* no eventually(): a parent that has waited knows that the task has left */
	stop(deep);
	ck_assert_uint_eq(populated(c), 0);
	ck_assert_uint_eq(populated(b), 1);
	stop(middle);
	ck_assert_uint_eq(populated(b), 0);
	ck_assert_uint_eq(populated(a), 1);
	expect(move_to(root, beside), 0);
	ck_assert_uint_eq(populated(d), 0);
	ck_assert_uint_eq(populated(a), 0);
	stop(beside);
	expect(remove_dir(c), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(d), 0);
	expect(remove_dir(a), 0);
}

/* Memberships elsewhere split the members of a container into several groups. */
TEST(populated_counts_members_of_several_groups)
{
	char *one = at(mount_hierarchy("none,name=one"), "a");
	char *two = mount_hierarchy("none,name=two"), *x = at(two, "x");
	pid_t p, q;

	expect(make_dir(one), 0);
	expect(make_dir(x), 0);
	p = sleeper_in(one);
	q = sleeper_in(one);
	expect(move_to(x, q), 0);
	stop(p);
	ck_assert_uint_eq(populated(one), 1);
	ck_assert_uint_eq(populated(x), 1);
	stop(q);
	ck_assert_uint_eq(populated(one), 0);
	ck_assert_uint_eq(populated(x), 0);
	expect(remove_dir(one), 0);
	expect(remove_dir(x), 0);
}

TEST(poll_wakes_for_the_first_and_the_last_task)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b");
	struct watch above, here;
	pid_t first, second;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	above = watch(a);
	here = watch(b);
	first = sleeper_in(b);
	ck_assert(woken(&above, 5));
	ck_assert(woken(&here, 5));
	says(above, "populated 1");
	says(here, "populated 1");
	second = sleeper_in(b);
	stop(first);
	/* one came, one went, somebody was always there */
	ck_assert(!woken(&here, 0.3));
	ck_assert(!woken(&above, 0.1));
	stop(second);
	ck_assert(woken(&here, 5));
	ck_assert(woken(&above, 5));
	says(above, "populated 0");
	says(here, "populated 0");
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

TEST(poll_sleeps_while_others_change)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	struct watch w;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	w = watch(b);
	stop(sleeper_in(a));
	ck_assert(!woken(&w, 0.3));
	expect(remove_dir(a), 0);
	ck_assert(!woken(&w, 0.3));
	expect(remove_dir(b), 0);
}

TEST(poll_sleeps_while_other_children_have_tasks)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "a/c");
	struct watch w;
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	w = watch(a);
	pid = sleeper_in(b);
	/* the notice of the first one's coming is late, and must not be taken for another's */
	ck_assert(woken(&w, 5));
	stop(sleeper_in(c));
	ck_assert(!woken(&w, 0.3));
	stop(pid);
	ck_assert(woken(&w, 5));
	expect(remove_dir(b), 0);
	expect(remove_dir(c), 0);
	ck_assert(woken(&w, 5));
	expect(remove_dir(a), 0);
}

TEST(inotify_tells_of_the_last_task)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct inotify_event event;
	pid_t pid;

	expect(make_dir(a), 0);
	ck_assert_int_ge(inotify_add_watch(fd, at(a, "events"), IN_MODIFY), 0);
	pid = sleeper_in(a);
	/* the notice of its coming is late, and must not be taken for that of its going */
	ck_assert_int_eq(poll(&p, 1, 5000 * lib_slow), 1);
	ck_assert_int_eq(read(fd, &event, sizeof(event)), sizeof(event));
	ck_assert_uint_eq(event.mask, IN_MODIFY);
	ck_assert_int_eq(poll(&p, 1, 100), 0);
	stop(pid);
	ck_assert_int_eq(poll(&p, 1, 5000 * lib_slow), 1);
	ck_assert_int_eq(read(fd, &event, sizeof(event)), sizeof(event));
	ck_assert_uint_eq(event.mask, IN_MODIFY);
	ck_assert_uint_eq(populated(a), 0);
	expect(remove_dir(a), 0);
}

/* HZ */
#define TICKS_PER_SECOND 100

/* Who sleeps on the file wakes once in a tick, however often a task comes and goes; and for the last time. */
TEST(a_storm_is_told_by_ticks)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	int wakes = 0, moves = 0;
	double begin, ticks;
	pid_t pid = sleeper();
	struct watch w;

	expect(make_dir(a), 0);
	w = watch(a);
	begin = now();
	while (now() < begin + 0.3) {
		expect(write_u64(at(moves++ % 2 ? root : a, "tasks"), pid), 0);
		wakes += woken(&w, 0);
	}
	ticks = (now() - begin) * TICKS_PER_SECOND;
	ck_assert_msg(wakes > 0 && wakes <= ticks + 1, "woken %d times by %d moves in %g ticks", wakes,
		      moves, ticks);
	expect(write_u64(at(a, "tasks"), pid), 0);
	for (double end = now() + 5 * lib_slow; !strstr(w.text, "populated 1") && now() < end;)
		woken(&w, 0.1);
	says(w, "populated 1");
	stop(pid);
	ck_assert(woken(&w, 5));
	says(w, "populated 0");
	close(w.fd);
	expect(remove_dir(a), 0);
}

/* A task that has left its pages behind keeps the removed container's state. */
TEST(dying_counts_in_every_ancestor)
{
	char *root = mount_hierarchy("memory"), *a = at(root, "a"), *b = at(root, "a/b");
	struct watch top, above;
	struct actor *actor;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	actor = actor_in(b);
	act(actor, touch, 200);
	expect(move_to(root, actor->pid), 0);
	usleep(200000 * lib_slow);
	top = watch(root);
	above = watch(a);
	expect(remove_dir(b), 0);
	ck_assert(woken(&above, 5));
	says(above, "dying 1");
	ck_assert(woken(&top, 5));
	ck_assert_uint_eq(dying(root), 1);
	/* the name is free, and who gets it starts with nothing */
	expect(make_dir(b), 0);
	ck_assert_uint_eq(dying(b), 0);
	dismiss(actor);
	ck_assert(woken(&above, 5));
	eventually(dying(a) == 0, 5);
	eventually(dying(root) == 0, 5);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

/* An open `events` outlives the container and says so. */
/* Sleeps in poll() until the file has gone, and not until the time is over, when poll() looks once more. */
static void poll_to_the_end(void *file)
{
	struct pollfd p = { .fd = open(file, O_RDONLY), .events = POLLPRI };
	double end = now() + 10 * lib_slow;
	char text[512];

	ck_assert_int_gt(read(p.fd, text, sizeof(text)), 0);
	ck_assert_int_eq(poll(&p, 1, 10000 * lib_slow), 1);
	ck_assert(now() < end);
	ck_assert_int_ne(p.revents & POLLERR, 0);
	ck_assert_int_eq(read(p.fd, text, 1), -1);
	ck_assert_int_eq(errno, ENODEV);
}

static pid_t poller(const char *file)
{
	pid_t pid = start(poll_to_the_end, strdup(file));

	/* where it is not yet in poll(), it would find the file gone and prove nothing */
	usleep(300000 * lib_slow);
	return pid;
}

TEST(poll_ends_with_the_container)
{
	char *root = mount_hierarchy("cpuacct,bc"), *a = at(root, "a");
	pid_t core, subsystem;

	expect(make_dir(a), 0);
	core = poller(at(a, "events"));
	subsystem = poller(at(a, "bc.events"));
	expect(remove_dir(a), 0);
	finish(core);
	finish(subsystem);
}

TEST(poll_ends_with_the_subsystem)
{
	char *root = mount_hierarchy("cpuacct,bc"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	pid = poller(at(a, "bc.events"));
	expect(mount("none", root, "container", MS_REMOUNT, "cpuacct") ? errno : 0, 0);
	finish(pid);
	expect(remove_dir(a), 0);
}

TEST(events_of_a_removed_container)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	struct pollfd p = { .events = POLLPRI };
	char byte;

	expect(make_dir(a), 0);
	p.fd = open(at(a, "events"), O_RDONLY);
	ck_assert_int_ge(p.fd, 0);
	expect(remove_dir(a), 0);
	ck_assert_int_eq(poll(&p, 1, 5000 * lib_slow), 1);
	ck_assert_int_eq(read(p.fd, &byte, 1), -1);
	ck_assert_int_eq(errno, ENODEV);
	close(p.fd);
}
