// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpu: CPU time by shares. What is written to the files is looked for in how much processes
 * that spin get of the one CPU, as the scheduler counts it for each of them (schedstat). cpu_smp.c has several CPUs.
 * (jobs 1 1@debug)
 */
#include "lib-numtasks.h"
#include "spinners.h"

#include <signal.h>
#include <sys/mount.h>

static uint64_t weight(const char *container)
{
	return read_u64(at(container, "cpu.weight"));
}

TEST(shares_are_read_as_they_are_written)
{
	char *root = mount_hierarchy("cpu"), *a = at(root, "a");

	expect(make_dir(a), 0);
	ck_assert_str_eq(read_file(at(a, "cpu.shares")),
			 "res=cpu,min_shares=-3,max_shares=-3,child_shares_divisor=100\n");
	expect(set_shares(a, "min_shares=10,max_shares=-3\n"), 0);
	expect(set_shares(a, "res=cpu,child_shares_divisor=7"), 0);
	ck_assert_str_eq(read_file(at(a, "cpu.shares")),
			 "res=cpu,min_shares=10,max_shares=-3,child_shares_divisor=7\n");
	/* a new one of the name begins anew */
	expect(remove_dir(a), 0);
	expect(make_dir(a), 0);
	ck_assert_str_eq(read_file(at(a, "cpu.shares")),
			 "res=cpu,min_shares=-3,max_shares=-3,child_shares_divisor=100\n");
	ck_assert_uint_eq(weight(a), 1024);
	expect(remove_dir(a), 0);
}

TEST(weights_follow_the_shares)
{
	char *root = mount_hierarchy("cpu"), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "a/c");

	expect(make_dir(a) | make_dir(b) | make_dir(c), 0);
	ck_assert_uint_eq(weight(b), 1024);
	expect(set_shares(a, "min_shares=1"), 0);
	ck_assert_uint_eq(weight(a), 1024);
	expect(set_shares(a, "min_shares=100"), 0);
	ck_assert_uint_eq(weight(a), 102400);
	expect(set_shares(b, "min_shares=25"), 0);
	ck_assert_uint_eq(weight(b), 25600);
	/* of twice as many parts it is half as much; who has none has what it had */
	expect(set_shares(a, "child_shares_divisor=200"), 0);
	ck_assert_uint_eq(weight(b), 12800);
	ck_assert_uint_eq(weight(c), 1024);
	ck_assert_uint_eq(weight(a), 102400);
	/* as little as there is */
	expect(set_shares(b, "min_shares=0"), 0);
	ck_assert_uint_eq(weight(b), 2);
	expect(set_shares(b, "min_shares=-3"), 0);
	ck_assert_uint_eq(weight(b), 1024);
	/* the root competes with nobody, and who looks changes nothing */
	ck_assert(!exists(at(root, "cpu.weight")));
	expect(write_file(at(a, "cpu.weight"), "5"), EACCES);
	expect(remove_dir(b) | remove_dir(c) | remove_dir(a), 0);
}

/* By umount, and by a remount with a container that has had a part of it. */
TEST(what_is_said_of_the_root_goes_with_the_tree)
{
	char *root = mount_hierarchy("cpu"), *before = read_file(at(root, "cpu.shares")), *a;

	ck_assert(strstr(before, "child_shares_divisor=100\n"));
	expect(set_shares(root, "child_shares_divisor=7"), 0);
	expect(unmount(root), 0);
	root = mount_hierarchy("cpuacct,cpu");
	ck_assert_str_eq(read_file(at(root, "cpu.shares")), before);
	a = at(root, "a");
	expect(make_dir(a), 0);
	expect(set_shares(root, "child_shares_divisor=4"), 0);
	expect(set_shares(a, "min_shares=2"), 0);
	ck_assert_uint_eq(weight(a), 51200);
	expect(mount("none", root, "container", MS_REMOUNT, "cpuacct") ? errno : 0, 0);
	expect(mount("none", root, "container", MS_REMOUNT, "cpuacct,cpu") ? errno : 0, 0);
	ck_assert_str_eq(read_file(at(root, "cpu.shares")), before);
	expect(set_shares(a, "min_shares=2"), 0);
	ck_assert_uint_eq(weight(a), 2048);
	expect(remove_dir(a), 0);
}

