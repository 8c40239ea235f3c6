// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shares: groups that divide an amount among their children, lend and borrow.
 *
 * The root has all that there is. Every other group has, of its parent's amount,
 *
 *	ceiling		max_shares / the parent's divisor of the parent's ceiling: the most that
 *			it may have, with all that is below it. Without max_shares, the
 *			parent's. Never more than its absolute limit.
 *	guarantee	min_shares / the parent's divisor of the parent's guarantee: kept free
 *			for it. Without min_shares, nothing. Never more than its ceiling.
 *
 * both rounded down. The min_shares of children add up to no more than the divisor, so
 * their guarantees (`promised`) add up to no more than the parent's.
 *
 * What a group has beyond its own part, guarantee - promised, it borrows from the parent,
 * which may have to borrow in turn. So a charge goes up only as far as somebody borrows:
 *
 *	count		what a group has itself, and what its children have borrowed from it
 *	borrowed	max(0, count - (guarantee - promised))
 *	committed	count + promised: what is in use or kept free for somebody below. A
 *			charge is refused where this would pass the ceiling
 *
 * Here is what is said of groups and what follows from it; shares_charge.c has the charges, and
 * the stocks that CPUs keep of them, shares_overfull.c those who have more than they may have, shares_text.c the words.
 *
 * Locks, outer to inner:
 *
 *   shares_mutex	the tree and what was said of each group; sleeps
 *   shares_close()	a section in which nobody charges, with shares_mutex: ceilings and guarantees
 *			change, and all counts with them. Nothing sleeps in it
 *
 * Lifetime: a group is part of the caller's object; from shares_add() to shares_remove(), which
 * comes after its last charge is gone and after its children's. The parent must live as long.
 *
 * Surprises: a forced charge and a lower limit may leave a group with more than its ceiling:
 * nothing is taken away from anybody, and it borrows no more until it is below. As much as it has
 * too much is taken off each guarantee below it meanwhile: else what was forked within one, and moved
 * out of it, could be had again and again. A group has no guarantee, whatever its min_shares, if
 * the parent has none.
 */
#include "shares.h"

#include <linux/container_percpu.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mutex.h>

static DEFINE_MUTEX(shares_mutex);

/* The tree below @top, parents first: first child, next sibling, uncle. */
static struct shares_node *group_after(struct shares_node *pos, struct shares_node *top)
{
	lockdep_assert_held(&shares_mutex);
	if (!list_empty(&pos->children))
		return list_first_entry(&pos->children, struct shares_node, sibling);
	for (; pos != top; pos = pos->parent)
		if (!list_is_last(&pos->sibling, &pos->parent->children))
			return list_next_entry(pos, sibling);
	return NULL;
}

static struct shares_node *first_leaf(struct shares_node *pos)
{
	while (!list_empty(&pos->children))
		pos = list_first_entry(&pos->children, struct shares_node, sibling);
	return pos;
}

/* The tree below @top, children first, from first_leaf(@top). */
static struct shares_node *group_after_up(struct shares_node *pos, struct shares_node *top)
{
	lockdep_assert_held(&shares_mutex);
	if (pos == top)
		return NULL;
	if (list_is_last(&pos->sibling, &pos->parent->children))
		return pos->parent;
	return first_leaf(list_next_entry(pos, sibling));
}

#define for_each_group(pos, top)							\
	for ((pos) = (top); (pos); (pos) = group_after((pos), (top)))

#define for_each_group_up(pos, top)						\
	for ((pos) = first_leaf(top); (pos); (pos) = group_after_up((pos), (top)))

static struct shares_node *root_of(struct shares_node *node)
{
	while (node->parent)
		node = node->parent;
	return node;
}

/* @shares of @amount. Both factors are below 2^31. */
static long part(int shares, long amount, int divisor)
{
	return div_s64((s64)shares * min_t(long, amount, INT_MAX), divisor);
}

/* The ceiling and the guarantee, from what was said of it and what its parent has. */
static void derive(struct shares_node *node)
{
	const struct shares_node *parent = node->parent;
	long most, least = 0;

	if (!parent) {
		node->bounded = true;
		node->ceiling = node->limit;
		node->guarantee = node->limit;
		return;
	}
	most = parent->ceiling;
	if (node->set.max != SHARES_DONT_CARE)
		most = part(node->set.max, most, parent->set.divisor);
	if (node->set.min != SHARES_DONT_CARE)
		least = part(node->set.min, parent->guarantee, parent->set.divisor);
	node->bounded = node->set.max != SHARES_DONT_CARE || node->limit < most;
	node->ceiling = min(most, node->limit);
	node->guarantee = min(least, node->ceiling);
}

