// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit test of moves where tasks are counted, numtasks and bc: who is moved cannot exit between its move and the
 * count of it. Else its exit is taken off what others have in the new container, and somebody forks into that
 * room: the bound is passed by one, and nobody knows.
 */
#include "bc.h"
#include "numtasks.h"
#include "testing.h"

#include <kunit/static_stub.h>
#include <linux/completion.h>
#include <linux/sched/task.h>

/* How long who is to exit gets for it. */
#define TRIES	50	/* ms */

/* The tree, its container that is full with one task, and who is moved there. */
struct race {
	struct container_hierarchy *h;
	struct container *cont;
	struct task_struct *stays, *moved;
	struct completion exit;
	bool told, has_left, forks, forks_of_bc;
};

static struct numtasks *numtasks_in(struct race *race)
{
	return to_numtasks(race->cont->state[numtasks_subsys_id]);
}

static struct bc *bc_in(struct race *race)
{
	return css_bc(race->cont->state[bc_subsys_id]);
}

static bool has_left(struct task_struct *task)
{
	return rcu_access_pointer(task->containers) == &exited_membership.group;
}

static int exit_when_told(void *arg)
{
	struct race *race = arg;

	wait_for_completion(&race->exit);
	return 0;
}

/* What a fork asks for; not through can_fork(), which may want to sleep before it is refused. */
static void try_to_fork(struct race *race)
{
	struct numtasks *nt = numtasks_in(race);
	struct bc *bc = bc_in(race);

	race->forks = !shares_try_charge(&nt->node);
	if (race->forks)
		shares_uncharge(&nt->node);
	race->forks_of_bc = !bc_try_charge(bc, BC_NUMPROC, 1, BC_BARRIER);
	if (race->forks_of_bc)
		bc_give_back(bc, BC_NUMPROC, 1);
}

/* It is in its new container, and is not counted there yet. */
static void exits_now(struct task_struct *task, struct container_membership *from, struct container *cont)
{
	struct kunit *test = kunit_get_current_test();
	struct race *race = test->priv;
	int i;

	kunit_deactivate_static_stub(test, container_tell_moved_locked);
	complete(&race->exit);
	for (i = 0; i < TRIES && !has_left(task); i++) {
		/* where nothing is locked it gets the CPU, if there is but one */
		if (!IS_ENABLED(CONFIG_SMP) || spin_is_locked(&task->alloc_lock))
			mdelay(1);
		else
			msleep(20);
	}
	race->told = true;
	race->has_left = has_left(task);
	try_to_fork(race);
	container_tell_moved_locked(task, from, cont);
}

static int move_there(struct race *race, struct task_struct *task)
{
	bool begun = container_moving_lock(false);
	int ret = container_attach_tasks(race->cont, &task, 1);

	container_moving_unlock(begun);
	return ret;
}

static long usage(struct race *race)
{
	struct shares_numbers numbers;

	shares_numbers(&numtasks_in(race)->node, &numbers);
	return numbers.usage;
}

static void who_is_moved_is_counted_before_it_exits(struct kunit *test)
{
	struct race *race = test->priv;

	kunit_activate_static_stub(test, container_tell_moved_locked, exits_now);
	KUNIT_EXPECT_EQ(test, move_there(race, race->moved), 0);
	KUNIT_EXPECT_TRUE(test, race->told);
	KUNIT_EXPECT_FALSE(test, race->has_left);
	KUNIT_EXPECT_FALSE(test, race->forks);
	KUNIT_EXPECT_FALSE(test, race->forks_of_bc);
	/* and in the end one is there, and nobody forks */
	EXPECT_SOON(test, has_left(race->moved) && usage(race) == 1 && bc_held(bc_in(race), BC_NUMPROC) == 1);
	try_to_fork(race);
	KUNIT_EXPECT_FALSE(test, race->forks);
	KUNIT_EXPECT_FALSE(test, race->forks_of_bc);
}

static int moved_test_init(struct kunit *test)
{
	static const struct bc_bounds one = { .barrier = 1, .limit = 1 };
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	const char *reason;

	KUNIT_ASSERT_NOT_NULL(test, race);
	race->h = make_hierarchy(test, BIT(numtasks_subsys_id) | BIT(bc_subsys_id));
	test->priv = race;
	race->cont = make(test, race->h->root, "a");
	init_completion(&race->exit);
	race->stays = start_sleeper(test);
	race->moved = kthread_run(exit_when_told, race, "container-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(race->moved));
	get_task_struct(race->moved);
	KUNIT_ASSERT_EQ(test, move_there(race, race->stays), 0);
	KUNIT_ASSERT_EQ(test, shares_set_limit(&numtasks_in(race)->node, 1, &reason), 0);
	/* nobody else knows it */
	bc_in(race)->amount[BC_NUMPROC].bounds = one;
	try_to_fork(race);
	KUNIT_ASSERT_FALSE(test, race->forks);
	KUNIT_ASSERT_FALSE(test, race->forks_of_bc);
	return 0;
}

static void moved_test_exit(struct kunit *test)
{
	struct race *race = test->priv;

	if (!race)
		return;
	if (!IS_ERR_OR_NULL(race->moved)) {
		complete(&race->exit);
		EXPECT_SOON(test, has_left(race->moved));
		put_task_struct(race->moved);
	}
	if (!IS_ERR_OR_NULL(race->stays))
		kthread_stop(race->stays);
	if (!IS_ERR_OR_NULL(race->cont)) {
		EXPECT_SOON(test, !usage(race) && !container_populated(race->cont));
		KUNIT_EXPECT_EQ(test, unmake(race->cont), 0);
	}
	release(race->h);
}

static struct kunit_case moved_test_cases[] = {
	KUNIT_CASE(who_is_moved_is_counted_before_it_exits),
	{}
};

static struct kunit_suite moved_test_suite = {
	.name = "container-moved",
	.init = moved_test_init,
	.exit = moved_test_exit,
	.test_cases = moved_test_cases,
};
kunit_test_suite(moved_test_suite);

MODULE_DESCRIPTION("KUnit test of moves where tasks are counted");
MODULE_LICENSE("GPL");
