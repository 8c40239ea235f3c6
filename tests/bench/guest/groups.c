// SPDX-License-Identifier: GPL-2.0-only
/*
 * What process groups cost, in each kernel's own words. NAME/H is with H hierarchies: 0 none, 1 with
 * the subsystems that both have, the others named ones without. NAME/all is with those too that only this
 * project has. This process and its children are in a group of each.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT "/tmp/groups"
#define TASKS 10000
#define OTHERS 2000
/* In a batch: some ticks long, so that each has its part of the groups that a grace period gives back. */
#define MOVES 50000

#define EVERYTHING "cpuset,memset,cpuacct,memory,numtasks,bc,cpu"

/* how each kernel names the same things; cgroup v2 has one hierarchy */
static const struct words {
	const char *type, *subsystems, *threads, *processes;
} words[] = {
	[CONTAINERS] = { "container", "cpuset,memset,cpuacct,memory,numtasks", "tasks", "procs" },
	[CGROUP1] = { "cgroup", "cpuset,cpuacct,memory,pids", "tasks", "cgroup.procs" },
	[CGROUP2] = { "cgroup2", "", "cgroup.threads", "cgroup.procs" },
};

void put(const char *text, const char *format, ...)
{
	char path[256];
	va_list ap;
	int fd;

	va_start(ap, format);
	vsnprintf(path, sizeof(path), format, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die("%s: writing '%s': %s", path, text, strerror(errno));
	close(fd);
}

void make(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST)
		die("mkdir %s: %s", path, strerror(errno));
}

/* A group of hierarchy @h; cpusets are born without CPUs and memory, but for cgroup v2's. */
static void group(int h, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), ROOT "%d/%s", h, name);
	make(path);
	if (h || kind == CGROUP2)
		return;
	put("0", "%s/cpuset.cpus", path);
	put("0", kind == CGROUP1 ? "%s/cpuset.mems" : "%s/memset.mems", path);
}

static void hierarchy(int h)
{
	char path[64], options[64];

	snprintf(path, sizeof(path), ROOT "%d", h);
	make(path);
	snprintf(options, sizeof(options), "none,name=bench%d", h);
	if (mount("none", path, words[kind].type, 0, h ? options : words[kind].subsystems))
		die("mount -t %s %s: %s", words[kind].type, path, strerror(errno));
	if (!h && kind == CGROUP2)
		put("+cpuset +memory +pids", "%s/cgroup.subtree_control", path);
	group(h, "bench");
	put("0", "%s/bench/%s", path, words[kind].processes);
}

static void forks(const char *hierarchies)
{
	char name[32];
	double ns[BATCHES];

	/*
	 * Who binds or moves holds a per-CPU semaphore for writing, and it is slow for all readers until a few
	 * grace periods later (kernel/rcu/sync.c), in either kind of kernel. Programs run for longer.
	 */
	sleep(1);
	snprintf(name, sizeof(name), "fork_hooks/%s", hierarchies);
	if (wanted(name)) {
		ask(ns, 1, "fork_hooks", 1000, NO_WORDS);
		ask(ns, batches(60), "fork_hooks", 1000, NO_WORDS);
		report(name, ns, batches(60));
	}
	snprintf(name, sizeof(name), "fork/%s", hierarchies);
	if (wanted(name)) {
		ask(ns, batches(60), "fork", 10, NO_WORDS);
		report(name, ns, batches(60));
	}
}

void sleeper(void *unused)
{
	(void)unused;
	for (;;)
		pause();
}

static int ready[2];
static int settled;

static void *settle(void *number)
{
	if (number)
		put("0", ROOT "0/g%ld/%s", (long)number, words[kind].threads);
	__atomic_add_fetch(&settled, 1, __ATOMIC_RELAXED);
	sleeper(NULL);
	return NULL;
}

struct crowd {
	int threads;
	bool apart;		/* each thread but the first in a group of its own */
};

static void be_a_crowd(void *arg)
{
	struct crowd *crowd = arg;
	pthread_attr_t attr;
	pthread_t one;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 16384);
	pthread_attr_setguardsize(&attr, 0);
	for (long i = 1; i < crowd->threads; i++)
		if (pthread_create(&one, &attr, settle, crowd->apart ? (void *)i : NULL))
			die("only %ld threads of %d; cure: more memory", i, crowd->threads);
	while (__atomic_load_n(&settled, __ATOMIC_RELAXED) < crowd->threads - 1)
		usleep(1000);
	if (write(ready[1], "", 1) == 1)
		sleeper(NULL);
}

