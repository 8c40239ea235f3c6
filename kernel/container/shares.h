/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares: how much of its parent's amount of something a group may have (max) and is
 * promised (min), and what it has. shares.c has the arithmetic, the locks and the surprises.
 */
#ifndef _KERNEL_CONTAINER_SHARES_H
#define _KERNEL_CONTAINER_SHARES_H

#include <linux/atomic.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/types.h>

struct seq_file;

/* Instead of a number of shares: no promise, no maximum of its own. */
#define SHARES_DONT_CARE	(-3)
/* As it is. */
#define SHARES_UNCHANGED	(-1)
#define SHARES_DIVISOR		100
#define SHARES_NO_LIMIT		LONG_MAX

/**
 * struct shares - what is said of a group
 * @min: promised to it, of the parent's @divisor; or SHARES_DONT_CARE
 * @max: the most that it may have, of the same; or SHARES_DONT_CARE
 * @divisor: into how many shares the group's own amount is divided for its children
 */
struct shares {
	int min;
	int max;
	int divisor;
};

/**
 * struct shares_node - a group
 * @parent: NULL for the root; immutable after shares_add()
 * @children: list of @sibling; shares_mutex
 * @sibling: entry in the parent's @children; shares_mutex
 * @set: what was said; shares_mutex
 * @limit: absolute; of the root: all that there is; shares_mutex
 * @ceiling: the most it may have; written under shares_rwsem for writing
 * @bounded: @ceiling is its own, not only the parent's; the same
 * @guarantee: promised to it, at most @ceiling; the same
 * @promised: sum of the children's @guarantee, at most @guarantee; the same
 * @count: what it has itself and what its children have borrowed; charges change it
 *	under shares_rwsem for reading
 * @before: count and promised before a change; shares_rwsem for writing
 */
struct shares_node {
	struct shares_node *parent;
	struct list_head children;
	struct list_head sibling;
	struct shares set;
	long limit;
	long ceiling;
	bool bounded;
	long guarantee;
	long promised;
	atomic_long_t count;
	long before;
};

/* A group in numbers, as the files show it. */
struct shares_numbers {
	struct shares set;
	long limit;
	long ceiling;
	long guarantee;
	long promised;
	long borrowed;
	long usage;
};

void shares_add(struct shares_node *node, struct shares_node *parent, long amount);
void shares_remove(struct shares_node *node);
int shares_set(struct shares_node *node, const struct shares *set, const char **reason);
int shares_set_limit(struct shares_node *node, long limit, const char **reason);
struct shares shares_said(struct shares_node *node);
void shares_numbers(struct shares_node *node, struct shares_numbers *numbers);
long shares_committed(const struct shares_node *node);

struct shares_node *shares_try_charge(struct shares_node *node);
void shares_charge(struct shares_node *node);
void shares_uncharge(struct shares_node *node);
void shares_recount(struct shares_node *root, long count);

int shares_parse(char *buf, const char *resource, struct shares *set);
void shares_show(struct seq_file *sf, const char *resource, const struct shares *set);

#endif /* _KERNEL_CONTAINER_SHARES_H */
