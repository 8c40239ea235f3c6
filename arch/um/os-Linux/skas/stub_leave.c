// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making a stub leave user code: the host's half of kernel/shootdown.c.
 */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <asm/unistd.h>
#include <asm-generic/rwonce.h>
#include <linux/futex.h>
#include <mm_id.h>
#include <os.h>
#include <skas.h>
#include <skas/shootdown.h>
#include <stub-data.h>

/* Killed from outside: it leaves without saying so. */
static bool stub_is_dead(int pid)
{
	siginfo_t info = {};

	return pid <= 0 ||
	       (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid);
}

/**
 * os_stub_stay() - the number of a stub's stay in user code, odd when it has left
 * @mm_id: whose stub
 *
 * In ptrace mode nobody writes the word; there is one CPU then, and it is here.
 */
unsigned int os_stub_stay(struct mm_id *mm_id)
{
	if (!using_seccomp)
		return FUTEX_IN_KERN;
	return __READ_ONCE(((struct stub_data *)mm_id->stack)->futex);
}

/**
 * os_stub_leave() - return when a stub is not in a certain stay any more
 * @mm_id: whose stub
 * @stay: what os_stub_stay() returned
 *
 * The stub wakes all who wait for its word when it makes it odd. One that was
 * killed from outside does not: each tick that interrupts the wait, and at the
 * latest a second, looks whether there is still somebody to wait for.
 *
 * Context: any; takes no lock, sleeps in the host. Signals that arrive
 * meanwhile are handled or left pending as everywhere else.
 */
void os_stub_leave(struct mm_id *mm_id, unsigned int stay)
{
	struct stub_data *data = (void *)mm_id->stack;
	const struct timespec patience = { .tv_sec = 1 };

	if (os_stub_has_left(stay) || os_stub_stay(mm_id) != stay)
		return;

	/* after the word was read: a kick before it may have ended the stay before */
	os_alarm_process(__READ_ONCE(mm_id->pid));
	while (os_stub_stay(mm_id) == stay) {
		if (syscall(__NR_futex, &data->futex, FUTEX_WAIT, stay, &patience, NULL, 0) < 0 &&
		    errno != EAGAIN && stub_is_dead(__READ_ONCE(mm_id->pid)))
			return;
	}
}