TEST(wrong_shares_change_nothing)
{
	static const struct wrong_shares wrong[] = {
		{ "min_shares=61", "the parent has not so many min_shares unused", EINVAL },
		{ "max_shares=50", "there is no maximum of CPU time", EINVAL },
		{ "min_shares=30,max_shares=50", "there is no maximum of CPU time", EINVAL },
		{ "child_shares_divisor=0", "the divisor is less than 1", EINVAL },
		{ "child_shares_divisor=9", "the children's min_shares are more than the divisor", EINVAL },
		{ "min_shares=21,apples=5", NULL, EINVAL }, { "1024", NULL, EINVAL },
		{ "min_shares=-1", NULL, EINVAL }, { "res=numtasks,min_shares=21", NULL, EINVAL },
		{ "min_shares=2147483648", NULL, ERANGE },
	};
	char *root = mount_hierarchy("cpu"), *a = at(root, "a"), *b = at(root, "b"), *c = at(root, "a/c");

	expect(make_dir(a) | make_dir(b) | make_dir(c), 0);
	expect(set_shares(b, "min_shares=40"), 0);
	expect(set_shares(a, "min_shares=20,child_shares_divisor=30"), 0);
	expect(set_shares(c, "min_shares=10"), 0);
	refuses_shares(a, "cpu", wrong, sizeof(wrong) / sizeof(*wrong));
	ck_assert_uint_eq(weight(a), 20480);
	expect(set_shares(root, "min_shares=10"), EINVAL);
	says(root, "the root has no parent to have shares of");
	expect(remove_dir(c) | remove_dir(a) | remove_dir(b), 0);
}

/* Without groups each of the four would get the same: a would get 3 times as much. */
TEST_LIMIT(a_container_is_one_however_many_run_in_it, 70)
{
	char *root = mount_hierarchy("cpu"), *a = at(root, "a"), *b = at(root, "b");
	struct spinners in_a, in_b;

	expect(make_dir(a) | make_dir(b), 0);
	in_a = spinners_in(a, 3);
	in_b = spinners_in(b, 1);
	gets(&in_a, &in_b, 1);
	stop_all(&in_a);
	stop_all(&in_b);
	expect(remove_dir(a) | remove_dir(b), 0);
}

/* And again when they are changed, while they run. Few shares: we get time beside them, who have none. */
TEST_LIMIT(time_goes_by_shares, 70)
{
	char *root = mount_hierarchy("cpu"), *a = at(root, "a"), *b = at(root, "b");
	struct spinners in_a, in_b;

	expect(make_dir(a) | make_dir(b), 0);
	expect(set_shares(a, "min_shares=6") | set_shares(b, "min_shares=2"), 0);
	in_a = spinners_in(a, 1);
	in_b = spinners_in(b, 1);
	gets(&in_a, &in_b, 3);
	expect(set_shares(a, "min_shares=1"), 0);
	gets(&in_b, &in_a, 2);
	stop_all(&in_a);
	stop_all(&in_b);
	expect(remove_dir(a) | remove_dir(b), 0);
}

/* b is a third of a, as it is a third of what a has: with two beside it that have no shares. */
TEST_LIMIT(shares_are_of_what_the_parent_gets, 70)
{
	char *root = mount_hierarchy("cpu"), *a = at(root, "a"), *b = at(root, "b");
	char *c = at(root, "a/c"), *d = at(root, "a/d");
	struct spinners in_b, in_c, in_d, in_a;

	expect(make_dir(a) | make_dir(b) | make_dir(c) | make_dir(d), 0);
	expect(set_shares(c, "min_shares=60") | set_shares(d, "min_shares=30"), 0);
	in_b = spinners_in(b, 1);
	in_c = spinners_in(c, 1);
	in_d = spinners_in(d, 2);
	gets(&in_c, &in_d, 2);
	/* what is below a is together as much as b */
	in_a = in_c;
	for (int i = 0; i < in_d.nr; i++)
		in_a.pid[in_a.nr++] = in_d.pid[i];
	gets(&in_a, &in_b, 1);
	stop_all(&in_a);
	stop_all(&in_b);
	expect(remove_dir(c) | remove_dir(d) | remove_dir(a) | remove_dir(b), 0);
}

