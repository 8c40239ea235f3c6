// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem "cpuset": which CPUs the tasks of a container run on.
 *
 * A container's cpus are some of its parent's; the root has all that are online.
 * What a task may run on is kept by the scheduler, in its affinity. This file
 * keeps that right: it is set when a task enters a container and when the
 * container's cpus change, before the write returns, and it bounds what
 * sched_setaffinity() asks for. What a task asked for is remembered by the
 * scheduler (user_cpus_ptr) and holds as far as the container's cpus allow it;
 * where they allow none of it, all of these are taken.
 *
 * A new container has no CPUs, and lets no task in until it is given some. So
 * cpuset is bound only by a mount that names it (named_only): else nobody could
 * use a container that he has just made. Who cannot be asked first gets the
 * parent's cpus (post_clone).
 *
 * Locks, outer to inner:
 *
 *   container_mutex, or a control file's active reference; container_thread_rwsem
 *   cpu_hotplug_lock     only by who rebuilds scheduler domains (cpuset_domains.c),
 *                        and then with none of the above
 *   cpuset_mutex         the tree of sets, their cpus, the affinity of tasks;
 *                        sleeps, allocates
 *   sched_domains_mutex, pi_lock, runqueue locks
 *
 * Who holds cpuset_mutex waits for the CPUs' stopper threads, but for no fork
 * and no hotplug, so it may be taken inside of all that these wait for.
 *
 * Without the mutex the scheduler asks for a task's cpus (container_cpuset_allowed())
 * and a fork compares. Both may see cpus as they were, or while they are written:
 *
 *   sched_setaffinity()  sets, then asks again. Whoever changes cpus writes
 *                        them, then sets each task; the two setters have the
 *                        runqueue lock in some order, and the later one is right
 *   fork                 the child's affinity is a copy of its parent's, from
 *                        before it can be found. When it can be,
 *                        cpuset_fork_fits() compares: either it sees new cpus, or the writer's walk
 *                        sees the child (a pair of barriers)
 *
 * Lifetime: a set is freed after a grace period, so RCU keeps that of a task.
 *
 * Surprises: the affinity of a task in the root is left alone, but for those that
 * come back. A CPU that goes offline takes nothing out of cpus; tasks to which no
 * CPU is left run where the scheduler puts them.
 */
#include "internal.h"
#include "cpuset.h"

#include <linux/bitmap.h>
#include <linux/container_cpuset.h>
#include <linux/mmu_context.h>
#include <linux/sched/deadline.h>
#include <linux/sched/isolation.h>
#include <linux/sched/task.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <trace/events/container.h>

DEFINE_MUTEX(cpuset_mutex);
LIST_HEAD(cpuset_exclusive);

/* Where an affinity is put together; cpuset_mutex. */
static struct cpumask scratch;

/*
 * Has there ever been a set besides the root? Till then a fork looks at nothing. Set before
 * the first such set can be entered, never cleared: a child may have the affinity of one that is gone.
 */
static bool in_use;

static bool is_root(const struct cpuset *cs)
{
	return !cs->css.parent;
}

static struct cpuset *cpuset_of(struct container *cont)
{
	return to_cpuset(container_css(cont, &cpuset_subsys));
}

/* What children may have. */
static const struct cpumask *cpus_of(const struct cpuset *cs)
{
	return is_root(cs) ? cpu_online_mask : &cs->cpus;
}

/* Without one before container_init(), and while it is being forked: as in the root. */
static struct cpuset *task_cpuset(struct task_struct *task)
{
	struct container_group *group = rcu_dereference(task->containers);

	return group ? to_cpuset(rcu_dereference(group->state[cpuset_subsys_id])) : NULL;
}

/* The nearest set upwards that has an active CPU; NULL stands for the root. */
static struct cpuset *effective(struct cpuset *cs)
{
	while (cs && !is_root(cs) && !cpumask_intersects(&cs->cpus, cpu_active_mask))
		cs = cpuset_parent(cs);
	return cs && !is_root(cs) ? cs : NULL;
}

/* In the root, what isolcpus= sets apart is only for who asks for it. */
static const struct cpumask *affinity_in(struct cpuset *cs, struct task_struct *task)
{
	cs = effective(cs);
	if (cs)
		return &cs->cpus;
	/* whether, not what: who sets it asks again afterwards */
	return data_race(task->user_cpus_ptr) ? cpu_possible_mask :
						housekeeping_cpumask(HK_TYPE_DOMAIN);
}

