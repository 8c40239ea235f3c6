// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: pages that KSM has merged: whose they are, and whose the copies. Numbers are compared as in memory_kinds.
 * (uml-run --swap 256M) (jobs 1 4n2 1@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <sys/mman.h>
#include <sys/mount.h>

/* Pages of the same contents, for ksmd. */
static void make_alike(struct actor *a)
{
	a->pages = a->arg;
	a->mem = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	memset(a->mem, 0x5a, a->pages * PAGE);
	ck_assert_int_eq(madvise(a->mem, a->pages * PAGE, MADV_MERGEABLE), 0);
}

static unsigned long ksm(const char *file)
{
	return read_u64(at("/sys/kernel/mm/ksm", "%s", file));
}

static void set_ksm(const char *file, const char *value)
{
	expect(write_file(at("/sys/kernel/mm/ksm", "%s", file), value), 0);
}

static void make_ksm_fast(void)
{
	if (access("/sys/kernel/mm/ksm/run", F_OK))
		ck_assert_int_eq(mount("none", "/sys", "sysfs", 0, NULL), 0);
	set_ksm("sleep_millisecs", "5");
	set_ksm("pages_to_scan", "2000");
}

/* Until so many pages are those that KSM has merged, or the ones that stand for them: for at most max_page_sharing (256) each. */
static void have_merged(unsigned long pages)
{
	set_ksm("run", "1");
	eventually(ksm("pages_sharing") + ksm("pages_shared") >= pages, 30);
}

/*
 * A merged page stays charged to the one whose page it was; the others' pages are freed. Broken
 * up again, each copy is charged to who writes.
 */
TEST_LIMIT(merged_pages_are_charged_once, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before = anon_pages(a) + anon_pages(b);

	make_ksm_fast();
	act(x, make_alike, 200);
	act(y, make_alike, 200);
	near(anon_pages(a) + anon_pages(b) - before, 400);
	have_merged(400);
	set_ksm("run", "0");
	near(anon_pages(a) + anon_pages(b) - before, ksm("pages_shared"));
	check_accounting();
	act(y, release, 0);
	act(y, make_alike, 100);
	near(anon_pages(a) + anon_pages(b) - before, 101);
	check_accounting();
	dismiss(x);
	dismiss(y);
	eventually((drain_batches(), anon_pages(a) + anon_pages(b) == 0), 10);
	set_ksm("run", "2");
	set_ksm("run", "0");
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

static void stop_ksm(struct actor *a)
{
	(void)a;
	set_ksm("run", "2");
}

/* For the whole machine: then it is who stops it that makes the copies, and nobody is killed for these. */
TEST_LIMIT(copies_are_charged_to_who_stops_ksm, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	char *c = container_with(root, "c", NULL, "50");
	struct actor *x = actor_in(a), *y = actor_in(b), *z = actor_in(c);
	unsigned long of_a = anon_pages(a), of_b = anon_pages(b);

	make_ksm_fast();
	act(x, make_alike, 200);
	have_merged(200);
	near(anon_pages(a), of_a + 1);
	act(y, stop_ksm, 0);
	near(anon_pages(a), of_a);
	near(anon_pages(b), of_b + 200);
	check_accounting();
	/* the same of a container that has no room for them */
	act(x, release, 0);
	act(x, make_alike, 200);
	have_merged(200);
	near(anon_pages(a), of_a + 1);
	act(z, stop_ksm, 0);
	near(anon_pages(a), of_a);
	ck_assert_uint_gt(stat_of(c, "max_hits"), 0);
	ck_assert_uint_eq(stat_of(c, "ooms"), 0);
	/* the handler may be at them */
	eventually(resident(x) + swapped_out(x) == 200, 10);
	dismiss(x);
	dismiss(y);
	dismiss(z);
	set_ksm("run", "0");
	eventually((drain_batches(), anon_pages(a) + anon_pages(b) + anon_pages(c) == 0), 10);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(c), 0);
}
