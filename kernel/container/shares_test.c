// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of shares.c: a table of amounts, the rules, borrowing; what must
 * hold after each of many random steps; and charges on several CPUs at once.
 */
#include "shares.h"

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/string.h>

#define DC	SHARES_DONT_CARE
#define SAME	SHARES_UNCHANGED
#define NODES	12

static int set_shares(struct shares_node *node, int min, int max, int divisor)
{
	struct shares set = { min, max, divisor };
	const char *reason;

	return shares_set(node, &set, &reason);
}

static int set_limit(struct shares_node *node, long limit)
{
	const char *reason;

	return shares_set_limit(node, limit, &reason);
}

static void charge_many(struct kunit *test, struct shares_node *node, int nr)
{
	while (nr--)
		KUNIT_EXPECT_NULL(test, shares_try_charge(node));
}

static void uncharge_many(struct shares_node *node, int nr)
{
	while (nr--)
		shares_uncharge(node);
}

static long count(const struct shares_node *node)
{
	return atomic_long_read(&node->count);
}

static long borrowed(const struct shares_node *node)
{
	return max(0L, count(node) - (node->guarantee - node->promised));
}

/* Parents first; the root has 1000. */
static const struct amounts {
	const char *what;
	int parent, min, max, divisor;
	long limit, ceiling, guarantee;
} amounts[] = {
	{ "root", -1, DC, DC, 200, 1000, 1000, 1000 },
	{ "nothing said", 0, DC, DC, 100, SHARES_NO_LIMIT, 1000, 0 },
	{ "a quarter to a half", 0, 50, 100, 100, SHARES_NO_LIMIT, 500, 250 },
	{ "its tenth", 2, 10, DC, 100, SHARES_NO_LIMIT, 500, 25 },
	{ "its third, rounded down", 2, DC, 33, 100, SHARES_NO_LIMIT, 165, 0 },
	/* the trap of 2006: no limit below one that has none */
	{ "half of what has no maximum", 1, DC, 50, 100, SHARES_NO_LIMIT, 500, 0 },
	{ "a part of no promise", 1, 50, 50, 7, SHARES_NO_LIMIT, 500, 0 },
	{ "nearly nothing of a half", 6, DC, 1, 100, SHARES_NO_LIMIT, 71, 0 },
	{ "a limit below its shares", 0, 40, 200, 100, 30, 30, 30 },
	{ "a half of the limit", 8, 50, 50, 100, SHARES_NO_LIMIT, 15, 15 },
	{ "a limit above its shares", 0, 0, 1, 100, 30, 5, 0 },
	{ "none at all", 0, DC, 0, 100, SHARES_NO_LIMIT, 0, 0 },
};

static void amounts_follow_from_shares(struct kunit *test)
{
	struct shares_node *nodes;
	const struct amounts *a;
	int i;

	nodes = kunit_kcalloc(test, ARRAY_SIZE(amounts), sizeof(*nodes), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, nodes);
	for (i = 0; i < ARRAY_SIZE(amounts); i++) {
		a = &amounts[i];
		shares_add(&nodes[i], a->parent < 0 ? NULL : &nodes[a->parent], a->limit);
		KUNIT_EXPECT_EQ_MSG(test, set_shares(&nodes[i], a->min, a->max, a->divisor), 0,
				    "of '%s'", a->what);
		KUNIT_EXPECT_EQ(test, set_limit(&nodes[i], a->limit), 0);
	}
	for (i = 0; i < ARRAY_SIZE(amounts); i++) {
		a = &amounts[i];
		KUNIT_EXPECT_EQ_MSG(test, nodes[i].ceiling, a->ceiling, "of '%s'", a->what);
		KUNIT_EXPECT_EQ_MSG(test, nodes[i].guarantee, a->guarantee, "of '%s'", a->what);
	}
	/* half of all that there was: everybody has half, but for the limits */
	KUNIT_EXPECT_EQ(test, set_limit(&nodes[0], 500), 0);
	KUNIT_EXPECT_EQ(test, nodes[3].guarantee, 12);
	KUNIT_EXPECT_EQ(test, nodes[4].ceiling, 82);
	KUNIT_EXPECT_EQ(test, nodes[8].ceiling, 30);
	while (i--)
		shares_remove(&nodes[i]);
}

