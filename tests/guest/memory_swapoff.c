// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: swapoff beside a page_max; a suite of its own, as nothing has swap after it.
 * (uml-run --swap 256M) (jobs 1 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A child that shares all its pages, in memory and in swap, until it is gone. */
static void be_two(struct actor *a)
{
	pid_t child = fork();

	if (child) {
		a->result = child > 0;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

/* swapoff brings in what is others' and holds their memory meanwhile: it waits for no room, and has nobody killed. */
TEST_LIMIT(max_does_not_stop_swapoff, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "250", "300");
	struct actor *actor = actor_in(a);
	uint64_t written;

	/* what takes seconds to bring in, with the handler at work all the time for the page_limit */
	act(actor, touch, 5000);
	ck_assert_uint_gt(swapped_out(actor), 4500);
	/* what two have stays in the swap cache from when swapoff has been at the one until it has been at the other */
	ck_assert(act(actor, be_two, 0));
	written = vmstat("pswpout") + vmstat("swpout_zero");
	no_swap();
	/* the handler leaves alone what comes back, else the two undo each other for ever if they meet */
	ck_assert_uint_eq(vmstat("pswpout") + vmstat("swpout_zero"), written);
	ck_assert_uint_eq(swapped_out(actor), 0);
	drain_batches();
	ck_assert_uint_ge(anon_pages(a), 5000);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	/* before it needs a page itself */
	expect(write_file(at(a, "memory.page_max"), "max"), 0);
	act(actor, check, 0);
	dismiss(actor);
	/* and its child is killed */
	eventually(!*read_file(at(a, "tasks")), 10);
	expect(remove_dir(a), 0);
}
