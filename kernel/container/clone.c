// SPDX-License-Identifier: GPL-2.0-only
/*
 * container_clone(): a container that the kernel makes for one task, below the
 * one where the task is, and moves it into.
 *
 * V7 made the directory through the VFS, which cannot be done under the mutex,
 * then looked whether anything had changed meanwhile, and if so left the
 * directory behind and began again. A directory here is a kernfs node: it is
 * made, entered and shown in one section of container_mutex, so nobody can
 * come between, and there is no race to lose.
 *
 *   a task that exists   made, entered, shown; or removed again
 *   a task being forked  can_fork: made and entered; post_fork: shown;
 *                        cancel_fork: removed
 *
 * Until it is shown the directory cannot be looked up: nobody else enters it,
 * removes it or kills in it, and whoever sees it sees the task in it. Its name
 * is taken, though.
 *
 * Such a container (CONTAINER_AUTO) is removed by the work item of events.c
 * when it has no task and no child any more, and its parent after it, if that
 * is one too.
 *
 * Locking: container_mutex; container_thread_rwsem outside of it, for a move as
 * in attach.c. The fork of a thread holds that for reading.
 *
 * Lifetime: a container that is not shown lives by its task's membership.
 */
#include "internal.h"

#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/pid.h>
#include <linux/random.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

/*
 * /proc and the release agent tell containers by their path: it must have room
 * there, and a task that makes namespaces for ever must come to an end.
 */
static int check_depth(struct container *parent, struct task_struct *task)
{
	char *path = kmalloc(PATH_MAX, GFP_KERNEL);
	int len;

	if (!path)
		return -ENOMEM;
	len = container_path(parent, path, PATH_MAX);
	kfree(path);
	if (len < 0 || len + 1 + NAME_MAX >= PATH_MAX)
		return container_refuse(parent, task, NULL, "clone", "the path would be too long",
					-ENOSPC);
	return 0;
}

/*
 * "node_PID"; where that is taken "node_PID.N", N a random number, so that nobody can take what will be
 * the next. Not visible yet.
 */
static struct container *make_child(struct container *parent, struct task_struct *task)
{
	struct container *cont;
	char name[48];
	int ret;

	container_assert_locked();
	ret = check_depth(parent, task);
	if (ret)
		return ERR_PTR(ret);
	snprintf(name, sizeof(name), "node_%d", task_pid_nr(task));
	while (cont = container_make(parent, name, 0755), PTR_ERR_OR_ZERO(cont) == -EEXIST)
		snprintf(name, sizeof(name), "node_%d.%u", task_pid_nr(task), get_random_u32());
	return cont;
}

/*
 * The new container with @task in it, not shown yet; or everything as it was. Of an @unborn
 * task subsystems hear by fork(), not by attach().
 */
static struct container *clone_locked(struct container_hierarchy *h, struct task_struct *task,
				      bool unborn)
{
	struct container *parent, *cont;
	int ret;

	container_assert_locked();
	rcu_read_lock();
	/* the mutex keeps it when the task exits: container_attach_tasks() sees that */
	parent = container_of_group(to_membership(rcu_dereference(task->containers)), h);
	rcu_read_unlock();
	cont = make_child(parent, task);
	if (IS_ERR(cont))
		return cont;
	set_bit(CONTAINER_AUTO, &cont->flags);
	container_css_post_clone(cont, h->subsys_mask);
	ret = container_attach_clone(cont, task, unborn);
	if (ret) {
		container_unmake(cont);
		return ERR_PTR(ret);
	}
	return cont;
}

/**
 * container_clone - give a task a container of its own
 * @ss: subsystem; its hierarchy is where
 * @task: current, or a task that the caller has referenced
 *
 * Nothing happens when @ss is bound nowhere. The directory belongs to the
 * caller's fsuid.
 *
 * Context: process; takes container_thread_rwsem and container_mutex.
 * Return: 0; -ENOMEM; -ENOSPC (too deep); -ESRCH (the task exits); or what a subsystem said to the new
 * container or to the task in it. After an error everything is as it was.
 */
int container_clone(struct container_subsys *ss, struct task_struct *task)
{
	bool begun = container_moving_lock(false);
	struct container *cont = NULL;

	if (ss->hierarchy)
		cont = clone_locked(ss->hierarchy, task, false);
	if (!IS_ERR_OR_NULL(cont))
		container_show(cont);
	container_moving_unlock(begun);
	return PTR_ERR_OR_ZERO(cont);
}

/**
 * container_clone_fork - the same for a task that is being forked
 * @ss: subsystem
 * @child: task that nobody sees yet, in its parent's containers
 *
 * To be followed by container_clone_forked() or container_clone_cancel().
 *
 * Context: container_can_fork(); takes container_mutex.
 * Return: as container_clone().
 */
int container_clone_fork(struct container_subsys *ss, struct task_struct *child)
{
	struct container *cont = NULL;

	container_lock();
	if (ss->hierarchy)
		cont = clone_locked(ss->hierarchy, child, true);
	container_unlock();
	return PTR_ERR_OR_ZERO(cont);
}

/*
 * The container that was made for a child, wherever its subsystem may be by
 * now. Without the mutex somebody may move the child, but to no hidden one.
 */
static struct container *hidden_container(struct task_struct *child)
{
	struct container_membership *m;
	struct container *cont;
	int slot;

	m = to_membership(rcu_dereference_check(child->containers,
						lockdep_is_container_mutex_held()));
	for (slot = 0; slot < CONFIG_MAX_CONTAINER_HIERARCHIES; slot++) {
		cont = m->container[slot];
		if (cont && test_bit(CONTAINER_HIDDEN, &cont->flags))
			return cont;
	}
	return NULL;
}

/**
 * container_clone_forked - the child can be seen, and so can its container
 * @child: new task that does not run yet
 *
 * Context: container_post_fork(); takes container_mutex.
 */
void container_clone_forked(struct task_struct *child)
{
	struct container *cont;

	rcu_read_lock();
	cont = hidden_container(child);
	rcu_read_unlock();
	/* none was made, or the child was moved away already: the work item removes it */
	if (!cont)
		return;
	container_lock();
	cont = hidden_container(child);
	if (cont)
		container_show(cont);
	container_unlock();
}

/**
 * container_clone_cancel - the child will not be, nor its container
 * @child: task that never became visible; loses its membership
 *
 * Context: container_cancel_fork(); takes container_mutex.
 */
void container_clone_cancel(struct task_struct *child)
{
	struct container_group *group;
	struct container *cont;

	container_lock();
	cont = hidden_container(child);
	group = rcu_dereference_protected(child->containers, lockdep_is_container_mutex_held());
	RCU_INIT_POINTER(child->containers, NULL);
	container_group_put(to_membership(group));
	if (cont)
		container_unmake(cont);
	container_unlock();
}
