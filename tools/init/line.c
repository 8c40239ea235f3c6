// SPDX-License-Identifier: GPL-2.0-only
/* The line to the runner: a serial line of UML in raw mode. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "init.h"

/* Bytes that arrived and are not a whole frame yet. */
static char pending[sizeof(struct join_frame) + 256];
static size_t pending_len;

int line_open(struct guest *g)
{
	struct termios t;

	g->line = open("/mnt/dev/" JOIN_DEV_LINE, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (g->line < 0 || tcgetattr(g->line, &t)) {
		printf("uml-init: no line to the runner: /dev/" JOIN_DEV_LINE ": %s\n",
		       strerror(errno));
		return -1;
	}
	cfmakeraw(&t);
	if (tcsetattr(g->line, TCSANOW, &t))
		return -1;
	/* CMD has no business here; without the name it cannot write there by accident. */
	unlink("/mnt/dev/" JOIN_DEV_LINE);
	return 0;
}

/* Blocks while the runner does not read; the windows keep that from happening. */
static void write_all(struct guest *g, const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(g->line, p, len);

		if (n > 0) {
			p += n;
			len -= n;
		} else if (n < 0 && errno != EINTR && errno != EAGAIN) {
			/* The runner is gone: so is whoever wanted an answer. */
			power_off(g);
		}
	}
}

void line_send(struct guest *g, int type, int stream, const void *data, size_t len)
{
	static char buf[sizeof(struct join_frame) + JOIN_MAX];
	struct join_frame f = {
		.magic = JOIN_MAGIC, .type = type, .stream = stream, .len = len,
	};

	memcpy(buf, &f, sizeof(f));
	memcpy(buf + sizeof(f), data, len);
	write_all(g, buf, sizeof(f) + len);
}

/*
 * The next frame, without waiting for more than is there.
 * Return: 1 with a frame, 0 when none is complete. A lost or garbled line ends the guest.
 */
int line_next(struct guest *g, struct join_frame *f, void *data, size_t room)
{
	struct pollfd p = { .fd = g->line, .events = POLLIN };

	for (;;) {
		if (pending_len >= sizeof(*f)) {
			memcpy(f, pending, sizeof(*f));
			if (f->magic != JOIN_MAGIC || f->len > room) {
				printf("uml-init: garbage on the line to the runner\n");
				power_off(g);
			}
			if (pending_len >= sizeof(*f) + f->len)
				break;
		}
		if (poll(&p, 1, 0) <= 0)
			return 0;
		ssize_t n = read(g->line, pending + pending_len, sizeof(pending) - pending_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			power_off(g);
		pending_len += n;
	}
	memcpy(data, pending + sizeof(*f), f->len);
	pending_len -= sizeof(*f) + f->len;
	memmove(pending, pending + sizeof(*f) + f->len, pending_len);
	return 1;
}
