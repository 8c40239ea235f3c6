// SPDX-License-Identifier: GPL-2.0-only
/*
 * The caller's terminal: raw while the guest has it, as it was afterwards.
 *
 * Afterwards includes a runner that dies of SIGKILL. A janitor, a child in a session of
 * its own, waits on a pipe for that:
 * end of file without a goodbye makes it restore the terminal and remove the temporary
 * directory. The
 * kernel itself dies with the runner (PR_SET_PDEATHSIG).
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

bool terminal_size(struct join_winch *w)
{
	struct winsize ws;

	for (int fd = 0; fd < 3; fd++) {
		if (ioctl(fd, TIOCGWINSZ, &ws) || !ws.ws_row)
			continue;
		w->rows = ws.ws_row;
		w->cols = ws.ws_col;
		return true;
	}
	return false;
}

/* A background job that reads its terminal would be stopped; it waits until it is in front. */
bool terminal_in_background(void)
{
	return isatty(0) && tcgetpgrp(0) >= 0 && tcgetpgrp(0) != getpgrp();
}

void terminal_raw(struct run *r)
{
	struct termios t = r->saved;

	if (!r->tty)
		return;
	cfmakeraw(&t);
	tcsetattr(0, TCSADRAIN, &t);
}

static void restore(const struct termios *t)
{
	/* From a background group tcsetattr would stop us. */
	signal(SIGTTOU, SIG_IGN);
	tcsetattr(0, TCSADRAIN, t);
}

void terminal_restore(struct run *r)
{
	if (r->tty)
		restore(&r->saved);
}

/* A shell that saw us die has put its own modes in place, in which signals work, and edits a line by now. */
static bool still_raw(void)
{
	struct termios t;

	return !tcgetattr(0, &t) && !(t.c_lflag & ISIG);
}

static void janitor(struct run *r, int fd)
{
	char c = 0;

	setsid();
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_IGN);
	dup2(fd, 3);
	syscall(SYS_close_range, 4, ~0u, 0);
	/* Whoever waits for the end of the runner's output must not wait for the janitor. */
	close(1);
	close(2);
	if (!r->tty)
		close(0);
	while (read(3, &c, 1) < 0 && errno == EINTR)
		;
	if (c == 'k')
		_exit(0);
	if (r->tty && still_raw())
		restore(&r->saved);
	/* The kernel dies at the same moment and may still make a file. */
	for (int i = 0; i < 20 && !access(r->dir, F_OK); i++) {
		files_remove(r->dir);
		usleep(50000);
	}
	_exit(0);
}

int janitor_start(struct run *r)
{
	int p[2];

	if (pipe(p)) {
		say("pipe: %s", strerror(errno));
		return -1;
	}
	r->janitor = fork();
	if (r->janitor < 0) {
		say("fork: %s", strerror(errno));
		return -1;
	}
	if (!r->janitor) {
		close(p[1]);
		janitor(r, p[0]);
	}
	close(p[0]);
	r->janitor_fd = p[1];
	return 0;
}

void janitor_dismiss(struct run *r)
{
	if (r->janitor <= 0)
		return;
	(void)!write(r->janitor_fd, "k", 1);
	close(r->janitor_fd);
	waitpid(r->janitor, NULL, 0);
	r->janitor = 0;
}
