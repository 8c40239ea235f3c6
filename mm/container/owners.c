// SPDX-License-Identifier: GPL-2.0-only
/*
 * container_memory/owners in debugfs: whose each page is, and what the counters of all
 * containers say, both at one moment. For the tests: added up, the first must be the
 * second, to a page (tests/guest/accounting.h). One opening is one look.
 *
 *	state SERIAL PARENT ANON FILE MAPPED ACTIVE FILES PATH
 *		a container, descendants included; PARENT 0 for the root; PATH - when the
 *		directory is gone, or memory is not mounted
 *	page PFN PAGES STATE TAGS MAPPED FLAGS MAPPING
 *		a folio that is charged, or on the LRU; STATE 0: to nobody. TAGS: a or f,
 *		counted as anonymous or as a file's, - for not at all; then + if counted as
 *		active. MAPPED pages in page tables. FLAGS: hexadecimal, as /proc/kpageflags has
 *		them. MAPPING: equal for pages of one file that are charged through it, else 0
 *
 * Why this is of one moment: the look is taken with the whole machine stopped. Then every task
 * is at a place where it may be scheduled, and nobody who charges or uncharges has one between
 * the word in the folio and the number (charge.c and mapping.c do both under RCU, in kernels
 * that do not preempt; lru_lock for what is active, a page table's lock for what is
 * mapped). Nothing is flushed, nothing drained, no lock of the counters taken: a number is
 * what its containers have told, and what their CPUs have not.
 *
 * Locking: cpus_read_lock() outside of memory_list_mutex, so that no state comes or goes.
 * Lifetime: a look is the open file's; it has numbers, and no references.
 */
#include <linux/container_memory.h>
#include <linux/cpu.h>
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/stop_machine.h>
#include <linux/vmalloc.h>

#include "internal.h"
#include "memory.h"

#define OWNERS_PATH 256
/* Pages that may come into use between an allocation and the look. */
#define OWNERS_SPARE 4096

/**
 * struct owners_state - a container
 * @memory: whose; not to be followed once memory_list_mutex is free
 * @serial: its
 * @parent: serial of its parent, 0 for the root
 * @count: its numbers, descendants included
 * @path: of its directory
 */
struct owners_state {
	struct container_memory *memory;
	u64 serial;
	u64 parent;
	long count[NR_MEMORY_ITEMS];
	char path[OWNERS_PATH];
};

/**
 * struct owners_page - a folio
 * @pfn: of its first page
 * @nr: its pages
 * @state: serial of who is charged, 0 for nobody
 * @data: its memcg_data
 * @mapped: how many of its pages are mapped
 * @flags: as /proc/kpageflags has them
 */
struct owners_page {
	unsigned long pfn;
	long nr;
	u64 state;
	unsigned long data;
	long mapped;
	u64 flags;
};

/**
 * struct owners - one look
 * @nr_states: and @nr_pages: how many there are, also of those without room
 * @max_states: and @max_pages: how many there is room for
 * @state: all containers, dead ones too, by serial
 * @page: all folios that are charged or on the LRU
 */
struct owners {
	unsigned long nr_states, nr_pages;
	unsigned long max_states, max_pages;
	struct owners_state *state;
	struct owners_page *page;
};

static struct owners_state *owners_find(struct owners *owners, u64 serial)
{
	unsigned long low = 0, high = owners->nr_states, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (owners->state[mid].serial < serial)
			low = mid + 1;
		else
			high = mid;
	}
	return &owners->state[low];
}

/* What CPUs have not told yet counts for its container, and all above. */
static void owners_add_pending(struct owners *owners, struct container_memory *memory)
{
	struct container_memory *above;
	int cpu, item;

	for_each_possible_cpu(cpu) {
		struct memory_pending *pending = per_cpu_ptr(memory->pending, cpu);

		for (above = memory; above; above = memory_parent(above))
			for (item = 0; item < NR_MEMORY_ITEMS; item++)
				owners_find(owners, above->serial)->count[item] +=
					memory_unflushed(pending, item);
	}
}

