// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem "numtasks": how many tasks a container may have, and how fast it forks.
 *
 * A task is a thread from before it can be found until it exits, as in the file `tasks`;
 * zombies are none. The idle tasks are not counted. The amount that shares.c divides is
 * total_numtasks; without that, what the machine allows (threads-max, pid_max).
 *
 *   fork		charged in can_fork(), before anybody can find the child, to its
 *			container and whatever that borrows from; else EAGAIN. Undone in
 *			cancel_fork()
 *   move		never refused, as in 2006: who may move a task into a container may
 *			overfill it, and it forks no more until it is below its limit. A
 *			rebinding is a move, so what is there is counted
 *   exit		uncharged
 *
 * Kernel threads are counted, and never refused. The rate is of each container by itself; the
 * root has none: who has set too low a rate has to be somewhere. It binds who forks, wherever the child will be (ns
 * makes a container for it), and so do the numbers in `stats`. A container that a clone has made, and all below
 * it, counts its forks with those of the one that it was made from, unless that is the root: the directory is the caller's, and who
 * makes himself one after the other would have an interval in each. Nor would a copy of the
 * interval do, as a tree of clones has the more of these the higher the rate is.
 *
 * Locks: no lock of ours but those of shares.c, in the core's section (fork,
 * exit), under container_mutex (attach, online, offline), from a control file, or under the
 * lock of module parameters. A window of forks is one word, changed by cmpxchg. A fork that has to
 * sleep, as there is another total, or because what CPUs have in stock is to be drained before it
 * is refused, begins anew where it may.
 *
 * Order: the charge is there before the child can be moved, so moves need not wait for forks.
 * A move is counted by moved(), under the lock under which a task leaves: who exits is uncharged from where it
 * has been charged, and nobody forks into the room of one that has gone before it was counted in.
 *
 * Lifetime: a container with a task that is charged, or one that is being forked, cannot be
 * removed, and offline() finds nothing charged but what CPUs have in stock.
 *
 * Surprise: what is guaranteed to a container below counts as used ("10 of 10 tasks" may be
 * six, and four that are kept free).
 */
#include "internal.h"
#include "numtasks.h"

#include <linux/atomic.h>
#include <linux/container_fork.h>
#include <linux/container_hooks.h>
#include <linux/ctype.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/moduleparam.h>
#include <linux/pid_namespace.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

/* Parameters; INT_MAX stands for none. Written under the lock of module parameters. */
static int total_numtasks = INT_MAX;
static int forkrate = INT_MAX;
static int forkrate_interval = 1;

/* How often the rate was set: a new rate begins with new windows. The same lock. */
static u8 rate_changes;

/*
 * A total that the guarantees of somebody do not allow, and when it was tried, in jiffies. Forks, and readers of
 * `stats`, try it again after TOTAL_PAUSE: what stands in the way goes with an exit as well as with shares, and is not to be
 * asked by each of them, as forks wait meanwhile. Who writes shares makes them wait anyhow.
 */
static long total_refused;
static unsigned long total_refused_at;
#define TOTAL_PAUSE	HZ

/* NULL until the root state is online. */
static struct numtasks *numtasks_root;

static struct numtasks *numtasks_of(struct container *cont)
{
	return to_numtasks(container_css(cont, &numtasks_subsys));
}

/* All that there is to divide. */
static long total(void)
{
	int set = READ_ONCE(total_numtasks);

	return set != INT_MAX ? set : min(READ_ONCE(max_threads), READ_ONCE(init_pid_ns.pid_max));
}

/* A total that follow_total() may have something to do for. */
static bool is_new(long now)
{
	/* written under a lock that is not ours; who sees an old one sets it again */
	return data_race(numtasks_root->node.ceiling) != now;
}

/*
 * threads-max or pid_max may have been changed since anybody looked. Even if it was
 * refused before, as shares may have changed, too.
 */
static void follow_total(void)
{
	const char *reason;
	long now = total();

	if (is_new(now) && shares_set_limit(&numtasks_root->node, now, &reason)) {
		/* each is a hint; who sees but one of them tries once too often, or a pause later */
		WRITE_ONCE(total_refused_at, jiffies);
		WRITE_ONCE(total_refused, now);
	}
}

