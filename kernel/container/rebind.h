/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two parts of rebinding share: rebind.c has files and states,
 * rebind_tasks.c has what subsystems must be told of tasks.
 */
#ifndef _KERNEL_CONTAINER_REBIND_H
#define _KERNEL_CONTAINER_REBIND_H

#include "internal.h"

/* The tasks of one container: @nr from @tasks[@first] on. */
struct container_rebind_set {
	struct container *cont;
	unsigned int first;
	unsigned int nr;
};

/**
 * struct container_rebinding - one call of container_rebind()
 * @h: the tree
 * @add: subsystems that join it
 * @remove: subsystems that leave it
 * @conts: all containers, parents first; the root is the first
 * @nr: of them
 * @tasks: referenced tasks of all containers but the root, by container; NULL
 *	when no subsystem wants to know
 * @nr_tasks: of them
 * @sets: the containers that have tasks
 * @nr_sets: of them
 * @fail: for the caller
 */
struct container_rebinding {
	struct container_hierarchy *h;
	unsigned long add;
	unsigned long remove;
	struct container **conts;
	unsigned int nr;
	struct task_struct **tasks;
	unsigned int nr_tasks;
	struct container_rebind_set *sets;
	unsigned int nr_sets;
	struct container_rebind_failure *fail;
};

int container_rebind_refused(struct container_rebinding *rb, struct container *cont,
			     struct task_struct *task, struct container_refusal *why,
			     unsigned long count);
int container_rebind_ask_tasks(struct container_rebinding *rb);
void container_rebind_attach_tasks(struct container_rebinding *rb);
void container_rebind_forget_tasks(struct container_rebinding *rb);

#endif /* _KERNEL_CONTAINER_REBIND_H */
