// SPDX-License-Identifier: GPL-2.0-only
/*
 * Output to a descriptor of the caller's, without ever blocking the loop.
 *
 * O_NONBLOCK belongs to the open file, which the caller shares: setting it would break the
 * caller's shell. A pipe or a
 * terminal is opened once more through /proc/self/fd; a socket has MSG_DONTWAIT; where
 * neither works (a terminal or
 * pipe of another user) poll() promises room for 4096 bytes of a pipe.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

#define SAFE_WRITE 4096

void stream_open(struct stream *s, int fd)
{
	char path[32];
	struct stat st;
	int again;

	s->fd = fd;
	if (fstat(fd, &st))
		return;
	s->socket = S_ISSOCK(st.st_mode);
	s->poll = s->socket || S_ISFIFO(st.st_mode) || isatty(fd);
	if (!s->poll || s->socket)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (again < 0)
		return;
	s->fd = again;
	s->nonblock = true;
}

/* Return: false when the guest sent more than its window, which is a broken line. */
bool stream_add(struct stream *s, const char *data, size_t len)
{
	if (s->fd < 0)
		return true;
	if (s->len + len > sizeof(s->buf))
		return false;
	for (size_t i = 0; i < len; ) {
		size_t at = (s->head + s->len) % sizeof(s->buf);
		size_t n = sizeof(s->buf) - at;

		if (n > len - i)
			n = len - i;
		memcpy(s->buf + at, data + i, n);
		s->len += n;
		i += n;
	}
	return true;
}

/*
 * One write.
 * Return: bytes written, 0 when there is no room now, -1 when nobody reads any more, or s->err says what else.
 */
ssize_t stream_flush(struct stream *s)
{
	size_t n = sizeof(s->buf) - s->head;
	ssize_t w;

	if (s->fd < 0 || !s->len)
		return 0;
	if (n > s->len)
		n = s->len;
	if (s->poll && !s->nonblock && !s->socket && n > SAFE_WRITE)
		n = SAFE_WRITE;
	if (s->socket)
		w = send(s->fd, s->buf + s->head, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		w = write(s->fd, s->buf + s->head, n);
	if (w < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 0;
		s->err = errno == EPIPE || errno == ECONNRESET ? 0 : errno;
		return -1;
	}
	s->head = (s->head + w) % sizeof(s->buf);
	s->len -= w;
	return w;
}

void stream_close(struct stream *s)
{
	if (s->fd > STDERR_FILENO)
		close(s->fd);
	s->fd = -1;
	s->len = 0;
}
