// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: who pays for a container that is over its limit. Inside, all alike: two processes, or two files,
 * of one size that are used in turns lose the same. Outside, nobody: no page of the neighbour's is looked at.
 * (uml-run --swap 128M) (jobs 1 4 4@debug)
 *
 * Losses are what is not in memory when its turn comes, as pagemap and mincore(2) say. The handler is a clock
 * with one hand that goes on where it stopped, so what one has lost more than the other is what the hand has passed of
 * one and not yet of the other: at most a lap at the start and a lap at the end, SET pages each. A hand that starts
 * anew each time, as that of 2006 did, takes all from the first, and the other fits.
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define SET 800UL
/* Of both sets, which are 1600, this many fit; one does. */
#define LIMIT "1100"
#define SLICE 100UL
/* Of what is in use all the time. */
#define HOT 400UL
#define TURNS 12

/* Uses slice ARG of its memory. */
static void use_slice(struct actor *a)
{
	for (unsigned long i = 0; i < SLICE; i++)
		*(volatile char *)(a->mem + (a->arg * SLICE + i) * PAGE);
}

/* The same of its file, without pages that nobody asked for. */
static void read_slice(struct actor *a)
{
	static char page[PAGE];
	int fd = open(a->path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	for (unsigned long i = 0; i < SLICE; i++)
		ck_assert_int_eq(pread(fd, page, PAGE, (a->arg * SLICE + i) * PAGE), PAGE);
	close(fd);
}

static unsigned long absent_memory(struct actor *a, unsigned long slice)
{
	uint64_t *frame = frames_of(a);
	unsigned long absent = 0;

	for (unsigned long i = slice * SLICE; i < (slice + 1) * SLICE; i++)
		absent += !frame[i];
	free(frame);
	return absent;
}

/* Of a file's NR pages from FIRST on. */
static unsigned long absent_pages(const char *path, unsigned long first, unsigned long nr)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned char vec[nr];
	unsigned long absent = 0;
	void *mem = mmap(NULL, nr * PAGE, PROT_READ, MAP_SHARED, fd, first * PAGE);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	ck_assert_int_eq(mincore(mem, nr * PAGE, vec), 0);
	munmap(mem, nr * PAGE);
	close(fd);
	for (unsigned long i = 0; i < nr; i++)
		absent += !(vec[i] & 1);
	return absent;
}

static unsigned long absent_cache(struct actor *a, unsigned long slice)
{
	return absent_pages(a->path, slice * SLICE, SLICE);
}

/* Both use each slice of theirs, in turns, again and again; what each loses. */
static void expect_equal_losses(struct actor **actor, unsigned long set, void (*use)(struct actor *a),
				unsigned long (*absent)(struct actor *a, unsigned long slice))
{
	unsigned long lost[2] = { };

	for (unsigned long i = 0; i < (TURNS + 1) * (set / SLICE); i++) {
		for (int who = 0; who < 2; who++) {
			/* in the first turn nothing has been there, or all */
			if (i >= set / SLICE)
				lost[who] += absent(actor[who], i % (set / SLICE));
			act(actor[who], use, i % (set / SLICE));
		}
	}
	ck_assert_msg(lost[0] + lost[1] > TURNS * set / 2, "of %lu pages each, %lu and %lu are lost: it is no test",
		      TURNS * set, lost[0], lost[1]);
	ck_assert_msg(labs((long)(lost[0] - lost[1])) <= 2 * (long)set,
		      "of %lu pages each, one lost %lu and the other %lu", TURNS * set, lost[0], lost[1]);
	printf("# of %lu pages each, lost are %lu and %lu\n", TURNS * set, lost[0], lost[1]);
}

TEST_LIMIT(processes_lose_alike, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", LIMIT, NULL);
	struct actor *actor[2];

	for (int i = 0; i < 2; i++) {
		actor[i] = actor_in(a);
		actor[i]->seed = i + 1;
		act(actor[i], touch, SET);
	}
	expect_equal_losses(actor, SET, use_slice, absent_memory);
	for (int i = 0; i < 2; i++) {
		act(actor[i], check, 0);
		dismiss(actor[i]);
	}
	eventually(!remove_dir(a), 5);
}

