// SPDX-License-Identifier: GPL-2.0-only
/* /proc/containers and /proc/PID/container: their format, and that they say what is. */
#include "lib.h"

#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void matches(const char *text, const char *pattern)
{
	regex_t re;

	ck_assert_int_eq(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	ck_assert_msg(!regexec(&re, text, 0, NULL, 0), "got \"%s\", wanted what matches \"%s\"", text,
		      pattern);
	regfree(&re);
}

TEST(containers_without_hierarchies)
{
	struct subsystem_row rows[64];
	int n = read_subsystems(rows, 64);

	matches(read_file("/proc/containers"),
		"^hierarchy +containers +dying +subsystems\n"
		"\n"
		"subsystem +hierarchy +containers +states\n"
		"([a-z]+ +0 +1 +[0-9]+\n)+\n"
		"groups [0-9]+\n$");
	ck_assert_int_ge(n, 2);
}

TEST(containers_with_hierarchies)
{
	char *dir = mount_hierarchy("cpuacct");

	mount_hierarchy("none,name=x");
	expect(make_dir(at(dir, "a")), 0);
	matches(read_file("/proc/containers"),
		"^hierarchy +containers +dying +subsystems\n"
		"1 +2 +0 +cpuacct\n"
		"2 +1 +0 +none,name=x\n"
		"\n"
		"subsystem +hierarchy +containers +states\n"
		"([a-z]+ +[0-9]+ +[0-9]+ +[0-9]+\n)*cpuacct +1 +2 +[0-9]+\n"
		"([a-z]+ +[0-9]+ +[0-9]+ +[0-9]+\n)*\n"
		"groups [0-9]+\n$");
	expect(remove_dir(at(dir, "a")), 0);
}

TEST(containers_says_where_a_subsystem_is)
{
	struct subsystem_row rows[64];
	int n, seen = 0;

	mount_hierarchy("memory");
	mount_hierarchy("cpuacct");
	n = read_subsystems(rows, 64);
	for (int i = 0; i < n; i++) {
		if (!strcmp(rows[i].name, "memory"))
			seen += rows[i].hierarchy == hierarchy_of("memory").id;
		else if (!strcmp(rows[i].name, "cpuacct"))
			seen += rows[i].hierarchy == hierarchy_of("cpuacct").id;
		else
			seen += rows[i].hierarchy == 0;
	}
	ck_assert_int_eq(seen, n);
}

TEST(containers_counts_the_dying)
{
	char *dir = mount_hierarchy("cpuacct,memory");

	for (int i = 0; i < 50; i++)
		expect(make_dir(at(dir, "c%d", i)), 0);
	ck_assert_int_eq(hierarchy_of("cpuacct").dying, 0);
	for (int i = 0; i < 50; i++)
		expect(remove_dir(at(dir, "c%d", i)), 0);
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 1);
	/* a grace period and a worker each */
	eventually(no_dying("cpuacct"), 10);
}

static void walk_and_read(void *arg)
{
	char *dir = arg, *a = at(dir, "a");

	matches(read_file("/proc/self/container"), "^1:cpuacct,memory:/\n2:none,name=x:/\n$");
	enter(at(a, "b"));
	matches(read_file("/proc/self/container"), "^1:cpuacct,memory:/a/b\n2:none,name=x:/\n$");
	enter(a);
	matches(read_file("/proc/self/container"), "^1:cpuacct,memory:/a\n2:none,name=x:/\n$");
}

struct visit {
	char *inside, *outside;
	volatile bool *moved;
};

static void touch_and_leave(void *arg)
{
	struct visit *v = arg;
	char *pages;

	enter(v->inside);
	pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(pages, 1, 1 << 20);
	enter(v->outside);
	*v->moved = true;
	for (;;)
		pause();
}

