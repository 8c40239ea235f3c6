// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory leaves a tree: everything that is charged to its containers is charged
 * to the root from then on.
 *
 * Mappings have gone up to the root when the states went offline. What is
 * charged directly is found by a walk over all page frames, since nothing else
 * leads to a page that waits in a batch or in the swap cache. Folios that are
 * just between two places (being migrated, split, or allocated by a task that
 * found its state before it was closed) are missed, so the walk is repeated
 * until the numbers say that nothing is left.
 *
 * Locking: none held but container_mutex, by the caller; a reference on one
 * folio at a time. The word in the folio is exchanged as a whole: whoever frees
 * it, or moves it to or from the active list, finds the old owner or the root,
 * and we move exactly the numbers of what we found.
 *
 * Lifetime: the folio's references to the old state are dropped after the root
 * has as many. The root state lives for ever.
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

static struct container_memory *charged_below(unsigned long data, struct container_memory *root)
{
	struct container_memory *memory = (struct container_memory *)(data & ~MEMORY_TAGS);

	return data & MEMORY_MAPPING || memory == root ? NULL : memory;
}

static void recharge_folio(struct folio *folio, struct container_memory *root)
{
	unsigned long data = READ_ONCE(folio->memcg_data);
	long nr = folio_nr_pages(folio);
	struct container_memory *from;

	container_css_get_many(&root->css, nr);
	do {
		from = charged_below(data, root);
		if (!from) {
			container_css_put_many(&root->css, nr);
			return;
		}
	} while (!try_cmpxchg(&folio->memcg_data, &data,
			      (unsigned long)root | (data & MEMORY_TAGS)));
	memory_transfer(from, root, data & MEMORY_IS_FILE ? MEMORY_FILE : MEMORY_ANON, nr);
	if (data & MEMORY_IS_ACTIVE)
		memory_transfer(from, root, MEMORY_ACTIVE, nr);
	container_css_put_many(&from->css, nr);
}

static void recharge_page(struct page *page, struct container_memory *root)
{
	struct folio *folio;

	if (!page || PageTail(page) || !charged_below(READ_ONCE(page->memcg_data), root))
		return;
	folio = page_folio(page);
	if (!folio_try_get(folio))
		return;
	/* with a reference it keeps its size; only now is it sure to be what it was */
	if (page_folio(page) == folio)
		recharge_folio(folio, root);
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
 * memory_recharge - pass all charges to the root
 * @root_css: root state; all others are offline
 *
 * Context: container_mutex; sleeps.
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
