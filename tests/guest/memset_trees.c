// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset and trees: mounts and the old file system type "cpuset", binding and
 * unbinding while tasks live in the tree, containers that the kernel makes (ns),
 * the trace. (jobs 1 4n4 4n4@debug)
 *
 * What needs several nodes has nothing to say with one; see memset.c.
 */
#include "lib-memset.h"
#include "lib-rebind.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#define NODE(n) (1u << (n))

TEST(it_must_be_named)
{
	char *dir = mount_hierarchy(NULL), *own;

	ck_assert_int_eq(hierarchy_of("memset").id, 0);
	ck_assert(!exists(at(dir, "memset.mems")));
	own = mount_hierarchy("memset");
	ck_assert(exists(at(own, "memset.mems")));
	ck_assert_str_eq(hierarchy_of("memset").subsystems, "memset");
}

TEST(two_trees_or_one)
{
	char *cpus = mount_hierarchy("cpuset"), *mems = mount_hierarchy("memset"), *both;
	char *a = at(cpus, "a"), *b = at(mems, "b");
	pid_t pid = sleeper();

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(set_cpus(a, 1), 0);
	/* each looks at its own emptiness only */
	expect(move_to(a, pid), 0);
	expect(move_to(b, pid), ENOSPC);
	expect(set_mems(b, all_nodes() & ~NODE(nr_nodes() > 1 ? nr_nodes() - 1 : 1)), 0);
	expect(move_to(b, pid), 0);
	has_nodes(pid, get_mems(b));
	bound_to(pid, 1);
	stop(pid);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(unmount(cpus), 0);
	expect(unmount(mems), 0);
	both = mount_hierarchy("cpuset,memset");
	a = at(both, "a");
	expect(make_dir(a), 0);
	expect(set_cpus(a, 1), 0);
	pid = sleeper();
	expect(move_to(a, pid), ENOSPC);
	bound_to(pid, all_cpus());
	expect(set_mems(a, NODE(0)), 0);
	expect(move_to(a, pid), 0);
	bound_to(pid, 1);
	has_nodes(pid, NODE(0));
	stop(pid);
	expect(remove_dir(a), 0);
}

