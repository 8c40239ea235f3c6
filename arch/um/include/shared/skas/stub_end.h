/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stub that is killed from outside, and the end of the tasks whose it is.
 */
#ifndef __SKAS_STUB_END_H
#define __SKAS_STUB_END_H

struct mm_id;

/* kernel/skas/turnstile.c */
void um_stub_error(int pid, int error);
void um_leave_turnstile(void);

/* os-Linux/skas/stub_end.c */
int os_stub_run_calls(struct mm_id *mm_id, unsigned long *regs);
int os_stub_calls_failed(struct mm_id *mm_id);
int os_stub_keep_error(struct mm_id *mm_id, int err);
void os_stub_look(struct mm_id *mm_id);

#endif
