/* SPDX-License-Identifier: GPL-2.0-only */
/* Users of the suites about delegation: their processes, and what is given to them. */
#ifndef TESTS_GUEST_LIB_USERS_H
#define TESTS_GUEST_LIB_USERS_H

#include "lib.h"

#define ALICE 1001
#define BOB 1002

/* The calling process is the user's from now on. */
void become(uid_t uid);
/* Processes of a user that sleep; they are in place when these return. */
pid_t sleeper_of(uid_t uid);
pid_t sleeper_of_in(uid_t uid, const char *container);
/* One that has kept root's capabilities, permitted though not effective. */
pid_t able_sleeper_of_in(uid_t uid, const char *container);
/* chown of a container's directory, and of the files with which tasks are moved. */
void give(const char *dir, uid_t uid);

/*
 * Two tasks in A, "/a" of SUBSYS, are Alice's to move to B, "/a/b", as delegate.c has it; but one may
 * do more than she, and WHY says that it stays.
 */
void more_capable_stays(const char *root, const char *a, const char *b, const char *subsys,
			const char *why);

#endif /* TESTS_GUEST_LIB_USERS_H */