static void *wait_for_the_end(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Goes on as the actor, as its first thread did (lib-memory.c). */
static void *serve_on(void *arg)
{
	struct actor *a = arg;
	char byte = 0;

	/* where its pages are seen: a process whose first thread has exited has no /proc/PID/pagemap */
	a->result = syscall(SYS_gettid);
	while (write(a->child_wire, &byte, 1) == 1 && read(a->child_wire, &byte, 1) == 1 && a->fn)
		a->fn(a);
	_exit(0);
}

/* The first thread exits, and leaves one that works and three that wait. */
static void leave_to_threads(struct actor *a)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_the_end, NULL), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve_on, a), 0);
	pthread_exit(NULL);
}

/* Uses all its memory. */
static void use_all(struct actor *a)
{
	for (unsigned long i = 0; i < a->pages; i++)
		*(volatile char *)(a->mem + i * PAGE);
}

/*
 * Two processes that use all they have, all the time, beside one that goes through more than there is room for.
 * Of one the first thread has exited. Both have a turn per lap, and so a second chance.
 */
TEST_LIMIT(a_process_without_its_first_thread_loses_alike, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", "2000", NULL);
	struct actor *hot[2] = { actor_in(a), actor_in(a) }, *cold = actor_in(a), door[2];
	unsigned long lost[2] = { };

	for (int who = 0; who < 2; who++) {
		hot[who]->seed = who + 1;
		act(hot[who], touch, HOT);
		door[who] = *hot[who];
	}
	door[1].pid = act(hot[1], leave_to_threads, 0);
	cold->seed = 3;
	act(cold, touch, 3000);
	for (unsigned long i = 0; i < 400; i++) {
		for (int who = 0; who < 2; who++) {
			for (unsigned long slice = 0; slice < HOT / SLICE; slice++)
				lost[who] += absent_memory(&door[who], slice);
			act(hot[who], use_all, 0);
		}
		act(cold, use_slice, i % 30);
	}
	printf("# of 400 times %lu pages each, lost are %lu and %lu\n", HOT, lost[0], lost[1]);
	ck_assert_uint_gt(stat_of(a, "swapped"), 3 * 3000);
	ck_assert_msg(labs((long)(lost[0] - lost[1])) <= 2 * (long)HOT, "one lost %lu and the other %lu", lost[0], lost[1]);
	for (int who = 0; who < 2; who++) {
		act(hot[who], check, 0);
		dismiss(hot[who]);
	}
	dismiss(cold);
	eventually(!remove_dir(a), 5);
}

TEST_LIMIT(files_lose_alike, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", LIMIT, NULL), *disk = make_disk(32);
	struct actor *actor[2];

	for (int i = 0; i < 2; i++) {
		actor[i] = actor_in(a);
		strcpy(actor[i]->path, make_data(disk, i ? "second" : "first", SET));
	}
	expect_equal_losses(actor, SET, read_slice, absent_cache);
	for (int i = 0; i < 2; i++)
		dismiss(actor[i]);
	eventually(!remove_dir(a), 5);
}

/*
 * A file that is used all the time through page tables, and memory that is used as often, beside a process that goes through more
 * than there is room for. In the lap over mappings the handler comes to the file, too, and two processes have it
 * mapped, of which one uses it and then, for as long, the other: it has one turn in a lap all the same, in which all
 * of them are asked.
 */
TEST_LIMIT(a_mapped_file_loses_like_memory, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", "2000", NULL), *disk = make_disk(32);
	struct actor *memory = actor_in(a), *file[2] = { actor_in(a), actor_in(a) }, *cold = actor_in(a);
	unsigned long lost[2] = { };

	act(memory, touch, HOT);
	for (int who = 0; who < 2; who++) {
		strcpy(file[who]->path, who ? file[0]->path : make_data(disk, "data", HOT));
		act(file[who], map_whole, 0);
	}
	cold->seed = 3;
	act(cold, touch, 3000);
	for (unsigned long i = 0; i < 400; i++) {
		for (unsigned long slice = 0; slice < HOT / SLICE; slice++)
			lost[0] += absent_memory(memory, slice);
		lost[1] += absent_pages(file[0]->path, 0, HOT);
		act(memory, use_all, 0);
		act(file[i / 20 % 2], use_all, 0);
		act(cold, use_slice, i % 30);
	}
	printf("# of 400 times %lu pages each, lost are %lu and %lu\n", HOT, lost[0], lost[1]);
	ck_assert_uint_gt(stat_of(a, "swapped"), 3 * 3000);
	ck_assert_msg(labs((long)(lost[0] - lost[1])) <= 2 * (long)HOT, "memory lost %lu and the file %lu", lost[0], lost[1]);
	act(memory, check, 0);
	dismiss(memory);
	dismiss(file[0]);
	dismiss(file[1]);
	dismiss(cold);
	eventually(!remove_dir(a), 5);
}

