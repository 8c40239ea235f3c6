// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose a folio is, and the hooks that charge and uncharge it.
 *
 * folio->memcg_data is zero (not counted), or a container_memory that is
 * charged directly, or a container_mapping; the low bits are tags (memory.h).
 *
 * Locking: the word is written by whoever charges (the folio is locked or not
 * yet visible) and by whoever frees (nobody else has it). In between
 * MEMORY_IS_ACTIVE changes under lru_lock, and recharge.c puts another state for
 * one that goes, so that all changes are atomic and keep what they do not
 * mean; and a state that was read there is used under RCU, or after taking a
 * reference that can fail.
 *
 * Who is charged: the container of the current task, whoever's address space
 * the page is for. Kernel threads charge the root. A page that comes back from swap
 * is charged to whom it belonged (swapped.c), but for one that has no room and can make none.
 */
#include <linux/container_memory.h>
#include <linux/folio_batch.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "memory.h"

static struct container_memory *data_memory(unsigned long data)
{
	return (struct container_memory *)(data & ~MEMORY_TAGS);
}

static struct container_mapping *data_mapping(unsigned long data)
{
	return (struct container_mapping *)(data & ~MEMORY_TAGS);
}

/* Context: rcu_read_lock(). NULL only early at boot. */
struct container_memory *memory_of_current(void)
{
	struct container_group *group = rcu_dereference(current->containers);

	if (!memory_subsys.root_css)
		return NULL;
	if (!group || (current->flags & PF_KTHREAD))
		return css_memory(memory_subsys.root_css);
	return css_memory(rcu_dereference(group->state[memory_subsys_id]));
}

/* The same with a reference; of the nearest ancestor when it is offline. Context: rcu_read_lock(). */
struct container_memory *memory_get_online(struct container_memory *memory)
{
	while (memory && !container_css_tryget(&memory->css))
		memory = memory_parent(memory);
	return memory;
}

struct container_memory *memory_get_current(void)
{
	guard(rcu)();
	return memory_get_online(memory_of_current());
}

/* Who is charged for a page: whose it was when it left for swap, or who needs it. Context: rcu_read_lock(). */
static struct container_memory *memory_of_new(struct folio *folio)
{
	struct container_memory *memory = NULL;

	if (unlikely(folio_test_swapcache(folio)))
		memory = memory_of_swapped(folio);
	return memory ?: memory_of_current();
}

/* Whom a folio is charged to, or NULL. Context: rcu_read_lock(). */
struct container_memory *memory_of_folio(struct folio *folio)
{
	unsigned long data = READ_ONCE(folio->memcg_data);

	return data & MEMORY_MAPPING ? READ_ONCE(data_mapping(data)->owner) : data_memory(data);
}

/* Add to a number of whoever a folio belongs to. Context: rcu_read_lock(). */
static void memory_count_data(unsigned long data, enum memory_item item, long nr)
{
	if (data & MEMORY_MAPPING)
		container_mapping_count(data_mapping(data), item, nr);
	else
		memory_count(data_memory(data), item, nr);
}

/* Who must be asked before @nr pages are charged to @memory, referenced; mostly NULL. Context: RCU. */
static struct container_memory *memory_get_due(struct container_memory *memory, long nr)
{
	if (!memory || !memory_max_due(memory, nr))
		return NULL;
	return memory_get_online(memory);
}

/* Ask @memory, if anybody, and put it. @final: nobody else after it. */
static int memory_ask(struct container_memory *memory, long nr, gfp_t gfp, bool final)
{
	int ret;

	if (!memory)
		return 0;
	ret = memory_try_max(memory, nr, gfp, final);
	container_css_put(&memory->css);
	return ret;
}

/*
 * Charge a folio to @memory, or the nearest ancestor that is online; @tags is MEMORY_IS_FILE or
 * nothing. Context: rcu_read_lock(), as once the word is written our references may be the root's.
 */
static void memory_charge_to(struct container_memory *memory, struct folio *folio,
			     unsigned long tags)
{
	long nr = folio_nr_pages(folio);

	memory = memory_get_online(memory);
	if (!memory)
		return;
	if (nr > 1)
		container_css_get_many(&memory->css, nr - 1);
	WRITE_ONCE(folio->memcg_data, (unsigned long)memory | tags);
	memory_count(memory, tags ? MEMORY_FILE : MEMORY_ANON, nr);
	if (memory_check_due(memory, nr))
		memory_check_limit(memory);
}

