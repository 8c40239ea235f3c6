// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file `kill`: SIGKILL for every process with a thread in a container or
 * below it.
 *
 * A walk over the thread numbers finds whoever is visible, and is repeated
 * until a whole walk finds nobody to kill. That it ends, against a fork bomb
 * too, is container.kills' doing: while it is not zero a fork in there fails.
 * That nobody is missed:
 *
 *   - a fork that was past the look at kills when it was raised has a parent
 *     that a walk kills before the child is visible (then copy_process() gives
 *     up: it looks for a fatal signal under the same siglock under which it
 *     makes the child visible), or the child is visible by the next walk;
 *   - a thread that executes a program takes its leader's number and may so
 *     pass behind the walk, but only once: it cannot start a thread any more.
 *     That is why there are two walks at least.
 *
 * Locking: RCU for the walk, siglock inside send_sig(). Neither the mutex nor
 * membership is held still: a task that moves within is found where it is, one
 * that moves out in time has escaped, one that moves in may be killed.
 */
#include "internal.h"

#include <linux/sched/signal.h>
#include <linux/sched/task.h>

/* How many are in progress, in all containers; forks look at this first. */
atomic_t container_kills = ATOMIC_INIT(0);

/* The rest of container_being_killed(). */
bool container_group_being_killed(struct container_membership *m)
{
	struct container *cont;
	int slot;

	for (slot = 0; slot < CONFIG_MAX_CONTAINER_HIERARCHIES; slot++)
		for (cont = m->container[slot]; cont; cont = cont->parent)
			if (atomic_read(&cont->kills))
				return true;
	return false;
}

/*
 * Returns whether that was news. Not for kernel threads, nor for the first
 * process of a pid namespace that the writer itself lives in: these ignore it.
 */
static bool kill_task(struct task_struct *task)
{
	if (task->flags & (PF_KTHREAD | PF_EXITING) || fatal_signal_pending(task))
		return false;
	send_sig(SIGKILL, task, 0);
	return fatal_signal_pending(task);
}

static unsigned int kill_walk(struct container *cont)
{
	struct task_struct *task;
	unsigned int killed = 0;
	pid_t cursor = 0;

	while ((task = container_next_task_below(cont, &cursor))) {
		killed += kill_task(task);
		put_task_struct(task);
		cond_resched();
	}
	return killed;
}

/**
 * container_kill_write - the file `kill`
 * @cont: container; the operation pins it
 * @file: unused
 * @val: 1
 *
 * Returns when all have the signal; `events` tells when they are gone.
 *
 * Return: 0; -ERANGE for another number; -EPERM in a root, whose tasks include
 * everything else that runs on the machine.
 */
int container_kill_write(struct container *cont, const struct container_file *file, u64 val)
{
	if (val != 1)
		return -ERANGE;
	if (container_is_root(cont))
		return -EPERM;
	atomic_inc(&cont->kills);
	atomic_inc(&container_kills);
	/* pairs with the full barrier between becoming visible and running of a new task */
	smp_mb__after_atomic();
	kill_walk(cont);
	while (kill_walk(cont))
		;
	atomic_dec(&container_kills);
	atomic_dec(&cont->kills);
	return 0;
}
