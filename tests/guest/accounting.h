/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is the accounting of memory exact? A suite that includes this after lib.h has that asked after
 * each of its tests, in kernels of flavour debug: what all pages say is compared with the
 * counters of all containers, dead ones too.
 *
 * container_memory/owners (mm/container/owners.c) is both at one moment, with the machine stopped,
 * so the first comparison has no tolerance and no second try, whoever runs meanwhile. Each
 * page is also compared with what Linux says of it: a page on the LRU is charged to somebody,
 * a free one to nobody, anonymous ones count as such, active ones as active.
 *
 * That the control files say what the counters are can be seen only before and after that moment, so
 * they are compared when both readings agree, and again when not, as long as something is moving; a
 * page that comes and one that goes may hide behind equal readings, so a difference has to stay.
 */
#ifndef TESTS_GUEST_ACCOUNTING_H
#define TESTS_GUEST_ACCOUNTING_H

#include "lib.h"

#include <fcntl.h>
#include <sys/mount.h>

/* Of /proc/kpageflags. */
#define ACC_LRU (1ULL << 5)
#define ACC_ACTIVE (1ULL << 6)
#define ACC_ANON (1ULL << 12)
#define ACC_SWAPBACKED (1ULL << 14)
/* slab, free, hugetlbfs, offline, page table */
#define ACC_KERNELS (1ULL << 7 | 1ULL << 10 | 1ULL << 17 | 1ULL << 23 | 1ULL << 26)

enum { ACC_ANON_PAGES, ACC_FILE_PAGES, ACC_MAPPED_PAGES, ACC_ACTIVE_PAGES, ACC_FILES, ACC_NUMBERS };
static const char *const acc_names[ACC_NUMBERS] = { "anon_pages", "file_pages", "mapped_pages",
						    "active_pages", "num_files" };

struct acc_state {
	uint64_t serial, parent;
	long counter[ACC_NUMBERS];
	long walked[ACC_NUMBERS];	/* of its pages, and those of all below */
	long before[ACC_NUMBERS], after[ACC_NUMBERS];	/* its control files */
	const char *path;
};

struct acc_page {
	uint64_t pfn, nr, state, mapped, flags, mapping;
	bool charged, file, active;
};

/* A look. */
static struct acc {
	char *text;
	struct acc_state *state;
	int nr_states;
	struct acc_page *page;
	int nr_pages;
} acc;

static void acc_free(struct acc *look)
{
	free(look->text);
	free(look->state);
	free(look->page);
}

static struct acc_state *acc_find(uint64_t serial)
{
	int low = 0, high = acc.nr_states;

	while (low < high) {
		int mid = (low + high) / 2;

		if (acc.state[mid].serial < serial)
			low = mid + 1;
		else
			high = mid;
	}
	return low < acc.nr_states && acc.state[low].serial == serial ? &acc.state[low] : NULL;
}

static void acc_parse_state(char *line)
{
	struct acc_state *state = &acc.state[acc.nr_states++];

	memset(state, 0, sizeof(*state));
	state->serial = strtoull(line, &line, 10);
	state->parent = strtoull(line, &line, 10);
	for (int i = 0; i < ACC_NUMBERS; i++)
		state->counter[i] = strtol(line, &line, 10);
	state->path = line + 1;
}

static void acc_parse_page(char *line)
{
	struct acc_page *page = &acc.page[acc.nr_pages++];

	page->pfn = strtoull(line, &line, 10);
	page->nr = strtoull(line, &line, 10);
	page->state = strtoull(line, &line, 10);
	line++;
	page->charged = *line != '-';
	page->file = *line++ == 'f';
	page->active = *line == '+';
	line += page->active;
	page->mapped = strtoull(line, &line, 10);
	page->flags = strtoull(line, &line, 16);
	page->mapping = strtoull(line, &line, 16);
}

