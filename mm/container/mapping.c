// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose the page cache of a file is. One container_mapping per address space
 * that ever had a page; all its folios point to it, so they change their owner
 * together, by one store.
 *
 * The owner is the container that brings the first page in, or that claimed the
 * file (claim.c), until the last page is freed. When a container goes offline
 * its parent takes the mappings.
 *
 * Locking and lifetime: memory.h. A folio is uncharged in any context, so the
 * last reference may go in an interrupt; inodes are looked at under
 * memory_host_lock only, which is never taken there.
 */
#include <linux/container_memory.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "internal.h"
#include "memory.h"

static DEFINE_SPINLOCK(memory_owner_lock);
static DEFINE_SPINLOCK(memory_host_lock);
static atomic64_t memory_laps = ATOMIC64_INIT(0);

/**
 * container_mapping_find - the container_mapping of an address space
 * @mapping: address space with a locked folio in it, so that it stays
 * @gfp: how to make one
 *
 * Context: as @gfp says.
 * Return: NULL when there is no memory, or nobody would tell us of its end.
 */
struct container_mapping *container_mapping_find(struct address_space *mapping, gfp_t gfp)
{
	/* pairs with cmpxchg() below */
	struct container_mapping *cm = smp_load_acquire(&mapping->container), *old;

	if (cm || !mapping->host || mapping != &mapping->host->i_data)
		return cm;
	gfp = (gfp & GFP_RECLAIM_MASK & ~__GFP_NOFAIL) | __GFP_NOWARN;
	cm = kzalloc_obj(*cm, gfp);
	if (!cm)
		return NULL;
	spin_lock_init(&cm->lock);
	refcount_set(&cm->refs, 1);
	INIT_LIST_HEAD(&cm->node);
	cm->mapping = mapping;
	cm->shmem = shmem_mapping(mapping);
	old = cmpxchg(&mapping->container, NULL, cm);
	if (!old)
		return cm;
	kfree(cm);
	return old;
}

/* Context: any; both irq-safe locks free. */
void container_mapping_put(struct container_mapping *cm)
{
	unsigned long flags;

	if (!refcount_dec_and_test(&cm->refs))
		return;
	spin_lock_irqsave(&memory_owner_lock, flags);
	if (!list_empty(&cm->node)) {
		list_del_init(&cm->node);
		cm->owner->nr_mappings--;
	}
	spin_unlock_irqrestore(&memory_owner_lock, flags);
	kfree_rcu(cm, rcu);
}

/* Numbers that came late (or early) move along with the owner. */
static void container_mapping_set_owner_locked(struct container_mapping *cm,
					       struct container_memory *owner)
{
	int item;

	lockdep_assert_held(&memory_owner_lock);
	lockdep_assert_held(&cm->lock);
	if (cm->owner == owner)
		return;
	if (cm->owner) {
		list_del_init(&cm->node);
		cm->owner->nr_mappings--;
	}
	if (owner) {
		list_add_tail(&cm->node, &owner->mappings);
		owner->nr_mappings++;
	}
	for (item = 0; cm->owner && owner && item < NR_MEMORY_ITEMS; item++)
		memory_transfer(cm->owner, owner, item, cm->nr[item]);
	WRITE_ONCE(cm->owner, owner);
}

/* Add pages to a mapping that has an owner. */
static void container_mapping_add_locked(struct container_mapping *cm, enum memory_item item,
					 long nr)
{
	lockdep_assert_held(&cm->lock);
	if (item != MEMORY_REFAULT)
		cm->nr[item] += nr;
	memory_count(cm->owner, item, nr);
}

/**
 * container_mapping_charge - charge pages to a mapping
 * @cm: mapping, alive
 * @memory: becomes the owner if these are the first pages; may be NULL if the
 *	caller knows that they are not
 * @nr: pages
 * @swapped: it has pages in swap: a mapping that still has an owner keeps it
 *
 * Context: rcu_read_lock(), process.
 */
void container_mapping_charge(struct container_mapping *cm, struct container_memory *memory,
			      long nr, bool swapped)
{
	struct container_memory *owner;
	unsigned long flags;

	spin_lock_irqsave(&cm->lock, flags);
	if (!cm->nr[MEMORY_FILE]) {
		spin_unlock_irqrestore(&cm->lock, flags);
		spin_lock_irqsave(&memory_owner_lock, flags);
		spin_lock(&cm->lock);
		if (!cm->nr[MEMORY_FILE]) {
			while (memory->dead)
				memory = memory_parent(memory);
			if (!cm->claimed && !(swapped && cm->owner))
				container_mapping_set_owner_locked(cm, memory);
			refcount_inc(&cm->refs);
			container_mapping_add_locked(cm, MEMORY_FILES, 1);
		}
		container_mapping_add_locked(cm, MEMORY_FILE, nr);
		owner = cm->owner;
		spin_unlock(&cm->lock);
		spin_unlock_irqrestore(&memory_owner_lock, flags);
	} else {
		container_mapping_add_locked(cm, MEMORY_FILE, nr);
		owner = cm->owner;
		spin_unlock_irqrestore(&cm->lock, flags);
	}
	if (memory_check_due(owner, nr))
		memory_check_limit(owner);
}

