// SPDX-License-Identifier: GPL-2.0-only
/*
 * Numbers of a container, descendants included. A charge adds to a number of
 * the current CPU; only a full batch walks the ancestors. So a charge costs the
 * same at any depth, and a number is off by less than MEMORY_BATCH per CPU and
 * container until memory_flush().
 *
 * A CPU's number is never set back, as others look at it and no locked instruction
 * is to be spent on a page: beside it stands how much of it the container has had,
 * and who moves that on by a cmpxchg adds the difference. What has been added is what that
 * says, always; a flush that an interrupt undoes between its look and its cmpxchg
 * may move it too far, until the next one.
 *
 * Locking: none for counting, any context. memory_list_mutex for the list of
 * states, which is longer than the tree: a state whose directory is gone still
 * counts on in its ancestors until its last page has left.
 *
 * A number may be below zero for a moment, when the CPU that uncharges tells
 * before the one that charged; readers clamp. At the end of a state's life it
 * has to be zero: memory_counter_exit() warns once and mends the ancestors.
 */
#include <linux/container_percpu.h>
#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/percpu.h>

#include "memory.h"

static DEFINE_MUTEX(memory_list_mutex);
static LIST_HEAD(memory_list);
static u64 memory_last_serial;

static void memory_add(struct container_memory *memory, enum memory_item item, long nr)
{
	if (!nr)
		return;
	for (; memory; memory = memory_parent(memory))
		atomic_long_add(nr, &memory->count[item]);
}

/* What a CPU has counted that its container's numbers do not have yet; exact while nobody counts. */
int memory_unflushed(const struct memory_pending *pending, enum memory_item item)
{
	return READ_ONCE(pending->counted[item]) - (u32)atomic_read(&pending->flushed[item]);
}

/* Any context; @pending may be another CPU's. */
static void memory_flush_cpu(struct container_memory *memory, struct memory_pending *pending,
			     enum memory_item item)
{
	int flushed, counted;

	do {
		/* Before @counted, so that @flushed does not go back; pairs with the cmpxchg below. */
		flushed = atomic_read_acquire(&pending->flushed[item]);
		counted = READ_ONCE(pending->counted[item]);
		if (counted == flushed)
			return;
		/* fails if somebody else was faster, with this part or more of it */
	} while (!atomic_try_cmpxchg(&pending->flushed[item], &flushed, counted));
	memory_add(memory, item, counted - flushed);
}

/**
 * memory_count - add to a number of a container
 * @memory: state, pinned
 * @item: which
 * @nr: pages, negative to take away
 *
 * Writes to this CPU's memory alone, without a locked instruction, until a batch is full.
 *
 * Context: any.
 */
void memory_count(struct container_memory *memory, enum memory_item item, long nr)
{
	struct memory_pending *pending = get_cpu_ptr(memory->pending);
	u32 counted = this_cpu_add_return(memory->pending->counted[item], nr);

	/* an interrupt may have counted, or another CPU flushed: at worst one that needs not flushes */
	if (abs((int)(counted - atomic_read(&pending->flushed[item]))) >= MEMORY_BATCH)
		memory_flush_cpu(memory, pending, item);
	put_cpu_ptr(memory->pending);
}

/**
 * memory_check_due - is it time to look at the limits?
 * @memory: state, pinned
 * @nr: pages that were just charged to it
 *
 * Has a count of its own: somebody who reads the numbers all the time flushes
 * them, and must not keep a batch from ever being full.
 *
 * Context: process.
 * Return: true once in MEMORY_BATCH pages.
 */
bool memory_check_due(struct container_memory *memory, long nr)
{
	if (this_cpu_add_return(memory->pending->charged, nr) < MEMORY_BATCH)
		return false;
	this_cpu_write(memory->pending->charged, 0);
	return true;
}

