// SPDX-License-Identifier: GPL-2.0-only
/* What the host has to give: descriptors, directories, timers, a core. Each lack is told with its cure. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#define FILES_NEEDED 64u

/*
 * 0-2 must be open, else a pipe of ours lands there and CMD's output in it. What was
 * closed is remembered: CMD
 * finds it closed too.
 */
void host_fix_descriptors(struct run *r)
{
	for (int i = 0; i < JOIN_STREAMS; i++) {
		r->closed[i] = fcntl(i, F_GETFD) < 0;
		if (r->closed[i] && open("/dev/null", O_RDWR) != i)
			_exit(EXIT_RUNNER);
	}
}

unsigned long long host_free_bytes(const char *dir)
{
	struct statvfs v;

	if (statvfs(dir, &v))
		return 0;
	return (unsigned long long)v.f_bavail * v.f_frsize;
}

/* Guest memory is a file that gets mapped executable. Return: NULL, or why @dir cannot hold it. */
static const char *unfit_for_memory(const char *dir, unsigned long long need)
{
	static char why[160];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char name[PATH_MAX];
	void *p;

	if (fd < 0) {
		snprintf(name, sizeof(name), "%s/uml-run.XXXXXX", dir);
		fd = mkstemp(name);
		if (fd >= 0)
			unlink(name);
	}
	if (fd < 0)
		return strerror(errno);
	if (ftruncate(fd, 4096)) {
		close(fd);
		return strerror(errno);
	}
	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return errno == EPERM ? "it is mounted noexec" : strerror(errno);
	munmap(p, 4096);
	if (host_free_bytes(dir) < need) {
		snprintf(why, sizeof(why), "it has %llu MB free, the guest's --mem is %llu MB",
			 host_free_bytes(dir) >> 20, need >> 20);
		return why;
	}
	return NULL;
}

static int choose_memory(struct run *r)
{
	const char *dirs[] = { "/dev/shm", getenv("TMPDIR"), "/tmp", "/var/tmp" };
	char why[1024] = "";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		const char *bad;

		if (!dirs[i] || !*dirs[i])
			continue;
		bad = unfit_for_memory(dirs[i], r->opt.mem);
		if (!bad) {
			snprintf(r->mem_dir, sizeof(r->mem_dir), "%s", dirs[i]);
			return 0;
		}
		n += snprintf(why + n, sizeof(why) - n, "%s%s: %s", n ? "; " : "", dirs[i], bad);
		if (n >= sizeof(why))
			break;
	}
	say("no directory can hold the guest's memory: %s: name one with TMPDIR, or take a smaller "
	    "--mem", why);
	return -1;
}

/* The kernel's parsers split at spaces, commas and colons; a socket's path has 108 bytes. */
static bool plain(const char *s)
{
	return strlen(s) < 60 && *s == '/' &&
	       strspn(s, "/abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
	       strlen(s);
}

static int make_dir(struct run *r)
{
	const char *dirs[] = { getenv("TMPDIR"), "/tmp", "/var/tmp", "/dev/shm" };
	int err = ENOENT;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		if (!dirs[i] || !plain(dirs[i]))
			continue;
		snprintf(r->dir, sizeof(r->dir), "%s/uml-run.XXXXXX", dirs[i]);
		if (mkdtemp(r->dir))
			return 0;
		err = errno;
	}
	r->dir[0] = 0;
	say("no temporary directory: %s: make /tmp writable, or name a directory with TMPDIR",
	    strerror(err));
	return -1;
}

static int find_self(struct run *r)
{
	ssize_t n = readlink("/proc/self/exe", r->self_dir, sizeof(r->self_dir) - 1);

	if (n < 0) {
		say("/proc/self/exe: %s: /proc must be mounted", strerror(errno));
		return -1;
	}
	r->self_dir[n] = 0;
	*strrchr(r->self_dir, '/') = 0;
	return 0;
}

/* ./linux.uml of the tree that build/tools/uml-run belongs to, unless one was named. */
static int find_kernel(struct run *r)
{
	static char path[PATH_MAX + 32];
	struct stat st;

	if (!r->opt.kernel || !*r->opt.kernel) {
		snprintf(path, sizeof(path), "%s/../../linux.uml", r->self_dir);
		r->opt.kernel = path;
	}
	if (stat(r->opt.kernel, &st)) {
		say("the kernel %s: %s: build one with make, or name one with --kernel",
		    r->opt.kernel, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode) || access(r->opt.kernel, X_OK)) {
		say("the kernel %s: cannot be executed: it must be a UML kernel with mode +x on a "
		    "file system without noexec", r->opt.kernel);
		return -1;
	}
	return 0;
}

