// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: in a file of one container a page that is charged to another: there was no memory to note whose the file
 * is when it came. (jobs 1@debug): fault injection is not in the other kernels.
 */
#include "accounting.h"
#include "lib-memory.h"
#include "lib-nomem.h"

#include <fcntl.h>
#include <sys/mman.h>

#define FILES 60
#define PAGES 40UL

static char *disk, *dir_a, *dir_b;

/* Its first page, and no more, with the ARGth allocation failing. */
static void read_first(struct actor *a)
{
	char first[PAGE];
	int fd = open(a->path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	fail_allocation(a->arg);
	a->result = pread(fd, first, PAGE, 0) == PAGE;
	allocations_to_go();
	close(fd);
}

static bool has_first(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *mem = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	unsigned char there = 0;

	ck_assert_ptr_ne(mem, MAP_FAILED);
	ck_assert_int_eq(mincore(mem, PAGE, &there), 0);
	munmap(mem, PAGE);
	close(fd);
	return there & 1;
}

/* Files that nobody knows since they were mounted, so that whose they are has to be noted anew. */
static void make_files(void)
{
	disk = make_disk(32);
	for (int i = 1; i < FILES; i++)
		make_data(disk, at("", "%d", i) + 1, PAGES);
	make_data(disk, "other", 1000);
	expect(unmount(disk), 0);
	ck_assert_int_eq(system("mount -o loop /tmp/disk.img /tmp/disk"), 0);
}

/* One whose first page is B's, and of which B has no mapping: the name. */
static char *file_with_page_of(struct actor *b)
{
	set_up_failslab();
	for (int nth = 1; nth < FILES; nth++) {
		char *file = at(disk, "%d", nth);

		strcpy(b->path, file);
		if (act(b, read_first, nth) && cached_pages(file) == 1 && !lists(dir_b, at("", "1 %s", file) + 1)) {
			printf("# the page with allocation %d is charged directly\n", nth);
			return file;
		}
	}
	ck_abort_msg("each first page was charged to a mapping");
	return NULL;
}

/* All other pages of it are A's, whose handler drops them. */
TEST_LIMIT(page_of_another_is_not_dropped, 120)
{
	char *root = mount_memory(), *file;
	struct actor *a, *b;
	unsigned long before;

	dir_a = container(root, "a");
	dir_b = container(root, "b");
	a = actor_in(dir_a);
	b = actor_in(dir_b);
	make_files();
	file = file_with_page_of(b);
	drain_batches();
	before = file_pages(dir_b);
	read_as(a, file);
	ck_assert_uint_eq(cached_pages(file), PAGES);
	ck_assert(lists(dir_a, at("", "%lu %s", PAGES - 1, file) + 1));
	set_limit(dir_a, "100");
	/* a lap, and another */
	for (int i = 0; i < 10 && cached_pages(file) > 1; i++)
		read_as(a, at(disk, "other"));
	read_as(a, at(disk, "other"));
	read_as(a, at(disk, "other"));
	ck_assert_msg(has_first(file), "the page of the other container is gone");
	ck_assert_uint_eq(cached_pages(file), 1);
	drain_batches();
	ck_assert_uint_eq(file_pages(dir_b), before);
	ck_assert_uint_gt(stat_of(dir_a, "invalidated"), 1000);
	dismiss(a);
	dismiss(b);
	expect(unmount(disk), 0);
	eventually(!remove_dir(dir_a), 5);
	eventually(!remove_dir(dir_b), 5);
}
