// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file `why`: the last refusal in a container, as a sentence and as fields.
 *
 * A refusal is recorded where the refused thing was to happen: an attach in
 * the destination, a mkdir in the parent, a rmdir in the container, a charge
 * in the container that is charged; whose limit it was is one of the fields. Where
 * nobody can read it, it is the parent's: what was refused in a container that clone.c
 * made and that nobody will see for that reason, and a charge, such as of an address space
 * that began there, in one whose directory is gone.
 *
 * Locking: container_why.lock, a leaf that any context may take. A reader
 * copies the record and prints the copy.
 *
 * Lifetime: the record is part of the container. It points to constants, to
 * subsystems, which live for ever, and to the container or an ancestor of it,
 * which the container references.
 *
 * Surprise: the task is remembered as a number of the first pid namespace, not
 * as a reference, which would keep a namespace for as long as nobody else is
 * refused.
 */
#include "internal.h"

#include <linux/errname.h>
#include <linux/limits.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <trace/events/container.h>

void container_why_init(struct container *cont)
{
	spin_lock_init(&cont->why.lock);
}

/* @cont is pinned, the other two are as for container_css_refuse(). */
static void record(struct container *cont, struct task_struct *task,
		   const struct container_refusal *refusal)
{
	struct container_why *why = &cont->why;
	struct container *limiter = NULL;
	unsigned long flags;

	trace_container_refusal(cont, task, refusal);
	rcu_read_lock();
	if (refusal->limiter)
		limiter = rcu_dereference(refusal->limiter->container);
	/* it may be below @cont now, which does not reference it */
	if (limiter && READ_ONCE(limiter->dead))
		limiter = NULL;
	spin_lock_irqsave(&why->lock, flags);
	why->last = *refusal;
	why->limiter = limiter;
	why->count++;
	/* of the last tick: what time it is exactly the host would have to be asked, for each of many */
	why->when = ktime_get_coarse_boottime_ns();
	why->pid = task ? task_pid_nr(task) : 0;
	/* a name is never without its end; and a copy of a length that is known is two instructions */
	if (task)
		__builtin_memcpy(why->comm, task->comm, TASK_COMM_LEN);
	spin_unlock_irqrestore(&why->lock, flags);
	rcu_read_unlock();
}

/**
 * container_refuse - record a refusal that is nobody's limit
 * @cont: where; pinned by the caller
 * @task: whom it hits, or NULL
 * @ss: as in struct container_refusal, like the following, which are kept
 * @what: what was refused
 * @reason: why
 * @error: what the caller returns
 *
 * Context: any.
 * Return: @error.
 */
int container_refuse(struct container *cont, struct task_struct *task,
		     const struct container_subsys *ss, const char *what, const char *reason,
		     int error)
{
	struct container_refusal why = {
		.what = what, .reason = reason, .ss = ss, .error = error,
	};

	record(cont, task, &why);
	return error;
}

/**
 * container_css_refuse - record a refusal in the container of a state
 * @css: state, referenced or under RCU; of a container without a directory: in the next above
 * @task: whom it hits, or NULL
 * @refusal: what to say; copied
 *
 * Context: any.
 */
void container_css_refuse(struct container_subsys_state *css, struct task_struct *task,
			  const struct container_refusal *refusal)
{
	struct container *cont;

	rcu_read_lock();
	cont = rcu_dereference(css->container);
	/* roots do not die */
	while (READ_ONCE(cont->dead))
		cont = cont->parent;
	record(cont, task, refusal);
	rcu_read_unlock();
}

/**
 * container_refused_by - a subsystem's callback failed; say so unless it has
 * @cont: where
 * @task: whom it hits, or NULL
 * @refusal: @what, @ss and @error are set
 * @count: container.why.count before the callback
 *
 * Context: container_mutex.
 */
