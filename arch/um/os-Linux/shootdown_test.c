// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's half of kernel/shootdown_test.c: a process that plays a stub. It
 * has no user code; the word says that it is there, and what matters is who
 * signals it and who waits for it.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <asm/unistd.h>
#include <kern_util.h>
#include <linux/futex.h>
#include <os.h>
#include <skas/shootdown.h>

#define NSEC_PER_MSEC 1000000L

/* As stub_signal_interrupt() does, and then perhaps as an entry does, before anybody looks. */
static void leave(struct os_test_stub *stub)
{
	__atomic_or_fetch(stub->word, 1, __ATOMIC_SEQ_CST);
	if (stub->enters_again)
		__atomic_add_fetch(stub->word, 1, __ATOMIC_SEQ_CST);
	syscall(__NR_futex, stub->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* All signals are masked. The lower one is taken first if both are there. */
static int play(void *arg)
{
	struct os_test_stub *stub = arg;
	struct timespec delay = { stub->delay_ms / 1000, stub->delay_ms % 1000 * NSEC_PER_MSEC };
	sigset_t heard;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&heard);
	sigaddset(&heard, SIGALRM);
	sigaddset(&heard, SIGTERM);
	for (;;) {
		switch (sigwaitinfo(&heard, NULL)) {
		case SIGALRM:
			stub->kicks++;
			nanosleep(&delay, NULL);
			leave(stub);
			break;
		case SIGTERM:
			__atomic_add_fetch(&stub->asked, 1, __ATOMIC_SEQ_CST);
			syscall(__NR_futex, &stub->asked, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
			break;
		}
	}
	return 0;
}

/**
 * os_test_stub_start() - have a process that leaves when it is told to
 * @stub: what it does; in memory that all processes of this kernel share
 *
 * Return: its process id, or a negative errno.
 */
int os_test_stub_start(struct os_test_stub *stub)
{
	sigset_t all, before;

	/* it must not handle a signal of ours */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	/* as a stub, it is a child that is waited for without __WALL */
	stub->pid = run_helper_thread(play, stub, SIGCHLD, &stub->stack);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return stub->pid;
}

/**
 * os_test_stub_kill() - its end as the host's OOM killer makes it: the word stays what it is
 * @stub: which one
 *
 * Context: interrupts are off until os_test_stub_end(), or it is reaped before.
 */
void os_test_stub_kill(struct os_test_stub *stub)
{
	siginfo_t info;
	int err;

	kill(stub->pid, SIGKILL);
	CATCH_EINTR(err = waitid(P_PID, stub->pid, &info, WEXITED | WNOWAIT));
}

/** os_test_stub_end() - the end of what os_test_stub_start() began; once more does nothing */
void os_test_stub_end(struct os_test_stub *stub)
{
	int status;

	if (!stub->pid)
		return;
	kill(stub->pid, SIGKILL);
	/* the interrupt of SIGCHLD may have reaped it already */
	CATCH_EINTR(waitpid(stub->pid, &status, __WALL));
	free_stack(stub->stack, 0);
	stub->pid = 0;
}

/**
 * os_test_stub_kicks() - how often it was told to leave
 * @stub: which one
 *
 * Kicks that come before it takes the first of them are one.
 *
 * Return: their number, none of those that were sent before this call is missing.
 */
unsigned int os_test_stub_kicks(struct os_test_stub *stub)
{
	unsigned int asked = stub->asked;

	kill(stub->pid, SIGTERM);
	while (__atomic_load_n(&stub->asked, __ATOMIC_SEQ_CST) == asked)
		syscall(__NR_futex, &stub->asked, FUTEX_WAIT, asked, NULL, NULL, 0);
	return stub->kicks;
}

/** os_test_sleeps() - how often this CPU's thread has gone to sleep in the host, as the host has it */
long os_test_sleeps(void)
{
	struct rusage used;

	/* not by its name, which is a function of the kernel too */
	syscall(__NR_getrusage, RUSAGE_THREAD, &used);
	return used.ru_nvcsw;
}

/**
 * os_test_mapped() - what a process of the host has mapped, as the host has it
 * @pid: a stub
 * @from: the first address that counts
 * @to: the first one that does not
 *
 * Return: bytes, or a negative errno.
 */
long os_test_mapped(int pid, unsigned long from, unsigned long to)
{
	static char maps[16384];	/* a stub has a dozen mappings */
	unsigned long start, end, mapped = 0;
	int fd, n, len = 0;
	char *line;

	snprintf(maps, sizeof(maps), "/proc/%d/maps", pid);
	fd = open(maps, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, maps + len, sizeof(maps) - 1 - len)) > 0)
		len += n;
	close(fd);
	if (n < 0 || len == sizeof(maps) - 1)
		return -EFBIG;
	maps[len] = 0;
	for (line = maps; *line; line = strchr(line, '\n') + 1) {
		start = strtoul(line, &line, 16);
		end = strtoul(line + 1, &line, 16);
		start = start < from ? from : start;
		end = end > to ? to : end;
		mapped += start < end ? end - start : 0;
	}
	return mapped;
}
