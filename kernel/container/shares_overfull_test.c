// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of shares_overfull.c: a guarantee lapses as far as somebody above has more than it
 * may have, and no further; nor is it got round by what CPUs have in stock.
 */
#include "shares.h"

#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>

/* Where there is less room nothing is charged in advance. */
#define ROOM		((long)SHARES_STOCK_MAX * nr_cpu_ids)

/* p and q below the root, x and y below p; below is y's. */
struct tree {
	struct shares_node root, p, q, x, y, below;
};

static void add(struct kunit *test, struct shares_node *node, struct shares_node *parent, long amount)
{
	KUNIT_ASSERT_EQ(test, shares_add_stocked(node, parent, amount), 0);
}

/* All of it is p's, and all of that y's. */
static struct tree *new_tree(struct kunit *test, long amount)
{
	const struct shares all = { 100, SHARES_UNCHANGED, SHARES_UNCHANGED };
	struct tree *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	const char *reason;

	KUNIT_ASSERT_NOT_NULL(test, t);
	WRITE_ONCE(shares_refused_at, jiffies - HZ);
	add(test, &t->root, NULL, 10 * amount);
	add(test, &t->p, &t->root, 0);
	add(test, &t->q, &t->root, 0);
	add(test, &t->x, &t->p, 0);
	add(test, &t->y, &t->p, 0);
	add(test, &t->below, &t->y, 0);
	KUNIT_EXPECT_EQ(test, shares_set(&t->p, &all, &reason), 0);
	KUNIT_EXPECT_EQ(test, shares_set_limit(&t->p, amount, &reason), 0);
	KUNIT_EXPECT_EQ(test, shares_set(&t->y, &all, &reason), 0);
	KUNIT_EXPECT_EQ(test, t->y.guarantee, amount);
	return t;
}

static void remove_group(struct shares_node *node)
{
	shares_remove(node);
	shares_stock_free(node);
}

static void end_tree(struct kunit *test, struct tree *t)
{
	remove_group(&t->below);
	remove_group(&t->y);
	remove_group(&t->x);
	remove_group(&t->q);
	remove_group(&t->p);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->root.count), shares_in_stock(&t->root));
	remove_group(&t->root);
	KUNIT_EXPECT_EQ(test, shares_nr_overfull, 0);
}

static void charge_many(struct kunit *test, struct shares_node *node, long nr)
{
	while (nr-- > 0)
		KUNIT_EXPECT_NULL(test, shares_try_charge(node));
}

static void uncharge_many(struct shares_node *node, long nr)
{
	while (nr-- > 0)
		shares_uncharge(node);
}

static long usage(struct shares_node *node)
{
	struct shares_numbers numbers;

	shares_numbers(node, &numbers);
	return numbers.usage;
}

/* As a fork does it. */
static struct shares_node *take(struct shares_node *node)
{
	struct shares_node *full = shares_take(node);

	return full && !shares_refusal_is_final(full) ? shares_take_last(node) : full;
}

static void what_has_moved_out_is_not_to_be_had_again(struct kunit *test)
{
	struct tree *t = new_tree(test, 10);

	charge_many(test, &t->y, 10);
	KUNIT_EXPECT_PTR_EQ(test, shares_charge(&t->x), &t->p);
	shares_uncharge(&t->y);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->y), &t->p);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->below), &t->p);
	KUNIT_EXPECT_EQ(test, usage(&t->p), 10);
	/* two may go, one for the other */
	shares_uncharge(&t->y);
	charge_many(test, &t->y, 1);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->y), &t->p);
	shares_uncharge(&t->x);
	KUNIT_EXPECT_EQ(test, shares_nr_overfull, 0);
	charge_many(test, &t->y, 1);
	uncharge_many(&t->y, 10);
	end_tree(test, t);
}

/* The first that is overfull is two above, and only in part. */
static void a_guarantee_lapses_no_further(struct kunit *test)
{
	struct tree *t = new_tree(test, 10);
	int i;

	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_PTR_EQ(test, shares_charge(&t->x), &t->p);
	charge_many(test, &t->below, 2);
	charge_many(test, &t->y, 5);
	KUNIT_EXPECT_EQ(test, usage(&t->p), 10);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->below), &t->p);
	/* into the guarantee it is no more to p, and so much less to the others */
	KUNIT_EXPECT_PTR_EQ(test, shares_charge(&t->y), &t->p);
	shares_uncharge(&t->x);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->y), &t->p);
	shares_uncharge(&t->x);
	charge_many(test, &t->y, 1);
	/* who borrows of the root's is not concerned */
	charge_many(test, &t->q, 20);
	uncharge_many(&t->q, 20);
	uncharge_many(&t->x, 1);
	uncharge_many(&t->below, 2);
	uncharge_many(&t->y, 7);
	end_tree(test, t);
}

static void a_lower_limit_takes_guarantees(struct kunit *test)
{
	struct tree *t = new_tree(test, 10);
	const char *reason;

	charge_many(test, &t->y, 3);
	KUNIT_EXPECT_EQ(test, shares_set_limit(&t->root, 8, &reason), 0);
	KUNIT_EXPECT_EQ(test, t->y.guarantee, 8);
	KUNIT_EXPECT_PTR_EQ(test, shares_charge(&t->q), &t->root);
	KUNIT_EXPECT_PTR_EQ(test, shares_charge(&t->q), &t->root);
	KUNIT_EXPECT_EQ(test, shares_nr_overfull, 1);
	charge_many(test, &t->y, 3);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->y), &t->root);
	/* one less for all, which y is guaranteed all of, too */
	KUNIT_EXPECT_EQ(test, shares_set_limit(&t->root, 7, &reason), 0);
	shares_uncharge(&t->y);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->y), &t->root);
	/* a higher one gives them back */
	KUNIT_EXPECT_EQ(test, shares_set_limit(&t->root, 12, &reason), 0);
	KUNIT_EXPECT_EQ(test, shares_nr_overfull, 0);
	charge_many(test, &t->y, 5);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->y), &t->p);
	uncharge_many(&t->q, 2);
	uncharge_many(&t->y, 10);
	end_tree(test, t);
}

