/* SPDX-License-Identifier: GPL-2.0-only */
/* What the KUnit suites of the core have in common: a tree, a task, waiting. */
#ifndef _KERNEL_CONTAINER_TESTING_H
#define _KERNEL_CONTAINER_TESTING_H

#include "internal.h"
#include "debug.h"

#include <linux/container_testing.h>
#include <linux/kthread.h>

/* A hierarchy with these subsystems, which nothing else may be bound to; one user. */
static inline struct container_hierarchy *make_hierarchy(struct kunit *test, unsigned long mask)
{
	bool begun = container_rebind_lock(mask);
	struct container_hierarchy *h = container_hierarchy_create(mask, "", 0, NULL);

	container_rebind_unlock(begun);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, h);
	return h;
}

#define DEBUG_MASK	BIT(debug_subsys_id)

/* For a suite each of whose tests has a hierarchy of its own, test->priv, with the subsystem "debug". */
static inline int debug_hierarchy_init(struct kunit *test)
{
	memset(&container_debug, 0, sizeof(container_debug));
	test->priv = make_hierarchy(test, DEBUG_MASK);
	return 0;
}

static inline void debug_hierarchy_exit(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;

	if (!h)
		return;
	container_lock();
	KUNIT_EXPECT_EQ(test, h->nr_containers, 1);
	container_hierarchy_release_user(h);
	KUNIT_EXPECT_NULL(test, debug_subsys.hierarchy);
	container_unlock();
}

/* A hierarchy without subsystems; one user, who leaves it by release(). */
static inline struct container_hierarchy *make_named(struct kunit *test, const char *name)
{
	struct container_hierarchy *h;

	container_lock();
	h = container_hierarchy_create(0, name, 0, NULL);
	container_unlock();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, h);
	return h;
}

static inline void release(struct container_hierarchy *h)
{
	container_lock();
	container_hierarchy_release_user(h);
	container_unlock();
}

static inline struct container *make(struct kunit *test, struct container *parent,
				     const char *name)
{
	struct container *cont;

	container_lock();
	cont = container_create(parent, name, 0755);
	container_unlock();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, cont);
	return cont;
}

static inline int unmake(struct container *cont)
{
	int ret;

	container_lock();
	ret = container_remove(cont);
	container_unlock();
	return ret;
}

static inline int move(struct container *to, struct task_struct *task)
{
	int ret;

	container_lock();
	ret = container_attach_tasks(to, &task, 1);
	container_unlock();
	return ret;
}

static inline int wait_for_stop(void *unused)
{
	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!kthread_should_stop())
			schedule();
		__set_current_state(TASK_RUNNING);
	}
	return 0;
}

static inline struct task_struct *start_sleeper(struct kunit *test)
{
	struct task_struct *task = kthread_run(wait_for_stop, NULL, "container-test");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	return task;
}

#endif /* _KERNEL_CONTAINER_TESTING_H */
