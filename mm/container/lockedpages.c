// SPDX-License-Identifier: GPL-2.0-only
/*
 * lockedpages: locked memory of a container, as a resource of its beancounter.
 *
 * What counts is what Linux counts as locked of an address space, mm->locked_vm: the pages of mappings that
 * mlock(2), mlockall(2) or MAP_LOCKED have locked, there already or not. /proc/PID/status shows it as
 * VmLck. It is not the limit of a process, RLIMIT_MEMLOCK, which CAP_IPC_LOCK is spared.
 *
 *   mlock	all that is not locked in the range is reserved before the first area is: ENOMEM, and
 *		nothing is locked
 *   mmap, mremap	of what will be locked, from the first page on: EAGAIN, as Linux says of its own
 *		limit
 *   brk, stack	the same; what they say of any want of room
 *   munlock	and whatever else makes it less: given back by settle, unmap or exit
 *
 * Each is settled where the change ends (privvm.c), and so what an error has left, or a mapping that
 * cannot be locked after all, is not held. A fork's copy has nothing locked.
 *
 * Locking, lifetime: as in privvm.c. Who is charged is the same one, too: where the address space began.
 *
 * Surprises: mlockall(2) reserves for all mappings or fails, though Linux goes on there after an
 * area that cannot be locked. What is locked but belongs to no address space (SHM_LOCK, drivers) is a
 * user's, and not counted.
 */
#include "internal.h"

#include <linux/mmap_lock.h>
#include <linux/secretmem.h>

#include "bc_mm.h"

/**
 * container_bc_may_lock - charge a mapping that is about to be made or to grow, if it will be locked
 * @mm: address space
 * @flags: what the mapping will be
 * @grow: pages
 * @gone: locked pages that it replaces
 * @error: what the call says then
 *
 * Context: mmap_lock for writing, until container_bc_settle().
 * Return: false where there is no room.
 */
bool container_bc_may_lock(struct mm_struct *mm, const vma_flags_t *flags, unsigned long grow,
			   unsigned long gone, int error)
{
	return !vma_flags_test(flags, VMA_LOCKED_BIT) ||
	       !bc_mm_reserve(mm, BC_MM_LOCKED, mm->locked_vm + grow - gone, error);
}

/* It can be locked and is not. */
static bool is_lockable(struct vm_area_struct *vma)
{
	return !vma_test(vma, VMA_LOCKED_BIT) && !vma_is_secretmem(vma) && vma_supports_mlock(vma);
}

/**
 * container_bc_may_mlock - charge what is about to be locked
 * @start: of the range, a page's beginning
 * @len: of the range, whole pages; 0 for nothing
 *
 * Context: mmap_lock of the current address space for writing, until container_bc_settle().
 * Return: 0 or -ENOMEM.
 */
int container_bc_may_mlock(unsigned long start, unsigned long len)
{
	VMA_ITERATOR(vmi, current->mm, start);
	struct mm_struct *mm = current->mm;
	unsigned long end = start + len, bytes = 0;
	struct vm_area_struct *vma;

	mmap_assert_write_locked(mm);
	/* what is no range the caller refuses */
	if (end <= start)
		return 0;
	for_each_vma_range(vmi, vma, end)
		if (is_lockable(vma))
			bytes += min(end, vma->vm_end) - max(start, vma->vm_start);
	if (!bytes)
		return 0;
	return bc_mm_reserve(mm, BC_MM_LOCKED, mm->locked_vm + (bytes >> PAGE_SHIFT), -ENOMEM);
}
