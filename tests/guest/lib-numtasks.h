/* SPDX-License-Identifier: GPL-2.0-only */
/* Verbs of the suites about numtasks: a process in a container that forks when it is told to. */
#ifndef TESTS_GUEST_LIB_NUMTASKS_H
#define TESTS_GUEST_LIB_NUMTASKS_H

#include "lib.h"

#define PARAMETER(name) "/sys/module/numtasks/parameters/" name

/* A process with one thread, at first, and pipes to it. */
struct worker {
	pid_t pid;
	int to, from;
};

struct worker worker_in(const char *container);
/*
 * What to do; the answer is an errno, 0 for success:
 *	f	fork a child that sleeps
 *	k	kill the last of these, and reap it
 *	v	vfork a child that exits, and reap it
 *	t	make a thread that sleeps
 *	n	clone a child that sleeps, with CLONE_NEWUTS
 */
int ask(struct worker *w, char what);
/* How many children it gets, till the first is refused, with EAGAIN. */
int forks_until_refused(struct worker *w);
/* Kills it and all that it has made; returns when they have exited. */
void worker_end(struct worker *w);

/* Lines of the file `tasks`. */
int tasks_in(const char *container);
/* A line of numtasks.stats. */
uint64_t numtasks_stat(const char *container, const char *what);

/* What no shares are: refused with ERR, and WHY, if that is not NULL, stands in `why`. */
struct wrong_shares {
	const char *text, *why;
	int err;
};

/* SUBSYSTEM.shares of a container refuses each of the NR, and says what it said before. */
void refuses_shares(const char *container, const char *subsystem, const struct wrong_shares *wrong, int nr);

/* Writes a file of the kernel's; returns what was there, for the test to write back at its end. */
char *for_now(const char *path, const char *value);

#define says(container, wanted)							\
	do {									\
		char *why_ = read_file(at((container), "why"));			\
		const char *wanted_ = (wanted);					\
		ck_assert_msg(strstr(why_, wanted_), "why reads \"%s\", wanted \"%s\" in it",	\
			      why_, wanted_);					\
	} while (0)

#endif /* TESTS_GUEST_LIB_NUMTASKS_H */
