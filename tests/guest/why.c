// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file `why`: each refusal leaves its reason, as a sentence and as fields.
 */
#include "lib-memory.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

static char *why(const char *container)
{
	return read_file(at(container, "why"));
}

#define says(container, wanted)							\
	do {									\
		char *why_ = why(container), *wanted_ = (wanted);		\
		ck_assert_msg(strstr(why_, wanted_), "why reads \"%s\", wanted \"%s\" in it",	\
			      why_, wanted_);					\
	} while (0)

static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *text(const char *format, ...)
{
	char *t;
	va_list args;

	va_start(args, format);
	if (vasprintf(&t, format, args) < 0)
		abort();
	va_end(args);
	return t;
}

TEST(why_is_empty_at_first)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	ck_assert_str_eq(why(a), "");
	ck_assert_str_eq(why(root), "");
	expect(write_file(at(a, "why"), "1"), EACCES);
	/* a number that is none is the caller's mistake, not a refusal */
	expect(write_file(at(a, "procs"), "x"), EINVAL);
	expect(write_file(at(a, "procs"), "2147483647"), ESRCH);
	ck_assert_str_eq(why(a), "");
	expect(remove_dir(a), 0);
}

TEST(why_rmdir_is_busy)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b");
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(remove_dir(a), EBUSY);
	says(a, "rmdir refused by core: it has children (EBUSY)\n");
	says(a, "\nwhat rmdir\nsubsystem core\nerror EBUSY\nseconds ");
	says(a, "\ncount 1\n");
	ck_assert_str_eq(why(b), "");
	pid = sleeper_in(b);
	expect(remove_dir(b), EBUSY);
	says(b, text("rmdir of task %d (why) refused by core: it has tasks (EBUSY)\n", pid));
	says(b, text("\ntask %d\ncomm why\n", pid));
	expect(remove_dir(b), EBUSY);
	says(b, "\ncount 2\n");
	ck_assert_uint_eq(read_field(at(a, "why"), "count"), 1);
	/* when: between now and a minute ago, on the clock of /proc/uptime */
	ck_assert_double_le(atof(strstr(why(b), "seconds ") + 8), atof(read_file("/proc/uptime")) + 0.1);
	ck_assert_double_ge(atof(strstr(why(b), "seconds ") + 8), atof(read_file("/proc/uptime")) - 60);
	stop(pid);
	expect(remove_dir(b), 0);
	/* a new one of the name knows nothing of the old one's troubles */
	expect(make_dir(b), 0);
	ck_assert_str_eq(why(b), "");
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

static void move_as_nobody(void *arg)
{
	int fd;

	if (setgid(65534) || setuid(65534))
		abort();
	fd = open(at(arg, "procs"), O_WRONLY);
	if (fd < 0)
		abort();
	/* the parent's number */
	ck_assert_int_lt(dprintf(fd, "%d", getppid()), 0);
	ck_assert_int_eq(errno, EACCES);
}

TEST(why_a_task_cannot_be_moved)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	char *comm = "odd (\n name";

	expect(make_dir(a), 0);
	ck_assert_int_eq(chmod(root, 0755) | chmod("/tmp", 0755) | chmod(at(a, "procs"), 0666), 0);
	expect(write_file("/proc/self/comm", comm), 0);
	finish(start(move_as_nobody, a));
	says(a, text("attach of task %d (odd (\\012 name) refused by core: it is another user's (EACCES)\n",
		     getpid()));
	expect(write_file(at(a, "procs"), "2"), EINVAL);
	says(a, "attach of task 2 (kthreadd) refused by core: it is kthreadd (EINVAL)\n");
	expect(remove_dir(a), 0);
}

/* No swap: what the tasks use cannot be freed, whatever the limit. */
TEST_LIMIT(why_memory_is_over_its_limit, 40)
{
	char *root = mount_hierarchy("memory"), *a = at(root, "a"), *b = at(root, "a/b");
	struct actor *actor;

	if (strchr(read_file("/proc/swaps"), '\n')[1])
		ck_abort_msg("this test wants a guest without swap");
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	actor = actor_in(b);
	act(actor, touch, 600);
	set_limit(a, "300");
	/* some laps of the handler, which then rests */
	eventually(strstr(why(a), "reclaim"), 20);
	says(a, "reclaim refused by memory: nothing more can be freed; /a has ");
	says(a, " of 300 pages\n");
	says(a, "\nsubsystem memory\ncontainer /a\nusage ");
	ck_assert_uint_ge(read_field(at(a, "why"), "usage"), 600);
	ck_assert_uint_eq(read_field(at(a, "why"), "limit"), 300);
	/* a path is that of the day */
	expect(rename_dir(a, at(root, "c")), 0);
	says(at(root, "c"), "\ncontainer /c\n");
	dismiss(actor);
	expect(remove_dir(at(root, "c/b")), 0);
	expect(remove_dir(at(root, "c")), 0);
}

TEST(why_the_agent_does_not_start)
{
	char *root = mount_hierarchy("cpuacct,release_agent=/nonexistent"), *a = at(root, "a");

	expect(make_dir(a), 0);
	expect(write_file(at(a, "notify_on_release"), "1"), 0);
	stop(sleeper_in(a));
	/* a process is started for it, which finds out */
	eventually(*why(a), 10);
	says(a, "release refused by core: the agent does not start (ENOENT)\n");
	expect(remove_dir(a), 0);
}
