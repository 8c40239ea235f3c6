/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Telling user time from system time: between the kernel's half
 * (kernel/vtime.c, which says how), the host's and the stub.
 */
#ifndef __SKAS_USER_TIME_H
#define __SKAS_USER_TIME_H

#include <linux/compiler_types.h>

struct mm_id;

/*
 * Where the stub's last stay in user code began and ended, on a clock of which
 * only differences count: the processor's time-stamp counter, written by the
 * stub, in seccomp mode; the stub's CPU time in ns, written by the CPU that
 * runs it, in ptrace mode. There @left is 0 when it has run once more since.
 *
 * @called is when the stub began with the last calls that were queued for it,
 * on the time-stamp counter in either mode, and 0 if there were none since the
 * last stay.
 */
struct um_user_stamps {
	unsigned long long called;
	unsigned long long entered;
	unsigned long long left;
};

static __always_inline unsigned long long um_time_stamp(void)
{
	return __builtin_ia32_rdtsc();
}

/* os-Linux/skas/stub_time.c: in seccomp mode before a stay, in ptrace mode around the stub's run */
int os_stub_enter(struct mm_id *mm_id);
void os_stub_start(struct mm_id *mm_id);
int os_stub_wait(struct mm_id *mm_id, int *status);

/* kernel/vtime.c: before and after each stay; nothing but the stub and what sets it running in between */
#ifdef CONFIG_VIRT_CPU_ACCOUNTING_NATIVE
void um_user_enter(struct mm_id *mm_id);
void um_user_leave(struct mm_id *mm_id, int sig);
#else
static inline void um_user_enter(struct mm_id *mm_id) { }
static inline void um_user_leave(struct mm_id *mm_id, int sig) { }
#endif

#endif
