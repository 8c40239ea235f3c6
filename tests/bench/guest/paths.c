// SPDX-License-Identifier: GPL-2.0-only
/* What every program pays: NAME/user as it sees it, NAME/kernel without the way into the kernel. */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOVED (64 * MB)

static char *map(size_t size, int flags)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (mem == MAP_FAILED)
		die("mmap of %zu bytes: %s", size, strerror(errno));
	return mem;
}

static uint64_t syscalls(long count)
{
	uint64_t begin = now();

	for (long i = 0; i < count; i++)
		syscall(SYS_getppid);
	return now() - begin;
}

/* first writes to fresh pages */
static uint64_t faults(long count)
{
	volatile char *mem = map(count * PAGE, MAP_PRIVATE);
	uint64_t begin = now(), took;

	for (long i = 0; i < count; i++)
		mem[i * PAGE] = 1;
	took = now() - begin;
	munmap((char *)mem, count * PAGE);
	return took;
}

static uint64_t unmap(long count)
{
	char *mem = map(count * PAGE, MAP_PRIVATE | MAP_POPULATE);
	uint64_t begin;

	/* back in user code once, so that the stub has all of it mapped */
	syscall(SYS_getppid);
	begin = now();
	munmap(mem, count * PAGE);
	return now() - begin;
}

static uint64_t forks(long count)
{
	uint64_t begin = now();

	for (long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("fork: %s", strerror(errno));
	}
	return now() - begin;
}

struct ball {
	int there[2], back[2];
};

static void player(void *arg)
{
	struct ball *ball = arg;
	char c;

	close(ball->there[1]);
	while (read(ball->there[0], &c, 1) == 1)
		if (write(ball->back[1], &c, 1) != 1)
			return;
}

/* a byte there and back through pipes: two switches between address spaces */
static uint64_t switches(long count)
{
	struct ball ball;
	uint64_t begin;
	char c = 0;
	pid_t pid;

	if (pipe(ball.there) || pipe(ball.back))
		die("pipe: %s", strerror(errno));
	pid = start(player, &ball);
	begin = now();
	for (long i = 0; i < count; i++)
		if (write(ball.there[1], &c, 1) != 1 || read(ball.back[0], &c, 1) != 1)
			die("switch: the other side is gone");
	begin = now() - begin;
	stop(pid);
	for (int i = 0; i < 2; i++) {
		close(ball.there[i]);
		close(ball.back[i]);
	}
	return begin;
}

/* The time of one of COUNT, or with @whole of all. */
static void user(const char *name, uint64_t (*what)(long), long count, bool whole, int nr)
{
	double ns[BATCHES];

	if (!wanted(name))
		return;
	nr = batches(nr);
	what(count / 8 + 1);	/* warm */
	for (int i = 0; i < nr; i++)
		ns[i] = (double)what(count) / (whole ? 1 : count);
	report(name, ns, nr);
}

static void kernel(const char *name, const char *op, long count, bool whole, int nr)
{
	double ns[BATCHES];

	if (!wanted(name))
		return;
	nr = batches(nr);
	ask(ns, 1, op, count / 8 + 1, NO_WORDS);
	ask(ns, nr, op, count, NO_WORDS);
	for (int i = 0; i < nr && whole; i++)
		ns[i] *= count;
	report(name, ns, nr);
}

/* 64 MB of this process, which waits */
static void move_idle(const char *name)
{
	int nr = batches(10);
	double ns[BATCHES];
	char *mem;

	if (!wanted(name))
		return;
	mem = map(MOVED, MAP_PRIVATE | MAP_POPULATE);
	ask(ns, nr, "move", MOVED / PAGE, "%d %lx", getpid(), (unsigned long)mem);
	for (int i = 0; i < nr; i++)
		ns[i] *= MOVED / PAGE;
	munmap(mem, MOVED);
	report(name, ns, nr);
}

struct herd {
	volatile char *mem;
	size_t size;
};

static void writer(void *arg)
{
	struct herd *herd = arg;

	for (;;)
		for (size_t i = 0; i < herd->size; i += PAGE)
			herd->mem[i]++;
}

/* 64 MB of NR processes that write to them meanwhile */
static void move_busy(const char *name, int nr)
{
	struct herd herd = { .size = MOVED / nr / PAGE * PAGE };
	int rounds = batches(5);
	double ns[BATCHES];
	pid_t pid[nr];

	if (!wanted(name))
		return;
	herd.mem = map(herd.size, MAP_PRIVATE);
	for (int i = 0; i < nr; i++)
		pid[i] = start(writer, &herd);
	/* each has touched all of its own when its resident size says so */
	for (int i = 0; i < nr; i++) {
		char path[64], text[64] = "";
		unsigned long resident = 0;

		snprintf(path, sizeof(path), "/proc/%d/statm", pid[i]);
		while (resident * PAGE < herd.size) {
			FILE *f = fopen(path, "r");

			if (!f || !fgets(text, sizeof(text), f))
				die("%s: a writer is gone", name);
			fclose(f);
			sscanf(text, "%*u %lu", &resident);
			usleep(1000);
		}
	}
	for (int round = 0; round < rounds; round++) {
		ns[round] = 0;
		for (int i = 0; i < nr; i++) {
			double one;

			ask(&one, 1, "move", herd.size / PAGE, "%d %lx", pid[i],
			    (unsigned long)herd.mem);
			ns[round] += one * (herd.size / PAGE);
		}
	}
	for (int i = 0; i < nr; i++)
		stop(pid[i]);
	munmap((char *)herd.mem, herd.size);
	report(name, ns, rounds);
}

void paths(int cpus)
{
	user("syscall/user", syscalls, 100, false, 60);
	user("fault/user", faults, 32, false, 60);
	kernel("fault/kernel", "fault", 256, false, 60);
	user("munmap64m/user", unmap, 64 * MB / PAGE, true, 10);
	kernel("munmap64m/kernel", "munmap", 64 * MB / PAGE, true, 10);
	user("fork/user", forks, 2, false, 60);
	kernel("fork/kernel", "fork", 10, false, 60);
	user("switch/user", switches, 20, false, 60);
	kernel("switch/kernel", "switch", 100, false, 60);
	if (kind != VANILLA)
		kernel("stay/kernel", "stay", 1000, false, 60);
	move_idle("move64m/idle");
	move_busy("move64m/writer", 1);
	if (cpus > 2)
		move_busy("move64m/writers", cpus - 1);
}