/* A child with so many threads, when all are where they belong. */
pid_t start_crowd(int threads, bool apart)
{
	struct crowd crowd = { threads, apart };
	pid_t pid;
	char c;

	if (pipe(ready))
		die("pipe: %s", strerror(errno));
	/* a guest of 1 GB allows 8192 */
	put("20000", "/proc/sys/kernel/threads-max");
	pid = start(be_a_crowd, &crowd);
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		die("the process of %d threads is gone", threads);
	close(ready[0]);
	return pid;
}

/* a process of one thread goes there and back, by that file */
static void attach(const char *name, const char *file)
{
	double ns[BATCHES];
	pid_t pid;

	group(0, "a");
	group(0, "b");
	pid = start(sleeper, NULL);
	ask(ns, 1, "write", MOVES, ROOT "0/a/%s " ROOT "0/b/%s %d %d", file, file, pid, pid);
	ask(ns, batches(20), "write", MOVES, ROOT "0/a/%s " ROOT "0/b/%s %d %d", file, file, pid, pid);
	report(name, ns, batches(20));
	stop(pid);
}

/* the same, with so many groups of tasks besides */
static void attach_among_many(void)
{
	char name[16], path[64];
	pid_t pid;

	if (!wanted("attach/2000"))
		return;
	for (int i = 1; i < OTHERS; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		group(0, name);
	}
	pid = start_crowd(OTHERS, true);
	attach("attach/2000", words[kind].threads);
	stop(pid);
	for (int i = 1; i < OTHERS; i++) {
		snprintf(path, sizeof(path), ROOT "0/g%d", i);
		/* the last threads may still be on their way out */
		while (rmdir(path) && errno == EBUSY)
			usleep(1000);
	}
}

/* What /proc/cgroups says of a controller: its hierarchy and the number of groups there. */
static void cgroups_of(const char *controller, int *hierarchy, int *groups)
{
	FILE *file = fopen("/proc/cgroups", "re");
	char line[128], name[32];

	*hierarchy = *groups = -1;
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%31s %d %d", name, hierarchy, groups) == 3 && !strcmp(name, controller))
			break;
	if (file)
		fclose(file);
}

/* A hierarchy of v1 is unbound some time after its last group was freed, and that is some time after its rmdir. */
static void end_hierarchy(const char *path, const char *subsystem)
{
	int bound, groups, tries = 0;

	do {
		cgroups_of(subsystem, &bound, &groups);
		if (kind == CONTAINERS || groups == 1)
			break;
		usleep(10000);
	} while (tries++ < 1000);
	if (umount(path))
		die("umount %s: %s", path, strerror(errno));
	for (; kind == CGROUP1 && bound && tries < 1000; tries++) {
		usleep(10000);
		cgroups_of(subsystem, &bound, &groups);
	}
	if (tries >= 1000)
		die("%s is in hierarchy %d with %d groups still", subsystem, bound, groups);
}

/* Room for so many tasks more than this one. */
static void limit(int room)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", 1 + room);
	put(text, ROOT "x/bench/%s", kind == CONTAINERS ? "numtasks.limit" : "pids.max");
}

/* Less room than a CPU of ours would keep in stock for the next fork; and into the limit and back. */
static void forks_at_the_limit(void)
{
	double ns[BATCHES];

	limit(8);
	if (wanted("fork_hooks/near")) {
		ask(ns, 1, "fork_hooks", 1000, NO_WORDS);
		ask(ns, batches(60), "fork_hooks", 1000, NO_WORDS);
		report("fork_hooks/near", ns, batches(60));
	}
	limit(100);
	if (wanted("fork_hooks/edge")) {
		ask(ns, 1, "fork_edge", 10, NO_WORDS);
		ask(ns, batches(60), "fork_edge", 10, NO_WORDS);
		report("fork_hooks/edge", ns, batches(60));
	}
	limit(4);
	if (wanted("fork_hooks/full")) {
		ask(ns, 1, "fork_edge", 250, NO_WORDS);
		ask(ns, batches(60), "fork_edge", 250, NO_WORDS);
		report("fork_hooks/full", ns, batches(60));
	}
}

/* One hierarchy with only this subsystem, which is gone afterwards. v2 has but one hierarchy. */
static void forks_with(const char *hierarchies, const char *subsystem, void (*more)(void))
{
	if (kind == CGROUP2)
		return;
	make(ROOT "x");
	if (mount("none", ROOT "x", words[kind].type, 0, subsystem))
		die("mount -o %s: %s", subsystem, strerror(errno));
	make(ROOT "x/bench");
	put("0", ROOT "x/bench/%s", words[kind].processes);
	forks(hierarchies);
	if (more)
		more();
	put("0", ROOT "x/%s", words[kind].processes);
	if (rmdir(ROOT "x/bench"))
		die("rmdir " ROOT "x/bench: %s", strerror(errno));
	end_hierarchy(ROOT "x", subsystem);
}

