// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset_memory: a container with nodes and a page_limit is reclaimed from on its own nodes
 * only, in one tree or in two. (uml-run --mem 512M --swap 384M) (jobs 4n4 4n4@debug)
 *
 * What reclaim writes to swap is counted by node (nr_vmscan_write), as soon as each CPU has
 * told (vm.stat_refresh); where pages are, move_pages(2) says. Linux itself has no reason to
 * write: each node has 128 MB, most of it free. So on nodes that are not the container's nothing
 * is written, not one page.
 */
#include "lib-memory.h"
#include "lib-memset.h"

#include <sys/syscall.h>

#define NODE(n) (1u << (n))
#define LIMIT 400UL
#define TOUCHED 1000UL
/* What an actor has besides: stack, data. */
#define OWN_PAGES 64

/* How many of an actor's pages are on each node; those in swap are nowhere. */
static void count_nodes(struct actor *a, unsigned long *on)
{
	void **address = malloc(a->pages * sizeof(*address));
	int *status = malloc(a->pages * sizeof(*status));

	for (unsigned long i = 0; i < a->pages; i++)
		address[i] = a->mem + i * PAGE;
	ck_assert_msg(!syscall(SYS_move_pages, a->pid, a->pages, address, NULL, status, 0),
		      "move_pages: %s", error_name(errno));
	memset(on, 0, 4 * sizeof(*on));
	for (unsigned long i = 0; i < a->pages; i++)
		if (status[i] >= 0)
			on[status[i]]++;
	free(address);
	free(status);
}

static void in_memory_on(struct actor *a, int node)
{
	unsigned long on[4];

	count_nodes(a, on);
	for (int i = 0; i < 4; i++)
		ck_assert_msg(i == node || !on[i], "%lu pages are on node %d, wanted on %d only",
			      on[i], i, node);
	ck_assert_uint_gt(on[node], 0);
}

static void all_in_memory_on(struct actor *a, int node)
{
	unsigned long on[4];

	in_memory_on(a, node);
	count_nodes(a, on);
	ck_assert_uint_eq(on[node], a->pages);
}

static void written(uint64_t *pages)
{
	/* any number will do */
	expect(write_file("/proc/sys/vm/stat_refresh", "1\n"), 0);
	for (int i = 0; i < 4; i++)
		pages[i] = read_field(at("/sys/devices/system/node", "node%d/vmstat", i), "nr_vmscan_write");
}

static unsigned long slack(const char *dir)
{
	return stat_of(dir, "unflushed_bound");
}

/* The handler has brought DIR below its limit: so it wrote all else of TOUCHED pages, on NODE. */
static void wrote_on(const char *dir, int node, const uint64_t *before)
{
	uint64_t after[4];

	eventually(anon_pages(dir) <= LIMIT + slack(dir), 10);
	written(after);
	ck_assert_uint_ge(after[node] - before[node], TOUCHED - LIMIT - slack(dir));
	for (int i = 0; i < 4; i++)
		ck_assert_msg(i == node || after[i] == before[i], "%lu pages of node %d were written",
			      (unsigned long)(after[i] - before[i]), i);
}

/* An actor with the nodes of one container and the limit of another, or of the same. */
static struct actor *actor_in_both(const char *nodes, const char *limit)
{
	struct actor *a = actor_in(nodes);

	/* nodes first: what is charged there then is of these nodes */
	if (limit != nodes)
		expect(move_to(limit, a->pid), 0);
	return a;
}

static void reclaim_stays_on_the_nodes(const char *limit, const char *nodes, const char *other)
{
	struct actor *next, *actor;
	uint64_t before[4];

	expect(set_mems(nodes, NODE(1)), 0);
	expect(set_mems(other, NODE(2)), 0);
	set_limit(limit, "400");
	next = actor_in(other);
	act(next, touch, TOUCHED / 4);
	all_in_memory_on(next, 2);
	actor = actor_in_both(nodes, limit);
	written(before);
	act(actor, touch, TOUCHED);
	wrote_on(limit, 1, before);
	in_memory_on(actor, 1);
	/* what comes back from swap does so on these nodes, and others go again */
	act(actor, check, 0);
	wrote_on(limit, 1, before);
	in_memory_on(actor, 1);
	/* the neighbour has lost nothing */
	all_in_memory_on(next, 2);
	ck_assert_uint_eq(swapped_out(next), 0);
	act(next, check, 0);
	dismiss(actor);
	dismiss(next);
}

TEST_LIMIT(a_limit_reclaims_on_the_own_nodes, 120)
{
	char *root = mount_hierarchy("memory,memset"), *a = container(root, "a"), *b = container(root, "b");

	reclaim_stays_on_the_nodes(a, a, b);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST_LIMIT(limit_and_nodes_from_two_trees, 120)
{
	char *limits = mount_hierarchy("memory"), *nodes = mount_hierarchy("memset");
	char *a = container(limits, "a"), *b = container(nodes, "b"), *c = container(nodes, "c");

	reclaim_stays_on_the_nodes(a, b, c);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(c), 0);
}

TEST_LIMIT(pages_that_follow_stay_charged, 120)
{
	char *root = mount_hierarchy("memory,memset"), *a = container(root, "a");
	unsigned long charged, now_charged;
	struct actor *actor;
	uint64_t before[4], after[4];

	expect(set_mems(a, NODE(1)), 0);
	expect(write_u64(at(a, "memset.memory_migrate"), 1), 0);
	actor = actor_in(a);
	act(actor, touch, TOUCHED);
	all_in_memory_on(actor, 1);
	charged = anon_pages(a);
	ck_assert_uint_ge(charged + slack(a), TOUCHED);
	expect(set_mems(a, NODE(3)), 0);
	all_in_memory_on(actor, 3);
	now_charged = anon_pages(a);
	ck_assert_uint_le(now_charged, charged + slack(a));
	ck_assert_uint_ge(now_charged + slack(a), charged);
	written(before);
	set_limit(a, "400");
	eventually(anon_pages(a) <= LIMIT + slack(a), 10);
	written(after);
	ck_assert_uint_ge(after[3] - before[3], TOUCHED - LIMIT - slack(a));
	/* a page of the actor's own that was in use may have stayed where it was */
	ck_assert_uint_le(after[1] - before[1], OWN_PAGES);
	ck_assert_uint_eq(after[0] - before[0], 0);
	ck_assert_uint_eq(after[2] - before[2], 0);
	in_memory_on(actor, 3);
	act(actor, check, 0);
	in_memory_on(actor, 3);
	dismiss(actor);
	expect(remove_dir(a), 0);
}
