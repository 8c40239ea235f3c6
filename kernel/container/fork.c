// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks are born into their parent's container and leave it when they exit.
 *
 * A fork takes one reference to the parent's group, whatever the number of
 * hierarchies; neither container_mutex nor group_lock is taken, unless the
 * child gets namespaces of its own and with them a container (ns.c). The child
 * has its group before it is visible, so whoever finds it finds it whole.
 *
 * A child that is a thread holds container_thread_rwsem for reading meanwhile,
 * from before the parent's group is looked at: moving a process holds it for
 * writing and so misses no thread that is being made. (With the look first, a
 * process that moved in between left its new thread behind.) If a subsystem has
 * callbacks for tasks, every fork and exit does so, and every rebinding holds it
 * for writing; and every move if a subsystem counts by them: then a task's fork(),
 * attach() and exit() are told of the states in the order in which it had them.
 * (Else a child can be found and moved before fork() is told of the state after.)
 *
 * Exit swaps the pointer under task_lock, as attach does, and attach looks for
 * PF_EXITING under the same lock: either attach sees that the task exits, or
 * exit sees the new group and drops that one. (In 2007 only attach's look was
 * locked, and a container could stay busy for ever.)
 */
#include "internal.h"

#include <linux/container_hooks.h>
#include <linux/percpu-rwsem.h>
#include <linux/sched/task.h>
#include <trace/events/container.h>

DEFINE_PERCPU_RWSEM(container_thread_rwsem);

/* Subsystems with a can_fork, a fork or an exit callback; constant after boot. */
static unsigned long can_fork_mask __ro_after_init;
static unsigned long fork_mask __ro_after_init;
static unsigned long exit_mask __ro_after_init;

/* Is there a subsystem that must not see forks and exits while it is rebound? */
static bool all_are_told __ro_after_init;
/* Or while a single thread is moved? */
static bool all_are_counted __ro_after_init;

void __init container_fork_init(void)
{
	struct container_subsys *ss;
	int id;

	for_each_container_subsys(ss, id) {
		if (ss->can_fork)
			can_fork_mask |= BIT(id);
		if (ss->fork)
			fork_mask |= BIT(id);
		if (ss->exit)
			exit_mask |= BIT(id);
		all_are_told |= container_subsys_has_tasks(ss);
		all_are_counted |= container_subsys_counts_tasks(ss);
	}
}

/**
 * container_moving_begins - nobody is born or exits until container_moving_ends()
 * @process: all threads of a process are going to move
 *
 * For one thread only if a subsystem counts by callbacks.
 *
 * Context: process; sleeps; outside of container_mutex.
 */
void container_moving_begins(bool process)
{
	if (process || all_are_counted)
		percpu_down_write(&container_thread_rwsem);
}

void container_moving_ends(bool process)
{
	if (process || all_are_counted)
		percpu_up_write(&container_thread_rwsem);
}

static void birth_begins(u64 flags)
{
	if (flags & CLONE_THREAD || all_are_told)
		percpu_down_read(&container_thread_rwsem);
}

static void birth_ends(u64 flags)
{
	if (flags & CLONE_THREAD || all_are_told)
		percpu_up_read(&container_thread_rwsem);
}

/* It comes to nothing: the subsystems that have charged the child hear of it. */
static void uncharge_child(struct task_struct *child, unsigned long mask)
{
	struct container_group *group = rcu_dereference_protected(child->containers, 1);
	struct container_subsys *ss;
	int id;

	for_each_bound_subsys(ss, id, mask)
		if (ss->cancel_fork)
			ss->cancel_fork(child, rcu_dereference_protected(group->state[id], 1));
}

/* All or none. Nobody else knows the child, and the semaphore keeps its group's states. */
static int charge_child(struct task_struct *child)
{
	struct container_group *group = rcu_dereference_protected(child->containers, 1);
	struct container_subsys *ss;
	int id, ret;

	for_each_bound_subsys(ss, id, can_fork_mask) {
		ret = ss->can_fork(child, rcu_dereference_protected(group->state[id], 1));
		if (ret) {
			uncharge_child(child, can_fork_mask & (BIT(id) - 1));
			return ret;
		}
	}
	return 0;
}

/* The child, which nobody has charged or all have let go, loses its membership. */
static void forget_child(struct task_struct *child, u64 flags)
{
	struct container_group *group;

	if (container_ns_flags(flags)) {
		container_clone_cancel(child);
	} else {
		group = rcu_dereference_protected(child->containers, 1);
		RCU_INIT_POINTER(child->containers, NULL);
		container_group_put(to_membership(group));
	}
	birth_ends(flags);
}

/**
 * container_can_fork - put a new task into its parent's containers
 * @child: task that has a pid and is not visible yet
 * @flags: CLONE_* of the call
 *
 * Context: copy_process(); to be followed by container_post_fork() or
 * container_cancel_fork().
 * Return: 0; -EAGAIN when the parent is about to be killed (kill.c); the
 * error of container_ns_fork(); or what a subsystem said.
 */
int container_can_fork(struct task_struct *child, u64 flags)
{
	struct container_membership *m;
	int ret;

	birth_begins(flags);
	m = container_group_get_current();
	if (container_being_killed(m)) {
		container_group_put(m);
		birth_ends(flags);
		return -EAGAIN;
	}
	rcu_assign_pointer(child->containers, &m->group);
	/* first where it will be, then who is charged for it */
	ret = container_ns_fork(child, flags);
	if (!ret)
		ret = charge_child(child);
	if (ret)
		forget_child(child, flags);
	return ret;
}

/**
 * container_cancel_fork - the child will not be
 * @child: task that never became visible
 * @flags: as in container_can_fork()
 */
void container_cancel_fork(struct task_struct *child, u64 flags)
{
	uncharge_child(child, can_fork_mask);
	forget_child(child, flags);
}

/**
 * container_post_fork - the child is visible and can be found and moved
 * @child: new task
 * @flags: as in container_can_fork()
 *
 * Context: copy_process(), no locks.
 */
void container_post_fork(struct task_struct *child, u64 flags)
{
	struct container_membership *m;
	struct container_subsys *ss;
	int id;

	if (container_ns_flags(flags))
		container_clone_forked(child);
	if (!fork_mask && !trace_container_fork_enabled())
		goto out;
	/* somebody may move it; our reference keeps the containers, and the semaphore their states */
	m = container_group_get(child);
	trace_container_fork(child, m);
	for_each_bound_subsys(ss, id, fork_mask)
		ss->fork(child, rcu_dereference_protected(m->group.state[id], 1));
	container_group_put(m);
out:
	birth_ends(flags);
}

/**
 * container_exit - a task leaves its containers
 * @task: current, PF_EXITING is set
 *
 * Parks the task on the first task's group, without a reference, so that
 * whatever still asks for its states until it is freed finds the root's.
 *
 * Context: do_exit(), no locks.
 */
void container_exit(struct task_struct *task)
{
	struct container_membership *m;
	struct container_subsys *ss;
	int id;

	if (all_are_told)
		percpu_down_read(&container_thread_rwsem);
	task_lock(task);
	m = to_membership(rcu_dereference_protected(task->containers,
						    lockdep_is_held(&task->alloc_lock)));
	rcu_assign_pointer(task->containers, &init_membership.group);
	task_unlock(task);

	trace_container_exit(task, m);
	/* our reference keeps the group, and the semaphore its states */
	for_each_bound_subsys(ss, id, exit_mask)
		ss->exit(task, rcu_dereference_protected(m->group.state[id], 1));
	container_group_put(m);
	if (all_are_told)
		percpu_up_read(&container_thread_rwsem);
}
