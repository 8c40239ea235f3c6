// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tasks are born into their parent's container and leave it when they exit.
 *
 * A fork takes one reference to the parent's group, whatever the number of
 * hierarchies; neither container_mutex nor group_lock is taken, unless the
 * child gets namespaces of its own and with them a container (ns.c), or is a thread
 * whose process is just being moved. The child
 * has its group before it is visible, so whoever finds it finds it whole.
 *
 * A child that is a thread holds container_thread_rwsem for reading meanwhile,
 * from before the parent's group is looked at: moving a process holds it for
 * writing and so misses no thread that is being made. (With the look first, a
 * process that moved in between left its new thread behind.) A process that has
 * one thread is moved without: whoever makes a thread says so in its task first and then
 * looks for such a move (thread_begins()), and the mover says which process it is at
 * and then looks for such a thread (container_moving_alone()), so that one of the two sees the other, and
 * gives way: the thread waits for container_mutex, the mover takes the semaphore. That is also held by a child
 * that shares its parent's memory, as Linux then makes a table for futexes, or gets namespaces: they have to sleep.
 *
 * While a subsystem with callbacks for tasks is bound, every fork and exit is a section that
 * writers of the semaphore wait for: every rebinding is one, and every move while one that
 * counts by them is bound: then a task's fork(), attach() and exit() are told of the states in
 * the order in which it had them. (Else a child can be found and moved before fork() is
 * told of the state after.) An exit, and a fork of which no fork() is told, need not sleep: as long as no
 * writer is there or has just been, it is an RCU section, which a writer waits for
 * before he has the semaphore (percpu_down_write() begins with that, for its own readers), and
 * the semaphore is not touched. can_fork() may ask for it nevertheless: then the fork begins anew, with it.
 *
 * While none is bound, nobody is told, and no writer keeps such a fork or exit waiting. Whoever
 * binds the first one sets `told` and waits for a grace period.
 * Tasks that have come and gone meanwhile are nobody's affair: at its binding a
 * subsystem is told how many there are (count()). One that does not count sets right
 * in fork() what the child is a copy of, its affinity say, and that may be older than the
 * unbinding: it is told for good.
 *
 * Exit swaps the pointer under task_lock, as attach does, and attach looks for
 * PF_EXITING under the same lock: either attach sees that the task exits, or
 * exit sees the new group and drops that one. (In 2007 only attach's look was
 * locked, and a container could stay busy for ever.)
 */
#include "internal.h"

#include <linux/container_fork.h>
#include <linux/container_hooks.h>
#include <linux/percpu-rwsem.h>
#include <linux/sched/cputime.h>
#include <linux/sched/task.h>
#include <trace/events/container.h>

DEFINE_PERCPU_RWSEM(container_thread_rwsem);

/* Subsystems with a can_fork, a fork, an exit or any callback for tasks; constant after boot. */
static unsigned long can_fork_mask __ro_after_init;
static unsigned long fork_mask __ro_after_init;
static unsigned long exit_mask __ro_after_init;
static unsigned long tasks_mask __ro_after_init;
/* ... a fork, and no count: told for good once they have been bound. */
static unsigned long copied_mask __ro_after_init;

/* ... that must not see forks and exits while a single thread is moved. */
static unsigned long counted_mask __ro_after_init;

/*
 * Those of tasks_mask that are told; container_mutex, and container_thread_rwsem for writing where bits come.
 */
static unsigned long told_mask __read_mostly;
/* There are some, or there may be soon. Written with the semaphore for writing; RCU, see above. */
static bool told __read_mostly;

void __init container_fork_init(void)
{
	struct container_subsys *ss;
	int id;

	for_each_container_subsys(ss, id) {
		if (ss->can_fork)
			can_fork_mask |= BIT(id);
		if (ss->fork)
			fork_mask |= BIT(id);
		if (ss->fork && !ss->count)
			copied_mask |= BIT(id);
		if (ss->exit)
			exit_mask |= BIT(id);
		if (container_subsys_has_tasks(ss))
			tasks_mask |= BIT(id);
		if (container_subsys_counts_tasks(ss))
			counted_mask |= BIT(id);
	}
}