/**
 * container_cpuset_allowed - the most that a task's affinity may be
 * @task: task
 * @mask: result
 *
 * Context: any. The answer may be old when it is returned; see above.
 */
void container_cpuset_allowed(struct task_struct *task, struct cpumask *mask)
{
	struct cpuset *cs;

	rcu_read_lock();
	cs = effective(task_cpuset(task));
	cpumask_copy(mask, cs ? &cs->cpus : task_cpu_possible_mask(task));
	rcu_read_unlock();
}

/* Nobody's cpus change in between; for who becomes a deadline task. */
void container_cpuset_lock(void)
{
	mutex_lock(&cpuset_mutex);
}

void container_cpuset_unlock(void)
{
	mutex_unlock(&cpuset_mutex);
}

/* A task's affinity becomes that of the container where it is now. */
static void place_locked(struct task_struct *task)
{
	lockdep_assert_held(&cpuset_mutex);
	if (task->flags & PF_NO_SETAFFINITY)
		return;
	rcu_read_lock();
	cpumask_copy(&scratch, affinity_in(task_cpuset(task), task));
	rcu_read_unlock();
	/* intersected with user_cpus_ptr there; waits until the task runs inside of it */
	set_cpus_allowed_ptr(task, &scratch);
}

/* Has a task what place_locked() would give it here, as far as can be told without the mutex? */
static bool is_placed(struct task_struct *task, struct cpuset *cs)
{
	const struct cpumask *all, *asked, *has = &task->cpus_mask;

	/* pi_lock: its affinity and what it asked for */
	guard(raw_spinlock_irqsave)(&task->pi_lock);
	all = affinity_in(cs, task);
	asked = task->user_cpus_ptr;
	if (!asked || !cpumask_intersects(all, asked))
		return cpumask_equal(has, all);
	/* what is in both */
	return cpumask_subset(has, all) && cpumask_subset(has, asked) &&
	       cpumask_weight(has) == cpumask_weight_and(all, asked);
}

/*
 * The same of one that has asked for nothing, as most, and without a lock: who asks meanwhile sets the
 * affinity, then looks at the set again.
 */
static bool has_all(struct task_struct *task, struct cpuset *cs)
{
	if (READ_ONCE(task->user_cpus_ptr))
		return false;
	/* half of a new affinity is one that is being set */
	return data_race(cpumask_equal(&task->cpus_mask, affinity_in(cs, task)));
}

/* Why @cs cannot have these CPUs; NULL if it can. */
static const char *objection_locked(struct cpuset *cs, const struct cpumask *cpus, bool exclusive,
				    int *error)
{
	struct cpuset *parent = cpuset_parent(cs), *other;

	lockdep_assert_held(&cpuset_mutex);
	*error = -EACCES;
	if (!cpumask_subset(cpus, cpus_of(parent)))
		return "its parent has not all of these CPUs";
	if (exclusive && !parent->exclusive)
		return "its parent is not exclusive";
	*error = -EBUSY;
	list_for_each_entry(other, &cs->children, sibling) {
		if (!cpumask_subset(&other->cpus, cpus))
			return "a child has other CPUs";
		if (other->exclusive && !exclusive)
			return "a child is exclusive";
	}
	*error = -EINVAL;
	list_for_each_entry(other, &parent->children, sibling) {
		if (other != cs && (exclusive || other->exclusive) &&
		    cpumask_intersects(cpus, &other->cpus))
			return "a sibling has some of these CPUs, and one of the two is exclusive";
	}
	*error = 0;
	return NULL;
}

/* What may be said of @cs is said; tasks follow with move_tasks_locked(). */
static void set_locked(struct cpuset *cs, const struct cpumask *cpus, bool exclusive)
{
	bool domains = exclusive != cs->exclusive ||
		       (exclusive && !cpumask_equal(cpus, &cs->cpus));

	lockdep_assert_held(&cpuset_mutex);
	if (exclusive && !cs->exclusive)
		list_add_tail(&cs->exclusive_link, &cpuset_exclusive);
	else if (!exclusive && cs->exclusive)
		list_del(&cs->exclusive_link);
	cs->exclusive = exclusive;
	cpumask_copy(&cs->cpus, cpus);
	trace_container_cpuset(rcu_dereference_protected(cs->css.container, 1), cpus, exclusive);
	if (domains)
		cpuset_domains_changed();
}