TEST(the_old_type_has_the_old_names)
{
	static const char *const files[] = { "cpus", "mems", "cpu_exclusive", "mem_exclusive",
		"memory_migrate", "memory_pressure", "memory_pressure_enabled", "memory_spread_page",
		"memory_spread_slab", "notify_on_release", "tasks" };
	char *dir = new_dir(), *again = new_dir(), *same, *a;
	pid_t pid;

	expect(mount("none", dir, "cpuset", 0, "memset") ? errno : 0, EINVAL);
	expect(mount("none", dir, "cpuset", 0, NULL) ? errno : 0, 0);
	for (unsigned int i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		ck_assert_msg(exists(at(dir, "%s", files[i])), "no file %s", files[i]);
	ck_assert_str_eq(read_file(at(dir, "release_agent")), "/sbin/cpuset_release_agent\n");
	ck_assert_ptr_nonnull(strstr(read_file("/proc/self/mounts"), at("", "%s cpuset rw", dir + 1)));
	ck_assert_str_eq(hierarchy_of("memset").subsystems, "cpuset,memset");
	/* as a script of that time did it */
	a = at(dir, "a");
	expect(make_dir(a), 0);
	expect(write_file(at(a, "cpus"), "0"), 0);
	expect(write_file(at(a, "mems"), "0"), 0);
	pid = sleeper();
	expect(write_u64(at(a, "tasks"), pid), 0);
	has_nodes(pid, NODE(0));
	bound_to(pid, 1);
	/* it is a tree like any other */
	expect(mount("none", again, "cpuset", 0, NULL) ? errno : 0, 0);
	ck_assert(has_line(at(again, "a/tasks"), pid));
	expect(unmount(again), 0);
	same = mount_hierarchy("cpuset,memset,noprefix");
	ck_assert(has_line(at(same, "a/tasks"), pid));
	expect(try_mount("cpuset,memset", &again), EBUSY);
	stop(pid);
	expect(remove_dir(a), 0);
	expect(unmount(dir), 0);
}

TEST(binding_to_a_tree_with_tasks)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b");
	pid_t pid, other;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	pid = sleeper_in(a);
	other = sleeper_in(b);
	expect(remount(root, "cpuacct,memset"), 0);
	/* who was there first could not be asked: all have what their parents have */
	ck_assert_uint_eq(get_mems(a), all_nodes());
	ck_assert_uint_eq(get_mems(b), all_nodes());
	has_nodes(pid, all_nodes());
	/* from now on it is as ever */
	expect(make_dir(at(a, "new")), 0);
	expect(move_to(at(a, "new"), pid), ENOSPC);
	expect(remove_dir(at(a, "new")), 0);
	expect(set_mems(b, NODE(0)), 0);
	has_nodes(other, NODE(0));
	expect(write_u64(at(b, "memset.memory_spread_page"), 1), 0);
	/* unbound: all tasks have all again, and the files are gone */
	expect(remount(root, "cpuacct"), 0);
	has_nodes(pid, all_nodes());
	has_nodes(other, all_nodes());
	ck_assert(!exists(at(a, "memset.mems")));
	eventually(states_of("memset") == 1, 10);
	/* nothing is left of what they were */
	expect(remount(root, "memset"), 0);
	ck_assert_uint_eq(get_mems(b), all_nodes());
	ck_assert_uint_eq(read_u64(at(b, "memset.memory_spread_page")), 0);
	stop(pid);
	stop(other);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

TEST_NODES(pages_and_policies_when_it_is_unbound, 4)
{
	char *root = mount_hierarchy("memset,cpuacct"), *a = at(root, "a");
	struct holder *h;

	expect(make_dir(a), 0);
	expect(set_mems(a, NODE(2) | NODE(3)), 0);
	h = holder_in(a);
	expect(hold_policy(h, MPOL_BIND, NODE(3)), 0);
	expect(hold_bind(h, 0, MPOL_BIND, NODE(2)), 0);
	expect(hold(h, 0), 0);
	expect(remount(root, "cpuacct"), 0);
	has_nodes(h->pid, all_nodes());
	/* the second of two, now of four */
	ck_assert_uint_eq(held_policy(h), NODE(1));
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(0));
	ck_assert_uint_eq(pages_on(h->pid, h->mem[0], 2), PAGES);
	held(h, 0);
	holder_end(h);
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

TEST(a_cloned_container_has_its_parents)
{
	char *root = mount_hierarchy("ns,memset"), *mine = at(root, "mine"), *node;
	unsigned int rest = all_nodes();
	pid_t pid;

	expect(make_dir(mine), 0);
	if (nr_nodes() >= 4) {
		expect(set_mems(mine, NODE(0) | NODE(1)), 0);
		expect(write_u64(at(mine, "memset.mem_exclusive"), 1), 0);
		rest = NODE(2) | NODE(3);
	}
	pid = clone_child();
	ck_assert_int_gt(pid, 0);
	node = at(root, "node_%d", pid);
	ck_assert_uint_eq(get_mems(node), rest);
	ck_assert_uint_eq(read_u64(at(node, "memset.mem_exclusive")), 0);
	has_nodes(pid, rest);
	stop(pid);
	/* removed by a worker */
	eventually(directories_in(root) == 1, 10);
	/* nothing is left for one more: the clone fails, and leaves nothing */
	expect(write_u64(at(mine, "memset.mem_exclusive"), 0), 0);
	expect(set_mems(mine, all_nodes()), 0);
	expect(write_u64(at(mine, "memset.mem_exclusive"), 1), 0);
	ck_assert_int_eq(clone_child(), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(unshare(CLONE_NEWUTS), -1);
	ck_assert_int_eq(errno, ENOSPC);
	ck_assert_int_eq(directories_in(root), 1);
	expect(remove_dir(mine), 0);
}

TEST(a_change_is_traced)
{
	char *root = mount_hierarchy("memset"), *tracefs = new_dir(), *a = at(root, "a"), *text;

	expect(mount("none", tracefs, "tracefs", 0, NULL) ? errno : 0, 0);
	expect(write_file(at(tracefs, "events/container/container_memset/enable"), "1"), 0);
	expect(make_dir(a), 0);
	expect(set_mems(a, NODE(0)), 0);
	expect(write_u64(at(a, "memset.mem_exclusive"), 1), 0);
	expect(write_u64(at(a, "memset.memory_migrate"), 1), 0);
	/* refused, or as it was: nothing has changed */
	expect(write_file(at(a, "memset.mems"), "1-0"), EINVAL);
	expect(set_mems(a, NODE(0)), 0);
	expect(write_file(at(tracefs, "events/enable"), "0"), 0);
	text = read_file(at(tracefs, "trace"));
	ck_assert_msg(strstr(text, "path=/a mems=0x1 flags=\n"), "%s", text);
	ck_assert_msg(strstr(text, "path=/a mems=0x1 flags=exclusive\n"), "%s", text);
	ck_assert_msg(strstr(text, "path=/a mems=0x1 flags=exclusive|migrate\n"), "%s", text);
	for (int i = 0; i < 3; i++) {
		text = strstr(text, "container_memset: ");
		ck_assert_ptr_nonnull(text);
		text++;
	}
	ck_assert_ptr_null(strstr(text, "container_memset: "));
	expect(unmount(tracefs), 0);
	expect(remove_dir(a), 0);
}
