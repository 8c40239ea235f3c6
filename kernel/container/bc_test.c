// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the beancounters' arithmetic, on beancounters of no container:
 * top, and below each other mid and low. Charges by themselves have no need of
 * the rest.
 */
#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>

#include "bc.h"

#define RES BC_NUMFILES
#define LEVELS 3
#define THREADS 4
#define ROUNDS 2000

/* bc[0] is the lowest */
struct chain {
	struct bc bc[LEVELS];
	struct completion done;
	atomic_t running;
	atomic_long_t over;
	/* of the one that is bounded */
	int level;
};

static struct bc_amount *amount(struct kunit *test, int level)
{
	struct chain *chain = test->priv;

	return &chain->bc[level].amount[RES];
}

static struct bc *low(struct kunit *test)
{
	struct chain *chain = test->priv;

	return &chain->bc[0];
}

static void set(struct kunit *test, int level, unsigned long barrier, unsigned long limit)
{
	amount(test, level)->bounds.barrier = barrier;
	amount(test, level)->bounds.limit = limit;
}

static long held(struct kunit *test, int level)
{
	return atomic_long_read(&amount(test, level)->held);
}

static int bc_test_init(struct kunit *test)
{
	static const struct bc_bounds none = { .barrier = BC_MAX, .limit = BC_MAX };
	struct chain *chain = kunit_kzalloc(test, sizeof(*chain), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, chain);
	for (i = 0; i < LEVELS; i++) {
		chain->bc[i].up = i + 1 < LEVELS ? &chain->bc[i + 1] : NULL;
		bc_amount_init(&chain->bc[i].amount[RES], &none);
	}
	init_completion(&chain->done);
	test->priv = chain;
	return 0;
}

static void bounds_and_severities(struct kunit *test)
{
	static const struct {
		unsigned long held, val;
		enum bc_severity severity;
		bool granted;
	} cases[] = {
		{ 0, 5, BC_BARRIER, true }, { 0, 6, BC_BARRIER, false }, { 4, 1, BC_BARRIER, true },
		{ 5, 1, BC_BARRIER, false }, { 5, 0, BC_BARRIER, true }, { 6, 0, BC_BARRIER, false },
		{ 5, 1, BC_LIMIT, true }, { 7, 1, BC_LIMIT, true }, { 7, 2, BC_LIMIT, false },
		{ 8, 1, BC_LIMIT, false }, { 8, 1, BC_FORCE, true }, { 100, 100, BC_FORCE, true },
		{ 1, ULONG_MAX, BC_BARRIER, false }, { 1, ULONG_MAX, BC_LIMIT, false },
	};
	struct chain *chain = test->priv;
	struct bc *top = &chain->bc[LEVELS - 1];
	struct bc *full;
	unsigned int i;
	long want;

	set(test, LEVELS - 1, 5, 8);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		atomic_long_set(&top->amount[RES].held, cases[i].held);
		full = bc_try_charge(top, RES, cases[i].val, cases[i].severity);
		KUNIT_EXPECT_EQ_MSG(test, !full, cases[i].granted, "case %u", i);
		want = cases[i].held + cases[i].granted * cases[i].val;
		KUNIT_EXPECT_EQ_MSG(test, held(test, LEVELS - 1), want, "case %u", i);
	}
}

static void no_bound_is_a_bound(struct kunit *test)
{
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, BC_MAX, BC_BARRIER));
	KUNIT_EXPECT_PTR_EQ(test, bc_try_charge(low(test), RES, 1, BC_LIMIT), low(test));
	bc_give_back(low(test), RES, BC_MAX);
	KUNIT_EXPECT_EQ(test, held(test, 0), 0L);
	KUNIT_EXPECT_EQ(test, held(test, 2), 0L);
}

static void all_levels_or_none(struct kunit *test)
{
	struct chain *chain = test->priv;
	int i;

	set(test, 1, 3, 3);
	set(test, 2, 4, 4);
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 3, BC_BARRIER));
	/* the nearest that is full is told */
	KUNIT_EXPECT_PTR_EQ(test, bc_try_charge(low(test), RES, 1, BC_BARRIER), &chain->bc[1]);
	KUNIT_EXPECT_PTR_EQ(test, bc_try_charge(low(test), RES, 2, BC_BARRIER), &chain->bc[1]);
	KUNIT_EXPECT_PTR_EQ(test, bc_try_charge(&chain->bc[2], RES, 2, BC_BARRIER),
			    &chain->bc[2]);
	for (i = 0; i < LEVELS; i++) {
		KUNIT_EXPECT_EQ(test, held(test, i), 3L);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&amount(test, i)->maxheld), 3L);
	}
	bc_give_back(low(test), RES, 3);
	for (i = 0; i < LEVELS; i++)
		KUNIT_EXPECT_EQ(test, held(test, i), 0L);
}