static void wrong_shares_change_nothing(struct kunit *test)
{
	struct shares_node root, a, b, c;

	shares_add(&root, NULL, 100);
	shares_add(&a, &root, 0);
	shares_add(&b, &root, 0);
	shares_add(&c, &a, 0);
	KUNIT_EXPECT_EQ(test, set_shares(&a, 60, 80, 50), 0);
	KUNIT_EXPECT_EQ(test, set_shares(&c, 20, 40, SAME), 0);
	/* beyond what the parent has unused; all of it is no mistake */
	KUNIT_EXPECT_EQ(test, set_shares(&b, 41, SAME, SAME), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_shares(&b, 40, SAME, SAME), 0);
	KUNIT_EXPECT_EQ(test, set_shares(&a, 61, SAME, SAME), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_shares(&a, SAME, 101, SAME), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_shares(&a, SAME, 59, SAME), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_shares(&a, SAME, SAME, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_shares(&a, SAME, SAME, DC), -EINVAL);
	/* the child has up to 40 */
	KUNIT_EXPECT_EQ(test, set_shares(&a, SAME, SAME, 39), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_shares(&a, SAME, SAME, 40), 0);
	KUNIT_EXPECT_EQ(test, set_shares(&a, SAME, SAME, 50), 0);
	KUNIT_EXPECT_EQ(test, set_shares(&root, 10, DC, SAME), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_shares(&root, DC, 100, SAME), -EINVAL);
	/* the children are promised 100 */
	KUNIT_EXPECT_EQ(test, set_shares(&root, SAME, SAME, 99), -EINVAL);
	KUNIT_EXPECT_EQ(test, a.set.min, 60);
	KUNIT_EXPECT_EQ(test, a.set.max, 80);
	KUNIT_EXPECT_EQ(test, a.set.divisor, 50);
	KUNIT_EXPECT_EQ(test, a.guarantee, 60);
	KUNIT_EXPECT_EQ(test, c.guarantee, 24);
	shares_remove(&c);
	/* what it had is the parent's again */
	KUNIT_EXPECT_EQ(test, a.promised, 0);
	shares_remove(&a);
	KUNIT_EXPECT_EQ(test, set_shares(&b, 100, SAME, SAME), 0);
	shares_remove(&b);
	KUNIT_EXPECT_EQ(test, root.promised, 0);
	shares_remove(&root);
}

static void guarantees_are_kept_free(struct kunit *test)
{
	struct shares_node root, a, b, deep;
	struct shares_numbers n;

	shares_add(&root, NULL, 100);
	shares_add(&a, &root, 0);
	shares_add(&b, &root, 0);
	shares_add(&deep, &a, 0);
	KUNIT_EXPECT_EQ(test, set_shares(&a, 40, DC, SAME), 0);
	charge_many(test, &b, 60);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&b), &root);
	KUNIT_EXPECT_EQ(test, count(&b), 60);
	KUNIT_EXPECT_EQ(test, count(&root), 60);
	/* within the guarantee nothing is borrowed, at any depth */
	charge_many(test, &deep, 30);
	charge_many(test, &a, 10);
	KUNIT_EXPECT_EQ(test, count(&root), 60);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&deep), &root);
	shares_numbers(&root, &n);
	KUNIT_EXPECT_EQ(test, n.usage, 100);
	shares_numbers(&a, &n);
	KUNIT_EXPECT_EQ(test, n.usage, 40);
	KUNIT_EXPECT_EQ(test, n.borrowed, 0);
	/* what b gives back a may borrow, and gives back */
	shares_uncharge(&b);
	charge_many(test, &deep, 1);
	KUNIT_EXPECT_EQ(test, borrowed(&deep), 31);
	KUNIT_EXPECT_EQ(test, borrowed(&a), 1);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&b), &root);
	shares_uncharge(&a);
	charge_many(test, &b, 1);
	uncharge_many(&deep, 31);
	uncharge_many(&a, 9);
	uncharge_many(&b, 60);
	KUNIT_EXPECT_EQ(test, count(&root) | count(&a) | count(&b) | count(&deep), 0);
	shares_remove(&deep);
	shares_remove(&b);
	shares_remove(&a);
	shares_remove(&root);
}

static void all_above_are_asked(struct kunit *test)
{
	struct shares_node root, a, b, c;

	shares_add(&root, NULL, 100);
	shares_add(&a, &root, 0);
	shares_add(&b, &a, 0);
	shares_add(&c, &b, 0);
	KUNIT_EXPECT_EQ(test, set_limit(&a, 5), 0);
	charge_many(test, &c, 3);
	charge_many(test, &b, 2);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&c), &a);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&a), &a);
	charge_many(test, &root, 95);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&root), &root);
	/* by force, and then no more until it is below again */
	shares_charge(&c);
	KUNIT_EXPECT_EQ(test, count(&root), 101);
	shares_uncharge(&root);
	shares_uncharge(&c);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&c), &a);
	KUNIT_EXPECT_EQ(test, set_limit(&a, 3), 0);
	uncharge_many(&b, 2);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&c), &a);
	shares_uncharge(&c);
	charge_many(test, &c, 1);
	uncharge_many(&c, 3);
	uncharge_many(&root, 94);
	KUNIT_EXPECT_EQ(test, count(&root), 0);
	shares_remove(&c);
	shares_remove(&b);
	shares_remove(&a);
	shares_remove(&root);
}

