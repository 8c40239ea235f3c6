// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: tasks. What the bounds do is looked for in what fork() and its like say, and
 * held is compared with the file `tasks`. (jobs 1 4 4@debug)
 */
#include "lib-bc.h"
#include "lib-numtasks.h"
#include "lib-rebind.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CHILDREN 100

/* The actor's. */
static pid_t children[CHILDREN];
static unsigned int nr_children;

static void set_numproc(const char *container, unsigned long barrier, unsigned long limit)
{
	char text[64];

	snprintf(text, sizeof(text), "numproc %lu %lu\n", barrier, limit);
	expect(write_file(at(container, "bc.set"), text), 0);
}

/* Forks up to ARG children that sleep; how many there are, and a->seed: the errno of the next. */
static void fork_children(struct actor *actor)
{
	actor->seed = 0;
	for (actor->result = 0; actor->result < actor->arg; actor->result++) {
		pid_t pid = fork();

		if (pid < 0) {
			actor->seed = errno;
			return;
		}
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (;;)
				pause();
		}
		ck_assert_uint_lt(nr_children, CHILDREN);
		children[nr_children++] = pid;
	}
}

/* Who has been reaped has been uncharged: a task is a zombie only later. */
static void end_children(struct actor *actor)
{
	for (; actor->arg; actor->arg--) {
		pid_t pid = children[--nr_children];

		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
}

TEST(a_new_container_may_fork)
{
	mount_bc("a/b");
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numproc"), "max max");
	ck_assert_uint_eq(numproc(a, "held"), 0);
	ck_assert(!exists(at(root, "bc.numproc.limit")) && exists(at(root, "bc.numproc.maxheld")));
	/* both resources in one write, or none */
	expect(write_file(at(a, "bc.set"), "numproc 5 6\nnumfiles 7 8"), 0);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "7 8");
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numproc"), "5 6");
	expect(write_file(at(a, "bc.set"), "numproc 1 2\nnumfiles 8 7"), EINVAL);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numproc"), "5 6");
	expect(write_file(at(a, "bc.numproc.barrier"), "7"), EINVAL);
	expect(write_file(at(a, "bc.numproc.barrier"), "4"), 0);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numproc"), "4 6");
	ck_assert_ptr_nonnull(strstr(read_file("/proc/user_beancounters"), " numproc "));
	expect(remove_dir(a), 0);
}

TEST(the_barrier_and_the_limit)
{
	struct actor *alice, *admin;

	mount_bc("a/b");
	set_numproc(a, 4, 7);
	alice = actor_in(a);
	act(alice, become_alice, 0);
	ck_assert_uint_eq(act(alice, fork_children, 50), 3);
	expect(alice->seed, EAGAIN);
	says(a, "fork of task ");
	says(a, "refused by bc: end some, or raise bc.numproc.barrier; /a has 4 of 4 tasks (EAGAIN)\n");
	ck_assert_int_eq(tasks_in(a), 4);
	ck_assert_uint_eq(numproc(a, "held"), 4);
	ck_assert_uint_eq(numproc(a, "failcnt"), 1);
	/* an administrator comes in above the barrier, and has two more */
	admin = actor_in(a);
	ck_assert_uint_eq(act(admin, fork_children, 50), 2);
	expect(admin->seed, EAGAIN);
	says(a, "raise bc.numproc.limit; /a has 7 of 7 tasks (EAGAIN)\n");
	ck_assert_uint_eq(numproc(a, "maxheld"), 7);
	act(alice, end_children, 3);
	ck_assert_uint_eq(act(alice, fork_children, 1), 0);
	act(admin, end_children, 2);
	ck_assert_uint_eq(act(alice, fork_children, 50), 2);
	ck_assert_uint_eq(numproc(a, "minheld"), 2);
	act(alice, end_children, 2);
	dismiss(alice);
	dismiss(admin);
	ck_assert_uint_eq(numproc(a, "held"), 0);
	expect(remove_dir(a), 0);
}

