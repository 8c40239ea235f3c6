// SPDX-License-Identifier: GPL-2.0-only
/* See lib-memory.h. */
#include "lib-memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* Every word of every page differs, and from seed to seed. */
static void fill(unsigned long *page, unsigned long index, unsigned long seed)
{
	for (unsigned int i = 0; i < PAGE / sizeof(*page); i++)
		page[i] = seed * 0x9e3779b97f4a7c15UL + index * PAGE + i;
}

static void expect_page(const unsigned long *page, unsigned long index, unsigned long seed)
{
	unsigned long want[PAGE / sizeof(*page)];

	fill(want, index, seed);
	ck_assert_msg(!memcmp(page, want, PAGE), "page %lu is not what was written", index);
}

static void serve(void *arg)
{
	struct actor *a = arg;
	char byte;

	while (read(a->child_wire, &byte, 1) == 1 && a->fn) {
		a->fn(a);
		if (write(a->child_wire, &byte, 1) != 1)
			return;
	}
}

/* Not there yet: the memory that it shares with us, and a wire. */
static struct actor *new_actor(int *ends)
{
	struct actor *a = mmap(NULL, sizeof(*a), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(a, MAP_FAILED);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	memset(a, 0, sizeof(*a));
	a->seed = 1;
	a->wire = ends[0];
	a->child_wire = ends[1];
	return a;
}

struct actor *actor_in(const char *container)
{
	int ends[2];
	struct actor *a = new_actor(ends);

	a->pid = start_in(container, serve, a);
	close(ends[1]);
	return a;
}

struct actor *actor_born_in(const char *container, const char *home)
{
	int ends[2];
	struct actor *a = new_actor(ends);

	enter(container);
	a->pid = start(serve, a);
	enter(home);
	close(ends[1]);
	return a;
}

void act_begin(struct actor *a, void (*fn)(struct actor *a), unsigned long arg)
{
	a->fn = fn;
	a->arg = arg;
	ck_assert_int_eq(write(a->wire, "x", 1), 1);
}

unsigned long act_end(struct actor *a)
{
	char byte;

	ck_assert_msg(read(a->wire, &byte, 1) == 1, "actor %d failed or died", a->pid);
	return a->result;
}

unsigned long act(struct actor *a, void (*fn)(struct actor *a), unsigned long arg)
{
	act_begin(a, fn, arg);
	return act_end(a);
}

void dismiss(struct actor *a)
{
	a->fn = NULL;
	ck_assert_int_eq(write(a->wire, "x", 1), 1);
	close(a->wire);
	finish(a->pid);
}

void touch(struct actor *a)
{
	a->pages = a->arg;
	a->mem = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	for (unsigned long i = 0; i < a->pages; i++)
		fill((unsigned long *)(a->mem + i * PAGE), i, a->seed);
}

void touch_and_mlock(struct actor *a)
{
	touch(a);
	ck_assert_int_eq(mlock(a->mem, a->pages * PAGE), 0);
}

void check(struct actor *a)
{
	for (unsigned long i = 0; i < a->pages; i++)
		expect_page((unsigned long *)(a->mem + i * PAGE), i, a->seed);
}

void rewrite(struct actor *a)
{
	for (unsigned long i = 0; i < a->arg; i++)
		fill((unsigned long *)(a->mem + i * PAGE), i, a->seed);
}

void populate(struct actor *a)
{
	for (unsigned long i = 0; i < a->arg; i++)
		ck_assert_msg(!madvise(a->mem, a->pages * PAGE, MADV_POPULATE_READ),
			      "MADV_POPULATE_READ: %s", error_name(errno));
}

void release(struct actor *a)
{
	ck_assert_int_eq(munmap(a->mem, a->pages * PAGE), 0);
	a->pages = 0;
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	ck_assert_msg(fd >= 0, "%s: %s", path, error_name(errno));
	return fd;
}

void read_whole(struct actor *a)
{
	static char buf[16 * PAGE];
	int fd = open_file(a->path, O_RDONLY);

	for (unsigned long i = 0; i < a->arg; i++) {
		lseek(fd, 0, SEEK_SET);
		while (read(fd, buf, sizeof(buf)) > 0)
			;
	}
	close(fd);
}

void map_whole(struct actor *a)
{
	int fd = open_file(a->path, O_RDONLY);
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	a->pages = st.st_size / PAGE;
	a->mem = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	close(fd);
	for (unsigned long i = 0; i < a->pages; i++)
		expect_page((unsigned long *)(a->mem + i * PAGE), i, a->seed);
}

static void write_pages(const char *path, unsigned long pages, unsigned long seed)
{
	unsigned long page[PAGE / sizeof(unsigned long)];
	int fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);