/* Of a fork, and of who reads. */
static bool has_to_follow_total(void)
{
	long now = total();

	return unlikely(is_new(now)) &&
	       (READ_ONCE(total_refused) != now ||
		time_after(jiffies, READ_ONCE(total_refused_at) + TOTAL_PAUSE));
}

/* What tells one interval from another. */
static u64 window_key(void)
{
	u32 interval = div_u64(ktime_get_seconds(), READ_ONCE(forkrate_interval));

	return (u64)((u32)READ_ONCE(rate_changes) << 24 | (interval & 0xffffff)) << 32;
}

/* A look before the charge, so that who is refused again and again takes no room from anybody. */
static bool window_is_full(struct numtasks *nt)
{
	int rate = READ_ONCE(forkrate);
	u64 window;

	if (rate == INT_MAX || !nt->node.parent)
		return false;
	window = atomic64_read(&nt->window);
	return !((window ^ window_key()) >> 32) && (u32)window >= rate;
}

/* One more fork in this interval, if the rate allows it. */
static bool take_from_window(struct numtasks *nt)
{
	int rate = READ_ONCE(forkrate);
	u64 key, next;
	s64 window;

	if (rate == INT_MAX || !nt->node.parent)
		return true;
	key = window_key();
	window = atomic64_read(&nt->window);
	do {
		next = ((window ^ key) >> 32 ? key : window) + 1;
		if ((u32)next > rate)
			return false;
	} while (!atomic64_try_cmpxchg(&nt->window, &window, next));
	return true;
}

/*
 * As many as there were when there was no room: by now some may have ended, and others be counted that are about to be
 * refused, too. More than it may have it has only after a move, or where it may have less than before.
 */
static long had(const struct shares_node *full, long ceiling)
{
	/* a note, for who reads; it may be changed just now */
	return data_race(full->overfull) ? max(shares_committed(full), ceiling) : ceiling;
}

/*
 * Whose fork it is, which is not where the child will be if that gets a container of its own: so the current
 * task's, which is not moved before the fork has ended. Context: as can_fork().
 */
static struct numtasks *forker(void)
{
	guard(rcu)();
	return to_numtasks(container_task_css(current, numtasks_subsys_id));
}

/* @by: as forker(), here and below. */
static int refuse_limit(struct numtasks *nt, struct numtasks *by, struct shares_node *full)
{
	/* said, not used: it may have been changed since */
	long ceiling = data_race(full->ceiling);
	struct container_refusal why = {
		.what = "fork", .ss = &numtasks_subsys, .error = -EAGAIN, .unit = "tasks",
		.limiter = &container_of(full, struct numtasks, node)->css,
		.usage = had(full, ceiling), .limit = ceiling, .asked = 1,
		/* said, not used; each field is given, as to have the others cleared costs more than a lock */
		.reason = data_race(full->promised) ?
			  "what is guaranteed to containers below is kept free" : NULL,
	};

	atomic_long_inc(&by->failures);
	container_css_refuse(&nt->css, current, &why);
	return -EAGAIN;
}

static int refuse_rate(struct numtasks *nt, struct numtasks *by)
{
	struct container_refusal why = {
		.what = "fork", .ss = &numtasks_subsys, .error = -EAGAIN,
		.reason = by->rated == by ? "it has had all forks of this forkrate_interval" :
			  "what it was made from has had all forks of this forkrate_interval",
	};

	atomic_long_inc(&by->rate_failures);
	container_css_refuse(&nt->css, current, &why);
	return -EAGAIN;
}

/* The idle tasks have no number. */
static bool is_counted(const struct task_struct *task)
{
	return task->pid;
}

/* Before anything is charged. Context: as can_fork(). */
static int prepare_fork(struct task_struct *child, struct numtasks *nt, struct numtasks *by)
{
	if (has_to_follow_total()) {
		if (!container_fork_may_sleep(child))
			return CONTAINER_FORK_SLEEPS;
		follow_total();
	}
	return window_is_full(by->rated) ? refuse_rate(nt, by) : 0;
}

