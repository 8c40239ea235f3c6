/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages in use, told from others by faults, and only where somebody asks (kernel/young.c).
 *
 * UML has no accessed bit that a processor sets: a page is seen to be used when
 * a fault marks it young, and there is a fault only where the process's mapping
 * refuses the access. Linux makes entries old in two ways that mean different
 * things, and a present entry is in one of three states:
 *
 *   state    bits                    access        what it means
 *   young    _PAGE_ACCESSED          as allowed    used since somebody looked
 *   unknown  neither                 read, execute nobody has looked yet
 *   aged     _PAGE_AGED              none          not used since somebody looked
 *
 * - Reclaim, the over-limit handler, clear_refs and MADV_COLD or MADV_FREE
 *   look: ptep_test_and_clear_young(), clear_young_dirty_ptes(). Afterwards the
 *   entry is aged; the next access faults and makes it young. (Linux as it is
 *   leaves such a page readable, so that reading never made it young.)
 * - fork, migration and swapoff make entries old without a look: pte_mkold().
 *   A young entry becomes unknown and can be read without a fault, as in Linux
 *   as it is: a child reads what its parent read and has the right to be as fast.
 *   An aged one stays aged: fork copies what is known.
 *
 * The first look at an unknown entry answers that it was used, once, and makes
 * it aged. Both answers can be wrong. This one costs a page that nobody uses a
 * second look; the other one would take pages that are being read all the time
 * from a child whose parent has gone, and after a compaction from everybody.
 * Everybody else asks pte_young(), which says no: an exiting child does not
 * mark its parent's pages used.
 *
 * A write always faults on an entry that is not young, so it is never missed.
 * Young and aged at once does not exist: pte_mkyoung() clears the one and a
 * look the other. pte_modify() makes entries young (every protection has
 * _PAGE_ACCESSED), which is why _PAGE_AGED is not in _PAGE_CHG_MASK.
 *
 * _PAGE_AGED has a meaning in present entries only; in a swap entry the bit is
 * part of the type.
 *
 * Locking: the page-table lock, as for every change of an entry.
 *
 * Included by <asm/pgtable.h> when the entries' other bits are defined.
 */
#ifndef __UM_YOUNG_H
#define __UM_YOUNG_H

static inline bool pte_aged(pte_t pte)
{
	return pte_get_bits(pte, _PAGE_AGED);
}

static inline pte_t pte_mkaged(pte_t pte)
{
	pte = pte_mkold(pte);
	pte_set_bits(pte, _PAGE_AGED);
	return pte;
}

/* An old entry for tlb.c: may it be read and executed all the same? */
bool um_pte_unknown(pte_t pte);

#define __HAVE_ARCH_PTEP_TEST_AND_CLEAR_YOUNG
bool ptep_test_and_clear_young(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep);

#define clear_young_dirty_ptes clear_young_dirty_ptes
void clear_young_dirty_ptes(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep,
			    unsigned int nr, cydp_t flags);

#endif
