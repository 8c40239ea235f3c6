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

static double ns_of(struct timeval t)
{
	return t.tv_sec * 1e9 + t.tv_usec * 1e3;
}

struct times times_of(const struct rusage *used)
{
	return (struct times){ ns_of(used->ru_utime), ns_of(used->ru_stime) };
}

struct times my_times(int who)
{
	struct rusage used = {};

	getrusage(who, &used);
	return times_of(&used);
}

double clock_ns(clockid_t clock)
{
	struct timespec t = {};

	clock_gettime(clock, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

double stamps_per_ns(void)
{
	static double rate;

	if (rate == 0) {
		double begin = clock_ns(CLOCK_MONOTONIC);
		uint64_t stamp = __builtin_ia32_rdtsc();

		while (clock_ns(CLOCK_MONOTONIC) < begin + 20 * MS)
			;
		rate = (__builtin_ia32_rdtsc() - stamp) / (clock_ns(CLOCK_MONOTONIC) - begin);
	}
	return rate;
}

/* Of the counter, some us: a look at it takes far less, a stay in the kernel more than ten. */
#define GAP 10000

double spin_until(double ns, const volatile sig_atomic_t *end)
{
	uint64_t ran = 0, last = __builtin_ia32_rdtsc(), until = last + ns * stamps_per_ns(), at;

	/* at least once, so that who asks for what is left comes to an end */
	do {
		at = __builtin_ia32_rdtsc();
		ran += at - last < GAP ? at - last : 0;
		last = at;
	} while (last < until && !*end);
	return ran / stamps_per_ns();
}

double spin_ns(double ns)
{
	return spin_until(ns, &(sig_atomic_t){ 0 });
}
