// SPDX-License-Identifier: GPL-2.0-only
/*
 * numtasks: CPUs keep in stock what exits give back, for the next fork. Nobody may notice: forks and exits on
 * each CPU first, and then limits, shares, moves and numbers have to be as exact as if there had been none.
 * What is in stock on a CPU is at most 16 tasks' room, and one where there is less than that for each CPU: so most
 * limits here are above that. (jobs 1 4 4@debug)
 */
#include "lib-numtasks.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* Below what a worker can have (lib-numtasks.c), above 16 for each of 8 CPUs. */
#define LIMIT 150

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void come_and_go(int times)
{
	for (int i = 0; i < times; i++) {
		pid_t pid = fork();

		ck_assert_msg(pid >= 0, "fork: %s", error_name(errno));
		if (!pid)
			_exit(0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
}

/* Children are born and end on each CPU, two at once as well. */
static void visit_each_cpu(void *unused)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN);

	(void)unused;
	for (int cpu = 0; cpu < cpus; cpu++) {
		pid_t pid;

		pin(cpu);
		come_and_go(5);
		pid = fork();
		if (!pid) {
			come_and_go(5);
			_exit(0);
		}
		come_and_go(5);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
}

static void stock_everywhere(const char *container)
{
	finish(start_in(container, visit_each_cpu, NULL));
}

static uint64_t used(const char *container)
{
	return numtasks_stat(container, "Current usage");
}

static void fork_for_ever(void *unused)
{
	(void)unused;
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

#define HANDS 4

/*
 * Others end while a refusal is told: it had no room then, and is not told to have had some. `why` has the last one
 * only, and who is told otherwise is one of thousands: the trace has each that is.
 */
TEST_LIMIT(a_refusal_shows_no_room, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *tracefs = new_dir(), *text;
	char *event = at(tracefs, "events/container/container_refusal");
	pid_t pid[HANDS];

	expect(mount("none", tracefs, "tracefs", 0, NULL) ? errno : 0, 0);
	expect(write_file(at(event, "filter"), "usage != 5"), 0);
	expect(make_dir(a), 0);
	expect(write_u64(at(a, "numtasks.limit"), HANDS + 1), 0);
	for (int i = 0; i < HANDS; i++)
		pid[i] = start_in(a, fork_for_ever, NULL);
	eventually(*read_file(at(a, "why")), 20);
	/* the last of them may have been moved in where it was full: then there were six, until a child had ended */
	usleep(200000);
	expect(write_file(at(event, "enable"), "1"), 0);
	eventually(read_field(at(a, "why"), "count") >= (lib_slow > 1 ? 100 : 6000), 40);
	ck_assert_uint_eq(read_field(at(a, "why"), "usage"), HANDS + 1);
	expect(write_file(at(a, "kill"), "1"), 0);
	for (int i = 0; i < HANDS; i++)
		wait_for(pid[i]);
	expect(write_file(at(event, "enable"), "0"), 0);
	expect(write_file(at(event, "filter"), "0"), 0);
	text = read_file(at(tracefs, "trace"));
	ck_assert_msg(!strstr(text, "container_refusal"), "not 5 of 5 tasks:\n%s", strstr(text, "container_refusal"));
	expect(unmount(tracefs), 0);
	eventually(used(a) == 0, 10);
	expect(remove_dir(a), 0);
}

/* The room is a's; the stock is a's, b's and c's. */
TEST_LIMIT(all_of_a_limit_can_be_had, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b");
	char *c = at(root, "a/c");
	struct worker w;

	expect(make_dir(a) | make_dir(b) | make_dir(c), 0);
	expect(write_u64(at(a, "numtasks.limit"), LIMIT), 0);
	w = worker_in(b);
	stock_everywhere(a);
	stock_everywhere(b);
	stock_everywhere(c);
	ck_assert_uint_eq(used(a), 1);
	ck_assert_uint_eq(numtasks_stat(b, "Borrowed"), 1);
	ck_assert_uint_eq(numtasks_stat(c, "Borrowed"), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(forks_until_refused(&w), i ? 1 : LIMIT - 1);
		ck_assert_int_eq(tasks_in(b), LIMIT);
		ck_assert_uint_eq(used(a), LIMIT);
		ck_assert_uint_eq(used(b), LIMIT);
		says(b, "refused by numtasks: /a has 150 of 150 tasks (EAGAIN)\n");
		/* one that has exited makes room for one */
		expect(ask(&w, 'k'), 0);
		ck_assert_uint_eq(used(a), LIMIT - 1);
	}
	worker_end(&w);
	ck_assert_uint_eq(used(a), 0);
	ck_assert_uint_eq(numtasks_stat(b, "Number of failures"), 2);
	ck_assert_uint_eq(numtasks_stat(b, "Number of successes"), LIMIT + 16 * sysconf(_SC_NPROCESSORS_ONLN));
	expect(remove_dir(c) | remove_dir(b) | remove_dir(a), 0);
}

/* Where there is room for a few on each CPU, and each keeps one. Not right after somebody was refused for these. */
TEST_LIMIT(near_a_limit_all_can_be_had, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b");
	unsigned int limit = 4 * sysconf(_SC_NPROCESSORS_ONLN) + 4;
	struct worker w;

	expect(make_dir(a) | make_dir(b), 0);
	expect(write_u64(at(a, "numtasks.limit"), limit), 0);
	for (int i = 0; i < 3; i++) {
		usleep(200000);
		stock_everywhere(b);
		ck_assert_uint_eq(used(a), 0);
		w = worker_in(a);
		ck_assert_int_eq(forks_until_refused(&w), limit - 1);
		ck_assert_int_eq(tasks_in(a), limit);
		worker_end(&w);
		ck_assert_uint_eq(used(a), 0);
	}
	expect(remove_dir(b) | remove_dir(a), 0);
}

TEST_LIMIT(a_limit_that_is_lowered_is_exact, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b");
	struct worker w;

	expect(make_dir(a) | make_dir(b), 0);
	w = worker_in(b);
	for (int i = 0; i < 5; i++)
		expect(ask(&w, 'f'), 0);
	stock_everywhere(b);
	/* below what is there, and just above it */
	expect(write_file(at(a, "numtasks.limit"), "3"), 0);
	expect(ask(&w, 'v'), EAGAIN);
	expect(write_file(at(a, "numtasks.limit"), "7"), 0);
	expect(ask(&w, 'f'), 0);
	expect(ask(&w, 'v'), EAGAIN);
	ck_assert_uint_eq(used(b), 7);
	worker_end(&w);
	expect(remove_dir(b) | remove_dir(a), 0);
}

/* c has tasks and stock of a's; b can be guaranteed all that c does not use. */
TEST_LIMIT(stock_is_not_what_others_have, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b");
	char *c = at(root, "a/c"), text[80];
	uint64_t total = numtasks_stat(root, "Maximum");
	struct worker w;

	snprintf(text, sizeof(text), "child_shares_divisor=%llu\n", (unsigned long long)total);
	expect(make_dir(a) | make_dir(b) | make_dir(c), 0);
	expect(write_file(at(root, "numtasks.shares"), text), 0);
	expect(write_file(at(a, "numtasks.shares"), "min_shares=400,max_shares=400,child_shares_divisor=400"), 0);
	w = worker_in(c);
	for (int i = 0; i < 9; i++)
		expect(ask(&w, 'f'), 0);
	stock_everywhere(c);
	expect(write_file(at(b, "numtasks.shares"), "min_shares=391"), EBUSY);
	expect(write_file(at(b, "numtasks.shares"), "min_shares=390"), 0);
	expect(ask(&w, 'v'), EAGAIN);
	ck_assert_uint_eq(numtasks_stat(c, "Borrowed"), 10);
	worker_end(&w);
	expect(remove_dir(c) | remove_dir(b) | remove_dir(a), 0);
}

/* a's limit would be full of what has gone. */
TEST_LIMIT(a_removed_container_leaves_no_stock, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b");
	struct worker w;

	expect(make_dir(a), 0);
	expect(write_u64(at(a, "numtasks.limit"), LIMIT), 0);
	for (int i = 0; i < 5; i++) {
		expect(make_dir(b), 0);
		stock_everywhere(b);
		expect(remove_dir(b), 0);
		ck_assert_uint_eq(used(a), 0);
		ck_assert_uint_eq(numtasks_stat(a, "Borrowed"), 0);
	}
	w = worker_in(a);
	ck_assert_int_eq(forks_until_refused(&w), LIMIT - 1);
	worker_end(&w);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(who_moves_leaves_the_stock, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "b");
	struct worker w;

	expect(make_dir(a) | make_dir(b), 0);
	expect(write_u64(at(b, "numtasks.limit"), LIMIT), 0);
	stock_everywhere(a);
	stock_everywhere(b);
	w = worker_in(a);
	expect(ask(&w, 't'), 0);
	expect(move_to(b, w.pid), 0);
	ck_assert_uint_eq(used(a), 0);
	ck_assert_uint_eq(used(b), 2);
	ck_assert_int_eq(forks_until_refused(&w), LIMIT - 2);
	ck_assert_int_eq(tasks_in(b), LIMIT);
	worker_end(&w);
	ck_assert_uint_eq(used(b), 0);
	expect(remove_dir(a) | remove_dir(b), 0);
}

static void come_and_go_often(void *unused)
{
	(void)unused;
	come_and_go(lib_slow > 1 ? 500 : 2000);
}

static const char *beside[2];
static pid_t moves_to_and_fro;

static void to_and_fro(void *unused)
{
	(void)unused;
	for (int i = 0;; i++)
		expect(move_to(beside[i % 2], moves_to_and_fro), 0);
}

/* In a there is room for one more; what moves between two in it takes none of that, not for an instant. */
TEST_FOR(a_move_beside_takes_no_room, 85, 4, 1)
{
	char *root = mount_hierarchy("bc,numtasks"), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "a/c");
	pid_t mover;

	expect(make_dir(a) | make_dir(b) | make_dir(c), 0);
	beside[0] = b;
	beside[1] = c;
	moves_to_and_fro = sleeper();
	expect(move_to(c, moves_to_and_fro), 0);
	expect(write_file(at(a, "numtasks.limit"), "3"), 0);
	expect(write_file(at(a, "bc.set"), "numproc 3 3"), 0);
	mover = start_in(root, to_and_fro, NULL);
	finish(start_in(a, come_and_go_often, NULL));
	stop(mover);
	stop(moves_to_and_fro);
	ck_assert_uint_eq(used(a), 0);
	expect(remove_dir(c) | remove_dir(b) | remove_dir(a), 0);
}

/* A move may overfill; then nobody forks, not out of what was put in stock before either. */
TEST_LIMIT(no_fork_out_of_the_stock_of_who_is_overfilled, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "c");
	struct worker in_b, in_c;

	expect(make_dir(a) | make_dir(b) | make_dir(c), 0);
	expect(write_u64(at(a, "numtasks.limit"), LIMIT), 0);
	in_b = worker_in(b);
	in_c = worker_in(c);
	for (int i = 1; i < LIMIT; i++)
		expect(ask(&in_c, 'f'), 0);
	stock_everywhere(b);
	expect(ask(&in_b, 'v'), 0);
	/* with all its children, one by one */
	for (char *line, *rest = read_file(at(c, "procs")); (line = strsep(&rest, "\n")) && *line;)
		expect(write_file(at(a, "procs"), line), 0);
	ck_assert_int_eq(tasks_in(a), LIMIT);
	ck_assert_uint_eq(used(a), LIMIT + 1);
	for (int i = 0; i < 20; i++)
		expect(ask(&in_b, 'v'), EAGAIN);
	worker_end(&in_c);
	expect(ask(&in_b, 'v'), 0);
	worker_end(&in_b);
	expect(remove_dir(c) | remove_dir(b) | remove_dir(a), 0);
}

