// SPDX-License-Identifier: GPL-2.0-only
/*
 * See lib-model.h: does a step to the kernel and to the model, and compares what can be read.
 *
 * A world is a process. It forks actors, which fork actors or make threads when told so over a
 * socket; when one ends, its pidfd tells. All mounts are below /tmp/w. What was done is logged
 * in memory shared with the test, so that it outlives a world that ends in the middle.
 */
#include "lib-model.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

struct report {
	volatile int step;	/* the one at work; n when all is taken down */
	char why[512];
	char log[8192];		/* what was done, a line each; the last ones */
};

static struct report *report;
static struct world w;

void differ(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(report->why, sizeof(report->why), format, args);
	va_end(args);
	_exit(1);
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t have = strlen(report->log);
	va_list args;

	if (have > sizeof(report->log) - 200) {
		memmove(report->log, report->log + have / 2, have - have / 2 + 1);
		have = strlen(report->log);
	}
	va_start(args, format);
	vsnprintf(report->log + have, sizeof(report->log) - have, format, args);
	va_end(args);
}

/* The kernel's answer to what was just logged. */
static bool answered(int got, int wanted)
{
	note(": %s\n", got ? strerrorname_np(got) : "ok");
	if (got != wanted)
		differ("got %s, the model says %s", error_name(got), error_name(wanted));
	return !got;
}

/* ---- Actors ---- */

