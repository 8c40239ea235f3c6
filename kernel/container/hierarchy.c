// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hierarchies: the table of mounted trees, and which subsystem is where.
 *
 * Locking: container_mutex for all of it.
 *
 * Lifetime: a hierarchy is in the table, and owns its slot, while a superblock
 * or a mount in progress uses it or while it has containers below the root.
 * Its memory stays until the last container, dying ones too, is gone. A
 * subsystem that is bound nowhere is bound to container_parking, which is in
 * no table and has no directory.
 */
#include "internal.h"

#include <linux/seq_file.h>
#include <linux/slab.h>

static struct container parking_root = {
	.hierarchy	= &container_parking,
	.ref		= REFCOUNT_INIT(1),
	.groups		= LIST_HEAD_INIT(parking_root.groups),
	.children	= LIST_HEAD_INIT(parking_root.children),
	.why.lock	= __SPIN_LOCK_UNLOCKED(parking_root.why.lock),
};

struct container_hierarchy container_parking = {
	.slot		= -1,
	.root		= &parking_root,
	.nr_containers	= 1,
	.ref		= REFCOUNT_INIT(1),
};

struct container_hierarchy *container_hierarchies[CONFIG_MAX_CONTAINER_HIERARCHIES];

/**
 * container_hierarchy_find - the hierarchy with exactly these subsystems
 * @mask: subsystems
 * @name: name, "" for none; a named hierarchy has no subsystems
 *
 * Context: container_mutex.
 * Return: the hierarchy or NULL.
 */
struct container_hierarchy *container_hierarchy_find(unsigned long mask, const char *name)
{
	struct container_hierarchy *h;
	int slot;

	container_assert_locked();
	for (slot = 0; slot < CONFIG_MAX_CONTAINER_HIERARCHIES; slot++) {
		h = container_hierarchies[slot];
		if (h && h->subsys_mask == mask && !strcmp(h->name, name))
			return h;
	}
	return NULL;
}

static int free_slot(void)
{
	int slot;

	for (slot = 0; slot < CONFIG_MAX_CONTAINER_HIERARCHIES; slot++)
		if (!container_hierarchies[slot])
			return slot;
	return -ENOSPC;
}

static struct container_hierarchy *hierarchy_alloc(int slot)
{
	struct container_hierarchy *h = kzalloc_obj(*h);

	if (!h)
		return NULL;
	h->slot = slot;
	h->nr_containers = 1;
	refcount_set(&h->ref, 1);
	container_release_init(h);
	h->root = container_alloc(h, NULL);
	if (!h->root) {
		kfree(h);
		return NULL;
	}
	return h;
}

/* The root directory; not visible before kernfs_activate(). */
static int make_kernfs_root(struct container_hierarchy *h)
{
	h->kf_root = kernfs_create_root(&container_syscall_ops,
					KERNFS_ROOT_CREATE_DEACTIVATED |
					KERNFS_ROOT_EXTRA_OPEN_PERM_CHECK |
					KERNFS_ROOT_INVARIANT_PARENT, h->root);
	if (IS_ERR(h->kf_root))
		return PTR_ERR(h->kf_root);
	h->root->kn = kernfs_root_to_node(h->kf_root);
	kernfs_get(h->root->kn);
	return 0;
}

static void bind_all(struct container_hierarchy *h, struct container_hierarchy *to)
{
	struct container_subsys *ss;
	int id;

	for_each_bound_subsys(ss, id, h->subsys_mask)
		container_css_bind(ss, to);
}

/* Undo container_hierarchy_create(): no user, no child. */
static void hierarchy_destroy_locked(struct container_hierarchy *h)
{
	struct container *root = h->root;

	container_assert_locked();
	WARN_ON_ONCE(root->nr_children);
	container_hierarchies[h->slot] = NULL;
	bind_all(h, NULL);
	h->subsys_mask = 0;
	if (!IS_ERR_OR_NULL(h->kf_root))
		kernfs_destroy_root(h->kf_root);
	container_put(root);
	container_hierarchy_put(h);
}

/**
 * container_hierarchy_create - a new tree
 * @mask: subsystems, all of them parked
 * @name: name, or ""
 * @flags: CONTAINER_NOPREFIX
 * @clash: set to a file's name with -EEXIST; may be NULL without CONTAINER_NOPREFIX
 *
 * Context: container_mutex.
 * Return: the hierarchy with one user, or ERR_PTR(): -ENOSPC (no slot left),
 * -EEXIST (two files of one name), -ENOMEM. Then nothing has changed.
 */
struct container_hierarchy *container_hierarchy_create(unsigned long mask, const char *name,
						       unsigned int flags, const char **clash)
{
	struct container_hierarchy *h;
	int ret;

	container_assert_locked();
	if (flags & CONTAINER_NOPREFIX) {
		*clash = container_files_clash(mask);
		if (*clash)
			return ERR_PTR(-EEXIST);
	}
	ret = free_slot();
	if (ret < 0)
		return ERR_PTR(ret);
	h = hierarchy_alloc(ret);
	if (!h)
		return ERR_PTR(-ENOMEM);
	h->flags = flags;
	h->users = 1;
	strscpy(h->name, name);
	container_hierarchies[h->slot] = h;
	ret = make_kernfs_root(h);
	if (ret)
		goto fail;
	h->subsys_mask = mask;
	bind_all(h, h);
	ret = container_add_files(h->root);
	if (ret)
		goto fail;
	kernfs_activate(h->root->kn);
	return h;
fail:
	hierarchy_destroy_locked(h);
	return ERR_PTR(ret);
}

/**
 * container_hierarchy_release_user - a superblock or a mount is done with it
 * @h: hierarchy
 *
 * The last user of a tree without containers takes it down: its subsystems
 * are parked, its slot is free. The root states keep their settings, unless bind() forgets them: those of bc,
 * numtasks and cpu are a tree's.
 *
 * Context: container_mutex.
 */
void container_hierarchy_release_user(struct container_hierarchy *h)
{
	container_assert_locked();
	if (WARN_ON_ONCE(!h->users))
		return;
	if (!--h->users && !h->root->nr_children)
		hierarchy_destroy_locked(h);
}

/* Drop a reference to the memory. Any context. */
void container_hierarchy_put(struct container_hierarchy *h)
{
	if (!refcount_dec_and_test(&h->ref))
		return;
	kfree(h->release_agent);
	kfree(h);
}

/**
 * container_show_subsystems - print what a hierarchy is made of
 * @sf: output, without a newline
 * @h: hierarchy
 *
 * "cpuacct,memory", or "none,name=X": as a mount option.
 *
 * Context: container_mutex.
 */
void container_show_subsystems(struct seq_file *sf, struct container_hierarchy *h)
{
	struct container_subsys *ss;
	const char *sep = "";
	int id;

	container_assert_locked();
	for_each_bound_subsys(ss, id, h->subsys_mask) {
		seq_printf(sf, "%s%s", sep, ss->name);
		sep = ",";
	}
	if (h->name[0]) {
		seq_puts(sf, "none,name=");
		seq_escape(sf, h->name, " \t\n\\,");
	}
}
