// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handler's walk over a container's mappings (and those below it).
 *
 * Two kinds of walk: one that drops clean unmapped pages whatever their age, as
 * many as are wanted, and deactivates the rest (scan->invalidate), and a clock like that over address
 * spaces: what is active or referenced is aged, the rest is isolated, what is
 * dirty is written.
 *
 * Locking: the inode and its super block are pinned while a mapping is walked
 * (container_mapping_pin()); the walk itself needs references on folios only.
 * Position: the owner's serial, the pass and place in its list, and in each
 * mapping an index. All of it stays from one run to the next: a run is short, and
 * what comes first in a lap would be all that is ever looked at. The index is the
 * mapping's, and a handler of a container above may walk it at the same time: each
 * has its own while it does, and whoever stops last says where the next goes on. Who comes
 * to the end has given it its turn in the other's lap, too.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "internal.h"
#include "scan.h"

/* Was it used since somebody asked last? */
static bool scan_referenced(struct folio *folio)
{
	vma_flags_t flags;
	/* of an active one, too: this clears the young bits, and nobody else does */
	bool used = folio_mapped(folio) && folio_referenced(folio, 0, NULL, &flags);

	return used || folio_test_active(folio);
}

/* Of a folio in the page cache. Returns true when it is to be written. */
static bool scan_cached(struct memory_scan *scan, struct folio *folio)
{
	if (!memory_owns(scan->top, folio))
		return false;
	scan->budget -= folio_nr_pages(folio);
	if (scan->again)
		return false;
	memory_event(scan->top, MEMORY_SCANNED, folio_nr_pages(folio));
	if (!scan->force && scan_referenced(folio)) {
		memory_scan_age(scan, folio);
		return false;
	}
	memory_scan_isolate(scan, folio);
	return folio_test_dirty(folio) && !folio_test_swapbacked(folio);
}

/* Of a tmpfs page that is swapped out. */
static void scan_swapped(struct memory_scan *scan, void *value)
{
	swp_entry_t entry = radix_to_swp_entry(value);
	struct swap_info_struct *device;

	if (!softleaf_is_swap(entry))
		return;
	device = get_swap_device(entry);
	if (!device)
		return;
	if (memory_scan_swapcache(scan, entry))
		scan->budget--;
	put_swap_device(device);
}

/* A batch of the clock. Returns the number of dirty pages in it. */
static long scan_batch(struct memory_scan *scan, struct folio_batch *batch)
{
	long dirty = 0;
	int i;

	for (i = 0; i < folio_batch_count(batch); i++) {
		struct folio *folio = batch->folios[i];

		if (xa_is_value(folio))
			scan_swapped(scan, folio);
		else if (scan_cached(scan, folio))
			dirty += folio_nr_pages(folio);
	}
	return dirty;
}

/* Start writing what is dirty from @first up to @next, without waiting. */
static void scan_write(struct memory_scan *scan, struct address_space *mapping, pgoff_t first,
		       pgoff_t next, long dirty)
{
	loff_t start = (loff_t)first << PAGE_SHIFT;
	loff_t end = ((loff_t)next << PAGE_SHIFT) - 1;

	/* our own position, so there is something between */
	VM_WARN_ON_ONCE(dirty && next && next <= first);
	if (!dirty || filemap_flush_range(mapping, start, next ? end : LLONG_MAX))
		return;
	memory_event(scan->top, MEMORY_WRITTEN_BACK, dirty);
	scan->writing = true;
}

/* How far a mapping was walked. */
enum scan_end {
	SCAN_BREAK,	/* to where the budget ended */
	SCAN_END,
	SCAN_NOTHING,	/* no further, and that says nothing about what is in it: others look at it in their laps */
};

/* The clock, in one mapping. */
static enum scan_end scan_mapping(struct memory_scan *scan, struct address_space *mapping, pgoff_t *next)
{
	pgoff_t indices[FOLIO_BATCH_SIZE];
	struct folio_batch batch;
	pgoff_t first = *next;
	unsigned int found = 1;
	long dirty = 0;

	folio_batch_init(&batch);
	while (scan->budget > 0 && found) {
		if (shmem_mapping(mapping))
			found = find_get_entries(mapping, next, -1, &batch, indices);
		else
			found = filemap_get_folios(mapping, next, -1, &batch);
		dirty += scan_batch(scan, &batch);
		folio_batch_remove_exceptionals(&batch);
		folio_batch_release(&batch);
		cond_resched();
	}
	if (!scan->again)
		scan_write(scan, mapping, first, found && *next != ULONG_MAX ? *next : 0, dirty);
	return found ? SCAN_BREAK : SCAN_END;
}

/* Drop a folio if it is clean and nobody maps it, whatever its age; else deactivate it. The reference is the batch's. */
static void scan_drop_locked(struct memory_scan *scan, struct address_space *mapping,
			     struct folio *folio)
{
	long nr = folio_nr_pages(folio);

	VM_BUG_ON_FOLIO(!folio_test_locked(folio), folio);
	/* truncated meanwhile? */
	if (folio->mapping != mapping)
		return;
	if (!mapping_evict_folio(mapping, folio)) {
		/* not one that is in somebody's page tables, or in the batch of a CPU */
		if (folio_test_active(folio) && folio_test_lru(folio) && !folio_mapped(folio))
			memory_event(scan->top, MEMORY_DEACTIVATED, nr);
		deactivate_file_folio(folio);
		return;
	}
	memory_event(scan->top, MEMORY_INVALIDATED, nr);
	scan->freed += nr;
	scan->want -= nr;
	/* the rest keeps its turn */
	if (scan->want <= 0)
		scan->budget = 0;
}

