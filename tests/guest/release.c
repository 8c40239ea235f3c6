// SPDX-License-Identifier: GPL-2.0-only
/*
 * notify_on_release, releasable, release_agent. The agents are shell scripts:
 * the kernel runs them beside init, in its mount namespace, where /tmp of a
 * test is not, so they and what they leave are below /var/tmp.
 * (jobs 1 4@debug)
 */
#include "lib.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char *base;

static void put_file(const char *path, mode_t mode, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	ck_assert_msg(fd >= 0, "%s: %s", path, error_name(errno));
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

/* A script with COMMANDS; $log and $mnt are its own. */
static char *agent(const char *commands)
{
	char *text, *path;

	if (!base) {
		base = strdup("/var/tmp/release.XXXXXX");
		ck_assert_msg(mkdtemp(base), "%s: %s", base, error_name(errno));
		put_file(at(base, "log"), 0600, "");
	}
	path = at(base, "agent");
	ck_assert_int_gt(asprintf(&text, "#!/bin/sh\nlog=%s/log mnt=%s/mnt\n%s\n", base, base, commands), 0);
	put_file(path, 0700, text);
	return path;
}

#define NOTE "echo \"$1\" >>$log"

static char *log_text(void)
{
	return read_file(at(base, "log"));
}

/* How often the agent was given PATH. */
static int told(const char *path)
{
	char *text = log_text(), *p = text, *line;
	int n = 0;

	while ((line = strsep(&p, "\n")))
		n += !strcmp(line, path);
	free(text);
	return n;
}

static int lines(void)
{
	char *text = log_text();
	int n = 0;

	for (char *p = text; *p; p++)
		n += *p == '\n';
	free(text);
	return n;
}

/* A started agent needs the CPU to write its line; one that is not started never will. */
#define SOON 10
/* How long to wait for what must not happen: an agent takes some 20 ms. */
static void a_while(void)
{
	usleep(400000 * lib_slow);
}

/* A hierarchy with an agent of these commands. */
static char *mount_with(const char *commands)
{
	char *root = mount_hierarchy("none,name=release");

	expect(write_file(at(root, "release_agent"), agent(commands)), 0);
	return root;
}

static void make_notifying(const char *dir)
{
	expect(make_dir(dir), 0);
	expect(write_file(at(dir, "notify_on_release"), "1\n"), 0);
}

static uint64_t releasable(const char *dir)
{
	return read_u64(at(dir, "releasable"));
}

TEST(notify_on_release_is_inherited)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "c");

	ck_assert_uint_eq(read_u64(at(root, "notify_on_release")), 0);
	expect(make_dir(a), 0);
	ck_assert_uint_eq(read_u64(at(a, "notify_on_release")), 0);
	expect(write_file(at(a, "notify_on_release"), "2"), ERANGE);
	expect(write_file(at(a, "notify_on_release"), "x"), EINVAL);
	expect(write_file(at(a, "notify_on_release"), "\n"), EINVAL);
	ck_assert_uint_eq(read_u64(at(a, "notify_on_release")), 0);
	expect(write_file(at(a, "notify_on_release"), "1"), 0);
	ck_assert_uint_eq(read_u64(at(a, "notify_on_release")), 1);
	expect(make_dir(b), 0);
	ck_assert_uint_eq(read_u64(at(b, "notify_on_release")), 1);
	expect(make_dir(c), 0);
	ck_assert_uint_eq(read_u64(at(c, "notify_on_release")), 0);
	expect(write_file(at(a, "notify_on_release"), "0"), 0);
	ck_assert_uint_eq(read_u64(at(b, "notify_on_release")), 1);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
	expect(remove_dir(c), 0);
}