/*
 * There is no memory for a container_mapping: @folio of a file is charged directly, or has been, as if it were
 * anonymous (tmpfs, from swap). Context: RCU.
 */
static void memory_charge_file(struct folio *folio)
{
	unsigned long old = READ_ONCE(folio->memcg_data);
	long nr = folio_nr_pages(folio);

	if (!old) {
		memory_charge_to(memory_of_new(folio), folio, MEMORY_IS_FILE);
		return;
	}
	do {
		if (old & (MEMORY_MAPPING | MEMORY_IS_FILE))
			return;
	} while (!try_cmpxchg(&folio->memcg_data, &old, old | MEMORY_IS_FILE));
	/* in this order: who reads in between must not find nothing (sweep.c) */
	memory_count(data_memory(old), MEMORY_FILE, nr);
	memory_count(data_memory(old), MEMORY_ANON, -nr);
}

/* Give back what @data says a folio of @nr pages is charged to. */
static void memory_uncharge_data(unsigned long data, long nr)
{
	if (data & MEMORY_MAPPING) {
		container_mapping_uncharge(data_mapping(data), nr);
		return;
	}
	memory_count(data_memory(data), data & MEMORY_IS_FILE ? MEMORY_FILE : MEMORY_ANON, -nr);
	container_css_put_many(&data_memory(data)->css, nr);
}

/*
 * Who else can be asked when @folio's owner has no room, nothing to free and nobody to kill, referenced; or NULL. Is
 * it one page from swap, wanted by somebody who has left the owner? He would wait for ever; then it is charged to where he is.
 */
static struct container_memory *memory_get_second(struct folio *folio, gfp_t gfp)
{
	struct container_memory *own;

	if (!folio_test_swapcache(folio) || folio_test_large(folio) || !gfpflags_allow_blocking(gfp) ||
	    gfp & __GFP_NORETRY)
		return NULL;
	guard(rcu)();
	own = memory_of_current();
	return memory_within(own, memory_of_new(folio)) ? NULL : memory_get_online(own);
}

/* Ask @owner, and after it @second, if anybody; charge who has room. Puts both. */
static int memory_ask_both(struct container_memory *owner, struct container_memory *second,
			   struct folio *folio, gfp_t gfp)
{
	int ret = memory_ask(owner, folio_nr_pages(folio), gfp, !second);
	struct container_memory *to = NULL;

	if (ret && second) {
		to = second;
		ret = memory_try_max(second, 1, gfp, true);
	}
	if (!ret) {
		guard(rcu)();
		/* we may have slept, and the owner be another */
		memory_charge_to(to ?: memory_of_new(folio), folio, 0);
	}
	if (second)
		container_css_put(&second->css);
	return ret;
}

/**
 * container_memory_charge - charge a folio that has no mapping yet
 * @folio: new, or in the swap cache
 * @gfp: how it was allocated; says whether the charge may wait at page_max (max.c)
 *
 * Context: any that may fault.
 * Return: 0, or -ENOMEM: not charged
 */
int container_memory_charge(struct folio *folio, gfp_t gfp)
{
	struct container_memory *memory;
	long nr = folio_nr_pages(folio);

	if (WARN_ON_ONCE(folio->memcg_data))
		return 0;
	rcu_read_lock();
	memory = memory_of_new(folio);
	if (likely(!memory || !memory_max_due(memory, nr))) {
		memory_charge_to(memory, folio, 0);
		rcu_read_unlock();
		return 0;
	}
	memory = memory_get_online(memory);
	rcu_read_unlock();
	return memory_ask_both(memory, memory_get_second(folio, gfp), folio, gfp);
}

/* A folio off the LRU cannot be active any more. Accounting goes on. Context: RCU. */
static unsigned long memory_warn_active(unsigned long data, long nr)
{
	WARN_ONCE(1, "memory: a folio is freed that counts as active\n");
	memory_count_data(data, MEMORY_ACTIVE, -nr);
	return data & ~MEMORY_IS_ACTIVE;
}

/* mem_cgroup_uncharge() of a folio that is charged; it may have references */
void __container_memory_uncharge(struct folio *folio)
{
	unsigned long data = xchg(&folio->memcg_data, 0);
	long nr = folio_nr_pages(folio);

	guard(rcu)();
	if (unlikely(data & MEMORY_IS_ACTIVE))
		data = memory_warn_active(data, nr);
	memory_uncharge_data(data, nr);
}

