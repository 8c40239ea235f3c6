// SPDX-License-Identifier: GPL-2.0-only
/*
 * smp_copies: the kernel's own copies to and from a process's memory, while
 * its pages go away. (uml-run --swap 256M --mem 192M) (jobs 1 1p 2 4 8 2@debug 4@debug 2@vanilla 4@vanilla 8@vanilla)
 * (no proof: write_from futex): it takes a preemption by the host in the middle of a copy to see it
 *
 * Stock UML looks the page up and copies, and nothing keeps the page where it is
 * meanwhile: the end of the copy lands in a page that is somebody else's by now.
 */
#include "lib-smp.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

WITHOUT_CONTAINERS

#define PAGES 256
#define SIZE (PAGES * PAGE)
#define PROCESSES 3

/* A process that has the kernel copy between a file and its memory. */
struct copier {
	char *mem;
	int fd;				/* where the copies go, or come from */
	volatile uint64_t copies;
	volatile bool quit;
	char wrong[200];
	pid_t pid;
};

static void fill(uint64_t *mem, uint64_t turn)
{
	for (unsigned long i = 0; i < SIZE / sizeof(*mem); i++)
		mem[i] = turn << 32 | i;
}

static bool filled(struct copier *c, const uint64_t *mem, uint64_t turn)
{
	for (unsigned long i = 0; i < SIZE / sizeof(*mem); i++) {
		if (mem[i] == (turn << 32 | i))
			continue;
		snprintf(c->wrong, sizeof(c->wrong), "copy %llu, page %lu, word %lu: got %#llx, wanted %#llx",
			 (unsigned long long)turn, i / (PAGE / 8), i % (PAGE / 8),
			 (unsigned long long)mem[i], (unsigned long long)(turn << 32 | i));
		return false;
	}
	return true;
}

/* memory of a process that nobody pages out, in shared pages of a file */
static uint64_t *steady(void)
{
	return shared(SIZE);
}

/* The kernel writes into memory that leaves. */
static void read_again(struct copier *c)
{
	uint64_t *from = steady();

	for (uint64_t turn = 1; !c->quit; turn++) {
		fill(from, turn);
		ck_assert_int_eq(pwrite(c->fd, from, SIZE, 0), SIZE);
		ck_assert_int_eq(pread(c->fd, c->mem, SIZE, 0), SIZE);
		if (!filled(c, (uint64_t *)c->mem, turn))
			break;
		c->copies++;
	}
}

/* The kernel reads from memory that leaves. */
static void write_again(struct copier *c)
{
	uint64_t *back = steady();

	for (uint64_t turn = 1; !c->quit; turn++) {
		fill((uint64_t *)c->mem, turn);
		ck_assert_int_eq(pwrite(c->fd, c->mem, SIZE, 0), SIZE);
		ck_assert_int_eq(pread(c->fd, back, SIZE, 0), SIZE);
		if (!filled(c, back, turn))
			break;
		c->copies++;
	}
}

/* The kernel adds to words in memory that leaves; read before, so that the page may be clean. */
static void add_again(struct copier *c)
{
	static uint32_t other;

	for (uint32_t turn = 1; !c->quit && !c->wrong[0]; turn++) {
		for (int i = 0; i < PAGES; i++) {
			uint32_t *word = (uint32_t *)(c->mem + i * PAGE), got = *(volatile uint32_t *)word;

			if (got != turn - 1) {
				snprintf(c->wrong, sizeof(c->wrong), "futex in page %d: got %u, wanted %u", i,
					 got, turn - 1);
				break;
			}
			syscall(SYS_futex, &other, FUTEX_WAKE_OP, 1, 1, word,
				FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0));
		}
		c->copies++;
	}
}

static struct copier *copier(void (*fn)(struct copier *c))
{
	struct copier *c = shared(sizeof(*c));
	pid_t pid;

