// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rebinding: subsystems join and leave a tree that has containers and tasks
 * (mount -o remount,LIST).
 *
 * First everything that can fail, each step with its way back:
 *
 *	files		of what joins are made, not visible yet
 *	states		of what joins are created and go online, parents first
 *	closing		files of what leaves are hidden, its states give out no
 *			reference any more; a state that somebody still holds is
 *			a refusal, unless the subsystem can recharge
 *	asking		subsystems with an opinion about tasks (rebind_tasks.c)
 *
 * then what cannot:
 *
 *	joining		bind(), the groups get the new states, attach()
 *	leaving		the groups get the root state, attach(); a grace period,
 *			after which nobody knows the old states; offline(),
 *			children first; recharge(), bind()
 *	files		removed, or visible
 *
 * No step of the second part needs memory, and none of the first shows: a
 * rebinding that fails leaves files, states, numbers and groups as they were.
 *
 * Locking: container_thread_rwsem for writing, if a subsystem has callbacks for
 * tasks: then nobody is born or exits between the old and the new state.
 * container_mutex. The caller has the superblock's s_umount, too.
 *
 * Lifetime: the containers stay because of the mutex. A state that left goes
 * when its last reference does, as after rmdir.
 *
 * Surprise: what was charged to the root stays there. A state that joins starts
 * from zero, whatever the tasks of its container have used before.
 */
#include "internal.h"
#include "rebind.h"

#include <linux/delay.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

/* How often a closed state is looked at until its references are no passing ones. */
#define REBIND_LOOKS	5

#define for_each_rebound_container(cont, i, rb)				\
	for ((i) = 0; (i) < (rb)->nr && ((cont) = (rb)->conts[i], true); (i)++)

#define for_each_rebound_container_reverse(cont, i, rb)			\
	for ((i) = (rb)->nr; (i)-- && ((cont) = (rb)->conts[i], true);)

/* The container after @pos in the tree below @root: first child, next sibling, uncle. */
static struct container *next_container(struct container *pos, struct container *root)
{
	container_assert_locked();
	if (!list_empty(&pos->children))
		return list_first_entry(&pos->children, struct container, sibling);
	for (; pos != root; pos = pos->parent)
		if (!list_is_last(&pos->sibling, &pos->parent->children))
			return list_next_entry(pos, sibling);
	return NULL;
}

static int collect_containers(struct container_rebinding *rb)
{
	struct container *cont, *root = rb->h->root;

	rb->conts = kvmalloc_objs(*rb->conts, rb->h->nr_containers);
	if (!rb->conts)
		return -ENOMEM;
	for (cont = root; cont; cont = next_container(cont, root)) {
		if (WARN_ON_ONCE(rb->nr == rb->h->nr_containers))
			break;
		rb->conts[rb->nr++] = cont;
	}
	return 0;
}

/**
 * container_rebind_refused - remember who refused, and say why
 * @rb: the rebinding
 * @cont: where
 * @task: whom it hits, or NULL
 * @why: @ss and @error are set, @reason may be
 * @count: container.why.count before the callback
 *
 * Return: @why's error.
 */
int container_rebind_refused(struct container_rebinding *rb, struct container *cont,
			     struct task_struct *task, struct container_refusal *why,
			     unsigned long count)
{
	why->what = rb->remove & BIT(why->ss->id) ? "unbind" : "bind";
	container_refused_by(cont, task, why, count);
	rb->fail->ss = why->ss;
	rb->fail->cont = cont;
	return why->error;
}

static int make_files(struct container_rebinding *rb)
{
	struct container_subsys *ss;
	struct container *cont;
	unsigned int i;
	int id, ret;

	if (rb->h->flags & CONTAINER_NOPREFIX) {
		/* of containers that are still to come, too */
		rb->fail->file = container_files_clash((rb->h->subsys_mask & ~rb->remove) | rb->add);
		rb->fail->cont = rb->h->root;
		if (rb->fail->file)
			return -EEXIST;
	}
	for_each_rebound_container(cont, i, rb) {
		for_each_bound_subsys(ss, id, rb->add) {
			ret = container_files_add(cont, id, &rb->fail->file);
			if (ret) {
				rb->fail->ss = ss;
				rb->fail->cont = cont;
				return ret;
			}
		}
	}
	return 0;
}

/* Something for the files that each subsystem of @mask has in each container. */
static void for_all_files(struct container_rebinding *rb, unsigned long mask,
			  void (*fn)(struct container *cont, int id))
{
	struct container_subsys *ss;
	struct container *cont;
	unsigned int i;
	int id;

	for_each_rebound_container(cont, i, rb)
		for_each_bound_subsys(ss, id, mask)
			fn(cont, id);
}

/* What joins gets a state in one container, below one that has it already. */
static int make_states_of(struct container_rebinding *rb, struct container *cont)
{
	unsigned long count = READ_ONCE(cont->why.count);
	struct container_refusal why = { };
	struct container_subsys *ss;
	int id, ret;

	for_each_bound_subsys(ss, id, rb->add) {
		ret = container_css_create(cont, ss);
		if (!ret)
			ret = container_css_online(cont->state[id]);
		if (ret) {
			why.ss = ss;
			why.error = ret;
			return container_rebind_refused(rb, cont, NULL, &why, count);
		}
	}
	/* its tasks are there already */
	container_css_post_clone(cont, rb->add);
	return 0;
}

static int make_states(struct container_rebinding *rb)
{
	struct container *cont;
	unsigned int i;
	int ret;

	for_each_rebound_container(cont, i, rb) {
		/* the root gets the root state when all is well */
		if (container_is_root(cont))
			continue;
		ret = make_states_of(rb, cont);
		if (ret)
			return ret;
	}
	return 0;
}