static void owners_look_at_states(struct owners *owners)
{
	struct owners_state *state;
	unsigned long i;
	int item;

	for (i = 0; i < owners->nr_states; i++) {
		state = &owners->state[i];
		for (item = 0; item < NR_MEMORY_ITEMS; item++)
			state->count[item] = atomic_long_read(&state->memory->count[item]);
	}
	for (i = 0; i < owners->nr_states; i++)
		owners_add_pending(owners, owners->state[i].memory);
}

static struct container_memory *owner_of(unsigned long data)
{
	void *owner = (void *)(data & ~MEMORY_TAGS);

	return data & MEMORY_MAPPING ? ((struct container_mapping *)owner)->owner : owner;
}

/* Files have no folios of more than one page here: what is mapped is mapped as a whole. */
static void owners_look_at_page(struct owners *owners, struct page *page)
{
	struct folio *folio = page_folio(page);
	unsigned long data = folio->memcg_data;
	struct container_memory *memory;

	if (!data && !folio_test_lru(folio))
		return;
	if (owners->nr_pages++ >= owners->max_pages)
		return;
	memory = data ? owner_of(data) : NULL;
	owners->page[owners->nr_pages - 1] = (struct owners_page) {
		.pfn = folio_pfn(folio),
		.nr = folio_nr_pages(folio),
		.state = memory ? memory->serial : 0,
		.data = data,
		.mapped = folio_mapped(folio) ? folio_nr_pages(folio) : 0,
		.flags = stable_page_flags(page),
	};
}

/* Context: all other CPUs wait, interrupts off. */
static int owners_look(void *data)
{
	struct owners *owners = data;
	struct pglist_data *node;
	unsigned long pfn;
	struct page *page;

	owners->nr_pages = 0;
	owners_look_at_states(owners);
	for_each_online_pgdat(node) {
		for (pfn = node->node_start_pfn; pfn < pgdat_end_pfn(node); pfn++) {
			page = pfn_to_online_page(pfn);
			if (page && page_to_nid(page) == node->node_id && !PageTail(page))
				owners_look_at_page(owners, page);
		}
	}
	return 0;
}

static void owners_free(struct owners *owners)
{
	vfree(owners->state);
	vfree(owners->page);
	kfree(owners);
}

/* Room for all pages that are in use; they are looked at before anybody stops. */
static int owners_make_room(struct owners *owners)
{
	struct container_memory *root = css_memory(memory_subsys.root_css), *memory = NULL;

	lockdep_assert_cpus_held();
	vfree(owners->state);
	vfree(owners->page);
	owners->nr_states = 0;
	memory_list_lock();
	while ((memory = memory_list_next_locked(root, memory)))
		owners->nr_states++;
	memory_list_unlock();
	owners->max_states = owners->nr_states + 64;
	owners->max_pages = max(owners->nr_pages, totalram_pages() -
				min(totalram_pages(), global_zone_page_state(NR_FREE_PAGES)));
	owners->max_pages += OWNERS_SPARE;
	owners->state = vzalloc(array_size(owners->max_states, sizeof(*owners->state)));
	owners->page = vzalloc(array_size(owners->max_pages, sizeof(*owners->page)));
	return owners->state && owners->page ? 0 : -ENOMEM;
}

/* All states, with their names. Context: memory_list_lock(). */
static bool owners_name(struct owners *owners)
{
	struct container_memory *root = css_memory(memory_subsys.root_css), *memory = NULL;
	struct owners_state *state;
	struct container *cont;

	guard(rcu)();
	owners->nr_states = 0;
	while ((memory = memory_list_next_locked(root, memory))) {
		if (owners->nr_states == owners->max_states)
			return false;
		state = &owners->state[owners->nr_states++];
		state->memory = memory;
		state->serial = memory->serial;
		state->parent = memory_parent(memory) ? memory_parent(memory)->serial : 0;
		cont = rcu_dereference(memory->css.container);
		/* the parking place has a name, and no path */
		if (!cont || !data_race(memory->css.online) ||
		    container_path(cont, state->path, sizeof(state->path)) < 0 ||
		    state->path[0] != '/')
			strscpy(state->path, "-");
	}
	return true;
}

