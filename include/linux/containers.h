/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Process containers: the interface for subsystems. (linux/container.h is Linux's own,
 * about hot-pluggable devices.)
 *
 * A container is a directory of a mounted hierarchy. A subsystem keeps one
 * state (css) per container of the hierarchy that it is bound to, and one
 * root state for life. A task reaches its state for a subsystem in two loads,
 * task->containers->state[id].
 *
 * Locking: container_mutex (container_lock()) for every change of trees,
 * bindings and memberships; rcu_read_lock() for readers. Subsystem callbacks
 * run under container_mutex unless their comment says otherwise.
 *
 * Lifetime: a css is pinned by container_css_get(), by container_mutex, and by
 * RCU for a reader. That a task is in it pins its container, but not the css:
 * remounting takes states away under a task. After rmdir, or when its subsystem
 * leaves the hierarchy, it is offline; destroy() runs after the last put and a
 * grace period.
 */
#ifndef _LINUX_CONTAINERS_H
#define _LINUX_CONTAINERS_H

#include <linux/kconfig.h>
#include <linux/types.h>

struct container;
struct container_file;
struct container_group;
struct container_subsys;
struct kernel_clone_args;
struct seq_file;
struct task_struct;

enum container_subsys_id {
#define SUBSYS(_x) _x##_subsys_id,
#include <linux/container_subsys.h>
#undef SUBSYS
	CONTAINER_SUBSYS_COUNT,
};

#ifdef CONFIG_CONTAINERS

#include <linux/list.h>
#include <linux/percpu-refcount.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

/**
 * struct container_subsys_state - a subsystem's part of one container (css)
 * @container: the directory; the root state's changes when the subsystem is
 *	bound elsewhere (container_mutex, readers RCU)
 * @ss: the subsystem; immutable
 * @parent: the state one level up, NULL for the root state; immutable, pinned
 * @refcnt: references; killed when the container goes offline
 * @children: list of @sibling; changed under container_mutex, readers RCU;
 *	only states that are online
 * @sibling: entry in the parent's @children
 * @online: between online() and offline(); container_mutex
 * @closed: no new references for now, the subsystem is about to leave the
 *	hierarchy; container_mutex
 * @sealed: goes with the state below it, see kernel/container/css.c; exchanged as a whole
 * @nr_below: states whose @parent this is, removed ones too
 * @free_work: runs destroy() after the last put and a grace period
 *
 * Embedded in the subsystem's own object, which create() allocates.
 */
struct container_subsys_state {
	struct container __rcu *container;
	struct container_subsys *ss;
	struct container_subsys_state *parent;
	struct percpu_ref refcnt;
	struct list_head children;
	struct list_head sibling;
	bool online;
	bool closed;
	bool sealed;
	atomic_t nr_below;
	struct rcu_work free_work;
};

/**
 * struct container_attach - the set of tasks that one write moves
 * @nr: entries of @tasks
 * @tasks: referenced tasks; all of one thread group, or, when the subsystem is
 *	being bound to a tree or unbound from it, all that are in one container
 * @to: the destination; the root of the tree when it is being unbound
 * @occupied: somebody was in @to before; a task that is being forked counts
 * @clone: container_clone() has made @to for the one task, which may be one
 *	that is being forked: not visible, never on a processor yet
 *
 * Where a task comes from is container_task_css_check() of the task as long as
 * attach() has not been called.
 */
struct container_attach {
	unsigned int nr;
	struct task_struct **tasks;
	struct container *to;
	bool occupied;
	bool clone;
};

