// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated NUMA nodes: numa=fake=N cuts UML's memory into N nodes.
 *
 * The pieces are Linux's own. mm/numa_emulation.c cuts, mm/numa_memblks.c tells
 * memblock, mm/arch_numa.c makes the nodes. Here is what they leave open:
 *
 * - Which words of the command line make sense. The emulation takes "4x" for 4
 *   and "x" for nothing at all, without a word.
 * - Whether memory is enough. The kernel lies at the start of memory, which is
 *   node 0, and the emulation knows nothing of it.
 * - Which CPUs are on which node: each gets a contiguous share. With fewer CPUs
 *   than nodes some nodes have memory only. (The emulation would put every CPU
 *   on every node, arch_numa.c every CPU on node 0.)
 * - Distances: 10 to a node itself and 20 to the others, or those of a list. All
 *   nodes are cut from one piece of memory, so that the emulation makes them 10;
 *   a list that is too short or holds an impossible number it half uses.
 *
 * Nothing here stops a boot: what cannot be done is said in one line, which
 * starts with "numa: ", and there is one node, or the distances are 10 and 20.
 *
 * Surprises
 * - The nodes must be there when setup_arch() ends, and early parameters are
 *   parsed later: hence UML's own parser, which sees the arguments first. It
 *   leaves the word on the command line, where the early parameter of arch_numa.c
 *   finds it, too late to do anything.
 * - HAVE_SETUP_PER_CPU_AREA is not selected. With it the first per-CPU areas
 *   would lie on their nodes, and all later ones the same distance apart, in
 *   a vmalloc space that is no larger than memory. So they lie together, and
 *   early_cpu_to_node() is ours.
 * - Without numa= there is one node, made the same way.
 *
 * Locking: none; all of it is done once, before there is a second task. Neither
 * the possible CPUs nor the nodes change afterwards.
 */
#define pr_fmt(fmt) "numa: " fmt

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kstrtox.h>
#include <linux/memblock.h>
#include <linux/numa_memblks.h>
#include <linux/pfn.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/topology.h>
#include <asm/numa.h>
#include <init.h>

/* The size of a node is a multiple of this: FAKE_NODE_MIN_SIZE of mm/numa_emulation.c. */
#define NODE_UNIT SZ_32M
/* What node 0 must have besides the kernel: its share of what is allocated at boot. */
#define NODE_ROOM SZ_8M

/* What stands after "numa=", and in it after ":"; NULL if nothing does. */
static char *numa_words __initdata;
static char *distance_words __initdata;

static int __init um_numa_setup(char *line, int *add)
{
	numa_words = line;
	return 0;
}

__uml_setup("numa=", um_numa_setup,
"numa=fake=<number of nodes>[:<distance>,...]\n"
"    Cuts the memory into that many NUMA nodes, with a contiguous share of the\n"
"    CPUs on each. The distances are those from node 0 to each node, then from\n"
"    node 1, and so on; 10 is the one of a node to itself. Without a list they\n"
"    are 10 and 20.\n"
"        numa=fake=2:10,40,40,10\n\n"
);

/* How many nodes the command line wants; 0 if it wants none or makes no sense. */
static unsigned int __init parse_nodes(void)
{
	char *number = numa_words;
	unsigned int nodes;
	char digits[8];
	size_t len;

	if (!numa_words || !strcmp(numa_words, "off"))
		return 0;
	if (strstarts(number, "fake=")) {
		number += strlen("fake=");
		len = strcspn(number, ":");
		if (len < sizeof(digits)) {
			strscpy(digits, number, len + 1);
			if (!kstrtouint(digits, 10, &nodes) && nodes) {
				if (number[len])
					distance_words = number + len + 1;
				return nodes;
			}
		}
	}
	pr_warn("numa=%s: not off, fake=N or fake=N:DISTANCE,... with N from 1 to %d; one node\n",
		numa_words, MAX_NUMNODES);
	return 0;
}

/* Is the first of @nodes nodes large enough for the kernel and what it needs to boot? */
static bool __init nodes_fit(unsigned int nodes)
{
	u64 need = ALIGN(PFN_PHYS(min_low_pfn) + NODE_ROOM, NODE_UNIT);

	nodes = min(nodes, MAX_NUMNODES);
	if (nodes == 1 || PFN_PHYS(max_pfn / nodes) >= need)
		return true;
	/* of nodes that there are not */
	distance_words = NULL;
	pr_warn("numa=fake=%u: a node must have %llu MB, as the first holds the kernel; cure: mem=%lluM or fewer nodes; one node\n",
		nodes, need / SZ_1M, nodes * need / SZ_1M);
	return false;
}

/* Reads the list into @list, row by row; true if it is one for @nodes nodes. A last comma is no number. */
static bool __init parse_distances(int nodes, u8 *list)
{
	const char *word = distance_words;

	for (int i = 0; i < nodes * nodes; i++) {
		size_t len = strcspn(word, ",");
		char digits[4];

		if (len >= sizeof(digits))
			return false;
		strscpy(digits, word, len + 1);
		if (kstrtou8(digits, 10, &list[i]) || list[i] < LOCAL_DISTANCE ||
		    (i / nodes == i % nodes && list[i] != LOCAL_DISTANCE))
			return false;
		word += len;
		word += *word == ',';
	}
	return !*word;
}

static void __init set_distances(int nodes)
{
	static u8 list[MAX_NUMNODES * MAX_NUMNODES] __initdata;
	bool listed = distance_words && parse_distances(nodes, list);

	if (distance_words && !listed)
		pr_warn("distances %s: not %d numbers from %d to %d, %d for a node to itself; %d and %d instead\n",
			distance_words, nodes * nodes, LOCAL_DISTANCE, U8_MAX, LOCAL_DISTANCE,
			LOCAL_DISTANCE, REMOTE_DISTANCE);
	for (int i = 0; i < nodes * nodes; i++) {
		int from = i / nodes, to = i % nodes;

		numa_set_distance(from, to, listed ? list[i] :
				  from == to ? LOCAL_DISTANCE : REMOTE_DISTANCE);
	}
}

/**
 * early_cpu_to_node() - The node of a CPU
 * @cpu: a possible CPU
 *
 * Context: Any, from um_numa_init() on.
 * Return: The node, one that is online.
 */
int early_cpu_to_node(int cpu)
{
	return cpu * num_online_nodes() / num_possible_cpus();
}

/**
 * um_numa_init() - Make the nodes that the command line wants, or one
 *
 * Context: setup_arch(), when memblock has the memory and the possible CPUs are known.
 */
void __init um_numa_init(void)
{
	static char count[12] __initdata;
	unsigned int nodes, cpu;

	BUILD_BUG_ON(NODE_UNIT % (1UL << SECTION_SIZE_BITS));

	/* arch_mm_preinit() sets it again, too late for the emulation */
	max_pfn = max_low_pfn;

	nodes = parse_nodes();
	if (nodes && nodes_fit(nodes)) {
		snprintf(count, sizeof(count), "%u", nodes);
		numa_emu_cmdline(count);
	}
	arch_numa_init();

	/* of one node there is nothing to set; a list that makes no sense is told all the same */
	if (num_online_nodes() > 1 || distance_words)
		set_distances(num_online_nodes());
	for_each_possible_cpu(cpu)
		cpumask_set_cpu(cpu, node_to_cpumask_map[early_cpu_to_node(cpu)]);
}
