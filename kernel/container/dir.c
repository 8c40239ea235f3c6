// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers as directories: mkdir, rmdir, rename.
 *
 * Locking: container_mutex for making and removing. kernfs calls in with
 * active references on the nodes; see container_kn_enter().
 *
 * Lifetime: a container is referenced by its directory (until rmdir), by its
 * states (until destroyed) and by its children. It is dying while it has no
 * directory any more but a state is still referenced. The kernfs node is
 * pinned from create to the last put, so that a dead container still has a
 * path to print. Memory goes after a grace period.
 *
 * dying: counted in every ancestor from rmdir to the last put, which is when
 * the memory goes; the ancestors are referenced that long.
 */
#include "internal.h"

#include <linux/container_nodes.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/pid_namespace.h>
#include <linux/random.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <trace/events/container.h>

/**
 * container_alloc - a container that nobody sees yet
 * @h: hierarchy; gains a reference
 * @parent: parent, gains a reference; NULL for a root
 *
 * Return: the container with one reference, or NULL.
 */
struct container *container_alloc(struct container_hierarchy *h, struct container *parent)
{
	struct container *cont = kzalloc_obj(*cont);

	if (!cont)
		return NULL;
	refcount_set(&cont->ref, 1);
	INIT_LIST_HEAD(&cont->groups);
	INIT_LIST_HEAD(&cont->children);
	INIT_LIST_HEAD(&cont->sibling);
	INIT_LIST_HEAD(&cont->release_link);
	container_why_init(cont);
	cont->hierarchy = h;
	cont->key = get_random_u32();
	cont->parent = parent;
	refcount_inc(&h->ref);
	if (parent) {
		container_get(parent);
		if (test_bit(CONTAINER_NOTIFY, &parent->flags))
			set_bit(CONTAINER_NOTIFY, &cont->flags);
	}
	return cont;
}

void container_get(struct container *cont)
{
	refcount_inc(&cont->ref);
}

/* A removed container begins (1) or ceases (-1) to count in `dying`. */
static void count_dying(struct container *cont, int nr)
{
	while ((cont = cont->parent)) {
		atomic_add(nr, &cont->nr_dying);
		container_changed(cont);
	}
}

/**
 * container_put - drop a reference
 * @cont: container
 *
 * Context: process context; may take container_mutex's inner locks only.
 */
void container_put(struct container *cont)
{
	struct container_hierarchy *h;
	struct container *parent;

	/* the last put of a child drops a reference to its parent */
	while (cont && refcount_dec_and_test(&cont->ref)) {
		parent = cont->parent;
		h = cont->hierarchy;
		if (cont->dead) {
			trace_container_free(cont);
			count_dying(cont, -1);
		}
		kernfs_put(cont->events_kn);
		kernfs_put(cont->kn);
		container_files_free(cont);
		kfree_rcu(cont, rcu);
		container_hierarchy_put(h);
		cont = parent;
	}
}

/**
 * container_kn_enter - give up a kernfs operation's active reference
 * @kn: node on which the operation holds the active reference
 * @cont: the container that @kn is, or is a file of; gains a reference
 *
 * To be called before any lock that rmdir may hold while it waits for active
 * references: container_mutex, and what is taken outside it.
 */
void container_kn_enter(struct kernfs_node *kn, struct container *cont)
{
	container_get(cont);
	kernfs_break_active_protection(kn);
}

void container_kn_leave(struct kernfs_node *kn, struct container *cont)
{
	kernfs_unbreak_active_protection(kn);
	container_put(cont);
}

/* Both, with container_mutex: NULL when @cont was removed before it was ours. */
static struct container *kn_lock(struct kernfs_node *kn, struct container *cont)
{
	container_kn_enter(kn, cont);
	container_lock();
	return cont->dead ? NULL : cont;
}

static void kn_unlock(struct kernfs_node *kn, struct container *cont)
{
	container_unlock();
	container_kn_leave(kn, cont);
}

/* A subsystem said no to a new container; the parent remembers. */
static void mkdir_refused(struct container *cont, struct container_subsys *ss, int error,
			  unsigned long count)
{
	struct container_refusal why = { .what = "mkdir", .ss = ss, .error = error };

	container_refused_by(cont->parent, current, &why, count);
}

