// SPDX-License-Identifier: GPL-2.0-only
/*
 * smp_tables: a page table that is freed and at once made anew, before the process runs again.
 * (jobs 1 1p 2 4 4@debug 1@vanilla 4@vanilla)
 *
 * That pages have gone is noted in the entries of the tables. A table that is freed takes its notes along; the entry above
 * it says that all below has gone. Stock UML forgets that, too, when a new table is put there: what nobody maps again
 * stays as it was in the host, on pages that are free. No second CPU and no luck is needed, so the bytes are wrong at
 * once. Each test fails on the vanilla flavour with "corrupt:" (lib-smp.h).
 */
#include "lib-smp.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

WITHOUT_CONTAINERS

#define MB (1UL << 20)
#define GB (1UL << 30)
#define OLD 0x0123456789abcdefUL
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)
#define RW (PROT_READ | PROT_WRITE)

static sigjmp_buf before;

static void refused(int sig)
{
	siglongjmp(before, sig);
}

/* Reads *WORD: 0, or the signal that came instead. */
static int look_at(volatile uint64_t *word, uint64_t *value)
{
	int sig = sigsetjmp(before, 1);

	if (!sig)
		*value = *word;
	return sig;
}

/* SIZE bytes at a multiple of SIZE, the only ones that a table for so much has. */
static char *alone(unsigned long size)
{
	char *all = mmap(NULL, 4 * size, PROT_NONE, ANON, -1, 0), *mem;

	ck_assert_ptr_ne(all, MAP_FAILED);
	mem = (char *)(((uintptr_t)all + 2 * size - 1) & ~(size - 1));
	ck_assert_int_eq(munmap(all, 4 * size), 0);
	ck_assert_ptr_eq(mmap(mem, size, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0), mem);
	return mem;
}

/* Each STEP of MEM, SIZE bytes of it, gets a page with OLD in it. */
static void fill(char *mem, unsigned long size, unsigned long step)
{
	for (unsigned long at = 0; at < size; at += step)
		*(volatile uint64_t *)(mem + at) = OLD;
}

/* From the second STEP on, MEM must be zero: to who reads it, and what it writes is what the kernel finds there. */
static void expect_fresh(const char *what, char *mem, unsigned long size, unsigned long step)
{
	uint64_t got = 0, here;
	int fd = memory_of(getpid());

	for (unsigned long at = step; at < size; at += step) {
		ck_assert_int_eq(look_at((uint64_t *)(mem + at), &got), 0);
		if (got)
			corrupt("%s: %#lx above the start: got %#llx, wanted 0, of a new page", what, at, (unsigned long long)got);
	}
	for (unsigned long at = step; at < size; at += step) {
		*(volatile uint64_t *)(mem + at) = at;
		ck_assert_int_eq(pread(fd, &here, sizeof(here), (uintptr_t)mem + at), sizeof(here));
		if (here != at)
			corrupt("%s: %#lx above the start: wrote %#lx, and the kernel reads %#llx there", what, at, at,
				(unsigned long long)here);
	}
	close(fd);
}

/* One page moves to where pages were, with the whole range that a table is for. */
static void move_over(const char *what, unsigned long size, unsigned long step)
{
	char *to = alone(size), *from = alone(size);

	fill(to, size, step);
	*(volatile uint64_t *)from = 1;
	ck_assert_ptr_eq(mremap(from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to), to);
	ck_assert_uint_eq(*(volatile uint64_t *)to, 1);
	expect_fresh(what, to, size, step);
	munmap(to, size);
}

TEST_LIMIT(mremap_over_a_table, 60)
{
	for (int i = 0; i < 5; i++)
		move_over("mremap of 2 MB", 2 * MB, PAGE);
}

/* The tables above go, too: 64 pages that are 16 MB, and 8 GB from each other. */
TEST_LIMIT(mremap_over_a_directory, 60)
{
	move_over("mremap of 1 GB", GB, 16 * MB);
}

TEST_LIMIT(mremap_over_the_top, 60)
{
	move_over("mremap of 512 GB", 512 * GB, 8 * GB);
}

/* A file of one page comes over 2 MB, and its page is mapped at once: behind its end is nothing to be read. */
TEST(short_file)
{
	int fd = memfd_create("short", MFD_CLOEXEC), sig;
	char *mem = alone(2 * MB);
	uint64_t got = 0;

	fill(mem, 2 * MB, PAGE);
	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	signal(SIGBUS, refused);
	ck_assert_ptr_eq(mmap(mem, 2 * MB, RW, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0), mem);
	for (unsigned long at = PAGE; at < 2 * MB; at += PAGE) {
		sig = look_at((uint64_t *)(mem + at), &got);
		if (!sig)
			corrupt("%lu bytes behind the end of a file: got %#llx, wanted SIGBUS", at - PAGE, (unsigned long long)got);
		ck_assert_int_eq(sig, SIGBUS);
	}
	ck_assert_uint_eq(*(volatile uint64_t *)mem, 0);
}

/* kB of page tables that PID has. */
static unsigned long tables_of(pid_t pid)
{
	return read_field(at("/proc", "%d/status", pid), "VmPTE");
}

/* PID goes on to the next end or begin of a system call, or signal. */
static void next_stop(pid_t pid)
{
	int status;

	ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WIFSTOPPED(status), 1);
}

/* Gives 2 MB that it had written to back, and tells what is there afterwards. */
static void give_back(char *mem, uint64_t *seen)
{
	fill(mem, 2 * MB, PAGE);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	madvise(mem, 2 * MB, MADV_DONTNEED);
	for (unsigned long i = 0; i < 2 * MB / PAGE; i++)
		seen[i] = *(volatile uint64_t *)(mem + i * PAGE);
	_exit(0);
}

/*
 * MADV_DONTNEED frees the table of what it empties (CONFIG_PT_RECLAIM). A tracer writes to the first page when the call has
 * ended in the kernel, so the table is made anew before the process runs on.
 */
TEST_LIMIT(dontneed_and_refill, 60)
{
	uint64_t *seen = shared(2 * MB / PAGE * sizeof(*seen)), one = 1;
	unsigned long before;
	char *mem = alone(2 * MB);
	pid_t pid = fork();
	int fd, status;

	ck_assert_int_ge(pid, 0);
	if (!pid)
		give_back(mem, seen);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WIFSTOPPED(status), 1);
	before = tables_of(pid);
	next_stop(pid);
	next_stop(pid);
	ck_assert_uint_eq(tables_of(pid) + PAGE / 1024, before);
	fd = memory_of(pid);
	ck_assert_int_eq(pwrite(fd, &one, sizeof(one), (uintptr_t)mem), sizeof(one));
	ck_assert_uint_eq(tables_of(pid), before);
	close(fd);
	ck_assert_int_eq(ptrace(PTRACE_CONT, pid, 0, 0), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(seen[0], 1);
	for (unsigned long i = 1; i < 2 * MB / PAGE; i++)
		if (seen[i])
			corrupt("MADV_DONTNEED: page %lu: got %#llx, wanted 0, of a new page", i, (unsigned long long)seen[i]);
}
