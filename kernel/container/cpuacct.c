// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuacct: CPU time by container.
 *
 * Time stays with the container in which it was burnt; a container shows its
 * own and its descendants', the removed ones included.
 *
 * Locking: none in the scheduler's path. Each CPU adds to its own record, with
 * interrupts off; a reader sums records that may be one addition old, and
 * reads each load window under its sequence count. container_mutex keeps a
 * state from going offline while it is folded into its parent.
 *
 * Lifetime: a task's time goes to the state that it is in, and a state with
 * tasks does not go offline; so nothing is added after offline() has folded
 * what there was into the parent's @departed.
 *
 * Surprise: usage is the scheduler's measure and stat that of arch/um's vtime.c;
 * the latter comes up to a tick later, or at the next switch of tasks.
 */
#include <linux/containers.h>

#include <linux/container_hooks.h>
#include <linux/container_percpu.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/percpu.h>
#include <linux/sched/cputime.h>
#include <linux/seq_file.h>
#include <linux/seqlock.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

/* cpuacct.load is of the last complete interval of this length. */
#define LOAD_INTERVAL		(10 * HZ)
#define LOAD_INTERVAL_NS	(10ULL * NSEC_PER_SEC)

enum { CPUACCT_USAGE, CPUACCT_USER, CPUACCT_SYSTEM, CPUACCT_NR };

/* Time by kind, in nanoseconds. */
struct cpuacct_times {
	u64 ns[CPUACCT_NR];
};

/*
 * One CPU's record; @times and the window are written by that CPU with
 * interrupts off, @base and @departed by anyone under cpuacct.lock.
 *
 * @base is what @times was at the last reset, @departed the time of removed
 * children since then. @seq guards the window: @interval is the number of the running interval,
 * @running what was used in it, @last what was used in the one before.
 */
struct cpuacct_cpu {
	struct cpuacct_times times;
	struct cpuacct_times base;
	struct cpuacct_times departed;
	seqcount_t seq;
	u64 interval;
	u64 running;
	u64 last;
};

/**
 * struct cpuacct - the state of one container
 * @css: the core's part
 * @cpu: records by CPU
 * @lock: leaf, for readers and resets
 * @prev: what stat showed last, so that neither number goes back; has its lock
 */
struct cpuacct {
	struct container_subsys_state css;
	struct cpuacct_cpu __percpu *cpu;
	spinlock_t lock;
	struct prev_cputime prev;
};

static struct cpuacct *to_cpuacct(struct container_subsys_state *css)
{
	return container_of(css, struct cpuacct, css);
}

/* NULL only until container_init(), when nothing but idle tasks can run. */
static struct cpuacct *task_cpuacct(struct task_struct *task)
{
	struct container_subsys_state *css = container_task_css(task, cpuacct_subsys_id);

	return css ? to_cpuacct(css) : NULL;
}

static u64 interval_now(void)
{
	return div_u64(get_jiffies_64() - INITIAL_JIFFIES, LOAD_INTERVAL);
}

/* Close intervals that have ended. @now may be one behind another CPU's. */
static void window_advance(struct cpuacct_cpu *cpu, u64 now)
{
	if (now == cpu->interval)
		return;
	cpu->last = now == cpu->interval + 1 ? cpu->running : 0;
	cpu->running = 0;
	cpu->interval = now;
}

/**
 * container_cpuacct_charge - a task has run
 * @task: the task
 * @ns: for how long
 *
 * Context: scheduler, runqueue lock held, interrupts off.
 */
void container_cpuacct_charge(struct task_struct *task, u64 ns)
{
	struct cpuacct_cpu *cpu;
	struct cpuacct *ca;

	lockdep_assert_irqs_disabled();
	rcu_read_lock();
	ca = task_cpuacct(task);
	if (ca) {
		cpu = this_cpu_ptr(ca->cpu);
		WRITE_ONCE(cpu->times.ns[CPUACCT_USAGE], cpu->times.ns[CPUACCT_USAGE] + ns);
		raw_write_seqcount_begin(&cpu->seq);
		window_advance(cpu, interval_now());
		cpu->running += ns;
		raw_write_seqcount_end(&cpu->seq);
	}
	rcu_read_unlock();
}

/**
 * container_cpuacct_charge_field - user or system time
 * @task: the task
 * @index: what kind of time was found
 * @ns: how much
 *
 * Context: tick, switch of tasks, way out of user code; interrupts off.
 */
