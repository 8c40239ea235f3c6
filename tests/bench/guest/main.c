// SPDX-License-Identifier: GPL-2.0-only
/* Options, numbers, and the door to the kernel's part. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum kind kind;
bool quick;
static const char *only = "*";

void die(const char *format, ...)
{
	va_list ap;

	fputs("bench: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

bool wanted(const char *name)
{
	return !fnmatch(only, name, 0);
}

/* Short batches and many of them: the smallest is one that nobody interrupted. */
int batches(int normal)
{
	return quick ? (normal + 4) / 5 : normal;
}

uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void report(const char *name, double *ns, int n)
{
	qsort(ns, n, sizeof(*ns), by_size);
	printf("%s %.3f %.3f\n", name, ns[0], n & 1 ? ns[n / 2] : (ns[n / 2 - 1] + ns[n / 2]) / 2);
	fflush(stdout);
}

/* Has the kernel do OP COUNT times in NR batches: what one took, in each batch. */
void ask(double *ns, int nr, const char *op, unsigned long count, const char *words, ...)
{
	char line[512], answer[BATCHES * 32];
	int fd, n = 0, used;
	ssize_t got;
	va_list ap;

	used = snprintf(line, sizeof(line), "%s %lu %d%s", op, count, nr, *words ? " " : "");
	va_start(ap, words);
	vsnprintf(line + used, sizeof(line) - used, words, ap);
	va_end(ap);
	fd = open("/proc/bench", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("/proc/bench: %s; cure: a kernel of flavour bench-*", strerror(errno));
	if (write(fd, line, strlen(line)) < 0)
		die("the kernel refused '%s': %s", line, strerror(errno));
	got = pread(fd, answer, sizeof(answer) - 1, 0);
	close(fd);
	answer[got > 0 ? got : 0] = 0;
	for (char *p = strtok(answer, "\n"); p && n < nr; p = strtok(NULL, "\n"))
		ns[n++] = strtod(p, NULL);
	if (n != nr)
		die("the kernel gave %d numbers for '%s'", n, line);
}

pid_t start(void (*child)(void *), void *arg)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			child(arg);
		_exit(0);
	}
	return pid;
}

void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void set_kind(const char *word)
{
	static const char *const words[] = { "vanilla", "default", "cgroup1", "cgroup2" };

	for (int i = 0; i < 4; i++) {
		if (!strcmp(word, words[i])) {
			kind = i;
			return;
		}
	}
	die("%s: no such kind of kernel", word);
}

int main(int argc, char **argv)
{
	const char *set = "";
	int opt;

	while ((opt = getopt(argc, argv, "k:s:o:d:q")) != -1) {
		switch (opt) {
		case 'k':
			set_kind(optarg);
			break;
		case 's':
			set = optarg;
			break;
		case 'o':
			only = optarg;
			break;
		case 'd':
			data_file = optarg;
			break;
		case 'q':
			quick = true;
			break;
		default:
			die("usage: bench -k KIND -s paths|groups|places|memory [-o PATTERN] [-d FILE] [-q]");
		}
	}
	if (!strcmp(set, "paths"))
		paths(sysconf(_SC_NPROCESSORS_ONLN));
	else if (!strcmp(set, "groups"))
		groups();
	else if (!strcmp(set, "places"))
		places();
	else if (!strcmp(set, "memory"))
		limits();
	else
		die("-s %s: not paths, groups, places or memory", set);
	puts("end");
	return 0;
}
