// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: many containers over their limits at once, with swap full, with the disk full (ext4 on ubd), while
 * tasks are killed, file systems unmounted, limits changed, and containers removed under pressure. Not a
 * byte may be wrong, and at the end nothing be left: neither a page, nor a container.
 * (uml-run --swap 64M --mem 256M) (jobs 2 4@debug)
 *
 * Takes MEMORY_STRESS_SECONDS (default 4, times 6 in the debug kernel). The guest's swap device becomes the disk;
 * swap is a smaller one, in memory, so that a process can keep it full.
 *
 * Beside them a crowd has a container with nothing but a page_max, which no reading may be above.
 *
 * Each worker has pages of its own memory, a file of tmpfs and one on the disk. A page says whose it is,
 * which, and how often it was written: begun and done are counted where all see it, so that after a kill in
 * the midst of a write there are two texts that a page may have, and no other.
 */
#include "accounting.h"
#include "lib-memory.h"
#include "lib-stress.h"
#include "stress_devices.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BOXES 12
#define WORKERS 8
#define PAGES 400		/* of each file, and of memory */
#define CROWD 4
#define FULL_MAX 500		/* of what they all want a third */
#define HOG (SWAP_MB * 256 + 1000)
#define OWNERS "/tmp/accounting/container_memory/owners"

enum { TMPFS, DISK, FILES };

struct count {
	atomic_uint begun[PAGES], done[PAGES];
};

static struct world {
	atomic_bool over;
	atomic_uint disk_full, refused, killed, removed, unmounted, claims, looks, swap_full, max_hits, ooms;
	struct count file[WORKERS][FILES];
} *world;

static char *root, *top;
static double end;

static void make_page(uint64_t *page, unsigned int who, unsigned int index, unsigned int times)
{
	page[0] = (uint64_t)(who + 1) << 48 | (uint64_t)index << 32 | times;
	for (unsigned int i = 1; i < PAGE / sizeof(*page); i++)
		page[i] = page[0] * 0x9e3779b97f4a7c15UL + i * 0xbf58476d1ce4e5b9UL;
}

/* How often it was written; a page of a hole never was. */
static unsigned int times_of(const uint64_t *page, unsigned int who, unsigned int index, const char *where)
{
	uint64_t want[PAGE / sizeof(*page)] = { 0 };

	if (page[0])
		make_page(want, who, index, (uint32_t)page[0]);
	need(!memcmp(page, want, PAGE), "%s: page %u of worker %u is not what was written", where, index, who);
	return page[0];
}

static char *path_of(unsigned int who, int file)
{
	static char path[64];

	snprintf(path, sizeof(path), "/tmp/%s/w%u", file == DISK ? "disk" : "files", who);
	return path;
}

/* One that is there or not, whatever it then says. */
static char *some_box(unsigned int *rand)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/c%u", top, draw_from(rand, BOXES));
	return path;
}

static void count_error(int err, int file)
{
	if (err == ENOSPC && file == DISK)
		atomic_fetch_add(&world->disk_full, 1);
	else if (err == ENOMEM)
		atomic_fetch_add(&world->refused, 1);
	else
		ck_abort_msg("a file of %s: %s", file == DISK ? "the disk" : "tmpfs", error_name(err));
}

/*
 * Reads a page, and so settles what it has become if somebody was killed, or refused, while it was
 * written. Returns false where there is no room to read it.
 */
static bool read_page(int fd, unsigned int who, int file, unsigned int index)
{
	struct count *count = &world->file[who][file];
	unsigned int begun = atomic_load(&count->begun[index]), done = atomic_load(&count->done[index]), times;
	uint64_t page[PAGE / sizeof(uint64_t)] = { 0 };
	ssize_t got = pread(fd, page, PAGE, (off_t)index * PAGE);

	if (got < 0) {
		count_error(errno, file);
		return false;
	}
	need(got == 0 || got == PAGE, "%s: %zd bytes of page %u", path_of(who, file), got, index);
	times = times_of(page, who, index, path_of(who, file));
	need(times == begun || times == done, "%s: page %u is that of write %u, wanted %u or %u", path_of(who, file), index,
	     times, done, begun);
	atomic_store(&count->done[index], times);
	atomic_store(&count->begun[index], times);
	return true;
}

/* A number that no text of this page has had: what a refused write was to be counts, too. */
static unsigned int next_times(void)
{
	static unsigned int times;

	return ++times << 16 | (getpid() & 0xffff);
}