/* States of all bound subsystems; on failure those that exist are the caller's to drop. */
static int create_states(struct container *cont)
{
	unsigned long count = READ_ONCE(cont->parent->why.count);
	struct container_subsys *ss;
	int id, ret;

	for_each_bound_subsys(ss, id, cont->hierarchy->subsys_mask) {
		ret = container_css_create(cont, ss);
		if (ret) {
			mkdir_refused(cont, ss, ret, count);
			return ret;
		}
	}
	for_each_bound_subsys(ss, id, cont->hierarchy->subsys_mask) {
		ret = container_css_online(cont->state[id]);
		if (ret) {
			mkdir_refused(cont, ss, ret, count);
			return ret;
		}
	}
	return 0;
}

/* In reverse order of creation. */
static void drop_states(struct container *cont)
{
	struct container_subsys_state *css;
	int id;

	for (id = CONTAINER_SUBSYS_COUNT - 1; id >= 0; id--) {
		css = cont->state[id];
		if (!css)
			continue;
		if (css->online)
			container_css_kill(css);
		else
			container_css_abort(css);
	}
}

/* @cont will be removed. One that could not be made was none, and its parent is not released for it. */
static void child_goes_locked(struct container *cont)
{
	struct container *parent = cont->parent;

	container_assert_locked();
	if (parent->nr_children > 1)
		return;
	/* the work item has to wait for the mutex */
	set_bit(CONTAINER_USED, &parent->flags);
	set_bit(CONTAINER_RELEASE, &parent->flags);
}

/*
 * The directory leaves the tree: no task, no child, nothing new. A tree that is mounted
 * nowhere any more goes with its last container.
 */
static void container_kill_locked(struct container *cont)
{
	struct container_hierarchy *h = cont->hierarchy;

	container_assert_locked();
	h->users++;
	WRITE_ONCE(cont->dead, true);
	container_release_forget(cont);
	list_del(&cont->sibling);
	WRITE_ONCE(cont->parent->nr_children, cont->parent->nr_children - 1);
	h->nr_containers--;
	count_dying(cont, 1);
	/* waits for callbacks of its files, so offline() sees no late write */
	container_nodes_remove_idle(cont->kn);
	kernfs_remove(cont->kn);
	drop_states(cont);
	container_put(cont);
	container_hierarchy_release_user(h);
}

/**
 * container_make - make a child container that nobody sees yet
 * @parent: parent
 * @name: of the directory
 * @mode: of the directory
 *
 * All or nothing. Owned by the caller's fsuid. To be followed by
 * container_show() or container_unmake().
 *
 * Context: container_mutex.
 * Return: the container (the directory holds the reference), or ERR_PTR():
 * -ENOMEM, -EEXIST, or what a subsystem said.
 */
struct container *container_make(struct container *parent, const char *name, umode_t mode)
{
	struct container_hierarchy *h = parent->hierarchy;
	struct kernfs_node *kn;
	struct container *cont;
	int ret;

	container_assert_locked();
	cont = container_alloc(h, parent);
	if (!cont)
		return ERR_PTR(-ENOMEM);
	kn = kernfs_create_dir_ns(parent->kn, name, mode, current_fsuid(), current_fsgid(),
				  cont, NULL);
	if (IS_ERR(kn)) {
		container_put(cont);
		return ERR_CAST(kn);
	}
	kernfs_get(kn);
	cont->kn = kn;
	list_add_tail(&cont->sibling, &parent->children);
	WRITE_ONCE(parent->nr_children, parent->nr_children + 1);
	h->nr_containers++;

	ret = container_add_files(cont);
	if (!ret)
		ret = create_states(cont);
	if (ret) {
		container_kill_locked(cont);
		return ERR_PTR(ret);
	}
	set_bit(CONTAINER_HIDDEN, &cont->flags);
	trace_container_mkdir(cont);
	return cont;
}

/**
 * container_show - the directory can be looked up from now on
 * @cont: from container_make()
 *
 * Context: container_mutex.
 */
void container_show(struct container *cont)
{
	container_assert_locked();
	clear_bit(CONTAINER_HIDDEN, &cont->flags);
	kernfs_activate(cont->kn);
}

/**
 * container_unmake - undo container_make()
 * @cont: container that was not shown, without tasks
 *
 * Context: container_mutex.
 */