/*
 * Folios that are freed: they have no references and are on no list, so nobody else writes
 * their words, not even recharge.c, which gets no reference. Neighbours mostly have one owner,
 * who is told once; what a run of them is charged to is there until then.
 */
void mem_cgroup_uncharge_folios(struct folio_batch *folios)
{
	unsigned long data, run = 0;
	struct folio *folio;
	long nr, run_nr = 0;
	unsigned int i;

	guard(rcu)();
	for (i = 0; i < folio_batch_count(folios); i++) {
		folio = folios->folios[i];
		data = folio->memcg_data;
		if (!data)
			continue;
		nr = folio_nr_pages(folio);
		WRITE_ONCE(folio->memcg_data, 0);
		if (unlikely(data & MEMORY_IS_ACTIVE))
			data = memory_warn_active(data, nr);
		if (data != run && run_nr) {
			memory_uncharge_data(run, run_nr);
			run_nr = 0;
		}
		run = data;
		run_nr += nr;
	}
	if (run_nr)
		memory_uncharge_data(run, run_nr);
}

/*
 * Are pages of tmpfs's file in swap, the one that comes perhaps? Then the file keeps its owner, whoever
 * has none in memory. A snapshot: others may bring them back, or free them, meanwhile.
 */
static bool memory_has_swapped(struct container_mapping *cm, struct address_space *mapping,
			       struct folio *folio)
{
	return folio_test_swapcache(folio) ||
	       (cm->shmem && READ_ONCE(SHMEM_I(mapping->host)->swapped));
}

/*
 * Whom the first page of a mapping will be charged to, if nobody has claimed that: who has it already, which is
 * who asked for it, or for a page from swap whose it was. Context: RCU.
 */
static struct container_memory *memory_of_first(struct folio *folio)
{
	unsigned long data = READ_ONCE(folio->memcg_data);

	return data && !(data & MEMORY_MAPPING) ? data_memory(data) : memory_of_current();
}

/* Who will be charged for a page of @mapping; NULL where there is no limit. Context: RCU. */
static struct container_memory *memory_of_mapping(struct address_space *mapping, struct folio *folio)
{
	struct container_memory *owner = NULL;
	struct container_mapping *cm;

	if (test_bit(AS_KERNEL_FILE, &mapping->flags))
		return NULL;
	/* pairs with cmpxchg() in container_mapping_find() */
	cm = smp_load_acquire(&mapping->container);
	/* without pages it is who claimed it, or else whoever comes first */
	if (cm && (READ_ONCE(cm->nr[MEMORY_FILE]) || READ_ONCE(cm->claimed) ||
		   memory_has_swapped(cm, mapping, folio)))
		owner = READ_ONCE(cm->owner);
	return owner ?: memory_of_first(folio);
}

/**
 * container_memory_may_cache - is there room for a page of a file?
 * @mapping: its address space
 * @folio: not in there yet
 * @gfp: says whether to wait for it (max.c)
 *
 * Asks whom container_memory_add_to_cache() will charge: the owner, whoever the
 * current task is.
 *
 * Context: as @gfp says.
 * Return: 0, or -ENOMEM
 */
int container_memory_may_cache(struct address_space *mapping, struct folio *folio, gfp_t gfp)
{
	struct container_memory *memory;
	long nr = folio_nr_pages(folio);

	rcu_read_lock();
	memory = memory_get_due(memory_of_mapping(mapping, folio), nr);
	rcu_read_unlock();
	return memory_ask(memory, nr, gfp, true);
}

/**
 * container_memory_add_to_cache - charge a folio to its mapping
 * @mapping: that it was added to
 * @folio: locked; not charged, or (tmpfs: swap-in) charged directly
 * @gfp: how the page cache may allocate here
 *
 * The first page makes the current task's container the owner of the mapping.
 * A mapping that is not its inode's own (gfs2 has such) has no end that we are
 * told of, so its folios are charged directly; so are all while memory is too
 * short for a container_mapping.
 */
