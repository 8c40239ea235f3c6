// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a subsystem is told of tasks adds up: fork(), attach() and exit() of each
 * in the order in which it had its states, however fast it is moved. Needs the
 * subsystem "debug" (kernel/container/debug.c), which counts by them.
 * (jobs 4@debug)
 */
#include "lib.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SECONDS 3.0

struct race {
	volatile pid_t last;		/* the number of the youngest child */
	volatile unsigned long forks;
	volatile unsigned long moves;
};

static struct race *race;

static void fork_for_ever(void *arg)
{
	(void)arg;
	for (;;) {
		/* a container of its own in the tree of ns: the fork waits for the movers' mutex */
		pid_t pid = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0);

		ck_assert_msg(pid >= 0, "clone: %s", error_name(errno));
		if (!pid)
			_exit(0);
		race->last = pid;
		race->forks++;
		waitpid(pid, NULL, 0);
	}
}

/* Writes the next child's number until there is such a child: no sooner can it be moved. */
static void move_the_next(void *file)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	pid_t moved = 0;
	char text[16];

	ck_assert_int_ge(fd, 0);
	for (;;) {
		pid_t last = race->last;
		int len = snprintf(text, sizeof(text), "%d", last + 1);

		if (!last || last + 1 == moved || write(fd, text, len) != len)
			continue;
		moved = last + 1;
		race->moves++;
	}
}

/* Whoever is in DIR goes to the root: a kernel thread that got a child's number stays for ever. */
static bool emptied(const char *root, const char *dir)
{
	pid_t ids[64];
	int n = read_ids(at(dir, "tasks"), ids, 64);

	for (int i = 0; i < n; i++)
		move_to(root, ids[i]);
	return !n;
}

static void move_what_is_born(const char *file)
{
	char *root = mount_hierarchy("debug"), *a = at(root, "a"), *b = at(root, "b");
	pid_t forker, mover;

	mount_hierarchy("ns");
	race = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(race, MAP_FAILED);
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	forker = start_in(a, fork_for_ever, NULL);
	mover = start(move_the_next, at(b, "%s", file));
	for (double end = now() + SECONDS * lib_slow; now() < end && race->moves < 300;)
		usleep(10000);
	stop(mover);
	stop(forker);
	printf("# %lu forks, %lu of the children moved\n", race->forks, race->moves);
	ck_assert_uint_ge(race->moves, 10);
	eventually(emptied(root, a) && emptied(root, b), 5);
	eventually(read_u64(at(a, "debug.members")) == 0, 5);
	eventually(read_u64(at(b, "debug.members")) == 0, 5);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST_LIMIT(a_thread_moved_while_it_is_born, 60)
{
	move_what_is_born("tasks");
}

TEST_LIMIT(a_process_moved_while_it_is_born, 60)
{
	move_what_is_born("procs");
}
