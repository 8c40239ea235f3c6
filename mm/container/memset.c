// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory nodes of containers: states, rules, control files.
 *
 *	mems			which nodes
 *	mem_exclusive		memset.h, enum memset_flag, has these four
 *	memory_migrate
 *	memory_spread_page
 *	memory_spread_slab
 *	memory_pressure		how often tasks reclaim by themselves
 *	memory_pressure_enabled	in the root: is it counted?
 *
 * The rules are those of cpuset, with nodes for CPUs. What follows from a change
 * is memset_tasks.c's. Locks and lifetime: memset.h.
 */
#include "memset.h"

#include <linux/bitmap.h>
#include <linux/container_why.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <trace/events/container.h>

/* What a new container has from its parent. */
#define INHERITED (BIT(MEMSET_SPREAD_PAGE) | BIT(MEMSET_SPREAD_SLAB))

DEFINE_MUTEX(memset_mutex);

static bool is_root(const struct memset *ms)
{
	return !ms->css.parent;
}

static struct memset *memset_of(struct container *cont)
{
	return to_memset(container_css(cont, &memset_subsys));
}

/* Why @ms cannot have these nodes; NULL if it can. */
static const char *objection_locked(struct memset *ms, const nodemask_t *mems, bool exclusive,
				    int *error)
{
	struct memset *parent = memset_parent(ms), *other;
	nodemask_t all = memset_nodes(parent);

	lockdep_assert_held(&memset_mutex);
	*error = -EACCES;
	if (!nodes_subset(*mems, all))
		return "its parent has not all of these nodes";
	if (exclusive && !memset_is(parent, MEMSET_EXCLUSIVE))
		return "its parent is not exclusive";
	*error = -EBUSY;
	list_for_each_entry(other, &ms->children, sibling) {
		if (!nodes_subset(other->mems, *mems))
			return "a child has other nodes";
		if (memset_is(other, MEMSET_EXCLUSIVE) && !exclusive)
			return "a child is exclusive";
	}
	*error = -EINVAL;
	list_for_each_entry(other, &parent->children, sibling) {
		if (other != ms && (exclusive || memset_is(other, MEMSET_EXCLUSIVE)) &&
		    nodes_intersects(*mems, other->mems))
			return "a sibling has some of these nodes, and one of the two is exclusive";
	}
	*error = 0;
	return NULL;
}

/* What may be said of @ms is said; tasks follow with memset_move_tasks_locked(). */
static void set_locked(struct memset *ms, const nodemask_t *mems, unsigned long flags)
{
	nodemask_t nodes;

	lockdep_assert_held(&memset_mutex);
	WRITE_ONCE(ms->flags, flags);
	WRITE_ONCE(*ms->mems.bits, *mems->bits);
	nodes = memset_nodes(ms);
	trace_container_memset(rcu_dereference_protected(ms->css.container, 1), &nodes, flags);
}

static int parse_mems(const char *buf, nodemask_t *mems)
{
	int ret = bitmap_parselist(buf, mems->bits, nr_node_ids);

	if (ret)
		return ret == -EOVERFLOW ? -ERANGE : ret;
	return nodes_empty(*mems) ? -ENOSPC : 0;
}

static int mems_write(struct container *cont, const struct container_file *file, char *buf)
{
	struct memset *ms = memset_of(cont);
	nodemask_t mems = NODE_MASK_NONE;
	const char *reason;
	int ret;

	ret = parse_mems(buf, &mems);
	if (ret)
		return ret;
	mutex_lock(&memset_mutex);
	reason = objection_locked(ms, &mems, memset_is(ms, MEMSET_EXCLUSIVE), &ret);
	if (!reason && !nodes_equal(ms->mems, mems)) {
		set_locked(ms, &mems, ms->flags);
		memset_move_tasks_locked(ms);
	}
	mutex_unlock(&memset_mutex);
	if (reason)
		return container_refuse(cont, current, &memset_subsys, "mems", reason, ret);
	memset_settle();
	return 0;
}

static int mems_show(struct seq_file *sf, struct container *cont, const struct container_file *file)
{
	nodemask_t mems;

	mutex_lock(&memset_mutex);
	mems = memset_nodes(memset_of(cont));
	mutex_unlock(&memset_mutex);
	seq_printf(sf, "%*pbl\n", nodemask_pr_args(&mems));
	return 0;
}

static u64 flag_read(struct container *cont, const struct container_file *file)
{
	u64 set;

	mutex_lock(&memset_mutex);
	set = memset_is(memset_of(cont), file->private);
	mutex_unlock(&memset_mutex);
	return set;
}

static int flag_write(struct container *cont, const struct container_file *file, u64 val)
{
	struct memset *ms = memset_of(cont);
	const char *reason = NULL;
	unsigned long flags;
	int ret = 0;

	if (val > 1)
		return -ERANGE;
	mutex_lock(&memset_mutex);
	flags = (ms->flags & ~BIT(file->private)) | val << file->private;
	if (file->private == MEMSET_EXCLUSIVE)
		reason = objection_locked(ms, &ms->mems, val, &ret);
	if (!reason && flags != ms->flags) {
		set_locked(ms, &ms->mems, flags);
		if (BIT(file->private) & INHERITED)
			memset_move_tasks_locked(ms);
	}
	mutex_unlock(&memset_mutex);
	if (!reason)
		return 0;
	return container_refuse(cont, current, &memset_subsys, file->name, reason, ret);
}

