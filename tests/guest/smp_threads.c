// SPDX-License-Identifier: GPL-2.0-only
/*
 * smp_threads: no page and no permission is taken from a thread behind its
 * back by another thread, or by a process that writes to its memory.
 * (uml-run --swap 256M --mem 192M) (jobs 1 1p 2 4 8 1p@debug 2@debug 4@debug 8@debug 2@vanilla 4@vanilla 8@vanilla)
 *
 * Each test has one thread write on one CPU and another do a system call, and
 * looks from a third process when the call has ended in the kernel: lib-smp.h says
 * why from there. Each fails on the vanilla flavour with "corrupt:", but for (no proof: fallocate_hole mrelease flush_of_all),
 * of which the first goes the way of madv_remove.
 */
#include "lib-smp.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

WITHOUT_CONTAINERS

/* newer than some C libraries */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

#define MIN_TURNS 20

/* A page of a file that the pair has mapped, and this process too. */
struct window {
	struct pair *p;
	int fd;
	volatile uint64_t *here;
	void *there;
	int turns;
	double end;
};

static struct window *window(void)
{
	struct window *w = calloc(1, sizeof(*w));

	w->fd = memfd_create("window", 0);
	ck_assert_int_eq(ftruncate(w->fd, PAGE), 0);
	w->here = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, w->fd, 0);
	ck_assert(w->here != MAP_FAILED);
	w->p = pair_start();
	w->there = map_in(w->p, NULL, PAGE, MAP_SHARED, w->fd);
	write_to(w->p, w->there, 0);
	w->end = now() + smp_seconds();
	return w;
}

static bool more(struct window *w)
{
	w->p->hold = true;
	return now() < w->end || w->turns < MIN_TURNS;
}

/* The call has ended in the kernel: from now on the page must be as it is. */
static void expect_still(struct window *w, const char *call, long result)
{
	uint64_t first = *w->here, later;

	ck_assert_msg(result >= 0, "%s: %s", call, error_name(-result));
	spin_us(200);
	later = *w->here;
	if (first != later)
		corrupt("turn %d: %s has ended, and %llu writes after that are in the page", w->turns,
			call, (unsigned long long)(later - first));
	resume(w->p);
	/* through the other door: the writer was refused */
	eventually(w->p->refused, 5);
	w->turns++;
}

/* The page is back: the writer writes to it again. */
static void again(struct window *w)
{
	w->p->hold = false;
	eventually(!w->p->refused, 5);
	next_write(w->p);
}

static void window_finish(struct window *w, const char *name)
{
	w->p->hold = false;
	smp_count(name, w->turns, "times taken from a thread that was writing");
	pair_finish(w->p);
}

static void protect(const char *name, int prot)
{
	struct window *w = window();

	while (more(w)) {
		expect_still(w, "mprotect", act_on(w->p, SYS_mprotect, w->there, PAGE, prot));
		call_in(w->p, SYS_mprotect, w->there, PAGE, PROT_READ | PROT_WRITE);
		again(w);
	}
	window_finish(w, name);
}

TEST_LIMIT(mprotect_none, 60)
{
	protect("mprotect_none", PROT_NONE);
}

TEST_LIMIT(mprotect_read, 60)
{
	protect("mprotect_read", PROT_READ);
}

/* Inside the kernel: the call has not ended, and begins anew when its thread goes on. */
#define ERESTARTNOINTR 513

/* No mapping ends; its page does, and a marker is there instead, unless the writer brings one back each time. */
TEST_LIMIT(madv_guard, 60)
{
	struct window *w = window();

	while (more(w)) {
		long result = act_on(w->p, SYS_madvise, w->there, PAGE, MADV_GUARD_INSTALL);

		if (result == -ERESTARTNOINTR)
			resume(w->p);
		else
			expect_still(w, "MADV_GUARD_INSTALL", result);
		expect(-call_in(w->p, SYS_madvise, w->there, PAGE, MADV_GUARD_REMOVE), 0);
		again(w);
	}
	window_finish(w, "madv_guard");
}

