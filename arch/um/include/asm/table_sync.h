/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A new page table, below an entry that has lost one.
 *
 * _PAGE_NEEDSYNC in an entry says that the host does not have what the entry
 * says. A table that is freed takes the bits of its entries along, so the entry
 * above it gets the bit (pmd_clear() and so on): all below has gone, and
 * um_tlb_sync() unmaps it. If a new table is put there before that, the entry
 * is one that is present, where nobody looks at the bit. So it goes down, to
 * all entries of the new table: whichever nobody sets until the sync is
 * unmapped, side by side with one call to the host, and any other is mapped.
 *
 * (Linux as it is forgets the bit, and the host's mappings stay, on pages that
 * are free: mremap() to where a whole table's pages were, for example.)
 *
 * Locking: the page-table lock, as for every change of an entry. The sync holds
 * it, too.
 *
 * Included by <asm/pgalloc.h>, which all who make tables include. The macros of <asm/pgtable.h> give way.
 */
#ifndef __UM_TABLE_SYNC_H
#define __UM_TABLE_SYNC_H

/* @above: the entry as it was; @table: not yet to be seen by anybody. */
static inline void um_table_sync(unsigned long above, void *table)
{
	unsigned long *entry = table;
	int i;

	if (likely(!(above & _PAGE_NEEDSYNC)))
		return;
	for (i = 0; i < PAGE_SIZE / sizeof(*entry); i++)
		entry[i] |= _PAGE_NEEDSYNC;
	smp_wmb();	/* before the entry that leads here, as in pmd_install() */
}

static inline void pmd_populate(struct mm_struct *mm, pmd_t *pmd, pgtable_t pte)
{
	um_table_sync(pmd_val(*pmd), page_address(pte));
	set_pmd(pmd, __pmd(_PAGE_TABLE + page_to_phys(pte)));
}

#if CONFIG_PGTABLE_LEVELS > 2
#undef pud_populate
static inline void pud_populate(struct mm_struct *mm, pud_t *pud, pmd_t *pmd)
{
	um_table_sync(pud_val(*pud), pmd);
	set_pud(pud, __pud(_PAGE_TABLE + __pa(pmd)));
}
#endif

#if CONFIG_PGTABLE_LEVELS > 3
#undef p4d_populate
static inline void p4d_populate(struct mm_struct *mm, p4d_t *p4d, pud_t *pud)
{
	um_table_sync(p4d_val(*p4d), pud);
	set_p4d(p4d, __p4d(_PAGE_TABLE + __pa(pud)));
}
#endif

#endif