void container_memory_add_to_cache(struct address_space *mapping, struct folio *folio, gfp_t gfp)
{
	unsigned long old = READ_ONCE(folio->memcg_data);
	struct container_mapping *cm;
	struct container_memory *memory;
	long nr = folio_nr_pages(folio);

	if (!memory_subsys.root_css)
		return;
	cm = container_mapping_find(mapping, gfp);
	if (!cm) {
		guard(rcu)();
		memory_charge_file(folio);
		return;
	}
	/* tmpfs: back from swap before the swap cache let it go */
	if ((old & ~MEMORY_IS_ACTIVE) == ((unsigned long)cm | MEMORY_MAPPING))
		return;

	rcu_read_lock();
	memory = memory_of_first(folio);
	if (test_bit(AS_KERNEL_FILE, &mapping->flags))
		memory = css_memory(memory_subsys.root_css);
	container_mapping_charge(cm, memory, nr, memory_has_swapped(cm, mapping, folio));
	while (!try_cmpxchg(&folio->memcg_data, &old, (unsigned long)cm | MEMORY_MAPPING |
			    (old & MEMORY_IS_ACTIVE)))
		;
	if (old & MEMORY_IS_ACTIVE) {
		memory_count_data(old, MEMORY_ACTIVE, -nr);
		container_mapping_count(cm, MEMORY_ACTIVE, nr);
	}
	if (old)
		memory_uncharge_data(old, nr);
	rcu_read_unlock();
}

/*
 * @old keeps its charge until it is freed, which is soon; @new is charged to
 * the same owner, unless it has one.
 */
void mem_cgroup_replace_folio(struct folio *old, struct folio *new)
{
	unsigned long data;
	long nr = folio_nr_pages(new);

	rcu_read_lock();
	/* without references left it has just been recharged, and the word says to whom */
	do {
		data = READ_ONCE(old->memcg_data) & ~MEMORY_IS_ACTIVE;
		if (!data || new->memcg_data)
			goto out;
	} while (!(data & MEMORY_MAPPING) &&
		 !percpu_ref_tryget_many(&data_memory(data)->css.refcnt, nr));
	WRITE_ONCE(new->memcg_data, data);
	if (data & MEMORY_MAPPING) {
		container_mapping_charge(data_mapping(data), NULL, nr, false);
	} else {
		memory_count(data_memory(data), data & MEMORY_IS_FILE ? MEMORY_FILE : MEMORY_ANON,
			     nr);
	}
out:
	rcu_read_unlock();
}

void mem_cgroup_migrate(struct folio *old, struct folio *new)
{
	unsigned long data = xchg(&old->memcg_data, 0);

	/* isolated, so not active; the charge moves as it is */
	WARN_ON_ONCE(data & MEMORY_IS_ACTIVE);
	WARN_ON_ONCE(new->memcg_data);
	WRITE_ONCE(new->memcg_data, data);
}

/**
 * __container_memory_active - a folio enters or leaves an active list
 * @folio: any folio of the LRU
 * @nr: its pages, negative when it leaves
 *
 * Context: lru_lock held. The tag makes sure that it leaves the number that it
 * entered, whoever owns it by then.
 */
void __container_memory_active(struct folio *folio, int nr)
{
	unsigned long old;

	rcu_read_lock();
	old = READ_ONCE(folio->memcg_data);
	do {
		if (!old || !!(old & MEMORY_IS_ACTIVE) == (nr > 0))
			goto out;
	} while (!try_cmpxchg(&folio->memcg_data, &old, old ^ MEMORY_IS_ACTIVE));
	memory_count_data(old, MEMORY_ACTIVE, nr);
out:
	rcu_read_unlock();
}

/* @nr more pages of a file are mapped; page table lock held */
void __container_memory_mapped(struct folio *folio, int nr)
{
	unsigned long data;

	rcu_read_lock();
	data = READ_ONCE(folio->memcg_data);
	if (data & (MEMORY_MAPPING | MEMORY_IS_FILE))
		memory_count_data(data, MEMORY_MAPPED, nr);
	rcu_read_unlock();
}

void container_memory_refault(struct folio *folio)
{
	unsigned long data;

	rcu_read_lock();
	data = READ_ONCE(folio->memcg_data);
	if (data)
		memory_count_data(data, MEMORY_REFAULT, folio_nr_pages(folio));
	rcu_read_unlock();
}

/**
 * memory_owns - does a folio belong to a container or one below it?
 * @top: the container
 * @folio: referenced, or its page table locked
 *
 * Return: a snapshot; exact for folios that do not change their owner.
 */
bool memory_owns(struct container_memory *top, struct folio *folio)
{
	guard(rcu)();
	return memory_within(memory_of_folio(folio), top);
}
