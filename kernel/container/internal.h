/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The container core's own types. Subsystems see <linux/containers.h> only.
 *
 * Locks, outer to inner:
 *
 *   kernfs/VFS directory locks    as the VFS takes them for mkdir and rmdir
 *   s_umount                      mount, remount and umount
 *   container_thread_rwsem        write: moving a process of several threads; binding and
 *                                 unbinding a subsystem with callbacks for
 *                                 tasks; while one is bound that counts tasks by
 *                                 them, every move. read: a clone that shares
 *                                 memory or gets namespaces, from can_fork to post_fork;
 *                                 while a subsystem with such callbacks is bound, every fork and exit,
 *                                 if it is not an RCU section instead (fork.c)
 *   container_mutex               trees, bindings, memberships; sleeps, allocates
 *   task_lock(task)               the swap of task->containers
 *   group_lock                    table of groups, containers' lists of groups
 *
 * kernfs: an operation enters with an active reference on its node, and
 * removing a node waits for those. So whoever wants container_mutex from such
 * an operation gives the active reference up first (container_kn_enter()).
 *
 * RCU readers see task->containers and all that hangs off it: groups,
 * containers and states are freed after a grace period.
 */
#ifndef _KERNEL_CONTAINER_INTERNAL_H
#define _KERNEL_CONTAINER_INTERNAL_H

#include <linux/container_why.h>
#include <linux/containers.h>
#include <linux/kernfs.h>
#include <linux/llist.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>

#define CONTAINER_SUPER_MAGIC	0x27e0eb
#define CONTAINER_NAME_MAX	64

struct container_hierarchy;

/* What a control file's kernfs node points to. Lives as long as that. */
struct container_node {
	struct container *cont;
	const struct container_file *file;
	struct kernfs_node *kn;
};

/* The control files of the core or of one subsystem in a container. */
struct container_files {
	struct container_node *node;
	unsigned int nr;
};

/* Index of the core's own in container.files. */
#define CONTAINER_CORE_FILES	CONTAINER_SUBSYS_COUNT

/**
 * struct container_why - the last refusal in a container
 * @lock: protects the rest; any context
 * @last: what was said, without the limiter
 * @limiter: whose limit it was: the container or an ancestor, or NULL
 * @count: refusals so far
 * @when: boot time of the tick before, ns
 * @pid: of whom it hit, in the first pid namespace; 0 for nobody
 * @comm: its name
 */
