// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters and numtasks with 64 containers and 8 CPUs: all charge at once, in one tree, and at the end
 * what is held is what /proc/PID/fd and `tasks` list, and what each task in /proc says of itself. First they only take, so that how many are refused, and by whom,
 * is certain. The number of rounds ends it, not the
 * clock; the limits are for a kernel that hangs: with 8 CPUs on a machine that has two and is busy
 * the same work takes fifteen times as long. In the debug kernel, which is that much slower, each does
 * a third of the rounds: all 64 are still at it at once. (jobs 8 8@debug)
 */
#include "lib-bc.h"
#include "lib-numtasks.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>

#define CONTAINERS 64
#define MIDDLES 8
#define ROUNDS (lib_slow > 1 ? 20 : 60)
#define MOST 20
#define GATES 3

static char *top, *middle[MIDDLES], *leaf[CONTAINERS];
static struct actor *actor[CONTAINERS];
static int gate[GATES][2];

static void make_tree(const char *subsystems)
{
	root = mount_hierarchy(subsystems);
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
	for (int i = 0; i < GATES; i++)
		ck_assert_int_eq(pipe2(gate[i], O_CLOEXEC), 0);
}

static void remove_tree(void)
{
	for (int i = 0; i < CONTAINERS; i++)
		expect(remove_dir(leaf[i]), 0);
	for (int i = 0; i < MIDDLES; i++)
		expect(remove_dir(middle[i]), 0);
	expect(remove_dir(top), 0);
}

/* A gate opens when nobody has its other end any more. */
static void go_to_the_gates(struct actor *a)
{
	(void)a;
	for (int i = 0; i < GATES; i++)
		close(gate[i][1]);
}

static void wait_at_the_gate(int nr)
{
	char c;

	ck_assert_int_eq(read(gate[nr][0], &c, 1), 0);
}

/* The actor's. */
static int fd[MOST];
static unsigned int nr_open;

/* Result: whether it was refused. */
static unsigned int open_one(void)
{
	fd[nr_open] = open("/dev/null", O_RDONLY);
	if (fd[nr_open] < 0) {
		expect(errno, ENFILE);
		return 1;
	}
	nr_open++;
	return 0;
}

/* As many tries, behind gate ARG; result: how many were refused. */
static void open_most(struct actor *a)
{
	wait_at_the_gate(a->arg);
	a->result = 0;
	for (int i = 0; i < MOST; i++)
		a->result += open_one();
}

/* Opens and closes, and at the end has from none to MOST; seed: how many were refused. */
static void open_and_close(struct actor *a)
{
	unsigned int seed = a->arg;

	wait_at_the_gate(2);
	a->seed = 0;
	for (int round = 0; round < ROUNDS; round++) {
		if (nr_open < MOST && rand_r(&seed) / 7 % 2)
			a->seed += open_one();
		else if (nr_open)
			ck_assert_int_eq(close(fd[--nr_open]), 0);
	}
	a->result = nr_open;
}

/* All, or of every other middle's from FIRST on, begin when the gate is opened. */
static void all_at_once(void (*fn)(struct actor *a), int nr, int first, int step)
{
	for (int i = first; i < CONTAINERS; i += step)
		act_begin(actor[i], fn, fn == open_and_close ? lib_seed + i : (unsigned int)nr);
	close(gate[nr][1]);
	for (int i = first; i < CONTAINERS; i += step)
		act_end(actor[i]);
}

static unsigned long sum_of_results(int first, int step)
{
	unsigned long sum = 0;

	for (int i = first; i < CONTAINERS; i += step)
		sum += actor[i]->result;
	return sum;
}

static void all_at_the_gates(void)
{
	for (int i = 0; i < CONTAINERS; i++) {
		actor[i] = quiet_actor_in(leaf[i]);
		act(actor[i], go_to_the_gates, 0);
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

#define OF_TOP 400
#define OF_MIDDLE 30
#define TRIES (CONTAINERS / 2 * MOST)

/* Half of the middles are too small for theirs, and the top, which has room for them, is for all others. */
static unsigned long fill(void)
{
	unsigned long refused = TRIES - MIDDLES / 2 * OF_MIDDLE;
	unsigned long refused_above = TRIES - (OF_TOP - MIDDLES / 2 * OF_MIDDLE);

	all_at_once(open_most, 0, 0, 2);
	ck_assert_uint_eq(sum_of_results(0, 2), refused);
	for (int i = 0; i < MIDDLES; i += 2) {
		ck_assert_uint_eq(held(middle[i]), OF_MIDDLE);
		ck_assert_uint_eq(numfiles(middle[i], "failcnt"), CONTAINERS / MIDDLES * MOST - OF_MIDDLE);
	}
	ck_assert_uint_eq(numfiles(top, "failcnt"), 0);
	all_at_once(open_most, 1, 1, 2);
	ck_assert_uint_eq(sum_of_results(1, 2), refused_above);
	ck_assert_uint_eq(numfiles(top, "failcnt"), refused_above);
	ck_assert_uint_eq(held(top), OF_TOP);
	return refused + refused_above;
}

/* Whoever was refused, somebody has counted it. */
static void compare_refusals(unsigned long refused)
{
	unsigned long counted = numfiles(top, "failcnt");

	for (int i = 0; i < CONTAINERS; i++) {
		refused += actor[i]->seed;
		counted += numfiles(leaf[i], "failcnt");
	}
	for (int i = 0; i < MIDDLES; i++)
		counted += numfiles(middle[i], "failcnt");
	ck_assert_uint_eq(counted, refused);
}

TEST_FOR(files_of_64_containers, 85, 8, 1)
{
	unsigned int before[CONTAINERS];
	unsigned long refused;

	make_tree("bc");
	all_at_the_gates();
	for (int i = 0; i < CONTAINERS; i++)
		before[i] = descriptors(actor[i]->pid);
	set_bounds(top, OF_TOP, OF_TOP);
	for (int i = 0; i < MIDDLES; i += 2)
		set_bounds(middle[i], OF_MIDDLE, OF_MIDDLE);
	refused = fill();
	all_at_once(open_and_close, 2, 0, 1);
	compare_files(before);
	compare_refusals(refused);
	ck_assert_uint_eq(numfiles(top, "maxheld"), OF_TOP);
	for (int i = 0; i < MIDDLES; i += 2)
		ck_assert_uint_eq(numfiles(middle[i], "maxheld"), OF_MIDDLE);
	dismiss_all();
	ck_assert_uint_eq(held(top), 0);
	remove_tree();
}

/* The actor's. */
static pid_t child;

/* A child that stays; result: whether it was refused. */
static void fork_and_keep(struct actor *a)
{
	wait_at_the_gate(a->arg);
	child = fork();
	while (!child)
		pause();
	if (child < 0)
		expect(errno, EAGAIN);
	a->result = child < 0;
}

/* Children come and go. */
static void fork_and_wait(struct actor *a)
{
	wait_at_the_gate(a->arg);
	if (child > 0)
		stop(child);
	a->result = 0;
	for (int round = 0; round < 3; round++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0) {
			expect(errno, EAGAIN);
			a->result++;
		} else {
			ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		}
	}
}

/* How many in each leaf say that they are there; all have one thread, and who has exited is nowhere. */
static void count_in_proc(unsigned int *in_leaf)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char *text, *place;

	ck_assert_ptr_nonnull(proc);
	while ((entry = readdir(proc))) {
		if (atoi(entry->d_name) <= 0 || try_read(at("/proc", "%s/container", entry->d_name), &text))
			continue;
		place = strstr(text, "/leaf");
		if (place)
			in_leaf[atoi(place + strlen("/leaf"))]++;
		free(text);
	}
	closedir(proc);
}

