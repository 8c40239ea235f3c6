// SPDX-License-Identifier: GPL-2.0-only
/*
 * storm: everything at once, on several CPUs, for the debug kernel to look at: directories come and
 * go, tasks are moved, forked, make threads, call exec, exit, are killed; hierarchies are mounted,
 * rebound and unmounted; files are read and polled. (jobs 4 4@debug)
 *
 * Takes STORM_SECONDS (default 10, times 6 in the debug kernel). Choices follow from --seed: each worker
 * draws from a stream of its own, so the same seed makes the same choices, in whatever order
 * the scheduler then takes them.
 *
 * At the end nothing may be left: no process, no container, nothing dying.
 */
#include "lib-stress.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define TREES 3
#define NAMES 6

static const char *const options[TREES] = { "cpuacct", "none,name=second", "none,name=storm" };

struct worker {
	void (*step)(struct worker *w);
	char *root[TREES];
	unsigned int rand;
	double end;
	unsigned long steps;
	unsigned long rebindings;
};

/* What can go wrong here when somebody else was faster. */
static const int lost[] = { ENOENT, ENODEV, EEXIST, EBUSY, ENOTEMPTY, ESRCH, EAGAIN, EXDEV, 0 };

static unsigned int draw(struct worker *w, unsigned int n)
{
	return draw_from(&w->rand, n);
}

static char *some_dir(struct worker *w)
{
	static char path[256];
	char *root = w->root[draw(w, TREES)];
	unsigned int name = draw(w, NAMES), below = draw(w, 4);

	if (below)
		snprintf(path, sizeof(path), "%s/c%u", root, name);
	else
		snprintf(path, sizeof(path), "%s/c%u/d%u", root, name, draw(w, 2));
	return path;
}

static char *some_file(struct worker *w, const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", some_dir(w), name);
	return path;
}

static void directories(struct worker *w)
{
	char *dir = some_dir(w), to[256];

	switch (draw(w, 5)) {
	case 0: may(remove_dir(dir), "rmdir", lost); break;
	case 1:
		snprintf(to, sizeof(to), "%.*s/c%u", (int)(strchr(dir + 5, '/') - dir), dir, draw(w, NAMES));
		if (strcmp(dir, to) && strncmp(dir, to, strlen(to)) && strncmp(dir, to, strlen(dir)))
			may(rename_dir(dir, to), "rename", lost);
		break;
	default: may(make_dir(dir), "mkdir", lost);
	}
}

/* Somebody from one container to another, a thread or a process. */
static void move_others(struct worker *w)
{
	bool process = draw(w, 2);
	char *text = NULL, *p, *line;

	if (try_read(some_file(w, process ? "procs" : "tasks"), &text))
		return;
	for (p = text; (line = strsep(&p, "\n")) && *line;)
		may(write_file(some_file(w, process ? "procs" : "tasks"), line), "move", lost);
	free(text);
}

static void *short_thread(void *arg)
{
	struct worker *w = arg;

	usleep(draw(w, 2000));
	return NULL;
}

/* What a child does after it has gone to a few containers. */
static void live(struct worker *w)
{
	pthread_t thread[3];
	int made = 0;
	char *mem;

	for (unsigned int i = draw(w, 3); i; i--)
		may(write_file(some_file(w, draw(w, 4) ? "tasks" : "procs"), "0"), "enter", lost);
	switch (draw(w, 6)) {
	case 0:
		execl("/bin/true", "true", NULL);
		_exit(2);
	case 1:
		for (int i = 0; i < 3; i++)
			made += !pthread_create(&thread[made], NULL, short_thread, w);
		while (draw(w, 2) && made)
			pthread_join(thread[--made], NULL);
		break;
	case 2:
		/* an orphan, whose end nobody waits for */
		if (fork() == 0)
			usleep(draw(w, 3000));
		break;
	case 3:
		mem = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem != MAP_FAILED)
			memset(mem, 1, 64 * 4096);
		break;
	case 4:
		usleep(draw(w, 5000));
		break;
	}
	_exit(0);
}

/* No task may be lost: the death of each child is seen, by its own hand or by a kill. */
static void forks(struct worker *w)
{
	pid_t pid[4];
	int n = 1 + draw(w, 4), status;

	for (int i = 0; i < n; i++) {
		/* its own copy: what it draws must not depend on the scheduler */
		struct worker child = *w;

		draw(w, 1);
		pid[i] = fork();
		ck_assert_msg(pid[i] >= 0, "fork: %s", error_name(errno));
		if (!pid[i])
			live(&child);
	}
	for (int i = 0; i < n; i++) {
		status = wait_for(pid[i]);
		ck_assert_msg(status == 0 || status == 128 + SIGKILL, "child %d ended with status %d", pid[i], status);
	}
}