static void marks(struct kunit *test)
{
	struct bc_amount *a = amount(test, 0);

	KUNIT_EXPECT_EQ(test, bc_minheld(a), 0L);
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 7, BC_BARRIER));
	KUNIT_EXPECT_EQ(test, bc_minheld(a), 7L);
	bc_give_back(low(test), RES, 4);
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 2, BC_BARRIER));
	KUNIT_EXPECT_EQ(test, bc_minheld(a), 3L);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&a->maxheld), 7L);
	atomic_long_set(&a->failcnt, 9);
	bc_amount_reset(a);
	KUNIT_EXPECT_EQ(test, bc_minheld(a), 5L);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&a->maxheld), 5L);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&a->failcnt), 0L);
	/* those above are not reset */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&amount(test, 1)->maxheld), 7L);
	bc_give_back(low(test), RES, 5);
	KUNIT_EXPECT_EQ(test, bc_minheld(a), 0L);
}

/* A charge has just passed the barrier of the lowest: others take two from there, and the room at the top. */
static void overtake(struct bc *bc, enum bc_resource res, enum bc_severity severity)
{
	struct kunit *test = kunit_get_current_test();
	struct chain *chain = test->priv;

	kunit_deactivate_static_stub(test, bc_hit);
	bc_give_back(low(test), RES, 2);
	KUNIT_EXPECT_NULL(test, bc_try_charge(&chain->bc[2], RES, 10, BC_FORCE));
}

static void who_is_overtaken_leaves_no_mark_too_high(struct kunit *test)
{
	struct chain *chain = test->priv;

	set(test, 0, 5, 9);
	set(test, 2, 8, 8);
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 5, BC_BARRIER));
	kunit_activate_static_stub(test, bc_hit, overtake);
	KUNIT_EXPECT_PTR_EQ(test, bc_try_charge(low(test), RES, 1, BC_LIMIT), &chain->bc[2]);
	/* there were four while it was one of them */
	KUNIT_EXPECT_EQ(test, held(test, 0), 3L);
	KUNIT_EXPECT_EQ(test, held(test, 1), 3L);
	KUNIT_EXPECT_EQ(test, held(test, 2), 13L);
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 2, BC_FORCE));
	KUNIT_EXPECT_EQ(test, bc_minheld(amount(test, 0)), 3L);
	KUNIT_EXPECT_EQ(test, bc_minheld(amount(test, 1)), 3L);
	/* known: it was granted there for a moment */
	KUNIT_EXPECT_EQ(test, atomic_long_read(&amount(test, 0)->maxheld), 6L);
}

static void an_uncharge_too_many(struct kunit *test)
{
	struct bc_amount *a = amount(test, 0);

	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 3, BC_BARRIER));
	KUNIT_EXPECT_EQ(test, bc_amount_uncharge(a, 5), 3UL);
	KUNIT_EXPECT_EQ(test, held(test, 0), 0L);
	KUNIT_EXPECT_EQ(test, bc_amount_uncharge(a, 5), 0UL);
	KUNIT_EXPECT_EQ(test, held(test, 0), 0L);
	/* accounting goes on */
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 2, BC_BARRIER));
	KUNIT_EXPECT_EQ(test, held(test, 0), 2L);
	KUNIT_EXPECT_EQ(test, bc_amount_uncharge(a, 2), 2UL);
}

/* What leaves before it has entered: below zero is no room for anybody, and the sum is right. */
static void leaves_before_it_enters(struct kunit *test)
{
	struct chain *chain = test->priv;
	struct bc *top = &chain->bc[2];

	set(test, 0, 1, 1);
	bc_leave(low(test), top, RES, 1);
	KUNIT_EXPECT_EQ(test, bc_minheld(amount(test, 0)), 0L);
	KUNIT_EXPECT_PTR_EQ(test, bc_try_charge(low(test), RES, 2, BC_BARRIER), low(test));
	bc_enter(low(test), top, RES, 1);
	KUNIT_EXPECT_EQ(test, held(test, 0), 0L);
	KUNIT_EXPECT_EQ(test, held(test, 1), 0L);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&amount(test, 2)->maxheld), 0L);
	/* no bound stops what enters */
	bc_enter(low(test), NULL, RES, 3);
	KUNIT_EXPECT_EQ(test, held(test, 0), 3L);
	KUNIT_EXPECT_EQ(test, held(test, 2), 3L);
	bc_leave(low(test), NULL, RES, 3);
}

static void where_chains_meet(struct kunit *test)
{
	struct chain *chain = test->priv;
	struct bc other = { .up = &chain->bc[1] }, flat = { };

	KUNIT_EXPECT_PTR_EQ(test, bc_common(low(test), &other), &chain->bc[1]);
	KUNIT_EXPECT_PTR_EQ(test, bc_common(&chain->bc[2], low(test)), &chain->bc[2]);
	KUNIT_EXPECT_PTR_EQ(test, bc_common(low(test), low(test)), low(test));
	KUNIT_EXPECT_NULL(test, bc_common(&flat, low(test)));
}

#define TREE 64

static bool is_in_chain(const struct bc *bc, const struct bc *chain)
{
	for (; chain; chain = chain->up)
		if (chain == bc)
			return true;
	return false;
}

