// SPDX-License-Identifier: GPL-2.0-only
/* The command line. An error names the word, what is wrong with it and what would be right, and exits 125. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define PAGE 4096ull
#define DEFAULT_MEM (512ull << 20)
#define DEFAULT_SWAP (1ull << 30)
/* What UML's swap entries can number. */
#define MOST_SWAP (2ull << 40)

/* How an option is stored: as it is (a NAME is not empty), as a flag, appended to a list, or by set_value(). */
enum kind { TEXT, NAME, FLAG, LIST, VALUE, HELP };

static const struct known {
	const char *name;
	enum kind kind;
	size_t at;		/* in struct options; 0 for VALUE and HELP */
} known[] = {
	{ "kernel", NAME, offsetof(struct options, kernel) },
	{ "rootfs", NAME, offsetof(struct options, rootfs) },
	{ "log", NAME, offsetof(struct options, log) },
	{ "verdict", NAME, offsetof(struct options, verdict) },
	{ "failures", NAME, offsetof(struct options, failures) },
	{ "mode", TEXT, offsetof(struct options, mode) },
	{ "pin", TEXT, offsetof(struct options, pin) },
	{ "gdb", FLAG, offsetof(struct options, gdb) },
	{ "shell", FLAG, offsetof(struct options, shell) },
	{ "clean-env", FLAG, offsetof(struct options, clean_env) },
	{ "leaks", FLAG, offsetof(struct options, leaks) },
	{ "dry-run", FLAG, offsetof(struct options, dry_run) },
	{ "env", LIST, offsetof(struct options, env) },
	{ "append", LIST, offsetof(struct options, append) },
	{ "gdb-arg", LIST, offsetof(struct options, gdb_args) },
	{ "memory", VALUE, 0 },
	{ "container", VALUE, 0 },
	{ "cpuset", TEXT, offsetof(struct options, cpuset) },
	{ "memset", TEXT, offsetof(struct options, memset) },
	{ "files", VALUE, 0 },
	{ "tasks", VALUE, 0 },
	{ "cpus", VALUE, 0 },
	{ "nodes", VALUE, 0 },
	{ "mem", VALUE, 0 },
	{ "swap", VALUE, 0 },
	{ "timeout", VALUE, 0 },
	{ "boot-timeout", VALUE, 0 },
	{ "help", HELP, 0 },
};

#define KNOWN (sizeof(known) / sizeof(*known))

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

/* "0-2,5": @what of the guest, of which it has @n; --@option has more. */
static void check_list(const char *name, const char *s, unsigned int n, const char *what,
		       const char *option)
{
	const char *p = s;
	unsigned long first, last;
	char *end;

	do {
		first = last = strtoul(p, &end, 10);
		if (*p >= '0' && *p <= '9' && *end == '-') {
			p = end + 1;
			last = strtoul(p, &end, 10);
		}
		if (*p < '0' || *p > '9' || (*end && *end != ',') || last < first)
			usage_error("--%s %s: not a list of %s, such as 0-2,5", name, s, what);
		if (last >= n)
			usage_error("--%s %s: the guest has %s 0 to %u; more with --%s", name, s,
				    what, n - 1, option);
		p = end + 1;
	} while (*end);
}

/* A core of the host that this process may run on. */
static void check_core(const char *s)
{
	cpu_set_t may;
	char *end;
	unsigned long core = strtoul(s, &end, 10);

	if (*s < '0' || *s > '9' || *end)
		usage_error("--pin %s: not auto, no or the number of a core", s);
	if (!sched_getaffinity(0, sizeof(may), &may) &&
	    (core >= CPU_SETSIZE || !CPU_ISSET(core, &may)))
		usage_error("--pin %s: this process may not run on such a core; taskset -p $$ says "
			    "on which", s);
}

static void set_mem(struct options *o, const char *arg)
{
	o->mem = bytes("--mem", arg, 1);
	if (o->mem < (32 << 20))
		usage_error("--mem %s: a guest needs at least 32M", arg);
}

static void set_swap(struct options *o, const char *arg)
{
	o->swap = bytes("--swap", arg, 1);
	if (o->swap && o->swap < 10 * PAGE)
		usage_error("--swap %s: at least 40K, or 0 for none", arg);
	if (o->swap > MOST_SWAP)
		usage_error("--swap %s: at most 2T", arg);
}

