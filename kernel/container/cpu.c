// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem "cpu": CPU time by shares, divided by the fair scheduler of Linux.
 *
 * A container has a task group of the scheduler's, below that of its parent. Who competes are
 * the groups of the containers and the tasks of the parent itself; each gets time by
 * its weight when it wants some, and what nobody wants is everybody's.
 *
 *   min_shares	the weight, of the parent's divisor: all of it is CPU_WHOLE, which is 100 tasks
 *		of nice 0. So it is a guarantee as long as those that want to run of the
 *		parent's own tasks and of the containers without shares are no more than the
 *		hundredths that are promised to nobody
 *   without	as one task of nice 0, as with Linux's cgroups
 *   max_shares	none: weights bound nobody who is alone
 *
 * Where a task runs follows from where it is: the scheduler asks container_cpu_group() when a
 * task is born and whenever attach() or exit() call sched_move_task(). So it does not matter
 * in which order these come.
 *
 * Locks: cpu_mutex: weights, and the lists of children; under container_mutex (online,
 * offline) or from a control file; shares.c's and the scheduler's locks inside of it.
 * container_cpu_group() is called with the run queue locked and takes RCU only.
 *
 * Lifetime: a group goes when no task is in it. A task leaves in attach() or exit(), before its
 * reference to the old membership goes, and before that no directory can be removed; a child
 * gets its membership before its group. offline() takes the group from the scheduler's lists, a
 * grace period is waited for before destroy(), and the parent's goes after the child's: as
 * Linux orders it for its cgroups.
 *
 * Surprises: exit() moves to the root a task that has still to be switched from. A move that
 * comes after it moves it once more, to the root again. In Linux's headers cpu_subsys is the
 * bus that processors are on, so the name of the list is not the one that users see.
 */
#include <linux/containers.h>
#include <linux/container_why.h>

#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <../kernel/sched/sched.h>
#include "shares.h"

/* Without shares: a task of nice 0. */
#define CPU_DEFAULT	1024
/* All of a parent's shares, as a weight: one in a hundred is a task. */
#define CPU_WHOLE	(100 * CPU_DEFAULT)

static DEFINE_MUTEX(cpu_mutex);

/**
 * struct cpu_share - the state of one container
 * @css: the core's part
 * @node: what was said of it
 * @tg: the scheduler's group; immutable
 * @weight: what @tg was given; cpu_mutex
 * @children: list of @sibling; cpu_mutex
 * @sibling: entry in the parent's @children; cpu_mutex
 */
struct cpu_share {
	struct container_subsys_state css;
	struct shares_node node;
	struct task_group *tg;
	unsigned long weight;
	struct list_head children;
	struct list_head sibling;
};

static struct cpu_share *to_cpu_share(struct container_subsys_state *css)
{
	return container_of(css, struct cpu_share, css);
}

static struct cpu_share *cpu_share_of(struct container *cont)
{
	return to_cpu_share(container_css(cont, &cpu_share_subsys));
}

static struct cpu_share *parent_of(struct cpu_share *cs)
{
	return to_cpu_share(cs->css.parent);
}

/**
 * container_cpu_group - where the scheduler has to put a task
 * @task: being born, with a membership already; or locked against the scheduler
 *
 * Context: any, and with the run queue locked. The group stays: see the head of this file.
 * Return: the group.
 */
struct task_group *container_cpu_group(struct task_struct *task)
{
	struct container_subsys_state *css;

	guard(rcu)();
	css = container_task_css(task, cpu_share_subsys_id);
	/* NULL only until container_init() */
	return css ? to_cpu_share(css)->tg : &root_task_group;
}

/* What its shares come to. */
static unsigned long weight_of(struct cpu_share *cs)
{
	struct shares own = shares_said(&cs->node), above = shares_said(&parent_of(cs)->node);

	if (own.min == SHARES_DONT_CARE)
		return CPU_DEFAULT;
	/* no more than the whole, as min_shares are at most the divisor; 0 is as little as there is */
	return max_t(u64, div_u64((u64)own.min * CPU_WHOLE, above.divisor), MIN_SHARES);
}

static void weigh_locked(struct cpu_share *cs)
{
	lockdep_assert_held(&cpu_mutex);
	cs->weight = weight_of(cs);
	/* no group of ours is the root's or an idle one, and only these are refused */
	WARN_ON_ONCE(sched_group_set_shares(cs->tg, scale_load(cs->weight)));
}

