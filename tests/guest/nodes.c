// SPDX-License-Identifier: GPL-2.0-only
/*
 * nodes: numa=fake=N makes N nodes, each with memory, a zone, reclaim and CPUs of its own,
 * and what Linux offers for placing pages places them (arch/um/kernel/numa.c).
 * (uml-run --mem 512M --swap 256M) (jobs 1 3n2 2n8 4n4@debug)
 *
 * The doors: where a page is, move_pages(2) says without moving it; the CPU and
 * node of a task, getcpu(2); what a policy did, numa_maps and the counters of
 * each node. How many nodes there must be is on the kernel's command line.
 * Job 1 has no numa= there: one node, and everything else holds all the same.
 */
#include "lib-cpuset.h"

#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <linux/mempolicy.h>

#define PAGE 4096UL
#define MAX_NODES 8
#define BITS 64UL	/* of a mask, an unsigned long */
/* pages of most regions: a multiple of the number of nodes */
#define PAGES 64

#define NODES "/sys/devices/system/node"

/* A string that is put together. */
#define str(...) (at("", __VA_ARGS__) + 1)

/* How many the command line asks for. */
static unsigned long read_mask(const char *path)
{
	return cpus_of_text(read_file(path));
}

static unsigned long all_nodes(void)
{
	return (1UL << nr_nodes()) - 1;
}

static char *node_file(int node, const char *name)
{
	return at(NODES, "node%d/%s", node, name);
}

static unsigned long node_cpus(int node)
{
	return read_mask(node_file(node, "cpulist"));
}

static uint64_t node_stat(int node, const char *field)
{
	return read_field(node_file(node, "vmstat"), field);
}

/* Kilobytes, of lines like "Node 0 MemFree:  1234 kB". */
static uint64_t node_meminfo(int node, const char *field)
{
	char *text = read_file(node_file(node, "meminfo")), *line = strstr(text, field);
	uint64_t kb;

	ck_assert_msg(line, "no %s in node%d/meminfo", field, node);
	kb = strtoull(line + strlen(field) + 1, NULL, 10);
	free(text);
	return kb;
}

static char *map_pages(unsigned long pages)
{
	char *mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	return mem;
}

static void fill(char *mem, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		*(unsigned long *)(mem + i * PAGE) = i + 1;
}

static void expect_filled(const char *mem, unsigned long pages)
{
	for (unsigned long i = 0; i < pages; i++)
		ck_assert_uint_eq(*(volatile unsigned long *)(mem + i * PAGE), i + 1);
}

/* How many of the pages, at most PAGES, of process PID (0: this one) are on the node. */
static unsigned long pages_on(pid_t pid, char *mem, unsigned long pages, int node)
{
	void *addresses[PAGES];
	int status[PAGES];
	unsigned long n = 0;

	for (unsigned long i = 0; i < pages; i++)
		addresses[i] = mem + i * PAGE;
	ck_assert_msg(!syscall(SYS_move_pages, pid, pages, addresses, NULL, status, 0),
		      "move_pages: %s", error_name(errno));
	for (unsigned long i = 0; i < pages; i++)
		n += status[i] == node;
	return n;
}

static int bind_pages(char *mem, unsigned long pages, int mode, unsigned long nodes)
{
	return syscall(SYS_mbind, mem, pages * PAGE, mode, &nodes, BITS + 1, 0) ? errno : 0;
}

static int set_policy(int mode, unsigned long nodes)
{
	return syscall(SYS_set_mempolicy, mode, &nodes, BITS + 1) ? errno : 0;
}

static void go_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	ck_assert_msg(!sched_setaffinity(0, sizeof(set), &set), "CPU %d: %s", cpu, error_name(errno));
}

/* The words of the region that starts at MEM, e.g. "7f... bind:1 anon=64 dirty=64 N1=64". */
static char *numa_maps_of(const char *mem)
{
	char *text = read_file("/proc/self/numa_maps"), start[40], *line;

	snprintf(start, sizeof(start), "%lx ", (unsigned long)mem);
	line = strstr(text, start);
	ck_assert_msg(line, "no region %s in numa_maps", start);
	line[strcspn(line, "\n")] = 0;
	return line;
}

