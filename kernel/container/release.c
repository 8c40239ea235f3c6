// SPDX-License-Identifier: GPL-2.0-only
/*
 * notify_on_release: when a container that has been used becomes empty, the
 * hierarchy's release agent is run with its path.
 *
 * Phases:
 *   1. the last task leaves, or the last child is removed: a bit in
 *      container.flags (the exit path does no more), and container_changed()
 *   2. the work item of events.c: a container that is to be released joins its
 *      hierarchy's list and waits there
 *   3. the hierarchy's own work item takes it off the list, looks again, and
 *      starts the agent: never more than RELEASE_BURST in RELEASE_WINDOW. Without
 *      the memory for that, or room for a process, it waits on, and the work item comes back
 *
 * A hierarchy without an agent leaves its list alone until it gets one. Nobody
 * waits for an agent: one that hangs costs a process and nothing else, one
 * that is missing a line in the log. It may remove the container, others, or
 * nothing. A container is handed over once each time it becomes empty, and
 * again when notify_on_release is written.
 *
 * A container that container_clone() made is not handed over: phase 2 removes it.
 *
 * A workqueue, not a thread of our own: with nothing to release there is
 * nobody who polls, and hierarchies do not wait for each other.
 *
 * Locking: release_lock, a leaf, for the lists, the windows and the agents'
 * paths. container_mutex in phases 2 and 3, so that what is handed over is not
 * being removed, and so that nobody is just being moved in who will be refused:
 * for that long the container looks populated, and as such a task leaves no
 * trace, nobody would look again. It is not held while the agent is started.
 *
 * Lifetime: the list references its containers. rmdir takes them off it, so a
 * hierarchy that is taken down has an empty list. A queued work item
 * references the memory of its hierarchy.
 */
#include "internal.h"

#include <linux/limits.h>
#include <linux/printk.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/umh.h>
#include <trace/events/container.h>

#define RELEASE_BURST	16
#define RELEASE_WINDOW	(HZ / 10)
/* When there was no memory, or no room for a process. */
#define RELEASE_RETRY	HZ

static DEFINE_SPINLOCK(release_lock);

static bool is_releasable(struct container *cont)
{
	return !container_is_root(cont) && test_bit(CONTAINER_USED, &cont->flags) &&
	       !READ_ONCE(cont->nr_children) && !container_populated(cont);
}

static bool to_be_released_locked(struct container *cont)
{
	container_assert_locked();
	return !cont->dead && test_bit(CONTAINER_NOTIFY, &cont->flags) &&
	       !test_bit(CONTAINER_AUTO, &cont->flags) && is_releasable(cont);
}

static bool to_be_removed_locked(struct container *cont)
{
	container_assert_locked();
	return !cont->dead && test_bit(CONTAINER_AUTO, &cont->flags) && is_releasable(cont);
}

/* Work for phase 3 in @delay jiffies, unless there is some already. */
static void release_kick(struct container_hierarchy *h, unsigned long delay)
{
	refcount_inc(&h->ref);
	if (!queue_delayed_work(container_wq, &h->release_work, delay))
		container_hierarchy_put(h);
}

/* It joins the list, unless it waits already. */
static void wait_for_agent_locked(struct container *cont)
{
	container_assert_locked();
	spin_lock(&release_lock);
	if (list_empty(&cont->release_link)) {
		container_get(cont);
		list_add_tail(&cont->release_link, &cont->hierarchy->release_list);
	}
	spin_unlock(&release_lock);
}

/**
 * container_release_consider - phase 2: does a container wait for the agent now,
 * or go at once?
 * @cont: container, referenced
 *
 * Context: process context; takes container_mutex if there is anything to do.
 */
void container_release_consider(struct container *cont)
{
	if (!test_bit(CONTAINER_RELEASE, &cont->flags))
		return;
	container_lock();
	/* a task that leaves after this sets it again; who was being refused has gone */
	clear_bit(CONTAINER_RELEASE, &cont->flags);
	if (to_be_released_locked(cont)) {
		wait_for_agent_locked(cont);
		release_kick(cont->hierarchy, 0);
	} else if (to_be_removed_locked(cont)) {
		container_remove(cont);
	}
	container_unlock();
}

/**
 * container_release_forget - a container that is being removed waits no longer
 * @cont: container, dead
 *
 * Context: container_mutex.
 */