/* Something was said of somebody: all of the tree anew. */
static void rederive(struct shares_node *root)
{
	struct shares_node *node, *child;

	lockdep_assert_held(&shares_mutex);
	shares_assert_closed();
	/* what each has itself: the children's counts are still the old ones */
	for_each_group(node, root) {
		node->before = shares_committed(node);
		list_for_each_entry(child, &node->children, sibling)
			atomic_long_sub(shares_borrowed(child), &node->count);
	}
	for_each_group(node, root) {
		derive(node);
		node->promised = 0;
		if (node->parent)
			node->parent->promised += node->guarantee;
	}
	for_each_group_up(node, root)
		if (node->parent)
			atomic_long_add(shares_borrowed(node), &node->parent->count);
	for_each_group(node, root)
		shares_note_overfull(node);
}

/* Nobody charges, and no CPU has anything in stock, until shares_open(). */
static void close_locked(struct shares_node *root)
{
	struct shares_node *node;

	lockdep_assert_held(&shares_mutex);
	shares_close();
	for_each_group(node, root)
		shares_drain(node);
}

/**
 * shares_take_last - one more for a group, if there is room without what CPUs have in stock
 * @node: group
 *
 * After shares_take() has found no room, and not shares_refusal_is_final(). What is refused here, or before
 * when nothing was in stock, has been refused for what others use.
 *
 * Context: process; sleeps.
 * Return: as shares_try_charge().
 */
struct shares_node *shares_take_last(struct shares_node *node)
{
	struct shares_node *full;

	mutex_lock(&shares_mutex);
	close_locked(root_of(node));
	full = shares_take_closed(node);
	shares_open();
	mutex_unlock(&shares_mutex);
	return full;
}

/**
 * shares_empty_stocks - somebody has more than he may have, after a charge by force
 * @node: group, it or any of those that lend to it
 *
 * Nobody in the tree is to go on with what CPUs have in stock.
 *
 * Context: process; sleeps.
 */
void shares_empty_stocks(struct shares_node *node)
{
	struct shares_node *root = root_of(node);

	/* who begins to fill a stock after the look charges after us, and finds no room */
	if (!shares_is_stocked(root))
		return;
	mutex_lock(&shares_mutex);
	close_locked(root);
	shares_open();
	mutex_unlock(&shares_mutex);
}

/**
 * shares_charge_anyway - one more for a group, whether there is room or not
 * @node: group
 *
 * Context: process; sleeps.
 */
void shares_charge_anyway(struct shares_node *node)
{
	if (unlikely(shares_charge(node)))
		shares_empty_stocks(node);
}

/**
 * shares_take_anyway - one more for a group with stocks, of which shares_take() has found that there is no room
 * @node: group
 *
 * Context: process; sleeps.
 */
void shares_take_anyway(struct shares_node *node)
{
	shares_charge_anyway(node);
	this_cpu_inc(node->stock->taken);
}

/**
 * shares_recount - nobody was charged for a while; these are
 * @root: root group, nobody else has a charge
 * @count: its charges
 *
 * Context: sleeps; nobody charges or uncharges meanwhile.
 */
void shares_recount(struct shares_node *root, long count)
{
	WARN_ON_ONCE(root->parent);
	mutex_lock(&shares_mutex);
	close_locked(root);
	atomic_long_set(&root->count, count);
	shares_note_overfull(root);
	shares_open();
	mutex_unlock(&shares_mutex);
}

/* Is something promised that others have already? */
static bool is_overdrawn(struct shares_node *root)
{
	struct shares_node *node;

	for_each_group(node, root)
		if (shares_committed(node) > max(node->ceiling, node->before))
			return true;
	return false;
}

static int apply_locked(struct shares_node *node, const struct shares *set, long limit,
			const char **reason)
{
	struct shares_node *root = root_of(node);
	struct shares old_set = node->set;
	long old_limit = node->limit;
	int ret = 0;

	lockdep_assert_held(&shares_mutex);
	close_locked(root);
	node->set = *set;
	node->limit = limit;
	rederive(root);
	if (is_overdrawn(root)) {
		*reason = "others have what it would guarantee";
		ret = -EBUSY;
		node->set = old_set;
		node->limit = old_limit;
		rederive(root);
	}
	shares_open();
	return ret;
}

