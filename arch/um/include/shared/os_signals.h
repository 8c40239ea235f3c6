/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals of the host: those that end the kernel, and those that come while interrupts are
 * off. Included by <os.h>.
 */
#ifndef __OS_SIGNALS_H
#define __OS_SIGNALS_H

/* last_exit.c */
void os_keep_terminal(void);
void os_last_exit(int sig);

/* ipi.c */
#if IS_ENABLED(CONFIG_SMP)
int os_ipi_pending(void);
void os_ipi_note(int cpu, int vector);
#else
static inline int os_ipi_pending(void) { return 0; }
#endif

/* idle_test.c */
void os_test_signal(int sig);
unsigned long os_test_keep_signals(unsigned long n);

#endif
