// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verbs for the suites that run in the guest: files, hierarchies, processes.
 * lib-main.c runs the tests.
 */
#include "lib.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

double lib_slow = 1;
unsigned int lib_seed;

/* "EBUSY (Device or resource busy)", "success" for 0. */
const char *error_name(int err)
{
	static char text[4][80];
	static unsigned int turn;
	char *t = text[turn++ % 4];
	const char *name = strerrorname_np(err);

	if (!err)
		return "success";
	snprintf(t, sizeof(text[0]), "%s (%s)", name ? name : "no error code", strerror(err));
	return t;
}

char *at(const char *dir, const char *format, ...)
{
	char *name, *path;
	va_list args;

	va_start(args, format);
	if (vasprintf(&name, format, args) < 0)
		abort();
	va_end(args);
	if (asprintf(&path, "%s/%s", dir, name) < 0)
		abort();
	free(name);
	return path;
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* One write(2) of the whole text, as the kernel sees it. */
int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done;
	int err;

	if (fd < 0)
		return errno;
	done = write(fd, text, strlen(text));
	err = done < 0 ? errno : 0;
	close(fd);
	need(err || done == (ssize_t)strlen(text), "%s took %zd bytes of %zu",
		      path, done, strlen(text));
	return err;
}

int write_u64(const char *path, uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", (unsigned long long)value);
	return write_file(path, text);
}

int try_read(const char *path, char **text)
{
	size_t size = 1 << 16, have = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return errno;
	*text = malloc(size);
	need(*text, "no memory for %s", path);
	while ((got = read(fd, *text + have, size - have - 1)) > 0) {
		have += got;
		if (have + 1 == size)
			*text = realloc(*text, size *= 2);
		need(*text, "no memory for %s", path);
	}
	(*text)[have] = 0;
	close(fd);
	return got < 0 ? errno : 0;
}

char *read_file(const char *path)
{
	char *text = NULL;
	int err = try_read(path, &text);

	need(!err, "reading %s: got %s, wanted success", path, error_name(err));
	return text;
}

/* The whole file is one number and a newline. */
uint64_t read_u64(const char *path)
{
	char *text = read_file(path), *end;
	uint64_t value = strtoull(text, &end, 10);

	need(end != text && !strcmp(end, "\n"), "%s reads \"%s\", wanted one number and a newline",
		      path, text);
	free(text);
	return value;
}

/* The number after FIELD in a file of "field number" lines. */
uint64_t read_field(const char *path, const char *field)
{
	char *text = read_file(path), *line = text;
	size_t len = strlen(field);
	uint64_t value;

	while (line && !(!strncmp(line, field, len) && (line[len] == ' ' || line[len] == '\t' ||
							line[len] == ':'))) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	need(line, "%s has no line \"%s\": it reads \"%s\"", path, field, text);
	value = strtoull(line + len + 1, NULL, 10);
	free(text);
	return value;
}

uint64_t vmstat(const char *field)
{
	return read_field("/proc/vmstat", field);
}

bool exists(const char *path)
{
	return !access(path, F_OK);
}

int make_dir(const char *path)
{
	return mkdir(path, 0755) ? errno : 0;
}

int remove_dir(const char *path)
{
	return rmdir(path) ? errno : 0;
}

int rename_dir(const char *from, const char *to)
{
	return rename(from, to) ? errno : 0;
}

int directories_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int n = 0;

	need(d, "%s: %s", dir, error_name(errno));
	while ((entry = readdir(d)))
		n += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	closedir(d);
	return n;
}

char *new_dir(void)
{
	char *dir = strdup("/tmp/d.XXXXXX");

	need(mkdtemp(dir), "mkdtemp %s: %s", dir, error_name(errno));
	return dir;
}

/* With an error, *DIR is an empty directory. */
int try_mount(const char *options, char **dir)
{
	*dir = new_dir();
	return mount("none", *dir, "container", 0, options) ? errno : 0;
}

