// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose a page in swap is: when it comes back it is charged to whom it belonged, whoever reads it.
 *
 * Linux has room for a number beside each place on a swap device. It gets that of the owner's
 * memory_home when the page leaves memory, and keeps it until the page leaves again, or the place is
 * free, or the file of tmpfs that it is in is passed on. A state is not kept by what it has in swap: when
 * it goes offline its parent takes its homes over, as it does with mappings.
 *
 * Locking: the xarray's own lock (irq safe, inside of a swap cluster's) for the numbers, the lists and the
 * owners; RCU to follow a number.
 * Lifetime: a home is referenced by its state, and by each place that has its number; freed after a
 * grace period.
 *
 * Surprise: there are 65535 numbers. A container that is made when all are in use has none, and
 * what returns of it from swap is charged to who reads it.
 */
#include <linux/container_memory.h>
#include <linux/folio_batch.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swapops.h>
#include <linux/xarray.h>

#include "internal.h"
#include "swap.h"
#include "swap_table.h"
#include "memory.h"

static DEFINE_XARRAY_FLAGS(memory_homes, XA_FLAGS_LOCK_IRQ | XA_FLAGS_ALLOC1);

/**
 * struct memory_home - where pages go that come back from swap
 * @refs: see the head of this file
 * @owner: whom they are charged to; xa_lock to change, RCU to follow
 * @node: entry in @owner's homes; xa_lock
 * @id: its number; immutable
 * @rcu: for freeing
 */
struct memory_home {
	refcount_t refs;
	struct container_memory *owner;
	struct list_head node;
	u32 id;
	struct rcu_head rcu;
};

/**
 * memory_home_init - a new state gets a number
 * @memory: that nobody knows yet
 *
 * Context: sleeps.
 * Return: 0, also when there is no number left; or -ENOMEM
 */
int memory_home_init(struct container_memory *memory)
{
	struct memory_home *home = kzalloc_obj(*home, GFP_KERNEL);
	int err;

	INIT_LIST_HEAD(&memory->homes);
	if (!home)
		return -ENOMEM;
	refcount_set(&home->refs, 1);
	home->owner = memory;
	list_add(&home->node, &memory->homes);
	err = xa_alloc_irq(&memory_homes, &home->id, home, XA_LIMIT(1, U16_MAX), GFP_KERNEL);
	if (!err) {
		memory->home = home;
		return 0;
	}
	list_del(&home->node);
	kfree(home);
	return err == -EBUSY ? 0 : err;
}

static void memory_home_put(struct memory_home *home, int nr)
{
	unsigned long flags;

	if (!refcount_sub_and_test(nr, &home->refs))
		return;
	xa_lock_irqsave(&memory_homes, flags);
	__xa_erase(&memory_homes, home->id);
	list_del(&home->node);
	xa_unlock_irqrestore(&memory_homes, flags);
	kfree_rcu(home, rcu);
}

/**
 * memory_home_release_all - what is in swap passes to the parent
 * @memory: state that goes offline
 *
 * Context: process, container_mutex: the parent cannot go offline meanwhile.
 */
void memory_home_release_all(struct container_memory *memory)
{
	struct container_memory *parent = memory_parent(memory);
	struct memory_home *home;

	xa_lock_irq(&memory_homes);
	list_for_each_entry(home, &memory->homes, node)
		WRITE_ONCE(home->owner, parent);
	list_splice_init(&memory->homes, &parent->homes);
	xa_unlock_irq(&memory_homes);
}

/* The end of a state, after a grace period: no folio leads to it any more. */
void memory_home_exit(struct container_memory *memory)
{
	if (memory->home)
		memory_home_put(memory->home, 1);
}

/**
 * memory_of_place - whose a page is that is in swap alone
 * @entry: its place; the caller keeps it, and it its number
 *
 * Context: rcu_read_lock(), process.
 * Return: the owner, maybe going offline; NULL if nobody is noted there
 */
struct container_memory *memory_of_place(swp_entry_t entry)
{
	struct swap_cluster_info *ci;
	struct memory_home *home;
	unsigned short id;

	ci = swap_cluster_lock(__swap_entry_to_info(entry), swp_offset(entry));
	id = __swap_cgroup_get(ci, swp_cluster_offset(entry));
	swap_cluster_unlock(ci);
	home = id ? xa_load(&memory_homes, id) : NULL;
	return home ? READ_ONCE(home->owner) : NULL;
}

/**
 * memory_of_swapped - whose a page is that comes back
 * @folio: locked, in the swap cache, so that it keeps its place
 *
 * Context: rcu_read_lock(), process.
 * Return: the owner, maybe going offline; NULL if nobody is noted there
 */
