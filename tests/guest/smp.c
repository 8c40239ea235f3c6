// SPDX-License-Identifier: GPL-2.0-only
/*
 * smp: no page is taken from a running process behind its back: pages that
 * leave from outside, while processes write to them on other CPUs.
 * (uml-run --swap 256M --mem 192M) (jobs 1 1p 2 4 8 2@debug 4@debug 2@vanilla 4@vanilla 8@vanilla)
 *
 * Stock UML marks the range of a page that goes away and changes the process's
 * mapping when it next enters user code; a process that is there on another
 * CPU writes on through the old mapping. Each test fails on the vanilla flavour,
 * with a message that starts with "corrupt:" (lib-smp.h), but for (no proof: reclaim).
 */
#include "lib-smp.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>

WITHOUT_CONTAINERS

#define HERD_PAGES 512
#define BALLAST_PAGES 4096

/*
 * Free pages one by one all over memory, between those of a file: the fresh
 * pages of the writers come from there, and compaction takes those and the
 * file's from the low end of memory to the high one.
 */
struct ballast {
	int fd;
	char *mem;
	struct iovec hole[BALLAST_PAGES / 2];
};

static struct ballast *ballast(void)
{
	struct ballast *b = calloc(1, sizeof(*b));

	b->fd = memfd_create("ballast", MFD_CLOEXEC);
	ck_assert_int_ge(b->fd, 0);
	b->mem = mmap(NULL, BALLAST_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	ck_assert_ptr_ne(b->mem, MAP_FAILED);
	for (int i = 0; i < BALLAST_PAGES / 2; i++)
		b->hole[i] = (struct iovec){ b->mem + 2 * i * PAGE, PAGE };
	/* no CPU keeps the pages that a writer gave back for its next fault */
	expect(write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "1000"), 0);
	return b;
}

static void make_holes(void *arg)
{
	struct ballast *b = arg;
	int self = syscall(SYS_pidfd_open, getpid(), 0);

	ck_assert_int_eq(ftruncate(b->fd, 0), 0);
	ck_assert_int_eq(ftruncate(b->fd, BALLAST_PAGES * PAGE), 0);
	ck_assert_int_eq(fallocate(b->fd, 0, 0, BALLAST_PAGES * PAGE), 0);
	/* one call for many holes: with a call for each, it is they that take the time */
	for (int i = 0; i < BALLAST_PAGES / 2; i += 1024)
		ck_assert_int_eq(syscall(SYS_process_madvise, self, b->hole + i, 1024UL, MADV_REMOVE, 0),
				 1024 * PAGE);
	close(self);
}

/* Frame numbers of all writers' pages; 0 for one that is not in memory. */
static void read_frames(struct herd *h, uint64_t (*frame)[HERD_PAGES])
{
	for (int i = 0; i < h->n; i++) {
		char *path = at("/proc", "%d/pagemap", h->w[i].pid);
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		ck_assert_msg(fd >= 0, "%s: %s", path, error_name(errno));
		ck_assert_int_eq(pread(fd, frame[i], sizeof(frame[i]),
				       (uintptr_t)h->w[i].mem / PAGE * sizeof(frame[i][0])),
				 sizeof(frame[i]));
		close(fd);
		free(path);
		for (int p = 0; p < HERD_PAGES; p++)
			frame[i][p] = frame[i][p] >> 63 ? frame[i][p] & ((1ULL << 55) - 1) : 0;
	}
}

static uint64_t moved(struct herd *h, uint64_t (*was)[HERD_PAGES], uint64_t (*is)[HERD_PAGES])
{
	uint64_t n = 0;

	for (int i = 0; i < h->n; i++)
		for (int p = 0; p < HERD_PAGES; p++)
			n += was[i][p] && is[i][p] && was[i][p] != is[i][p];
	return n;
}

TEST_LIMIT(compaction, 60)
{
	struct herd *h = herd_start(HERD_PAGES, false);
	uint64_t was[MAX_WRITERS][HERD_PAGES], is[MAX_WRITERS][HERD_PAGES], n = 0;
	struct ballast *b = ballast();
	/*
	 * With one CPU, which the writers want too, there is nobody to be surprised. With eight, on
	 * two cores of the host that seven writers want, 2000 once took more than a minute.
	 */
	uint64_t enough = get_nprocs() > 1 && get_nprocs() < 8 ? 2000 : 500;
	int turns = 0;
	double end = now() + smp_seconds();

	while (!herd_wrong(h) && (now() < end || n < enough)) {
		herd_renew(h, make_holes, b);
		read_frames(h, was);
		expect(write_file("/proc/sys/vm/compact_memory", "1"), 0);
		read_frames(h, is);
		n += moved(h, was, is);
		turns++;
	}
	smp_count("compaction", n, "pages moved");
	smp_count("compaction", turns, "times");
	herd_finish(h);
}

TEST_LIMIT(pageout, 60)
{
	struct herd *h = herd_start(256, false);
	uint64_t before = vmstat("pswpout"), written = 0;
	double end = now() + smp_seconds();

	for (int i = 0; !herd_wrong(h) && (now() < end || written < 2000); i = (i + 1) % h->n) {
		advise(h, i, MADV_PAGEOUT);
		written = vmstat("pswpout") - before;
	}
	smp_count("pageout", written, "pages written to swap");
	herd_finish(h);
}