	c->fd = memfd_create("copies", MFD_CLOEXEC);
	c->mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(c->mem, MAP_FAILED);
	fflush(stdout);
	pid = fork();
	ck_assert_msg(pid >= 0, "fork: %s", error_name(errno));
	if (!pid) {
		fn(c);
		_exit(0);
	}
	c->pid = pid;
	return c;
}

static void page_out_all(struct copier **c)
{
	for (int i = 0; i < PROCESSES; i++) {
		struct iovec range = { c[i]->mem, SIZE };
		int fd = syscall(SYS_pidfd_open, c[i]->pid, 0);

		syscall(SYS_process_madvise, fd, &range, 1UL, MADV_PAGEOUT, 0);
		close(fd);
	}
}

static bool any_wrong(struct copier **c)
{
	for (int i = 0; i < PROCESSES; i++)
		if (c[i]->wrong[0])
			return true;
	return false;
}

/* Ends all; returns how often they have done what they do. */
static uint64_t copiers_finish(struct copier **c, int n)
{
	uint64_t copies = 0;

	for (int i = 0; i < n; i++)
		c[i]->quit = true;
	for (int i = 0; i < n; i++) {
		int status = wait_for(c[i]->pid);

		if (c[i]->wrong[0])
			corrupt("%s", c[i]->wrong);
		ck_assert_msg(!status, "a child ended with status %d", status);
		copies += c[i]->copies;
	}
	return copies;
}

static void while_paged_out(const char *name, void (*fn)(struct copier *c))
{
	struct copier *c[PROCESSES];
	uint64_t before = vmstat("pswpout"), written = 0, copies;
	double end = now() + smp_seconds();

	for (int i = 0; i < PROCESSES; i++)
		c[i] = copier(fn);
	while (!any_wrong(c) && (now() < end || written < 1000)) {
		page_out_all(c);
		written = vmstat("pswpout") - before;
	}
	copies = copiers_finish(c, PROCESSES);
	smp_count(name, written, "pages written to swap");
	smp_count(name, copies, "times copied");
}

TEST_LIMIT(read_into, 60)
{
	while_paged_out("read_into", read_again);
}

TEST_LIMIT(write_from, 60)
{
	while_paged_out("write_from", write_again);
}

TEST_LIMIT(futex, 60)
{
	while_paged_out("futex", add_again);
}

/* Processes that add to one word: two have the kernel do it, two do it themselves. */
#define ADDERS 4

struct sum {
	volatile bool quit;
	volatile uint64_t added[ADDERS];
	volatile int failed;	/* errno of a call that did not add */
	uint32_t word;
};

static void add(struct sum *s, int i)
{
	uint32_t other = 0;

	while (!s->quit) {
		if (i % 2 == 0) {
			__atomic_fetch_add(&s->word, 1, __ATOMIC_RELAXED);
		} else if (syscall(SYS_futex, &other, FUTEX_WAKE_OP, 1, 1, &s->word,
				   FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)) < 0) {
			s->failed = errno;
			break;
		}
		s->added[i]++;
	}
}

/* All add for half a second; returns how many additions the kernel made. */
static uint64_t add_together(void)
{
	struct sum *s = shared(sizeof(*s));
	pid_t pids[ADDERS];
	uint64_t all = 0, kernel;

	fflush(stdout);
	for (int i = 0; i < ADDERS; i++) {
		pids[i] = fork();
		ck_assert_int_ge(pids[i], 0);
		if (!pids[i]) {
			add(s, i);
			_exit(0);
		}
	}
	usleep(500000);
	s->quit = true;
	for (int i = 0; i < ADDERS; i++) {
		ck_assert_int_eq(wait_for(pids[i]), 0);
		all += s->added[i];
	}
	ck_assert_msg(!s->failed, "FUTEX_WAKE_OP: %s", error_name(s->failed));
	if (s->word != (uint32_t)all)
		corrupt("%u of %lu additions are in the word", s->word, all);
	kernel = s->added[1] + s->added[3];
	munmap(s, sizeof(*s));
	return kernel;
}