static void write_page(int fd, unsigned int who, int file, unsigned int index)
{
	struct count *count = &world->file[who][file];
	/* in one page: of two, the second in swap, Linux writes the first half, and a kill leaves it at that */
	_Alignas(PAGE) uint64_t page[PAGE / sizeof(uint64_t)];
	unsigned int times = next_times();
	ssize_t got;

	if (!read_page(fd, who, file, index))
		return;
	make_page(page, who, index, times);
	atomic_store(&count->begun[index], times);
	got = pwrite(fd, page, PAGE, (off_t)index * PAGE);
	if (got == PAGE) {
		atomic_store(&count->done[index], times);
		return;
	}
	need(got < 0, "%s: %zd bytes written of page %u", path_of(who, file), got, index);
	count_error(errno, file);
}

static int open_of(unsigned int who, int file)
{
	int fd = open(path_of(who, file), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		count_error(errno, file);
	return fd;
}

static void truncate_file(int fd, unsigned int who, int file)
{
	struct count *count = &world->file[who][file];

	/* a page that nobody could read since somebody was killed is still of two texts: no third */
	for (int i = 0; i < PAGES; i++)
		if (!read_page(fd, who, file, i))
			return;
	for (int i = 0; i < PAGES; i++)
		atomic_store(&count->begun[i], 0);
	if (ftruncate(fd, 0)) {
		count_error(errno, file);
		return;
	}
	for (int i = 0; i < PAGES; i++)
		atomic_store(&count->done[i], 0);
}

static void use_file(unsigned int who, int file, unsigned int *rand)
{
	unsigned int first = draw_from(rand, PAGES), n = 1 + draw_from(rand, 150), what = draw_from(rand, 20);
	int fd = open_of(who, file);

	if (fd < 0)
		return;
	if (what == 0)
		truncate_file(fd, who, file);
	else if (what == 1 && fsync(fd))
		count_error(errno, file);
	for (unsigned int i = first; what > 1 && i < first + n && i < PAGES && !atomic_load(&world->over); i++)
		if (what < 12)
			write_page(fd, who, file, i);
		else
			read_page(fd, who, file, i);
	close(fd);
}

static void check_file(unsigned int who, int file)
{
	int fd = open_of(who, file);

	for (unsigned int i = 0; fd >= 0 && i < PAGES; i++)
		read_page(fd, who, file, i);
	if (fd >= 0)
		close(fd);
}

/* The same through page tables. */
static void check_mapped(unsigned int who, int file)
{
	int fd = open_of(who, file);
	struct stat st;
	uint64_t *mem;

	if (fd < 0)
		return;
	need(!fstat(fd, &st), "fstat: %s", error_name(errno));
	mem = st.st_size ? mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	close(fd);
	if (mem == MAP_FAILED)
		return;
	for (unsigned int i = 0; i < st.st_size / PAGE; i++) {
		struct count *count = &world->file[who][file];
		unsigned int times = times_of(mem + i * (PAGE / sizeof(*mem)), who, i, "mapped");

		need(times == atomic_load(&count->begun[i]) || times == atomic_load(&count->done[i]),
		     "%s: page %u is mapped as that of write %u", path_of(who, file), i, times);
	}
	munmap(mem, st.st_size);
}

/* Memory of a worker: PAGES pages, and how often each was written. */
static uint64_t *mem;
static unsigned int written[PAGES];

static void use_memory(unsigned int who, unsigned int *rand)
{
	unsigned int first = draw_from(rand, PAGES), n = draw_from(rand, 200);
	bool writes = draw_from(rand, 2);

	for (unsigned int i = first; i < first + n && i < PAGES && !atomic_load(&world->over); i++) {
		uint64_t *page = mem + i * (PAGE / sizeof(*mem));

		need(times_of(page, who, i, "memory") == written[i], "memory: page %u is not that of write %u", i, written[i]);
		if (writes)
			make_page(page, who, i, ++written[i]);
	}
}

/* A child has the same pages, until it writes. */
static void fork_once(unsigned int who, unsigned int *rand)
{
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		need(errno == ENOMEM || errno == EAGAIN, "fork: %s", error_name(errno));
		return;
	}
	if (!pid) {
		use_memory(who, rand);
		_exit(0);
	}
	need(waitpid(pid, &status, 0) == pid, "waitpid: %s", error_name(errno));
	need(!status || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL), "a child: wait status 0x%x", status);
}

