// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the stocks of shares_charge.c: what CPUs keep of a group is nobody's use, is
 * given up where somebody would be refused for it, and comes to nothing when the group goes.
 */
#include "shares.h"

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/prandom.h>
#include <linux/sched.h>

/* Where there is less room nothing is charged in advance. */
#define ROOM		((long)SHARES_STOCK_MAX * nr_cpu_ids)

/* a and c below the root, b below a. */
struct tree {
	struct shares_node root, a, b, c;
	struct shares_node *nodes[3];
};

/* Whether somebody was refused for what was in stock lately. */
static void say_refused(bool lately)
{
	WRITE_ONCE(shares_refused_at, lately ? jiffies + 1000 * HZ : jiffies - HZ);
}

static struct tree *new_tree(struct kunit *test, long amount)
{
	struct tree *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	say_refused(false);
	/* the rules of several; they hold with one, too */
	shares_one_cpu = false;
	KUNIT_ASSERT_EQ(test, shares_add_stocked(&t->root, NULL, amount), 0);
	KUNIT_ASSERT_EQ(test, shares_add_stocked(&t->a, &t->root, 0), 0);
	KUNIT_ASSERT_EQ(test, shares_add_stocked(&t->b, &t->a, 0), 0);
	KUNIT_ASSERT_EQ(test, shares_add_stocked(&t->c, &t->root, 0), 0);
	t->nodes[0] = &t->a;
	t->nodes[1] = &t->b;
	t->nodes[2] = &t->c;
	return t;
}

static void remove_group(struct shares_node *node)
{
	shares_remove(node);
	shares_stock_free(node);
}

static long count(const struct shares_node *node)
{
	return atomic_long_read(&node->count);
}

static long usage(struct shares_node *node)
{
	struct shares_numbers numbers;

	shares_numbers(node, &numbers);
	return numbers.usage;
}

static long borrowed(struct shares_node *node)
{
	struct shares_numbers numbers;

	shares_numbers(node, &numbers);
	return numbers.borrowed;
}

static int set_limit(struct shares_node *node, long limit)
{
	const char *reason;

	return shares_set_limit(node, limit, &reason);
}

/* As a fork does it. */
static struct shares_node *take(struct shares_node *node)
{
	struct shares_node *full = shares_take(node);

	return full && !shares_refusal_is_final(full) ? shares_take_last(node) : full;
}

static long take_all(struct shares_node *node)
{
	long n = 0;

	while (!take(node))
		n++;
	return n;
}

static void give_many(struct shares_node *node, long n)
{
	while (n-- > 0)
		shares_give(node);
}

/* Each CPU has something of a group in stock. */
static void stock_everywhere(struct kunit *test, struct shares_node *node)
{
	int cpu;

	for_each_online_cpu(cpu) {
		KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(cpu)), 0);
		KUNIT_EXPECT_NULL(test, take(node));
		shares_give(node);
		KUNIT_EXPECT_GT(test, per_cpu_ptr(node->stock, cpu)->credits, 0L);
	}
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpu_possible_mask), 0);
}

/* Everybody goes; if a group had something left, or too little, shares_remove() would say so. */
static void end_tree(struct kunit *test, struct tree *t)
{
	KUNIT_EXPECT_EQ(test, usage(&t->root), 0);
	remove_group(&t->b);
	remove_group(&t->a);
	remove_group(&t->c);
	KUNIT_EXPECT_EQ(test, count(&t->root), shares_in_stock(&t->root));
	remove_group(&t->root);
}

static void stocks_are_nobodys_use(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);

	stock_everywhere(test, &t->b);
	KUNIT_EXPECT_NULL(test, take(&t->b));
	KUNIT_EXPECT_EQ(test, usage(&t->b), 1);
	KUNIT_EXPECT_EQ(test, usage(&t->root), 1);
	KUNIT_EXPECT_EQ(test, borrowed(&t->b), 1);
	KUNIT_EXPECT_EQ(test, borrowed(&t->a), 1);
	/* and yet charged: here, and to all that have lent it */
	KUNIT_EXPECT_EQ(test, count(&t->b), 1 + shares_in_stock(&t->b));
	KUNIT_EXPECT_EQ(test, count(&t->root), count(&t->b));
	KUNIT_EXPECT_EQ(test, shares_taken(&t->b), 1 + num_online_cpus());
	shares_untake(&t->b);
	KUNIT_EXPECT_EQ(test, shares_taken(&t->b), (long)num_online_cpus());
	/* a change takes them away */
	KUNIT_EXPECT_EQ(test, set_limit(&t->c, 5), 0);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	KUNIT_EXPECT_EQ(test, count(&t->b) | count(&t->a) | count(&t->root), 0);
	end_tree(test, t);
}

