// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a limit on memory costs, in each kernel's own words, with one CPU and swap.
 *
 * The limit is what a user sets who wants a job to stay below it and not to be killed: page_limit
 * here, memory.high of cgroup v2, memory.limit_in_bytes of v1, which has nothing softer. Who
 * works in the group is a child of its own; times come back through shared memory.
 */
#include "bench.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOT "/tmp/memory"
/* the working set of who is limited, in pages */
#define SET (32 * MB / PAGE)
#define NEIGHBOUR (16 * MB / PAGE)
#define OVER (64 * MB)
/* a file on the host of at least twice that; tools/bench.sh makes it */
const char *data_file;

static const struct words {
	const char *type, *subsystems, *limit, *none, *processes;
} words[] = {
	[CONTAINERS] = { "container", "memory", "memory.page_limit", "max", "procs" },
	[CGROUP1] = { "cgroup", "memory", "memory.limit_in_bytes", "-1", "cgroup.procs" },
	[CGROUP2] = { "cgroup2", "", "memory.high", "max", "cgroup.procs" },
};

/* What a child and this process have in common. */
static struct shared {
	double ns[BATCHES];
	int said, asked;
} *shared;

static void enter(const char *group)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", getpid());
	put(text, ROOT "/%s/%s", group, words[kind].processes);
}

static void group(const char *path)
{
	char dir[256];

	snprintf(dir, sizeof(dir), ROOT "/%s", path);
	make(dir);
}

/* cgroup v2: the groups below it can have limits. */
static void control(const char *path)
{
	if (kind == CGROUP2)
		put("+memory", ROOT "/%s/cgroup.subtree_control", path);
}

static unsigned long number_in(const char *group, const char *file)
{
	char path[256], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), ROOT "/%s/%s", group, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		die("%s: %s", path, strerror(errno));
	close(fd);
	return strtoul(text, NULL, 10);
}

/* bytes */
static unsigned long usage(const char *group)
{
	if (kind == CGROUP1)
		return number_in(group, "memory.usage_in_bytes");
	if (kind == CGROUP2)
		return number_in(group, "memory.current");
	return PAGE * (number_in(group, "memory.anon_pages") + number_in(group, "memory.file_pages"));
}

/* Bytes, 0 for none. cgroup v1 gives up with EBUSY after some tries, and is asked again. */
static void limit(const char *group, unsigned long bytes)
{
	uint64_t end = now() + 20000000000ull;
	char path[256], text[32];
	int fd, err = 0;

	snprintf(path, sizeof(path), ROOT "/%s/%s", group, words[kind].limit);
	if (!bytes)
		snprintf(text, sizeof(text), "%s", words[kind].none);
	else if (kind == CONTAINERS)
		snprintf(text, sizeof(text), "%lu", bytes / PAGE);
	else
		snprintf(text, sizeof(text), "%lu", bytes);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	while (write(fd, text, strlen(text)) < 0) {
		err = errno;
		if (err != EBUSY || now() > end)
			die("%s: writing %s: %s", path, text, strerror(err));
	}
	close(fd);
}

static void charge_at(int depth)
{
	char name[32], path[256] = "";
	double ns[BATCHES];

	snprintf(name, sizeof(name), "charge/%d", depth);
	if (!wanted(name))
		return;
	for (int i = 1; i <= depth; i++) {
		/* who has children that are limited has no processes in cgroup v2 */
		control(path);
		snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s%d", "d", i);
		group(path);
	}
	enter(path);
	ask(ns, 1, "charge", 30, NO_WORDS);
	ask(ns, batches(60), "charge", 30, NO_WORDS);
	report(name, ns, batches(60));
	put("0", ROOT "/%s", words[kind].processes);
}

static char *map(unsigned long pages)
{
	char *mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		die("mmap of %lu pages: %s", pages, strerror(errno));
	return mem;
}

/* The same order of pages in all kernels. */
static unsigned long any(unsigned long *state)
{
	*state = *state * 6364136223846793005ul + 1442695040888963407ul;
	return (*state >> 33) % SET;
}

