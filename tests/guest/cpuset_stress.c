// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuset under load: cpus change, and tasks move, while they fork and run.
 * (jobs 4 4@debug)
 *
 * The parents keep some children each, which sleep, and replace the eldest
 * again and again. A child whose affinity was copied before a change and that
 * could be found only after it is what is looked for: it stays wrong.
 */
#include "lib-cpuset.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PARENTS 4
#define CHILDREN 6
#define CHANGES 1000
#define MOVES 300
/* What a parent has in memory whose forks are to take long: thousands of moves' time, most of a turn. */
#define HEAVY (16 << 20)
/*
 * A child can be found some instants before fork() has looked at it. It has not
 * run by then, and this is for how long its parent may not get a CPU.
 */
#define SOON 20

/* Shared with the parents. */
static struct work {
	atomic_bool end;
	atomic_int parked;
	atomic_int born[PARENTS];
	atomic_int child[PARENTS][CHILDREN];
} *work;

/* What every second parent has asked for; 0: nothing. */
static unsigned int asked;
static bool heavy;

static unsigned int seed;

static unsigned int draw(unsigned int n)
{
	return (rand_r(&seed) >> 8) % n;
}

/* Fewer where all is slow, but for a long run, which says itself how many times as much it wants. */
static int times(int n)
{
	const char *text = getenv("STRESS_TIMES");

	return text ? n * atoi(text) : n / lib_slow;
}

static void fork_and_fork(void *children)
{
	atomic_int *child = children;
	int parent = (child - work->child[0]) / CHILDREN;

	if (asked && parent % 2)
		expect(set_affinity(0, asked), 0);
	if (heavy) {
		void *mem = mmap(NULL, HEAVY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ck_assert_ptr_ne(mem, MAP_FAILED);
		memset(mem, 1, HEAVY);
	}
	for (int i = 0; !atomic_load(&work->end); i = (i + 1) % CHILDREN) {
		pid_t old = atomic_load(&child[i]);

		if (old)
			stop(old);
		atomic_store(&child[i], sleeper());
		atomic_fetch_add(&work->born[parent], 1);
	}
	atomic_fetch_add(&work->parked, 1);
	for (;;)
		pause();
}

/* Has each parent had @n children, in all? One may fork for two that do not get a CPU. */
static bool all_have_borne(int n)
{
	for (int i = 0; i < PARENTS; i++)
		if (atomic_load(&work->born[i]) < n)
			return false;
	return true;
}

static void begin(const char *container, pid_t *parent)
{
	seed = lib_seed;
	printf("# --seed %u\n", seed);
	work = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(work, MAP_FAILED);
	for (int i = 0; i < PARENTS; i++)
		parent[i] = start_in(container, fork_and_fork, work->child[i]);
	eventually(all_have_borne(CHILDREN), 20);
}

/* All that is in a container has these CPUs, or has gone. */
static bool all_have(const char *container, unsigned int cpus)
{
	pid_t ids[256];
	int n = read_ids(at(container, "tasks"), ids, 256);

	for (int i = 0; i < n; i++) {
		unsigned int has = affinity(ids[i]);

		if (has && has != cpus)
			return false;
	}
	return true;
}

/* Nobody forks any more. */
static void let_them_rest(void)
{
	atomic_store(&work->end, true);
	eventually(atomic_load(&work->parked) == PARENTS, 20);
}

static void end(const char *container, pid_t *parent)
{
	expect(write_file(at(container, "kill"), "1"), 0);
	for (int i = 0; i < PARENTS; i++)
		wait_for(parent[i]);
	eventually(strstr(read_file(at(container, "events")), "populated 0"), 20);
}

TEST_LIMIT(cpus_change_while_tasks_fork_and_run, 120)
{
	char *root = mount_hierarchy("cpuset"), *a = at(root, "a");
	int changes = times(CHANGES);
	pid_t parent[PARENTS];
	struct loop *l;
	unsigned int cpus = all_cpus();

	expect(make_dir(a), 0);
	expect(set_cpus(a, all_cpus()), 0);
	begin(a, parent);
	l = loop_in(a);
	for (int i = 0; i < changes; i++) {
		cpus = 1 + draw(all_cpus());
		expect(set_cpus(a, cpus), 0);
		ck_assert_uint_eq(affinity(l->pid), cpus);
		ck_assert(cpus & 1u << processor(l->pid));
		if (i % 8 == 0)
			eventually(all_have(a, cpus), SOON);
	}
	printf("# %d changes\n", changes);
	let_them_rest();
	runs_only_on(l, cpus);
	ck_assert(all_have(a, cpus));
	stop(l->pid);
	end(a, parent);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(tasks_move_while_they_fork, 120)
{
	char *root = mount_hierarchy("cpuset"), *top = at(root, "top"), *set[3];
	static const unsigned int cpus[3] = { 15, 6, 8 };
	int moves = times(MOVES);
	pid_t parent[PARENTS];

	expect(make_dir(top), 0);
	expect(set_cpus(top, cpus[0]), 0);
	set[0] = top;
	for (int i = 1; i < 3; i++) {
		set[i] = at(top, "%d", i);
		expect(make_dir(set[i]), 0);
		expect(set_cpus(set[i], cpus[i]), 0);
	}
	begin(top, parent);
	for (int i = 0; i < moves; i++) {
		const char *to = set[draw(3)];

		/* one thread's move does not wait for its forks, a process's does */
		expect(write_u64(at(to, draw(4) ? "tasks" : "procs"), parent[draw(PARENTS)]), 0);
		if (i % 8)
			continue;
		for (int s = 0; s < 3; s++)
			eventually(all_have(set[s], cpus[s]), SOON);
	}
	let_them_rest();
	for (int s = 0; s < 3; s++)
		ck_assert(all_have(set[s], cpus[s]));
	end(top, parent);
	for (int i = 2; i >= 0; i--)
		expect(remove_dir(set[i]), 0);
}

/*
 * In and out of the root, whose tasks nobody looks after but by that. Each child that is
 * there at the end was forked while its parent was moved to and fro: where it was when
 * the affinity was copied is as likely as not where it is not any more.
 */
TEST_LIMIT(tasks_come_back_while_they_fork, 120)
{
	char *root = mount_hierarchy("cpuset"), *a = at(root, "a");
	int moves = times(MOVES);
	pid_t parent[PARENTS];

	expect(make_dir(a), 0);
	expect(set_cpus(a, 2), 0);
	asked = 6;
	heavy = true;
	begin(a, parent);
	for (int i = 0; i < moves || !all_have_borne(3 * CHILDREN); i++)
		expect(write_u64(at(draw(2) ? a : root, "tasks"), parent[draw(PARENTS)]), 0);
	let_them_rest();
	for (int i = 0; i < PARENTS; i++) {
		for (int c = 0; c < CHILDREN; c++) {
			pid_t pid = atomic_load(&work->child[i][c]);
			bool inside = !strcmp(container_of_pid(pid, "cpuset"), "/a");

			bound_to(pid, inside ? 2 : i % 2 ? asked : all_cpus());
			expect(kill(pid, SIGKILL) ? errno : 0, 0);
		}
		stop(parent[i]);
	}
	eventually(strstr(read_file(at(a, "events")), "populated 0"), 20);
	expect(remove_dir(a), 0);
}
