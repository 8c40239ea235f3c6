// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem "debug"; see debug.h.
 *
 * It counts the tasks of each state by what it is told: fork, attach, exit. In
 * a state that is destroyed there must be none, or the core has told it wrong.
 */
#include "internal.h"
#include "debug.h"

#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

struct container_debug container_debug;

/**
 * struct debug_state - the state of one container
 * @css: the core's part
 * @tasks: in the container itself, while the subsystem is bound
 * @held: debug.hold has a reference
 */
struct debug_state {
	struct container_subsys_state css;
	atomic_t tasks;
	atomic_t held;
};

static struct debug_state *to_debug(struct container_subsys_state *css)
{
	return container_of(css, struct debug_state, css);
}

/* The error of a callback that can fail. */
static int debug_fails(int order)
{
	if (!order && container_debug.fail_nth && !--container_debug.fail_nth)
		return -EXFULL;
	return order;
}

static struct container_subsys_state *debug_create(struct container_subsys_state *parent)
{
	int fail = debug_fails(container_debug.fail_create);
	struct debug_state *state;

	container_debug.fail_create = 0;
	if (fail)
		return ERR_PTR(fail);
	state = kzalloc_obj(*state);
	if (!state)
		return ERR_PTR(-ENOMEM);
	container_debug.created++;
	return &state->css;
}

static int debug_online(struct container_subsys_state *css)
{
	int fail = debug_fails(container_debug.fail_online);

	container_debug.fail_online = 0;
	if (!fail)
		container_debug.onlined++;
	return fail;
}

static void debug_offline(struct container_subsys_state *css)
{
	WARN_ONCE(atomic_read(&to_debug(css)->tasks), "debug: offline with %d tasks\n",
		  atomic_read(&to_debug(css)->tasks));
	container_debug.offlined++;
}

static void debug_destroy(struct container_subsys_state *css)
{
	struct work_struct *work = current_work();

	/* meant for a test with one tree, whose states go one after the other */
	if (data_race(container_debug.destroyer) != work) {
		container_debug.destroyer = work;
		container_debug.destroyers++;
	}
	atomic_inc(&container_debug.destroyed);
	kfree(to_debug(css));
}

static int debug_can_attach(struct container_subsys_state *css, struct container_attach *set)
{
	if (container_debug.in_can_attach)
		container_debug.in_can_attach(set);
	return debug_fails(container_debug.fail_can_attach);
}

static void debug_cancel_attach(struct container_subsys_state *css, struct container_attach *set)
{
	container_debug.cancelled++;
}

static void debug_attach(struct container_subsys_state *css, struct container_subsys_state *from,
			 struct task_struct *task)
{
	atomic_dec(&to_debug(from)->tasks);
	atomic_inc(&to_debug(css)->tasks);
	container_debug.attached++;
}

static void debug_fork(struct task_struct *task, struct container_subsys_state *css)
{
	atomic_inc(&to_debug(css)->tasks);
}

static void debug_exit(struct task_struct *task, struct container_subsys_state *css)
{
	atomic_dec(&to_debug(css)->tasks);
}

static void debug_count(struct container_subsys_state *root_css, unsigned int tasks)
{
	atomic_set(&to_debug(root_css)->tasks, tasks);
}

static void debug_bind(struct container_subsys_state *root_css, struct container *root)
{
	container_debug.bound++;
	container_debug.root = root;
}

/* Called like a file of cpuacct, for a hierarchy without prefixes to stumble over. */
static int debug_stat_show(struct seq_file *sf, struct container *cont,
			   const struct container_file *file)
{
	seq_printf(sf, "created %u\n", container_debug.created);
	return 0;
}

static u64 debug_members_read(struct container *cont, const struct container_file *file)
{
	return atomic_read(&to_debug(container_css(cont, &debug_subsys))->tasks);
}

/* 1: something is charged to this state. 0: no longer. */
static int debug_hold_write(struct container *cont, const struct container_file *file, u64 val)
{
	struct debug_state *state = to_debug(container_css(cont, &debug_subsys));

	if (val > 1)
		return -ERANGE;
	if (atomic_xchg(&state->held, val) == val)
		return 0;
	if (val)
		container_css_get(&state->css);
	else
		container_css_put(&state->css);
	return 0;
}

static const struct container_file debug_files[] = {
	{ .name = "stat", .show = debug_stat_show },
	{ .name = "members", .read_u64 = debug_members_read },
	{ .name = "hold", .write_u64 = debug_hold_write },
	{ }
};

struct container_subsys debug_subsys = {
	.create		= debug_create,
	.online		= debug_online,
	.offline	= debug_offline,
	.destroy	= debug_destroy,
	.can_attach	= debug_can_attach,
	.cancel_attach	= debug_cancel_attach,
	.attach		= debug_attach,
	.fork		= debug_fork,
	.exit		= debug_exit,
	.count		= debug_count,
	.bind		= debug_bind,
	.files		= debug_files,
};

/* What a KUnit test finds in container_debug, for a program. */
static int debug_calls_show(struct seq_file *sf, void *unused)
{
	struct container *root;

	container_lock();
	root = container_debug.root;
	seq_printf(sf, "created %u\nonlined %u\nofflined %u\ndestroyed %d\n",
		   container_debug.created, container_debug.onlined, container_debug.offlined,
		   atomic_read(&container_debug.destroyed));
	seq_printf(sf, "attached %u\ncancelled %u\nbound %u\n", container_debug.attached,
		   container_debug.cancelled, container_debug.bound);
	seq_printf(sf, "root %d\n", root && root == root->hierarchy->root ?
		   root->hierarchy->slot + 1 : -1);
	container_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(debug_calls);

static int __init debug_init(void)
{
	struct dentry *dir = debugfs_create_dir("container_debug", NULL);

	debugfs_create_file("calls", 0400, dir, NULL, &debug_calls_fops);
	debugfs_create_u32("fail_nth", 0600, dir, &container_debug.fail_nth);
	return 0;
}
late_initcall(debug_init);
