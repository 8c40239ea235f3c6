// SPDX-License-Identifier: GPL-2.0-only
/* The host's half of kernel/idle_test.c. */

#include <signal.h>
#include <sys/resource.h>
#include <os.h>

/* As a disk, a timer or a child that ended would: to the process, not to a thread of it. */
void os_test_signal(int sig)
{
	kill(os_getpid(), sig);
}

/**
 * os_test_keep_signals() - how many signals the host keeps for this kernel
 * @n: from now on
 *
 * Return: until now.
 */
unsigned long os_test_keep_signals(unsigned long n)
{
	struct rlimit limit, before;

	prlimit(0, RLIMIT_SIGPENDING, NULL, &before);
	limit = before;
	limit.rlim_cur = n;
	prlimit(0, RLIMIT_SIGPENDING, &limit, NULL);
	return before.rlim_cur;
}
