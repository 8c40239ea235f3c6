/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hooks of the memory subsystem: what Linux's memory management calls.
 * Those named mem_cgroup_*() stand in for the empty stubs of
 * <linux/memcontrol.h>; the others are one line each in mm/hooks.patch and
 * include/hooks.patch. Mechanism and locks: mm/container/memory.h.
 *
 * Included by <linux/vmstat.h>, so nothing but <linux/mmzone.h> is needed here.
 */
#ifndef _LINUX_CONTAINER_MEMORY_H
#define _LINUX_CONTAINER_MEMORY_H

#include <linux/mmzone.h>

struct address_space;
struct folio;
struct folio_batch;
struct mm_struct;

#ifdef CONFIG_CONTAINER_MEMORY

int container_memory_charge(struct folio *folio, gfp_t gfp);
void __container_memory_uncharge(struct folio *folio);
void __container_memory_active(struct folio *folio, int nr);
void __container_memory_mapped(struct folio *folio, int nr);
void container_memory_handle_over_limit(void);

/*
 * An anonymous folio about to be mapped. May wait, or fail, at page_max only.
 * Page-cache folios come here too, without an mm (those of tmpfs do not):
 * container_memory_add_to_cache() charges them to their mapping.
 */
static inline int mem_cgroup_charge(struct folio *folio, struct mm_struct *mm, gfp_t gfp)
{
	return mm ? container_memory_charge(folio, gfp) : 0;
}

/* Huge pages of hugetlbfs are not counted. */
static inline int mem_cgroup_charge_hugetlb(struct folio *folio, struct mm_struct *mm, gfp_t gfp)
{
	return 0;
}

/* A folio in the swap cache, locked, about to be read; not on the LRU yet. */
static inline int mem_cgroup_swapin_charge_folio(struct folio *folio, unsigned short id,
						 struct mm_struct *mm, gfp_t gfp)
{
	return container_memory_charge(folio, gfp);
}

/* A folio without references, off the LRU; any context. */
static inline void mem_cgroup_uncharge(struct folio *folio)
{
	if (folio->memcg_data)
		__container_memory_uncharge(folio);
}

void mem_cgroup_uncharge_folios(struct folio_batch *folios);

/* @new takes @old's place in the page cache; @old is freed later. */
void mem_cgroup_replace_folio(struct folio *old, struct folio *new);

/* Migration: @new is @old from now on. Both locked and isolated. */
void mem_cgroup_migrate(struct folio *old, struct folio *new);

/* On the way to user mode, without locks. */
static inline void mem_cgroup_handle_over_high(gfp_t gfp_mask)
{
	container_memory_handle_over_limit();
}

/*
 * filemap_add_folio(), shmem_alloc_and_add_folio() and shmem_swapin_folio(), before they
 * add @folio: may @mapping's owner have one more? May wait; 0 or -ENOMEM.
 */
int container_memory_may_cache(struct address_space *mapping, struct folio *folio, gfp_t gfp);

/*
 * filemap_add_folio() and shmem_add_to_page_cache(), after success: the one
 * place where a folio, its mapping and a context that may allocate meet.
 * @folio is locked.
 */
void container_memory_add_to_cache(struct address_space *mapping, struct folio *folio, gfp_t gfp);

/* clear_inode(): the mapping is empty and nobody will find it any more. */
void container_memory_detach(struct address_space *mapping);

/* workingset_refault(): @folio was evicted not long ago. Locked. */
void container_memory_refault(struct folio *folio);

/* lruvec_stat_mod_folio(): rmap tells here how many pages of a file are mapped. */
static inline void container_memory_stat(struct folio *folio, enum node_stat_item idx, int nr)
{
	if (idx == NR_FILE_MAPPED)
		__container_memory_mapped(folio, nr);
}

/* lruvec_add_folio() and its kin: on and off a list of the LRU; lru_lock held. */
static inline void container_memory_lru(struct folio *folio, enum lru_list lru, int nr)
{
	if (is_active_lru(lru))
		__container_memory_active(folio, nr);
}

#else /* !CONFIG_CONTAINER_MEMORY */

static inline int container_memory_may_cache(struct address_space *mapping,
					     struct folio *folio, gfp_t gfp)
{
	return 0;
}

static inline void container_memory_add_to_cache(struct address_space *mapping,
						 struct folio *folio, gfp_t gfp) {}
static inline void container_memory_detach(struct address_space *mapping) {}
static inline void container_memory_refault(struct folio *folio) {}
static inline void container_memory_stat(struct folio *folio, enum node_stat_item idx, int nr) {}
static inline void container_memory_lru(struct folio *folio, enum lru_list lru, int nr) {}

#endif
#endif /* _LINUX_CONTAINER_MEMORY_H */