/**
 * container_mapping_uncharge - pages of a mapping are freed
 * @cm: what they were charged to
 * @nr: how many
 *
 * Context: any.
 */
void container_mapping_uncharge(struct container_mapping *cm, long nr)
{
	unsigned long flags;
	bool last;

	spin_lock_irqsave(&cm->lock, flags);
	if (WARN_ON_ONCE(cm->nr[MEMORY_FILE] < nr))
		nr = cm->nr[MEMORY_FILE];
	container_mapping_add_locked(cm, MEMORY_FILE, -nr);
	last = nr && !cm->nr[MEMORY_FILE];
	if (last) {
		container_mapping_add_locked(cm, MEMORY_FILES, -1);
		WRITE_ONCE(cm->claimed, false);
	}
	spin_unlock_irqrestore(&cm->lock, flags);
	if (last)
		container_mapping_put(cm);
}

/**
 * container_mapping_count - add to another number than the charged pages
 * @cm: mapping with charged pages
 * @item: which
 * @nr: pages
 *
 * Context: any; rcu_read_lock(). When the last page went meanwhile there may be
 * no owner left; then nothing is counted, and nothing was.
 */
void container_mapping_count(struct container_mapping *cm, enum memory_item item, long nr)
{
	unsigned long flags;

	spin_lock_irqsave(&cm->lock, flags);
	if (cm->owner)
		container_mapping_add_locked(cm, item, nr);
	spin_unlock_irqrestore(&cm->lock, flags);
}

/**
 * container_memory_detach - the end of an inode
 * @mapping: its own address space, empty
 *
 * Context: process. Pages that somebody still holds stay charged.
 */
void container_memory_detach(struct address_space *mapping)
{
	struct container_mapping *cm = mapping->container;

	if (!cm)
		return;
	/* waits for container_mapping_pin(); after that igrab() would fail anyway */
	spin_lock(&memory_host_lock);
	cm->mapping = NULL;
	spin_unlock(&memory_host_lock);
	mapping->container = NULL;
	container_mapping_put(cm);
}

/**
 * container_mapping_release_all - hand all mappings to the parent
 * @memory: state that goes offline
 *
 * Context: process, container_mutex: the parent cannot go offline meanwhile.
 */
void container_mapping_release_all(struct container_memory *memory)
{
	struct container_memory *parent = memory_parent(memory);
	struct container_mapping *cm, *tmp;

	spin_lock_irq(&memory_owner_lock);
	WRITE_ONCE(memory->dead, true);
	list_for_each_entry_safe(cm, tmp, &memory->mappings, node) {
		spin_lock(&cm->lock);
		container_mapping_set_owner_locked(cm, parent);
		spin_unlock(&cm->lock);
	}
	spin_unlock_irq(&memory_owner_lock);
}

/* Nobody has pages in it, and nobody waits for some. */
static bool container_mapping_idle_locked(struct container_mapping *cm)
{
	lockdep_assert_held(&cm->lock);
	return !cm->nr[MEMORY_FILE] && !cm->nr[MEMORY_ACTIVE] && !cm->nr[MEMORY_MAPPED] &&
	       !cm->claimed;
}

/* Has it pages, in memory or (tmpfs) in swap? The caller has its inode pinned. */
static bool container_mapping_has_pages_locked(struct container_mapping *cm)
{
	lockdep_assert_held(&cm->lock);
	/* one that leaves is counted in swap before it is gone here, and one that comes is here first */
	return cm->nr[MEMORY_FILE] ||
	       (cm->shmem && READ_ONCE(SHMEM_I(cm->mapping->host)->swapped));
}

/**
 * container_mapping_move - a file changes hands, pages included
 * @cm: its mapping, whose inode the caller has pinned
 * @from: whom it has to belong to; NULL for anybody
 * @to: the new owner
 *
 * Without pages, in memory or in swap, a file is @to's until the first page has come and the
 * last one has left; taken from somebody it is nobody's.
 *
 * Context: process; states pinned.
 * Return: 0; -ENODEV (@to or @from is offline), -ENOENT (not @from's), -ENOMEM
 * (the pages would bring @to, or one above it, over its page_max).
 */
