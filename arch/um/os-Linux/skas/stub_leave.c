// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making a stub leave user code: the host's half of kernel/shootdown.c.
 *
 * A stub may be killed from outside at any moment, and does not say so. Who
 * waits for one may hold page-table locks and have interrupts off, SIGCHLD's
 * included: so each wait looks by itself whether there is still somebody to
 * wait for, and a wait that is over for that reason is an error, which goes to
 * where no lock is held (os_stub_keep_error(), stub_end.c).
 * There the task is ended (kernel/skas/turnstile.c).
 */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <asm/unistd.h>
#include <asm-generic/rwonce.h>
#include <kern_util.h>
#include <linux/futex.h>
#include <mm_id.h>
#include <os.h>
#include <skas.h>
#include <skas/shootdown.h>
#include <skas/stub_end.h>
#include <stub-data.h>

/* How long one that was killed between the look and the sleep is waited for. */
static const struct timespec patience = { .tv_sec = 1 };

/* One that is no child any more was reaped: by the interrupt of SIGCHLD, even before start_userspace() had stored its pid. */
static bool stub_is_dead(int pid)
{
	siginfo_t info = {};

	if (pid <= 0)
		return true;
	if (waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return errno == ECHILD;
	return info.si_pid == pid;
}

/**
 * os_stub_stay() - the number of a stub's stay in user code, odd when it has left
 * @mm_id: whose stub
 *
 * In ptrace mode nobody writes the word; there is one CPU then, and it is here.
 */
unsigned int os_stub_stay(struct mm_id *mm_id)
{
	if (!using_seccomp)
		return FUTEX_IN_KERN;
	return __READ_ONCE(((struct stub_data *)mm_id->stack)->futex);
}

/**
 * os_stub_leave() - return when a stub is not in a certain stay any more
 * @mm_id: whose stub
 * @stay: what os_stub_stay() returned
 *
 * The stub wakes all who wait for its word when it makes it odd. One that was
 * killed from outside does not: each tick that interrupts the wait, and at the
 * latest a second, looks whether there is still somebody to wait for.
 *
 * Context: any; takes no lock, sleeps in the host. Signals that arrive
 * meanwhile are handled or left pending as everywhere else.
 */
void os_stub_leave(struct mm_id *mm_id, unsigned int stay)
{
	struct stub_data *data = (void *)mm_id->stack;

	if (os_stub_has_left(stay) || os_stub_stay(mm_id) != stay)
		return;

	/* after the word was read: a kick before it may have ended the stay before */
	os_alarm_process(__READ_ONCE(mm_id->pid));
	while (os_stub_stay(mm_id) == stay) {
		if (syscall(__NR_futex, &data->futex, FUTEX_WAIT, stay, &patience, NULL, 0) < 0 &&
		    errno != EAGAIN && stub_is_dead(__READ_ONCE(mm_id->pid)))
			return;
	}
}

/**
 * os_stub_sleep() - sleep until a stub has left, or something else has come
 * @mm_id: whose stub
 * @in_sync: interrupts may be off, so that nobody would say that it is dead
 *
 * Return: 0, when the word is to be looked at again; otherwise a negative errno, which errno is, too.
 */
int os_stub_sleep(struct mm_id *mm_id, int in_sync)
{
	struct stub_data *data = (void *)mm_id->stack;

	if (syscall(__NR_futex, &data->futex, FUTEX_WAIT, __READ_ONCE(data->futex) & ~FUTEX_IN_KERN,
		    in_sync ? &patience : NULL, NULL, 0) == 0 || errno == EAGAIN)
		return 0;
	if (errno != EINTR && errno != ETIMEDOUT)
		return -errno;
	if (in_sync && stub_is_dead(__READ_ONCE(mm_id->pid))) {
		__WRITE_ONCE(mm_id->pid, -1);	/* another process may have it soon */
		errno = ESRCH;
		return -errno;
	}
	return 0;
}

/**
 * os_stub_gone() - a stub will not leave any more, so it has left
 * @mm_id: whose stub
 *
 * Context: any. The entry of another CPU may be making the word even just now,
 * so both do it in one instruction. Whichever is second sees what the other did
 * before: we find the word even, make it odd and wake; or it finds that the pid,
 * which our caller has stored, is none.
 */
void os_stub_gone(struct mm_id *mm_id)
{
	struct stub_data *data = (void *)mm_id->stack;

	__atomic_or_fetch(&data->futex, FUTEX_IN_KERN, __ATOMIC_SEQ_CST);
	os_futex_wake(&data->futex);
}

/**
 * os_stub_failed() - a wait for a stub is over, and it has not done what it was to do
 * @mm_id: whose stub
 * @err: why, a negative errno; 0 for one that has died, or has said what it must not
 *
 * Says so in the log, and that it has left. Context: any.
 *
 * Return: why.
 */
int os_stub_failed(struct mm_id *mm_id, int err)
{
	int pid = __READ_ONCE(mm_id->pid);

	if (!err)
		err = pid < 0 ? -ESRCH : -EPROTO;
	um_stub_error(pid, -err);
	os_stub_gone(mm_id);
	return err;
}
