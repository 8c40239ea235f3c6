// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the memory subsystem: arithmetic, numbers, ownership.
 */
#include <linux/folio_batch.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "memory_testing.h"

static void levels_of_a_limit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, memory_stop_at(8000), 7750UL);
	KUNIT_EXPECT_EQ(test, memory_stop_at(640), 640UL - MEMORY_BATCH);
	KUNIT_EXPECT_EQ(test, memory_stop_at(80), 70UL);
	KUNIT_EXPECT_EQ(test, memory_throttle_at(8000), 9000UL);
	KUNIT_EXPECT_EQ(test, memory_stop_at(7), 7UL);
	KUNIT_EXPECT_EQ(test, memory_throttle_at(7), 7UL);
	KUNIT_EXPECT_EQ(test, memory_stop_at(0), 0UL);
	KUNIT_EXPECT_EQ(test, memory_throttle_at(ULONG_MAX - 1), ULONG_MAX);
	KUNIT_EXPECT_EQ(test, memory_room_at(8000), 7000UL);
	KUNIT_EXPECT_EQ(test, memory_room_at(100), 100UL - MEMORY_BATCH);
	KUNIT_EXPECT_EQ(test, memory_room_at(3), 0UL);
}

static void within_is_reflexive_and_upward(struct kunit *test)
{
	struct tree *tree = test->priv;

	KUNIT_EXPECT_TRUE(test, memory_within(tree->states[2], tree->states[2]));
	KUNIT_EXPECT_TRUE(test, memory_within(tree->states[4], tree->states[0]));
	KUNIT_EXPECT_TRUE(test, memory_within(tree->states[4], root_memory()));
	KUNIT_EXPECT_FALSE(test, memory_within(tree->states[1], tree->states[2]));
	KUNIT_EXPECT_FALSE(test, memory_within(NULL, tree->states[0]));
}

static void batch_reaches_all_ancestors(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *leaf = tree->states[DEPTH - 1];
	int i;

	migrate_disable();
	for (i = 0; i < MEMORY_BATCH - 1; i++)
		memory_count(leaf, MEMORY_ANON, 1);
	KUNIT_EXPECT_EQ(test, memory_read(leaf, MEMORY_ANON), 0UL);
	KUNIT_EXPECT_EQ(test, memory_read(tree->states[0], MEMORY_ANON), 0UL);
	memory_count(leaf, MEMORY_ANON, 1);
	migrate_enable();
	for (i = 0; i < DEPTH; i++)
		KUNIT_EXPECT_EQ(test, memory_read(tree->states[i], MEMORY_ANON),
				(unsigned long)MEMORY_BATCH);
	memory_count(leaf, MEMORY_ANON, -MEMORY_BATCH);
	KUNIT_EXPECT_EQ(test, memory_read(tree->states[0], MEMORY_ANON), 0UL);
}

static void readers_do_not_put_off_the_check(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *leaf = tree->states[DEPTH - 1];
	int i, due = 0;

	migrate_disable();
	for (i = 0; i < 10 * MEMORY_BATCH; i++) {
		memory_count(leaf, MEMORY_ANON, 1);
		due += memory_check_due(leaf, 1);
		memory_flush(leaf);
	}
	migrate_enable();
	KUNIT_EXPECT_EQ(test, due, 10);
	memory_count(leaf, MEMORY_ANON, -10 * MEMORY_BATCH);
}

static void flush_makes_a_subtree_exact(struct kunit *test)
{
	struct tree *tree = test->priv;

	memory_count(tree->states[4], MEMORY_FILE, 3);
	memory_count(tree->states[1], MEMORY_FILE, 4);
	KUNIT_EXPECT_EQ(test, exact(tree->states[0], MEMORY_FILE), 7UL);
	KUNIT_EXPECT_EQ(test, memory_read(tree->states[2], MEMORY_FILE), 3UL);
	KUNIT_EXPECT_EQ(test, memory_usage(tree->states[1]), 7UL);
	memory_count(tree->states[4], MEMORY_FILE, -3);
	memory_count(tree->states[1], MEMORY_FILE, -4);
	KUNIT_EXPECT_EQ(test, exact(tree->states[0], MEMORY_FILE), 0UL);
}

static void below_zero_reads_as_zero(struct kunit *test)
{
	struct tree *tree = test->priv;

	memory_count(tree->states[0], MEMORY_ACTIVE, -5);
	KUNIT_EXPECT_EQ(test, exact(tree->states[0], MEMORY_ACTIVE), 0UL);
	memory_count(tree->states[0], MEMORY_ACTIVE, 5);
	KUNIT_EXPECT_EQ(test, exact(tree->states[0], MEMORY_ACTIVE), 0UL);
}