/* Pages stay charged where they were touched: the state outlives the directory. */
TEST(dying_while_its_pages_live)
{
	char *dir = mount_hierarchy("memory"), *other = at(mount_hierarchy("cpuacct"), "b");
	struct visit v = { at(dir, "a"), dir, NULL };
	pid_t pid;

	v.moved = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* a page of tmpfs: whoever brings it in owns its mapping */
	*v.moved = false;
	expect(make_dir(v.inside), 0);
	pid = start(touch_and_leave, &v);
	eventually(*v.moved, 5);
	expect(remove_dir(v.inside), 0);
	ck_assert_int_eq(hierarchy_of("memory").containers, 1);
	ck_assert_int_eq(hierarchy_of("memory").dying, 1);
	/* nothing but the pages holds it, and they are there: what is removed later is long gone */
	for (int i = 0; i < 2; i++) {
		expect(make_dir(other), 0);
		expect(remove_dir(other), 0);
		eventually(no_dying("cpuacct"), 20);
	}
	ck_assert_int_eq(hierarchy_of("memory").dying, 1);
	expect(make_dir(v.inside), 0);
	stop(pid);
	expect(remove_dir(v.inside), 0);
	eventually(no_dying("memory"), 5);
}

/* In a child: the memory of whoever is in a container stays charged to it while he lives. */
TEST(pid_container_lines)
{
	char *dir = mount_hierarchy("cpuacct,memory"), *a = at(dir, "a");

	mount_hierarchy("none,name=x");
	expect(make_dir(a), 0);
	expect(make_dir(at(a, "b")), 0);
	finish(start(walk_and_read, dir));
	expect(remove_dir(at(a, "b")), 0);
	expect(remove_dir(a), 0);
}

TEST(pid_container_without_hierarchies_is_empty)
{
	ck_assert_str_eq(read_file("/proc/self/container"), "");
}

static void *thread_reads_itself(void *arg)
{
	char *dir = arg, *text;

	expect(write_file(at(dir, "a/tasks"), "0"), 0);
	text = read_file(at("/proc/self/task", "%ld/container", syscall(SYS_gettid)));
	matches(text, "^1:cpuacct:/a\n$");
	matches(read_file("/proc/self/container"), "^1:cpuacct:/\n$");
	return NULL;
}

TEST(each_thread_has_its_own_file)
{
	char *dir = mount_hierarchy("cpuacct");
	pthread_t thread;

	expect(make_dir(at(dir, "a")), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, thread_reads_itself, dir), 0);
	pthread_join(thread, NULL);
	eventually(remove_dir(at(dir, "a")) == 0, 5);
}

TEST(pid_container_of_a_zombie_is_the_root)
{
	char *dir = mount_hierarchy("cpuacct"), *a = at(dir, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	pid = sleeper_in(a);
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/a");
	kill(pid, SIGKILL);
	eventually(!strcmp(container_of_pid(pid, "cpuacct"), "/"), 5);
	wait_for(pid);
	expect(remove_dir(a), 0);
}

TEST(names_with_odd_characters)
{
	char *dir = mount_hierarchy("cpuacct"), *a = at(dir, "a b:c,d\\e");
	pid_t pid;

	expect(make_dir(a), 0);
	pid = sleeper_in(a);
	/* the path is what follows the second colon, to the end of the line */
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/a b:c,d\\e");
	stop(pid);
	expect(remove_dir(a), 0);
}

TEST(kernel_threads_and_init_are_in_the_root)
{
	mount_hierarchy("cpuacct");
	ck_assert_str_eq(container_of_pid(1, "cpuacct"), "/");
	ck_assert_str_eq(container_of_pid(2, "cpuacct"), "/");
}

/* Cut off, it would be that of another container: a release agent once removed that one. */
TEST(a_path_that_is_too_long_is_not_cut)
{
	char *root = mount_hierarchy("cpuacct"), name[251];
	int depth;

	memset(name, 'd', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	ck_assert_int_eq(chdir(root), 0);
	for (depth = 0; depth < 4096 / 250 + 1; depth++) {
		expect(make_dir(name), 0);
		ck_assert_int_eq(chdir(name), 0);
	}
	expect(write_file("tasks", "0"), 0);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "?");
	expect(write_file(at(root, "tasks"), "0"), 0);
	while (depth--) {
		ck_assert_int_eq(chdir(".."), 0);
		expect(remove_dir(name), 0);
	}
	ck_assert_int_eq(chdir("/"), 0);
}
