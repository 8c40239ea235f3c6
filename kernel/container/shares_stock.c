// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shares: what CPUs have in stock of a group, added up, and taken back. How it comes there, and when it has to be
 * taken back, is said in shares_charge.c.
 *
 * Locks: none to add up, which may be wrong by what happens meanwhile; shares_close() to take back, or that
 * nobody uses the group any more.
 */
#include "shares.h"

#include <linux/cpumask.h>
#include <linux/preempt.h>

/**
 * shares_taken - how often was taken of a group, without what was undone
 * @node: group with stocks
 *
 * Context: any; may miss what happens meanwhile.
 */
long shares_taken(const struct shares_node *node)
{
	long sum = 0;
	int cpu;

	/* each is a word of its own */
	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(node->stock, cpu)->taken);
	return sum;
}

/* May be wrong by what happens meanwhile. */
long shares_in_stock(const struct shares_node *node)
{
	long sum = 0;
	int cpu;

	if (node->stock)
		for_each_possible_cpu(cpu)
			sum += READ_ONCE(per_cpu_ptr(node->stock, cpu)->credits);
	return sum;
}

static long take_credits(struct shares_node *node)
{
	long sum = shares_in_stock(node);
	int cpu;

	if (node->stock)
		for_each_possible_cpu(cpu)
			per_cpu_ptr(node->stock, cpu)->credits = 0;
	return sum;
}

/**
 * shares_drain - no CPU has anything of a group in stock
 * @node: group; who drains one drains all of the tree, or those above stay stocked
 *
 * Context: shares_close().
 */
void shares_drain(struct shares_node *node)
{
	shares_assert_closed();
	WRITE_ONCE(node->stocking, 0);
	WRITE_ONCE(node->stocked, false);
	WRITE_ONCE(node->stocked_below, false);
	shares_uncharge_many(node, take_credits(node));
}

/**
 * shares_drain_last - the same, of a group that nobody uses any more
 * @node: group
 *
 * Context: shares_mutex.
 */
void shares_drain_last(struct shares_node *node)
{
	long credits = take_credits(node);

	/* shares_close() needs the mutex, too */
	preempt_disable();
	shares_uncharge_many(node, credits);
	preempt_enable();
}
