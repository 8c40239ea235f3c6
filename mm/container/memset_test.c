// SPDX-License-Identifier: GPL-2.0-only
/* KUnit: what of memset follows from numbers alone. */
#include "memset.h"

#include <kunit/test.h>

/* A root, a set below it and one below that, of nobody. */
struct line {
	struct memset root, set, leaf;
};

static void make_line(struct line *l, unsigned long set_mems, unsigned long leaf_mems)
{
	*l = (struct line) { .root.flags = BIT(MEMSET_EXCLUSIVE) };
	l->set.css.parent = &l->root.css;
	*l->set.mems.bits = set_mems;
	l->leaf.css.parent = &l->set.css;
	*l->leaf.mems.bits = leaf_mems;
}

static void kernel_is_bounded_by_the_nearest_exclusive(struct kunit *test)
{
	struct line *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l);
	make_line(l, 6, 2);
	/* nobody but the root: all that there is, and node 0 always is */
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->leaf, 0));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(NULL, 0));
	l->set.flags = BIT(MEMSET_EXCLUSIVE);
	KUNIT_EXPECT_FALSE(test, memset_kernel_may_use(&l->leaf, 0));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->leaf, 1));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->leaf, 2));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->root, 0));
	l->leaf.flags = BIT(MEMSET_EXCLUSIVE);
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->leaf, 1));
	KUNIT_EXPECT_FALSE(test, memset_kernel_may_use(&l->leaf, 2));
	KUNIT_EXPECT_TRUE(test, memset_kernel_may_use(&l->set, 2));
}

/* @n events in each of @seconds seconds. */
static void press(struct memset_pressure *p, unsigned int n, int seconds)
{
	spin_lock(&p->lock);
	while (seconds--) {
		p->events = n;
		memset_pressure_catch_up(p, p->second + 1);
	}
	spin_unlock(&p->lock);
}

static void pressure_is_a_rate(struct kunit *test)
{
	struct memset_pressure *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	spin_lock_init(&p->lock);
	press(p, 5, 1);
	KUNIT_EXPECT_EQ(test, p->rate, 335);
	/* in the long run events per second times 1000, but for what is rounded off */
	press(p, 5, 200);
	KUNIT_EXPECT_GT(test, p->rate, 4950);
	KUNIT_EXPECT_LE(test, p->rate, 5000);
	/* half of it in ten seconds of silence, and a hundredth in a minute and a bit */
	press(p, 0, 10);
	KUNIT_EXPECT_GT(test, p->rate, 2400);
	KUNIT_EXPECT_LT(test, p->rate, 2550);
	press(p, 0, 70);
	KUNIT_EXPECT_LT(test, p->rate, 30);
	press(p, 10000, 300);
	KUNIT_EXPECT_GT(test, p->rate, 9900000);
	KUNIT_EXPECT_LE(test, p->rate, 10000000);
	/* a sleep of years is no loop of years */
	spin_lock(&p->lock);
	memset_pressure_catch_up(p, p->second + 1000000000ll);
	spin_unlock(&p->lock);
	KUNIT_EXPECT_EQ(test, p->rate, 0);
}

static struct kunit_case memset_cases[] = {
	KUNIT_CASE(kernel_is_bounded_by_the_nearest_exclusive),
	KUNIT_CASE(pressure_is_a_rate),
	{}
};

static struct kunit_suite memset_suite = {
	.name = "container_memset",
	.test_cases = memset_cases,
};
kunit_test_suite(memset_suite);

MODULE_DESCRIPTION("KUnit tests of memset");
MODULE_LICENSE("GPL");
