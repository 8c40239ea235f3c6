// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the handler does with one folio: give it a second chance, or isolate it
 * and hand it to Linux's reclaim.
 *
 * Locking: called from the walks, partly under page table locks. Isolated
 * folios are the scan's own until memory_scan_reclaim(), which takes no lock of
 * ours and writes to swap.
 */
#include <kunit/static_stub.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "internal.h"
#include "swap.h"
#include "scan.h"

/* Second chance: to the inactive list, where the next lap finds it. */
void memory_scan_age(struct memory_scan *scan, struct folio *folio)
{
	folio_clear_referenced(folio);
	/* what is in the batch of a CPU, as after a refault, is left alone by folio_deactivate() */
	if (!folio_test_active(folio) || !folio_test_lru(folio))
		return;
	folio_set_workingset(folio);
	folio_deactivate(folio);
	memory_event(scan->top, MEMORY_DEACTIVATED, folio_nr_pages(folio));
}

/*
 * What goes to swap will be free soon; a file's page is clean then, and for the next lap. A disk
 * writes roughly in the order in which it was told: when the last one is written, most of
 * the others are.
 */
static void memory_scan_written(struct memory_scan *scan, struct folio *folio, bool swapbacked)
{
	folio_get(folio);
	if (scan->writeback)
		folio_put(scan->writeback);
	scan->writeback = folio;
	if (!swapbacked)
		return;
	scan->written += folio_nr_pages(folio);
	scan->want -= folio_nr_pages(folio);
}

/*
 * Is swapoff bringing back what has a place where this one has? It would be written there again, and neither of
 * the two come to an end.
 */
static bool memory_scan_comes_back(struct folio *folio)
{
	bool back;

	/* reclaim does not get it either, if somebody else has it locked */
	if (!folio_test_swapcache(folio) || !folio_trylock(folio))
		return false;
	back = folio_test_swapcache(folio) &&
	       /* swapoff clears it before it looks at any page */
	       !(data_race(__swap_entry_to_info(folio->swap)->flags) & SWP_WRITEOK);
	folio_unlock(folio);
	return back;
}

/**
 * memory_scan_isolate - take a folio off the LRU for reclaim
 * @scan: the run of the handler
 * @folio: inactive and not in use lately; pinned by a reference or by its page
 *	table lock
 */
void memory_scan_isolate(struct memory_scan *scan, struct folio *folio)
{
	bool swapbacked = folio_test_swapbacked(folio);

	KUNIT_STATIC_STUB_REDIRECT(memory_scan_isolate, scan, folio);
	if (folio_test_writeback(folio)) {
		/* one walk for all dead states waits for the disk of none of them */
		if (scan->top)
			memory_scan_written(scan, folio, swapbacked);
		scan->writing = true;
		return;
	}
	if (scan->want <= 0)
		return;
	if (swapbacked && !scan->swap && !folio_test_swapcache(folio))
		return;
	if (swapbacked && memory_scan_comes_back(folio))
		return;
	/* reclaim would only make it active: the walk over mappings writes it */
	if (!swapbacked && folio_test_dirty(folio))
		return;
	if (!folio_isolate_lru(folio))
		return;
	if (folio_test_unevictable(folio)) {
		folio_putback_lru(folio);
		return;
	}
	scan->want -= folio_nr_pages(folio);
	/* the rest keeps its turn */
	if (scan->want <= 0)
		scan->budget = 0;
	list_add_tail(&folio->lru, swapbacked ? &scan->swapbacked : &scan->files);
}

/**
 * memory_scan_swapcache - a place whose page is swapped out: is it gone yet?
 * @scan: the run of the handler
 * @entry: swap entry that cannot be freed meanwhile
 *
 * Return: true when a folio of ours was found.
 */
bool memory_scan_swapcache(struct memory_scan *scan, swp_entry_t entry)
{
	struct folio *folio = swap_cache_get_folio(entry);
	bool owned;

	if (!folio)
		return false;
	owned = memory_owns(scan->top, folio);
	if (owned && !folio_mapped(folio))
		memory_scan_isolate(scan, folio);
	folio_put(folio);
	return owned;
}

static unsigned long memory_list_pages(struct list_head *list)
{
	struct folio *folio;
	unsigned long nr = 0;

	list_for_each_entry(folio, list, lru)
		nr += folio_nr_pages(folio);
	return nr;
}

/*
 * Wait until what is being written is on the disk; killed tasks do not. The
 * reference is what kept the folio from being freed.
 */
static bool memory_scan_wait(struct memory_scan *scan)
{
	struct folio *folio = scan->writeback;
	bool waited = false;

	scan->writeback = NULL;
	if (folio) {
		waited = !folio_wait_writeback_killable(folio);
		scan->waited |= waited;
		folio_put(folio);
	}
	scan->want += scan->written;
	scan->written = 0;
	return waited;
}

/**
 * memory_scan_reclaim - free what was isolated, or start writing it
 * @scan: the run of the handler
 *
 * Context: process, no locks.
 * Return: true when the same walk again may free more: writing has begun, or
 * what was being written is written now.
 */
bool memory_scan_reclaim(struct memory_scan *scan)
{
	unsigned long swapbacked = memory_list_pages(&scan->swapbacked);
	unsigned long files = memory_list_pages(&scan->files);
	unsigned long swapped, dropped;
	bool waited = memory_scan_wait(scan);

	/* uncharged one folio batch at a time, counted when the list is done */
	swapped = reclaim_pages(&scan->swapbacked);
	dropped = reclaim_pages(&scan->files);
	memory_scan_event(scan, MEMORY_SWAPPED, swapped);
	memory_scan_event(scan, MEMORY_RECLAIMED, swapped + dropped);
	scan->freed += swapped + dropped;
	scan->want += swapbacked + files - swapped - dropped;
	return waited || swapped < swapbacked;
}

/**
 * memory_scan_reclaim_again - the same, and is it worth to repeat the walk?
 * @scan: the run of the handler
 * @tries: MEMORY_TRIES at first; how often it still may be when nothing has come free
 *
 * A disk may fail, and somebody else may have the same pages written again and again: a wait
 * alone is no progress.
 *
 * Context: process, no locks.
 */
bool memory_scan_reclaim_again(struct memory_scan *scan, int *tries)
{
	unsigned long before = scan->freed;

	if (!memory_scan_reclaim(scan) || scan->want <= 0 || READ_ONCE(scan->top->dead))
		return false;
	/*
	 * What was put back, and what has been written, is in a batch of a CPU, and cannot be
	 * isolated: this one's, or of whichever CPU was told that it is written.
	 */
	if (scan->freed > before) {
		*tries = MEMORY_TRIES;
		lru_add_drain();
	} else {
		lru_add_drain_all();
	}
	return (*tries)-- > 0;
}
