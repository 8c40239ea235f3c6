// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset under load: nodes change, and tasks move, while they fork, fault and
 * have their pages moved. (jobs 4n4 4n4@debug)
 *
 * The parents keep some children each, which sleep, and replace the eldest
 * again and again. Each child has copies of a region with a policy. What is looked
 * for: a child whose nodes or policy were copied before a change and that could be
 * found only after it, which stays wrong; a page that lost what was written; an
 * allocation that failed, which would kill somebody.
 */
#include "lib-memset.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PARENTS 3
#define CHILDREN 4
/* 8 s on two idle cores, 27 s beside other work; times STRESS_TIMES for a long run. */
#define CHANGES 100
#define MOVES 60
/* Mappings that a parent has besides, without pages: so that a fork takes longer than a change. */
#define MAPPINGS 1000
/*
 * A child can be found some instants before fork() has looked at it. It has not
 * run by then, and this is for how long its parent may not get a CPU.
 */
#define SOON 20

/* Shared with the parents. */
static struct work {
	atomic_bool end;
	atomic_int parked;
	atomic_ulong forks;
	atomic_ulong checks;
	atomic_ulong wrong;
	atomic_int child[PARENTS][CHILDREN];
} *work;

static char *region;
static unsigned int seed;

static unsigned int draw(unsigned int n)
{
	return (rand_r(&seed) >> 8) % n;
}

static void write_all(unsigned long value)
{
	for (int i = 0; i < PAGES; i++)
		*(volatile unsigned long *)(region + i * PAGE) = value + i;
}

static void check_all(unsigned long value)
{
	for (int i = 0; i < PAGES; i++)
		if (*(volatile unsigned long *)(region + i * PAGE) != value + i)
			atomic_fetch_add(&work->wrong, 1);
	atomic_fetch_add(&work->checks, 1);
}

static void fork_and_fork(void *children)
{
	unsigned long nodes = 15, value = getpid() * 1000ul;
	atomic_int *child = children;

	for (int i = 0; !atomic_load(&work->end); i = (i + 1) % CHILDREN) {
		pid_t old = atomic_load(&child[i]);

		if (old)
			stop(old);
		/* all that there are when it is asked; it becomes what there are then */
		if (syscall(SYS_mbind, region, PAGES * PAGE, MPOL_INTERLEAVE, &nodes, 65ul, 0))
			atomic_fetch_add(&work->wrong, 1);
		/* new pages, from wherever they may come now */
		madvise(region, PAGES * PAGE, MADV_DONTNEED);
		write_all(++value);
		atomic_store(&child[i], sleeper());
		atomic_fetch_add(&work->forks, 1);
		check_all(value);
	}
	atomic_fetch_add(&work->parked, 1);
	for (;;)
		pause();
}

static int times(void)
{
	const char *text = getenv("STRESS_TIMES");

	return text ? atoi(text) : 1;
}