char *mount_hierarchy(const char *options)
{
	char *dir;
	int err = try_mount(options, &dir);

	need(!err, "mount -t container -o %s: got %s, wanted success",
		      options ? options : "(nothing)", error_name(err));
	return dir;
}

int unmount(const char *dir)
{
	return umount(dir) ? errno : 0;
}

typedef bool row_parser(char *line, void *rows, int i);

/* Calls PARSE for each line of one table of /proc/containers; returns the lines. */
static int read_table(const char *header, row_parser *parse, void *rows,
		      int max)
{
	char *text = read_file("/proc/containers"), *save = NULL, *line;
	bool inside = false;
	int n = 0;

	for (char *p = text; (line = strsep(&p, "\n"));) {
		if (inside && !*line)
			break;
		if (inside) {
			need(n < max, "/proc/containers has more than %d lines in \"%s\"", max, header);
			save = strdup(line);
			need(parse(line, rows, n++), "/proc/containers has the line \"%s\"", save);
			free(save);
		}
		if (!strncmp(line, header, strlen(header)))
			inside = true;
	}
	need(inside, "/proc/containers has no table \"%s\"", header);
	free(text);
	return n;
}

static bool parse_hierarchy(char *line, void *rows, int i)
{
	struct hierarchy_row *r = (struct hierarchy_row *)rows + i;

	r->subsystems[0] = 0;
	return sscanf(line, "%d %d %d %255s", &r->id, &r->containers, &r->dying, r->subsystems) == 4;
}

static bool parse_subsystem(char *line, void *rows, int i)
{
	struct subsystem_row *r = (struct subsystem_row *)rows + i;

	return sscanf(line, "%63s %d %d %d", r->name, &r->hierarchy, &r->containers,
		      &r->states) == 4;
}

int read_hierarchies(struct hierarchy_row *rows, int max)
{
	return read_table("hierarchy", parse_hierarchy, rows, max);
}

int read_subsystems(struct subsystem_row *rows, int max)
{
	return read_table("subsystem", parse_subsystem, rows, max);
}

bool in_list(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (!strncmp(p, word, len) && (p[len] == ',' || !p[len]))
			return true;
	return false;
}

/* The row of the hierarchy where SUBSYSTEM (or "name=X") is; id 0 when nowhere. */
struct hierarchy_row hierarchy_of(const char *subsystem)
{
	struct hierarchy_row rows[64], none = { 0 };
	int n = read_hierarchies(rows, 64);

	for (int i = 0; i < n; i++)
		if (in_list(rows[i].subsystems, subsystem))
			return rows[i];
	return none;
}

/* Removed containers are freed after a grace period and a worker: ask with eventually(). */
bool no_dying(const char *subsystem)
{
	return hierarchy_of(subsystem).dying == 0;
}

/* Of removed containers too, as long as something is charged to them. */
int states_of(const char *subsystem)
{
	struct subsystem_row rows[64];
	int n = read_subsystems(rows, 64);

	for (int i = 0; i < n; i++)
		if (!strcmp(rows[i].name, subsystem))
			return rows[i].states;
	return 0;
}

unsigned int nr_groups(void)
{
	return read_field("/proc/containers", "groups");
}

pid_t start(void (*fn)(void *), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	need(pid >= 0, "fork: got %s, wanted a child", error_name(errno));
	if (!pid) {
		fn(arg);
		_exit(0);
	}
	return pid;
}

struct entry {
	const char *container;
	void (*fn)(void *arg);
	void *arg;
	int ready;
};

static void enter_and_run(void *arg)
{
	struct entry *e = arg;

	enter(e->container);
	need(write(e->ready, "", 1) == 1, "pipe: %s", error_name(errno));
	close(e->ready);
	e->fn(e->arg);
}

/* Returns when the child is in the container. */
pid_t start_in(const char *container, void (*fn)(void *), void *arg)
{
	struct entry e = { container, fn, arg, -1 };
	int ends[2];
	pid_t pid;
	char byte;

	need(!pipe2(ends, O_CLOEXEC), "pipe: %s", error_name(errno));
	e.ready = ends[1];
	pid = start(enter_and_run, &e);
	close(ends[1]);
	need(read(ends[0], &byte, 1) == 1, "child %d did not get into %s", pid, container);
	close(ends[0]);
	return pid;
}

