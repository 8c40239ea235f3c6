// SPDX-License-Identifier: GPL-2.0-only
/*
 * The loop between the caller's descriptors and the guest, until the kernel has ended and
 * its output is delivered.
 *
 * Signals are blocked but inside ppoll(), so a handler only sets a flag and no wake-up can be lost.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

/* After a verdict a kernel needs milliseconds to end; --leaks scans before it. */
#define END_GRACE 5.0
#define BOOT_SILENCE 4.5
#define BOOT_SILENCE_KUNIT 60.0

static volatile sig_atomic_t caught, winched, stopped, continued;

struct loop {
	char buf[2 * (sizeof(struct join_frame) + JOIN_MAX)];
	size_t len;
	bool line_eof;
	off_t log_size;		/* as last seen, and when it last grew */
	double log_grew, verdict_at;
	bool kunit;
};

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void on_end(int sig)
{
	caught = sig;
}

static void on_winch(int sig)
{
	(void)sig;
	winched = 1;
}

static void on_stop(int sig)
{
	(void)sig;
	stopped = 1;
}

static void on_continue(int sig)
{
	(void)sig;
	continued = 1;
}

static void on_child(int sig)
{
	(void)sig;
}

/* What the caller had told us to ignore (nohup, a background job) stays ignored. */
static void handle(int sig, void (*fn)(int), sigset_t *block)
{
	struct sigaction old, sa = { .sa_handler = fn };

	sigaction(sig, NULL, &old);
	if (old.sa_handler == SIG_IGN && sig != SIGCHLD)
		return;
	sigaction(sig, &sa, NULL);
	sigaddset(block, sig);
}

static void catch_signals(struct run *r, sigset_t *open)
{
	sigset_t block;

	sigemptyset(&block);
	/* Under gdb ^C is gdb's. */
	handle(SIGINT, r->opt.gdb ? on_child : on_end, &block);
	handle(SIGTERM, on_end, &block);
	handle(SIGHUP, on_end, &block);
	handle(SIGQUIT, r->opt.gdb ? on_child : on_end, &block);
	handle(SIGCHLD, on_child, &block);
	handle(SIGWINCH, on_winch, &block);
	if (r->tty) {
		handle(SIGTSTP, on_stop, &block);
		handle(SIGCONT, on_continue, &block);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &block, open);
	for (int s = 1; s < NSIG; s++)
		if (sigismember(&block, s) == 1)
			sigdelset(open, s);
}

static void frame_to_guest(struct run *r, int type, int stream, const void *data, size_t len)
{
	char buf[sizeof(struct join_frame) + 64];
	struct join_frame f = { .magic = JOIN_MAGIC, .type = type, .stream = stream, .len = len };

	memcpy(buf, &f, sizeof(f));
	memcpy(buf + sizeof(f), data, len);
	/* Frames to the guest are small and answered; 64 KB of them underway means that it hangs. */
	(void)!write(r->to_guest, buf, sizeof(f) + len);
}

/* Read from the caller into the ring, tell the guest where. */
static void take_input(struct run *r)
{
	uint32_t free = JOIN_RING - r->ring_used, to_end = JOIN_RING - r->ring_at;
	struct join_ring at = { .offset = r->ring_at };
	size_t n = free < to_end ? free : to_end;
	ssize_t got;

	if (n > JOIN_MAX)
		n = JOIN_MAX;
	got = read(0, r->ring + r->ring_at, n);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		int err = got < 0 ? errno : 0;

		/* nohup leaves a descriptor that cannot be read, a lost terminal has told why */
		if (err && err != EBADF && !isatty(0))
			say("standard input: %s: for the command it ends there", strerror(err));
		r->in_eof = true;
		frame_to_guest(r, JOIN_EOF, JOIN_STDIN, "", 0);
		return;
	}
	at.len = got;
	r->ring_at = (r->ring_at + got) % JOIN_RING;
	r->ring_used += got;
	r->in_segments++;
	frame_to_guest(r, JOIN_DATA, JOIN_STDIN, &at, sizeof(at));
}

static void output(struct run *r, int stream)
{
	struct stream *s = &r->out[stream];
	uint32_t credit = 0;
	ssize_t n;

	while ((n = stream_flush(s)) > 0) {
		credit += n;
		if (s->poll && !s->nonblock)
			break;
	}
	if (credit)
		frame_to_guest(r, JOIN_CREDIT, stream, &credit, sizeof(credit));
	if (n < 0) {
		/* Nobody reads any more, or the disk is full: CMD gets its SIGPIPE. */
		stream_close(s);
		frame_to_guest(r, JOIN_CLOSED, stream, "", 0);
	}
	/* An end that CMD made is passed on, but fd 2 is ours too. */
	if (s->eof && !s->len && s->fd >= 0) {
		stream_close(s);
		if (stream == JOIN_STDOUT)
			close(STDOUT_FILENO);
		/* What is left of it is 6 s of sleep and one of scanning. */
		if (stream == JOIN_STDOUT && r->opt.leaks)
			host_core_give_back();
	}
}