/* Lines of an open file; the text stays. */
static void acc_parse(int fd)
{
	size_t room = 1 << 20, have = 0, lines = 0;
	char *text = malloc(room), *line;
	ssize_t got;

	while ((got = read(fd, text + have, room - have - 1)) > 0) {
		have += got;
		if (room - have < 1 << 16)
			text = realloc(text, room *= 2);
	}
	ck_assert_msg(got == 0, "container_memory/owners: %s", error_name(errno));
	text[have] = 0;
	for (size_t i = 0; i < have; i++)
		lines += text[i] == '\n';
	acc_free(&acc);
	acc.text = text;
	acc.state = malloc(lines * sizeof(*acc.state));
	acc.page = malloc(lines * sizeof(*acc.page));
	acc.nr_states = acc.nr_pages = 0;
	while ((line = strsep(&text, "\n")) && *line) {
		if (!strncmp(line, "state ", 6))
			acc_parse_state(line + 6);
		else if (!strncmp(line, "page ", 5))
			acc_parse_page(line + 5);
		else
			ck_abort_msg("container_memory/owners has a line \"%s\"", line);
	}
	ck_assert_int_gt(acc.nr_states, 0);
	ck_assert_int_gt(acc.nr_pages, 0);
}

/* Does what Linux says of a page fit whom it is charged to? */
static void acc_page_is_right(const struct acc_page *page)
{
	const char *wrong = NULL;

	if (!page->charged)
		wrong = page->flags & ACC_LRU ? "is on the LRU and charged to nobody" : NULL;
	else if (!page->state)
		wrong = "is charged to a file that nobody owns";
	else if (page->flags & ACC_KERNELS)
		wrong = "is free, or the kernel's own, and charged";
	else if (page->flags & ACC_ANON && page->file)
		wrong = "is anonymous and counts as a file's";
	else if (page->flags & ACC_LRU && !(page->flags & (ACC_ANON | ACC_SWAPBACKED)) && !page->file)
		wrong = "is a file's and counts as anonymous";
	else if (page->active != ((page->flags & (ACC_LRU | ACC_ACTIVE)) == (ACC_LRU | ACC_ACTIVE)))
		wrong = page->active ? "counts as active and is not" : "is active and does not count as such";
	ck_assert_msg(!wrong, "page frame %lu (flags %lx, state %lu) %s", (unsigned long)page->pfn,
		      (unsigned long)page->flags, (unsigned long)page->state, wrong);
}

static int acc_by_mapping(const void *a, const void *b)
{
	uint64_t x = ((const struct acc_page *)a)->mapping, y = ((const struct acc_page *)b)->mapping;

	return x < y ? -1 : x > y;
}

static void acc_add(struct acc_state *state, int number, long nr)
{
	for (; state; state = state->parent ? acc_find(state->parent) : NULL)
		state->walked[number] += nr;
}

static void acc_walk(void)
{
	uint64_t mapping = 0;

	qsort(acc.page, acc.nr_pages, sizeof(*acc.page), acc_by_mapping);
	for (int i = 0; i < acc.nr_pages; i++) {
		const struct acc_page *page = &acc.page[i];
		struct acc_state *state = acc_find(page->state);

		acc_page_is_right(page);
		if (!page->charged)
			continue;
		ck_assert_msg(state, "page frame %lu is charged to state %lu, which is not there",
			      (unsigned long)page->pfn, (unsigned long)page->state);
		acc_add(state, page->file ? ACC_FILE_PAGES : ACC_ANON_PAGES, page->nr);
		if (page->file)
			acc_add(state, ACC_MAPPED_PAGES, page->mapped);
		if (page->active)
			acc_add(state, ACC_ACTIVE_PAGES, page->nr);
		if (page->mapping && page->mapping != mapping)
			acc_add(state, ACC_FILES, 1);
		mapping = page->mapping;
	}
}

