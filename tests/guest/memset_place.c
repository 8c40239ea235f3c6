// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset: where memory is, and what becomes of it and of policies when nodes
 * change and tasks move. (jobs 4n4 4n4@debug)
 *
 * CPU i of the four is on node i.
 */
#include "lib-memset.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define NODE(n) (1u << (n))

static char *root, *a, *b;

/* /a and /b, with these nodes. */
static void make_pair(unsigned int nodes_a, unsigned int nodes_b)
{
	root = mount_hierarchy("memset");
	a = at(root, "a");
	b = at(root, "b");
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(set_mems(a, nodes_a), 0);
	expect(set_mems(b, nodes_b), 0);
}

static void remove_pair(void)
{
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

static int set_migrate(const char *container, int value)
{
	return write_u64(at(container, "memset.memory_migrate"), value);
}

#define all_on(h, region, node) \
	ck_assert_uint_eq(pages_on((h)->pid, (h)->mem[region], node), PAGES)

/* Whatever CPU it is that touches them. */
TEST(allocations_stay_inside)
{
	static const unsigned int sets[] = { NODE(0), NODE(1), NODE(2), NODE(3), NODE(0) | NODE(3),
					     NODE(1) | NODE(2), NODE(1) | NODE(2) | NODE(3) };
	struct holder *h;

	make_pair(all_nodes(), all_nodes());
	h = holder_in(a);
	for (int i = 0; i < 7; i++) {
		expect(set_mems(a, sets[i]), 0);
		for (int cpu = 0; cpu < 4; cpu++) {
			unsigned int nodes;

			expect(set_affinity(h->pid, 1u << cpu), 0);
			expect(hold(h, 0), 0);
			nodes = nodes_of_pages(h->pid, h->mem[0]);
			ck_assert_msg(nodes && !(nodes & ~sets[i]), "pages are on %s, wanted on %s",
				      cpus_text(nodes), cpus_text(sets[i]));
			/* where there is one that is near, it is that */
			if (sets[i] & NODE(cpu))
				all_on(h, 0, cpu);
		}
	}
	holder_end(h);
	remove_pair();
}

/* The node whose zone a page frame is in, by /proc/zoneinfo. */
static int node_of_frame(uint64_t frame)
{
	char *text = read_file("/proc/zoneinfo"), *rest = text, *line;
	unsigned long long spanned = 0, start;
	int node = -1, found = -1;

	while ((line = strsep(&rest, "\n"))) {
		sscanf(line, "Node %d, zone", &node);
		sscanf(line, " spanned %llu", &spanned);
		if (sscanf(line, " start_pfn: %llu", &start) == 1 && frame >= start && frame - start < spanned)
			found = node;
	}
	free(text);
	ck_assert_msg(found >= 0, "no zone spans frame %llu", (unsigned long long)frame);
	return found;
}

/* Bits of /proc/kpageflags. */
#define KPF_ANON	12
#define KPF_NOPAGE	20

/* The nodes of PID's pages by no call of ours or NUMA's: its page table, and what these frames are. */
static unsigned int nodes_of_frames(pid_t pid, char *mem)
{
	int map = open(at("/proc", "%d/pagemap", pid), O_RDONLY | O_CLOEXEC);
	int kpageflags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	uint64_t entry, flags, frame;
	unsigned int nodes = 0;

	ck_assert(map >= 0 && kpageflags >= 0);
	for (unsigned long i = 0; i < PAGES; i++) {
		ck_assert_int_eq(pread(map, &entry, 8, ((uintptr_t)mem / PAGE + i) * 8), 8);
		ck_assert_msg(entry >> 63, "page %lu is not there", i);
		frame = entry & ((1ULL << 55) - 1);
		ck_assert_int_eq(pread(kpageflags, &flags, 8, frame * 8), 8);
		ck_assert_msg(flags >> KPF_ANON & 1 && !(flags >> KPF_NOPAGE & 1), "frame %llu has flags %llx",
			      (unsigned long long)frame, (unsigned long long)flags);
		nodes |= NODE(node_of_frame(frame));
	}
	close(kpageflags);
	close(map);
	return nodes;
}

TEST(frames_are_of_the_nodes)
{
	static const unsigned int sets[] = { NODE(0), NODE(2), NODE(1) | NODE(3) };
	unsigned int nodes;
	struct holder *h;

	make_pair(all_nodes(), all_nodes());
	h = holder_in(a);
	for (int i = 0; i < 3; i++) {
		expect(set_mems(a, sets[i]), 0);
		expect(hold(h, 0), 0);
		nodes = nodes_of_frames(h->pid, h->mem[0]);
		ck_assert_msg(nodes && !(nodes & ~sets[i]), "frames are on %s, wanted on %s", cpus_text(nodes),
			      cpus_text(sets[i]));
		ck_assert_uint_eq(nodes, nodes_of_pages(h->pid, h->mem[0]));
	}
	expect(set_migrate(a, 1), 0);
	expect(set_mems(a, NODE(2)), 0);
	ck_assert_uint_eq(nodes_of_frames(h->pid, h->mem[0]), NODE(2));
	held(h, 0);
	holder_end(h);
	remove_pair();
}

TEST(a_change_is_the_next_pages)
{
	struct holder *h;

	make_pair(NODE(1), NODE(3));
	h = holder_in(a);
	expect(hold(h, 0), 0);
	all_on(h, 0, 1);
	expect(set_mems(a, NODE(2)), 0);
	expect(hold(h, 1), 0);
	all_on(h, 1, 2);
	expect(move_to(b, h->pid), 0);
	/* memory_migrate is 0 */
	all_on(h, 0, 1);
	all_on(h, 1, 2);
	expect(hold(h, 1), 0);
	all_on(h, 1, 3);
	held(h, 0);
	holder_end(h);
	remove_pair();
}

TEST(pages_follow_where_they_are_to)
{
	struct holder *h;

	make_pair(NODE(0) | NODE(1), NODE(3));
	h = holder_in(a);
	for (int region = 0; region < 2; region++) {
		expect(hold_bind(h, region, MPOL_BIND, NODE(region)), 0);
		expect(hold(h, region), 0);
		all_on(h, region, region);
	}
	expect(set_migrate(a, 1), 0);
	/* to say it does not move anything yet */
	all_on(h, 0, 0);
	expect(set_mems(a, NODE(2) | NODE(3)), 0);
	/* the first node's are on the first, the second's on the second */
	all_on(h, 0, 2);
	all_on(h, 1, 3);
	expect(set_mems(a, NODE(1) | NODE(2)), 0);
	all_on(h, 0, 1);
	all_on(h, 1, 2);
	expect(set_mems(a, NODE(3)), 0);
	all_on(h, 0, 3);
	all_on(h, 1, 3);
	expect(set_migrate(a, 0), 0);
	expect(set_mems(a, NODE(1)), 0);
	all_on(h, 0, 3);
	for (int region = 0; region < 2; region++)
		held(h, region);
	holder_end(h);
	remove_pair();
}

TEST(pages_follow_a_move_where_the_destination_says_so)
{
	struct holder *h;

	make_pair(NODE(1), NODE(2));
	h = holder_in(a);
	expect(hold(h, 0), 0);
	all_on(h, 0, 1);
	expect(set_migrate(b, 1), 0);
	expect(move_to(b, h->pid), 0);
	all_on(h, 0, 2);
	expect(move_to(a, h->pid), 0);
	all_on(h, 0, 2);
	held(h, 0);
	/* the root has room for them where they are */
	expect(set_migrate(root, 1), 0);
	expect(move_to(root, h->pid), 0);
	all_on(h, 0, 2);
	has_nodes(h->pid, all_nodes());
	expect(set_migrate(root, 0), 0);
	holder_end(h);
	remove_pair();
}

static void expect_policies(struct holder *h, unsigned int own, unsigned int first,
			    unsigned int second)
{
	ck_assert_uint_eq(held_policy(h), own);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), first);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[1]), second);
}

