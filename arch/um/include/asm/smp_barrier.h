/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Barriers between CPUs, as cheap as x86 has them.
 *
 * UML's own barrier.h (arch/x86/um) has those for devices, and asm-generic makes those between CPUs of them: each
 * spin_unlock(), rcu_assign_pointer() and load-acquire an mfence, each read barrier an lfence. UML's CPUs are threads that
 * share ordinary memory, where x86 orders loads with loads, stores with stores, and loads with later stores by
 * itself (Intel SDM volume 3, "Memory Ordering"; AMD64 APM volume 2, 7.2). What is left to do for one that wants a
 * store before a later load is a locked instruction; atomics that return a value have one. mb(), rmb()
 * and wmb() stay as they are; virt_mb() and its kin (rings that a process of the host shares) are those of CPUs, as on x86.
 *
 * Included by <asm/barrier.h> before asm-generic's.
 */
#ifndef __UM_ASM_SMP_BARRIER_H
#define __UM_ASM_SMP_BARRIER_H

#ifdef CONFIG_X86_64

#include <linux/compiler.h>

/* below the stack pointer, where adding nothing harms nobody and no load waits for it */
#define __smp_mb()	({ asm volatile("lock addl $0, -4(%%rsp)" : : : "memory", "cc"); })
#define __smp_rmb()	barrier()
#define __smp_wmb()	barrier()

#define __smp_mb__before_atomic()	do { } while (0)
#define __smp_mb__after_atomic()	do { } while (0)

/* xchg is locked without being told */
#define __smp_store_mb(var, value)	((void)xchg(&(var), (value)))

#define __smp_store_release(p, v)				\
do {								\
	compiletime_assert_atomic_type(*(p));			\
	barrier();						\
	WRITE_ONCE(*(p), v);					\
} while (0)

#define __smp_load_acquire(p)					\
({								\
	__unqual_scalar_typeof(*(p)) __loaded = READ_ONCE(*(p));	\
								\
	compiletime_assert_atomic_type(*(p));			\
	barrier();						\
	(typeof(*(p)))__loaded;					\
})

#endif /* CONFIG_X86_64 */

#endif /* __UM_ASM_SMP_BARRIER_H */