struct container_memory *memory_of_swapped(struct folio *folio)
{
	return memory_of_place(folio->swap);
}

/* Context: the cluster of the places is locked. */
void container_memory_swap_freed(unsigned short id, unsigned int nr)
{
	struct memory_home *home;

	guard(rcu)();
	home = xa_load(&memory_homes, id);
	if (!WARN_ON_ONCE(!home))
		memory_home_put(home, nr);
}

/* A place gets the number of @memory, or none. Context: RCU, @ci is locked. */
static void memory_home_set(struct swap_cluster_info *ci, unsigned int place, struct container_memory *memory)
{
	struct memory_home *home = memory ? memory->home : NULL;
	unsigned short old = __swap_cgroup_clear(ci, place, 1);

	if (old)
		container_memory_swap_freed(old, 1);
	if (home && refcount_inc_not_zero(&home->refs))
		__swap_cgroup_set(ci, place, 1, home->id);
}

/*
 * Reclaim takes @folio out of the swap cache: from now on only its places on the device say whose it was.
 * Context: @ci is locked, interrupts are off.
 */
void container_memory_swapped_out(struct folio *folio, struct swap_cluster_info *ci)
{
	unsigned int place = swp_cluster_offset(folio->swap), end = place + folio_nr_pages(folio);
	struct container_memory *memory;

	guard(rcu)();
	memory = memory_of_folio(folio);
	for (; place < end; place++)
		memory_home_set(ci, place, memory);
}

/*
 * A place of @mapping's gets the number of its owner. What is in the swap cache for it, read ahead and charged to the owner
 * before, becomes the new owner's too: as that one's it would be noted again when it leaves. Context: RCU, @ci is locked.
 */
static void memory_home_move_place(struct swap_cluster_info *ci, unsigned int place,
				   struct container_mapping *cm)
{
	struct container_memory *owner = memory_get_online(READ_ONCE(cm->owner));
	unsigned long cached = __swap_table_get(ci, place);

	/* nobody takes it out without the lock */
	if (owner && swp_tb_is_folio(cached))
		memory_recharge_to(swp_tb_to_folio(cached), owner);
	memory_home_set(ci, place, owner);
	if (owner)
		container_css_put(&owner->css);
}

/* The page at @index, in swap as @value says, is whose the file is now. */
static void memory_home_move_one(struct address_space *mapping, pgoff_t index, void *value)
{
	swp_entry_t entry = radix_to_swp_entry(value);
	struct swap_info_struct *device;
	struct swap_cluster_info *ci;
	unsigned int place, end;

	if (!softleaf_is_swap(entry))
		return;
	device = get_swap_device(entry);
	if (!device)
		return;
	place = swp_cluster_offset(entry);
	ci = swap_cluster_lock(device, swp_offset(entry));
	rcu_read_lock();
	/* who frees the place takes it out of the file first, and then this lock: it is still the file's */
	if (xa_load(&mapping->i_pages, index) == value) {
		end = place + (1U << xa_get_order(&mapping->i_pages, index));
		for (; place < end; place++)
			memory_home_move_place(ci, place, mapping->container);
	}
	rcu_read_unlock();
	swap_cluster_unlock(ci);
	put_swap_device(device);
}

/**
 * memory_home_move - a file of tmpfs has been passed on: so is what it has in swap
 * @mapping: its, with a container_mapping that has its new owner; pinned
 *
 * Who is passed on a second time meanwhile is its last owner's: that is looked up under the lock of each place. A page
 * that leaves memory meanwhile gets the new owner's number by itself, under the same lock. One that is being charged just
 * then may be the old owner's until it is in the file; when it leaves before that, its place is, too.
 *
 * Context: process, sleeps.
 */
void memory_home_move(struct address_space *mapping)
{
	pgoff_t indices[FOLIO_BATCH_SIZE], next = 0;
	struct folio_batch batch;
	unsigned int i;

	if (!shmem_mapping(mapping) || !READ_ONCE(SHMEM_I(mapping->host)->swapped))
		return;
	folio_batch_init(&batch);
	while (find_get_entries(mapping, &next, -1, &batch, indices)) {
		for (i = 0; i < folio_batch_count(&batch); i++)
			if (xa_is_value(batch.folios[i]))
				memory_home_move_one(mapping, indices[i], batch.folios[i]);
		folio_batch_remove_exceptionals(&batch);
		folio_batch_release(&batch);
		cond_resched();
	}
}
