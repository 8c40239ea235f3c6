/* SPDX-License-Identifier: GPL-2.0-only */
/* Verbs of the suites about beancounters: processes that open files on command. */
#ifndef TESTS_GUEST_LIB_BC_H
#define TESTS_GUEST_LIB_BC_H

#include "lib-memory.h"

/* The tree of a test: /a, and where another container may be, or will be. */
extern char *root, *a, *b;
void mount_bc(const char *path_of_b);
/* The same with b in a, but flat: what it has does not count in a. */
void mount_flat(void);
/* b, if it is there, and a. */
void remove_all(void);

/* bc.RESOURCE.NUMBER of a container; "max" is UINT64_MAX. */
uint64_t amount(const char *container, const char *resource, const char *number);
#define numfiles(container, number) amount(container, "numfiles", number)
#define numproc(container, number) amount(container, "numproc", number)
#define held(container) numfiles(container, "held")

/* "BARRIER LIMIT" of a resource, in bc.set or bc.defaults. */
char *bounds(const char *file, const char *resource);

/* "numfiles BARRIER LIMIT" to bc.set. */
void set_bounds(const char *container, unsigned long barrier, unsigned long limit);

/* How many descriptors a process has, as /proc/PID/fd lists them. */
unsigned int descriptors(pid_t pid);

/* An actor that has nothing open but what it came with. */
struct actor *quiet_actor_in(const char *container);

/* What an actor (lib-memory.h) does. It keeps what it opened, in order. */
void open_files(struct actor *a);	/* opens up to ARG; how many it got, a->seed: the errno of the next */
void close_files(struct actor *a);	/* closes the last ARG */
void become_alice(struct actor *a);

#endif /* TESTS_GUEST_LIB_BC_H */