static void bound_counts_states(struct kunit *test)
{
	struct tree *tree = test->priv;
	unsigned long one = num_online_cpus() * (MEMORY_BATCH - 1);

	KUNIT_EXPECT_EQ(test, memory_unflushed_bound(tree->states[DEPTH - 1]), one);
	KUNIT_EXPECT_EQ(test, memory_unflushed_bound(tree->states[0]), DEPTH * one);
}

static void first_page_makes_the_owner(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *a = tree->states[4], *b = tree->states[3];
	struct container_mapping *cm = mapping_of(test);

	charge_mapping(cm, a, 10);
	charge_mapping(cm, b, 5);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, a);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_FILE), 15UL);
	container_mapping_uncharge(cm, 14);
	charge_mapping(cm, b, 1);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, a);
	container_mapping_uncharge(cm, 2);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_FILE), 0UL);
	charge_mapping(cm, b, 1);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, b);
	KUNIT_EXPECT_EQ(test, a->nr_mappings, 0L);
	KUNIT_EXPECT_EQ(test, b->nr_mappings, 1L);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_FILE), 1UL);
	container_mapping_uncharge(cm, 1);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_FILE), 0UL);
}

static void offline_hands_over_to_the_parent(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *child = tree->states[4], *parent = tree->states[3];
	struct container_mapping *cm = mapping_of(test);

	charge_mapping(cm, child, 100);
	container_mapping_count(cm, MEMORY_MAPPED, 7);
	container_mapping_count(cm, MEMORY_ACTIVE, 40);
	container_mapping_release_all(child);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, parent);
	KUNIT_EXPECT_EQ(test, exact(child, MEMORY_FILE), 0UL);
	KUNIT_EXPECT_EQ(test, exact(parent, MEMORY_FILE), 100UL);
	KUNIT_EXPECT_EQ(test, exact(child, MEMORY_MAPPED), 0UL);
	KUNIT_EXPECT_EQ(test, exact(parent, MEMORY_MAPPED), 7UL);
	KUNIT_EXPECT_EQ(test, exact(parent, MEMORY_ACTIVE), 40UL);
	/* who is offline gets nothing any more */
	container_mapping_count(cm, MEMORY_MAPPED, -7);
	container_mapping_count(cm, MEMORY_ACTIVE, -40);
	container_mapping_uncharge(cm, 100);
	charge_mapping(cm, child, 1);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, parent);
	container_mapping_uncharge(cm, 1);
	KUNIT_EXPECT_EQ(test, exact(tree->states[0], MEMORY_FILE), 0UL);
}

static void claim_takes_all_numbers(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *a = tree->states[1], *b = tree->states[3];
	struct container_mapping *cm = mapping_of(test);

	charge_mapping(cm, b, 100);
	container_mapping_count(cm, MEMORY_MAPPED, 7);
	container_mapping_count(cm, MEMORY_ACTIVE, 40);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_FILES), 1UL);
	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, a, tree->states[0]), -ENOENT);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, b);
	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, b, a), 0);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, a);
	KUNIT_EXPECT_FALSE(test, cm->claimed);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_FILE), 0UL);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_FILES), 0UL);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_MAPPED), 0UL);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_ACTIVE), 0UL);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_FILE), 100UL);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_FILES), 1UL);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_MAPPED), 7UL);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_ACTIVE), 40UL);
	/* nobody claims for who is offline */
	container_mapping_release_all(tree->states[4]);
	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, NULL, tree->states[4]), -ENODEV);
	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, tree->states[4], a), -ENODEV);
	KUNIT_EXPECT_TRUE(test, container_mapping_within(cm, tree->states[0]));
	KUNIT_EXPECT_TRUE(test, container_mapping_within(cm, a));
	KUNIT_EXPECT_FALSE(test, container_mapping_within(cm, b));
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, a);
	container_mapping_count(cm, MEMORY_MAPPED, -7);
	container_mapping_count(cm, MEMORY_ACTIVE, -40);
	container_mapping_uncharge(cm, 100);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_FILES), 0UL);
}

static void claim_waits_for_a_page(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *a = tree->states[1], *b = tree->states[2];
	struct container_mapping *cm = mapping_of(test);
	struct memory_cursor cursor = { };

	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, NULL, a), 0);
	/* the handler finds nothing to do there, and leaves it */
	KUNIT_EXPECT_NULL(test, container_mapping_next(a, &cursor));
	KUNIT_EXPECT_EQ(test, a->nr_mappings, 1L);
	KUNIT_EXPECT_EQ(test, container_mapping_list(a, NULL, 0), 0UL);
	charge_mapping(cm, b, 1);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, a);
	container_mapping_uncharge(cm, 1);
	charge_mapping(cm, b, 1);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, b);
	container_mapping_uncharge(cm, 1);
	/* released, and passed on by who goes */
	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, NULL, a), 0);
	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, b, a), -ENOENT);
	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, a, tree->states[0]), 0);
	KUNIT_EXPECT_NULL(test, cm->owner);
	KUNIT_EXPECT_EQ(test, container_mapping_move(cm, NULL, tree->states[4]), 0);
	container_mapping_release_all(tree->states[4]);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, tree->states[3]);
	charge_mapping(cm, a, 1);
	KUNIT_EXPECT_PTR_EQ(test, cm->owner, tree->states[3]);
	container_mapping_uncharge(cm, 1);
}

