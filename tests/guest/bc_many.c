// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters with 64 containers and 8 CPUs: all charge at once, in one tree, and at the end
 * what is held is what /proc/PID/fd and `tasks` list. The number of rounds ends it, not the
 * clock; the limits are for a kernel that hangs: with 8 CPUs on a machine that has two and is busy
 * the same work takes fifteen times as long. In the debug kernel, which is that much slower, each does
 * a third of the rounds: all 64 are still at it at once. (jobs 8 8@debug)
 */
#include "lib-bc.h"
#include "lib-numtasks.h"

#include <fcntl.h>
#include <sys/wait.h>

#define CONTAINERS 64
#define MIDDLES 8
#define ROUNDS (lib_slow > 1 ? 20 : 60)
#define MOST 20

static char *top, *middle[MIDDLES], *leaf[CONTAINERS];
static struct actor *actor[CONTAINERS];
static int gate[2];

static void make_tree(void)
{
	root = mount_hierarchy("bc");
	top = at(root, "top");
	expect(make_dir(top), 0);
	for (int i = 0; i < MIDDLES; i++) {
		middle[i] = at(top, "middle%d", i);
		expect(make_dir(middle[i]), 0);
	}
	for (int i = 0; i < CONTAINERS; i++) {
		leaf[i] = at(middle[i % MIDDLES], "leaf%d", i);
		expect(make_dir(leaf[i]), 0);
	}
	ck_assert_int_eq(pipe2(gate, O_CLOEXEC), 0);
}

static void remove_tree(void)
{
	for (int i = 0; i < CONTAINERS; i++)
		expect(remove_dir(leaf[i]), 0);
	for (int i = 0; i < MIDDLES; i++)
		expect(remove_dir(middle[i]), 0);
	expect(remove_dir(top), 0);
}

/* The gate opens when nobody has its other end any more. */
static void go_to_the_gate(struct actor *a)
{
	(void)a;
	close(gate[1]);
}

static void wait_at_the_gate(void)
{
	char c;

	ck_assert_int_eq(read(gate[0], &c, 1), 0);
}

/* Opens and closes, and at the end has from none to MOST. */
static void open_and_close(struct actor *a)
{
	int fd[MOST];
	unsigned int n = 0, seed = a->arg;

	wait_at_the_gate();
	for (int round = 0; round < ROUNDS; round++) {
		if (n < MOST && rand_r(&seed) / 7 % 2) {
			fd[n] = open("/dev/null", O_RDONLY);
			if (fd[n] >= 0)
				n++;
			else
				expect(errno, ENFILE);
		} else if (n) {
			ck_assert_int_eq(close(fd[--n]), 0);
		}
	}
	a->result = n;
}

static void all_at_once(void (*fn)(struct actor *a))
{
	for (int i = 0; i < CONTAINERS; i++)
		act_begin(actor[i], fn, lib_seed + i);
	close(gate[1]);
	for (int i = 0; i < CONTAINERS; i++)
		act_end(actor[i]);
}

static void all_at_the_gate(void)
{
	for (int i = 0; i < CONTAINERS; i++) {
		actor[i] = quiet_actor_in(leaf[i]);
		act(actor[i], go_to_the_gate, 0);
	}
}

static void dismiss_all(void)
{
	for (int i = 0; i < CONTAINERS; i++)
		dismiss(actor[i]);
}

/* What the 8 of a middle have opened, by /proc, and what it holds. */
static void compare_files(const unsigned int *before)
{
	unsigned long in_middle[MIDDLES] = {}, all = 0;

	for (int i = 0; i < CONTAINERS; i++) {
		unsigned long n = descriptors(actor[i]->pid) - before[i];

		ck_assert_uint_eq(n, actor[i]->result);
		ck_assert_uint_eq(held(leaf[i]), n);
		in_middle[i % MIDDLES] += n;
		all += n;
	}
	for (int i = 0; i < MIDDLES; i++)
		ck_assert_uint_eq(held(middle[i]), in_middle[i]);
	ck_assert_uint_eq(held(top), all);
}

TEST_FOR(files_of_64_containers, 85, 8, 1)
{
	unsigned int before[CONTAINERS];

	make_tree();
	all_at_the_gate();
	for (int i = 0; i < CONTAINERS; i++)
		before[i] = descriptors(actor[i]->pid);
	/* too little for all of them at their most, and for some of the middles */
	set_bounds(top, 400, 400);
	for (int i = 0; i < MIDDLES; i += 2)
		set_bounds(middle[i], 30, 30);
	all_at_once(open_and_close);
	compare_files(before);
	ck_assert_uint_le(numfiles(top, "maxheld"), 400);
	for (int i = 0; i < MIDDLES; i += 2)
		ck_assert_uint_le(numfiles(middle[i], "maxheld"), 30);
	dismiss_all();
	ck_assert_uint_eq(held(top), 0);
	remove_tree();
}

/* Children come and go. */
static void fork_and_wait(struct actor *a)
{
	wait_at_the_gate();
	a->result = 0;
	for (int round = 0; round < 3; round++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0)
			expect(errno, EAGAIN);
		else
			ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	}
}

TEST_FOR(tasks_of_64_containers, 85, 8, 1)
{
	make_tree();
	all_at_the_gate();
	ck_assert_uint_eq(numproc(top, "held"), CONTAINERS);
	/* room for a child of one actor in ten */
	expect(write_file(at(top, "bc.set"), "numproc 70 70"), 0);
	all_at_once(fork_and_wait);
	ck_assert_uint_eq(numproc(top, "held"), CONTAINERS);
	ck_assert_uint_le(numproc(top, "maxheld"), 70);
	for (int i = 0; i < CONTAINERS; i++)
		ck_assert_uint_eq(numproc(leaf[i], "held"), tasks_in(leaf[i]));
	for (int i = 0; i < MIDDLES; i++)
		ck_assert_uint_eq(numproc(middle[i], "held"), CONTAINERS / MIDDLES);
	dismiss_all();
	ck_assert_uint_eq(numproc(top, "held"), 0);
	remove_tree();
}