static int set_shares(struct cpu_share *cs, const struct shares *set, const char **reason)
{
	struct cpu_share *child;
	int ret;

	mutex_lock(&cpu_mutex);
	ret = shares_set(&cs->node, set, reason);
	if (!ret) {
		if (cs->css.parent)
			weigh_locked(cs);
		list_for_each_entry(child, &cs->children, sibling)
			weigh_locked(child);
	}
	mutex_unlock(&cpu_mutex);
	return ret;
}

static int shares_file_show(struct seq_file *sf, struct container *cont,
			    const struct container_file *file)
{
	struct shares set = shares_said(&cpu_share_of(cont)->node);

	shares_show(sf, cpu_share_subsys.name, &set);
	return 0;
}

static int shares_file_write(struct container *cont, const struct container_file *file, char *buf)
{
	const char *reason = "there is no maximum of CPU time";
	struct shares set;
	int ret;

	ret = shares_parse(buf, cpu_share_subsys.name, &set);
	if (ret)
		return ret;
	ret = -EINVAL;
	if (set.max == SHARES_UNCHANGED || set.max == SHARES_DONT_CARE)
		ret = set_shares(cpu_share_of(cont), &set, &reason);
	return ret ? container_refuse(cont, current, &cpu_share_subsys, "shares", reason, ret) : 0;
}

static u64 weight_read(struct container *cont, const struct container_file *file)
{
	u64 weight;

	mutex_lock(&cpu_mutex);
	weight = cpu_share_of(cont)->weight;
	mutex_unlock(&cpu_mutex);
	return weight;
}

static const struct container_file cpu_share_files[] = {
	{ .name = "shares", .show = shares_file_show, .write = shares_file_write },
	{ .name = "weight", .read_u64 = weight_read, .flags = CONTAINER_FILE_NOT_ON_ROOT },
	{ }
};

static struct container_subsys_state *cpu_share_create(struct container_subsys_state *parent)
{
	struct cpu_share *cs = kzalloc_obj(*cs);
	struct task_group *tg = &root_task_group;

	if (!cs)
		return ERR_PTR(-ENOMEM);
	if (parent)
		tg = sched_create_group(to_cpu_share(parent)->tg);
	if (IS_ERR(tg)) {
		kfree(cs);
		return ERR_CAST(tg);
	}
	cs->tg = tg;
	cs->weight = CPU_DEFAULT;
	INIT_LIST_HEAD(&cs->children);
	return &cs->css;
}

static int cpu_share_online(struct container_subsys_state *css)
{
	struct cpu_share *cs = to_cpu_share(css);

	if (!css->parent) {
		shares_add(&cs->node, NULL, CPU_WHOLE);
		return 0;
	}
	/* first: who is in the list can be given a weight */
	sched_online_group(cs->tg, parent_of(cs)->tg);
	mutex_lock(&cpu_mutex);
	shares_add(&cs->node, &parent_of(cs)->node, 0);
	list_add_tail(&cs->sibling, &parent_of(cs)->children);
	mutex_unlock(&cpu_mutex);
	return 0;
}

static void cpu_share_offline(struct container_subsys_state *css)
{
	struct cpu_share *cs = to_cpu_share(css);

	mutex_lock(&cpu_mutex);
	list_del(&cs->sibling);
	shares_remove(&cs->node);
	mutex_unlock(&cpu_mutex);
	sched_release_group(cs->tg);
}

/* A grace period after offline(), or never online: sched_free_group() comes after another. */
static void cpu_share_destroy(struct container_subsys_state *css)
{
	struct cpu_share *cs = to_cpu_share(css);

	sched_unregister_group(cs->tg);
	kfree(cs);
}

static void cpu_share_attach(struct container_subsys_state *css, struct container_subsys_state *from,
		       struct task_struct *task)
{
	sched_move_task(task, false);
}

/* It has left already; what is left of it runs in the root. */
static void cpu_share_exit(struct task_struct *task, struct container_subsys_state *css)
{
	if (css->parent)
		sched_move_task(task, false);
}

/* What is said of the root is of a tree, and not of the next one. */
static void cpu_share_bind(struct container_subsys_state *root_css, struct container *root)
{
	if (!cpu_share_subsys.hierarchy)
		shares_forget(&to_cpu_share(root_css)->node);
}

struct container_subsys cpu_share_subsys = {
	.name		= "cpu",
	.create		= cpu_share_create,
	.online		= cpu_share_online,
	.offline	= cpu_share_offline,
	.destroy	= cpu_share_destroy,
	.attach		= cpu_share_attach,
	.exit		= cpu_share_exit,
	.bind		= cpu_share_bind,
	.files		= cpu_share_files,
	.named_only	= true,
	.unordered	= true,
};