static void ask_and_report(const char *name, const char *op, unsigned long count)
{
	double ns[BATCHES];

	ask(ns, 1, op, count, NO_WORDS);
	ask(ns, batches(60), op, count, NO_WORDS);
	report(name, ns, batches(60));
}

/* One hierarchy with only this subsystem, and this process DEPTH groups deep in it. */
static void enter_depth(const char *subsystem, int depth)
{
	char path[128] = ROOT "x";

	make(path);
	if (mount("none", path, words[kind].type, 0, subsystem))
		die("mount -o %s: %s", subsystem, strerror(errno));
	for (strcat(path, "/bench"); depth--; strcat(path, "/g"))
		make(path);
	path[strlen(path) - 2] = 0;
	put("0", "%s/%s", path, words[kind].processes);
}

/* And it is gone. */
static void leave_depth(const char *subsystem, int depth)
{
	char path[128];

	put("0", ROOT "x/%s", words[kind].processes);
	while (depth--) {
		strcpy(path, ROOT "x/bench");
		for (int i = 0; i < depth; i++)
			strcat(path, "/g");
		if (rmdir(path))
			die("rmdir %s: %s", path, strerror(errno));
	}
	end_hierarchy(ROOT "x", subsystem);
}

/* What counts tasks, and files, alone. */
static void counts(void)
{
	static const int depths[] = { 1, 4, 16 };
	const char *subsystem = kind == CONTAINERS ? "numtasks" : "pids";
	char name[32];

	if (kind == CGROUP2)
		return;
	if (kind == CONTAINERS && wanted("file_charge/0"))
		ask_and_report("file_charge/0", "file_charge", 10000);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "tasks_charge/%d", depths[i]);
		if (wanted(name)) {
			enter_depth(subsystem, depths[i]);
			ask_and_report(name, "tasks_charge", 10000);
			leave_depth(subsystem, depths[i]);
		}
		snprintf(name, sizeof(name), "file_charge/%d", depths[i]);
		if (kind == CONTAINERS && wanted(name)) {
			enter_depth("bc", depths[i]);
			ask_and_report(name, "file_charge", 10000);
			leave_depth("bc", depths[i]);
		}
	}
	enter_depth(subsystem, 1);
	limit(100);
	if (wanted("tasks_charge/edge"))
		ask_and_report("tasks_charge/edge", "tasks_edge", 10);
	limit(4);
	if (wanted("tasks_charge/full"))
		ask_and_report("tasks_charge/full", "tasks_edge", 250);
	leave_depth(subsystem, 1);
}

/* its list of threads: this process, and 10,000 of a child */
static void tasks(void)
{
	double ns[BATCHES];
	pid_t pid;

	if (!wanted("tasks"))
		return;
	pid = start_crowd(TASKS, false);
	ask(ns, batches(20), "read", 1, ROOT "0/bench/%s %d", words[kind].threads, TASKS + 1);
	report("tasks", ns, batches(20));
	stop(pid);
}

static void file(const char *name)
{
	double ns[BATCHES];

	if (!wanted(name))
		return;
	ask(ns, 1, "file", 1000, NO_WORDS);
	ask(ns, batches(60), "file", 1000, NO_WORDS);
	report(name, ns, batches(60));
}

void groups(void)
{
	double ns[BATCHES];
	int h = 0;

	forks("0");
	file("file/0");
	if (kind == VANILLA)
		return;
	forks_with("time", "cpuacct", NULL);
	forks_with("count", kind == CONTAINERS ? "numtasks" : "pids", forks_at_the_limit);
	counts();
	hierarchy(h++);
	forks("1");
	if (wanted("charge")) {
		ask(ns, batches(60), "charge", 30, NO_WORDS);
		report("charge", ns, batches(60));
	}
	/* v2 has no threads in groups of their own */
	if (wanted("attach/thread") && kind != CGROUP2)
		attach("attach/thread", words[kind].threads);
	if (wanted("attach/process"))
		attach("attach/process", words[kind].processes);
	if (kind != CGROUP2)
		attach_among_many();
	if (wanted("mkdir")) {
		ask(ns, batches(60), "mkdir", 4, ROOT "0/m");
		report("mkdir", ns, batches(60));
	}
	tasks();
	if (kind != CGROUP2) {
		while (h < 8)
			hierarchy(h++);
		forks("8");
	}
	if (kind == CONTAINERS) {
		if (mount("none", ROOT "0", words[kind].type, MS_REMOUNT, EVERYTHING))
			die("remount of %s: %s", ROOT "0", strerror(errno));
		forks("all");
	}
	/* with the files of this process counted, where somebody counts files */
	file("file/all");
}
