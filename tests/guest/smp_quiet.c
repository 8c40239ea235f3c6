// SPDX-License-Identifier: GPL-2.0-only
/*
 * smp_quiet: taking pages and rights from a process that is in user code nowhere interrupts no other CPU.
 * (jobs 2 4 4@debug)
 *
 * By the kernel's own count, not by time: lines RES and CAL of /proc/interrupts. Others interrupt too, some
 * hundred times a second at most (a tick is every 10 ms, on CPUs that are not idle), whereas an interrupt
 * for each flush would be thousands within that second. What a flush asks of the host is counted by
 * arch/um/kernel/shootdown_test.c.
 */
#include "lib-smp.h"

#include <fcntl.h>
#include <sys/mman.h>

WITHOUT_CONTAINERS

#define FLUSHES 5000

/* Interrupts from one CPU to another so far. */
static uint64_t interrupts(void)
{
	char *text = read_file("/proc/interrupts"), *line = text;
	uint64_t n = 0;
	int lines = 0;

	for (; line; line = strchr(line, '\n')) {
		line += strspn(line, "\n ");
		if (strncmp(line, "RES:", 4) && strncmp(line, "CAL:", 4))
			continue;
		lines++;
		line += strlen("RES:");
		for (char *end; ; line = end) {
			uint64_t one = strtoull(line, &end, 10);

			if (end == line)
				break;
			n += one;
		}
	}
	ck_assert_msg(lines == 2, "no RES or CAL in /proc/interrupts: %s", text);
	free(text);
	return n;
}

static void expect_quiet(const char *name, uint64_t before)
{
	uint64_t n = interrupts() - before;

	smp_count(name, n, "interrupts to other CPUs");
	ck_assert_msg(n < FLUSHES / 2, "%d flushes: got %llu interrupts to other CPUs, wanted less than half as many",
		      FLUSHES, (unsigned long long)n);
}

/* Whoever does the call is in the kernel, and nobody else has this memory. */
TEST(own_memory)
{
	uint64_t before;
	char *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	*mem = 1;
	before = interrupts();
	for (int i = 0; i < FLUSHES; i++)
		ck_assert_int_eq(mprotect(mem, PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ), 0);
	expect_quiet("own_memory", before);
}

static void sleep_on(void *arg)
{
	*(volatile bool *)arg = true;
	for (;;)
		pause();
}

/* A page of a file that a process which sleeps has mapped: it comes by a write from outside, and goes with the file's end. */
TEST_LIMIT(memory_of_a_sleeper, 40)
{
	int fd = memfd_create("page", MFD_CLOEXEC);
	char *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), byte = 1;
	bool *asleep = shared(PAGE);
	pid_t pid = start(sleep_on, asleep);
	int its = memory_of(pid);
	uint64_t before;

	ck_assert_ptr_ne(mem, MAP_FAILED);
	eventually(*(volatile bool *)asleep, 5);
	before = interrupts();
	for (int i = 0; i < FLUSHES; i++) {
		ck_assert_int_eq(ftruncate(fd, PAGE), 0);
		ck_assert_int_eq(pwrite(its, &byte, 1, (off_t)mem), 1);
		ck_assert_int_eq(ftruncate(fd, 0), 0);
	}
	expect_quiet("memory_of_a_sleeper", before);
	close(its);
	stop(pid);
}
