// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to say where tasks run and where their memory is, in each kernel's own words. In a
 * guest with two CPUs and two nodes. cgroup v2 moves pages whenever the nodes of a group
 * change, so it has nothing to say where they stay.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT "/tmp/places"
#define PAGES (64 * MB / PAGE)

static const struct words {
	const char *type, *subsystems, *cpus, *mems, *migrate, *processes;
} words[] = {
	[CONTAINERS] = { "container", "cpuset,memset", "cpuset.cpus", "memset.mems",
			 "memset.memory_migrate", "procs" },
	[CGROUP1] = { "cgroup", "cpuset", "cpuset.cpus", "cpuset.mems", "cpuset.memory_migrate",
		      "cgroup.procs" },
	[CGROUP2] = { "cgroup2", "", "cpuset.cpus", "cpuset.mems", NULL, "cgroup.procs" },
};

static void group(const char *name, const char *cpus, const char *mems)
{
	char path[64];

	snprintf(path, sizeof(path), ROOT "/%s", name);
	make(path);
	put(cpus, "%s/%s", path, words[kind].cpus);
	put(mems, "%s/%s", path, words[kind].mems);
}

static void enter(const char *name, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	put(text, ROOT "/%s/%s", name, words[kind].processes);
}

static void set_up(void)
{
	make(ROOT);
	if (mount("none", ROOT, words[kind].type, 0, words[kind].subsystems))
		die("mount -t %s: %s", words[kind].type, strerror(errno));
	if (kind == CGROUP2)
		put("+cpuset", ROOT "/cgroup.subtree_control");
	group("a", "0", "0");
	group("b", "1", "1");
}

static void hooks(const char *forks, const char *pages)
{
	double ns[BATCHES];

	/* as in groups.c: a mount or a move makes forks slow for some grace periods */
	sleep(1);
	if (wanted(forks)) {
		ask(ns, 1, "fork_hooks", 1000, NO_WORDS);
		ask(ns, batches(60), "fork_hooks", 1000, NO_WORDS);
		report(forks, ns, batches(60));
	}
	if (wanted(pages)) {
		ask(ns, 1, "page", 1000, NO_WORDS);
		ask(ns, batches(60), "page", 1000, NO_WORDS);
		report(pages, ns, batches(60));
	}
}

/* there and back */
static void attach(void)
{
	const char *file = words[kind].processes;
	double ns[BATCHES];
	pid_t pid;

	if (!wanted("attach"))
		return;
	pid = start(sleeper, NULL);
	ask(ns, batches(60), "write", 20, ROOT "/a/%s " ROOT "/b/%s %d %d", file, file, pid, pid);
	report("attach", ns, batches(60));
	stop(pid);
}

static void change_cpus(void)
{
	const char *file = words[kind].cpus;
	double ns[BATCHES];
	pid_t pid;

	if (!wanted("cpus1000"))
		return;
	pid = start_crowd(1000, false);
	group("many", "0", "0");
	enter("many", pid);
	ask(ns, batches(60), "write", 4, ROOT "/many/%s " ROOT "/many/%s 1 0", file, file);
	report("cpus1000", ns, batches(60));
	stop(pid);
}

static char *memory;

static void hold(void *unused)
{
	(void)unused;
	enter("big", getpid());
	for (size_t i = 0; i < PAGES; i++)
		memory[i * PAGE] = 1;
	sleeper(NULL);
}

/* Are all of them there? */
static bool all_on(pid_t pid, int node)
{
	static void *address[PAGES];
	static int status[PAGES];

	for (size_t i = 0; i < PAGES; i++)
		address[i] = memory + i * PAGE;
	if (syscall(SYS_move_pages, pid, PAGES, address, NULL, status, 0))
		die("move_pages: %s", strerror(errno));
	for (size_t i = 0; i < PAGES; i++)
		if (status[i] != node)
			return false;
	return true;
}

/* 64 MB on node 0, in a group of its own */
static pid_t start_big(void)
{
	pid_t pid;

	group("big", "0", "0");
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap of 64 MB: %s", strerror(errno));
	pid = start(hold, NULL);
	for (int i = 0; !all_on(pid, 0); i++) {
		if (i == 3000)
			die("64 MB are not on node 0 after 30 s");
		usleep(10000);
	}
	return pid;
}

static void change_mems(void)
{
	const char *file = words[kind].mems;
	double ns[BATCHES];
	pid_t pid;

	if (kind == CGROUP2 || !wanted("mems64m/stay"))
		return;
	pid = start_big();
	ask(ns, batches(60), "write", 20, ROOT "/big/%s " ROOT "/big/%s 1 0", file, file);
	if (!all_on(pid, 0))
		die("mems64m/stay: they did not");
	report("mems64m/stay", ns, batches(60));
	stop(pid);
}

/* Who says that it is done before it is, is waited for. */
static void follow(void)
{
	int rounds = batches(20);
	double ns[BATCHES];
	uint64_t begin, end;
	pid_t pid;

	if (!wanted("mems64m/follow"))
		return;
	pid = start_big();
	if (words[kind].migrate)
		put("1", ROOT "/big/%s", words[kind].migrate);
	for (int i = 0; i < rounds; i++) {
		int node = !(i & 1);

		begin = now();
		put(node ? "1" : "0", ROOT "/big/%s", words[kind].mems);
		end = now();
		while (!all_on(pid, node)) {
			end = now();
			if (end - begin > 20000000000ull)
				die("mems64m/follow: not all of 64 MB are on node %d after 20 s", node);
		}
		ns[i] = end - begin;
	}
	report("mems64m/follow", ns, rounds);
	stop(pid);
}

void places(void)
{
	hooks("fork_hooks/out", "page/out");
	set_up();
	enter("a", getpid());
	hooks("fork_hooks/in", "page/in");
	put("0", ROOT "/%s", words[kind].processes);
	attach();
	change_cpus();
	change_mems();
	follow();
}