TEST(policies_are_bound_again)
{
	struct holder *h;
	pid_t child;

	make_pair(NODE(0) | NODE(1), NODE(1) | NODE(3));
	h = holder_in(a);
	expect(hold_policy(h, MPOL_BIND, NODE(1)), 0);
	expect(hold_bind(h, 0, MPOL_BIND, NODE(0)), 0);
	expect(hold_bind(h, 1, MPOL_INTERLEAVE, NODE(0) | NODE(1)), 0);
	child = hold_fork(h);
	expect_policies(h, NODE(1), NODE(0), NODE(0) | NODE(1));
	expect(set_mems(a, NODE(2) | NODE(3)), 0);
	expect_policies(h, NODE(3), NODE(2), NODE(2) | NODE(3));
	ck_assert_uint_eq(policy_of_region(child, h->mem[0]), NODE(2));
	ck_assert_uint_eq(policy_of_region(child, h->mem[1]), NODE(2) | NODE(3));
	expect(hold(h, 0), 0);
	all_on(h, 0, 2);
	expect(hold(h, 1), 0);
	ck_assert_uint_eq(pages_on(h->pid, h->mem[1], 2), PAGES / 2);
	ck_assert_uint_eq(pages_on(h->pid, h->mem[1], 3), PAGES / 2);
	expect(move_to(b, h->pid), 0);
	expect_policies(h, NODE(3), NODE(1), NODE(1) | NODE(3));
	expect(move_to(root, h->pid), 0);
	expect_policies(h, NODE(1), NODE(0), NODE(0) | NODE(1));
	expect(kill(child, SIGKILL) ? errno : 0, 0);
	holder_end(h);
	eventually(!has_line(at(a, "tasks"), child), 10);
	remove_pair();
}

