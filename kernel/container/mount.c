// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounting: file system types "container" and "cpuset".
 *
 * Options are collected while the context is filled and judged when the tree
 * is asked for, under container_mutex, since what is bound where may change in
 * between. Every refusal says in the context's log which word was wrong.
 *
 * Type "cpuset" is the same for one set of options.
 *
 * Lifetime: the context is a user of its hierarchy from get_tree() until it is
 * freed, a superblock until it is killed.
 */
#include "internal.h"

#include <linux/fs.h>
#include <linux/ctype.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/slab.h>

/* kfc first: kernfs expects it in fc->fs_private */
struct mount_context {
	struct kernfs_fs_context kfc;
	unsigned long mask;
	bool all;
	bool none;
	unsigned int flags;
	char name[CONTAINER_NAME_MAX];
	char *release_agent;
	struct container_hierarchy *h;
};

static struct mount_context *mount_context(struct fs_context *fc)
{
	return container_of(fc->fs_private, struct mount_context, kfc);
}

static int subsys_by_name(const char *name)
{
	struct container_subsys *ss;
	int id;

	for_each_container_subsys(ss, id)
		if (!strcmp(ss->name, name))
			return id;
	return -ENOENT;
}

static int parse_name(struct fs_context *fc, struct mount_context *mc, const char *name)
{
	if (!*name)
		return invalfc(fc, "name= is empty");
	if (strlen(name) >= CONTAINER_NAME_MAX)
		return invalfc(fc, "name=%s is longer than %d bytes", name, CONTAINER_NAME_MAX - 1);
	/* it stands in a line of /proc/containers, in a list with commas, and of /proc/PID/container, with colons */
	for (const char *c = name; *c; c++)
		if (!isgraph(*c) || *c == ':' || *c == ',')
			return invalfc(fc, "name= has a '%c' (0x%02x) in it", isgraph(*c) ? *c : '?',
				       (unsigned char)*c);
	if (mc->name[0])
		return invalfc(fc, "name= is given twice");
	strscpy(mc->name, name);
	return 0;
}

static int parse_release_agent(struct fs_context *fc, struct mount_context *mc, const char *path)
{
	if (mc->release_agent)
		return invalfc(fc, "release_agent= is given twice");
	if (*path != '/')
		return invalfc(fc, "release_agent=%s is no absolute path", path);
	mc->release_agent = kstrdup(path, GFP_KERNEL);
	return mc->release_agent ? 0 : -ENOMEM;
}

static int container_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct mount_context *mc = mount_context(fc);
	const char *value = param->type == fs_value_is_string ? param->string : NULL;
	int id;

	if (!strcmp(param->key, "source"))
		return vfs_parse_fs_param_source(fc, param);
	if (!*param->key)
		return invalfc(fc, "an option is empty: there is a comma too many");
	if (!strcmp(param->key, "name") || !strcmp(param->key, "release_agent")) {
		if (!value)
			return invalfc(fc, "option '%s' needs a value: %s=...", param->key, param->key);
		return *param->key == 'n' ? parse_name(fc, mc, value) : parse_release_agent(fc, mc, value);
	}
	if (value)
		return invalfc(fc, "option '%s' takes no value", param->key);
	if (!strcmp(param->key, "all")) {
		mc->all = true;
	} else if (!strcmp(param->key, "none")) {
		mc->none = true;
	} else if (!strcmp(param->key, "noprefix")) {
		mc->flags |= CONTAINER_NOPREFIX;
	} else {
		id = subsys_by_name(param->key);
		if (id < 0) {
			errorfc(fc, "no subsystem '%s' in this kernel; /proc/containers lists them",
				param->key);
			return id;
		}
		mc->mask |= BIT(id);
	}
	return 0;
}

/* mount(2)'s string. Unlike the generic parser this sees empty words. */
static int container_parse_monolithic(struct fs_context *fc, void *data)
{
	char *options = data, *key, *value;
	int ret = 0;

	if (!options || !*options)
		return 0;
	while (!ret && (key = strsep(&options, ",")) != NULL) {
		if (!*key)
			return invalfc(fc, "an option is empty: there is a comma too many");
		value = strchr(key, '=');
		if (value)
			*value++ = '\0';
		ret = vfs_parse_fs_string(fc, key, value);
	}
	return ret;
}

