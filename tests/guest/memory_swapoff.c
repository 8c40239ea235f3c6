// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: who is let in at page_max: the kernel's threads, and swapoff; a suite of its own, as nothing has swap after it.
 * (uml-run --swap 256M) (jobs 1 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Pages of a file on a disk whose image is a file of A's. */
#define ON_LOOP 1500

/*
 * Who writes to A's file is a kernel thread here, the loop device's, and serves a file system that others wait for: it is
 * let in, and waits for nothing. The handler works all the same, and A comes back to what it may have.
 */
TEST_LIMIT(kernel_threads_are_let_in, 120)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	char *disk = make_disk(16);
	struct actor *actor = actor_in(b);

	expect(write_file(at(a, "memory.addfile"), "/tmp/disk.img"), 0);
	expect(write_file(at(a, "memory.page_max"), "300"), 0);
	strcpy(actor->path, at(disk, "data"));
	act(actor, write_whole, ON_LOOP);
	sync();
	ck_assert_uint_gt(stat_of(a, "max_hits"), 0);
	eventually(anon_pages(a) + file_pages(a) <= 300 + 3 * stat_of(a, "unflushed_bound"), 30);
	drop_cached(actor->path);
	ck_assert_uint_eq(act(actor, check_whole, 0), ON_LOOP);
	eventually(anon_pages(a) + file_pages(a) <= 300 + 3 * stat_of(a, "unflushed_bound"), 30);
	ck_assert_uint_eq(stat_of(a, "ooms") + stat_of(b, "ooms"), 0);
	ck_assert_uint_eq(stat_of(b, "throttled_ns"), 0);
	dismiss(actor);
	expect(unmount(disk), 0);
	ck_assert_int_eq(unlink("/tmp/disk.img"), 0);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

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
	/* but for what can be in memory: mm/container/max.c */
	ck_assert_uint_ge(swapped_out(actor), 5000 - 300 - 3 * stat_of(a, "unflushed_bound") - FEW);
	/* what two have stays in the swap cache from when swapoff has been at the one until it has been at the other */
	ck_assert(act(actor, be_two, 0));
	handler_rests(a);
	eventually(!read_field("/proc/meminfo", "Writeback"), 20);
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