void container_release_forget(struct container *cont)
{
	bool waited;

	container_assert_locked();
	spin_lock(&release_lock);
	waited = !list_empty(&cont->release_link);
	list_del_init(&cont->release_link);
	spin_unlock(&release_lock);
	if (waited)
		container_put(cont);
}

/* What one agent is started with. */
struct release_call {
	char *agent;
	char *path;
	char *argv[3];
	struct container *cont;		/* referenced, to say why in */
};

static char *release_env[] = {
	"HOME=/",
	"PATH=/sbin:/bin:/usr/sbin:/usr/bin",
	NULL,
};

static void release_call_free(struct release_call *call)
{
	if (call->cont)
		container_put(call->cont);
	kfree(call->agent);
	kfree(call->path);
	kfree(call);
}

/*
 * For want of memory, or of room for a process. The last in the list now; the next time everything is
 * looked at again.
 */
static void release_later(struct container *cont)
{
	container_lock();
	if (!cont->dead) {
		wait_for_agent_locked(cont);
		release_kick(cont->hierarchy, RELEASE_RETRY);
	}
	container_unlock();
}

/*
 * In the new process when the program has been started or could not be; in umh's worker without a
 * process; in release_call_start() while no programs are started.
 */
static void release_call_done(struct subprocess_info *info)
{
	struct release_call *call = info->data;

	if (info->retval) {
		container_refuse(call->cont, NULL, NULL, "release", "the agent does not start",
				 info->retval);
		pr_notice_ratelimited("containers: release agent '%s' of hierarchy %d, for %s, does not start: error %d\n",
				      call->agent, call->cont->hierarchy->slot + 1, call->path,
				      info->retval);
		if (info->retval == -EAGAIN || info->retval == -ENOMEM)
			release_later(call->cont);
	}
	release_call_free(call);
}

/* Room for a call; @agent goes over to it, or is freed. */
static struct release_call *release_call_alloc(char *agent)
{
	struct release_call *call = kzalloc_obj(*call);

	if (!call) {
		kfree(agent);
		return NULL;
	}
	call->agent = agent;
	call->path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!call->path) {
		release_call_free(call);
		return NULL;
	}
	call->argv[0] = call->agent;
	call->argv[1] = call->path;
	return call;
}

static bool release_call_aim_locked(struct release_call *call, struct container *cont)
{
	container_assert_locked();
	if (container_path(cont, call->path, PATH_MAX) < 0) {
		container_refuse(cont, NULL, NULL, "release",
				 "the agent cannot be told a path this long", -ENAMETOOLONG);
		return false;
	}
	container_get(cont);
	call->cont = cont;
	return true;
}

/* Does not wait, whatever the agent is. False for want of memory; @call is gone then, too. */
static bool release_call_start(struct release_call *call)
{
	struct subprocess_info *info;

	trace_container_release(call->cont, call->agent);
	info = call_usermodehelper_setup(call->agent, call->argv, release_env, GFP_KERNEL, NULL,
					 release_call_done, call);
	if (!info) {
		release_call_free(call);
		return false;
	}
	/* for release_call_done(), where it is called at once, as the machine starts no programs now */
	info->retval = -EAGAIN;
	call_usermodehelper_exec(info, UMH_NO_WAIT);
	return true;
}

/* How long to wait before the next agent may be started; 0 takes that turn. */
static unsigned long release_delay_locked(struct container_hierarchy *h)
{
	unsigned long end = h->release_window + RELEASE_WINDOW;

	lockdep_assert_held(&release_lock);
	if (!time_in_range(jiffies, h->release_window, end - 1)) {
		h->release_window = jiffies;
		h->release_started = 0;
	}
	if (h->release_started < RELEASE_BURST) {
		h->release_started++;
		return 0;
	}
	return max(end - jiffies, 1UL);
}

/*
 * The first that waits, off the list; its reference and *@agent are the
 * caller's. NULL when nothing waits, there is no agent, or not before *@delay.
 */
