/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uml-init: process 1 of a guest that uml-run has booted. Single threaded; all state hangs
 * off struct guest.
 *
 *   main.c     the order of things, power-off
 *   job.c      the job disk: what to run, and the bytes of standard input
 *   line.c     frames to and from the runner
 *   root.c     the root file system and what is mounted in it
 *   limits.c   swap and the container
 *   command.c  CMD: its descriptors, terminal and exec
 *   relay.c    the loop between CMD's descriptors and the line
 */
#ifndef UML_INIT_H
#define UML_INIT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../common/join.h"

/* What to run; immutable after job_read(). */
struct job {
	struct join_job head;
	char *container;
	char *page_limit;
	char *cpuset;
	char *memset;
	char *files;
	char *tasks;
	char *cwd;
	char *root;
	char **argv;
	char **envp;
};

/* The command and this side's ends of its descriptors; -1 when closed. */
struct command {
	pid_t pid;
	int fd[JOIN_STREAMS];
	int tty;		/* master of CMD's terminal, else -1 */
	int exec_error;		/* reads errno of a failed exec, else EOF */
};

struct guest {
	int disk;
	int line;
	int debug_files;	/* debugfs's kmemleak, or -1 */
	struct job job;
	struct command cmd;
};

/* Tell the runner why CMD cannot be started, and power off. Does not return. */
void die(struct guest *g, int code, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void power_off(struct guest *g) __attribute__((noreturn));

int job_open(struct guest *g);
void job_read(struct guest *g);
int job_ring_read(struct guest *g, const struct join_ring *at, char *block, char **start);

int line_open(struct guest *g);
void line_send(struct guest *g, int type, int stream, const void *data, size_t len);
int line_next(struct guest *g, struct join_frame *f, void *data, size_t room);

void root_early(struct guest *g);
void root_enter(struct guest *g);

void limits_swap(struct guest *g);
void limits_container(struct guest *g);
int limits_join(struct guest *g);

void command_start(struct guest *g);
void command_winch(struct guest *g, const struct join_winch *w);

void relay_run(struct guest *g, struct join_status *st);

#endif
