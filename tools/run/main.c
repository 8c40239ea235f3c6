// SPDX-License-Identifier: GPL-2.0-only
/* uml-run: one command in a fresh kernel. The order of things, and that nothing is left behind. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

static struct run run;

/* Stubs of a killed kernel come to us as the subreaper; wait for those, kill what stays. */
static void reap_the_rest(void)
{
	for (int i = 0; i < 1000; i++) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return;
		if (pid == 0)
			usleep(2000);
	}
}

static void clean_up(struct run *r)
{
	terminal_restore(r);
	files_remove(r->dir);
	janitor_dismiss(r);
	reap_the_rest();
}

static void choose_terminal(struct run *r)
{
	r->tty = r->opt.shell && !r->opt.gdb && isatty(0) && isatty(1) &&
		 !tcgetattr(0, &r->saved);
}

int main(int argc, char **argv)
{
	struct run *r = &run;
	int code = EXIT_RUNNER;

	r->core = -1;
	host_fix_descriptors(r);
	options_parse(r, argc, argv);
	choose_terminal(r);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGCHLD, SIG_DFL);
	/* ulimit -f: an error that can be told */
	signal(SIGXFSZ, SIG_IGN);
	if (host_files() || host_directories(r))
		goto out;
	if (r->opt.dry_run) {
		boot_print(r, stdout);
		code = 0;
		goto out;
	}
	if (host_timers(r))
		goto out;
	if (janitor_start(r) || files_make(r))
		goto out;
	r->core = host_core_take(r);
	if (boot_start(r))
		goto out;
	terminal_raw(r);
	relay_run(r);
	terminal_restore(r);
	code = verdict_give(r);
out:
	clean_up(r);
	return code;
}
