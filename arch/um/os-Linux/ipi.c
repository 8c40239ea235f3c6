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
 * The cure. There are few kinds of interrupts and none counts, so who sends one
 * leaves a note, a bit of ipi_notes for each kind, and the signal carries
 * nothing. Interrupts on and off are then a store.
 *
 * It is an ordinary signal, not a real-time one: of these the host keeps each,
 * and refuses one when RLIMIT_SIGPENDING is reached; an interrupt that was not
 * sent is a CPU that waits for ever. An ordinary one is pending or is not, so
 * sending it does not fail, and one that is pending already is enough: its
 * handler looks after it was taken, and the note came before.
 *
 * Other CPUs add to ipi_notes, its own CPU takes, and each is one instruction.
 * What the sender wrote before is seen by who took the note (release, acquire).
 * A note is never left behind with interrupts on: its signal comes after it, and
 * is handled then, or finds interrupts off; who turns them on looks for notes
 * afterwards (os_local_ipi_enable()). Nor in a CPU that sleeps (idle.c). A signal
 * whose note was taken by a look before finds nothing to do.
 *
 * While an interrupt is handled the signal is let through, as the softirqs
 * behind it have interrupts on. It is masked again before the handler's last
 * look, so that handlers do not pile up on the signal stack and none comes
 * between that look and the end.
 *
 * tests/models/ipi.pml has it in Spin.
 */

#include <errno.h>
#include <signal.h>
#include <kern_util.h>
#include <os.h>
#include <smp.h>
#include "internal.h"

/* The first word of a CPU's line of the cache has a bit for each interrupt that is asked for. */
#define LINE 16
static unsigned int ipi_notes[CONFIG_NR_CPUS][LINE];

/**
 * os_ipi_note() - what the next IPI_SIGNAL is for
 * @cpu: for whom
 * @vector: which interrupt
 *
 * Context: any; the signal is sent afterwards. Pairs with handle_notes().
 */
void os_ipi_note(int cpu, int vector)
{
	__atomic_or_fetch(ipi_notes[cpu], 1u << vector, __ATOMIC_RELEASE);
}

static void handle_notes(void)
{
	/* acquire: pairs with os_ipi_note() */
	unsigned int notes = __atomic_exchange_n(ipi_notes[uml_curr_cpu()], 0, __ATOMIC_ACQUIRE);

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

	/* who turns them on looks */
	if (!signals_enabled)
		return;

	signals_enabled = 0;
	um_trace_signals_off();
	while (os_ipi_pending()) {
		let_through(SIG_UNBLOCK);
		handle_notes();
		let_through(SIG_BLOCK);
	}
	um_trace_signals_on();
	signals_enabled = 1;

	errno = save_errno;
}

/** os_ipi_pending() - has an interrupt come while they were off? */
int os_ipi_pending(void)
{
	return __atomic_load_n(ipi_notes[uml_curr_cpu()], __ATOMIC_RELAXED) != 0;
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
