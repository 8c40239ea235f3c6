// SPDX-License-Identifier: GPL-2.0-only
/*
 * Telling user space, and the kernel's own caretakers, what became of a
 * container: the file `events`, poll(2) and inotify on it.
 *
 * Whoever changes something (the last task that exits, a put that frees a dead
 * container) only sets a bit and puts the container on a list; all else is
 * done by one work item. It reports states, not transitions: changes that come
 * while it is busy, or in the same tick of the clock, are told together, and a reader
 * that was woken looks at what is so now. So who moves tasks to and fro pays for two switches
 * to the worker in a tick, and not for two in each move.
 *
 * Locking: none of ours in container_changed(), which group_lock may be held
 * around. CONTAINER_CHANGED owns container.changed: who sets it adds, the work
 * item clears it once the container is off the list.
 *
 * Lifetime: a container on the list is referenced. Its hierarchy's memory and
 * the node of `events` are, too, through it.
 */
#include "internal.h"

#include <linux/container_events.h>
#include <linux/jiffies.h>
#include <linux/seq_file.h>

static LLIST_HEAD(changed_containers);

/* The tick in which somebody was told last; old when it is read, which costs a tick or a switch. */
static unsigned long changed_told = INITIAL_JIFFIES - 1;

static void tell_one(struct container *cont)
{
	container_release_consider(cont);
	/* a removed container has no files; to be late here harms nobody */
	if (!READ_ONCE(cont->dead) && cont->events_kn)
		kernfs_notify(cont->events_kn);
}

static void changed_work_fn(struct work_struct *work)
{
	struct llist_node *list;
	struct container *cont, *next;

	/* before the list is taken: who finds it empty then waits for the next tick */
	WRITE_ONCE(changed_told, jiffies);
	/* oldest first */
	list = llist_reverse_order(llist_del_all(&changed_containers));
	llist_for_each_entry_safe(cont, next, list, changed) {
		clear_bit(CONTAINER_CHANGED, &cont->flags);
		/*
		 * Pairs with test_and_set_bit() in container_changed(): a change
		 * that found the bit set is seen by what follows.
		 */
		smp_mb__after_atomic();
		tell_one(cont);
		container_put(cont);
		cond_resched();
	}
}

static DECLARE_DELAYED_WORK(changed_work, changed_work_fn);

/**
 * container_changed - something that `events` shows has changed
 * @cont: container, pinned by the caller
 *
 * Context: any process context, with spinlocks held or not.
 */
void container_changed(struct container *cont)
{
	/* ordered after the change; pairs with changed_work_fn() */
	if (test_and_set_bit(CONTAINER_CHANGED, &cont->flags))
		return;
	container_get(cont);
	/* false: the work item has not taken the list yet */
	if (llist_add(&cont->changed, &changed_containers))
		queue_delayed_work(container_wq, &changed_work,
				   time_after(jiffies, READ_ONCE(changed_told)) ? 0 : 1);
}

/**
 * container_css_notify - what a subsystem's file `events` shows has changed
 * @css: state, pinned
 *
 * A removed container has no files, and nobody is woken.
 *
 * Context: container_mutex.
 */
void container_css_notify(struct container_subsys_state *css)
{
	struct container *cont = rcu_dereference_protected(css->container, true);
	struct container_files *files = &cont->files[css->ss->id];
	unsigned int i;

	container_assert_locked();
	for (i = 0; css->online && i < files->nr; i++)
		if (!strcmp(files->node[i].file->name, "events"))
			kernfs_notify(files->node[i].kn);
}

/* `events`. A root always has tasks: every task is in exactly one of its containers. */
int container_events_show(struct seq_file *sf, struct container *cont,
			  const struct container_file *file)
{
	bool populated = container_is_root(cont) || READ_ONCE(cont->nr_populated);

	seq_printf(sf, "populated %d\n", populated);
	seq_printf(sf, "dying %d\n", atomic_read(&cont->nr_dying));
	return 0;
}