/* Why the children cannot live with this divisor; NULL if they can. */
static const char *children_object(struct shares_node *node, int divisor)
{
	struct shares_node *child;
	s64 sum = 0;

	lockdep_assert_held(&shares_mutex);
	list_for_each_entry(child, &node->children, sibling) {
		if (child->set.max > divisor)
			return "a child's max_shares are more than the divisor";
		sum += max(child->set.min, 0);
	}
	return sum > divisor ? "the children's min_shares are more than the divisor" : NULL;
}

static const char *parent_objects(struct shares_node *node, const struct shares *set)
{
	struct shares_node *parent = node->parent, *other;
	s64 unused = parent->set.divisor;

	lockdep_assert_held(&shares_mutex);
	if (set->max > parent->set.divisor)
		return "max_shares are more than the parent's divisor";
	list_for_each_entry(other, &parent->children, sibling)
		if (other != node)
			unused -= max(other->set.min, 0);
	return set->min > unused ? "the parent has not so many min_shares unused" : NULL;
}

static const char *objection(struct shares_node *node, const struct shares *set)
{
	const char *reason = NULL;

	if (set->divisor < 1)
		return "the divisor is less than 1";
	if (set->max >= 0 && set->min > set->max)
		return "min_shares are more than max_shares";
	if (node->parent)
		reason = parent_objects(node, set);
	else if (set->min != SHARES_DONT_CARE || set->max != SHARES_DONT_CARE)
		return "the root has no parent to have shares of";
	return reason ?: children_object(node, set->divisor);
}

/* What is not to be changed is as it is. */
static struct shares completed(const struct shares *set, const struct shares *old)
{
	return (struct shares) {
		.min = set->min == SHARES_UNCHANGED ? old->min : set->min,
		.max = set->max == SHARES_UNCHANGED ? old->max : set->max,
		.divisor = set->divisor == SHARES_UNCHANGED ? old->divisor : set->divisor,
	};
}

/**
 * shares_set - say how much a group gets
 * @node: group
 * @set: each may be SHARES_UNCHANGED
 * @reason: why not; a constant
 *
 * Context: process; sleeps.
 * Return: 0; -EINVAL; -EBUSY when others have what it would guarantee. Nothing has changed
 * after an error.
 */
int shares_set(struct shares_node *node, const struct shares *set, const char **reason)
{
	struct shares all;
	int ret = -EINVAL;

	mutex_lock(&shares_mutex);
	all = completed(set, &node->set);
	*reason = objection(node, &all);
	if (!*reason)
		ret = apply_locked(node, &all, node->limit, reason);
	mutex_unlock(&shares_mutex);
	return ret;
}

/**
 * shares_set_limit - say how much a group may have at most, as a number
 * @node: group
 * @limit: 0 or more; SHARES_NO_LIMIT; of a root, all that there is
 * @reason: why not; a constant
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY as shares_set().
 */
int shares_set_limit(struct shares_node *node, long limit, const char **reason)
{
	int ret;

	mutex_lock(&shares_mutex);
	ret = apply_locked(node, &node->set, limit, reason);
	mutex_unlock(&shares_mutex);
	return ret;
}

static void add(struct shares_node *node, struct shares_node *parent, long amount,
		struct shares_stock __percpu *stock)
{
	node->parent = parent;
	node->stock = stock;
	node->stocking = 0;
	node->stocked = false;
	node->stocked_below = false;
	node->overfull = false;
	INIT_LIST_HEAD(&node->children);
	INIT_LIST_HEAD(&node->sibling);
	node->set = (struct shares) { SHARES_DONT_CARE, SHARES_DONT_CARE, SHARES_DIVISOR };
	node->limit = parent ? SHARES_NO_LIMIT : amount;
	node->promised = 0;
	atomic_long_set(&node->count, 0);
	mutex_lock(&shares_mutex);
	/* it is promised nothing and has nothing: no number of the others' changes */
	derive(node);
	if (parent)
		list_add_tail(&node->sibling, &parent->children);
	mutex_unlock(&shares_mutex);
}

