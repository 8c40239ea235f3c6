// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking pages away from a process that runs on another CPU.
 *
 * The bug. A page table is a wish until um_tlb_sync() has told the host: a
 * process's memory is what its stub (one host process per mm) has mapped.
 * flush_tlb_*() used to mark a range for the mm's next entry into user code
 * and return. With one CPU that is enough, nobody is in user code then. With
 * more, the stub may be running at that moment, and goes on writing through
 * the old mapping into a page that migration, reclaim, munmap() or
 * copy-on-write has given to somebody else: bytes are lost in two places.
 *
 * The cure. After a flush has returned, no user instruction runs through what
 * was flushed. Two rules give that:
 *
 *  - Entering is refused while a range is marked. um_stub_enter_lock() looks
 *    and the stub is set running in one section of mm->context.sync_tlb_lock,
 *    which marking takes as well. So a mark comes before, and the entry syncs
 *    first, or after, and the flusher sees that the stub is running.
 *  - A flusher that sees it running makes it leave: os_stub_leave() sends it
 *    the signal that ends its stay and sleeps until the stub itself says that
 *    it has left.
 *
 * stub_data->futex is the word that tells. Bit 0 is set while the stub is in
 * the kernel's hands, by the stub itself as the first thing its signal handler
 * does, and every entry makes it the next even number: two stays are never
 * the same number, so a flusher that slept through the end of one and the
 * start of the next is not fooled into waiting for the wrong one.
 *
 * No kick is lost: all signals are masked in the stub's handler, so one that
 * comes before the stub is back in user code stays pending until it is, and
 * ends the stay before its first instruction. None is taken by an earlier
 * stay, since it is sent after the word was seen even.
 *
 * Waiting needs nobody but the stub, a host process that holds no lock and
 * takes no interrupt of ours. A flusher may therefore hold page-table locks
 * and have interrupts off. It sleeps in the host, as there are often more CPUs
 * here than there. When nobody runs in the mm, a flush costs one load more.
 *
 * One mm has one stub, and the turnstile lets one CPU run it: there is only
 * one word to look at, whatever the number of threads.
 *
 * Whoever has the turnstile is not preempted, from before the entry's sync until
 * the stub has left. A flusher that preempted an entry, between the store of the
 * word and the wake-up of the stub, would wait for a stub that nobody wakes
 * (tests/models/, flusher_wakes_nobody). Without SMP a flush takes it that nobody
 * is in user code, as the only CPU is here, and waits for nobody: true as long as
 * the CPU does not do something else meanwhile. SMP depends on !PREEMPTION
 * nevertheless: with both, nobody has run this yet.
 *
 * The kernel's own copies from and to user memory do not use the stub; they
 * hold the page-table lock (skas/user_pte.c).
 *
 * tests/models/ has this as a Spin model, tests/guest/smp.c the reproducers.
 */

#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <asm/shootdown.h>
#include <asm/tlbflush.h>
#include <os.h>
#include <skas.h>
#include <skas/shootdown.h>
#include <stub-data.h>

/**
 * um_stub_enter_lock() - forbid flushing until the stub is set running
 * @mm_id: whose stub is about to run user code
 *
 * Syncs what is marked; more calls may be queued for the stub then, so their
 * number is handed over again.
 *
 * Return: 0, or a negative errno without the lock: some sync, this one or an
 * earlier one, has failed, and the stub does not have what the page table says.
 *
 * Context: process context, the turnstile held. Takes sync_tlb_lock; whoever
 * has set stub_data->futex even calls um_stub_enter_unlock(). No interrupt
 * marks a user mm, so interrupts stay on.
 */
int um_stub_enter_lock(struct mm_id *mm_id)
{
	struct mm_struct *mm = container_of(mm_id, struct mm_struct, context.id);
	struct stub_data *data = (void *)mm_id->stack;

	spin_lock(&mm->context.sync_tlb_lock);
	while (mm->context.sync_tlb_range_to) {
		spin_unlock(&mm->context.sync_tlb_lock);
		um_tlb_sync(mm);
		data->syscall_data_len = mm_id->syscall_data_len;
		spin_lock(&mm->context.sync_tlb_lock);
	}
	if (mm_id->syscall_data_len < 0) {
		spin_unlock(&mm->context.sync_tlb_lock);
		return mm_id->syscall_data_len;
	}
	return 0;
}

/**
 * um_stub_enter_unlock() - end what um_stub_enter_lock() began
 * @mm_id: the same
 */
void um_stub_enter_unlock(struct mm_id *mm_id)
{
	struct mm_struct *mm = container_of(mm_id, struct mm_struct, context.id);

	spin_unlock(&mm->context.sync_tlb_lock);
}

/**
 * flush_tlb_mm() - flush all that a process has
 * @mm: its memory
 *
 * Without a look at the mappings: of two who take pages from one memory at once, the one
 * that ends first flushes all of it (tlb_finish_mmu()), and if it came by the file, as
 * ftruncate(2) does, it holds no lock of them. The sync looks at the page tables that
 * are there, and passes by the rest.
 *
 * Context: as um_tlb_shootdown().
 */
void flush_tlb_mm(struct mm_struct *mm)
{
	um_tlb_mark_sync(mm, 0, TASK_SIZE);
	um_tlb_shootdown(mm);
}

#ifdef CONFIG_SMP
/**
 * um_tlb_shootdown() - let no user code of @mm go on with what was marked
 * @mm: its ranges were marked with um_tlb_mark_sync()
 *
 * When this returns, the stub has left the user code that it was in when this
 * was called, and syncs before it runs any more.
 *
 * Reading the word needs no barrier: an entry that did not see our mark had
 * set the word and released sync_tlb_lock before our mark took it. One that
 * saw it has synced, and is kicked for nothing.
 *
 * Context: any but the middle of an entry; sleeps in the host only.
 */
void um_tlb_shootdown(struct mm_struct *mm)
{
	os_stub_leave(&mm->context.id, os_stub_stay(&mm->context.id));
}

/**
 * arch_tlbbatch_add_pending() - take a page now, and end the stay later
 * @batch: of the current task
 * @mm: whose page it was
 * @start: its address
 * @end: where it ends
 *
 * Reclaim and migration take many pages and flush once, before any of them is
 * written, copied or freed. If the stub is not in user code there is nothing
 * to flush later. One batch remembers one mm, the newest stay of its stub;
 * another mm ends what is there.
 *
 * Context: the page-table lock is held, interrupts are on.
 */
void arch_tlbbatch_add_pending(struct arch_tlbflush_unmap_batch *batch, struct mm_struct *mm,
			       unsigned long start, unsigned long end)
{
	unsigned int stay;

	um_tlb_mark_sync(mm, start, end);
	stay = os_stub_stay(&mm->context.id);
	if (os_stub_has_left(stay))
		return;
	if (batch->mm != mm) {
		arch_tlbbatch_flush(batch);
		mmgrab(mm);
		batch->mm = mm;
	}
	batch->stay = stay;
}

/**
 * arch_tlbbatch_flush() - end the stay in which pages were taken
 * @batch: of the current task; empty afterwards
 *
 * A stub that has left and entered again meanwhile has synced, and goes on.
 *
 * Context: as arch_tlbbatch_add_pending(); also without locks.
 */
void arch_tlbbatch_flush(struct arch_tlbflush_unmap_batch *batch)
{
	struct mm_struct *mm = batch->mm;

	if (!mm)
		return;
	batch->mm = NULL;
	os_stub_leave(&mm->context.id, batch->stay);
	mmdrop(mm);
}
#endif
