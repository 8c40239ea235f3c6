// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel is ended from outside, by SIGTERM or SIGINT.
 *
 * The signal may have come in the middle of anything: in the idle task, with
 * locks held, on one CPU while others run. So nothing of the kernel is called
 * (its exit calls sleep; from the idle task that was a panic, and SIGABRT), nor
 * anything of the C library that takes a lock, malloc() among them, but
 * what lies outside is put back: the terminal, and the directory of the umid,
 * whose names are kept from the boot on.
 * The stubs die with their parent. The signal is sent again, now with its
 * default action, and whoever waits for this process sees it end by it.
 */

#include <signal.h>
#include <termios.h>
#include <unistd.h>
#include <init.h>
#include <os.h>

static struct termios terminal;
static int has_terminal;

/* As long as a name of umid.c may be, with its directory. */
#define NAME 640
static char pid_file[NAME], mconsole[NAME], umid_dir[NAME];

static int __init keep_names(void)
{
	/* after umid.c, which is linked first, so there is a name or there will be none; all or none */
	if (umid_file_name("", umid_dir, NAME) || umid_file_name("pid", pid_file, NAME) ||
	    umid_file_name("mconsole", mconsole, NAME))
		umid_dir[0] = '\0';
	return 0;
}

__initcall(keep_names);

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

	if (umid_dir[0]) {
		unlink(pid_file);
		unlink(mconsole);
		rmdir(umid_dir);
	}
	/* not when a shell has it back; none: main() has left the terminal's session */
	if (has_terminal && (group < 0 || group == getpgrp()))
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
	kill(os_getpid(), sig);
}
