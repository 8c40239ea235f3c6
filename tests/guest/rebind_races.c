// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rebinding while everything else goes on: forks, exits, moves, threads, mkdir,
 * rmdir, readers with files open. The debug kernel looks at it, and its subsystem
 * "debug" counts tasks by its callbacks and complains when a state goes with
 * some left. (jobs 1 4 4@debug)
 *
 * REBIND_SECONDS (default 5) per test. Choices follow from --seed; each worker
 * draws from a stream of its own. What bounds the time is the clock, so a slow
 * machine makes fewer steps, not longer tests.
 */
#include "lib-rebind.h"
#include "lib-stress.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct worker {
	char *root;
	unsigned int rand;
	double end;
	volatile unsigned long *rebindings;	/* shared */
};

/* What can go wrong here when somebody else was faster. */
static const int lost[] = { ENOENT, ENODEV, ESRCH, EEXIST, EBUSY, EAGAIN, 0 };

static unsigned int draw(struct worker *w, unsigned int n)
{
	return draw_from(&w->rand, n);
}

static char *some_container(struct worker *w)
{
	static const char *const names[] = { "a", "a/b", "c", "" };

	return at(w->root, "%s", names[draw(w, 4)]);
}

static bool done(struct worker *w)
{
	return now() > w->end;
}

static void *thread_main(void *arg)
{
	return arg;
}

/* Forks and threads, and exits, in some container. */
static void fork_a_lot(void *arg)
{
	struct worker *w = arg;
	pthread_t thread;
	char *page;
	pid_t pid;

	while (!done(w)) {
		char *dir = some_container(w);

		may(write_file(at(dir, "procs"), "0"), "procs", lost);
		pid = fork();
		if (!pid) {
			page = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			memset(page, 1, 1 << 16);
			if (!fork())
				_exit(0);
			_exit(0);
		}
		if (!pthread_create(&thread, NULL, thread_main, NULL))
			pthread_join(thread, NULL);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	expect(write_file(at(w->root, "procs"), "0"), 0);
}

/* Move whoever is somewhere to somewhere else. */
static void move_a_lot(void *arg)
{
	struct worker *w = arg;

	while (!done(w)) {
		char *from = some_container(w), *to = some_container(w), *text = NULL, *p, *line;

		/* not the root's: there is everybody else */
		if (!strcmp(from, at(w->root, "%s", "")) || try_read(at(from, "tasks"), &text))
			continue;
		for (p = text; (line = strsep(&p, "\n")) && *line;)
			may(write_file(at(to, draw(w, 2) ? "tasks" : "procs"), line), "tasks", lost);
		free(text);
	}
}

/* Read and write files of subsystems that come and go; hold some open. */
static void use_files(void *arg)
{
	static const char *const files[] = { "cpuacct.usage", "cpuacct.stat", "memory.stat",
		"memory.anon_pages", "memory.active_pages", "debug.members", "tasks", "events" };
	struct worker *w = arg;
	int fd[8] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	char text[256];

	while (!done(w)) {
		unsigned int n = draw(w, 8);

		if (fd[n] >= 0 && draw(w, 4)) {
			may(pread(fd[n], text, sizeof(text), 0) < 0 ? errno : 0, "read", lost);
			continue;
		}
		if (fd[n] >= 0)
			close(fd[n]);
		fd[n] = open(at(some_container(w), "%s", files[n]), O_RDONLY | O_CLOEXEC);
		may(fd[n] < 0 ? errno : 0, "open", lost);
		may(write_file(at(some_container(w), "cpuacct.usage"), "0"), "cpuacct.usage", lost);
		may(write_file(at(w->root, "a/memory.page_limit"), "max"), "page_limit", lost);
	}
}

static void make_and_remove(void *arg)
{
	struct worker *w = arg;
	unsigned int n = 0;

	while (!done(w)) {
		char *dir = at(some_container(w), "x%u", n++ % 4);

		may(make_dir(dir), "mkdir", lost);
		may(write_file(at(dir, "procs"), "0"), "procs", lost);
		expect(write_file(at(w->root, "procs"), "0"), 0);
		may(remove_dir(dir), "rmdir", lost);
	}
}

/* Nothing is in its way: subsystems that are free or here, and can let go. */
static void rebind_a_lot(void *arg)
{
	static const char *const sets[] = { "cpuacct", "memory", "cpuacct,memory", "all" };
	struct worker *w = arg;

	while (!done(w)) {
		expect(remount(w->root, sets[draw(w, 4)]), 0);
		++*w->rebindings;
	}
}

static void look(void *arg)
{
	struct worker *w = arg;

	while (!done(w)) {
		free(read_file("/proc/containers"));
		free(read_file("/proc/self/container"));
		free(read_file("/proc/self/mounts"));
	}
}

static void clear(const char *root)
{
	static const char *const names[] = { "a/b", "a", "c", "" };

	for (int i = 0; i < 4; i++) {
		for (int n = 0; n < 4; n++) {
			char *dir = at(root, "%s/x%d", names[i], n);

			/* exits are waited for, not counted on */
			eventually(!exists(dir) || !remove_dir(dir), 10);
		}
		if (*names[i])
			eventually(!remove_dir(at(root, "%s", names[i])), 10);
	}
}

TEST_LIMIT(rebinding_while_everything_else_goes_on, 120)
{
	void (*const workers[])(void *) = { rebind_a_lot, fork_a_lot, fork_a_lot, move_a_lot,
					    use_files, make_and_remove, look };
	enum { NR = sizeof(workers) / sizeof(workers[0]) };
	volatile unsigned long *rebindings = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
						  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *root = mount_hierarchy("cpuacct");
	unsigned int groups = nr_groups();
	struct worker w[NR];
	pid_t pid[NR];

	expect(make_dir(at(root, "a")), 0);
	expect(make_dir(at(root, "a/b")), 0);
	expect(make_dir(at(root, "c")), 0);
	*rebindings = 0;
	for (int i = 0; i < NR; i++) {
		w[i] = (struct worker){ root, lib_seed + i, now() + seconds_of("REBIND_SECONDS", 5), rebindings };
		pid[i] = start(workers[i], &w[i]);
	}
	for (int i = 0; i < NR; i++)
		finish(pid[i]);
	ck_assert_uint_gt(*rebindings, 0);

	/* every state has what it should have, or it would not go */
	expect(remount(root, "cpuacct"), 0);
	clear(root);
	eventually(states_of("memory") == 1 && states_of("cpuacct") == 1, 20);
	eventually(nr_groups() == groups, 10);
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 1);
}

static void exit_soon(void *arg)
{
	struct worker *w = arg;

	fork_and_exit_until(w->end);
}

/* A chain: each process forks the next and exits; no state may be left with one too many. */
TEST_LIMIT(rebinding_against_fork_and_exit, 120)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	unsigned long rebindings = 0;
	struct worker w = { root, lib_seed, now() + seconds_of("REBIND_SECONDS", 5), &rebindings };

	expect(make_dir(a), 0);
	for (int i = 0; i < 3; i++)
		start_in(a, exit_soon, &w);
	rebind_a_lot(&w);
	expect(remount(root, "all"), 0);
	eventually(!*read_file(at(a, "tasks")), 10);
	if (exists(at(a, "debug.members")))
		eventually(read_u64(at(a, "debug.members")) == 0, 10);
	eventually(!remove_dir(a), 10);
}