/* What may come of a container that has just gone, or of a page_max. */
static const int lost[] = { ENOENT, ENODEV, EEXIST, EBUSY, ENOTEMPTY, ESRCH, ENOMEM, 0 };

static void worker(void *arg)
{
	unsigned int who = (long)arg, rand = lib_seed + who + getpid() * 16;

	mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(mem != MAP_FAILED);
	may(put(some_box(&rand), "procs", "0"), "enter", lost);
	check_file(who, TMPFS);
	check_file(who, DISK);
	while (!atomic_load(&world->over)) {
		int file = draw_from(&rand, FILES);

		switch (draw_from(&rand, 12)) {
		case 0: check_file(who, file); break;
		case 1: check_mapped(who, file); break;
		case 2: fork_once(who, &rand); break;
		case 3: may(put(some_box(&rand), "procs", "0"), "move", lost); break;
		case 4:
			may(put(some_box(&rand), draw_from(&rand, 3) ? "memory.addfile" : "memory.rmfile", path_of(who, file)),
			    "claim", lost);
			atomic_fetch_add(&world->claims, 1);
			break;
		case 5: case 6: case 7: use_memory(who, &rand); break;
		default: use_file(who, file, &rand);
		}
	}
}

/* Has more than all swap takes, and touches it until then; then nothing, so that there is room again. */
static void hog(void *arg)
{
	char *pages;

	(void)arg;
	enter(at(top, "hog"));
	while (!atomic_load(&world->over)) {
		pages = mmap(NULL, HOG * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		need(pages != MAP_FAILED, "mmap: %s", error_name(errno));
		for (int i = 0; i < HOG && !atomic_load(&world->over); i++)
			pages[i * PAGE] = 1 + i;
		for (int i = 0; i < HOG && !atomic_load(&world->over); i++)
			need(pages[i * PAGE] == (char)(1 + i), "page %d of the hog's is not what was written", i);
		usleep(500000 * lib_slow);
		munmap(pages, HOG * PAGE);
	}
}

/* With others it wants more than their page_max, and while swap is full somebody dies of it. */
static void crowd(void *arg)
{
	unsigned int who = (long)arg, rand = lib_seed + getpid() * 16;

	enter(at(top, "full"));
	mem = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert(mem != MAP_FAILED);
	while (!atomic_load(&world->over))
		use_memory(who, &rand);
}

/*
 * Nobody changes that one, and only memory is charged there: what CPUs have not told and each of them charges before
 * it looks again, and a page for each of the crowd that charges, or dies, just then.
 */
static void look_at_full(void)
{
	static char *full;
	unsigned long pages, most;

	full = full ?: at(top, "full");
	pages = anon_pages(full);
	most = FULL_MAX + 3 * stat_of(full, "unflushed_bound") + 2 * CROWD;
	need(pages <= most, "%lu pages at a page_max of %d, wanted at most %lu", pages, FULL_MAX, most);
	atomic_store(&world->max_hits, stat_of(full, "max_hits"));
	atomic_store(&world->ooms, stat_of(full, "ooms"));
}

/* Containers come, are changed, are emptied and go. */
static void change(unsigned int *rand)
{
	static const char *const limits[] = { "100", "300", "600", "max" }, *const most[] = { "500", "1500", "max", "max" };
	char *box = strdup(some_box(rand)), *beside = some_box(rand), *path = NULL, *text = NULL, *rest, *line;

	switch (draw_from(rand, 5)) {
	case 0: may(put(box, "memory.page_limit", limits[draw_from(rand, 4)]), "page_limit", lost); break;
	case 1: may(put(box, "memory.page_max", most[draw_from(rand, 4)]), "page_max", lost); break;
	case 2: may(put(box, "memory.overlimit", draw_from(rand, 3) ? "reclaim" : "deactivate"), "overlimit", lost); break;
	case 3: may(make_dir(box), "mkdir", lost); break;
	default:
		path = at(box, "procs");
		if (try_read(path, &text))
			break;
		for (rest = text; (line = strsep(&rest, "\n")) && *line;)
			may(put(beside, "procs", line), "move away", lost);
		if (!remove_dir(box)) {
			atomic_fetch_add(&world->removed, 1);
			may(make_dir(box), "mkdir again", lost);
		}
		free(text);
	}
	free(path);
	free(box);
}

static void manager(void *arg)
{
	unsigned int rand = lib_seed + (long)arg;

	while (!atomic_load(&world->over)) {
		change(&rand);
		usleep(5000 * lib_slow);
	}
}

/* A file system comes, gets pages that a box owns, and is unmounted with them in memory. */
static void mounter(void *arg)
{
	unsigned int rand = lib_seed + 99;
	char page[PAGE], *dir = "/tmp/come", *file = "/tmp/come/data";

	(void)arg;
	while (!atomic_load(&world->over)) {
		int fd, i;

		may(put(some_box(&rand), "procs", "0"), "enter", lost);
		need(!mount("/dev/come", dir, draw_from(&rand, 2) ? "tmpfs" : "ext4", 0, NULL), "mount: %s", error_name(errno));
		fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		/* at a page_max a file system may have no room for its own pages, either */
		need(fd >= 0 || errno == ENOMEM, "%s: %s", file, error_name(errno));
		memset(page, 'm', PAGE);
		for (i = 0; fd >= 0 && i < 200 && pwrite(fd, page, PAGE, i * PAGE) == PAGE; i++)
			;
		for (int j = 0; j < i; j++)
			if (pread(fd, page, PAGE, j * PAGE) > 0)
				need(page[j] == 'm', "%s: page %d is not what was written", file, j);
		if (fd >= 0)
			close(fd);
		/* a list that is printed uses mounts, and so does a handler that looks at the file */
		while (umount2(dir, 0))
			need(errno == EBUSY, "umount: %s", error_name(errno));
		atomic_fetch_add(&world->unmounted, 1);
		usleep(20000 * lib_slow);
	}
}

/* Reads what others change. */
static void reader(void *arg)
{
	static const char *const files[] = { "files", "stat", "anon_pages", "events" };
	unsigned int rand = lib_seed + 77;
	double next = now();

	(void)arg;
	while (!atomic_load(&world->over)) {
		char *text = NULL, *path = at(some_box(&rand), "memory.%s", files[draw_from(&rand, 4)]);

		if (!try_read(path, &text)) {
			free(text);
			atomic_fetch_add(&world->looks, 1);
		}
		free(path);
		if (read_field("/proc/meminfo", "SwapFree:") < 400)
			atomic_fetch_add(&world->swap_full, 1);
		look_at_full();
		/* all pages against all counters, at one moment (debug) */
		if (exists(OWNERS) && now() > next) {
			acc_take(acc_open());
			next = now() + lib_slow;
		}
		usleep(3000 * lib_slow);
	}
}

static void make_tree(void)
{
	root = mount_memory();
	top = container(root, "top");
	container_with(top, "hog", "400", NULL);
	container_with(top, "full", NULL, at("", "%d", FULL_MAX) + 1);
	for (int i = 0; i < BOXES; i++)
		container_with(top, at("", "c%d", i) + 1, "300", i % 3 ? NULL : "1500");
	world = mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(world != MAP_FAILED);
	memset(world, 0, sizeof(*world));
}

/* Who plays which part; those who may be killed, the workers and the hog, are replaced. */
struct part {
	void (*play)(void *arg);
	long arg;
	pid_t pid;
};

static bool may_die(const struct part *part)
{
	return part->play == worker || part->play == hog || part->play == mounter || part->play == crowd;
}

/* One has ended: well, when all is over, or by a kill. */
static void ended(struct part *part, int nr, pid_t pid, int status)
{
	for (int i = 0; i < nr; i++) {
		if (part[i].pid != pid)
			continue;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && may_die(&part[i]))
			atomic_fetch_add(&world->killed, 1);
		else
			ck_assert_msg(!status && atomic_load(&world->over), "part %d ended with wait status 0x%x", i, status);
		part[i].pid = atomic_load(&world->over) ? 0 : start(part[i].play, (void *)part[i].arg);
	}
}

