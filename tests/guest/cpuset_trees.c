// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuset and trees: mounts, binding and unbinding while tasks live in the tree,
 * containers that the kernel makes (ns), the trace. (jobs 1 4 4@debug)
 *
 * What needs several CPUs is not in the job with one (TEST_CPUS).
 */
#include "lib-cpuset.h"
#include "lib-rebind.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CPU(n) (1u << (n))

TEST(it_must_be_named)
{
	char *dir = mount_hierarchy(NULL), *own;

	ck_assert_int_eq(hierarchy_of("cpuset").id, 0);
	ck_assert(!exists(at(dir, "cpuset.cpus")));
	own = mount_hierarchy("cpuset");
	ck_assert(exists(at(own, "cpuset.cpus")));
	ck_assert_str_eq(hierarchy_of("cpuset").subsystems, "cpuset");
	/* no prefix, and the old names */
	expect(unmount(own), 0);
	own = mount_hierarchy("cpuset,noprefix");
	ck_assert(exists(at(own, "cpus")) && exists(at(own, "cpu_exclusive")));
}

TEST(what_was_set_survives_umount)
{
	char *root = mount_hierarchy("cpuset"), *again;
	pid_t pid;

	expect(make_dir(at(root, "a")), 0);
	expect(set_cpus(at(root, "a"), CPU(0)), 0);
	pid = sleeper_in(at(root, "a"));
	expect(unmount(root), 0);
	bound_to(pid, CPU(0));
	again = mount_hierarchy("cpuset");
	ck_assert_uint_eq(get_cpus(at(again, "a")), CPU(0));
	stop(pid);
	expect(remove_dir(at(again, "a")), 0);
}

TEST(binding_to_a_tree_with_tasks)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b");
	struct loop *l;
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	l = loop_in(b);
	pid = sleeper_in(a);
	expect(remount(root, "cpuacct,cpuset"), 0);
	/* who was there first could not be asked: all have what their parents have */
	ck_assert_uint_eq(get_cpus(a), all_cpus());
	ck_assert_uint_eq(get_cpus(b), all_cpus());
	ck_assert_uint_eq(read_u64(at(a, "cpuset.cpu_exclusive")), 0);
	bound_to(l->pid, all_cpus());
	bound_to(pid, all_cpus());
	/* from now on it is as ever */
	expect(make_dir(at(a, "new")), 0);
	ck_assert_uint_eq(get_cpus(at(a, "new")), 0);
	expect(move_to(at(a, "new"), pid), ENOSPC);
	expect(remove_dir(at(a, "new")), 0);
	expect(set_cpus(b, CPU(0)), 0);
	bound_to(l->pid, CPU(0));
	runs_only_on(l, CPU(0));
	expect(write_u64(at(a, "cpuset.cpu_exclusive"), 1), 0);
	expect(write_u64(at(b, "cpuset.cpu_exclusive"), 1), 0);
	/* unbound: all tasks have all again, and the files are gone */
	expect(remount(root, "cpuacct"), 0);
	bound_to(l->pid, all_cpus());
	bound_to(pid, all_cpus());
	ck_assert(!exists(at(a, "cpuset.cpus")));
	eventually(states_of("cpuset") == 1, 10);
	/* nothing is left of what they were */
	expect(remount(root, "cpuset"), 0);
	ck_assert_uint_eq(get_cpus(b), all_cpus());
	ck_assert_uint_eq(read_u64(at(b, "cpuset.cpu_exclusive")), 0);
	bound_to(l->pid, all_cpus());
	loop_end(l);
	stop(pid);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

TEST_CPUS(unbinding_remembers_what_was_asked_for, 4)
{
	char *root = mount_hierarchy("cpuset"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	expect(set_cpus(a, CPU(0) | CPU(1)), 0);
	pid = sleeper_in(a);
	expect(set_affinity(pid, CPU(1) | CPU(2)), 0);
	bound_to(pid, CPU(1));
	expect(remount(root, "cpuacct"), 0);
	bound_to(pid, CPU(1) | CPU(2));
	stop(pid);
	expect(remove_dir(a), 0);
}

/* A child in new namespaces; it sleeps. */
static pid_t clone_child(void)
{
	pid_t pid;

	fflush(stdout);
	pid = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0);
	for (; !pid;)
		pause();
	return pid;
}