static void sleep_for_ever(void *arg __attribute__((unused)))
{
	for (;;)
		pause();
}

pid_t sleeper(void)
{
	return start(sleep_for_ever, NULL);
}

pid_t sleeper_in(const char *container)
{
	return start_in(container, sleep_for_ever, NULL);
}

/* The exit status, 128 + the signal for a killed child. */
int wait_for(pid_t pid)
{
	int status;
	pid_t got;

	do {
		got = waitpid(pid, &status, 0);
	} while (got < 0 && errno == EINTR);
	need(got == pid, "waitpid(%d): %s", pid, error_name(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void finish(pid_t pid)
{
	int status = wait_for(pid);

	need(!status, "child %d ended with status %d, wanted 0", pid, status);
}

void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	wait_for(pid);
}

void make_zombie(pid_t pid)
{
	siginfo_t info;

	need(!kill(pid, SIGKILL) && !waitid(P_PID, pid, &info, WEXITED | WNOWAIT), "killing %d: %s", pid,
	     error_name(errno));
}

/* The calling process moves itself. */
void enter(const char *container)
{
	expect(write_file(at(container, "procs"), "0\n"), 0);
}

int move_to(const char *container, pid_t pid)
{
	return write_u64(at(container, "procs"), pid);
}

bool has_line(const char *path, pid_t id)
{
	char *text = read_file(path), *p = text, *line;
	bool found = false;

	while ((line = strsep(&p, "\n")))
		if (*line && atoi(line) == id)
			found = true;
	free(text);
	return found;
}

/* The numbers in a list file; fails unless they rise strictly. */
int read_ids(const char *path, pid_t *ids, int max)
{
	char *text = read_file(path), *p = text, *line;
	int n = 0;

	while ((line = strsep(&p, "\n")) && *line) {
		need(n < max, "%s has more than %d lines", path, max);
		ids[n] = atoi(line);
		need(n == 0 || ids[n] > ids[n - 1], "%s: %d comes after %d, wanted sorted ids",
			      path, ids[n], ids[n - 1]);
		n++;
	}
	free(text);
	return n;
}

/* The path of /proc/PID/container in the hierarchy of SUBSYSTEM; NULL if there is no line. */
char *container_of_pid(pid_t pid, const char *subsystem)
{
	char *text = read_file(at("/proc", "%d/container", pid)), *p = text, *line;

	while ((line = strsep(&p, "\n"))) {
		char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = 0;
		if (in_list(list + 1, subsystem))
			return path;
	}
	return NULL;
}

/* Use the CPU until this thread has been given MS milliseconds of it. */
void burn_ms(unsigned int ms)
{
	struct timespec t;
	double end;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	end = t.tv_sec + t.tv_nsec / 1e9 + ms / 1e3;
	do {
		for (volatile int i = 0; i < 20000; i++)
			;
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	} while (t.tv_sec + t.tv_nsec / 1e9 < end);
}

/* A descriptor over a socket of socketpair(AF_UNIX), with a byte. */
void send_fd(int wire, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space,
			      .msg_controllen = sizeof(space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	need(sendmsg(wire, &msg, 0) == 1, "sendmsg: %s", error_name(errno));
}

int receive_fd(int wire)
{
	char space[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space,
			      .msg_controllen = sizeof(space) };
	int fd;

	need(recvmsg(wire, &msg, MSG_CMSG_CLOEXEC) == 1, "recvmsg: %s", error_name(errno));
	need(CMSG_FIRSTHDR(&msg), "recvmsg: no descriptor came");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

int nr_nodes(void)
{
	char *words = strstr(read_file("/proc/cmdline"), "numa=fake=");

	return words ? atoi(words + strlen("numa=fake=")) : 1;
}
