// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shares: the charges, and what CPUs keep of them in stock.
 *
 * A charge first changes the counts, all the way, and then says whether one was too many; if
 * so it is undone. So nobody can pass a ceiling between a look and a charge.
 *
 * Why the counts add up without a lock: each step of a count from own part + n to
 * own part + n + 1 borrows one, and each step back gives one back, whoever makes it; a charge of
 * several makes several steps at once. The one that borrows and the one that gives back may be
 * different, and meet the parent in any order; the sum is right when all of them are done. For the same
 * reason what is refused goes all the way up and is undone like any other charge: to undo
 * only the steps that it made would be to give back what another one may have given back
 * already. A count may be below zero for that moment.
 *
 * Stocks. Most of what is given back is taken again soon, by the same group on the same CPU. So
 * each CPU may keep some charges of a group, credits, for the next taker:
 *
 *	a group's own part of its count = what is used + the credits of all CPUs
 *
 * Giving into a stock and taking from it changes no count, and writes to nothing that another CPU
 * writes to. A credit is a charge in every respect: no ceiling is ever passed, and if a limit is
 * refused for credits, they are drained, and it is asked again (shares_take_last()); so
 * nobody is refused while there is room. Who is charged all the same, as by a move, may leave
 * a group above its ceiling with credits, out of which it would go on: so
 * they are drained, too (shares_empty()). To make the former rare:
 *
 *	stocking	of a group: a stock is filled only where each that would lend has room for
 *			all that all CPUs may have of the group, and who gives keeps it in stock only
 *			until somebody has found that there is not so much room
 *	stocked		of a group and all above: something may be in stock there. A refusal where
 *			it is not set is final at once. It is set before the first credit is charged
 *
 * Sections: a charge, with all that it looks at, is one in which nothing sleeps, and so one for RCU.
 * shares_close() says that there are to be no more, and waits for those that have not seen it;
 * from then on whoever charges waits for shares_lock, which it holds. So stocks, whose CPU
 * touches them without a lock, are touched by nobody then: who finds it closed charges the
 * counts. Who has given preemption up there and finds it open again when he has the lock
 * does no harm: the counts are atomic.
 *
 * Locks: shares_lock, a leaf, only while it is closed. Context of all that charges: process,
 * never an interrupt.
 *
 * Surprises: two charges at the edge may refuse each other, when there was room for one, unless
 * something was in stock. What is in stock within a guarantee is no business of those above,
 * and yet they are stocked: somebody refused there drains it.
 */
#include "shares.h"

#include <linux/cpumask.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

/* How many a stock gets, and gives back, at once. */
#define BATCH	(SHARES_STOCK_MAX / 2)

/* Written under shares_mutex, which is shares.c's. */
bool shares_closed __read_mostly;
static DEFINE_SPINLOCK(shares_lock);

/* Context: preemption is off, till the end of what is allowed by it. */
static bool is_open(void)
{
	/* pairs with shares_open() */
	return likely(!smp_load_acquire(&shares_closed));
}

/**
 * shares_close - nobody charges or has a stock in his hands, until shares_open()
 *
 * Context: shares_mutex; sleeps, and then nothing may.
 */
void shares_close(void)
	__acquires(&shares_lock)
{
	WRITE_ONCE(shares_closed, true);
	/* pairs with the sections of those who have seen it open */
	synchronize_rcu_expedited();
	spin_lock(&shares_lock);
}

void shares_open(void)
	__releases(&shares_lock)
{
	/* who finds it open finds stocks empty, ceilings and counts new: pairs with is_open() and shares.h */
	smp_store_release(&shares_closed, false);
	spin_unlock(&shares_lock);
}

void shares_assert_closed(void)
{
	lockdep_assert_held(&shares_lock);
}

/* What it need not borrow; not below 0. */
long shares_own_part(const struct shares_node *node)
{
	return node->guarantee - node->promised;
}

/* Of a count. */
static long beyond(const struct shares_node *node, long count)
{
	return max(0L, count - shares_own_part(node));
}

long shares_borrowed(const struct shares_node *node)
{
	return beyond(node, atomic_long_read(&node->count));
}

/**
 * shares_committed - what a group has and what is kept free below it
 * @node: group
 *
 * Context: any; old when it is returned.
 */
