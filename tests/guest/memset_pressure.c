// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset: memory_pressure, and reclaim that stays on the nodes of a container.
 * (uml-run --mem 512M --swap 384M) (jobs 4n4 4n4@debug)
 */
#include "lib-memset.h"

#include <sys/mman.h>

#define NODE(n) (1u << (n))
#define CHUNK 256UL	/* pages */

static uint64_t stalls(void)
{
	return vmstat("allocstall_normal") + vmstat("allocstall_movable");
}

static uint64_t reclaimed(int node)
{
	char *file = at("/sys/devices/system/node", "node%d/vmstat", node);

	return read_field(file, "pgsteal_kswapd") + read_field(file, "pgsteal_direct");
}

static uint64_t free_pages(int node)
{
	return read_field(at("/sys/devices/system/node", "node%d/vmstat", node), "nr_free_pages");
}

/* By the kernel, as if they were written. */
static void take_pages(char *mem, unsigned long pages)
{
	expect(madvise(mem, pages * PAGE, MADV_POPULATE_WRITE) ? errno : 0, 0);
}

/*
 * Takes more than its node holds, until it has had to reclaim by itself: at the latest when kswapd,
 * which must write each page out, has not kept up with half a node more, taken without a pause.
 */
static void fill_node(void *unused)
{
	unsigned long pages = free_pages(3), most = pages + pages / 2;
	uint64_t before = stalls();
	char *mem = mmap(NULL, most * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)unused;
	ck_assert_ptr_ne(mem, MAP_FAILED);
	take_pages(mem, pages);
	for (; pages + CHUNK <= most && stalls() == before; pages += CHUNK)
		take_pages(mem + pages * PAGE, CHUNK);
	ck_assert_msg(stalls() > before, "%lu pages on a node, and nobody had to reclaim", pages);
}

TEST_LIMIT(pressure_is_counted_where_it_is, 60)
{
	char *root = mount_hierarchy("memset"), *a = at(root, "a"), *b = at(root, "b");
	uint64_t others = 0, its_own = reclaimed(3);

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(set_mems(a, NODE(3)), 0);
	expect(set_mems(b, NODE(1)), 0);
	for (int node = 0; node < 3; node++)
		others += reclaimed(node);
	finish(start_in(a, fill_node, NULL));
	/* nobody has asked */
	ck_assert_uint_eq(read_u64(at(a, "memset.memory_pressure")), 0);
	expect(write_u64(at(root, "memset.memory_pressure_enabled"), 1), 0);
	ck_assert_uint_eq(read_u64(at(a, "memset.memory_pressure")), 0);
	finish(start_in(a, fill_node, NULL));
	/* at the end of the second */
	eventually(read_u64(at(a, "memset.memory_pressure")) > 0, 5);
	ck_assert_uint_eq(read_u64(at(b, "memset.memory_pressure")), 0);
	/*
	 * Other nodes have free memory. What the kernel needs to write pages out may come from
	 * them and wake their kswapd; that is by the page that is written, so a part of what node 3 gave.
	 */
	for (int node = 0; node < 3; node++)
		others -= reclaimed(node);
	its_own = reclaimed(3) - its_own;
	printf("# %llu pages of node 3 reclaimed, %llu of others\n", (unsigned long long)its_own,
	       (unsigned long long)-others);
	ck_assert_uint_gt(its_own, 0);
	ck_assert_uint_le(-others, its_own / 10);
	expect(write_u64(at(root, "memset.memory_pressure_enabled"), 0), 0);
	ck_assert_uint_eq(read_u64(at(a, "memset.memory_pressure")), 0);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}