TEST(threads_count_and_zombies_do_not)
{
	struct worker w;
	pid_t zombie;

	mount_bc("a/b");
	set_numproc(a, 4, 4);
	w = worker_in(a);
	expect(ask(&w, 't'), 0);
	expect(ask(&w, 't'), 0);
	ck_assert_uint_eq(numproc(a, "held"), 3);
	expect(ask(&w, 'v'), 0);
	expect(ask(&w, 'f'), 0);
	expect(ask(&w, 't'), EAGAIN);
	expect(ask(&w, 'v'), EAGAIN);
	ck_assert_int_eq(tasks_in(a), 4);
	expect(ask(&w, 'k'), 0);
	/* of ours, that has exited and is not reaped */
	zombie = sleeper_in(a);
	ck_assert_uint_eq(numproc(a, "held"), 4);
	make_zombie(zombie);
	ck_assert_uint_eq(numproc(a, "held"), 3);
	wait_for(zombie);
	worker_end(&w);
	ck_assert_uint_eq(numproc(a, "held"), 0);
	expect(remove_dir(a), 0);
}

TEST(a_task_takes_its_charge_along)
{
	struct actor *actor;
	char *c;

	mount_bc("a/b");
	c = at(root, "a/c");
	expect(make_dir(b) | make_dir(c), 0);
	set_numproc(c, 2, 2);
	set_numproc(a, 5, 5);
	actor = actor_in(b);
	ck_assert_uint_eq(act(actor, fork_children, 3), 3);
	ck_assert_uint_eq(numproc(a, "held"), 4);
	/* a move is not refused */
	expect(move_to(c, actor->pid), 0);
	ck_assert_uint_eq(numproc(b, "held"), 3);
	ck_assert_uint_eq(numproc(c, "held"), 1);
	/* the children follow one by one, over the bound */
	for (int i = 0; i < 3; i++) {
		pid_t ids[8];

		ck_assert_int_eq(read_ids(at(b, "tasks"), ids, 8), 3 - i);
		expect(move_to(c, ids[0]), 0);
	}
	ck_assert_uint_eq(numproc(b, "held"), 0);
	ck_assert_uint_eq(numproc(c, "held"), 4);
	/* nothing came above both and nothing went */
	ck_assert_uint_eq(numproc(a, "held"), 4);
	ck_assert_uint_eq(numproc(a, "maxheld"), 4);
	/* it may be overfull; who is in it does not fork */
	ck_assert_uint_eq(act(actor, fork_children, 1), 0);
	says(c, "/a/c has 4 of 2 tasks (EAGAIN)\n");
	act(actor, end_children, 3);
	ck_assert_uint_eq(act(actor, fork_children, 50), 1);
	act(actor, end_children, 1);
	dismiss(actor);
	ck_assert_uint_eq(numproc(a, "held"), 0);
	expect(remove_dir(c), 0);
	remove_all();
}

TEST(bounds_above_and_flat_containers)
{
	struct actor *in_b, *in_c;
	char *c;

	mount_bc("a/b");
	c = at(root, "a/c");
	expect(make_dir(b), 0);
	expect(write_file(at(root, "bc.hierarchical"), "0"), 0);
	expect(make_dir(c), 0);
	set_numproc(a, 3, 3);
	in_b = actor_in(b);
	in_c = actor_in(c);
	ck_assert_uint_eq(act(in_b, fork_children, 50), 2);
	says(b, "/a has 3 of 3 tasks (EAGAIN)\n");
	ck_assert_uint_eq(numproc(a, "failcnt"), 1);
	ck_assert_uint_eq(numproc(b, "failcnt"), 0);
	ck_assert_uint_eq(act(in_c, fork_children, 9), 9);
	ck_assert_uint_eq(numproc(c, "held"), 10);
	ck_assert_uint_eq(numproc(a, "held"), 3);
	/* between the two, each has its own part of the chain */
	expect(move_to(b, in_c->pid), 0);
	ck_assert_uint_eq(numproc(a, "held"), 4);
	expect(move_to(c, in_c->pid), 0);
	ck_assert_uint_eq(numproc(a, "held"), 3);
	act(in_b, end_children, 2);
	act(in_c, end_children, 9);
	dismiss(in_b);
	dismiss(in_c);
	ck_assert_uint_eq(numproc(a, "held") + numproc(b, "held") + numproc(c, "held"), 0);
	expect(remove_dir(c), 0);
	remove_all();
}

