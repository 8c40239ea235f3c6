// SPDX-License-Identifier: GPL-2.0-only
/* Verbs of the suites about numtasks. */
#include "lib-numtasks.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CHILDREN 200

/* The worker's. */
static pid_t children[CHILDREN];
static int nr_children;

/* A child that sleeps until it is killed, as its parent's end does, too. */
static int make_child(unsigned long flags)
{
	pid_t pid = syscall(SYS_clone, flags | SIGCHLD, 0, NULL, NULL, 0);

	if (pid < 0)
		return errno;
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (nr_children == CHILDREN)
		abort();
	children[nr_children++] = pid;
	return 0;
}

/* Without what the C library does around a fork: what vfork(2) says is what counts. */
static int make_short_child(void)
{
	pid_t pid = vfork();

	if (pid < 0)
		return errno;
	if (!pid)
		_exit(0);
	waitpid(pid, NULL, 0);
	return 0;
}

static void *sleep_in_thread(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static int make_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, sleep_in_thread, NULL);
}

static int kill_child(void)
{
	pid_t pid = children[--nr_children];

	return kill(pid, SIGKILL) || waitpid(pid, NULL, 0) != pid ? errno : 0;
}

static int kill_all_children(void)
{
	int err = 0;

	while (nr_children && !err)
		err = kill_child();
	return err;
}

static int obey(char what)
{
	switch (what) {
	case 'f': return make_child(0);
	case 'n': return make_child(CLONE_NEWUTS);
	case 'k': return kill_child();
	case 'q': return kill_all_children();
	case 'v': return make_short_child();
	case 't': return make_thread();
	}
	abort();
}

static void work(void *arg)
{
	int *ends = arg, answer;
	char what;

	while (read(ends[0], &what, 1) == 1) {
		answer = obey(what);
		if (write(ends[1], &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
}

struct worker worker_in(const char *container)
{
	int to[2], from[2], ends[2];
	struct worker w;

	ck_assert_int_eq(pipe2(to, O_CLOEXEC) | pipe2(from, O_CLOEXEC), 0);
	ends[0] = to[0];
	ends[1] = from[1];
	w.pid = start_in(container, work, ends);
	w.to = to[1];
	w.from = from[0];
	close(to[0]);
	close(from[1]);
	return w;
}

int ask(struct worker *w, char what)
{
	int answer;

	ck_assert_int_eq(write(w->to, &what, 1), 1);
	ck_assert_msg(read(w->from, &answer, sizeof(answer)) == sizeof(answer),
		      "the worker has no answer to '%c'", what);
	return answer;
}

int forks_until_refused(struct worker *w)
{
	int n = 0, err;

	while (!(err = ask(w, 'f')))
		ck_assert_int_lt(++n, CHILDREN);
	expect(err, EAGAIN);
	return n;
}

/* Who has been waited for has been uncharged: a task is a zombie only later. */
void worker_end(struct worker *w)
{
	expect(ask(w, 'q'), 0);
	stop(w->pid);
	close(w->to);
	close(w->from);
}

int tasks_in(const char *container)
{
	pid_t ids[512];

	return read_ids(at(container, "tasks"), ids, 512);
}

uint64_t numtasks_stat(const char *container, const char *what)
{
	char field[80];

	snprintf(field, sizeof(field), "numtasks: %s", what);
	return read_field(at(container, "numtasks.stats"), field);
}

void refuses_shares(const char *container, const char *subsystem, const struct wrong_shares *wrong, int nr)
{
	char *file = at(container, "%s.shares", subsystem), *before = read_file(file);

	for (; nr--; wrong++) {
		int err = write_file(file, wrong->text);

		ck_assert_msg(err == wrong->err, "%s: got %s, wanted %s", wrong->text, error_name(err),
			      error_name(wrong->err));
		ck_assert_str_eq(read_file(file), before);
		if (wrong->why)
			says(container, wrong->why);
	}
}

char *for_now(const char *path, const char *value)
{
	char *before = read_file(path);

	expect(write_file(path, value), 0);
	return before;
}
