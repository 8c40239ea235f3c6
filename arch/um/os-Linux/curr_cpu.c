// SPDX-License-Identifier: GPL-2.0-only
/* Which CPU a thread of the host is: shared/curr_cpu.h reads it, cpu_thread() in smp.c sets it once. */
#include <smp.h>

__thread int __curr_cpu;

int (uml_curr_cpu)(void)
{
	return __curr_cpu;
}
