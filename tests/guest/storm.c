// SPDX-License-Identifier: GPL-2.0-only
/*
 * storm: everything at once, on several CPUs and nodes, for the debug kernel to look at: directories
 * come and go, tasks are moved, forked, make threads, open files, call exec, exit, are killed; what
 * containers may have is changed; hierarchies are mounted, rebound and unmounted; files are read
 * and polled; agents are told of the empty; tasks get namespaces and with them containers. (jobs 4n2 4n2@debug)
 *
 * Takes STORM_SECONDS (default 10, times 6 in the debug kernel). Choices follow from --seed: each worker
 * draws from a stream of its own, so the same seed makes the same choices, in whatever order
 * the scheduler then takes them.
 *
 * At the end nothing may be left: no process, no container, nothing dying, no task and no file
 * that is counted where there is none.
 */
#include "lib-stress.h"
#include "accounting.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define TREES 3
#define NAMES 6
/* How the C library ends a program that may open no file. */
#define NO_LIBRARY 127

static const char *const options[TREES] = { "cpuacct", "bc,numtasks", "none,name=storm" };

/* What has come about, not what was tried: a storm in which nothing does finds nothing. */
enum kind { MKDIRS, RMDIRS, MOVES, ENTRIES, FORKS, THREADS, EXECS, KILLS, KILLED, SETTINGS, MOUNTS, REBINDINGS, AGENTS, NAMESPACES,
	    KINDS };

/*
 * With how many in ten seconds, of six times as long in the debug kernel, a run has been no storm: a 24th of what the
 * debug kernel was seen to do on two processors that had nothing else to do (1,095 directories): of that it did
 * a sixth with four other guests beside it (188).
 */
static const struct {
	const char *name;
	unsigned int floor;
} kinds[KINDS] = {
	[MKDIRS] = { "directories made", 45 },
	[RMDIRS] = { "directories removed", 43 },
	[MOVES] = { "moves of others", 7 },
	[ENTRIES] = { "moves of oneself", 60 },
	[FORKS] = { "children", 65 },
	[THREADS] = { "threads", 24 },
	[EXECS] = { "execs", 8 },
	/* each waits for the forks that have begun: two grace periods */
	[KILLS] = { "writes to kill", 25 },
	[KILLED] = { "children killed", 3 },
	[SETTINGS] = { "settings", 107 },
	[MOUNTS] = { "mounts", 17 },
	[REBINDINGS] = { "rebindings", 9 },
	[AGENTS] = { "agents", 1 },
	[NAMESPACES] = { "namespaces", 7 },
};

struct worker {
	void (*step)(struct worker *w);
	unsigned long *count;	/* of each kind, everybody's */
	char *root[TREES];
	unsigned int rand;
	double end;
	unsigned long steps;
};

/* What can go wrong here when somebody else was faster. */
static const int lost[] = { ENOENT, ENODEV, EEXIST, EBUSY, ENOTEMPTY, ESRCH, EAGAIN, EXDEV, 0 };
/* Of a move, too, when there are no CPUs or nodes, and no room for the file to write to. */
static const int no_room[] = { ENOENT, ENODEV, ESRCH, EAGAIN, ENOSPC, ENFILE, 0 };
/* Of a setting, when those around it have others. */
static const int no_fit[] = { ENOENT, ENODEV, EACCES, EBUSY, EINVAL, 0 };

static unsigned int draw(struct worker *w, unsigned int n)
{
	return draw_from(&w->rand, n);
}

static void add(struct worker *w, enum kind k, long n)
{
	__atomic_add_fetch(&w->count[k], n, __ATOMIC_RELAXED);
}

