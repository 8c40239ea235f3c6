// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the shootdown (shootdown.c): who is told to leave user code, who is waited for, and
 * that a flush where nobody runs asks nothing of the host.
 *
 * A process of the host plays the stub (os-Linux/shootdown_test.c) and counts the signals that it gets. That
 * a CPU's thread went to sleep is the host's count too. The address space is made up: a flush looks at
 * its context and nothing else. What comes of all this for a program tests/guest/smp*.c say.
 *
 * Interrupts are off around what is counted, so that nothing else happens meanwhile; it is also the
 * harder case for a wait.
 */
#include <kunit/test.h>
#include <linux/irqflags.h>
#include <linux/mm.h>
#include <linux/preempt.h>
#include <linux/sched/mm.h>
#include <linux/spinlock.h>
#include <asm/shootdown.h>
#include <asm/tlb.h>
#include <asm/tlbflush.h>
#include <os.h>
#include <skas.h>
#include <skas/shootdown.h>
#include <stub-data.h>

#ifdef CONFIG_SMP

#define MANY 1000
#define AT 0x100000UL

/* A process with one page, as far as a flush is concerned. */
struct actor {
	struct mm_struct *mm;
	struct vm_area_struct *vma;
	struct os_test_stub *stub;
};

static void end_actor(void *stub)
{
	os_test_stub_end(stub);
}

#define STAY 8
#define OUTSIDE (STAY | FUTEX_IN_KERN)

static struct actor an_actor(struct kunit *test, unsigned int word, unsigned int delay_ms, bool enters_again)
{
	struct stub_data *data = kunit_kzalloc(test, sizeof(*data), GFP_KERNEL);
	struct actor a = {
		.mm = kunit_kzalloc(test, sizeof(*a.mm), GFP_KERNEL),
		.vma = kunit_kzalloc(test, sizeof(*a.vma), GFP_KERNEL),
		.stub = kunit_kzalloc(test, sizeof(*a.stub), GFP_KERNEL),
	};

	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_ASSERT_NOT_NULL(test, a.mm);
	KUNIT_ASSERT_NOT_NULL(test, a.vma);
	KUNIT_ASSERT_NOT_NULL(test, a.stub);
	atomic_set(&a.mm->mm_count, 1);
	spin_lock_init(&a.mm->context.sync_tlb_lock);
	a.mm->context.id.stack = (unsigned long)data;
	a.vma->vm_mm = a.mm;
	data->futex = word;
	a.stub->word = &data->futex;
	a.stub->delay_ms = delay_ms;
	a.stub->enters_again = enters_again;
	a.mm->context.id.pid = os_test_stub_start(a.stub);
	KUNIT_ASSERT_GT(test, a.mm->context.id.pid, 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, end_actor, a.stub), 0);
	return a;
}

static unsigned int word_of(struct actor *a)
{
	return READ_ONCE(*a->stub->word);
}

static bool marked(struct actor *a)
{
	return a->mm->context.sync_tlb_range_to != 0;
}

#define EXPECT_KICKS(a, n)	KUNIT_EXPECT_EQ(test, os_test_stub_kicks((a)->stub), n)

/* @statement, and how often this CPU has slept in the host meanwhile. */
#define sleeps_in(statement)					\
({								\
	unsigned long __flags;					\
	long __before;						\
								\
	local_irq_save(__flags);				\
	__before = os_test_sleeps();				\
	statement;						\
	__before = os_test_sleeps() - __before;			\
	local_irq_restore(__flags);				\
	__before;						\
})

static void flush_often(struct actor *a)
{
	for (int i = 0; i < MANY; i++) {
		flush_tlb_page(a->vma, AT);
		flush_tlb_range(a->vma, AT, AT + PAGE_SIZE);
		um_tlb_shootdown(a->mm);
	}
}

/* Nobody is signalled, nobody is waited for, and the next entry has something to sync. */
static void shootdown_where_nobody_runs(struct kunit *test)
{
	struct actor a = an_actor(test, OUTSIDE, 0, false);

	KUNIT_EXPECT_EQ(test, sleeps_in(flush_often(&a)), 0);
	EXPECT_KICKS(&a, 0);
	KUNIT_EXPECT_EQ(test, word_of(&a), OUTSIDE);
	KUNIT_EXPECT_TRUE(test, marked(&a));
}