/**
 * struct container_subsys - a subsystem's callbacks, in the order of a life
 * @create: allocate the state of a new container below @parent (NULL: the root
 *	state, at boot). Sleeps. Returns the css or ERR_PTR().
 * @online: the state is linked to its parent and will be used. May fail;
 *	destroy() follows then, offline() does not.
 * @post_clone: tasks will be in the container before anyone can set it up: it has
 *	been made by container_clone(), or was there before the subsystem was bound.
 *	After @online, and before @can_attach is asked. Takes what the tasks need
 *	from the parent's state.
 * @offline: the container is being removed; states may stay referenced.
 * @destroy: free the state. Called without container_mutex, from a kworker
 *	(or, after a failed create or online, from the caller).
 * @can_attach: may the tasks enter? Returns 0 or the error of the write.
 * @cancel_attach: an earlier can_attach() returned 0, but nobody was moved.
 * @moved: the task is in the state now, and was in @from till now: for who counts. Called per task, before
 *	@attach, with task_lock(), as is the task's leaving at its end, so that @exit comes after it. Must not sleep.
 * @attach: the tasks have been moved; @from is the state that each left.
 *	Called per task, cannot fail.
 * @settle: what attach() has begun, and left to somebody else, is done: the write
 *	that moved the tasks is about to return. Without locks; sleeps.
 * @is_settled: would @settle have nothing to do for the current task? Whoever has @settle has this, too; it may be asked
 *	where @settle cannot be called.
 * @can_fork: may there be a new task in @css? It has a number (the idle tasks have 0) and
 *	cannot be found, and it is never in another state before @cancel_fork, or before it
 *	can be found. In a section as @fork; to sleep see <linux/container_fork.h>. Returns 0 or an error.
 * @cancel_fork: @can_fork returned 0, but the task will not be. In the same section.
 * @fork: a new task is visible and in its container, where it has not run yet. May
 *	sleep; in a section that moves of processes and rebindings wait for: no
 *	container_lock(). A move of the thread alone may come before or meanwhile.
 * @fork_fits: asked once, just before @fork, and not if that is not told: is the task, a copy of
 *	its parent, what it is to be in @css, so that there is nothing left for @fork, which is
 *	not called then? Under RCU; does not sleep. What others have changed before they looked
 *	for tasks, and did not find this one, is seen by it.
 * @exit: @task leaves @css for good. Runs in the exiting task, in such a section; must not sleep. For
 *	a subsystem with @can_fork, which charges a task before it can be moved, and for one that is
 *	@unordered, it may come before the @attach of a move that put the task there; else moves wait.
 * @count: the subsystem comes to a hierarchy: after @bind, and before any task has another
 *	state than the root's. Till then it was not told of forks and exits; now there are
 *	@tasks. Nobody forks, exits or moves meanwhile. Sleeps.
 * @bind: the root state now belongs to container @root (of a mounted
 *	hierarchy or of the parking place). On a tree with children: after their
 *	states have come and before tasks do, or after their states have gone.
 * @recharge: the subsystem leaves a tree; all states below the root state are
 *	offline, no task is in one: pass to the root state what is still charged
 *	to them. Sleeps, cannot fail. A subsystem without it cannot leave (EBUSY)
 *	while somebody else than the core has a reference to a state below.
 * @files: control files, ended by an entry without a name
 * @named_only: bound by a mount that names it, not by `all` or by none
 * @unordered: @attach and @exit look where the task is now, so that for one task they may come in
 *	any order: single moves need not wait for exits
 * @name: as in mount options and file prefixes; set by the core from the list, if it is not
 * @id: index in container_group.state; set by the core
 * @hierarchy: where it is bound, NULL when parked; container_mutex
 * @root_css: the root state; immutable after boot
 * @nr_states: states that are not destroyed yet
 *
 * create and destroy are mandatory. A subsystem without @can_attach, @attach,
 * @can_fork, @fork and @exit costs fork and exit nothing, nor does one that is bound to
 * no hierarchy: it is not told of them.
 */
