/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * uml_curr_cpu() in one instruction.
 *
 * current, smp_processor_id() and each per-CPU variable begin with it, and it was a call to another file. The number
 * stands in the thread's own memory of the host's C library, at a distance from %fs that the linker knows, as the kernel is
 * a program and no shared library. Only the host's thread library sets %fs of a kernel thread: what a program sets is its stub's.
 *
 * By assembly and volatile: a task that sleeps may wake in another thread of the host. For the compiler, which sees only a call,
 * the thread is the same before and after it, so it may keep an address, or the number, from before.
 * A module calls the function: the loader of modules knows no thread-local relocation.
 */
#ifndef __UM_SHARED_CURR_CPU_H
#define __UM_SHARED_CURR_CPU_H

extern __thread int __curr_cpu;

int uml_curr_cpu(void);

#if defined(__x86_64__) && !defined(MODULE)

static __always_inline int uml_curr_cpu_inline(void)
{
	int cpu;

	asm volatile("movl %%fs:__curr_cpu@tpoff, %0" : "=r" (cpu));
	return cpu;
}

#define uml_curr_cpu() uml_curr_cpu_inline()

#endif

#endif /* __UM_SHARED_CURR_CPU_H */