/**
 * shares_add - a new group, of which nothing has been said
 * @node: group
 * @parent: above it; NULL makes a root
 * @amount: of a root, all that there is
 *
 * Context: process; sleeps.
 */
void shares_add(struct shares_node *node, struct shares_node *parent, long amount)
{
	add(node, parent, amount, NULL);
}

/**
 * shares_add_stocked - the same, and CPUs may keep charges of it in stock
 * @node: group; to be freed with shares_stock_free() some time after shares_remove()
 * @parent: as for shares_add()
 * @amount: as for shares_add()
 *
 * Context: process; sleeps.
 * Return: 0 or -ENOMEM.
 */
int shares_add_stocked(struct shares_node *node, struct shares_node *parent, long amount)
{
	struct shares_stock __percpu *stock = container_alloc_percpu(struct shares_stock);

	if (!stock)
		return -ENOMEM;
	add(node, parent, amount, stock);
	return 0;
}

/* Also where shares_add_stocked() has not been, and all is 0. */
void shares_stock_free(struct shares_node *node)
{
	free_percpu(node->stock);
}

/**
 * shares_remove - a group goes, with nothing charged to it and no children
 * @node: group
 *
 * Context: process; sleeps.
 */
void shares_remove(struct shares_node *node)
{
	const struct shares nothing = { SHARES_DONT_CARE, SHARES_DONT_CARE, SHARES_DIVISOR };
	const char *reason;

	mutex_lock(&shares_mutex);
	WARN_ON_ONCE(!list_empty(&node->children));
	shares_drain_last(node);
	if (node->guarantee)
		apply_locked(node, &nothing, node->limit, &reason);
	WARN_ONCE(atomic_long_read(&node->count), "shares: %ld are left of a group that goes\n",
		  atomic_long_read(&node->count));
	/* nothing is too much for nobody */
	shares_note_overfull(node);
	list_del_init(&node->sibling);
	mutex_unlock(&shares_mutex);
}

/*
 * What is used of the counts: stocks are nobody's use, nor is what is borrowed for them. First
 * what each group uses itself, which is added up, then what it has borrowed for that.
 */
static long work_out_use(struct shares_node *top)
{
	struct shares_node *pos, *child;
	long sum = 0;

	lockdep_assert_held(&shares_mutex);
	for_each_group(pos, top) {
		pos->used = atomic_long_read(&pos->count) - shares_in_stock(pos);
		list_for_each_entry(child, &pos->children, sibling)
			pos->used -= shares_borrowed(child);
		sum += pos->used;
	}
	for_each_group_up(pos, top)
		if (pos != top)
			pos->parent->used += max(0L, pos->used - shares_own_part(pos));
	return sum;
}

/**
 * shares_numbers - what a group was given, and what it and all below have
 * @node: group
 * @numbers: result; usage and borrowed may miss what is charged meanwhile
 *
 * Context: process; sleeps.
 */
void shares_numbers(struct shares_node *node, struct shares_numbers *numbers)
{
	long usage;

	mutex_lock(&shares_mutex);
	usage = work_out_use(node);
	*numbers = (struct shares_numbers) {
		.set = node->set, .limit = node->limit, .ceiling = node->ceiling,
		.guarantee = node->guarantee, .promised = node->promised,
		.borrowed = node->parent ? max(0L, node->used - shares_own_part(node)) : 0,
		.usage = usage,
	};
	mutex_unlock(&shares_mutex);
}

/**
 * shares_said - what was said of a group
 * @node: group
 *
 * Unlike shares_numbers() without a look at what is below.
 *
 * Context: process; sleeps.
 */
struct shares shares_said(struct shares_node *node)
{
	struct shares set;

	mutex_lock(&shares_mutex);
	set = node->set;
	mutex_unlock(&shares_mutex);
	return set;
}

/**
 * shares_forget - what was said of a root is forgotten
 * @root: root group without children
 *
 * Context: process; sleeps.
 */
void shares_forget(struct shares_node *root)
{
	const struct shares nothing = { SHARES_DONT_CARE, SHARES_DONT_CARE, SHARES_DIVISOR };
	const char *reason;

	WARN_ON_ONCE(root->parent);
	/* most never said anything */
	if (shares_said(root).divisor == SHARES_DIVISOR)
		return;
	/* nobody is there to object */
	WARN_ON_ONCE(shares_set(root, &nothing, &reason));
}