/* One is told and waited for, however long it takes; the other runs on. */
static void shootdown_waits_for_who_runs(struct kunit *test)
{
	struct actor a = an_actor(test, STAY, 50, false);
	struct actor other = an_actor(test, STAY, 0, false);

	KUNIT_EXPECT_GT(test, sleeps_in(flush_tlb_page(a.vma, AT)), 0);
	KUNIT_EXPECT_EQ(test, word_of(&a), OUTSIDE);
	EXPECT_KICKS(&a, 1);
	KUNIT_EXPECT_TRUE(test, marked(&a));
	/* it is outside now */
	KUNIT_EXPECT_EQ(test, sleeps_in(flush_often(&a)), 0);
	EXPECT_KICKS(&a, 1);

	EXPECT_KICKS(&other, 0);
	KUNIT_EXPECT_EQ(test, word_of(&other), STAY);
	KUNIT_EXPECT_FALSE(test, marked(&other));
}

/* Interrupts on: each tick interrupts the wait, and does not end it. */
static void shootdown_goes_on_after_a_tick(struct kunit *test)
{
	struct actor a = an_actor(test, STAY, 200, false);

	flush_tlb_range(a.vma, AT, AT + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, word_of(&a), OUTSIDE);
	EXPECT_KICKS(&a, 1);
}

/* The end of a stay is not missed by who sees the next one; of that nobody is told. */
static void shootdown_sees_the_next_stay(struct kunit *test)
{
	struct actor a = an_actor(test, STAY, 20, true);

	flush_tlb_page(a.vma, AT);
	KUNIT_EXPECT_EQ(test, word_of(&a), STAY + 2);
	EXPECT_KICKS(&a, 1);
	KUNIT_EXPECT_EQ(test, sleeps_in(os_stub_leave(&a.mm->context.id, STAY)), 0);
	EXPECT_KICKS(&a, 1);
}

/*
 * One that was killed from outside says nothing. Interrupts are off, so SIGCHLD is not heard, and who waits looks
 * by itself. Without that it waits until another makes the word odd in its place, in five seconds.
 */
static void shootdown_stub_was_killed(struct kunit *test)
{
	struct actor a = an_actor(test, STAY, 0, false);
	struct actor late = an_actor(test, OUTSIDE, 5000, false);
	unsigned long flags;

	late.stub->word = a.stub->word;
	os_alarm_process(late.mm->context.id.pid);
	local_irq_save(flags);
	os_test_stub_kill(a.stub);
	flush_tlb_page(a.vma, AT);
	os_test_stub_end(a.stub);
	local_irq_restore(flags);
	KUNIT_EXPECT_EQ(test, word_of(&a), STAY);
	KUNIT_EXPECT_TRUE(test, marked(&a));
}

static void take_pages(struct arch_tlbflush_unmap_batch *batch, struct actor *a)
{
	for (int i = 0; i < MANY; i++)
		arch_tlbbatch_add_pending(batch, a->mm, AT, AT + PAGE_SIZE);
}

/* Many pages, one stay: it ends once, at the flush. */
static void shootdown_batch_of_one_stay(struct kunit *test)
{
	struct actor a = an_actor(test, STAY, 20, false);
	struct arch_tlbflush_unmap_batch batch = {};

	KUNIT_EXPECT_EQ(test, sleeps_in(take_pages(&batch, &a)), 0);
	EXPECT_KICKS(&a, 0);
	KUNIT_EXPECT_TRUE(test, marked(&a));
	KUNIT_EXPECT_GT(test, sleeps_in(arch_tlbbatch_flush(&batch)), 0);
	KUNIT_EXPECT_EQ(test, word_of(&a), OUTSIDE);
	EXPECT_KICKS(&a, 1);
	/* it is empty, and nobody is outlived */
	KUNIT_EXPECT_EQ(test, sleeps_in(arch_tlbbatch_flush(&batch)), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&a.mm->mm_count), 1);
}

