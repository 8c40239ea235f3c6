/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verbs for the suites that look for bytes lost on several CPUs: processes
 * that write all the time and check what they wrote.
 *
 * A wrong byte is told by corrupt(): the message starts with "corrupt:", so
 * that it is not taken for a time-out or a call that fails.
 */
#ifndef TESTS_GUEST_LIB_SMP_H
#define TESTS_GUEST_LIB_SMP_H

#include "lib.h"

#define PAGE 4096UL

#define corrupt(...) corrupt_at(__FILE__, __LINE__, __VA_ARGS__)
void corrupt_at(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/* Seconds that a test looks for a wrong byte: $SMP_SECONDS, or 2. */
double smp_seconds(void);
/* Prints "# NAME: COUNT WHAT", the lines that the long run adds up. */
void smp_count(const char *name, uint64_t count, const char *what);
void *shared(size_t size);
int memory_of(pid_t pid);
/* Use the CPU without a system call for about this long. */
void spin_us(unsigned int us);

/* Writers: up to 4 processes that fill private pages and check them for ever. */
#define MAX_WRITERS 4
#define WORDS (PAGE / sizeof(uint64_t))

struct writer {
	pid_t pid;
	uint64_t *mem;
	volatile uint64_t round;	/* the last that was written to all pages */
	volatile unsigned int generation;	/* whose pages are filled */
	volatile unsigned int empty;		/* which it has begun with no pages */
	volatile bool stopped;
	char wrong[256];		/* what it found, if anything */
};

struct herd {
	int n;
	unsigned long pages;		/* of each writer */
	bool mergeable;			/* MADV_MERGEABLE, and all zero between two writes */
	volatile unsigned int generation;
	volatile bool hold;		/* none gets pages */
	volatile bool stop;
	volatile bool leave;
	struct writer w[MAX_WRITERS];
};

/* How many writers this machine gets. */
int herd_size(void);
struct herd *herd_start(unsigned long pages, bool mergeable);
/* All writers give their pages back; then BETWEEN(ARG); then they fill fresh ones. */
void herd_renew(struct herd *h, void (*between)(void *arg), void *arg);
/* Has a writer found a wrong byte, or died of one? */
bool herd_wrong(struct herd *h);
/* process_madvise(2) on all pages of one writer. */
void advise(struct herd *h, int i, int advice);
/* Stops the writers and reads every page through /proc/PID/mem; corrupt() if one is wrong. */
void herd_finish(struct herd *h);

#endif /* TESTS_GUEST_LIB_SMP_H */
