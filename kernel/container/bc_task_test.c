// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of whom beancounters refuse: in a container, one below the root and two, the task that runs the test
 * charges files as alloc_empty_file() does. It is a kernel thread, and is taken for a program meanwhile by
 * its flag alone.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/sched/task.h>

#include "bc.h"
#include "testing.h"

struct place {
	struct container_hierarchy *h;
	struct container *upper, *lower;
};

static int bc_task_test_init(struct kunit *test)
{
	struct place *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->h = make_hierarchy(test, BIT(bc_subsys_id));
	p->upper = make(test, p->h->root, "upper");
	p->lower = make(test, p->upper, "lower");
	test->priv = p;
	return 0;
}

/* KUnit goes on when the test's thread is about to exit: it is in there till then. */
static int unmake_left(struct container *cont)
{
	unsigned long end = jiffies + 5 * HZ;
	int ret;

	while ((ret = unmake(cont)) == -EBUSY && time_before(jiffies, end))
		msleep(20);
	return ret;
}

static void bc_task_test_exit(struct kunit *test)
{
	struct place *p = test->priv;

	if (!p)
		return;
	KUNIT_EXPECT_EQ(test, unmake_left(p->lower), 0);
	KUNIT_EXPECT_EQ(test, unmake_left(p->upper), 0);
	release(p->h);
}

static struct bc *enter(struct kunit *test, struct container *cont, unsigned long barrier, unsigned long limit)
{
	struct bc *bc = css_bc(container_css(cont, &bc_subsys));

	KUNIT_ASSERT_EQ(test, move(cont, current), 0);
	WRITE_ONCE(bc->amount[BC_NUMFILES].bounds.barrier, barrier);
	WRITE_ONCE(bc->amount[BC_NUMFILES].bounds.limit, limit);
	return bc;
}

/* How many of @n files it gets; all are closed. The test is not told before, as that may ask who the thread is. */
static int files_of_a_program(int n)
{
	struct bc *file[4];
	int got = 0;

	current->flags &= ~PF_KTHREAD;
	while (got < n && !IS_ERR(file[got] = bc_charge_file()))
		got++;
	current->flags |= PF_KTHREAD;
	for (n = 0; n < got; n++)
		bc_uncharge_file(file[n]);
	return got;
}

static void kernel_threads_are_charged_by_force(struct kunit *test)
{
	struct place *p = test->priv;
	struct container *conts[] = { p->upper, p->lower };
	struct bc *bc, *file;

	for (int i = 0; i < ARRAY_SIZE(conts); i++) {
		bc = enter(test, conts[i], 0, 0);
		file = bc_charge_file();
		KUNIT_ASSERT_PTR_EQ(test, file, bc);
		KUNIT_EXPECT_EQ(test, bc_held(bc, BC_NUMFILES), 1L);
		bc_uncharge_file(file);
		KUNIT_EXPECT_EQ(test, bc_held(bc, BC_NUMFILES), 0L);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&bc->amount[BC_NUMFILES].failcnt), 0L);
		/* not for what it is in, but for what it is */
		KUNIT_EXPECT_EQ(test, files_of_a_program(1), 0);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&bc->amount[BC_NUMFILES].failcnt), 1L);
	}
	KUNIT_EXPECT_EQ(test, bc_held(bc->up, BC_NUMFILES), 0L);
}

/* The same credentials, with CAP_SYS_ADMIN or without. */
static struct cred *new_cred(struct kunit *test, bool admin)
{
	struct cred *cred = prepare_kernel_cred(&init_task);

	KUNIT_ASSERT_NOT_NULL(test, cred);
	if (!admin)
		cap_lower(cred->cap_effective, CAP_SYS_ADMIN);
	return cred;
}

/* Its own are @admin's, and what it works with for somebody else is not, or the reverse. Returns files of 4. */
static int files_with(struct kunit *test, bool admin)
{
	struct cred *lent = new_cred(test, !admin);
	const struct cred *own;
	int got;

	commit_creds(new_cred(test, admin));
	own = override_creds(lent);
	got = files_of_a_program(4);
	revert_creds(own);
	put_cred(lent);
	return got;
}

static void the_capability_is_the_tasks_own(struct kunit *test)
{
	struct place *p = test->priv;
	struct container *conts[] = { p->upper, p->lower };

	for (int i = 0; i < ARRAY_SIZE(conts); i++) {
		enter(test, conts[i], 1, 3);
		KUNIT_EXPECT_EQ(test, files_with(test, false), 1);
		KUNIT_EXPECT_EQ(test, files_with(test, true), 3);
		commit_creds(new_cred(test, true));
	}
}

static struct kunit_case bc_task_test_cases[] = {
	KUNIT_CASE(kernel_threads_are_charged_by_force),
	KUNIT_CASE(the_capability_is_the_tasks_own),
	{}
};

static struct kunit_suite bc_task_test_suite = {
	.name = "container-bc-task",
	.init = bc_task_test_init,
	.exit = bc_task_test_exit,
	.test_cases = bc_task_test_cases,
};
kunit_test_suite(bc_task_test_suite);

MODULE_DESCRIPTION("KUnit tests of whom beancounters refuse");
MODULE_LICENSE("GPL");