TEST(a_static_policy_waits_for_its_nodes)
{
	struct holder *h;

	make_pair(NODE(0) | NODE(1), NODE(3));
	h = holder_in(a);
	expect(hold_bind(h, 0, MPOL_BIND | MPOL_F_STATIC_NODES, NODE(1)), 0);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(1));
	expect(set_mems(a, NODE(2) | NODE(3)), 0);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(2) | NODE(3));
	expect(set_mems(a, NODE(1) | NODE(2)), 0);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(1));
	holder_end(h);
	remove_pair();
}

/* The fourth of the set's nodes, counted round: bound again from what was asked for, not from what it had become. */
TEST(a_relative_policy_is_applied_anew)
{
	struct holder *h;

	make_pair(NODE(0) | NODE(1), NODE(3));
	h = holder_in(a);
	expect(hold_bind(h, 0, MPOL_BIND | MPOL_F_RELATIVE_NODES, NODE(3)), 0);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(1));
	/* of three nodes it is the first, where one that is only renamed would be the second */
	expect(set_mems(a, NODE(1) | NODE(2) | NODE(3)), 0);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(1));
	expect(set_mems(a, all_nodes()), 0);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(3));
	expect(hold(h, 0), 0);
	all_on(h, 0, 3);
	holder_end(h);
	remove_pair();
}

TEST(a_preferred_node_stays)
{
	struct holder *h;

	make_pair(NODE(0) | NODE(1), NODE(3));
	h = holder_in(a);
	expect(set_affinity(h->pid, 1u << 0), 0);
	expect(hold_bind(h, 0, MPOL_PREFERRED, NODE(1)), 0);
	expect(hold(h, 0), 0);
	all_on(h, 0, 1);
	/* outside it counts for nothing */
	expect(set_mems(a, NODE(2) | NODE(3)), 0);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(1));
	expect(hold(h, 0), 0);
	ck_assert_uint_eq(nodes_of_pages(h->pid, h->mem[0]) & ~(NODE(2) | NODE(3)), 0);
	/* and inside again for more than the CPU's own */
	expect(set_mems(a, NODE(0) | NODE(1)), 0);
	expect(hold(h, 0), 0);
	all_on(h, 0, 1);
	holder_end(h);
	remove_pair();
}

TEST(what_may_be_asked_for)
{
	struct holder *h;
	int node = 3, status;
	void *page;

	make_pair(NODE(0) | NODE(1), NODE(3));
	h = holder_in(a);
	expect(hold_policy(h, MPOL_BIND, NODE(2)), EINVAL);
	expect(hold_bind(h, 0, MPOL_BIND, NODE(2) | NODE(3)), EINVAL);
	expect(hold_policy(h, MPOL_BIND, NODE(1) | NODE(2)), 0);
	ck_assert_uint_eq(held_policy(h), NODE(1));
	expect(hold_bind(h, 0, MPOL_INTERLEAVE, all_nodes()), 0);
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(0) | NODE(1));
	expect(hold(h, 0), 0);
	/* nor may anybody else put its pages there */
	page = h->mem[0];
	ck_assert_int_eq(syscall(SYS_move_pages, h->pid, 1UL, &page, &node, &status, MPOL_MF_MOVE), -1);
	ck_assert_int_eq(errno, EACCES);
	node = 1;
	ck_assert_int_eq(syscall(SYS_move_pages, h->pid, 1UL, &page, &node, &status, MPOL_MF_MOVE), 0);
	holder_end(h);
	remove_pair();
}

/* Its address space belongs where its first thread is. */
TEST(a_child_in_another_container_has_its_own)
{
	struct holder *h;
	pid_t child;

	make_pair(NODE(0) | NODE(1), NODE(2) | NODE(3));
	h = holder_in(a);
	expect(hold_bind(h, 0, MPOL_BIND, NODE(1)), 0);
	expect(hold(h, 0), 0);
	child = hold_fork(h);
	expect(set_migrate(b, 1), 0);
	expect(move_to(b, child), 0);
	ck_assert_uint_eq(policy_of_region(child, h->mem[0]), NODE(3));
	ck_assert_uint_eq(policy_of_region(h->pid, h->mem[0]), NODE(1));
	/* both have the same pages, and they follow whoever was moved last */
	ck_assert_uint_eq(nodes_of_pages(child, h->mem[0]), NODE(3));
	held(h, 0);
	stop(h->pid);
	expect(kill(child, SIGKILL) ? errno : 0, 0);
	eventually(!has_line(at(b, "tasks"), child), 10);
	remove_pair();
}

