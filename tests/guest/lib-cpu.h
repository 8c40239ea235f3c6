/* SPDX-License-Identifier: GPL-2.0-only */
/* What the suites about CPU time share. */
#ifndef TESTS_GUEST_LIB_CPU_H
#define TESTS_GUEST_LIB_CPU_H

#include "lib.h"

#include <signal.h>
#include <sys/resource.h>
#include <time.h>

/* In ns. */
#define MS 1e6
#define TICK (10 * MS)

/* Nanoseconds that TASK ("self", "thread-self", "./PID") was on a CPU, as the scheduler counts them. */
uint64_t schedstat_ns(const char *task);
/* Bodies of children that are killed in the end: user code only, and as many system calls as go. */
void spin_for_ever(void *unused);
void call_for_ever(void *unused);

/* What getrusage() and wait4() tell, in ns. */
struct times {
	double user;
	double system;
};

struct times times_of(const struct rusage *used);
/* These two are called by signal handlers and in loops: no ck_assert(), which writes to a file. */
struct times my_times(int who);
double clock_ns(clockid_t clock);

/* The rate of the time-stamp counter. The first call takes 20 ms, to measure it. */
double stamps_per_ns(void);
/*
 * User code for NS by that counter, or until *END, and for one look at it at least; returns what of it was user code for
 * certain: it goes on by some ten ns from one look to the next then.
 */
double spin_until(double ns, const volatile sig_atomic_t *end);
double spin_ns(double ns);

#endif /* TESTS_GUEST_LIB_CPU_H */