/* It did, or somebody was faster in one of the ways of ALLOWED. */
static void did(struct worker *w, enum kind k, int err, const char *what, const int *allowed)
{
	may(err, what, allowed);
	add(w, k, !err);
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
	case 0: did(w, RMDIRS, remove_dir(dir), "rmdir", lost); break;
	case 1:
		snprintf(to, sizeof(to), "%.*s/c%u", (int)(strchr(dir + 5, '/') - dir), dir, draw(w, NAMES));
		if (strcmp(dir, to) && strncmp(dir, to, strlen(to)) && strncmp(dir, to, strlen(dir)))
			may(rename_dir(dir, to), "rename", lost);
		break;
	default: did(w, MKDIRS, make_dir(dir), "mkdir", lost);
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
		did(w, MOVES, write_file(some_file(w, process ? "procs" : "tasks"), line), "move", no_room);
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
	int made = 0, ends[2];
	char *mem;

	for (unsigned int i = draw(w, 3); i; i--)
		did(w, ENTRIES, write_file(some_file(w, draw(w, 4) ? "tasks" : "procs"), "0"), "enter", no_room);
	switch (draw(w, 8)) {
	case 0:
		/* nobody needs to read that there was no room for libc.so */
		close(STDERR_FILENO);
		add(w, EXECS, 1);
		execl("/bin/true", "true", NULL);
		add(w, EXECS, -1);
		_exit(errno == ENFILE ? NO_LIBRARY : 2);
	case 1:
		for (int i = 0; i < 3; i++)
			made += !pthread_create(&thread[made], NULL, short_thread, w);
		add(w, THREADS, made);
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
	case 5:
		for (unsigned int i = draw(w, 30); i; i--)
			if (pipe(ends))
				may(errno, "pipe", no_room);
		/* who makes what is charged here, and who has it last */
		if (fork() == 0)
			write_file(some_file(w, "tasks"), "0");
		break;
	case 6:
		did(w, NAMESPACES, unshare(CLONE_NEWUTS | CLONE_NEWIPC) ? errno : 0, "unshare", no_room);
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
		add(w, FORKS, 1);
	}
	for (int i = 0; i < n; i++) {
		status = wait_for(pid[i]);
		ck_assert_msg(status == 0 || status == 128 + SIGKILL || status == NO_LIBRARY,
			      "child %d ended with status %d", pid[i], status);
		add(w, KILLED, status == 128 + SIGKILL);
	}
}

static void kills(struct worker *w)
{
	did(w, KILLS, write_file(some_file(w, "kill"), "1"), "kill", lost);
	usleep(draw(w, 20000));
}

/* What tasks may have, or where they may be, changes below them. */
static void settings(struct worker *w)
{
	static const struct {
		const char *file, *text[4];
	} set[] = {
		{ "cpuset.cpus", { "0-3", "0-1", "1-3", "2" } },
		{ "cpuset.cpu_exclusive", { "0", "1", "0", "0" } },
		{ "memset.mems", { "0-1", "0-1", "0", "1" } },
		{ "memset.memory_migrate", { "0", "1", "0", "1" } },
		{ "memset.memory_spread_page", { "0", "1", "0", "1" } },
		{ "numtasks.limit", { "max", "20", "3", "0" } },
		{ "numtasks.shares", { "max_shares=-3", "max_shares=50", "child_shares_divisor=10",
				       "min_shares=1,max_shares=100" } },
		{ "bc.set", { "numfiles max max", "numfiles 20 30", "numfiles 3 5", "numfiles 0 0" } },
		{ "bc.defaults", { "numfiles 256 512", "numfiles 10 20", "numfiles max max", "numfiles 256 512" } },
		{ "bc.reset", { "1", "1", "1", "1" } },
		/* an agent is a shell, which costs more than all else here */
		{ "notify_on_release", { "0", "1", "0", "0" } },
		{ "cpu.shares", { "max_shares=-3", "max_shares=50", "child_shares_divisor=10",
				  "min_shares=1,max_shares=100" } },
	};
	unsigned int i = draw(w, sizeof(set) / sizeof(set[0]));

	did(w, SETTINGS, write_file(some_file(w, set[i].file), set[i].text[draw(w, 4)]), set[i].file, no_fit);
}

/* Mounts of the trees that are there, of one more that comes and goes, and rebindings. */
static void mounts(struct worker *w)
{
	static const char *const more[] = { "cpuacct", "memory", "none,name=storm", "none,name=more",
					    "cpuacct,memory", "nosuch" };
	static const char *const lists[] = { "cpuacct", "memory", "cpuacct,memory", "cpuset,memset", "bc", "numtasks",
					     "bc,numtasks", "cpuset,bc", "memset,numtasks", "memory,memset,numtasks",
					     "cpuacct,cpuset,memset,bc,numtasks", "cpu", "cpu,bc",
					     "cpuacct,memory,cpu,numtasks" };
	static char *dir;
	int err;

	if (!dir)
		dir = new_dir();
	if (draw(w, 3) == 0) {
		/* each of the two wants what the other has: some of these are refused */
		err = mount("none", w->root[draw(w, 2)], "container", MS_REMOUNT, lists[draw(w, sizeof(lists) / sizeof(lists[0]))]) ? errno : 0;
		did(w, REBINDINGS, err, "remount", lost);
		return;
	}
	err = mount("none", dir, "container", 0, more[draw(w, 6)]) ? errno : 0;
	did(w, MOUNTS, err, "mount", lost);
	if (err)
		return;
	if (!make_dir(at(dir, "m%u", w->rand & 3)))
		may(remove_dir(at(dir, "m%u", w->rand & 3)), "rmdir", lost);
	expect(unmount(dir), 0);
}

