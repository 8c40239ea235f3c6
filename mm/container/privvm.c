// SPDX-License-Identifier: GPL-2.0-only
/*
 * privvmpages: private address space of a container, as a resource of its beancounter. And what it
 * has in common with lockedpages (lockedpages.c), the other one that address spaces are charged for.
 *
 * What counts is what Linux counts as data and stack of an address space, mm->data_vm
 * and mm->stack_vm: mappings that are private and writable, touched or not, with
 * MAP_NORESERVE or without. /proc/PID/statm shows the sum.
 *
 * Linux looks whether an address space may grow before it does anything else
 * (may_expand_vm()), and counts what has become of it at the end. So do we:
 *
 *   reserve	beside may_expand_vm(): charged, or ENOMEM, for what the address space
 *		will be when this is done
 *   settle	where that ends, well or not: what is charged is what it has become
 *   unmap	what goes for good is given back at once; what a new mapping replaces
 *		is not, its reservation has it
 *   copy	fork: all that will be copied, before anything is
 *   exit	the rest
 *
 * So no bound is passed, not for a moment, by whoever asks; an error has no way out that we
 * would have to know; and after each system call held is the sum over the address spaces.
 *
 * Where it is: each address space has a struct bc_mm, behind its struct mm_struct, whose slab
 * object is of a size that is known at boot only, anyway, for the CPU masks at its end. So no field is
 * added, and the memcpy() of a fork does not copy it.
 *
 * Locking: mmap_lock for writing, for a struct bc_mm; nobody else has the address space before
 * its first charge and after exit.
 *
 * Lifetime: bc_mm.bc is the container of the task that charged first: of the parent in
 * a fork, of the task itself in exec. It is referenced until the address space ends, and
 * so stays charged where it began, whoever is moved where: an address space is of several
 * tasks, and of none for a while.
 *
 * Surprises: exec makes the first page of a stack without asking. It is charged by the first
 * reservation, that of the stack's growth, or fails with it. Otherwise a charge is forced, by settle, only when
 * a driver has made of a mapping something else than was asked for.
 */
#include "internal.h"

#include <linux/container_bc.h>
#include <linux/mmap_lock.h>
#include <linux/slab.h>

#include "bc_mm.h"
#include "vma.h"

static const enum bc_resource resources[BC_MM_RESOURCES] = {
	[BC_MM_PRIVATE] = BC_PRIVVMPAGES,
	[BC_MM_LOCKED] = BC_LOCKEDPAGES,
};

/**
 * struct bc_mm - what follows a struct mm_struct
 * @bc: who is charged; referenced; NULL before the first charge
 * @charged: pages
 */
struct bc_mm {
	struct bc *bc;
	unsigned long charged[BC_MM_RESOURCES];
};

/* From the beginning of a struct mm_struct. */
static unsigned int bc_mm_offset __ro_after_init;

static struct bc_mm *bc_mm(struct mm_struct *mm)
{
	return (void *)mm + bc_mm_offset;
}

static unsigned long private_pages(const struct mm_struct *mm)
{
	return mm->data_vm + mm->stack_vm;
}

static bool is_private(const vma_flags_t *flags)
{
	return is_data_mapping_vma_flags(flags) || is_stack_mapping(vma_flags_to_legacy(*flags));
}

/**
 * container_bc_mm_size - room for what is ours, at boot
 * @size: of the object that has a struct mm_struct, without it
 *
 * Return: with it.
 */
unsigned int __init container_bc_mm_size(unsigned int size)
{
	bc_mm_offset = ALIGN(size, __alignof__(struct bc_mm));
	return bc_mm_offset + sizeof(struct bc_mm);
}

/* A new address space, of nobody yet. */
void container_bc_mm_init(struct mm_struct *mm)
{
	*bc_mm(mm) = (struct bc_mm) { };
}

/* NULL only early at boot. */
static struct bc *bc_of(struct bc_mm *bm)
{
	if (!bm->bc)
		bm->bc = bc_get_current();
	return bm->bc;
}

/**
 * bc_mm_reserve - charge what an address space is about to have
 * @mm: address space
 * @what: of which resource
 * @pages: all in all, not only what is new
 * @error: what the call says if it fails
 *
 * Context: mmap_lock for writing, until container_bc_settle().
 * Return: 0 or -ENOMEM, whatever @error is.
 */
int bc_mm_reserve(struct mm_struct *mm, enum bc_mm_resource what, unsigned long pages, int error)
{
	struct bc_mm *bm = bc_mm(mm);
	int ret = 0;

	mmap_assert_write_locked(mm);
	if (pages <= bm->charged[what] || !bc_of(bm))
		return 0;
	ret = bc_charge(bm->bc, resources[what], pages - bm->charged[what], error);
	if (!ret)
		bm->charged[what] = pages;
	return ret;
}