/* Before, and after, the look; false when a container has no such file. */
static bool acc_read_files(const char *root, bool after)
{
	const char *prefix = exists(at(root, "memory.anon_pages")) ? "memory." : "";

	for (int s = 0; s < acc.nr_states; s++) {
		struct acc_state *state = &acc.state[s];
		long *to = after ? state->after : state->before;

		for (int i = 0; state->path[0] == '/' && i < ACC_NUMBERS; i++) {
			char *file = at(root, "%s/%s%s", state->path, prefix, acc_names[i]), *text;

			if (try_read(file, &text))
				return false;
			to[i] = strtol(text, NULL, 10);
			free(text);
			free(file);
		}
	}
	return true;
}

/* The moment is when it is opened; acc_take() reads what was then. */
static int acc_open(void)
{
	int fd = open("/tmp/accounting/container_memory/owners", O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "container_memory/owners: %s", error_name(errno));
	return fd;
}

/* All pages must be what is counted. */
static void acc_take(int fd)
{
	acc_parse(fd);
	close(fd);
	acc_walk();
	for (int s = 0; s < acc.nr_states; s++) {
		struct acc_state *state = &acc.state[s];

		for (int i = 0; i < ACC_NUMBERS; i++)
			ck_assert_msg(state->counter[i] == state->walked[i],
				      "%s of %s (state %lu) is %ld, and its pages are %ld",
				      acc_names[i], state->path, (unsigned long)state->serial,
				      state->counter[i], state->walked[i]);
	}
}

/* The first control file around OLD's moment that does not say what the kernel counted then, in words. */
static const char *acc_compare(const struct acc *old)
{
	static char why[512];

	for (int s = 0; s < old->nr_states; s++) {
		const struct acc_state *files = &old->state[s], *kernel = &acc.state[s];

		if (files->serial != kernel->serial)
			return "containers come and go";
		for (int i = 0; files->path[0] == '/' && i < ACC_NUMBERS; i++) {
			if (files->before[i] == files->after[i] &&
			    files->before[i] == kernel->counter[i])
				continue;
			snprintf(why, sizeof(why), "%s/memory.%s is %ld, and then %ld, where the kernel counts %ld",
				 files->path, acc_names[i], files->before[i], files->after[i],
				 kernel->counter[i]);
			return why;
		}
	}
	return NULL;
}

/* Reads the files of the containers of the last look, and takes one in between. */
static const char *acc_files_differ(const char *root)
{
	bool there = acc_read_files(root, false);
	int fd = acc_open();
	struct acc old;
	const char *why;

	there = there && acc_read_files(root, true);
	old = acc;
	memset(&acc, 0, sizeof(acc));
	acc_take(fd);
	why = there && old.nr_states == acc.nr_states ? acc_compare(&old) : "containers come and go";
	acc_free(&old);
	return why;
}

/* Fails with the first thing that is wrong. Returns false in a kernel that cannot say. */
static bool __attribute__((unused)) check_accounting(void)
{
	double end = now() + 5 * lib_slow;
	struct hierarchy_row bound;
	const char *why;
	char *root;

	make_dir("/tmp/accounting");
	if (mount("none", "/tmp/accounting", "debugfs", 0, NULL))
		return false;
	if (!exists("/tmp/accounting/container_memory/owners")) {
		umount("/tmp/accounting");
		return false;
	}
	acc_take(acc_open());
	bound = hierarchy_of("memory");
	if (bound.subsystems[0]) {
		root = mount_hierarchy(bound.subsystems);
		while ((why = acc_files_differ(root))) {
			ck_assert_msg(now() < end, "%s, for %g s", why, 5 * lib_slow);
			usleep(10000);
		}
		expect(unmount(root), 0);
	}
	ck_assert_int_eq(umount("/tmp/accounting"), 0);
	return true;
}

#undef TEST_FOR
#define TEST_FOR(id, limit, cpus, nodes)					\
	static void id(int loop);						\
	static void id##_and_accounting(int loop)				\
	{									\
		id(loop);							\
		check_accounting();						\
	}									\
	TEST_AS(id, id##_and_accounting, true, limit, cpus, nodes)

#endif /* TESTS_GUEST_ACCOUNTING_H */
