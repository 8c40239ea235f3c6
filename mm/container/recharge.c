// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that are charged directly change their owner.
 *
 * When memory leaves a tree everything that is charged to its containers is charged
 * to the root from then on. And when a directory goes, its directly charged file pages, for which there
 * was no memory for a container_mapping, pass to the nearest state above that is there. Those of a file that is
 * passed on go with it (swapped.c).
 *
 * Mappings have gone up to the parent when the states went offline. What is
 * charged directly is found by a walk over all page frames, since nothing else
 * leads to a page that waits in a batch or in the swap cache. Folios that are
 * just between two places (being migrated, split, or allocated by a task that
 * found its state before it was closed) are missed, so the walk is repeated
 * until the numbers say that nothing is left.
 *
 * Locking: none held, but for the root container_mutex, by the caller; a reference on one
 * folio at a time. The word in the folio is exchanged as a whole: whoever frees
 * it, or moves it to or from the active list, finds the old owner or the new one,
 * and we move exactly the numbers of what we found.
 *
 * Lifetime: the folio's references to the old state are dropped after the new one
 * has as many.
 */
#include <linux/container_memory.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "internal.h"
#include "memory.h"

/*
 * Walks, 20 ms apart. What is missed is so for as long as a folio is being
 * migrated or split; this is many times that, and no more than a guard against
 * waiting for ever: what is left then stays with its state, as after rmdir.
 */
#define RECHARGE_WALKS	250

static struct container_memory *data_owner(unsigned long data)
{
	return (struct container_memory *)(data & ~MEMORY_TAGS);
}

/*
 * @folio, which @data says whose it is, is @to's, who may be gone but for a reference of ours, or of
 * container_mutex. Nothing has changed if it is somebody else's meanwhile. Context: @folio referenced.
 */
static void recharge_folio(struct folio *folio, unsigned long data, struct container_memory *to)
{
	struct container_memory *from = data_owner(data);
	long nr = folio_nr_pages(folio);

	container_css_get_many(&to->css, nr);
	do {
		if (data_owner(data) != from || data & MEMORY_MAPPING) {
			container_css_put_many(&to->css, nr);
			return;
		}
	} while (!try_cmpxchg(&folio->memcg_data, &data,
			      (unsigned long)to | (data & MEMORY_TAGS)));
	memory_transfer(from, to, data & MEMORY_IS_FILE ? MEMORY_FILE : MEMORY_ANON, nr);
	if (data & MEMORY_IS_ACTIVE)
		memory_transfer(from, to, MEMORY_ACTIVE, nr);
	container_css_put_many(&from->css, nr);
}

/**
 * memory_recharge_to - a page that is charged directly changes its owner
 * @folio: it cannot be freed meanwhile; if it is not charged, or its file's owner is, nothing changes
 * @to: the new owner, referenced
 *
 * Context: rcu_read_lock(); any.
 */
void memory_recharge_to(struct folio *folio, struct container_memory *to)
{
	unsigned long data = READ_ONCE(folio->memcg_data);

	if (data && !(data & MEMORY_MAPPING) && data_owner(data) != to)
		recharge_folio(folio, data, to);
}

/* Of a word whose page may have no reference, so that its owner is compared with, no more. */
static bool to_be_recharged(unsigned long data, struct container_memory *root)
{
	if (!data || data & MEMORY_MAPPING)
		return false;
	return root ? data_owner(data) != root : data & MEMORY_IS_FILE;
}

/* A file's page, without a mapping, of a state that is gone: to the nearest above. Context: RCU, @folio referenced. */
static void recharge_up(struct folio *folio, unsigned long data)
{
	struct container_memory *from = data_owner(data), *to;

	if (!READ_ONCE(from->dead))
		return;
	to = memory_get_online(memory_parent(from));
	if (!to)
		return;
	recharge_folio(folio, data, to);
	container_css_put(&to->css);
}

/* To @root, or if there is none up from whoever is gone. */
static void recharge_page(struct page *page, struct container_memory *root)
{
	unsigned long data;
	struct folio *folio;

	if (!page || PageTail(page) || !to_be_recharged(READ_ONCE(page->memcg_data), root))
		return;
	folio = page_folio(page);
	if (!folio_try_get(folio))
		return;
	rcu_read_lock();
	data = READ_ONCE(folio->memcg_data);
	/* with a reference it keeps its size; only now is it sure to be what it was */
	if (page_folio(page) == folio && to_be_recharged(data, root)) {
		if (root)
			recharge_folio(folio, data, root);
		else
			recharge_up(folio, data);
	}
	rcu_read_unlock();
	folio_put(folio);
}

static void recharge_walk(struct container_memory *root)
{
	struct pglist_data *node;
	unsigned long pfn;

	for_each_online_pgdat(node) {
		for (pfn = node->node_start_pfn; pfn < pgdat_end_pfn(node); pfn++) {
			recharge_page(pfn_to_online_page(pfn), root);
			if (pfn % MEMORY_ROUND == 0)
				cond_resched();
		}
	}
}

/**
 * memory_recharge_files - file pages of states whose directory is gone pass to those above
 *
 * For those that are charged directly; memory_dead_charged() tells whether there are any.
 * One that is missed stays with the old state until the next time.
 *
 * Context: process, sleeps.
 */
void memory_recharge_files(void)
{
	recharge_walk(NULL);
}

/**
 * memory_recharge - pass all charges to the root
 * @root_css: root state; all others are offline
 *
 * Context: container_mutex; sleeps. The root state lives for ever.
 */
void memory_recharge(struct container_subsys_state *root_css)
{
	struct container_memory *root = css_memory(root_css);
	int walks = RECHARGE_WALKS;

	while (memory_charged_below(root)) {
		if (!walks--) {
			pr_notice("memory: some pages stay charged to containers that memory has left\n");
			return;
		}
		recharge_walk(root);
		if (memory_charged_below(root))
			msleep(20);
	}
}
