/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the kernel's half of the shootdown and the host's; see
 * kernel/shootdown.c for the protocol.
 */
#ifndef __SKAS_SHOOTDOWN_H
#define __SKAS_SHOOTDOWN_H

#include <skas/stub_end.h>

struct mm_id;

/* kernel/shootdown.c: around the store that sets the stub running */
int um_stub_enter_lock(struct mm_id *mm_id);
void um_stub_enter_unlock(struct mm_id *mm_id);

/* os-Linux/skas/stub_leave.c */
unsigned int os_stub_stay(struct mm_id *mm_id);
void os_stub_leave(struct mm_id *mm_id, unsigned int stay);
int os_stub_sleep(struct mm_id *mm_id, int in_sync);
void os_stub_gone(struct mm_id *mm_id);
int os_stub_failed(struct mm_id *mm_id, int err);

/* What os_stub_stay() returned: was the stub outside user code? */
#define os_stub_has_left(stay) ((stay) & FUTEX_IN_KERN)

/* os-Linux/cpu_relax.c */
void os_cpu_relax(void);

/**
 * struct os_test_stub - a process of the host that plays a stub
 * @word: its stub_data->futex; it makes it odd, and with @enters_again even
 * @delay_ms: how long it stays on when it is told to leave
 * @enters_again: it is in its next stay before anybody sees it out; immutable, as is @delay_ms
 * @kicks: how often it was told to; it counts
 * @asked: how often os_test_stub_kicks() was answered; it counts
 * @pid: its process, from os_test_stub_start() to os_test_stub_end()
 * @stack: what it runs on, the same
 */
struct os_test_stub {
	unsigned int *word;
	unsigned int delay_ms;
	int enters_again;
	unsigned int kicks;
	unsigned int asked;
	int pid;
	unsigned long stack;
};

/* os-Linux/shootdown_test.c */
int os_test_stub_start(struct os_test_stub *stub);
void os_test_stub_kill(struct os_test_stub *stub);
void os_test_stub_end(struct os_test_stub *stub);
unsigned int os_test_stub_kicks(struct os_test_stub *stub);
long os_test_sleeps(void);
long os_test_mapped(int pid, unsigned long from, unsigned long to);

#endif