/* Children first. Those that never went online are only forgotten. */
static void drop_states(struct container_rebinding *rb, unsigned long mask)
{
	struct container_subsys_state *css;
	struct container_subsys *ss;
	struct container *cont;
	unsigned int i;
	int id;

	for_each_rebound_container_reverse(cont, i, rb) {
		for_each_bound_subsys(ss, id, mask) {
			css = cont->state[id];
			if (container_is_root(cont) || !css)
				continue;
			cont->state[id] = NULL;
			if (css->online)
				container_css_kill(css);
			else
				container_css_abort(css);
		}
	}
}

static bool still_held(struct container_subsys_state *css)
{
	int look;

	/* who found the state before it was closed may be about to let it go */
	for (look = 0; container_css_held(css) > 0; look++) {
		if (look == REBIND_LOOKS)
			return true;
		msleep(20);
	}
	return false;
}

static int check_held(struct container_rebinding *rb)
{
	struct container_refusal why = {
		.reason = "something is still charged to it", .error = -EBUSY,
	};
	struct container_subsys *ss;
	struct container *cont;
	unsigned int i;
	int id;

	for_each_rebound_container(cont, i, rb) {
		for_each_bound_subsys(ss, id, rb->remove) {
			if (container_is_root(cont) || ss->recharge ||
			    !still_held(cont->state[id]))
				continue;
			why.ss = ss;
			return container_rebind_refused(rb, cont, NULL, &why,
							READ_ONCE(cont->why.count));
		}
	}
	return 0;
}

static int close_states(struct container_rebinding *rb)
{
	struct container_subsys *ss;
	struct container *cont;
	unsigned int i;
	int id;

	for_each_rebound_container(cont, i, rb) {
		for_each_bound_subsys(ss, id, rb->remove) {
			container_files_show(cont, id, false);
			if (!container_is_root(cont))
				container_css_close(cont->state[id]);
		}
	}
	container_css_wait_closed();
	return check_held(rb);
}

static void reopen_states(struct container_rebinding *rb)
{
	struct container_subsys *ss;
	struct container *cont;
	unsigned int i;
	int id;

	for_each_rebound_container(cont, i, rb) {
		for_each_bound_subsys(ss, id, rb->remove) {
			if (!container_is_root(cont))
				container_css_reopen(cont->state[id]);
			container_files_show(cont, id, true);
		}
	}
}

/* All that can fail. After an error nothing has changed. */
static int prepare(struct container_rebinding *rb)
{
	int ret;

	ret = make_files(rb);
	if (ret)
		goto files;
	ret = make_states(rb);
	if (ret)
		goto states;
	ret = close_states(rb);
	if (!ret)
		ret = container_rebind_ask_tasks(rb);
	if (!ret)
		return 0;
	reopen_states(rb);
states:
	drop_states(rb, rb->add);
files:
	for_all_files(rb, rb->add, container_files_remove);
	return ret;
}

/* Tasks get the states that @mask's subsystems have in their containers, or the root's. */
static void switch_groups(struct container_rebinding *rb)
{
	struct container_subsys *ss;
	struct container *cont;
	unsigned int i;
	int id;

	for_each_rebound_container(cont, i, rb) {
		if (container_is_root(cont))
			continue;
		for_each_bound_subsys(ss, id, rb->add)
			container_group_rebind(cont, id, cont->state[id]);
		for_each_bound_subsys(ss, id, rb->remove)
			container_group_rebind(cont, id, ss->root_css);
	}
}

/* Cannot fail. */
static void commit(struct container_rebinding *rb)
{
	struct container_hierarchy *h = rb->h;
	struct container_subsys *ss;
	int id;

	for_each_bound_subsys(ss, id, rb->add)
		container_css_bind(ss, h);
	switch_groups(rb);
	container_rebind_attach_tasks(rb);
	h->subsys_mask = (h->subsys_mask | rb->add) & ~rb->remove;
	if (rb->remove) {
		/* who found an old state in a group has done with it, or has a reference */
		synchronize_rcu();
		drop_states(rb, rb->remove);
		for_all_files(rb, rb->remove, container_files_remove);
	}
	for_each_bound_subsys(ss, id, rb->remove) {
		if (ss->recharge)
			ss->recharge(ss->root_css);
		container_css_bind(ss, NULL);
	}
	/* not kernfs_activate() of the whole tree: a container may be hidden until a fork is done */
	for_all_files(rb, rb->add, container_files_activate);
}

/**
 * container_rebind - give a tree exactly these subsystems
 * @h: hierarchy
 * @mask: subsystems; each is in @h already, or parked
 * @fail: filled in after an error, as far as it applies
 *
 * Context: container_rebind_lock().
 * Return: 0; -ENOMEM; -EEXIST (two files of one name, without prefixes, or a child
 * that is called like a file); -EBUSY (something is charged to a state that would go); or what a subsystem said.
 * After an error everything is as it was.
 */
int container_rebind(struct container_hierarchy *h, unsigned long mask,
		     struct container_rebind_failure *fail)
{
	struct container_rebinding rb = {
		.h = h, .fail = fail,
		.add = mask & ~h->subsys_mask, .remove = h->subsys_mask & ~mask,
	};
	int ret;

	container_assert_locked();
	if (!rb.add && !rb.remove)
		return 0;
	ret = collect_containers(&rb);
	if (ret)
		return ret;
	ret = prepare(&rb);
	if (!ret)
		commit(&rb);
	container_rebind_forget_tasks(&rb);
	kvfree(rb.conts);
	return ret;
}
