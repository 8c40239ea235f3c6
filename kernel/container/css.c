// SPDX-License-Identifier: GPL-2.0-only
/*
 * Subsystem states: the life of a subsystem's part of a container.
 *
 *   create    allocated, one reference for the directory
 *   online    linked below the parent's state; tasks may come
 *   closed    (only on the way out of a hierarchy, and back again if that
 *             fails) tryget fails, so that the references can be counted
 *   kill      rmdir: offline() is called, tryget fails from now on, the
 *             directory's reference goes; what is charged keeps the state
 *   release   the last put, in any context: queue the rest
 *   destroy   after a grace period, in a kworker: destroy(), then the
 *             references to the parent state and the container go
 *
 * Locking: container_mutex for everything up to kill; the rest owns the state
 * alone, but for its parent's count of states below: css_below_lock, a leaf.
 * Children of a state are listed for RCU readers.
 *
 * A state with children is killed only after them.
 *
 * Lifetime: a state holds its parent's and its container, so a walk upwards
 * needs no lock.
 *
 * A removed line of states that only hold each other goes in the grace period
 * of its lowest one, not in one each. Who is released seals those above it that have been
 * killed and that nothing but the state below them holds. Who has found a sealed one by RCU
 * did so before the reference of that way was put, or by way of the state below, so that
 * the grace period, which begins after the look at the count, is his end too. Were one held all
 * the same when the state below puts it, it is not: the seal is broken by whoever comes first,
 * the last put, which then leaves the rest to the one below, or the one below, and then
 * it waits for a grace period of its own.
 */
#include "internal.h"

#include <linux/container_percpu.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <trace/events/container.h>

/* nr_below and the references that it stands for go together; see container_css_held() */
static DEFINE_SPINLOCK(css_below_lock);

/*
 * Is only one reference left of a state that was killed? Before that, and until
 * what each CPU has counted is added up, the count is far from 1.
 */
static bool css_is_last(struct container_subsys_state *css)
{
	/* others' puts, then the grace period: pairs with the full order of percpu_ref_put() */
	return atomic_long_read_acquire(&css->refcnt.data->count) == 1;
}

/* Return: was there a seal, and are we the one who broke it? */
static bool css_break_seal(struct container_subsys_state *css)
{
	return xchg(&css->sealed, false);
}

/*
 * Put the parent of a state that is destroyed. Return: is that released by this, and left to us?
 * Context: RCU, as else the parent may be gone by the second look.
 */
static bool css_put_parent(struct container_subsys_state *parent)
{
	bool sealed = READ_ONCE(parent->sealed);

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "the parent may go");
	/* one for whoever counts what else the parent is held by */
	spin_lock(&css_below_lock);
	atomic_dec(&parent->nr_below);
	container_css_put(parent);
	spin_unlock(&css_below_lock);
	if (!sealed || !css_break_seal(parent))
		return sealed;
	/* somebody holds it, and it holds those above */
	while (css_break_seal(parent->parent))
		parent = parent->parent;
	return false;
}

/* The end of a state that nobody can have found. Return: its parent, if that is to follow. */
static struct container_subsys_state *css_destroy(struct container_subsys_state *css)
{
	struct container_subsys_state *parent = css->parent;
	struct container *cont = rcu_dereference_protected(css->container, 1);
	bool follows;

	percpu_ref_exit(&css->refcnt);
	atomic_dec(&css->ss->nr_states);
	css->ss->destroy(css);
	rcu_read_lock();
	follows = css_put_parent(parent);
	rcu_read_unlock();
	container_put(cont);
	return follows ? parent : NULL;
}

static void css_destroy_work(struct work_struct *work)
{
	struct container_subsys_state *css =
		container_of(to_rcu_work(work), struct container_subsys_state, free_work);

	while (css) {
		css = css_destroy(css);
		cond_resched();
	}
}

static void css_release(struct percpu_ref *ref)
{
	struct container_subsys_state *css =
		container_of(ref, struct container_subsys_state, refcnt), *above;

	/* css_destroy() of the state below goes on with it */
	if (css_break_seal(css))
		return;
	for (above = css->parent; above->parent && css_is_last(above); above = above->parent)
		WRITE_ONCE(above->sealed, true);
	INIT_RCU_WORK(&css->free_work, css_destroy_work);
	queue_rcu_work(container_wq, &css->free_work);
}

