// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel is ended from outside, by SIGTERM or SIGINT.
 *
 * The signal may have come in the middle of anything: in the idle task, with
 * locks held, on one CPU while others run. So nothing of the kernel is called
 * (its exit calls sleep; from the idle task that was a panic, and SIGABRT), but
 * what lies outside is put back: the terminal, and the directory of the umid.
 * The stubs die with their parent. The signal is sent again, now with its
 * default action, and whoever waits for this process sees it end by it.
 */

#include <signal.h>
#include <termios.h>
#include <unistd.h>
#include <kern_util.h>
#include <os.h>
#include <um_malloc.h>

static struct termios terminal;
static int has_terminal;

/** os_keep_terminal() - remember how the terminal is before the consoles change it */
void os_keep_terminal(void)
{
	has_terminal = !tcgetattr(STDIN_FILENO, &terminal);
}

/**
 * os_last_exit() - end this process by @sig
 * @sig: SIGTERM or SIGINT, whose action is the default one again
 *
 * Context: signal handler that interrupted anything; a second signal meanwhile
 * ends the process at once.
 */
void os_last_exit(int sig)
{
	pid_t group = tcgetpgrp(STDIN_FILENO);

	kmalloc_ok = 0;
	remove_umid_dir();
	/* not when a shell has it back; none: main() has left the terminal's session */
	if (has_terminal && (group < 0 || group == getpgrp()))
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	kill(os_getpid(), sig);
}
