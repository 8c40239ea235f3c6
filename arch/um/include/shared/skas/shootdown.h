/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the kernel's half of the shootdown and the host's; see
 * kernel/shootdown.c for the protocol.
 */
#ifndef __SKAS_SHOOTDOWN_H
#define __SKAS_SHOOTDOWN_H

struct mm_id;

/* kernel/shootdown.c: around the store that sets the stub running */
int um_stub_enter_lock(struct mm_id *mm_id);
void um_stub_enter_unlock(struct mm_id *mm_id);

/* os-Linux/skas/stub_leave.c */
unsigned int os_stub_stay(struct mm_id *mm_id);
void os_stub_leave(struct mm_id *mm_id, unsigned int stay);
int os_stub_sleep(struct mm_id *mm_id, int in_sync);
void os_stub_gone(struct mm_id *mm_id);
void os_stub_end_task(struct mm_id *mm_id);

/* What os_stub_stay() returned: was the stub outside user code? */
#define os_stub_has_left(stay) ((stay) & FUTEX_IN_KERN)

/* os-Linux/cpu_relax.c */
void os_cpu_relax(void);

#endif
