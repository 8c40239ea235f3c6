// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem "debug"; see debug.h.
 */
#include "internal.h"
#include "debug.h"

#include <linux/seq_file.h>
#include <linux/slab.h>

struct container_debug container_debug;

static struct container_subsys_state *debug_create(struct container_subsys_state *parent)
{
	struct container_subsys_state *css;
	int fail = container_debug.fail_create;

	container_debug.fail_create = 0;
	if (fail)
		return ERR_PTR(fail);
	css = kzalloc_obj(*css);
	if (!css)
		return ERR_PTR(-ENOMEM);
	container_debug.created++;
	return css;
}

static int debug_online(struct container_subsys_state *css)
{
	int fail = container_debug.fail_online;

	container_debug.fail_online = 0;
	if (!fail)
		container_debug.onlined++;
	return fail;
}

static void debug_offline(struct container_subsys_state *css)
{
	container_debug.offlined++;
}

static void debug_destroy(struct container_subsys_state *css)
{
	atomic_inc(&container_debug.destroyed);
	kfree(css);
}

static int debug_can_attach(struct container_subsys_state *css, struct container_attach *set)
{
	return container_debug.fail_can_attach;
}

static void debug_attach(struct container_subsys_state *css, struct container_subsys_state *from,
			 struct task_struct *task)
{
	container_debug.attached++;
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

static const struct container_file debug_files[] = {
	{ .name = "stat", .show = debug_stat_show },
	{ }
};

struct container_subsys debug_subsys = {
	.create		= debug_create,
	.online		= debug_online,
	.offline	= debug_offline,
	.destroy	= debug_destroy,
	.can_attach	= debug_can_attach,
	.attach		= debug_attach,
	.bind		= debug_bind,
	.files		= debug_files,
};