static void pages_outlive_their_inode(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_mapping *cm = mapping_of(test);

	charge_mapping(cm, tree->states[0], 3);
	container_memory_detach(&tree->inode->i_data);
	KUNIT_EXPECT_NULL(test, tree->inode->i_data.container);
	KUNIT_EXPECT_NULL(test, container_mapping_pin(cm));
	KUNIT_EXPECT_EQ(test, exact(tree->states[0], MEMORY_FILE), 3UL);
	container_mapping_uncharge(cm, 2);
	container_mapping_uncharge(cm, 1);
	KUNIT_EXPECT_EQ(test, tree->states[0]->nr_mappings, 0L);
	KUNIT_EXPECT_EQ(test, exact(tree->states[0], MEMORY_FILE), 0UL);
}

static void biggest_mapping_comes_first(struct kunit *test)
{
	static const long sizes[] = { 5, 100, 20, 0 }, order[] = { 100, 20, 5 };
	struct tree *tree = test->priv;
	struct container_memory *owner = tree->states[0];
	struct container_mapping *cm[ARRAY_SIZE(sizes)], *next;
	struct memory_cursor cursor = { };
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct inode *inode = kunit_kzalloc(test, sizeof(*inode), GFP_KERNEL);

		KUNIT_ASSERT_NOT_NULL(test, inode);
		inode->i_data.host = inode;
		cm[i] = container_mapping_find(&inode->i_data, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, cm[i]);
		charge_mapping(cm[i], owner, sizes[i] + 1);
		container_mapping_uncharge(cm[i], 1);
	}
	memory_flush(owner);
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		next = container_mapping_next(owner, &cursor);
		KUNIT_ASSERT_NOT_NULL(test, next);
		KUNIT_EXPECT_EQ(test, next->nr[MEMORY_FILE], order[i]);
		container_mapping_done(next, &cursor);
	}
	KUNIT_EXPECT_NULL(test, container_mapping_next(owner, &cursor));
	/* the empty one was let go on the way */
	KUNIT_EXPECT_EQ(test, owner->nr_mappings, 3L);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		container_memory_detach(cm[i]->mapping);
		if (sizes[i])
			container_mapping_uncharge(cm[i], sizes[i]);
	}
}

static void folio_is_charged_until_it_is_freed(struct kunit *test)
{
	unsigned long before = exact(root_memory(), MEMORY_ANON);
	struct folio *folio = folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, folio->memcg_data, 0UL);
	KUNIT_EXPECT_EQ(test, container_memory_charge(folio, GFP_KERNEL), 0);
	/* a kernel thread charges the root */
	KUNIT_EXPECT_EQ(test, folio->memcg_data, (unsigned long)root_memory());
	KUNIT_EXPECT_TRUE(test, memory_owns(root_memory(), folio));
	KUNIT_EXPECT_EQ(test, exact(root_memory(), MEMORY_ANON), before + 1);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, exact(root_memory(), MEMORY_ANON), before);
}

static void active_is_counted_once(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *memory = tree->states[0];
	struct folio *folio = folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	__container_memory_active(folio, 1);
	KUNIT_EXPECT_EQ(test, folio->memcg_data, 0UL);
	container_css_get(&memory->css);
	memory_count(memory, MEMORY_ANON, 1);
	folio->memcg_data = (unsigned long)memory;
	__container_memory_active(folio, -1);
	KUNIT_EXPECT_EQ(test, exact(memory, MEMORY_ACTIVE), 0UL);
	__container_memory_active(folio, 1);
	__container_memory_active(folio, 1);
	KUNIT_EXPECT_EQ(test, exact(memory, MEMORY_ACTIVE), 1UL);
	__container_memory_active(folio, -1);
	KUNIT_EXPECT_EQ(test, exact(memory, MEMORY_ACTIVE), 0UL);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, exact(memory, MEMORY_ANON), 0UL);
}