/* @full: who has no room, and if it is nobody, it is charged. Return: 0, or CONTAINER_FORK_SLEEPS. */
static int take(struct task_struct *child, struct numtasks *nt, struct shares_node **full)
{
	*full = shares_take(&nt->node);
	if (!*full || shares_refusal_is_final(*full))
		return 0;
	if (!container_fork_may_sleep(child))
		return CONTAINER_FORK_SLEEPS;
	*full = shares_take_last(&nt->node);
	return 0;
}

static int charge_fork(struct task_struct *child, struct numtasks *nt, struct numtasks *by)
{
	struct shares_node *full;
	int ret = take(child, nt, &full);

	if (ret)
		return ret;
	if (full)
		return refuse_limit(nt, by, full);
	if (take_from_window(by->rated)) {
		shares_taken_by(&nt->node, &by->node);
		return 0;
	}
	shares_untake(&nt->node);
	return refuse_rate(nt, by);
}

/* It is in the root, and not refused: then all of it is more than there is, as after a move. */
static int charge_kthread(struct task_struct *child, struct numtasks *nt)
{
	struct shares_node *full;
	int ret = take(child, nt, &full);

	if (ret || !full)
		return ret;
	if (!container_fork_may_sleep(child))
		return CONTAINER_FORK_SLEEPS;
	shares_take_anyway(&nt->node);
	return 0;
}

/* With all that may have to be looked at. */
static noinline int can_fork(struct task_struct *child, struct numtasks *nt)
{
	struct numtasks *by;

	if (!is_counted(child))
		return 0;
	if (child->flags & PF_KTHREAD)
		return charge_kthread(child, nt);
	by = forker();
	return prepare_fork(child, nt, by) ?: charge_fork(child, nt, by);
}

static int numtasks_can_fork(struct task_struct *child, struct container_subsys_state *css)
{
	struct numtasks *nt = to_numtasks(css);

	/* most have no rate, and something in stock */
	if (likely(is_counted(child) && READ_ONCE(forkrate) == INT_MAX && !has_to_follow_total()) &&
	    likely(shares_take_stocked(&nt->node)))
		return 0;
	return can_fork(child, nt);
}

static void numtasks_cancel_fork(struct task_struct *child, struct container_subsys_state *css)
{
	struct numtasks *nt = to_numtasks(css);

	if (!is_counted(child))
		return;
	shares_taken_by(&forker()->node, &nt->node);
	shares_untake(&nt->node);
}

/* A move has left somebody with more than he may have, and attach() has to see to the stocks; container_mutex. */
static bool moved_too_many;

static void numtasks_moved(struct container_subsys_state *css,
			   struct container_subsys_state *from, struct task_struct *task)
{
	lockdep_assert_held(&task->alloc_lock);
	moved_too_many |= shares_move(&to_numtasks(css)->node, &to_numtasks(from)->node);
}

static void numtasks_attach(struct container_subsys_state *css,
			    struct container_subsys_state *from, struct task_struct *task)
{
	if (!moved_too_many)
		return;
	moved_too_many = false;
	shares_empty_stocks(&to_numtasks(css)->node);
}

/* While it is bound nowhere, nobody is counted. */
static void numtasks_count(struct container_subsys_state *root_css, unsigned int tasks)
{
	shares_recount(&to_numtasks(root_css)->node, tasks);
}

/* Forks and refusals from now on. */
static void begin_stats(struct numtasks *nt)
{
	atomic_long_set(&nt->reset, shares_taken(&nt->node));
	atomic_long_set(&nt->failures, 0);
	atomic_long_set(&nt->rate_failures, 0);
}

/* What is said and known of the root is of a tree, and not of the next one; the parameters are the kernel's. */
static void numtasks_bind(struct container_subsys_state *root_css, struct container *root)
{
	struct numtasks *nt = to_numtasks(root_css);

	if (numtasks_subsys.hierarchy)
		return;
	shares_recount(&nt->node, 0);
	shares_forget(&nt->node);
	begin_stats(nt);
}