bool container_percpu_fails(void)
{
	void *probe;

	if (!IS_ENABLED(CONFIG_FAILSLAB))
		return false;
	probe = kmalloc(1, GFP_KERNEL);
	kfree(probe);
	return !probe;
}

/**
 * container_css_init - make what create() returned a state of the core
 * @css: the state
 * @ss: its subsystem
 * @cont: its container; gains a reference
 * @parent: the state above; gains a reference; NULL for a root state
 *
 * Context: container_mutex, or start_kernel().
 * Return: 0 or -ENOMEM; then nothing is referenced.
 */
int container_css_init(struct container_subsys_state *css, struct container_subsys *ss,
		       struct container *cont, struct container_subsys_state *parent)
{
	int ret;

	ret = container_percpu_fails() ? -ENOMEM :
	      percpu_ref_init(&css->refcnt, css_release, PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
	if (ret)
		return ret;
	css->ss = ss;
	css->parent = parent;
	css->online = false;
	css->closed = false;
	css->sealed = false;
	atomic_set(&css->nr_below, 0);
	atomic_inc(&ss->nr_states);
	INIT_LIST_HEAD(&css->children);
	INIT_LIST_HEAD(&css->sibling);
	RCU_INIT_POINTER(css->container, cont);
	if (parent) {
		container_css_get(parent);
		atomic_inc(&parent->nr_below);
		container_get(cont);
	}
	return 0;
}

/**
 * container_css_create - the state of a subsystem for a new container
 * @cont: container that is no root, below a root or one that has the state
 * @ss: subsystem
 *
 * Context: container_mutex.
 * Return: 0 or the subsystem's error; then there is no state.
 */
int container_css_create(struct container *cont, struct container_subsys *ss)
{
	struct container_subsys_state *parent = ss->root_css, *css;
	int ret;

	/* a subsystem that is on its way to this hierarchy is not in its root yet */
	if (!container_is_root(cont->parent))
		parent = cont->parent->state[ss->id];

	container_assert_locked();
	css = ss->create(parent);
	if (IS_ERR(css))
		return PTR_ERR(css);
	ret = container_css_init(css, ss, cont, parent);
	if (ret) {
		css->ss = ss;
		ss->destroy(css);
		return ret;
	}
	cont->state[ss->id] = css;
	return 0;
}

/**
 * container_css_online - a created state joins the tree
 * @css: state
 *
 * Context: container_mutex.
 * Return: 0 or the subsystem's error; then the state is as it was.
 */
int container_css_online(struct container_subsys_state *css)
{
	int ret = 0;

	container_assert_locked();
	if (css->ss->online)
		ret = css->ss->online(css);
	if (ret)
		return ret;
	css->online = true;
	if (css->parent)
		list_add_tail_rcu(&css->sibling, &css->parent->children);
	return 0;
}

/**
 * container_css_post_clone - tasks will be in a container before anyone can set it up
 * @cont: container, no root; its states are online
 * @mask: subsystems to tell
 *
 * Context: container_mutex.
 */
void container_css_post_clone(struct container *cont, unsigned long mask)
{
	struct container_subsys *ss;
	int id;

	container_assert_locked();
	for_each_bound_subsys(ss, id, mask)
		if (ss->post_clone)
			ss->post_clone(cont->state[id]);
}

/**
 * container_css_kill - take a state that is online out of the tree
 * @css: state without tasks and children; online, or closed
 *
 * Context: container_mutex.
 */
void container_css_kill(struct container_subsys_state *css)
{
	container_assert_locked();
	WARN_ON_ONCE(!css->online || !list_empty(&css->children));
	css->online = false;
	list_del_rcu(&css->sibling);
	if (css->ss->offline)
		css->ss->offline(css);
	trace_container_offline(rcu_dereference_protected(css->container,
							  lockdep_is_container_mutex_held()),
				css->ss);
	if (css->closed)
		container_css_put(css);
	else
		percpu_ref_kill(&css->refcnt);
}

/* States on their way to being closed. */
static atomic_t nr_closing;
static DECLARE_WAIT_QUEUE_HEAD(closed_wait);

static void css_closed(struct percpu_ref *ref)
{
	if (atomic_dec_and_test(&nr_closing))
		wake_up(&closed_wait);
}

/**
 * container_css_close - let no new reference be taken
 * @css: state that is online
 *
 * Keeps one reference, for container_css_reopen() or container_css_kill().
 *
 * Context: container_mutex; container_css_wait_closed() must follow.
 */
void container_css_close(struct container_subsys_state *css)
{
	container_assert_locked();
	WARN_ON_ONCE(!css->online || css->closed);
	css->closed = true;
	container_css_get(css);
	atomic_inc(&nr_closing);
	percpu_ref_kill_and_confirm(&css->refcnt, css_closed);
}

/* Until container_css_close() is true of all. Context: container_mutex. */
void container_css_wait_closed(void)
{
	container_assert_locked();
	wait_event(closed_wait, !atomic_read(&nr_closing));
}

/**
 * container_css_held - references that are not the core's own
 * @css: closed state
 *
 * Not ours are those of the subsystem: of open files, charged pages. States
 * below, dying ones too, are no reason to stay.
 *
 * Context: container_mutex.
 * Return: a number that can only fall.
 */
long container_css_held(struct container_subsys_state *css)
{
	long held;

	container_assert_locked();
	WARN_ON_ONCE(!css->closed);
	spin_lock(&css_below_lock);
	held = atomic_long_read(&css->refcnt.data->count) - 1 - atomic_read(&css->nr_below);
	spin_unlock(&css_below_lock);
	return held;
}

/**
 * container_css_reopen - undo container_css_close()
 * @css: closed state
 *
 * Context: container_mutex.
 */
void container_css_reopen(struct container_subsys_state *css)
{
	container_assert_locked();
	WARN_ON_ONCE(!css->closed);
	css->closed = false;
	percpu_ref_resurrect(&css->refcnt);
	container_css_put(css);
}

/**
 * container_css_abort - drop a state that was created and never online
 * @css: state
 *
 * Context: container_mutex.
 */
void container_css_abort(struct container_subsys_state *css)
{
	container_assert_locked();
	WARN_ON_ONCE(css->online);
	percpu_ref_kill(&css->refcnt);
}

/**
 * container_css_bind - a subsystem's root state moves to another root container
 * @ss: subsystem
 * @h: hierarchy, or NULL for the parking place
 *
 * No group of tasks in the root changes: the root state is the same object for
 * life. What is below is rebind.c's affair.
 *
 * Context: container_mutex; to a hierarchy: container_binding_begins().
 */
void container_css_bind(struct container_subsys *ss, struct container_hierarchy *h)
{
	struct container *root = h ? h->root : container_parking.root;
	struct container *old = rcu_dereference_protected(ss->root_css->container,
							  lockdep_is_container_mutex_held());

	container_assert_locked();
	old->state[ss->id] = NULL;
	root->state[ss->id] = ss->root_css;
	rcu_assign_pointer(ss->root_css->container, root);
	trace_container_bind(ss, ss->hierarchy, h);
	ss->hierarchy = h;
	container_tell_tasks(ss);
	if (ss->bind)
		ss->bind(ss->root_css, root);
	if (h && ss->count)
		ss->count(ss->root_css, container_count_tasks());
}

struct container_subsys_state *container_css(struct container *cont, struct container_subsys *ss)
{
	return cont->state[ss->id];
}

/* The first child, or the next sibling of the nearest ancestor below @root. */
struct container_subsys_state *
container_css_next_descendant(struct container_subsys_state *pos,
			      struct container_subsys_state *root)
{
	struct container_subsys_state *next;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held() && !lockdep_is_container_mutex_held(),
			 "containers: walk of states without protection");
	if (!pos)
		return root;
	next = list_first_or_null_rcu(&pos->children, struct container_subsys_state, sibling);
	if (next)
		return next;
	while (pos != root) {
		next = list_entry_rcu(pos->sibling.next, struct container_subsys_state, sibling);
		if (&next->sibling != &pos->parent->children)
			return next;
		pos = pos->parent;
	}
	return NULL;
}