static void what_others_have_is_not_promised(struct kunit *test)
{
	struct shares_node root, a, b;

	shares_add(&root, NULL, 100);
	shares_add(&a, &root, 0);
	shares_add(&b, &root, 0);
	charge_many(test, &b, 70);
	KUNIT_EXPECT_EQ(test, set_shares(&a, 31, DC, SAME), -EBUSY);
	KUNIT_EXPECT_EQ(test, a.set.min, DC);
	KUNIT_EXPECT_EQ(test, a.guarantee, 0);
	KUNIT_EXPECT_EQ(test, count(&root), 70);
	KUNIT_EXPECT_EQ(test, set_shares(&a, 30, DC, SAME), 0);
	/* it has this already: then it is not borrowed any more */
	KUNIT_EXPECT_EQ(test, set_shares(&b, 70, DC, SAME), 0);
	KUNIT_EXPECT_EQ(test, count(&root), 0);
	KUNIT_EXPECT_EQ(test, root.promised, 100);
	/* less than b has may be left to it */
	KUNIT_EXPECT_EQ(test, set_limit(&root, 50), 0);
	KUNIT_EXPECT_EQ(test, borrowed(&b), 35);
	KUNIT_EXPECT_EQ(test, count(&root), 35);
	/* it has 20 more than there is: a is not to add to these, and to get the first of its 15 when b has lost 21 */
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&a), &root);
	uncharge_many(&b, 20);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&a), &root);
	uncharge_many(&b, 15);
	charge_many(test, &a, 15);
	KUNIT_EXPECT_PTR_EQ(test, shares_try_charge(&a), &root);
	uncharge_many(&a, 15);
	uncharge_many(&b, 35);
	KUNIT_EXPECT_EQ(test, count(&root), 0);
	shares_remove(&b);
	shares_remove(&a);
	shares_remove(&root);
}

/* Random steps: the tree, and what each group has itself. */
struct world {
	struct rnd_state rnd;
	struct shares_node nodes[NODES];
	bool used[NODES];
	long own[NODES];
	unsigned long nr_charged, nr_refused;
};

static int any(struct world *w, int below)
{
	return prandom_u32_state(&w->rnd) % below;
}

static int node_index(struct world *w, struct shares_node *node)
{
	return node - w->nodes;
}

static void check_group(struct kunit *test, struct world *w, struct shares_node *node)
{
	long promised = 0, lent = 0, min = 0;
	struct shares_node *child;

	list_for_each_entry(child, &node->children, sibling) {
		promised += child->guarantee;
		lent += borrowed(child);
		min += max(child->set.min, 0);
		KUNIT_ASSERT_LE(test, child->ceiling, node->ceiling);
		KUNIT_ASSERT_LE(test, child->set.max, node->set.divisor);
	}
	KUNIT_ASSERT_EQ(test, promised, node->promised);
	KUNIT_ASSERT_LE(test, promised, node->guarantee);
	KUNIT_ASSERT_LE(test, node->guarantee, node->ceiling);
	KUNIT_ASSERT_LE(test, min, (long)node->set.divisor);
	KUNIT_ASSERT_EQ(test, count(node), w->own[node_index(w, node)] + lent);
}

static void check_world(struct kunit *test, struct world *w)
{
	struct shares_numbers numbers;
	long own = 0;
	int i;

	for (i = 0; i < NODES; i++) {
		if (!w->used[i])
			continue;
		own += w->own[i];
		check_group(test, w, &w->nodes[i]);
	}
	shares_numbers(&w->nodes[0], &numbers);
	KUNIT_ASSERT_EQ(test, numbers.usage, own);
}

static void try_charge_one(struct kunit *test, struct world *w, int i)
{
	struct shares_node *full = shares_try_charge(&w->nodes[i]), *node;
	struct shares_numbers numbers;

	if (full) {
		w->nr_refused++;
		KUNIT_ASSERT_GE(test, shares_committed(full), full->ceiling);
		return;
	}
	w->nr_charged++;
	w->own[i]++;
	/* nobody who has lent it has too many */
	for (node = &w->nodes[i]; node; node = node->parent) {
		KUNIT_ASSERT_LE(test, shares_committed(node), node->ceiling);
		if (!borrowed(node))
			break;
	}
	/* nor does anybody above use too much, who has lent nothing */
	for (node = &w->nodes[i]; node; node = node->parent) {
		shares_numbers(node, &numbers);
		KUNIT_ASSERT_LE(test, numbers.usage, node->ceiling);
	}
}

