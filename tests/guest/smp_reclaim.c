// SPDX-License-Identifier: GPL-2.0-only
/*
 * smp: reclaim beside processes that only read.
 * (uml-run --swap 256M --mem 192M) (jobs 1 1p 2 4 8 4@debug 2@vanilla 4@vanilla 8@vanilla)
 */
#include "lib-smp.h"

#include <cpuid.h>
#include <sys/mman.h>

WITHOUT_CONTAINERS

/*
 * Who only reads. What may be executed stays readable on the host when a look has made it old (where the processor has
 * protection keys, for who has allowed all of them), and Linux as it is takes no reading for a use: reclaim finds
 * nothing but these pages, takes them, and gives the frames to who waits for one, while for the rest of a tick the
 * stub reads on through its old mapping. The pages are in swap from the second time on and have not changed, so that
 * a frame is free at once.
 *
 * Here reading is a use, and with a CPU for each of them the readers may keep their pages for ever: reclaim
 * finds those of the hog, which are all zero and are not written anywhere. So one more rests when it has read all,
 * until pages have been written: its own get old, go, and are read back.
 */
#define READERS 3
#define RESTS 2		/* who does */
#define READ_PAGES 2048

struct readers {
	volatile bool quit;
	volatile bool ready[READERS];
	volatile unsigned int turns;	/* that who rests may take, besides the first one */
	volatile unsigned int taken;	/* that it has taken */
	char wrong[256];
};

static uint64_t page_value(int i)
{
	return 0x5eed000000000000 + i;
}

struct reader {
	struct readers *all;
	int nr;
};

/* The host gives what may be executed only a protection key, which denies reading, as all but the first do from exec(2) on. */
static void allow_all_keys(void)
{
	unsigned int a, b, c = 0, d;

	if (__get_cpuid_count(7, 0, &a, &b, &c, &d) && c & bit_OSPKE)
		asm volatile(".byte 0x0f, 0x01, 0xef" :: "a"(0), "c"(0), "d"(0));	/* wrpkru */
}

static void read_for_ever(void *arg)
{
	struct reader *r = arg;
	volatile uint64_t *mem = mmap(NULL, READ_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int turn = 0;

	allow_all_keys();
	ck_assert_ptr_ne((void *)mem, MAP_FAILED);
	for (unsigned int i = 0; i < READ_PAGES * WORDS; i++)
		mem[i] = page_value(i / WORDS);
	ck_assert_int_eq(mprotect((void *)mem, READ_PAGES * PAGE, PROT_READ | PROT_EXEC), 0);
	r->all->ready[r->nr] = true;
	for (unsigned int k = 0; !r->all->quit; k = (k + 1) % WORDS) {
		for (int i = 0; i < READ_PAGES; i++) {
			uint64_t got = mem[i * WORDS + k];

			if (got == page_value(i))
				continue;
			snprintf(r->all->wrong, sizeof(r->all->wrong), "reader %d, page %d, word %u: got %#llx, wanted %#llx",
				 r->nr, i, k, (unsigned long long)got, (unsigned long long)page_value(i));
			return;
		}
		if (r->nr != RESTS)
			continue;
		r->all->taken = ++turn;
		while (turn > r->all->turns && !r->all->quit)
			usleep(10000);
	}
}

/* Faults of @pid for which something was read from swap. */
static uint64_t major_faults(pid_t pid)
{
	unsigned long n = 0;

	ck_assert_int_eq(sscanf(read_file(at("/proc", "%d/stat", pid)),
				"%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %lu", &n), 1);
	return n;
}

TEST_LIMIT(reclaim_of_read, 60)
{
	struct readers *all = shared(sizeof(*all));
	struct reader r = { .all = all };
	pid_t pid[READERS], presses;
	bool *quit = shared(PAGE);
	uint64_t before, written, read_back = 0;
	double end;

	/* code is of this kind, too: that of this program, and of its children, stays */
	ck_assert_int_eq(mlockall(MCL_CURRENT), 0);
	for (r.nr = 0; r.nr < READERS; r.nr++)
		pid[r.nr] = start(read_for_ever, &r);
	for (int i = 0; i < READERS; i++)
		eventually(all->ready[i], 20);
	before = vmstat("pswpout");
	presses = start(hog, quit);
	end = now() + smp_seconds();
	do {
		usleep(10000);
		written = vmstat("pswpout") - before;
		all->turns = written / 200;
	} while (!all->wrong[0] && (now() < end || all->taken < 3));
	for (int i = 0; i < READERS; i++)
		read_back += major_faults(pid[i]);
	/* that it ends by itself can take long where all wait for swap */
	stop(presses);
	all->quit = true;
	for (int i = 0; i < READERS; i++)
		finish(pid[i]);
	smp_count("reclaim_of_read", written, "pages swapped out");
	smp_count("reclaim_of_read", read_back, "pages that the readers had to have back");
	if (all->wrong[0])
		corrupt("%s", all->wrong);
}