/* Runs of one owner, two, a file, nobody's, and an owner again: each is given back what was its. */
static void a_batch_goes_back_to_its_owners(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *a = tree->states[0], *b = tree->states[1];
	struct container_mapping *cm = mapping_of(test);
	const unsigned long words[] = {
		(unsigned long)a, (unsigned long)a, (unsigned long)b,
		(unsigned long)cm | MEMORY_MAPPING, (unsigned long)cm | MEMORY_MAPPING, 0,
		(unsigned long)cm | MEMORY_MAPPING, (unsigned long)b | MEMORY_IS_FILE,
		(unsigned long)b, 0, (unsigned long)a,
	};
	struct folio_batch *folios = kunit_kzalloc(test, sizeof(*folios), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, folios);
	folio_batch_init(folios);
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		struct folio *folio = folio_alloc(GFP_KERNEL, 0);
		struct container_memory *memory = (void *)(words[i] & ~MEMORY_TAGS);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		folio_batch_add(folios, folio);
		folio->memcg_data = words[i];
		if (words[i] & MEMORY_MAPPING) {
			charge_mapping(cm, b, 1);
		} else if (memory) {
			container_css_get(&memory->css);
			memory_count(memory, words[i] & MEMORY_IS_FILE ? MEMORY_FILE : MEMORY_ANON, 1);
		}
	}
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_ANON), 5UL);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_ANON), 2UL);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_FILE), 4UL);
	KUNIT_EXPECT_EQ(test, cm->nr[MEMORY_FILE], 3L);
	mem_cgroup_uncharge_folios(folios);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_ANON), 0UL);
	KUNIT_EXPECT_EQ(test, exact(a, MEMORY_FILE), 0UL);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_ANON), 0UL);
	KUNIT_EXPECT_EQ(test, exact(b, MEMORY_FILE), 0UL);
	KUNIT_EXPECT_EQ(test, cm->nr[MEMORY_FILE], 0L);
	/* and the references: memory_test_exit() waits for the last */
	for (i = 0; i < folio_batch_count(folios); i++) {
		KUNIT_EXPECT_EQ(test, folios->folios[i]->memcg_data, 0UL);
		folio_put(folios->folios[i]);
	}
}

static void migration_moves_the_word(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *memory = tree->states[0];
	struct folio *old = folio_alloc(GFP_KERNEL, 0), *new = folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, old);
	KUNIT_ASSERT_NOT_NULL(test, new);
	container_css_get(&memory->css);
	memory_count(memory, MEMORY_ANON, 1);
	old->memcg_data = (unsigned long)memory;
	mem_cgroup_migrate(old, new);
	KUNIT_EXPECT_EQ(test, old->memcg_data, 0UL);
	folio_put(old);
	KUNIT_EXPECT_EQ(test, exact(memory, MEMORY_ANON), 1UL);
	/* a copy is charged to the same owner, once */
	old = folio_alloc(GFP_KERNEL, 0);
	KUNIT_ASSERT_NOT_NULL(test, old);
	mem_cgroup_replace_folio(new, old);
	mem_cgroup_replace_folio(new, old);
	KUNIT_EXPECT_EQ(test, exact(memory, MEMORY_ANON), 2UL);
	folio_put(old);
	folio_put(new);
	KUNIT_EXPECT_EQ(test, exact(memory, MEMORY_ANON), 0UL);
}

/* A folio counts by its size, and is given back by it. */
static void big_folio_counts_by_its_size(struct kunit *test)
{
	unsigned long before = exact(root_memory(), MEMORY_ANON);
	struct folio *folio = folio_alloc(GFP_KERNEL, 3);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, container_memory_charge(folio, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, exact(root_memory(), MEMORY_ANON), before + 8);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, exact(root_memory(), MEMORY_ANON), before);
}

static struct kunit_case memory_test_cases[] = {
	KUNIT_CASE(levels_of_a_limit),
	KUNIT_CASE(within_is_reflexive_and_upward),
	KUNIT_CASE(batch_reaches_all_ancestors),
	KUNIT_CASE(readers_do_not_put_off_the_check),
	KUNIT_CASE(flush_makes_a_subtree_exact),
	KUNIT_CASE(below_zero_reads_as_zero),
	KUNIT_CASE(bound_counts_states),
	KUNIT_CASE(first_page_makes_the_owner),
	KUNIT_CASE(offline_hands_over_to_the_parent),
	KUNIT_CASE(claim_takes_all_numbers),
	KUNIT_CASE(claim_waits_for_a_page),
	KUNIT_CASE(pages_outlive_their_inode),
	KUNIT_CASE(biggest_mapping_comes_first),
	KUNIT_CASE(folio_is_charged_until_it_is_freed),
	KUNIT_CASE(active_is_counted_once),
	KUNIT_CASE(a_batch_goes_back_to_its_owners),
	KUNIT_CASE(migration_moves_the_word),
	KUNIT_CASE(big_folio_counts_by_its_size),
	{}
};

static struct kunit_suite memory_test_suite = {
	.name = "container-memory",
	.init = memory_test_init,
	.exit = memory_test_exit,
	.test_cases = memory_test_cases,
};
kunit_test_suite(memory_test_suite);

MODULE_DESCRIPTION("KUnit tests of the memory subsystem");
MODULE_LICENSE("GPL");
