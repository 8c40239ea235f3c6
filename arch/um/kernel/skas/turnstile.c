// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a task whose stub cannot run.
 *
 * userspace() finds that out at many places, most of them with the turnstile
 * held, and ends the task by fatal_sigsegv(), which does not come back. Whoever
 * else has the same memory (other threads, the parent of a vfork()) would wait
 * in the turnstile for ever, and cannot be killed there. So it is given back
 * first.
 */

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/sched.h>
#include <os.h>
#include <skas.h>
#include <skas/stub_end.h>

/**
 * um_stub_error() - say why a stub does not do what it was to do
 * @pid: its process id in the host, negative if it has none any more
 * @error: an errno of the host
 *
 * Context: any; locks may be held.
 */
void um_stub_error(int pid, int error)
{
	pr_err("a stub does not run, pid = %d, errno = %d\n", pid, error);
	if (error == ENOMEM)
		report_enomem();
}

/**
 * um_leave_turnstile() - give back the turnstile, if the current task has it
 *
 * Context: the current task is about to end; no other lock of its memory is held.
 */
void um_leave_turnstile(void)
{
	struct mm_id *mm_id;

	if (!current->mm)
		return;
	mm_id = current_mm_id();
	if (mutex_get_owner(__get_turnstile(mm_id)) != (unsigned long)current)
		return;
	os_stub_look(mm_id);
	exit_turnstile(mm_id);
}
