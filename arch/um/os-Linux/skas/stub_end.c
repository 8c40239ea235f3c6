// SPDX-License-Identifier: GPL-2.0-only
/*
 * A stub that is killed from outside is the end of its process, and of no other.
 *
 * In ptrace mode the wait for it ends then, and takes its process id from the
 * host: from there on another process may have that number, and nothing may be
 * sent to it. A sync waits with page-table locks held and interrupts off. So what
 * goes wrong there is an error, which the mm keeps, and who enters user code the
 * next time, with nothing but the turnstile held, ends its task
 * (kernel/skas/turnstile.c).
 */

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <kern_util.h>
#include <mm_id.h>
#include <os.h>
#include <ptrace_user.h>
#include <skas.h>
#include <skas/stub_end.h>
#include <stub-data.h>

/* Set it running until it stops for a reason of its own. */
static int run_until_stop(struct mm_id *mm_id)
{
	int status, n;

	do {
		if (ptrace(PTRACE_CONT, mm_id->pid, 0, 0))
			return -errno;
		CATCH_EINTR(n = waitpid(mm_id->pid, &status, WUNTRACED | __WALL));
		if (n < 0)
			return -errno;
		if (!WIFSTOPPED(status)) {
			mm_id->pid = -1;
			return -ESRCH;
		}
		/* the timer's, and of a terminal that somebody resizes */
	} while (WSTOPSIG(status) == SIGALRM || WSTOPSIG(status) == SIGWINCH);
	return WSTOPSIG(status) == SIGTRAP ? 0 : -EPROTO;
}

/**
 * os_stub_run_calls() - have a stub in ptrace mode do what is queued for it
 * @mm_id: whose stub
 * @regs: to begin with
 *
 * Return: 0, or a negative errno: -ESRCH for one that is dead, -EPROTO for one
 * that has stopped otherwise than at the end.
 *
 * Context: locks may be held, and interrupts off.
 */
int os_stub_run_calls(struct mm_id *mm_id, unsigned long *regs)
{
	int err = ptrace_setregs(mm_id->pid, regs);

	if (!err)
		err = run_until_stop(mm_id);
	if (err)
		um_stub_error(mm_id->pid, -err);
	return err;
}

/**
 * os_stub_keep_error() - queued calls were not run: whoever enters user code will see it
 * @mm_id: whose stub
 * @err: a negative errno
 *
 * Context: locks may be held, which is why nothing is ended here.
 *
 * Return: @err
 */
int os_stub_keep_error(struct mm_id *mm_id, int err)
{
	struct stub_data *data = (void *)mm_id->stack;

	data->restart_wait = 0;
	mm_id->syscall_fd_num = 0;
	mm_id->syscall_data_len = err;
	return err;
}

/**
 * os_stub_calls_failed() - did the calls fail that were queued for an entry, in seccomp mode?
 * @mm_id: whose stub
 *
 * A stub whose calls fail does not enter user code. It comes back as it does
 * from calls alone, with SIGSYS, which is a system call's as well: only the
 * error tells. It is kept for all who have this memory, since the host does not have
 * what the page table says.
 *
 * Context: the turnstile is held, the stub has left.
 *
 * Return: 0, or their error, a negative errno.
 */
int os_stub_calls_failed(struct mm_id *mm_id)
{
	struct stub_data *data = (void *)mm_id->stack;
	int err = data->err;

	if (err >= 0)
		return 0;
	syscall_stub_dump_error(mm_id);
	um_stub_error(mm_id->pid, -err);
	return os_stub_keep_error(mm_id, err);
}

/**
 * os_stub_look() - a stub cannot run: does it still have its process id?
 * @mm_id: whose stub
 *
 * Context: the turnstile is held. In seccomp mode this is left to the interrupt
 * of SIGCHLD.
 */
void os_stub_look(struct mm_id *mm_id)
{
	siginfo_t info;

	if (!using_seccomp && mm_id->pid > 0 &&
	    waitid(P_PID, mm_id->pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 && errno == ECHILD)
		mm_id->pid = -1;
}