long shares_committed(const struct shares_node *node)
{
	/* for the caller's eyes only */
	return atomic_long_read(&node->count) + data_race(node->promised);
}

/* A refusal is of who has a maximum, not of those below who have none of their own. */
static bool is_over(const struct shares_node *node, long count)
{
	return node->bounded && count + node->promised > node->ceiling;
}

/* Who would have too many with @n more; it may be wrong by those that are on their way. */
static struct shares_node *find_full(struct shares_node *node, long n)
{
	long count;

	for (; node; node = node->parent) {
		count = atomic_long_read(&node->count) + n;
		if (is_over(node, count))
			return node;
		if (!beyond(node, count))
			break;
	}
	return NULL;
}

/* @n more. Returns the lowest group that has too many now. Context: section. */
static struct shares_node *charge(struct shares_node *node, long n)
{
	struct shares_node *full = NULL;
	long count;

	for (; node && n; node = node->parent) {
		count = atomic_long_add_return(n, &node->count);
		if (!full && is_over(node, count))
			full = node;
		n = beyond(node, count) - beyond(node, count - n);
	}
	return full;
}

/* Context: section. */
static void uncharge(struct shares_node *node, long n)
{
	long count;

	/* whoever steps back from a borrowed one gives it back */
	for (; node && n; node = node->parent) {
		count = atomic_long_sub_return(n, &node->count);
		n = beyond(node, count + n) - beyond(node, count);
	}
}

/* Context: section. */
static struct shares_node *try_charge(struct shares_node *node)
{
	/* a look first, so that who is refused again and again is in nobody's way */
	struct shares_node *full = find_full(node, 1);

	if (!full) {
		full = charge(node, 1);
		if (full)
			uncharge(node, 1);
	}
	return full;
}

static struct shares_node *charge_one(struct shares_node *node)
{
	return charge(node, 1);
}

static struct shares_node *uncharge_one(struct shares_node *node)
{
	uncharge(node, 1);
	return NULL;
}

static __always_inline struct shares_node *
in_section(struct shares_node *(*op)(struct shares_node *node), struct shares_node *node)
{
	struct shares_node *full;

	preempt_disable();
	if (is_open()) {
		full = op(node);
		preempt_enable();
		return full;
	}
	preempt_enable();
	spin_lock(&shares_lock);
	full = op(node);
	spin_unlock(&shares_lock);
	return full;
}

/**
 * shares_try_charge - one more for a group, if it and all it borrows from have room
 * @node: group
 *
 * Context: process; does not sleep.
 * Return: NULL; or the group that has no room, and then nothing is charged.
 */
struct shares_node *shares_try_charge(struct shares_node *node)
{
	return in_section(try_charge, node);
}

/**
 * shares_charge - one more for a group, whether there is room or not
 * @node: group
 *
 * Context: as shares_try_charge().
 * Return: NULL, or a group that has more than it may have now. If shares_is_stocked(), somebody may
 * go on taking of its stocks: shares_empty().
 */
struct shares_node *shares_charge(struct shares_node *node)
{
	return in_section(charge_one, node);
}

/**
 * shares_uncharge - one less
 * @node: group
 *
 * Context: as shares_try_charge().
 */
void shares_uncharge(struct shares_node *node)
{
	in_section(uncharge_one, node);
}

/* The marks first: pairs with shares_is_stocked(). */
static void start_stocking(struct shares_node *node)
{
	struct shares_node *pos;

	if (READ_ONCE(node->stocking))
		return;
	for (pos = node; pos; pos = pos->parent)
		if (!READ_ONCE(pos->stocked))
			WRITE_ONCE(pos->stocked, true);
	/* the credits that are charged next, or that others give, come after it for everybody */
	smp_mb();
	WRITE_ONCE(node->stocking, true);
}

/* Where there is room for plenty, in advance for the next ones. Context: section, not closed. */
static void fill(struct shares_node *node, struct shares_stock *stock)
{
	if (find_full(node, (long)SHARES_STOCK_MAX * nr_cpu_ids)) {
		if (READ_ONCE(node->stocking))
			WRITE_ONCE(node->stocking, false);
		return;
	}
	start_stocking(node);
	if (charge(node, BATCH))
		uncharge(node, BATCH);
	else
		stock->credits += BATCH;
}