	for (unsigned long i = 0; i < pages; i++) {
		fill(page, i, seed);
		ck_assert_msg(write(fd, page, PAGE) == PAGE, "%s: %s", path, error_name(errno));
	}
	close(fd);
}

void write_whole(struct actor *a)
{
	write_pages(a->path, a->arg, a->seed);
}

void check_whole(struct actor *a)
{
	unsigned long page[PAGE / sizeof(unsigned long)], i = 0;
	int fd = open_file(a->path, O_RDONLY);

	while (read(fd, page, PAGE) == PAGE)
		expect_page(page, i++, a->seed);
	close(fd);
	a->result = i;
}

void read_as(struct actor *a, const char *path)
{
	snprintf(a->path, sizeof(a->path), "%s", path);
	act(a, read_whole, 1);
}

char *mount_memory(void)
{
	static char buf[16 * PAGE];
	char *maps = read_file("/proc/self/maps"), *line, *path;

	for (char *rest = maps; (line = strsep(&rest, "\n"));) {
		int fd;

		path = strchr(line, '/');
		if (!path)
			continue;
		fd = open_file(path, O_RDONLY);
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
	}
	free(maps);
	return mount_hierarchy("memory");
}

char *make_disk(unsigned int mb)
{
	char *image = strdup("/tmp/disk.img"), *dir = strdup("/tmp/disk");
	int fd = open_file(image, O_WRONLY | O_CREAT);
	int status;

	ck_assert_int_eq(ftruncate(fd, (off_t)mb << 20), 0);
	close(fd);
	expect(make_dir(dir), 0);
	status = system("PATH=/usr/sbin:/sbin:$PATH; mkfs.ext4 -q -F -b 4096 -m 0 -O ^has_journal "
			"/tmp/disk.img && mount -o loop /tmp/disk.img /tmp/disk");
	ck_assert_msg(status == 0, "no disk: mkfs.ext4 or mount -o loop ended with status %d",
		      status);
	return dir;
}

char *make_data(const char *dir, const char *name, unsigned long pages)
{
	char *path = at(dir, "%s", name);

	write_pages(path, pages, 1);
	drop_cached(path);
	ck_assert_uint_eq(cached_pages(path), 0);
	return path;
}

void drop_cached(const char *path)
{
	int fd = open_file(path, O_RDWR);

	ck_assert_int_eq(fsync(fd), 0);
	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	close(fd);
}

unsigned long cached_pages(const char *path)
{
	int fd = open_file(path, O_RDONLY);
	unsigned long pages, found = 0;
	unsigned char *vec;
	struct stat st;
	void *mem;

	ck_assert_int_eq(fstat(fd, &st), 0);
	pages = st.st_size / PAGE;
	vec = malloc(pages + 1);
	mem = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(mem, MAP_FAILED);
	ck_assert_int_eq(mincore(mem, st.st_size, vec), 0);
	munmap(mem, st.st_size);
	close(fd);
	for (unsigned long i = 0; i < pages; i++)
		found += vec[i] & 1;
	free(vec);
	return found;
}

/* Calls WANTED for each entry of the actor's pages in /proc/PID/pagemap. */
static unsigned long count_pages(struct actor *a, bool (*wanted)(uint64_t entry, int bit), int bit)
{
	int fd = open_file(at("/proc", "%d/pagemap", a->pid), O_RDONLY);
	unsigned long found = 0;
	uint64_t entry;

	for (unsigned long i = 0; i < a->pages; i++) {
		off_t offset = ((unsigned long)a->mem / PAGE + i) * sizeof(entry);

		ck_assert_int_eq(pread(fd, &entry, sizeof(entry), offset), sizeof(entry));
		found += wanted(entry, bit);
	}
	close(fd);
	return found;
}

static bool entry_bit(uint64_t entry, int bit)
{
	return entry >> bit & 1;
}

static bool entry_flag(uint64_t entry, int bit)
{
	static int fd = -1;
	uint64_t pfn = entry & ((1ULL << 55) - 1), flags;

	if (fd < 0)
		fd = open_file("/proc/kpageflags", O_RDONLY);
	if (!entry_bit(entry, 63))
		return false;
	ck_assert_int_eq(pread(fd, &flags, sizeof(flags), pfn * sizeof(flags)), sizeof(flags));
	return flags >> bit & 1;
}