static void a_stock_does_not_grow(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);
	long n;

	for (n = 0; n < 1000; n++)
		KUNIT_EXPECT_NULL(test, take(&t->b));
	KUNIT_EXPECT_EQ(test, usage(&t->root), 1000);
	give_many(&t->b, n);
	KUNIT_EXPECT_LE(test, shares_in_stock(&t->b), ROOM);
	KUNIT_EXPECT_EQ(test, count(&t->root), shares_in_stock(&t->b));
	end_tree(test, t);
}

/* The limit is a's; what is in stock is b's, on all CPUs, and the root's is not asked for. */
static void all_of_a_limit_can_be_had(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);
	long limit = 2 * ROOM + 5;

	KUNIT_EXPECT_EQ(test, set_limit(&t->a, limit), 0);
	stock_everywhere(test, &t->b);
	stock_everywhere(test, &t->c);
	KUNIT_EXPECT_EQ(test, take_all(&t->a), limit);
	KUNIT_EXPECT_EQ(test, usage(&t->a), limit);
	KUNIT_EXPECT_EQ(test, count(&t->a), limit);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	/* now that it is full a refusal is final at once, and who gives something gives it to all */
	KUNIT_EXPECT_PTR_EQ(test, shares_take(&t->b), &t->a);
	KUNIT_EXPECT_TRUE(test, shares_refusal_is_final(&t->a));
	shares_give(&t->a);
	KUNIT_EXPECT_EQ(test, count(&t->a), limit - 1);
	KUNIT_EXPECT_NULL(test, shares_take(&t->b));
	KUNIT_EXPECT_PTR_EQ(test, shares_take(&t->a), &t->a);
	shares_give(&t->b);
	give_many(&t->a, limit - 1);
	end_tree(test, t);
}

static void near_a_limit_a_cpu_keeps_one(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);
	long limit = 4 * nr_cpu_ids, i;

	KUNIT_EXPECT_EQ(test, set_limit(&t->a, limit), 0);
	say_refused(false);
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(0)), 0);
	for (i = 0; i < 5; i++) {
		KUNIT_EXPECT_NULL(test, take(&t->b));
		KUNIT_EXPECT_EQ(test, count(&t->a), 1);
		shares_give(&t->b);
		KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 1);
		KUNIT_EXPECT_EQ(test, count(&t->a), 1);
		KUNIT_EXPECT_EQ(test, usage(&t->a), 0);
	}
	stock_everywhere(test, &t->b);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), (long)num_online_cpus());
	/* all that there is can be had by somebody else */
	KUNIT_EXPECT_EQ(test, take_all(&t->a), limit);
	KUNIT_EXPECT_EQ(test, count(&t->a), limit);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	give_many(&t->a, limit);
	end_tree(test, t);
}

/* What a CPU has of better times goes back with the next that is given. */
static void a_stock_shrinks_near_a_limit(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);

	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(0)), 0);
	KUNIT_EXPECT_NULL(test, take(&t->b));
	KUNIT_EXPECT_GT(test, shares_in_stock(&t->b), 1);
	/* as another CPU does that finds little room */
	WRITE_ONCE(t->b.stocking, 1);
	shares_give(&t->b);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 1);
	KUNIT_EXPECT_EQ(test, count(&t->a), 1);
	KUNIT_EXPECT_EQ(test, usage(&t->a), 0);
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpu_possible_mask), 0);
	end_tree(test, t);
}

/* Where each refusal would be for what another CPU has. */
static void at_a_limit_nothing_is_kept(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);

	KUNIT_EXPECT_EQ(test, set_limit(&t->a, 2 * nr_cpu_ids), 0);
	say_refused(false);
	KUNIT_EXPECT_NULL(test, take(&t->b));
	shares_give(&t->b);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	KUNIT_EXPECT_EQ(test, count(&t->b), 0);
	/* nor near one, soon after somebody was refused */
	KUNIT_EXPECT_EQ(test, set_limit(&t->a, 4 * nr_cpu_ids), 0);
	say_refused(true);
	KUNIT_EXPECT_NULL(test, take(&t->b));
	shares_give(&t->b);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	/* which is said where stocks are taken back for it */
	say_refused(false);
	stock_everywhere(test, &t->b);
	WRITE_ONCE(shares_refused_at, jiffies - 1000 * HZ);
	give_many(&t->a, take_all(&t->a));
	KUNIT_EXPECT_TRUE(test, time_after(READ_ONCE(shares_refused_at), jiffies - 900 * HZ));
	end_tree(test, t);
}

