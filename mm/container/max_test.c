// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit: charges at page_max, who waits there, and until when.
 *
 * Whoever works for a container has its handler_mutex. It is the test's meanwhile: a charge that did work itself would
 * never come back, rounds would be somebody's who did not ask, and the handler never gives up. What else
 * happens while a charge waits is done by a work item.
 */
#include <kunit/static_stub.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>
#include <trace/events/container.h>

#include "memory_testing.h"

/* All pages that are in use; the limit is half of them. */
#define USED	(2 * MEMORY_BATCH)

/**
 * struct at_max - a charge to a container at page_max
 * @gfp: how
 * @nr: pages; 0 is one
 * @another: if it is refused somebody else is asked
 * @flags: PF_*, of whoever charges: KUnit's own thread would always be let in
 * @memory: the container
 * @meanwhile: done @delay jiffies after the charge began
 * @delay: and again as long after that, if it says so
 * @work: which does it
 * @left: of USED, what @meanwhile has not made free
 * @waited: who waits gives the CPU up by himself; did it?
 * @said: lines in `why` meanwhile
 * @took: jiffies
 */
struct at_max {
	gfp_t gfp;
	long nr;
	bool another;
	unsigned int flags;
	struct container_memory *memory;
	bool (*meanwhile)(struct at_max *at);
	unsigned long delay;
	struct delayed_work work;
	int left;
	bool waited;
	unsigned long said;
	unsigned long took;
};

static bool make_room(struct at_max *at)
{
	memory_count(at->memory, MEMORY_ANON, -at->left);
	at->left = 0;
	return false;
}

/* So slowly that there is no room before the twentieth time. */
static bool make_room_page_by_page(struct at_max *at)
{
	memory_count(at->memory, MEMORY_ANON, -1);
	at->left--;
	return at->left > USED - 20 || make_room(at);
}

static bool remove_directory(struct at_max *at)
{
	memory_subsys.offline(&at->memory->css);
	return false;
}

static void meanwhile_fn(struct work_struct *work)
{
	struct at_max *at = container_of(to_delayed_work(work), struct at_max, work);

	if (at->meanwhile(at))
		schedule_delayed_work(&at->work, at->delay);
}

/* What goes to `why` goes to the trace. */
static void count_line(void *data, struct container *cont, struct task_struct *task,
		       const struct container_refusal *refusal)
{
	struct at_max *at = data;

	at->said += refusal->limiter == &at->memory->css && !strcmp(refusal->what, "charge");
}

static int charge_at_max(struct kunit *test, struct at_max *at)
{
	struct tree *tree = test->priv;
	struct container_memory *memory = tree->states[0];
	unsigned int was = current->flags;
	unsigned long switches, began;
	int ret;

	at->memory = memory;
	at->said = 0;
	KUNIT_ASSERT_EQ(test, register_trace_container_refusal(count_line, at), 0);
	at->left = USED;
	memory_count(memory, MEMORY_ANON, USED);
	memory_flush(memory);
	mutex_lock(&memory->handler_mutex);
	memory->max = USED / 2;
	/* as told already: without a container there is no file to tell with */
	memory->flags = ~0UL;
	INIT_DELAYED_WORK_ONSTACK(&at->work, meanwhile_fn);
	schedule_delayed_work(&at->work, at->delay);
	current->flags = (was & ~PF_KTHREAD) | at->flags;
	switches = current->nvcsw;
	began = jiffies;
	ret = memory_try_max(memory, at->nr ?: 1, at->gfp, !at->another);
	at->took = jiffies - began;
	at->waited = current->nvcsw != switches;
	current->flags = was;
	cancel_delayed_work_sync(&at->work);
	destroy_delayed_work_on_stack(&at->work);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&memory->events[MEMORY_ROUNDS]), 0L);
	memory->max = ULONG_MAX;
	make_room(at);
	mutex_unlock(&memory->handler_mutex);
	unregister_trace_container_refusal(count_line, at);
	tracepoint_synchronize_unregister();
	return ret;
}

static void who_may_not_wait_does_not(struct kunit *test)
{
	struct at_max at = { .gfp = GFP_NOWAIT, .meanwhile = make_room, .delay = HZ / 10 };

	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), -ENOMEM);
	KUNIT_EXPECT_FALSE(test, at.waited);
	at.gfp = GFP_NOFS;
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), 0);
	KUNIT_EXPECT_FALSE(test, at.waited);
	at.gfp = GFP_KERNEL;
	at.flags = PF_MEMALLOC;
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), 0);
	KUNIT_EXPECT_FALSE(test, at.waited);
	/* or this test would see nobody wait */
	at.flags = 0;
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), 0);
	KUNIT_EXPECT_TRUE(test, at.waited);
}

