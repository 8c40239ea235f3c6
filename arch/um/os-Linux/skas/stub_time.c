// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a stay in user code begins, as kernel/vtime.c wants to know it, and the
 * CPU time of a stub in ptrace mode, where it can not write down itself when it
 * enters and leaves user code.
 *
 * What the kernel does on the way there, and has the stub do, is none of the
 * stay: a sync, calls that are run by themselves, registers. In seccomp mode
 * calls may be queued still, which the stub runs first of all, and says so.
 *
 * wait4() reports the CPU time along with the stop, for next to nothing; asking
 * for the CPU clock of a process is a call more. So that is done only when the
 * stub has run since the last stop of a stay: for mmap() calls, or to say where
 * it faulted.
 */

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <os.h>
#include <skas.h>
#include <skas/shootdown.h>
#include <skas/user_time.h>
#include <stub-data.h>

#define USEC 1000ULL

/* The clock id of a process, as the host's kernel makes it: ~pid, and CPUCLOCK_SCHED. */
static clockid_t cpu_clock_of(int pid)
{
	return (clockid_t)(~(unsigned int)pid << 3 | 2);
}

/**
 * os_stub_enter() - a stub is about to run user code in seccomp mode
 * @mm_id: whose stub
 *
 * Return, and context: as um_stub_enter_lock(), which may sync.
 */
int os_stub_enter(struct mm_id *mm_id)
{
	int err = um_stub_enter_lock(mm_id);

	if (!err)
		um_user_enter(mm_id);
	return err;
}

/**
 * os_stub_start() - a stub is about to run user code under ptrace
 * @mm_id: whose stub
 *
 * Context: nothing else sets it running before os_stub_wait().
 */
void os_stub_start(struct mm_id *mm_id)
{
	struct stub_data *data = (void *)mm_id->stack;
	struct timespec t;

	data->stamps.entered = data->stamps.left;
	if ((data->stamps.called || !data->stamps.left) && clock_gettime(cpu_clock_of(mm_id->pid), &t) == 0)
		data->stamps.entered = t.tv_sec * UM_NSEC_PER_SEC + t.tv_nsec;
	data->stamps.called = 0;	/* um_user_enter() may be none */
	um_user_enter(mm_id);
}

/**
 * os_stub_wait() - wait for the end of a stay under ptrace
 * @mm_id: whose stub
 * @status: as of waitpid()
 *
 * Return: as of waitpid().
 */
int os_stub_wait(struct mm_id *mm_id, int *status)
{
	struct stub_data *data = (void *)mm_id->stack;
	struct rusage used;
	int pid;

	CATCH_EINTR(pid = wait4(mm_id->pid, status, WUNTRACED | __WALL, &used));
	if (pid > 0)
		data->stamps.left = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * UM_NSEC_PER_SEC +
				    (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * USEC;
	return pid;
}