static void add_or_remove(struct world *w, int i)
{
	int parent = any(w, NODES);

	if (!w->used[i] && w->used[parent]) {
		shares_add(&w->nodes[i], &w->nodes[parent], 0);
		w->used[i] = true;
	} else if (w->used[i] && i && list_empty(&w->nodes[i].children) && !w->own[i]) {
		shares_remove(&w->nodes[i]);
		w->used[i] = false;
	}
}

static void random_step(struct kunit *test, struct world *w)
{
	int i = any(w, NODES), what = any(w, 100);

	if (what < 8) {
		add_or_remove(w, i);
	} else if (!w->used[i]) {
		return;
	} else if (what < 14) {
		/* a change waits for a grace period; they are the smaller part */
		set_shares(&w->nodes[i], any(w, 4) ? any(w, 60) : DC, any(w, 3) ? any(w, 120) : DC,
			   any(w, 4) ? SAME : 1 + any(w, 150));
	} else if (what < 17) {
		set_limit(&w->nodes[i], i && any(w, 2) ? SHARES_NO_LIMIT : any(w, 200));
	} else if (what < 60) {
		try_charge_one(test, w, i);
	} else if (what < 62) {
		shares_charge(&w->nodes[i]);
		w->own[i]++;
	} else if (w->own[i]) {
		shares_uncharge(&w->nodes[i]);
		w->own[i]--;
	}
}

static void sums_hold_after_any_step(struct kunit *test)
{
	struct world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, w);
	prandom_seed_state(&w->rnd, 2006);
	shares_add(&w->nodes[0], NULL, 120);
	w->used[0] = true;
	for (i = 0; i < 4000; i++) {
		random_step(test, w);
		check_world(test, w);
	}
	/* the steps were worth something */
	KUNIT_EXPECT_GT(test, w->nr_charged, 100);
	KUNIT_EXPECT_GT(test, w->nr_refused, 100);
	/* all that was borrowed is given back */
	for (i = 0; i < NODES; i++) {
		for (; w->used[i] && w->own[i]; w->own[i]--)
			shares_uncharge(&w->nodes[i]);
	}
	for (i = 0; i < NODES; i++)
		if (w->used[i])
			KUNIT_EXPECT_EQ(test, count(&w->nodes[i]), 0);
	check_world(test, w);
}

/* Several at once: a and c compete for the root's 60, b for the 20 of a. */
struct contest {
	struct shares_node root, a, b, c;
	atomic_t held_root, held_a;
	atomic_t violations;
	atomic_t charged;
	atomic_t running;
	struct completion done;
};

#define CONTEST_ROOT	60
#define CONTEST_A	20
#define CONTEST_HANDS	16

static void hold(struct contest *t, struct shares_node *node)
{
	atomic_inc(&t->charged);
	if (atomic_inc_return(&t->held_root) > CONTEST_ROOT)
		atomic_inc(&t->violations);
	if (node != &t->c && atomic_inc_return(&t->held_a) > CONTEST_A)
		atomic_inc(&t->violations);
}

static void let_go(struct contest *t, struct shares_node *node)
{
	if (node != &t->c)
		atomic_dec(&t->held_a);
	atomic_dec(&t->held_root);
	shares_uncharge(node);
}

/* Each holds up to 16: four of them want more than there is. */
static int contestant(void *data)
{
	struct shares_node *has[CONTEST_HANDS] = { }, *nodes[3];
	struct contest *t = data;
	struct rnd_state rnd;
	int i, hand;

	nodes[0] = &t->a;
	nodes[1] = &t->b;
	nodes[2] = &t->c;
	prandom_seed_state(&rnd, (unsigned long)current);
	for (i = 0; i < 5000; i++) {
		hand = prandom_u32_state(&rnd) % CONTEST_HANDS;
		if (has[hand]) {
			let_go(t, has[hand]);
			has[hand] = NULL;
		} else {
			has[hand] = nodes[prandom_u32_state(&rnd) % 3];
			if (shares_try_charge(has[hand]))
				has[hand] = NULL;
			else
				hold(t, has[hand]);
		}
		cond_resched();
	}
	for (hand = 0; hand < CONTEST_HANDS; hand++)
		if (has[hand])
			let_go(t, has[hand]);
	if (atomic_dec_and_test(&t->running))
		complete(&t->done);
	return 0;
}