static void garbage(struct run *r, const char *what, const char *bytes, size_t len)
{
	size_t n = 0;

	if (r->facts.garbage)
		return;
	r->facts.garbage = true;
	n = snprintf(r->facts.garbage_text, sizeof(r->facts.garbage_text), "%s: ", what);
	for (size_t i = 0; i < len && i < 16 && n + 4 < sizeof(r->facts.garbage_text); i++)
		n += snprintf(r->facts.garbage_text + n, sizeof(r->facts.garbage_text) - n,
			      bytes[i] >= ' ' && bytes[i] <= '~' ? "%c" : "\\%03o",
			      (unsigned char)bytes[i]);
}

static void take_status(struct run *r, const struct join_frame *f, const char *data)
{
	struct facts *k = &r->facts;
	size_t text = f->len - sizeof(k->status);

	if (f->len < sizeof(k->status) || memcmp(data, r->nonce, JOIN_NONCE)) {
		k->bad_nonce = true;
		return;
	}
	memcpy(&k->status, data, sizeof(k->status));
	if (f->type == JOIN_STATUS) {
		k->verdict = true;
		return;
	}
	k->failed = true;
	if (text >= sizeof(k->fail_text))
		text = sizeof(k->fail_text) - 1;
	memcpy(k->fail_text, data + sizeof(k->status), text);
	k->fail_text[text] = 0;
}

static void frame(struct run *r, struct loop *l, const struct join_frame *f, const char *data)
{
	uint32_t credit = 0;

	switch (f->type) {
	case JOIN_HELLO:
		if (f->len != JOIN_NONCE || memcmp(data, r->nonce, JOIN_NONCE))
			r->facts.bad_nonce = true;
		r->facts.hello = true;
		r->hello_at = now();
		break;
	case JOIN_STARTED:
		r->facts.started = true;
		r->cmd_at = now();
		break;
	case JOIN_DATA:
		if (!stream_add(&r->out[f->stream], data, f->len))
			garbage(r, "more output than agreed", data, f->len);
		break;
	case JOIN_EOF:
		r->out[f->stream].eof = true;
		break;
	case JOIN_CREDIT:
		memcpy(&credit, data, f->len < sizeof(credit) ? f->len : sizeof(credit));
		if (credit > r->ring_used)
			garbage(r, "credit for input that was not sent", data, f->len);
		else
			r->ring_used -= credit;
		break;
	case JOIN_CLOSED:
		r->in_eof = true;
		break;
	case JOIN_NOTE:
		say("%.*s", (int)f->len, data);
		break;
	case JOIN_FAIL:
	case JOIN_STATUS:
		take_status(r, f, data);
		l->verdict_at = now();
		break;
	default:
		garbage(r, "an unknown frame", data, f->len);
	}
}

static void take_frames(struct run *r, struct loop *l)
{
	size_t at = 0;
	ssize_t n = read(r->from_guest, l->buf + l->len, sizeof(l->buf) - l->len);
	struct join_frame f;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		l->line_eof = true;
		return;
	}
	l->len += n;
	while (l->len - at >= sizeof(f) && !r->facts.garbage) {
		memcpy(&f, l->buf + at, sizeof(f));
		if (f.magic != JOIN_MAGIC || f.len > JOIN_MAX || f.stream >= JOIN_STREAMS) {
			garbage(r, "garbage on the line", l->buf + at, l->len - at);
			break;
		}
		if (l->len - at < sizeof(f) + f.len)
			break;
		frame(r, l, &f, l->buf + at + sizeof(f));
		at += sizeof(f) + f.len;
	}
	if (r->facts.garbage)
		at = l->len;
	l->len -= at;
	memmove(l->buf, l->buf + at, l->len);
}

/* Everything that the kernel leaves behind lands here: this process is the subreaper. */
static void reap(struct run *r)
{
	int st;
	pid_t pid;

	while ((pid = waitpid(-1, &st, WNOHANG)) > 0) {
		if (pid == r->janitor)
			r->janitor = 0;
		if (pid != r->kernel)
			continue;
		r->facts.exited = true;
		r->facts.wait_status = st;
	}
}

/* Ends the kernel; its processes die with it. */
void relay_kill(struct run *r)
{
	if (r->facts.exited || r->kernel <= 0)
		return;
	kill(r->kernel, SIGKILL);
	for (int i = 0; i < 1000 && !r->facts.exited; i++) {
		reap(r);
		if (!r->facts.exited)
			usleep(2000);
	}
}

static void watch_boot(struct run *r, struct loop *l)
{
	double silence = r->opt.boot_timeout;
	struct stat st;
	char line[200];

	if (r->facts.hello || r->opt.gdb)
		return;
	if (!fstat(r->log_fd, &st) && st.st_size != l->log_size) {
		l->log_size = st.st_size;
		l->log_grew = now();
		if (!l->kunit)
			l->kunit = klog_find(r->log_path, "KTAP version", line, sizeof(line));
	}
	if (silence < 0)
		silence = l->kunit ? BOOT_SILENCE_KUNIT : BOOT_SILENCE;
	if (silence && now() - l->log_grew > silence)
		r->facts.boot_timeout = true;
}

