// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuset: exclusive sets are scheduler domains.
 *
 * The root and each exclusive set have a domain: their CPUs without those of
 * exclusive children. These are disjoint, since an exclusive set overlaps no
 * sibling and has an exclusive parent, and together they are all CPUs. Load is
 * balanced inside of each and never across.
 *
 * Locking: the domains are rebuilt under cpu_hotplug_lock, which must not be
 * asked for under container_mutex or by a control file: who holds it may wait
 * for a fork, the fork for a move of a process, and that for the other two. So
 * who changes a set only queues a work item, which holds nothing. Linux calls,
 * too, when CPUs come and go. cpuset_mutex is inside; sched_domains_mutex
 * inside of that.
 *
 * Surprise: a write to cpu_exclusive returns before the domains have changed. A
 * rebuild for which there is no memory leaves one domain for all; the affinity of
 * tasks is not touched by that.
 */
#include "internal.h"
#include "cpuset.h"

#include <linux/container_cpuset.h>
#include <linux/cpu.h>
#include <linux/sched/deadline.h>
#include <linux/sched/isolation.h>
#include <linux/sched/signal.h>
#include <linux/sched/topology.h>
#include <linux/workqueue.h>

/* A domain while it is put together; cpuset_mutex. */
static struct cpumask domain;

/* The domain of a set, in @domain; false where exclusive children have all of it. */
static bool domain_of_locked(struct cpuset *cs)
{
	struct cpuset *child;

	lockdep_assert_held(&cpuset_mutex);
	cpumask_and(&domain, cpu_active_mask, housekeeping_cpumask(HK_TYPE_DOMAIN));
	if (cpuset_parent(cs))
		cpumask_and(&domain, &domain, &cs->cpus);
	list_for_each_entry(child, &cs->children, sibling)
		if (child->exclusive)
			cpumask_andnot(&domain, &domain, &child->cpus);
	return !cpumask_empty(&domain);
}

/* Counts the domains; copies them to @doms, unless that is NULL. */
static unsigned int list_domains_locked(struct cpuset *root, cpumask_var_t *doms)
{
	struct cpuset *cs;
	unsigned int nr = 0;

	if (domain_of_locked(root)) {
		if (doms)
			cpumask_copy(doms[nr], &domain);
		nr++;
	}
	list_for_each_entry(cs, &cpuset_exclusive, exclusive_link) {
		if (!domain_of_locked(cs))
			continue;
		if (doms)
			cpumask_copy(doms[nr], &domain);
		nr++;
	}
	return nr;
}

/**
 * container_cpuset_active_cpus - make the scheduler's domains what the sets say
 *
 * Context: cpu_hotplug_lock; takes cpuset_mutex.
 */
void container_cpuset_active_cpus(void)
{
	struct cpuset *root = to_cpuset(cpuset_subsys.root_css);
	cpumask_var_t *doms = NULL;
	unsigned int nr = 0;

	lockdep_assert_cpus_held();
	mutex_lock(&cpuset_mutex);
	if (root && !list_empty(&cpuset_exclusive)) {
		nr = list_domains_locked(root, NULL);
		doms = alloc_sched_domains(nr);
	}
	/* it keeps @doms; without it makes one domain of all active CPUs */
	if (doms)
		partition_sched_domains(list_domains_locked(root, doms), doms, NULL);
	else
		partition_sched_domains(1, NULL, NULL);
	mutex_unlock(&cpuset_mutex);
}

/**
 * container_cpuset_rebuild_domains - the same for who does not hold the lock
 *
 * Context: process, without locks that a fork or a control file waits for.
 */
void container_cpuset_rebuild_domains(void)
{
	cpus_read_lock();
	container_cpuset_active_cpus();
	cpus_read_unlock();
}

static void rebuild(struct work_struct *work)
{
	container_cpuset_rebuild_domains();
}
static DECLARE_WORK(rebuild_work, rebuild);

/* Soon, by a kworker. Context: any. */
void cpuset_domains_changed(void)
{
	queue_work(container_wq, &rebuild_work);
}

/**
 * container_cpuset_rebuild_deadline - count what deadline tasks have reserved
 *
 * The sums are kept by domain, and new domains start from zero.
 *
 * Context: sched_domains_mutex.
 */
void container_cpuset_rebuild_deadline(void)
{
	struct task_struct *process, *task;
	int cpu;

	/* more than once for most, before anything is added */
	for_each_online_cpu(cpu)
		dl_clear_root_domain_cpu(cpu);
	rcu_read_lock();
	for_each_process_thread(process, task)
		dl_add_task_root_domain(task);
	rcu_read_unlock();
}
