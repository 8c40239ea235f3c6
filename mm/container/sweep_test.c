// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: what a removed container leaves behind, and the worker that looks for it.
 */
#include <linux/completion.h>
#include <linux/container_testing.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/swap.h>

#include "memory_testing.h"

static struct folio *new_folio(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	return folio;
}

/* As a charge does it that found @memory before it was removed. */
static void charge_directly(struct folio *folio, struct container_memory *memory, unsigned long tags)
{
	guard(rcu)();
	container_css_get(&memory->css);
	folio->memcg_data = (unsigned long)memory | tags;
	memory_count(memory, tags ? MEMORY_FILE : MEMORY_ANON, 1);
}

static struct container_memory *owner_of(struct folio *folio)
{
	return (void *)(READ_ONCE(folio->memcg_data) & ~MEMORY_TAGS);
}

/* Removed with no page, and then a file's comes that was on its way. */
static void a_charge_on_its_way_is_found(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *gone = tree->states[4], *parent = tree->states[3];
	struct folio *folio = new_folio(test);

	memory_subsys.offline(&gone->css);
	charge_directly(folio, gone, MEMORY_IS_FILE);
	EXPECT_SOON(test, owner_of(folio) == parent);
	KUNIT_EXPECT_EQ(test, exact(gone, MEMORY_FILE), 0UL);
	KUNIT_EXPECT_EQ(test, exact(parent, MEMORY_FILE), 1UL);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, exact(parent, MEMORY_FILE), 0UL);
}

/* A charge whose CPU is away after it has found its container. */
struct late_charge {
	struct completion found, done;
	struct container_memory *memory;
	struct folio *folio;
};

static int charge_late(void *data)
{
	struct late_charge *late = data;

	scoped_guard(rcu) {
		complete(&late->found);
		/* it is not so long from rmdir to the worker */
		mdelay(600);
		charge_directly(late->folio, late->memory, MEMORY_IS_FILE);
	}
	complete(&late->done);
	return 0;
}

/* The worker comes by while the charge is under way, if there is a CPU for it (job kunit_sweep-2@debug). */
static void a_charge_that_takes_long_is_found(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct late_charge late = { .memory = tree->states[4], .folio = new_folio(test) };
	struct task_struct *task;

	init_completion(&late.found);
	init_completion(&late.done);
	KUNIT_ASSERT_EQ(test, set_cpus_allowed_ptr(current, cpumask_of(0)), 0);
	task = kthread_run_on_cpu(charge_late, &late, num_online_cpus() - 1, "late/%u");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&late.found);
	memory_subsys.offline(&late.memory->css);
	wait_for_completion(&late.done);
	EXPECT_SOON(test, owner_of(late.folio) == tree->states[3]);
	folio_put(late.folio);
}

/* What a CPU has kept to itself is in the numbers above when a directory is gone, without a reading. */
static void rmdir_tells_those_above(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *gone = tree->states[4];
	struct folio *folio = new_folio(test);

	charge_directly(folio, gone, 0);
	memory_subsys.offline(&gone->css);
	KUNIT_EXPECT_EQ(test, memory_read(tree->states[3], MEMORY_ANON), 1UL);
	KUNIT_EXPECT_EQ(test, memory_read(tree->states[0], MEMORY_ANON), 1UL);
	folio_put(folio);
}

/*
 * Two are gone, one below the other, and the last pages of the lower one are uncharged, which those above
 * have not been told. They come first in the list of all states, and must not be taken for charged.
 */
static void the_dead_are_flushed_before_any_is_read(struct kunit *test)
{
	static const enum memory_item items[] = { MEMORY_ANON, MEMORY_FILE, MEMORY_MAPPED };
	struct tree *tree = test->priv;
	struct container_memory *upper = tree->states[3], *lower = tree->states[4];
	bool files = true;
	int i;

	for (i = 0; i < ARRAY_SIZE(items); i++) {
		memory_count(lower, items[i], MEMORY_BATCH / 2);
		KUNIT_EXPECT_EQ(test, exact(upper, items[i]), MEMORY_BATCH / 2UL);
		memory_count(lower, items[i], -MEMORY_BATCH / 2);
	}
	WRITE_ONCE(lower->dead, true);
	WRITE_ONCE(upper->dead, true);
	KUNIT_EXPECT_FALSE(test, memory_dead_charged(&files));
	KUNIT_EXPECT_FALSE(test, files);
	KUNIT_EXPECT_FALSE(test, upper->recharged);
	KUNIT_EXPECT_FALSE(test, lower->recharged);
}

/* Others with pages are removed all the time, each long before the walk that is due for the last one. */
static void removals_do_not_put_the_worker_off(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *gone = tree->states[4], *other = state_create(test, root_memory());
	struct folio *folio = new_folio(test), *stays = new_folio(test);
	int i;

	memory_subsys.offline(&gone->css);
	charge_directly(folio, gone, MEMORY_IS_FILE);
	charge_directly(stays, other, 0);
	for (i = 0; i < 100; i++) {
		memory_subsys.offline(&other->css);
		msleep(20);
	}
	KUNIT_EXPECT_PTR_EQ(test, owner_of(folio), tree->states[3]);
	folio_put(folio);
	folio_put(stays);
	state_destroy(other);
}

/* A file's page of a container that is gone, charged now: the worker comes by and passes it on. */
static void expect_worker(struct kunit *test, struct container_memory *gone)
{
	struct folio *folio = new_folio(test);

	charge_directly(folio, gone, MEMORY_IS_FILE);
	EXPECT_SOON(test, owner_of(folio) == memory_parent(gone));
	folio_put(folio);
}

/* A page that looks as if it were written to swap for ever: the worker has seen it, and looks after others. */
static void the_worker_waits_for_no_disk(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_memory *gone = tree->states[4];
	struct folio *slow = new_folio(test);

	charge_directly(slow, gone, 0);
	__folio_set_swapbacked(slow);
	folio_lock(slow);
	folio_start_writeback(slow);
	folio_unlock(slow);
	folio_add_lru(slow);
	folio_set_swapcache(slow);
	memory_subsys.offline(&gone->css);
	/* it has walked by now */
	msleep(500);
	expect_worker(test, gone);
	KUNIT_EXPECT_PTR_EQ(test, owner_of(slow), gone);
	/* a walk that begins after this one does not know the page any more, and the last one has ended then */
	folio_clear_swapcache(slow);
	expect_worker(test, gone);
	folio_end_writeback(slow);
	folio_put(slow);
	KUNIT_EXPECT_EQ(test, exact(gone, MEMORY_ANON), 0UL);
}

static struct kunit_case sweep_test_cases[] = {
	KUNIT_CASE(a_charge_on_its_way_is_found),
	KUNIT_CASE(a_charge_that_takes_long_is_found),
	KUNIT_CASE(rmdir_tells_those_above),
	KUNIT_CASE(the_dead_are_flushed_before_any_is_read),
	KUNIT_CASE(removals_do_not_put_the_worker_off),
	KUNIT_CASE(the_worker_waits_for_no_disk),
	{}
};

static struct kunit_suite sweep_test_suite = {
	.name = "container-memory-sweep",
	.init = memory_test_init,
	.exit = memory_test_exit,
	.test_cases = sweep_test_cases,
};
kunit_test_suite(sweep_test_suite);

MODULE_DESCRIPTION("KUnit tests of what removed containers leave");
MODULE_LICENSE("GPL");