void container_refused_by(struct container *cont, struct task_struct *task,
			  const struct container_refusal *refusal, unsigned long count)
{
	struct container_why *why = &cont->why;
	unsigned long flags;
	bool said;

	container_assert_locked();
	spin_lock_irqsave(&why->lock, flags);
	said = why->count != count && why->last.ss == refusal->ss &&
	       !strcmp(why->last.what, refusal->what);
	spin_unlock_irqrestore(&why->lock, flags);
	if (!said)
		record(cont, task, refusal);
}

/**
 * container_why_hand_up - what is said of a container that comes to nothing is its parent's
 * @cont: container that was not shown
 *
 * Context: container_mutex.
 */
void container_why_hand_up(struct container *cont)
{
	struct container_why *from = &cont->why, *to = &cont->parent->why;
	unsigned long flags;

	container_assert_locked();
	/* nobody else knows @cont, nor is refused anything in it */
	if (!from->count)
		return;
	spin_lock_irqsave(&to->lock, flags);
	to->last = from->last;
	/* a limit of its own is gone with it */
	to->limiter = from->limiter == cont ? NULL : from->limiter;
	to->count += from->count;
	to->when = from->when;
	to->pid = from->pid;
	strscpy_pad(to->comm, from->comm);
	spin_unlock_irqrestore(&to->lock, flags);
}

static const char *refuser(const struct container_why *why)
{
	return why->last.ss ? why->last.ss->name : "core";
}

/* "attach of task 12 (sh) refused by cpuset: it has no CPUs; /a has 3 of 4 pages (ENOSPC)" */
static void show_sentence(struct seq_file *sf, const struct container_why *why, const char *path)
{
	const struct container_refusal *r = &why->last;

	seq_puts(sf, r->what);
	if (why->pid) {
		seq_printf(sf, " of task %d (", why->pid);
		seq_escape(sf, why->comm, "\n\\");
		seq_putc(sf, ')');
	}
	seq_printf(sf, " refused by %s", refuser(why));
	if (r->reason)
		seq_printf(sf, ": %s", r->reason);
	if (why->limiter)
		seq_printf(sf, "%s %s has %llu of %llu %s", r->reason ? ";" : ":", path, r->usage,
			   r->limit, r->unit ?: "");
	if (why->limiter && r->asked > 1)
		seq_printf(sf, ", %llu more were asked for", r->asked);
	if (r->error)
		seq_printf(sf, " (%s)", errname(-r->error) ?: "?");
	seq_putc(sf, '\n');
}

static void show_fields(struct seq_file *sf, const struct container_why *why, const char *path)
{
	const struct container_refusal *r = &why->last;

	seq_printf(sf, "what %s\nsubsystem %s\n", r->what, refuser(why));
	if (r->error)
		seq_printf(sf, "error %s\n", errname(-r->error) ?: "?");
	if (why->limiter)
		seq_printf(sf, "container %s\nusage %llu\nlimit %llu\n", path, r->usage, r->limit);
	if (why->limiter && r->asked)
		seq_printf(sf, "asked %llu\n", r->asked);
	if (why->pid) {
		seq_printf(sf, "task %d\ncomm ", why->pid);
		seq_escape(sf, why->comm, "\n\\");
		seq_putc(sf, '\n');
	}
	seq_printf(sf, "seconds %llu.%03llu\n", why->when / NSEC_PER_SEC,
		   why->when % NSEC_PER_SEC / NSEC_PER_MSEC);
	seq_printf(sf, "count %lu\n", why->count);
}

/* Empty as long as nothing was refused. */
int container_why_show(struct seq_file *sf, struct container *cont,
		       const struct container_file *file)
{
	struct container_why why;
	char *path;

	spin_lock_irq(&cont->why.lock);
	why = cont->why;
	spin_unlock_irq(&cont->why.lock);
	if (!why.count)
		return 0;
	path = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!path)
		return -ENOMEM;
	if (why.limiter && container_path(why.limiter, path, PATH_MAX) < 0)
		strscpy(path, "?", PATH_MAX);
	show_sentence(sf, &why, path);
	show_fields(sf, &why, path);
	kfree(path);
	return 0;
}
