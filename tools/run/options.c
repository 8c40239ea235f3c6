// SPDX-License-Identifier: GPL-2.0-only
/* The command line. An error names the word, what is wrong with it and what would be right, and exits 125. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define PAGE 4096ull
#define DEFAULT_MEM (512ull << 20)
#define DEFAULT_SWAP (1ull << 30)

enum {
	O_KERNEL = 256, O_MEMORY, O_CONTAINER, O_CPUS, O_MEM, O_SWAP, O_ROOTFS, O_TIMEOUT,
	O_BOOT_TIMEOUT, O_GDB, O_GDB_ARG, O_SHELL, O_ENV, O_CLEAN_ENV, O_APPEND, O_LOG, O_VERDICT,
	O_FAILURES, O_MODE, O_PIN, O_LEAKS, O_DRY_RUN, O_HELP,
};

static const struct option longs[] = {
	{ "kernel", required_argument, NULL, O_KERNEL },
	{ "memory", required_argument, NULL, O_MEMORY },
	{ "container", required_argument, NULL, O_CONTAINER },
	{ "cpus", required_argument, NULL, O_CPUS },
	{ "mem", required_argument, NULL, O_MEM },
	{ "swap", required_argument, NULL, O_SWAP },
	{ "rootfs", required_argument, NULL, O_ROOTFS },
	{ "timeout", required_argument, NULL, O_TIMEOUT },
	{ "boot-timeout", required_argument, NULL, O_BOOT_TIMEOUT },
	{ "gdb", no_argument, NULL, O_GDB },
	{ "gdb-arg", required_argument, NULL, O_GDB_ARG },
	{ "shell", no_argument, NULL, O_SHELL },
	{ "env", required_argument, NULL, O_ENV },
	{ "clean-env", no_argument, NULL, O_CLEAN_ENV },
	{ "append", required_argument, NULL, O_APPEND },
	{ "log", required_argument, NULL, O_LOG },
	{ "verdict", required_argument, NULL, O_VERDICT },
	{ "failures", required_argument, NULL, O_FAILURES },
	{ "mode", required_argument, NULL, O_MODE },
	{ "pin", required_argument, NULL, O_PIN },
	{ "leaks", no_argument, NULL, O_LEAKS },
	{ "dry-run", no_argument, NULL, O_DRY_RUN },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 },
};

static void add(struct list *l, char *s)
{
	l->v = realloc(l->v, (l->n + 2) * sizeof(*l->v));
	if (!l->v)
		usage_error("no memory");
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
}

/* A number with K, M, G or T. @unit is what a number without a letter counts in bytes. */
static unsigned long long bytes(const char *opt, const char *s, unsigned long long unit)
{
	static const char letters[] = "KMGT";
	unsigned long long n, factor = unit;
	const char *at = NULL;
	char *end;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (*s < '0' || *s > '9' || errno)
		usage_error("%s %s: not a size; give a number, K, M, G or T may follow", opt, s);
	if (*end) {
		at = strchr(letters, *end >= 'a' ? *end - 32 : *end);
		if (!at || end[1])
			usage_error("%s %s: %s is not a unit; use K, M, G or T", opt, s, end);
		factor = 1024ull << (10 * (at - letters));
	}
	if (n && factor > ULLONG_MAX / n)
		usage_error("%s %s: too large", opt, s);
	return n * factor;
}

static double seconds(const char *opt, const char *s)
{
	char *end;
	double d = strtod(s, &end);

	if (*end == 's' && !end[1])
		end++;
	if (end == s || *end || !(d >= 0 && d < 1e9))
		usage_error("%s %s: not a number of seconds", opt, s);
	return d;
}

static unsigned int count(const char *opt, const char *s, unsigned int max)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*s < '0' || *s > '9' || *end || n < 1 || n > max)
		usage_error("%s %s: not a number from 1 to %u", opt, s, max);
	return n;
}

static const char *container_name(const char *s)
{
	while (*s == '/')
		s++;
	if (!*s)
		usage_error("--container: the root container needs no option; give a name below it");
	for (const char *p = s; *p; ) {
		size_t n = strcspn(p, "/");

		if ((n == 1 && *p == '.') || (n == 2 && !strncmp(p, "..", 2)))
			usage_error("--container %s: . and .. are not names", s);
		p += n + (p[n] == '/');
	}
	return s;
}

