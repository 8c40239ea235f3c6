// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shares: groups that have more than they may have, and the guarantees below them.
 *
 * A charge by force and a lower ceiling may leave a group overfull. Whoever would borrow from it is refused.
 * But who is within a guarantee asks nobody above, as that was kept free for him; and if what he has had
 * is moved to where it has to be borrowed, it is there in spite of the ceiling, and he is within his guarantee
 * again: without more he could have it as often as he likes. So a guarantee lapses
 * as far as somebody above is overfull:
 *
 *	over		of an overfull group: count + promised - ceiling
 *	spare		of one below it: what is unused of the own parts on the way up to it
 *	rule		a charge below it must leave spare >= over
 *
 * Why no ceiling is passed by a charge then: what is used at and below the overfull group is count + promised less
 * all that is unused of what was promised; that is at least spare, so at most ceiling + over - spare is used. And
 * why nobody is refused too much: one task too many in a group takes one task off each guarantee below
 * it, not all of it. What is in stock is used here; so it all is taken back when somebody is charged by force, and a stock is
 * filled by the same rule (shares_charge.c).
 *
 * Cost: while nobody is overfull, anywhere, it is one look at shares_nr_overfull where
 * borrowing stops, whatever the depth.
 *
 * A group is noted as overfull by who has charged by force, and where ceilings change, not by who is about
 * to undo a charge: such an instant takes nobody's guarantee.
 *
 * Locks: overfull_lock, a leaf: the notes. Who has raised a count looks at it under the lock,
 * and so does who has lowered it: the one that is later sees both. A note may stay too long, when a
 * charge was just being undone; the next to give something back removes it, and nobody is refused for a note alone.
 */
#include "shares.h"

#include <linux/spinlock.h>

static DEFINE_SPINLOCK(overfull_lock);

/* Written under overfull_lock. */
int shares_nr_overfull __read_mostly;

/**
 * shares_find_lapsed - who is overfull by more than is spare below it?
 * @node: the first to be looked at, and then those above; may be NULL
 * @spare: what is unused of own parts below @node
 *
 * Context: a charge's section, or shares_close(). Only if shares_any_overfull().
 * Return: the lowest such group, or NULL.
 */
struct shares_node *shares_find_lapsed(struct shares_node *node, long spare)
{
	long count;

	for (; node; node = node->parent) {
		count = atomic_long_read(&node->count);
		if (READ_ONCE(node->overfull) && spare < -shares_room(node, count))
			return node;
		spare += max(0L, shares_own_part(node) - count);
	}
	return NULL;
}

/**
 * shares_note_overfull - is a group overfull, or is it not any more?
 * @node: group whose count or ceiling has changed
 *
 * Context: as shares_find_lapsed().
 */
void shares_note_overfull(struct shares_node *node)
{
	bool over;

	spin_lock(&overfull_lock);
	over = shares_room(node, atomic_long_read(&node->count)) < 0;
	if (over != node->overfull) {
		WRITE_ONCE(node->overfull, over);
		WRITE_ONCE(shares_nr_overfull, shares_nr_overfull + (over ? 1 : -1));
	}
	spin_unlock(&overfull_lock);
}

/**
 * shares_note_all_overfull - the same of a group and all above, which were charged by force
 * @node: group
 *
 * Context: as shares_find_lapsed(). To be followed by shares_is_stocked() of the root.
 */
void shares_note_all_overfull(struct shares_node *node)
{
	for (; node; node = node->parent)
		shares_note_overfull(node);
	/* either we find a stock, or who begins one finds the note: pairs with start_stocking() and the charge in fill() */
	smp_mb();
}
