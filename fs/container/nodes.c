// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of a directory in kernfs, made many at a time, and removed so with the directory.
 *
 * A container has some forty. kernfs makes and removes them one by one, and takes two or three
 * semaphores for each, which was a sixth of a mkdir and its rmdir. Here they are taken once for all
 * files of a subsystem, and once for all that go. What a file is, and where in the directory, is
 * as kernfs has it.
 *
 * Part of fs/kernfs/dir.c, as what it needs of that is static there.
 *
 * Locking: as kernfs: kernfs_supers_rwsem, kernfs_rwsem, kernfs_iattr_rwsem, from outer to inner.
 * Lifetime: as kernfs. The caller's container_mutex, held from container_nodes_remove_idle() to kernfs_remove(): from
 * the former on a file that it removed may be gone, and nobody is to look for it.
 */
#include <linux/container_nodes.h>
#include <linux/cred.h>

/* rmdir waits for callbacks of files: lockdep knows that of all files as one lock. */
static void container_node_lockdep(struct kernfs_node *kn)
{
#ifdef CONFIG_DEBUG_LOCK_ALLOC
	static struct lock_class_key active_key;

	lockdep_init_map(&kn->dep_map, "container->active", &active_key, 0);
	kn->flags |= KERNFS_LOCKDEP;
#endif
}

/**
 * container_node_new - a file that is not in its directory yet
 * @dir: the directory, which stays until the file has gone
 * @name: in the read-only data
 * @mode: permissions
 * @ops: callbacks
 * @priv: for them
 *
 * Owned by the caller's fsuid. To be followed by container_node_link() or kernfs_put(). The directory
 * makes no file visible before kernfs_activate().
 *
 * Context: sleeps.
 * Return: the file, or NULL without memory.
 */
struct kernfs_node *container_node_new(struct kernfs_node *dir, const char *name, umode_t mode,
				       const struct kernfs_ops *ops, void *priv)
{
	struct kernfs_node *kn = kernfs_new_node(dir, name, S_IFREG | mode, current_fsuid(),
						 current_fsgid(), KERNFS_FILE);

	if (!kn)
		return NULL;
	WARN_ON_ONCE(ops->mmap || ops->release);
	kn->attr.ops = ops;
	kn->priv = priv;
	if (ops->seq_show)
		kn->flags |= KERNFS_HAS_SEQ_SHOW;
	container_node_lockdep(kn);
	return kn;
}

/**
 * container_nodes_begin - files are going to be linked
 * @dir: their directory, which nobody removes meanwhile
 *
 * Context: sleeps; nothing that allocates until container_nodes_end().
 */
void container_nodes_begin(struct kernfs_node *dir)
{
	struct kernfs_root *root = kernfs_root(dir);

	WARN_ON_ONCE(!(root->flags & KERNFS_ROOT_CREATE_DEACTIVATED));
	down_write(&root->kernfs_rwsem);
	down_write(&root->kernfs_iattr_rwsem);
}

/**
 * container_node_link - a file joins its directory
 * @dir: the directory
 * @kn: from container_node_new()
 *
 * Context: between container_nodes_begin() and container_nodes_end().
 * Return: 0; -EEXIST if there is one of that name, and then @kn is left to kernfs_put().
 */
int container_node_link(struct kernfs_node *dir, struct kernfs_node *kn)
{
	struct rb_node **link = &dir->dir.children.rb_node, *above = NULL;
	int order;

	lockdep_assert_held_write(&kernfs_root(dir)->kernfs_iattr_rwsem);
	kn->hash = kernfs_name_hash(kernfs_rcu_name(kn), NULL);
	while (*link) {
		above = *link;
		order = kernfs_sd_compare(kn, rb_to_kn(above));
		if (!order)
			return -EEXIST;
		link = order < 0 ? &above->rb_left : &above->rb_right;
	}
	rb_link_node(&kn->rb, above, link);
	rb_insert_color(&kn->rb, &dir->dir.children);
	return 0;
}

/* The directory has changed, which dentries and times tell. */
static void container_nodes_changed(struct kernfs_node *dir)
{
	lockdep_assert_held_write(&kernfs_root(dir)->kernfs_iattr_rwsem);
	kernfs_inc_rev(dir);
	if (dir->iattr) {
		ktime_get_real_ts64(&dir->iattr->ia_ctime);
		dir->iattr->ia_mtime = dir->iattr->ia_ctime;
	}
}

/* Context: after container_nodes_begin(). */
void container_nodes_end(struct kernfs_node *dir)
{
	struct kernfs_root *root = kernfs_root(dir);

	container_nodes_changed(dir);
	up_write(&root->kernfs_iattr_rwsem);
	up_write(&root->kernfs_rwsem);
}

/* No callback runs any more, nor begins. Return: is there nothing to wait for? */
static bool container_node_deactivate(struct kernfs_node *kn)
{
	int active = atomic_read(&kn->active);

	kn->flags |= KERNFS_REMOVING;
	/* fully ordered: pairs with that of the last kernfs_put_active() */
	if (active >= 0)
		active = atomic_add_return(KN_DEACTIVATED_BIAS, &kn->active);
	return active == KN_DEACTIVATED_BIAS && !kernfs_should_drain_open_files(kn);
}

/**
 * container_nodes_remove_idle - remove the files that nobody is at
 * @dir: directory that is removed next, by kernfs_remove(), which waits for the others
 *
 * Context: sleeps.
 */
void container_nodes_remove_idle(struct kernfs_node *dir)
{
	struct kernfs_root *root = kernfs_root(dir);
	struct rb_node *rb, *next;
	struct kernfs_node *kn;
	bool idle;

	down_read(&root->kernfs_supers_rwsem);
	down_write(&root->kernfs_rwsem);
	down_write(&root->kernfs_iattr_rwsem);
	for (rb = rb_first(&dir->dir.children); rb; rb = next) {
		next = rb_next(rb);
		kn = rb_to_kn(rb);
		if (kernfs_type(kn) != KERNFS_FILE)
			continue;
		idle = container_node_deactivate(kn);
		container_node_wake(kn);
		if (!idle)
			continue;
		rb_erase(rb, &dir->dir.children);
		RB_CLEAR_NODE(rb);
		kernfs_clear_inode_nlink(kn);
		kernfs_put(kn);
	}
	container_nodes_changed(dir);
	up_write(&root->kernfs_iattr_rwsem);
	up_write(&root->kernfs_rwsem);
	up_read(&root->kernfs_supers_rwsem);
}