/**
 * container_moving_waits - does a move need container_thread_rwsem?
 * @process: all threads of a process are going to move, and it may have several
 *
 * For one thread, or a process that is tried as if it had one, only while a subsystem is told that counts
 * by callbacks. In a kernel that has one it is mostly bound nowhere, and moves are as in any other.
 *
 * Context: any; container_mutex keeps the answer.
 */
bool container_moving_waits(bool process)
{
	return process || READ_ONCE(told_mask) & counted_mask;
}

/**
 * container_moving_lock - container_lock(), and nobody is born or exits if that matters
 * @process: as for container_moving_waits()
 *
 * If it needs the semaphore no thread is born until container_moving_unlock(), nor is anybody else or
 * exits while somebody is told of it.
 *
 * Context: process; sleeps.
 * Return: for container_moving_unlock().
 */
bool container_moving_lock(bool process)
{
	bool begun = container_moving_waits(process);

	if (begun)
		percpu_down_write(&container_thread_rwsem);
	container_lock();
	if (begun || !container_moving_waits(process))
		return begun;
	/* one has been bound since the first look; the semaphore is the outer lock */
	container_unlock();
	percpu_down_write(&container_thread_rwsem);
	container_lock();
	return true;
}

void container_moving_unlock(bool begun)
{
	container_unlock();
	if (begun)
		percpu_up_write(&container_thread_rwsem);
}

/**
 * container_binding_begins - subsystems are going to be bound or unbound
 * @mask: which, or more
 *
 * If one of them has callbacks for tasks, nobody is born or exits until
 * container_binding_ends().
 *
 * Context: process; sleeps; outside of container_mutex.
 * Return: for container_binding_ends().
 */
bool container_binding_begins(unsigned long mask)
{
	if (!(mask & tasks_mask))
		return false;
	percpu_down_write(&container_thread_rwsem);
	if (!told) {
		WRITE_ONCE(told, true);
		/* pairs with the RCU sections of those who have seen it false */
		synchronize_rcu_expedited();
	}
	return true;
}

void container_binding_ends(bool begun)
{
	if (!begun)
		return;
	/* pairs with is_quiet() */
	smp_store_release(&told, READ_ONCE(told_mask) != 0);
	percpu_up_write(&container_thread_rwsem);
}

/**
 * container_tell_tasks - a subsystem has been bound or parked
 * @ss: subsystem
 *
 * When the last container of an unmounted tree goes, it is parked while somebody may be at
 * a fork that began before. What is miscounted then the next binding counts anew.
 *
 * Context: container_mutex; when it is bound also container_binding_begins(), if
 * it has callbacks for tasks.
 */
void container_tell_tasks(struct container_subsys *ss)
{
	unsigned long bit = tasks_mask & BIT(ss->id);

	container_assert_locked();
	if (ss->hierarchy) {
		if (bit)
			percpu_rwsem_assert_held(&container_thread_rwsem);
		WRITE_ONCE(told_mask, told_mask | bit);
	} else {
		WRITE_ONCE(told_mask, told_mask & ~(bit & ~copied_mask));
	}
}

/**
 * container_count_tasks - all tasks, but for those that have left their containers
 *
 * Context: container_binding_begins().
 * Return: threads, kernel threads among them, without the idle tasks.
 */
unsigned int container_count_tasks(void)
{
	struct task_struct *process, *task;
	unsigned int nr = 0;

	percpu_rwsem_assert_held(&container_thread_rwsem);
	read_lock(&tasklist_lock);
	for_each_process_thread(process, task)
		nr += rcu_access_pointer(task->containers) != &exited_membership.group;
	read_unlock(&tasklist_lock);
	return nr;
}

/* Can a fork or an exit be without the semaphore? @sleepers: callbacks that need it. */
static __always_inline bool is_quiet(unsigned long sleepers)
{
	/* pairs with container_binding_ends(): who sees that nobody is told sees told_mask empty */
	if (!smp_load_acquire(&told))
		return true;
	return !(READ_ONCE(told_mask) & sleepers) && rcu_sync_is_idle(&container_thread_rwsem.rss);
}