#define FORKERS 6
#define PLACES 4

/* Three alive at a time, for ever; what is refused is none. */
static void bustle(void *unused)
{
	(void)unused;
	for (;;) {
		pid_t pids[3];

		for (int i = 0; i < 3; i++) {
			pids[i] = fork();
			if (!pids[i])
				_exit(0);
		}
		for (int i = 0; i < 3; i++)
			if (pids[i] > 0)
				waitpid(pids[i], NULL, 0);
	}
}

/*
 * They are moved, and limits come and go, while they fork on all CPUs; once they have stopped, what each container
 * says is what its `tasks` lists.
 */
TEST_LIMIT(all_at_once_add_up, 120)
{
	char *root = mount_hierarchy("numtasks"), *place[PLACES];
	unsigned int seed = 2006;
	pid_t pids[FORKERS];

	place[0] = at(root, "a");
	place[1] = at(root, "a/b");
	place[2] = at(root, "a/b/c");
	place[3] = at(root, "d");
	for (int i = 0; i < PLACES; i++)
		expect(make_dir(place[i]), 0);
	for (int i = 0; i < FORKERS; i++)
		pids[i] = start_in(place[i % PLACES], bustle, NULL);
	for (int round = 0; round < 60; round++) {
		expect(move_to(place[rand_r(&seed) % PLACES], pids[rand_r(&seed) % FORKERS]), 0);
		if (!(rand_r(&seed) % 4))
			expect(write_u64(at(place[rand_r(&seed) % PLACES], "numtasks.limit"),
					 rand_r(&seed) % 2 ? 4 : LIMIT), 0);
		usleep(5000);
		/* who looks is in nobody's way */
		used(place[round % PLACES]);
	}
	for (int i = 0; i < FORKERS; i++)
		stop(pids[i]);
	/* grandchildren of the stopped: who exits is gone from `tasks` before it is given back */
	for (int i = PLACES - 1; i >= 0; i--) {
		eventually(!tasks_in(place[i]) && !used(place[i]), 10);
		ck_assert_uint_eq(numtasks_stat(place[i], "Borrowed"), 0);
		expect(remove_dir(place[i]), 0);
	}
}
