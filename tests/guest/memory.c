// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: who is charged, and when it ends. Counts are compared with pagemap,
 * smaps, kpageflags and mincore.
 *
 * Tolerance: numbers read from memory.* are exact; a process uses a few pages
 * (stack, C library data) besides those that a test asks for.
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

TEST(anon_is_what_is_resident)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	unsigned long before = anon_pages(a), rss;

	rss = read_field(at("/proc", "%d/smaps_rollup", actor->pid), "Anonymous");
	act(actor, touch, 1000);
	near(anon_pages(a) - before, 1000);
	near((long)(anon_pages(a) - before),
	     (long)(read_field(at("/proc", "%d/smaps_rollup", actor->pid), "Anonymous") - rss) / 4);
	ck_assert_uint_eq(resident(actor), 1000);
	act(actor, release, 0);
	near(anon_pages(a), before);
	act(actor, touch, 300);
	dismiss(actor);
	eventually(anon_pages(a) == 0, 10);
	expect(remove_dir(a), 0);
}

TEST(siblings_are_apart_and_parents_sum)
{
	char *root = mount_hierarchy("memory"), *p = container(root, "p");
	char *a = container(p, "a"), *b = container(p, "b");
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long xb = anon_pages(a), yb = anon_pages(b);

	act(x, touch, 700);
	near(anon_pages(a) - xb, 700);
	near(anon_pages(b), yb);
	act(y, touch, 300);
	near(anon_pages(b) - yb, 300);
	ck_assert_uint_eq(anon_pages(p), anon_pages(a) + anon_pages(b));
	dismiss(x);
	dismiss(y);
	eventually(anon_pages(p) == 0, 10);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(p), 0);
}

TEST(depth_does_not_lose_a_page)
{
	char *root = mount_hierarchy("memory"), *dir[8];
	struct actor *actor;
	unsigned long before;

	dir[0] = container(root, "d");
	for (int i = 1; i < 8; i++)
		dir[i] = container(dir[i - 1], "d");
	actor = actor_in(dir[7]);
	before = anon_pages(dir[0]);
	act(actor, touch, 333);
	near(anon_pages(dir[0]) - before, 333);
	for (int i = 1; i < 8; i++)
		ck_assert_uint_eq(anon_pages(dir[i]), anon_pages(dir[0]));
	dismiss(actor);
	eventually(anon_pages(dir[0]) == 0, 10);
	for (int i = 7; i >= 0; i--)
		expect(remove_dir(dir[i]), 0);
}

TEST(file_belongs_to_the_first_reader)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a"), *b = container(root, "b");
	char *data = make_data(make_disk(16), "data", 400);
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before, fb = file_pages(b);

	strcpy(x->path, data);
	strcpy(y->path, data);
	before = file_pages(a);
	act(x, read_whole, 1);
	near(file_pages(a) - before, 400);
	act(y, read_whole, 1);
	near(file_pages(b), fb);
	near(file_pages(a) - before, 400);
	ck_assert_uint_eq(cached_pages(data), 400);

	/* the last page leaves, and with it the owner */
	drop_cached(data);
	near(file_pages(a), before);
	act(y, read_whole, 1);
	near(file_pages(b) - fb, 400);
	act(x, read_whole, 1);
	near(file_pages(a), before);
	drop_cached(data);
	near(file_pages(b), fb);
	dismiss(x);
	dismiss(y);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(mapped_pages_are_those_in_page_tables)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	char *data = make_data(make_disk(16), "data", 200), *mapped = at(a, "memory.mapped_pages");
	struct actor *actor = actor_in(a);
	uint64_t before = read_u64(mapped), linux_before = vmstat("nr_mapped");

	strcpy(actor->path, data);
	act(actor, read_whole, 1);
	ck_assert_uint_eq(read_u64(mapped), before);
	act(actor, map_whole, 0);
	ck_assert_uint_eq(read_u64(mapped) - before, 200);
	near(vmstat("nr_mapped") - linux_before, 200);
	act(actor, release, 0);
	ck_assert_uint_eq(read_u64(mapped), before);
	dismiss(actor);
	drop_cached(data);
	expect(remove_dir(a), 0);
}

TEST(active_pages_are_those_on_active_lists)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	char *active = at(a, "memory.active_pages");
	struct actor *actor = actor_in(a);
	unsigned long before;

	act(actor, touch, 500);
	drain_batches();
	before = read_u64(active);
	ck_assert_uint_eq(count_flag(actor, KPF_ACTIVE), 0);
	act(actor, populate, 3);
	drain_batches();
	ck_assert_uint_eq(count_flag(actor, KPF_ACTIVE), 500);
	near(read_u64(active) - before, 500);
	act(actor, release, 0);
	near(read_u64(active), before);
	dismiss(actor);
	eventually(read_u64(active) == 0, 10);
	expect(remove_dir(a), 0);
}

