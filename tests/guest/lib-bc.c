// SPDX-License-Identifier: GPL-2.0-only
/* Verbs of the suites about beancounters; see lib-bc.h. */
#include "lib-bc.h"
#include "lib-users.h"

#include <dirent.h>
#include <fcntl.h>

#define ROOM 1000

/* The actor's. */
static int files[ROOM];
static unsigned int nr_files;

char *root, *a, *b;

void mount_bc(const char *path_of_b)
{
	root = mount_hierarchy("bc");
	a = at(root, "a");
	b = at(root, "%s", path_of_b);
	expect(make_dir(a), 0);
}

void mount_flat(void)
{
	mount_bc("a/b");
	expect(write_file(at(root, "bc.hierarchical"), "0"), 0);
	expect(make_dir(b), 0);
}

void remove_all(void)
{
	if (exists(b))
		expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

uint64_t amount(const char *container, const char *resource, const char *number)
{
	char *path = at(container, "bc.%s.%s", resource, number), *text = read_file(path);
	uint64_t value = strcmp(text, "max\n") ? read_u64(path) : UINT64_MAX;

	free(text);
	free(path);
	return value;
}

char *bounds(const char *file, const char *resource)
{
	char *text = read_file(file), *line;
	size_t len = strlen(resource);

	while ((line = strsep(&text, "\n")))
		if (!strncmp(line, resource, len) && line[len] == ' ')
			return line + len + 1;
	ck_abort_msg("%s has no line for %s", file, resource);
	return NULL;
}

void set_bounds(const char *container, unsigned long barrier, unsigned long limit)
{
	char text[64];

	snprintf(text, sizeof(text), "numfiles %lu %lu\n", barrier, limit);
	expect(write_file(at(container, "bc.set"), text), 0);
}

unsigned int descriptors(pid_t pid)
{
	DIR *dir = opendir(at("/proc", "%d/fd", pid));
	unsigned int n = 0;
	struct dirent *e;

	ck_assert_ptr_nonnull(dir);
	while ((e = readdir(dir)))
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

void open_files(struct actor *a)
{
	a->seed = 0;
	for (a->result = 0; a->result < a->arg; a->result++) {
		int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		if (fd < 0) {
			a->seed = errno;
			return;
		}
		ck_assert_uint_lt(nr_files, ROOM);
		files[nr_files++] = fd;
	}
}

void close_files(struct actor *a)
{
	for (; a->arg; a->arg--) {
		ck_assert_uint_gt(nr_files, 0);
		ck_assert_int_eq(close(files[--nr_files]), 0);
	}
}

static void nothing(struct actor *a)
{
	(void)a;
}

struct actor *quiet_actor_in(const char *container)
{
	struct actor *a = actor_in(container);

	/* it has told that it is there over a pipe, which it closes then */
	act(a, nothing, 0);
	return a;
}

void become_alice(struct actor *a)
{
	(void)a;
	become(ALICE);
}