struct container_subsys {
	struct container_subsys_state *(*create)(struct container_subsys_state *parent);
	int (*online)(struct container_subsys_state *css);
	void (*post_clone)(struct container_subsys_state *css);
	void (*offline)(struct container_subsys_state *css);
	void (*destroy)(struct container_subsys_state *css);
	int (*can_attach)(struct container_subsys_state *css, struct container_attach *set);
	void (*cancel_attach)(struct container_subsys_state *css, struct container_attach *set);
	void (*moved)(struct container_subsys_state *css, struct container_subsys_state *from,
		      struct task_struct *task);
	void (*attach)(struct container_subsys_state *css, struct container_subsys_state *from,
		       struct task_struct *task);
	void (*settle)(void);
	bool (*is_settled)(void);
	int (*can_fork)(struct task_struct *child, struct container_subsys_state *css);
	void (*cancel_fork)(struct task_struct *child, struct container_subsys_state *css);
	bool (*fork_fits)(struct task_struct *task, struct container_subsys_state *css);
	void (*fork)(struct task_struct *task, struct container_subsys_state *css);
	void (*exit)(struct task_struct *task, struct container_subsys_state *css);
	void (*count)(struct container_subsys_state *root_css, unsigned int tasks);
	void (*bind)(struct container_subsys_state *root_css, struct container *root);
	void (*recharge)(struct container_subsys_state *root_css);
	const struct container_file *files;
	bool named_only;
	bool unordered;

	const char *name;
	int id;
	struct container_hierarchy *hierarchy;
	struct container_subsys_state *root_css;
	atomic_t nr_states;
};

#define SUBSYS(_x) extern struct container_subsys _x##_subsys;
#include <linux/container_subsys.h>
#undef SUBSYS

#define CONTAINER_FILE_NAME_MAX		32
#define CONTAINER_WRITE_MAX		4096

enum {
	CONTAINER_FILE_ROOT_ONLY	= 1 << 0,	/* only in the root of a hierarchy */
	CONTAINER_FILE_NOT_ON_ROOT	= 1 << 1,	/* in every container but the root */
};

/**
 * struct container_file - a control file
 * @name: without the subsystem's prefix
 * @flags: CONTAINER_FILE_*
 * @private: for the callbacks
 * @show: print the whole file
 * @read_u64: the file is one number (instead of @show)
 * @write: @buf is what was written, NUL-terminated, without surrounding white
 *	space, and may be changed. Returns 0 or -errno.
 * @write_u64: the file takes one number, decimal (instead of @write); other
 *	input is refused before the call: EINVAL for what is no number, ERANGE
 *	for what does not fit
 *
 * The mode follows from the callbacks: 0644, 0444 or 0200. Callbacks run with
 * the container pinned and alive, without container_mutex; a write to a
 * removed container is ENODEV.
 */
struct container_file {
	char name[CONTAINER_FILE_NAME_MAX];
	unsigned int flags;
	unsigned long private;
	int (*show)(struct seq_file *sf, struct container *cont, const struct container_file *file);
	u64 (*read_u64)(struct container *cont, const struct container_file *file);
	int (*write)(struct container *cont, const struct container_file *file, char *buf);
	int (*write_u64)(struct container *cont, const struct container_file *file, u64 val);
};

/**
 * struct container_group - the memberships of a task
 * @state: the state for every subsystem; changes under container_mutex when the
 *	subsystem is bound or unbound, else immutable; readers RCU
 *
 * What follows @state is the core's (kernel/container/internal.h).
 */
struct container_group {
	struct container_subsys_state __rcu *state[CONTAINER_SUBSYS_COUNT];
};

void container_lock(void);
void container_unlock(void);
void container_assert_locked(void);
#ifdef CONFIG_PROVE_RCU
int lockdep_is_container_mutex_held(void);
#else
static inline int lockdep_is_container_mutex_held(void)
{
	return 1;
}
#endif

/**
 * container_css - the state of a subsystem in a container
 * @cont: container, pinned by the caller
 * @ss: subsystem
 *
 * Context: inside a file callback of @ss, or under container_mutex.
 * Return: the state; the root state in the root; NULL where @ss is not bound
 * to the container's hierarchy.
 */
