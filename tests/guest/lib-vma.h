/* SPDX-License-Identifier: GPL-2.0-only */
/* Verbs of the suites about what an address space is charged for. */
#ifndef TESTS_GUEST_LIB_VMA_H
#define TESTS_GUEST_LIB_VMA_H

#include "lib-memory.h"

#include <sys/mman.h>

#define RW (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* N pages, at WHERE if that is not NULL. */
char *map(char *where, unsigned long n, int prot, int flags);

/* What a suite does to N pages of the arena in a step of its own; any call may fail. */
typedef void vma_step(char *where, unsigned long n, unsigned int *seed);

/* ARG random steps of an actor; a->seed goes on. Of 16 one is the heap's, one a fork, three move mappings. */
void random_vma_steps(struct actor *a, vma_step *own);

/* A child of the actor that sleeps, at a->pages; with ARG it has executed sleep(1). */
void make_child(struct actor *a);
/* The last one ends. */
void end_child(struct actor *a);

/* Data and stack of a process, in pages. */
unsigned long private_of(pid_t pid);
bool is_sleep(pid_t pid);

#endif /* TESTS_GUEST_LIB_VMA_H */