/* Which words go together. */
static int check_options(struct fs_context *fc, struct mount_context *mc)
{
	if (mc->none && (mc->all || mc->mask))
		return invalfc(fc, "'none' does not go with subsystems");
	if (mc->all && mc->mask)
		return invalfc(fc, "'all' does not go with names of subsystems");
	if (mc->none && !mc->name[0])
		return invalfc(fc, "'none' needs name=");
	if (mc->name[0] && !mc->none)
		return invalfc(fc, "name= needs 'none': hierarchies with subsystems are found by these");
	return 0;
}

/* "all": one tree with every subsystem that need not be named, or what of these no tree has. */
static int choose_all(struct fs_context *fc, struct mount_context *mc)
{
	struct container_subsys *ss;
	int id;

	for_each_container_subsys(ss, id)
		if (!ss->named_only)
			mc->mask |= BIT(id);
	if (container_hierarchy_find(mc->mask, ""))
		return 0;
	for_each_container_subsys(ss, id)
		if (ss->hierarchy)
			mc->mask &= ~BIT(id);
	if (mc->mask)
		return 0;
	errorfc(fc, "every subsystem is bound to some hierarchy; /proc/containers shows where");
	return -EBUSY;
}

static int create_hierarchy(struct fs_context *fc, struct mount_context *mc)
{
	struct container_hierarchy *h;
	struct container_subsys *ss;
	const char *clash = NULL;
	int id;

	for_each_bound_subsys(ss, id, mc->mask) {
		if (ss->hierarchy) {
			errorfc(fc, "subsystem '%s' is bound to hierarchy %d", ss->name,
				ss->hierarchy->slot + 1);
			return -EBUSY;
		}
	}
	h = container_hierarchy_create(mc->mask, mc->name, mc->flags, &clash);
	if (IS_ERR(h)) {
		if (PTR_ERR(h) == -ENOSPC)
			errorfc(fc, "all %d hierarchies are in use (CONFIG_MAX_CONTAINER_HIERARCHIES)",
				CONFIG_MAX_CONTAINER_HIERARCHIES);
		else if (PTR_ERR(h) == -EEXIST)
			errorfc(fc, "'noprefix': a container would have two files '%s'", clash);
		return PTR_ERR(h);
	}
	mc->h = h;
	return 0;
}

/* The hierarchy that the options mean, found or made; this context uses it. */
static int find_hierarchy(struct fs_context *fc, struct mount_context *mc)
{
	int ret;

	container_assert_locked();
	ret = check_options(fc, mc);
	if (!ret && !mc->none && !mc->mask)
		ret = choose_all(fc, mc);
	if (ret)
		return ret;
	mc->h = container_hierarchy_find(mc->mask, mc->name);
	if (!mc->h)
		return create_hierarchy(fc, mc);
	if (mc->flags != mc->h->flags) {
		mc->h = NULL;
		errorfc(fc, "this hierarchy exists, and its 'noprefix' differs");
		return -EBUSY;
	}
	mc->h->users++;
	return 0;
}

/* A superblock or a context is done with @h, and its subsystems with it if that was the last. */
static void leave(struct container_hierarchy *h)
{
	unsigned long mask = READ_ONCE(h->subsys_mask);
	bool begun = container_rebind_lock(mask);

	/* another superblock of the tree may have bound more meanwhile */
	while (h->subsys_mask & ~mask) {
		mask = h->subsys_mask;
		container_rebind_unlock(begun);
		begun = container_rebind_lock(mask);
	}
	container_hierarchy_release_user(h);
	container_rebind_unlock(begun);
}