/* Fork a process that enters CONTAINER and writes to the first PAGES of MEM. */
static pid_t fork_writer(const char *dir, char *mem, unsigned long pages)
{
	int wire[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(wire), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		enter(dir);
		for (unsigned long i = 0; i < pages; i++)
			mem[i * PAGE] = 8;
		if (write(wire[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	close(wire[1]);
	ck_assert_msg(read(wire[0], &byte, 1) == 1, "the forked writer died");
	close(wire[0]);
	return pid;
}

TEST(fork_shares_until_somebody_writes)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a"), *mem;
	unsigned long before;
	pid_t pid;

	mem = mmap(NULL, 400 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(mem, MAP_FAILED);
	memset(mem, 7, 400 * PAGE);
	before = anon_pages(root);
	pid = fork_writer(a, mem, 150);
	near(anon_pages(a), 150);
	near(anon_pages(root) - before, 150);
	ck_assert_int_eq(mem[0], 7);
	stop(pid);
	eventually(anon_pages(a) == 0, 10);
	near(anon_pages(root), before);
	munmap(mem, 400 * PAGE);
	expect(remove_dir(a), 0);
}

TEST(tmpfs_pages_belong_to_their_file)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a"), *b = container(root, "b");
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before = file_pages(a), fb = file_pages(b);

	strcpy(x->path, "/tmp/file");
	strcpy(y->path, "/tmp/file");
	act(x, write_whole, 300);
	ck_assert_uint_eq(file_pages(a) - before, 300);
	ck_assert_uint_eq(act(y, check_whole, 0), 300);
	/* a page fault is another way in */
	act(y, map_whole, 0);
	ck_assert_uint_eq(resident(y), 300);
	ck_assert_uint_eq(file_pages(a) - before, 300);
	near(file_pages(b), fb);
	act(y, release, 0);
	ck_assert_int_eq(unlink("/tmp/file"), 0);
	eventually(file_pages(a) == before, 10);
	dismiss(x);
	dismiss(y);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(rmdir_hands_files_to_the_parent)
{
	char *root = mount_hierarchy("memory"), *p = container(root, "p"), *a = container(p, "a");
	char *data = make_data(make_disk(16), "data", 400);
	struct actor *actor = actor_in(a);
	unsigned long before = file_pages(p);

	strcpy(actor->path, data);
	act(actor, read_whole, 1);
	near(file_pages(a), 400);
	dismiss(actor);
	near(file_pages(p) - before, 400);
	expect(remove_dir(a), 0);
	near(file_pages(p) - before, 400);
	/* and they are the parent's own: no state of the child is kept */
	eventually(no_dying("memory"), 10);
	drop_cached(data);
	near(file_pages(p), before);
	expect(remove_dir(p), 0);
}

TEST(rmdir_leaves_anonymous_pages_charged)
{
	char *root = mount_hierarchy("memory"), *p = container(root, "p"), *a = container(p, "a");
	struct actor *actor = actor_in(a);

	act(actor, touch, 500);
	expect(move_to(p, actor->pid), 0);
	expect(remove_dir(a), 0);
	near(anon_pages(p), 500);
	ck_assert(!no_dying("memory"));
	/* the name can be used again and starts at zero */
	expect(make_dir(a), 0);
	ck_assert_uint_eq(anon_pages(a), 0);
	act(actor, check, 0);
	dismiss(actor);
	eventually(anon_pages(p) == 0, 10);
	eventually(no_dying("memory"), 10);
	expect(remove_dir(a), 0);
	expect(remove_dir(p), 0);
}

TEST(pages_stay_where_they_were_charged)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a"), *b = container(root, "b");
	struct actor *actor = actor_in(a);
	unsigned long bb = anon_pages(b);

	act(actor, touch, 400);
	expect(move_to(b, actor->pid), 0);
	near(anon_pages(a), 400);
	near(anon_pages(b), bb);
	act(actor, release, 0);
	near(anon_pages(a), 0);
	act(actor, touch, 200);
	near(anon_pages(b) - bb, 200);
	dismiss(actor);
	eventually(anon_pages(a) + anon_pages(b) == 0, 10);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* Every second page goes, so that compaction has pages to move. */
static void punch(struct actor *a)
{
	for (unsigned long i = 0; i < a->pages; i += 2)
		ck_assert_int_eq(madvise(a->mem + i * PAGE, PAGE, MADV_DONTNEED), 0);
}

static void check_odd(struct actor *a)
{
	for (unsigned long i = 1; i < a->pages; i += 2) {
		unsigned long *page = (unsigned long *)(a->mem + i * PAGE);

		ck_assert_uint_eq(page[5], a->seed * 0x9e3779b97f4a7c15UL + i * PAGE + 5);
	}
}

/*
 * Compaction fills free pages at the high end of memory. Those that punch() gave back
 * lie on the CPU's own list, where it finds none, unless that list is kept short.
 */
TEST(migration_moves_the_charge)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	unsigned long before, moved = 0;
	uint64_t *was, *is;

	expect(write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "1000"), 0);
	act(actor, touch, 8000);
	act(actor, punch, 0);
	before = anon_pages(a);
	near(before, 4000);
	was = frames_of(actor);
	for (int i = 0; i < 5 && moved < 100; i++) {
		drain_batches();
		is = frames_of(actor);
		moved = 0;
		for (unsigned long p = 0; p < actor->pages; p++)
			moved += was[p] && is[p] && was[p] != is[p];
		free(is);
	}
	ck_assert_msg(moved >= 100, "compaction moved %lu of %lu pages", moved, before);
	ck_assert_uint_eq(anon_pages(a), before);
	act(actor, check_odd, 0);
	dismiss(actor);
	eventually(anon_pages(a) == 0, 10);
	expect(remove_dir(a), 0);
	expect(write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "0"), 0);
	free(was);
}

TEST(bad_input_changes_nothing)
{
	static const struct {
		const char *text;
		int err;
	} limits[] = {
		{ "abc\n", EINVAL }, { "-1\n", EINVAL }, { "+1\n", EINVAL }, { "+1K\n", EINVAL }, { "1.5\n", EINVAL }, { "1X\n", EINVAL },
		{ "K\n", EINVAL }, { "10 20\n", EINVAL }, { "maximum\n", EINVAL },
		{ "99999999999999999999\n", ERANGE }, { "99999999999999999T\n", ERANGE },
		/* less than a page, which is not no limit at all */
		{ "1k\n", ERANGE }, { "3K\n", ERANGE },
	};
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	char *limit = at(a, "memory.page_limit"), *policy = at(a, "memory.overlimit"), *big;
	static const char * const readonly[] = { "anon_pages", "file_pages", "mapped_pages",
						 "active_pages", "page_limit_hits", "stat" };

	ck_assert_str_eq(read_file(limit), "max\n");
	ck_assert_str_eq(read_file(policy), "reclaim\n");
	expect(write_file(limit, "16M\n"), 0);
	ck_assert_str_eq(read_file(limit), "4096\n");
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		int got = write_file(limit, limits[i].text);

		ck_assert_msg(got == limits[i].err, "page_limit %s: got %s, wanted %s",
			      limits[i].text, error_name(got), error_name(limits[i].err));
		ck_assert_str_eq(read_file(limit), "4096\n");
	}
	ck_assert_ptr_ne(strstr(read_file(at(a, "why")), "less than a page"), NULL);
	expect(write_file(at(a, "memory.page_max"), "1k"), ERANGE);
	ck_assert_str_eq(read_file(at(a, "memory.page_max")), "max\n");
	big = malloc(8192);
	memset(big, '1', 8191);
	big[8191] = 0;
	expect(write_file(limit, big), E2BIG);
	expect(write_file(policy, big), E2BIG);
	expect(write_file(policy, "kill\n"), EINVAL);
	expect(write_file(policy, "reclai\n"), EINVAL);
	ck_assert_str_eq(read_file(limit), "4096\n");
	ck_assert_str_eq(read_file(policy), "reclaim\n");
	for (size_t i = 0; i < sizeof(readonly) / sizeof(readonly[0]); i++)
		ck_assert_int_ne(write_file(at(a, "memory.%s", readonly[i]), "0\n"), 0);
	expect(write_file(limit, "max\n"), 0);
	expect(write_file(policy, "deactivate\n"), 0);
	ck_assert_str_eq(read_file(policy), "deactivate\n");
	/* the root has numbers, and no limit */
	ck_assert(exists(at(root, "memory.anon_pages")));
	ck_assert(!exists(at(root, "memory.page_limit")));
	expect(remove_dir(a), 0);
}

TEST(many_files_come_and_go)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	char *disk = make_disk(24), *dir = at(disk, "tree");
	unsigned long before = file_pages(a);

	expect(make_dir(dir), 0);
	for (int i = 0; i < 200; i++) {
		snprintf(actor->path, sizeof(actor->path), "%s/%d", dir, i);
		act(actor, write_whole, 1 + i % 7);
	}
	ck_assert_uint_ge(file_pages(a) - before, 700);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(unlink(at(dir, "%d", i)), 0);
	near(file_pages(a), before);
	dismiss(actor);
	expect(remove_dir(dir), 0);
	expect(unmount(disk), 0);
	expect(remove_dir(a), 0);
}