/* Memory that is new, each page once, and then pages at random. */
static void write_pages(unsigned long *random)
{
	char *mem = map(SET);

	for (unsigned long i = 0; i < SET; i++)
		mem[i * PAGE] = 1;
	for (unsigned long i = 0; i < SET; i++)
		mem[any(random) * PAGE] = 2;
	munmap(mem, SET * PAGE);
}

static void read_pages(unsigned long *random)
{
	int fd = open(data_file, O_RDONLY | O_CLOEXEC);
	static char page[PAGE];

	if (fd < 0)
		die("%s: %s", data_file, strerror(errno));
	/* a page is a page: no readahead in either kernel */
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	for (unsigned long i = 0; i < SET; i++)
		if (pread(fd, page, PAGE, i * PAGE) != PAGE)
			die("%s: too short", data_file);
	for (unsigned long i = 0; i < SET; i++)
		if (pread(fd, page, PAGE, any(random) * PAGE) != PAGE)
			die("%s: too short", data_file);
	close(fd);
}

/* Nobody's pages, so that who reads it next is charged. */
static void forget_file(void)
{
	int fd = open(data_file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s; cure: run it with ./uml bench", data_file, strerror(errno));
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static void work(void *pass)
{
	void (*one)(unsigned long *random) = pass;
	unsigned long random = 1;
	uint64_t begin;

	enter("job");
	for (int i = 0; i < batches(5); i++) {
		begin = now();
		one(&random);
		shared->ns[i] = (double)(now() - begin) / (2 * SET);
	}
}

static void join(pid_t pid, const char *name)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		die("%s: its process ended with status 0x%x", name, status);
}

static void at_limit(const char *what, const char *how, unsigned long percent,
		     void (*pass)(unsigned long *random))
{
	char name[32];

	snprintf(name, sizeof(name), "%s/%s", what, how);
	if (!wanted(name))
		return;
	forget_file();
	limit("job", percent * SET * PAGE / 100);
	join(start(work, pass), name);
	report(name, shared->ns, batches(5));
	limit("job", 0);
}

/* Tells the parent that it is ready, and waits to be asked again. */
static void next_turn(void)
{
	int turn = __atomic_add_fetch(&shared->said, 1, __ATOMIC_RELEASE);

	while (__atomic_load_n(&shared->asked, __ATOMIC_ACQUIRE) < turn)
		usleep(1000);
}

static void wait_for_turn(int turn)
{
	uint64_t end = now() + 60000000000ull;

	while (__atomic_load_n(&shared->said, __ATOMIC_ACQUIRE) < turn) {
		if (now() > end)
			die("who fills 128 MB has not done it after 60 s");
		usleep(1000);
	}
}

static void fill_anon(void *unused)
{
	char *mem;

	(void)unused;
	enter("job");
	mem = map(2 * OVER / PAGE);
	for (;;) {
		for (unsigned long i = 0; i < 2 * OVER / PAGE; i++)
			mem[i * PAGE]++;
		next_turn();
	}
}

static void fill_file(void *unused)
{
	static char buf[MB];
	int fd = open(data_file, O_RDONLY | O_CLOEXEC);

	(void)unused;
	enter("job");
	for (;;) {
		lseek(fd, 0, SEEK_SET);
		for (unsigned long i = 0; i < 2 * OVER / MB; i++)
			if (read(fd, buf, MB) != MB)
				die("%s: shorter than 128 MB", data_file);
		next_turn();
	}
}

/* Nanoseconds that all tasks have run. */
static double cpu_of_all(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[300], text[64];
	double sum = 0;

	while ((entry = readdir(proc))) {
		int fd;

		if (!isdigit(entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		memset(text, 0, sizeof(text));
		if (read(fd, text, sizeof(text) - 1) > 0)
			sum += strtod(text, NULL);
		close(fd);
	}
	closedir(proc);
	return sum;
}

/*
 * 128 MB are in memory when the limit becomes 64: until the usage is below, and what all tasks
 * spent until nobody does anything any more, for each page that is gone.
 */
static void come_under(const char *what, void (*fill)(void *))
{
	double ns[BATCHES], freed[BATCHES], cpu;
	char under[32], per_page[32];
	int n = batches(5);
	unsigned long had;
	uint64_t begin;
	pid_t pid;

	snprintf(under, sizeof(under), "under64m/%s", what);
	snprintf(per_page, sizeof(per_page), "freed/%s", what);
	if (!wanted(under) && !wanted(per_page))
		return;
	forget_file();
	memset(shared, 0, sizeof(*shared));
	pid = start(fill, NULL);
	for (int i = 0; i < n; i++) {
		wait_for_turn(i + 1);
		had = usage("job");
		if (had < 2 * OVER - MB)
			die("%s: only %lu MB are charged", under, had / MB);
		cpu = cpu_of_all();
		begin = now();
		limit("job", OVER);
		while (usage("job") > OVER) {
			/* Linux's groups try some times, in who writes; nothing else goes on with it */
			if (kind != CONTAINERS)
				limit("job", OVER);
			if (now() - begin > 30000000000ull)
				die("%s: %lu MB after 30 s", under, usage("job") / MB);
			usleep(1000);
		}
		ns[i] = now() - begin;
		usleep(300000);
		freed[i] = (cpu_of_all() - cpu) / ((had - usage("job")) / PAGE);
		limit("job", 0);
		__atomic_add_fetch(&shared->asked, 1, __ATOMIC_RELEASE);
	}
	stop(pid);
	if (wanted(under))
		report(under, ns, n);
	if (wanted(per_page))
		report(per_page, freed, n);
}

/* What the neighbour does: all of its memory, once. Returns what a page took. */
static double look(char *mem)
{
	uint64_t begin = now();

	for (unsigned long i = 0; i < NEIGHBOUR; i++)
		mem[i * PAGE]++;
	return (double)(now() - begin) / NEIGHBOUR;
}

static void thrash(void *unused)
{
	unsigned long random = 1;

	(void)unused;
	enter("job");
	write_pages(&random);
}

/*
 * Who fits, after another group has worked: at a quarter of its working set, and with room for all of it, which
 * leaves the caches of the CPU as cold, and is what the first is to be compared with.
 */
static void neighbour(void)
{
	double alone[BATCHES], fitting[BATCHES], beside[BATCHES];
	int n = batches(5);
	char *mem;

	if (!wanted("neighbour/alone") && !wanted("neighbour/fitting") && !wanted("neighbour/beside"))
		return;
	forget_file();
	enter("neighbour");
	mem = map(NEIGHBOUR);
	/* or the forks below would make each page a copy on write */
	madvise(mem, NEIGHBOUR * PAGE, MADV_DONTFORK);
	look(mem);
	for (int i = 0; i < n; i++)
		alone[i] = look(mem);
	for (int i = 0; i < n; i++) {
		join(start(thrash, NULL), "neighbour/fitting");
		fitting[i] = look(mem);
		limit("job", SET * PAGE / 4);
		join(start(thrash, NULL), "neighbour/beside");
		beside[i] = look(mem);
		limit("job", 0);
	}
	munmap(mem, NEIGHBOUR * PAGE);
	put("0", ROOT "/%s", words[kind].processes);
	report("neighbour/alone", alone, n);
	report("neighbour/fitting", fitting, n);
	report("neighbour/beside", beside, n);
}

void limits(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	memset(shared, 0, sizeof(*shared));
	make(ROOT);
	if (mount("none", ROOT, words[kind].type, 0, words[kind].subsystems))
		die("mount -t %s: %s", words[kind].type, strerror(errno));
	control("");
	group("job");
	group("neighbour");
	charge_at(1);
	charge_at(4);
	charge_at(16);
	at_limit("fault", "free", 0, write_pages);
	at_limit("fault", "90", 90, write_pages);
	at_limit("fault", "50", 50, write_pages);
	at_limit("read", "free", 0, read_pages);
	at_limit("read", "90", 90, read_pages);
	at_limit("read", "50", 50, read_pages);
	come_under("file", fill_file);
	come_under("anon", fill_anon);
	neighbour();
}
