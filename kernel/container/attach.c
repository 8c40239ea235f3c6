// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moving tasks between containers of one hierarchy, and listing them.
 *
 * A move is all or nothing: groups for all tasks are found first, then every
 * subsystem of the hierarchy is asked, and only then are pointers swapped,
 * which cannot fail. A task that begins to exit meanwhile is left alone. Who may
 * move whom is permission.c's.
 *
 * Locking: container_thread_rwsem for writing when a process of several threads
 * moves, so that it gains none in between (one that has but one: see
 * container_moving_alone()), and while a subsystem is bound that counts tasks by callbacks; container_mutex;
 * task_lock around each swap, where PF_EXITING is looked at again (fork.c has the other side). The kernfs active
 * reference of the file comes inside of container_mutex for who waits for it, rmdir, and is given up before it, or
 * the mutex is not waited for: move_now().
 */
#include "internal.h"

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/pid_namespace.h>
#include <linux/sched/cputime.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include <trace/events/container.h>

/* A task's group. Only an exit can change it while container_mutex is held. */
static struct container_membership *task_membership_locked(struct task_struct *task)
{
	container_assert_locked();
	return to_membership(rcu_dereference_protected(task->containers,
						       lockdep_is_container_mutex_held()));
}

static struct container_subsys_state *group_state_locked(struct container_membership *m, int id)
{
	return rcu_dereference_protected(m->group.state[id], lockdep_is_container_mutex_held());
}

/* can_attach() said yes, and nobody moved after all. */
static void cancel_attach(struct container_attach *set, unsigned long mask)
{
	struct container_subsys *ss;
	int id;

	for_each_bound_subsys(ss, id, mask)
		if (ss->cancel_attach)
			ss->cancel_attach(set->to->state[id], set);
}

static int can_attach(struct container_attach *set)
{
	unsigned long count = READ_ONCE(set->to->why.count);
	struct container_refusal why = { .what = "attach" };
	struct container_subsys *ss;
	int id, ret = 0;

	for_each_bound_subsys(ss, id, set->to->hierarchy->subsys_mask) {
		if (!ss->can_attach)
			continue;
		ret = ss->can_attach(set->to->state[id], set);
		if (ret)
			break;
	}
	if (ret) {
		why.ss = ss;
		why.error = ret;
		container_refused_by(set->to, set->tasks[0], &why, count);
		cancel_attach(set, set->to->hierarchy->subsys_mask & (BIT(id) - 1));
	}
	return ret;
}

/* With task_lock(): who exits is counted out of where it has just been counted in. */
VISIBLE_IF_KUNIT void container_tell_moved_locked(struct task_struct *task, struct container_membership *from,
						  struct container *cont)
{
	struct container_subsys *ss;
	int id;

	KUNIT_STATIC_STUB_REDIRECT(container_tell_moved_locked, task, from, cont);
	lockdep_assert_held(&task->alloc_lock);
	for_each_bound_subsys(ss, id, cont->hierarchy->subsys_mask)
		if (ss->moved)
			ss->moved(cont->state[id], group_state_locked(from, id), task);
}

/*
 * Swap one task's group for @to, which gives its reference away.
 * False if the task exits: it has left or will leave its group by itself.
 */
static bool move_task(struct task_struct *task, struct container_membership *to,
		      struct container *cont, bool unborn)
{
	struct container_membership *from;
	struct container_subsys *ss;
	int id;

	task_lock(task);
	if (task->flags & PF_EXITING) {
		task_unlock(task);
		container_group_put(to);
		return false;
	}
	from = task_membership_locked(task);
	/* @to keeps it populated, so nobody takes the bit for that of an earlier time */
	if (from != to && !container_is_root(cont))
		set_bit(CONTAINER_OCCUPIED, &cont->flags);
	rcu_assign_pointer(task->containers, &to->group);
	if (from != to && !unborn)
		container_tell_moved_locked(task, from, cont);
	task_unlock(task);

	if (from != to && !unborn) {
		trace_container_attach(task, container_of_group(from, cont->hierarchy), cont);
		/* @to may be gone with the task; the container is not */
		for_each_bound_subsys(ss, id, cont->hierarchy->subsys_mask) {
			if (ss->attach)
				ss->attach(cont->state[id], group_state_locked(from, id), task);
		}
	}
	container_group_put(from);
	return true;
}

