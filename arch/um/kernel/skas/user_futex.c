// SPDX-License-Identifier: GPL-2.0-only
/*
 * Futex operations on a word of user memory.
 *
 * The bug. UML read the word, and wrote what it had made of it afterwards: what another
 * CPU wrote in between was lost. And nothing kept the page in place meanwhile.
 *
 * The cure. The page is held (user_pte.c), and the word is read and written by one
 * instruction.
 *
 * The caller holds spinlocks, so nothing here waits for a page: -EFAULT, and he
 * faults it in without his locks and comes again.
 */

#include <linux/atomic.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/uaccess.h>
#include <asm/futex.h>
#include <asm/user_pte.h>

/* Where the kernel has this word of the current task; NULL when it would need a fault. */
static u32 *hold_word(u32 __user *uaddr)
{
	unsigned long addr = (unsigned long)uaddr;
	pte_t *pte = NULL;

	pagefault_disable();
	if (access_ok(uaddr, sizeof(*uaddr)))
		pte = um_lock_user_pte(addr, 1);
	if (pte)
		return page_address(pte_page(*pte)) + offset_in_page(addr);
	pagefault_enable();
	return NULL;
}

static void release_word(void)
{
	um_unlock_user_pte();
	pagefault_enable();
}

/**
 * arch_futex_atomic_op_inuser() - change a word, and say what it was
 * @op: FUTEX_OP_*
 * @oparg: its operand
 * @oval: what the word was, unless there is an error
 * @uaddr: the word, of the current task
 *
 * Context: any but an interrupt; spinlocks may be held, but not the page-table lock.
 * Return: 0, -EFAULT when the page must be faulted in first, -ENOSYS for no such @op.
 */
int arch_futex_atomic_op_inuser(int op, u32 oparg, int *oval, u32 __user *uaddr)
{
	u32 *word = hold_word(uaddr);
	int ret = 0;

	if (!word)
		return -EFAULT;
	switch (op) {
	case FUTEX_OP_SET:
		*oval = xchg(word, oparg);
		break;
	case FUTEX_OP_ADD:
		*oval = atomic_fetch_add(oparg, (atomic_t *)word);
		break;
	case FUTEX_OP_OR:
		*oval = atomic_fetch_or(oparg, (atomic_t *)word);
		break;
	case FUTEX_OP_ANDN:
		*oval = atomic_fetch_andnot(oparg, (atomic_t *)word);
		break;
	case FUTEX_OP_XOR:
		*oval = atomic_fetch_xor(oparg, (atomic_t *)word);
		break;
	default:
		ret = -ENOSYS;
	}
	release_word();
	return ret;
}
EXPORT_SYMBOL(arch_futex_atomic_op_inuser);

/**
 * futex_atomic_cmpxchg_inatomic() - write a word if it is what it is thought to be
 * @uval: what it was
 * @uaddr: the word, of the current task
 * @oldval: what it is thought to be
 * @newval: what it becomes then
 *
 * Context: as arch_futex_atomic_op_inuser().
 * Return: 0, written or not; -EFAULT when the page must be faulted in first.
 */
int futex_atomic_cmpxchg_inatomic(u32 *uval, u32 __user *uaddr, u32 oldval, u32 newval)
{
	u32 *word = hold_word(uaddr);

	if (!word)
		return -EFAULT;
	*uval = cmpxchg(word, oldval, newval);
	release_word();
	return 0;
}
EXPORT_SYMBOL(futex_atomic_cmpxchg_inatomic);