static struct container *release_next(struct container_hierarchy *h, char **agent,
				      unsigned long *delay)
{
	struct container *cont = NULL;

	*delay = 0;
	*agent = NULL;
	spin_lock(&release_lock);
	if (!h->release_agent || list_empty(&h->release_list))
		goto out;
	*delay = release_delay_locked(h);
	if (*delay)
		goto out;
	*agent = kstrdup(h->release_agent, GFP_ATOMIC);
	if (!*agent) {
		*delay = RELEASE_RETRY;
		goto out;
	}
	cont = list_first_entry(&h->release_list, struct container, release_link);
	list_del_init(&cont->release_link);
out:
	spin_unlock(&release_lock);
	return cont;
}

/* The agent for a container that is still to be released; takes @agent. False for want of memory. */
static bool release_one(struct container *cont, char *agent)
{
	struct release_call *call = release_call_alloc(agent);
	bool due, aimed = false;

	container_lock();
	due = to_be_released_locked(cont);
	if (due && call)
		aimed = release_call_aim_locked(call, cont);
	container_unlock();
	if (aimed)
		return release_call_start(call);
	if (!call)
		return !due;
	release_call_free(call);
	return true;
}

/* Phase 3. */
static void release_work_fn(struct work_struct *work)
{
	struct container_hierarchy *h =
		container_of(to_delayed_work(work), struct container_hierarchy, release_work);
	struct container *cont;
	unsigned long delay;
	bool done = true;
	char *agent;

	while (done && (cont = release_next(h, &agent, &delay))) {
		done = release_one(cont, agent);
		if (!done)
			release_later(cont);
		container_put(cont);
	}
	if (delay)
		release_kick(h, delay);
	container_hierarchy_put(h);
}

/* For a hierarchy that is being allocated. */
void container_release_init(struct container_hierarchy *h)
{
	INIT_LIST_HEAD(&h->release_list);
	INIT_DELAYED_WORK(&h->release_work, release_work_fn);
	h->release_window = jiffies;
}

/* The same with an allocated path, or NULL, that is the hierarchy's from now on. */
void container_release_give_agent(struct container_hierarchy *h, char *agent)
{
	char *old;

	spin_lock(&release_lock);
	old = h->release_agent;
	h->release_agent = agent;
	spin_unlock(&release_lock);
	kfree(old);
	release_kick(h, 0);
}

/**
 * container_release_set_agent - what a hierarchy runs
 * @h: hierarchy, referenced
 * @path: absolute path; "" for none
 *
 * Context: process context.
 * Return: 0, -EINVAL (relative), -E2BIG (PATH_MAX or more), -ENOMEM.
 */
int container_release_set_agent(struct container_hierarchy *h, const char *path)
{
	char *agent = NULL;

	if (strlen(path) >= PATH_MAX)
		return -E2BIG;
	if (*path && *path != '/')
		return -EINVAL;
	if (*path) {
		agent = kstrdup(path, GFP_KERNEL);
		if (!agent)
			return -ENOMEM;
	}
	container_release_give_agent(h, agent);
	return 0;
}

/* ",release_agent=PATH", as a mount option; nothing without an agent. */
void container_release_show_option(struct seq_file *sf, struct container_hierarchy *h)
{
	spin_lock(&release_lock);
	if (h->release_agent)
		seq_show_option(sf, "release_agent", h->release_agent);
	spin_unlock(&release_lock);
}

/* The files. */
int container_release_agent_show(struct seq_file *sf, struct container *cont,
				 const struct container_file *file)
{
	struct container_hierarchy *h = cont->hierarchy;

	spin_lock(&release_lock);
	seq_printf(sf, "%s\n", h->release_agent ?: "");
	spin_unlock(&release_lock);
	return 0;
}

int container_release_agent_write(struct container *cont, const struct container_file *file,
				  char *buf)
{
	return container_release_set_agent(cont->hierarchy, buf);
}

u64 container_notify_read(struct container *cont, const struct container_file *file)
{
	return test_bit(CONTAINER_NOTIFY, &cont->flags);
}

int container_notify_write(struct container *cont, const struct container_file *file, u64 val)
{
	if (val > 1)
		return -ERANGE;
	if (val) {
		set_bit(CONTAINER_NOTIFY, &cont->flags);
		set_bit(CONTAINER_RELEASE, &cont->flags);
		container_changed(cont);
	} else {
		clear_bit(CONTAINER_NOTIFY, &cont->flags);
	}
	return 0;
}

u64 container_releasable_read(struct container *cont, const struct container_file *file)
{
	return is_releasable(cont);
}
