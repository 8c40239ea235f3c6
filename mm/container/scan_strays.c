// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handler's last resort: pages of a container that neither its tasks nor
 * its mappings lead to. Linux leaves a folio in the swap cache when its last
 * user exits while it is being written, until reclaim comes by; and a task that
 * moved takes the page tables along, not the charges.
 *
 * Walks all page frames, so it is only for when the other walks found nothing,
 * and for states whose directory is gone: a stray would keep them for ever. One walk
 * is for all of those.
 *
 * Locking: none held; a reference on one folio at a time, folio lock by trylock. A page without a
 * reference can be anything, so what is where its owner's address would be is not followed, only
 * looked up in a set of such addresses: strangers' folios are mostly not touched. With a reference
 * it is asked again.
 */
#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/swap.h>

#include "internal.h"
#include "scan.h"

#define STRAY_BITS	10

/* By address, who may have strays; others can be in there, too. */
struct stray_owners {
	DECLARE_BITMAP(hash, 1 << STRAY_BITS);
};

static void stray_find_owners(struct memory_scan *scan, struct stray_owners *owners)
{
	struct container_memory *top = scan->top ?: css_memory(memory_subsys.root_css);
	struct container_memory *memory = NULL;

	bitmap_zero(owners->hash, 1 << STRAY_BITS);
	memory_list_lock();
	while ((memory = memory_list_next_locked(top, memory)))
		if (scan->top || READ_ONCE(memory->dead))
			__set_bit(hash_ptr(memory, STRAY_BITS), owners->hash);
	memory_list_unlock();
}

/* Of a page without a reference. A file's owner is not in its word; that of a removed container's is another. */
static bool stray_may_be(struct memory_scan *scan, const struct stray_owners *owners,
			 unsigned long data)
{
	if (!data || data & MEMORY_MAPPING)
		return data && scan->top;
	return test_bit(hash_ptr((void *)(data & ~MEMORY_TAGS), STRAY_BITS), owners->hash);
}

/* Of a folio with a reference. */
static bool stray_is(struct memory_scan *scan, struct folio *folio)
{
	struct container_memory *memory;

	if (scan->top)
		return memory_owns(scan->top, folio);
	guard(rcu)();
	memory = memory_of_folio(folio);
	return memory && READ_ONCE(memory->dead);
}

/* A referenced folio of the container on the LRU, that is not a file's; or NULL. */
static struct folio *stray_get(struct memory_scan *scan, const struct stray_owners *owners,
			       unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	struct folio *folio;

	if (!page || PageTail(page) || !stray_may_be(scan, owners, READ_ONCE(page->memcg_data)))
		return NULL;
	folio = page_folio(page);
	if (!folio_test_lru(folio) || !folio_test_swapbacked(folio) || !folio_try_get(folio))
		return NULL;
	/* only now is it sure to be what it was */
	if (page_folio(page) == folio && folio_test_lru(folio) && folio_test_swapbacked(folio) &&
	    stray_is(scan, folio))
		return folio;
	folio_put(folio);
	return NULL;
}

/* Does nobody use what it holds? Then it is free with the last reference. */
static bool stray_drop(struct folio *folio)
{
	bool dropped;

	if (!folio_trylock(folio))
		return false;
	dropped = !folio_mapped(folio) && folio_test_anon(folio) && folio_free_swap(folio);
	folio_unlock(folio);
	return dropped;
}

static void stray_scan(struct memory_scan *scan, struct folio *folio)
{
	unsigned long nr = folio_nr_pages(folio);

	if (folio_test_swapcache(folio) && stray_drop(folio)) {
		memory_scan_event(scan, MEMORY_RECLAIMED, nr);
		scan->freed += nr;
	} else if (scan->force || (folio_test_swapcache(folio) && !folio_mapped(folio))) {
		memory_scan_isolate(scan, folio);
	}
}

/**
 * memory_scan_strays - look at every page of the machine
 * @scan: the run of the handler
 *
 * Context: process, no locks. Reclaims what it isolates.
 * Return: true when it freed something, or waited for something to be written.
 */
bool memory_scan_strays(struct memory_scan *scan)
{
	unsigned long before = scan->freed, pfn;
	struct stray_owners owners;
	struct pglist_data *node;
	bool again = false;

	/* in a batch of a CPU, which may have nothing to do for ever, a folio cannot be isolated */
	lru_add_drain_all();
	stray_find_owners(scan, &owners);
	scan->budget = LONG_MAX;
	for_each_online_pgdat(node) {
		for (pfn = node->node_start_pfn; pfn < pgdat_end_pfn(node) && scan->budget; pfn++) {
			struct folio *folio = stray_get(scan, &owners, pfn);

			if (folio) {
				stray_scan(scan, folio);
				folio_put(folio);
			}
			if (pfn % MEMORY_ROUND)
				continue;
			again |= memory_scan_reclaim(scan);
			cond_resched();
		}
	}
	again |= memory_scan_reclaim(scan);
	return again || scan->freed > before;
}