/* Any two of a tree with two flat ones in it: what the definition says. */
static void any_two_chains(struct kunit *test)
{
	struct bc *tree = kunit_kcalloc(test, TREE, sizeof(*tree), GFP_KERNEL);
	struct bc *want;
	int a, b, bad = 0;

	KUNIT_ASSERT_NOT_NULL(test, tree);
	/* chains from a flat one up to the next, of which every other has a side branch */
	for (a = 1; a < TREE; a++)
		tree[a].up = a % 20 == 3 ? NULL : &tree[max(a - 1 - a % 2, 0)];
	for (a = 0; a < TREE; a++) {
		for (b = 0; b < TREE; b++) {
			want = &tree[a];
			while (want && !is_in_chain(want, &tree[b]))
				want = want->up;
			bad += bc_common(&tree[a], &tree[b]) != want;
		}
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
}

static int charge_and_give_back(void *data)
{
	struct chain *chain = data;
	struct bc_amount *bounded = &chain->bc[chain->level].amount[RES];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		/* half of them meet the bound */
		if (bc_try_charge(&chain->bc[0], RES, 1, BC_BARRIER))
			continue;
		if (atomic_long_read(&bounded->held) > THREADS / 2)
			atomic_long_inc(&chain->over);
		if (i % 16 == 0)
			cond_resched();
		bc_give_back(&chain->bc[0], RES, 1);
	}
	if (atomic_dec_and_test(&chain->running))
		complete(&chain->done);
	return 0;
}

static void contest(struct kunit *test, int level)
{
	struct chain *chain = test->priv;
	struct task_struct *thread[THREADS];
	int i;

	chain->level = level;
	set(test, level, THREADS / 2, THREADS / 2);
	atomic_set(&chain->running, THREADS);
	for (i = 0; i < THREADS; i++) {
		thread[i] = kthread_create(charge_and_give_back, chain, "bc_test/%d", i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, thread[i]);
		/* for kthread_stop(), which waits until it does not touch the chain any more */
		get_task_struct(thread[i]);
	}
	for (i = 0; i < THREADS; i++)
		wake_up_process(thread[i]);
	wait_for_completion(&chain->done);
	for (i = 0; i < THREADS; i++)
		kthread_stop_put(thread[i]);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&chain->over), 0L);
	KUNIT_EXPECT_LE(test, atomic_long_read(&amount(test, level)->maxheld), (long)THREADS / 2);
	for (i = 0; i < LEVELS; i++)
		KUNIT_EXPECT_EQ(test, held(test, i), 0L);
}

static void many_at_once(struct kunit *test)
{
	contest(test, 1);
}

/* Whom nobody is above that is charged: the way of most files. Returns the root's, which must not be. */
static struct bc_amount *put_below_the_root(struct kunit *test)
{
	struct bc *root = css_bc(bc_subsys.root_css);

	low(test)->up = root;
	return &root->amount[RES];
}

static void one_below_the_root(struct kunit *test)
{
	struct bc_amount *above = put_below_the_root(test), *a = amount(test, 0);
	long before = atomic_long_read(&above->held);

	set(test, 0, 3, 5);
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 3, BC_BARRIER));
	KUNIT_EXPECT_PTR_EQ(test, bc_try_charge(low(test), RES, 1, BC_BARRIER), low(test));
	KUNIT_EXPECT_EQ(test, held(test, 0), 3L);
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 2, BC_LIMIT));
	KUNIT_EXPECT_PTR_EQ(test, bc_try_charge(low(test), RES, 1, BC_LIMIT), low(test));
	KUNIT_EXPECT_EQ(test, held(test, 0), 5L);
	KUNIT_EXPECT_NULL(test, bc_try_charge(low(test), RES, 1, BC_FORCE));
	KUNIT_EXPECT_EQ(test, held(test, 0), 6L);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&a->maxheld), 6L);
	bc_give_back(low(test), RES, 4);
	KUNIT_EXPECT_EQ(test, bc_minheld(a), 2L);
	bc_give_back(low(test), RES, 2);
	KUNIT_EXPECT_EQ(test, held(test, 0), 0L);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&above->held), before);
}

static void many_one_below_the_root(struct kunit *test)
{
	struct bc_amount *above = put_below_the_root(test);
	long before = atomic_long_read(&above->held);

	contest(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&above->held), before);
}

static struct kunit_case bc_test_cases[] = {
	KUNIT_CASE(bounds_and_severities),
	KUNIT_CASE(no_bound_is_a_bound),
	KUNIT_CASE(all_levels_or_none),
	KUNIT_CASE(marks),
	KUNIT_CASE(who_is_overtaken_leaves_no_mark_too_high),
	KUNIT_CASE(an_uncharge_too_many),
	KUNIT_CASE(leaves_before_it_enters),
	KUNIT_CASE(where_chains_meet),
	KUNIT_CASE(any_two_chains),
	KUNIT_CASE(many_at_once),
	KUNIT_CASE(one_below_the_root),
	KUNIT_CASE(many_one_below_the_root),
	{}
};

static struct kunit_suite bc_test_suite = {
	.name = "container-bc",
	.init = bc_test_init,
	.test_cases = bc_test_cases,
};
kunit_test_suite(bc_test_suite);
