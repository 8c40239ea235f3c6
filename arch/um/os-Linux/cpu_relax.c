// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting in a loop when the host has fewer CPUs than we have: whom we wait
 * for may be a thread that the host has put aside in our favour, and would be
 * for the rest of our time slice.
 */

#include <sched.h>
#include <skas/shootdown.h>

/* Longer than the usual wait for a lock whose holder runs: about a microsecond. */
#define PATIENCE 64

/** os_cpu_relax() - one turn of a busy wait; now and then the host's CPU is given away */
void os_cpu_relax(void)
{
	static __thread unsigned int turns;

	if (++turns % PATIENCE)
		__builtin_ia32_pause();
	else
		sched_yield();
}