/* N there and below, whoever is asked. */
static void has_tasks(const char *container, unsigned long n)
{
	ck_assert_uint_eq(numproc(container, "held"), n);
	ck_assert_uint_eq(numtasks_stat(container, "Current usage"), n);
}

static void compare_tasks(unsigned long wanted)
{
	unsigned int in_leaf[CONTAINERS] = {}, in_middle[MIDDLES] = {}, all = 0;

	count_in_proc(in_leaf);
	for (int i = 0; i < CONTAINERS; i++) {
		ck_assert_int_eq(tasks_in(leaf[i]), in_leaf[i]);
		has_tasks(leaf[i], in_leaf[i]);
		in_middle[i % MIDDLES] += in_leaf[i];
		all += in_leaf[i];
	}
	for (int i = 0; i < MIDDLES; i++)
		has_tasks(middle[i], in_middle[i]);
	has_tasks(top, all);
	ck_assert_uint_eq(all, wanted);
}

/* Room for a child of one actor in ten. */
#define TASKS 70

TEST_FOR(tasks_of_64_containers, 85, 8, 1)
{
	make_tree("bc,numtasks");
	all_at_the_gates();
	compare_tasks(CONTAINERS);
	expect(write_file(at(top, "bc.set"), "numproc 70 70"), 0);
	all_at_once(fork_and_keep, 0, 0, 1);
	ck_assert_uint_eq(sum_of_results(0, 1), 2 * CONTAINERS - TASKS);
	ck_assert_uint_eq(numproc(top, "failcnt"), 2 * CONTAINERS - TASKS);
	compare_tasks(TASKS);
	all_at_once(fork_and_wait, 1, 0, 1);
	ck_assert_uint_eq(numproc(top, "failcnt"), 2 * CONTAINERS - TASKS + sum_of_results(0, 1));
	ck_assert_uint_eq(numproc(top, "maxheld"), TASKS);
	compare_tasks(CONTAINERS);
	dismiss_all();
	compare_tasks(0);
	remove_tree();
}

static void fork_one_more(struct actor *a)
{
	if (child < 0)
		fork_and_keep(a);
}

static unsigned long sum_of_stats(const char *what)
{
	unsigned long sum = 0;

	for (int i = 0; i < CONTAINERS; i++)
		sum += numtasks_stat(leaf[i], what);
	return sum;
}

/* The same held by numtasks. Of two that meet at the last room both may be refused: then it is there for the next. */
TEST_FOR(tasks_of_64_containers_by_numtasks, 85, 8, 1)
{
	unsigned long refused, born = TASKS - CONTAINERS;

	make_tree("bc,numtasks");
	all_at_the_gates();
	expect(write_u64(at(top, "numtasks.limit"), TASKS), 0);
	all_at_once(fork_and_keep, 0, 0, 1);
	refused = sum_of_results(0, 1);
	ck_assert_uint_ge(refused, 2 * CONTAINERS - TASKS);
	compare_tasks(2 * CONTAINERS - refused);
	/* the gate is open */
	for (int i = 0; i < CONTAINERS; i++)
		act(actor[i], fork_one_more, 0);
	compare_tasks(TASKS);
	ck_assert_uint_eq(sum_of_stats("Number of successes"), born);
	refused = sum_of_stats("Number of failures");
	all_at_once(fork_and_wait, 1, 0, 1);
	compare_tasks(CONTAINERS);
	ck_assert_uint_eq(sum_of_stats("Number of failures"), refused + sum_of_results(0, 1));
	ck_assert_uint_eq(sum_of_stats("Number of successes"), born + 3 * CONTAINERS - sum_of_results(0, 1));
	ck_assert_uint_eq(numproc(top, "failcnt"), 0);
	dismiss_all();
	compare_tasks(0);
	remove_tree();
}
