/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verbs for the suites that look for bytes lost on several CPUs: processes
 * that write all the time and check what they wrote, and a process whose
 * threads act on its memory while one of them writes.
 *
 * A wrong byte is told by corrupt(): the message starts with "corrupt:", which
 * is what `./uml check` wants to see from a kernel without the cure. Whatever
 * else goes wrong (a time-out, a call that fails) is told otherwise.
 *
 * Threads of one process never run user code in parallel on UML: a thread gets
 * there when the other has left. So what a thread did to the memory of another
 * that writes is looked at from a third place, while the thread that did it
 * has not come back from its system call: a tracer sees the call end.
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

/*
 * A pair: a process that writes, and another with the same memory (to the
 * kernel a thread of it) that acts. act_on() has the actor do one system call
 * while the writer writes and returns when the call has ended in the kernel,
 * before the actor runs on; resume() lets it. Lives in shared memory.
 */
struct pair {
	uint64_t *volatile word;	/* where the writer writes; NULL: nowhere */
	volatile unsigned long stride;	/* 0, or the pages from word on that it writes in turn */
	volatile bool reads;		/* it only reads *word, into seen */
	volatile uint64_t seen;
	volatile uint64_t count;	/* what it has written last; goes up */
	volatile uint64_t faults;	/* refused accesses; it then waits until hold is false */
	volatile bool refused;		/* ... and is waiting */
	volatile bool hold, pause, paused, quit;
	volatile long number, arg[6];	/* the actor's next system call */
	volatile uint64_t copies;	/* children of the actor that looked at their copy of *word */
	volatile uint64_t changed;	/* ... and saw it change */
	pid_t writer;
	pid_t actor;
};

struct pair *pair_start(void);
long act_on(struct pair *p, long number, ...);
void resume(struct pair *p);
/* act_on() and resume(). */
long call_in(struct pair *p, long number, ...);
/* mmap(2), readable and writable, at WHERE with MAP_FIXED among FLAGS. */
void *map_in(struct pair *p, void *where, size_t size, int flags, int fd);
/* Where the writer writes from now on; returns when it does. */
void write_to(struct pair *p, void *mem, unsigned long stride);
/* Waits until the writer has begun and ended a write; returns one below what that wrote. */
uint64_t next_write(struct pair *p);
void pair_finish(struct pair *p);

/* A process that writes to a little more than memory holds, again and again until *QUIT, which is a bool. */
void hog(void *quit);

#endif /* TESTS_GUEST_LIB_SMP_H */