static void read_second_half(struct actor *a)
{
	a->arg += SET / SLICE;
	read_slice(a);
}

static void read_half(struct actor *a)
{
	if (a->seed == 1)
		read_slice(a);
	else
		read_second_half(a);
}

static unsigned long absent_half(struct actor *a, unsigned long slice)
{
	return absent_cache(a, slice + (a->seed == 1 ? 0 : SET / SLICE));
}

/*
 * One file of tmpfs, which is all that there is: each run begins with a lap that drops clean pages, of which tmpfs
 * has none, and the clock is where it was all the same.
 */
TEST_LIMIT(halves_of_a_tmpfs_file_lose_alike, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", LIMIT, NULL);
	struct actor *actor[2] = { actor_in(a), actor_in(a) };

	for (int i = 0; i < 2; i++) {
		actor[i]->seed = i + 1;
		strcpy(actor[i]->path, "/tmp/both");
	}
	act(actor[0], write_whole, 2 * SET);
	expect_equal_losses(actor, SET, read_half, absent_half);
	ck_assert_uint_eq(act(actor[0], check_whole, 0), 2 * SET);
	for (int i = 0; i < 2; i++)
		dismiss(actor[i]);
	ck_assert_int_eq(unlink("/tmp/both"), 0);
	eventually(!remove_dir(a), 5);
}

/* Both children's files: a big one, that is due first, and one of half its size. */
#define BIG 2000UL
#define SMALL 1000UL

/* Calls FN for a slice of the two in directory a->path, as if they were one. */
static unsigned long in_two(struct actor *a, unsigned long slice, unsigned long (*fn)(struct actor *a, unsigned long slice))
{
	struct actor one = *a;
	bool small = slice >= BIG / SLICE;

	strcpy(one.path, at(a->path, small ? "small" : "big"));
	return fn(&one, small ? slice - BIG / SLICE : slice);
}

static unsigned long read_one(struct actor *a, unsigned long slice)
{
	a->arg = slice;
	read_slice(a);
	return 0;
}

static void read_slice_of_two(struct actor *a)
{
	in_two(a, a->arg, read_one);
}

static unsigned long absent_of_two(struct actor *a, unsigned long slice)
{
	return in_two(a, slice, absent_cache);
}

/*
 * The limit is their parent's, and each has more than a round of the handler looks at, in files of two sizes: a hand
 * that goes on with the biggest file of whose turn it is, or with the child that was made first, never comes to the other.
 */
TEST_LIMIT(files_of_two_children_lose_alike, 120)
{
	char *root = mount_memory(), *p = container_with(root, "p", "4000", NULL), *disk = make_disk(64);
	char *child[2] = { container(p, "a"), container(p, "b") };
	struct actor *actor[2];

	for (int i = 0; i < 2; i++) {
		char *dir = at(disk, i ? "second" : "first");

		expect(make_dir(dir), 0);
		make_data(dir, "big", BIG);
		make_data(dir, "small", SMALL);
		actor[i] = actor_in(child[i]);
		strcpy(actor[i]->path, dir);
	}
	expect_equal_losses(actor, BIG + SMALL, read_slice_of_two, absent_of_two);
	for (int i = 0; i < 2; i++) {
		dismiss(actor[i]);
		eventually(!remove_dir(child[i]), 5);
	}
	eventually(!remove_dir(p), 5);
}

