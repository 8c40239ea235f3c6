// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop: CMD's descriptors on one side, the line and the job disk on the other, until
 * CMD has ended and its output
 * is sent.
 *
 * When CMD has ended, whatever it left running gets killed by the caller; only then is the
 * end of the pipes certain, so
 * the last bytes are taken here before, as far as they are in the pipes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init.h"

#define SEGMENTS 64

struct relay {
	/* Input that lies on the disk, oldest first. */
	struct join_ring seg[SEGMENTS];
	unsigned int seg_head, seg_count;
	/* Input that was read from it and is not yet in CMD's pipe. */
	char *block, *in;
	size_t in_len;
	bool in_eof;
	/* Bytes of output the runner still has room for. */
	uint32_t window[JOIN_STREAMS];
	bool ended;
	struct join_status *st;
};

static void close_stream(struct guest *g, int stream)
{
	if (g->cmd.fd[stream] < 0)
		return;
	if (g->cmd.tty < 0)
		close(g->cmd.fd[stream]);
	g->cmd.fd[stream] = -1;
}

/* A terminal has no end of input to pass on but its EOF character. */
static void end_input(struct guest *g)
{
	if (g->cmd.tty >= 0 && g->cmd.fd[JOIN_STDIN] >= 0)
		(void)!write(g->cmd.tty, "\004", 1);
	close_stream(g, JOIN_STDIN);
}

static void give_credit(struct guest *g, int stream, uint32_t bytes)
{
	line_send(g, JOIN_CREDIT, stream, &bytes, sizeof(bytes));
}

/* Into CMD's pipe, as much as fits. */
static void feed(struct guest *g, struct relay *r)
{
	while (g->cmd.fd[JOIN_STDIN] >= 0) {
		if (!r->in_len && r->seg_count) {
			struct join_ring *s = &r->seg[r->seg_head];

			r->in_len = job_ring_read(g, s, r->block, &r->in);
			s->offset += r->in_len;
			s->len -= r->in_len;
			if (!s->len) {
				r->seg_head = (r->seg_head + 1) % SEGMENTS;
				r->seg_count--;
			}
		}
		if (!r->in_len) {
			if (r->in_eof)
				end_input(g);
			return;
		}
		ssize_t n = write(g->cmd.fd[JOIN_STDIN], r->in, r->in_len);

		if (n > 0) {
			r->in += n;
			r->in_len -= n;
			give_credit(g, JOIN_STDIN, n);
			continue;
		}
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		close_stream(g, JOIN_STDIN);
		line_send(g, JOIN_CLOSED, JOIN_STDIN, "", 0);
	}
}

/* From CMD to the line, one read. Return: false when nothing is there now. */
static bool drain(struct guest *g, struct relay *r, int stream)
{
	static char buf[JOIN_MAX];
	size_t room = r->window[stream] < sizeof(buf) ? r->window[stream] : sizeof(buf);
	ssize_t n;

	if (g->cmd.fd[stream] < 0 || !room)
		return false;
	n = read(g->cmd.fd[stream], buf, room);
	if (n > 0) {
		r->window[stream] -= n;
		line_send(g, JOIN_DATA, stream, buf, n);
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	/* 0, or EIO from a terminal whose last user is gone. */
	close_stream(g, stream);
	line_send(g, JOIN_EOF, stream, "", 0);
	return false;
}

static void add_segment(struct guest *g, struct relay *r, const void *data)
{
	if (r->seg_count == SEGMENTS)
		die(g, 125, "uml-run sent more pieces of input than agreed: a bug in tools/run");
	memcpy(&r->seg[(r->seg_head + r->seg_count++) % SEGMENTS], data, sizeof(struct join_ring));
}

static void take_frames(struct guest *g, struct relay *r)
{
	struct join_frame f;
	char data[256];
	uint32_t credit;

	while (line_next(g, &f, data, sizeof(data))) {
		switch (f.type) {
		case JOIN_DATA:
			add_segment(g, r, data);
			break;
		case JOIN_EOF:
			r->in_eof = true;
			break;
		case JOIN_CREDIT:
			memcpy(&credit, data, sizeof(credit));
			if (f.stream < JOIN_STREAMS)
				r->window[f.stream] += credit;
			break;
		case JOIN_CLOSED:
			if (f.stream < JOIN_STREAMS)
				close_stream(g, f.stream);
			break;
		case JOIN_WINCH:
			command_winch(g, (struct join_winch *)data);
			break;
		}
	}
}

/* Process 1 reaps every orphan; one of them is CMD. */
static void reap(struct guest *g, struct relay *r)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != g->cmd.pid)
			continue;
		r->ended = true;
		if (WIFSIGNALED(status)) {
			r->st->signal = WTERMSIG(status);
			r->st->code = 128 + r->st->signal;
		} else {
			r->st->code = WEXITSTATUS(status);
		}
		/* Nobody else may hold the pipes, or their end would never come. */
		kill(-1, SIGKILL);
	}
}

static int fill_poll(struct guest *g, struct relay *r, struct pollfd *p, int sigs)
{
	int n = 0;
	bool want_in = r->in_len || r->seg_count;

	p[n++] = (struct pollfd){ .fd = sigs, .events = POLLIN };
	p[n++] = (struct pollfd){ .fd = g->line, .events = POLLIN };
	p[n++] = (struct pollfd){
		.fd = want_in ? g->cmd.fd[JOIN_STDIN] : -1, .events = POLLOUT };
	p[n++] = (struct pollfd){
		.fd = r->window[1] ? g->cmd.fd[JOIN_STDOUT] : -1, .events = POLLIN };
	p[n++] = (struct pollfd){
		.fd = r->window[2] ? g->cmd.fd[JOIN_STDERR] : -1, .events = POLLIN };
	return n;
}

void relay_run(struct guest *g, struct join_status *st)
{
	struct relay r = { .st = st, .window = { 0, JOIN_OUT_WINDOW, JOIN_OUT_WINDOW } };
	struct signalfd_siginfo info;
	struct pollfd p[5];
	sigset_t set;
	int sigs;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigs = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (sigs < 0 || posix_memalign((void **)&r.block, JOIN_BLOCK, JOIN_MAX + 2 * JOIN_BLOCK))
		die(g, 125, "no memory for the relay: give the guest more with --mem");
	reap(g, &r);
	while (!r.ended || g->cmd.fd[JOIN_STDOUT] >= 0 || g->cmd.fd[JOIN_STDERR] >= 0) {
		int n = fill_poll(g, &r, p, sigs);

		if (poll(p, n, -1) < 0 && errno != EINTR)
			break;
		while (read(sigs, &info, sizeof(info)) > 0)
			;
		reap(g, &r);
		take_frames(g, &r);
		feed(g, &r);
		drain(g, &r, JOIN_STDOUT);
		drain(g, &r, JOIN_STDERR);
	}
}