/* The process that is moved as if nobody made threads in it; container_mutex. */
static struct signal_struct *moves_alone;

/**
 * container_moving_alone - is this task its whole process, and stays so?
 * @task: referenced
 *
 * container_thread_rwsem costs more than all the rest of such a move.
 *
 * Context: container_mutex.
 * Return: true until container_moved_alone(); or false.
 */
bool container_moving_alone(struct task_struct *task)
{
	container_assert_locked();
	/* with the membership that the last one got */
	smp_store_release(&moves_alone, task->signal);
	/* pairs with thread_begins() */
	smp_mb();
	/* pairs with thread_ends(): a thread that is not being made any more is counted */
	if (!smp_load_acquire(&task->container_clones) && get_nr_threads(task) == 1 &&
	    !(READ_ONCE(task->flags) & PF_EXITING))
		return true;
	container_moved_alone();
	return false;
}

void container_moved_alone(void)
{
	/* pairs with thread_begins(): who does not find it here finds the new membership */
	smp_store_release(&moves_alone, NULL);
}

/* Before a thread gets its membership from us. */
static void thread_begins(void)
{
	WRITE_ONCE(current->container_clones, true);
	/* pairs with container_moving_alone() */
	smp_mb();
	/* pairs with container_moved_alone() */
	if (smp_load_acquire(&moves_alone) == current->signal) {
		container_lock();
		container_unlock();
	}
}

/* It can be found among the threads, or has come to nothing. */
static void thread_ends(void)
{
	if (!current->container_clones)
		return;
	/* pairs with container_moving_alone() */
	smp_store_release(&current->container_clones, false);
}

/* Of a fork or an exit. Returns whether it has the semaphore; else it must not sleep. */
static __always_inline bool change_begins(bool sleeps, unsigned long sleepers)
{
	rcu_read_lock();
	if (!sleeps && is_quiet(sleepers)) {
		/* until change_ends() */
		__release(RCU);
		return false;
	}
	rcu_read_unlock();
	percpu_down_read(&container_thread_rwsem);
	return true;
}

static void change_ends(bool locked)
{
	if (locked) {
		percpu_up_read(&container_thread_rwsem);
	} else {
		__acquire(RCU);
		rcu_read_unlock();
	}
}

/* The child remembers how it began: it is not found yet, nor does it run before the end. */
static void birth_begins(struct task_struct *child, bool sleeps)
{
	child->container_locked = change_begins(sleeps, fork_mask);
}

static void birth_ends(struct task_struct *child)
{
	thread_ends();
	change_ends(child->container_locked);
}

/**
 * container_wait_for_births - who has begun to fork can be found, or has come to nothing
 *
 * Context: process; sleeps; without what a fork may wait for: container_mutex, above all.
 */
void container_wait_for_births(void)
{
	percpu_down_write(&container_thread_rwsem);
	/* while nobody is told, sections of RCU do not heed the semaphore: pairs with is_quiet() */
	if (!told)
		synchronize_rcu_expedited();
	percpu_up_write(&container_thread_rwsem);
}

/**
 * container_fork_may_sleep - may can_fork() sleep?
 * @child: that can_fork() or cancel_fork() was called for
 *
 * Context: can_fork() or cancel_fork().
 * Return: if not, and it has to, can_fork() returns CONTAINER_FORK_SLEEPS.
 */
bool container_fork_may_sleep(const struct task_struct *child)
{
	return child->container_locked;
}

