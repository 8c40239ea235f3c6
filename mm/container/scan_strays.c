// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handler's last resort: pages of a container that neither its tasks nor
 * its mappings lead to. Linux leaves a folio in the swap cache when its last
 * user exits while it is being written, until reclaim comes by; and a task that
 * moved takes the page tables along, not the charges.
 *
 * Walks all page frames, so it is only for when the other walks found nothing,
 * and for states whose directory is gone: a stray would keep them for ever.
 *
 * Locking: none held; a reference on one folio at a time, folio lock by trylock.
 */
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/swap.h>

#include "internal.h"
#include "scan.h"

/* A referenced folio of the container on the LRU, that is not a file's; or NULL. */
static struct folio *stray_get(struct memory_scan *scan, unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	struct folio *folio;

	if (!page || PageTail(page) || !READ_ONCE(page->memcg_data))
		return NULL;
	folio = page_folio(page);
	if (!folio_test_lru(folio) || !folio_test_swapbacked(folio) || !folio_try_get(folio))
		return NULL;
	/* only now is it sure to be what it was */
	if (page_folio(page) == folio && folio_test_lru(folio) && folio_test_swapbacked(folio) &&
	    memory_owns(scan->top, folio))
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
		memory_event(scan->top, MEMORY_RECLAIMED, nr);
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
	struct pglist_data *node;
	bool again = false;

	/* in a batch of a CPU, which may have nothing to do for ever, a folio cannot be isolated */
	lru_add_drain_all();
	scan->budget = LONG_MAX;
	for_each_online_pgdat(node) {
		for (pfn = node->node_start_pfn; pfn < pgdat_end_pfn(node) && scan->budget; pfn++) {
			struct folio *folio = stray_get(scan, pfn);

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
