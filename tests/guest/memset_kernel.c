// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset: what the kernel allocates for a task when the task's nodes are as good as empty.
 * (uml-run --mem 512M) (jobs 4n4 4n4@debug)
 *
 * Node 3 is filled with memory that cannot be reclaimed, there being no swap, until it is
 * between its watermarks "min" and "low", which this suite sets far apart. There the allocator
 * looks at the other nodes that it is allowed, the nearest to the CPU first, and
 * at node 3 it takes what is above "min". So with a task on CPU 0, which is near node 0,
 *
 *   page tables (GFP_KERNEL) come from the first node of the nearest container with
 *   mem_exclusive, or from node 0 where nobody but the root has it;
 *   what signals need (GFP_ATOMIC) comes from node 0, whoever has mem_exclusive.
 *
 * Both are counted by node. Others allocate meanwhile, too, but not half as much.
 */
#include "lib-memset.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define NODE(n) (1u << (n))

/* Shared with a task that fills its node, and does what it is told. */
static struct work {
	atomic_int order;	/* a letter, 0 when it is done */
} *work;

/* One field of the zone with memory in a node, as /proc/zoneinfo has it: in pages. */
static unsigned long zone_field(int node, const char *field)
{
	char *text = read_file("/proc/zoneinfo"), start[40], *zone, *line;
	unsigned long value = 0;

	snprintf(start, sizeof(start), "Node %d, zone   Normal", node);
	zone = strstr(text, start);
	ck_assert_msg(zone, "no \"%s\" in /proc/zoneinfo", start);
	line = strstr(zone, field);
	ck_assert_msg(line, "no \"%s\" of node %d in /proc/zoneinfo", field, node);
	value = strtoul(line + strlen(field), NULL, 10);
	free(text);
	return value;
}

static unsigned long free_pages(void)
{
	expect(write_file("/proc/sys/vm/stat_refresh", "1\n"), 0);
	return zone_field(3, "pages free ");
}

/* The middle of what is between the two. */
static unsigned long enough(void)
{
	return (zone_field(3, "  min ") + zone_field(3, "  low ")) / 2;
}

static void count(const char *field, uint64_t *pages)
{
	expect(write_file("/proc/sys/vm/stat_refresh", "1\n"), 0);
	for (int node = 0; node < 4; node++)
		pages[node] = read_field(at("/sys/devices/system/node", "node%d/vmstat", node), field);
}

/* Page tables without pages: what is only read is the one page of zeroes. */
#define TABLES 200UL
#define COVERS (512 * PAGE)

static void make_tables(void)
{
	char *mem = mmap(NULL, TABLES * COVERS, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);

	if (mem == MAP_FAILED)
		abort();
	for (unsigned long i = 0; i < TABLES; i++)
		if (*(volatile char *)(mem + i * COVERS))
			abort();
}

/* 80 bytes each, or more: 117 pages. */
#define SIGNALS 6000

static void send_signals(void)
{
	/* of all tries */
	struct rlimit most = { SIGNALS * 20, SIGNALS * 20 };
	union sigval value = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) || setrlimit(RLIMIT_SIGPENDING, &most))
		abort();
	for (int i = 0; i < SIGNALS; i++)
		if (sigqueue(getpid(), SIGRTMIN, value))
			abort();
}

/* By halves, as what a CPU keeps for itself is counted later. */
static void fill(void)
{
	unsigned long free, size;
	char *mem;

	while ((free = free_pages()) > enough()) {
		size = (free - enough() + 1) / 2 * PAGE;
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED || madvise(mem, size, MADV_POPULATE_WRITE))
			abort();
	}
}

static void serve(void *unused)
{
	(void)unused;
	for (;;) {
		switch (atomic_load(&work->order)) {
		case 'f':
			fill();
			break;
		case 't':
			make_tables();
			break;
		case 's':
			send_signals();
			break;
		default:
			usleep(1000);
			continue;
		}
		atomic_store(&work->order, 0);
	}
}

static void tell(char order)
{
	atomic_store(&work->order, order);
	eventually(!atomic_load(&work->order), 40);
}

/*
 * What each node gave of @field while the task did @order and its node was between its
 * watermarks all the time, or it is done once more: kswapd may still have found something.
 */
static void measure(char order, const char *field, int64_t *got)
{
	uint64_t before[4], after[4];
	int tries = 10;

	do {
		ck_assert_msg(tries--, "node 3 does not stay filled: %lu pages free, %lu to %lu wanted",
			      free_pages(), zone_field(3, "  min "), zone_field(3, "  low "));
		tell('f');
		count(field, before);
		tell(order);
		count(field, after);
	} while (free_pages() >= zone_field(3, "  low ") || free_pages() <= zone_field(3, "  min "));
	for (int node = 0; node < 4; node++)
		got[node] = after[node] - before[node];
	printf("# %s by node: %lld %lld %lld %lld\n", field, (long long)got[0], (long long)got[1],
	       (long long)got[2], (long long)got[3]);
}

/* The tables of the task, all of them, and on no other node so many. */
static void tables_come_from(int node)
{
	int64_t got[4];

	measure('t', "nr_page_table_pages", got);
	for (int i = 0; i < 4; i++) {
		if (i == node)
			ck_assert_int_ge(got[i], (int64_t)TABLES / 2);
		else
			ck_assert_int_lt(got[i], (int64_t)TABLES / 4);
	}
}

TEST_LIMIT(what_the_kernel_takes_elsewhere, 120)
{
	char *root = mount_hierarchy("memset"), *a = at(root, "a"), *b = at(root, "a/b");
	char *factor = read_file("/proc/sys/vm/watermark_scale_factor");
	char *boost = read_file("/proc/sys/vm/watermark_boost_factor");
	int64_t got[4];
	pid_t pid;

	work = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(work, MAP_FAILED);
	expect(write_file("/proc/sys/vm/drop_caches", "3\n"), 0);
	/* a tenth of the node: 12 MB */
	expect(write_file("/proc/sys/vm/watermark_scale_factor", "1000\n"), 0);
	/*
	 * Or "min" rises by 4 MB when a page table takes the first page of a block that others have: the task, filled up to
	 * less than that, was killed for want of memory in its node.
	 */
	expect(write_file("/proc/sys/vm/watermark_boost_factor", "0\n"), 0);
	ck_assert_uint_gt(zone_field(3, "  low ") - zone_field(3, "  min "), 8 * TABLES);
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(set_mems(a, NODE(2) | NODE(3)), 0);
	expect(set_mems(b, NODE(3)), 0);
	pid = start_in(b, serve, NULL);
	expect(set_affinity(pid, 1u << 0), 0);
	/* what it takes to look is taken from another node */
	expect(set_affinity(0, 1u << 1), 0);

	tables_come_from(0);
	expect(write_u64(at(a, "memset.mem_exclusive"), 1), 0);
	tables_come_from(2);
	expect(write_u64(at(b, "memset.mem_exclusive"), 1), 0);
	tables_come_from(3);
	measure('s', "nr_slab_unreclaimable", got);
	ck_assert_int_ge(got[0], 60);
	ck_assert_int_lt(got[3], 30);

	stop(pid);
	expect(write_file("/proc/sys/vm/watermark_scale_factor", factor), 0);
	expect(write_file("/proc/sys/vm/watermark_boost_factor", boost), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}