/* No page goes away here, but the copy is one: the kernel read the word and wrote it back. */
TEST_LIMIT(futex_adds_together, 60)
{
	double end = now() + smp_seconds();
	uint64_t added = 0;

	while (now() < end || !added)
		added += add_together();
	smp_count("futex_adds_together", added, "additions by the kernel");
}

/* One thread has the kernel copy into pages that another gives back. */
static void *discard(void *arg)
{
	struct copier *c = arg;

	while (!c->quit) {
		madvise(c->mem, SIZE, MADV_DONTNEED);
		c->copies++;
	}
	return NULL;
}

static void read_into_discarded(struct copier *c)
{
	pthread_t thread;
	char *from = (char *)steady();

	memset(from, 0x5a, SIZE);
	ck_assert_int_eq(pwrite(c->fd, from, SIZE, 0), SIZE);
	ck_assert_int_eq(pthread_create(&thread, NULL, discard, c), 0);
	while (!c->quit) {
		ssize_t got = pread(c->fd, c->mem, SIZE, 0);

		if (got == (ssize_t)SIZE)
			continue;
		snprintf(c->wrong, sizeof(c->wrong), "pread brought %zd bytes of %lu, into memory that is there",
			 got, SIZE);
		break;
	}
	c->quit = true;
	pthread_join(thread, NULL);
}

TEST_LIMIT(read_into_discarded_pages, 60)
{
	static char zeros[SIZE], got[SIZE];
	struct copier *c[PROCESSES];
	int fd = memfd_create("next", MFD_CLOEXEC);
	double end = now() + smp_seconds();

	expect(write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "1000"), 0);
	memset(got, 1, sizeof(got));
	for (int i = 0; i < PROCESSES; i++)
		c[i] = copier(read_into_discarded);
	while (!any_wrong(c) && (now() < end || c[0]->copies < 100)) {
		ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
		for (int n = 0; n < 4; n++) {
			ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
			for (unsigned long i = 0; i < sizeof(got); i++)
				if (got[i])
					corrupt("byte %lu of zeros in a file is %#x", i, got[i]);
		}
		ck_assert_int_eq(ftruncate(fd, 0), 0);
	}
	smp_count("read_into_discarded_pages", copiers_finish(c, PROCESSES), "times discarded");
}

static void write_from_discarded(struct copier *c)
{
	pthread_t thread;
	uint8_t *back = (uint8_t *)steady();

	ck_assert_int_eq(pthread_create(&thread, NULL, discard, c), 0);
	for (uint64_t turn = 0; !c->quit && !c->wrong[0]; turn++) {
		ssize_t put;

		if (turn % 16 == 0)
			memset(c->mem, 0x5a, SIZE);
		put = pwrite(c->fd, c->mem, SIZE, 0);
		if (put != (ssize_t)SIZE) {
			snprintf(c->wrong, sizeof(c->wrong), "pwrite took %zd bytes of %lu, from memory that is there",
				 put, SIZE);
			break;
		}
		ck_assert_int_eq(pread(c->fd, back, SIZE, 0), SIZE);
		for (unsigned long i = 0; i < SIZE && !c->wrong[0]; i++)
			if (back[i] && back[i] != 0x5a)
				snprintf(c->wrong, sizeof(c->wrong), "byte %lu written from memory with 0 and 0x5a is %#x",
					 i, back[i]);
	}
	c->quit = true;
	pthread_join(thread, NULL);
}

/* What the kernel copies from pages that a thread gives back is not what others put there. */
TEST_LIMIT(write_from_discarded_pages, 60)
{
	static char others[SIZE];
	struct copier *c[PROCESSES] = { copier(write_from_discarded) };
	int fd = memfd_create("next", MFD_CLOEXEC);
	double end = now() + smp_seconds();

	expect(write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "1000"), 0);
	memset(others, 0x77, sizeof(others));
	while (!c[0]->wrong[0] && (now() < end || c[0]->copies < 100)) {
		ck_assert_int_eq(pwrite(fd, others, sizeof(others), 0), sizeof(others));
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		usleep(1000);
	}
	smp_count("write_from_discarded_pages", copiers_finish(c, 1), "times discarded");
}
