// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of container groups: what user space sees as time only, or not at all. */
#include "testing.h"

#define MANY	2000
/* At most 3 in 4 chains; that one has more than 10 is a chance of 1 in 500,000. */
#define AT_MOST	10

/* The table is at rest: its worker has run. Context: nobody makes groups meanwhile. */
static unsigned int size_of_table(void)
{
	flush_work(&container_group_table.run_work);
	return rcu_access_pointer(container_group_table.tbl)->size;
}

static unsigned int longest_chain(void)
{
	unsigned int chains = size_of_table(), longest = 0, at;
	const struct bucket_table *tbl;

	guard(rcu)();
	tbl = rcu_dereference(container_group_table.tbl);
	for (at = 0; at < chains; at++) {
		unsigned int length = 0;
		struct rhash_head *pos;

		rht_for_each_rcu(pos, tbl, at)
			length++;
		longest = max(longest, length);
	}
	return longest;
}

/* However many groups there are, a lookup passes by few: by one chain of a table that grows. */
static void groups_are_spread_over_the_table(struct kunit *test)
{
	struct container_hierarchy *h = make_named(test, "spread");
	struct container **cont = kunit_kcalloc(test, MANY, sizeof(*cont), GFP_KERNEL);
	struct container_membership **m = kunit_kcalloc(test, MANY, sizeof(*m), GFP_KERNEL);
	unsigned int groups = container_nr_groups();
	char name[8];
	int i;

	KUNIT_ASSERT_TRUE(test, cont && m);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		cont[i] = make(test, h->root, name);
	}
	container_lock();
	for (i = 0; i < MANY; i++) {
		m[i] = container_group_find(current, cont[i]);
		if (IS_ERR(m[i]))
			break;
	}
	KUNIT_EXPECT_EQ(test, i, MANY);
	KUNIT_EXPECT_EQ(test, container_nr_groups(), groups + MANY);
	KUNIT_EXPECT_GE(test, size_of_table(), MANY);
	KUNIT_EXPECT_LE(test, longest_chain(), AT_MOST);
	/* and it finds what is there */
	while (i--) {
		KUNIT_EXPECT_PTR_EQ(test, container_group_find(current, cont[i]), m[i]);
		container_group_put(m[i]);
		container_group_put(m[i]);
	}
	container_unlock();
	KUNIT_EXPECT_EQ(test, container_nr_groups(), groups);
	KUNIT_EXPECT_LT(test, size_of_table(), MANY);
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, unmake(cont[i]), 0);
	release(h);
}

/* Who moves goes to another group; that of those who stay is what it was, after a mount, too. */
static void memberships_of_a_group_never_change(struct kunit *test)
{
	struct container_hierarchy *h = make_named(test, "same"), *more;
	struct container *x = make(test, h->root, "x"), *y = make(test, h->root, "y");
	struct task_struct *moves = start_sleeper(test), *stays = start_sleeper(test);
	struct container_membership *m;
	struct container_places places;

	KUNIT_EXPECT_EQ(test, move(x, moves), 0);
	KUNIT_EXPECT_EQ(test, move(x, stays), 0);
	m = container_group_get(moves);
	places = m->places;
	KUNIT_EXPECT_PTR_EQ(test, places.container[h->slot], x);
	KUNIT_EXPECT_EQ(test, move(y, moves), 0);
	more = make_named(test, "more");
	KUNIT_EXPECT_PTR_EQ(test, rcu_access_pointer(stays->containers), &m->group);
	KUNIT_EXPECT_PTR_NE(test, rcu_access_pointer(moves->containers), &m->group);
	KUNIT_EXPECT_MEMEQ(test, &m->places, &places, sizeof(places));
	/* nor with its last member */
	KUNIT_EXPECT_EQ(test, move(y, stays), 0);
	KUNIT_EXPECT_MEMEQ(test, &m->places, &places, sizeof(places));
	KUNIT_EXPECT_EQ(test, refcount_read(&m->ref), 1);
	container_group_put(m);
	KUNIT_EXPECT_FALSE(test, container_populated(x));
	kthread_stop(moves);
	kthread_stop(stays);
	EXPECT_SOON(test, !container_populated(y));
	KUNIT_EXPECT_EQ(test, unmake(x), 0);
	KUNIT_EXPECT_EQ(test, unmake(y), 0);
	release(more);
	release(h);
}

static struct kunit_case group_test_cases[] = {
	KUNIT_CASE(groups_are_spread_over_the_table),
	KUNIT_CASE(memberships_of_a_group_never_change),
	{}
};

static struct kunit_suite group_test_suite = {
	.name = "container-group",
	.test_cases = group_test_cases,
};
kunit_test_suite(group_test_suite);

MODULE_DESCRIPTION("KUnit tests of container groups");
MODULE_LICENSE("GPL");
