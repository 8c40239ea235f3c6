// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: whom the kill at page_max takes, and that it is the right one. (uml-run --swap 128M) (jobs 1 4 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <sys/mman.h>

static void move(struct actor *a, const char *dir)
{
	expect(move_to(dir, a->pid), 0);
}

static void page_out(struct actor *a)
{
	ck_assert_int_eq(madvise(a->mem, a->pages * PAGE, MADV_PAGEOUT), 0);
}

static void lock(struct actor *a)
{
	touch(a);
	ck_assert_int_eq(mlock(a->mem, a->pages * PAGE), 0);
}

/*
 * Who moved in has far more than the container may have, in swap, and nothing that it is charged
 * for: its end would free nothing. The one whose pages they are has less.
 */
TEST_LIMIT(who_moved_in_is_spared_in_swap, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "500");
	struct actor *big = actor_in(root), *hog;

	act(big, touch, 2000);
	/* and not in the swap cache */
	eventually((drain_batches(), act(big, page_out, 0), swapped_out(big) == 2000), 20);
	move(big, a);
	hog = actor_in(a);
	act(hog, lock, 100);
	act_begin(hog, lock, 1000);
	expect_killed(hog);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_eq(swapped_out(big), 2000);
	move(big, root);
	act(big, check, 0);
	dismiss(big);
	expect(remove_dir(a), 0);
}

/*
 * The same in memory, without swap. The hog has less when page_max is passed, at 3 * unflushed_bound
 * (4 CPUs: 372) above it at the latest.
 */
TEST_LIMIT(who_moved_in_is_spared, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "500");
	struct actor *big, *hog;

	no_swap();
	big = actor_in(root);
	act(big, touch, 2000);
	move(big, a);
	hog = actor_in(a);
	act_begin(hog, touch, 1000);
	expect_killed(hog);
	eventually((drain_batches(), anon_pages(a) <= FEW), 10);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_eq(resident(big), 2000);
	act(big, check, 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	dismiss(big);
	expect(remove_dir(a), 0);
}