static void nothing_is_in_stock_of_what_has_lapsed(struct kunit *test)
{
	struct tree *t = new_tree(test, 4 * ROOM);
	long i;

	KUNIT_EXPECT_NULL(test, take(&t->y));
	KUNIT_EXPECT_GT(test, shares_in_stock(&t->y), 0);
	for (i = 1; i < 4 * ROOM; i++)
		KUNIT_EXPECT_NULL(test, take(&t->y));
	shares_give(&t->y);
	KUNIT_EXPECT_NULL(test, take(&t->y));
	/* one goes to where it has to be borrowed: what y gives back is p's, and in nobody's stock */
	shares_charge_anyway(&t->x);
	shares_give(&t->y);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->y), 0);
	KUNIT_EXPECT_PTR_EQ(test, take(&t->y), &t->p);
	/* with room for a few above what has lapsed, and no more than that */
	WRITE_ONCE(shares_refused_at, jiffies - HZ);
	for (i = 0; i < 2 * nr_cpu_ids; i++)
		shares_give(&t->y);
	KUNIT_EXPECT_NULL(test, take(&t->y));
	shares_give(&t->y);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->y), 0);
	for (i = 0; i < 2 * nr_cpu_ids; i++)
		KUNIT_EXPECT_NULL(test, take(&t->y));
	KUNIT_EXPECT_PTR_EQ(test, take(&t->y), &t->p);
	KUNIT_EXPECT_EQ(test, usage(&t->p), 4 * ROOM);
	shares_give(&t->x);
	for (i = 1; i < 4 * ROOM; i++)
		shares_give(&t->y);
	KUNIT_EXPECT_EQ(test, usage(&t->p), 0);
	end_tree(test, t);
}

/* By force into what has a stock, within its guarantee, of which as much has lapsed. */
static void stocks_go_when_a_guarantee_lapses(struct kunit *test)
{
	struct tree *t = new_tree(test, 4 * ROOM);
	long i;

	for (i = 0; i < 2 * ROOM; i++)
		shares_charge_anyway(&t->x);
	KUNIT_EXPECT_NULL(test, take(&t->y));
	KUNIT_EXPECT_GT(test, shares_in_stock(&t->y), 0);
	for (i = 0; usage(&t->p) <= 4 * ROOM; i++)
		shares_charge_anyway(&t->y);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->y), 0);
	KUNIT_EXPECT_PTR_EQ(test, take(&t->y), &t->p);
	uncharge_many(&t->y, i + 1);
	uncharge_many(&t->x, 2 * ROOM);
	end_tree(test, t);
}

/* Who lends to both is changed by the difference, and is full at no time before. */
static void a_move_is_seen_above_both_as_a_difference(struct kunit *test)
{
	struct tree *t = new_tree(test, 10);

	charge_many(test, &t->y, 10);
	KUNIT_EXPECT_TRUE(test, shares_move(&t->x, &t->y));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->p.count), 1);
	KUNIT_EXPECT_EQ(test, shares_nr_overfull, 1);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&t->y), &t->p);
	KUNIT_EXPECT_FALSE(test, shares_move(&t->y, &t->x));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->p.count), 0);
	KUNIT_EXPECT_EQ(test, shares_nr_overfull, 0);
	/* down and up within y, which is full; out to where the root lends it, and to the root */
	KUNIT_EXPECT_FALSE(test, shares_move(&t->below, &t->y));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->y.count), 10);
	KUNIT_EXPECT_FALSE(test, shares_move(&t->y, &t->below));
	KUNIT_EXPECT_FALSE(test, shares_move(&t->below, &t->y));
	KUNIT_EXPECT_FALSE(test, shares_move(&t->q, &t->below));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->y.count), 9);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->root.count), 1);
	KUNIT_EXPECT_FALSE(test, shares_move(&t->root, &t->q));
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->root.count), 1);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->q.count), 0);
	shares_uncharge(&t->root);
	uncharge_many(&t->y, 9);
	end_tree(test, t);
}

static struct kunit_case shares_overfull_test_cases[] = {
	KUNIT_CASE(what_has_moved_out_is_not_to_be_had_again),
	KUNIT_CASE(a_guarantee_lapses_no_further),
	KUNIT_CASE(a_lower_limit_takes_guarantees),
	KUNIT_CASE(nothing_is_in_stock_of_what_has_lapsed),
	KUNIT_CASE(stocks_go_when_a_guarantee_lapses),
	KUNIT_CASE(a_move_is_seen_above_both_as_a_difference),
	{}
};

static struct kunit_suite shares_overfull_test_suite = {
	.name = "container-shares-overfull",
	.test_cases = shares_overfull_test_cases,
};
kunit_test_suite(shares_overfull_test_suite);

MODULE_DESCRIPTION("KUnit tests of guarantees below who has too much");
MODULE_LICENSE("GPL");
