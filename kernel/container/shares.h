/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares: how much of its parent's amount of something a group may have (max) and is
 * promised (min), and what it has. shares.c has the arithmetic, shares_charge.c the charges,
 * shares_stock.c what is in stock, shares_overfull.c what becomes of promises where a group has more than it may have, shares_text.c the words.
 */
#ifndef _KERNEL_CONTAINER_SHARES_H
#define _KERNEL_CONTAINER_SHARES_H

#include <linux/atomic.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/types.h>

struct seq_file;

/* Instead of a number of shares: no promise, no maximum of its own. */
#define SHARES_DONT_CARE	(-3)
/* As it is. */
#define SHARES_UNCHANGED	(-1)
#define SHARES_DIVISOR		100
#define SHARES_NO_LIMIT		LONG_MAX
/* More than that of a group no CPU keeps in stock, if there are others. */
#define SHARES_STOCK_MAX	16

/**
 * struct shares - what is said of a group
 * @min: promised to it, of the parent's @divisor; or SHARES_DONT_CARE
 * @max: the most that it may have, of the same; or SHARES_DONT_CARE
 * @divisor: into how many shares the group's own amount is divided for its children
 */
struct shares {
	int min;
	int max;
	int divisor;
};

/**
 * struct shares_node - a group
 * @parent: NULL for the root; immutable after shares_add()
 * @children: list of @sibling; shares_mutex
 * @sibling: entry in the parent's @children; shares_mutex
 * @set: what was said; shares_mutex
 * @limit: absolute; of the root: all that there is; shares_mutex
 * @ceiling: the most it may have; written under shares_close()
 * @bounded: @ceiling is its own, not only the parent's; the same
 * @overfull: it has more than @ceiling, not only for an instant; see shares_overfull.c
 * @guarantee: promised to it, at most @ceiling; the same
 * @promised: sum of the children's @guarantee, at most @guarantee; the same
 * @count: what it has itself, used or in stock, and what its children have borrowed; atomic
 * @before: count and promised before a change; shares_close()
 * @used: scratch of work_out_use(); shares_mutex
 * @stock: NULL: none; the pointer is immutable. Each CPU's is its own, see shares_charge.c
 * @stocking: as many may be left in stock by who gives, on each CPU; written by chargers, cleared also under
 *	shares_close()
 * @stocked: here or below there may be something in stock; the same
 * @stocked_below: the same, below
 */
struct shares_node {
	struct shares_node *parent;
	struct list_head children;
	struct list_head sibling;
	struct shares set;
	long limit;
	long ceiling;
	bool bounded;
	bool overfull;
	long guarantee;
	long promised;
	atomic_long_t count;
	long before;
	long used;
	struct shares_stock __percpu *stock;
	unsigned int stocking;
	bool stocked;
	bool stocked_below;
};

/**
 * struct shares_stock - what one CPU keeps of a group; written there, without preemption
 * @credits: charges that nobody uses; taken away under shares_close()
 * @taken: by shares_take() and its like, without what was undone
 */
struct shares_stock {
	long credits;
	long taken;
};

/* Stocks are not to be touched, see shares_charge.c; written under shares_mutex. */
extern bool shares_closed;

/* There is one CPU, and tests may say otherwise; see shares_charge.c. */
extern bool shares_one_cpu;

/* In jiffies, see shares_charge.c; for tests. */
extern unsigned long shares_refused_at;

/* Groups that are overfull; 0, nearly always: then nobody looks further than he borrows. */
extern int shares_nr_overfull;

static __always_inline bool shares_any_overfull(void)
{
	return unlikely(READ_ONCE(shares_nr_overfull));
}

/* How many more it may have. A refusal is of who has a maximum, not of those below who have none of their own. */
static inline long shares_room(const struct shares_node *node, long count)
{
	return node->bounded ? node->ceiling - node->promised - count : LONG_MAX;
}

