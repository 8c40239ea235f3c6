// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem ns: who may enter a container. Each refusal is followed by a
 * look at /proc/PID/container.
 */
#include "lib.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static char *root, *a, *b;
static pid_t one, two;

/* /a, /a/b */
static void mount_ns(const char *options)
{
	root = mount_hierarchy(options);
	a = at(root, "a");
	b = at(root, "a/b");
	ck_assert_int_eq(chmod("/tmp", 0755) | chmod(root, 0755), 0);
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
}

static void clean_up(void)
{
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

static char *place(pid_t pid)
{
	return container_of_pid(pid, "ns");
}

static void refused(const char *to, pid_t pid, const char *why)
{
	char *before = place(pid);

	expect(write_u64(at(to, "tasks"), pid), EPERM);
	expect(write_u64(at(to, "procs"), pid), EPERM);
	ck_assert_str_eq(place(pid), before);
	ck_assert_msg(strstr(read_file(at(to, "why")), why), "%s/why reads \"%s\", wanted \"%s\"", to,
		      read_file(at(to, "why")), why);
}

TEST(only_the_first_task_enters)
{
	mount_ns("ns");
	one = sleeper();
	two = sleeper();
	expect(move_to(a, one), 0);
	refused(a, two, "refused by ns: it has had its first task (EPERM)");
	/* nor the same again */
	refused(a, one, "it has had its first task");
	stop(one);
	/* it is empty, and somebody may be the first */
	expect(move_to(a, two), 0);
	ck_assert_str_eq(place(two), "/a");
	stop(two);
	clean_up();
}

TEST(only_one_level_down)
{
	mount_ns("ns");
	one = sleeper();
	refused(b, one, "it is not right below the task's (EPERM)");
	expect(move_to(a, one), 0);
	expect(move_to(b, one), 0);
	ck_assert_str_eq(place(one), "/a/b");
	stop(one);
	clean_up();
}

TEST(nobody_goes_up_or_aside)
{
	char *c;

	mount_ns("ns");
	c = at(root, "c");
	expect(make_dir(c), 0);
	one = sleeper();
	expect(move_to(a, one), 0);
	expect(move_to(b, one), 0);
	refused(a, one, "it is not right below");
	refused(c, one, "it is not right below");
	expect(move_to(root, one), EPERM);
	ck_assert_str_eq(place(one), "/a/b");
	/* who is in the root stays, too */
	expect(move_to(root, getpid()), EPERM);
	stop(one);
	expect(remove_dir(c), 0);
	clean_up();
}

static pthread_barrier_t barrier;
static volatile pid_t tid;

static void *wait_for_the_end(void *arg)
{
	tid = syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

static void two_threads(void *arg)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_the_end, NULL), 0);
	pthread_barrier_wait(&barrier);
	((void (*)(void))arg)();
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
}

static void move_whole(void)
{
	pid_t ids[4];

	/* a process is one first task, with all its threads */
	expect(write_file(at(a, "procs"), "0"), 0);
	ck_assert_int_eq(read_ids(at(a, "tasks"), ids, 4), 2);
}

static void move_halves(void)
{
	char *beside = at(a, "../beside");
	pid_t ids[4];

	expect(write_u64(at(a, "tasks"), tid), 0);
	/* the other one is the second, alone or with what is in there */
	expect(write_file(at(a, "tasks"), "0"), EPERM);
	expect(write_file(at(a, "procs"), "0"), EPERM);
	ck_assert_int_eq(read_ids(at(a, "tasks"), ids, 4), 1);
	ck_assert_int_eq(ids[0], tid);
	/* they are in two places: not both are right above, whichever is asked first */
	expect(write_file(at(b, "procs"), "0"), EPERM);
	ck_assert_int_eq(read_ids(at(b, "tasks"), ids, 4), 0);
	expect(make_dir(beside), 0);
	expect(write_file(at(beside, "procs"), "0"), EPERM);
	ck_assert_int_eq(read_ids(at(beside, "tasks"), ids, 4), 0);
	expect(remove_dir(beside), 0);
}

TEST(a_process_enters_whole)
{
	mount_ns("ns");
	finish(start(two_threads, move_whole));
	clean_up();
}

TEST(a_second_thread_is_a_second_task)
{
	mount_ns("ns");
	finish(start(two_threads, move_halves));
	clean_up();
}

static void become_and_sleep(void *arg)
{
	ck_assert_int_eq(setresgid(1001, 1001, 1001) | setresuid(1001, 1001, 1001), 0);
	*(volatile int *)arg = 1;
	for (;;)
		pause();
}

static void move_as_1001(void *arg)
{
	(void)arg;
	ck_assert_int_eq(setresgid(1001, 1001, 1001) | setresuid(1001, 1001, 1001), 0);
	refused(a, one, "another process is moved with CAP_SYS_ADMIN only");
	/* itself is another matter */
	expect(write_file(at(a, "procs"), "0"), 0);
	ck_assert_str_eq(place(getpid()), "/a");
}

TEST(another_process_needs_cap_sys_admin)
{
	volatile int *ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	mount_ns("ns");
	one = start(become_and_sleep, (void *)ready);
	/* the child has to be scheduled */
	eventually(*ready, 10);
	/* as far as modes and owners go he may */
	ck_assert_int_eq(chown(at(root, "tasks"), 1001, 1001) | chown(at(root, "procs"), 1001, 1001) |
			 chown(at(a, "tasks"), 1001, 1001) | chown(at(a, "procs"), 1001, 1001), 0);
	finish(start(move_as_1001, NULL));
	stop(one);
	clean_up();
}

static void own_container(void *arg)
{
	(void)arg;
	ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
	for (;;)
		pause();
}

TEST(nobody_joins_what_the_kernel_made)
{
	char *dir;

	mount_ns("ns");
	one = start(own_container, NULL);
	/* the child has to be scheduled */
	eventually(strcmp(place(one), "/"), 10);
	dir = at(root, "%s", place(one) + 1);
	refused(dir, getpid(), "it has had its first task");
	/* its own children are born there, which is no entering */
	stop(one);
	eventually(!exists(dir), 10);
	clean_up();
}

/* With another subsystem that has no objection of its own. */
TEST(the_rules_hold_for_the_hierarchy)
{
	mount_ns("cpuacct,ns");
	one = sleeper();
	two = sleeper();
	expect(move_to(a, one), 0);
	refused(a, two, "refused by ns");
	ck_assert_str_eq(container_of_pid(two, "cpuacct"), "/");
	stop(one);
	stop(two);
	clean_up();
}
