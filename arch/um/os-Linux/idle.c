// SPDX-License-Identifier: GPL-2.0-only
/*
 * An idle CPU sleeps until there is an interrupt.
 *
 * The bug. Interrupts are off when a CPU is about to sleep, and a signal that
 * comes while they are off leaves a note, to be handled when they are on. Linux
 * looked for the note of the timer, not for those of SIGIO and SIGCHLD, and had
 * nothing that kept these from coming between the look and the sleep. Then the
 * answer of a disk was slept through until the next timer, and an idle CPU has
 * no tick: seconds.
 *
 * The cure. All signals that leave notes are masked; then the notes are looked
 * for; then the host, in one step, lets the signals through and puts the thread
 * to sleep. So each has come before the mask, and is seen by the look, or after
 * it, and ends the sleep. It leaves its note then too, as interrupts are still
 * off; who called turns them on and handles it.
 *
 * Signals that come together wake once: the first handler returns to the mask,
 * and the rest are let through when it is dropped.
 *
 * SIGWINCH and SIGUSR1 leave no note, they are handled on the spot.
 *
 * tests/models/ipi.pml has it in Spin; kernel/idle_test.c lets each signal come
 * before the look and in the middle of it.
 */

#include <signal.h>
#include <kern_util.h>
#include <os.h>
#include "internal.h"

/**
 * os_idle_sleep() - sleep until there is something to handle, or do not
 *
 * A secondary CPU has SIGIO masked at any time: the mask of before is what it
 * sleeps with.
 *
 * Context: interrupts are off (signals_enabled is 0), before and after.
 */
void os_idle_sleep(void)
{
	sigset_t noted, before;

	sigemptyset(&noted);
	sigaddset(&noted, SIGALRM);
	sigaddset(&noted, SIGIO);
	sigaddset(&noted, SIGCHLD);
	sigaddset(&noted, IPI_SIGNAL);
	sigprocmask(SIG_BLOCK, &noted, &before);

	/* the last one is where the test lets signals come */
	if (!os_signals_pending() && !os_ipi_pending() && !uml_need_resched())
		sigsuspend(&before);

	sigprocmask(SIG_SETMASK, &before, NULL);
}