TEST(releasable_is_used_and_empty)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b");
	pid_t pid;

	ck_assert_uint_eq(releasable(root), 0);
	expect(make_dir(a), 0);
	ck_assert_uint_eq(releasable(a), 0);
	expect(make_dir(b), 0);
	ck_assert_uint_eq(releasable(a), 0);
	pid = sleeper_in(b);
	ck_assert_uint_eq(releasable(b), 0);
	stop(pid);
	ck_assert_uint_eq(releasable(b), 1);
	ck_assert_uint_eq(releasable(a), 0);
	expect(remove_dir(b), 0);
	ck_assert_uint_eq(releasable(a), 1);
	pid = sleeper_in(a);
	ck_assert_uint_eq(releasable(a), 0);
	expect(move_to(root, pid), 0);
	ck_assert_uint_eq(releasable(a), 1);
	stop(pid);
	/* no agent: nothing happens */
	expect(write_file(at(a, "notify_on_release"), "1"), 0);
	expect(remove_dir(a), 0);
}

TEST(the_last_exit_runs_the_agent)
{
	char *root = mount_with(NOTE), *a = at(root, "a"), *b = at(root, "a/b");
	pid_t first, last;

	expect(make_dir(a), 0);
	make_notifying(b);
	first = sleeper_in(b);
	last = sleeper_in(b);
	stop(first);
	a_while();
	ck_assert_int_eq(lines(), 0);
	stop(last);
	eventually(lines(), SOON);
	ck_assert_str_eq(log_text(), "/a/b\n");
	/* once for each time that it became empty */
	a_while();
	ck_assert_int_eq(lines(), 1);
	stop(sleeper_in(b));
	eventually(lines() == 2, SOON);
	expect(remove_dir(b), 0);
	/* /a has no notify_on_release */
	a_while();
	ck_assert_int_eq(lines(), 2);
	expect(remove_dir(a), 0);
}

/* Moves every thread called NAME... from the container FROM; returns how many. */
static int move_all(const char *from, const char *name, const char *to)
{
	pid_t ids[1024];
	int n = read_ids(at(from, "tasks"), ids, 1024), moved = 0;
	char *comm;

	for (int i = 0; i < n; i++)
		if (!try_read(at("/proc", "%d/comm", ids[i]), &comm) &&
		    !strncmp(comm, name, strlen(name)) && !move_to(to, ids[i]))
			moved++;
	return moved;
}

/* It is started by a kernel worker, which anybody may have put anywhere. */
TEST(the_agent_is_in_the_roots)
{
	char *root = mount_with("cat /proc/self/container >>$log"), *a = at(root, "a"), *k = at(root, "k");

	make_notifying(a);
	expect(make_dir(k), 0);
	for (int i = 1; i <= 5; i++) {
		/* there may be new ones */
		ck_assert_int_ge(move_all(root, "kworker", k) + (i > 1), 1);
		stop(sleeper_in(a));
		eventually(lines() >= i, SOON);
	}
	ck_assert_msg(!strstr(log_text(), ":/k\n"), "%s", log_text());
	ck_assert_int_ge(move_all(k, "", root), 1);
	expect(remove_dir(k), 0);
	expect(remove_dir(a), 0);
}

TEST(the_last_rmdir_and_the_last_move_run_the_agent)
{
	char *root = mount_with(NOTE), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "a/c");
	pid_t pid = sleeper();

	make_notifying(a);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	expect(remove_dir(b), 0);
	a_while();
	ck_assert_int_eq(lines(), 0);
	expect(remove_dir(c), 0);
	eventually(told("/a") == 1, SOON);
	expect(move_to(a, pid), 0);
	expect(move_to(root, pid), 0);
	eventually(told("/a") == 2, SOON);
	stop(pid);
	expect(remove_dir(a), 0);
}

static void unshare_and_exit(void *arg)
{
	(void)arg;
	ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
	ck_assert_str_ne(container_of_pid(getpid(), "ns"), "/a");
}