static void numtasks_exit(struct task_struct *task, struct container_subsys_state *css)
{
	struct shares_node *node = &to_numtasks(css)->node;

	if (likely(shares_give_stocked(node)))
		return;
	shares_give(node);
}

static struct container_subsys_state *numtasks_create(struct container_subsys_state *parent)
{
	struct numtasks *nt = kzalloc_obj(*nt);

	return nt ? &nt->css : ERR_PTR(-ENOMEM);
}

/* The root has no rate that it could be of. */
static void set_cloned(struct numtasks *nt, struct numtasks *parent)
{
	nt->cloned = true;
	nt->rated = parent->css.parent ? parent->rated : nt;
}

static int numtasks_online(struct container_subsys_state *css)
{
	struct numtasks *nt = to_numtasks(css), *parent = to_numtasks(css->parent);
	int ret;

	nt->rated = nt;
	if (css->parent) {
		if (parent->cloned)
			set_cloned(nt, parent);
		return shares_add_stocked(&nt->node, &parent->node, 0);
	}
	ret = shares_add_stocked(&nt->node, NULL, total());
	if (!ret)
		numtasks_root = nt;
	return ret;
}

static void numtasks_post_clone(struct container_subsys_state *css)
{
	struct container *cont = rcu_dereference_protected(css->container, lockdep_is_container_mutex_held());

	/* or it was there before numtasks was */
	if (test_bit(CONTAINER_AUTO, &cont->flags))
		set_cloned(to_numtasks(css), to_numtasks(css->parent));
}

static void numtasks_offline(struct container_subsys_state *css)
{
	shares_remove(&to_numtasks(css)->node);
}

static void numtasks_destroy(struct container_subsys_state *css)
{
	shares_stock_free(&to_numtasks(css)->node);
	kfree(to_numtasks(css));
}

static int shares_file_show(struct seq_file *sf, struct container *cont,
			    const struct container_file *file)
{
	struct shares set = shares_said(&numtasks_of(cont)->node);

	shares_show(sf, numtasks_subsys.name, &set);
	return 0;
}

static int shares_file_write(struct container *cont, const struct container_file *file, char *buf)
{
	struct shares set;
	const char *reason;
	int ret;

	ret = shares_parse(buf, numtasks_subsys.name, &set);
	if (ret)
		return ret;
	/* the amount to divide may have changed meanwhile */
	follow_total();
	ret = shares_set(&numtasks_of(cont)->node, &set, &reason);
	if (!ret)
		return 0;
	return container_refuse(cont, current, &numtasks_subsys, "shares", reason, ret);
}

static int limit_show(struct seq_file *sf, struct container *cont,
		      const struct container_file *file)
{
	struct shares_numbers numbers;

	shares_numbers(&numtasks_of(cont)->node, &numbers);
	if (numbers.limit == SHARES_NO_LIMIT)
		seq_puts(sf, "max\n");
	else
		seq_printf(sf, "%ld\n", numbers.limit);
	return 0;
}

static int limit_write(struct container *cont, const struct container_file *file, char *buf)
{
	long limit = SHARES_NO_LIMIT;
	const char *reason;
	int ret, number;

	if (strcmp(buf, "max")) {
		/* kstrtoint() takes a sign */
		ret = isdigit(*buf) ? kstrtoint(buf, 10, &number) : -EINVAL;
		if (ret)
			return ret;
		limit = number;
	}
	ret = shares_set_limit(&numtasks_of(cont)->node, limit, &reason);
	if (!ret)
		return 0;
	return container_refuse(cont, current, &numtasks_subsys, "limit", reason, ret);
}

