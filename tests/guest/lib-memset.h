/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verbs of the suites about memset. A set of nodes is a number with a bit each,
 * and is written as a set of CPUs is (lib-cpuset.h).
 *
 * What a task may use is read from /proc/PID/status; where its pages are,
 * move_pages(2) says without moving any; what its policies have become,
 * get_mempolicy(2) of the task itself and numa_maps.
 */
#ifndef TESTS_GUEST_LIB_MEMSET_H
#define TESTS_GUEST_LIB_MEMSET_H

#include "lib-cpuset.h"

#include <linux/mempolicy.h>

#define PAGE 4096UL
/* of a holder's memory: a multiple of the number of nodes */
#define PAGES 64

unsigned int all_nodes(void);

/* The file memset.mems of a container. */
int set_mems(const char *container, unsigned int nodes);
unsigned int get_mems(const char *container);

/* Mems_allowed_list of a thread; 0: no such task any more. */
unsigned int allowed(pid_t tid);
/* Fails unless these are the nodes that PID has. */
void has_nodes(pid_t pid, unsigned int nodes);

/* The nodes where pages of PID are, of PAGES from MEM on; how many of them are on NODE. */
unsigned int nodes_of_pages(pid_t pid, char *mem);
unsigned int pages_on(pid_t pid, char *mem, int node);
/* The nodes of the policy that numa_maps has for the region at MEM; 0 for the default. */
unsigned int policy_of_region(pid_t pid, char *mem);

/* In shared memory: a process with two regions of PAGES pages. It does what it is told, one thing at a time. */
struct holder {
	pid_t pid;
	char *mem[2];
	int order, ordered, done, did;	/* ends of two pipes */
	/* arguments and results of a command */
	int mode;
	unsigned long nodes;
	int region;
	int result;
};

struct holder *holder_in(const char *container);
/* Each returns an errno. New pages for a region, filled; policies. */
int hold(struct holder *h, int region);
int hold_policy(struct holder *h, int mode, unsigned int nodes);
int hold_bind(struct holder *h, int region, int mode, unsigned int nodes);
/* Fails unless the region has what was filled in. */
void held(struct holder *h, int region);
/* The nodes of its own policy, as it says itself. */
unsigned int held_policy(struct holder *h);
/* A child that sleeps: a copy. */
pid_t hold_fork(struct holder *h);
void holder_end(struct holder *h);

#endif /* TESTS_GUEST_LIB_MEMSET_H */