static struct owners *owners_take(void)
{
	struct owners *owners = kzalloc_obj(*owners, GFP_KERNEL);
	int err = -EAGAIN, tries;

	if (!owners)
		return ERR_PTR(-ENOMEM);
	cpus_read_lock();
	/* somebody may have taken much memory, or made many containers, meanwhile */
	for (tries = 0; err == -EAGAIN && tries < 10; tries++) {
		err = owners_make_room(owners);
		if (err)
			break;
		memory_list_lock();
		err = owners_name(owners) ? stop_machine_cpuslocked(owners_look, owners, NULL) : -EAGAIN;
		memory_list_unlock();
		if (!err && owners->nr_pages > owners->max_pages)
			err = -EAGAIN;
	}
	cpus_read_unlock();
	if (!err)
		return owners;
	owners_free(owners);
	return ERR_PTR(err);
}

static void *owners_start(struct seq_file *sf, loff_t *pos)
{
	struct owners *owners = sf->private;

	return *pos < owners->nr_states + owners->nr_pages ? pos : NULL;
}

static void *owners_next(struct seq_file *sf, void *v, loff_t *pos)
{
	++*pos;
	return owners_start(sf, pos);
}

static void owners_stop(struct seq_file *sf, void *v) { }

static int owners_show(struct seq_file *sf, void *v)
{
	struct owners *owners = sf->private;
	unsigned long index = *(loff_t *)v;
	struct owners_state *state = &owners->state[index];
	struct owners_page *page;

	if (index < owners->nr_states) {
		seq_printf(sf, "state %llu %llu %ld %ld %ld %ld %ld %s\n", state->serial,
			   state->parent, state->count[MEMORY_ANON], state->count[MEMORY_FILE],
			   state->count[MEMORY_MAPPED], state->count[MEMORY_ACTIVE],
			   state->count[MEMORY_FILES], state->path);
		return 0;
	}
	page = &owners->page[index - owners->nr_states];
	seq_printf(sf, "page %lu %ld %llu %c%s %ld %llx %lx\n", page->pfn, page->nr, page->state,
		   !page->data ? '-' : page->data & (MEMORY_MAPPING | MEMORY_IS_FILE) ? 'f' : 'a',
		   page->data & MEMORY_IS_ACTIVE ? "+" : "", page->mapped, page->flags,
		   page->data & MEMORY_MAPPING ? page->data & ~MEMORY_TAGS : 0);
	return 0;
}

static const struct seq_operations owners_seq_ops = {
	.start	= owners_start,
	.next	= owners_next,
	.stop	= owners_stop,
	.show	= owners_show,
};

static int owners_open(struct inode *inode, struct file *file)
{
	struct owners *owners = owners_take();
	int err;

	if (IS_ERR(owners))
		return PTR_ERR(owners);
	err = seq_open(file, &owners_seq_ops);
	if (err)
		owners_free(owners);
	else
		((struct seq_file *)file->private_data)->private = owners;
	return err;
}

static int owners_release(struct inode *inode, struct file *file)
{
	owners_free(((struct seq_file *)file->private_data)->private);
	return seq_release(inode, file);
}

static const struct file_operations owners_fops = {
	.owner		= THIS_MODULE,
	.open		= owners_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= owners_release,
};

static int __init owners_init(void)
{
	debugfs_create_file("owners", 0400, debugfs_create_dir("container_memory", NULL), NULL,
			    &owners_fops);
	return 0;
}
late_initcall(owners_init);