static void move_task_locked(struct container_subsys_state *css, struct task_struct *task,
			     bool again)
{
	if (!again || !is_placed(task, to_cpuset(css)))
		place_locked(task);
}

static void move_tasks_locked(struct cpuset *cs)
{
	lockdep_assert_held(&cpuset_mutex);
	/* cs->cpus, then the walk; pairs with the barrier in fork_looks() */
	smp_mb();
	container_css_each_task(&cs->css, move_task_locked);
}

static int change(struct container *cont, const struct cpumask *cpus, bool exclusive,
		  const char *what)
{
	struct cpuset *cs = cpuset_of(cont);
	const char *reason;
	int ret;

	lockdep_assert_held(&cpuset_mutex);
	reason = objection_locked(cs, cpus, exclusive, &ret);
	if (reason)
		return container_refuse(cont, current, &cpuset_subsys, what, reason, ret);
	set_locked(cs, cpus, exclusive);
	return 0;
}

static int parse_cpus(const char *buf, struct cpumask *cpus)
{
	int ret = bitmap_parselist(buf, cpumask_bits(cpus), nr_cpu_ids);

	if (ret)
		return ret == -EOVERFLOW ? -ERANGE : ret;
	return cpumask_empty(cpus) ? -ENOSPC : 0;
}

static int cpus_write(struct container *cont, const struct container_file *file, char *buf)
{
	struct cpuset *cs = cpuset_of(cont);
	cpumask_var_t cpus;
	int ret;

	if (!zalloc_cpumask_var(&cpus, GFP_KERNEL))
		return -ENOMEM;
	ret = parse_cpus(buf, cpus);
	if (ret)
		goto out;
	mutex_lock(&cpuset_mutex);
	ret = change(cont, cpus, cs->exclusive, "cpus");
	if (!ret)
		move_tasks_locked(cs);
	mutex_unlock(&cpuset_mutex);
out:
	free_cpumask_var(cpus);
	return ret;
}

static int cpus_show(struct seq_file *sf, struct container *cont, const struct container_file *file)
{
	mutex_lock(&cpuset_mutex);
	seq_printf(sf, "%*pbl\n", cpumask_pr_args(cpus_of(cpuset_of(cont))));
	mutex_unlock(&cpuset_mutex);
	return 0;
}

/* What tasks run on. Where none may enter it is empty. */
static int effective_show(struct seq_file *sf, struct container *cont,
			  const struct container_file *file)
{
	struct cpuset *cs = cpuset_of(cont), *from;

	mutex_lock(&cpuset_mutex);
	from = effective(cs);
	if (!is_root(cs) && cpumask_empty(&cs->cpus))
		cpumask_clear(&scratch);
	else
		cpumask_and(&scratch, from ? &from->cpus : cpu_possible_mask, cpu_online_mask);
	seq_printf(sf, "%*pbl\n", cpumask_pr_args(&scratch));
	mutex_unlock(&cpuset_mutex);
	return 0;
}

static u64 exclusive_read(struct container *cont, const struct container_file *file)
{
	u64 exclusive;

	mutex_lock(&cpuset_mutex);
	exclusive = cpuset_of(cont)->exclusive;
	mutex_unlock(&cpuset_mutex);
	return exclusive;
}

static int exclusive_write(struct container *cont, const struct container_file *file, u64 val)
{
	int ret;

	if (val > 1)
		return -ERANGE;
	mutex_lock(&cpuset_mutex);
	ret = change(cont, &cpuset_of(cont)->cpus, val, "cpu_exclusive");
	mutex_unlock(&cpuset_mutex);
	return ret;
}

/* In the root without a way to write: EACCES, at open. */
static const struct container_file cpuset_files[] = {
	{ .name = "cpus", .show = cpus_show, .flags = CONTAINER_FILE_ROOT_ONLY },
	{ .name = "cpus", .show = cpus_show, .write = cpus_write,
	  .flags = CONTAINER_FILE_NOT_ON_ROOT },
	{ .name = "cpu_exclusive", .read_u64 = exclusive_read, .flags = CONTAINER_FILE_ROOT_ONLY },
	{ .name = "cpu_exclusive", .read_u64 = exclusive_read, .write_u64 = exclusive_write,
	  .flags = CONTAINER_FILE_NOT_ON_ROOT },
	{ .name = "effective_cpus", .show = effective_show },
	{ }
};

static struct container_subsys_state *cpuset_create(struct container_subsys_state *parent)
{
	struct cpuset *cs = kzalloc_obj(*cs);

