// SPDX-License-Identifier: GPL-2.0-only
/*
 * memset: what the allocator asks, and what it tells.
 *
 * Locks: memset.h. Nothing here sleeps. The pressure has a spinlock, taken by
 * whoever is about to reclaim and by readers.
 */
#include "memset.h"

#include <linux/oom.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/timekeeping.h>

/* Of 1000, what is left after a second of what is half after ten: 1000 * 2^(-1/10). */
#define KEPT 933
/* After so long nothing is left of any rate. */
#define FORGOTTEN 300

atomic_t container_memset_nr = ATOMIC_INIT(0);
bool container_memset_pressure_enabled;

/**
 * memset_kernel_may_use - may the kernel take memory of a node for tasks of a set?
 * @ms: set; NULL for the root
 * @node: node
 *
 * The nearest set upwards that has its nodes for itself bounds it.
 *
 * Context: RCU, or @ms pinned.
 */
bool memset_kernel_may_use(struct memset *ms, int node)
{
	nodemask_t mems;

	while (ms && !memset_is(ms, MEMSET_EXCLUSIVE))
		ms = memset_parent(ms);
	if (!ms)
		return true;
	mems = memset_nodes(ms);
	return node_isset(node, mems);
}

static bool kernel_may_use(int node)
{
	guard(rcu)();
	return memset_kernel_may_use(memset_of_task(current), node);
}

/**
 * container_memset_node_allowed - may an allocation of the current task take a page there?
 * @node: node
 * @gfp: of the allocation; __GFP_HARDWALL stands for what is a user's
 *
 * An interrupt is nobody's allocation. GFP_ATOMIC does not come here once its nodes
 * have failed it: the allocator sees to that.
 *
 * Context: any.
 */
bool container_memset_node_allowed(int node, gfp_t gfp)
{
	if (in_interrupt() || node_isset(node, current->mems_allowed))
		return true;
	/* who was killed for its memory, and who exits, gives more than it takes */
	if (tsk_is_oom_victim(current))
		return true;
	if (gfp & __GFP_HARDWALL)
		return false;
	return current->flags & PF_EXITING || kernel_may_use(node);
}

/**
 * container_memset_allowed - the nodes that a task has
 * @task: task
 *
 * Context: any. The answer may be old when it is returned.
 */
nodemask_t container_memset_allowed(struct task_struct *task)
{
	nodemask_t mems = node_states[N_MEMORY];
	struct memset *ms;

	rcu_read_lock();
	ms = memset_of_task(task);
	if (ms)
		mems = memset_nodes(ms);
	rcu_read_unlock();
	return mems;
}

/* The next node in turn, of the current task. Begins anywhere, as most tasks need few. */
int container_memset_spread_node(void)
{
	nodemask_t mems = current->mems_allowed;
	int node = current->cpuset_mem_spread_rotor;

	node = node == NUMA_NO_NODE ? node_random(&mems) : next_node_in(node, mems);
	current->cpuset_mem_spread_rotor = node;
	return node;
}

/**
 * memset_pressure_catch_up - let time pass
 * @p: what was counted
 * @now: the second in which we are
 *
 * Context: @p's lock.
 */
void memset_pressure_catch_up(struct memset_pressure *p, time64_t now)
{
	lockdep_assert_held(&p->lock);
	if (now - p->second > FORGOTTEN) {
		p->rate = 0;
		p->events = 0;
		p->second = now;
	}
	for (; p->second < now; p->second++) {
		/* at N events a second both terms add up to N * 1000 in the long run */
		p->rate = p->rate * KEPT / 1000 + p->events * (1000 - KEPT);
		p->events = 0;
	}
}

/* The current task is about to reclaim. */
void container_memset_pressure_bump(void)
{
	struct memset *ms;

	rcu_read_lock();
	ms = memset_of_task(current);
	if (ms) {
		spin_lock(&ms->pressure.lock);
		memset_pressure_catch_up(&ms->pressure, ktime_get_seconds());
		/* more than this a second is as good as this; the products fit */
		if (ms->pressure.events < 10000)
			ms->pressure.events++;
		spin_unlock(&ms->pressure.lock);
	}
	rcu_read_unlock();
}

u64 memset_pressure_read(struct container *cont, const struct container_file *file)
{
	struct memset *ms = to_memset(container_css(cont, &memset_subsys));
	u64 rate;

	spin_lock(&ms->pressure.lock);
	memset_pressure_catch_up(&ms->pressure, ktime_get_seconds());
	rate = ms->pressure.rate;
	spin_unlock(&ms->pressure.lock);
	return READ_ONCE(container_memset_pressure_enabled) ? rate : 0;
}

u64 memset_pressure_enabled_read(struct container *cont, const struct container_file *file)
{
	return READ_ONCE(container_memset_pressure_enabled);
}

int memset_pressure_enabled_write(struct container *cont, const struct container_file *file,
				  u64 val)
{
	if (val > 1)
		return -ERANGE;
	WRITE_ONCE(container_memset_pressure_enabled, val);
	return 0;
}

/* /proc/PID/status, by the names that Linux gives them. */
void container_memset_status(struct seq_file *m, struct task_struct *task)
{
	nodemask_t mems;

	*mems.bits = READ_ONCE(*task->mems_allowed.bits);
	seq_printf(m, "Mems_allowed:\t%*pb\n", nodemask_pr_args(&mems));
	seq_printf(m, "Mems_allowed_list:\t%*pbl\n", nodemask_pr_args(&mems));
}

void container_memset_print_current(void)
{
	/* in the middle of a line of Linux's */
	pr_cont(",mems_allowed=%*pbl", nodemask_pr_args(&current->mems_allowed));
}
