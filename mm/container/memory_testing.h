/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the KUnit suites of the memory subsystem have in common: states below the root state,
 * made by hand, without a container of their own; and a mapping that belongs to an inode that no file system knows.
 */
#ifndef _MM_CONTAINER_MEMORY_TESTING_H
#define _MM_CONTAINER_MEMORY_TESTING_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/container_memory.h>
#include <linux/fs.h>

#include "memory.h"

#define DEPTH 5

/* states[0] is a child of the root state, each other one of that before it */
struct tree {
	struct container_memory *states[DEPTH];
	struct inode *inode;
};

/* states are destroyed one after the other */
static DECLARE_COMPLETION(state_gone);

static inline void state_released(struct percpu_ref *ref)
{
	complete(&state_gone);
}

static inline struct container_memory *state_create(struct kunit *test, struct container_memory *parent)
{
	struct container_subsys_state *css = memory_subsys.create(&parent->css);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, css);
	css->parent = &parent->css;
	/* what is refused is said there */
	RCU_INIT_POINTER(css->container, rcu_access_pointer(memory_subsys.root_css->container));
	KUNIT_ASSERT_EQ(test, percpu_ref_init(&css->refcnt, state_released, 0, GFP_KERNEL), 0);
	KUNIT_ASSERT_EQ(test, memory_subsys.online(css), 0);
	/* memory_flush() looks for who is below only where there is somebody */
	atomic_inc(&parent->css.nr_below);
	return css_memory(css);
}

static inline void state_destroy(struct container_memory *memory)
{
	struct container_memory *parent = memory_parent(memory);

	memory_subsys.offline(&memory->css);
	reinit_completion(&state_gone);
	percpu_ref_kill(&memory->css.refcnt);
	wait_for_completion(&state_gone);
	synchronize_rcu();
	percpu_ref_exit(&memory->css.refcnt);
	memory_subsys.destroy(&memory->css);
	atomic_dec(&parent->css.nr_below);
}

static inline struct container_memory *root_memory(void)
{
	return css_memory(memory_subsys.root_css);
}

static inline int memory_test_init(struct kunit *test)
{
	struct tree *tree = kunit_kzalloc(test, sizeof(*tree), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, tree);
	tree->inode = kunit_kzalloc(test, sizeof(*tree->inode), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tree->inode);
	tree->inode->i_data.host = tree->inode;
	for (i = 0; i < DEPTH; i++)
		tree->states[i] = state_create(test, i ? tree->states[i - 1] : root_memory());
	test->priv = tree;
	return 0;
}

static inline void memory_test_exit(struct kunit *test)
{
	struct tree *tree = test->priv;
	int i;

	container_memory_detach(&tree->inode->i_data);
	for (i = DEPTH - 1; i >= 0; i--)
		state_destroy(tree->states[i]);
}

static inline struct container_mapping *mapping_of(struct kunit *test)
{
	struct tree *tree = test->priv;
	struct container_mapping *cm = container_mapping_find(&tree->inode->i_data, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, cm);
	return cm;
}

static inline void charge_mapping(struct container_mapping *cm, struct container_memory *memory, long nr)
{
	rcu_read_lock();
	container_mapping_charge(cm, memory, nr, false);
	rcu_read_unlock();
}

static inline unsigned long exact(struct container_memory *memory, enum memory_item item)
{
	memory_flush(memory);
	return memory_read(memory, item);
}

#endif /* _MM_CONTAINER_MEMORY_TESTING_H */
