/* SPDX-License-Identifier: GPL-2.0-only */
/* What the suites about CPU time share. */
#ifndef TESTS_GUEST_LIB_CPU_H
#define TESTS_GUEST_LIB_CPU_H

#include "lib.h"

/* Nanoseconds that TASK ("self", "thread-self", "./PID") was on a CPU, as the scheduler counts them. */
uint64_t schedstat_ns(const char *task);
/* Bodies of children that are killed in the end: user code only, and as many system calls as go. */
void spin_for_ever(void *unused);
void call_for_ever(void *unused);

#endif /* TESTS_GUEST_LIB_CPU_H */
