// SPDX-License-Identifier: GPL-2.0-only
/* Verbs of the suites about memset; see lib-memset.h. */
#include "lib-memset.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define BITS 64UL	/* of a mask, an unsigned long */

unsigned int all_nodes(void)
{
	return (1u << nr_nodes()) - 1;
}

int set_mems(const char *container, unsigned int nodes)
{
	char *path = at(container, "memset.mems"), *text;
	int err;

	ck_assert_int_gt(asprintf(&text, "%s\n", cpus_text(nodes)), 0);
	err = write_file(path, text);
	free(text);
	free(path);
	return err;
}

unsigned int get_mems(const char *container)
{
	return cpus_of_text(read_file(at(container, "memset.mems")));
}

unsigned int allowed(pid_t tid)
{
	char *path = at("/proc", "%d/status", tid), *status, *line;
	unsigned int nodes = 0;

	if (!try_read(path, &status)) {
		line = strstr(status, "Mems_allowed_list:\t");
		ck_assert_ptr_nonnull(line);
		line = strchr(line, '\t') + 1;
		nodes = cpus_of_text(strsep(&line, "\n"));
		free(status);
	}
	free(path);
	return nodes;
}

void has_nodes(pid_t pid, unsigned int nodes)
{
	ck_assert_msg(allowed(pid) == nodes, "%d has nodes %s, wanted %s", pid,
		      cpus_text(allowed(pid)), cpus_text(nodes));
}

static void find_pages(pid_t pid, char *mem, int *status)
{
	void *addresses[PAGES];

	for (int i = 0; i < PAGES; i++)
		addresses[i] = mem + i * PAGE;
	ck_assert_msg(!syscall(SYS_move_pages, pid, (unsigned long)PAGES, addresses, NULL, status, 0),
		      "move_pages: %s", error_name(errno));
}

unsigned int nodes_of_pages(pid_t pid, char *mem)
{
	unsigned int nodes = 0;
	int status[PAGES];

	find_pages(pid, mem, status);
	for (int i = 0; i < PAGES; i++)
		if (status[i] >= 0)
			nodes |= 1u << status[i];
	return nodes;
}

unsigned int pages_on(pid_t pid, char *mem, int node)
{
	unsigned int n = 0;
	int status[PAGES];

	find_pages(pid, mem, status);
	for (int i = 0; i < PAGES; i++)
		n += status[i] == node;
	return n;
}

unsigned int policy_of_region(pid_t pid, char *mem)
{
	char *text = read_file(at("/proc", "%d/numa_maps", pid)), start[40], *line, *nodes;
	unsigned int mask = 0;

	snprintf(start, sizeof(start), "%lx ", (unsigned long)mem);
	line = strstr(text, start);
	ck_assert_msg(line, "no region %s in numa_maps of %d", start, pid);
	line += strlen(start);
	line[strcspn(line, " \n")] = 0;
	nodes = strrchr(line, ':');
	if (nodes)
		mask = cpus_of_text(nodes + 1);
	free(text);
	return mask;
}

static void fill(char *mem)
{
	madvise(mem, PAGES * PAGE, MADV_DONTNEED);
	for (unsigned long i = 0; i < PAGES; i++)
		*(volatile unsigned long *)(mem + i * PAGE) = i + 1;
}

static bool is_filled(const char *mem)
{
	for (unsigned long i = 0; i < PAGES; i++)
		if (*(volatile unsigned long *)(mem + i * PAGE) != i + 1)
			return false;
	return true;
}

static int do_command(struct holder *h, char command)
{
	char *mem = h->mem[h->region];
	int mode;

	switch (command) {
	case 'f':
		fill(mem);
		return 0;
	case 'c':
		return is_filled(mem) ? 0 : EUCLEAN;
	case 'p':
		return syscall(SYS_set_mempolicy, h->mode, &h->nodes, BITS + 1) ? errno : 0;
	case 'b':
		return syscall(SYS_mbind, mem, PAGES * PAGE, h->mode, &h->nodes, BITS + 1, 0) ? errno : 0;
	case 'g':
		return syscall(SYS_get_mempolicy, &mode, &h->nodes, BITS + 1, NULL, 0) ? errno : 0;
	default:
		h->nodes = sleeper();
		return 0;
	}
}

static void serve(void *arg)
{
	struct holder *h = arg;
	char command;

	while (read(h->ordered, &command, 1) == 1) {
		h->result = do_command(h, command);
		if (write(h->did, "", 1) != 1)
			abort();
	}
}

static int tell(struct holder *h, char command)
{
	char byte;

	ck_assert_int_eq(write(h->order, &command, 1), 1);
	ck_assert_msg(read(h->done, &byte, 1) == 1, "process %d has ended", h->pid);
	return h->result;
}

struct holder *holder_in(const char *container)
{
	struct holder *h = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int order[2], done[2];

	ck_assert_ptr_ne(h, MAP_FAILED);
	ck_assert_int_eq(pipe(order) || pipe(done), 0);
	for (int i = 0; i < 2; i++) {
		/* a page that is not there keeps them two regions */
		h->mem[i] = mmap(NULL, (PAGES + 1) * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(h->mem[i], MAP_FAILED);
		ck_assert_int_eq(mprotect(h->mem[i] + PAGES * PAGE, PAGE, PROT_NONE), 0);
	}
	h->order = order[1];
	h->ordered = order[0];
	h->done = done[0];
	h->did = done[1];
	h->pid = start_in(container, serve, h);
	return h;
}

int hold(struct holder *h, int region)
{
	h->region = region;
	return tell(h, 'f');
}

int hold_policy(struct holder *h, int mode, unsigned int nodes)
{
	h->mode = mode;
	h->nodes = nodes;
	return tell(h, 'p');
}

int hold_bind(struct holder *h, int region, int mode, unsigned int nodes)
{
	h->region = region;
	h->mode = mode;
	h->nodes = nodes;
	return tell(h, 'b');
}

void held(struct holder *h, int region)
{
	h->region = region;
	expect(tell(h, 'c'), 0);
}

unsigned int held_policy(struct holder *h)
{
	expect(tell(h, 'g'), 0);
	return h->nodes;
}

pid_t hold_fork(struct holder *h)
{
	expect(tell(h, 'k'), 0);
	return h->nodes;
}

void holder_end(struct holder *h)
{
	stop(h->pid);
	close(h->order);
	close(h->ordered);
	close(h->done);
	close(h->did);
}