static void one(struct options *o, int c, char *arg)
{
	switch (c) {
	case O_KERNEL: o->kernel = arg; break;
	case O_MEMORY:
		o->page_limit = bytes("--memory", arg, PAGE) / PAGE;
		o->has_limit = true;
		break;
	case O_CONTAINER: o->container = container_name(arg); break;
	case O_CPUS: o->cpus = count("--cpus", arg, 64); break;
	case O_MEM:
		o->mem = bytes("--mem", arg, 1);
		if (o->mem < (32 << 20))
			usage_error("--mem %s: a guest needs at least 32M", arg);
		break;
	case O_SWAP:
		o->swap = bytes("--swap", arg, 1);
		if (o->swap && o->swap < 10 * PAGE)
			usage_error("--swap %s: at least 40K, or 0 for none", arg);
		break;
	case O_ROOTFS: o->rootfs = arg; break;
	case O_TIMEOUT: o->timeout = seconds("--timeout", arg); break;
	case O_BOOT_TIMEOUT: o->boot_timeout = seconds("--boot-timeout", arg); break;
	case O_GDB: o->gdb = true; break;
	case O_GDB_ARG: add(&o->gdb_args, arg); break;
	case O_SHELL: o->shell = true; break;
	case O_ENV: add(&o->env, arg); break;
	case O_CLEAN_ENV: o->clean_env = true; break;
	case O_APPEND: add(&o->append, arg); break;
	case O_LOG: o->log = arg; break;
	case O_VERDICT: o->verdict = arg; break;
	case O_FAILURES: o->failures = arg; break;
	case O_MODE: o->mode = arg; break;
	case O_PIN: o->pin = arg; break;
	case O_LEAKS: o->leaks = true; break;
	case O_DRY_RUN: o->dry_run = true; break;
	case O_HELP:
		help_print(stdout);
		exit(0);
	}
}

static void bad_option(int c, char **argv)
{
	const char *word = argv[optind - 1];

	if (c == ':')
		usage_error("%s needs a value; see --help", word);
	if (optopt > 0 && optopt < 256)
		usage_error("-%c: no such option; the options are long, see --help", optopt);
	if (optopt)
		usage_error("%s takes no value; see --help", word);
	usage_error("%s: no such option (or an ambiguous one); see --help", word);
}

static void check(struct run *r)
{
	static char *shell_argv[2];
	struct options *o = &r->opt;

	if (strcmp(o->mode, "auto") && strcmp(o->mode, "seccomp") && strcmp(o->mode, "ptrace"))
		usage_error("--mode %s: not one of auto, seccomp, ptrace", o->mode);
	if (o->cpus > 1 && !strcmp(o->mode, "ptrace"))
		usage_error("--cpus %u --mode ptrace: UML has several CPUs in seccomp mode only",
			    o->cpus);
	if (strcmp(o->pin, "auto") && strcmp(o->pin, "no"))
		count("--pin", o->pin, 4096);
	for (size_t i = 0; i < o->env.n; i++)
		if (!strchr(o->env.v[i], '=') && !getenv(o->env.v[i]))
			usage_error("--env %s: give NAME=VALUE, or the NAME of a variable that is set",
				    o->env.v[i]);
	if (!o->argv[0] && !o->shell && !o->gdb)
		usage_error("no command; write it after --, as in: uml-run -- ls -l");
	if (!o->argv[0]) {
		const char *shell = getenv("SHELL");

		shell_argv[0] = o->gdb ? "true" : shell && *shell ? (char *)shell : "/bin/sh";
		o->argv = shell_argv;
	}
	if (o->has_limit && !o->container)
		o->container = "run";
	/* A limit without a place to swap to only kills; a sparse file costs nothing until used. */
	if (o->swap == ULLONG_MAX)
		o->swap = o->has_limit ? DEFAULT_SWAP : 0;
}

void options_parse(struct run *r, int argc, char **argv)
{
	struct options *o = &r->opt;
	int c;

	*o = (struct options){
		.cpus = 1, .mem = DEFAULT_MEM, .swap = ULLONG_MAX, .mode = "auto", .pin = "auto",
		.boot_timeout = -1, .whole = argv, .kernel = getenv("UML_KERNEL"),
		.failures = getenv("UML_FAILURES"),
	};
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			bad_option(c, argv);
		one(o, c, optarg);
	}
	o->argv = argv + optind;
	check(r);
}
