// SPDX-License-Identifier: GPL-2.0-only
/*
 * Container groups: the set of containers that a task is in.
 *
 * A task points to one group. Its memberships are immutable, so a task's change
 * by swapping the pointer; it is shared by every task with the same
 * memberships, so fork costs one reference and finding the group of a new
 * combination is a lookup in a hash.
 *
 * Locking: group_lock for changes of the table and for the containers' lists of
 * groups; it is a leaf. Groups are looked up and made under container_mutex only, and
 * dropped anywhere that may take group_lock with interrupts on: a lookup is RCU. So who has
 * container_mutex may replace the table under group_lock, and it has as many chains as
 * there are groups. (An rhashtable does that too; with its own locks and counts it took a fifth of a move.)
 *
 * Lifetime: tasks hold references; the memory goes after a grace period. The
 * last put unhashes and unlinks the group in one section of group_lock, so a
 * container without groups has no task and nobody who is about to become one. A
 * lookup that meets a group between its last put and that finds nothing: its twin
 * is made, and has other members. init_membership is never freed, and neither is its
 * twin exited_membership, on which exiting tasks are parked without a reference: it looks
 * like the roots, too, but no lookup finds it.
 *
 * Surprises: the states of a group are not immutable. When a subsystem is bound
 * to a tree or unbound from it, they are replaced in place, so that it takes no
 * walk over the tasks and no memory; a reader has RCU.
 *
 * Root containers stand in no group. NULL in container[] is the
 * root, which makes mounting a hierarchy a change of no group at all.
 */
#include "internal.h"

#include <linux/bitops.h>
#include <linux/prefetch.h>
#include <linux/rculist.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#define TABLE_MIN_BITS 9

static struct hlist_head *group_table;	/* 1 << table_bits chains; container_mutex and group_lock */
static unsigned int table_bits;
static DEFINE_SPINLOCK(group_lock);
static unsigned int nr_groups = 1;	/* group_lock; counts init_membership */
static struct kmem_cache *membership_cache __ro_after_init;

struct container_membership init_membership = {
	.ref = REFCOUNT_INIT(1),
};

struct container_membership exited_membership = {
	.ref = REFCOUNT_INIT(1),
};

/* What a container adds to the key of the groups that it is in; nothing as a root. */
static u32 key_of(const struct container *cont)
{
	return cont ? cont->key : 0;
}

static bool is_group_of(const struct container_membership *m,
			const struct container_places *places)
{
	return m->key == places->key &&
	       !memcmp(m->container, places->container, sizeof(m->container));
}

static struct hlist_head *chain_of(u32 key)
{
	return &group_table[key & (BIT(table_bits) - 1)];
}

void __init container_group_init(void)
{
	/* container_places.slots */
	BUILD_BUG_ON(CONFIG_MAX_CONTAINER_HIERARCHIES > BITS_PER_LONG);
	/* kmalloc()'s next size is twice as big, and a move makes a group and drops one */
	membership_cache = KMEM_CACHE(container_membership, SLAB_PANIC);
	table_bits = TABLE_MIN_BITS;
	group_table = kzalloc_objs(*group_table, BIT(table_bits), GFP_KERNEL | __GFP_NOFAIL);
}

static void table_replace(struct hlist_head *table, unsigned int bits)
{
	struct container_membership *m;
	struct hlist_head *old = group_table;
	unsigned long chains = BIT(table_bits), at;
	struct hlist_node *next;

	container_assert_locked();
	spin_lock(&group_lock);
	group_table = table;
	table_bits = bits;
	for (at = 0; at < chains; at++)
		hlist_for_each_entry_safe(m, next, &old[at], hash) {
			hlist_del(&m->hash);
			hlist_add_head(&m->hash, chain_of(m->key));
		}
	spin_unlock(&group_lock);
	kvfree(old);
}

