// SPDX-License-Identifier: GPL-2.0-only
/*
 * The job disk. Read with O_DIRECT only: the runner changes the ring behind the guest's
 * back, so a page cache would
 * go stale, and reading stdin must not fill the memory that is being measured.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "init.h"

static const char disk_name[] = "/mnt/dev/" JOIN_DEV_JOB;

int job_open(struct guest *g)
{
	g->disk = open(disk_name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (g->disk < 0) {
		printf("uml-init: no job disk: /dev/" JOIN_DEV_JOB ": %s (boot with uml-run)\n",
		       strerror(errno));
		return -1;
	}
	unlink(disk_name);
	return 0;
}

static void *blocks(size_t len)
{
	void *p = NULL;

	if (posix_memalign(&p, JOIN_BLOCK, len))
		return NULL;
	return p;
}

static void read_at(struct guest *g, char *p, size_t len, off_t at)
{
	while (len) {
		ssize_t n = pread(g->disk, p, len, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die(g, 125, "reading the job disk at %lld: %s", (long long)at,
			    n ? strerror(errno) : "it ends there");
		p += n;
		at += n;
		len -= n;
	}
}

static char *next_string(char **p, char *end)
{
	char *s = *p, *nul = memchr(s, 0, end - s);

	if (!nul)
		return NULL;
	*p = nul + 1;
	return s;
}

static char **next_strings(char **p, char *end, unsigned int count)
{
	char **v = calloc(count + 1, sizeof(*v));

	for (unsigned int i = 0; v && i < count; i++) {
		v[i] = next_string(p, end);
		if (!v[i])
			return NULL;
	}
	return v;
}

void job_read(struct guest *g)
{
	struct job *j = &g->job;
	char *block = blocks(JOIN_BLOCK), *text, *p, *end;
	size_t len;

	if (!block)
		die(g, 125, "no memory to read the job: give the guest more with --mem");
	read_at(g, block, JOIN_BLOCK, 0);
	memcpy(&j->head, block, sizeof(j->head));
	free(block);
	if (j->head.magic != JOIN_MAGIC || j->head.version != JOIN_VERSION)
		die(g, 125, "uml-init and uml-run are of different builds: run make tools");
	len = (j->head.text_len + JOIN_BLOCK - 1) / JOIN_BLOCK * JOIN_BLOCK;
	text = blocks(len);
	if (!text)
		die(g, 125, "no memory for %zu bytes of arguments: more with --mem", len);
	read_at(g, text, len, JOIN_BLOCK);
	p = text;
	end = text + j->head.text_len;
	j->container = next_string(&p, end);
	j->page_limit = next_string(&p, end);
	j->cpuset = next_string(&p, end);
	j->memset = next_string(&p, end);
	j->files = next_string(&p, end);
	j->tasks = next_string(&p, end);
	j->cwd = next_string(&p, end);
	j->root = next_string(&p, end);
	j->argv = next_strings(&p, end, j->head.argc);
	j->envp = next_strings(&p, end, j->head.envc);
	if (!j->argv || !j->envp || !j->head.argc)
		die(g, 125, "the job disk is damaged");
}

/*
 * Bytes of stdin: reads the blocks that hold @at into @block (JOIN_MAX + 2 blocks, aligned).
 * Return: how many of at->len bytes, from *start on.
 */
int job_ring_read(struct guest *g, const struct join_ring *at, char *block, char **start)
{
	off_t from = (off_t)g->job.head.ring_offset + at->offset;
	off_t first = from / JOIN_BLOCK * JOIN_BLOCK;
	size_t len = at->len < JOIN_MAX ? at->len : JOIN_MAX;
	size_t whole = (from + len - first + JOIN_BLOCK - 1) / JOIN_BLOCK * JOIN_BLOCK;

	read_at(g, block, whole, first);
	*start = block + (from - first);
	return len;
}
