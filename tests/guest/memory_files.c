// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.files and num_files: which files, how many pages, under which name. Numbers are compared
 * with stat(2) and mincore(2). (jobs 1 4 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"
#include "lib-users.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static uint64_t num_files(const char *dir)
{
	return read_u64(at(dir, "memory.num_files"));
}

/* A line of memory.files. */
struct line {
	unsigned int major, minor;
	unsigned long long ino;
	long pages;
	char path[4096];
};

/* Calls FN for each line of TEXT; fails if they are not sorted by pages. Returns how many. */
static unsigned long each_line(char *text, void (*fn)(const struct line *line, void *arg), void *arg)
{
	unsigned long nr = 0;
	long last = 0;
	char *one;

	while ((one = strsep(&text, "\n")) && *one) {
		struct line line;

		ck_assert_msg(sscanf(one, "%u:%u %llu %ld %4095[^\n]", &line.major, &line.minor,
				     &line.ino, &line.pages, line.path) == 5, "a line: %s", one);
		ck_assert_msg(!nr || line.pages <= last, "%ld pages after %ld: %s", line.pages, last,
			      one);
		ck_assert_int_gt(line.pages, 0);
		last = line.pages;
		nr++;
		if (fn)
			fn(&line, arg);
	}
	return nr;
}

struct wanted {
	const char *path;	/* in the list */
	struct line found;
	int times;
	long sum;
};

static void look(const struct line *line, void *arg)
{
	struct wanted *w = arg;

	w->sum += line->pages;
	if (w->path && !strcmp(line->path, w->path)) {
		w->found = *line;
		w->times++;
	}
}

/* The pages that DIR's list has under the name PATH; 0: it is not in it. */
static long listed(const char *dir, const char *path)
{
	struct wanted w = { .path = path };
	char *text = read_file(at(dir, "memory.files"));

	each_line(text, look, &w);
	free(text);
	ck_assert_msg(w.times <= 1, "%s is %d times in %s/memory.files", path, w.times, dir);
	return w.times ? w.found.pages : 0;
}

static void expect_listed(const char *dir, const char *path, const char *file)
{
	struct wanted w = { .path = path };
	struct stat st;

	ck_assert_int_eq(stat(file, &st), 0);
	each_line(read_file(at(dir, "memory.files")), look, &w);
	ck_assert_msg(w.times == 1, "%s is %d times in %s/memory.files:\n%s", path, w.times, dir,
		      read_file(at(dir, "memory.files")));
	ck_assert_uint_eq(makedev(w.found.major, w.found.minor), st.st_dev);
	ck_assert_uint_eq(w.found.ino, st.st_ino);
	ck_assert_uint_eq(w.found.pages, cached_pages(file));
}

TEST(files_lists_what_is_cached)
{
	static const int sizes[] = { 100, 300, 200 };
	char *root = mount_memory(), *p = container(root, "p"), *a = container(p, "a");
	char *b = container(p, "b"), *disk = make_disk(16), *data[3];
	struct actor *actor = actor_in(a);
	uint64_t before;

	for (int i = 0; i < 3; i++)
		data[i] = make_data(disk, at("", "data%d", i) + 1, sizes[i]);
	before = num_files(a);
	for (int i = 0; i < 3; i++)
		read_as(actor, data[i]);
	ck_assert_uint_eq(num_files(a), before + 3);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(listed(a, data[i]), sizes[i]);
		expect_listed(a, data[i], data[i]);
		/* with descendants, as all numbers */
		expect_listed(p, data[i], data[i]);
		expect_listed(root, data[i], data[i]);
		ck_assert_int_eq(listed(b, data[i]), 0);
	}
	drop_cached(data[1]);
	ck_assert_int_eq(listed(a, data[1]), 0);
	ck_assert_uint_eq(num_files(a), before + 2);
	ck_assert_int_eq(listed(a, data[2]), 200);
	dismiss(actor);
	/* the parent takes them, and then has them once */
	expect(remove_dir(a), 0);
	expect_listed(p, data[0], data[0]);
	drop_cached(data[0]);
	drop_cached(data[2]);
	expect(remove_dir(b), 0);
	expect(remove_dir(p), 0);
}