/**
 * container_bc_may_map - charge a mapping that is about to be made or to grow
 * @mm: address space
 * @flags: what the mapping will be
 * @grow: pages
 * @gone: private pages that it replaces
 *
 * Context: mmap_lock for writing, until container_bc_settle().
 * Return: false where there is no room.
 */
bool container_bc_may_map(struct mm_struct *mm, const vma_flags_t *flags, unsigned long grow,
			  unsigned long gone)
{
	return !is_private(flags) ||
	       !bc_mm_reserve(mm, BC_MM_PRIVATE, private_pages(mm) + grow - gone, -ENOMEM);
}

/**
 * container_bc_may_change - charge a mapping whose flags are about to be changed
 * @mm: address space
 * @old: what it is
 * @new: what it will be
 * @pages: how much of it
 *
 * Context: mmap_lock for writing, until container_bc_settle().
 * Return: false where there is no room.
 */
bool container_bc_may_change(struct mm_struct *mm, const vma_flags_t *old,
			     const vma_flags_t *new, unsigned long pages)
{
	return is_private(old) || container_bc_may_map(mm, new, pages, 0);
}

static void settle(struct mm_struct *mm, enum bc_mm_resource what, unsigned long pages)
{
	struct bc_mm *bm = bc_mm(mm);
	unsigned long charged = bm->charged[what];

	if (pages == charged || !bc_of(bm))
		return;
	/* the first page of a stack in exec, of which nobody knows yet whether there is room */
	if (!charged && what == BC_MM_PRIVATE)
		return;
	if (pages > charged)
		bc_enter(bm->bc, NULL, resources[what], pages - charged);
	else
		bc_give_back(bm->bc, resources[what], charged - pages);
	bm->charged[what] = pages;
}

/**
 * container_bc_settle - the end of a change, done or failed
 * @mm: address space
 *
 * Context: mmap_lock for writing.
 */
void container_bc_settle(struct mm_struct *mm)
{
	mmap_assert_write_locked(mm);
	settle(mm, BC_MM_PRIVATE, private_pages(mm));
	settle(mm, BC_MM_LOCKED, mm->locked_vm);
}

/* It will have @left and what is its own to settle. */
static void unmap(struct mm_struct *mm, enum bc_mm_resource what, unsigned long left,
		  unsigned long gone)
{
	struct bc_mm *bm = bc_mm(mm);

	if (bm->charged[what] <= left)
		return;
	gone = min(gone, bm->charged[what] - left);
	bm->charged[what] -= gone;
	if (gone)
		bc_give_back(bm->bc, resources[what], gone);
}

/**
 * container_bc_unmap - pages are about to be unmapped, which cannot fail any more
 * @mm: address space
 * @private: private ones of them
 * @locked: locked ones of them
 *
 * What mremap() has reserved, and what it has moved away from, is its own to settle.
 *
 * Context: mmap_lock for writing.
 */
void container_bc_unmap(struct mm_struct *mm, unsigned long private, unsigned long locked)
{
	mmap_assert_write_locked(mm);
	unmap(mm, BC_MM_PRIVATE, private_pages(mm) - private, private);
	unmap(mm, BC_MM_LOCKED, mm->locked_vm - locked, locked);
}

/* What a fork leaves out: MADV_DONTFORK, and what some drivers map. */
static unsigned long not_copied(struct mm_struct *mm)
{
	VMA_ITERATOR(vmi, mm, 0);
	struct vm_area_struct *vma;
	unsigned long pages = 0;

	for_each_vma(vmi, vma)
		if (vma_test(vma, VMA_DONTCOPY_BIT) && is_private(&vma->flags))
			pages += vma_pages(vma);
	return pages;
}

/**
 * container_bc_may_copy - charge a copy
 * @mm: address space of a child, with the numbers of its parent's, and empty
 * @oldmm: the parent's
 *
 * Context: fork; mmap_lock of both for writing, nobody else has @mm.
 * Return: 0 or -ENOMEM.
 */
int container_bc_may_copy(struct mm_struct *mm, struct mm_struct *oldmm)
{
	mmap_assert_write_locked(oldmm);
	return bc_mm_reserve(mm, BC_MM_PRIVATE, private_pages(mm) - not_copied(oldmm), -ENOMEM);
}

/**
 * container_bc_mm_exit - an address space has ended
 * @mm: whose last user has gone
 *
 * Context: any that may sleep.
 */
void container_bc_mm_exit(struct mm_struct *mm)
{
	struct bc_mm *bm = bc_mm(mm);

	if (!bm->bc)
		return;
	if (bm->charged[BC_MM_LOCKED])
		bc_give_back(bm->bc, BC_LOCKEDPAGES, bm->charged[BC_MM_LOCKED]);
	bc_uncharge(bm->bc, BC_PRIVVMPAGES, bm->charged[BC_MM_PRIVATE]);
	*bm = (struct bc_mm) { };
}
