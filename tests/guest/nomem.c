// SPDX-License-Identifier: GPL-2.0-only
/*
 * Without memory: the first, second, ... allocation of a mkdir, of a move of many threads and of a
 * mount fails, until one call has fewer. After each error everything is as it was. For
 * remounts see rebind_debug.c, for namespaces ns_fail.c, for releases release_nomem.c.
 * (jobs 1@debug): fault injection is not in the other kernels.
 */
#include "lib-nomem.h"
#include "lib-rebind.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MOST 1000

/*
 * Fails each allocation of ATTEMPT in turn, which UNDO undoes when it has worked. How many were errors. After
 * each what shows at once is as it was, and everything at the end.
 */
static int fail_each(int (*attempt)(void), void (*undo)(void), const char *root)
{
	int nth, failed = 0, err, to_go;
	char *before, *quick;

	hurry_grace_periods();
	set_up_failslab();
	await_states();
	before = snapshot(root);
	quick = outline(root);
	for (nth = 1;; nth++) {
		ck_assert_int_lt(nth, MOST);
		fail_allocation(nth);
		err = attempt();
		to_go = allocations_to_go();
		if (err) {
			ck_assert_msg(err == ENOMEM, "allocation %d: %s", nth, error_name(err));
			failed++;
		} else {
			undo();
		}
		same_outline(root, quick, nth);
		if (to_go)
			break;
	}
	same_as_before(root, before);
	printf("# %d of %d failures were errors\n", failed, nth - 1);
	return failed;
}

static char *parent, *child;

static int try_mkdir(void)
{
	return mkdir(child, 0755) ? errno : 0;
}

/* One that has had a child is releasable. */
static void undo_mkdir(void)
{
	expect(remove_dir(child), 0);
	expect(remove_dir(parent), 0);
	expect(make_dir(parent), 0);
}

/*
 * At least: the container, its node; of each subsystem the table of files, the state and its count. Those of
 * the others are made by rebind_debug.c.
 */
TEST_LIMIT(each_allocation_of_a_mkdir, 60)
{
	char *root = mount_hierarchy("cpuacct,memset,numtasks,cpu,bc,debug");

	parent = at(root, "a");
	child = at(root, "a/b");
	expect(make_dir(parent), 0);
	ck_assert_int_ge(fail_each(try_mkdir, undo_mkdir, root), 2 + 3 * 6);
	expect(remove_dir(parent), 0);
}

#define THREADS 2

static volatile pid_t *tid;
static char *home[2];
static int door;

static void *sleep_in_thread(void *arg)
{
	*(volatile pid_t *)arg = syscall(SYS_gettid);
	for (;;)
		pause();
	return NULL;
}

static void sleep_in_threads(void *arg)
{
	pthread_t thread;

	(void)arg;
	for (int i = 1; i <= THREADS; i++)
		ck_assert_int_eq(pthread_create(&thread, NULL, sleep_in_thread, (void *)&tid[i]), 0);
	sleep_in_thread((void *)&tid[0]);
}

/* Every second thread to the one place, the others to the other. */
static void go_home(void)
{
	for (int i = 0; i <= THREADS; i++)
		expect(write_u64(at(home[i % 2], "tasks"), tid[i]), 0);
}

static bool all_are_there(void)
{
	for (int i = 0; i <= THREADS; i++)
		if (!tid[i])
			return false;
	return true;
}

static int try_move(void)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", tid[0]);

	return write(door, text, len) == len ? 0 : errno;
}

static void make_home(const char *dir)
{
	expect(make_dir(dir), 0);
	expect(write_file(at(dir, "cpuset.cpus"), "0"), 0);
	expect(write_file(at(dir, "memset.mems"), "0"), 0);
}

/*
 * Without bc, whose marks say that there were moves. At least: the text that was written, the list of tasks, that
 * of their groups, a group for each.
 */
TEST_LIMIT(each_allocation_of_a_move, 60)
{
	char *root = mount_hierarchy("cpuacct,memory,cpuset,memset,numtasks,cpu,debug"), *away = at(root, "c");
	char *beside = mount_hierarchy("none,name=beside");
	pid_t pid, host;

	make_home(home[0] = at(root, "a"));
	make_home(home[1] = at(root, "b"));
	tid = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = start(sleep_in_threads, NULL);
	eventually(all_are_there(), 10);
	go_home();
	/* each in a place of its own in another tree: nobody has the group that it will need */
	for (int i = 0; i <= THREADS; i++) {
		expect(make_dir(at(beside, "%d", i)), 0);
		expect(write_u64(at(beside, "%d/tasks", i), tid[i]), 0);
	}
	/* somebody who stays: what was used and is empty would be releasable */
	make_home(away);
	host = sleeper_in(away);
	door = open(at(away, "procs"), O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(door, 0);
	ck_assert_int_ge(fail_each(try_move, go_home, root), 3 + THREADS + 1);
	close(door);
	stop(host);
	stop(pid);
	/* a thread that was killed may leave a moment after wait(2) */
	eventually(!remove_dir(home[0]), 5);
	eventually(!remove_dir(home[1]), 5);
	expect(remove_dir(away), 0);
	for (int i = 0; i <= THREADS; i++)
		eventually(!remove_dir(at(beside, "%d", i)), 5);
}

static char *where;

static int try_mounting(void)
{
	return mount("none", where, "container", 0, "cpuacct,numtasks,debug") ? errno : 0;
}

static void undo_mounting(void)
{
	expect(unmount(where), 0);
}

/* At least: the context, the hierarchy, its root, its node; of each subsystem the table of files. */
TEST_LIMIT(each_allocation_of_a_mount, 60)
{
	char *beside = mount_hierarchy("none,name=beside");

	where = new_dir();
	ck_assert_int_ge(fail_each(try_mounting, undo_mounting, beside), 4 + 3);
}