/* A move into what is full, whose like has nothing in stock, while the one beside it has. */
static void who_is_charged_anyway_leaves_no_stock(struct kunit *test)
{
	long limit = 4 * ROOM, n;
	struct tree *t = new_tree(test, limit);

	KUNIT_EXPECT_EQ(test, set_limit(&t->c, 2), 0);
	KUNIT_EXPECT_EQ(test, take_all(&t->c), 2);
	KUNIT_EXPECT_FALSE(test, shares_is_stocked(&t->c));
	stock_everywhere(test, &t->b);
	for (n = 0; usage(&t->root) <= limit; n++)
		shares_charge_anyway(&t->c);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	KUNIT_EXPECT_EQ(test, count(&t->root), limit + 1);
	KUNIT_EXPECT_PTR_EQ(test, take(&t->b), &t->root);
	give_many(&t->c, n + 2);
	end_tree(test, t);
}

/* While those above refuse others, who forks out of his own part makes none of that dear. */
static void own_parts_are_not_kept_beside_refusals(struct kunit *test)
{
	const struct shares half = { 50, SHARES_UNCHANGED, SHARES_UNCHANGED };
	struct tree *t = new_tree(test, 4 * ROOM);
	const char *reason;

	KUNIT_EXPECT_EQ(test, shares_set(&t->a, &half, &reason), 0);
	say_refused(true);
	KUNIT_EXPECT_NULL(test, take(&t->a));
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->a), 0);
	KUNIT_EXPECT_FALSE(test, shares_is_stocked(&t->root));
	say_refused(false);
	KUNIT_EXPECT_NULL(test, take(&t->a));
	KUNIT_EXPECT_GT(test, shares_in_stock(&t->a), 0);
	give_many(&t->a, 2);
	end_tree(test, t);
}

/* Where a refusal is for what others use, and the way back is long, the stocks begin again. */
static void who_ends_after_a_refusal_keeps_something(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);
	long limit = 2 * ROOM;

	KUNIT_EXPECT_EQ(test, set_limit(&t->b, limit), 0);
	KUNIT_EXPECT_EQ(test, take_all(&t->b), limit);
	say_refused(true);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	/* till there is room for what all CPUs may keep */
	give_many(&t->b, ROOM);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	KUNIT_EXPECT_EQ(test, count(&t->root), limit - ROOM);
	give_many(&t->b, ROOM);
	KUNIT_EXPECT_GT(test, shares_in_stock(&t->b), 0);
	KUNIT_EXPECT_EQ(test, count(&t->root), shares_in_stock(&t->b));
	KUNIT_EXPECT_EQ(test, take_all(&t->b), limit);
	give_many(&t->b, limit);
	end_tree(test, t);
}

static struct tree *new_tree_of_one_cpu(struct kunit *test, long amount)
{
	struct tree *t;

	if (nr_cpu_ids > 1)
		kunit_skip(test, "there are several CPUs");
	t = new_tree(test, amount);
	shares_one_cpu = true;
	return t;
}

/* The only CPU may keep all of a limit: nobody else has to be asked. */
static void one_cpu_keeps_all(struct kunit *test)
{
	struct tree *t = new_tree_of_one_cpu(test, 100000);
	unsigned long before = READ_ONCE(shares_refused_at);

	KUNIT_EXPECT_EQ(test, set_limit(&t->b, 4), 0);
	for (int i = 0; i < 3; i++) {
		KUNIT_EXPECT_NULL(test, take(&t->b));
		/* no more than there is */
		KUNIT_EXPECT_EQ(test, count(&t->b), 4);
		KUNIT_EXPECT_EQ(test, usage(&t->b), 1);
		KUNIT_EXPECT_EQ(test, take_all(&t->b), 3);
		/* the refusal was final, though b is stocked, and had nothing but what is used */
		KUNIT_EXPECT_PTR_EQ(test, shares_take(&t->b), &t->b);
		KUNIT_EXPECT_TRUE(test, shares_refusal_is_final(&t->b));
		KUNIT_EXPECT_FALSE(test, shares_refusal_is_final(&t->a));
		give_many(&t->b, 4);
		KUNIT_EXPECT_EQ(test, usage(&t->b), 0);
		KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 4);
		KUNIT_EXPECT_EQ(test, count(&t->root), 4);
	}
	KUNIT_EXPECT_EQ(test, READ_ONCE(shares_refused_at), before);
	end_tree(test, t);
}