static bool all_was_seen(void)
{
	return world->killed && world->removed && world->unmounted && world->swap_full && world->disk_full && world->max_hits &&
	       world->ooms;
}

static void direct(struct part *part, int nr, double seconds)
{
	unsigned int rand = lib_seed + 55;
	double next = now();
	int status;
	pid_t pid;

	for (int i = 0; i < nr; i++)
		part[i].pid = start(part[i].play, (void *)part[i].arg);
	end = now() + seconds;
	/* longer, where a slow machine has not come to all of it */
	while (now() < end || (!all_was_seen() && now() < end + 10 * seconds)) {
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
			ended(part, nr, pid, status);
		if (now() > next) {
			int victim = draw_from(&rand, WORKERS);

			kill(part[victim].pid, SIGKILL);
			next = now() + 0.2 * lib_slow;
		}
		usleep(2000);
	}
	atomic_store(&world->over, true);
	/* who waits for room at a page_max, or is made slow, can be killed */
	end = now() + 5 * lib_slow;
	while (now() < end && (pid = waitpid(-1, &status, WNOHANG)) >= 0) {
		if (pid)
			ended(part, nr, pid, status);
		usleep(2000);
	}
	for (int i = 0; i < nr; i++)
		if (part[i].pid)
			stop(part[i].pid);
}

