// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: who fits loses nothing when somebody beside him has a quarter of the memory that he works in; and
 * without a limit there most of it. Everything is a count of pages: mincore(2), pagemap, refaults, faults that
 * had to wait for a disk. (uml-run --swap 512M --mem 160M) (jobs 1 4 1@debug)
 *
 * In the debug kernel each page that comes from swap or goes there leaves 2 KB in KASAN's quarantine, what the disk was
 * asked for. It is there to be 2 MB and empties itself, but only in allocations that may wait, and of such
 * a fault has none: after 2000 pages it has all 8 MB that were free, Linux reclaims, and the neighbour, the
 * oldest, goes. That is no memory of either container, so the one who thrashes makes a system call every few pages there.
 *
 * The sizes follow from what is free. Between two looks at all that the neighbour has, the other one goes once
 * through its working set: by then each page of the neighbour's is the oldest that there is.
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define TURNS 3
/* What kswapd keeps free, and what else of the kernel's comes and goes, in pages. */
#define SLACK 64

/* Faults that waited, of the actor. */
static void count_waits(struct actor *a)
{
	struct rusage usage;

	ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
	a->result = usage.ru_majflt;
}

/* Its file and its memory, all pages. */
static void look(struct actor *a)
{
	check(a);
	a->arg = 1;
	read_whole(a);
}

/* Pages between two system calls in the debug kernel. */
#define STEP 20

/* Writes ARG pages, which it maps the first time. */
static void thrash(struct actor *a)
{
	struct actor part = *a;
	unsigned long step = lib_slow > 1 ? STEP : a->arg;

	if (!a->mem) {
		a->pages = a->arg;
		a->mem = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(a->mem, MAP_FAILED);
	}
	for (unsigned long done = 0; done < a->arg; done += step) {
		part.mem = a->mem + done * PAGE;
		part.arg = a->arg - done < step ? a->arg - done : step;
		rewrite(&part);
		/* the kernel allocates a file for that, and may wait */
		close(open("/", O_PATH | O_CLOEXEC));
	}
}

struct scene {
	char *root, *a, *b, *data;
	struct actor *neighbour, *thrasher;
	unsigned long memory, file, set;	/* pages */
};

static struct scene make_scene(void)
{
	unsigned long spare;
	struct scene s = { .root = mount_memory() };

	s.a = container(s.root, "a");
	s.b = container(s.root, "b");
	spare = read_field("/proc/meminfo", "MemAvailable") / 4;
	/* the neighbour and a quarter of the set are two thirds of what there is; the set alone is more than that */
	s.memory = spare / 6;
	s.file = spare / 8;
	s.set = spare * 3 / 2;
	make_disk(s.file * PAGE / 1000000 + 8);
	s.data = make_data("/tmp/disk", "data", s.file);
	/* the disk is in memory, too */
	spare = read_field("/proc/meminfo", "MemAvailable") / 4;
	s.set = spare * 3 / 2;
	s.neighbour = actor_in(s.b);
	s.thrasher = actor_in(s.a);
	act(s.neighbour, touch, s.memory);
	strcpy(s.neighbour->path, s.data);
	/* looked at more than once, it is what Linux keeps */
	for (int i = 0; i < 3; i++)
		act(s.neighbour, look, 0);
	ck_assert_uint_eq(resident(s.neighbour), s.memory);
	ck_assert_uint_eq(cached_pages(s.data), s.file);
	return s;
}

static void end_scene(struct scene s)
{
	dismiss(s.thrasher);
	dismiss(s.neighbour);
	drop_cached(s.data);
	expect(unmount("/tmp/disk"), 0);
	eventually(!remove_dir(s.a), 5);
	eventually(!remove_dir(s.b), 5);
}

TEST_LIMIT(who_fits_loses_nothing_beside_a_quarter, 180)
{
	struct scene s = make_scene();
	unsigned long waits, anon, swapped;
	char limit[32];

	snprintf(limit, sizeof(limit), "%lu", s.set / 4);
	set_limit(s.a, limit);
	act(s.thrasher, thrash, s.set);
	act(s.neighbour, look, 0);
	waits = act(s.neighbour, count_waits, 0);
	anon = anon_pages(s.b);
	for (int i = 0; i < TURNS; i++) {
		swapped = vmstat("pswpin");
		act(s.thrasher, thrash, s.set);
		/* it did work beyond what it may have */
		ck_assert_uint_gt(vmstat("pswpin") - swapped, s.set / 2);
		ck_assert_uint_eq(resident(s.neighbour), s.memory);
		ck_assert_uint_eq(swapped_out(s.neighbour), 0);
		ck_assert_uint_eq(cached_pages(s.data), s.file);
		act(s.neighbour, look, 0);
		ck_assert_uint_eq(act(s.neighbour, count_waits, 0), waits);
		ck_assert_uint_eq(stat_of(s.b, "refaults"), 0);
	}
	near(anon_pages(s.b), anon);
	ck_assert_uint_gt(stat_of(s.a, "refaults"), s.set);
	ck_assert_uint_le(anon_pages(s.a), s.set / 4 + s.set / 32 + stat_of(s.a, "unflushed_bound") + SLACK);
	end_scene(s);
}

/* The same without a limit, or the test above proves nothing. */
TEST_LIMIT(who_fits_loses_most_beside_no_limit, 180)
{
	struct scene s = make_scene();
	unsigned long kept;

	act(s.thrasher, thrash, s.set);
	act(s.thrasher, thrash, s.set);
	kept = resident(s.neighbour) + cached_pages(s.data);
	ck_assert_msg(kept < (s.memory + s.file) / 2, "of %lu and %lu pages there are %lu and %lu", s.memory, s.file,
		      resident(s.neighbour), cached_pages(s.data));
	act(s.neighbour, look, 0);
	ck_assert_uint_gt(act(s.neighbour, count_waits, 0), 0);
	ck_assert_uint_gt(stat_of(s.b, "refaults"), (s.memory + s.file) / 4);
	end_scene(s);
}