static void charges_at_once_add_up(struct kunit *test)
{
	struct contest *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	init_completion(&t->done);
	shares_add(&t->root, NULL, CONTEST_ROOT);
	shares_add(&t->a, &t->root, 0);
	shares_add(&t->b, &t->a, 0);
	shares_add(&t->c, &t->root, 0);
	KUNIT_EXPECT_EQ(test, set_shares(&t->a, 10, DC, SAME), 0);
	KUNIT_EXPECT_EQ(test, set_limit(&t->a, CONTEST_A), 0);
	atomic_set(&t->running, 5);
	for (i = 0; i < 4; i++)
		if (IS_ERR(kthread_run(contestant, t, "shares-%d", i)))
			atomic_dec(&t->running);
	/* meanwhile the guarantees change: a loses and gets its 6, b its 3 of them */
	for (i = 0; i < 20; i++) {
		set_shares(&t->a, i & 1 ? 10 : DC, DC, SAME);
		set_shares(&t->b, i & 2 ? 50 : DC, DC, SAME);
	}
	if (!atomic_dec_and_test(&t->running))
		wait_for_completion(&t->done);
	KUNIT_EXPECT_EQ(test, atomic_read(&t->violations), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&t->charged), CONTEST_ROOT);
	KUNIT_EXPECT_EQ(test, count(&t->root), 0);
	KUNIT_EXPECT_EQ(test, count(&t->a), 0);
	KUNIT_EXPECT_EQ(test, count(&t->b), 0);
	KUNIT_EXPECT_EQ(test, count(&t->c), 0);
	shares_remove(&t->c);
	shares_remove(&t->b);
	shares_remove(&t->a);
	shares_remove(&t->root);
}

static void shares_are_parsed(struct kunit *test)
{
	static const struct {
		const char *in;
		int ret, min, max, divisor;
	} cases[] = {
		{ "min_shares=5", 0, 5, SAME, SAME },
		{ "max_shares=0,min_shares=-3", 0, DC, 0, SAME },
		{ "res=apples,child_shares_divisor=2147483647", 0, SAME, SAME, INT_MAX },
		{ "child_shares_divisor=1,res=apples,min_shares=1,max_shares=1", 0, 1, 1, 1 },
		{ "res=apples", 0, SAME, SAME, SAME },
		{ "res=pears,min_shares=5", -EINVAL },
		{ "res=apples,res=apples", -EINVAL },
		{ "min_shares=5,min_shares=5", -EINVAL },
		{ "shares=5", -EINVAL },
		{ "min_shares", -EINVAL },
		{ "min_shares=", -EINVAL },
		{ "min_shares=5,", -EINVAL },
		{ "", -EINVAL },
		{ "min_shares=+5", -EINVAL },
		{ "min_shares=0x5", -EINVAL },
		{ "min_shares=5 ", -EINVAL },
		{ "min_shares=-1", -EINVAL },
		{ "min_shares=-2", -EINVAL },
		{ "max_shares=--3", -EINVAL },
		{ "max_shares=2147483648", -ERANGE },
	};
	struct shares set;
	char buf[80];
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		strscpy(buf, cases[i].in);
		KUNIT_EXPECT_EQ_MSG(test, shares_parse(buf, "apples", &set), cases[i].ret,
				    "of '%s'", cases[i].in);
		if (cases[i].ret)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, set.min, cases[i].min, "of '%s'", cases[i].in);
		KUNIT_EXPECT_EQ_MSG(test, set.max, cases[i].max, "of '%s'", cases[i].in);
		KUNIT_EXPECT_EQ_MSG(test, set.divisor, cases[i].divisor, "of '%s'", cases[i].in);
	}
}

static struct kunit_case shares_test_cases[] = {
	KUNIT_CASE(amounts_follow_from_shares),
	KUNIT_CASE(wrong_shares_change_nothing),
	KUNIT_CASE(guarantees_are_kept_free),
	KUNIT_CASE(all_above_are_asked),
	KUNIT_CASE(what_others_have_is_not_promised),
	KUNIT_CASE(sums_hold_after_any_step),
	KUNIT_CASE(charges_at_once_add_up),
	KUNIT_CASE(shares_are_parsed),
	{}
};

static struct kunit_suite shares_test_suite = {
	.name = "container-shares",
	.test_cases = shares_test_cases,
};
kunit_test_suite(shares_test_suite);

MODULE_DESCRIPTION("KUnit tests of shares");
MODULE_LICENSE("GPL");