static int container_get_tree(struct fs_context *fc)
{
	struct mount_context *mc = mount_context(fc);
	bool begun;
	int ret;

	/* without a word it may be any */
	begun = container_rebind_lock(mc->mask || mc->none ? mc->mask : ~0UL);
	ret = find_hierarchy(fc, mc);
	/* for the superblock; container_kill_sb() drops it, after a failure too */
	if (!ret)
		mc->h->users++;
	container_rebind_unlock(begun);
	if (ret)
		return ret;

	mc->kfc.root = mc->h->kf_root;
	mc->kfc.magic = CONTAINER_SUPER_MAGIC;
	ret = kernfs_get_tree(fc);
	if (!mc->kfc.new_sb_created)
		leave(mc->h);
	/* last, as it cannot fail: a tree that exists keeps its agent after an error */
	if (!ret && mc->release_agent) {
		container_release_give_agent(mc->h, mc->release_agent);
		mc->release_agent = NULL;
	}
	return ret;
}

/* Is a container called like the file that was to be made? */
static bool is_a_container(const struct container_rebind_failure *fail)
{
	char name[2 * CONTAINER_FILE_NAME_MAX];
	struct kernfs_node *kn;
	bool ret;

	container_file_name(fail->cont->hierarchy, fail->ss, fail->file, name, sizeof(name));
	kn = kernfs_find_and_get(fail->cont->kn, name);
	ret = kn && kernfs_type(kn) == KERNFS_DIR;
	kernfs_put(kn);
	return ret;
}

/* Why not, in words. */
static void say_rebind_failed(struct fs_context *fc, const struct container_rebind_failure *fail,
			      int error)
{
	char *path;

	if (error == -EEXIST && fail->file && !is_a_container(fail)) {
		errorfc(fc, "'noprefix': a container would have two files '%s'", fail->file);
		return;
	}
	path = fail->cont ? kmalloc(PATH_MAX, GFP_KERNEL) : NULL;
	if (!path)
		return;
	if (container_path(fail->cont, path, PATH_MAX) < 0)
		strscpy(path, "?", PATH_MAX);
	if (error == -EEXIST && fail->file)
		errorfc(fc, "a child of container %s is called like the file '%s' of subsystem '%s'; rename it",
			path, fail->file, fail->ss->name);
	else if (error != -ENOMEM)
		errorfc(fc, "subsystem '%s' refuses, for container %s: error %d; the file 'why' there says more",
			fail->ss->name, path, -error);
	kfree(path);
}

/* What of a tree that is mounted can be changed: its subsystems, not its kind. */
static int check_reconfigure(struct fs_context *fc, struct mount_context *mc,
			     struct container_hierarchy *h)
{
	struct container_subsys *ss;
	int id;

	if (h->name[0] && strcmp(mc->name, h->name))
		return invalfc(fc, "the hierarchy 'name=%s' keeps its name and has no subsystems",
			       h->name);
	if (!h->name[0] && mc->none)
		return invalfc(fc, "'none': this hierarchy has no name to be found by without subsystems");
	if (mc->flags & ~h->flags) {
		errorfc(fc, "this hierarchy exists, and its 'noprefix' differs");
		return -EBUSY;
	}
	for_each_bound_subsys(ss, id, mc->mask) {
		if (ss->hierarchy && ss->hierarchy != h) {
			errorfc(fc, "subsystem '%s' is bound to hierarchy %d", ss->name,
				ss->hierarchy->slot + 1);
			return -EBUSY;
		}
	}
	return 0;
}

static int rebind_locked(struct fs_context *fc, struct mount_context *mc,
			 struct container_hierarchy *h)
{
	struct container_rebind_failure fail = { };
	struct container_subsys *ss;
	int id, ret;

	container_assert_locked();
	for_each_container_subsys(ss, id)
		if (mc->all && (ss->hierarchy == h || (!ss->hierarchy && !ss->named_only)))
			mc->mask |= BIT(id);
	if (!mc->mask)
		mc->mask = h->subsys_mask;
	ret = check_reconfigure(fc, mc, h);
	if (ret)
		return ret;
	ret = container_rebind(h, mc->mask, &fail);
	if (ret)
		say_rebind_failed(fc, &fail, ret);
	return ret;
}

/*
 * -o remount. Without a word about subsystems these stay. The agent comes last,
 * and cannot fail: after an error nothing has changed.
 */