/* But not what is a limit's of somebody above. */
static void one_cpu_gives_it_to_those_above(struct kunit *test)
{
	struct tree *t = new_tree_of_one_cpu(test, 100000);

	KUNIT_EXPECT_EQ(test, set_limit(&t->a, 4), 0);
	KUNIT_EXPECT_NULL(test, take(&t->b));
	shares_give(&t->b);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 4);
	KUNIT_EXPECT_EQ(test, take_all(&t->a), 4);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	KUNIT_EXPECT_PTR_EQ(test, take(&t->b), &t->a);
	/* and does not begin again at once */
	give_many(&t->a, 4);
	KUNIT_EXPECT_NULL(test, take(&t->b));
	shares_give(&t->b);
	KUNIT_EXPECT_EQ(test, shares_in_stock(&t->b), 0);
	end_tree(test, t);
}

static void stocks_are_not_what_others_have(struct kunit *test)
{
	const struct shares half = { 50, SHARES_UNCHANGED, SHARES_UNCHANGED };
	struct tree *t = new_tree(test, 4 * ROOM);
	const char *reason;
	long n;

	for (n = 0; n < 2 * ROOM; n++)
		KUNIT_EXPECT_NULL(test, take(&t->c));
	stock_everywhere(test, &t->c);
	/* c uses one half, and has more in stock */
	KUNIT_EXPECT_GT(test, count(&t->c), 2 * ROOM);
	KUNIT_EXPECT_EQ(test, shares_set(&t->a, &half, &reason), 0);
	KUNIT_EXPECT_PTR_EQ(test, take(&t->c), &t->root);
	KUNIT_EXPECT_EQ(test, take_all(&t->a), 2 * ROOM);
	give_many(&t->a, 2 * ROOM);
	give_many(&t->c, n);
	end_tree(test, t);
}

static void a_limit_below_what_is_there(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);
	long n;

	for (n = 0; n < 10; n++)
		KUNIT_EXPECT_NULL(test, take(&t->b));
	stock_everywhere(test, &t->b);
	KUNIT_EXPECT_EQ(test, set_limit(&t->a, 4), 0);
	KUNIT_EXPECT_PTR_EQ(test, take(&t->b), &t->a);
	KUNIT_EXPECT_EQ(test, usage(&t->a), 10);
	/* nobody is refused by force */
	shares_take_anyway(&t->b);
	KUNIT_EXPECT_EQ(test, usage(&t->a), 11);
	give_many(&t->b, 8);
	KUNIT_EXPECT_EQ(test, count(&t->a), 3);
	KUNIT_EXPECT_EQ(test, take_all(&t->b), 1);
	give_many(&t->b, 4);
	end_tree(test, t);
}

static void what_goes_leaves_no_stock(struct kunit *test)
{
	struct tree *t = new_tree(test, 100000);

	stock_everywhere(test, &t->b);
	KUNIT_EXPECT_GT(test, count(&t->root), 0);
	remove_group(&t->b);
	KUNIT_EXPECT_EQ(test, count(&t->a), 0);
	KUNIT_EXPECT_EQ(test, count(&t->root), 0);
	KUNIT_EXPECT_EQ(test, shares_add_stocked(&t->b, &t->a, 0), 0);
	/* those who have come while nobody counted are told at once */
	stock_everywhere(test, &t->root);
	shares_recount(&t->root, 7);
	KUNIT_EXPECT_EQ(test, count(&t->root), 7);
	KUNIT_EXPECT_EQ(test, usage(&t->root), 7);
	shares_recount(&t->root, 0);
	end_tree(test, t);
}

/* Several at once, who want more than a, and more than all, may have. */
#define HANDS	100

struct contest {
	struct tree *tree;
	long of_root, of_a;
	atomic_long_t held_root, held_a;
	atomic_long_t violations, taken, refused;
	atomic_t running;
	struct completion done;
};

static void hold(struct contest *t, struct shares_node *node)
{
	atomic_long_inc(&t->taken);
	if (atomic_long_inc_return(&t->held_root) > t->of_root)
		atomic_long_inc(&t->violations);
	if (node != &t->tree->c && atomic_long_inc_return(&t->held_a) > t->of_a)
		atomic_long_inc(&t->violations);
}

