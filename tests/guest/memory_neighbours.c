// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: who fits loses nothing when somebody beside him has a quarter of the memory that he works in; and
 * without a limit there most of it. Everything is a count of pages: mincore(2), pagemap, refaults, faults that
 * had to wait for a disk. (uml-run --swap 512M --mem 160M) (jobs 1 4)
 *
 * Not in the debug kernel: there memory runs out for moments beside the same limit, and the neighbour, the oldest,
 * goes. It is not the container that has it: in the trace of such runs it is 1 % above its limit when kswapd is first
 * woken, at most 1/8 later, and the handler never gives up. Of 82 MB some 9 are free then, and up to 8 of these lie in the CPU's list of free
 * pages, which Linux lets grow to an eighth of the machine and does not look at where it asks whether to reclaim. By
 * mm_vmscan_wakeup_kswapd nearly all wakeups are for a watermark that is raised by 4 MB after kinds of pages were mixed (order 0, no
 * flags), few for slab of order 2. But neither is the cause: with vm.watermark_boost_factor 0 and slab_max_order=0 all
 * wakeups are of order 0, for the other one's own faults and for slab, and the neighbour goes all the same; so it does with short lists
 * (vm.percpu_pagelist_high_fraction 64), without kmemleak, and with twice the memory. He stays when the other one makes a system call
 * every 20 pages: 8 MB are free then all the time. What takes them for less than 10 ms otherwise is not known: slab has 1 MB more then. In the
 * default kernel kswapd is not woken once.
 *
 * The sizes follow from what is free. Between two looks at all that the neighbour has, the other one goes once
 * through its working set: by then each page of the neighbour's is the oldest that there is.
 */
#include "accounting.h"
#include "lib-memory.h"

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
	act(s.thrasher, touch, s.set);
	act(s.neighbour, look, 0);
	waits = act(s.neighbour, count_waits, 0);
	anon = anon_pages(s.b);
	for (int i = 0; i < TURNS; i++) {
		swapped = vmstat("pswpin");
		act(s.thrasher, rewrite, s.set);
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

	act(s.thrasher, touch, s.set);
	act(s.thrasher, rewrite, s.set);
	kept = resident(s.neighbour) + cached_pages(s.data);
	ck_assert_msg(kept < (s.memory + s.file) / 2, "of %lu and %lu pages there are %lu and %lu", s.memory, s.file,
		      resident(s.neighbour), cached_pages(s.data));
	act(s.neighbour, look, 0);
	ck_assert_uint_gt(act(s.neighbour, count_waits, 0), 0);
	ck_assert_uint_gt(stat_of(s.b, "refaults"), (s.memory + s.file) / 4);
	end_scene(s);
}
