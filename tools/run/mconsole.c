// SPDX-License-Identifier: GPL-2.0-only
/* Questions to the kernel over UML's mconsole socket: it answers from an interrupt, also when all tasks hang. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "run.h"

#define MAGIC 0xcafebabeu
#define DATA 512

struct question {
	uint32_t magic, version, len;
	char data[DATA];
};

struct answer {
	uint32_t err, more, len;
	char data[DATA];
};

static int connect_to(struct run *r)
{
	struct sockaddr_un me = { .sun_family = AF_UNIX }, it = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	/* The kernel answers to the address a question came from: ours has to have a name. */
	if (snprintf(me.sun_path, sizeof(me.sun_path), "%s/ask", r->dir) >= (int)sizeof(me.sun_path) ||
	    snprintf(it.sun_path, sizeof(it.sun_path), "%s/guest/mconsole", r->dir) >=
	    (int)sizeof(it.sun_path))
		goto fail;
	unlink(me.sun_path);
	if (bind(fd, (struct sockaddr *)&me, sizeof(me)) ||
	    connect(fd, (struct sockaddr *)&it, sizeof(it)))
		goto fail;
	return fd;
fail:
	close(fd);
	return -1;
}

/* Asks and copies the answer. Return: 0, or 1 when it was not whole after @seconds, -1 when nothing came. */
int mconsole_ask(struct run *r, const char *what, FILE *out, double seconds)
{
	struct question q = { .magic = MAGIC, .version = 2, .len = strlen(what) };
	double until = now() + seconds;
	int fd = connect_to(r), ret = -1;
	struct answer a;

	if (fd < 0)
		return -1;
	memcpy(q.data, what, q.len + 1);
	if (send(fd, &q, sizeof(q), MSG_DONTWAIT) < 0)
		goto out;
	while (now() < until) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, (until - now()) * 1000 + 1) <= 0)
			continue;
		if (recv(fd, &a, sizeof(a), 0) < (ssize_t)offsetof(struct answer, data))
			break;
		ret = 1;
		if (a.len && a.len <= DATA)
			fwrite(a.data, 1, strnlen(a.data, a.len), out);
		if (!a.more) {
			ret = a.err ? 1 : 0;
			break;
		}
	}
out:
	close(fd);
	return ret;
}
