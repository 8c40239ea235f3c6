// SPDX-License-Identifier: GPL-2.0-only
/* What the suites about CPU time share; see lib-cpu.h. */
#include "lib-cpu.h"

#include <sys/syscall.h>

uint64_t schedstat_ns(const char *task)
{
	char *text = read_file(at("/proc", "%s/schedstat", task));
	/* the first of its numbers */
	uint64_t ns = strtoull(text, NULL, 10);

	free(text);
	return ns;
}

void spin_for_ever(void *unused __attribute__((unused)))
{
	for (volatile unsigned int i = 0;; i++)
		;
}

void call_for_ever(void *unused __attribute__((unused)))
{
	for (;;)
		syscall(SYS_getppid);
}
