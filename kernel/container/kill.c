// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file `kill`: SIGKILL for every process with a thread in a container or
 * below it.
 *
 * While container.kills is not zero a fork in there fails; those that were past
 * the look at it are waited for. Then nobody is added but by moves, and a walk
 * over the thread numbers finds whoever is there, but for a thread that executes a
 * program and so takes its leader's number, behind the walk. That can happen once, as it
 * cannot start a thread any more; a second walk finds it. There is no third: whom it could find,
 * somebody has moved in meanwhile, and who does that without end must not keep the writer here.
 *
 * It would not do to trust that the parent of such an unborn child is killed before the
 * child is visible (copy_process() looks for a fatal signal then): somebody may move the parent out.
 *
 * Locking: RCU for the walk, siglock inside send_sig(). What forks wait for, container_mutex among it, rmdir holds while it
 * waits for a write to end, so kill waits for forks without the active reference. Neither the mutex nor
 * membership is held still: a task that moves within is found where it is, one
 * that moves out in time has escaped, one that moves in may be killed.
 */
#include "internal.h"

#include <linux/container_files.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/string.h>

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

/* Kernel threads, and the first process of a pid namespace that the writer itself lives in, ignore it. */
static void kill_task(struct task_struct *task)
{
	if (!(task->flags & (PF_KTHREAD | PF_EXITING)) && !fatal_signal_pending(task))
		send_sig(SIGKILL, task, 0);
}

static void kill_walk(struct container *cont)
{
	struct task_struct *task;
	pid_t cursor = 0;

	while ((task = container_next_task_below(cont, &cursor))) {
		kill_task(task);
		put_task_struct(task);
		cond_resched();
	}
}

/**
 * container_kill - SIGKILL for all that are in a container or below it
 * @cont: container, no root, referenced; may be removed meanwhile
 *
 * Context: process; sleeps; without container_mutex and active references.
 */
void container_kill(struct container *cont)
{
	atomic_inc(&cont->kills);
	atomic_inc(&container_kills);
	/* who does not see kills began before, and can be found afterwards */
	container_wait_for_births();
	kill_walk(cont);
	kill_walk(cont);
	atomic_dec(&container_kills);
	atomic_dec(&cont->kills);
}

/**
 * container_kill_write - the file `kill`
 * @cont: container; the operation pins it
 * @of: the open file
 * @buf: 1
 *
 * Returns when all have the signal; `events` tells when they are gone.
 *
 * Return: 0; -EINVAL for no number, -ERANGE for another one; -EPERM in a root, whose tasks include
 * everything else that runs on the machine; -EACCES (permission.c).
 */
int container_kill_write(struct container *cont, struct kernfs_open_file *of, char *buf)
{
	u64 val;
	int ret = container_parse_number(strstrip(buf), &val);

	if (ret)
		return ret;
	if (val != 1)
		return -ERANGE;
	if (container_is_root(cont))
		return -EPERM;
	if (!container_may_write_now(of->file))
		return -EACCES;
	container_write_unprotect(of, cont);
	container_kill(cont);
	container_write_protect(of, cont);
	return 0;
}
