// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem ns with several processors: clones that are killed, directories
 * that are made and removed by others meanwhile, hierarchies that go.
 * (jobs 4 4@debug)
 *
 * Rounds end by a time that does not grow with the machine's slowness; what
 * counts is what is left: no directory, nobody dying, no hierarchy.
 */
#include "lib.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* Many works for the worker, and its turn on a busy machine. */
#define SOON 20
#define SECONDS 2.0

static char *root;
static volatile unsigned long *shared;

static void mount_ns(const char *options)
{
	root = mount_hierarchy(options);
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Directories below the root, whatever made them. */
static bool empty(void)
{
	return hierarchy_of("ns").containers == 1;
}

static const unsigned long flags[] = {
	CLONE_NEWUTS, CLONE_NEWIPC | CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER | CLONE_NEWPID,
};

static unsigned long some_flags(void)
{
	return flags[random() % (sizeof(flags) / sizeof(flags[0]))];
}

/* A child that ends at once; returns what clone(2) does. */
static pid_t clone_and_exit(unsigned long f)
{
	pid_t pid = syscall(SYS_clone, f | SIGCHLD, 0, NULL, NULL, 0);

	if (!pid)
		_exit(0);
	return pid;
}

static void clone_for_ever(void *arg)
{
	srandom(lib_seed + (long)arg);
	for (;;) {
		pid_t pid = clone_and_exit(some_flags());

		ck_assert_msg(pid > 0, "clone: %s", error_name(errno));
		shared[0]++;
		waitpid(pid, NULL, 0);
	}
}

/* N processes that clone, killed a moment after there have been some clones. */
static void kill_cloners(int n)
{
	unsigned long before = shared[0];
	pid_t pids[n];

	for (long i = 0; i < n; i++)
		pids[i] = start(clone_for_ever, (void *)(random() + i));
	while (shared[0] < before + n)
		usleep(500);
	usleep(random() % 3000);
	for (int i = 0; i < n; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(wait_for(pids[i]), 128 + SIGKILL);
}

/*
 * Kill a task that clones, at any moment of it. What it has made by then is
 * removed: the directory of a child that never was by the clone itself, that
 * of a child that lives by the worker.
 */
TEST_LIMIT(a_killed_clone_leaves_nothing, 60)
{
	double end;
	int rounds = 0;

	mount_ns("ns");
	for (end = now() + SECONDS; now() < end || rounds < 10; rounds++)
		kill_cloners(3);
	/* children of the killed are another's; they exit by themselves */
	eventually(empty(), SOON);
	printf("# %d rounds, %lu clones\n", rounds, shared[0]);
}

static void unshare_for_ever(void *arg)
{
	srandom(lib_seed + (long)arg);
	for (int depth = 0; depth < 100; depth++) {
		ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
		shared[0]++;
	}
	for (;;)
		pause();
}

TEST_LIMIT(a_killed_unshare_leaves_nothing, 60)
{
	double end;

	mount_ns("ns");
	for (end = now() + SECONDS; now() < end;) {
		pid_t pids[3];

		for (long i = 0; i < 3; i++)
			pids[i] = start(unshare_for_ever, (void *)(random() + i));
		usleep(random() % 5000);
		for (int i = 0; i < 3; i++)
			stop(pids[i]);
	}
	eventually(empty(), SOON);
}

/* The file `kill` of the container above, against a bomb of namespaces. */
static void bomb(void *arg)
{
	srandom(lib_seed + (long)arg);
	/* a child that has its container starts the next: never more than some at once */
	for (int i = 0; i < 400; i++) {
		pid_t pid = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0);

		shared[0]++;
		if (pid > 0 && random() % 2)
			_exit(0);
	}
	for (;;)
		pause();
}

TEST_LIMIT(kill_against_a_bomb, 60)
{
	char *a;

	mount_ns("ns");
	a = at(root, "a");
	for (int i = 0; i < 5; i++) {
		expect(make_dir(a), 0);
		start_in(a, bomb, (void *)(long)i);
		usleep(random() % 20000);
		expect(write_file(at(a, "kill"), "1"), 0);
		/* all have the signal; who is left exits, and what is below goes */
		eventually(read_field(at(a, "events"), "populated") == 0, SOON);
		eventually(!remove_dir(a), SOON);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	eventually(empty(), SOON);
}

/* Somebody who tries to enter, remove, rename and kill whatever appears. */
static void meddle(void *arg)
{
	srandom(lib_seed + 7 * (long)arg);
	for (;;) {
		DIR *d = opendir(root);
		struct dirent *e;

		while (d && (e = readdir(d))) {
			char *dir = at(root, "%s", e->d_name);

			if (e->d_type != DT_DIR || e->d_name[0] == '.')
				continue;
			/* an error or not: what is left is what counts */
			write_file(at(dir, "tasks"), "0");
			rmdir(dir);
			if (random() % 4 == 0)
				rename(dir, at(root, "renamed%ld", random() % 3));
			if (random() % 8 == 0)
				mkdir(at(dir, "sub"), 0755);
			rmdir(at(dir, "sub"));
			if (random() % 4 == 0)
				write_file(at(dir, "kill"), "1");
			if (random() % 4 == 0)
				try_read(at(dir, "procs"), &dir);
		}
		if (d)
			closedir(d);
	}
}

static void clone_all_the_time(void *arg)
{
	srandom(lib_seed + 3 * (long)arg);
	for (;;) {
		pid_t pid = clone_and_exit(some_flags());

		if (pid > 0)
			waitpid(pid, NULL, 0);
		shared[0]++;
	}
}

/* Of the names that meddle() leaves. */
static void remove_subs(void)
{
	DIR *d = opendir(root);
	struct dirent *e;

	while (d && (e = readdir(d)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			rmdir(at(root, "%s/sub", e->d_name));
	if (d)
		closedir(d);
}

TEST_LIMIT(others_meddle, 60)
{
	pid_t pids[5];

	mount_ns("cpuacct,ns");
	for (long i = 0; i < 5; i++)
		pids[i] = start(i < 3 ? clone_all_the_time : meddle, (void *)i);
	for (double end = now() + SECONDS; now() < end || shared[0] <= 10;)
		usleep(10000);
	for (int i = 0; i < 5; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(wait_for(pids[i]), 128 + SIGKILL);
	eventually((remove_subs(), empty()), SOON);
}

/*
 * For as long as an attempt to enter lasts the container looks as if somebody
 * was in it; when its only task leaves just then, nobody may forget it.
 */
static void knock(void *arg)
{
	(void)arg;
	/* from elsewhere than right above, so that it never gets in, even when nobody is there */
	ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
	for (;;) {
		pid_t pid = shared[1];

		/* it is refused by ns, after the core has found it a place */
		if (pid)
			write_file(at(root, "node_%d/tasks", pid), "0");
		shared[2]++;
	}
}

TEST_LIMIT(a_refused_entry_hides_no_exit, 60)
{
	pid_t knockers[2], pid;
	char byte = 0;
	double end;
	int ends[2];

	mount_ns("ns");
	for (int i = 0; i < 2; i++)
		knockers[i] = start(knock, NULL);
	for (end = now() + SECONDS; now() < end;) {
		ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
		pid = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0);
		ck_assert_int_ge(pid, 0);
		if (!pid)
			_exit(read(ends[0], &byte, 1) != 1);
		shared[1] = pid;
		/* until somebody knocks; the knockers run on other processors */
		for (unsigned long seen = shared[2]; shared[2] - seen < 4;)
			usleep(0);
		ck_assert_int_eq(write(ends[1], "", 1), 1);
		finish(pid);
		close(ends[0]);
		close(ends[1]);
		/* a worker: nothing more is coming that would make it look again */
		eventually(!exists(at(root, "node_%d", pid)), SOON);
	}
	for (int i = 0; i < 2; i++)
		stop(knockers[i]);
}

/* Mounts and umounts, so that ns is bound and unbound between the steps of a clone. */
static void mount_all_the_time(void *arg)
{
	(void)arg;
	for (;;) {
		if (!mount("none", "/tmp/m", "container", 0, "ns"))
			umount("/tmp/m");
		shared[3]++;
	}
}

TEST_LIMIT(the_hierarchy_comes_and_goes, 60)
{
	pid_t pids[4];

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(mkdir("/tmp/m", 0755), 0);
	for (long i = 0; i < 4; i++)
		pids[i] = start(i < 3 ? clone_all_the_time : mount_all_the_time, (void *)i);
	/* whatever that takes: a mount waits for grace periods, and a clone for a mount */
	for (double end = now() + SECONDS; now() < end || shared[0] <= 10 || shared[3] <= 10;)
		usleep(10000);
	for (int i = 0; i < 4; i++)
		kill(pids[i], SIGKILL);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(wait_for(pids[i]), 128 + SIGKILL);
	/* killed with it mounted, perhaps: at most one mount is left in this namespace */
	umount("/tmp/m");
	eventually(!hierarchy_of("ns").id, SOON);
}

/* Remounts a tree with one subsystem more and one less. */
static void remount_all_the_time(void *arg)
{
	(void)arg;
	for (;;) {
		if (!mount("none", root, "container", MS_REMOUNT, "ns,cpuacct"))
			shared[3]++;
		mount("none", root, "container", MS_REMOUNT, "ns");
	}
}

/* A container in each that can be seen; refused, if it goes just then. */
static void fill_all_the_time(void *arg)
{
	(void)arg;
	for (;;) {
		DIR *d = opendir(root);
		struct dirent *e;

		while (d && (e = readdir(d)))
			if (!strncmp(e->d_name, "node_", 5) && !mkdir(at(root, "%s/sub", e->d_name), 0755))
				shared[4]++;
		if (d)
			closedir(d);
	}
}

/*
 * A container that a clone still hides stays hidden when its files change: whoever
 * made a child in one that is undone with its clone would leave that for ever.
 */
TEST_LIMIT(remounts_show_no_hidden_container, 90)
{
	int rounds = 0;
	pid_t pids[2];
	double end;

	mount_ns("ns");
	for (int i = 0; i < 2; i++)
		pids[i] = start(i ? remount_all_the_time : fill_all_the_time, NULL);
	for (end = now() + 2 * SECONDS; now() < end || rounds < 10 || shared[3] < 10; rounds++)
		kill_cloners(2);
	for (int i = 0; i < 2; i++)
		stop(pids[i]);
	printf("# %d rounds, %lu clones, %lu remounts, %lu children made\n", rounds, shared[0], shared[3],
	       shared[4]);
	expect(mount("none", root, "container", MS_REMOUNT, "ns") ? errno : 0, 0);
	eventually((remove_subs(), empty()), SOON);
	eventually(no_dying("ns") && states_of("cpuacct") == 1, SOON);
}