	if (!cs)
		return ERR_PTR(-ENOMEM);
	cs->exclusive = !parent;
	INIT_LIST_HEAD(&cs->children);
	return &cs->css;
}

static int cpuset_online(struct container_subsys_state *css)
{
	struct cpuset *cs = to_cpuset(css);

	if (is_root(cs))
		return 0;
	WRITE_ONCE(in_use, true);
	mutex_lock(&cpuset_mutex);
	list_add_tail(&cs->sibling, &cpuset_parent(cs)->children);
	mutex_unlock(&cpuset_mutex);
	return 0;
}

/* What the parent has, but for what a sibling has for itself. */
static void cpuset_post_clone(struct container_subsys_state *css)
{
	struct cpuset *cs = to_cpuset(css), *parent = cpuset_parent(cs), *other;

	mutex_lock(&cpuset_mutex);
	cpumask_copy(&scratch, cpus_of(parent));
	list_for_each_entry(other, &parent->children, sibling)
		if (other->exclusive)
			cpumask_andnot(&scratch, &scratch, &other->cpus);
	set_locked(cs, &scratch, false);
	mutex_unlock(&cpuset_mutex);
}

static void cpuset_offline(struct container_subsys_state *css)
{
	struct cpuset *cs = to_cpuset(css);

	mutex_lock(&cpuset_mutex);
	if (cs->exclusive)
		set_locked(cs, &cs->cpus, false);
	list_del(&cs->sibling);
	mutex_unlock(&cpuset_mutex);
}

static void cpuset_destroy(struct container_subsys_state *css)
{
	kfree(to_cpuset(css));
}

static int may_enter(struct container_attach *set, struct task_struct *task)
{
	int ret;

	if (task->flags & PF_NO_SETAFFINITY)
		return container_refuse(set->to, task, &cpuset_subsys, "attach",
					"it is bound to its CPUs", -EINVAL);
	if (dl_task(task))
		return container_refuse(set->to, task, &cpuset_subsys, "attach",
					"it is a deadline task", -EBUSY);
	ret = security_task_setscheduler(task);
	if (ret)
		return container_refuse(set->to, task, &cpuset_subsys, "attach",
					"its affinity is not the mover's to change", ret);
	return 0;
}

static int cpuset_can_attach(struct container_subsys_state *css, struct container_attach *set)
{
	struct cpuset *cs = to_cpuset(css);
	unsigned int i;
	int ret;

	/* the root takes back all */
	if (is_root(cs))
		return 0;
	/* what has been given some keeps some, so half of two masks of a word will do */
	if (data_race(cpumask_empty(&cs->cpus)))
		return container_refuse(set->to, set->tasks[0], &cpuset_subsys, "attach",
					"it has no CPUs", -ENOSPC);
	for (i = 0; i < set->nr && !set->clone; i++) {
		ret = may_enter(set, set->tasks[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static void cpuset_attach(struct container_subsys_state *css, struct container_subsys_state *from,
			  struct task_struct *task)
{
	mutex_lock(&cpuset_mutex);
	/* the mutex: nobody else is about to place it where it was */
	if (!has_all(task, to_cpuset(css)))
		place_locked(task);
	mutex_unlock(&cpuset_mutex);
}

/*
 * Its affinity was copied from the parent, who may have been moved since, or
 * whose container may have got other cpus, before anyone could find the child.
 */
static bool cpuset_fork_fits(struct task_struct *task, struct container_subsys_state *css)
{
	/* nobody has ever been bound, or: those who make kernel threads say where they run */
	if (!READ_ONCE(in_use) || task->flags & PF_KTHREAD)
		return true;
	/* fork_looks(): the child can be found, then cs->cpus; pairs with move_tasks_locked() */
	return has_all(task, to_cpuset(css)) || is_placed(task, to_cpuset(css));
}

static void cpuset_fork(struct task_struct *task, struct container_subsys_state *css)
{
	mutex_lock(&cpuset_mutex);
	place_locked(task);
	mutex_unlock(&cpuset_mutex);
}

struct container_subsys cpuset_subsys = {
	.create		= cpuset_create,
	.online		= cpuset_online,
	.post_clone	= cpuset_post_clone,
	.offline	= cpuset_offline,
	.destroy	= cpuset_destroy,
	.can_attach	= cpuset_can_attach,
	.attach		= cpuset_attach,
	.fork_fits	= cpuset_fork_fits,
	.fork		= cpuset_fork,
	.files		= cpuset_files,
	.named_only	= true,
};
