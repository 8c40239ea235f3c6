// SPDX-License-Identifier: GPL-2.0-only
/*
 * numtasks beside ns: whose forks those are that come with a container, which clone or unshare has made. (jobs 1 4 4@debug)
 */
#include "lib-numtasks.h"
#include "lib-rebind.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The first one. */
static char *directory_in(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	ck_assert_ptr_nonnull(d);
	do {
		e = readdir(d);
		ck_assert_ptr_nonnull(e);
	} while (e->d_type != DT_DIR || *e->d_name == '.');
	path = at(path, "%s", e->d_name);
	closedir(d);
	return (char *)path;
}

/* A clone with namespaces is a fork of where its parent is, not of the container that comes with it. */
TEST(the_rate_binds_clones_with_namespaces)
{
	char *root = mount_hierarchy("ns,numtasks"), *a = at(root, "a"), *children;
	char *seconds = for_now(PARAMETER("forkrate_interval"), "3600"), *rate;
	struct worker w;

	/* an interval of an hour counts from boot */
	ck_assert_double_lt(atof(read_file("/proc/uptime")), 3000);
	expect(make_dir(a), 0);
	w = worker_in(a);
	rate = for_now(PARAMETER("forkrate"), "2");
	expect(ask(&w, 'n') | ask(&w, 'v'), 0);
	expect(ask(&w, 'n'), EAGAIN);
	expect(ask(&w, 'v'), EAGAIN);
	says(a, "refused by numtasks: it has had all forks of this forkrate_interval (EAGAIN)\n");
	ck_assert_int_eq(directories_in(a), 1);
	ck_assert_uint_eq(numtasks_stat(a, "Number of successes"), 2);
	ck_assert_uint_eq(numtasks_stat(a, "Number of forkrate failures"), 2);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 2);
	/* the one that was made */
	children = directory_in(a);
	ck_assert_uint_eq(numtasks_stat(children, "Number of successes"), 0);
	ck_assert_uint_eq(numtasks_stat(children, "Current usage"), 1);
	/* a limit's refusals are of the same */
	expect(write_file(PARAMETER("forkrate"), rate), 0);
	expect(write_file(at(a, "numtasks.limit"), "2"), 0);
	expect(ask(&w, 'n'), EAGAIN);
	ck_assert_uint_eq(numtasks_stat(a, "Number of failures"), 1);
	ck_assert_uint_eq(numtasks_stat(a, "Number of successes"), 2);
	worker_end(&w);
	expect(write_file(PARAMETER("forkrate_interval"), seconds), 0);
	eventually(directories_in(a) == 0, 10);
	expect(remove_dir(a), 0);
}

/* What somebody who clones on and on has got, and what he was told at last. */
struct tower {
	volatile int floors, err;
};

/* Everybody's. */
static struct tower *tower(void)
{
	struct tower *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(t, MAP_FAILED);
	return t;
}

/* Each in a container of its own, in its parent's, and with its parent's end. */
static void clone_in_clones(void *arg)
{
	struct tower *t = arg;
	pid_t pid;

	while (!(pid = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0))) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		t->floors++;
	}
	if (pid < 0)
		t->err = errno;
	for (;;)
		pause();
}

/* The same, of one that goes on itself. */
static void unshare_and_fork(void *arg)
{
	struct tower *t = arg;
	pid_t pid;

	while (!unshare(CLONE_NEWUTS) && (pid = vfork()) >= 0) {
		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
		t->floors++;
	}
	t->err = errno;
	for (;;)
		pause();
}

static void is_built(struct tower *t, int floors)
{
	eventually(t->err, 10);
	ck_assert_int_eq(t->err, EAGAIN);
	ck_assert_int_eq(t->floors, floors);
	t->floors = t->err = 0;
}

/* Nor has who makes himself containers an interval in each, whether by clones, unshare or mkdir in what is his. */
TEST(a_tree_of_clones_has_one_rate)
{
	char *root = mount_hierarchy("ns,cpuacct,numtasks"), *a = at(root, "a"), *d = at(root, "a/d"), *b, *c;
	char *seconds = for_now(PARAMETER("forkrate_interval"), "3600");
	char *rate = for_now(PARAMETER("forkrate"), "3");
	struct tower *t = tower();
	struct worker w;
	pid_t pid;

	ck_assert_double_lt(atof(read_file("/proc/uptime")), 3000);
	expect(make_dir(a), 0);
	pid = start_in(a, unshare_and_fork, t);
	is_built(t, 3);
	stop(pid);
	eventually(directories_in(a) == 0, 10);
	expect(write_file(PARAMETER("forkrate"), "3"), 0);
	pid = start_in(a, clone_in_clones, t);
	is_built(t, 3);
	b = directory_in(a);
	says(directory_in(directory_in(b)),
	     "numtasks: what it was made from has had all forks of this forkrate_interval (EAGAIN)\n");
	/* without ns anybody may enter what was made by it */
	expect(remount(root, "cpuacct,numtasks"), 0);
	c = at(b, "c");
	expect(make_dir(c) | make_dir(d), 0);
	w = worker_in(c);
	expect(ask(&w, 'v'), EAGAIN);
	/* and its forks are a's when numtasks comes to what is there already, too */
	expect(remount(root, "cpuacct"), 0);
	expect(remount(root, "cpuacct,numtasks"), 0);
	for (int i = 0; i < 3; i++)
		expect(ask(&w, 'v'), 0);
	expect(ask(&w, 'v'), EAGAIN);
	worker_end(&w);
	w = worker_in(a);
	expect(ask(&w, 'v'), EAGAIN);
	worker_end(&w);
	/* what was made by hand is by itself */
	w = worker_in(d);
	ck_assert_int_eq(forks_until_refused(&w), 3);
	worker_end(&w);
	stop(pid);
	expect(write_file(PARAMETER("forkrate"), rate), 0);
	expect(write_file(PARAMETER("forkrate_interval"), seconds), 0);
	expect(remove_dir(c) | remove_dir(d), 0);
	eventually(directories_in(a) == 0, 10);
	expect(remove_dir(a), 0);
}

/* The root has no rate: what is made in it has one of its own, and all that is made below that has the same. */
TEST(clones_of_the_root_have_a_rate)
{
	char *root = mount_hierarchy("ns,numtasks");
	char *seconds = for_now(PARAMETER("forkrate_interval"), "3600");
	char *rate = for_now(PARAMETER("forkrate"), "3");
	struct tower *t = tower();
	pid_t pid;

	ck_assert_double_lt(atof(read_file("/proc/uptime")), 3000);
	pid = start(unshare_and_fork, t);
	is_built(t, 3);
	stop(pid);
	/* the first one is the root's fork, and its container has three */
	pid = start(clone_in_clones, t);
	is_built(t, 4);
	stop(pid);
	expect(write_file(PARAMETER("forkrate"), rate), 0);
	expect(write_file(PARAMETER("forkrate_interval"), seconds), 0);
	eventually(directories_in(root) == 0, 10);
}
