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

#endif /* TESTS_GUEST_LIB_REBIND_H */
