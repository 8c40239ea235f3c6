// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file `events`: how often a limit was met, and poll(2) and inotify on it.
 *
 *	limit_hits	batches of charges that found the container above page_limit
 *	max_hits	charges that found no room at page_max
 *	giveups		times that the handler found nothing more to free
 *	ooms		processes killed at page_max
 *
 * A charger only counts, sets a bit and puts the state on a list. The rest is one work
 * item's, which comes a little later: who is above a limit for long wakes the
 * watchers some times a second, and takes container_mutex no more often.
 *
 * Locking: none in memory_tell(), which any context may call. MEMORY_HIT owns memory.hit:
 * who sets it adds, the work item clears it once the state is off the list. The work
 * item holds container_mutex, which keeps a container's files.
 *
 * Lifetime: on the list a state is referenced. One that is being freed is not put there; of one
 * that has no directory any more nobody is told. Whether one that a remount has closed
 * will have one, only who holds container_mutex knows.
 */
#include <linux/container_events.h>
#include <linux/container_memory.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

#include "memory.h"

/* Bits of memory.flags. */
enum { MEMORY_HIT };

/* A watcher is told this much later, and not more often. */
#define MEMORY_TELL_DELAY (HZ / 50)

static LLIST_HEAD(hit_memories);

static void tell_work_fn(struct work_struct *work)
{
	struct llist_node *list = llist_reverse_order(llist_del_all(&hit_memories));
	struct container_memory *memory, *next;

	container_lock();
	llist_for_each_entry_safe(memory, next, list, hit) {
		clear_bit(MEMORY_HIT, &memory->flags);
		/*
		 * Pairs with test_and_set_bit() in memory_tell(): what was counted by who
		 * found the bit set is seen by whoever is woken.
		 */
		smp_mb__after_atomic();
		container_css_notify(&memory->css);
		container_css_put(&memory->css);
	}
	container_unlock();
}

static DECLARE_DELAYED_WORK(tell_work, tell_work_fn);

/**
 * memory_tell - a number that `events` shows has grown
 * @memory: whose; pinned
 *
 * Context: any.
 */
void memory_tell(struct container_memory *memory)
{
	bool got;

	/* ordered after the count; pairs with tell_work_fn() */
	if (test_and_set_bit(MEMORY_HIT, &memory->flags))
		return;
	rcu_read_lock();
	got = percpu_ref_tryget(&memory->css.refcnt);
	rcu_read_unlock();
	if (!got)
		clear_bit(MEMORY_HIT, &memory->flags);
	else if (llist_add(&memory->hit, &hit_memories))
		queue_delayed_work(system_dfl_wq, &tell_work, MEMORY_TELL_DELAY);
}

int memory_events_show(struct seq_file *sf, struct container *cont,
		       const struct container_file *file)
{
	struct container_memory *memory = css_memory(container_css(cont, &memory_subsys));

	seq_printf(sf, "limit_hits %ld\n", atomic_long_read(&memory->hits));
	seq_printf(sf, "max_hits %ld\n", atomic_long_read(&memory->events[MEMORY_MAX_HITS]));
	seq_printf(sf, "giveups %ld\n", atomic_long_read(&memory->events[MEMORY_GIVEUPS]));
	seq_printf(sf, "ooms %ld\n", atomic_long_read(&memory->events[MEMORY_OOMS]));
	return 0;
}