/**
 * memory_max_due - is it time to look at the hard limits?
 * @memory: state, pinned
 * @nr: pages that are to be charged to it
 *
 * Before a charge what memory_check_due() is after it. It counts what was asked for,
 * not what is charged: a task that waits in between, or moves to another CPU, has
 * had its part of this CPU's batch, and nobody else gets that without a look.
 *
 * Context: process.
 * Return: true for the last charge of a batch, and from then on until
 * memory_max_looked() says that there is room.
 */
bool memory_max_due(struct container_memory *memory, long nr)
{
	return this_cpu_add_return(memory->pending->asked, nr) >= MEMORY_BATCH;
}

/* Somebody looked. With room the next batch begins; without, whoever comes next looks again. */
void memory_max_looked(struct container_memory *memory, bool room)
{
	this_cpu_write(memory->pending->asked, room ? 0 : MEMORY_BATCH);
}

/**
 * memory_transfer - a mapping changes its owner
 * @from: old owner
 * @to: new owner
 * @item: which number
 * @nr: pages
 *
 * Context: any. Numbers are exact where both have a common ancestor.
 */
void memory_transfer(struct container_memory *from, struct container_memory *to,
		     enum memory_item item, long nr)
{
	memory_add(from, item, -nr);
	memory_add(to, item, nr);
}

static void memory_flush_one(struct container_memory *memory)
{
	int cpu, item;

	for_each_possible_cpu(cpu) {
		struct memory_pending *pending = per_cpu_ptr(memory->pending, cpu);

		for (item = 0; item < NR_MEMORY_ITEMS; item++)
			memory_flush_cpu(memory, pending, item);
	}
}

/**
 * memory_flush - make the numbers of a subtree exact
 * @top: state, pinned
 *
 * Context: sleeps.
 */
void memory_flush(struct container_memory *top)
{
	struct container_memory *memory;

	mutex_lock(&memory_list_mutex);
	/* most have nothing below, and the list may be long */
	if (!atomic_read(&top->css.nr_below)) {
		memory_flush_one(top);
	} else {
		list_for_each_entry(memory, &memory_list, node)
			if (memory_within(memory, top))
				memory_flush_one(memory);
	}
	mutex_unlock(&memory_list_mutex);
}

/* A number as it stands, see the head comment for how far it may be off. */
unsigned long memory_read(struct container_memory *memory, enum memory_item item)
{
	return max(atomic_long_read(&memory->count[item]), 0L);
}

/* What a limit is compared with, in pages. */
unsigned long memory_usage(struct container_memory *memory)
{
	return max(atomic_long_read(&memory->count[MEMORY_ANON]) +
		   atomic_long_read(&memory->count[MEMORY_FILE]), 0L);
}

/**
 * memory_unflushed_bound - how far memory_usage() can be off
 * @top: state, pinned
 *
 * Context: sleeps.
 * Return: pages, for each of anonymous and file pages.
 */
unsigned long memory_unflushed_bound(struct container_memory *top)
{
	struct container_memory *memory;
	unsigned long states = 0;

	mutex_lock(&memory_list_mutex);
	list_for_each_entry(memory, &memory_list, node)
		states += memory_within(memory, top);
	mutex_unlock(&memory_list_mutex);
	return states * num_online_cpus() * (MEMORY_BATCH - 1);
}

/**
 * memory_next_within - walk a subtree by position, with no lock in between
 * @top: its top
 * @serial: position, 0 to start; advanced to the result's
 *
 * Context: sleeps.
 * Return: a referenced state that is online, or NULL at the end.
 */
struct container_memory *memory_next_within(struct container_memory *top, u64 *serial)
{
	struct container_memory *memory, *found = NULL;

	mutex_lock(&memory_list_mutex);
	list_for_each_entry(memory, &memory_list, node) {
		if (memory->serial <= *serial || !memory_within(memory, top) ||
		    !memory_tryget(memory))
			continue;
		*serial = memory->serial;
		found = memory;
		break;
	}
	mutex_unlock(&memory_list_mutex);
	return found;
}

/* For walks that hold other locks throughout; those come inside. */
void memory_list_lock(void)
{
	mutex_lock(&memory_list_mutex);
}