/*
 * No proof, that is smp_reclaim.c: it passes on vanilla too. Reclaim takes what was not used for long, and
 * MADV_COLD from outside makes it think so of pages that are being written; but a
 * page that it then takes within the one tick for which the writer's old mapping
 * lasts was not seen in some 20,000. pageout goes the same way without asking for
 * the age, and fails at once.
 *
 * Memory is full before the writers start: filling it beside seven that spin took
 * longer than the test may. From then on each page that the hog writes costs
 * another one, and 200 are soon there whatever share of a core it gets.
 */
TEST_LIMIT(reclaim, 60)
{
	uint64_t before = vmstat("pswpout"), written = 0;
	bool *quit = shared(PAGE);
	pid_t pid = start(hog, quit);
	struct herd *h;
	double end;

	eventually(vmstat("pswpout") > before, 30);
	h = herd_start(1024, false);
	before = vmstat("pswpout");
	end = now() + smp_seconds();
	for (int i = 0; !herd_wrong(h) && (now() < end || written < 200); i = (i + 1) % h->n) {
		advise(h, i, MADV_COLD);
		usleep(500);
		written = vmstat("pswpout") - before;
	}
	*quit = true;
	finish(pid);
	smp_count("reclaim", written, "pages written to swap");
	herd_finish(h);
}

/* ksmd takes equal pages of the writers together; each is being written now and then. */
TEST_LIMIT(samepages, 60)
{
	struct herd *h = herd_start(64, true);
	uint64_t merged = 0, before = vmstat("cow_ksm");
	double end = now() + smp_seconds();

	expect(write_file("/sys/kernel/mm/ksm/smart_scan", "0"), 0);
	expect(write_file("/sys/kernel/mm/ksm/use_zero_pages", "0"), 0);
	expect(write_file("/sys/kernel/mm/ksm/sleep_millisecs", "0"), 0);
	expect(write_file("/sys/kernel/mm/ksm/pages_to_scan", "1000"), 0);
	expect(write_file("/sys/kernel/mm/ksm/run", "1"), 0);
	while (!herd_wrong(h) && (now() < end || merged < 200)) {
		usleep(10000);
		/* pages that a writer had to take out of a merged one again */
		merged = vmstat("cow_ksm") - before;
	}
	expect(write_file("/sys/kernel/mm/ksm/run", "0"), 0);
	smp_count("samepages", merged, "pages merged and written again");
	herd_finish(h);
}

/* A shared file: who writes to it through a mapping, in bursts. */
struct file_writer {
	char path[64];
	volatile unsigned int burst, done;
	volatile uint64_t last[16];	/* what each page holds after a burst */
	volatile bool quit;
};

#define FILE_PAGES 16

static void write_bursts(void *arg)
{
	struct file_writer *f = arg;
	uint64_t n = 0;

	while (!f->quit) {
		int fd;
		uint64_t *mem, end;

		if (f->done == f->burst) {
			usleep(100);
			continue;
		}
		fd = open(f->path, O_RDWR | O_CLOEXEC);
		mem = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		ck_assert_ptr_ne(mem, MAP_FAILED);
		close(fd);
		/* some 3 ms of user code */
		for (end = __builtin_ia32_rdtsc() + 8000000; __builtin_ia32_rdtsc() < end;)
			for (int p = 0; p < FILE_PAGES; p++)
				f->last[p] = *(volatile uint64_t *)(mem + p * WORDS) = ++n;
		munmap(mem, FILE_PAGES * PAGE);
		f->done++;
	}
}

/* What a cache without these pages reads from the disk. */
static void check_file(struct file_writer *f, int fd)
{
	uint64_t got;

	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	for (int p = 0; p < FILE_PAGES; p++) {
		ck_assert_int_eq(pread(fd, &got, sizeof(got), p * PAGE), sizeof(got));
		if (got != f->last[p])
			corrupt("burst %u, page %d of the file: got %llu, wanted %llu", f->done, p,
				(unsigned long long)got, (unsigned long long)f->last[p]);
	}
}

/* A disk in a file: ext2, which both ext2 and ext4 mount. */
static void mount_disk(void)
{
	int fd = open("/tmp/disk", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_eq(ftruncate(fd, 4 << 20), 0);
	close(fd);
	expect(make_dir("/tmp/mnt"), 0);
	ck_assert_int_eq(system("PATH=/usr/sbin:/sbin:$PATH; mkfs.ext2 -q -F -b 4096 -m 0 /tmp/disk && "
				"mount -t ext2 -o loop /tmp/disk /tmp/mnt"), 0);
}

/* Writeback makes a page read-only and clean; what is written to it later must make it dirty again. */
TEST_LIMIT(writeback, 60)
{
	struct file_writer *f = shared(sizeof(*f));
	uint64_t before = vmstat("nr_written"), written = 0;
	double end = now() + smp_seconds();
	pid_t pid;
	int fd;

	mount_disk();
	strcpy(f->path, "/tmp/mnt/file");
	fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(ftruncate(fd, FILE_PAGES * PAGE), 0);
	pid = start(write_bursts, f);
	while (now() < end || written < 200) {
		f->burst++;
		/* once more when the burst is over would write everything: the check does without */
		while (f->done != f->burst)
			ck_assert_int_eq(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE |
							 SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER), 0);
		check_file(f, fd);
		written = vmstat("nr_written") - before;
	}
	f->quit = true;
	finish(pid);
	smp_count("writeback", written, "pages written back");
	close(fd);
}