/* Who is to be told, in a section that change_begins() has begun. */
static unsigned long told_of(unsigned long mask)
{
	return mask & READ_ONCE(told_mask);
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

/* All or none. Nobody else knows the child, and the section keeps its group's states. */
static int charge_child(struct task_struct *child)
{
	struct container_group *group = rcu_dereference_protected(child->containers, 1);
	struct container_subsys *ss;
	int id, ret;

	for_each_bound_subsys(ss, id, told_of(can_fork_mask)) {
		ret = ss->can_fork(child, rcu_dereference_protected(group->state[id], 1));
		if (ret) {
			uncharge_child(child, told_of(can_fork_mask) & (BIT(id) - 1));
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
	birth_ends(child);
}

static __always_inline int try_birth(struct task_struct *child, u64 flags, bool sleeps)
{
	struct container_membership *m;
	int ret;

	birth_begins(child, sleeps);
	if (flags & CLONE_THREAD)
		thread_begins();
	m = container_group_get_current();
	if (container_being_killed(m)) {
		container_group_put(m);
		birth_ends(child);
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

/* A subsystem has asked for it. */
static noinline int try_birth_again(struct task_struct *child, u64 flags)
{
	return try_birth(child, flags, true);
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
	/* a thread has CLONE_VM, too */
	int ret = try_birth(child, flags, flags & CLONE_VM || container_ns_flags(flags));

	return unlikely(ret == CONTAINER_FORK_SLEEPS) ? try_birth_again(child, flags) : ret;
}

/**
 * container_cancel_fork - the child will not be
 * @child: task that never became visible
 * @flags: as in container_can_fork()
 */
void container_cancel_fork(struct task_struct *child, u64 flags)
{
	uncharge_child(child, told_of(can_fork_mask));
	forget_child(child, flags);
}

/*
 * Of @mask those who have something to do for the child. For most children that is nobody, so it is
 * found out without a reference to the group: somebody may move the child, and RCU keeps what it was in.
 */
static unsigned long fork_looks(struct task_struct *child, unsigned long mask)
{
	struct container_group *group;
	struct container_subsys *ss;
	int id;

	/*
	 * The child can be found, then we look at what it has become part of. Pairs with those who
	 * change that and then look for tasks: move_tasks_locked() in cpuset.c,
	 * round_begin_locked() in memset_tasks.c.
	 */
	smp_mb();
	guard(rcu)();
	group = rcu_dereference(child->containers);
	trace_container_fork(child, to_membership(group));
	for_each_bound_subsys(ss, id, mask)
		if (ss->fork_fits && ss->fork_fits(child, rcu_dereference(group->state[id])))
			mask &= ~BIT(id);
	return mask;
}

/* ... and who do it. */
static void fork_tells(struct task_struct *child, unsigned long mask)
{
	/* our reference keeps the containers, and the semaphore their states */
	struct container_membership *m = container_group_get(child);
	struct container_subsys *ss;
	int id;

	for_each_bound_subsys(ss, id, mask)
		ss->fork(child, rcu_dereference_protected(m->group.state[id], 1));
	container_group_put(m);
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
	unsigned long mask = told_of(fork_mask);

	if (container_ns_flags(flags))
		container_clone_forked(child);
	if (mask || trace_container_fork_enabled())
		mask = fork_looks(child, mask);
	if (mask)
		fork_tells(child, mask);
	birth_ends(child);
}

/**
 * container_exit - a task leaves its containers
 * @task: current, PF_EXITING is set
 *
 * Parks the task on exited_membership, without a reference, so that whatever
 * still asks for its states until it is freed finds the root's.
 *
 * Context: do_exit(), no locks.
 */
void container_exit(struct task_struct *task)
{
	struct container_membership *m;
	struct container_subsys *ss;
	bool locked;
	int id;

	/* the scheduler charges what has run when it looks, and would charge the root */
	if (IS_ENABLED(CONFIG_CONTAINER_CPUACCT))
		task_sched_runtime(task);
	locked = change_begins(false, 0);
	task_lock(task);
	m = to_membership(rcu_dereference_protected(task->containers,
						    lockdep_is_held(&task->alloc_lock)));
	rcu_assign_pointer(task->containers, &exited_membership.group);
	task_unlock(task);

	trace_container_exit(task, m);
	/* our reference keeps the group, and the section its states */
	for_each_bound_subsys(ss, id, told_of(exit_mask))
		ss->exit(task, rcu_dereference_protected(m->group.state[id], 1));
	container_group_put(m);
	change_ends(locked);
}