static int container_reconfigure(struct fs_context *fc)
{
	struct mount_context *mc = mount_context(fc);
	struct container *root = kernfs_root_to_node(kernfs_root_from_sb(fc->root->d_sb))->priv;
	struct container_hierarchy *h = root->hierarchy;
	bool begun;
	int ret = 0;

	if (mc->all || mc->none || mc->mask || mc->flags || mc->name[0]) {
		ret = check_options(fc, mc);
		if (ret)
			return ret;
		begun = container_rebind_lock(~0UL);
		ret = rebind_locked(fc, mc, h);
		container_rebind_unlock(begun);
		container_settle(~0UL);
	}
	if (!ret && mc->release_agent) {
		container_release_give_agent(h, mc->release_agent);
		mc->release_agent = NULL;
	}
	return ret;
}

static void container_free_fc(struct fs_context *fc)
{
	struct mount_context *mc = mount_context(fc);

	kernfs_free_fs_context(fc);
	if (mc->h)
		leave(mc->h);
	kfree(mc->release_agent);
	kfree(mc);
}

static const struct fs_context_operations container_context_ops = {
	.free			= container_free_fc,
	.parse_param		= container_parse_param,
	.parse_monolithic	= container_parse_monolithic,
	.get_tree		= container_get_tree,
	.reconfigure		= container_reconfigure,
};

static int container_init_fs_context(struct fs_context *fc)
{
	struct mount_context *mc = kzalloc_obj(*mc);

	if (!mc)
		return -ENOMEM;
	fc->fs_private = &mc->kfc;
	fc->ops = &container_context_ops;
	fc->global = true;
	return 0;
}

static void container_kill_sb(struct super_block *sb)
{
	struct container *root = kernfs_root_to_node(kernfs_root_from_sb(sb))->priv;
	struct container_hierarchy *h = root->hierarchy;

	kernfs_kill_sb(sb);
	leave(h);
}

static struct file_system_type container_fs_type = {
	.name			= "container",
	.init_fs_context	= container_init_fs_context,
	.kill_sb		= container_kill_sb,
};

#if IS_ENABLED(CONFIG_CONTAINER_CPUSET) && IS_ENABLED(CONFIG_CONTAINER_MEMSET)

/* The file system that cpusets had before there were containers took no options. */
static int cpuset_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	if (!strcmp(param->key, "source"))
		return vfs_parse_fs_param_source(fc, param);
	return invalfc(fc, "type 'cpuset' takes no option '%s'; type 'container' does", param->key);
}

static const struct fs_context_operations cpuset_context_ops = {
	.free			= container_free_fc,
	.parse_param		= cpuset_parse_param,
	.get_tree		= container_get_tree,
};

static int cpuset_init_fs_context(struct fs_context *fc)
{
	struct mount_context *mc;
	int ret = container_init_fs_context(fc);

	if (ret)
		return ret;
	fc->ops = &cpuset_context_ops;
	mc = mount_context(fc);
	mc->mask = BIT(cpuset_subsys_id) | BIT(memset_subsys_id);
	mc->flags = CONTAINER_NOPREFIX;
	mc->release_agent = kstrdup("/sbin/cpuset_release_agent", GFP_KERNEL);
	if (mc->release_agent)
		return 0;
	container_free_fc(fc);
	return -ENOMEM;
}

/* For programs that were written for cpusets: the hierarchy of both, under the old names. */
static struct file_system_type cpuset_fs_type = {
	.name			= "cpuset",
	.init_fs_context	= cpuset_init_fs_context,
	.kill_sb		= container_kill_sb,
};

static int __init register_cpuset(void)
{
	return register_filesystem(&cpuset_fs_type);
}

#else

static int __init register_cpuset(void)
{
	return 0;
}

#endif

/**
 * container_mount_init - the file systems can be mounted from now on
 *
 * Context: fs_initcall.
 * Return: 0 or -errno.
 */
int __init container_mount_init(void)
{
	return register_filesystem(&container_fs_type) ?: register_cpuset();
}
