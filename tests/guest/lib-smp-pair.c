// SPDX-License-Identifier: GPL-2.0-only
/* See lib-smp.h: the pair of a writer and an actor, and the tracer's side of it. */
#include "lib-smp.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define STACK (64 * 1024)

/* The writer's pair; the handler has no other way to it. */
static struct pair *mine;

static void refused(int signal __attribute__((unused)))
{
	mine->faults++;
	mine->refused = true;
	while ((mine->hold || mine->pause) && !mine->quit)
		usleep(100);
	mine->refused = false;
}

static void rest(struct pair *p)
{
	p->paused = true;
	while (p->pause && !p->quit)
		usleep(100);
	p->paused = false;
}

/* User code without system calls, but for the pauses. */
static void write_on(struct pair *p)
{
	uint64_t n = 0;

	while (!p->quit) {
		uint64_t *word = p->word;

		if (p->pause)
			rest(p);
		if (!word)
			continue;
		n++;
		if (p->reads)
			p->seen = *(volatile uint64_t *)word;
		else
			*(volatile uint64_t *)(word + (p->stride ? n % p->stride : 0) * WORDS) = n;
		p->count = n;
	}
}

/* In a child of the actor: its own copy of the word must stay what it is. */
static void look_at_copy(struct pair *p)
{
	volatile uint64_t *word = p->word;
	uint64_t first = *word, end = __builtin_ia32_rdtsc() + 20000000;

	while (*word == first && __builtin_ia32_rdtsc() < end)
		;
	if (*word != first)
		__atomic_fetch_add(&p->changed, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&p->copies, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_exit_group, 0);
}

static int actor(void *arg)
{
	struct pair *p = arg;

	signal(SIGCHLD, SIG_IGN);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		return 1;
	for (;;) {
		long r;

		/* the tracer has this one's id, which getpid() tells without a cache */
		syscall(SYS_kill, syscall(SYS_getpid), SIGSTOP);
		r = syscall(p->number, p->arg[0], p->arg[1], p->arg[2], p->arg[3], p->arg[4],
			    p->arg[5]);
		if (p->number == SYS_fork && r == 0)
			look_at_copy(p);
	}
}

static void writer_process(struct pair *p)
{
	char *stack = malloc(STACK);
	struct sigaction sa = { .sa_handler = refused };

	mine = p;
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	p->actor = clone(actor, stack + STACK, CLONE_VM | CLONE_PARENT | SIGCHLD, p);
	write_on(p);
	_exit(0);
}

/* The next stop of the actor must be for SIGNAL. */
static void wait_stop(struct pair *p, int signal)
{
	int status;

	ck_assert_int_eq(waitpid(p->actor, &status, __WALL), p->actor);
	ck_assert_msg(WIFSTOPPED(status) && WSTOPSIG(status) == signal,
		      "the actor's status is %#x, wanted a stop for signal %d", status, signal);
}

static void go_on(struct pair *p, int request)
{
	ck_assert_msg(!ptrace(request, p->actor, 0, 0), "ptrace: %s", error_name(errno));
}

struct pair *pair_start(void)
{
	struct pair *p = shared(sizeof(*p));
	pid_t pid;

	fflush(stdout);
	p->pause = true;
	pid = fork();
	ck_assert_msg(pid >= 0, "fork: %s", error_name(errno));
	if (!pid)
		writer_process(p);
	p->writer = pid;
	while (!*(volatile pid_t *)&p->actor)
		usleep(100);
	wait_stop(p, SIGSTOP);
	return p;
}

/* The writer keeps away from user code, so that the actor gets there at once. */
static void pause_writer(struct pair *p)
{
	p->pause = true;
	while (!p->paused && !p->refused)
		usleep(50);
}

uint64_t next_write(struct pair *p)
{
	uint64_t before = p->count;

	/* one may be half done: the second from now was begun after this call */
	while (p->count < before + 2 && !p->refused)
		sched_yield();
	return before + 1;
}

static long act(struct pair *p, long number, va_list args)
{
	pause_writer(p);
	p->number = number;
	for (int i = 0; i < 6; i++)
		p->arg[i] = va_arg(args, long);
	/* to the entry of the call */
	go_on(p, PTRACE_SYSCALL);
	wait_stop(p, SIGTRAP);
	p->pause = false;
	if (p->word)
		next_write(p);
	/* to its end */
	go_on(p, PTRACE_SYSCALL);
	wait_stop(p, SIGTRAP);
	return ptrace(PTRACE_PEEKUSER, p->actor, offsetof(struct user_regs_struct, rax), 0);
}

long act_on(struct pair *p, long number, ...)
{
	va_list args;
	long result;

	va_start(args, number);
	result = act(p, number, args);
	va_end(args);
	return result;
}

void resume(struct pair *p)
{
	pause_writer(p);
	go_on(p, PTRACE_CONT);
	wait_stop(p, SIGSTOP);
	p->pause = false;
}

long call_in(struct pair *p, long number, ...)
{
	va_list args;
	long result;

	va_start(args, number);
	result = act(p, number, args);
	va_end(args);
	resume(p);
	return result;
}

void *map_in(struct pair *p, void *where, size_t size, int flags, int fd)
{
	long at = call_in(p, SYS_mmap, where, size, PROT_READ | PROT_WRITE, flags, fd, 0L);

	ck_assert_msg(at > 0, "mmap in the pair: %s", error_name(-at));
	return (void *)at;
}

void write_to(struct pair *p, void *mem, unsigned long stride)
{
	p->stride = stride;
	p->word = mem;
	p->pause = false;
	next_write(p);
}

void pair_finish(struct pair *p)
{
	p->quit = true;
	kill(p->actor, SIGKILL);
	ck_assert_int_eq(waitpid(p->actor, NULL, __WALL), p->actor);
	finish(p->writer);
}
