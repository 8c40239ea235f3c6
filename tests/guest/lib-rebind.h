/* SPDX-License-Identifier: GPL-2.0-only */
/* Verbs of the suites about rebinding: remount, and everything that a tree shows. */
#ifndef TESTS_GUEST_LIB_REBIND_H
#define TESTS_GUEST_LIB_REBIND_H

#include "lib.h"

int remount(const char *dir, const char *options);

/*
 * /proc/containers and all files below ROOT: names, modes, owners, and contents
 * outside of the root itself. The tasks in there must sleep.
 */
char *snapshot(const char *root);
/* Fails unless it is the same again; waits for what workers still have to free. */
void same_as_before(const char *root, const char *before);
/*
 * All of it but the numbers of states and of the dying, which workers set right: files with what is in them, tasks,
 * hierarchies and groups. For what fails hundreds of times.
 */
char *outline(const char *root);
/* NTH: of the failures so far, for the message. */
void same_outline(const char *root, const char *before, int nth);
/* Until there are no states of removed containers, or of subsystems that have left: they go after grace periods. */
void await_states(void);
/* The kernel waits less for readers, until it ends: what a debug kernel spends most time with otherwise. */
void hurry_grace_periods(void);

#endif /* TESTS_GUEST_LIB_REBIND_H */