static void set_limit(struct options *o, const char *arg)
{
	unsigned long long size = bytes("--memory", arg, PAGE);

	if (size < PAGE)
		usage_error("--memory %s: less than a page, so nothing could be in memory; give pages, or 4K and "
			    "more; without it there is no limit", arg);
	o->page_limit = size / PAGE;
	o->has_limit = true;
}

static void set_value(struct options *o, const char *name, const char *arg)
{
	if (!strcmp(name, "memory")) {
		set_limit(o, arg);
	} else if (!strcmp(name, "tasks")) {
		o->tasks = count("--tasks", arg, INT_MAX);
	} else if (!strcmp(name, "container")) {
		o->container = container_name(arg);
	} else if (!strcmp(name, "files")) {
		count("--files", arg, 1000000000);
		o->files = arg;
	} else if (!strcmp(name, "cpus")) {
		o->cpus = count("--cpus", arg, 64);
	} else if (!strcmp(name, "nodes")) {
		o->nodes = count("--nodes", arg, 64);
	} else if (!strcmp(name, "mem")) {
		set_mem(o, arg);
	} else if (!strcmp(name, "swap")) {
		set_swap(o, arg);
	} else if (!strcmp(name, "timeout")) {
		o->timeout = seconds("--timeout", arg);
	} else {
		o->boot_timeout = seconds("--boot-timeout", arg);
	}
}

static void set_one(struct options *o, const struct known *k, char *arg)
{
	char *field = (char *)o + k->at;

	switch (k->kind) {
	case NAME:
		if (!*arg)
			usage_error("--%s: the name is empty; give one, or leave the option out", k->name);
		__attribute__((fallthrough));
	case TEXT:
		memcpy(field, &arg, sizeof(arg));
		break;
	case FLAG:
		*(bool *)field = true;
		break;
	case LIST:
		add((struct list *)field, arg);
		break;
	case VALUE:
		set_value(o, k->name, arg);
		break;
	case HELP:
		help_print(stdout);
		exit(0);
	}
}

static void make_longs(struct option *l)
{
	for (size_t i = 0; i < KNOWN; i++) {
		bool plain = known[i].kind == FLAG || known[i].kind == HELP;

		l[i] = (struct option){ known[i].name,
					plain ? no_argument : required_argument, NULL, 256 + i };
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
		check_core(o->pin);
	for (size_t i = 0; i < o->env.n; i++)
		if (*o->env.v[i] == '=' || (!strchr(o->env.v[i], '=') && !getenv(o->env.v[i])))
			usage_error("--env %s: give NAME=VALUE, or the NAME of a variable that is set",
				    o->env.v[i]);
	if (!o->argv[0] && !o->shell && !o->gdb)
		usage_error("no command; write it after --, as in: uml-run -- ls -l");
	if (!o->argv[0]) {
		const char *shell = getenv("SHELL");

		shell_argv[0] = o->gdb ? "true" : shell && *shell ? (char *)shell : "/bin/sh";
		o->argv = shell_argv;
	}
	if (o->cpuset)
		check_list("cpuset", o->cpuset, o->cpus, "CPUs", "cpus");
	if (o->memset)
		check_list("memset", o->memset, o->nodes ? o->nodes : 1, "nodes", "nodes");
	if ((o->has_limit || o->cpuset || o->memset || o->files || o->tasks) && !o->container)
		o->container = "run";
	/* A limit without a place to swap to only kills; a sparse file costs nothing until used. */
	if (o->swap == ULLONG_MAX)
		o->swap = o->has_limit ? DEFAULT_SWAP : 0;
}

void options_parse(struct run *r, int argc, char **argv)
{
	struct option longs[KNOWN + 1] = { 0 };
	struct options *o = &r->opt;
	int c;

	*o = (struct options){
		.cpus = 1, .mem = DEFAULT_MEM, .swap = ULLONG_MAX, .mode = "auto", .pin = "auto",
		.boot_timeout = -1, .whole = argv, .kernel = getenv("UML_KERNEL"),
		.failures = getenv("UML_FAILURES"),
	};
	make_longs(longs);
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+:", longs, NULL)) != -1) {
		if (c == '?' || c == ':')
			bad_option(c, argv);
		set_one(o, &known[c - 256], optarg);
	}
	o->argv = argv + optind;
	check(r);
}
