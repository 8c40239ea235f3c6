/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * this_cpu_add() and this_cpu_add_return() in one instruction.
 *
 * asm-generic makes them safe against interrupts by keeping signals away, which costs most of an operation here:
 * afterwards UML looks whether one has come. But a signal comes between two instructions and never
 * within one. So one instruction that adds to memory is enough, if the CPU is still the one whose memory it is: an
 * interrupt returns to whom it interrupted, unless that is preempted, which is off meanwhile. No lock
 * prefix, as no other CPU writes there: that is what this_cpu_*() is for.
 */
#ifndef __UM_ASM_PERCPU_H
#define __UM_ASM_PERCPU_H

#ifdef CONFIG_X86_64

#define um_cpu_add(suffix, pcp, val)						\
do {										\
	TYPEOF_UNQUAL(pcp) __val = (val);					\
										\
	preempt_disable_notrace();						\
	asm volatile("add" suffix " %1, %0"					\
		     : "+m" (*raw_cpu_ptr(&(pcp))) : "re" (__val) : "cc");	\
	preempt_enable_notrace();						\
} while (0)

#define um_cpu_add_return(suffix, pcp, val)					\
({										\
	TYPEOF_UNQUAL(pcp) __val = (val), __old = __val;			\
										\
	preempt_disable_notrace();						\
	asm volatile("xadd" suffix " %1, %0"					\
		     : "+m" (*raw_cpu_ptr(&(pcp))), "+r" (__old) : : "cc");	\
	preempt_enable_notrace();						\
	(TYPEOF_UNQUAL(pcp))(__old + __val);					\
})

#define this_cpu_add_4(pcp, val)	um_cpu_add("l", pcp, val)
#define this_cpu_add_8(pcp, val)	um_cpu_add("q", pcp, val)
#define this_cpu_add_return_4(pcp, val)	um_cpu_add_return("l", pcp, val)
#define this_cpu_add_return_8(pcp, val)	um_cpu_add_return("q", pcp, val)

#endif /* CONFIG_X86_64 */

#include <asm-generic/percpu.h>

#endif /* __UM_ASM_PERCPU_H */