static void reads(struct worker *w)
{
	static const char *const files[] = { "tasks", "procs", "events", "why", "releasable", "notify_on_release",
					     "cpuacct.usage", "cpuacct.stat", "memory.stat", "memory.anon_pages",
					     "cpuset.effective_cpus", "memset.mems", "numtasks.stats", "bc.set", "cpu.weight" };
	char *text = NULL;

	if (!try_read(some_file(w, files[draw(w, sizeof(files) / sizeof(files[0]))]), &text))
		free(text);
	text = NULL;
	if (draw(w, 8) == 0 && !try_read("/proc/user_beancounters", &text))
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

/* What is still counted in a container that has no task; at the end files have nobody either. */
static unsigned long counted(const char *dir)
{
	DIR *files = opendir(dir);
	struct dirent *entry;
	unsigned long n = 0;
	char *text;

	ck_assert_ptr_ne(files, NULL);
	while ((entry = readdir(files))) {
		size_t len = strlen(entry->d_name);
		bool held = !strncmp(entry->d_name, "bc.", 3) && len > 5 && !strcmp(entry->d_name + len - 5, ".held");

		/* files' pages stay in the page cache, whoever goes */
		if (held || !strcmp(entry->d_name, "memory.anon_pages"))
			n += read_u64(at(dir, "%s", entry->d_name));
	}
	closedir(files);
	if (!try_read(at(dir, "numtasks.stats"), &text)) {
		n += strtoul(text + strlen("numtasks: Current usage "), NULL, 10);
		free(text);
	}
	return n;
}

/* No subsystem has a state of a container that is no more. */
static bool is_settled(void)
{
	struct subsystem_row rows[64];
	int n = read_subsystems(rows, 64);

	for (int i = 0; i < n; i++)
		if (rows[i].states != rows[i].containers)
			return false;
	return true;
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
			empty &= !counted(path) && !remove_dir(path);
		}
	return empty;
}

/* Agents of one tree, which leave a byte each; they are beside init, where /tmp is another. */
static char agent_log[] = "/var/tmp/storm.XXXXXX";

static void agents_begin(const char *root)
{
	char *path = at("/var/tmp", "storm-agent.%d", getpid()), *text;
	int fd = mkstemp(agent_log);

	ck_assert_int_ge(fd, 0);
	close(fd);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(asprintf(&text, "#!/bin/sh\nprintf x >>%s\n", agent_log), 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	expect(write_file(at(root, "release_agent"), path), 0);
}

static unsigned long agents_end(const char *root)
{
	unsigned long n;

	expect(write_file(at(root, "release_agent"), "\n"), 0);
	n = strlen(read_file(agent_log));
	unlink(agent_log);
	unlink(at("/var/tmp", "storm-agent.%d", getpid()));
	return n;
}

TEST_LIMIT(everything_at_once, 900)
{
	static void (*const steps[])(struct worker *w) = { directories, directories, move_others, forks, forks, forks,
							   kills, settings, mounts, reads, watches };
	static const char *const names[] = { "directories", "directories", "moves", "forks", "forks", "forks",
					     "kills", "settings", "mounts", "reads", "watches" };
	const int n = sizeof(steps) / sizeof(steps[0]);
	double seconds = seconds_of("STORM_SECONDS", 10 * lib_slow);
	struct worker *w = mmap(NULL, n * sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int groups = nr_groups();
	int before = processes();
	char *root[TREES];
	pid_t pid[16];

	ck_assert_ptr_ne(w, MAP_FAILED);
	ck_assert_ptr_ne(count, MAP_FAILED);
	for (int t = 0; t < TREES; t++)
		root[t] = mount_hierarchy(options[t]);
	agents_begin(root[TREES - 1]);
	mount_hierarchy("ns");
	for (int i = 0; i < n; i++) {
		w[i] = (struct worker){ steps[i], count, { root[0], root[1], root[2] }, lib_seed * 31 + i,
					now() + seconds, 0 };
		pid[i] = start(work, &w[i]);
	}
	for (int i = 0; i < n; i++) {
		finish(pid[i]);
		printf("# %s: %lu steps\n", names[i], w[i].steps);
	}
	count[AGENTS] = agents_end(root[TREES - 1]);
	for (int k = 0; k < KINDS; k++)
		printf("# %lu %s\n", count[k], kinds[k].name);
	for (int k = 0; k < KINDS; k++)
		ck_assert_msg(count[k] >= kinds[k].floor * seconds / lib_slow / 10, "%lu %s: that was no storm",
			      count[k], kinds[k].name);
	for (int t = 0; t < TREES; t++)
		eventually(clear(root[t]), 10);
	eventually(hierarchy_of("ns").containers == 1, 10);
	eventually(processes() == before, 10);
	eventually(nr_groups() == groups, 10);
	eventually(is_settled(), 10);
}
