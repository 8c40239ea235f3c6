// SPDX-License-Identifier: GPL-2.0-only
/*
 * What would keep the state of a removed container, and nobody uses: strays in the swap cache
 * are freed (scan_strays.c), and file pages that were charged directly, for want of memory,
 * pass to the nearest container above that is there (recharge.c), as mappings do.
 *
 * One worker for all such states, so that however many there are it is one walk over the
 * page frames: a tenth of a second after a directory is gone, with all that go meanwhile, and then less
 * and less often, because whose pages are still in use may leave strays later. It waits for nobody's
 * pages to be written: as long as some are, it comes again soon.
 *
 * Locking: none held. Lifetime: a state is looked at under memory_list_mutex only, and its
 * pages under RCU; no reference keeps it.
 */
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "internal.h"
#include "scan.h"

/* How long between two looks; jiffies. */
#define SWEEP_RETRY_MIN		((unsigned long)HZ / 10)
#define SWEEP_RETRY_MAX		((unsigned long)HZ * 2)

static void memory_sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(memory_sweep_work, memory_sweep);

/* From one look to the next; who sets it back meanwhile has the next ones made soon. */
static unsigned long memory_sweep_after;

static void memory_sweep(struct work_struct *work)
{
	struct memory_scan scan = { .reclaim = true, .want = LONG_MAX };
	int tries = MEMORY_TRIES;
	unsigned long after;
	bool files;

	INIT_LIST_HEAD(&scan.swapbacked);
	INIT_LIST_HEAD(&scan.files);
	/* who found a state before it was dead has charged it by now, however long its CPU was away (charge.c) */
	synchronize_rcu();
	do {
		if (!memory_dead_charged(&files))
			return;
		if (files)
			memory_recharge_files();
		scan.writing = false;
	} while (memory_scan_strays(&scan) && tries--);
	after = clamp(2 * READ_ONCE(memory_sweep_after), SWEEP_RETRY_MIN, SWEEP_RETRY_MAX);
	if (scan.writing)
		after = SWEEP_RETRY_MIN;
	WRITE_ONCE(memory_sweep_after, after);
	queue_delayed_work(system_dfl_wq, &memory_sweep_work, after);
}

/*
 * Who is removed next does not put it off; not all of them need a walk of their own. A timer that is just being set
 * may be missed, and then it is SWEEP_RETRY_MAX at most. Context: container_mutex.
 */
static void memory_sweep_soon(void)
{
	unsigned long soon = jiffies + SWEEP_RETRY_MIN;

	WRITE_ONCE(memory_sweep_after, 0);
	if (!queue_delayed_work(system_dfl_wq, &memory_sweep_work, SWEEP_RETRY_MIN) &&
	    time_after(READ_ONCE(memory_sweep_work.timer.expires), soon))
		mod_delayed_work(system_dfl_wq, &memory_sweep_work, SWEEP_RETRY_MIN);
}

/**
 * memory_sweep_dead - the directory of a container is gone
 * @memory: its state, without mappings, and with no charges to come but those on their way
 *
 * Context: container_mutex; sleeps.
 */
void memory_sweep_dead(struct container_memory *memory)
{
	bool files;

	memory_flush(memory);
	if (memory_read(memory, MEMORY_FILE)) {
		memory_dead_charged(&files);
		memory_recharge_files();
	}
	if (!memory_usage(memory)) {
		/* a charge may be on its way; of a container that has none it puts off no look that is due */
		queue_delayed_work(system_dfl_wq, &memory_sweep_work, SWEEP_RETRY_MIN);
		return;
	}
	memory_sweep_soon();
}