uint64_t *frames_of(struct actor *a)
{
	int fd = open_file(at("/proc", "%d/pagemap", a->pid), O_RDONLY);
	ssize_t size = a->pages * sizeof(uint64_t);
	uint64_t *frame = malloc(size);

	ck_assert_int_eq(pread(fd, frame, size, (uintptr_t)a->mem / PAGE * sizeof(*frame)), size);
	close(fd);
	for (unsigned long i = 0; i < a->pages; i++)
		frame[i] = frame[i] >> 63 ? frame[i] & ((1ULL << 55) - 1) : 0;
	return frame;
}

unsigned long resident(struct actor *a)
{
	return count_pages(a, entry_bit, 63);
}

unsigned long swapped_out(struct actor *a)
{
	return count_pages(a, entry_bit, 62);
}

unsigned long count_flag(struct actor *a, int bit)
{
	return count_pages(a, entry_flag, bit);
}

/* Bits of /proc/kpageflags. */
#define KPF_MMAP 11
#define KPF_SWAPCACHE 13

unsigned long only_in_swap_cache(void)
{
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	static uint64_t flags[512];
	unsigned long found = 0;
	ssize_t got;

	ck_assert_int_ge(fd, 0);
	while ((got = read(fd, flags, sizeof(flags))) > 0)
		for (unsigned int i = 0; i < got / sizeof(*flags); i++)
			found += (flags[i] >> KPF_SWAPCACHE & 1) && !(flags[i] >> KPF_MMAP & 1);
	close(fd);
	return found;
}

void drain_batches(void)
{
	expect(write_file("/proc/sys/vm/compact_memory", "1\n"), 0);
}

/* These are called in loops without an end, so that they leave nothing behind. */
static unsigned long number_in(const char *container, const char *file)
{
	char *path = at(container, "%s", file);
	unsigned long number = read_u64(path);

	free(path);
	return number;
}

unsigned long anon_pages(const char *container)
{
	return number_in(container, "memory.anon_pages");
}

unsigned long file_pages(const char *container)
{
	return number_in(container, "memory.file_pages");
}

unsigned long stat_of(const char *container, const char *field)
{
	char *path = at(container, "memory.stat");
	unsigned long number = read_field(path, field);

	free(path);
	return number;
}

void pages_leave(const char *container)
{
	double end = now() + 20 * lib_slow;
	unsigned long anon, file;

	while (drain_batches(), anon = anon_pages(container), file = file_pages(container), anon + file) {
		need(now() < end, "%lu anonymous and %lu file pages are left; memory.files reads \"%s\"", anon, file,
		     read_file(at(container, "memory.files")));
		usleep(5000);
	}
}

void handler_rests(const char *container)
{
	unsigned long rounds;

	do {
		rounds = stat_of(container, "rounds");
		usleep(100000 * lib_slow);
	} while (stat_of(container, "rounds") != rounds);
}

void set_limit(const char *container, const char *limit)
{
	expect(write_file(at(container, "memory.page_limit"), limit), 0);
}

bool lists(const char *dir, const char *end)
{
	char *text = read_file(at(dir, "memory.files"));
	bool found = strstr(text, at("", " %s\n", end) + 1);

	free(text);
	return found;
}

char *container(const char *root, const char *name)
{
	char *dir = at(root, "%s", name);

	expect(make_dir(dir), 0);
	return dir;
}

char *container_with(const char *root, const char *name, const char *limit, const char *max)
{
	char *dir = container(root, name);

	if (limit)
		set_limit(dir, limit);
	if (max)
		expect(write_file(at(dir, "memory.page_max"), max), 0);
	return dir;
}

void no_swap(void)
{
	char *text = read_file("/proc/swaps"), *line = strchr(text, '\n');

	if (!line || line[1] != '/')
		return;
	line++;
	line[strcspn(line, " \t")] = 0;
	ck_assert_msg(!swapoff(line), "swapoff %s: %s", line, error_name(errno));
}

void expect_killed(struct actor *a)
{
	int status;

	ck_assert_int_eq(waitpid(a->pid, &status, 0), a->pid);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "wait status 0x%x, wanted SIGKILL", status);
	close(a->wire);
}