int container_mapping_move(struct container_mapping *cm, struct container_memory *from,
			   struct container_memory *to)
{
	bool pages;
	int err = 0;

	spin_lock_irq(&memory_owner_lock);
	spin_lock(&cm->lock);
	pages = container_mapping_has_pages_locked(cm);
	if (to->dead || (from && from->dead)) {
		err = -ENODEV;
	} else if (from && (cm->owner != from || (!pages && !cm->claimed))) {
		err = -ENOENT;
	} else if (from && !pages) {
		WRITE_ONCE(cm->claimed, false);
		if (container_mapping_idle_locked(cm))
			container_mapping_set_owner_locked(cm, NULL);
	} else {
		/* they cannot become more before they are @to's: both locks are held */
		if (cm->nr[MEMORY_FILE])
			err = memory_may_move(to, cm->owner, cm->nr[MEMORY_FILE]);
		if (!err) {
			container_mapping_set_owner_locked(cm, to);
			WRITE_ONCE(cm->claimed, !pages);
		}
	}
	spin_unlock(&cm->lock);
	spin_unlock_irq(&memory_owner_lock);
	return err;
}

/**
 * container_mapping_list - all mappings with pages in a subtree, at one moment
 * @top: its top
 * @files: result, in no order; their @cm are referenced
 * @max: room in @files
 *
 * No mapping changes its owner meanwhile, so that each is there once. The lock
 * is held for as long as a container takes that goes offline with so many.
 *
 * Context: process, sleeps.
 * Return: how many there are; those above @max are not in @files.
 */
unsigned long container_mapping_list(struct container_memory *top, struct memory_file *files,
				     unsigned long max)
{
	struct container_memory *memory = NULL;
	struct container_mapping *cm;
	unsigned long found = 0;
	long pages;

	memory_list_lock();
	spin_lock_irq(&memory_owner_lock);
	while ((memory = memory_list_next_locked(top, memory))) {
		list_for_each_entry(cm, &memory->mappings, node) {
			/* may change as soon as it is read; whoever has pages has a reference */
			pages = data_race(cm->nr[MEMORY_FILE]);
			if (pages <= 0 || (found < max && !refcount_inc_not_zero(&cm->refs)))
				continue;
			if (found < max)
				files[found] = (struct memory_file) { .cm = cm, .pages = pages };
			found++;
		}
	}
	spin_unlock_irq(&memory_owner_lock);
	memory_list_unlock();
	return found;
}

/**
 * container_mapping_identify - which file is it?
 * @file: its @cm is referenced; gets @dev and @ino, 0 when the inode is gone
 *
 * Context: process.
 */
void container_mapping_identify(struct memory_file *file)
{
	struct inode *inode;

	/* container_memory_detach() waits, so the inode and its super block are there */
	spin_lock(&memory_host_lock);
	if (file->cm->mapping) {
		inode = file->cm->mapping->host;
		file->dev = inode->i_sb->s_dev;
		file->ino = inode->i_ino;
	}
	spin_unlock(&memory_host_lock);
}

/**
 * container_mapping_within - does a file belong to a container or one below it?
 * @cm: referenced
 * @top: the container
 *
 * Context: any.
 * Return: a snapshot
 */
bool container_mapping_within(struct container_mapping *cm, struct container_memory *top)
{
	guard(rcu)();
	return memory_within(READ_ONCE(cm->owner), top);
}

/**
 * container_mapping_walked - is there nothing more to look at in this lap?
 * @cm: referenced
 * @cursor: position, in whose lap
 *
 * What another handler has aged since this lap began, that of a container above or below, would have
 * no second chance. A lap that takes what is in use, too, does not ask what others have done.
 *
 * Context: any.
 * Return: true when it was walked to its end; a snapshot without memory_owner_lock.
 */
bool container_mapping_walked(struct container_mapping *cm, struct memory_cursor *cursor)
{
	u64 lap = READ_ONCE(cm->lap);

	return cursor->force ? lap == cursor->lap : lap >= cursor->lap;
}

/* Is this one due in this pass? Mappings without pages lose their owner, if none can be in swap. */
static bool container_mapping_due(struct container_mapping *cm, struct memory_cursor *cursor)
{
	bool due = false;

	lockdep_assert_held(&memory_owner_lock);
	spin_lock(&cm->lock);
	if (!container_mapping_idle_locked(cm))
		due = !container_mapping_walked(cm, cursor) && fls64(cm->nr[MEMORY_FILE]) >= cursor->class;
	else if (!cm->shmem)
		container_mapping_set_owner_locked(cm, NULL);
	spin_unlock(&cm->lock);
	return due && refcount_inc_not_zero(&cm->refs);
}

