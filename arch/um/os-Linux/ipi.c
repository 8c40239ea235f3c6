// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking an interrupt from another CPU while interrupts are off.
 *
 * The cost. Interrupts are off when signals_enabled is 0, a word of the CPU's
 * thread: a signal that comes then leaves a note, and is handled when they are
 * on again. Only the signal of the other CPUs was masked in the host instead,
 * for it carries data (which interrupt it is) that has to be kept. So each
 * local_irq_save() and local_irq_restore() that changed something was a system
 * call of the host, with one CPU as well, and this_cpu_add() is made of them: two
 * microseconds for a page that is charged, uncharged, or put on a list.
 *
 * The cure. There are few kinds of interrupts and none counts, so a bit of
 * ipi_notes for each kind keeps what the signal carried. Interrupts on and off
 * are then a store.
 *
 * ipi_notes belongs to one thread. Its handler adds and takes, and so does the
 * code that it interrupts, so both do it in one instruction; no other thread
 * looks. A note is never left behind with interrupts on: who turns them on
 * looks for notes afterwards (os_local_ipi_enable()), and what comes after that
 * look finds them on. Nor in a sleeping CPU: os_idle_sleep() looks with the
 * signal masked, and a signal that comes later ends the sleep.
 *
 * While an interrupt is handled the signal is let through, as the softirqs
 * behind it have interrupts on. It is masked again before the handler returns,
 * so that handlers do not pile up on the signal stack.
 *
 * tests/models/ipi.pml has it in Spin.
 */

#include <errno.h>
#include <signal.h>
#include <kern_util.h>
#include <os.h>
#include <smp.h>
#include "internal.h"

static __thread unsigned int ipi_notes;

static void handle_notes(void)
{
	unsigned int notes = __atomic_exchange_n(&ipi_notes, 0, __ATOMIC_RELAXED);

	for (; notes; notes &= notes - 1)
		uml_ipi_handler(__builtin_ctz(notes));
}

static void let_through(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, IPI_SIGNAL);
	if (sigprocmask(how, &set, NULL) < 0)
		panic("%s: sigprocmask failed, errno = %d", __func__, errno);
}

/** os_ipi_signal() - the signal handler; all signals are masked */
void os_ipi_signal(int sig, siginfo_t *si, void *uc)
{
	int save_errno = errno;

	__atomic_or_fetch(&ipi_notes, 1u << si->si_value.sival_int, __ATOMIC_RELAXED);
	if (!signals_enabled)
		return;

	signals_enabled = 0;
	um_trace_signals_off();
	do {
		let_through(SIG_UNBLOCK);
		handle_notes();
		let_through(SIG_BLOCK);
	} while (os_ipi_pending());
	um_trace_signals_on();
	signals_enabled = 1;

	errno = save_errno;
}

/** os_ipi_pending() - has an interrupt come while they were off? */
int os_ipi_pending(void)
{
	return __atomic_load_n(&ipi_notes, __ATOMIC_RELAXED) != 0;
}

/**
 * os_local_ipi_enable() - handle what has come while interrupts were off
 *
 * Context: interrupts have just been turned on.
 */
void os_local_ipi_enable(void)
{
	int save_errno = errno;

	while (os_ipi_pending()) {
		signals_enabled = 0;
		um_trace_signals_off();
		handle_notes();
		um_trace_signals_on();
		signals_enabled = 1;
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	}
	errno = save_errno;
}