/* The group each task will be in; all of them or an error. */
static int find_groups(struct container_attach *set, struct container_membership **groups)
{
	unsigned int i;

	for (i = 0; i < set->nr; i++) {
		groups[i] = container_group_find(set->tasks[i], set->to);
		if (IS_ERR(groups[i]))
			break;
	}
	if (i == set->nr)
		return 0;
	while (i--)
		container_group_put(groups[i]);
	return -ENOMEM;
}

/* All of @set or nobody. Of @unborn tasks no subsystem has been told yet: fork() will be. */
static int attach_locked(struct container_attach *set, bool unborn)
{
	struct container_membership *one, **groups = &one;
	unsigned int i, moved = 0;
	int ret;

	container_assert_locked();
	/* the groups that are made next would look like somebody */
	set->occupied = container_is_root(set->to) || container_has_members(set->to);
	if (set->nr > 1)
		groups = kvmalloc_objs(*groups, set->nr);
	if (!groups)
		return -ENOMEM;
	ret = find_groups(set, groups);
	if (ret)
		goto out;
	ret = can_attach(set);
	if (ret) {
		for (i = 0; i < set->nr; i++)
			container_group_put(groups[i]);
		goto out;
	}
	for (i = 0; i < set->nr; i++)
		moved += move_task(set->tasks[i], groups[i], set->to, unborn);
	if (!moved) {
		cancel_attach(set, set->to->hierarchy->subsys_mask);
		ret = -ESRCH;
	}
out:
	if (groups != &one)
		kvfree(groups);
	return ret;
}

/**
 * container_attach_tasks - move tasks into a container
 * @to: destination, not dead
 * @tasks: referenced tasks
 * @nr: how many
 *
 * Context: container_mutex.
 * Return: 0; -ESRCH when all of them exit; -ENOMEM; or a subsystem's refusal,
 * and then nobody was moved.
 */
int container_attach_tasks(struct container *to, struct task_struct **tasks, unsigned int nr)
{
	struct container_attach set = { .nr = nr, .tasks = tasks, .to = to };

	return attach_locked(&set, false);
}

/**
 * container_attach_clone - move a task into the container that was made for it
 * @to: destination, empty
 * @task: task
 * @unborn: it is being forked, and nobody sees it yet
 *
 * Context: container_mutex.
 * Return: as container_attach_tasks().
 */
int container_attach_clone(struct container *to, struct task_struct *task, bool unborn)
{
	struct container_attach set = { .nr = 1, .tasks = &task, .to = to, .clone = true };

	return attach_locked(&set, unborn);
}

/* What a write moves. */
enum movement {
	MOVE_THREAD,
	MOVE_ALONE,	/* a process without container_thread_rwsem, which is possible if it has one thread */
	MOVE_PROCESS,
};

/* container_attach_pid() only: the process has more threads, or may soon have. */
#define MOVE_NOT_ALONE	1
/* ... or it would have to wait. */
#define MOVE_NOT_NOW	2

/*
 * The task of a number as the writer sees it, or the writer; for a process all
 * threads that do not exit. Referenced. Returns how many, or -errno; 0 for a process that cannot be moved
 * alone. @tasks has room for one; for more it becomes an array, which the caller frees.
 */
static int collect(pid_t nr, enum movement how, struct task_struct ***tasks)
{
	struct task_struct **room = *tasks;
	struct task_struct *task, *thread;
	int n = 0, max;

	rcu_read_lock();
	task = nr ? find_task_by_vpid(nr) : current;
	if (!task) {
		rcu_read_unlock();
		return -ESRCH;
	}
	get_task_struct(task);
	rcu_read_unlock();

	if (how == MOVE_ALONE && !container_moving_alone(task)) {
		put_task_struct(task);
		return 0;
	}
	if (how != MOVE_PROCESS) {
		/* before subsystems look at it, to whom it would look like the root's */
		if (READ_ONCE(task->flags) & PF_EXITING) {
			put_task_struct(task);
			return -ESRCH;
		}
		**tasks = task;
		return 1;
	}
	/* container_thread_rwsem: the number can only shrink */
	max = max(get_nr_threads(task), 1);
	if (max > 1)
		*tasks = kvmalloc_objs(**tasks, max);
	if (!*tasks) {
		put_task_struct(task);
		return -ENOMEM;
	}
	rcu_read_lock();
	for_each_thread(task, thread) {
		if (thread->flags & PF_EXITING || WARN_ON_ONCE(n == max))
			continue;
		(*tasks)[n++] = get_task_struct(thread);
	}
	rcu_read_unlock();
	put_task_struct(task);
	if (!n && *tasks != room)
		kvfree(*tasks);
	return n ?: -ESRCH;
}

