/* SPDX-License-Identifier: GPL-2.0-only */
/* What the two files of the subsystem cpuset share; cpuset.c has the locks. */
#ifndef _KERNEL_CONTAINER_CPUSET_H
#define _KERNEL_CONTAINER_CPUSET_H

#include <linux/containers.h>
#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/mutex.h>

/**
 * struct cpuset - the state of one container
 * @css: the core's part
 * @cpus: what the file cpus says; cpuset_mutex. Read without it by those who
 *	look again or are looked at afterwards (cpuset.c). Of the root: unused
 * @exclusive: no sibling has any of these CPUs; cpuset_mutex
 * @children: list of @sibling, online ones; cpuset_mutex
 * @sibling: entry in the parent's @children
 * @exclusive_link: in cpuset_exclusive, as long as @exclusive is set
 */
struct cpuset {
	struct container_subsys_state css;
	struct cpumask cpus;
	bool exclusive;
	struct list_head children;
	struct list_head sibling;
	struct list_head exclusive_link;
};

static inline struct cpuset *to_cpuset(struct container_subsys_state *css)
{
	return css ? container_of(css, struct cpuset, css) : NULL;
}

/* NULL for the root. */
static inline struct cpuset *cpuset_parent(struct cpuset *cs)
{
	return to_cpuset(cs->css.parent);
}

extern struct mutex cpuset_mutex;
/* Exclusive sets, the root apart; cpuset_mutex. */
extern struct list_head cpuset_exclusive;

void cpuset_domains_changed(void);

#endif /* _KERNEL_CONTAINER_CPUSET_H */
