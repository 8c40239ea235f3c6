// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: a task far above page_limit sleeps on its way to user mode.
 */
#include "accounting.h"
#include "lib-memory.h"

/*
 * Whatever the clock does, a task that charges above 9/8 of the limit has slept. The
 * lower bound: of 1000 pages the last 500 are charged while usage is at least twice
 * the limit of 250, less 62 that may be pending: (438 - 281) / 250 * 50 ms = 31 ms or more
 * for a batch of 32, of which the first may have begun before.
 */
TEST_LIMIT(who_is_above_sleeps, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "250", NULL);
	char *b = container_with(root, "b", "500", NULL);
	struct actor *actor = actor_in(a), *under = actor_in(b);
	unsigned long batches = 500 / 32 - 1, slept;

	act(under, touch, 300);
	ck_assert_uint_eq(stat_of(b, "throttled_ns"), 0);
	act(actor, touch, 1000);
	ck_assert_uint_eq(resident(actor), 1000);
	slept = stat_of(a, "throttled_ns");
	ck_assert_msg(slept >= batches * 31000000UL, "slept %lu ns, wanted %lu batches of 31 ms", slept,
		      batches);
	dismiss(actor);
	dismiss(under);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}
