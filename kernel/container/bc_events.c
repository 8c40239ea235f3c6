// SPDX-License-Identifier: GPL-2.0-only
/*
 * The beancounters' file `events`: how often a bound was met, and poll(2) and inotify on it.
 *
 *	RESOURCE.barrier_hit	charges that took held past the barrier, which only those
 *				can that need not keep it, or that it has refused
 *	RESOURCE.limit_hit	charges that the limit has refused
 *
 * A charger only counts, sets a bit and puts the beancounter on a list. The rest is one work item's, which
 * comes a little later: who is refused over and over wakes his watchers a few times
 * a second, and takes container_mutex no more often.
 *
 * Locking: none in bc_hit(), which any context may call. BC_HIT owns bc.hit: who
 * sets it adds, the work item clears it once the beancounter is off the list. The work item
 * holds container_mutex, which keeps a container's files.
 *
 * Lifetime: on the list it is referenced. One that is being freed is not put there; of one that
 * has no directory any more nobody is told. Whether one that is closed will have one, only
 * who holds container_mutex knows.
 *
 * Surprise: a charge that was overtaken further up has counted, if it passed a barrier
 * below.
 */
#include "bc.h"
#include "internal.h"

#include <kunit/static_stub.h>
#include <linux/container_events.h>
#include <linux/seq_file.h>

/* Bits of bc.flags. */
enum { BC_HIT };

/* A watcher is told this much later, and not more often. */
#define BC_TELL_DELAY (HZ / 50)

static LLIST_HEAD(hit_bcs);

static void tell_work_fn(struct work_struct *work)
{
	struct llist_node *list = llist_reverse_order(llist_del_all(&hit_bcs));
	struct bc *bc, *next;

	container_lock();
	llist_for_each_entry_safe(bc, next, list, hit) {
		clear_bit(BC_HIT, &bc->flags);
		/*
		 * Pairs with test_and_set_bit() in bc_hit(): a hit that found the bit set is
		 * seen by whoever is woken.
		 */
		smp_mb__after_atomic();
		container_css_notify(&bc->css);
		container_css_put(&bc->css);
	}
	container_unlock();
}

static DECLARE_DELAYED_WORK(tell_work, tell_work_fn);

/**
 * bc_hit - a bound was met
 * @bc: whose; pinned by the caller
 * @res: resource
 * @severity: BC_BARRIER or BC_LIMIT: which bound
 *
 * Context: any.
 */
void bc_hit(struct bc *bc, enum bc_resource res, enum bc_severity severity)
{
	bool got;

	KUNIT_STATIC_STUB_REDIRECT(bc_hit, bc, res, severity);
	atomic_long_inc(&bc->amount[res].hits[severity]);
	/* one of no container, in a test, has nobody to tell */
	if (!bc->css.ss)
		return;
	/* ordered after the count; pairs with tell_work_fn() */
	if (test_and_set_bit(BC_HIT, &bc->flags))
		return;
	rcu_read_lock();
	got = bc_tryget(bc);
	rcu_read_unlock();
	if (!got)
		clear_bit(BC_HIT, &bc->flags);
	else if (llist_add(&bc->hit, &hit_bcs))
		queue_delayed_work(container_wq, &tell_work, BC_TELL_DELAY);
}

int bc_events_show(struct seq_file *sf, struct container *cont, const struct container_file *file)
{
	struct bc *bc = css_bc(container_css(cont, &bc_subsys));
	int res;

	for (res = 0; res < BC_RESOURCES; res++) {
		seq_printf(sf, "%s.barrier_hit %ld\n", bc_resources[res].name,
			   atomic_long_read(&bc->amount[res].hits[BC_BARRIER]));
		seq_printf(sf, "%s.limit_hit %ld\n", bc_resources[res].name,
			   atomic_long_read(&bc->amount[res].hits[BC_LIMIT]));
	}
	return 0;
}