void container_unmake(struct container *cont)
{
	container_assert_locked();
	WARN_ON_ONCE(cont->nr_children || container_populated(cont));
	container_why_hand_up(cont);
	trace_container_rmdir(cont);
	child_goes_locked(cont);
	container_kill_locked(cont);
}

/**
 * container_create - make a child container
 * @parent: parent
 * @name: of the directory
 * @mode: of the directory
 *
 * All or nothing; visible only when complete. Owned by the caller's fsuid.
 *
 * Context: container_mutex.
 * Return: as container_make().
 */
struct container *container_create(struct container *parent, const char *name, umode_t mode)
{
	struct container *cont = container_make(parent, name, mode);

	if (!IS_ERR(cont))
		container_show(cont);
	return cont;
}

/* Names a task that is in the way, if it is still there. */
static void rmdir_refused(struct container *cont)
{
	struct task_struct *task = cont->nr_children ? NULL : container_first_task(cont);

	container_refuse(cont, task, NULL, "rmdir",
			 cont->nr_children ? "it has children" : "it has tasks", -EBUSY);
	if (task)
		put_task_struct(task);
}

/**
 * container_remove - remove a container
 * @cont: container, no root
 *
 * Context: container_mutex.
 * Return: 0, or -EBUSY when it has children or tasks; then it is as it was.
 */
int container_remove(struct container *cont)
{
	container_assert_locked();
	if (cont->nr_children || container_populated(cont)) {
		rmdir_refused(cont);
		return -EBUSY;
	}
	trace_container_rmdir(cont);
	child_goes_locked(cont);
	container_kill_locked(cont);
	return 0;
}

/* kernfs looks at neither; /proc/PID/container is read by lines. */
static int check_name(const char *name)
{
	if (strlen(name) > NAME_MAX)
		return -ENAMETOOLONG;
	return strchr(name, '\n') ? -EINVAL : 0;
}

static int dir_mkdir(struct kernfs_node *parent_kn, const char *name, umode_t mode)
{
	struct container *parent = parent_kn->priv, *cont;
	int ret = check_name(name);

	if (ret)
		return ret;
	if (kn_lock(parent_kn, parent)) {
		cont = container_create(parent, name, mode);
		ret = PTR_ERR_OR_ZERO(cont);
	} else {
		ret = -ENODEV;
	}
	kn_unlock(parent_kn, parent);
	return ret;
}

static int dir_rmdir(struct kernfs_node *kn)
{
	struct container *cont = kn->priv;
	int ret = -ENODEV;

	if (kn_lock(kn, cont))
		ret = container_remove(cont);
	kn_unlock(kn, cont);
	return ret;
}

/* Within a parent; the tree itself, and so every limit, stays as it is. */
static int dir_rename(struct kernfs_node *kn, struct kernfs_node *new_parent,
		      const char *new_name)
{
	struct container *cont = kn->priv;
	int ret = check_name(new_name);

	if (ret)
		return ret;
	if (kernfs_type(kn) != KERNFS_DIR)
		return -ENOTDIR;
	if (cont->parent->kn != new_parent)
		return -EXDEV;
	return kernfs_rename_ns(kn, new_parent, new_name, NULL);
}

static int dir_show_options(struct seq_file *sf, struct kernfs_root *kf_root)
{
	struct container *root = kernfs_root_to_node(kf_root)->priv;

	container_lock();
	seq_putc(sf, ',');
	container_show_subsystems(sf, root->hierarchy);
	if (root->hierarchy->flags & CONTAINER_NOPREFIX)
		seq_puts(sf, ",noprefix");
	container_release_show_option(sf, root->hierarchy);
	container_unlock();
	return 0;
}

struct kernfs_syscall_ops container_syscall_ops = {
	.show_options	= dir_show_options,
	.mkdir		= dir_mkdir,
	.rmdir		= dir_rmdir,
	.rename		= dir_rename,
};

/**
 * container_path - where a container is
 * @cont: container
 * @buf: result, from the root of its hierarchy, "/" for the root
 * @len: size of @buf
 *
 * Return: length, or -ENAMETOOLONG and friends.
 */
int container_path(struct container *cont, char *buf, size_t len)
{
	int ret = kernfs_path_from_node(cont->kn, NULL, buf, len);

	/* cut off, it would be the path of another container */
	return ret >= (int)len - 1 ? -ENAMETOOLONG : ret;
}
