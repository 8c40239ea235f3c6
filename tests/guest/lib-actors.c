// SPDX-License-Identifier: GPL-2.0-only
/*
 * See lib-model.h: the processes of a world. An actor forks actors, makes threads, opens and
 * closes files when told so over a socket; when one ends, its pidfd tells.
 */
#include "lib-model.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

struct order {
	char what;		/* 'F'ork as actor ARG, 'T'hread, 'O'pen, 'C'lose descriptor ARG */
	int arg;
};

static void *nap(void *arg)
{
	*(volatile pid_t *)arg = gettid();
	for (;;)
		pause();
	return NULL;
}

/* An actor's own threads but the first, as they give themselves their numbers. */
static volatile pid_t thread_tid[MODEL_THREADS];
static int nr_threads;

static int new_thread(void)
{
	volatile pid_t *tid = &thread_tid[nr_threads];
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	err = pthread_create(&thread, &attr, nap, (void *)tid);
	if (err)
		return -err;
	nr_threads++;
	while (!*tid)
		usleep(50);
	return *tid;
}

static void act_out(struct world *w, int me) __attribute__((noreturn));

static int or_error(int result)
{
	return result < 0 ? -errno : result;
}

static int fork_actor(struct world *w, int new)
{
	int pid = or_error(fork());

	if (!pid)
		act_out(w, new);
	return pid;
}

static int obey(struct world *w, const struct order *o)
{
	switch (o->what) {
	case 'F': return fork_actor(w, o->arg);
	case 'T': return new_thread();
	/* a file of its own, that nothing else has to be opened for */
	case 'O': return or_error(eventfd(0, 0));
	case 'C': return or_error(close(o->arg));
	}
	abort();
}

static void act_out(struct world *w, int me)
{
	struct order o;
	int answer;

	/* the threads of whoever forked stayed there */
	memset((void *)thread_tid, 0, sizeof(thread_tid));
	nr_threads = 0;
	while (read(w->actors[me].wire[1], &o, sizeof(o)) == sizeof(o)) {
		answer = obey(w, &o);
		if (write(w->actors[me].wire[1], &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

static int tell(struct world *w, int who, char what, int arg)
{
	struct order o = { what, arg };
	int answer;

	if (write(w->actors[who].wire[0], &o, sizeof(o)) != sizeof(o) ||
	    read(w->actors[who].wire[0], &answer, sizeof(answer)) != sizeof(answer))
		differ("process %d does not answer", w->actors[who].tid[0]);
	return answer;
}

void actors_init(struct world *w)
{
	for (int p = 0; p < MODEL_PROCS; p++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, w->actors[p].wire))
			differ("socketpair: %s", error_name(errno));
}

int actor_fork(struct world *w, int who, int new)
{
	int pid = who < 0 ? fork_actor(w, new) : tell(w, who, 'F', new);

	if (pid < 0)
		return pid;
	w->actors[new].tid[0] = pid;
	w->actors[new].pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (w->actors[new].pidfd < 0)
		differ("pidfd_open(%d): %s", pid, error_name(errno));
	return pid;
}

int actor_thread(struct world *w, int who)
{
	return tell(w, who, 'T', 0);
}

int actor_open(struct world *w, int who)
{
	return tell(w, who, 'O', 0);
}

int actor_close(struct world *w, int who, int fd)
{
	return tell(w, who, 'C', fd);
}

void actor_await_end(struct world *w, int who)
{
	struct pollfd fd = { .fd = w->actors[who].pidfd, .events = POLLIN };

	if (poll(&fd, 1, 20000 * lib_slow) != 1)
		differ("process %d does not end", w->actors[who].tid[0]);
	close(w->actors[who].pidfd);
}
