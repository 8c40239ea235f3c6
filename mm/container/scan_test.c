// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: whose turn a mapping is when two handlers walk it, that of its container and that of one above, and where
 * each of them is in it.
 */
#include <kunit/static_stub.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "memory_testing.h"
#include "scan.h"

#define NR_FILES 2

/* Two mappings of states[1], of 100 and 50 pages; the inodes are nobody's. */
static void make_files(struct kunit *test, struct container_mapping **cm)
{
	struct tree *tree = test->priv;
	int i;

	for (i = 0; i < NR_FILES; i++) {
		struct inode *inode = kunit_kzalloc(test, sizeof(*inode), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, inode);
		inode->i_data.host = inode;
		cm[i] = container_mapping_find(&inode->i_data, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, cm[i]);
		charge_mapping(cm[i], tree->states[1], 100 >> i);
	}
	memory_flush(tree->states[1]);
}

static void drop_files(struct container_mapping **cm)
{
	int i;

	for (i = 0; i < NR_FILES; i++) {
		container_memory_detach(cm[i]->mapping);
		container_mapping_uncharge(cm[i], 100 >> i);
	}
}

/* What one has walked to its end is done in the lap of the other, whichever began first. */
static void one_walk_is_a_turn_in_both_laps(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *owner = tree->states[1];
	struct memory_cursor child = { }, parent = { };
	struct container_mapping *cm[NR_FILES];

	make_files(test, cm);
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &child), cm[0]);
	/* the lap that began later: it has both before the other comes to the second */
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &parent), cm[0]);
	container_mapping_done(cm[0], &parent);
	KUNIT_EXPECT_TRUE(test, container_mapping_walked(cm[0], &child));
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &parent), cm[1]);
	container_mapping_done(cm[1], &parent);
	container_mapping_done(cm[0], &child);
	KUNIT_EXPECT_NULL(test, container_mapping_next(owner, &child));
	/* who is late says no less than was said */
	KUNIT_EXPECT_NULL(test, container_mapping_next(owner, &parent));

	/* the lap that began first: what it walks from now on is not for the other */
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &child), cm[0]);
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &parent), cm[0]);
	container_mapping_done(cm[0], &child);
	KUNIT_EXPECT_TRUE(test, container_mapping_walked(cm[0], &parent));
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &child), cm[1]);
	container_mapping_done(cm[1], &child);
	container_mapping_put(cm[0]);
	KUNIT_EXPECT_NULL(test, container_mapping_next(owner, &parent));
	KUNIT_EXPECT_NULL(test, container_mapping_next(owner, &child));
	drop_files(cm);
}

/* The last lap before giving up takes all, also what another handler has only aged; each once. */
static void a_forced_lap_asks_nobody(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *owner = tree->states[1];
	struct memory_cursor child = { }, parent = { .force = true };
	struct container_mapping *cm[NR_FILES];

	make_files(test, cm);
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &parent), cm[0]);
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &child), cm[0]);
	container_mapping_done(cm[0], &child);
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &child), cm[1]);
	container_mapping_done(cm[1], &child);
	KUNIT_EXPECT_NULL(test, container_mapping_next(owner, &child));
	container_mapping_done(cm[0], &parent);
	KUNIT_EXPECT_PTR_EQ(test, container_mapping_next(owner, &parent), cm[1]);
	container_mapping_done(cm[1], &parent);
	KUNIT_EXPECT_NULL(test, container_mapping_next(owner, &parent));
	drop_files(cm);
}

/* A walk over mappings for @top, from the middle of @at on, if that is not NULL, in lap @lap; up to its end. */
static void walk_on(struct kunit *test, struct container_memory *top, bool invalidate,
		    struct container_mapping *at, u64 lap)
{
	struct memory_scan scan = {
		.top = top, .invalidate = invalidate, .at = at, .budget = MEMORY_ROUND,
		.want = MEMORY_ROUND,
	};
	struct memory_cursor cursor = { .lap = lap };

	INIT_LIST_HEAD(&scan.swapbacked);
	INIT_LIST_HEAD(&scan.files);
	KUNIT_EXPECT_TRUE(test, memory_scan_files(&scan, &cursor));
	KUNIT_EXPECT_NULL(test, scan.at);
}

/* One that drops what it can. */
static void walk(struct kunit *test, struct container_memory *top)
{
	walk_on(test, top, true, NULL, 0);
}

/* Tmpfs, of which nothing can be dropped, and a file that cannot be entered: they have had no turn. */
static void what_is_not_walked_keeps_its_turn(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_mapping *cm = mapping_of(test);

	cm->shmem = true;
	charge_mapping(cm, tree->states[1], 10);
	memory_flush(tree->states[1]);
	walk(test, tree->states[0]);
	KUNIT_EXPECT_EQ(test, cm->lap, 0ULL);
	cm->shmem = false;
	/* the inode is gone */
	container_memory_detach(&tree->inode->i_data);
	walk(test, tree->states[0]);
	KUNIT_EXPECT_EQ(test, cm->lap, 0ULL);
	container_mapping_uncharge(cm, 10);
}