static void unshare_and_sleep(void *ready)
{
	ck_assert_int_eq(unshare(CLONE_NEWUTS), 0);
	if (write(*(int *)ready, "", 1) != 1)
		abort();
	for (;;)
		pause();
}

TEST(a_cloned_container_has_its_parents)
{
	char *root = mount_hierarchy("ns,cpuset"), *node;
	pid_t pid, other;
	int ready[2];
	char byte;

	pid = clone_child();
	ck_assert_int_gt(pid, 0);
	node = at(root, "node_%d", pid);
	ck_assert_uint_eq(get_cpus(node), all_cpus());
	ck_assert_uint_eq(read_u64(at(node, "cpuset.cpu_exclusive")), 0);
	bound_to(pid, all_cpus());
	expect(set_cpus(node, CPU(0)), 0);
	bound_to(pid, CPU(0));
	ck_assert_int_eq(pipe(ready), 0);
	other = start(unshare_and_sleep, &ready[1]);
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_uint_eq(get_cpus(at(root, "node_%d", other)), all_cpus());
	stop(other);
	stop(pid);
	/* removed by a worker */
	eventually(directories_in(root) == 0, 10);
}

static void clone_in(void *pid)
{
	*(pid_t *)pid = clone_child();
}

TEST_CPUS(a_cloned_container_leaves_exclusive_ones_alone, 4)
{
	char *root = mount_hierarchy("ns,cpuset"), *mine = at(root, "mine"), *rest = at(root, "rest");
	struct loop *l;
	pid_t pid;

	expect(make_dir(mine), 0);
	expect(set_cpus(mine, CPU(0) | CPU(1)), 0);
	expect(write_u64(at(mine, "cpuset.cpu_exclusive"), 1), 0);
	pid = clone_child();
	ck_assert_int_gt(pid, 0);
	ck_assert_uint_eq(get_cpus(at(root, "node_%d", pid)), CPU(2) | CPU(3));
	bound_to(pid, CPU(2) | CPU(3));
	stop(pid);
	eventually(directories_in(root) == 1, 10);
	/* nothing is left for one more: the clone fails, and leaves nothing */
	expect(make_dir(rest), 0);
	expect(set_cpus(rest, CPU(2) | CPU(3)), 0);
	expect(write_u64(at(rest, "cpuset.cpu_exclusive"), 1), 0);
	clone_in(&pid);
	ck_assert_int_eq(pid, -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(unshare(CLONE_NEWUTS), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(directories_in(root), 2);
	ck_assert_str_eq(container_of_pid(getpid(), "ns"), "/");
	/* and again there is room */
	expect(write_u64(at(rest, "cpuset.cpu_exclusive"), 0), 0);
	pid = clone_child();
	ck_assert_int_gt(pid, 0);
	bound_to(pid, CPU(2) | CPU(3));
	stop(pid);
	eventually(directories_in(root) == 2, 10);
	/* a process that comes into the room of another is as any */
	l = loop_in(rest);
	runs_only_on(l, CPU(2) | CPU(3));
	loop_end(l);
	expect(remove_dir(mine), 0);
	expect(remove_dir(rest), 0);
}

TEST(a_change_is_traced)
{
	char *root = mount_hierarchy("cpuset"), *tracefs = new_dir(), *a = at(root, "a"), *text;

	expect(mount("none", tracefs, "tracefs", 0, NULL) ? errno : 0, 0);
	expect(write_file(at(tracefs, "events/container/container_cpuset/enable"), "1"), 0);
	expect(make_dir(a), 0);
	expect(set_cpus(a, CPU(0)), 0);
	expect(write_u64(at(a, "cpuset.cpu_exclusive"), 1), 0);
	/* refused: nothing has changed */
	expect(write_file(at(a, "cpuset.cpus"), "1-0"), EINVAL);
	expect(write_file(at(tracefs, "events/enable"), "0"), 0);
	text = read_file(at(tracefs, "trace"));
	ck_assert_msg(strstr(text, "path=/a cpus=0 exclusive=0"), "%s", text);
	ck_assert_msg(strstr(text, "path=/a cpus=0 exclusive=1"), "%s", text);
	text = strstr(strstr(text, "container_cpuset: ") + 1, "container_cpuset: ");
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(strstr(text + 1, "container_cpuset: "));
	expect(unmount(tracefs), 0);
	expect(remove_dir(a), 0);
}