struct container_why {
	spinlock_t lock;
	struct container_refusal last;
	struct container *limiter;
	unsigned long count;
	u64 when;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

/**
 * struct container - a directory of a hierarchy
 * @hierarchy: immutable, referenced
 * @key: its part in the keys of groups, by chance: made of addresses, those of containers that
 *	are made in turn in two trees would be equal for many pairs
 * @parent: NULL for a root; immutable, referenced
 * @kn: the directory; immutable; valid while the container is referenced
 * @ref: the directory itself, each state, each child, and transient users
 * @nr_children: directories below; container_mutex
 * @children: list of @sibling, in the order of mkdir; container_mutex
 * @sibling: entry in the parent's @children
 * @dead: rmdir has begun; container_mutex
 * @flags: CONTAINER_* bits below; atomic
 * @nr_populated: 1 for own members, and 1 for each child that has any; not for
 *	roots; group_lock
 * @nr_dying: removed containers below, with states that are still referenced
 * @kills: writes to `kill` in progress
 * @events_kn: the file `events`; referenced; immutable after populating
 * @changed: in the list of changed containers, while CONTAINER_CHANGED is set
 * @release_link: in the hierarchy's release_list; release_lock
 * @why: for the file `why`
 * @groups: container_group.link[] of groups with members here; group_lock.
 *	Unused in a root, where membership is the default.
 * @state: by subsystem id, NULL where not bound; container_mutex
 * @files: by subsystem id, and the core's; container_mutex
 */
struct container {
	struct container_hierarchy *hierarchy;
	u32 key;
	struct container *parent;
	struct kernfs_node *kn;
	refcount_t ref;
	unsigned int nr_children;
	struct list_head children;
	struct list_head sibling;
	bool dead;
	unsigned long flags;
	unsigned int nr_populated;
	atomic_t nr_dying;
	atomic_t kills;
	struct kernfs_node *events_kn;
	struct llist_node changed;
	struct list_head release_link;
	struct container_why why;
	struct list_head groups;
	struct container_subsys_state *state[CONTAINER_SUBSYS_COUNT];
	struct container_files files[CONTAINER_SUBSYS_COUNT + 1];
	struct rcu_head rcu;
};

/* Bits of container.flags. */
enum {
	CONTAINER_CHANGED,	/* queued for the worker of events.c */
	CONTAINER_NOTIFY,	/* notify_on_release */
	CONTAINER_OCCUPIED,	/* a task has come since it was last empty */
	CONTAINER_USED,		/* has had a task or a child; for ever */
	CONTAINER_RELEASE,	/* became empty: the worker of events.c looks what to do */
	CONTAINER_AUTO,		/* made by container_clone(): removed when it is empty */
	CONTAINER_HIDDEN,	/* made, and not shown yet; container_mutex */
};

/* A flag of a control file that only the core's own have. */
enum {
	CONTAINER_FILE_ADMIN	= 1 << 8,	/* writing needs CAP_SYS_ADMIN in the first user namespace */
};

enum {
	CONTAINER_NOPREFIX	= 1 << 0,
};

/**
 * struct container_hierarchy - a tree and the subsystems bound to it
 * @slot: index in container_group.container[] and in hierarchies[]; immutable
 * @root: root container; immutable
 * @kf_root: immutable
 * @subsys_mask: bound subsystems; container_mutex; changed by rebind.c
 * @flags: CONTAINER_NOPREFIX; immutable
 * @name: of a named hierarchy, else empty; immutable
 * @users: superblocks and mounts in progress; container_mutex
 * @nr_containers: live ones, the root included; container_mutex
 * @release_agent: path, NULL for none; release_lock
 * @release_list: containers that wait for it; release_lock
 * @release_window: when the present burst of agents began; release_lock
 * @release_started: how many it has; release_lock
 * @release_work: starts agents; references the hierarchy while queued
 * @ref: the table of hierarchies, each container, a queued work item
 *
 * Leaves the table (and frees its slot) when @users is 0 and only the root is
 * left. A hierarchy with children survives umount.
 */
struct container_hierarchy {
	int slot;
	struct container *root;
	struct kernfs_root *kf_root;
	unsigned long subsys_mask;
	unsigned int flags;
	char name[CONTAINER_NAME_MAX];
	unsigned int users;
	unsigned int nr_containers;
	char *release_agent;
	struct list_head release_list;
	unsigned long release_window;
	unsigned int release_started;
	struct delayed_work release_work;
	refcount_t ref;
};

/**
 * struct container_membership - the core's part of a container_group
 * @group: what the task points to; first, so that the two are one address
 * @ref: tasks, and transient users
 * @places: the three that follow, by which groups differ; immutable
 * @key: for the table; each container has its part in it, see key_of()
 * @slots: bits of those where @container is not NULL
 * @container: by slot; NULL means the root container, so that mounting a
 *	hierarchy changes no group
 * @link: by slot, in container.groups; unused where @container is NULL; group_lock
 * @hash: in the table of groups; group_lock, readers RCU
 */
struct container_membership {
	struct container_group group;
	refcount_t ref;