static void kills(struct worker *w)
{
	may(write_file(some_file(w, "kill"), "1"), "kill", lost);
	usleep(draw(w, 20000));
}

/* Mounts of the trees that are there, of one more that comes and goes, and rebindings. */
static void mounts(struct worker *w)
{
	static const char *const more[] = { "cpuacct", "memory", "none,name=storm", "none,name=more",
					    "cpuacct,memory", "nosuch" };
	static const char *const lists[] = { "cpuacct", "memory", "cpuacct,memory" };
	static char *dir;
	int err;

	if (!dir)
		dir = new_dir();
	if (draw(w, 3) == 0) {
		/* memory is nobody else's, but while it is mounted below */
		err = mount("none", w->root[0], "container", MS_REMOUNT, lists[draw(w, 3)]) ? errno : 0;
		may(err, "remount", lost);
		w->rebindings += !err;
		return;
	}
	err = mount("none", dir, "container", 0, more[draw(w, 6)]) ? errno : 0;
	may(err, "mount", lost);
	if (err)
		return;
	if (!make_dir(at(dir, "m%u", w->rand & 3)))
		may(remove_dir(at(dir, "m%u", w->rand & 3)), "rmdir", lost);
	expect(unmount(dir), 0);
}

static void reads(struct worker *w)
{
	static const char *const files[] = { "tasks", "procs", "events", "why", "releasable", "notify_on_release",
					     "cpuacct.usage", "cpuacct.stat", "memory.stat", "memory.anon_pages" };
	char *text = NULL;

	if (!try_read(some_file(w, files[draw(w, 10)]), &text))
		free(text);
	if (draw(w, 8) == 0)
		free(read_file("/proc/containers"));
	if (draw(w, 4) == 0)
		free(read_file("/proc/self/container"));
}

static void watches(struct worker *w)
{
	struct pollfd p = { .events = POLLPRI };
	char *path = some_file(w, "events"), buf[4096];
	int notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	p.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p.fd >= 0) {
		inotify_add_watch(notify, path, IN_MODIFY);
		if (read(p.fd, buf, sizeof(buf)) < 0)
			may(errno, "events", lost);
		poll(&p, 1, draw(w, 20));
		if (read(notify, buf, sizeof(buf)) < 0)
			may(errno, "inotify", lost);
		close(p.fd);
	}
	close(notify);
}

static void work(void *arg)
{
	struct worker *w = arg;

	for (; now() < w->end; w->steps++)
		w->step(w);
}

static int processes(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int n = 0;

	/* user processes have a command line: kernel threads come and go */
	while ((entry = readdir(proc))) {
		char *text = NULL;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		n += !try_read(at("/proc", "%s/cmdline", entry->d_name), &text) && text[0];
		free(text);
	}
	closedir(proc);
	return n;
}

/* Empties and removes what the workers left; true when nothing is. */
static bool clear(const char *dir)
{
	static const char *const shape[] = { "c%d/d0", "c%d/d1", "c%d" };
	bool empty = true;

	for (int i = 0; i < 3; i++)
		for (int c = 0; c < NAMES; c++) {
			char *path = at(dir, shape[i], c);

			if (!exists(path))
				continue;
			may(write_file(at(path, "kill"), "1"), "kill", lost);
			empty &= !remove_dir(path);
		}
	return empty;
}

TEST_LIMIT(everything_at_once, 900)
{
	static void (*const steps[])(struct worker *w) = { directories, directories, move_others, forks, forks, forks,
							   kills, mounts, reads, watches };
	static const char *const names[] = { "directories", "directories", "moves", "forks", "forks", "forks",
					     "kills", "mounts", "reads", "watches" };
	const int n = sizeof(steps) / sizeof(steps[0]);
	double seconds = seconds_of("STORM_SECONDS", 10 * lib_slow);
	struct worker *w = mmap(NULL, n * sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long rebindings = 0;
	int before = processes();
	char *root[TREES];
	pid_t pid[16];

	ck_assert_ptr_ne(w, MAP_FAILED);
	for (int t = 0; t < TREES; t++)
		root[t] = mount_hierarchy(options[t]);
	for (int i = 0; i < n; i++) {
		w[i] = (struct worker){ steps[i], { root[0], root[1], root[2] }, lib_seed * 31 + i, now() + seconds, 0, 0 };
		pid[i] = start(work, &w[i]);
	}
	for (int i = 0; i < n; i++) {
		finish(pid[i]);
		printf("# %s: %lu steps\n", names[i], w[i].steps);
		rebindings += w[i].rebindings;
	}
	printf("# %lu rebindings\n", rebindings);
	ck_assert_uint_gt(rebindings, 0);
	for (int t = 0; t < TREES; t++)
		eventually(clear(root[t]), 10);
	eventually(processes() == before, 10);
}