void container_cpuacct_charge_field(struct task_struct *task, enum cpu_usage_stat index, u64 ns)
{
	bool user = index == CPUTIME_USER || index == CPUTIME_NICE;
	struct cpuacct *ca;
	u64 *field;

	rcu_read_lock();
	ca = task_cpuacct(task);
	if (ca) {
		field = &this_cpu_ptr(ca->cpu)->times.ns[user ? CPUACCT_USER : CPUACCT_SYSTEM];
		WRITE_ONCE(*field, *field + ns);
	}
	rcu_read_unlock();
}

/* One kind of time on one CPU since the last reset, without removed children. */
static u64 own_ns_locked(struct cpuacct *ca, int cpu, int kind)
{
	struct cpuacct_cpu *rec = per_cpu_ptr(ca->cpu, cpu);

	lockdep_assert_held(&ca->lock);
	return READ_ONCE(rec->times.ns[kind]) - rec->base.ns[kind];
}

/* The same of a container and all its descendants, living and removed. */
static u64 tree_ns_cpu(struct cpuacct *root, int cpu, int kind)
{
	struct container_subsys_state *css;
	struct cpuacct *ca;
	u64 sum = 0;

	rcu_read_lock();
	container_css_for_each_descendant(css, &root->css) {
		ca = to_cpuacct(css);
		spin_lock(&ca->lock);
		sum += own_ns_locked(ca, cpu, kind);
		sum += per_cpu_ptr(ca->cpu, cpu)->departed.ns[kind];
		spin_unlock(&ca->lock);
	}
	rcu_read_unlock();
	return sum;
}

static u64 tree_ns(struct cpuacct *root, int kind)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += tree_ns_cpu(root, cpu, kind);
	return sum;
}

/* Time of the last complete interval on one CPU. */
static u64 cpu_last_interval(struct cpuacct_cpu *cpu, u64 now)
{
	u64 interval, running, last;
	unsigned int seq;

	do {
		seq = read_seqcount_begin(&cpu->seq);
		interval = cpu->interval;
		running = cpu->running;
		last = cpu->last;
	} while (read_seqcount_retry(&cpu->seq, seq));
	if (interval >= now)
		return last;
	return interval + 1 == now ? running : 0;
}

static struct cpuacct *cpuacct_of(struct container *cont)
{
	return to_cpuacct(container_css(cont, &cpuacct_subsys));
}

static u64 usage_read(struct container *cont, const struct container_file *file)
{
	return tree_ns(cpuacct_of(cont), CPUACCT_USAGE);
}

static u64 usage_self_read(struct container *cont, const struct container_file *file)
{
	struct cpuacct *ca = cpuacct_of(cont);
	u64 sum = 0;
	int cpu;

	spin_lock(&ca->lock);
	for_each_possible_cpu(cpu)
		sum += own_ns_locked(ca, cpu, CPUACCT_USAGE);
	spin_unlock(&ca->lock);
	return sum;
}

/* Where time is measured there is nothing to adjust, and nothing to remember. */
static void reset_prev(struct cpuacct *ca)
{
#ifndef CONFIG_VIRT_CPU_ACCOUNTING_NATIVE
	raw_spin_lock_irq(&ca->prev.lock);
	ca->prev.utime = 0;
	ca->prev.stime = 0;
	raw_spin_unlock_irq(&ca->prev.lock);
#endif
}

static void reset(struct cpuacct *ca)
{
	struct cpuacct_cpu *rec;
	int cpu, kind;

	spin_lock(&ca->lock);
	for_each_possible_cpu(cpu) {
		rec = per_cpu_ptr(ca->cpu, cpu);
		for (kind = 0; kind < CPUACCT_NR; kind++)
			rec->base.ns[kind] = READ_ONCE(rec->times.ns[kind]);
		memset(&rec->departed, 0, sizeof(rec->departed));
	}
	spin_unlock(&ca->lock);
	reset_prev(ca);
}

/* 0 starts all of the subtree's counts again; nothing else can be written. */
static int usage_write(struct container *cont, const struct container_file *file, u64 val)
{
	struct container_subsys_state *css;

	if (val)
		return -EINVAL;
	rcu_read_lock();
	container_css_for_each_descendant(css, &cpuacct_of(cont)->css)
		reset(to_cpuacct(css));
	/* the ancestors' sums have become smaller, too */
	for (css = cpuacct_of(cont)->css.parent; css; css = css->parent)
		reset_prev(to_cpuacct(css));
	rcu_read_unlock();
	return 0;
}

