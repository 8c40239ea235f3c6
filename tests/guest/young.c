// SPDX-License-Identifier: GPL-2.0-only
/*
 * young: which pages are in use, as Linux sees it through faults (arch/um/include/asm/young.h).
 *
 * The doors: a process's own count of faults; "Referenced" of smaps, which is the young entries;
 * clear_refs, which looks; the referenced flag of /proc/kpageflags. Nobody else looks here: there is
 * no memory pressure, and no limit. (jobs 1 4 1p 4@debug)
 */
#include "lib-memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

WITHOUT_CONTAINERS

#define PAGES 512
/* faults that a test's own code may cost: its stack, libc's data, what printf() and Check use */
#define OWN_FAULTS 96
#define KPF_REFERENCED 2

static char *mem;

/* A region of its own in smaps: its neighbours may not be accessed. */
static void make_region(void)
{
	mem = mmap(NULL, (PAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(mem, MAP_FAILED);
	mem += PAGE;
	ck_assert_int_eq(mprotect(mem, PAGES * PAGE, PROT_READ | PROT_WRITE), 0);
	memset(mem, 1, PAGES * PAGE);
}

static long faults(void)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_minflt + usage.ru_majflt;
}

static void read_pages(int from, int to)
{
	for (int i = from; i < to; i++)
		ck_assert_int_eq(((volatile char *)mem)[i * PAGE], 1);
}

/* Faults of reading these pages. */
static long faults_of_reading(int from, int to)
{
	long before = faults();

	read_pages(from, to);
	return faults() - before;
}

static void look(void)
{
	expect(write_file("/proc/self/clear_refs", "1"), 0);
}

/* Pages of the region that are young. */
static unsigned long young_pages(void)
{
	char *smaps = read_file("/proc/self/smaps"), start[32], *at;
	unsigned long kb;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)mem);
	at = strstr(smaps, start);
	ck_assert_msg(at, "no region %s in smaps", start);
	at = strstr(at, "\nReferenced:");
	ck_assert_msg(at && sscanf(at, " Referenced: %lu kB", &kb) == 1, "no Referenced in smaps");
	free(smaps);
	return kb / 4;
}

/* Runs FN in a child of fork(); a failed check there fails the test. */
static void in_child(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status), "the child failed (status 0x%x)",
		      status);
}

static void reads_without_faults(void)
{
	ck_assert_int_le(faults_of_reading(0, PAGES), OWN_FAULTS);
}

/* A child reads what its parent has in use as fast as the parent does. */
TEST(fork_costs_no_read_faults)
{
	make_region();
	in_child(reads_without_faults);
}

static void untouched(void)
{
	/* not before, not after a look */
	ck_assert_uint_eq(young_pages(), 0);
	look();
	ck_assert_uint_eq(young_pages(), 0);
}

TEST(untouched_copy_is_not_young)
{
	make_region();
	in_child(untouched);
}

static void seen_after_a_look(void)
{
	look();
	ck_assert_int_ge(faults_of_reading(0, PAGES / 2), PAGES / 2);
	ck_assert_uint_eq(young_pages(), PAGES / 2);
	/* and no more faults until the next look */
	ck_assert_int_le(faults_of_reading(0, PAGES / 2), OWN_FAULTS);
	look();
	ck_assert_uint_eq(young_pages(), 0);
	read_pages(0, PAGES);
	ck_assert_uint_eq(young_pages(), PAGES);
}

/* Someone who has looked once sees each read of a page, the first one too. */
TEST(read_is_seen_after_a_look)
{
	make_region();
	in_child(seen_after_a_look);
}

TEST(read_is_seen_without_fork)
{
	make_region();
	ck_assert_uint_eq(young_pages(), PAGES);
	seen_after_a_look();
}

static void seen_at_once(void)
{
	ck_assert_uint_eq(young_pages(), 0);
	read_pages(0, PAGES / 2);
	ck_assert_uint_eq(young_pages(), PAGES / 2);
}

/* What was looked at and not used is not used in the copy either, until it is. */
TEST(fork_copies_what_is_known)
{
	make_region();
	look();
	in_child(seen_at_once);
}

/* Advice that a region will not be used is a look, too. */
TEST(read_is_seen_after_madv_cold)
{
	make_region();
	ck_assert_int_eq(madvise(mem, PAGES * PAGE, MADV_COLD), 0);
	seen_at_once();
}

static void written(void)
{
	memset(mem, 2, PAGES / 2 * PAGE);
	ck_assert_uint_eq(young_pages(), PAGES / 2);
}

/* The copy's own pages, made by writing to it. */
TEST(write_is_seen_at_once)
{
	make_region();
	in_child(written);
}

static unsigned long referenced_pages(void)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY), flags = open("/proc/kpageflags", O_RDONLY);
	unsigned long found = 0;
	uint64_t entry, bits;

	ck_assert_int_ge(pagemap, 0);
	ck_assert_int_ge(flags, 0);
	for (int i = 0; i < PAGES; i++) {
		ck_assert_int_eq(pread(pagemap, &entry, 8, ((unsigned long)mem / PAGE + i) * 8), 8);
		ck_assert_msg(entry >> 63, "page %d is not in memory", i);
		ck_assert_int_eq(pread(flags, &bits, 8, (entry & ((1ull << 55) - 1)) * 8), 8);
		found += bits >> KPF_REFERENCED & 1;
	}
	close(pagemap);
	close(flags);
	return found;
}

static void exits(void)
{
}

/* Otherwise each command that a shell starts would mark the shell's pages used, and used again. */
TEST(exiting_copy_marks_nothing_used)
{
	make_region();
	look();
	read_pages(0, PAGES);
	ck_assert_uint_eq(referenced_pages(), 0);
	in_child(exits);
	ck_assert_uint_eq(referenced_pages(), 0);
}