/* A chain for each group, and not eight; without memory for that, some longer ones until the next move. */
static void table_fit(void)
{
	unsigned int bits = table_bits, groups = READ_ONCE(nr_groups);
	struct hlist_head *table;

	if (groups > BIT(bits))
		bits++;
	else if (bits > TABLE_MIN_BITS && groups < BIT(bits) / 8)
		bits--;
	else
		return;
	table = kvcalloc(BIT(bits), sizeof(*table), GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	if (table)
		table_replace(table, bits);
}

/* For tests: how many chains there are, and how long the longest is. Context: container_mutex. */
unsigned int container_group_chains(unsigned int *longest)
{
	unsigned long at;

	container_assert_locked();
	*longest = 0;
	spin_lock(&group_lock);
	for (at = 0; at < BIT(table_bits); at++)
		*longest = max_t(unsigned int, *longest, hlist_count_nodes(&group_table[at]));
	spin_unlock(&group_lock);
	return BIT(table_bits);
}

/* The group for exactly these containers, referenced; NULL if there is none. */
static struct container_membership *group_lookup(const struct container_places *places)
{
	struct container_membership *m;

	if (is_group_of(&init_membership, places)) {
		refcount_inc(&init_membership.ref);
		return &init_membership;
	}
	guard(rcu)();
	hlist_for_each_entry_rcu(m, chain_of(places->key), hash) {
		if (is_group_of(m, places) && refcount_inc_not_zero(&m->ref))
			return m;
	}
	return NULL;
}

/* Each subsystem's state in the container of the hierarchy where it is bound. */
static void group_fill_states(struct container_membership *m)
{
	struct container_subsys *ss;
	struct container *cont;
	int id;

	container_assert_locked();
	for_each_container_subsys(ss, id) {
		cont = ss->hierarchy ? m->container[ss->hierarchy->slot] : NULL;
		RCU_INIT_POINTER(m->group.state[id], cont ? cont->state[id] : ss->root_css);
	}
}

/*
 * The first member came to a container, or the last one left. What `events`
 * says of an ancestor changes only if this was its only populated child.
 */
static void populated_changed_locked(struct container *cont, bool populated)
{
	lockdep_assert_held(&group_lock);
	for (; !container_is_root(cont); cont = cont->parent) {
		unsigned int old = cont->nr_populated;

		WRITE_ONCE(cont->nr_populated, populated ? old + 1 : old - 1);
		if (old != !populated)
			break;
		container_changed(cont);
	}
}

/*
 * The last member left. A task that never got in, because it was refused,
 * leaves no trace; the rest is the work item's.
 */
static void emptied_locked(struct container *cont)
{
	unsigned long old = READ_ONCE(cont->flags);

	lockdep_assert_held(&group_lock);
	while (old & BIT(CONTAINER_OCCUPIED) &&
	       !try_cmpxchg(&cont->flags, &old, (old & ~BIT(CONTAINER_OCCUPIED)) |
			    BIT(CONTAINER_USED) | BIT(CONTAINER_RELEASE)))
		;
	populated_changed_locked(cont, false);
}

static void group_insert_locked(struct container_membership *m)
{
	struct container *cont;
	unsigned int slot;

	lockdep_assert_held(&group_lock);
	hlist_add_head_rcu(&m->hash, chain_of(m->key));
	for_each_set_bit(slot, &m->slots, CONFIG_MAX_CONTAINER_HIERARCHIES) {
		cont = m->container[slot];
		if (list_empty(&cont->groups))
			populated_changed_locked(cont, true);
		list_add(&m->link[slot], &cont->groups);
	}
	nr_groups++;
}

/**
 * container_group_find - the group of a task that moves
 * @task: where it is now, and stays in all other hierarchies
 * @to: where it goes
 *
 * Context: container_mutex; may sleep.
 * Return: a referenced group, found or made, or ERR_PTR(-ENOMEM).
 */
struct container_membership *container_group_find(struct task_struct *task, struct container *to)
{
	unsigned int slot = to->hierarchy->slot;
	struct container_membership *m;
	struct container_places places;

	container_assert_locked();
	table_fit();
	/* an exit may drop that group; move_task() will see that it exits */
	scoped_guard(rcu)
		places = to_membership(rcu_dereference(task->containers))->places;
	places.key ^= key_of(places.container[slot]);
	places.container[slot] = container_is_root(to) ? NULL : to;
	places.key ^= key_of(places.container[slot]);
	__assign_bit(slot, &places.slots, places.container[slot]);
	m = group_lookup(&places);
	if (m)
		return m;

	/* nobody else makes one meanwhile: container_mutex */
	m = kmem_cache_alloc(membership_cache, GFP_KERNEL);
	if (!m)
		return ERR_PTR(-ENOMEM);
	/* last used before a grace period: else the lock below waits for one line after the other */
	for (size_t at = 0; at < sizeof(*m); at += L1_CACHE_BYTES)
		prefetchw((void *)m + at);
	m->places = places;
	refcount_set(&m->ref, 1);
	group_fill_states(m);
	spin_lock(&group_lock);
	group_insert_locked(m);
	spin_unlock(&group_lock);
	return m;
}

/**
 * container_group_get - a reference to the group of a task
 * @task: current, or one that has not run yet
 *
 * Context: any but a task past container_exit().
 * Return: the group, referenced.
 */
struct container_membership *container_group_get(struct task_struct *task)
{
	struct container_membership *m;

	rcu_read_lock();
	/*
	 * An attach may swap the pointer and drop the last reference in
	 * between; then the pointer has already changed.
	 */
	do {
		m = to_membership(rcu_dereference(task->containers));
	} while (!refcount_inc_not_zero(&m->ref));
	rcu_read_unlock();
	return m;
}

/**
 * container_group_get_current - a reference to the group of the current task
 *
 * A kernel worker works for everybody, wherever somebody has put it: the programs
 * that it starts, release agents among them, are the first task's children.
 *
 * Context: any but a task past container_exit().
 * Return: the group, referenced, for a child to start in.
 */
struct container_membership *container_group_get_current(void)
{
	struct task_struct *task = current;

	if (task->flags & PF_WQ_WORKER) {
		refcount_inc(&init_membership.ref);
		return &init_membership;
	}
	return container_group_get(task);
}

/**
 * container_group_put - drop a reference to a group
 * @m: group
 *
 * Context: process context.
 */
void container_group_put(struct container_membership *m)
{
	struct container *cont;
	unsigned int slot;

	if (!refcount_dec_and_lock(&m->ref, &group_lock))
		return;
	hlist_del_rcu(&m->hash);
	for_each_set_bit(slot, &m->slots, CONFIG_MAX_CONTAINER_HIERARCHIES) {
		cont = m->container[slot];
		list_del(&m->link[slot]);
		/* nobody can remove it before group_lock is dropped */
		if (list_empty(&cont->groups))
			emptied_locked(cont);
	}
	nr_groups--;
	spin_unlock(&group_lock);
	kfree_rcu(m, rcu);
}

/**
 * container_group_rebind - give the members of a container another state
 * @cont: container, no root
 * @id: of the subsystem
 * @css: their state from now on: that of @cont, or the root state
 *
 * Whoever found the old one under RCU may still use it until a grace period has
 * passed.
 *
 * Context: container_mutex: no group is made meanwhile.
 */
void container_group_rebind(struct container *cont, int id, struct container_subsys_state *css)
{
	int slot = cont->hierarchy->slot;
	struct container_membership *m;
	struct list_head *link;

	container_assert_locked();
	spin_lock(&group_lock);
	list_for_each(link, &cont->groups) {
		m = container_of(link - slot, struct container_membership, link[0]);
		rcu_assign_pointer(m->group.state[id], css);
	}
	spin_unlock(&group_lock);
}

/**
 * container_of_group - where the members of a group are in a hierarchy
 * @m: group
 * @h: hierarchy
 *
 * Context: RCU or a reference keeps @m; container_mutex or a member's presence
 * keeps the result.
 * Return: the container, the root of @h where nothing else is said.
 */
struct container *container_of_group(struct container_membership *m,
				     struct container_hierarchy *h)
{
	return m->container[h->slot] ?: h->root;
}

/**
 * container_populated - does a container that is no root have tasks?
 * @cont: container
 *
 * A task that is just being forked or moved into it counts.
 *
 * Context: container_mutex, or "no" may be old when it is returned.
 * Return: true or false.
 */
bool container_populated(struct container *cont)
{
	bool populated;

	spin_lock(&group_lock);
	populated = !list_empty(&cont->groups);
	spin_unlock(&group_lock);
	return populated;
}

/* How many groups there are; for tests and /proc. */
unsigned int container_nr_groups(void)
{
	return READ_ONCE(nr_groups);
}
