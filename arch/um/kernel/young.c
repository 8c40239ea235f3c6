// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking whether pages are in use. The states of an entry, who makes which and why: <asm/young.h>.
 *
 * Locking: the page-table lock of the entry is held by the caller of everything here.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>

/**
 * um_pte_unknown() - an entry that is old without a look
 * @pte: present entry
 *
 * The host maps it for reading, too: with protection keys it makes unreadable what may be executed only.
 *
 * Return: true when nobody waits for its next access: it needs no fault.
 */
bool um_pte_unknown(pte_t pte)
{
	return !pte_young(pte) && !pte_aged(pte);
}

/**
 * ptep_test_and_clear_young() - was this page used since the last look?
 * @vma: of the entry
 * @addr: user address
 * @ptep: present entry
 *
 * From now on the next access is seen.
 *
 * Context: page-table lock held; the caller flushes when the answer is yes.
 * Return: true when it was, or when nobody has looked yet.
 */
bool ptep_test_and_clear_young(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep)
{
	pte_t pte = ptep_get(ptep);

	if (pte_aged(pte))
		return false;
	set_pte_at(vma->vm_mm, addr, ptep, pte_mkaged(pte));
	return true;
}

/**
 * clear_young_dirty_ptes() - forget that pages were used, or written to
 * @vma: of the entries
 * @addr: user address of the first
 * @ptep: the first of @nr present entries
 * @nr: how many
 * @flags: what to forget
 *
 * Context: page-table lock held; the caller flushes.
 */
void clear_young_dirty_ptes(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep,
			    unsigned int nr, cydp_t flags)
{
	for (; nr--; ptep++, addr += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep);

		if (flags & CYDP_CLEAR_YOUNG)
			pte = pte_mkaged(pte);
		if (flags & CYDP_CLEAR_DIRTY)
			pte = pte_mkclean(pte);
		set_pte_at(vma->vm_mm, addr, ptep, pte);
	}
}