TEST_LIMIT(munmap_shared, 60)
{
	struct window *w = window();

	while (more(w)) {
		expect_still(w, "munmap", act_on(w->p, SYS_munmap, w->there, PAGE));
		map_in(w->p, w->there, PAGE, MAP_SHARED | MAP_FIXED, w->fd);
		again(w);
	}
	window_finish(w, "munmap_shared");
}

TEST_LIMIT(mremap_away, 60)
{
	struct window *w = window();
	char *other = map_in(w->p, NULL, PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	while (more(w)) {
		expect_still(w, "mremap", act_on(w->p, SYS_mremap, w->there, PAGE, PAGE,
						 MREMAP_MAYMOVE | MREMAP_FIXED, other));
		call_in(w->p, SYS_mremap, other, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, w->there);
		again(w);
	}
	window_finish(w, "mremap_away");
}

/* The page of a window, kept by a pipe when it is in the file no more. */
struct keeper {
	int keeps[2], copy[2];
};

static struct keeper keeper(void)
{
	struct keeper k;

	ck_assert_int_eq(pipe(k.keeps) | pipe(k.copy), 0);
	return k;
}

static void keep(struct keeper *k, volatile void *page)
{
	struct iovec range = { (void *)page, PAGE };

	ck_assert_int_eq(vmsplice(k->keeps[1], &range, 1, 0), PAGE);
}

static void let_go(struct keeper *k)
{
	static char rest[PAGE];

	ck_assert_int_eq(read(k->keeps[0], rest, PAGE), PAGE);
}

/* What the page begins with; it stays in the pipe. */
static uint64_t kept(struct keeper *k)
{
	static uint64_t page[WORDS];

	ck_assert_int_eq(tee(k->keeps[0], k->copy[1], PAGE, 0), PAGE);
	ck_assert_int_eq(read(k->copy[0], page, PAGE), PAGE);
	return page[0];
}

/* The call has ended in the kernel: nobody writes to the page any more. */
static void expect_left(struct keeper *k, const char *call, int turn)
{
	uint64_t first = kept(k), later;

	spin_us(200);
	later = kept(k);
	if (first != later)
		corrupt("turn %d: %s has ended, and %llu writes after that are in the page", turn, call,
			(unsigned long long)(later - first));
}

TEST_LIMIT(truncated, 60)
{
	struct window *w = window();
	struct keeper k = keeper();

	while (more(w)) {
		keep(&k, w->here);
		expect(-act_on(w->p, SYS_ftruncate, w->fd, 0L), 0);
		expect_left(&k, "ftruncate", w->turns);
		resume(w->p);
		eventually(w->p->refused, 5);
		let_go(&k);
		expect(-call_in(w->p, SYS_ftruncate, w->fd, PAGE), 0);
		again(w);
		w->turns++;
	}
	window_finish(w, "truncated");
}

/* The file gets a hole, by one of two calls, and a fresh page where the writer goes on. */
static void punch(const char *name, bool by_address)
{
	struct window *w = window();
	struct keeper k = keeper();

	while (now() < w->end || w->turns < MIN_TURNS) {
		uint64_t last;

		keep(&k, w->here);
		if (by_address)
			expect(-act_on(w->p, SYS_madvise, w->there, PAGE, MADV_REMOVE), 0);
		else
			expect(-act_on(w->p, SYS_fallocate, w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0L,
				       PAGE), 0);
		expect_left(&k, name, w->turns);
		resume(w->p);
		/* through the other door: later writes are in the file */
		last = next_write(w->p);
		ck_assert_uint_ge(*w->here, last);
		let_go(&k);
		w->turns++;
	}
	window_finish(w, name);
}

TEST_LIMIT(fallocate_hole, 60)
{
	punch("fallocate_hole", false);
}

TEST_LIMIT(madv_remove, 60)
{
	punch("madv_remove", true);
}

/* Another page comes to the place: the writer is not refused, but writes there. */
TEST_LIMIT(mmap_over, 60)
{
	struct window *w = window();

	while (now() < w->end || w->turns < MIN_TURNS) {
		long r = act_on(w->p, SYS_mmap, w->there, PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0L);
		uint64_t first = *w->here;

		ck_assert_msg(r > 0, "mmap: %s", error_name(-r));
		next_write(w->p);
		if (*w->here != first)
			corrupt("turn %d: mmap over the page has ended, and a later write is in it", w->turns);
		resume(w->p);
		map_in(w->p, w->there, PAGE, MAP_SHARED | MAP_FIXED, w->fd);
		next_write(w->p);
		ck_assert_uint_gt(*w->here, first);
		w->turns++;
	}
	window_finish(w, "mmap_over");
}

/* Writes that began after now must be in the page that the kernel sees there. */
static void expect_written(struct pair *p, int mem, const char *what, int turn)
{
	uint64_t written = next_write(p), got;

	ck_assert_int_eq(pread(mem, &got, sizeof(got), (off_t)p->word), sizeof(got));
	if (got < written)
		corrupt("turn %d: after %s the writer has written %llu, and the page has %llu", turn, what,
			(unsigned long long)written, (unsigned long long)got);
}

TEST_LIMIT(madv_dontneed, 60)
{
	struct pair *p = pair_start();
	char *page = map_in(p, NULL, PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int mem = memory_of(p->writer), turns;
	double end = now() + smp_seconds();

	write_to(p, page, 0);
	for (turns = 0; now() < end || turns < MIN_TURNS; turns++) {
		expect(-act_on(p, SYS_madvise, page, PAGE, MADV_DONTNEED), 0);
		expect_written(p, mem, "MADV_DONTNEED", turns);
		resume(p);
	}
	smp_count("madv_dontneed", turns, "times taken from a thread that was writing");
	pair_finish(p);
}

#define FREED 64
#define UNUSED 96
#define ALL (FREED + UNUSED)

/* Waits until the writer has written to each of its COUNT pages, and again. */
static uint64_t write_all(struct pair *p, uint64_t count)
{
	uint64_t from = p->count + 1;

	while (p->count < from + 2 * count)
		sched_yield();
	return from;
}

static uint64_t word_in(int fd, const char *at)
{
	uint64_t got;

	ck_assert_int_eq(pread(fd, &got, sizeof(got), (off_t)at), sizeof(got));
	return got;
}

/*
 * Pages that are free for the taking are so only until they are written again. The writer writes to FREED of
 * them; of the others, which it has written before, some must really go: not all, since two
 * lists of another CPU may hold 31 each, and a page that is held stays.
 */
TEST_LIMIT(madv_free, 60)
{
	struct pair *p = pair_start();
	char *mem = map_in(p, NULL, ALL * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int fd = memory_of(p->writer), pidfd = syscall(SYS_pidfd_open, p->writer, 0), turns;
	struct iovec range = { mem, ALL * PAGE };
	uint64_t freed = 0;
	double end = now() + smp_seconds();

	write_to(p, mem, ALL);
	for (turns = 0; now() < end || turns < MIN_TURNS; turns++) {
		uint64_t from;

		p->stride = ALL;
		write_all(p, ALL);
		p->stride = FREED;
		next_write(p);
		expect(-act_on(p, SYS_madvise, mem, ALL * PAGE, MADV_FREE), 0);
		from = write_all(p, FREED);
		syscall(SYS_process_madvise, pidfd, &range, 1UL, MADV_PAGEOUT, 0);
		for (int i = 0; i < ALL; i++) {
			uint64_t got = word_in(fd, mem + i * PAGE);

			if (i >= FREED)
				freed += got == 0;
			else if (got < from)
				corrupt("turn %d: page %d was freed and written again with more than %llu; it has %llu",
					turns, i, (unsigned long long)from, (unsigned long long)got);
		}
		resume(p);
	}
	smp_count("madv_free", turns, "times freed under a thread that was writing");
	smp_count("madv_free", freed, "pages that were really freed");
	ck_assert_uint_gt(freed, 0);
	pair_finish(p);
}

#define MANY 1024

/* Pages that are unmapped belong to whoever gets them next. */
TEST_LIMIT(munmap_private, 60)
{
	static char zeros[MANY * PAGE], got[MANY * PAGE];
	struct pair *p = pair_start();
	int fd = memfd_create("next", MFD_CLOEXEC), turns;
	char *mem = map_in(p, NULL, MANY * PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
	double end = now() + smp_seconds();

	/* no CPU keeps them for itself */
	expect(write_file("/proc/sys/vm/percpu_pagelist_high_fraction", "1000"), 0);
	memset(got, 1, sizeof(got));
	for (turns = 0; now() < end || turns < MIN_TURNS; turns++) {
		write_to(p, mem, MANY);
		next_write(p);
		p->hold = true;
		expect(-act_on(p, SYS_munmap, mem, MANY * PAGE), 0);
		ck_assert_int_eq(pwrite(fd, zeros, sizeof(zeros), 0), sizeof(zeros));
		spin_us(200);
		ck_assert_int_eq(pread(fd, got, sizeof(got), 0), sizeof(got));
		for (unsigned long i = 0; i < sizeof(got); i++)
			if (got[i])
				corrupt("turn %d: byte %lu of zeros in a file is %#x", turns, i, got[i]);
		resume(p);
		eventually(p->refused, 5);
		ck_assert_int_eq(ftruncate(fd, 0), 0);
		map_in(p, mem, MANY * PAGE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1);
		p->hold = false;
		eventually(!p->refused, 5);
	}
	smp_count("munmap_private", turns * MANY, "pages freed under a thread that was writing");
	pair_finish(p);
}

/* The snapshot that a child of fork() has is of the moment of the fork. */
TEST_LIMIT(fork_snapshot, 60)
{
	struct pair *p = pair_start();
	char *page = map_in(p, NULL, PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	int mem = memory_of(p->writer), turns;
	double end = now() + smp_seconds();

	write_to(p, page, 0);
	for (turns = 0; now() < end || turns < MIN_TURNS; turns++) {
		uint64_t copies = p->copies;
		long child = act_on(p, SYS_fork);

		ck_assert_int_gt(child, 0);
		eventually(p->copies > copies, 5);
		if (p->changed)
			corrupt("turn %d: the child's copy of the page changed", turns);
		expect_written(p, mem, "fork", turns);
		resume(p);
	}
	smp_count("fork_snapshot", p->copies, "children looked at their copy");
	pair_finish(p);
}

static void by_proc_mem(struct pair *p, char *page, uint64_t n)
{
	int mem = memory_of(p->writer);

	ck_assert_int_eq(pwrite(mem, &n, sizeof(n), (off_t)page), sizeof(n));
	close(mem);
}

/* The actor is stopped; the writer, which has the same memory, is not. */
static void by_poke(struct pair *p, char *page, uint64_t n)
{
	ck_assert_msg(!ptrace(PTRACE_POKEDATA, p->actor, page, n), "poke: %s", error_name(errno));
}

/* What a debugger writes to a page that is shared copy-on-write is what the thread reads. */
static void write_into_reader(const char *name, void (*by)(struct pair *p, char *page, uint64_t n))
{
	struct pair *p = pair_start();
	char *page = map_in(p, NULL, PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	double end = now() + smp_seconds();
	uint64_t turns;

	write_to(p, page, 0);
	p->reads = true;
	for (turns = 1; now() < end || turns < MIN_TURNS; turns++) {
		/* a child that has the page too, for longer than this turn takes */
		ck_assert_int_gt(act_on(p, SYS_fork), 0);
		next_write(p);
		by(p, page, turns);
		next_write(p);
		if (p->seen != turns)
			corrupt("turn %llu: the thread reads %llu", (unsigned long long)turns,
				(unsigned long long)p->seen);
		resume(p);
	}
	smp_count(name, turns, "words written into a thread that was reading");
	pair_finish(p);
}

TEST_LIMIT(write_to_proc_mem, 60)
{
	write_into_reader("write_to_proc_mem", by_proc_mem);
}

TEST_LIMIT(ptrace_poke, 60)
{
	write_into_reader("ptrace_poke", by_poke);
}

/* A process of one page that it writes to until it is killed; the pipe keeps the page. */
struct victim {
	struct keeper k;
	volatile uint64_t count;
};

static void write_until_killed(void *arg)
{
	struct victim *v = arg;
	volatile uint64_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(page != MAP_FAILED);
	*page = 1;
	keep(&v->k, page);
	for (;;)
		v->count = ++*page;
}

/*
 * process_mrelease(2) does what the OOM reaper does, and does it at once: it takes the pages of a process that was
 * killed and that may be in user code until it learns of it. No proof: the kill sends an interrupt, which
 * ends the stay on Linux as it is too, before the call has come to the pages (the reaper comes two seconds later).
 */
TEST_LIMIT(mrelease, 60)
{
	struct victim *v = shared(sizeof(*v));
	double end = now() + smp_seconds();
	int turns = 0, taken = 0;

	v->k = keeper();
	for (; now() < end || taken < MIN_TURNS; turns++) {
		pid_t pid;
		int fd, err;

		v->count = 0;
		pid = start(write_until_killed, v);
		while (v->count < 2)
			sched_yield();
		fd = syscall(SYS_pidfd_open, pid, 0);
		kill(pid, SIGKILL);
		err = syscall(SYS_process_mrelease, fd, 0) ? errno : 0;
		if (!err)
			expect_left(&v->k, "process_mrelease", turns);
		/* it had ended before */
		ck_assert_msg(!err || err == ESRCH, "process_mrelease: %s", error_name(err));
		taken += !err;
		close(fd);
		ck_assert_int_eq(wait_for(pid), 128 + SIGKILL);
		let_go(&v->k);
	}
	smp_count("mrelease", turns, "processes killed in user code");
	smp_count("mrelease", taken, "whose pages were taken before they ended");
}

#define WIDE (64UL << 20)
#define TABLE (2UL << 20)

/* Takes all that a process has of a file out of it, again and again, and brings a page of each table back. */
struct forgetter {
	int fd;
	volatile bool stop;
	uint64_t turns;
};

static void forget(void *arg)
{
	struct forgetter *f = arg;
	char *mem = mmap(NULL, WIDE, PROT_READ, MAP_SHARED, f->fd, 0);

	ck_assert(mem != MAP_FAILED);
	for (; !f->stop; f->turns++) {
		/* beyond the end of the file there is none */
		for (unsigned long at = 0; at < WIDE; at += TABLE)
			madvise(mem + at, PAGE, MADV_POPULATE_READ);
		ck_assert_int_eq(madvise(mem, WIDE, MADV_DONTNEED), 0);
	}
}

/*
 * Two take pages from one memory at once, one from outside: who ends while the other is at it flushes all that is there
 * (tlb_finish_mmu()), and has no lock of the mappings to look at them. No byte is lost by that, so it is the kernel
 * with PROVE_RCU that tells (no proof).
 */
TEST_LIMIT(flush_of_all, 60)
{
	struct forgetter *f = shared(sizeof(*f));
	double end = now() + smp_seconds();
	int turns;
	pid_t pid;

	f->fd = memfd_create("forgotten", 0);
	ck_assert_int_eq(ftruncate(f->fd, WIDE), 0);
	pid = start(forget, f);
	for (turns = 0; now() < end || turns < MIN_TURNS || f->turns < MIN_TURNS; turns++) {
		ck_assert_int_eq(ftruncate(f->fd, 0), 0);
		ck_assert_int_eq(ftruncate(f->fd, WIDE), 0);
	}
	f->stop = true;
	ck_assert_int_eq(wait_for(pid), 0);
	smp_count("flush_of_all", turns, "times a file was made shorter under a process that let go of its pages");
	close(f->fd);
}