/* One that is split again and again is many; whoever forks copies each. */
static void make_forks_long(void)
{
	char *mem = mmap(NULL, 2 * MAPPINGS * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	for (int i = 0; i < MAPPINGS; i++)
		ck_assert_int_eq(mprotect(mem + 2 * i * PAGE, PAGE, PROT_READ), 0);
}

static void begin(const char *container, pid_t *parent)
{
	/* they are long enough in the debug kernel, which checks all mappings with each change of one */
	if (lib_slow == 1)
		make_forks_long();
	seed = lib_seed;
	printf("# --seed %u\n", seed);
	work = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(work, MAP_FAILED);
	region = mmap(NULL, (PAGES + 1) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	ck_assert_ptr_ne(region, MAP_FAILED);
	ck_assert_int_eq(mprotect(region + PAGES * PAGE, PAGE, PROT_NONE), 0);
	for (int i = 0; i < PARENTS; i++)
		parent[i] = start_in(container, fork_and_fork, work->child[i]);
	eventually(atomic_load(&work->forks) > PARENTS * CHILDREN, 20);
}

/* The nodes of the policy of PID's region, inside of NODES; true if it has gone. */
static bool policy_is_inside(pid_t pid, unsigned int nodes)
{
	char *text, start[40], *line, *list;

	if (try_read(at("/proc", "%d/numa_maps", pid), &text))
		return true;
	snprintf(start, sizeof(start), "%lx ", (unsigned long)region);
	line = strstr(text, start);
	/* a parent that has not come to mbind(), or nobody any more */
	if (!line || strncmp(line + strlen(start), "interleave:", strlen("interleave:")))
		return true;
	list = line + strlen(start) + strlen("interleave:");
	list[strcspn(list, " \n")] = 0;
	return !(cpus_of_text(list) & ~nodes);
}

/* All that is in a container has these nodes, and policies inside of them, or has gone. */
static bool all_have(const char *container, unsigned int nodes)
{
	pid_t ids[256];
	int n = read_ids(at(container, "tasks"), ids, 256);

	for (int i = 0; i < n; i++) {
		unsigned int has = allowed(ids[i]);

		if (has && (has != nodes || !policy_is_inside(ids[i], nodes)))
			return false;
	}
	return true;
}

/* Nobody forks any more. */
static void let_them_rest(void)
{
	atomic_store(&work->end, true);
	eventually(atomic_load(&work->parked) == PARENTS, 20);
	ck_assert_uint_eq(atomic_load(&work->wrong), 0);
	ck_assert_uint_gt(atomic_load(&work->checks), 0);
	printf("# %lu forks, %lu checks of %d pages\n", atomic_load(&work->forks),
	       atomic_load(&work->checks), PAGES);
}

static void end(const char *container, pid_t *parent)
{
	expect(write_file(at(container, "kill"), "1"), 0);
	for (int i = 0; i < PARENTS; i++)
		wait_for(parent[i]);
	eventually(strstr(read_file(at(container, "events")), "populated 0"), 20);
}

TEST_LIMIT(nodes_change_while_tasks_fork_and_fault, 120)
{
	char *root = mount_hierarchy("memset"), *a = at(root, "a");
	int changes = CHANGES * times();
	unsigned int nodes = all_nodes();
	pid_t parent[PARENTS];

	expect(make_dir(a), 0);
	expect(set_mems(a, nodes), 0);
	begin(a, parent);
	for (int i = 0; i < changes; i++) {
		if (i % 16 == 0)
			expect(write_u64(at(a, "memset.memory_migrate"), draw(2)), 0);
		nodes = 1 + draw(all_nodes());
		expect(set_mems(a, nodes), 0);
		ck_assert_uint_eq(allowed(parent[0]), nodes);
		if (i % 8 == 0)
			eventually(all_have(a, nodes), SOON);
	}
	printf("# %d changes\n", changes);
	let_them_rest();
	ck_assert(all_have(a, nodes));
	end(a, parent);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(tasks_move_while_they_fork, 120)
{
	static const unsigned int nodes[3] = { 15, 6, 8 };
	char *root = mount_hierarchy("memset"), *top = at(root, "top"), *set[3];
	int moves = MOVES * times();
	pid_t parent[PARENTS];

	set[0] = top;
	for (int i = 0; i < 3; i++) {
		if (i)
			set[i] = at(top, "%d", i);
		expect(make_dir(set[i]), 0);
		expect(set_mems(set[i], nodes[i]), 0);
		expect(write_u64(at(set[i], "memset.memory_migrate"), i != 1), 0);
	}
	begin(top, parent);
	for (int i = 0; i < moves; i++) {
		const char *to = set[draw(3)];

		/* one thread's move does not wait for its forks, a process's does */
		expect(write_u64(at(to, draw(4) ? "tasks" : "procs"), parent[draw(PARENTS)]), 0);
		if (i % 8)
			continue;
		for (int s = 0; s < 3; s++)
			eventually(all_have(set[s], nodes[s]), SOON);
	}
	let_them_rest();
	for (int s = 0; s < 3; s++)
		ck_assert(all_have(set[s], nodes[s]));
	end(top, parent);
	for (int i = 2; i >= 0; i--)
		expect(remove_dir(set[i]), 0);
}