static void expect_words(const char *line, const char *policy, int node, unsigned long pages)
{
	char *on = str("N%d=%lu", node, pages);
	char *where = strstr(line, on);

	ck_assert_msg(strstr(line, policy), "numa_maps: wanted %s in: %s", policy, line);
	ck_assert_msg(where && !isdigit(where[strlen(on)]), "numa_maps: wanted %s in: %s", on, line);
}

TEST(as_many_as_asked_for)
{
	int n = nr_nodes();

	ck_assert_uint_eq(read_mask(NODES "/online"), all_nodes());
	ck_assert_uint_eq(read_mask(NODES "/possible"), all_nodes());
	ck_assert_uint_eq(read_mask(NODES "/has_memory"), all_nodes());
	for (int i = 0; i < n; i++)
		ck_assert(exists(node_file(i, "meminfo")));
	ck_assert(!exists(node_file(n, "meminfo")));
}

/* First page and number of pages of a node's zone, from /proc/zoneinfo. */
static void zone_of(int node, uint64_t *start, uint64_t *spanned)
{
	char *head = str("Node %d, zone   Normal", node), *text = read_file("/proc/zoneinfo");
	char *zone, *line;

	zone = strstr(text, head);
	ck_assert_msg(zone, "no \"%s\" in zoneinfo", head);
	line = strstr(zone, " spanned ");
	ck_assert_ptr_nonnull(line);
	*spanned = strtoull(line + strlen(" spanned "), NULL, 10);
	line = strstr(zone, "start_pfn:");
	ck_assert_ptr_nonnull(line);
	*start = strtoull(line + strlen("start_pfn:"), NULL, 10);
	free(text);
}

/* All memory, without a hole; each has at least an equal share, down to a multiple of 32 MB. */
TEST(memory_is_shared_out)
{
	uint64_t start[MAX_NODES], spanned[MAX_NODES], sum = 0, unit = 8192, kb = 0;
	int n = nr_nodes();

	for (int i = 0; i < n; i++) {
		zone_of(i, &start[i], &spanned[i]);
		sum += spanned[i];
		kb += node_meminfo(i, "MemTotal:");
		if (i)
			ck_assert_uint_eq(start[i], start[i - 1] + spanned[i - 1]);
	}
	for (int i = 0; i < n; i++)
		ck_assert_uint_ge(spanned[i], sum / n / unit * unit);
	ck_assert_uint_eq(kb, read_field("/proc/meminfo", "MemTotal"));
}

