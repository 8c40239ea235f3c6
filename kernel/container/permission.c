// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may do what: the rules about users, in one room.
 *
 * Directories and files have owners and modes, and the VFS applies these: who
 * may make, rename and remove containers, who may open a file. So a subtree is
 * delegated with chown of its directory and of `tasks` and `procs` in it. Here
 * is what modes cannot say:
 *
 *   whose task     its owner's, by real or saved uid, or the first user
 *                  namespace's root's
 *   user namespace the task's must be the mover's or inside of that: uid 0 of
 *                  an inner one has no power over what is outside
 *   in and out     the mover could write the file of the nearest common
 *                  ancestor of both containers: else who owns two directories,
 *                  or one and a task, could carry a task past a limit that
 *                  stands above
 *   descriptors    can be passed, to someone with more rights or fewer. These
 *                  rules hold for who opened the file, and for who writes; that of
 *                  ns.c about others' processes, for who writes, comes on top
 *
 * Locking: container_mutex keeps the containers of the tasks. Nothing is kept,
 * so a mode or an owner that changes counts from the next write.
 *
 * Surprise: a task past container_exit() has no container any more. It is let pass, and attach.c does not move it.
 */
#include "chain.h"
#include "internal.h"

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mnt_idmapping.h>
#include <linux/sched/task.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

/* What speaks against @cred moving @task, whatever the containers are; NULL for nothing. */
static const char *objection(const struct cred *cred, struct task_struct *task)
{
	const struct cred *tcred;
	const char *reason = NULL;

	rcu_read_lock();
	tcred = __task_cred(task);
	if (!uid_eq(cred->euid, GLOBAL_ROOT_UID) && !uid_eq(cred->euid, tcred->uid) &&
	    !uid_eq(cred->euid, tcred->suid))
		reason = "it is another user's";
	else if (!in_userns(cred->user_ns, tcred->user_ns))
		reason = "it is outside of the user namespace";
	rcu_read_unlock();
	return reason;
}

static int may_move_task(struct container *to, struct task_struct *task, const struct file *file)
{
	const char *reason;

	/* kthreadd's place is where every later kernel thread would be born */
	if (task == kthreadd_task)
		return container_refuse(to, task, NULL, "attach", "it is kthreadd", -EINVAL);
	reason = objection(file->f_cred, task) ?: objection(current_cred(), task);
	return reason ? container_refuse(to, task, NULL, "attach", reason, -EACCES) : 0;
}

/* Where a task is; NULL if it has left for good. container_mutex keeps it there but for an exit. */
static struct container *place_of(struct task_struct *task, struct container_hierarchy *h)
{
	struct container_membership *m;

	guard(rcu)();
	m = to_membership(rcu_dereference(task->containers));
	return m == &exited_membership ? NULL : container_of_group(m, h);
}

/* May the opener of @file write to @inode, and the writer, if @both? No mount of these files has ids of its own. */
static int may_write_inode(struct inode *inode, const struct file *file, bool both)
{
	int ret = both ? inode_permission(&nop_mnt_idmap, inode, MAY_WRITE) : 0;

	if (!ret && (!both || file->f_cred != current_cred())) {
		scoped_with_creds(file->f_cred)
			ret = inode_permission(&nop_mnt_idmap, inode, MAY_WRITE);
	}
	return ret;
}

/* Could the opener write the file @name of @cont, and the writer, if @both? */
static int may_write(struct container *cont, const struct file *file, const char *name, bool both)
{
	struct kernfs_node *kn = kernfs_find_and_get(cont->kn, name);
	struct inode *inode;
	int ret;

	if (WARN_ON_ONCE(!kn))
		return -ENODEV;
	inode = kernfs_get_inode(file_inode(file)->i_sb, kn);
	kernfs_put(kn);
	if (!inode)
		return -ENOMEM;
	ret = may_write_inode(inode, file, both);
	iput(inode);
	return ret;
}

/* Modes say nothing to those who override them. Without this each move looks for an inode. */
static bool overrides_modes(const struct file *file)
{
	return capable(CAP_DAC_OVERRIDE) &&
	       file_ns_capable(file, &init_user_ns, CAP_DAC_OVERRIDE);
}

/**
 * container_may_move - may these tasks be moved by a write to this file?
 * @to: destination, not dead
 * @tasks: referenced tasks
 * @nr: how many
 * @file: the open `tasks` or `procs` of @to
 * @name: which of the two
 *
 * A refusal is recorded in @to.
 *
 * Context: container_mutex; in the writer.
 * Return: 0; -EINVAL (kthreadd), -EACCES, -ENOMEM.
 */
int container_may_move(struct container *to, struct task_struct **tasks, unsigned int nr,
		       const struct file *file, const char *name)
{
	bool any_mode = overrides_modes(file);
	struct container *from, *crossed = NULL;
	unsigned int i;
	int ret;

	container_assert_locked();
	for (i = 0; i < nr; i++) {
		ret = may_move_task(to, tasks[i], file);
		if (ret)
			return ret;
		if (any_mode)
			continue;
		from = place_of(tasks[i], to->hierarchy);
		/* the threads of a process are mostly in one place */
		if (!from || from == crossed)
			continue;
		ret = may_write(chain_common(from, to, parent), file, name, true);
		if (ret == -EACCES)
			return container_refuse(to, tasks[i], NULL, "attach",
						"the common ancestor's file is not writable", ret);
		/* it may have been taken back since it was opened; who got it passed need not open it */
		if (!ret)
			ret = may_write(to, file, name, false);
		if (ret == -EACCES)
			return container_refuse(to, tasks[i], NULL, "attach",
						"the file is not its opener's to write any more",
						ret);
		if (ret)
			return ret;
		crossed = from;
	}
	return 0;
}

/**
 * container_may_write_now - do modes and owners let this file be written at this moment?
 * @file: the open file
 *
 * Context: in the writer.
 * Return: whether both opener and writer may.
 */
bool container_may_write_now(const struct file *file)
{
	return !may_write_inode(file_inode(file), file, true);
}

/**
 * container_may_administer - may a file that reaches beyond containers be written?
 * @file: the open file
 *
 * Context: in the writer.
 * Return: whether both opener and writer have CAP_SYS_ADMIN in the first user
 * namespace.
 */
bool container_may_administer(const struct file *file)
{
	return capable(CAP_SYS_ADMIN) && file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN);
}
