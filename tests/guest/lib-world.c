// SPDX-License-Identifier: GPL-2.0-only
/*
 * See lib-model.h: does a step to the kernel and to the model, and compares what can be read.
 *
 * A world is a process. All mounts are below /tmp/w. What was done is logged in memory shared
 * with the test, so that it outlives a world that ends in the middle.
 */
#include "lib-model.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

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
		{ MODEL_NUMTASKS, "", "numtasks" },
		{ MODEL_BC | MODEL_NUMTASKS, "", "numtasks,bc" },
		{ MODEL_BC | MODEL_MEMORY, "", "bc,memory" },
	};
	const char *options = kinds[s->a % 8].options, *dir;
	int tree = model_mount(&w.m, kinds[s->a % 8].mask, kinds[s->a % 8].name), nr = 0;

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
	int err, pid, p = 0;

	while (p < MODEL_PROCS && w.m.p[p].live)
		p++;
	if (p == MODEL_PROCS)
		return;
	err = parent < 0 ? 0 : model_charge_task(&w.m, parent);
	pid = actor_fork(&w, parent, p);
	note("fork of %d, is %d", parent < 0 ? 0 : w.actors[parent].tid[0], pid);
	if (answered(pid < 0 ? -pid : 0, err))
		model_fork(&w.m, parent);
}

static void step_thread(int proc)
{
	struct model_proc *p = &w.m.p[proc];
	int err, tid;

	if (p->threads == MODEL_THREADS)
		return;
	err = model_charge_task(&w.m, proc);
	tid = actor_thread(&w, proc);
	note("thread of %d, is %d", w.actors[proc].tid[0], tid);
	if (!answered(tid < 0 ? -tid : 0, err))
		return;
	w.actors[proc].tid[p->threads] = tid;
	memcpy(p->in[p->threads], p->in[0], sizeof(p->in[0]));
	p->threads++;
}

static void step_exit(int proc)
{
	note("kill %d\n", w.actors[proc].tid[0]);
	kill(w.actors[proc].tid[0], SIGKILL);
	actor_await_end(&w, proc);
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

static void step_remount(int tree, const char *dir, unsigned int mask)
{
	const char *options = model_words(mask, "");

	note("mount -o remount,%s %s", options, dir);
	answered(mount("none", dir, "container", MS_REMOUNT, options) ? errno : 0, model_remount(&w.m, tree, mask));
}

/* So few that forks are refused; what is there already may be more. */
static void step_tasks_limit(int tree, int mount, int cont, unsigned int limit)
{
	char *file = file_of(&w, tree, mount, cont, "numtasks.limit");

	if (!cont || !(w.m.t[tree].mask & MODEL_NUMTASKS))
		return;
	note("echo %u > %s", limit, file);
	if (answered(write_u64(file, limit), 0))
		w.m.t[tree].c[cont].tasks_limit = limit;
}

static void step_files_limit(int tree, int mount, int cont, unsigned int limit)
{
	char *file = file_of(&w, tree, mount, cont, "bc.set"), text[64];

	if (!cont || !(w.m.t[tree].mask & MODEL_BC))
		return;
	sprintf(text, "numfiles %u %u", limit / 2, limit);
	note("echo %s > %s", text, file);
	if (answered(write_file(file, text), 0))
		w.m.t[tree].c[cont].files_limit = limit;
}

static void step_open(int proc)
{
	int file = model_open(&w.m, proc), fd;

	if (file == -1)
		return;
	fd = actor_open(&w, proc);
	note("open by %d, is %d", w.actors[proc].tid[0], fd);
	if (answered(fd < 0 ? -fd : 0, file < 0 ? -file : 0))
		w.m.f[file].fd = fd;
}

static void step_close(int proc, unsigned int number)
{
	int n = 0, file[MODEL_FILES];

	for (int f = 0; f < MODEL_FILES; f++)
		if (w.m.f[f].in[proc])
			file[n++] = f;
	if (!n)
		return;
	note("close of %d by %d", w.m.f[file[number % n]].fd, w.actors[proc].tid[0]);
	if (answered(-actor_close(&w, proc, w.m.f[file[number % n]].fd), 0))
		model_close(&w.m, proc, file[number % n]);
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
		actor_await_end(&w, p);
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
	case STEP_OPEN: if (proc >= 0) step_open(proc); return;
	case STEP_CLOSE: if (proc >= 0) step_close(proc, s->a); return;
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
	case STEP_REMOUNT: step_remount(tree, mount_dir(tree, mount), 1 + s->c % ((1 << MODEL_SUBSYSTEMS) - 1)); break;
	case STEP_TASKS_LIMIT: step_tasks_limit(tree, mount, cont, s->c % 5); break;
	case STEP_FILES_LIMIT: step_files_limit(tree, mount, cont, s->c % 4); break;
	case STEP_NONSENSE: step_nonsense(tree, mount, cont, s->c); break;
	}
}

/* ---- A world ---- */

/* Each subsystem has the root state only: what was taken away, here or in a world before, has gone. */
static void await_one_state(const char *when)
{
	double end = now() + 10 * lib_slow;

	for (int i = 0; i < MODEL_SUBSYSTEMS; i++)
		while (states_of(model_subsystems[i]) != 1) {
			if (now() > end)
				differ("%s there are %d states of %s", when, states_of(model_subsystems[i]),
				       model_subsystems[i]);
			usleep(2000);
		}
}

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
			const char *options = model_words(tree->mask, tree->name);

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
	await_one_state("at the end");
}

static void world(const struct step *steps, int n)
{
	memset(&w, 0, sizeof(w));
	signal(SIGCHLD, SIG_IGN);
	mkdir("/tmp/w", 0755);
	for (int t = 0; t < MODEL_TREES; t++)
		for (int i = 0; i < MODEL_MOUNTS; i++)
			mkdir(mount_dir(t, i), 0755);
	actors_init(&w);
	await_one_state("at the beginning");
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
