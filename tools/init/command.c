// SPDX-License-Identifier: GPL-2.0-only
/* CMD: pipes or a terminal, and the exec. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

/* What the child says when it fails before or in exec. */
struct exec_report {
	int err;
	int step;	/* 0 container, 1 directory, 2 exec */
};

void command_winch(struct guest *g, const struct join_winch *w)
{
	struct winsize ws = { .ws_row = w->rows, .ws_col = w->cols };

	if (g->cmd.tty >= 0)
		ioctl(g->cmd.tty, TIOCSWINSZ, &ws);
}

static void child_fail(int fd, int step, int err)
{
	struct exec_report r = { .err = err, .step = step };

	if (write(fd, &r, sizeof(r)) != sizeof(r))
		_exit(1);
	_exit(127);
}

/* A descriptor that the caller had closed is closed here too. */
static void child_fds(struct guest *g, const int fd[JOIN_STREAMS])
{
	for (int i = 0; i < JOIN_STREAMS; i++) {
		if (fd[i] >= 0)
			dup2(fd[i], i);
		else
			close(i);
	}
	if (g->job.head.flags & JOIN_TTY)
		ioctl(0, TIOCSCTTY, 0);
}

/* Is there a file of that name in some directory of PATH? */
static bool in_path(const char *name)
{
	char file[PATH_MAX];

	for (const char *dir = getenv("PATH"), *end; dir; dir = *end ? end + 1 : NULL) {
		int len;

		end = strchrnul(dir, ':');
		len = snprintf(file, sizeof(file), "%.*s%s%s", (int)(end - dir), dir, end > dir ? "/" : "", name);
		if (len < (int)sizeof(file) && !access(file, F_OK))
			return true;
	}
	return false;
}

static void child(struct guest *g, const int fd[JOIN_STREAMS], int report)
{
	const char *path = NULL;
	sigset_t none;
	int err;

	setsid();
	err = limits_join(g);
	if (err)
		child_fail(report, 0, err);
	if (chdir(g->job.cwd) && (!(g->job.head.flags & JOIN_OTHER_ROOT) || chdir("/")))
		child_fail(report, 1, errno);
	child_fds(g, fd);
	umask(g->job.head.umask);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	environ = g->job.envp;
	path = getenv("PATH");
	if (!path)
		setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	execvp(g->job.argv[0], g->job.argv);
	err = errno;
	/* that a directory of PATH may not be looked into is no answer to where the command is */
	if (err == EACCES && !strchr(g->job.argv[0], '/') && !in_path(g->job.argv[0]))
		err = ENOENT;
	child_fail(report, 2, err);
}

static void open_terminal(struct guest *g, int fd[JOIN_STREAMS])
{
	int slave;

	if (openpty(&g->cmd.tty, &slave, NULL, NULL, NULL))
		die(g, 125, "no terminal in the guest: %s (the kernel needs CONFIG_UNIX98_PTYS)",
		    strerror(errno));
	command_winch(g, &g->job.head.winch);
	for (int i = 0; i < JOIN_STREAMS; i++) {
		fd[i] = slave;
		g->cmd.fd[i] = -1;
	}
	g->cmd.fd[JOIN_STDIN] = g->cmd.tty;
	g->cmd.fd[JOIN_STDOUT] = g->cmd.tty;
	fcntl(g->cmd.tty, F_SETFL, O_RDWR | O_NONBLOCK);
	fcntl(g->cmd.tty, F_SETFD, FD_CLOEXEC);
}

static void open_pipes(struct guest *g, int fd[JOIN_STREAMS])
{
	for (int i = 0; i < JOIN_STREAMS; i++) {
		bool in = i == JOIN_STDIN;
		int p[2];

		fd[i] = -1;
		g->cmd.fd[i] = -1;
		if (g->job.head.flags & (JOIN_NO_STDIN << i))
			continue;
		if (pipe2(p, O_CLOEXEC))
			die(g, 125, "pipe: %s", strerror(errno));
		fd[i] = p[in ? 0 : 1];
		g->cmd.fd[i] = p[in ? 1 : 0];
		/* Only this end of the pipe: CMD's is another open file. */
		fcntl(g->cmd.fd[i], F_SETFL, O_NONBLOCK);
	}
}

static void explain(struct guest *g, const struct exec_report *r)
{
	const char *name = g->job.argv[0];

	if (r->step == 0)
		die(g, 125, "put %s into the container %s: %s", name, g->job.container,
		    strerror(r->err));
	if (r->step == 1)
		die(g, 125, "enter the directory %s in the guest: %s", g->job.cwd,
		    strerror(r->err));
	if (r->err == ENOENT || r->err == ENOTDIR)
		die(g, 127, "%s: no such command in the guest", name);
	die(g, 126, "%s: cannot be executed: %s", name, strerror(r->err));
}

void command_start(struct guest *g)
{
	int fd[JOIN_STREAMS], report[2];
	struct exec_report r;
	ssize_t n;

	/* 0-2 are the console's; pipes must not land there when it could not be opened. */
	for (int i = 0; i < 3; i++)
		if (fcntl(i, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
	g->cmd.tty = -1;
	if (g->job.head.flags & JOIN_TTY)
		open_terminal(g, fd);
	else
		open_pipes(g, fd);
	if (pipe2(report, O_CLOEXEC))
		die(g, 125, "pipe: %s", strerror(errno));
	g->cmd.pid = fork();
	if (g->cmd.pid < 0)
		die(g, 125, "fork: %s", strerror(errno));
	if (g->cmd.pid == 0)
		child(g, fd, report[1]);
	close(report[1]);
	for (int i = 0; i < JOIN_STREAMS; i++)
		if (fd[i] >= 0 && (i == 0 || !(g->job.head.flags & JOIN_TTY)))
			close(fd[i]);
	n = read(report[0], &r, sizeof(r));
	close(report[0]);
	if (n == sizeof(r))
		explain(g, &r);
	line_send(g, JOIN_STARTED, 0, "", 0);
}