/* CPU i of n is on node i * nodes / n; the node's list, the link of the CPU and getcpu(2) agree. */
TEST(cpus_are_shared_out)
{
	unsigned long seen = 0, with_cpus = 0;
	int n = nr_nodes(), cpus = get_nprocs_conf();

	for (int node = 0; node < n; node++) {
		unsigned long mask = node_cpus(node);

		ck_assert_uint_eq(mask & seen, 0);
		seen |= mask;
		with_cpus |= mask ? 1UL << node : 0;
	}
	ck_assert_uint_eq(seen, (1UL << cpus) - 1);
	ck_assert_uint_eq(read_mask(NODES "/has_cpu"), with_cpus);
	for (int i = 0; i < cpus; i++) {
		unsigned int cpu, node;

		go_to(i);
		ck_assert_int_eq(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
		ck_assert_uint_eq(cpu, i);
		ck_assert_uint_eq(node, i * n / cpus);
		ck_assert_uint_eq(node_cpus(node) >> i & 1, 1);
		ck_assert(exists(at("/sys/devices/system/cpu", "cpu%d/node%u", i, node)));
	}
}

TEST(others_are_farther_away)
{
	for (int node = 0; node < nr_nodes(); node++) {
		char *row = read_file(node_file(node, "distance"));

		for (int to = 0; to < nr_nodes(); to++)
			ck_assert_int_eq(strtol(row, &row, 10), to == node ? 10 : 20);
	}
}

TEST(mbind_places)
{
	for (int node = 0; node < nr_nodes(); node++) {
		char *mem = map_pages(PAGES);

		expect(bind_pages(mem, PAGES, MPOL_BIND, 1UL << node), 0);
		fill(mem, PAGES);
		ck_assert_uint_eq(pages_on(0, mem, PAGES, node), PAGES);
		expect_words(numa_maps_of(mem), str("bind:%d", node), node, PAGES);
	}
}

TEST(mbind_interleaves)
{
	char *mem = map_pages(PAGES);
	int n = nr_nodes();

	expect(bind_pages(mem, PAGES, MPOL_INTERLEAVE, all_nodes()), 0);
	fill(mem, PAGES);
	for (int node = 0; node < n; node++) {
		ck_assert_uint_eq(pages_on(0, mem, PAGES, node), PAGES / n);
		expect_words(numa_maps_of(mem), "interleave:", node, PAGES / n);
	}
}

static void fill_on(void *arg)
{
	char *mem = map_pages(PAGES);
	int node = *(int *)arg;

	fill(mem, PAGES);
	ck_assert_uint_eq(pages_on(0, mem, PAGES, node), PAGES);
}

/* The process's policy, and that of its child. */
TEST(set_mempolicy_places)
{
	for (int node = 0; node < nr_nodes(); node++) {
		expect(set_policy(MPOL_BIND, 1UL << node), 0);
		fill_on(&node);
		finish(start(fill_on, &node));
		expect(set_policy(MPOL_DEFAULT, 0), 0);
	}
}

/* Without a policy a page comes from the node of the CPU that touches it; so say its counters. */
TEST(first_touch_is_local)
{
	for (int cpu = 0; cpu < get_nprocs_conf(); cpu++) {
		int node = cpu * nr_nodes() / get_nprocs_conf();
		char *mem = map_pages(PAGES);
		uint64_t before;

		go_to(cpu);
		before = node_stat(node, "numa_local");
		fill(mem, PAGES);
		ck_assert_uint_eq(pages_on(0, mem, PAGES, node), PAGES);
		ck_assert_uint_ge(node_stat(node, "numa_local"), before + PAGES);
	}
}

/* Of this process, page by page, to where TO says; again for those that were in use just then. */
static void move(char *mem, const int *to)
{
	void *addresses[PAGES];
	int status[PAGES], busy = 1;
	double end = now() + 10;

	for (int i = 0; i < PAGES; i++)
		addresses[i] = mem + i * PAGE;
	while (busy && now() < end) {
		busy = 0;
		ck_assert_int_ge(syscall(SYS_move_pages, 0, (unsigned long)PAGES, addresses, to, status,
					 MPOL_MF_MOVE), 0);
		for (int i = 0; i < PAGES; i++)
			busy += status[i] != to[i];
	}
	ck_assert_int_eq(busy, 0);
}

TEST(move_pages_moves)
{
	char *mem = map_pages(PAGES);
	int n = nr_nodes(), to[PAGES];

	expect(bind_pages(mem, PAGES, MPOL_PREFERRED, 1), 0);
	fill(mem, PAGES);
	for (int turn = 0; turn < 3; turn++) {
		for (int i = 0; i < PAGES; i++)
			to[i] = (i / 2 + turn) % n;
		move(mem, to);
		for (int node = 0; node < n; node++)
			ck_assert_uint_eq(pages_on(0, mem, PAGES, node), PAGES / n);
		for (int i = 0; i < PAGES; i++)
			ck_assert_uint_eq(pages_on(0, mem + i * PAGE, 1, to[i]), 1);
		expect_filled(mem, PAGES);
	}
}

struct moved {
	char *mem;
	volatile bool filled, go_on;
};

static void fill_and_wait(void *arg)
{
	struct moved *m = arg;

	expect(set_policy(MPOL_PREFERRED, 1), 0);
	fill(m->mem, PAGES);
	m->filled = true;
	while (!m->go_on)
		usleep(1000);
	expect_filled(m->mem, PAGES);
}

/* A whole process, from outside; what it wrote comes along. */
TEST(migrate_pages_moves)
{
	struct moved *m = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long from = 1, to;
	int last = nr_nodes() - 1;
	pid_t pid;

	to = 1UL << last;
	m->mem = map_pages(PAGES);
	pid = start(fill_and_wait, m);
	eventually(m->filled, 10);
	ck_assert_uint_eq(pages_on(pid, m->mem, PAGES, 0), PAGES);
	/* a page that was in use just then stays: again */
	eventually(syscall(SYS_migrate_pages, pid, BITS + 1, &from, &to) >= 0 &&
		   pages_on(pid, m->mem, PAGES, last) == PAGES, 10);
	m->go_on = true;
	finish(pid);
}

TEST(no_such_node)
{
	char *mem = map_pages(1);
	void *address = mem;
	int node = nr_nodes(), status;

	fill(mem, 1);
	expect(bind_pages(mem, 1, MPOL_BIND, 1UL << node), EINVAL);
	expect(set_policy(MPOL_BIND, 1UL << node), EINVAL);
	ck_assert_int_eq(syscall(SYS_move_pages, 0, 1UL, &address, &node, &status, MPOL_MF_MOVE), -1);
	ck_assert_int_eq(errno, ENODEV);
}

static bool runs(const char *name)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	bool found = false;

	while (!found && (e = readdir(proc))) {
		char *comm;

		if (!isdigit(e->d_name[0]) || try_read(at("/proc", "%s/comm", e->d_name), &comm))
			continue;
		comm[strcspn(comm, "\n")] = 0;
		found = !strcmp(comm, name);
		free(comm);
	}
	closedir(proc);
	return found;
}

