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
 * nobody is refused for what is in stock. Who is charged all the same, as by a move, would leave
 * a group above its ceiling, and in stock somewhere below it what others would go on with: so
 * all is drained (shares_empty_stocks()). To make the former rare:
 *
 *	stocking	of a group: how many a CPU may keep. A stock is filled only where each that
 *			would lend has room for all that all CPUs may have of the group. With less
 *			room nothing is charged in advance, but who gives leaves one with its CPU, for
 *			the fork that most often follows an exit, while there is room for FEW_ROOM of
 *			each CPU and nobody was refused for credits lately: to drain costs a grace
 *			period, and who forks and ends at the edge is not to pay for it each time.
 *			Nor is one filled then by who has something of his own, as it has no say in
 *			a refusal above.
 *			With one CPU there is no other that could have something: who finds his group's stock
 *			empty is refused for what is used, without a drain, unless it is a group above
 *			that is full. So nothing of this but the pause holds there for who has nothing of his
 *			own: as much is kept, and charged in advance, as there is room for
 *	stocked		of a group and all above: something may be in stock there. A refusal where
 *			it is not set is final at once. It is set before the first credit is charged;
 *			`stocked_below` only above
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
#include "chain.h"
#include "shares.h"

#include <kunit/static_stub.h>
#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

/* What the only CPU keeps. */
#define ONE_CPU_MAX	(4 * SHARES_STOCK_MAX)

/* What a CPU keeps near a limit, and the room that there has to be, for each CPU. */
#define FEW		1
#define FEW_ROOM	2
/* After somebody was refused for credits nothing is kept near a limit for so long. */
#define FEW_PAUSE	(HZ / 10)

/* Written under shares_mutex, which is shares.c's. */
bool shares_closed __read_mostly;
static DEFINE_SPINLOCK(shares_lock);

/* The only CPU, see above; for tests. */
bool shares_one_cpu __read_mostly;

static int __init shares_count_cpus(void)
{
	shares_one_cpu = nr_cpu_ids == 1;
	return 0;
}
core_initcall(shares_count_cpus);

/* When somebody was last refused for credits, anywhere, in jiffies; written under shares_mutex, and by tests. */
unsigned long shares_refused_at = INITIAL_JIFFIES;

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

/* Who would have too many with @n more; it may be wrong by those that are on their way. */
static struct shares_node *find_full(struct shares_node *node, long n)
{
	long count;

	for (; node; node = node->parent) {
		count = atomic_long_read(&node->count) + n;
		if (shares_room(node, count) < 0)
			return node;
		if (!beyond(node, count))
			break;
	}
	if (!node || !shares_any_overfull())
		return NULL;
	return shares_find_lapsed(node->parent, shares_own_part(node) - count);
}

/* Somebody has still something of his own, and those above him were not asked. */
#define ROOM_UNKNOWN	(-1L)

/*
 * @n more, below @end; @n becomes what is to be borrowed from that. Returns the lowest group that has too many
 * now; if there is none, @room: how many more there could be, or ROOM_UNKNOWN. Context: section.
 */
static __always_inline struct shares_node *charge_below(struct shares_node *node, const struct shares_node *end,
							long *n, long *room)
{
	struct shares_node *full = NULL;
	long count, here;

	for (*room = LONG_MAX; node != end && *n; node = node->parent) {
		count = atomic_long_add_return(*n, &node->count);
		here = shares_room(node, count);
		if (!full && here < 0)
			full = node;
		*room = min(*room, here);
		*n = beyond(node, count) - beyond(node, count - *n);
	}
	if (node != end)
		*room = ROOM_UNKNOWN;
	return full;
}

/* All the way; also returns above whom a guarantee has lapsed. Context: section. */
static __always_inline struct shares_node *charge(struct shares_node *node, long n, long *room)
{
	struct shares_node *first = node, *full = charge_below(node, NULL, &n, room);

	/* after the charge, so that of two who have looked before it one is told */
	if (!full && shares_any_overfull())
		full = shares_find_lapsed(first, 0);
	return full;
}

/* Returns what is to be given back to @end; @room: as in charge_below(). Context: section. */
static __always_inline long uncharge_below(struct shares_node *node, const struct shares_node *end, long n, long *room)
{
	long count, here;

	/* whoever steps back from a borrowed one gives it back */
	for (*room = LONG_MAX; node != end && n; node = node->parent) {
		count = atomic_long_sub_return(n, &node->count);
		here = shares_room(node, count);
		if (unlikely(READ_ONCE(node->overfull)) && here >= 0)
			shares_note_overfull(node);
		*room = min(*room, here);
		n = beyond(node, count + n) - beyond(node, count);
	}
	if (node != end)
		*room = ROOM_UNKNOWN;
	return n;
}

