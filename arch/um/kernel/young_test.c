// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the three states of an entry (<asm/young.h>): what each operation of Linux makes of
 * each, and what a look answers. The entries are in no page table; the address space is nobody's.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>

static struct vm_area_struct vma;

static int young_test_init(struct kunit *test)
{
	vma.vm_mm = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(test, vma.vm_mm);
	return 0;
}

static void young_test_exit(struct kunit *test)
{
	mmput(vma.vm_mm);
}

/* as a fault leaves it */
static pte_t young(void)
{
	return pfn_pte(1, PAGE_SHARED);
}

#define EXPECT_YOUNG(test, pte)					\
do {								\
	KUNIT_EXPECT_TRUE(test, !!pte_young(pte));		\
	KUNIT_EXPECT_FALSE(test, pte_aged(pte));		\
	KUNIT_EXPECT_FALSE(test, um_pte_unknown(pte));		\
} while (0)

#define EXPECT_UNKNOWN(test, pte)				\
do {								\
	KUNIT_EXPECT_FALSE(test, !!pte_young(pte));		\
	KUNIT_EXPECT_FALSE(test, pte_aged(pte));		\
	KUNIT_EXPECT_TRUE(test, um_pte_unknown(pte));		\
} while (0)

#define EXPECT_AGED(test, pte)					\
do {								\
	KUNIT_EXPECT_FALSE(test, !!pte_young(pte));		\
	KUNIT_EXPECT_TRUE(test, pte_aged(pte));			\
	KUNIT_EXPECT_FALSE(test, um_pte_unknown(pte));		\
} while (0)

static void young_states(struct kunit *test)
{
	EXPECT_YOUNG(test, young());
	EXPECT_UNKNOWN(test, pte_mkold(young()));
	EXPECT_AGED(test, pte_mkaged(young()));
	/* fork copies what is known */
	EXPECT_AGED(test, pte_mkold(pte_mkaged(young())));
	/* an access */
	EXPECT_YOUNG(test, pte_mkyoung(pte_mkaged(young())));
	EXPECT_YOUNG(test, pte_mkyoung(pte_mkold(young())));
	/* and the same again: nothing is left of the look before */
	EXPECT_UNKNOWN(test, pte_mkold(pte_mkyoung(pte_mkaged(young()))));
	/* mprotect() */
	EXPECT_YOUNG(test, pte_modify(pte_mkaged(young()), PAGE_READONLY));
}

static void young_look(struct kunit *test)
{
	pte_t pte = young();

	KUNIT_EXPECT_TRUE(test, ptep_test_and_clear_young(&vma, 0, &pte));
	EXPECT_AGED(test, pte);
	KUNIT_EXPECT_FALSE(test, ptep_test_and_clear_young(&vma, 0, &pte));
	EXPECT_AGED(test, pte);
	set_pte_at(vma.vm_mm, 0, &pte, pte_mkyoung(pte));
	KUNIT_EXPECT_TRUE(test, ptep_test_and_clear_young(&vma, 0, &pte));
}

/* It may have been read all the time, so the first look does not say that it was not. */
static void young_first_look(struct kunit *test)
{
	pte_t pte = pte_mkold(young());

	KUNIT_EXPECT_TRUE(test, ptep_test_and_clear_young(&vma, 0, &pte));
	EXPECT_AGED(test, pte);
	KUNIT_EXPECT_FALSE(test, ptep_test_and_clear_young(&vma, 0, &pte));
}

static void young_forget(struct kunit *test)
{
	pte_t pte[2] = { pte_mkdirty(young()), pte_mkdirty(pte_mkold(young())) };

	clear_young_dirty_ptes(&vma, 0, pte, 2, CYDP_CLEAR_DIRTY);
	EXPECT_YOUNG(test, pte[0]);
	EXPECT_UNKNOWN(test, pte[1]);
	for (int i = 0; i < 2; i++) {
		KUNIT_EXPECT_FALSE(test, !!pte_dirty(pte[i]));
		pte[i] = pte_mkdirty(pte[i]);
	}
	clear_young_dirty_ptes(&vma, 0, pte, 2, CYDP_CLEAR_YOUNG);
	for (int i = 0; i < 2; i++) {
		EXPECT_AGED(test, pte[i]);
		KUNIT_EXPECT_TRUE(test, !!pte_dirty(pte[i]));
	}
	clear_young_dirty_ptes(&vma, 0, pte, 2, CYDP_CLEAR_YOUNG | CYDP_CLEAR_DIRTY);
	for (int i = 0; i < 2; i++) {
		EXPECT_AGED(test, pte[i]);
		KUNIT_EXPECT_FALSE(test, !!pte_dirty(pte[i]));
	}
}

static struct kunit_case young_test_cases[] = {
	KUNIT_CASE(young_states),
	KUNIT_CASE(young_look),
	KUNIT_CASE(young_first_look),
	KUNIT_CASE(young_forget),
	{}
};

static struct kunit_suite young_test_suite = {
	.name = "um-young",
	.init = young_test_init,
	.exit = young_test_exit,
	.test_cases = young_test_cases,
};
kunit_test_suite(young_test_suite);

MODULE_LICENSE("GPL");
