// SPDX-License-Identifier: GPL-2.0-only
/* Files of one run: the job disk, the swap disk, links for names that the kernel's parser would split. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run.h"

extern char **environ;

struct text {
	char *p;
	size_t len, room;
};

static void put(struct text *t, const char *s)
{
	size_t n = strlen(s) + 1;

	if (t->len + n > t->room) {
		t->room = (t->len + n) * 2;
		t->p = realloc(t->p, t->room);
		if (!t->p)
			usage_error("no memory for the job");
	}
	memcpy(t->p + t->len, s, n);
	t->len += n;
}

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return n == strcspn(b, "=") && !strncmp(a, b, n);
}

/* By an --env from the one numbered @from on: the last word on a name holds. */
static bool is_overridden(const struct options *o, const char *var, size_t from)
{
	for (size_t i = from; i < o->env.n; i++)
		if (same_name(var, o->env.v[i]))
			return true;
	return false;
}

/* The caller's environment, then what --env says. Return: the number of variables. */
static unsigned int put_environment(struct text *t, const struct options *o)
{
	static const char *const basic[] = { "TERM", "PATH", "HOME" };
	unsigned int n = 0;

	for (char **e = environ; *e; e++) {
		bool keep = !o->clean_env;

		for (size_t i = 0; i < sizeof(basic) / sizeof(*basic); i++)
			keep = keep || same_name(*e, basic[i]);
		if (!keep || is_overridden(o, *e, 0))
			continue;
		put(t, *e);
		n++;
	}
	for (size_t i = 0; i < o->env.n; i++) {
		const char *v = o->env.v[i];
		char *full = NULL;

		if (is_overridden(o, v, i + 1))
			continue;
		if (!strchr(v, '=') && asprintf(&full, "%s=%s", v, getenv(v)) < 0)
			usage_error("no memory for the job");
		put(t, full ? full : v);
		free(full);
		n++;
	}
	return n;
}

/* By the magic words of the file systems that the guest tries. */
static bool is_image(const char *path)
{
	unsigned char head[1082] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return false;
	good = read(fd, head, sizeof(head)) == sizeof(head) &&
	       (!memcmp(head, "hsqs", 4) || (head[1080] == 0x53 && head[1081] == 0xef));
	close(fd);
	return good;
}

