// SPDX-License-Identifier: GPL-2.0-only
/* The host's half of kernel/idle_test.c. */

#include <signal.h>
#include <os.h>

/* As a disk, a timer or a child that ended would: to the process, not to a thread of it. */
void os_test_signal(int sig)
{
	kill(os_getpid(), sig);
}