/* All the way. Context: section. */
static void uncharge(struct shares_node *node, long n)
{
	long room;

	uncharge_below(node, NULL, n, &room);
}

/* The same, for shares_stock.c. */
void shares_uncharge_many(struct shares_node *node, long n)
{
	uncharge(node, n);
}

/* @room: what is left, if there was any. Context: section. */
static __always_inline struct shares_node *try_charge_room(struct shares_node *node, long *room)
{
	/* a look first, so that who is refused again and again is in nobody's way */
	struct shares_node *full = find_full(node, 1);

	if (!full) {
		full = charge(node, 1, room);
		if (full)
			uncharge(node, 1);
	}
	return full;
}

static struct shares_node *try_charge(struct shares_node *node)
{
	long room;

	return try_charge_room(node, &room);
}

static struct shares_node *charge_one(struct shares_node *node)
{
	struct shares_node *full;
	long room;

	full = charge(node, 1, &room);
	if (full)
		shares_note_all_overfull(node);
	return full;
}

static struct shares_node *uncharge_one(struct shares_node *node)
{
	uncharge(node, 1);
	return NULL;
}

/* Returns whether it has the lock, which it needs while it is closed. */
static __always_inline bool section_begins(void)
{
	preempt_disable();
	if (is_open())
		return false;
	preempt_enable();
	spin_lock(&shares_lock);
	return true;
}

static __always_inline void section_ends(bool locked)
{
	if (locked)
		spin_unlock(&shares_lock);
	else
		preempt_enable();
}