TEST(nobody_is_told_of_the_unused_and_the_quiet)
{
	char *root = mount_with(NOTE), *a = at(root, "a"), *b = at(root, "b");

	make_notifying(a);
	expect(write_file(at(a, "procs"), "2147483647"), ESRCH);
	expect(make_dir(b), 0);
	stop(sleeper_in(b));
	a_while();
	ck_assert_int_eq(lines(), 0);
	/* asking later is in time */
	expect(write_file(at(b, "notify_on_release"), "1"), 0);
	eventually(told("/b") == 1, SOON);
	/* and asking again repeats */
	expect(write_file(at(b, "notify_on_release"), "1"), 0);
	eventually(told("/b") == 2, SOON);
	ck_assert_int_eq(told("/a"), 0);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* container_clone(): the kernel removes it itself; its parent, made by hand, is the agent's. */
TEST(what_the_kernel_made_it_removes_itself)
{
	char *root = mount_hierarchy("ns"), *a = at(root, "a");
	pid_t pid;

	expect(write_file(at(root, "release_agent"), agent(NOTE)), 0);
	make_notifying(a);
	pid = start_in(a, unshare_and_exit, NULL);
	finish(pid);
	eventually(told("/a") == 1, SOON);
	a_while();
	ck_assert_int_eq(lines(), 1);
	expect(remove_dir(a), 0);
}

TEST(the_agent_sees_two_words_and_a_path)
{
	char *root = mount_with("echo \"$# $HOME $PATH\" >>$log; tr '\\0' ' ' </proc/self/cmdline >/dev/null; "
				"cat /proc/self/container >>$log");
	char *a = at(root, "a");

	make_notifying(a);
	stop(sleeper_in(a));
	/* it does not live where the test or the container does */
	eventually(strstr(log_text(), "1 / /sbin:/bin:/usr/sbin:/usr/bin\n") &&
		   strstr(log_text(), "none,name=release:/\n"), SOON);
	expect(remove_dir(a), 0);
}

#define REMOVE "dir=$(mktemp -d $mnt.XXXXXX); mount -t container -o none,name=release none $dir && " \
	"rmdir $dir$1; umount $dir; rmdir $dir; " NOTE

TEST_LIMIT(an_agent_that_removes, 60)
{
	char *root = mount_with(REMOVE), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "a/b/c");

	make_notifying(a);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	stop(sleeper_in(c));
	/* each removal makes the next one releasable, up to the first */
	eventually(!exists(a), 3 * SOON);
	eventually(lines() == 3, SOON);
	ck_assert_str_eq(log_text(), "/a/b/c\n/a/b\n/a\n");
	ck_assert_int_eq(hierarchy_of("name=release").containers, 1);
}

TEST(a_missing_agent_is_no_harm)
{
	char *root = mount_with(NOTE), *a = at(root, "a");

	expect(write_file(at(root, "release_agent"), "/nonexistent/agent"), 0);
	make_notifying(a);
	for (int i = 0; i < 5; i++)
		stop(sleeper_in(a));
	a_while();
	ck_assert_uint_eq(releasable(a), 1);
	expect(write_file(at(root, "release_agent"), at(base, "agent")), 0);
	/* it was handed over, in vain; who repairs the agent asks again */
	expect(write_file(at(a, "notify_on_release"), "1"), 0);
	eventually(told("/a") == 1, SOON);
	/* a file that cannot be executed, and a directory */
	expect(write_file(at(root, "release_agent"), at(base, "log")), 0);
	stop(sleeper_in(a));
	expect(write_file(at(root, "release_agent"), base), 0);
	stop(sleeper_in(a));
	a_while();
	expect(remove_dir(a), 0);
}

/*
 * Regression: when Linux had no room for the agent's process, nobody was ever told. /proc/sys/kernel/threads-max
 * may be less than what there is; all forks fail then, those of the kernel, too.
 */
TEST_LIMIT(without_a_process_it_comes_later, 60)
{
	char *root = mount_with(NOTE), *a = at(root, "a"), *before = read_file("/proc/sys/kernel/threads-max");
	pid_t pid;

	make_notifying(a);
	pid = sleeper_in(a);
	expect(write_file("/proc/sys/kernel/threads-max", "20"), 0);
	/* no fork and no exit: the number of threads stays */
	expect(write_u64(at(root, "procs"), pid), 0);
	eventually(strstr(read_file(at(a, "why")), "does not start"), SOON);
	ck_assert_int_eq(told("/a"), 0);
	expect(write_file("/proc/sys/kernel/threads-max", before), 0);
	eventually(told("/a"), SOON);
	a_while();
	ck_assert_int_eq(told("/a"), 1);
	stop(pid);
	expect(remove_dir(a), 0);
}