/* All bytes are right, the disk's after they have been on it and come back. */
static void check_files(void)
{
	for (int who = 0; who < WORKERS; who++)
		check_file(who, TMPFS);
	while (umount("/tmp/disk"))
		ck_assert_msg(errno == EBUSY, "umount: %s", error_name(errno));
	ck_assert_int_eq(system("PATH=/usr/sbin:/sbin:$PATH; e2fsck -fn /dev/ubdb >/dev/null 2>&1"), 0);
	mount_disk();
	for (int who = 0; who < WORKERS; who++)
		check_file(who, DISK);
	ck_assert_int_eq(umount("/tmp/disk"), 0);
}

static void nothing_is_left(void)
{
	/* of what was killed in the midst of a mount */
	while (!umount2("/tmp/come", 0) || errno == EBUSY)
		;
	for (int who = 0; who < WORKERS; who++)
		unlink(path_of(who, TMPFS));
	for (int i = 0; i < BOXES; i++)
		eventually(remove_dir(at(top, "c%d", i)) != EBUSY, 10);
	expect(remove_dir(at(top, "hog")), 0);
	expect(remove_dir(at(top, "full")), 0);
	ck_assert_int_eq(directories_in(top), 0);
	eventually(no_dying("memory"), 10);
	/* who ended, or unlinked a file, while pages were read from swap or written there has left them in its cache (memory.md) */
	no_swap();
	pages_leave(top);
	ck_assert_uint_eq(read_u64(at(top, "memory.mapped_pages")), 0);
	ck_assert_uint_eq(read_u64(at(top, "memory.active_pages")), 0);
	ck_assert_uint_eq(read_u64(at(top, "memory.num_files")), 0);
	expect(remove_dir(top), 0);
	umount("/tmp/accounting");
	remove_devices();
}

TEST_LIMIT(nothing_is_lost_under_pressure, 60 + seconds_of("MEMORY_STRESS_SECONDS", 0))
{
	double seconds = seconds_of("MEMORY_STRESS_SECONDS", 4 * lib_slow);
	struct part part[WORKERS + CROWD + 5];
	int nr = 0;

	make_devices();
	mount_disk();
	make_tree();
	for (int i = 0; i < WORKERS; i++)
		part[nr++] = (struct part) { .play = worker, .arg = i };
	for (int i = 0; i < CROWD; i++)
		part[nr++] = (struct part) { .play = crowd, .arg = WORKERS + i };
	part[nr++] = (struct part) { .play = hog };
	part[nr++] = (struct part) { .play = manager, .arg = 31 };
	part[nr++] = (struct part) { .play = manager, .arg = 32 };
	part[nr++] = (struct part) { .play = mounter };
	part[nr++] = (struct part) { .play = reader };
	printf("# seed %u\n", lib_seed);
	direct(part, nr, seconds);
	printf("# %u killed, %u containers removed, %u mounts, %u claims, %u looks; swap full at %u, disk full for %u writes, "
	       "%u times no room; %u waits at a page_max, %u ooms\n", world->killed, world->removed, world->unmounted,
	       world->claims, world->looks, world->swap_full, world->disk_full, world->refused, world->max_hits, world->ooms);
	check_files();
	nothing_is_left();
	ck_assert_uint_gt(world->killed, 0);
	ck_assert_uint_gt(world->removed, 0);
	ck_assert_uint_gt(world->unmounted, 0);
	ck_assert_uint_gt(world->swap_full, 0);
	ck_assert_uint_gt(world->disk_full, 0);
	ck_assert_uint_gt(world->max_hits, 0);
	ck_assert_uint_gt(world->ooms, 0);
}
