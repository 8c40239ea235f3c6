/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the over-limit handler share. One memory_scan per run of
 * the handler, on its stack, under the container's handler_mutex.
 */
#ifndef _MM_CONTAINER_SCAN_H
#define _MM_CONTAINER_SCAN_H

#include "memory.h"

/* How often a walk is repeated for what is being written, and nothing has come free. */
#define MEMORY_TRIES	4

/**
 * struct memory_scan - one run of the handler
 * @top: whose limit; NULL for strays of all states whose directory is gone
 * @reclaim: policy reclaim: take what is inactive
 * @invalidate: this walk over mappings drops clean unmapped pages instead
 * @force: take what is in use too: a lap without that has freed nothing
 * @swap: there is room on a swap device
 * @again: this walk repeats the last one, only for what went to swap
 * @at: the mapping in whose middle the last round stopped, referenced
 * @budget: folios that this walk may still look at
 * @want: pages that this round may still free
 * @swapbacked: isolated folios whose contents go to swap
 * @files: isolated folios of files
 * @writeback: the last folio seen that is being written, referenced, to wait for
 * @written: pages seen that are being written to swap: nothing else is taken in their place
 * @writing: this lap has begun to write, or has seen pages that are being written
 * @waited: and some of these are written now
 * @freed: pages that this run made free
 */
struct memory_scan {
	struct container_memory *top;
	bool reclaim;
	bool invalidate;
	bool force;
	bool swap;
	bool again;
	struct container_mapping *at;
	long budget;
	long want;
	struct list_head swapbacked;
	struct list_head files;
	struct folio *writeback;
	long written;
	bool writing;
	bool waited;
	unsigned long freed;
};

/* Counted for whose limit it was. */
static inline void memory_scan_event(struct memory_scan *scan, enum memory_event event,
				     unsigned long nr)
{
	if (scan->top)
		memory_event(scan->top, event, nr);
}

/* scan.c */
void memory_scan_isolate(struct memory_scan *scan, struct folio *folio);
void memory_scan_age(struct memory_scan *scan, struct folio *folio);
bool memory_scan_swapcache(struct memory_scan *scan, swp_entry_t entry);
bool memory_scan_reclaim(struct memory_scan *scan);
bool memory_scan_reclaim_again(struct memory_scan *scan, int *tries);

/* scan_tasks.c, scan_files.c: true at the end of a lap */
bool memory_scan_tasks(struct memory_scan *scan, struct memory_cursor *cursor);
bool memory_scan_files(struct memory_scan *scan, struct memory_cursor *cursor);

/* scan_strays.c */
bool memory_scan_strays(struct memory_scan *scan);

#endif /* _MM_CONTAINER_SCAN_H */