/* In the root without a way to write: EACCES, at open. */
static const struct container_file memset_files[] = {
	{ .name = "mems", .show = mems_show, .flags = CONTAINER_FILE_ROOT_ONLY },
	{ .name = "mems", .show = mems_show, .write = mems_write,
	  .flags = CONTAINER_FILE_NOT_ON_ROOT },
	{ .name = "mem_exclusive", .read_u64 = flag_read, .private = MEMSET_EXCLUSIVE,
	  .flags = CONTAINER_FILE_ROOT_ONLY },
	{ .name = "mem_exclusive", .read_u64 = flag_read, .write_u64 = flag_write,
	  .private = MEMSET_EXCLUSIVE, .flags = CONTAINER_FILE_NOT_ON_ROOT },
	{ .name = "memory_migrate", .read_u64 = flag_read, .write_u64 = flag_write,
	  .private = MEMSET_MIGRATE },
	{ .name = "memory_spread_page", .read_u64 = flag_read, .write_u64 = flag_write,
	  .private = MEMSET_SPREAD_PAGE },
	{ .name = "memory_spread_slab", .read_u64 = flag_read, .write_u64 = flag_write,
	  .private = MEMSET_SPREAD_SLAB },
	{ .name = "memory_pressure", .read_u64 = memset_pressure_read },
	{ .name = "memory_pressure_enabled", .read_u64 = memset_pressure_enabled_read,
	  .write_u64 = memset_pressure_enabled_write, .flags = CONTAINER_FILE_ROOT_ONLY },
	{ }
};

static struct container_subsys_state *memset_create(struct container_subsys_state *parent)
{
	struct memset *ms = kzalloc_obj(*ms);

	if (!ms)
		return ERR_PTR(-ENOMEM);
	ms->flags = parent ? 0 : BIT(MEMSET_EXCLUSIVE);
	INIT_LIST_HEAD(&ms->children);
	spin_lock_init(&ms->pressure.lock);
	ms->pressure.second = ktime_get_seconds();
	return &ms->css;
}

static int memset_online(struct container_subsys_state *css)
{
	struct memset *ms = to_memset(css), *parent = memset_parent(ms);

	if (is_root(ms))
		return 0;
	mutex_lock(&memset_mutex);
	ms->flags = parent->flags & INHERITED;
	list_add_tail(&ms->sibling, &parent->children);
	mutex_unlock(&memset_mutex);
	/* before any task can come to have fewer nodes than all */
	atomic_inc(&container_memset_nr);
	return 0;
}

/* What the parent has, but for what a sibling has for itself. */
static void memset_post_clone(struct container_subsys_state *css)
{
	struct memset *ms = to_memset(css), *parent = memset_parent(ms), *other;
	nodemask_t mems;

	mutex_lock(&memset_mutex);
	mems = memset_nodes(parent);
	list_for_each_entry(other, &parent->children, sibling)
		if (memset_is(other, MEMSET_EXCLUSIVE))
			nodes_andnot(mems, mems, other->mems);
	set_locked(ms, &mems, ms->flags);
	mutex_unlock(&memset_mutex);
}

static void memset_offline(struct container_subsys_state *css)
{
	struct memset *ms = to_memset(css);

	mutex_lock(&memset_mutex);
	list_del(&ms->sibling);
	mutex_unlock(&memset_mutex);
	atomic_dec(&container_memset_nr);
}

static void memset_destroy(struct container_subsys_state *css)
{
	kfree(to_memset(css));
}

static int memset_can_attach(struct container_subsys_state *css, struct container_attach *set)
{
	struct memset *ms = to_memset(css);
	unsigned int i;
	int ret;

	/* the root takes back all */
	if (is_root(ms))
		return 0;
	/* what has been given some keeps some */
	if (!READ_ONCE(*ms->mems.bits))
		return container_refuse(set->to, set->tasks[0], &memset_subsys, "attach",
					"it has no nodes", -ENOSPC);
	for (i = 0; i < set->nr && !set->clone; i++) {
		ret = security_task_setscheduler(set->tasks[i]);
		if (ret)
			return container_refuse(set->to, set->tasks[i], &memset_subsys, "attach",
						"its nodes are not the mover's to change", ret);
	}
	return 0;
}

struct container_subsys memset_subsys = {
	.create		= memset_create,
	.online		= memset_online,
	.post_clone	= memset_post_clone,
	.offline	= memset_offline,
	.destroy	= memset_destroy,
	.can_attach	= memset_can_attach,
	.attach		= memset_attach,
	.settle		= memset_settle,
	.is_settled	= memset_is_settled,
	.fork_fits	= memset_fork_fits,
	.fork		= memset_fork,
	.files		= memset_files,
	.named_only	= true,
};
