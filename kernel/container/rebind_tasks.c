// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rebinding, the part for subsystems with callbacks for tasks. For these a task
 * whose state changes has moved: can_attach() is asked for all tasks of a
 * container at once, before anything is changed; attach() is told of each, from
 * the root state to the new one or from the old one to the root state. Tasks in
 * the root of the tree keep their state.
 *
 * Locking: container_thread_rwsem, for writing, from before the tasks are
 * collected until attach() has been called: no task comes, and none leaves its
 * container (container_exit() holds it for reading, or is over before), so that fork(), attach()
 * and exit() of a subsystem add up. Not held in a kernel without such
 * subsystems. Tasks are found under tasklist_lock.
 *
 * Lifetime: the tasks are referenced until container_rebind_forget_tasks().
 */
#include "rebind.h"

#include <linux/percpu-rwsem.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/sort.h>

/* Subsystems that have such callbacks. */
static unsigned long subsys_with_tasks(unsigned long mask)
{
	struct container_subsys *ss;
	unsigned long with = 0;
	int id;

	for_each_bound_subsys(ss, id, mask)
		if (container_subsys_has_tasks(ss))
			with |= BIT(id);
	return with;
}

/**
 * container_rebind_lock - container_lock(), and nobody forks or exits if that matters
 * @mask: subsystems that may be bound or unbound, or more
 *
 * Context: process; sleeps.
 * Return: for container_rebind_unlock().
 */
bool container_rebind_lock(unsigned long mask)
{
	bool begun = container_binding_begins(mask);

	container_lock();
	return begun;
}

void container_rebind_unlock(bool begun)
{
	container_unlock();
	container_binding_ends(begun);
}

/* Where a task is, unless that is the root, or the task has left everything. */
static struct container *task_container_locked(struct task_struct *task,
					       struct container_hierarchy *h)
{
	struct container_group *group;

	container_assert_locked();
	group = rcu_dereference_protected(task->containers, lockdep_is_container_mutex_held());
	return to_membership(group)->container[h->slot];
}

/* Counts the tasks; those for which there is room are referenced and put to @tasks. */
static unsigned int list_tasks(struct container_hierarchy *h, struct task_struct **tasks,
			       unsigned int room)
{
	struct task_struct *process, *task;
	unsigned int nr = 0;

	read_lock(&tasklist_lock);
	for_each_process_thread(process, task) {
		if (!task_container_locked(task, h))
			continue;
		if (nr < room)
			tasks[nr] = get_task_struct(task);
		nr++;
	}
	read_unlock(&tasklist_lock);
	return nr;
}

static int by_container(const void *a, const void *b, const void *h)
{
	struct container *x = task_container_locked(*(struct task_struct **)a, (void *)h);
	struct container *y = task_container_locked(*(struct task_struct **)b, (void *)h);

	return x < y ? -1 : x > y;
}

static int collect_tasks(struct container_rebinding *rb)
{
	struct container *cont = NULL, *at;
	unsigned int i;

	percpu_rwsem_assert_held(&container_thread_rwsem);
	rb->nr_tasks = list_tasks(rb->h, NULL, 0);
	if (!rb->nr_tasks)
		return 0;
	rb->sets = kvzalloc_objs(*rb->sets, rb->nr);
	rb->tasks = kvzalloc_objs(*rb->tasks, rb->nr_tasks);
	if (!rb->sets || !rb->tasks) {
		rb->nr_tasks = 0;
		return -ENOMEM;
	}
	/* the semaphore: it is the same number */
	if (WARN_ON_ONCE(list_tasks(rb->h, rb->tasks, rb->nr_tasks) != rb->nr_tasks))
		return -EBUSY;
	sort_r(rb->tasks, rb->nr_tasks, sizeof(*rb->tasks), by_container, NULL, rb->h);
	for (i = 0; i < rb->nr_tasks; i++) {
		at = task_container_locked(rb->tasks[i], rb->h);
		if (at != cont)
			rb->sets[rb->nr_sets++] = (struct container_rebind_set) {
				.cont = at, .first = i };
		cont = at;
		rb->sets[rb->nr_sets - 1].nr++;
	}
	return 0;
}

