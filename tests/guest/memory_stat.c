// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.stat: what the handler says that it did, against what Linux counts and mincore(2) shows. Others read
 * the same files meanwhile.
 * (uml-run --swap 64M) (jobs 1 4 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>

/* Each page of the file, without pages that nobody asked for. */
static void read_single(struct actor *a)
{
	static char page[PAGE];
	int fd = open(a->path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	for (unsigned long i = 0; pread(fd, page, PAGE, i * PAGE) == PAGE; i++)
		;
	close(fd);
}

#define PAGES 6000UL

/*
 * Every page of a file is read once: those that have left are those that the handler dropped, or Linux's reclaim
 * for it. While it drops some others come.
 */
TEST_LIMIT(each_page_that_left_is_counted, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", "1000", NULL);
	char *data = make_data(make_disk(32), "data", PAGES);
	struct actor *actor = actor_in(a);
	unsigned long counted;

	strcpy(actor->path, data);
	act(actor, read_single, 0);
	/* that a worker does nothing can be the host's doing, too */
	eventually((handler_rests(a), cached_pages(data) < 1000 + stat_of(a, "unflushed_bound")), 20);
	counted = stat_of(a, "invalidated") + stat_of(a, "reclaimed") - stat_of(a, "swapped");
	printf("# %lu pages of %lu are in memory, %lu are counted\n", cached_pages(data), PAGES, counted);
	near(counted + cached_pages(data), PAGES);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/*
 * A file that is mapped and active stays active, and is not counted, however often the handler comes by; one
 * that is dirty and active does not.
 */
TEST_LIMIT(deactivated_is_what_linux_counts, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", "1500", NULL), *disk = make_disk(32);
	char *data = make_data(disk, "data", 5000);
	struct actor *mapper = actor_in(a), *writer = actor_in(a), *reader = actor_in(a);
	unsigned long linuxs;

	strcpy(mapper->path, make_data(disk, "mapped", 300));
	act(mapper, read_whole, 3);
	act(mapper, map_whole, 0);
	strcpy(writer->path, at(disk, "dirty"));
	act(writer, write_whole, 200);
	act(writer, read_whole, 3);
	drain_batches();
	ck_assert_uint_eq(count_flag(mapper, KPF_ACTIVE), 300);
	linuxs = vmstat("pgdeactivate");
	/* as long as one reads a big file, the handler drops what he has read: the other files' turn is at its end */
	for (int i = 0; i < 10 && !stat_of(a, "deactivated"); i++)
		read_as(reader, data);
	read_as(reader, data);
	handler_rests(a);
	drain_batches();
	linuxs = vmstat("pgdeactivate") - linuxs;
	printf("# %lu pages are counted, Linux has %lu; %lu of 300 are active\n", stat_of(a, "deactivated"), linuxs,
	       count_flag(mapper, KPF_ACTIVE));
	ck_assert_uint_gt(stat_of(a, "invalidated"), 3000);
	ck_assert_uint_eq(stat_of(a, "deactivated"), linuxs);
	ck_assert_uint_gt(linuxs, 100);
	ck_assert_uint_eq(count_flag(mapper, KPF_ACTIVE), 300);
	dismiss(reader);
	dismiss(writer);
	dismiss(mapper);
	expect(remove_dir(a), 0);
}

/* Dropping leaves no note, so what comes back is no refault: memory.md says so. */
TEST_LIMIT(what_is_dropped_is_no_refault, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", "1000", NULL);
	char *data = make_data(make_disk(32), "data", 1500);
	struct actor *actor = actor_in(a);

	strcpy(actor->path, data);
	for (int i = 0; i < 3; i++)
		act(actor, read_single, 0);
	handler_rests(a);
	ck_assert_uint_gt(stat_of(a, "invalidated"), 2000);
	ck_assert_uint_le(stat_of(a, "refaults"), FEW);
	dismiss(actor);
	expect(remove_dir(a), 0);
}