/* A process of three threads, of which the first one may end before the others. */
struct crew {
	pid_t pid;
	atomic_int tid[2];	/* of the other two */
	atomic_bool may_end;	/* the first one */
	char *mem[2];
};

static void *rest(void *tid)
{
	atomic_store((atomic_int *)tid, gettid());
	while (!pause() || errno == EINTR)
		;
	return NULL;
}

/* Pages of the first region on the first node, of the second one on the second. */
static void be_a_crew(struct crew *c, const unsigned long *nodes)
{
	pthread_t thread;

	for (int region = 0; region < 2; region++) {
		if (syscall(SYS_mbind, c->mem[region], PAGES * PAGE, MPOL_BIND, &nodes[region], 65ul, 0))
			abort();
		for (int i = 0; i < PAGES; i++)
			c->mem[region][i * PAGE] = 1;
	}
	for (int i = 0; i < 2; i++)
		if (pthread_create(&thread, NULL, rest, &c->tid[i]))
			abort();
	while (!atomic_load(&c->may_end))
		usleep(1000);
	syscall(SYS_exit, 0);
}

/*
 * In a container with these nodes. @number: of the first thread, for which the others get
 * lower ones, so that a walk by numbers comes to them first; 0: as usual.
 */
static struct crew *crew_in(const char *container, pid_t number, int first, int second)
{
	struct crew *c = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct clone_args args = { .exit_signal = SIGCHLD };
	unsigned long nodes[2] = { NODE(first), NODE(second) };
	pid_t pid;