/* A file that is another's by the time that the handler comes to it. */
static void what_has_changed_hands_keeps_its_turn(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct file *file = shmem_kernel_file_setup("moved", PAGE_SIZE, EMPTY_VMA_FLAGS);
	struct container_mapping *cm;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	cm = container_mapping_find(file->f_mapping, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, cm);
	cm->shmem = false;
	charge_mapping(cm, tree->states[1], 10);
	memory_flush(tree->states[1]);
	refcount_inc(&cm->refs);
	walk_on(test, tree->states[2], true, cm, 1);
	KUNIT_EXPECT_EQ(test, cm->lap, 0ULL);
	/* or this test would see nobody say it */
	walk(test, tree->states[0]);
	KUNIT_EXPECT_GT(test, cm->lap, 0ULL);
	container_mapping_uncharge(cm, 10);
	fput(file);
}

/* It stopped in the middle, and another handler came to the end: that was its turn. Else it goes on. */
static void who_stopped_in_the_middle_asks_again(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct file *file = shmem_kernel_file_setup("middle", PAGE_SIZE, EMPTY_VMA_FLAGS);
	struct container_mapping *cm;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	cm = container_mapping_find(file->f_mapping, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, cm);
	charge_mapping(cm, tree->states[1], 10);
	cm->next = 3;
	cm->lap = 1;
	/* the clock asks nobody whose it is, so a walk without it is short */
	refcount_inc(&cm->refs);
	walk_on(test, tree->states[2], false, cm, 1);
	KUNIT_EXPECT_EQ(test, cm->next, 3UL);
	KUNIT_EXPECT_EQ(test, cm->lap, 1ULL);
	refcount_inc(&cm->refs);
	walk_on(test, tree->states[2], false, cm, 2);
	KUNIT_EXPECT_EQ(test, cm->next, 0UL);
	KUNIT_EXPECT_GT(test, cm->lap, 1ULL);
	container_mapping_uncharge(cm, 10);
	fput(file);
}

/* What another handler writes that has just come to the end of the same file, at each page of ours. */
static struct container_mapping *walked_by_another;
static int isolated;

static void isolate_beside_another(struct memory_scan *scan, struct folio *folio)
{
	WRITE_ONCE(walked_by_another->next, 0);
	isolated++;
}

#define PAGES 200

/* Who walks a file has a position of its own. */
static void another_hand_does_not_move_ours(struct kunit *test)
{
	struct file *file = shmem_kernel_file_setup("both", PAGES * PAGE_SIZE, EMPTY_VMA_FLAGS);
	struct memory_scan scan = {
		.top = root_memory(), .force = true, .budget = PAGES / 2, .want = PAGES,
	};
	struct memory_cursor cursor = { .lap = 1 };
	struct page *page;
	int i;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	for (i = 0; i < PAGES; i++) {
		page = shmem_read_mapping_page(file->f_mapping, i);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, page);
		put_page(page);
	}
	scan.at = container_mapping_find(file->f_mapping, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, scan.at);
	refcount_inc(&scan.at->refs);
	walked_by_another = scan.at;
	isolated = 0;
	INIT_LIST_HEAD(&scan.swapbacked);
	INIT_LIST_HEAD(&scan.files);
	kunit_activate_static_stub(test, memory_scan_isolate, isolate_beside_another);
	KUNIT_EXPECT_FALSE(test, memory_scan_files(&scan, &cursor));
	kunit_deactivate_static_stub(test, memory_scan_isolate);
	KUNIT_EXPECT_PTR_EQ(test, scan.at, walked_by_another);
	KUNIT_EXPECT_GE(test, isolated, PAGES / 2);
	KUNIT_EXPECT_EQ(test, walked_by_another->next, (pgoff_t)isolated);
	container_mapping_put(walked_by_another);
	fput(file);
}

static struct kunit_case scan_test_cases[] = {
	KUNIT_CASE(one_walk_is_a_turn_in_both_laps),
	KUNIT_CASE(a_forced_lap_asks_nobody),
	KUNIT_CASE(what_is_not_walked_keeps_its_turn),
	KUNIT_CASE(what_has_changed_hands_keeps_its_turn),
	KUNIT_CASE(who_stopped_in_the_middle_asks_again),
	KUNIT_CASE(another_hand_does_not_move_ours),
	{}
};

static struct kunit_suite scan_test_suite = {
	.name = "container-memory-scan",
	.init = memory_test_init,
	.exit = memory_test_exit,
	.test_cases = scan_test_cases,
};
kunit_test_suite(scan_test_suite);

MODULE_DESCRIPTION("KUnit tests of the handler's walk over mappings");
MODULE_LICENSE("GPL");