/**
 * shares_take - one more for a group with stocks, if there is room
 * @node: group
 *
 * Context: as shares_try_charge().
 * Return: as shares_try_charge(). If shares_is_stocked(), the refusal is not final.
 */
struct shares_node *shares_take(struct shares_node *node)
{
	struct shares_node *full = NULL;
	struct shares_stock *stock;

	preempt_disable();
	if (is_open()) {
		stock = this_cpu_ptr(node->stock);
		if (stock->credits) {
			stock->credits--;
		} else {
			full = try_charge(node);
			if (!full)
				fill(node, stock);
		}
		if (!full)
			stock->taken++;
		preempt_enable();
		return full;
	}
	preempt_enable();
	full = shares_try_charge(node);
	if (!full)
		this_cpu_inc(node->stock->taken);
	return full;
}

/**
 * shares_take_closed - the same where nobody else charges
 * @node: group
 *
 * Context: shares_close().
 */
struct shares_node *shares_take_closed(struct shares_node *node)
{
	struct shares_node *full;

	shares_assert_closed();
	full = try_charge(node);
	if (!full)
		this_cpu_inc(node->stock->taken);
	return full;
}

/**
 * shares_take_anyway - one more for a group with stocks, whether there is room or not
 * @node: group
 *
 * Context: as shares_try_charge().
 */
void shares_take_anyway(struct shares_node *node)
{
	if (!shares_take(node))
		return;
	shares_charge(node);
	this_cpu_inc(node->stock->taken);
}

/**
 * shares_give - one less of what was taken or charged
 * @node: group with stocks
 *
 * Context: as shares_try_charge().
 */
void shares_give(struct shares_node *node)
{
	struct shares_stock *stock;

	preempt_disable();
	if (is_open() && READ_ONCE(node->stocking)) {
		stock = this_cpu_ptr(node->stock);
		if (++stock->credits > SHARES_STOCK_MAX) {
			stock->credits -= BATCH;
			uncharge(node, BATCH);
		}
		preempt_enable();
		return;
	}
	preempt_enable();
	shares_uncharge(node);
}

/**
 * shares_untake - the last shares_take() comes to nothing
 * @node: group with stocks
 *
 * Context: as shares_try_charge().
 */
void shares_untake(struct shares_node *node)
{
	this_cpu_dec(node->stock->taken);
	shares_give(node);
}

/**
 * shares_is_stocked - may something of it, or of a group below, be in stock?
 * @node: group that has just refused
 *
 * Context: any.
 */
bool shares_is_stocked(const struct shares_node *node)
{
	/* the count before the mark: pairs with start_stocking() */
	smp_rmb();
	return READ_ONCE(node->stocked);
}

/**
 * shares_taken - how often was taken of a group, without what was undone
 * @node: group with stocks
 *
 * Context: any; may miss what happens meanwhile.
 */
long shares_taken(const struct shares_node *node)
{
	long sum = 0;
	int cpu;

	/* each is a word of its own */
	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(node->stock, cpu)->taken);
	return sum;
}

/* May be wrong by what happens meanwhile. */
long shares_in_stock(const struct shares_node *node)
{
	long sum = 0;
	int cpu;

	if (node->stock)
		for_each_possible_cpu(cpu)
			sum += READ_ONCE(per_cpu_ptr(node->stock, cpu)->credits);
	return sum;
}

static long take_credits(struct shares_node *node)
{
	long sum = shares_in_stock(node);
	int cpu;

	if (node->stock)
		for_each_possible_cpu(cpu)
			per_cpu_ptr(node->stock, cpu)->credits = 0;
	return sum;
}

/**
 * shares_drain - no CPU has anything of a group in stock
 * @node: group; who drains one drains all of the tree, or those above stay stocked
 *
 * Context: shares_close().
 */
void shares_drain(struct shares_node *node)
{
	shares_assert_closed();
	WRITE_ONCE(node->stocking, false);
	WRITE_ONCE(node->stocked, false);
	uncharge(node, take_credits(node));
}

/**
 * shares_drain_last - the same, of a group that nobody uses any more
 * @node: group
 *
 * Context: shares_mutex.
 */
void shares_drain_last(struct shares_node *node)
{
	long credits = take_credits(node);

	/* shares_close() needs the mutex, too */
	preempt_disable();
	uncharge(node, credits);
	preempt_enable();
}
