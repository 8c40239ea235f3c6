// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset: what may be written, with which error, and what tasks may use then.
 * (jobs 1 4n4 4n4@debug)
 *
 * With one node there is nothing to be divided: a test that needs several is not
 * in that job (TEST_NODES). memset_place.c has policies and pages, memset_trees.c
 * mounts, namespaces and rebinding.
 */
#include "lib-memset.h"
#include "lib-users.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define NODE(n) (1u << (n))

static char *root, *a, *b;

/* /a and /a/b, empty. */
static void make_tree(void)
{
	root = mount_hierarchy("memset");
	a = at(root, "a");
	b = at(root, "a/b");
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
}

static void remove_tree(void)
{
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

static int set_exclusive(const char *container, int value)
{
	return write_u64(at(container, "memset.mem_exclusive"), value);
}

/* A write that must fail, say why, and change nothing. */
#define refused(call, error, container, words)						\
	do {										\
		unsigned int nodes_ = get_mems(container);				\
		uint64_t exclusive_ = read_u64(at(container, "memset.mem_exclusive"));	\
											\
		expect(call, error);							\
		ck_assert_uint_eq(get_mems(container), nodes_);				\
		ck_assert_uint_eq(read_u64(at(container, "memset.mem_exclusive")),	\
				  exclusive_);						\
		ck_assert_msg(strstr(read_file(at(container, "why")), words),		\
			      "%s/why reads \"%s\", wanted \"%s\"", container,		\
			      read_file(at(container, "why")), words);			\
	} while (0)

TEST(a_new_container_has_no_nodes_and_lets_nobody_in)
{
	pid_t pid;

	make_tree();
	pid = sleeper();
	ck_assert_str_eq(read_file(at(a, "memset.mems")), "\n");
	ck_assert_uint_eq(read_u64(at(a, "memset.mem_exclusive")), 0);
	refused(write_u64(at(a, "tasks"), pid), ENOSPC, a,
		"refused by memset: it has no nodes (ENOSPC)");
	refused(write_u64(at(a, "procs"), pid), ENOSPC, a, "it has no nodes");
	refused(write_file(at(a, "tasks"), "0"), ENOSPC, a, "it has no nodes");
	ck_assert_str_eq(container_of_pid(pid, "memset"), "/");
	has_nodes(pid, all_nodes());
	expect(set_mems(a, NODE(0)), 0);
	expect(move_to(a, pid), 0);
	has_nodes(pid, NODE(0));
	expect(move_to(root, pid), 0);
	has_nodes(pid, all_nodes());
	stop(pid);
	remove_tree();
}

TEST(the_root_has_what_is_there)
{
	make_tree();
	ck_assert_str_eq(read_file(at(root, "memset.mems")),
			 read_file("/sys/devices/system/node/has_memory"));
	ck_assert_uint_eq(read_u64(at(root, "memset.mem_exclusive")), 1);
	expect(write_file(at(root, "memset.mems"), "0\n"), EACCES);
	expect(write_file(at(root, "memset.mem_exclusive"), "0\n"), EACCES);
	expect(write_file(at(a, "memset.memory_pressure"), "0\n"), EACCES);
	ck_assert(exists(at(root, "memset.memory_pressure_enabled")));
	ck_assert(!exists(at(a, "memset.memory_pressure_enabled")));
	has_nodes(getpid(), all_nodes());
	has_nodes(1, all_nodes());
	remove_tree();
}

TEST(nonsense_changes_nothing)
{
	static const char *const flags[] = { "mem_exclusive", "memory_migrate",
					     "memory_spread_page", "memory_spread_slab" };

	make_tree();
	expect(set_mems(a, NODE(0)), 0);
	takes_only_lists(at(a, "memset.mems"), nr_nodes());
	for (int i = 0; i < 4; i++) {
		char *file = at(a, "memset.%s", flags[i]);

		expect(write_file(file, "x"), EINVAL);
		expect(write_file(file, "2"), ERANGE);
		expect(write_file(file, "-1"), EINVAL);
		ck_assert_uint_eq(read_u64(file), 0);
	}
	expect(write_file(at(root, "memset.memory_pressure_enabled"), "2"), ERANGE);
	remove_tree();
}

TEST_NODES(a_subset_of_the_parents, 4)
{
	make_tree();
	refused(set_mems(b, NODE(0)), EACCES, b, "its parent has not all of these nodes (EACCES)");
	expect(set_mems(a, NODE(0) | NODE(1)), 0);
	refused(set_mems(b, NODE(2)), EACCES, b, "its parent has not all");
	refused(set_mems(b, NODE(1) | NODE(2)), EACCES, b, "its parent has not all");
	expect(set_mems(b, NODE(1)), 0);
	refused(set_mems(a, NODE(0)), EBUSY, a, "a child has other nodes (EBUSY)");
	refused(set_mems(a, NODE(2) | NODE(3)), EBUSY, a, "a child has other nodes");
	/* another set that has room for the child */
	expect(set_mems(a, NODE(1) | NODE(3)), 0);
	ck_assert_uint_eq(get_mems(b), NODE(1));
	expect(remove_dir(b), 0);
	expect(set_mems(a, NODE(0)), 0);
	expect(make_dir(b), 0);
	remove_tree();
}

TEST(exclusive_only_below_exclusive)
{
	make_tree();
	expect(set_mems(a, NODE(0)), 0);
	expect(set_mems(b, NODE(0)), 0);
	refused(set_exclusive(b, 1), EACCES, b, "its parent is not exclusive (EACCES)");
	expect(set_exclusive(a, 1), 0);
	expect(set_exclusive(b, 1), 0);
	refused(set_exclusive(a, 0), EBUSY, a, "a child is exclusive (EBUSY)");
	expect(set_exclusive(b, 0), 0);
	expect(set_exclusive(a, 0), 0);
	expect(set_exclusive(a, 0), 0);
	remove_tree();
}

TEST_NODES(exclusive_sets_overlap_no_sibling, 4)
{
	char *c;

	make_tree();
	c = at(root, "c");
	expect(make_dir(c), 0);
	expect(set_mems(a, NODE(0) | NODE(1)), 0);
	expect(set_mems(c, NODE(1) | NODE(2)), 0);
	refused(set_exclusive(a, 1), EINVAL, a, "a sibling has some of these nodes");
	expect(set_mems(c, NODE(2)), 0);
	expect(set_exclusive(a, 1), 0);
	/* the one that is not exclusive may not come near, either */
	refused(set_mems(c, NODE(1) | NODE(2)), EINVAL, c, "and one of the two is exclusive (EINVAL)");
	refused(set_mems(a, NODE(1) | NODE(2)), EINVAL, a, "a sibling has some of these nodes");
	expect(set_mems(b, NODE(0) | NODE(1)), 0);
	expect(set_exclusive(b, 1), 0);
	expect(set_mems(c, NODE(2) | NODE(3)), 0);
	expect(set_exclusive(b, 0), 0);
	expect(set_exclusive(a, 0), 0);
	expect(set_mems(c, NODE(1) | NODE(2)), 0);
	/* with a it goes what it had for itself */
	expect(set_mems(c, NODE(2)), 0);
	expect(set_exclusive(a, 1), 0);
	remove_tree();
	expect(set_mems(c, all_nodes()), 0);
	expect(remove_dir(c), 0);
}

TEST_NODES(a_change_is_the_tasks_at_once, 4)
{
	pid_t inside, below, outside;

	make_tree();
	expect(set_mems(a, all_nodes()), 0);
	expect(set_mems(b, all_nodes()), 0);
	inside = sleeper_in(b);
	below = sleeper_in(a);
	outside = sleeper();
	for (unsigned int nodes = 1; nodes <= all_nodes(); nodes++) {
		expect(set_mems(b, nodes), 0);
		ck_assert_str_eq(read_file(at(b, "memset.mems")),
				 at(".", "%s\n", cpus_text(nodes)) + 2);
		has_nodes(inside, nodes);
		has_nodes(below, all_nodes());
		has_nodes(outside, all_nodes());
	}
	stop(inside);
	stop(below);
	stop(outside);
	remove_tree();
}

static void *be_a_thread(void *wire)
{
	pid_t tid = syscall(SYS_gettid);

	if (write(*(int *)wire, &tid, sizeof(tid)) != sizeof(tid))
		abort();
	for (;;)
		pause();
}

static void have_a_thread(void *wire)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, be_a_thread, wire), 0);
	for (;;)
		pause();
}

