// SPDX-License-Identifier: GPL-2.0-only
/* KUnit tests of container groups: what user space sees as time only, or not at all. */
#include "testing.h"

#include <linux/sort.h>

#define MANY	2000
/* In 2,048 chains; that one has more than 10 of them is a chance of 1 in some 50,000. */
#define AT_MOST	10

/* However many groups there are, a lookup passes by few: by one chain of a table that grows. */
static void groups_are_spread_over_the_table(struct kunit *test)
{
	struct container_hierarchy *h = make_named(test, "spread");
	struct container **cont = kunit_kcalloc(test, MANY, sizeof(*cont), GFP_KERNEL);
	struct container_membership **m = kunit_kcalloc(test, MANY, sizeof(*m), GFP_KERNEL);
	unsigned int groups = container_nr_groups();
	unsigned int longest;
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
	KUNIT_EXPECT_GE(test, container_group_chains(&longest), MANY);
	KUNIT_EXPECT_LE(test, longest, AT_MOST);
	/* and it finds what is there */
	while (i--) {
		KUNIT_EXPECT_PTR_EQ(test, container_group_find(current, cont[i]), m[i]);
		container_group_put(m[i]);
		container_group_put(m[i]);
	}
	KUNIT_EXPECT_EQ(test, container_nr_groups(), groups);
	/* halved at each move */
	for (i = 0; i < 3; i++)
		container_group_put(container_group_find(current, cont[0]));
	KUNIT_EXPECT_LT(test, container_group_chains(&longest), MANY);
	container_unlock();
	for (i = 0; i < MANY; i++)
		KUNIT_EXPECT_EQ(test, unmake(cont[i]), 0);
	release(h);
}

static int by_value(const void *a, const void *b)
{
	return cmp_int(*(const u32 *)a, *(const u32 *)b);
}

/* One made in each of two trees, again and again, as who has a container for each job in both. */
static void pairs_have_keys_of_their_own(struct kunit *test)
{
	struct container_hierarchy *one = make_named(test, "one"), *two = make_named(test, "two");
	struct container **cont = kunit_kcalloc(test, 2 * MANY, sizeof(*cont), GFP_KERNEL);
	u32 *key = kunit_kcalloc(test, MANY, sizeof(*key), GFP_KERNEL);
	int i, twice = 0;
	char name[8];

	KUNIT_ASSERT_TRUE(test, cont && key);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		cont[2 * i] = make(test, one->root, name);
		cont[2 * i + 1] = make(test, two->root, name);
		key[i] = cont[2 * i]->key ^ cont[2 * i + 1]->key;
	}
	sort(key, MANY, sizeof(*key), by_value, NULL);
	for (i = 1; i < MANY; i++)
		twice += key[i] == key[i - 1];
	/* two are a chance of 1 in some ten million */
	KUNIT_EXPECT_LE(test, twice, 1);
	for (i = 0; i < 2 * MANY; i++)
		KUNIT_EXPECT_EQ(test, unmake(cont[i]), 0);
	release(one);
	release(two);
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
	KUNIT_CASE(pairs_have_keys_of_their_own),
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
