// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much of an address space is charged to a container: what its OOM kill goes by. A process
 * that moved in has brought its page tables along, not its charges, and its end would free nothing.
 *
 * Counts pages in memory and in swap, as often as they are mapped; those that it shares
 * with others count for each of them.
 *
 * Locking: mmap_lock for reading, by trylock, because the caller may have it, and somebody may
 * wait to write; page table locks, inside of these the swap cluster's.
 */
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagewalk.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "internal.h"
#include "swap.h"
#include "memory.h"

struct oom_walk {
	struct container_memory *top;
	unsigned long owned;
};

/* A place in swap; the page table lock keeps it. */
static bool oom_owns_place(struct container_memory *top, swp_entry_t entry)
{
	struct folio *folio = swap_cache_get_folio(entry);
	bool owned;

	if (folio) {
		/* what is in memory, too, says whose it is */
		owned = memory_owns(top, folio);
		folio_put(folio);
		return owned;
	}
	guard(rcu)();
	return memory_within(memory_of_place(entry), top);
}

static bool oom_owns(struct container_memory *top, struct vm_area_struct *vma, unsigned long addr,
		     pte_t pte)
{
	struct folio *folio;
	softleaf_t entry;

	if (pte_none(pte))
		return false;
	if (pte_present(pte)) {
		folio = vm_normal_folio(vma, addr, pte);
		return folio && !folio_is_zone_device(folio) && memory_owns(top, folio);
	}
	entry = softleaf_from_pte(pte);
	return softleaf_is_swap(entry) && oom_owns_place(top, entry);
}

static int oom_walk_pmd(pmd_t *pmd, unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	struct oom_walk *at = walk->private;
	pte_t *first, *pte;
	spinlock_t *ptl;

	first = pte = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	if (!pte)
		return 0;
	for (; addr < end; addr += PAGE_SIZE, pte++)
		at->owned += oom_owns(at->top, walk->vma, addr, ptep_get(pte));
	pte_unmap_unlock(first, ptl);
	cond_resched();
	return 0;
}

/* What is locked in memory counts, other than for the handler. */
static int oom_test_vma(unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	return !!(walk->vma->vm_flags & (VM_PFNMAP | VM_HUGETLB | VM_IO));
}

static const struct mm_walk_ops oom_walk_ops = {
	.pmd_entry = oom_walk_pmd,
	.test_walk = oom_test_vma,
	.walk_lock = PGWALK_RDLOCK,
};

/**
 * memory_oom_owned - pages of an address space that a container, or one below it, is charged for
 * @top: the container
 * @mm: referenced address space
 * @owned: the result
 *
 * Context: process; sleeps, but never for @mm.
 * Return: false when somebody is changing @mm
 */
bool memory_oom_owned(struct container_memory *top, struct mm_struct *mm, unsigned long *owned)
{
	struct oom_walk at = { .top = top };

	if (!mmap_read_trylock(mm))
		return false;
	walk_page_range(mm, 0, mm->task_size, &oom_walk_ops, &at);
	mmap_read_unlock(mm);
	*owned = at.owned;
	return true;
}