static int attach_pid_locked(struct container_node *node, pid_t pid, enum movement how,
			     const struct file *file)
{
	struct container *cont = node->cont;
	struct task_struct *one, **tasks = &one;
	int i, nr, ret;

	container_assert_locked();
	nr = collect(pid, how, &tasks);
	if (nr <= 0)
		return nr ?: MOVE_NOT_ALONE;
	ret = container_may_move(cont, tasks, nr, file, node->file->name);
	if (!ret)
		ret = container_attach_tasks(cont, tasks, nr);
	if (how == MOVE_ALONE)
		container_moved_alone();
	for (i = 0; i < nr; i++)
		put_task_struct(tasks[i]);
	if (tasks != &one)
		kvfree(tasks);
	return ret;
}

/* @mask becomes that of the subsystems that moved somebody. */
static int move_locked(struct container_node *node, pid_t pid, enum movement how,
		       const struct file *file, unsigned long *mask)
{
	int ret = -ENODEV;

	container_assert_locked();
	if (!node->cont->dead)
		ret = attach_pid_locked(node, pid, how, file);
	if (!ret)
		*mask = node->cont->hierarchy->subsys_mask;
	return ret;
}

/*
 * With the active reference of the write, to give up which and get back costs as much as two locks: whoever waits
 * for it holds container_mutex, and so nobody does who has it here without having waited.
 */
static int move_now(struct container_node *node, pid_t pid, enum movement how,
		    const struct file *file, unsigned long *mask)
{
	int ret = MOVE_NOT_NOW;

	if (!container_trylock())
		return ret;
	/* for as long as we have the mutex nobody binds a subsystem to which this matters */
	if (!container_moving_waits(how == MOVE_PROCESS))
		ret = move_locked(node, pid, how, file, mask);
	container_unlock();
	return ret;
}

/* Without it, and with all locks. */
static int move_waiting(struct container_node *node, pid_t pid, enum movement how,
			const struct file *file, unsigned long *mask)
{
	bool begun = container_moving_lock(how == MOVE_PROCESS);
	int ret = move_locked(node, pid, how, file, mask);

	container_moving_unlock(begun);
	return ret;
}

/* Would container_settle() do nothing? */
static bool is_settled(unsigned long mask)
{
	struct container_subsys *ss;
	int id;

	for_each_bound_subsys(ss, id, mask)
		if (ss->settle && !ss->is_settled())
			return false;
	return true;
}

/**
 * container_settle - what attach() of some subsystems has begun is done
 * @mask: subsystems
 *
 * Context: process, without locks.
 */
void container_settle(unsigned long mask)
{
	struct container_subsys *ss;
	int id;

	for_each_bound_subsys(ss, id, mask)
		if (ss->settle)
			ss->settle();
}

/**
 * container_attach_pid - what a write to `tasks` or `procs` does
 * @node: the file written to; its operation holds the active reference
 * @kn: its kernfs node
 * @pid: in the writer's pid namespace; 0 is the writer
 * @process: move all threads of the process
 * @file: the open file
 *
 * Return: 0; -ENODEV (container removed), -ESRCH (no such task, or it exits),
 * -EACCES and -EINVAL (permission.c), -ENOMEM, or what a subsystem said. Nothing was moved after an error.
 */
int container_attach_pid(struct container_node *node, struct kernfs_node *kn, pid_t pid,
			 bool process, const struct file *file)
{
	enum movement how = process ? MOVE_ALONE : MOVE_THREAD;
	struct container *cont = node->cont;
	unsigned long mask = 0;
	int ret;

	ret = move_now(node, pid, how, file, &mask);
	if (ret <= 0 && is_settled(mask))
		return ret;

	container_kn_enter(kn, cont);
	if (ret == MOVE_NOT_NOW)
		ret = move_waiting(node, pid, how, file, &mask);
	if (ret == MOVE_NOT_ALONE)
		ret = move_waiting(node, pid, MOVE_PROCESS, file, &mask);
	container_settle(mask);
	container_kn_leave(kn, cont);
	return ret;
}

/*
 * Where a walk over the threads of a pid namespace is: in the tree of its numbers, which an
 * IDR keeps as an XArray does (linux/radix-tree.h). A walk steps from one number to the next; find_ge_pid()
 * would look for each from the top.
 */