/* Who was outside when its pages were taken, or has entered since, goes on. */
static void shootdown_batch_of_who_left(struct kunit *test)
{
	struct actor outside = an_actor(test, OUTSIDE, 0, false);
	struct actor a = an_actor(test, STAY, 0, false);
	struct arch_tlbflush_unmap_batch batch = {};

	take_pages(&batch, &outside);
	*outside.stub->word = STAY + 2;
	KUNIT_EXPECT_EQ(test, sleeps_in(arch_tlbbatch_flush(&batch)), 0);
	EXPECT_KICKS(&outside, 0);

	take_pages(&batch, &a);
	*a.stub->word = STAY + 2;
	KUNIT_EXPECT_EQ(test, sleeps_in(arch_tlbbatch_flush(&batch)), 0);
	EXPECT_KICKS(&a, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&a.mm->mm_count), 1);
}

/* A batch has room for one: the second ends the first. */
static void shootdown_batch_of_two(struct kunit *test)
{
	struct actor a = an_actor(test, STAY, 20, false);
	struct actor b = an_actor(test, STAY, 20, false);
	struct arch_tlbflush_unmap_batch batch = {};

	take_pages(&batch, &a);
	take_pages(&batch, &b);
	KUNIT_EXPECT_EQ(test, word_of(&a), OUTSIDE);
	KUNIT_EXPECT_EQ(test, word_of(&b), STAY);
	arch_tlbbatch_flush(&batch);
	KUNIT_EXPECT_EQ(test, word_of(&b), OUTSIDE);
	EXPECT_KICKS(&a, 1);
	EXPECT_KICKS(&b, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&a.mm->mm_count), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&b.mm->mm_count), 1);
}

/* All that there may be, not all that is mapped, which is nothing here: no mapping is looked at. */
static void shootdown_of_all(struct kunit *test)
{
	struct actor a = an_actor(test, STAY, 0, false);

	flush_tlb_mm(a.mm);
	KUNIT_EXPECT_EQ(test, a.mm->context.sync_tlb_range_from, 0);
	KUNIT_EXPECT_EQ(test, a.mm->context.sync_tlb_range_to, TASK_SIZE);
	EXPECT_KICKS(&a, 1);
	KUNIT_EXPECT_EQ(test, word_of(&a), OUTSIDE);
}

/* The kernel's own mappings are changed at once, and concern nobody in user code. */
static void shootdown_not_for_the_kernel(struct kunit *test)
{
	struct actor a = an_actor(test, STAY, 0, false);

	flush_tlb_kernel_range(VMALLOC_START, VMALLOC_START + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, init_mm.context.sync_tlb_range_to, 0);
	EXPECT_KICKS(&a, 0);
	KUNIT_EXPECT_EQ(test, word_of(&a), STAY);
}

/* Marking takes this lock. */
static bool can_be_marked(struct mm_struct *mm)
{
	if (!spin_trylock(&mm->context.sync_tlb_lock))
		return false;
	spin_unlock(&mm->context.sync_tlb_lock);
	return true;
}

/* An entry syncs what is marked, and keeps marks away until it is over; this mm has a stub of its own. */
static void shootdown_entry(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();
	struct mm_id *id;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	id = &mm->context.id;
	um_tlb_mark_sync(mm, AT, AT + PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, um_stub_enter_lock(id), 0);
	KUNIT_EXPECT_EQ(test, mm->context.sync_tlb_range_to, 0);
	KUNIT_EXPECT_FALSE(test, can_be_marked(mm));
	um_stub_enter_unlock(id);
	KUNIT_EXPECT_TRUE(test, can_be_marked(mm));

	/* a sync has failed: there is no entry any more */
	id->syscall_data_len = -ESRCH;
	KUNIT_EXPECT_EQ(test, um_stub_enter_lock(id), -ESRCH);
	KUNIT_EXPECT_TRUE(test, can_be_marked(mm));
	id->syscall_data_len = 0;
	mmput(mm);
}

/* From before an entry's sync until the stub has left; without CONFIG_PREEMPT_COUNT nothing says so. */
static void shootdown_stay_is_not_preempted(struct kunit *test)
{
	struct mm_struct *mm = mm_alloc();
	bool inside;

	KUNIT_ASSERT_NOT_NULL(test, mm);
	enter_turnstile(&mm->context.id);
	inside = preemptible();
	exit_turnstile(&mm->context.id);
	KUNIT_EXPECT_FALSE(test, inside);
	KUNIT_EXPECT_EQ(test, preemptible(), IS_ENABLED(CONFIG_PREEMPT_COUNT));
	mmput(mm);
}

/* Where the range of a table of any level begins. */
#define FIRST P4D_SIZE