TEST(sum_of_the_list_is_file_pages)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	struct wanted w = { };
	unsigned long nr;

	for (int i = 0; i < 50; i++) {
		snprintf(actor->path, sizeof(actor->path), "/tmp/file%d", i);
		act(actor, write_whole, 1 + i);
	}
	nr = each_line(read_file(at(a, "memory.files")), look, &w);
	ck_assert_uint_eq(nr, num_files(a));
	ck_assert_int_eq(w.sum, file_pages(a));
	ck_assert_int_ge(nr, 50);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(unlink(at("/tmp", "file%d", i)), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* A list that is far bigger than a page, read in pieces that fit no line. */
#define MANY 3000

static void make_many(struct actor *a)
{
	char path[256];
	int fd;

	for (unsigned long i = 0; i < a->arg; i++) {
		snprintf(path, sizeof(path), "%s/%lu", a->path, i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(write(fd, "x", 1), 1);
		close(fd);
	}
}

static void tick(const struct line *line, void *arg)
{
	unsigned char *seen = arg;
	char *end;
	long i;

	if (strncmp(line->path, "/tmp/many/", 10))
		return;
	i = strtol(line->path + 10, &end, 10);
	ck_assert(!*end && i >= 0 && i < MANY);
	ck_assert_msg(!seen[i]++, "%s is there twice", line->path);
}

TEST(big_lists_are_whole)
{
	char *root = mount_memory(), *a = container(root, "a"), *text;
	struct actor *actor = actor_in(a);
	unsigned char seen[MANY] = { };
	size_t have = 0, size = MANY * 200;
	ssize_t got;
	int fd;

	expect(make_dir("/tmp/many"), 0);
	strcpy(actor->path, "/tmp/many");
	act(actor, make_many, MANY);
	text = malloc(size);
	fd = open(at(a, "memory.files"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	while ((got = read(fd, text + have, 333)) > 0) {
		have += got;
		ck_assert_uint_lt(have + 333, size);
	}
	ck_assert_int_eq(got, 0);
	close(fd);
	text[have] = 0;
	ck_assert_uint_ge(each_line(text, tick, seen), MANY);
	for (int i = 0; i < MANY; i++)
		ck_assert_msg(seen[i], "/tmp/many/%d is not in the list", i);
	dismiss(actor);
	ck_assert_int_eq(system("rm -r /tmp/many"), 0);
	expect(remove_dir(a), 0);
}

/* A file that goes to and fro between a container and its parent is always there, once. */
static volatile int *stop_moving;
static char *upper, *lower;

static void move_to_and_fro(void *file)
{
	while (!*stop_moving) {
		expect(write_file(at(lower, "memory.addfile"), file), 0);
		expect(write_file(at(upper, "memory.addfile"), file), 0);
	}
}

TEST(list_is_one_moment)
{
	char *root = mount_memory();
	pid_t mover;

	upper = container(root, "p");
	lower = container(upper, "a");
	stop_moving = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(system("echo x >/tmp/file"), 0);
	expect(write_file(at(upper, "memory.addfile"), "/tmp/file"), 0);
	mover = start(move_to_and_fro, "/tmp/file");
	for (int i = 0; i < 500; i++)
		ck_assert_msg(listed(upper, "/tmp/file") == 1, "look %d: the file is not there", i);
	*stop_moving = 1;
	finish(mover);
	ck_assert_int_eq(unlink("/tmp/file"), 0);
	expect(remove_dir(lower), 0);
	expect(remove_dir(upper), 0);
}

/* What a reader whose root directory is DIR sees. */
static char *files_of, *wanted_line;

static void look_from(void *dir)
{
	int fd = open(at(files_of, "memory.files"), O_RDONLY | O_CLOEXEC);
	static char text[1 << 20];
	size_t have = 0;
	ssize_t got;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(chroot(dir) | chdir("/"), 0);
	while ((got = read(fd, text + have, sizeof(text) - have - 1)) > 0)
		have += got;
	ck_assert_int_eq(got, 0);
	ck_assert_msg(strstr(text, wanted_line), "no line has \"%s\":\n%s", wanted_line, text);
}

TEST(path_is_what_the_reader_could_open)
{
	char *root = mount_memory(), *a = container(root, "a"), *disk = make_disk(16);
	char *data = make_data(disk, "data", 30), *sub = at(disk, "sub");
	struct actor *actor = actor_in(a);

	expect(make_dir(sub), 0);
	read_as(actor, data);
	files_of = a;
	wanted_line = " 30 /tmp/disk/data\n";
	finish(start(look_from, "/"));
	wanted_line = " 30 /data\n";
	finish(start(look_from, disk));
	/* the same mount, but above the reader's root */
	wanted_line = " 30 (unreachable)/data\n";
	finish(start(look_from, sub));
	/* no mount of this file system at all: only the open file keeps it */
	int fd = open(data, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(umount2(disk, MNT_DETACH), 0);
	ck_assert_int_eq(listed(a, "(unreachable)/data"), 30);
	close(fd);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* Two names, each below another directory: whichever the kernel has first, who can open the other is told that one. */
TEST(any_name_will_do_that_the_reader_could_open)
{
	char *root = mount_memory(), *a = container(root, "a"), *disk = make_disk(16);
	char *one = at(disk, "one"), *other = at(disk, "other");
	struct actor *actor = actor_in(a);
	char *data;

	expect(make_dir(one), 0);
	expect(make_dir(other), 0);
	data = make_data(one, "data", 30);
	ck_assert_int_eq(link(data, at(other, "link")), 0);
	read_as(actor, data);
	files_of = a;
	wanted_line = " 30 /data\n";
	finish(start(look_from, one));
	wanted_line = " 30 /link\n";
	finish(start(look_from, other));
	/* a name that is gone is none */
	ck_assert_int_eq(unlink(at(other, "link")), 0);
	wanted_line = " 30 (unreachable)/one/data\n";
	finish(start(look_from, other));
	drop_cached(data);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

static void keep_deleted(struct actor *a)
{
	int fd = open(a->path, O_RDWR | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(a->path), 0);
	a->result = fd;
}

static void keep_memfd(struct actor *a)
{
	a->result = memfd_create("thing", MFD_CLOEXEC);
	ck_assert_int_ge((int)a->result, 0);
	ck_assert_int_eq(write(a->result, "x", 1), 1);
}

static void close_kept(struct actor *a)
{
	ck_assert_int_eq(close(a->arg), 0);
}

TEST(names_are_as_in_proc)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	int file, memfd;

	snprintf(actor->path, sizeof(actor->path), "/tmp/two\nlines");
	act(actor, write_whole, 7);
	ck_assert(lists(a, "7 /tmp/two\\012lines"));
	file = act(actor, keep_deleted, 0);
	/* readlink of /proc/PID/fd says the same, but does not escape */
	ck_assert(lists(a, "7 /tmp/two\\012lines (deleted)"));
	memfd = act(actor, keep_memfd, 0);
	ck_assert(lists(a, "1 /memfd:thing (deleted)"));
	act(actor, close_kept, file);
	act(actor, close_kept, memfd);
	/* another CPU's batch may still hold a page of theirs */
	drain_batches();
	ck_assert(!lists(a, "7 /tmp/two\\012lines (deleted)"));
	dismiss(actor);
	expect(remove_dir(a), 0);
}

static void alice_reads(void *dir)
{
	char *text;

	become(ALICE);
	expect(try_read(at(dir, "memory.files"), &text), 0);
	expect(try_read(at(dir, "../memory.files"), &text), EACCES);
}

TEST(only_the_owner_reads_the_list)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct stat st;

	ck_assert_int_eq(chmod("/tmp", 0755) | chmod(root, 0755), 0);
	ck_assert_int_eq(stat(at(a, "memory.files"), &st), 0);
	ck_assert_uint_eq(st.st_mode, S_IFREG | 0400);
	ck_assert_int_eq(chown(at(a, "memory.files"), ALICE, ALICE), 0);
	finish(start(alice_reads, a));
	ck_assert_int_ne(write_file(at(a, "memory.files"), "x"), 0);
	expect(remove_dir(a), 0);
}

/* Processes with the last reference to a file each, and who may pin it meanwhile. */
#define LAST 24
#define FREEZES 8

static struct {
	char *dir;
	int ready[2], go[2], disk;
} freeze;

/* It waits in there for the thaw, unless somebody else has the file just then. */
static void close_the_last(void *arg)
{
	char *path = at("/tmp/disk", "last%d", (int)(uintptr_t)arg), page[PAGE] = { 1 };
	int fd;

	expect(write_file(at(freeze.dir, "procs"), "0"), 0);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(write(fd, page, PAGE), PAGE);
	close(freeze.go[1]);
	ck_assert_int_eq(write(freeze.ready[1], page, 1), 1);
	ck_assert_int_eq(read(freeze.go[0], page, 1), 0);
	close(fd);
}

static void list_until_stopped(void *arg)
{
	close(freeze.go[1]);
	while (!*stop_moving)
		free(read_file(at(freeze.dir, "memory.files")));
	(void)arg;
}

static void thaw(void *arg)
{
	ck_assert_int_eq(ioctl(freeze.disk, FITHAW, 0), 0);
	(void)arg;
}

/* Not by finish(): whoever thaws may never come back. */
static void expect_thaw(void)
{
	pid_t pid = start(thaw, NULL);
	int status = -1;

	eventually(waitpid(pid, &status, WNOHANG) == pid, 10);
	ck_assert_int_eq(status, 0);
}

/*
 * The end of a file on a frozen file system waits for the thaw, and whoever looks at the list, or works on it, has what
 * that waits for: nobody's end may be his.
 */
TEST_FOR(list_beside_a_frozen_disk, 60, 4, 1)
{
	char *root = mount_memory(), byte;
	pid_t pid[LAST], reader[2];

	freeze.dir = container(root, "a");
	freeze.disk = open(make_disk(16), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(freeze.disk, 0);
	stop_moving = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int n = 0; n < FREEZES; n++) {
		ck_assert_int_eq(pipe2(freeze.ready, O_CLOEXEC) | pipe2(freeze.go, O_CLOEXEC), 0);
		*stop_moving = 0;
		for (int i = 0; i < LAST; i++)
			pid[i] = start(close_the_last, (void *)(uintptr_t)i);
		for (int i = 0; i < LAST; i++)
			ck_assert_int_eq(read(freeze.ready[0], &byte, 1), 1);
		ck_assert_int_ge(num_files(freeze.dir), LAST);
		ck_assert_int_eq(ioctl(freeze.disk, FIFREEZE, 0), 0);
		for (int i = 0; i < 2; i++)
			reader[i] = start(list_until_stopped, NULL);
		usleep(20000);
		/* all at once */
		close(freeze.go[1]);
		usleep(100000 * lib_slow);
		expect_thaw();
		*stop_moving = 1;
		for (int i = 0; i < 2; i++)
			finish(reader[i]);
		for (int i = 0; i < LAST; i++)
			finish(pid[i]);
		close(freeze.go[0]);
		close(freeze.ready[0]);
		close(freeze.ready[1]);
	}
	close(freeze.disk);
	expect(unmount("/tmp/disk"), 0);
	eventually(!remove_dir(freeze.dir), 10);
}