/* Deadlines. Return: true when the run is over and the kernel must go. */
static bool watch(struct run *r, struct loop *l)
{
	struct facts *f = &r->facts;
	char last[200] = "", why[256];

	if (caught) {
		f->caught = caught;
		return true;
	}
	if (f->exited || f->garbage)
		return f->garbage;
	watch_boot(r, l);
	if (r->opt.timeout && now() - r->started_at > r->opt.timeout)
		f->timeout = true;
	if (l->verdict_at && now() - l->verdict_at > END_GRACE && !r->opt.gdb)
		f->hung = true;
	if (f->timeout || f->boot_timeout || f->hung) {
		/* of a boot the reason now: the answers may take their time, or not come */
		klog_last_line(r->log_path, last, sizeof(last));
		snprintf(why, sizeof(why), "the boot does not go on after: %s", *last ? last : "nothing");
		report_question_guest(r, f->timeout ? "the time is up" : f->hung ?
				      "the kernel does not end" : why);
		return true;
	}
	return false;
}

static void fill_poll(struct run *r, struct loop *l, struct pollfd p[4])
{
	/* Piece for piece: the guest holds at most 64, each credit frees one or a part of one. */
	bool want = r->facts.started && !r->in_eof && !r->facts.verdict && !r->opt.gdb &&
		    r->ring_used < JOIN_RING && r->in_segments < 48 && !terminal_in_background();

	p[0] = (struct pollfd){ .fd = l->line_eof ? -1 : r->from_guest, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = want ? 0 : -1, .events = POLLIN };
	for (int i = 1; i < JOIN_STREAMS; i++)
		p[1 + i] = (struct pollfd){ .fd = r->out[i].len ? r->out[i].fd : -1,
					    .events = POLLOUT };
}

static double next_wake(struct run *r, struct loop *l)
{
	double t = 1.0;

	if (!r->facts.hello)
		t = 0.25;
	if (r->opt.timeout && r->started_at + r->opt.timeout - now() < t)
		t = r->started_at + r->opt.timeout - now();
	(void)l;
	return t > 0.001 ? t : 0.001;
}

static bool finished(struct run *r, struct loop *l)
{
	return r->facts.exited && l->line_eof && !r->out[1].len && !r->out[2].len;
}

/* SIGTSTP from elsewhere, as ^Z is the guest's: whoever has the terminal meanwhile gets it as it was. */
static void stop(struct run *r)
{
	struct sigaction old, sa = { .sa_handler = SIG_DFL };
	sigset_t tstp, mask;

	stopped = 0;
	/* in the background its modes are somebody else's */
	if (!terminal_in_background())
		terminal_restore(r);
	sigaction(SIGTSTP, &sa, &old);
	raise(SIGTSTP);
	sigemptyset(&tstp);
	sigaddset(&tstp, SIGTSTP);
	/* stops here, or does nothing in a group that no shell would wake up */
	sigprocmask(SIG_UNBLOCK, &tstp, &mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGTSTP, &old, NULL);
	continued = 1;
}

/* Back in front of the terminal: a shell's fg does not make it raw again. */
static void come_back(struct run *r)
{
	bool behind = r->tty && terminal_in_background();

	if (r->tty && !behind && (continued || r->behind)) {
		terminal_raw(r);
		winched = 1;
	}
	continued = 0;
	r->behind = behind;
}

static void step(struct run *r, struct loop *l, const sigset_t *open)
{
	struct join_winch w;
	struct pollfd p[4];
	double wake = next_wake(r, l);
	struct timespec ts = { .tv_sec = wake, .tv_nsec = (wake - (long)wake) * 1e9 };

	fill_poll(r, l, p);
	if (ppoll(p, 4, &ts, open) < 0)
		memset(p, 0, sizeof(p));
	reap(r);
	if (p[0].revents)
		take_frames(r, l);
	/* The pipe's other end may live on in a process that escaped: empty is enough then. */
	else if (r->facts.exited)
		l->line_eof = true;
	if (p[1].revents)
		take_input(r);
	if (r->ring_used == 0)
		r->in_segments = 0;
	output(r, JOIN_STDOUT);
	output(r, JOIN_STDERR);
	if (stopped)
		stop(r);
	come_back(r);
	if (winched) {
		winched = 0;
		if (r->tty && r->facts.started && terminal_size(&w))
			frame_to_guest(r, JOIN_WINCH, 0, &w, sizeof(w));
	}
}

int relay_run(struct run *r)
{
	struct loop *l = calloc(1, sizeof(*l));
	sigset_t open;

	if (!l)
		return -1;
	catch_signals(r, &open);
	l->log_grew = now();
	stream_open(&r->out[JOIN_STDOUT], 1);
	stream_open(&r->out[JOIN_STDERR], 2);
	while (!finished(r, l)) {
		step(r, l, &open);
		if (watch(r, l))
			break;
	}
	relay_kill(r);
	return 0;
}