/* Instead of 30 s. */
static unsigned long short_stall(void)
{
	return HZ / 4;
}

static unsigned long longer_stall(void)
{
	return 3 * HZ;
}

/* The limit of a container ends with it, for who waits there, too. */
static void who_waits_is_let_in_when_the_directory_goes(struct kunit *test)
{
	struct at_max at = { .gfp = GFP_KERNEL, .meanwhile = remove_directory, .delay = HZ / 10 };

	kunit_activate_static_stub(test, memory_max_stall, longer_stall);
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), 0);
	KUNIT_EXPECT_TRUE(test, at.waited);
	KUNIT_EXPECT_TRUE(test, at.memory->dead);
	KUNIT_EXPECT_EQ(test, exact(at.memory, MEMORY_ANON), 0UL);
}

/* Nothing comes free, nobody gives up, nobody is there to be killed: the charge is refused after one stall. */
static void a_stall_is_like_giving_up(struct kunit *test)
{
	struct at_max at = { .gfp = GFP_KERNEL, .meanwhile = make_room, .delay = 10 * HZ };

	kunit_activate_static_stub(test, memory_max_stall, short_stall);
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), -ENOMEM);
	KUNIT_EXPECT_GE(test, at.took, short_stall());
	KUNIT_EXPECT_EQ(test, at.said, 1UL);
}

/* Who asks for several pages asks for one next, or somebody else is asked: nothing has failed yet, and nothing is said. */
static void who_has_another_way_is_refused_in_silence(struct kunit *test)
{
	struct at_max at = { .gfp = GFP_KERNEL, .nr = 2, .meanwhile = make_room, .delay = 10 * HZ };

	kunit_activate_static_stub(test, memory_max_stall, short_stall);
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), -ENOMEM);
	KUNIT_EXPECT_EQ(test, at.said, 0UL);
	at.nr = 1;
	at.another = true;
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), -ENOMEM);
	KUNIT_EXPECT_EQ(test, at.said, 0UL);
}

/* It takes longer than a stall until there is room, and pages come free all the time. */
static void a_page_that_comes_free_puts_it_off(struct kunit *test)
{
	struct at_max at = { .gfp = GFP_KERNEL, .meanwhile = make_room_page_by_page, .delay = HZ / 5 };

	kunit_activate_static_stub(test, memory_max_stall, longer_stall);
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), 0);
	KUNIT_EXPECT_GE(test, at.took, longer_stall());
}

/* Somebody was killed and does not die, maybe for a lock that we hold: it is our turn to give way at the second stall. */
static void a_victim_that_does_not_die_is_waited_for_twice(struct kunit *test)
{
	struct at_max at = { .gfp = GFP_KERNEL, .meanwhile = make_room, .delay = 10 * HZ };
	struct tree *tree = test->priv;
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	tree->states[0]->victim = mm;
	kunit_activate_static_stub(test, memory_max_stall, short_stall);
	KUNIT_EXPECT_EQ(test, charge_at_max(test, &at), -ENOMEM);
	KUNIT_EXPECT_GE(test, at.took, 2 * short_stall());
	/* `why` goes on naming the victim */
	KUNIT_EXPECT_EQ(test, at.said, 0UL);
	tree->states[0]->victim = NULL;
	mmput(mm);
}

static struct kunit_case max_test_cases[] = {
	KUNIT_CASE(who_may_not_wait_does_not),
	KUNIT_CASE(who_waits_is_let_in_when_the_directory_goes),
	KUNIT_CASE(a_stall_is_like_giving_up),
	KUNIT_CASE(who_has_another_way_is_refused_in_silence),
	KUNIT_CASE(a_page_that_comes_free_puts_it_off),
	KUNIT_CASE(a_victim_that_does_not_die_is_waited_for_twice),
	{}
};

static struct kunit_suite max_test_suite = {
	.name = "container-memory-max",
	.init = memory_test_init,
	.exit = memory_test_exit,
	.test_cases = max_test_cases,
};
kunit_test_suite(max_test_suite);

MODULE_DESCRIPTION("KUnit tests of charges at page_max");
MODULE_LICENSE("GPL");
