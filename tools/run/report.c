// SPDX-License-Identifier: GPL-2.0-only
/* Every sentence for the user, and what a failed run leaves behind. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

/* Of a line of say(). */
#define REPEAT_MAX 1900

static void say_v(const char *fmt, va_list ap)
{
	char line[2048];
	int n = snprintf(line, sizeof(line), "uml-run: ");

	n += vsnprintf(line + n, sizeof(line) - n - 3, fmt, ap);
	if (n > (int)sizeof(line) - 3)
		n = sizeof(line) - 3;
	/* The terminal may still be raw, where a newline does not go back to the first column. */
	strcpy(line + n, isatty(2) ? "\r\n" : "\n");
	(void)!write(2, line, strlen(line));
}

void say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(fmt, ap);
	va_end(ap);
}

void usage_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say_v(fmt, ap);
	va_end(ap);
	exit(EXIT_RUNNER);
}

static void quoted(FILE *f, const char *s)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_@%+=:,./-";

	if (*s && strspn(s, safe) == strlen(s)) {
		fputs(s, f);
		return;
	}
	fputc('\'', f);
	for (; *s; s++)
		fputs(*s == '\'' ? "'\\''" : (char[]){ *s, 0 }, f);
	fputc('\'', f);
}

/* A line for a shell that does the same again. */
void report_repeat(struct run *r, FILE *f)
{
	char cwd[PATH_MAX], exe[PATH_MAX];

	fputs("cd ", f);
	quoted(f, getcwd(cwd, sizeof(cwd)) ? cwd : "/");
	fputs(" && ", f);
	snprintf(exe, sizeof(exe), "%.4000s/uml-run", r->self_dir);
	quoted(f, exe);
	for (char **a = r->opt.whole + 1; *a; a++) {
		fputc(' ', f);
		quoted(f, *a);
	}
	fputc('\n', f);
}

static void make_parents(char *path)
{
	for (char *p = path + 1; *p; p++)
		if (*p == '/') {
			*p = 0;
			mkdir(path, 0777);
			*p = '/';
		}
}

/* A new directory for this failure. Return: false when none could be made. */
static bool failure_dir(struct run *r, char *dir, size_t room)
{
	const char *base = r->opt.failures;
	char stamp[32], tree[PATH_MAX + 32];
	time_t t = time(NULL);

	if (!base || !*base) {
		snprintf(tree, sizeof(tree), "%s/../failures", r->self_dir);
		base = tree;
	}
	strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", localtime(&t));
	for (int i = 0; i < 2; i++) {
		snprintf(dir, room, "%.3900s/run-%s-%d", base, stamp, getpid());
		make_parents(dir);
		if (!mkdir(dir, 0777) || errno == EEXIST)
			return true;
		base = "/tmp/uml-failures";
	}
	return false;
}

static FILE *file_in(const char *dir, const char *name)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return fopen(path, "we");
}

