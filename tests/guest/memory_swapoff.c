// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: swapoff beside a page_max; a suite of its own, as nothing has swap after it.
 * (uml-run --swap 256M) (jobs 1 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

/* swapoff brings in what is others' and holds their memory meanwhile: it waits for no room, and has nobody killed. */
TEST_LIMIT(max_does_not_stop_swapoff, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "250", "300");
	struct actor *actor = actor_in(a);

	/* what takes seconds to bring in, with the handler at work all the time for the page_limit */
	act(actor, touch, 5000);
	ck_assert_uint_gt(swapped_out(actor), 4500);
	no_swap();
	ck_assert_uint_eq(swapped_out(actor), 0);
	drain_batches();
	ck_assert_uint_ge(anon_pages(a), 5000);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	/* before it needs a page itself */
	expect(write_file(at(a, "memory.page_max"), "max"), 0);
	act(actor, check, 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}