/* A number for each possible CPU, with descendants. */
static int usage_percpu_show(struct seq_file *sf, struct container *cont,
			     const struct container_file *file)
{
	const char *sep = "";
	int cpu;

	for_each_possible_cpu(cpu) {
		seq_printf(sf, "%s%llu", sep, tree_ns_cpu(cpuacct_of(cont), cpu, CPUACCT_USAGE));
		sep = " ";
	}
	seq_putc(sf, '\n');
	return 0;
}

static int stat_show(struct seq_file *sf, struct container *cont, const struct container_file *file)
{
	struct cpuacct *ca = cpuacct_of(cont);
	struct task_cputime ticks = {
		.utime = tree_ns(ca, CPUACCT_USER),
		.stime = tree_ns(ca, CPUACCT_SYSTEM),
		.sum_exec_runtime = tree_ns(ca, CPUACCT_USAGE),
	};
	u64 user, system;

	/* where ticks find user and system time they say the proportion, as in /proc/PID/stat */
	cputime_adjust(&ticks, &ca->prev, &user, &system);
	seq_printf(sf, "user %llu\nsystem %llu\n", user, system);
	return 0;
}

static u64 load_read(struct container *cont, const struct container_file *file)
{
	struct container_subsys_state *css;
	u64 now = interval_now(), sum = 0;
	int cpu;

	rcu_read_lock();
	container_css_for_each_descendant(css, &cpuacct_of(cont)->css)
		for_each_possible_cpu(cpu)
			sum += cpu_last_interval(per_cpu_ptr(to_cpuacct(css)->cpu, cpu), now);
	rcu_read_unlock();
	return DIV64_U64_ROUND_CLOSEST(sum * 100, LOAD_INTERVAL_NS);
}

static const struct container_file cpuacct_files[] = {
	{ .name = "usage", .read_u64 = usage_read, .write_u64 = usage_write },
	{ .name = "usage_self", .read_u64 = usage_self_read },
	{ .name = "usage_percpu", .show = usage_percpu_show },
	{ .name = "stat", .show = stat_show },
	{ .name = "load", .read_u64 = load_read },
	{ }
};

static struct container_subsys_state *cpuacct_create(struct container_subsys_state *parent)
{
	struct cpuacct *ca = kzalloc_obj(*ca);
	int cpu;

	if (!ca)
		return ERR_PTR(-ENOMEM);
	ca->cpu = container_alloc_percpu(struct cpuacct_cpu);
	if (!ca->cpu) {
		kfree(ca);
		return ERR_PTR(-ENOMEM);
	}
	for_each_possible_cpu(cpu)
		seqcount_init(&per_cpu_ptr(ca->cpu, cpu)->seq);
	spin_lock_init(&ca->lock);
	prev_cputime_init(&ca->prev);
	return &ca->css;
}

/* What was burnt here counts on in the parent. */
static void cpuacct_offline(struct container_subsys_state *css)
{
	struct cpuacct *ca = to_cpuacct(css), *parent = to_cpuacct(css->parent);
	int cpu, kind;

	/* parent before child: the only place that holds two */
	spin_lock(&parent->lock);
	spin_lock_nested(&ca->lock, SINGLE_DEPTH_NESTING);
	for_each_possible_cpu(cpu)
		for (kind = 0; kind < CPUACCT_NR; kind++)
			per_cpu_ptr(parent->cpu, cpu)->departed.ns[kind] +=
				own_ns_locked(ca, cpu, kind) +
				per_cpu_ptr(ca->cpu, cpu)->departed.ns[kind];
	spin_unlock(&ca->lock);
	spin_unlock(&parent->lock);
}

static void cpuacct_destroy(struct container_subsys_state *css)
{
	struct cpuacct *ca = to_cpuacct(css);

	free_percpu(ca->cpu);
	kfree(ca);
}

struct container_subsys cpuacct_subsys = {
	.create		= cpuacct_create,
	.offline	= cpuacct_offline,
	.destroy	= cpuacct_destroy,
	.files		= cpuacct_files,
};
