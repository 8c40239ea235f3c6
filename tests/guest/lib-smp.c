// SPDX-License-Identifier: GPL-2.0-only
/* See lib-smp.h: the herd of writers, and what all suites of it share. */
#include "lib-smp.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/wait.h>

void corrupt_at(const char *file, int line, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	_ck_assert_failed(file, line, "corrupt", "corrupt: %s", text);
	abort();
}

double smp_seconds(void)
{
	const char *text = getenv("SMP_SECONDS");
	double s = text ? atof(text) : 2;

	return s > 0 ? s : 2;
}

void smp_count(const char *name, uint64_t count, const char *what)
{
	printf("# %s: %llu %s\n", name, (unsigned long long)count, what);
	fflush(stdout);
}

void *shared(size_t size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	return mem;
}

int memory_of(pid_t pid)
{
	char *path = at("/proc", "%d/mem", pid);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", path, error_name(errno));
	free(path);
	return fd;
}

void spin_us(unsigned int us)
{
	static double per_us;
	uint64_t end;

	if (per_us == 0) {
		double began = now();
		uint64_t tsc = __builtin_ia32_rdtsc();

		while (now() < began + 0.002)
			;
		per_us = (__builtin_ia32_rdtsc() - tsc) / ((now() - began) * 1e6);
	}
	end = __builtin_ia32_rdtsc() + us * per_us;
	while (__builtin_ia32_rdtsc() < end)
		;
}

/* What writer SEED writes to page I in round R; the words of a page take turns. */
static uint64_t value(unsigned int seed, unsigned long i, uint64_t r)
{
	return r << 32 | (uint64_t)(seed + 1) << 24 | i;
}

/* What word K of a page holds when R was the last round that wrote the page. */
static uint64_t wanted(struct herd *h, unsigned int seed, unsigned long i, unsigned int k,
		       uint64_t r)
{
	uint64_t last = r - (r - k) % WORDS;

	return h->mergeable || r < k || last == 0 ? 0 : value(seed, i, last);
}

static void describe(char *text, size_t size, unsigned int seed, uint64_t r, unsigned long i,
		     unsigned int k, uint64_t got, uint64_t want)
{
	snprintf(text, size, "writer %u, round %llu, page %lu, word %u: got %#llx, wanted %#llx",
		 seed, (unsigned long long)r, i, k, (unsigned long long)got,
		 (unsigned long long)want);
}

static bool wrong(struct writer *w, unsigned int seed, uint64_t r, unsigned long i,
		  unsigned int k, uint64_t got, uint64_t want)
{
	describe(w->wrong, sizeof(w->wrong), seed, r, i, k, got, want);
	return false;
}

/* Is the page what round R left? Else says in TEXT what is wrong. */
static bool right(struct herd *h, unsigned int seed, const uint64_t *page, unsigned long i,
		  uint64_t r, char *text, size_t size)
{
	for (unsigned int k = 0; k < WORDS; k++) {
		uint64_t got = ((const volatile uint64_t *)page)[k], want = wanted(h, seed, i, k, r);

		if (got == want)
			continue;
		describe(text, size, seed, r, i, k, got, want);
		return false;
	}
	return true;
}

/* One word of each page; what the round before wrote must still be there. */
static bool write_round(struct herd *h, struct writer *w, unsigned int seed, uint64_t r)
{
	for (unsigned long i = 0; i < h->pages; i++) {
		volatile uint64_t *page = w->mem + i * WORDS, *word = page + r % WORDS;
		uint64_t got = page[(r - 1) % WORDS];

		if (got != wanted(h, seed, i, (r - 1) % WORDS, r - 1))
			return wrong(w, seed, r, i, (r - 1) % WORDS, got,
				     wanted(h, seed, i, (r - 1) % WORDS, r - 1));
		*word = value(seed, i, r);
		if (!h->mergeable)
			continue;
		/* KSM takes a page that looked the same twice: mostly zero, but being written */
		for (volatile int wait = 0; wait < 50; wait++)
			;
		got = *word;
		if (got != value(seed, i, r))
			return wrong(w, seed, r, i, r % WORDS, got, value(seed, i, r));
		*word = 0;
	}
	return true;
}

static bool check_all(struct herd *h, struct writer *w, unsigned int seed, uint64_t r)
{
	for (unsigned long i = 0; i < h->pages; i++)
		if (!right(h, seed, w->mem + i * WORDS, i, r, w->wrong, sizeof(w->wrong)))
			return false;
	return true;
}

static void write_for_ever(struct herd *h, struct writer *w, unsigned int seed)
{
	unsigned int generation = 0;
	uint64_t r = 0;

	while (!h->stop) {
		if (generation != h->generation) {
			if (!check_all(h, w, seed, r))
				break;
			madvise(w->mem, h->pages * PAGE, MADV_DONTNEED);
			r = 0;
			generation = h->generation;
			w->empty = generation;
			while (h->hold && !h->stop)
				usleep(100);
		}
		if (!write_round(h, w, seed, ++r))
			break;
		w->round = r;
		w->generation = generation;
	}
}