static __always_inline struct shares_node *
in_section(struct shares_node *(*op)(struct shares_node *node), struct shares_node *node)
{
	bool locked = section_begins();
	struct shares_node *full = op(node);

	section_ends(locked);
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
 * Return: NULL, or the lowest group that has more than it may have now. Somebody may go on taking of
 * what is in stock, there or in another that it lends to: shares_charge_anyway() has none of that.
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

/* Context: section. */
static bool move(struct shares_node *to, struct shares_node *from)
{
	struct shares_node *common = chain_common(to, from, parent), *full;
	long room, borrowed = 1, more;

	full = charge_below(to, common, &borrowed, &room);
	/* what one gives back the other has borrowed: nobody above sees a count that is one too high meanwhile */
	more = borrowed - uncharge_below(from, common, 1, &room);
	if (more > 0)
		full = charge(common, more, &room) ?: full;
	else if (more < 0)
		uncharge(common, -more);
	/* into a guarantee, of which nothing may be left for what is in stock */
	if (!full && !borrowed && shares_any_overfull())
		full = shares_find_lapsed(to, 0);
	if (full)
		shares_note_all_overfull(to);
	return full;
}

/**
 * shares_move - one more for a group and one less for another, whether there is room or not
 * @to: group
 * @from: group of the same tree
 *
 * Who lends to both sees the difference only, so that a move between two of them takes no room from others.
 *
 * Context: as shares_try_charge().
 * Return: somebody has more than he may have now; then shares_empty_stocks() is to follow.
 */
bool shares_move(struct shares_node *to, struct shares_node *from)
{
	bool locked = section_begins();
	bool over = move(to, from);

	section_ends(locked);
	return over;
}

/* The marks first: pairs with shares_is_stocked(). */
static void start_stocking(struct shares_node *node, unsigned int most)
{
	struct shares_node *pos;

	for (pos = node; pos; pos = pos->parent) {
		if (!READ_ONCE(pos->stocked))
			WRITE_ONCE(pos->stocked, true);
		if (pos != node && !READ_ONCE(pos->stocked_below))
			WRITE_ONCE(pos->stocked_below, true);
	}
	/*
	 * The credits that are charged next, or that others give, come after it for everybody; and so does a
	 * look at who is overfull: pairs with shares_note_all_overfull().
	 */
	smp_mb();
	if (shares_any_overfull() && shares_find_lapsed(node, 0))
		most = 0;
	WRITE_ONCE(node->stocking, most);
}

/* ... for @n on each CPU? */
static bool has_room(struct shares_node *node, long room, long n)
{
	n *= nr_cpu_ids;
	return room == ROOM_UNKNOWN ? !find_full(node, n) : room >= n;
}

/* How many each CPU may keep. */
static unsigned int most_in_stock(struct shares_node *node, long room)
{
	bool lately = !time_after(jiffies, READ_ONCE(shares_refused_at) + FEW_PAUSE);

	if (shares_one_cpu && room != ROOM_UNKNOWN && !lately)
		return ONE_CPU_MAX;
	/* out of its own part it has room, while those above may be refusing others, each time for a drain */
	if (has_room(node, room, SHARES_STOCK_MAX) && !(room == ROOM_UNKNOWN && lately))
		return SHARES_STOCK_MAX;
	return !lately && has_room(node, room, FEW_ROOM) ? FEW : 0;
}

static void set_stocking(struct shares_node *node, unsigned int most)
{
	if (READ_ONCE(node->stocking) == most)
		return;
	if (most)
		start_stocking(node, most);
	else
		WRITE_ONCE(node->stocking, 0);
}

/*
 * One has just been charged, and there was @room for more: where that is plenty, in advance for the next
 * ones. Context: section, not closed.
 */
static void fill(struct shares_node *node, struct shares_stock *stock, long room)
{
	unsigned int most = most_in_stock(node, room);
	long n = most / 2;

	set_stocking(node, most);
	if (room != ROOM_UNKNOWN)
		n = min(n, room);
	if (most < SHARES_STOCK_MAX || !n)
		return;
	if (charge(node, n, &room))
		uncharge(node, n);
	else
		stock->credits += n;
}

/**
 * shares_take - one more for a group with stocks, if there is room
 * @node: group
 *
 * Context: as shares_try_charge().
 * Return: as shares_try_charge(); shares_refusal_is_final(), or shares_take_last() is to follow.
 */
struct shares_node *shares_take(struct shares_node *node)
{
	struct shares_node *full = NULL;
	struct shares_stock *stock;
	long room;

	preempt_disable();
	if (is_open()) {
		stock = this_cpu_ptr(node->stock);
		if (stock->credits) {
			stock->credits--;
		} else {
			full = try_charge_room(node, &room);
			if (!full)
				fill(node, stock, room);
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
	WRITE_ONCE(shares_refused_at, jiffies);
	full = try_charge(node);
	if (!full)
		this_cpu_inc(node->stock->taken);
	return full;
}

/* To the CPU's stock; what that has too much of goes back. Context: section, not closed. */
static __always_inline void give(struct shares_node *node, struct shares_stock *stock)
{
	long most = READ_ONCE(node->stocking), n = 1, room;

	if (most) {
		if (++stock->credits <= most)
			return;
		n = stock->credits - DIV_ROUND_UP(most, 2);
		stock->credits -= n;
	}
	uncharge_below(node, NULL, n, &room);
	/* many who end after a refusal: the next ones keep what they have again */
	if (!most && room != ROOM_UNKNOWN && has_room(node, room, SHARES_STOCK_MAX))
		set_stocking(node, most_in_stock(node, room));
}

/**
 * shares_give - one less of what was taken or charged
 * @node: group with stocks
 *
 * Context: as shares_try_charge().
 */
void shares_give(struct shares_node *node)
{
	preempt_disable();
	if (is_open()) {
		give(node, this_cpu_ptr(node->stock));
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
 * shares_taken_by - the last shares_take() was somebody else's
 * @node: group with stocks, that it was of
 * @by: whose it was; the same one, mostly
 *
 * Context: as shares_try_charge().
 */
void shares_taken_by(struct shares_node *node, struct shares_node *by)
{
	if (node == by)
		return;
	this_cpu_dec(node->stock->taken);
	this_cpu_inc(by->stock->taken);
}

/**
 * shares_is_stocked - may something of it, or of a group below, be in stock?
 * @node: group that has just refused, or has too much
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
 * shares_refusal_is_final - is it not for what somebody has in stock?
 * @full: what shares_take() has returned
 *
 * Context: any.
 */
bool shares_refusal_is_final(const struct shares_node *full)
{
	KUNIT_STATIC_STUB_REDIRECT(shares_refusal_is_final, full);
	if (!shares_is_stocked(full))
		return true;
	/* of its own the CPU had none; if it has now, somebody has ended meanwhile */
	return shares_one_cpu && !READ_ONCE(full->stocked_below) && !shares_in_stock(full);
}
