// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeping a user page in place while the kernel copies from or to it.
 *
 * copy_to_user() and its kin look the page up and use its kernel address. On
 * several CPUs the page could be migrated, reclaimed or unmapped in between,
 * and the copy ended in a page of somebody else. So the page-table lock, which
 * everybody takes who changes an entry, is held from the look-up to the end of
 * the copy: at most one page, and nothing that sleeps.
 *
 * munmap() takes page tables off without that lock. They are freed after an RCU
 * grace period (MMU_GATHER_RCU_TABLE_FREE), and a held spinlock is a reader, so one
 * that was found is still there, and empty. How it is found is not as safe:
 * virt_to_pte(), and um_tlb_sync() as well, looks whether an entry has a table, and
 * then reads it again for where. It is the compiler that makes one load of this
 * today; two could find that the table has gone, and walk in the first page of memory.
 */

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <asm/user_pte.h>
#include <kern_util.h>

/*
 * The fault sets the young and the dirty bit, which nothing does for the copy
 * itself: a copy into a clean page would be dropped with it.
 */
static bool can_copy(pte_t pte, int is_write)
{
	return pte_present(pte) && pte_young(pte) &&
	       (!is_write || (pte_write(pte) && pte_dirty(pte)));
}

/*
 * With page faults disabled a copy may fail, and some callers hold the lock
 * already: copy-on-write of a page without a struct page (/dev/mem, which no
 * flavour has) whose entry is old, which then finds zeroes, and warns.
 */
static bool lock_page_table(struct mm_struct *mm)
{
	if (pagefault_disabled())
		return spin_trylock(&mm->page_table_lock);
	spin_lock(&mm->page_table_lock);
	return true;
}

/**
 * um_lock_user_pte() - fault a user page of the current task in and hold it
 * @addr: user address
 * @is_write: whether the kernel will write to the page
 *
 * Context: process context; may sleep unless page faults are disabled. The
 * page-table lock is held on success: call um_unlock_user_pte().
 * Return: the entry, or NULL when there is no such page, the access is not
 * allowed, the task is being killed, or page faults are disabled and one
 * would have been needed.
 */
pte_t *um_lock_user_pte(unsigned long addr, int is_write)
{
	struct mm_struct *mm = current->mm;
	int code;

	if (!mm)
		return NULL;
	for (;;) {
		pte_t *pte;

		if (!lock_page_table(mm))
			return NULL;
		pte = virt_to_pte(mm, addr);
		if (pte && can_copy(*pte, is_write))
			return pte;
		spin_unlock(&mm->page_table_lock);
		if (handle_page_fault(addr, 0, is_write, 1, &code))
			return NULL;
		/* it returns 0 to a task that the OOM killer chose, page or not */
		if (fatal_signal_pending(current))
			return NULL;
	}
}

/** um_unlock_user_pte() - end what um_lock_user_pte() began */
void um_unlock_user_pte(void)
{
	spin_unlock(&current->mm->page_table_lock);
}