/**
 * shares_take_stocked - one more for a group with stocks, of what this CPU has
 * @node: group
 *
 * Context: process; does not sleep.
 * Return: false if it has nothing; then shares_take().
 */
static __always_inline bool shares_take_stocked(struct shares_node *node)
{
	struct shares_stock *stock;
	bool taken = false;

	preempt_disable();
	/* pairs with shares_open() */
	if (likely(!smp_load_acquire(&shares_closed))) {
		stock = this_cpu_ptr(node->stock);
		if (likely(stock->credits)) {
			stock->credits--;
			stock->taken++;
			taken = true;
		}
	}
	preempt_enable();
	return taken;
}

/**
 * shares_give_stocked - one less, which this CPU keeps
 * @node: group with stocks
 *
 * Context: process; does not sleep.
 * Return: false if it must not, or has enough; then shares_give().
 */
static __always_inline bool shares_give_stocked(struct shares_node *node)
{
	struct shares_stock *stock;
	bool given = false;

	preempt_disable();
	/* pairs with shares_open() */
	if (likely(!smp_load_acquire(&shares_closed))) {
		stock = this_cpu_ptr(node->stock);
		if (likely(stock->credits < READ_ONCE(node->stocking))) {
			stock->credits++;
			given = true;
		}
	}
	preempt_enable();
	return given;
}

/* A group in numbers, as the files show it. */
struct shares_numbers {
	struct shares set;
	long limit;
	long ceiling;
	long guarantee;
	long promised;
	long borrowed;
	long usage;
};

void shares_add(struct shares_node *node, struct shares_node *parent, long amount);
int shares_add_stocked(struct shares_node *node, struct shares_node *parent, long amount);
void shares_stock_free(struct shares_node *node);
void shares_remove(struct shares_node *node);
int shares_set(struct shares_node *node, const struct shares *set, const char **reason);
int shares_set_limit(struct shares_node *node, long limit, const char **reason);
struct shares shares_said(struct shares_node *node);
void shares_forget(struct shares_node *root);
void shares_numbers(struct shares_node *node, struct shares_numbers *numbers);
void shares_recount(struct shares_node *root, long count);
void shares_empty_stocks(struct shares_node *node);
void shares_charge_anyway(struct shares_node *node);
void shares_take_anyway(struct shares_node *node);
struct shares_node *shares_take_last(struct shares_node *node);

/* shares_charge.c */
long shares_committed(const struct shares_node *node);
struct shares_node *shares_try_charge(struct shares_node *node);
struct shares_node *shares_charge(struct shares_node *node);
void shares_uncharge(struct shares_node *node);
bool shares_move(struct shares_node *to, struct shares_node *from);

struct shares_node *shares_take(struct shares_node *node);
void shares_untake(struct shares_node *node);
void shares_taken_by(struct shares_node *node, struct shares_node *by);
void shares_give(struct shares_node *node);
bool shares_is_stocked(const struct shares_node *node);
bool shares_refusal_is_final(const struct shares_node *full);

/* shares_overfull.c */
struct shares_node *shares_find_lapsed(struct shares_node *node, long spare);
void shares_note_overfull(struct shares_node *node);
void shares_note_all_overfull(struct shares_node *node);

/* shares_stock.c */
long shares_taken(const struct shares_node *node);
long shares_in_stock(const struct shares_node *node);
void shares_drain(struct shares_node *node);
void shares_drain_last(struct shares_node *node);

/* ... shares_charge.c again, for shares.c and shares_stock.c */
long shares_own_part(const struct shares_node *node);
long shares_borrowed(const struct shares_node *node);
struct shares_node *shares_take_closed(struct shares_node *node);
void shares_uncharge_many(struct shares_node *node, long n);
void shares_close(void);
void shares_open(void);
void shares_assert_closed(void);

/* shares_text.c */
int shares_parse(char *buf, const char *resource, struct shares *set);
void shares_show(struct seq_file *sf, const char *resource, const struct shares *set);

#endif /* _KERNEL_CONTAINER_SHARES_H */