/**
 * container_mapping_next - the mapping to go on with, biggest first
 * @owner: whose mappings; referenced
 * @cursor: position; class 0 to start over
 *
 * A lap has a pass for every power of two, from the top. A pass takes each
 * mapping from the head of the list to the tail, so that nobody stays at the
 * head and a lap looks at each mapping once per pass. It returns those that have so many
 * pages by now, also where they had less in a pass before, and were not walked to their end since
 * this lap began: each has one turn, or what was aged in the first would have no second chance.
 *
 * Context: process.
 * Return: a referenced mapping, or NULL at the end of the lap.
 */
struct container_mapping *container_mapping_next(struct container_memory *owner,
						 struct memory_cursor *cursor)
{
	struct container_mapping *cm;
	int looked;

	if (!cursor->class) {
		cursor->lap = atomic64_inc_return(&memory_laps);
		cursor->class = fls64(memory_read(owner, MEMORY_FILE));
		cursor->left = READ_ONCE(owner->nr_mappings);
	}
	while (cursor->class) {
		spin_lock_irq(&memory_owner_lock);
		for (looked = 0; cursor->left > 0 && looked < 256; looked++) {
			cm = list_first_entry_or_null(&owner->mappings, struct container_mapping,
						      node);
			if (!cm)
				cursor->left = 0;
			else
				cursor->left--;
			if (!cm)
				break;
			list_move_tail(&cm->node, &owner->mappings);
			if (container_mapping_due(cm, cursor)) {
				spin_unlock_irq(&memory_owner_lock);
				return cm;
			}
		}
		if (cursor->left <= 0) {
			cursor->class--;
			cursor->left = owner->nr_mappings;
		}
		spin_unlock_irq(&memory_owner_lock);
		cond_resched();
	}
	return NULL;
}

/**
 * container_mapping_done - the handler has walked a mapping to its end
 * @cm: that container_mapping_next() returned, referenced by that
 * @cursor: position, in whose lap @cm is not due again, nor in another that has begun by now
 *
 * Context: process.
 */
void container_mapping_done(struct container_mapping *cm, struct memory_cursor *cursor)
{
	spin_lock_irq(&memory_owner_lock);
	WRITE_ONCE(cm->lap, cursor->force ? cursor->lap : atomic64_read(&memory_laps));
	spin_unlock_irq(&memory_owner_lock);
	container_mapping_put(cm);
}

/**
 * container_mapping_stay - the handler stops in the middle of a mapping
 * @cm: that container_mapping_next() returned, referenced by that
 * @cursor: position, of which @cm becomes the next; if it belongs to somebody else meanwhile it has
 *	lost its turn
 *
 * Context: process.
 */
void container_mapping_stay(struct container_mapping *cm, struct memory_cursor *cursor)
{
	spin_lock_irq(&memory_owner_lock);
	if (cm->owner && cm->owner->serial == cursor->at) {
		list_move(&cm->node, &cm->owner->mappings);
		cursor->left++;
	}
	spin_unlock_irq(&memory_owner_lock);
	container_mapping_put(cm);
}

/**
 * container_mapping_pin - keep the inode of a mapping
 * @cm: referenced mapping
 *
 * Takes s_umount too, so that unmounting waits for container_mapping_unpin(). That may be the inode's
 * end, and on a frozen file system wait for the thaw, which waits for s_umount: so none of these is
 * pinned, and none is frozen meanwhile.
 *
 * Context: process.
 * Return: the inode, or NULL: it is gone, or its file system frozen or being unmounted.
 */
struct inode *container_mapping_pin(struct container_mapping *cm)
{
	struct inode *inode = NULL;
	struct super_block *sb;

	spin_lock(&memory_host_lock);
	if (cm->mapping) {
		/* not cleared yet, so the super block has not let it go either */
		sb = cm->mapping->host->i_sb;
		if (down_read_trylock(&sb->s_umount)) {
			/* freeze_super() cannot come to where evict() waits while we have s_umount */
			if (!(sb->s_flags & SB_DYING) && sb->s_root && (sb->s_flags & SB_BORN) &&
			    READ_ONCE(sb->s_writers.frozen) == SB_UNFROZEN)
				inode = igrab(cm->mapping->host);
			if (!inode)
				up_read(&sb->s_umount);
		}
	}
	spin_unlock(&memory_host_lock);
	return inode;
}

/* Context: process, no locks: this may be the inode's end. */
void container_mapping_unpin(struct inode *inode)
{
	struct super_block *sb = inode->i_sb;

	iput(inode);
	up_read(&sb->s_umount);
}
