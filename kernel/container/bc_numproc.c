// SPDX-License-Identifier: GPL-2.0-only
/*
 * numproc: tasks of a container, as a resource of its beancounter.
 *
 * A task is a thread, as in the file `tasks`: from before anybody can find it
 * until it exits. What is charged is where the task is, so that held is what `tasks` lists, here
 * and below.
 *
 *   fork	charged in can_fork(), or EAGAIN; undone in cancel_fork()
 *   move	goes with the task, is never refused, and leaves the amounts above both
 *		containers alone
 *   exit	given back. Not later, at release: a task that has exited has no container
 *		any more, and who reaps it, and when, may be a matter of other containers
 *
 * Locking: none of ours. Callbacks of fork and exit are in the core's section,
 * moved() is under container_mutex and task_lock().
 *
 * Order: the charge is there before the child can be moved, and moved() is under the lock under which a
 * task leaves, so that its exit gives back what has been charged before: no bound is passed in between.
 *
 * Lifetime: no reference. A container with a charge has a task, or one that is being forked,
 * and neither rmdir nor a rebinding leaves one behind.
 *
 * Surprises: nothing is counted while bc is bound nowhere; who is there when it is bound is
 * the root's. With CAP_SYS_ADMIN it is the parent's capability that counts. The idle tasks have no
 * number and are not charged; kernel threads are the root's.
 */
#include "bc.h"
#include "chain.h"

#include <linux/sched.h>

/* The idle tasks have no number. */
static bool is_counted(const struct task_struct *task)
{
	return task->pid;
}

/**
 * bc_common - where two chains meet
 * @a: pinned by the caller
 * @b: the same
 *
 * Context: any.
 * Return: the lowest that a charge to either counts in; NULL if there is none,
 * because something below was made flat.
 */
struct bc *bc_common(struct bc *a, struct bc *b)
{
	return chain_common(a, b, up);
}

int bc_can_fork(struct task_struct *child, struct container_subsys_state *css)
{
	return is_counted(child) ? bc_charge(css_bc(css), BC_NUMPROC, 1, -EAGAIN) : 0;
}

void bc_cancel_fork(struct task_struct *child, struct container_subsys_state *css)
{
	if (is_counted(child))
		bc_leave(css_bc(css), NULL, BC_NUMPROC, 1);
}

void bc_moved(struct container_subsys_state *css, struct container_subsys_state *from,
	      struct task_struct *task)
{
	struct bc *common = bc_common(css_bc(css), css_bc(from));

	lockdep_assert_held(&task->alloc_lock);
	if (!is_counted(task))
		return;
	bc_enter(css_bc(css), common, BC_NUMPROC, 1);
	bc_leave(css_bc(from), common, BC_NUMPROC, 1);
}

void bc_exit(struct task_struct *task, struct container_subsys_state *css)
{
	bc_leave(css_bc(css), NULL, BC_NUMPROC, 1);
}

/* bc_bind() has forgotten those of the last tree. */
void bc_count(struct container_subsys_state *root_css, unsigned int tasks)
{
	bc_enter(css_bc(root_css), NULL, BC_NUMPROC, tasks);
}
