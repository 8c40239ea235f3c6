/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verbs for the suites of the memory subsystem: processes that use pages on
 * command, files on a disk of their own, and the doors through which pages are
 * seen: /proc/PID/pagemap, /proc/kpageflags, smaps.
 */
#ifndef TESTS_GUEST_LIB_MEMORY_H
#define TESTS_GUEST_LIB_MEMORY_H

#include "lib.h"

#define PAGE 4096UL

/* Bits of /proc/kpageflags (linux/kernel-page-flags.h). */
#define KPF_ACTIVE 6

/*
 * A child in a container that does what it is told, and is told from outside
 * only, so that it uses no pages but those asked for. Lives in shared memory.
 */
struct actor {
	pid_t pid;
	int wire;		/* the parent's end */
	int child_wire;
	void (*fn)(struct actor *a);
	char path[128];
	unsigned long arg;
	char *mem;		/* in the child */
	unsigned long pages;
	unsigned long seed;
	unsigned long result;
};

struct actor *actor_in(const char *container);
/* The same, forked while we are in the container; we come from HOME and go back there. */
struct actor *actor_born_in(const char *container, const char *home);
/* Does FN(ARG) in the actor; a failed check there fails the test. */
unsigned long act(struct actor *a, void (*fn)(struct actor *a), unsigned long arg);
/* Sends it off without waiting; act_end() waits. */
void act_begin(struct actor *a, void (*fn)(struct actor *a), unsigned long arg);
unsigned long act_end(struct actor *a);
void dismiss(struct actor *a);
/* It was killed by SIGKILL. */
void expect_killed(struct actor *a);

/* Things to do. */
void touch(struct actor *a);		/* map ARG pages and fill them */
void touch_and_mlock(struct actor *a);	/* the same, and mlock() them */
void check(struct actor *a);		/* are they what was written? */
void rewrite(struct actor *a);		/* fill the first ARG of them anew */
void populate(struct actor *a);		/* access all, ARG times, as a driver would */
void release(struct actor *a);		/* unmap them */
void read_whole(struct actor *a);	/* read a->path, ARG times */
void map_whole(struct actor *a);	/* map a->path shared and read each page */
void write_whole(struct actor *a);	/* make a->path of ARG pages */
void check_whole(struct actor *a);	/* is it what was written? */

/* Has PATH read once. */
void read_as(struct actor *a, const char *path);

/*
 * A hierarchy with memory; all pages of this program and its libraries are in memory, so that no
 * actor becomes the owner of one by running it: its file pages are those that it is told to use.
 */
char *mount_memory(void);

/* An ext4 file system of MB megabytes, mounted; the directory. */
char *make_disk(unsigned int mb);
/* A file of PAGES pages at DIR/NAME, on the disk and not in memory. */
char *make_data(const char *dir, const char *name, unsigned long pages);
/* Ask the kernel to drop its cached pages; those of the file that stay are an error. */
void drop_cached(const char *path);
unsigned long cached_pages(const char *path);

unsigned long resident(struct actor *a);
/* The frame number of each of its pages, 0 for one that is not in memory; to be freed. */
uint64_t *frames_of(struct actor *a);
unsigned long swapped_out(struct actor *a);
unsigned long count_flag(struct actor *a, int bit);
/* From here on there is none. */
void no_swap(void);
/* Pages of the machine that are in the swap cache, and in nobody's page tables. */
unsigned long only_in_swap_cache(void);
/* What sits in per-CPU batches goes where it belongs. */
void drain_batches(void);

/* A process uses so many pages (stack, C library data) besides those that a test asks for. */
#define FEW 24

#define near(got, wanted)							\
	do {									\
		long g_ = (got), w_ = (wanted);					\
		ck_assert_msg(labs(g_ - w_) <= FEW, "%s: got %ld, wanted %ld +- %d (%s)",	\
			      #got, g_, w_, FEW, #wanted);			\
	} while (0)

unsigned long anon_pages(const char *container);
unsigned long file_pages(const char *container);
/* Has its list of files a line that ends in END? */
bool lists(const char *container, const char *end);
unsigned long stat_of(const char *container, const char *field);
/*
 * Until it has no page, as nobody uses any. Files of the host's could be left, libc or the test itself: if the machine runs
 * out of memory it loses all their pages, and they are theirs who bring them in again.
 */
void pages_leave(const char *container);
/* Until the handler has nothing to do: no round for a tenth of a second. */
void handler_rests(const char *container);
void set_limit(const char *container, const char *limit);
/* A new one. */
char *container(const char *root, const char *name);
/* The same with page_limit and page_max where they are not NULL. */
char *container_with(const char *root, const char *name, const char *limit, const char *max);

#endif /* TESTS_GUEST_LIB_MEMORY_H */