struct order {
	char what;		/* 'F'ork as actor WHO, 'T'hread */
	int who;
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

static pid_t new_thread(void)
{
	volatile pid_t *tid = &thread_tid[nr_threads++];
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	if (pthread_create(&thread, &attr, nap, (void *)tid))
		return -1;
	while (!*tid)
		usleep(50);
	return *tid;
}

static void act_out(int me) __attribute__((noreturn));
static void act_out(int me)
{
	struct order o;
	pid_t pid;

	/* the threads of whoever forked stayed there */
	memset((void *)thread_tid, 0, sizeof(thread_tid));
	nr_threads = 0;
	while (read(w.actors[me].wire[1], &o, sizeof(o)) == sizeof(o)) {
		pid = o.what == 'F' ? fork() : new_thread();
		if (!pid)
			act_out(o.who);
		if (write(w.actors[me].wire[1], &pid, sizeof(pid)) != sizeof(pid))
			break;
	}
	_exit(0);
}

static pid_t tell(int who, char what, int arg)
{
	struct order o = { what, arg };
	pid_t pid;

	if (write(w.actors[who].wire[0], &o, sizeof(o)) != sizeof(o) ||
	    read(w.actors[who].wire[0], &pid, sizeof(pid)) != sizeof(pid) || pid < 0)
		differ("process %d does not answer", w.actors[who].tid[0]);
	return pid;
}

static void await_end(int p)
{
	struct pollfd fd = { .fd = w.actors[p].pidfd, .events = POLLIN };

	if (poll(&fd, 1, 20000 * lib_slow) != 1)
		differ("process %d does not end", w.actors[p].tid[0]);
	close(w.actors[p].pidfd);
}

/* ---- Which object a number means ---- */

/* A mounted tree, and one of its mounts. */
static int pick_tree(unsigned int number, int *mount)
{
	int n = 0, tree[MODEL_TREES * MODEL_MOUNTS], at_mount[MODEL_TREES * MODEL_MOUNTS];

	for (int t = 0; t < MODEL_TREES; t++)
		for (int i = 0; i < MODEL_MOUNTS; i++)
			if (w.m.t[t].live && w.m.t[t].mounted[i]) {
				tree[n] = t;
				at_mount[n++] = i;
			}
	if (!n)
		return -1;
	*mount = at_mount[number % n];
	return tree[number % n];
}

static int pick_container(int tree, unsigned int number)
{
	int n = 0, cont[MODEL_CONTAINERS];

	for (int c = 0; c < MODEL_CONTAINERS; c++)
		if (w.m.t[tree].c[c].live)
			cont[n++] = c;
	return cont[number % n];
}

static int pick_proc(unsigned int number)
{
	int n = 0, proc[MODEL_PROCS];

	for (int p = 0; p < MODEL_PROCS; p++)
		if (w.m.p[p].live)
			proc[n++] = p;
	return n ? proc[number % n] : -1;
}

static const char *name_of(unsigned int number)
{
	static const char *const names[] = { "a", "b", "c", "tasks-" };

	return names[number % 4];
}

/* ---- Steps ---- */

static void step_mount(const struct step *s)
{
	static const struct {
		unsigned int mask;
		const char *name, *options;
	} kinds[] = {
		{ MODEL_CPUACCT, "", "cpuacct" },
		{ MODEL_MEMORY, "", "memory" },
		{ MODEL_CPUACCT | MODEL_MEMORY, "", "memory,cpuacct" },
		{ 0, "x", "none,name=x" },
		{ 0, "y", "name=y,none" },
	};
	const char *options = kinds[s->a % 5].options, *dir;
	int tree = model_mount(&w.m, kinds[s->a % 5].mask, kinds[s->a % 5].name), nr = 0;

	if (tree >= 0) {
		while (nr < MODEL_MOUNTS && w.m.t[tree].mounted[nr])
			nr++;
		if (nr == MODEL_MOUNTS)
			return;
	}
	dir = tree < 0 ? "/tmp/w" : mount_dir(tree, nr);
	note("mount -o %s", options);
	if (answered(mount("none", dir, "container", 0, options) ? errno : 0, tree < 0 ? -tree : 0))
		w.m.t[tree].mounted[nr] = true;
}

static void step_umount(int tree, int mount)
{
	note("umount %s", mount_dir(tree, mount));
	answered(umount(mount_dir(tree, mount)) ? errno : 0, 0);
	model_umount(&w.m, tree, mount);
}

static void step_mkdir(int tree, int mount, int parent, const char *name)
{
	char *dir;

	if (model_live(&w.m, tree) == MODEL_CONTAINERS)
		return;
	dir = file_of(&w, tree, mount, parent, name);
	note("mkdir %s", dir);
	answered(make_dir(dir), model_mkdir(&w.m, tree, parent, name));
}

static void step_rmdir(int tree, int mount, int cont)
{
	char *dir = dir_of(&w, tree, mount, cont);

	if (!cont)
		return;
	note("rmdir %s", dir);
	answered(remove_dir(dir), model_rmdir(&w.m, tree, cont));
}

static void step_rename(int tree, int mount, int cont, const char *name)
{
	char from[512];
	char *to;

	if (!cont)
		return;
	strcpy(from, dir_of(&w, tree, mount, cont));
	to = file_of(&w, tree, mount, w.m.t[tree].c[cont].parent, name);
	note("mv %s %s", from, to);
	answered(rename_dir(from, to), model_rename(&w.m, tree, cont, name));
}

static void step_fork(int parent)
{
	int p = model_fork(&w.m, parent);
	pid_t pid;

	if (p < 0)
		return;
	if (parent >= 0) {
		pid = tell(parent, 'F', p);
	} else {
		pid = fork();
		if (!pid)
			act_out(p);
	}
	w.actors[p].tid[0] = pid;
	w.actors[p].pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (w.actors[p].pidfd < 0)
		differ("pidfd_open(%d): %s", pid, error_name(errno));
	note("fork of %d: %d\n", parent < 0 ? 0 : w.actors[parent].tid[0], pid);
}

static void step_thread(int proc)
{
	struct model_proc *p = &w.m.p[proc];

	if (p->threads == MODEL_THREADS)
		return;
	w.actors[proc].tid[p->threads] = tell(proc, 'T', 0);
	memcpy(p->in[p->threads], p->in[0], sizeof(p->in[0]));
	note("thread of %d: %d\n", w.actors[proc].tid[0], w.actors[proc].tid[p->threads]);
	p->threads++;
}

static void step_exit(int proc)
{
	note("kill %d\n", w.actors[proc].tid[0]);
	kill(w.actors[proc].tid[0], SIGKILL);
	await_end(proc);
	model_exit(&w.m, proc);
}

static void step_move(int tree, int mount, int cont, int proc, int thread)
{
	bool whole = thread < 0;
	char *file = file_of(&w, tree, mount, cont, whole ? "procs" : "tasks");
	int first = whole ? 0 : thread % w.m.p[proc].threads;

	note("echo %d > %s", w.actors[proc].tid[first], file);
	if (!answered(write_u64(file, w.actors[proc].tid[first]), 0))
		return;
	for (int i = first; i <= (whole ? w.m.p[proc].threads - 1 : first); i++)
		model_move(&w.m, tree, cont, proc, i);
}

static void step_notify(int tree, int mount, int cont, bool value)
{
	char *file = file_of(&w, tree, mount, cont, "notify_on_release");

	note("echo %d > %s", value, file);
	if (answered(write_u64(file, value), 0))
		w.m.t[tree].c[cont].notify = value;
}

/* Far above what anybody here uses: only what is written and read matters. */
static void step_limit(int tree, int mount, int cont, unsigned int number)
{
	char *file = file_of(&w, tree, mount, cont, "memory.page_limit");

	/* a root's settings outlive the hierarchy */
	if (!cont || !(w.m.t[tree].mask & MODEL_MEMORY))
		return;
	note("echo %u > %s", 1000000 + number, file);
	if (answered(write_u64(file, 1000000 + number), 0))
		w.m.t[tree].c[cont].limit = 1000000 + number;
}

static void step_kill(int tree, int mount, int cont)
{
	char *file = file_of(&w, tree, mount, cont, "kill");

	note("echo 1 > %s", file);
	if (!answered(write_u64(file, 1), cont ? 0 : EPERM))
		return;
	for (int p = 0; p < MODEL_PROCS; p++) {
		bool hit = false;

		for (int i = 0; w.m.p[p].live && i < w.m.p[p].threads; i++)
			hit |= model_below(&w.m, tree, w.m.p[p].in[i][tree], cont);
		if (!hit)
			continue;
		await_end(p);
		model_exit(&w.m, p);
	}
}

static void step_nonsense(int tree, int mount, int cont, unsigned int number)
{
	static const struct {
		const char *file, *text;
		int error;
	} wrong[] = {
		{ "tasks", "x", EINVAL }, { "procs", "-1", EINVAL }, { "tasks", "99999999", ESRCH },
		{ "procs", "", EINVAL }, { "notify_on_release", "2", ERANGE }, { "kill", "0", ERANGE },
		{ "tasks", "2147483648", ERANGE }, { "releasable", "1", EACCES },
	};
	char *file = file_of(&w, tree, mount, cont, wrong[number % 8].file);

	/* nothing is written by an empty write(2) */
	if (!*wrong[number % 8].text)
		return;
	note("echo %s > %s", wrong[number % 8].text, file);
	answered(write_file(file, wrong[number % 8].text), wrong[number % 8].error);
}

static void do_step(const struct step *s)
{
	int mount = 0, tree = pick_tree(s->a, &mount), cont = tree < 0 ? 0 : pick_container(tree, s->b);
	int proc = pick_proc(s->c);

	switch (s->kind) {
	case STEP_MOUNT: step_mount(s); return;
	case STEP_FORK: step_fork(s->a % 3 ? proc : -1); return;
	case STEP_THREAD: if (proc >= 0) step_thread(proc); return;
	case STEP_EXIT: if (proc >= 0) step_exit(proc); return;
	}
	if (tree < 0)
		return;
	switch (s->kind) {
	case STEP_UMOUNT: step_umount(tree, mount); break;
	case STEP_MKDIR: step_mkdir(tree, mount, cont, name_of(s->c)); break;
	case STEP_RMDIR: step_rmdir(tree, mount, cont); break;
	case STEP_RENAME: step_rename(tree, mount, cont, name_of(s->c)); break;
	case STEP_MOVE_THREAD: if (proc >= 0) step_move(tree, mount, cont, proc, s->c / 16); break;
	case STEP_MOVE_PROCESS: if (proc >= 0) step_move(tree, mount, cont, proc, -1); break;
	case STEP_NOTIFY: step_notify(tree, mount, cont, s->c & 1); break;
	case STEP_LIMIT: step_limit(tree, mount, cont, s->c); break;
	case STEP_KILL: step_kill(tree, mount, cont); break;
	case STEP_NONSENSE: step_nonsense(tree, mount, cont, s->c); break;
	}
}

/* ---- A world ---- */

/* Takes everything down by the same steps, and waits until nothing is dying. */
static void world_end(void)
{
	double end = now() + 10 * lib_slow;
	struct hierarchy_row h[16];

	for (int p = 0; p < MODEL_PROCS; p++)
		if (w.m.p[p].live)
			step_exit(p);
	for (int t = 0; t < MODEL_TREES; t++) {
		struct model_tree *tree = &w.m.t[t];

		/* one that has no mount any more, but containers */
		if (tree->live && !tree->mounted[0] && !tree->mounted[1]) {
			const char *options = model_words(&w.m, t);

			note("mount -o %s", options);
			answered(mount("none", mount_dir(t, 0), "container", 0, options) ? errno : 0, 0);
			tree->mounted[0] = true;
		}
		for (int c = MODEL_CONTAINERS - 1; c > 0; c = tree->live && model_live(&w.m, t) > 1 && c == 1 ? MODEL_CONTAINERS - 1 : c - 1)
			if (tree->live && tree->c[c].live && !model_children(&w.m, t, c))
				step_rmdir(t, tree->mounted[0] ? 0 : 1, c);
		compare_all(&w);
		for (int i = 0; i < MODEL_MOUNTS; i++)
			if (tree->live && tree->mounted[i])
				step_umount(t, i);
	}
	/* pages of dead processes lie in batches of their CPU, and hold what they were charged to */
	if (write_file("/proc/sys/vm/compact_memory", "1"))
		differ("compact_memory: %s", error_name(errno));
	while (read_hierarchies(h, 16)) {
		if (now() > end)
			differ("at the end hierarchy %d (%s) has %d containers and %d dying", h[0].id, h[0].subsystems,
			       h[0].containers, h[0].dying);
		usleep(2000);
	}
}

static void world(const struct step *steps, int n)
{
	memset(&w, 0, sizeof(w));
	signal(SIGCHLD, SIG_IGN);
	mkdir("/tmp/w", 0755);
	for (int t = 0; t < MODEL_TREES; t++)
		for (int i = 0; i < MODEL_MOUNTS; i++)
			mkdir(mount_dir(t, i), 0755);
	for (int p = 0; p < MODEL_PROCS; p++)
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, w.actors[p].wire))
			differ("socketpair: %s", error_name(errno));
	for (int i = 0; i < n; i++) {
		report->step = i;
		do_step(&steps[i]);
		compare_all(&w);
	}
	report->step = n;
	world_end();
	_exit(0);
}

int world_run(const struct step *steps, int n, char *why, size_t size)
{
	int status, step;
	pid_t pid;

	if (!report) {
		report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(report, MAP_FAILED);
	}
	memset(report, 0, sizeof(*report));
	fflush(stdout);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid)
		world(steps, n);
	status = wait_for(pid);
	if (!status)
		return -1;
	for (int t = 0; t < MODEL_TREES; t++)
		for (int i = 0; i < MODEL_MOUNTS; i++)
			while (!umount2(mount_dir(t, i), MNT_DETACH))
				;
	step = report->step;
	snprintf(why, size, "%s%s; what was done:\n%s", report->why, *report->why ? "" : "the world ended in the middle",
		 report->log);
	return step;
}
