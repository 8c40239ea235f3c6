/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uml-run: boot a UML kernel, run one command in it, return what the command returned.
 *
 *   main.c      the order of things
 *   options.c   the command line
 *   help.c      the text of --help
 *   boot.c      kernel arguments, start of the kernel (or of gdb on it)
 *   host.c      what the host has to give: directories, a core, standard descriptors
 *   files.c     the job disk, the swap disk, removal
 *   relay.c     the loop: frames, deadlines, signals
 *   stream.c    output to the caller's descriptors
 *   terminal.c  raw mode and window size; the janitor that outlives a killed runner
 *   klog.c      what the kernel log says
 *   mconsole.c  questions to a kernel that hangs
 *   verdict.c   one outcome from all that happened, and its exit code
 *   report.c    every sentence for the user, and the failure directory
 *
 * Single threaded. Signals are blocked except inside ppoll() of relay.c.
 */
#ifndef UML_RUN_H
#define UML_RUN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <termios.h>

#include "../common/join.h"

/* Exit codes of the runner's own; everything else is CMD's. */
enum {
	EXIT_TIMEOUT	= 124,
	EXIT_RUNNER	= 125,	/* usage, boot, set-up */
	EXIT_NOT_EXEC	= 126,
	EXIT_NOT_FOUND	= 127,
	EXIT_PANIC	= 200,
	EXIT_KREPORT	= 201,	/* WARN, oops, a sanitizer, lockdep, a leak */
	EXIT_SILENT	= 202,	/* the kernel ended without a verdict */
	EXIT_HUNG	= 203,	/* a verdict, but the kernel did not end */
};

struct list {
	char **v;
	size_t n;
};

/* The command line; immutable after options_parse(). */
struct options {
	const char *kernel;
	const char *container;	/* NULL: none */
	const char *cpuset;
	const char *memset;
	const char *files;	/* a number; NULL: no bound */
	const char *rootfs;
	const char *log;
	const char *verdict;
	const char *failures;
	const char *mode;	/* seccomp, ptrace, auto */
	const char *pin;	/* auto, no, or a number */
	unsigned long long page_limit;	/* pages */
	unsigned long long mem, swap;	/* bytes */
	unsigned int tasks;	/* 0: as many as it likes */
	unsigned int cpus;
	unsigned int nodes;	/* 0: as the kernel does without numa= */
	double timeout, boot_timeout;	/* seconds; 0: none */
	bool has_limit, shell, gdb, leaks, dry_run, clean_env;
	struct list env, append, gdb_args;
	char **argv;
	char **whole;		/* argv of the runner, to repeat it */
};

/* Output underway to one of the caller's descriptors. */
struct stream {
	int fd;			/* -1: closed */
	bool nonblock;		/* our own open file: cannot block */
	bool socket;
	bool poll;		/* poll() says something about it */
	bool eof;
	int err;		/* why a write failed, if not because nobody reads */
	uint32_t head, len;
	char buf[JOIN_OUT_WINDOW];
};

/* What happened; only ever added to. */
struct facts {
	bool hello, started, failed, verdict, exited;
	bool timeout, boot_timeout, hung, garbage, bad_nonce;
	int caught;		/* signal that ends the run */
	int wait_status;	/* of the kernel */
	struct join_status status;
	char fail_text[1024];
	char garbage_text[160];
};

struct run {
	struct options opt;
	struct facts facts;
	char self_dir[PATH_MAX];	/* where uml-run lies */
	char dir[256];			/* temporary; no character that the kernel's parser minds */
	char mem_dir[PATH_MAX];
	char log_path[PATH_MAX];
	int log_fd, to_guest, from_guest, guest_in, guest_out, job_fd;
	uint8_t nonce[JOIN_NONCE];
	char *ring;
	pid_t kernel;
	pid_t janitor;
	int janitor_fd;
	int core;			/* pinned to, or -1 */
	bool closed[JOIN_STREAMS];	/* descriptors that the caller had closed */
	bool image;			/* --rootfs is a disk */
	bool tty;			/* CMD gets a terminal, ours is raw */
	bool behind;			/* another job has the terminal, with its own modes */
	struct termios saved;
	double started_at, hello_at, cmd_at;
	struct stream out[JOIN_STREAMS];
	/* Input: where the next bytes go, what is underway. */
	uint32_t ring_at, ring_used;
	unsigned int in_segments;	/* pieces since the ring was last empty */
	bool in_eof;
};

void options_parse(struct run *r, int argc, char **argv);
void help_print(FILE *f);

void host_fix_descriptors(struct run *r);
int host_directories(struct run *r);
int host_files(void);
int host_timers(struct run *r);
int host_core_take(struct run *r);
void host_core_give_back(void);
unsigned long long host_free_bytes(const char *dir);

int files_make(struct run *r);
void files_remove(const char *dir);

int boot_start(struct run *r);
void boot_print(struct run *r, FILE *f);

int relay_run(struct run *r);
void relay_kill(struct run *r);
double now(void);

void stream_open(struct stream *s, int fd);
bool stream_add(struct stream *s, const char *data, size_t len);
ssize_t stream_flush(struct stream *s);
void stream_close(struct stream *s);

void terminal_raw(struct run *r);
void terminal_restore(struct run *r);
bool terminal_size(struct join_winch *w);
bool terminal_in_background(void);
int janitor_start(struct run *r);
void janitor_dismiss(struct run *r);

enum klog_kind { KLOG_CLEAN, KLOG_REPORT, KLOG_PANIC };
enum klog_kind klog_judge(const char *path, char *line, size_t room);
bool klog_find(const char *path, const char *word, char *line, size_t room);
void klog_last_line(const char *path, char *line, size_t room);

int mconsole_ask(struct run *r, const char *what, FILE *out, double seconds);

int verdict_give(struct run *r);

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void usage_error(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void report_question_guest(struct run *r, const char *why);
void report_failure(struct run *r, const char *outcome, int code, const char *line);
void report_verdict_file(struct run *r, const char *outcome, int code);
void report_repeat(struct run *r, FILE *f);

#endif
