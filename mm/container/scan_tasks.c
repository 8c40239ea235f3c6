// SPDX-License-Identifier: GPL-2.0-only
/*
 * The handler's walk over the address spaces of a container's tasks.
 *
 * A clock: a page that was touched since the last lap loses its young bit and
 * its place on the active list; one that was not is isolated (policy reclaim).
 * Only folios of the container are touched, whoever maps them; a file's have their turn in the walk over mappings (policy
 * reclaim).
 *
 * Locking: mmap_lock for reading, by trylock: an address space that is being
 * changed is left for the next lap. Within it the page table lock, and below
 * that what folio_isolate_lru() and folio_deactivate() take.
 *
 * Position: a thread id and an address. Tasks and address spaces are referenced
 * only while they are looked at; the last mmput() is left to a worker.
 */
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagewalk.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/swapops.h>
#include <asm/tlbflush.h>

#include "internal.h"
#include "scan.h"

struct memory_mm_walk {
	struct memory_scan *scan;
	unsigned long next;
};

/*
 * The walk over mappings comes to a file's page, too, once in a lap, and asks all who map it. A turn here as well, one for each
 * page table, would take it from who uses it because of who does not. Only the last lap before giving up looks in
 * both places: a file system may be one that cannot be entered.
 */
static bool scan_is_for_files(struct memory_scan *scan, struct folio *folio)
{
	return scan->reclaim && !scan->force && READ_ONCE(folio->memcg_data) & MEMORY_MAPPING;
}

/* A present page. Returns true when its young bit was cleared. */
static bool scan_present(struct memory_scan *scan, struct vm_area_struct *vma,
			 unsigned long addr, pte_t *pte)
{
	struct folio *folio = vm_normal_folio(vma, addr, ptep_get(pte));
	bool young;

	if (!folio || folio_is_zone_device(folio) || !memory_owns(scan->top, folio))
		return false;
	scan->budget--;
	if (scan->again || scan_is_for_files(scan, folio))
		return false;
	memory_event(scan->top, MEMORY_SCANNED, 1);
	young = ptep_test_and_clear_young(vma, addr, pte);
	if ((young || folio_test_active(folio)) && !scan->force)
		memory_scan_age(scan, folio);
	else if (scan->reclaim)
		memory_scan_isolate(scan, folio);
	return young;
}

static void scan_absent(struct memory_scan *scan, pte_t pte)
{
	softleaf_t entry = softleaf_from_pte(pte);

	/* the page table lock keeps the entry, and the entry the device */
	if (scan->reclaim && softleaf_is_swap(entry) && memory_scan_swapcache(scan, entry))
		scan->budget--;
}

static int scan_pmd(pmd_t *pmd, unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	struct memory_mm_walk *at = walk->private;
	struct memory_scan *scan = at->scan;
	unsigned long start = addr;
	bool flush = false;
	pte_t *first, *pte;
	spinlock_t *ptl;

	first = pte = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	if (!pte)
		return 0;
	for (; addr < end && scan->budget > 0; addr += PAGE_SIZE, pte++) {
		pte_t entry = ptep_get(pte);

		if (pte_present(entry))
			flush |= scan_present(scan, walk->vma, addr, pte);
		else if (!pte_none(entry))
			scan_absent(scan, entry);
	}
	/* so that the next access sets the bit again */
	if (flush)
		flush_tlb_range(walk->vma, start, addr);
	pte_unmap_unlock(first, ptl);
	at->next = addr;
	cond_resched();
	return scan->budget <= 0;
}

/* What reclaim cannot take is not worth a look. */
static int scan_test_vma(unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	return !!(walk->vma->vm_flags & (VM_LOCKED | VM_PFNMAP | VM_HUGETLB | VM_IO));
}

static const struct mm_walk_ops scan_ops = {
	.pmd_entry = scan_pmd,
	.test_walk = scan_test_vma,
	.walk_lock = PGWALK_RDLOCK,
};

/* Walk on from *@addr. Returns true when this address space is done. */
static bool scan_mm(struct memory_scan *scan, struct mm_struct *mm, unsigned long *addr)
{
	struct memory_mm_walk at = { .scan = scan, .next = *addr };
	bool stopped = false;

	if (mmap_read_trylock(mm)) {
		if (*addr < mm->task_size)
			stopped = walk_page_range(mm, *addr, mm->task_size, &scan_ops, &at) > 0;
		mmap_read_unlock(mm);
	}
	*addr = at.next;
	return !stopped;
}

static bool scan_is_inside(struct container_memory *top, struct task_struct *task)
{
	struct container_memory *memory;

	if (READ_ONCE(task->flags) & (PF_KTHREAD | PF_EXITING))
		return false;
	memory = css_memory(container_task_css(task, memory_subsys_id));
	return memory_within(memory, top);
}

/*
 * One thread stands for its process: the first that is in the container and has not exited, as the first
 * of all may have. A page that is looked at for each thread in one lap has no second chance. Context: RCU.
 */
static bool scan_represents(struct container_memory *top, struct task_struct *task)
{
	struct task_struct *thread;

	if (!scan_is_inside(top, task))
		return false;
	for_each_thread(task, thread)
		if (scan_is_inside(top, thread))
			return thread == task;
	return false;
}

/* The next address space, from thread *@pid on; NULL at the end. */
static struct mm_struct *scan_next_mm(struct container_memory *top, pid_t *pid)
{
	struct mm_struct *mm = NULL;
	struct task_struct *task;
	struct pid *next;

	while (!mm) {
		rcu_read_lock();
		next = find_ge_pid(*pid, &init_pid_ns);
		task = next ? pid_task(next, PIDTYPE_PID) : NULL;
		if (next)
			*pid = pid_nr(next);
		if (task && scan_represents(top, task))
			get_task_struct(task);
		else
			task = NULL;
		rcu_read_unlock();
		if (!next)
			return NULL;
		if (task) {
			mm = get_task_mm(task);
			put_task_struct(task);
		}
		if (!mm)
			++*pid;
		cond_resched();
	}
	return mm;
}

/* Go on from @cursor. Returns true at the end of the lap. */
static bool scan_lap(struct memory_scan *scan, struct memory_cursor *cursor)
{
	struct mm_struct *mm;

	while (scan->budget > 0 && !fatal_signal_pending(current)) {
		mm = scan_next_mm(scan->top, &cursor->pid);
		if (!mm) {
			cursor->pid = 0;
			cursor->addr = 0;
			return true;
		}
		if (scan_mm(scan, mm, &cursor->addr)) {
			cursor->pid++;
			cursor->addr = 0;
		}
		mmput_async(mm);
	}
	return false;
}

/**
 * memory_scan_tasks - look at scan->budget pages of the container's tasks
 * @scan: the run of the handler
 * @cursor: where to go on
 *
 * What goes to swap is looked up again when it is written, and freed.
 *
 * Context: process, no locks but handler_mutex. Reclaims what it isolates.
 * Return: true at the end of a lap; the cursor is at the start then.
 */
bool memory_scan_tasks(struct memory_scan *scan, struct memory_cursor *cursor)
{
	struct memory_cursor start = *cursor, again;
	bool done = scan_lap(scan, cursor);
	int tries = MEMORY_TRIES;

	while (memory_scan_reclaim_again(scan, &tries)) {
		long budget = scan->budget;

		again = start;
		scan->again = true;
		scan->budget = MEMORY_ROUND;
		scan_lap(scan, &again);
		scan->budget = budget;
		scan->again = false;
	}
	return done;
}