static void copy(const char *from, FILE *to)
{
	char buf[8192];
	size_t n;
	FILE *f = fopen(from, "re");

	while (f && (n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, to);
	if (f)
		fclose(f);
}

/* What the kernel has logged from @from on. */
static void copy_log_from(struct run *r, long from, FILE *to)
{
	char buf[8192];
	size_t n;
	FILE *f = fopen(r->log_path, "re");

	if (!f)
		return;
	fseek(f, from, SEEK_SET);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		fwrite(buf, 1, n, to);
	fclose(f);
}

/*
 * One question. What a sysrq prints is taken from the log: the kernel sends it here too,
 * but drops what does not fit into
 * the socket's queue of ten datagrams. Return: false when the kernel does not answer.
 */
static bool ask_for(struct run *r, const char *question, FILE *f)
{
	bool logged = !strncmp(question, "sysrq", 5);
	FILE *answer = logged ? fopen("/dev/null", "we") : f;
	long before = lseek(r->log_fd, 0, SEEK_END);
	int ret;

	if (!answer)
		return true;
	ret = mconsole_ask(r, question, answer, 2);
	if (ret)
		fprintf(f, "no %sanswer from the kernel to \"%s\"\n", ret > 0 ? "whole " : "", question);
	if (logged) {
		fclose(answer);
		copy_log_from(r, before, f);
	}
	return ret >= 0;
}

/*
 * While the kernel is still there: stacks of all tasks and the container tree go into the
 * temporary directory; report_failure() takes
 * them along.
 */
void report_question_guest(struct run *r, const char *why)
{
	static const struct {
		const char *file, *question;
	} ask[] = {
		{ "stacks", "sysrq t" }, { "blocked", "sysrq w" }, { "memory", "sysrq m" },
		{ "containers", "proc containers" }, { "meminfo", "proc meminfo" },
	};
	char made[PATH_MAX];
	bool answers = true;

	say("%s; asking the kernel what it was doing", why);
	snprintf(made, sizeof(made), "%s/state", r->dir);
	mkdir(made, 0700);
	/* who does not answer one question does not answer the next: each would cost 2 s */
	for (size_t i = 0; answers && i < sizeof(ask) / sizeof(*ask); i++) {
		FILE *f = file_in(made, ask[i].file);

		if (!f)
			continue;
		answers = ask_for(r, ask[i].question, f);
		fclose(f);
	}
}

static void take_state(struct run *r, const char *dir)
{
	static const char *const names[] = { "stacks", "blocked", "memory", "containers", "meminfo" };
	char from[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		FILE *f;

		snprintf(from, sizeof(from), "%s/state/%s", r->dir, names[i]);
		if (access(from, R_OK))
			continue;
		f = file_in(dir, names[i]);
		if (!f)
			continue;
		copy(from, f);
		fclose(f);
	}
}

void report_failure(struct run *r, const char *outcome, int code, const char *line)
{
	char dir[PATH_MAX];
	FILE *f;

	if (!failure_dir(r, dir, sizeof(dir))) {
		say("the traces of this failure could not be kept: no directory for them: name one "
		    "with --failures");
		return;
	}
	f = file_in(dir, "log");
	if (f) {
		copy(r->log_path, f);
		fclose(f);
	}
	f = file_in(dir, "why");
	if (f) {
		fprintf(f, "%s\ncode %d\n%s\n", outcome, code, line);
		fclose(f);
	}
	f = file_in(dir, "repeat");
	if (f) {
		report_repeat(r, f);
		fclose(f);
	}
	f = file_in(dir, "kernel-arguments");
	if (f) {
		boot_print(r, f);
		fclose(f);
	}
	take_state(r, dir);
	say("kernel log and what else is known: %s", realpath(dir, (char[PATH_MAX]) { 0 }) ?: dir);
	char *text = NULL;
	size_t len;

	f = open_memstream(&text, &len);
	if (!f)
		return;
	report_repeat(r, f);
	/* a word may have lines of its own, and be too long to be said */
	if (!fclose(f) && len < REPEAT_MAX)
		say("to repeat: %.*s", (int)len - 1, text);
	else
		say("to repeat: sh %s/repeat", dir);
	free(text);
}

/* One fact a line, for scripts. */
void report_verdict_file(struct run *r, const char *outcome, int code)
{
	FILE *f;

	if (!r->opt.verdict)
		return;
	f = fopen(r->opt.verdict, "we");
	if (!f) {
		say("--verdict %s: %s", r->opt.verdict, strerror(errno));
		return;
	}
	fprintf(f, "outcome=%s\ncode=%d\n", outcome, code);
	if (r->facts.hello)
		fprintf(f, "boot_ms=%.0f\n", (r->hello_at - r->started_at) * 1000);
	if (r->facts.started)
		fprintf(f, "cmd_ms=%.0f\n", (r->cmd_at - r->started_at) * 1000);
	fprintf(f, "total_ms=%.0f\n", (now() - r->started_at) * 1000);
	fclose(f);
}
