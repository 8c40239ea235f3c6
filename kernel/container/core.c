// SPDX-License-Identifier: GPL-2.0-only
/*
 * Process containers: the table of subsystems, the mutex, start-up.
 *
 * container_mutex is the outer lock of everything that changes trees, bindings
 * or memberships (internal.h has the order). Subsystems live for ever, and so
 * do their root states, created here and re-bound by mounts.
 */
#include "internal.h"

#include <linux/container_hooks.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/mutex.h>

static DEFINE_MUTEX(container_mutex);

struct container_subsys *const container_subsystems[CONTAINER_SUBSYS_COUNT] = {
#define SUBSYS(_x) [_x##_subsys_id] = &_x##_subsys,
#include <linux/container_subsys.h>
#undef SUBSYS
};

static const char *const subsys_names[CONTAINER_SUBSYS_COUNT] = {
#define SUBSYS(_x) [_x##_subsys_id] = #_x,
#include <linux/container_subsys.h>
#undef SUBSYS
};

/* Runs the last part of a state's life, which may sleep. */
struct workqueue_struct *container_wq;

/**
 * container_lock - enter the section that changes trees and memberships
 *
 * Context: process; sleeps. Not from a control file's callback: the core would
 * wait for that callback while it holds the mutex.
 */
void container_lock(void)
{
	mutex_lock(&container_mutex);
}

/* The same, for who may not wait; true: it is entered. */
bool container_trylock(void)
{
	return mutex_trylock(&container_mutex);
}

/**
 * container_unlock - leave it
 */
void container_unlock(void)
{
	mutex_unlock(&container_mutex);
}

/**
 * container_assert_locked - what a *_locked() function starts with
 */
void container_assert_locked(void)
{
	lockdep_assert_held(&container_mutex);
}

#ifdef CONFIG_PROVE_RCU
int lockdep_is_container_mutex_held(void)
{
	return lockdep_is_held(&container_mutex);
}
#endif

/**
 * container_init_early - give the first task its group
 *
 * Context: start_kernel(), one CPU, nothing can be allocated. The group has no
 * states yet.
 * Return: 0.
 */
int __init container_init_early(void)
{
	RCU_INIT_POINTER(init_task.containers, &init_membership.group);
	return 0;
}

static int __init subsys_init(struct container_subsys *ss, int id)
{
	struct container_subsys_state *css;
	int ret;

	ss->id = id;
	if (!ss->name)
		ss->name = subsys_names[id];
	css = ss->create(NULL);
	if (IS_ERR(css))
		return PTR_ERR(css);
	ret = container_css_init(css, ss, container_parking.root, NULL);
	if (ret)
		return ret;
	ss->root_css = css;
	RCU_INIT_POINTER(init_membership.group.state[id], css);
	RCU_INIT_POINTER(exited_membership.group.state[id], css);
	container_lock();
	ret = container_css_online(css);
	if (!ret)
		container_css_bind(ss, NULL);
	container_unlock();
	return ret;
}

/**
 * container_init - create the root states, register the file system
 *
 * Every task so far is in init_membership, so filling in its states serves all.
 *
 * Context: start_kernel(), one CPU, sleeping is not possible yet.
 * Return: 0; a failure here leaves no kernel to run, so it panics.
 */
int __init container_init(void)
{
	struct container_subsys *ss;
	int id, ret;

	container_wq = alloc_workqueue("container", WQ_UNBOUND, 0);
	if (!container_wq)
		panic("containers: no workqueue");
	container_group_init();
	container_fork_init();
	for_each_container_subsys(ss, id) {
		ret = subsys_init(ss, id);
		if (ret)
			panic("containers: subsystem %s does not start: %d", subsys_names[id], ret);
	}
	container_files_init();
	return 0;
}

static int __init container_fs_init(void)
{
	int ret;

	ret = sysfs_create_mount_point(fs_kobj, "container");
	if (ret)
		return ret;
	ret = container_proc_init();
	if (ret)
		return ret;
	return container_mount_init();
}
fs_initcall(container_fs_init);