static int stats_show(struct seq_file *sf, struct container *cont,
		      const struct container_file *file)
{
	struct numtasks *nt = numtasks_of(cont);
	const char *name = numtasks_subsys.name;
	struct shares_numbers numbers;

	if (has_to_follow_total())
		follow_total();
	shares_numbers(&nt->node, &numbers);
	/* what is read one by one may not fit, and a reset may come within a fork that is called off */
	seq_printf(sf, "%s: Current usage %ld\n", name, max(numbers.usage, 0L));
	seq_printf(sf, "%s: Number of successes %ld\n", name,
		   max(shares_taken(&nt->node) - atomic_long_read(&nt->reset), 0L));
	seq_printf(sf, "%s: Number of failures %ld\n", name, atomic_long_read(&nt->failures));
	seq_printf(sf, "%s: Number of forkrate failures %ld\n", name,
		   atomic_long_read(&nt->rate_failures));
	seq_printf(sf, "%s: Maximum %ld\n", name, numbers.ceiling);
	seq_printf(sf, "%s: Guaranteed %ld\n", name, numbers.guarantee);
	seq_printf(sf, "%s: Guaranteed to children %ld\n", name, numbers.promised);
	seq_printf(sf, "%s: Borrowed %ld\n", name, numbers.borrowed);
	return 0;
}

static int stats_write(struct container *cont, const struct container_file *file, u64 val)
{
	if (val)
		return -EINVAL;
	begin_stats(numtasks_of(cont));
	return 0;
}

static const struct container_file numtasks_files[] = {
	{ .name = "shares", .show = shares_file_show, .write = shares_file_write },
	{ .name = "stats", .show = stats_show, .write_u64 = stats_write },
	{ .name = "limit", .show = limit_show, .write = limit_write,
	  .flags = CONTAINER_FILE_NOT_ON_ROOT },
	{ }
};

struct container_subsys numtasks_subsys = {
	.create		= numtasks_create,
	.online		= numtasks_online,
	.post_clone	= numtasks_post_clone,
	.offline	= numtasks_offline,
	.destroy	= numtasks_destroy,
	.can_fork	= numtasks_can_fork,
	.cancel_fork	= numtasks_cancel_fork,
	.moved		= numtasks_moved,
	.attach		= numtasks_attach,
	.exit		= numtasks_exit,
	.count		= numtasks_count,
	.bind		= numtasks_bind,
	.files		= numtasks_files,
};

/* A number of at least 1; on the command line, too, long before there is a root state. */
static int parse_parameter(const char *val, int *number)
{
	int ret = kstrtoint(val, 0, number);

	return ret ?: (*number < 1 ? -EINVAL : 0);
}

static int total_numtasks_set(const char *val, const struct kernel_param *kp)
{
	struct shares_numbers numbers;
	int number, old = total_numtasks, ret;
	const char *reason;

	ret = parse_parameter(val, &number);
	if (ret || !numtasks_root)
		goto out;
	shares_numbers(&numtasks_root->node, &numbers);
	if (number <= numbers.usage)
		return -EINVAL;
	/* who is refused meanwhile looks at total() */
	WRITE_ONCE(total_numtasks, number);
	ret = shares_set_limit(&numtasks_root->node, total(), &reason);
	if (ret)
		WRITE_ONCE(total_numtasks, old);
	return ret;
out:
	if (!ret)
		total_numtasks = number;
	return ret;
}

/* Of the rate or its interval. */
static int rate_set(const char *val, const struct kernel_param *kp)
{
	int number, ret = parse_parameter(val, &number);

	if (ret)
		return ret;
	WRITE_ONCE(*(int *)kp->arg, number);
	WRITE_ONCE(rate_changes, rate_changes + 1);
	return 0;
}

static const struct kernel_param_ops total_numtasks_ops = {
	.set = total_numtasks_set, .get = param_get_int,
};

static const struct kernel_param_ops rate_ops = {
	.set = rate_set, .get = param_get_int,
};

module_param_cb(total_numtasks, &total_numtasks_ops, &total_numtasks, 0644);
MODULE_PARM_DESC(total_numtasks, "tasks that shares divide (default: threads-max or pid_max)");
module_param_cb(forkrate, &rate_ops, &forkrate, 0644);
MODULE_PARM_DESC(forkrate, "forks of a container in one forkrate_interval");
module_param_cb(forkrate_interval, &rate_ops, &forkrate_interval, 0644);
MODULE_PARM_DESC(forkrate_interval, "seconds");