TEST(containers_wait_for_an_agent)
{
	char *root = mount_with(NOTE), *a = at(root, "a"), *b = at(root, "b"), *c = at(root, "c");
	char *path = at(base, "agent");
	pid_t pid;

	expect(write_file(at(root, "release_agent"), "\n"), 0);
	ck_assert_str_eq(read_file(at(root, "release_agent")), "\n");
	make_notifying(a);
	make_notifying(b);
	make_notifying(c);
	stop(sleeper_in(a));
	stop(sleeper_in(b));
	stop(sleeper_in(c));
	a_while();
	ck_assert_int_eq(lines(), 0);
	/* who was removed or is used again meanwhile waits no longer */
	expect(remove_dir(b), 0);
	pid = sleeper_in(c);
	expect(write_file(at(root, "release_agent"), path), 0);
	eventually(told("/a") == 1, SOON);
	a_while();
	ck_assert_int_eq(lines(), 1);
	stop(pid);
	eventually(told("/c") == 1, SOON);
	expect(remove_dir(a), 0);
	expect(remove_dir(c), 0);
}

/* What waits for ever must not keep a hierarchy. lib.c looks whether it does. */
TEST(nothing_is_left_of_waiting_containers)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	make_notifying(a);
	stop(sleeper_in(a));
	usleep(50000);
	expect(remove_dir(a), 0);
	/* a grace period and a worker */
	eventually(no_dying("cpuacct"), 5);
	expect(unmount(root), 0);
	eventually(!hierarchy_of("cpuacct").id, 5);
}

TEST_LIMIT(agents_that_hang_hold_nobody_up, 60)
{
	char *root = mount_with("echo $$ >>$log.pid; " NOTE "; exec sleep 1000"), *text, *p, *line;
	char name[16];
	int n;

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		make_notifying(at(root, "%s", name));
		stop(sleeper_in(at(root, "%s", name)));
	}
	eventually(lines() == 40, 3 * SOON);
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(told(at("", "c%d", i)), 1);
		expect(remove_dir(at(root, "c%d", i)), 0);
	}
	/* with 40 of them asleep */
	expect(unmount(root), 0);
	eventually(!hierarchy_of("name=release").id, 5);
	text = read_file(at(base, "log.pid"));
	for (p = text, n = 0; (line = strsep(&p, "\n")) && *line; n++)
		ck_assert_int_eq(kill(atoi(line), SIGKILL), 0);
	ck_assert_int_eq(n, 40);
}

TEST_LIMIT(hundreds_at_once, 120)
{
	char *root = mount_with(NOTE), *top = at(root, "top");
	enum { MANY = 150 };

	expect(make_dir(top), 0);
	for (int i = 0; i < MANY; i++) {
		make_notifying(at(top, "%d", i));
		sleeper_in(at(top, "%d", i));
	}
	expect(write_file(at(top, "kill"), "1"), 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	eventually(lines() == MANY, 60);
	for (int i = 0; i < MANY; i++) {
		ck_assert_int_eq(told(at("/top", "%d", i)), 1);
		expect(remove_dir(at(top, "%d", i)), 0);
	}
	expect(remove_dir(top), 0);
}

/* The 2006 report: removed while its last task went, again and again. */
TEST_LIMIT(removing_while_it_is_released, 60)
{
	char *root = mount_with(REMOVE), *a = at(root, "a");
	double end = now() + 5;
	int rounds = 0;

	/* for 5 s, some hundreds of rounds; with an agent in a debug kernel one may take half a second */
	while (now() < end || rounds <= 10) {
		int err = make_dir(a);

		ck_assert_msg(!err || err == EEXIST, "mkdir: %s", error_name(err));
		/* an agent may remove it between any two of these */
		if (!write_file(at(a, "notify_on_release"), "1")) {
			pid_t pid = fork();

			if (!pid) {
				write_file(at(a, "procs"), "0");
				_exit(0);
			}
			waitpid(pid, NULL, 0);
			err = rounds % 2 ? remove_dir(a) : 0;
			ck_assert_msg(!err || err == ENOENT || err == ENODEV, "rmdir: %s", error_name(err));
		}
		rounds++;
	}
	eventually(!exists(a) || !remove_dir(a), SOON);
	/* agents that are still running mount the hierarchy for a moment */
	expect(unmount(root), 0);
	eventually(!hierarchy_of("name=release").id, 3 * SOON);
}

TEST(release_agent_is_a_file_of_the_root)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), text[4097];

	expect(make_dir(a), 0);
	ck_assert(!exists(at(a, "release_agent")));
	ck_assert_str_eq(read_file(at(root, "release_agent")), "\n");
	expect(write_file(at(root, "release_agent"), "bin/agent"), EINVAL);
	memset(text, '/', 4096);
	text[4096] = 0;
	expect(write_file(at(root, "release_agent"), text), E2BIG);
	ck_assert_str_eq(read_file(at(root, "release_agent")), "\n");
	text[4095] = 0;
	expect(write_file(at(root, "release_agent"), text), 0);
	expect(write_file(at(root, "release_agent"), "/bin/true\n"), 0);
	ck_assert_str_eq(read_file(at(root, "release_agent")), "/bin/true\n");
	expect(remove_dir(a), 0);
}