/* Where a set goes as far as @ss is concerned, and where it comes from. */
static struct container_subsys_state *state_after(struct container_rebinding *rb,
						  struct container_rebind_set *set,
						  struct container_subsys *ss)
{
	return rb->add & BIT(ss->id) ? set->cont->state[ss->id] : ss->root_css;
}

static struct container_subsys_state *state_before(struct container_rebinding *rb,
						   struct container_rebind_set *set,
						   struct container_subsys *ss)
{
	return rb->add & BIT(ss->id) ? ss->root_css : set->cont->state[ss->id];
}

static struct container_attach attach_set(struct container_rebinding *rb,
					  struct container_rebind_set *set,
					  struct container_subsys *ss)
{
	return (struct container_attach) {
		.nr = set->nr,
		.tasks = rb->tasks + set->first,
		.to = rb->add & BIT(ss->id) ? set->cont : rb->h->root,
	};
}

static void cancel_tasks(struct container_rebinding *rb, struct container_subsys *ss,
			 unsigned int nr_sets)
{
	struct container_attach attach;

	while (ss->cancel_attach && nr_sets--) {
		attach = attach_set(rb, &rb->sets[nr_sets], ss);
		ss->cancel_attach(state_after(rb, &rb->sets[nr_sets], ss), &attach);
	}
}

static int ask_one(struct container_rebinding *rb, struct container_subsys *ss)
{
	struct container_refusal why = { .ss = ss };
	struct container_rebind_set *set;
	struct container_attach attach;
	unsigned long count;
	unsigned int i;

	for (i = 0; ss->can_attach && i < rb->nr_sets; i++) {
		set = &rb->sets[i];
		count = READ_ONCE(set->cont->why.count);
		attach = attach_set(rb, set, ss);
		why.error = ss->can_attach(state_after(rb, set, ss), &attach);
		if (why.error) {
			cancel_tasks(rb, ss, i);
			return container_rebind_refused(rb, set->cont, attach.tasks[0], &why,
							count);
		}
	}
	return 0;
}

/**
 * container_rebind_ask_tasks - may all tasks change their states?
 * @rb: the rebinding; states of what joins are online
 *
 * Context: container_rebind_lock().
 * Return: 0, -ENOMEM, or a subsystem's refusal; then all others have been told
 * that it comes to nothing.
 */
int container_rebind_ask_tasks(struct container_rebinding *rb)
{
	unsigned long mask = subsys_with_tasks(rb->add | rb->remove), asked = 0;
	struct container_subsys *ss;
	int id, ret;

	if (!mask)
		return 0;
	ret = collect_tasks(rb);
	if (ret)
		return ret;
	for_each_bound_subsys(ss, id, mask) {
		ret = ask_one(rb, ss);
		if (ret)
			break;
		asked |= BIT(id);
	}
	if (!ret)
		return 0;
	for_each_bound_subsys(ss, id, asked)
		cancel_tasks(rb, ss, rb->nr_sets);
	return ret;
}

static void tell_one(struct container_subsys *ss, struct container_subsys_state *to,
		     struct container_subsys_state *from, struct task_struct *task)
{
	if (ss->moved) {
		task_lock(task);
		ss->moved(to, from, task);
		task_unlock(task);
	}
	if (ss->attach)
		ss->attach(to, from, task);
}

/* They have changed. Context: container_rebind_lock(). */
void container_rebind_attach_tasks(struct container_rebinding *rb)
{
	unsigned long mask = subsys_with_tasks(rb->add | rb->remove);
	struct container_rebind_set *set;
	struct container_subsys *ss;
	unsigned int i, n;
	int id;

	for_each_bound_subsys(ss, id, mask) {
		for (i = 0; i < rb->nr_sets; i++) {
			set = &rb->sets[i];
			for (n = set->first; n < set->first + set->nr; n++)
				tell_one(ss, state_after(rb, set, ss), state_before(rb, set, ss), rb->tasks[n]);
		}
	}
}

void container_rebind_forget_tasks(struct container_rebinding *rb)
{
	unsigned int i;

	for (i = 0; i < rb->nr_tasks; i++)
		if (rb->tasks[i])
			put_task_struct(rb->tasks[i]);
	kvfree(rb->tasks);
	kvfree(rb->sets);
}
