/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Verbs for the suites that run in the guest, over Check.
 *
 * A suite is one file of TEST() functions; nothing else registers them, and
 * main() is in lib.c. Each test runs in a process of its own with a private
 * mount namespace and an empty tmpfs at /tmp. When it passes, the hierarchies
 * that it mounted must be empty and nobody dying; they are unmounted then. When
 * it fails, what it left is killed and removed before the next test.
 *
 * Output: the plan `1..N`, then `ok 1 - name # 12 ms` or
 * `not ok 2 - name # 3 ms, core.c:40: what was wrong`, each when its test ends.
 */
#ifndef TESTS_GUEST_LIB_H
#define TESTS_GUEST_LIB_H

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * A test that must end within LIMIT seconds, and needs a machine of CPUS and NODES: on a smaller
 * one it is not in the plan.
 */
#define TEST_FOR(id, limit, cpus, nodes) TEST_AS(id, id, true, limit, cpus, nodes)

/* The same, done by a function that calls it, and only WHEN that is wanted. */
#define TEST_AS(id, function, when, limit, cpus, nodes)				\
	static void id(int loop);						\
	static const TTest id##_ttest = { #id, function, __FILE__, __LINE__ };	\
	static void __attribute__((constructor)) id##_register(void)		\
	{									\
		if (when)							\
			lib_register(&id##_ttest, limit, cpus, nodes);		\
	}									\
	static void id(int loop __attribute__((unused)))

#define TEST_LIMIT(id, limit) TEST_FOR(id, limit, 1, 1)
#define TEST_CPUS(id, cpus) TEST_FOR(id, 20, cpus, 1)
#define TEST_NODES(id, nodes) TEST_FOR(id, 20, 1, nodes)
#define TEST(id) TEST_LIMIT(id, 20)

/* For a suite that runs in a kernel without containers too: one line in its file. */
#define WITHOUT_CONTAINERS							\
	static void __attribute__((constructor)) without_containers(void)	\
	{									\
		lib_without_containers = true;					\
	}
extern bool lib_without_containers;

void lib_register(const TTest *test, unsigned int limit, int cpus, int nodes);

/* Memory nodes that the kernel was told to have. */
int nr_nodes(void);

/*
 * A check of Check's that passes writes where it was to a file, but in the test's own process only. Its children have the
 * same file, and one that is killed in its write(2) may leave half a mark there (tmpfs looks for the signal before each
 * page): Check cannot read on then, and ends the suite with "Bad message type".
 */
#define _mark_point(file, line) lib_mark_point(file, line)
void lib_mark_point(const char *file, int line);

/*
 * A check that leaves no mark in the test's process either: the file is in the guest's memory. So it is what loops without
 * an end want, and what is checked between tests (lib-main.c), where there is no such file.
 */
#define need(condition, ...)							\
	do {									\
		if (!(condition))						\
			ck_abort_msg(__VA_ARGS__);				\
	} while (0)

/* A verb that returns an errno (0: success) against the wanted one. */
#define expect(call, wanted)							\
	do {									\
		int got_ = (call);						\
		int want_ = (wanted);						\
		ck_assert_msg(got_ == want_, "%s: got %s, wanted %s", #call,	\
			      error_name(got_), error_name(want_));		\
	} while (0)

/* A condition that others make true soon: polled for SECONDS (times lib_slow). */
#define eventually(condition, seconds)						\
	do {									\
		double end_ = now() + (seconds) * lib_slow;			\
		while (!(condition)) {						\
			ck_assert_msg(now() < end_, "%s: not within %g s",	\
				      #condition, (seconds) * lib_slow);	\
			usleep(5000);						\
		}								\
	} while (0)

/* How much slower than the default flavour this kernel is (--slow). */
extern double lib_slow;
/* What random choices start from (--seed, or the clock); stress tests print it. */
extern unsigned int lib_seed;

/* Text. The results are never freed: a test is a process. */
const char *error_name(int err);
char *at(const char *dir, const char *format, ...) __attribute__((format(printf, 2, 3)));
double now(void);

/* Files and directories. */
int write_file(const char *path, const char *text);
int write_u64(const char *path, uint64_t value);
int try_read(const char *path, char **text);
char *read_file(const char *path);
uint64_t read_u64(const char *path);
uint64_t read_field(const char *path, const char *field);
uint64_t vmstat(const char *field);
bool exists(const char *path);
int make_dir(const char *path);
int remove_dir(const char *path);
int rename_dir(const char *from, const char *to);
/* How many directories are in it: the children of a container. */
int directories_in(const char *dir);

/* Hierarchies: try_mount() makes the directory below /tmp and unmounts at the end. */
char *new_dir(void);
int try_mount(const char *options, char **dir);
char *mount_hierarchy(const char *options);
int unmount(const char *dir);

/* /proc/containers */
struct hierarchy_row {
	int id;
	int containers;
	int dying;
	char subsystems[256];
};

struct subsystem_row {
	char name[64];
	int hierarchy;
	int containers;
	int states;
};

int read_hierarchies(struct hierarchy_row *rows, int max);
int read_subsystems(struct subsystem_row *rows, int max);
struct hierarchy_row hierarchy_of(const char *subsystem);
bool in_list(const char *list, const char *word);
bool no_dying(const char *subsystem);
/* Kills what came back to us, mounts every hierarchy and empties it; true when none is left. */
bool lib_purge(void);
int states_of(const char *subsystem);
unsigned int nr_groups(void);

/* Processes. A child runs FN(ARG) and exits 0; a failed check in it exits 1. */
pid_t start(void (*fn)(void *), void *arg);
pid_t start_in(const char *container, void (*fn)(void *), void *arg);
pid_t sleeper(void);
pid_t sleeper_in(const char *container);
int wait_for(pid_t pid);
void finish(pid_t pid);
void stop(pid_t pid);
/* Kills it, and returns when it has exited: wait_for() reaps the zombie. */
void make_zombie(pid_t pid);
void enter(const char *container);
int move_to(const char *container, pid_t pid);
bool has_line(const char *path, pid_t id);
int read_ids(const char *path, pid_t *ids, int max);
char *container_of_pid(pid_t pid, const char *subsystem);
void burn_ms(unsigned int ms);

/* Descriptors over a socket. */
void send_fd(int wire, int fd);
int receive_fd(int wire);

#endif /* TESTS_GUEST_LIB_H */