static void let_go(struct contest *t, struct shares_node *node)
{
	if (node != &t->tree->c)
		atomic_long_dec(&t->held_a);
	atomic_long_dec(&t->held_root);
	shares_give(node);
}

static int contestant(void *data)
{
	struct shares_node *has[HANDS] = { };
	struct contest *t = data;
	struct rnd_state rnd;
	int i, hand;

	prandom_seed_state(&rnd, (unsigned long)current);
	for (i = 0; i < 20000; i++) {
		hand = prandom_u32_state(&rnd) % HANDS;
		if (has[hand]) {
			let_go(t, has[hand]);
			has[hand] = NULL;
		} else {
			has[hand] = t->tree->nodes[prandom_u32_state(&rnd) % 3];
			if (take(has[hand])) {
				atomic_long_inc(&t->refused);
				has[hand] = NULL;
			} else {
				hold(t, has[hand]);
			}
		}
		/* on one CPU nobody else would have anything before it is done */
		if (i % 64)
			cond_resched();
		else
			usleep_range(20, 50);
	}
	for (hand = 0; hand < HANDS; hand++)
		if (has[hand])
			let_go(t, has[hand]);
	if (atomic_dec_and_test(&t->running))
		complete(&t->done);
	return 0;
}

static void takers_add_up(struct kunit *test, struct tree *tree)
{
	struct contest *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->tree = tree;
	t->of_root = ROOM + 110;
	t->of_a = ROOM + 40;
	init_completion(&t->done);
	KUNIT_EXPECT_EQ(test, set_limit(&tree->a, t->of_a), 0);
	atomic_set(&t->running, 7);
	for (i = 0; i < 6; i++)
		if (IS_ERR(kthread_run(contestant, t, "stock-%d", i)))
			atomic_dec(&t->running);
	/* meanwhile what is said changes, and who looks sees no more than there is */
	for (i = 0; i < 20; i++) {
		set_limit(&tree->b, i & 1 ? ROOM + 10 : SHARES_NO_LIMIT);
		cond_resched();
	}
	if (!atomic_dec_and_test(&t->running))
		wait_for_completion(&t->done);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->violations), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&t->taken), t->of_root);
	KUNIT_EXPECT_GT(test, atomic_long_read(&t->refused), 0);
	KUNIT_EXPECT_EQ(test, shares_taken(&tree->a) + shares_taken(&tree->b) + shares_taken(&tree->c),
			atomic_long_read(&t->taken));
	end_tree(test, tree);
}

static void takers_at_once_add_up(struct kunit *test)
{
	takers_add_up(test, new_tree(test, ROOM + 110));
}

static void takers_of_one_cpu_add_up(struct kunit *test)
{
	takers_add_up(test, new_tree_of_one_cpu(test, ROOM + 110));
}

/* The machine's own tasks are counted by the same rules. */
static void shares_stock_test_exit(struct kunit *test)
{
	shares_one_cpu = nr_cpu_ids == 1;
}

static struct kunit_case shares_stock_test_cases[] = {
	KUNIT_CASE(stocks_are_nobodys_use),
	KUNIT_CASE(a_stock_does_not_grow),
	KUNIT_CASE(all_of_a_limit_can_be_had),
	KUNIT_CASE(near_a_limit_a_cpu_keeps_one),
	KUNIT_CASE(a_stock_shrinks_near_a_limit),
	KUNIT_CASE(at_a_limit_nothing_is_kept),
	KUNIT_CASE(who_is_charged_anyway_leaves_no_stock),
	KUNIT_CASE(own_parts_are_not_kept_beside_refusals),
	KUNIT_CASE(stocks_are_not_what_others_have),
	KUNIT_CASE(a_limit_below_what_is_there),
	KUNIT_CASE(what_goes_leaves_no_stock),
	KUNIT_CASE(who_ends_after_a_refusal_keeps_something),
	KUNIT_CASE(one_cpu_keeps_all),
	KUNIT_CASE(one_cpu_gives_it_to_those_above),
	KUNIT_CASE(takers_at_once_add_up),
	KUNIT_CASE(takers_of_one_cpu_add_up),
	{}
};

static struct kunit_suite shares_stock_test_suite = {
	.name = "container-shares-stock",
	.exit = shares_stock_test_exit,
	.test_cases = shares_stock_test_cases,
};
kunit_test_suite(shares_stock_test_suite);

MODULE_DESCRIPTION("KUnit tests of the stocks of shares");
MODULE_LICENSE("GPL");