TEST(each_has_a_kswapd)
{
	for (int node = 0; node < nr_nodes(); node++)
		ck_assert_msg(runs(str("kswapd%d", node)), "no kswapd%d", node);
	ck_assert(!runs(str("kswapd%d", nr_nodes())));
}

static uint64_t stolen(int node)
{
	return node_stat(node, "pgsteal_kswapd") + node_stat(node, "pgsteal_direct");
}

/*
 * A process bound to the last node takes 4096 pages more than are free there: at least half of
 * them must come from reclaim on that node, by its kswapd too. The others have memory to spare
 * and are asked for next to nothing: what little they may reclaim is not a tenth of that. What
 * it wrote first is what is paged out first; looking at more of it would page out the rest in turn.
 */
TEST_LIMIT(each_reclaims_for_itself, 60)
{
	int n = nr_nodes(), node = n - 1;
	uint64_t before[MAX_NODES], kswapd = node_stat(node, "pgsteal_kswapd"), others = 0;
	unsigned long pages = node_meminfo(node, "MemFree:") / 4 + 4096;
	char *mem = map_pages(pages);

	/* with one node there are no others, and it is what the suite smp does */
	if (n == 1)
		return;
	for (int i = 0; i < n; i++)
		before[i] = stolen(i);
	expect(bind_pages(mem, pages, MPOL_BIND, 1UL << node), 0);
	fill(mem, PAGES);
	expect(madvise(mem, pages * PAGE, MADV_POPULATE_WRITE) ? errno : 0, 0);
	for (int i = 0; i < node; i++)
		others += stolen(i) - before[i];
	ck_assert_uint_ge(stolen(node) - before[node], 2048);
	ck_assert_uint_le(others, 204);
	/* it was woken; when it runs at last, less is free than it wants */
	eventually(node_stat(node, "pgsteal_kswapd") > kswapd, 10);
	expect_filled(mem, PAGES);
}

/* What a command of Debian's prints. */
static char *output_of(const char *command)
{
	FILE *f = popen(command, "r");
	static char text[65536];
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	text[n] = 0;
	ck_assert_msg(!pclose(f) && n, "%s: failed; cure where it is missing: apt-get install numactl",
		      command);
	return text;
}

TEST(numactl_sees_the_nodes)
{
	char *text = output_of("numactl --hardware");

	ck_assert_msg(strstr(text, str("available: %d nodes", nr_nodes())),
		      "numactl --hardware: %s", text);
	for (int node = 0; node < nr_nodes(); node++)
		ck_assert_ptr_nonnull(strstr(text, str("node %d size: ", node)));
}

TEST(numactl_binds)
{
	for (int node = 0; node < nr_nodes(); node++) {
		char *text = output_of(str("numactl --membind=%d cat /proc/self/numa_maps", node));
		char *bind = str(" bind:%d", node);

		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			ck_assert_msg(strstr(line, bind), "wanted %s in: %s", bind, line);
		if (!node_cpus(node))
			continue;
		text = output_of(str("numactl --cpunodebind=%d grep Cpus_allowed_list /proc/self/status", node));
		text = strchr(text, '\t');
		ck_assert_ptr_nonnull(text);
		ck_assert_str_eq(text + 1, read_file(node_file(node, "cpulist")));
	}
}