/* Told before the boot: what is written at the end would be lost. */
static int will_be_written(const char *option, const char *path)
{
	char dir[PATH_MAX];
	struct stat st;
	char *slash;
	int err = 0;

	if (!path)
		return 0;
	if (stat(path, &st)) {
		snprintf(dir, sizeof(dir), "%s", path);
		slash = strrchr(dir, '/');
		if (slash)
			slash[slash == dir] = 0;
		err = access(slash ? dir : ".", W_OK) ? errno : 0;
	} else if (S_ISDIR(st.st_mode)) {
		err = EISDIR;
	} else {
		err = access(path, W_OK) ? errno : 0;
	}
	if (err)
		say("%s %s: cannot be written: %s", option, path, strerror(err));
	return err ? -1 : 0;
}

int host_directories(struct run *r)
{
	char path[PATH_MAX + 32];

	if (find_self(r) || find_kernel(r))
		return -1;
	if (will_be_written("--log", r->opt.log) || will_be_written("--verdict", r->opt.verdict))
		return -1;
	snprintf(path, sizeof(path), "%s/guest/init", r->self_dir);
	if (access(path, X_OK)) {
		say("the guest's init %s: %s: run make tools", path, strerror(errno));
		return -1;
	}
	if (getrandom(r->nonce, sizeof(r->nonce), 0) != sizeof(r->nonce)) {
		say("getrandom: %s", strerror(errno));
		return -1;
	}
	return choose_memory(r) || make_dir(r) ? -1 : 0;
}

/* The runner has some twenty, and puts the kernel's two pipes above 30; the kernel itself takes all that it may. */
int host_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	if (limit.rlim_max < FILES_NEEDED) {
		say("open files: the limit is %llu, a guest takes %u: raise ulimit -n",
		    (unsigned long long)limit.rlim_max, FILES_NEEDED);
		return -1;
	}
	if (limit.rlim_cur < FILES_NEEDED) {
		limit.rlim_cur = FILES_NEEDED;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	return 0;
}

/*
 * Each CPU of the guest has a timer of the host's, and the host counts them among the signals that wait for this user.
 * A kernel that gets none says so somewhere and stops when it first waits for a while: so that many are
 * made and given back here.
 */
int host_timers(struct run *r)
{
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	struct rlimit limit;
	unsigned int n = 0;
	timer_t *timers = calloc(r->opt.cpus, sizeof(*timers));
	int err = timers ? 0 : errno;

	/* as high as it may be, for the kernel, too */
	if (!getrlimit(RLIMIT_SIGPENDING, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_SIGPENDING, &limit);
	}
	while (!err && n < r->opt.cpus)
		if (timer_create(CLOCK_MONOTONIC, &none, &timers[n]))
			err = errno;
		else
			n++;
	for (unsigned int i = 0; i < n; i++)
		timer_delete(timers[i]);
	free(timers);
	if (err)
		say("the host has timers for %u of %u CPUs: %s: it counts them with the signals of this user "
		    "(RLIMIT_SIGPENDING); raise ulimit -i, or run fewer guests or --cpus", n, r->opt.cpus,
		    strerror(err));
	return err ? -1 : 0;
}

static int claimed = -1;

/* Held until this process ends or gives it back, seen by every runner of the machine, leaves no file. */
static bool claim(int core, int level)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), len;

	if (fd < 0)
		return false;
	len = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "uml-run-core-%d-%d", core, level);
	if (!bind(fd, (struct sockaddr *)&a, offsetof(struct sockaddr_un, sun_path) + 1 + len)) {
		claimed = fd;
		return true;
	}
	close(fd);
	return false;
}

/* The core with the fewest guests on it, beginning anywhere. Return: it, or -1 for none. */
int host_core_take(struct run *r)
{
	cpu_set_t may;
	int cores[CPU_SETSIZE], n = 0;

	if (r->opt.cpus > 1 || !strcmp(r->opt.pin, "no") || sched_getaffinity(0, sizeof(may), &may))
		return -1;
	if (strcmp(r->opt.pin, "auto"))
		return atoi(r->opt.pin);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &may))
			cores[n++] = i;
	for (int level = 0; n && level < 64; level++)
		for (int i = 0; i < n; i++) {
			int core = cores[(i + r->nonce[0]) % n];

			if (claim(core, level))
				return core;
		}
	return n ? cores[r->nonce[0] % n] : -1;
}

/* The guest stays there, but others may take the core as if it were not. */
void host_core_give_back(void)
{
	if (claimed >= 0)
		close(claimed);
	claimed = -1;
}
