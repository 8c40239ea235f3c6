/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pages in swap, for what Linux has in mm/swap_state.c and mm/swapfile.c: it has room for a number
 * beside each place on a swap device, and two calls that are empty without cgroups. Included by
 * mm/swap_table.h, and not where those calls are declared, so that nobody else has to be built anew.
 */
#ifndef _MM_CONTAINER_SWAPPED_H
#define _MM_CONTAINER_SWAPPED_H

#ifdef CONFIG_CONTAINER_MEMORY

/* Whose @folio is, for when it comes back: it leaves memory; @ci has its places. */
void container_memory_swapped_out(struct folio *folio, struct swap_cluster_info *ci);
/* @nr places of this number are free. */
void container_memory_swap_freed(unsigned short id, unsigned int nr);

/*
 * swap_cache_read_folio(): what nobody has asked for may be another container's, and is not to wait for
 * room there, nor have anybody killed: it is refused instead (max.c). So is @hurry what has been asked for,
 * while pages before it are locked and nobody has told the device of them: whose these are would wait, too. It
 * is tried again when they are on their way.
 */
static inline gfp_t container_memory_swap_gfp(gfp_t gfp, bool hurry)
{
	return hurry ? gfp | __GFP_NORETRY | __GFP_NOWARN : gfp;
}

#define __memcg1_swapout	container_memory_swapped_out
#define mem_cgroup_uncharge_swap	container_memory_swap_freed

#else
static inline gfp_t container_memory_swap_gfp(gfp_t gfp, bool hurry) { return gfp; }
#endif
#endif /* _MM_CONTAINER_SWAPPED_H */
