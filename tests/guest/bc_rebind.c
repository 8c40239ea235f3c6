// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters, and rebindings that fail when everything has been made ready for bc to leave: what is
 * charged meanwhile is where it belongs. (jobs 1 4@debug)
 */
#include "lib-bc.h"
#include "lib-rebind.h"
#include "lib-vma.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>

/* ld.so and a worker. */
#define SOON 10
/* No more than these many, 0.2 ms apart: a try to rebind is over before. */
#define FILES 600
#define PROGRAMS 8
/* Each hit is 3 ms later in its try than the one before: what is closed is so for longer than that. */
#define TRIES 10

static pid_t bound;
static volatile bool *over;

/* ksoftirqd is bound to its CPU, and no cpuset below a root lets it in. */
static pid_t bound_thread(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	pid_t pid = 0;
	char *comm;

	ck_assert_ptr_nonnull(proc);
	while (!pid && (e = readdir(proc)))
		if (atoi(e->d_name) > 0 && !try_read(at("/proc", "%s/comm", e->d_name), &comm) &&
		    !strcmp(comm, "ksoftirqd/0\n"))
			pid = atoi(e->d_name);
	closedir(proc);
	ck_assert_int_gt(pid, 0);
	return pid;
}

/* /a, and /b with a thread that is bound. */
static void mount_both(void)
{
	mount_bc("b");
	expect(make_dir(b), 0);
	bound = bound_thread();
	expect(move_to(b, bound), 0);
	over = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne((void *)over, MAP_FAILED);
}

static void remove_both(void)
{
	expect(move_to(root, bound), 0);
	remove_all();
}

/*
 * bc is to go, cpuset to come. The states of bc are closed, which takes a grace period and is when
 * others run; then the tasks are asked, and all is opened again.
 */
static void fail_to_rebind(void)
{
	expect(remount(root, "cpuset"), EINVAL);
}

static void open_until_over(struct actor *actor)
{
	for (actor->result = 0; !*over; usleep(200)) {
		if (actor->result == FILES)
			continue;
		ck_assert_int_ge(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
		actor->result++;
	}
}

TEST(files_are_where_they_were_opened)
{
	struct actor *actor;
	uint64_t before;

	mount_both();
	set_bounds(a, 2 * FILES, 2 * FILES);
	actor = quiet_actor_in(a);
	before = held(a);
	act_begin(actor, open_until_over, 0);
	eventually(held(a) > before, SOON);
	fail_to_rebind();
	fail_to_rebind();
	*over = true;
	act_end(actor);
	ck_assert_uint_gt(actor->result, 0);
	ck_assert_uint_eq(held(a), before + actor->result);
	dismiss(actor);
	ck_assert_uint_eq(held(a), 0);
	remove_both();
}

static int gate[2];

static void exec_when_told(void *arg)
{
	char go;

	(void)arg;
	ck_assert_int_eq(read(gate[0], &go, 1), 1);
	execl("/bin/sleep", "sleep", "1000", NULL);
}

static void tell_all(void *arg)
{
	(void)arg;
	for (int i = 0; i < PROGRAMS; i++, usleep(5000))
		ck_assert_int_eq(write(gate[1], "x", 1), 1);
}

static bool are_executed(const pid_t *pid)
{
	for (int i = 0; i < PROGRAMS; i++)
		if (!is_sleep(pid[i]))
			return false;
	return true;
}

static bool held_by_all(const pid_t *pid)
{
	unsigned long sum = 0;

	for (int i = 0; i < PROGRAMS; i++)
		sum += private_of(pid[i]);
	return amount(a, "privvmpages", "held") == sum;
}

/* What exec makes begins where the task is. */
TEST_LIMIT(address_spaces_are_where_they_began, 40)
{
	pid_t pid[PROGRAMS], teller;

	mount_both();
	ck_assert_int_eq(pipe(gate), 0);
	/* born there: a move of each would wait for a grace period */
	enter(a);
	for (int i = 0; i < PROGRAMS; i++)
		pid[i] = start(exec_when_told, NULL);
	enter(root);
	teller = start(tell_all, NULL);
	/* whenever one executes, a try is most likely under way */
	do
		fail_to_rebind();
	while (!are_executed(pid));
	finish(teller);
	/* ld.so is at it, until it is asleep */
	eventually(held_by_all(pid), SOON);
	for (int i = 0; i < PROGRAMS; i++)
		stop(pid[i]);
	eventually(amount(a, "privvmpages", "held") == 0, SOON);
	remove_both();
}

/* One open that is refused, ARG us from now. */
static void hit_later(struct actor *actor)
{
	usleep(actor->arg);
	expect(open("/dev/null", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0, ENFILE);
}

static bool woken(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };
	char text[1024];

	if (poll(&p, 1, SOON * 1000 * lib_slow) < 1)
		return false;
	/* what has been told is seen from here on */
	ck_assert_int_gt(pread(fd, text, sizeof(text), 0), 0);
	return true;
}

/* Before, meanwhile or after: each hit wakes. */
TEST(hits_wake)
{
	struct actor *actor;
	char text[1024];
	int fd;

	mount_both();
	actor = quiet_actor_in(a);
	set_bounds(a, 0, 0);
	fd = open(at(a, "bc.events"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_gt(read(fd, text, sizeof(text)), 0);
	for (int i = 0; i < TRIES; i++) {
		act_begin(actor, hit_later, i * 3000);
		fail_to_rebind();
		act_end(actor);
		ck_assert_uint_eq(read_field(at(a, "bc.events"), "numfiles.limit_hit"), i + 1);
		ck_assert_msg(woken(fd), "not after hit %d", i + 1);
	}
	close(fd);
	dismiss(actor);
	remove_both();
}