	struct_group_tagged(container_places, places,
		u32 key;
		unsigned long slots;
		struct container *container[CONFIG_MAX_CONTAINER_HIERARCHIES];
	);
	struct hlist_node hash;
	struct list_head link[CONFIG_MAX_CONTAINER_HIERARCHIES];
	struct rcu_head rcu;
};

extern struct container_subsys *const container_subsystems[CONTAINER_SUBSYS_COUNT];
extern struct container_hierarchy *container_hierarchies[CONFIG_MAX_CONTAINER_HIERARCHIES];
extern struct container_hierarchy container_parking;
extern struct workqueue_struct *container_wq;
extern const struct container_file container_core_files[];

#define for_each_container_subsys(ss, id)						\
	for ((id) = 0; (id) < CONTAINER_SUBSYS_COUNT && ((ss) = container_subsystems[id], true); \
	     (id)++)

/* The subsystems of a mask, which is looked at once and may be ~0UL. */
#define for_each_bound_subsys(ss, id, mask)						\
	for (unsigned long __left = (mask) & (BIT(CONTAINER_SUBSYS_COUNT) - 1);		\
	     __left && ((id) = __ffs(__left), (ss) = container_subsystems[id], true);	\
	     __left &= __left - 1)

static inline bool container_is_root(const struct container *cont)
{
	return !cont->parent;
}

/* group.c */
extern struct container_membership init_membership;
extern struct container_membership exited_membership;

static inline struct container_membership *to_membership(struct container_group *group)
{
	return container_of(group, struct container_membership, group);
}

struct container *container_of_group(struct container_membership *m,
				     struct container_hierarchy *h);
void container_group_init(void);
struct container_membership *container_group_find(struct task_struct *task, struct container *to);
struct container_membership *container_group_get(struct task_struct *task);
struct container_membership *container_group_get_current(void);
void container_group_put(struct container_membership *m);
void container_group_rebind(struct container *cont, int id, struct container_subsys_state *css);
bool container_populated(struct container *cont);

/*
 * The same without group_lock, so it does not say that the last one has left for good: for who
 * does not want to take anything away. Context: container_mutex; "yes" may be old.
 */
static inline bool container_has_members(const struct container *cont)
{
	return !list_empty(&cont->groups);
}

unsigned int container_nr_groups(void);
unsigned int container_group_chains(unsigned int *longest);

/* css.c */
int container_css_create(struct container *cont, struct container_subsys *ss);
int container_css_online(struct container_subsys_state *css);
void container_css_post_clone(struct container *cont, unsigned long mask);
void container_css_kill(struct container_subsys_state *css);
void container_css_abort(struct container_subsys_state *css);
void container_css_close(struct container_subsys_state *css);
void container_css_wait_closed(void);
long container_css_held(struct container_subsys_state *css);
void container_css_reopen(struct container_subsys_state *css);
void container_css_bind(struct container_subsys *ss, struct container_hierarchy *h);
int container_css_init(struct container_subsys_state *css, struct container_subsys *ss,
		       struct container *cont, struct container_subsys_state *parent);

/* core.c */
bool container_trylock(void);

/* dir.c */
struct container *container_alloc(struct container_hierarchy *h, struct container *parent);
void container_get(struct container *cont);
void container_put(struct container *cont);
void container_kn_enter(struct kernfs_node *kn, struct container *cont);
void container_kn_leave(struct kernfs_node *kn, struct container *cont);
struct container *container_make(struct container *parent, const char *name, umode_t mode);
void container_show(struct container *cont);
void container_unmake(struct container *cont);
struct container *container_create(struct container *parent, const char *name, umode_t mode);
int container_remove(struct container *cont);
extern struct kernfs_syscall_ops container_syscall_ops;

/* file.c */
int container_parse_number(const char *buf, u64 *val);
void container_file_name(const struct container_hierarchy *h, const struct container_subsys *ss,
			 const char *file, char *buf, size_t len);
const char *container_files_clash(unsigned long mask);
void container_files_init(void);
int container_add_files(struct container *cont);
int container_files_add(struct container *cont, int id, const char **clash);
void container_files_show(struct container *cont, int id, bool show);
void container_files_activate(struct container *cont, int id);
void container_files_remove(struct container *cont, int id);
void container_files_free(struct container *cont);

/* hierarchy.c */
struct container_hierarchy *container_hierarchy_create(unsigned long mask, const char *name,
						       unsigned int flags, const char **clash);
struct container_hierarchy *container_hierarchy_find(unsigned long mask, const char *name);
void container_hierarchy_put(struct container_hierarchy *h);
void container_hierarchy_release_user(struct container_hierarchy *h);
void container_show_subsystems(struct seq_file *sf, struct container_hierarchy *h);

/* rebind.c, rebind_tasks.c */

/* Why a rebinding failed; valid under container_mutex. NULL where it does not apply. */
struct container_rebind_failure {
	const struct container_subsys *ss;	/* who refused, or whose file it is */
	struct container *cont;			/* where */
	const char *file;			/* whose name is taken */
};

bool container_rebind_lock(unsigned long mask);
void container_rebind_unlock(bool begun);
int container_rebind(struct container_hierarchy *h, unsigned long mask,
		     struct container_rebind_failure *fail);

/* mount.c */
int container_mount_init(void);

/* attach.c */
int container_attach_pid(struct container_node *node, struct kernfs_node *kn, pid_t pid,
			 bool process, const struct file *file);
void container_settle(unsigned long mask);
int container_attach_tasks(struct container *to, struct task_struct **tasks, unsigned int nr);
int container_attach_clone(struct container *to, struct task_struct *task, bool unborn);
#if IS_ENABLED(CONFIG_KUNIT)
void container_tell_moved_locked(struct task_struct *task, struct container_membership *from, struct container *cont);
#endif
unsigned int container_next_pids(struct container *cont, struct pid_namespace *ns, pid_t from,
				 bool leaders, pid_t *pids, unsigned int max);
struct task_struct *container_first_task(struct container *cont);
struct task_struct *container_next_task_below(struct container *cont, pid_t *cursor);

/* clone.c */
int container_clone_fork(struct container_subsys *ss, struct task_struct *child);
void container_clone_forked(struct task_struct *child);
void container_clone_cancel(struct task_struct *child);

/* ns.c */
#ifdef CONFIG_CONTAINER_NS
/* Does a fork or an unshare make namespaces? Not CLONE_NEWCGROUP: without cgroups it makes none. */
static inline bool container_ns_flags(u64 flags)
{
	return flags & (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
			CLONE_NEWNET | CLONE_NEWTIME);
}

int container_ns_fork(struct task_struct *child, u64 flags);
#else
static inline bool container_ns_flags(u64 flags)
{
	return false;
}

static inline int container_ns_fork(struct task_struct *child, u64 flags)
{
	return 0;
}
#endif

/* permission.c */
int container_may_move(struct container *to, struct task_struct **tasks, unsigned int nr,
		       const struct file *file, const char *name);
bool container_may_administer(const struct file *file);
bool container_may_write_now(const struct file *file);

/* events.c */
void container_changed(struct container *cont);
int container_events_show(struct seq_file *sf, struct container *cont,
			  const struct container_file *file);

/* release.c */
void container_release_init(struct container_hierarchy *h);
void container_release_consider(struct container *cont);
void container_release_forget(struct container *cont);
int container_release_set_agent(struct container_hierarchy *h, const char *path);
void container_release_give_agent(struct container_hierarchy *h, char *agent);
void container_release_show_option(struct seq_file *sf, struct container_hierarchy *h);
int container_release_agent_show(struct seq_file *sf, struct container *cont,
				 const struct container_file *file);
int container_release_agent_write(struct container *cont, const struct container_file *file,
				  char *buf);
u64 container_notify_read(struct container *cont, const struct container_file *file);
int container_notify_write(struct container *cont, const struct container_file *file, u64 val);
u64 container_releasable_read(struct container *cont, const struct container_file *file);

/* why.c */
void container_why_init(struct container *cont);
void container_refused_by(struct container *cont, struct task_struct *task,
			  const struct container_refusal *refusal, unsigned long count);
void container_why_hand_up(struct container *cont);
int container_why_show(struct seq_file *sf, struct container *cont,
		       const struct container_file *file);

/* kill.c */
extern atomic_t container_kills;
bool container_group_being_killed(struct container_membership *m);

/**
 * container_being_killed - shall a fork fail?
 * @m: group of the parent, referenced
 *
 * Return: true while some container of the group or above is being killed.
 */
static inline bool container_being_killed(struct container_membership *m)
{
	return unlikely(atomic_read(&container_kills)) && container_group_being_killed(m);
}

void container_kill(struct container *cont);
int container_kill_write(struct container *cont, struct kernfs_open_file *of, char *buf);

/* fork.c */
extern struct percpu_rw_semaphore container_thread_rwsem;
void container_fork_init(void);
bool container_moving_waits(bool process);
bool container_moving_lock(bool process);
void container_moving_unlock(bool begun);
bool container_moving_alone(struct task_struct *task);
void container_moved_alone(void);
void container_wait_for_births(void);
bool container_binding_begins(unsigned long mask);
void container_binding_ends(bool begun);
void container_tell_tasks(struct container_subsys *ss);
unsigned int container_count_tasks(void);

/*
 * Must a subsystem be told when a task's state changes? One that only judges who may
 * enter is not asked when it is bound to a tree with tasks.
 */
static inline bool container_subsys_has_tasks(const struct container_subsys *ss)
{
	return ss->moved || ss->attach || ss->can_fork || ss->fork || ss->exit;
}

/*
 * Do its callbacks have to add up, so that for each task they come in the order in which it
 * had its states? Without exit() there is nothing to be added up: fork() and attach() each
 * look at where the task is now. With can_fork() a task is counted before it can be moved,
 * and moved() comes before exit(), as both are ordered by task_lock().
 * Or it says itself that any order will do.
 */
static inline bool container_subsys_counts_tasks(const struct container_subsys *ss)
{
	return ss->exit && !ss->can_fork && !ss->unordered;
}

/* proc.c */
int container_proc_init(void);

#endif /* _KERNEL_CONTAINER_INTERNAL_H */