TEST(release_agent_is_a_mount_option)
{
	char *root = mount_hierarchy("cpuacct,release_agent=/bin/true"), *dir;

	ck_assert_str_eq(read_file(at(root, "release_agent")), "/bin/true\n");
	ck_assert(strstr(read_file("/proc/mounts"), ",release_agent=/bin/true"));
	expect(mount("none", root, "container", MS_REMOUNT, "release_agent=/bin/false") ? errno : 0, 0);
	ck_assert_str_eq(read_file(at(root, "release_agent")), "/bin/false\n");
	/* mounted again: the same tree, with what the options say */
	expect(try_mount("cpuacct", &dir), 0);
	ck_assert_str_eq(read_file(at(dir, "release_agent")), "/bin/false\n");
	expect(try_mount("cpuacct,release_agent=/bin/echo", &dir), 0);
	ck_assert_str_eq(read_file(at(root, "release_agent")), "/bin/echo\n");
	expect(try_mount("memory,release_agent=bin/x", &dir), EINVAL);
	expect(try_mount("memory,release_agent=", &dir), EINVAL);
	expect(try_mount("memory,release_agent", &dir), EINVAL);
	expect(try_mount("memory,release_agent=/a,release_agent=/b", &dir), EINVAL);
	ck_assert_int_eq(hierarchy_of("memory").id, 0);
}

static void write_as_nobody(void *arg)
{
	if (setgid(65534) || setuid(65534))
		abort();
	expect(write_file(arg, "/bin/evil"), EPERM);
}

static void write_inherited(void *arg)
{
	ck_assert_int_eq(write(*(int *)arg, "/bin/evil", 9), -1);
	ck_assert_int_eq(errno, EPERM);
}

static void open_as_nobody(void *arg)
{
	int *wire = arg, fd;

	if (seteuid(65534))
		abort();
	fd = open("agent-file", O_WRONLY);
	if (fd < 0 || seteuid(0))
		abort();
	*wire = fd;
	/* root again, with a descriptor that a user opened */
	write_inherited(&fd);
}

/* Who owns the file of a delegated tree must not get a program run by the kernel. */
TEST(release_agent_needs_cap_sys_admin)
{
	char *root = mount_hierarchy("cpuacct"), *file = at(root, "release_agent");
	int fd;

	ck_assert_int_eq(chown(file, 65534, 65534), 0);
	ck_assert_int_eq(chmod("/tmp", 0755), 0);
	ck_assert_int_eq(chmod(root, 0755), 0);
	finish(start(write_as_nobody, file));
	ck_assert_int_eq(chdir(root), 0);
	ck_assert_int_eq(symlink(file, "/tmp/agent-file"), 0);
	ck_assert_int_eq(chdir("/tmp"), 0);
	finish(start(open_as_nobody, &fd));
	ck_assert_str_eq(read_file(file), "\n");
}
