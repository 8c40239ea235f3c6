/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The benchmark's part in the guest: prepares what is measured, measures what user code sees, and
 * has the kernel measure the rest (tests/bench/kernel). One boot is one round: each line of
 * output is "NAME MIN MEDIAN", nanoseconds over the batches of this boot.
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE 4096ul
#define MB (1024ul * 1024)
#define BATCHES 64
#define NO_WORDS "%s", ""

/* what is in the kernel that runs */
enum kind { VANILLA, CONTAINERS, CGROUP1, CGROUP2 };

extern enum kind kind;
extern bool quick;

/* main.c */
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...);
bool wanted(const char *name);
int batches(int normal);
uint64_t now(void);
void report(const char *name, double *ns, int n);
void ask(double *ns, int nr, const char *op, unsigned long count, const char *words, ...)
	__attribute__((format(printf, 5, 6)));
pid_t start(void (*child)(void *), void *arg);
void stop(pid_t pid);

/* groups.c */
void put(const char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void make(const char *path);
void sleeper(void *unused);
pid_t start_crowd(int threads, bool apart);

/* paths.c, groups.c, places.c, memory.c */
void paths(int cpus);
void groups(void);
void places(void);
extern const char *data_file;
void limits(void);

#endif
