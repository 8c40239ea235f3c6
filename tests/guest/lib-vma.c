// SPDX-License-Identifier: GPL-2.0-only
#include "lib-vma.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* Pages; a step changes some of 20, and remaps up to as many more. */
#define ARENA 256UL

char *map(char *where, unsigned long n, int prot, int flags)
{
	return mmap(where, n * PAGE, prot, flags | (where ? MAP_FIXED : 0), -1, 0);
}

static void random_remap(char *from, char *to, unsigned long n, unsigned int *seed)
{
	unsigned long m = 1 + rand_r(seed) / 7 % 20;

	switch (rand_r(seed) / 7 % 4) {
	case 0:
		mremap(from, n * PAGE, m * PAGE, 0);
		break;
	case 1:
		mremap(from, n * PAGE, m * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		break;
	case 2:
		mremap(from, n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED, to);
		break;
	default:
		mremap(from, n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	}
}

/* The heap goes up and comes back. */
static void random_brk(unsigned int *seed)
{
	static unsigned long grown;
	unsigned long n = rand_r(seed) / 7 % 20;

	if (grown) {
		ck_assert_ptr_ne(sbrk(-(long)(grown * PAGE)), (void *)-1);
		grown = 0;
	} else if (sbrk(n * PAGE) != (void *)-1) {
		grown = n;
	}
}

static void random_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	if (pid > 0)
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

void random_vma_steps(struct actor *a, vma_step *own)
{
	unsigned int seed = a->seed;

	if (!a->mem)
		a->mem = map(NULL, ARENA, PROT_NONE, ANON | MAP_NORESERVE);
	for (unsigned long i = 0; i < a->arg; i++) {
		char *from = a->mem + rand_r(&seed) / 7 % (ARENA - 20) * PAGE;
		char *to = a->mem + rand_r(&seed) / 7 % (ARENA - 20) * PAGE;
		unsigned long n = 1 + rand_r(&seed) / 7 % 20;

		switch (rand_r(&seed) / 7 % 16) {
		case 0:
			random_brk(&seed);
			break;
		case 1:
			random_fork();
			break;
		case 2: case 3: case 4:
			random_remap(from, to, n, &seed);
			break;
		default:
			own(from, n, &seed);
		}
	}
	a->seed = seed;
}

static pid_t child;

void make_child(struct actor *a)
{
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (a->arg)
			execl("/bin/sleep", "sleep", "1000", NULL);
		for (;;)
			pause();
	}
	a->pages = child;
}

void end_child(struct actor *a)
{
	(void)a;
	stop(child);
}

unsigned long private_of(pid_t pid)
{
	char *text = read_file(at("/proc", "%d/statm", pid));
	unsigned long n;

	ck_assert_int_eq(sscanf(text, "%*u %*u %*u %*u %*u %lu", &n), 1);
	free(text);
	return n;
}

bool is_sleep(pid_t pid)
{
	return !strcmp(read_file(at("/proc", "%d/comm", pid)), "sleep\n");
}
