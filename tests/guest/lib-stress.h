/* SPDX-License-Identifier: GPL-2.0-only */
/* What the suites share that let everything happen at once. */
#ifndef TESTS_GUEST_LIB_STRESS_H
#define TESTS_GUEST_LIB_STRESS_H

#include "lib.h"

/* How long a test goes on: the environment's VARIABLE, or STANDARD. */
double seconds_of(const char *variable, double standard);
/* The next choice, below N, of the stream *RAND: each worker has one, so that a seed repeats its choices. */
unsigned int draw_from(unsigned int *rand, unsigned int n);
/* write_file() of DIR/FILE that leaves nothing behind, for loops without an end. */
int put(const char *dir, const char *file, const char *text);
/* Fails for any error that is not in ALLOWED, up to a 0: what may come of somebody else having been faster. */
void may(int err, const char *what, const int *allowed);
/* What a child does: forks the next one and exits, until END (a time of now()). */
void fork_and_exit_until(double end);

#endif /* TESTS_GUEST_LIB_STRESS_H */
