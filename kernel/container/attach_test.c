// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of attach.c: what a write to `tasks` or `procs` waits for, through the files themselves, in a
 * mount that nobody else sees.
 */
#include "testing.h"

#include <linux/completion.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/percpu-rwsem.h>
#include <linux/string.h>

/* How long a thread that has to wait is watched doing so. */
#define STILL_WAITS	200	/* ms */

/* A mounted tree with one container. */
struct tree {
	struct vfsmount *mnt;
	struct container *cont;
};

/* A thread that moves another one when it is told to. */
struct mover {
	struct task_struct *thread, *moved;
	struct file *file;
	struct completion go;
	bool begun, done, moved_it;
};

static void mount_tree(struct kunit *test, struct tree *tree, const char *options,
		       unsigned long mask, const char *name)
{
	struct file_system_type *type = get_fs_type("container");
	struct container_hierarchy *h;

	KUNIT_ASSERT_NOT_NULL(test, type);
	/* of the kernel's own, so that nobody waits for its end */
	tree->mnt = vfs_kern_mount(type, SB_KERNMOUNT, "none",
				   kunit_kstrdup(test, options, GFP_KERNEL));
	put_filesystem(type);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, tree->mnt);
	container_lock();
	h = container_hierarchy_find(mask, name);
	container_unlock();
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, h);
	tree->cont = make(test, h->root, "x");
}

static void unmount_tree(struct kunit *test, struct tree *tree)
{
	EXPECT_SOON(test, !container_populated(tree->cont));
	KUNIT_EXPECT_EQ(test, unmake(tree->cont), 0);
	mntput(tree->mnt);
}

static int write_number(void *arg)
{
	struct mover *mover = arg;
	char number[16];
	loff_t pos = 0;
	int len;

	len = snprintf(number, sizeof(number), "%d", mover->moved->pid);
	wait_for_completion(&mover->go);
	WRITE_ONCE(mover->begun, true);
	mover->moved_it = kernel_write(mover->file, number, len, &pos) == len;
	/* pairs with is_done() */
	smp_store_release(&mover->done, true);
	return wait_for_stop(NULL);
}

static bool is_done(struct mover *mover)
{
	/* pairs with write_number(): what it did is there */
	return smp_load_acquire(&mover->done);
}

/* It waits until complete(&mover->go): no thread is made while the semaphore is held. */
static void start_mover(struct kunit *test, struct tree *tree, struct mover *mover,
			const char *path)
{
	memset(mover, 0, sizeof(*mover));
	init_completion(&mover->go);
	mover->file = file_open_root_mnt(tree->mnt, path, O_WRONLY, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mover->file));
	mover->moved = start_sleeper(test);
	mover->thread = kthread_run(write_number, mover, "container-test");
	KUNIT_ASSERT_FALSE(test, IS_ERR(mover->thread));
}

/* It has moved the one. */
static void stop_mover(struct kunit *test, struct tree *tree, struct mover *mover)
{
	struct container_membership *m;

	KUNIT_EXPECT_TRUE(test, mover->moved_it);
	m = container_group_get(mover->moved);
	KUNIT_EXPECT_PTR_EQ(test, container_of_group(m, tree->cont->hierarchy), tree->cont);
	container_group_put(m);
	kthread_stop(mover->thread);
	kthread_stop(mover->moved);
	__fput_sync(mover->file);
}

/*
 * Regression: in a kernel with these tests each move took it, as "debug" counts tasks and might be bound:
 * what users run had never been under lockdep.
 */
static void one_thread_moves_without_the_semaphore(struct kunit *test)
{
	struct mover thread, process;
	struct tree tree;

	mount_tree(test, &tree, "none,name=attach", 0, "attach");
	start_mover(test, &tree, &thread, "x/tasks");
	start_mover(test, &tree, &process, "x/procs");
	percpu_down_write(&container_thread_rwsem);
	complete(&thread.go);
	complete(&process.go);
	EXPECT_SOON(test, is_done(&thread));
	EXPECT_SOON(test, is_done(&process));
	percpu_up_write(&container_thread_rwsem);
	stop_mover(test, &tree, &thread);
	stop_mover(test, &tree, &process);
	unmount_tree(test, &tree);
}

/* Else it could come between the exit of the moved one and what is told of it. */
static void where_tasks_are_counted_moves_wait_for_forks(struct kunit *test)
{
	struct mover thread, process;
	struct tree tree;

	memset(&container_debug, 0, sizeof(container_debug));
	mount_tree(test, &tree, "debug", DEBUG_MASK, "");
	start_mover(test, &tree, &thread, "x/tasks");
	start_mover(test, &tree, &process, "x/procs");
	percpu_down_write(&container_thread_rwsem);
	complete(&thread.go);
	complete(&process.go);
	EXPECT_SOON(test, READ_ONCE(thread.begun) && READ_ONCE(process.begun));
	msleep(STILL_WAITS);
	KUNIT_EXPECT_FALSE(test, is_done(&thread));
	KUNIT_EXPECT_FALSE(test, is_done(&process));
	percpu_up_write(&container_thread_rwsem);
	EXPECT_SOON(test, is_done(&thread));
	EXPECT_SOON(test, is_done(&process));
	KUNIT_EXPECT_EQ(test, container_debug.attached, 2);
	stop_mover(test, &tree, &thread);
	stop_mover(test, &tree, &process);
	unmount_tree(test, &tree);
}

/* It has seen that nobody counts, and waits for the mutex, with which a subsystem is bound that does. */
static void a_move_looks_again_who_counts(struct kunit *test)
{
	struct container_hierarchy *counting;
	struct mover mover;
	struct tree tree;
	bool begun;

	mount_tree(test, &tree, "none,name=attach", 0, "attach");
	start_mover(test, &tree, &mover, "x/procs");
	begun = container_rebind_lock(DEBUG_MASK);
	KUNIT_EXPECT_TRUE(test, begun);
	complete(&mover.go);
	/* there is nothing else in its way to wait for */
	EXPECT_SOON(test, READ_ONCE(mover.begun) &&
		    READ_ONCE(mover.thread->__state) & TASK_UNINTERRUPTIBLE);
	counting = container_hierarchy_create(DEBUG_MASK, "", 0, NULL);
	container_unlock();
	KUNIT_EXPECT_FALSE(test, IS_ERR(counting));
	msleep(STILL_WAITS);
	KUNIT_EXPECT_FALSE(test, is_done(&mover));
	container_binding_ends(begun);
	EXPECT_SOON(test, is_done(&mover));
	stop_mover(test, &tree, &mover);
	unmount_tree(test, &tree);
	if (!IS_ERR(counting))
		release(counting);
}

static struct kunit_case attach_test_cases[] = {
	KUNIT_CASE(one_thread_moves_without_the_semaphore),
	KUNIT_CASE(where_tasks_are_counted_moves_wait_for_forks),
	KUNIT_CASE(a_move_looks_again_who_counts),
	{}
};

static struct kunit_suite attach_test_suite = {
	.name = "container-attach",
	.test_cases = attach_test_cases,
};
kunit_test_suite(attach_test_suite);

MODULE_DESCRIPTION("KUnit tests of moves in the container core");
MODULE_LICENSE("GPL");
