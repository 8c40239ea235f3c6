// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of a container's directory: what becomes of its files when it goes. Each test has a
 * hierarchy of its own with the subsystem "debug".
 */
#include "testing.h"

#include <linux/completion.h>
#include <linux/container_nodes.h>

#include "../../fs/kernfs/kernfs-internal.h"

/* The last file of each kind, or the first. */
static struct kernfs_node *file_of(struct container *cont, int id, bool last)
{
	struct container_files *files = &cont->files[id];

	return files->node[last ? files->nr - 1 : 0].kn;
}

static bool is_linked(struct kernfs_node *kn)
{
	struct kernfs_root *root = kernfs_root(kn);
	bool linked;

	down_read(&root->kernfs_rwsem);
	linked = !RB_EMPTY_NODE(&kn->rb);
	up_read(&root->kernfs_rwsem);
	return linked;
}

struct removal {
	struct container *cont;
	struct completion done;
	int ret;
};

static int remove_it(void *arg)
{
	struct removal *removal = arg;

	removal->ret = unmake(removal->cont);
	complete(&removal->done);
	return wait_for_stop(NULL);
}

/* rmdir with a callback of one file running: the others go, it waits, and offline() comes after it. */
static void removal_waits_for(struct kunit *test, int id, bool last)
{
	struct container_hierarchy *h = test->priv;
	struct removal removal = { .cont = make(test, h->root, "x") };
	struct kernfs_node *busy = file_of(removal.cont, id, last);
	struct kernfs_node *idle = file_of(removal.cont, id, !last);
	unsigned int offlined = container_debug.offlined;
	struct task_struct *task;

	init_completion(&removal.done);
	kernfs_get(busy);
	kernfs_get(idle);
	KUNIT_ASSERT_NOT_NULL(test, kernfs_get_active(busy));
	task = kthread_run(remove_it, &removal, "container-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	EXPECT_SOON(test, !is_linked(idle));
	KUNIT_EXPECT_NULL(test, kernfs_get_active(idle));
	KUNIT_EXPECT_FALSE(test, wait_for_completion_timeout(&removal.done, HZ / 10));
	KUNIT_EXPECT_EQ(test, container_debug.offlined, offlined);
	/* nothing new begins */
	KUNIT_EXPECT_NULL(test, kernfs_get_active(busy));
	kernfs_put_active(busy);
	wait_for_completion(&removal.done);
	KUNIT_EXPECT_EQ(test, removal.ret, 0);
	KUNIT_EXPECT_EQ(test, container_debug.offlined, offlined + 1);
	KUNIT_EXPECT_FALSE(test, is_linked(busy));
	kernfs_put(idle);
	kernfs_put(busy);
	kthread_stop(task);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

static void removal_waits_for_a_file_in_use(struct kunit *test)
{
	removal_waits_for(test, CONTAINER_CORE_FILES, false);
	removal_waits_for(test, CONTAINER_CORE_FILES, true);
	removal_waits_for(test, debug_subsys_id, false);
	removal_waits_for(test, debug_subsys_id, true);
}

/* Whoever has looked for a file in vain looks again when there are other files. */
static void files_that_come_and_go_are_noticed(struct kunit *test)
{
	struct container_hierarchy *h = test->priv;
	struct container *cont = make(test, h->root, "x");
	unsigned long rev = cont->kn->dir.rev;

	container_lock();
	container_files_remove(cont, debug_subsys_id);
	KUNIT_EXPECT_NE(test, cont->kn->dir.rev, rev);
	rev = cont->kn->dir.rev;
	KUNIT_EXPECT_EQ(test, container_files_add(cont, debug_subsys_id, NULL), 0);
	container_files_activate(cont, debug_subsys_id);
	KUNIT_EXPECT_NE(test, cont->kn->dir.rev, rev);
	rev = cont->kn->dir.rev;
	container_nodes_remove_idle(cont->kn);
	KUNIT_EXPECT_NE(test, cont->kn->dir.rev, rev);
	KUNIT_EXPECT_TRUE(test, RB_EMPTY_ROOT(&cont->kn->dir.children));
	container_unlock();
	KUNIT_EXPECT_EQ(test, unmake(cont), 0);
	EXPECT_SOON(test, !atomic_read(&h->root->nr_dying));
}

static struct kunit_case dir_test_cases[] = {
	KUNIT_CASE(removal_waits_for_a_file_in_use),
	KUNIT_CASE(files_that_come_and_go_are_noticed),
	{}
};

static struct kunit_suite dir_test_suite = {
	.name = "container-dir",
	.init = debug_hierarchy_init,
	.exit = debug_hierarchy_exit,
	.test_cases = dir_test_cases,
};
kunit_test_suite(dir_test_suite);

MODULE_DESCRIPTION("KUnit tests of containers' directories");
MODULE_LICENSE("GPL");