/* How a writer ends before it has written anything. */
#define NO_MEMORY 2
#define NOT_MERGEABLE 3

static void writer(struct herd *h, unsigned int seed)
{
	struct writer *w = &h->w[seed];

	w->mem = mmap(NULL, h->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (w->mem == MAP_FAILED)
		_exit(NO_MEMORY);
	if (h->mergeable && madvise(w->mem, h->pages * PAGE, MADV_MERGEABLE))
		_exit(NOT_MERGEABLE);
	write_for_ever(h, w, seed);
	w->stopped = true;
	while (!h->leave)
		usleep(1000);
	_exit(0);
}

/* Has it died? It is not reaped. */
static bool ended(struct writer *w)
{
	siginfo_t info = { 0 };

	return !waitid(P_PID, w->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

/* All have filled the pages of this generation, or one has found a wrong byte. */
static void wait_generation(struct herd *h)
{
	for (int i = 0; i < h->n; i++)
		while (h->w[i].generation != h->generation && !h->w[i].stopped) {
			usleep(200);
			if (herd_wrong(h))
				return;
		}
}

int herd_size(void)
{
	int cpus = get_nprocs();

	return cpus < 3 ? 2 : cpus - 1 > MAX_WRITERS ? MAX_WRITERS : cpus - 1;
}

struct herd *herd_start(unsigned long pages, bool mergeable)
{
	struct herd *h = shared(sizeof(*h));

	h->pages = pages;
	h->mergeable = mergeable;
	h->n = herd_size();
	h->generation = 1;
	fflush(stdout);
	for (int i = 0; i < h->n; i++) {
		pid_t pid = fork();

		ck_assert_msg(pid >= 0, "fork: %s", error_name(errno));
		if (!pid)
			writer(h, i);
		h->w[i].pid = pid;
	}
	wait_generation(h);
	return h;
}

void herd_renew(struct herd *h, void (*between)(void *arg), void *arg)
{
	h->hold = true;
	h->generation++;
	for (int i = 0; i < h->n; i++)
		while (h->w[i].empty != h->generation && !h->w[i].stopped && !herd_wrong(h))
			usleep(100);
	between(arg);
	h->hold = false;
	wait_generation(h);
}

bool herd_wrong(struct herd *h)
{
	for (int i = 0; i < h->n; i++)
		if (h->w[i].wrong[0] || ended(&h->w[i]))
			return true;
	return false;
}

void advise(struct herd *h, int i, int advice)
{
	struct iovec range = { h->w[i].mem, h->pages * PAGE };
	int fd = syscall(SYS_pidfd_open, h->w[i].pid, 0);

	ck_assert_msg(fd >= 0, "pidfd_open: %s", error_name(errno));
	ck_assert_msg(syscall(SYS_process_madvise, fd, &range, 1UL, advice, 0) >= 0,
		      "process_madvise(%d): %s", advice, error_name(errno));
	close(fd);
}

/* The same pages through another door. */
static void read_from_outside(struct herd *h, int i)
{
	int fd = memory_of(h->w[i].pid);
	char text[256];

	for (unsigned long p = 0; p < h->pages; p++) {
		uint64_t page[WORDS];

		ck_assert_int_eq(pread(fd, page, PAGE, (off_t)(h->w[i].mem + p * WORDS)), PAGE);
		if (!right(h, i, page, p, h->w[i].round, text, sizeof(text)))
			corrupt("at the end, through /proc/PID/mem: %s", text);
	}
	close(fd);
}

/* Its stack and its code lie in pages that go away too: what it does of a wrong byte there is anything but this. */
static bool of_a_wrong_byte(int status)
{
	return status != NO_MEMORY && status != NOT_MERGEABLE && status != 128 + SIGKILL;
}

static void writer_ended(struct writer *w, int i)
{
	int status = wait_for(w->pid);

	if (of_a_wrong_byte(status))
		corrupt("writer %d ended with status %d", i, status);
	ck_abort_msg("writer %d ended with status %d: no memory, not mergeable, or killed", i, status);
}

void herd_finish(struct herd *h)
{
	h->stop = true;
	for (int i = 0; i < h->n; i++) {
		while (!h->w[i].stopped && !ended(&h->w[i]))
			usleep(500);
		if (h->w[i].wrong[0])
			corrupt("%s", h->w[i].wrong);
		if (!h->w[i].stopped)
			writer_ended(&h->w[i], i);
	}
	for (int i = 0; i < h->n; i++)
		read_from_outside(h, i);
	h->leave = true;
	for (int i = 0; i < h->n; i++)
		finish(h->w[i].pid);
}

void hog(void *arg)
{
	volatile bool *quit = arg;
	size_t size = (read_field("/proc/meminfo", "MemAvailable") + 24 * 1024) * 1024;
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	/* the kernel alone fills memory ten times as fast as faults do, next to the writers */
	while (!*quit)
		for (size_t i = 0; i < size && !*quit; i += 64 * PAGE)
			madvise(mem + i, size - i < 64 * PAGE ? size - i : 64 * PAGE, MADV_POPULATE_WRITE);
}