/* PID of its own child, which spins as it does. */
static void fork_and_spin(void *wire)
{
	pid_t child = fork();

	if (child)
		ck_assert_int_eq(write(*(int *)wire, &child, sizeof(child)), sizeof(child));
	spin_on(&(int){ 0 });
}

/* Were the child born elsewhere it would get as much as its parent and b each: 1, and 2 with its parent. */
TEST_LIMIT(a_child_is_born_into_its_parents_container, 70)
{
	char *root = mount_hierarchy("cpu"), *a = at(root, "a"), *b = at(root, "b");
	struct spinners parent = { .nr = 1 }, child = { .nr = 1 }, in_b, in_a;
	int wire[2];

	expect(make_dir(a) | make_dir(b), 0);
	ck_assert_int_eq(pipe(wire), 0);
	parent.pid[0] = start_in(a, fork_and_spin, &wire[1]);
	ck_assert_int_eq(read(wire[0], &child.pid[0], sizeof(pid_t)), sizeof(pid_t));
	in_b = spinners_in(b, 1);
	gets(&parent, &child, 1);
	in_a = (struct spinners) { .nr = 2, .pid = { parent.pid[0], child.pid[0] } };
	gets(&in_a, &in_b, 1);
	/* its parent is not us */
	ck_assert_int_eq(kill(child.pid[0], SIGKILL), 0);
	stop_all(&parent);
	stop_all(&in_b);
	eventually(!has_line(at(a, "tasks"), child.pid[0]), 20);
	expect(remove_dir(a) | remove_dir(b), 0);
}

/* One of two leaves a for b: who stays has half of all then, and the two in b a quarter each. */
TEST_LIMIT(who_is_moved_runs_where_it_is, 130)
{
	char *root = mount_hierarchy("cpu"), *a = at(root, "a"), *b = at(root, "b");
	struct spinners stays, moves, in_b;

	expect(make_dir(a) | make_dir(b), 0);
	stays = spinners_in(a, 1);
	moves = spinners_in(a, 1);
	in_b = spinners_in(b, 1);
	gets(&in_b, &stays, 2);
	expect(move_to(b, moves.pid[0]), 0);
	gets(&stays, &moves, 2);
	gets(&in_b, &moves, 1);
	/* and in the root it is one beside the two containers */
	expect(move_to(root, moves.pid[0]), 0);
	gets(&stays, &moves, 1);
	stop_all(&stays);
	stop_all(&moves);
	stop_all(&in_b);
	expect(remove_dir(a) | remove_dir(b), 0);
}

/* Three and one: each the same without cpu, the containers the same with it, and back. */
TEST_LIMIT(binding_takes_who_is_there, 130)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	struct spinners in_a, in_b;

	expect(make_dir(a) | make_dir(b), 0);
	in_a = spinners_in(a, 3);
	in_b = spinners_in(b, 1);
	gets(&in_a, &in_b, 3);
	expect(mount("none", root, "container", MS_REMOUNT, "cpuacct,cpu") ? errno : 0, 0);
	ck_assert_uint_eq(weight(a), 1024);
	gets(&in_a, &in_b, 1);
	expect(mount("none", root, "container", MS_REMOUNT, "cpuacct") ? errno : 0, 0);
	gets(&in_a, &in_b, 3);
	stop_all(&in_a);
	stop_all(&in_b);
	expect(remove_dir(a) | remove_dir(b), 0);
}

/* What ends in a container, and whoever did, keeps it from nothing: also while others run in the parent. */
TEST_LIMIT(what_is_gone_leaves_nothing, 40)
{
	char *root = mount_hierarchy("cpu"), *a = at(root, "a"), *b = at(root, "a/b");
	int states = states_of("cpu");

	for (int i = 0; i < 30; i++) {
		struct spinners s;

		expect(make_dir(a) | make_dir(b), 0);
		s = spinners_in(b, 2);
		add_spinners(&s, a, 1);
		expect(move_to(root, s.pid[1]), 0);
		stop_all(&s);
		expect(remove_dir(b) | remove_dir(a), 0);
	}
	eventually(states_of("cpu") == states, 20);
}