void memory_list_unlock(void)
{
	mutex_unlock(&memory_list_mutex);
}

/**
 * memory_list_next_locked - all states of a subtree, dead ones too
 * @top: its top
 * @prev: the last one, NULL to start
 *
 * Context: memory_list_lock() throughout.
 * Return: the next one, NULL at the end.
 */
struct container_memory *memory_list_next_locked(struct container_memory *top,
						 struct container_memory *prev)
{
	struct container_memory *memory = prev;

	lockdep_assert_held(&memory_list_mutex);
	memory = list_prepare_entry(memory, &memory_list, node);
	list_for_each_entry_continue(memory, &memory_list, node)
		if (memory_within(memory, top))
			return memory;
	return NULL;
}

/**
 * memory_charged_below - is a page still charged to another state than the root?
 * @root: root state; all others are offline
 *
 * Context: sleeps.
 */
bool memory_charged_below(struct container_memory *root)
{
	struct container_memory *memory;
	bool charged = false;

	mutex_lock(&memory_list_mutex);
	list_for_each_entry(memory, &memory_list, node) {
		if (memory == root)
			continue;
		memory->recharged = true;
		memory_flush_one(memory);
		charged |= memory_usage(memory) > 0;
	}
	mutex_unlock(&memory_list_mutex);
	return charged;
}

/**
 * memory_dead_charged - is a page charged to a state whose directory is gone?
 * @files: set to whether one of them is a file's, which has to be passed on then
 *
 * Context: sleeps.
 */
bool memory_dead_charged(bool *files)
{
	struct container_memory *memory;
	bool anon = false;

	*files = false;
	mutex_lock(&memory_list_mutex);
	/* all first, as what is below tells those above, which come before it in the list */
	list_for_each_entry(memory, &memory_list, node)
		if (READ_ONCE(memory->dead))
			memory_flush_one(memory);
	list_for_each_entry(memory, &memory_list, node) {
		if (!READ_ONCE(memory->dead))
			continue;
		anon |= memory_read(memory, MEMORY_ANON) > 0;
		if (memory_read(memory, MEMORY_FILE)) {
			/* that they are mapped was counted here, and will be taken from where they are then */
			memory->recharged = true;
			*files = true;
		} else if (atomic_long_read(&memory->count[MEMORY_MAPPED])) {
			/* they are there now; the numbers above have them, and keep them */
			memory->recharged = true;
			atomic_long_set(&memory->count[MEMORY_MAPPED], 0);
		}
	}
	mutex_unlock(&memory_list_mutex);
	return anon || *files;
}

/* A new state; nobody knows it yet. */
int memory_counter_init(struct container_memory *memory)
{
	INIT_LIST_HEAD(&memory->node);
	memory->pending = container_alloc_percpu(struct memory_pending);
	return memory->pending ? 0 : -ENOMEM;
}

/* It is online: referenced by its container, below its parent. */
void memory_counter_online(struct container_memory *memory)
{
	mutex_lock(&memory_list_mutex);
	memory->serial = ++memory_last_serial;
	list_add_tail(&memory->node, &memory_list);
	mutex_unlock(&memory_list_mutex);
}

/* The end of a state: nothing is charged to it, so all numbers are zero. */
void memory_counter_exit(struct container_memory *memory)
{
	int item;

	mutex_lock(&memory_list_mutex);
	list_del(&memory->node);
	memory_flush_one(memory);
	mutex_unlock(&memory_list_mutex);
	for (item = 0; item < MEMORY_REFAULT; item++) {
		long left = atomic_long_read(&memory->count[item]);

		/* mappings of pages that went to a state above: its number has them, and keeps them */
		if (item == MEMORY_MAPPED && memory->recharged)
			continue;
		WARN_ONCE(left, "memory: item %d ends with %ld pages, not 0\n", item, left);
		memory_add(memory, item, -left);
	}
	free_percpu(memory->pending);
}
