/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapping many pages for one stay of a stub; see kernel/shootdown.c.
 */
#ifndef __UM_TLBBATCH_H
#define __UM_TLBBATCH_H

struct mm_struct;

/* Part of task_struct, used by current alone. */
struct arch_tlbflush_unmap_batch {
	struct mm_struct *mm;	/* whose stub ran when a page was taken, a reference; or NULL */
	unsigned int stay;	/* which stay that was */
};

#endif