/* Of the file's ten parts. */
static void read_tenth(struct actor *a)
{
	static char page[PAGE];
	int fd = open(a->path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	for (unsigned long i = a->arg * a->pages / 10; i < (a->arg + 1) * a->pages / 10; i++)
		ck_assert_int_eq(pread(fd, page, PAGE, i * PAGE), PAGE);
	close(fd);
}

/*
 * In one container: the big one is due first, is not done in one run of the handler, and is not left
 * after each for the small one, which would be gone most of the time.
 */
TEST_LIMIT(big_and_small_files_lose_alike, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", "1500", NULL), *disk = make_disk(32);
	static const unsigned long size[] = { 2000, 200 };
	unsigned long lost[2] = { };
	struct actor *actor[2];

	for (int who = 0; who < 2; who++) {
		actor[who] = actor_in(a);
		strcpy(actor[who]->path, make_data(disk, who ? "small" : "big", size[who]));
		actor[who]->pages = size[who];
	}
	for (unsigned long i = 0; i < (TURNS + 1) * 10; i++) {
		for (int who = 0; who < 2; who++) {
			if (i >= 10)
				lost[who] += absent_pages(actor[who]->path, i % 10 * size[who] / 10, size[who] / 10);
			act(actor[who], read_tenth, i % 10);
		}
	}
	printf("# of %d times %lu and %lu pages, lost are %lu and %lu\n", TURNS, size[0], size[1], lost[0], lost[1]);
	ck_assert_msg(lost[0] > TURNS * size[0] / 4, "of %d times %lu pages %lu are lost: it is no test", TURNS, size[0],
		      lost[0]);
	/*
	 * About ten times as many of the big one: who reads a file in front of the hand brings pages back before it has
	 * passed, so that a lap can take more of one than it has. Neither is spared.
	 */
	ck_assert_msg(20 * lost[1] >= lost[0] && 5 * lost[1] <= lost[0],
		      "of %d times %lu and %lu pages, lost are %lu and %lu", TURNS, size[0], size[1], lost[0], lost[1]);
	for (int who = 0; who < 2; who++)
		dismiss(actor[who]);
	eventually(!remove_dir(a), 5);
}

/* Both limits are passed by each page that comes: two handlers are in one file at once, with a position each. */
TEST_LIMIT(two_handlers_in_one_file, 120)
{
	char *root = mount_memory(), *p = container_with(root, "p", "1000", NULL), *a = container_with(p, "a", "1000", NULL);
	struct actor *writer = actor_in(a), *reader = actor_in(a);
	char *disk = make_disk(64), *data = make_data(disk, "data", 3000);
	uint64_t written = vmstat("nr_written");

	strcpy(writer->path, at(disk, "out"));
	strcpy(reader->path, data);
	for (int turn = 0; turn < 4; turn++) {
		act_begin(reader, read_whole, 2);
		act(writer, write_whole, 4000);
		act_end(reader);
		ck_assert_uint_eq(act(writer, check_whole, 0), 4000);
	}
	written = vmstat("nr_written") - written;
	printf("# %lu and %lu pages counted as written, of %lu\n", stat_of(p, "written_back"), stat_of(a, "written_back"),
	       (unsigned long)written);
	ck_assert_uint_gt(stat_of(p, "rounds"), 0);
	ck_assert_uint_gt(stat_of(a, "rounds"), 0);
	/* who finds a page dirty writes it, at once */
	ck_assert_uint_le(stat_of(p, "written_back"), written);
	ck_assert_uint_le(stat_of(a, "written_back"), written);
	ck_assert_uint_eq(act(reader, check_whole, 0), 3000);
	dismiss(reader);
	dismiss(writer);
	eventually(!remove_dir(a), 5);
	eventually(!remove_dir(p), 5);
}

/*
 * Bits of /proc/kpageflags that a look at a page changes: referenced, active, reclaim. Not LRU: it comes late, when
 * the batch of a CPU is emptied; a page that was taken has another frame, or none.
 */
#define LOOKED_AT (1ULL << 2 | 1ULL << 6 | 1ULL << 9)

/* Frames and flags of all that an actor has. */
struct picture {
	uint64_t *frame, *flags;
	unsigned long referenced;	/* kB that its page tables, or the pages, say are used */
};

static struct picture picture_of(struct actor *a)
{
	struct picture p = { .frame = frames_of(a), .flags = calloc(a->pages, sizeof(uint64_t)) };
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (unsigned long i = 0; i < a->pages; i++) {
		ck_assert_msg(p.frame[i], "page %lu is not in memory", i);
		ck_assert_int_eq(pread(fd, &p.flags[i], 8, p.frame[i] * 8), 8);
		p.flags[i] &= LOOKED_AT;
	}
	close(fd);
	p.referenced = read_field(at("/proc", "%d/smaps_rollup", a->pid), "Referenced");
	return p;
}

static void expect_as_in(struct picture old, struct actor *a)
{
	struct picture p = picture_of(a);

	for (unsigned long i = 0; i < a->pages; i++)
		ck_assert_msg(p.frame[i] == old.frame[i] && p.flags[i] == old.flags[i],
			      "page %lu is frame %lu (flags %lx), and was %lu (%lx)", i, (unsigned long)p.frame[i],
			      (unsigned long)p.flags[i], (unsigned long)old.frame[i], (unsigned long)old.flags[i]);
	ck_assert_uint_eq(p.referenced, old.referenced);
}

/* Faults, of either kind, that it takes to look at all that it has. */
static void faults_of_a_look(struct actor *a)
{
	struct rusage before, after;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
	for (unsigned long i = 0; i < a->pages; i++)
		*(volatile char *)(a->mem + i * PAGE);
	ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
	a->result = after.ru_majflt + after.ru_minflt - before.ru_majflt - before.ru_minflt;
}

/*
 * B has memory, and a file that a process of A maps as well, so that A's handler meets its pages. A has four times its
 * limit to work in, and goes through it. No page of B's changes, and B does not wait. Its time is that of
 * the same instructions, then, but for what caches and the machine do; what could be added is
 * counted: faults (also for a young bit that somebody cleared), refaults, sleeps for the limit. The handler's own
 * time is a kworker's, and the charging task's in A.
 */
TEST_LIMIT(neighbour_is_not_looked_at, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", "500", NULL), *b = container(root, "b");
	char *data = make_data(make_disk(32), "data", 600);
	struct actor *memory = actor_in(b), *file = actor_in(b), *meets = actor_in(a), *thrasher = actor_in(a);
	struct picture of_memory, of_file;
	uint64_t kswapd;

	act(memory, touch, 600);
	strcpy(file->path, data);
	act(file, map_whole, 0);
	act(memory, faults_of_a_look, 0);
	act(file, faults_of_a_look, 0);
	strcpy(meets->path, data);
	act(meets, map_whole, 0);
	near(file_pages(b), 600);
	drain_batches();
	of_memory = picture_of(memory);
	of_file = picture_of(file);
	kswapd = vmstat("pgscan_kswapd") + vmstat("pgscan_direct");
	act(thrasher, touch, 2000);
	for (int i = 0; i < 3; i++)
		act(thrasher, rewrite, 2000);
	ck_assert_uint_gt(stat_of(a, "swapped"), 3 * 1000);
	expect_as_in(of_memory, memory);
	expect_as_in(of_file, file);
	ck_assert_uint_eq(act(memory, faults_of_a_look, 0), 0);
	ck_assert_uint_eq(act(file, faults_of_a_look, 0), 0);
	ck_assert_uint_eq(stat_of(b, "refaults"), 0);
	ck_assert_uint_eq(stat_of(b, "throttled_ns"), 0);
	ck_assert_uint_eq(stat_of(b, "scanned") + stat_of(b, "rounds"), 0);
	/* nor was it somebody else who spared it */
	ck_assert_uint_eq(vmstat("pgscan_kswapd") + vmstat("pgscan_direct"), kswapd);
	dismiss(thrasher);
	dismiss(meets);
	dismiss(memory);
	dismiss(file);
	eventually(!remove_dir(a), 5);
	eventually(!remove_dir(b), 5);
}

/*
 * All pages of this kernel's page cache are single ones: UML has no HAVE_ARCH_TRANSPARENT_HUGEPAGE, without which
 * Linux makes no large folio for a file. When this fails, Documentation/memory.md is wrong, and
 * the kinds of memory have to be tested anew with large ones.
 */
TEST_LIMIT(there_are_no_large_folios, 60)
{
	const uint64_t lru = 1ULL << 5, compound = 1ULL << 15 | 1ULL << 16;
	char *root = mount_memory(), *a = container(root, "a");
	char *data = make_data(make_disk(32), "data", 4000);
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	struct actor *actor = actor_in(a);
	unsigned long pages = 0;
	uint64_t flags[512];
	ssize_t got;

	/* with readahead, which makes the largest */
	read_as(actor, data);
	ck_assert_uint_eq(cached_pages(data), 4000);
	near(file_pages(a), 4000);
	drain_batches();
	ck_assert_int_ge(fd, 0);
	while ((got = read(fd, flags, sizeof(flags))) > 0)
		for (int i = 0; i < got / 8; i++) {
			pages += !!(flags[i] & lru);
			ck_assert_msg(!(flags[i] & lru && flags[i] & compound), "there is a large folio: flags %lx",
				      (unsigned long)flags[i]);
		}
	close(fd);
	ck_assert_uint_ge(pages, 4000);
	ck_assert(!exists("/sys/kernel/mm/transparent_hugepage"));
	dismiss(actor);
	expect(remove_dir(a), 0);
}
