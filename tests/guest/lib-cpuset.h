/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verbs of the suites about cpuset. A set of CPUs is a number with a bit each.
 *
 * Where a task may run is read through sched_getaffinity() and /proc/PID/status;
 * where it runs through /proc/PID/stat, and by itself with getcpu(2).
 */
#ifndef TESTS_GUEST_LIB_CPUSET_H
#define TESTS_GUEST_LIB_CPUSET_H

#include "lib.h"

#include <stdatomic.h>

int nr_cpus(void);
/* All of the machine. */
unsigned int all_cpus(void);

/* "0-2,4", and back; nodes are listed like CPUs. */
char *cpus_text(unsigned int cpus);
unsigned int cpus_of_text(const char *text);

/* FILE, which has "0", takes lists of what there are COUNT of, and nothing else; it has "0" still. */
void takes_only_lists(const char *file, int count);

/* The file cpuset.cpus of a container. */
int set_cpus(const char *container, unsigned int cpus);
unsigned int get_cpus(const char *container);

/* 0: no such task any more. */
unsigned int affinity(pid_t tid);
int set_affinity(pid_t tid, unsigned int cpus);
/* Fails unless these are the CPUs that PID may run on, whoever is asked. */
void bound_to(pid_t pid, unsigned int cpus);
/* /proc/PID/stat's processor. */
int processor(pid_t pid);

/* A task that runs without a pause, and what it has seen of itself; shared memory. */
struct loop {
	pid_t pid;
	atomic_ulong rounds;
	atomic_uint seen;
};

struct loop *loop_in(const char *container);
/* Two more rounds: what it says from then on it has seen after this call. */
void wait_for_rounds(struct loop *l);
/* Looks at it for a while: it must not be, nor have been, elsewhere. */
void runs_only_on(struct loop *l, unsigned int cpus);
void loop_end(struct loop *l);

#endif /* TESTS_GUEST_LIB_CPUSET_H */