TEST_NODES(threads_are_moved_one_by_one_or_together, 4)
{
	pid_t pid, tid;
	int wire[2];

	make_tree();
	expect(set_mems(a, NODE(2)), 0);
	ck_assert_int_eq(pipe(wire), 0);
	pid = start(have_a_thread, &wire[1]);
	ck_assert_int_eq(read(wire[0], &tid, sizeof(tid)), sizeof(tid));
	expect(write_u64(at(a, "tasks"), tid), 0);
	has_nodes(tid, NODE(2));
	has_nodes(pid, all_nodes());
	expect(write_u64(at(root, "tasks"), tid), 0);
	has_nodes(tid, all_nodes());
	expect(move_to(a, pid), 0);
	has_nodes(tid, NODE(2));
	has_nodes(pid, NODE(2));
	expect(set_mems(a, NODE(3)), 0);
	has_nodes(tid, NODE(3));
	stop(pid);
	remove_tree();
}

TEST_NODES(a_child_has_its_parents, 4)
{
	struct holder *h;
	pid_t child;

	make_tree();
	expect(set_mems(a, NODE(1) | NODE(3)), 0);
	h = holder_in(a);
	child = hold_fork(h);
	ck_assert_str_eq(container_of_pid(child, "memset"), "/a");
	has_nodes(child, NODE(1) | NODE(3));
	expect(set_mems(a, NODE(0)), 0);
	has_nodes(child, NODE(0));
	has_nodes(h->pid, NODE(0));
	kill(child, SIGKILL);
	holder_end(h);
	eventually(!has_line(at(a, "tasks"), child), 10);
	remove_tree();
}

TEST(flags_that_a_new_container_inherits)
{
	make_tree();
	for (int value = 1; value >= 0; value--) {
		expect(write_u64(at(a, "memset.memory_spread_page"), value), 0);
		expect(write_u64(at(a, "memset.memory_spread_slab"), value), 0);
		expect(write_u64(at(a, "memset.memory_migrate"), value), 0);
		ck_assert_uint_eq(read_u64(at(a, "memset.memory_migrate")), value);
		expect(make_dir(at(a, "new")), 0);
		ck_assert_uint_eq(read_u64(at(a, "new/memset.memory_spread_page")), value);
		ck_assert_uint_eq(read_u64(at(a, "new/memset.memory_spread_slab")), value);
		ck_assert_uint_eq(read_u64(at(a, "new/memset.memory_migrate")), 0);
		ck_assert_uint_eq(read_u64(at(b, "memset.memory_spread_page")), 0);
		expect(remove_dir(at(a, "new")), 0);
	}
	remove_tree();
}

TEST(who_has_more_capabilities_stays)
{
	make_tree();
	expect(set_mems(a, all_nodes()), 0);
	expect(set_mems(b, all_nodes()), 0);
	more_capable_stays(root, a, b, "memset", "its nodes are not the mover's to change (EPERM)");
	remove_tree();
}
