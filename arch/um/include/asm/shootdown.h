/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What flush_tlb_*() calls after it has marked a range, and how reclaim and
 * migration do that for many pages at once; see kernel/shootdown.c.
 */
#ifndef __UM_SHOOTDOWN_H
#define __UM_SHOOTDOWN_H

#include <linux/types.h>

struct mm_struct;

#ifdef CONFIG_SMP
#include <asm/tlbbatch.h>

void um_tlb_shootdown(struct mm_struct *mm);

static inline bool arch_tlbbatch_should_defer(struct mm_struct *mm)
{
	return true;
}

void arch_tlbbatch_add_pending(struct arch_tlbflush_unmap_batch *batch, struct mm_struct *mm,
			       unsigned long start, unsigned long end);
void arch_tlbbatch_flush(struct arch_tlbflush_unmap_batch *batch);
#else
/* the only CPU is here, so it is not in user code */
static inline void um_tlb_shootdown(struct mm_struct *mm) { }
#endif

#endif