/* The next entry into user code of @mm: how much of FIRST and what follows the host has afterwards. */
static long enter(struct kunit *test, struct mm_struct *mm)
{
	struct mm_id *id = &mm->context.id;

	KUNIT_EXPECT_EQ(test, um_tlb_sync(mm), 0);
	enter_turnstile(id);
	KUNIT_EXPECT_EQ(test, syscall_stub_flush(id), 0);
	exit_turnstile(id);
	return os_test_mapped(id->pid, FIRST, FIRST + P4D_SIZE);
}

static void put_page_at(struct kunit *test, struct mm_struct *mm, unsigned long at, struct page *page)
{
	spinlock_t *lock;
	pte_t *pte = get_locked_pte(mm, at, &lock);

	KUNIT_ASSERT_NOT_NULL(test, pte);
	set_pte_at(mm, at, pte, pte_mkyoung(pte_mkdirty(mk_pte(page, PAGE_SHARED))));
	pte_unmap_unlock(pte, lock);
}

static void take_page_at(struct kunit *test, struct mmu_gather *tlb, unsigned long at)
{
	spinlock_t *lock;
	pte_t *pte = get_locked_pte(tlb->mm, at, &lock);

	KUNIT_ASSERT_NOT_NULL(test, pte);
	ptep_get_and_clear(tlb->mm, at, pte);
	tlb_remove_tlb_entry(tlb, pte, at);
	pte_unmap_unlock(pte, lock);
}

/*
 * munmap() of @size bytes with a page at each end, and its tables: it marks them after the tables have gone. Before that
 * another thread enters, with a mark of the first page from a fault.
 */
static void unmap_tables(struct kunit *test, unsigned long size)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	unsigned long last = FIRST + size - PAGE_SIZE;
	struct mm_struct *mm = mm_alloc();
	struct mmu_gather tlb;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	put_page_at(test, mm, FIRST, page);
	put_page_at(test, mm, last, page);
	KUNIT_EXPECT_EQ(test, enter(test, mm), 2 * PAGE_SIZE);

	tlb_gather_mmu(&tlb, mm);
	take_page_at(test, &tlb, FIRST);
	take_page_at(test, &tlb, last);
	free_pgd_range(&tlb, FIRST, FIRST + size, FIRST, FIRST + size);
	um_tlb_mark_sync(mm, FIRST, FIRST + PAGE_SIZE);
	enter(test, mm);
	tlb_finish_mmu(&tlb);
	KUNIT_EXPECT_EQ(test, enter(test, mm), 0);

	/* the tables above */
	tlb_gather_mmu(&tlb, mm);
	free_pgd_range(&tlb, FIRST, FIRST + size, 0, 0);
	tlb_finish_mmu(&tlb);
	mmput(mm);
	__free_page(page);
}

static void shootdown_of_a_freed_table(struct kunit *test)
{
	unmap_tables(test, PMD_SIZE);
	unmap_tables(test, PUD_SIZE);
	unmap_tables(test, P4D_SIZE);
}

static int shootdown_test_init(struct kunit *test)
{
	/* in ptrace mode there is one CPU, and nobody is ever signalled */
	KUNIT_ASSERT_TRUE(test, using_seccomp);
	return 0;
}

static struct kunit_case shootdown_cases[] = {
	KUNIT_CASE(shootdown_where_nobody_runs),
	KUNIT_CASE(shootdown_waits_for_who_runs),
	KUNIT_CASE(shootdown_goes_on_after_a_tick),
	KUNIT_CASE(shootdown_sees_the_next_stay),
	KUNIT_CASE(shootdown_stub_was_killed),
	KUNIT_CASE(shootdown_batch_of_one_stay),
	KUNIT_CASE(shootdown_batch_of_who_left),
	KUNIT_CASE(shootdown_batch_of_two),
	KUNIT_CASE(shootdown_of_all),
	KUNIT_CASE(shootdown_not_for_the_kernel),
	KUNIT_CASE(shootdown_entry),
	KUNIT_CASE(shootdown_stay_is_not_preempted),
	KUNIT_CASE(shootdown_of_a_freed_table),
	{}
};

static struct kunit_suite shootdown_suite = {
	.name = "um_shootdown",
	.init = shootdown_test_init,
	.test_cases = shootdown_cases,
};

kunit_test_suite(shootdown_suite);

MODULE_LICENSE("GPL");
#endif /* CONFIG_SMP */