	ck_assert_ptr_ne(c, MAP_FAILED);
	if (number) {
		args.set_tid = (uintptr_t)&number;
		args.set_tid_size = 1;
	}
	for (int i = 0; i < 2; i++) {
		c->mem[i] = mmap(NULL, (PAGES + 1) * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(c->mem[i], MAP_FAILED);
		ck_assert_int_eq(mprotect(c->mem[i] + PAGES * PAGE, PAGE, PROT_NONE), 0);
	}
	pid = syscall(SYS_clone3, &args, sizeof(args));
	ck_assert_msg(pid >= 0, "clone3: %s", error_name(errno));
	if (!pid) {
		if (write_file(at(container, "procs"), "0"))
			abort();
		be_a_crew(c, nodes);
	}
	/* not by both, as it is shared */
	c->pid = pid;
	eventually(atomic_load(&c->tid[0]) && atomic_load(&c->tid[1]), 10);
	ck_assert(!number || (c->tid[0] < number && c->tid[1] < number));
	return c;
}

/* Its address space is asked for by a thread that has not ended. */
static void crew_is_on(struct crew *c, int first, int second)
{
	unsigned int wanted[2] = { NODE(first), NODE(second) };

	for (int region = 0; region < 2; region++) {
		unsigned int nodes = nodes_of_pages(c->tid[1], c->mem[region]);

		ck_assert_msg(nodes == wanted[region], "region %d is on %s, wanted on %s", region,
			      cpus_text(nodes), cpus_text(wanted[region]));
	}
}

static void first_ends(struct crew *c)
{
	atomic_store(&c->may_end, true);
	/* a zombie until the others have ended */
	eventually(strstr(read_file(at("/proc", "%d/status", c->pid)), "State:\tZ"), 10);
}

/*
 * Old and new nodes overlap: pages that are moved twice, for one thread and for the next, end
 * on the second one.
 */
TEST(pages_of_a_process_without_its_first_thread_follow_once)
{
	struct crew *c;

	make_pair(NODE(0) | NODE(1), NODE(2) | NODE(3));
	c = crew_in(a, 0, 0, 1);
	first_ends(c);
	crew_is_on(c, 0, 1);
	expect(set_migrate(a, 1), 0);
	expect(set_migrate(b, 1), 0);
	expect(set_mems(a, NODE(1) | NODE(2)), 0);
	crew_is_on(c, 1, 2);
	expect(move_to(b, c->pid), 0);
	crew_is_on(c, 2, 3);
	stop(c->pid);
	remove_pair();
}

/* Whoever of the process a change comes to takes the pages along, for the first thread, too. */
TEST(pages_follow_a_thread_before_the_first_one)
{
	struct crew *c;

	make_pair(NODE(0) | NODE(1), NODE(2) | NODE(3));
	c = crew_in(a, 30000, 0, 1);
	crew_is_on(c, 0, 1);
	expect(set_migrate(a, 1), 0);
	expect(set_migrate(b, 1), 0);
	expect(set_mems(a, NODE(1) | NODE(2)), 0);
	crew_is_on(c, 1, 2);
	/* a thread alone takes nothing along, and does not get what the process has already */
	expect(write_u64(at(b, "tasks"), c->tid[0]), 0);
	crew_is_on(c, 1, 2);
	has_nodes(c->tid[0], NODE(2) | NODE(3));
	expect(write_u64(at(a, "tasks"), c->tid[0]), 0);
	crew_is_on(c, 1, 2);
	expect(move_to(b, c->pid), 0);
	crew_is_on(c, 2, 3);
	stop(c->pid);
	remove_pair();
}

/* A file of the host's that nobody here runs, read anew by the calling process. */
static unsigned int nodes_of_file(unsigned int *least)
{
	int fd = open("/usr/bin/perl", O_RDONLY);
	unsigned int nodes;
	char *mem, byte;

	ck_assert_msg(fd >= 0, "/usr/bin/perl: %s; cure: apt-get install perl-base", error_name(errno));
	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	for (int i = 0; i < PAGES; i++)
		ck_assert_int_eq(pread(fd, &byte, 1, i * PAGE), 1);
	mem = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(mem, MAP_FAILED);
	for (int i = 0; i < PAGES; i++)
		byte = *(volatile char *)(mem + i * PAGE);
	nodes = nodes_of_pages(0, mem);
	*least = PAGES;
	for (int node = 0; node < nr_nodes(); node++)
		if (nodes & NODE(node) && pages_on(0, mem, node) < *least)
			*least = pages_on(0, mem, node);
	munmap(mem, PAGES * PAGE);
	close(fd);
	return nodes;
}

/* In turn: 64 pages on three nodes are 21 for each; others may have turns in between. */
TEST(page_cache_takes_turns)
{
	unsigned int least;

	make_pair(NODE(1) | NODE(2) | NODE(3), NODE(3));
	enter(a);
	expect(set_affinity(0, 1u << 1), 0);
	ck_assert_uint_eq(nodes_of_file(&least), NODE(1));
	expect(write_u64(at(a, "memset.memory_spread_page"), 1), 0);
	ck_assert_uint_eq(nodes_of_file(&least), NODE(1) | NODE(2) | NODE(3));
	ck_assert_uint_ge(least, 10);
	expect(write_u64(at(a, "memset.memory_spread_page"), 0), 0);
	ck_assert_uint_eq(nodes_of_file(&least), NODE(1));
	enter(root);
	remove_pair();
}

#define FILES 6000

static uint64_t slab_pages(int node)
{
	return read_field(at("/sys/devices/system/node", "node%d/vmstat", node), "nr_slab_reclaimable");
}

/* How much slab each node got for the names of FILES new files, 192 bytes each, or more. */
static void make_files(uint64_t *got)
{
	char *dir = new_dir();

	for (int node = 0; node < 4; node++)
		got[node] = slab_pages(node);
	for (int i = 0; i < FILES; i++)
		close(open(at(dir, "%d", i), O_CREAT | O_WRONLY, 0600));
	for (int node = 0; node < 4; node++)
		got[node] = slab_pages(node) - got[node];
	printf("# slab pages by node: %lld %lld %lld %lld\n", (long long)got[0], (long long)got[1],
	       (long long)got[2], (long long)got[3]);
}

/* Without turns the own node gets all, 280 pages or more; of others there is half of a third for what anybody else may do. */
TEST(names_take_turns)
{
	uint64_t got[4];

	make_pair(NODE(1) | NODE(2) | NODE(3), NODE(3));
	enter(a);
	expect(set_affinity(0, 1u << 1), 0);
	make_files(got);
	ck_assert_int_ge(got[1], 200);
	ck_assert_int_lt(got[2], 45);
	ck_assert_int_lt(got[3], 45);
	expect(write_u64(at(a, "memset.memory_spread_slab"), 1), 0);
	make_files(got);
	/* a third each, and a half of that for what was left in slabs that were there */
	for (int node = 1; node < 4; node++)
		ck_assert_int_ge(got[node], 45);
	expect(write_u64(at(a, "memset.memory_spread_slab"), 0), 0);
	enter(root);
	remove_pair();
}
