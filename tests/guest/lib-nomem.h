/* SPDX-License-Identifier: GPL-2.0-only */
/* Verbs of the suites without memory, in the debug kernel: the Nth allocation of a thread fails. */
#ifndef TESTS_GUEST_LIB_NOMEM_H
#define TESTS_GUEST_LIB_NOMEM_H

#include "lib.h"

/* Allocations that may sleep fail too, and in silence: who calls is to say what is wrong. */
void set_up_failslab(void);

/*
 * The NTHth allocation of the calling thread from now on fails, until allocations_to_go() ends
 * that and says how many were missing: 0 when it has failed. Some are none of ours and may
 * fail (the sanitizers' own), so what failed may succeed all the same.
 */
void fail_allocation(int nth);
int allocations_to_go(void);

#endif /* TESTS_GUEST_LIB_NOMEM_H */