/* Another subsystem, asked later, refuses: what was charged is given back. */
TEST(a_fork_that_comes_to_nothing)
{
	struct actor *actor;

	root = mount_hierarchy("bc,numtasks");
	a = at(root, "a");
	expect(make_dir(a), 0);
	actor = actor_in(a);
	expect(write_file(at(a, "numtasks.limit"), "1"), 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_uint_eq(act(actor, fork_children, 1), 0);
		expect(actor->seed, EAGAIN);
	}
	ck_assert_uint_eq(numproc(a, "held"), 1);
	ck_assert_uint_eq(numproc(a, "failcnt"), 0);
	dismiss(actor);
	ck_assert_uint_eq(numproc(a, "held"), 0);
	expect(remove_dir(a), 0);
}

/* All of the machine is in one tree: its root holds what is in it and below. */
static bool the_root_has_all(void)
{
	return numproc(root, "held") == (uint64_t)(tasks_in(root) + tasks_in(a) + (b ? tasks_in(b) : 0));
}

TEST(binding_under_tasks)
{
	struct actor *actor;

	root = mount_hierarchy("cpuacct");
	a = at(root, "a");
	expect(make_dir(a), 0);
	actor = actor_in(a);
	act(actor, fork_children, 4);
	expect(remount(root, "cpuacct,bc"), 0);
	ck_assert_uint_eq(numproc(a, "held"), 5);
	set_numproc(a, 5, 6);
	ck_assert_uint_eq(act(actor, fork_children, 9), 1);
	expect(remount(root, "cpuacct"), 0);
	ck_assert_uint_eq(act(actor, fork_children, 9), 9);
	expect(remount(root, "cpuacct,bc"), 0);
	ck_assert_uint_eq(numproc(a, "held"), 15);
	/* nothing is left of the last time; kernel threads come and go */
	eventually(the_root_has_all(), 10);
	act(actor, end_children, 14);
	ck_assert_uint_eq(numproc(a, "held"), 1);
	dismiss(actor);
	ck_assert_uint_eq(numproc(a, "held"), 0);
	expect(remove_dir(a), 0);
}

/* Forks until it is killed, and so do its children, as long as they are let. */
static void bomb(struct actor *actor)
{
	become_alice(actor);
	for (;;)
		if (fork() < 0)
			sched_yield();
}

TEST_LIMIT(a_fork_bomb, 40)
{
	struct actor *actor, *neighbour;

	mount_bc("a/b");
	/* few: each that is refused has copied an address space by then, and tries again */
	set_numproc(a, 8, 12);
	expect(make_dir(b = at(root, "b")), 0);
	neighbour = actor_in(b);
	for (int turn = 0; turn < 2; turn++) {
		actor = actor_in(a);
		act_begin(actor, bomb, 0);
		eventually(numproc(a, "held") == 8, 20);
		/* others fork as ever */
		ck_assert_uint_eq(act(neighbour, fork_children, 5), 5);
		act(neighbour, end_children, 5);
		expect(write_file(at(a, "kill"), "1"), 0);
		wait_for(actor->pid);
		close(actor->wire);
		eventually(strstr(read_file(at(a, "events")), "populated 0"), 20);
		ck_assert_uint_eq(numproc(a, "held"), 0);
		ck_assert_uint_eq(numproc(a, "maxheld"), 8);
	}
	/* kernel threads come and go */
	eventually(the_root_has_all(), 20);
	dismiss(neighbour);
	remove_all();
}