#define PID_WALK(walk, ns, from)	XA_STATE(walk, &(ns)->idr.idr_rt, from)

/*
 * The next thread for which @match holds; its number is walk->xa_index.
 * Context: rcu_read_lock() since the walk has begun.
 */
static __always_inline struct task_struct *
find_matching(struct xa_state *walk, bool (*match)(struct task_struct *task, const void *arg),
	      const void *arg)
{
	struct task_struct *task;
	struct pid *pid;

	xas_for_each(walk, pid, INT_MAX) {
		if (xas_retry(walk, pid))
			continue;
		task = pid_task(pid, PIDTYPE_PID);
		if (task && match(task, arg))
			return task;
	}
	return NULL;
}

/* The first one at or after *cursor in @ns, referenced; *cursor is past it then. */
static struct task_struct *next_matching(pid_t *cursor, struct pid_namespace *ns,
					 bool (*match)(struct task_struct *task, const void *arg),
					 const void *arg)
{
	PID_WALK(walk, ns, *cursor);
	struct task_struct *task;

	guard(rcu)();
	task = find_matching(&walk, match, arg);
	if (!task)
		return NULL;
	*cursor = walk.xa_index + 1;
	return get_task_struct(task);
}

static bool in_container(struct task_struct *task, const void *arg)
{
	const struct container *cont = arg;
	struct container_membership *m = to_membership(rcu_dereference(task->containers));
	struct container *at = m->container[cont->hierarchy->slot];

	/* after container_exit() a task is nowhere, though it looks like the root's */
	if (m == &exited_membership)
		return false;
	return container_is_root(cont) ? !at : at == cont;
}

static bool below_container(struct task_struct *task, const void *arg)
{
	const struct container *cont = arg;
	struct container *at;

	at = to_membership(rcu_dereference(task->containers))->container[cont->hierarchy->slot];
	while (at && at != cont)
		at = at->parent;
	return at;
}

/* A process is where its leader is; when that has exited, where any live thread is. */
static bool process_in_container(struct task_struct *task, const void *arg)
{
	struct task_struct *thread;

	if (!thread_group_leader(task))
		return false;
	if (!(task->flags & PF_EXITING))
		return in_container(task, arg);
	for_each_thread(task, thread)
		if (in_container(thread, arg))
			return true;
	return false;
}

static bool in_state(struct task_struct *task, const void *arg)
{
	const struct container_subsys_state *css = arg;

	return container_task_css(task, css->ss->id) == css;
}

/**
 * container_next_pids - walk the threads of a container by number
 * @cont: container, pinned by the caller
 * @ns: numbers as seen from here
 * @from: number to start from
 * @leaders: processes only
 * @pids: result
 * @max: room in @pids
 *
 * Context: no locks needed between calls.
 * Return: how many there are from @from on; less than @max only at the end.
 */
unsigned int container_next_pids(struct container *cont, struct pid_namespace *ns, pid_t from,
				 bool leaders, pid_t *pids, unsigned int max)
{
	PID_WALK(walk, ns, from);
	unsigned int nr = 0;

	guard(rcu)();
	if (leaders) {
		while (nr < max && find_matching(&walk, process_in_container, cont))
			pids[nr++] = walk.xa_index;
	} else {
		while (nr < max && find_matching(&walk, in_container, cont))
			pids[nr++] = walk.xa_index;
	}
	return nr;
}

/* Some thread of a container, referenced, or NULL. */
struct task_struct *container_first_task(struct container *cont)
{
	pid_t cursor = 0;

	return next_matching(&cursor, &init_pid_ns, in_container, cont);
}

/* All threads, in any pid namespace, of a container that is no root, and of those below it. */
struct task_struct *container_next_task_below(struct container *cont, pid_t *cursor)
{
	return next_matching(cursor, &init_pid_ns, below_container, cont);
}

void container_css_each_task(struct container_subsys_state *css,
			     void (*tell)(struct container_subsys_state *css,
					  struct task_struct *task, bool again))
{
	struct task_struct *task;
	pid_t cursor;
	int walk;

	/*
	 * A thread that execs takes its leader's number, which the walk may have behind it.
	 * Once: it is its own leader then, so that the next one to do this is a thread that
	 * was forked meanwhile.
	 */
	for (walk = 0; walk < 2; walk++) {
		cursor = 0;
		while ((task = next_matching(&cursor, &init_pid_ns, in_state, css))) {
			tell(css, task, walk);
			put_task_struct(task);
			cond_resched();
		}
	}
}