static int root_option(struct run *r, struct join_job *j, char *root)
{
	struct stat st;
	char link[300];

	strcpy(root, "/");
	if (!r->opt.rootfs)
		return 0;
	if (!realpath(r->opt.rootfs, root) || stat(root, &st)) {
		say("--rootfs %s: %s", r->opt.rootfs, strerror(errno));
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		return 0;
	if (access(root, R_OK)) {
		say("--rootfs %s: %s", r->opt.rootfs, strerror(errno));
		return -1;
	}
	if (!is_image(root)) {
		say("--rootfs %s: neither a directory nor an image of ext4 or squashfs; mkfs.ext4 -d DIR "
		    "makes one", r->opt.rootfs);
		return -1;
	}
	j->flags |= JOIN_IMAGE;
	r->image = true;
	snprintf(link, sizeof(link), "%s/root", r->dir);
	return symlink(root, link);
}

static int write_at(int fd, const void *data, size_t len, off_t at)
{
	for (const char *p = data; len; ) {
		ssize_t n = pwrite(fd, p, len, at);

		if (n <= 0) {
			say("write the job disk in the temporary directory: %s: make room there or "
			    "name another with TMPDIR", strerror(errno));
			return -1;
		}
		p += n;
		at += n;
		len -= n;
	}
	return 0;
}

static int write_job(struct run *r, struct join_job *j, const struct text *t)
{
	char path[300];
	off_t ring;
	int err;

	snprintf(path, sizeof(path), "%s/job", r->dir);
	r->job_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (r->job_fd < 0) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	ring = JOIN_BLOCK + (t->len + JOIN_BLOCK - 1) / JOIN_BLOCK * JOIN_BLOCK;
	j->ring_offset = ring;
	j->text_len = t->len;
	if (write_at(r->job_fd, j, sizeof(*j), 0) || write_at(r->job_fd, t->p, t->len, JOIN_BLOCK))
		return -1;
	/* Blocks for the ring are taken now: a full disk must not become a SIGBUS later. */
	err = posix_fallocate(r->job_fd, ring, JOIN_RING + JOIN_BLOCK);
	if (err) {
		say("%s: no room for 1 MB: %s: %s", r->dir, strerror(err), err == EFBIG ? "raise ulimit -f" :
		    "make room there or name another directory with TMPDIR");
		return -1;
	}
	r->ring = mmap(NULL, JOIN_RING, PROT_READ | PROT_WRITE, MAP_SHARED, r->job_fd, ring);
	if (r->ring == MAP_FAILED) {
		say("map the job disk: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static int make_job(struct run *r)
{
	struct options *o = &r->opt;
	struct text t = { 0 };
	struct join_job j = { .magic = JOIN_MAGIC, .version = JOIN_VERSION };
	char cwd[PATH_MAX], root[PATH_MAX], limit[32] = "", tasks[32] = "";
	int err;

	memcpy(j.nonce, r->nonce, sizeof(j.nonce));
	if (root_option(r, &j, root))
		return -1;
	for (int i = 0; i < JOIN_STREAMS; i++)
		j.flags |= r->closed[i] ? JOIN_NO_STDIN << i : 0;
	j.flags |= (r->tty ? JOIN_TTY : 0) | (o->swap ? JOIN_SWAP : 0) |
		   (o->container ? JOIN_CONTAINER : 0) | (o->leaks ? JOIN_LEAKS : 0) |
		   (o->rootfs ? JOIN_OTHER_ROOT : 0);
	j.umask = umask(0);
	umask(j.umask);
	terminal_size(&j.winch);
	if (o->has_limit)
		snprintf(limit, sizeof(limit), "%llu", o->page_limit);
	if (o->tasks)
		snprintf(tasks, sizeof(tasks), "%u", o->tasks);
	put(&t, o->container ? o->container : "");
	put(&t, limit);
	put(&t, o->cpuset ? o->cpuset : "");
	put(&t, o->memset ? o->memset : "");
	put(&t, o->files ? o->files : "");
	put(&t, tasks);
	if (!getcwd(cwd, sizeof(cwd))) {
		say("warning: the current directory: %s: the command starts in /", strerror(errno));
		strcpy(cwd, "/");
	}
	put(&t, cwd);
	put(&t, root);
	while (o->argv[j.argc])
		put(&t, o->argv[j.argc++]);
	j.envc = put_environment(&t, o);
	err = write_job(r, &j, &t);
	free(t.p);
	return err;
}

/* What mkswap writes: one page, version 1, the number of the last page, the magic word. */
static int make_swap(struct run *r)
{
	struct {
		char boot[1024];
		uint32_t version, last_page, bad_pages;
		char uuid[16], label[16];
		uint32_t padding[117], bad[1];
		char rest[4096 - 1024 - 3 * 4 - 32 - 118 * 4 - 10];
		char magic[10];
	} __attribute__((packed)) h = { .version = 1, .last_page = r->opt.swap / 4096 - 1 };
	char path[300];
	int fd;

	_Static_assert(sizeof(h) == 4096, "a swap header is a page");
	if (!r->opt.swap)
		return 0;
	memcpy(h.magic, "SWAPSPACE2", sizeof(h.magic));
	memcpy(h.uuid, r->nonce, sizeof(h.uuid));
	if (host_free_bytes(r->dir) < r->opt.swap)
		say("warning: %s has %llu MB free, --swap is %llu MB: the guest gets write errors "
		    "if it uses all of it; name a roomier directory with TMPDIR", r->dir,
		    host_free_bytes(r->dir) >> 20, r->opt.swap >> 20);
	snprintf(path, sizeof(path), "%s/swap", r->dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, r->opt.swap & ~4095ull) ||
	    pwrite(fd, &h, sizeof(h), 0) != sizeof(h)) {
		say("make the swap disk %s: %s", path, strerror(errno));
		return -1;
	}
	close(fd);
	return 0;
}

int files_make(struct run *r)
{
	char link[300];

	/* A link, because the directory's own name may hold anything. */
	snprintf(link, sizeof(link), "%s/boot", r->dir);
	char target[PATH_MAX + 16];

	snprintf(target, sizeof(target), "%s/guest", r->self_dir);
	if (symlink(target, link)) {
		say("%s: %s", link, strerror(errno));
		return -1;
	}
	snprintf(r->log_path, sizeof(r->log_path), "%s/log", r->dir);
	r->log_fd = open(r->log_path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (r->log_fd < 0) {
		say("%s: %s", r->log_path, strerror(errno));
		return -1;
	}
	return make_job(r) || make_swap(r) ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path), 0;
}

void files_remove(const char *dir)
{
	if (*dir)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
