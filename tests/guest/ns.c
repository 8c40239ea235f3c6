// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem ns: what makes a container, which, and what becomes of it. The
 * tests count directories and ask /proc/PID/container. ns_enter.c has who may
 * enter, ns_race.c what happens at the same time.
 */
#include "lib.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/sched.h>

/* A worker removes what is empty, after a task has exited: nothing else is waited for. */
#define SOON 10

static char *root;

static void mount_ns(void)
{
	root = mount_hierarchy("ns");
	ck_assert_int_eq(chmod("/tmp", 0755) | chmod(root, 0755), 0);
}

static char *place(pid_t pid)
{
	return container_of_pid(pid, "ns");
}

/* The guest's first pid namespace is the test's: numbers are those of the names. */
static char *node(const char *above, pid_t pid)
{
	char *path;

	ck_assert_int_gt(asprintf(&path, "%s/node_%d", above, pid), 0);
	return path;
}

static int hold[2];

/* A child of clone(FLAGS); it ends when let_go() is called. */
static pid_t clone_child(unsigned long flags)
{
	char byte;
	pid_t pid;

	if (!hold[1])
		ck_assert_int_eq(pipe2(hold, O_CLOEXEC), 0);
	fflush(stdout);
	pid = syscall(SYS_clone, flags | SIGCHLD, 0, NULL, NULL, 0);
	ck_assert_msg(pid >= 0, "clone(%#lx): %s", flags, error_name(errno));
	if (pid)
		return pid;
	close(hold[1]);
	while (read(hold[0], &byte, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static void let_go(pid_t pid)
{
	close(hold[1]);
	hold[1] = 0;
	finish(pid);
}

static const struct {
	const char *name;
	unsigned long flag;
} kinds[] = {
	{ "CLONE_NEWNS", CLONE_NEWNS }, { "CLONE_NEWUTS", CLONE_NEWUTS },
	{ "CLONE_NEWIPC", CLONE_NEWIPC }, { "CLONE_NEWUSER", CLONE_NEWUSER },
	{ "CLONE_NEWPID", CLONE_NEWPID }, { "CLONE_NEWNET", CLONE_NEWNET },
};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

TEST(clone_of_each_namespace_makes_a_container)
{
	mount_ns();
	for (unsigned int i = 0; i < NR_KINDS; i++) {
		pid_t pid = clone_child(kinds[i].flag);

		ck_assert_msg(!strcmp(place(pid), node("", pid)), "%s: the child is in %s",
			      kinds[i].name, place(pid));
		ck_assert(has_line(at(root, "node_%d/tasks", pid), pid));
		ck_assert_str_eq(place(getpid()), "/");
		ck_assert_int_eq(directories_in(root), 1);
		let_go(pid);
		eventually(directories_in(root) == 0, SOON);
	}
}

/* The VFS does not know yet that it has gone, as by rmdir(2). */
TEST(mkdir_below_what_the_kernel_removed)
{
	pid_t pid;
	int dir;

	mount_ns();
	pid = clone_child(CLONE_NEWUTS);
	dir = open(at(root, "node_%d", pid), O_RDONLY | O_DIRECTORY);
	ck_assert_int_ge(dir, 0);
	let_go(pid);
	eventually(directories_in(root) == 0, SOON);
	expect(mkdirat(dir, "below", 0755) ? errno : 0, ENODEV);
	close(dir);
}

static void unshare_each(void *arg)
{
	unsigned int i = (long)arg;

	ck_assert_msg(!unshare(kinds[i].flag), "unshare(%s): %s", kinds[i].name, error_name(errno));
	ck_assert_msg(!strcmp(place(getpid()), node("", getpid())), "%s: it is in %s",
		      kinds[i].name, place(getpid()));
	ck_assert(has_line(at(root, "node_%d/procs", getpid()), getpid()));
	ck_assert_int_eq(directories_in(root), 1);
}

TEST(unshare_of_each_namespace_makes_a_container)
{
	mount_ns();
	for (long i = 0; i < (long)NR_KINDS; i++) {
		finish(start(unshare_each, (void *)i));
		eventually(directories_in(root) == 0, SOON);
	}
}

TEST(many_flags_make_one_container)
{
	pid_t pid;

	mount_ns();
	pid = clone_child(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
			  CLONE_NEWNET);
	ck_assert_str_eq(place(pid), node("", pid));
	ck_assert_int_eq(hierarchy_of("ns").containers, 2);
	let_go(pid);
	eventually(hierarchy_of("ns").containers == 1, SOON);
}

static void do_harmless_things(void *arg)
{
	(void)arg;
	ck_assert_int_eq(unshare(CLONE_FILES | CLONE_FS | CLONE_SYSVSEM), 0);
	/* no cgroups: no namespace */
	ck_assert_int_eq(unshare(CLONE_NEWCGROUP), 0);
	ck_assert_str_eq(place(getpid()), "/");
}

TEST(nothing_else_makes_one)
{
	pid_t pid;

	mount_ns();
	pid = clone_child(CLONE_FILES | CLONE_FS);
	ck_assert_str_eq(place(pid), "/");
	let_go(pid);
	finish(start(do_harmless_things, NULL));
	ck_assert_int_eq(hierarchy_of("ns").containers, 1);
}

TEST(without_a_mount_nothing_happens)
{
	char *other = mount_hierarchy("cpuacct");
	pid_t pid = clone_child(CLONE_NEWUTS);

	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/");
	ck_assert_int_eq(directories_in(other), 0);
	ck_assert_int_eq(hierarchy_of("ns").id, 0);
	/* a mount moves nobody */
	mount_ns();
	ck_assert_str_eq(place(pid), "/");
	ck_assert_int_eq(directories_in(root), 0);
	let_go(pid);
}

TEST(it_must_be_named)
{
	char *all = mount_hierarchy(NULL), *dir;

	ck_assert(!in_list(hierarchy_of("memory").subsystems, "ns"));
	ck_assert_int_eq(hierarchy_of("ns").id, 0);
	/* all the same there is nothing left for another mount without names */
	expect(try_mount("all", &dir), 0);
	expect(unmount(dir), 0);
	expect(unmount(all), 0);
	all = mount_hierarchy("memory,ns");
	ck_assert(in_list(hierarchy_of("memory").subsystems, "ns"));
	expect(try_mount("ns", &dir), EBUSY);
}

static void fail_to_make(void *arg)
{
	(void)arg;
	ck_assert_int_eq(setuid(1001), 0);
	ck_assert_int_eq(unshare(CLONE_NEWUTS), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, NULL, NULL, 0), -1);
	ck_assert_int_eq(errno, EINVAL);
	/* no time namespaces on UML */
	ck_assert_int_eq(unshare(0x80), -1);
	ck_assert_str_eq(place(getpid()), "/");
}

TEST(what_linux_refuses_leaves_nothing)
{
	mount_ns();
	finish(start(fail_to_make, NULL));
	ck_assert_int_eq(hierarchy_of("ns").containers, 1);
	ck_assert_int_eq(hierarchy_of("ns").dying, 0);
}

static void nest(void *arg)
{
	long depth = (long)arg;
	char *before = place(getpid());

	ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
	/* the second time the name is free below the first */
	ck_assert_str_eq(place(getpid()), node(strcmp(before, "/") ? before : "", getpid()));
	if (depth)
		nest((void *)(depth - 1));
}

TEST(namespaces_nest)
{
	mount_ns();
	finish(start(nest, (void *)4L));
	/* each one goes when what is below it has gone */
	eventually(hierarchy_of("ns").containers == 1, SOON);
}

static void child_of_a_child(void *arg)
{
	pid_t pid;

	(void)arg;
	ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
	pid = clone_child(CLONE_NEWUTS);
	ck_assert_str_eq(place(pid), node(node("", getpid()), pid));
	let_go(pid);
	/* its own stays while it is in it */
	eventually(directories_in(node(root, getpid())) == 0, SOON);
	ck_assert_str_eq(place(getpid()), node("", getpid()));
	/* and plain children are born in it */
	pid = sleeper();
	ck_assert_str_eq(place(pid), node("", getpid()));
	stop(pid);
}

TEST(children_are_made_below)
{
	mount_ns();
	finish(start(child_of_a_child, NULL));
	eventually(hierarchy_of("ns").containers == 1, SOON);
}

static void fill_up(void *arg)
{
	int depth = 0;
	char *path;

	(void)arg;
	while (!unshare(CLONE_NEWUTS))
		depth++;
	ck_assert_int_eq(errno, ENOSPC);
	/* 4096 bytes, less a name, by "/node_NN" */
	ck_assert_int_ge(depth, 200);
	ck_assert_int_le(depth, 600);
	path = place(getpid());
	ck_assert_int_lt(strlen(path), 4096);
	/* it is where it was, can make processes, and no namespaces */
	ck_assert_int_eq(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0), -1);
	ck_assert_int_eq(errno, ENOSPC);
	stop(sleeper());
	ck_assert_str_eq(place(getpid()), path);
}

TEST_LIMIT(it_ends_somewhere, 120)
{
	mount_ns();
	finish(start(fill_up, NULL));
	eventually(hierarchy_of("ns").containers == 1, 3 * SOON);
	/* a state goes when all below it have gone, the last ones as they were removed */
	eventually(no_dying("ns"), 60);
}

/* Threads. */
static pthread_barrier_t barrier;
static volatile pid_t other;

static void *unshare_alone(void *arg)
{
	other = syscall(SYS_gettid);
	ck_assert_int_eq(unshare((unsigned long)arg), 0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void threads(void *arg)
{
	pthread_t thread;
	pid_t ids[4];

	(void)arg;
	pthread_barrier_init(&barrier, NULL, 2);
	ck_assert_int_eq(pthread_create(&thread, NULL, unshare_alone, (void *)CLONE_NEWUTS), 0);
	pthread_barrier_wait(&barrier);
	ck_assert_str_eq(container_of_pid(getpid(), "ns"), "/");
	ck_assert_str_eq(container_of_pid(other, "ns"), node("", other));
	ck_assert_int_eq(read_ids(at(node(root, other), "tasks"), ids, 4), 1);
	/* what needs a single thread is refused by Linux, and makes nothing */
	ck_assert_int_eq(unshare(CLONE_NEWUSER), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(directories_in(root), 1);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	/* the thread was the only one */
	eventually(directories_in(root) == 0, SOON);
}

TEST(unshare_moves_the_calling_thread)
{
	mount_ns();
	finish(start(threads, NULL));
}

/* Other ways to make a child. */
static int sleep_a_little(void *arg)
{
	(void)arg;
	/* the parent of a vfork sleeps; it looks at what was written */
	_exit(strcmp(place(getpid()), node("", getpid())) ? 1 : 0);
}

TEST(vfork_starts_there)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	pid_t pid;

	mount_ns();
	pid = clone(sleep_a_little, stack + sizeof(stack), CLONE_VFORK | CLONE_VM | CLONE_NEWUTS | SIGCHLD, NULL);
	ck_assert_int_gt(pid, 0);
	finish(pid);
	eventually(directories_in(root) == 0, SOON);
}

TEST(clone3_starts_there)
{
	struct clone_args args = { .flags = CLONE_NEWUTS | CLONE_NEWPID, .exit_signal = SIGCHLD };
	siginfo_t info;
	pid_t pid;

	mount_ns();
	fflush(stdout);
	pid = syscall(SYS_clone3, &args, sizeof(args));
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		/* its number of the first pid namespace names it */
		for (;;)
			pause();
	}
	ck_assert_str_eq(place(pid), node("", pid));
	kill(pid, SIGKILL);
	ck_assert_int_eq(waitid(P_PID, pid, &info, WEXITED), 0);
	eventually(directories_in(root) == 0, SOON);
}

static void new_pid_namespace(void *arg)
{
	pid_t pid;

	(void)arg;
	ck_assert_int_eq(unshare(CLONE_NEWPID), 0);
	/* the caller moves, though its number stays; its children are born there */
	ck_assert_str_eq(place(getpid()), node("", getpid()));
	pid = sleeper();
	ck_assert_str_eq(place(pid), node("", getpid()));
	ck_assert_int_eq(directories_in(node(root, getpid())), 0);
	stop(pid);
}

TEST(children_of_unshare_newpid_are_with_their_parent)
{
	mount_ns();
	finish(start(new_pid_namespace, NULL));
	eventually(directories_in(root) == 0, SOON);
}

static void join(void *arg)
{
	pid_t pid = (long)arg;
	int fd = open(at("/proc", "%d/ns/uts", pid), O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setns(fd, CLONE_NEWUTS), 0);
	ck_assert_str_eq(place(getpid()), "/");
}

TEST(setns_moves_nobody)
{
	pid_t pid;

	mount_ns();
	pid = clone_child(CLONE_NEWUTS);
	finish(start(join, (void *)(long)pid));
	ck_assert_int_eq(directories_in(root), 1);
	let_go(pid);
	eventually(directories_in(root) == 0, SOON);
}

/* Names. */
static void unshare_where_it_is_taken(void *arg)
{
	char *mine = node(root, getpid()), *there;

	(void)arg;
	expect(make_dir(mine), 0);
	ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
	there = place(getpid());
	ck_assert_msg(!strncmp(there, at("", "node_%d.", getpid()), strlen(at("", "node_%d.", getpid()))),
		      "it is in %s", there);
	ck_assert_str_eq(read_file(at(mine, "tasks")), "");
	expect(remove_dir(mine), 0);
}

TEST(a_name_that_is_taken_is_no_obstacle)
{
	mount_ns();
	finish(start(unshare_where_it_is_taken, NULL));
	eventually(directories_in(root) == 0, SOON);
}

TEST(it_may_be_renamed)
{
	pid_t pid;

	mount_ns();
	pid = clone_child(CLONE_NEWUTS);
	expect(rename_dir(node(root, pid), at(root, "mine")), 0);
	ck_assert_str_eq(place(pid), "/mine");
	let_go(pid);
	eventually(directories_in(root) == 0, SOON);
}

static void make_as_alice(void *arg)
{
	struct stat st;

	(void)arg;
	ck_assert_int_eq(setresgid(1001, 1001, 1001) | setresuid(1001, 1001, 1001), 0);
	ck_assert_int_eq(unshare(CLONE_NEWUSER | CLONE_NEWUTS), 0);
	ck_assert_str_eq(place(getpid()), node("", getpid()));
	ck_assert_int_eq(stat(node(root, getpid()), &st), 0);
	/* as seen in the new user namespace, where nobody is mapped: it does not matter whose */
	ck_assert_int_eq(st.st_uid, 65534);
	ck_assert_int_eq(make_dir(at(node(root, getpid()), "sub")), 0);
	ck_assert_int_eq(make_dir(at(root, "sub")), EACCES);
	ck_assert_int_eq(remove_dir(at(node(root, getpid()), "sub")), 0);
}

TEST(it_belongs_to_who_made_it)
{
	mount_ns();
	finish(start(make_as_alice, NULL));
	eventually(directories_in(root) == 0, SOON);
}

/* Removal. */
TEST(what_is_in_use_stays)
{
	char *dir;
	pid_t pid;

	mount_ns();
	pid = clone_child(CLONE_NEWUTS);
	dir = node(root, pid);
	expect(remove_dir(dir), EBUSY);
	expect(make_dir(at(dir, "sub")), 0);
	let_go(pid);
	/* an exit and a worker: if it went wrongly, it would have by then */
	usleep(200000 * lib_slow);
	ck_assert(exists(at(dir, "sub")));
	expect(remove_dir(at(dir, "sub")), 0);
	/* its last child was what kept it */
	eventually(!exists(dir), SOON);
}

TEST(by_hand_stays_by_hand)
{
	char *dir;
	pid_t pid = sleeper();

	mount_ns();
	dir = at(root, "mine");
	expect(make_dir(dir), 0);
	expect(move_to(dir, pid), 0);
	stop(pid);
	usleep(200000 * lib_slow);
	ck_assert(exists(dir));
	expect(remove_dir(dir), 0);
}

/* Mounted nowhere, with one container that the kernel removes: the hierarchy goes with it. */
TEST(the_last_one_takes_the_hierarchy_along)
{
	pid_t pid;

	mount_ns();
	pid = clone_child(CLONE_NEWUTS);
	expect(unmount(root), 0);
	ck_assert_int_eq(hierarchy_of("ns").containers, 2);
	let_go(pid);
	eventually(!hierarchy_of("ns").id, SOON);
	/* and ns is free again */
	mount_ns();
	ck_assert_int_eq(hierarchy_of("ns").containers, 1);
}

TEST(a_hierarchy_without_a_mount_goes_on)
{
	pid_t first, second;

	mount_ns();
	first = clone_child(CLONE_NEWUTS);
	expect(unmount(root), 0);
	second = clone_child(CLONE_NEWUTS);
	ck_assert_str_eq(place(second), node("", second));
	stop(first);
	eventually(hierarchy_of("ns").containers == 2, SOON);
	root = mount_hierarchy("ns");
	ck_assert(has_line(at(node(root, second), "procs"), second));
	stop(second);
	close(hold[1]);
	eventually(directories_in(root) == 0, SOON);
}

static void burn_and_ask(void *arg)
{
	char *dir = node(root, getpid());

	(void)arg;
	ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
	burn_ms(50);
	/* all of it since the move, none of it twice */
	ck_assert_uint_ge(read_u64(at(dir, "cpuacct.usage")), 50 * 1000000ULL);
}

TEST(with_another_subsystem)
{
	root = mount_hierarchy("cpuacct,ns");
	finish(start(burn_and_ask, NULL));
	eventually(directories_in(root) == 0, SOON);
}
