// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem "ns": a child container for each new set of namespaces.
 *
 * When ns is bound to a hierarchy, unshare(2) and clone(2) with a CLONE_NEW*
 * flag make a container below the caller's, and whoever lives in the new
 * namespaces starts in it: the calling thread, or the child. setns(2) moves
 * nobody: a task that enters a namespace does not become one of its own.
 *
 * So that the tree tells who made whose namespaces, nobody else gets in: a
 * task may enter a container only as its first one, and only from the
 * container right above. Nobody goes up.
 *
 * Surprise: these rules make the hierarchy useless for sorting tasks by hand,
 * which is what all other subsystems are for. So ns is bound only by a mount
 * that names it (named_only), never by `all` or by a mount without options.
 *
 * Locking: container_mutex around the callbacks. A clone without CLONE_NEW*
 * looks at its flags and no further; one with them looks at ns_subsys.hierarchy
 * without a lock, and again under the mutex.
 */
#include "internal.h"

#include <linux/capability.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

/* May be old when it is returned. */
static bool wanted(u64 flags)
{
	return container_ns_flags(flags) && READ_ONCE(ns_subsys.hierarchy);
}

/**
 * container_ns_unshare - the caller is about to get new namespaces
 * @flags: CLONE_* of the call
 *
 * The last thing of unshare(2) that can fail.
 *
 * Context: the calling task; takes container_mutex if there is anything to do.
 * Return: as container_clone().
 */
int container_ns_unshare(unsigned long flags)
{
	return wanted(flags) ? container_clone(&ns_subsys, current) : 0;
}

/**
 * container_ns_fork - a child that may have got new namespaces
 * @child: task that is being forked, in its parent's containers
 * @flags: CLONE_* of the call
 *
 * Context: container_can_fork(); takes container_mutex if there is anything to
 * do.
 * Return: as container_clone().
 */
int container_ns_fork(struct task_struct *child, u64 flags)
{
	return wanted(flags) ? container_clone_fork(&ns_subsys, child) : 0;
}

static struct container_subsys_state *ns_create(struct container_subsys_state *parent)
{
	struct container_subsys_state *css = kzalloc_obj(*css);

	return css ?: ERR_PTR(-ENOMEM);
}

static void ns_destroy(struct container_subsys_state *css)
{
	kfree(css);
}

static int ns_can_attach(struct container_subsys_state *css, struct container_attach *set)
{
	struct task_struct *task = set->tasks[0];
	unsigned int i;

	/* who may make namespaces has been asked by Linux */
	if (set->clone)
		return 0;
	if (set->occupied)
		return container_refuse(set->to, task, &ns_subsys, "attach",
					"it has had its first task", -EPERM);
	if (!same_thread_group(task, current) && !capable(CAP_SYS_ADMIN))
		return container_refuse(set->to, task, &ns_subsys, "attach",
					"another process is moved with CAP_SYS_ADMIN only", -EPERM);
	for (i = 0; i < set->nr; i++)
		if (container_task_css(set->tasks[i], ns_subsys_id) != css->parent)
			return container_refuse(set->to, set->tasks[i], &ns_subsys, "attach",
						"it is not right below the task's", -EPERM);
	return 0;
}

struct container_subsys ns_subsys = {
	.create		= ns_create,
	.destroy	= ns_destroy,
	.can_attach	= ns_can_attach,
	.named_only	= true,
};