struct container_subsys_state *container_css(struct container *cont, struct container_subsys *ss);

/**
 * container_task_css - the state of a subsystem that a task is in
 * @task: task
 * @id: NAME_subsys_id
 *
 * Context: rcu_read_lock(), or container_mutex; the result is valid as long.
 * Return: the state. NULL only until container_init(), near the end of
 * start_kernel(): a hook that can run earlier has to look.
 */
static inline struct container_subsys_state *container_task_css(struct task_struct *task, int id)
{
	struct container_group *group =
		rcu_dereference_check(task->containers, lockdep_is_container_mutex_held());

	return rcu_dereference_check(group->state[id], lockdep_is_container_mutex_held());
}

/**
 * container_css_tryget - take a reference
 * @css: a state that the caller has pinned, or the state of a task under RCU
 *
 * Return: false only when @css is offline or about to be: then charge its
 * parent instead.
 */
static inline bool container_css_tryget(struct container_subsys_state *css)
{
	return percpu_ref_tryget_live_rcu(&css->refcnt);
}

/* More references to a state on which the caller holds one. Any context. */
static inline void container_css_get_many(struct container_subsys_state *css, unsigned long nr)
{
	percpu_ref_get_many(&css->refcnt, nr);
}

static inline void container_css_put_many(struct container_subsys_state *css, unsigned long nr)
{
	percpu_ref_put_many(&css->refcnt, nr);
}

static inline void container_css_get(struct container_subsys_state *css)
{
	container_css_get_many(css, 1);
}

static inline void container_css_put(struct container_subsys_state *css)
{
	container_css_put_many(css, 1);
}

/**
 * container_css_next_descendant - walk a subtree of states, parents first
 * @pos: the last one, NULL to start
 * @root: the top, returned first
 *
 * Context: rcu_read_lock() throughout, or container_mutex.
 * Return: the next state that is online, NULL at the end.
 */
struct container_subsys_state *
container_css_next_descendant(struct container_subsys_state *pos,
			      struct container_subsys_state *root);

#define container_css_for_each_descendant(pos, root)				\
	for ((pos) = container_css_next_descendant(NULL, (root)); (pos);	\
	     (pos) = container_css_next_descendant((pos), (root)))

/**
 * container_css_each_task - tell a subsystem of every thread that is in a state
 * @css: state, pinned by the caller
 * @tell: called for each, twice for most of them; may sleep. @again: this is the second walk
 *
 * None is missed that is there from beginning to end, even if it execs. Threads that come or
 * go meanwhile may be missed or told of: who wants all of them looks in fork() and attach().
 *
 * Context: process; no lock of ours is needed or taken.
 */
void container_css_each_task(struct container_subsys_state *css,
			     void (*tell)(struct container_subsys_state *css,
					  struct task_struct *task, bool again));

/**
 * container_parse_pages - read a number of pages
 * @buf: "N" (pages), "N[K|M|G|T]" (bytes, rounded down), or "max"
 * @pages: result; ULONG_MAX for "max"
 *
 * Return: 0, -EINVAL (not a number) or -ERANGE (too big, or bytes but less than a page).
 */
int container_parse_pages(const char *buf, unsigned long *pages);

int container_clone(struct container_subsys *ss, struct task_struct *task);

/* Path of a container from the root of its hierarchy; returns its length or -errno. */
int container_path(struct container *cont, char *buf, size_t len);

int proc_container_show(struct seq_file *m, struct pid_namespace *ns, struct pid *pid,
			struct task_struct *task);

#endif /* CONFIG_CONTAINERS */

/* unshare(2): the new namespaces exist, nothing has been switched to them yet */
#ifdef CONFIG_CONTAINER_NS
int container_ns_unshare(unsigned long flags);
#else
static inline int container_ns_unshare(unsigned long flags)
{
	return 0;
}
#endif

#endif /* _LINUX_CONTAINERS_H */