static void scan_drop(struct memory_scan *scan, struct address_space *mapping, struct folio *folio)
{
	scan->budget -= folio_nr_pages(folio);
	/* of a file that is ours, it may be another's: charged directly, or claimed just now */
	if (!memory_owns(scan->top, folio))
		return;
	memory_event(scan->top, MEMORY_SCANNED, folio_nr_pages(folio));
	if (!folio_trylock(folio))
		return;
	scan_drop_locked(scan, mapping, folio);
	folio_unlock(folio);
}

/*
 * Drop what can be dropped, in one mapping: what invalidate_mapping_pages() does, as far as is wanted. When it has
 * changed hands its next owner's handler looks at it.
 */
static enum scan_end scan_invalidate(struct memory_scan *scan, struct container_mapping *cm,
				     struct address_space *mapping, pgoff_t *next)
{
	struct folio_batch batch;
	int i;

	folio_batch_init(&batch);
	while (scan->budget > 0) {
		if (!container_mapping_within(cm, scan->top))
			return SCAN_NOTHING;
		if (!filemap_get_folios(mapping, next, -1, &batch))
			return SCAN_END;
		for (i = 0; i < folio_batch_count(&batch) && scan->budget > 0; i++)
			scan_drop(scan, mapping, batch.folios[i]);
		if (i < folio_batch_count(&batch))
			*next = batch.folios[i]->index;
		/* what was dropped goes with this reference */
		folio_batch_release(&batch);
		cond_resched();
	}
	return SCAN_BREAK;
}

/*
 * As much of @cm as the budget allows. What goes from tmpfs to swap is looked up
 * again when it is written, and freed; a file's written pages are for the next lap.
 */
static enum scan_end scan_one(struct memory_scan *scan, struct container_mapping *cm)
{
	struct address_space *mapping;
	struct inode *inode;
	pgoff_t start = READ_ONCE(cm->next), next = start;
	int tries = MEMORY_TRIES;
	enum scan_end end;

	/* there is nothing to drop in it, and the clock keeps its place */
	if (scan->invalidate && cm->shmem)
		return SCAN_NOTHING;
	inode = container_mapping_pin(cm);
	if (!inode)
		return SCAN_NOTHING;
	mapping = &inode->i_data;
	if (scan->invalidate) {
		end = scan_invalidate(scan, cm, mapping, &next);
	} else {
		end = scan_mapping(scan, mapping, &next);
		/* a file's pages are not looked for again, so no batch has to be emptied for them */
		if (!shmem_mapping(mapping))
			memory_scan_reclaim(scan);
		while (shmem_mapping(mapping) && memory_scan_reclaim_again(scan, &tries)) {
			pgoff_t again = start;
			long budget = scan->budget;

			scan->again = true;
			scan->budget = MEMORY_ROUND;
			scan_mapping(scan, mapping, &again);
			scan->budget = budget;
			scan->again = false;
		}
	}
	WRITE_ONCE(cm->next, end == SCAN_END ? 0 : next);
	container_mapping_unpin(inode);
	return end;
}

/* The mapping to go on with, referenced; NULL at the end of a lap. */
static struct container_mapping *scan_next_mapping(struct memory_scan *scan,
						   struct memory_cursor *cursor)
{
	struct container_mapping *cm = scan->at;
	struct container_memory *owner;
	u64 serial;

	scan->at = NULL;
	cursor->force = scan->force;
	/* another handler has come to the end of it since */
	if (cm && container_mapping_walked(cm, cursor)) {
		container_mapping_put(cm);
		cm = NULL;
	}
	while (!cm) {
		serial = cursor->owner;
		owner = memory_next_within(scan->top, &serial);
		if (!owner)
			break;
		/* the one before is done, or gone */
		if (cursor->at != serial)
			cursor->class = 0;
		cursor->at = serial;
		cm = container_mapping_next(owner, cursor);
		if (!cm)
			cursor->owner = serial;
		container_css_put(&owner->css);
	}
	return cm;
}

/**
 * memory_scan_files - look at scan->budget pages of the container's mappings
 * @scan: the run of the handler
 * @cursor: where to go on
 *
 * Context: process, no locks but handler_mutex. Reclaims what it isolates.
 * Return: true at the end of a lap; the cursor is at the start then.
 */
bool memory_scan_files(struct memory_scan *scan, struct memory_cursor *cursor)
{
	struct container_mapping *cm;

	while (scan->budget > 0 && !fatal_signal_pending(current)) {
		cm = scan_next_mapping(scan, cursor);
		if (!cm) {
			cursor->owner = 0;
			return true;
		}
		switch (scan_one(scan, cm)) {
		case SCAN_END:
			container_mapping_done(cm, cursor);
			break;
		case SCAN_NOTHING:
			container_mapping_put(cm);
			break;
		case SCAN_BREAK:
			/* a big one keeps its turn over as many rounds as it takes */
			scan->at = cm;
		}
		cond_resched();
	}
	return false;
}
