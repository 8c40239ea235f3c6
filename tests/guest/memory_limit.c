// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: the over-limit handler. Needs a guest with swap (uml-run --swap 256M).
 *
 * How far a limit may be passed for a moment: 1/8 of it, what CPUs have not told
 * yet (memory.stat: unflushed_bound), and what one system call brings in before
 * the task is on its way to user mode again (here at most SLACK pages).
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/swap.h>

#define SLACK 256

/* A bit of /proc/kpageflags. */
#define KPF_REFERENCED 2

/* What an actor has of its own goes to swap at most this often in one test. */
#define OWN_PAGES 64

static unsigned long usage(const char *dir)
{
	return anon_pages(dir) + file_pages(dir);
}

static unsigned long bound(const char *dir, unsigned long limit)
{
	return limit + limit / 8 + stat_of(dir, "unflushed_bound") + SLACK;
}

/*
 * The handler brings DIR to PAGES or less, as far as the kernel can tell: the
 * last pages of a charge may still be with their CPU. A failure says what it did.
 */
static void eventually_at_most(const char *dir, unsigned long pages, double seconds)
{
	double end = now() + seconds * lib_slow;

	while (usage(dir) > pages + stat_of(dir, "unflushed_bound")) {
		ck_assert_msg(now() < end, "%lu anonymous and %lu file pages after %g s, wanted %lu; stat: %s",
			      anon_pages(dir), file_pages(dir), seconds * lib_slow, pages,
			      read_file(at(dir, "memory.stat")));
		usleep(5000);
	}
}

/* Is the actor done? Without waiting. */
static bool act_done(struct actor *a)
{
	char byte;

	return recv(a->wire, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 1;
}

/* Lets the actor work and looks at its container; the highest usage seen. */
static unsigned long peak_while(struct actor *a, void (*fn)(struct actor *a), unsigned long arg,
				const char *dir)
{
	unsigned long peak = 0, now_used;

	act_begin(a, fn, arg);
	while (!act_done(a)) {
		now_used = usage(dir);
		peak = now_used > peak ? now_used : peak;
		usleep(2000);
	}
	act_end(a);
	now_used = usage(dir);
	return now_used > peak ? now_used : peak;
}

static uint64_t freed_by_others(void)
{
	return vmstat("pgsteal_kswapd") + vmstat("pgsteal_direct");
}

/*
 * Of PAGES pages that must be in memory or in swap, each that is no longer charged
 * was freed by the handler, and counted as swapped, or by Linux's own reclaim,
 * which took OTHERS before. What is waited for: a page leaves the container at
 * once, in batches of 31, and is counted with the rest of its round.
 */
static void expect_swapped(const char *dir, const char *what, unsigned long pages, uint64_t others,
			   uint64_t written)
{
	double end = now() + 10 * lib_slow;
	unsigned long gone, swapped;
	uint64_t to_disk;

	for (;;) {
		gone = pages - read_u64(at(dir, "memory.%s", what));
		swapped = stat_of(dir, "swapped");
		if (swapped + freed_by_others() - others >= gone)
			break;
		ck_assert_msg(now() < end,
			      "%lu of %lu pages are gone, others freed %lu, counted as swapped are %lu",
			      gone, pages, freed_by_others() - others, swapped);
		usleep(5000);
	}
	/*
	 * None of them was read back, so each had been written when it was freed. Only the
	 * process's own pages (stack, data) may come and go again unwritten.
	 */
	to_disk = vmstat("pswpout") + vmstat("swpout_zero") - written;
	ck_assert_msg(swapped <= to_disk + OWN_PAGES, "counted as swapped are %lu pages, %lu were written",
		      swapped, to_disk);
}

/* The guest's swap device; the suite cannot say anything without one. */
static char *swap_device(void)
{
	char *text = read_file("/proc/swaps"), *line = strchr(text, '\n');

	ck_assert_msg(line && line[1] == '/', "no swap here; cure: uml-run --swap 256M -- ...");
	line++;
	line[strcspn(line, " \t")] = 0;
	return line;
}

/* A process that keeps a working set, in CONTAINER. */
static struct actor *neighbour(const char *dir, unsigned long pages)
{
	struct actor *a = actor_in(dir);

	a->seed = 99;
	act(a, touch, pages);
	act(a, populate, 3);
	drain_batches();
	ck_assert_uint_eq(resident(a), pages);
	return a;
}

static void expect_untouched(struct actor *a, unsigned long active)
{
	ck_assert_uint_eq(resident(a), a->pages);
	ck_assert_uint_eq(swapped_out(a), 0);
	ck_assert_uint_eq(count_flag(a, KPF_ACTIVE), active);
	ck_assert_uint_eq(read_field(at("/proc", "%d/status", a->pid), "VmSwap"), 0);
	act(a, check, 0);
}

TEST(under_the_limit_nothing_happens)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "2000", NULL);
	struct actor *actor = actor_in(a);

	act(actor, touch, 1500);
	act(actor, check, 0);
	ck_assert_uint_eq(read_u64(at(a, "memory.page_limit_hits")), 0);
	ck_assert_uint_eq(stat_of(a, "rounds"), 0);
	ck_assert_uint_eq(resident(actor), 1500);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(limit_holds_for_a_reader, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "1000", NULL);
	char *b = container(root, "b"), *data = make_data(make_disk(32), "data", 5000);
	struct actor *next = neighbour(b, 500), *actor = actor_in(a);
	unsigned long peak;

	strcpy(actor->path, data);
	peak = peak_while(actor, read_whole, 3, a);
	ck_assert_msg(peak <= bound(a, 1000), "peak %lu, wanted at most %lu", peak, bound(a, 1000));
	eventually_at_most(a, 1000, 10);
	ck_assert_uint_le(cached_pages(data), bound(a, 1000));
	ck_assert_uint_gt(read_u64(at(a, "memory.page_limit_hits")), 0);
	ck_assert_uint_gt(stat_of(a, "invalidated"), 8000);
	ck_assert_uint_eq(act(actor, check_whole, 0), 5000);
	expect_untouched(next, 500);
	dismiss(actor);
	dismiss(next);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

static void read_page(struct actor *a)
{
	char page[PAGE];
	int fd = open(a->path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	ck_assert_int_eq(pread(fd, page, PAGE, a->arg * PAGE), PAGE);
	close(fd);
}

/*
 * Clean pages are dropped until the handler is where it stops, and not one more: who has a little too much cached loses a
 * little. When all is read, so many UNFLUSHED bounds above the limit may be left, depending on which page began a batch.
 */
static void expect_stop_at(const char *limit, const char *max, unsigned long stop, unsigned int unflushed)
{
	char *root = mount_memory(), *a = container_with(root, "a", limit, max);
	char *data = make_data(make_disk(32), "data", 1500);
	struct actor *actor = actor_in(a);

	strcpy(actor->path, data);
	for (int i = 0; i < 1500; i++) {
		act(actor, read_page, i);
		ck_assert_msg(i < 1000 || cached_pages(data) + anon_pages(a) + FEW >= stop,
			      "of the file's first %d pages %lu are in memory, wanted %lu", i + 1, cached_pages(data), stop);
	}
	eventually_at_most(a, 1024, 10);
	ck_assert_uint_ge(stat_of(a, "invalidated"), 1500 - 1024 - unflushed * stat_of(a, "unflushed_bound") - FEW);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(files_are_dropped_as_far_as_it_stops, 60)
{
	/* a batch of 32 below */
	expect_stop_at("1024", NULL, 1024 - 32, 1);
}

TEST_LIMIT(files_are_dropped_for_page_max_as_far_as_it_stops, 60)
{
	/* how far a reading may be above page_max: mm/container/max.c */
	expect_stop_at(NULL, "1024", 1024 - 1024 / 8, 3);
}

TEST_LIMIT(limit_holds_for_a_writer, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "1000", NULL);
	char *disk = make_disk(32);
	struct actor *actor = actor_in(a);
	unsigned long peak;

	strcpy(actor->path, at(disk, "out"));
	peak = peak_while(actor, write_whole, 5000, a);
	ck_assert_msg(peak <= bound(a, 1000), "peak %lu, wanted at most %lu", peak, bound(a, 1000));
	eventually_at_most(a, 1000, 10);
	ck_assert_uint_gt(stat_of(a, "written_back"), 2000);
	ck_assert_uint_gt(stat_of(a, "reclaimed") + stat_of(a, "invalidated"), 3000);
	ck_assert_uint_eq(act(actor, check_whole, 0), 5000);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(limit_holds_for_anonymous_memory, 120)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "1000", NULL);
	char *b = container(root, "b");
	struct actor *next, *actor;
	uint64_t others, written;
	unsigned long peak;

	swap_device();
	next = neighbour(b, 500);
	actor = actor_in(a);
	others = freed_by_others();
	written = vmstat("pswpout") + vmstat("swpout_zero");
	peak = peak_while(actor, touch, 4000, a);
	ck_assert_msg(peak <= bound(a, 1000), "peak %lu, wanted at most %lu", peak, bound(a, 1000));
	eventually_at_most(a, 1000, 10);
	ck_assert_uint_gt(swapped_out(actor), 2900);
	ck_assert_uint_gt(read_field(at("/proc", "%d/status", actor->pid), "VmSwap"), 2900 * 4);
	expect_swapped(a, "anon_pages", 4000, others, written);
	peak = peak_while(actor, check, 0, a);
	ck_assert_msg(peak <= bound(a, 1000), "reading: peak %lu, wanted at most %lu; stat: %s",
		      peak, bound(a, 1000), read_file(at(a, "memory.stat")));
	act(actor, check, 0);
	ck_assert_uint_gt(stat_of(a, "refaults"), 0);
	expect_untouched(next, 500);
	ck_assert_uint_eq(stat_of(b, "refaults"), 0);
	dismiss(actor);
	dismiss(next);
	eventually(usage(a) == 0, 10);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST_LIMIT(limit_holds_for_tmpfs, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "1000", NULL);
	struct actor *actor;
	uint64_t others, written;
	unsigned long peak;

	swap_device();
	others = freed_by_others();
	written = vmstat("pswpout") + vmstat("swpout_zero");
	actor = actor_in(a);
	strcpy(actor->path, "/tmp/big");
	peak = peak_while(actor, write_whole, 4000, a);
	ck_assert_msg(peak <= bound(a, 1000), "peak %lu, wanted at most %lu", peak, bound(a, 1000));
	eventually_at_most(a, 1000, 10);
	expect_swapped(a, "file_pages", 4000, others, written);
	ck_assert_uint_eq(act(actor, check_whole, 0), 4000);
	ck_assert_int_eq(unlink("/tmp/big"), 0);
	eventually(file_pages(a) < 50, 10);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(lowering_the_limit_works_at_once, 60)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor;

	swap_device();
	actor = actor_in(a);
	act(actor, touch, 3000);
	ck_assert_uint_eq(stat_of(a, "rounds"), 0);
	set_limit(a, "4M");
	eventually_at_most(a, 1024, 10);
	ck_assert_uint_ge(swapped_out(actor), 1900);
	act(actor, check, 0);
	set_limit(a, "max");
	act(actor, check, 0);
	ck_assert_uint_eq(resident(actor), 3000);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* What a driver would do: the kernel writes each page, which the process only read before. */
static void kernel_writes(struct actor *a)
{
	unsigned long page[PAGE / sizeof(unsigned long)];
	int wire[2];

	ck_assert_int_eq(pipe(wire), 0);
	a->seed += 10;
	for (unsigned long i = 0; i < a->pages; i++) {
		for (unsigned int w = 0; w < PAGE / sizeof(*page); w++)
			page[w] = a->seed * 0x9e3779b97f4a7c15UL + i * PAGE + w;
		ck_assert_int_eq(write(wire[1], page, PAGE), PAGE);
		ck_assert_int_eq(read(wire[0], a->mem + i * PAGE, PAGE), PAGE);
	}
	close(wire[0]);
	close(wire[1]);
}

/*
 * Regression. On UML a page that was swapped in by a read is writable and
 * clean; what read(2) copied into it was lost with the next reclaim, because
 * the copy did not make it dirty (arch/um/kernel/skas/uaccess.c, maybe_map()).
 */
TEST_LIMIT(what_the_kernel_writes_survives_swap, 60)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor;

	swap_device();
	actor = actor_in(a);
	act(actor, touch, 1500);
	set_limit(a, "200");
	eventually_at_most(a, 200, 10);
	set_limit(a, "max");
	act(actor, check, 0);
	act(actor, kernel_writes, 0);
	set_limit(a, "200");
	eventually_at_most(a, 200, 10);
	ck_assert_uint_ge(swapped_out(actor), 1500 - 200 - stat_of(a, "unflushed_bound"));
	set_limit(a, "max");
	act(actor, check, 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(used_pages_are_spared, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "2000", NULL);
	struct actor *hot, *cold;
	unsigned long hot_out;

	swap_device();
	hot = actor_in(a);
	cold = actor_in(a);
	act(hot, touch, 600);
	/* the hot pages are touched again between all steps of the cold ones */
	for (int i = 0; i < 12; i++) {
		act(cold, i ? rewrite : touch, i ? 250UL * i : 3000);
		act(hot, check, 0);
	}
	eventually_at_most(a, 2000, 10);
	hot_out = swapped_out(hot);
	ck_assert_msg(hot_out * 3000 < swapped_out(cold) * 600,
		      "%lu of 600 hot pages are swapped out, %lu of 3000 cold ones", hot_out,
		      swapped_out(cold));
	act(cold, check, 0);
	dismiss(hot);
	dismiss(cold);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(deactivate_moves_and_frees_nothing, 60)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	char *b = container(root, "b");
	struct actor *actor = actor_in(a), *next = neighbour(b, 500);
	char *rollup = at("/proc", "%d/smaps_rollup", actor->pid);
	unsigned long before, referenced, linuxs;

	expect(write_file(at(a, "memory.overlimit"), "deactivate\n"), 0);
	act(actor, touch, 800);
	act(actor, populate, 3);
	drain_batches();
	ck_assert_uint_eq(count_flag(actor, KPF_ACTIVE), 800);
	/* the third access is of an active page */
	ck_assert_uint_eq(count_flag(actor, KPF_REFERENCED), 800);
	linuxs = vmstat("pgdeactivate");
	before = anon_pages(a);
	referenced = read_field(rollup, "Referenced");
	set_limit(a, "400");
	eventually(count_flag(actor, KPF_ACTIVE) == 0, 10);
	handler_rests(a);
	/* the limit does not hold, and that is said */
	eventually(strstr(read_file(at(a, "why")), "reclaim refused by memory: policy deactivate frees nothing; /a has "), 10);
	ck_assert_uint_ge(read_field(at(a, "why"), "usage"), 800);
	ck_assert_uint_eq(read_field(at(a, "why"), "limit"), 400);
	ck_assert_uint_ge(stat_of(a, "deactivated"), 800);
	ck_assert_uint_eq(count_flag(actor, KPF_REFERENCED), 0);
	/* what Linux itself counts: nobody else has pages deactivated here */
	ck_assert_uint_ge(vmstat("pgdeactivate") - linuxs, 800);
	ck_assert_uint_le(vmstat("pgdeactivate") - linuxs, stat_of(a, "deactivated"));
	ck_assert_uint_eq(resident(actor), 800);
	ck_assert_uint_eq(swapped_out(actor), 0);
	ck_assert_uint_eq(anon_pages(a), before);
	ck_assert_uint_eq(stat_of(a, "reclaimed"), 0);
	/* young bits too: nothing has touched the pages since; the C library's are not ours */
	referenced -= read_field(rollup, "Referenced");
	ck_assert_uint_ge(referenced, 790 * 4);
	/* the handler comes back every second and would age what is touched now */
	set_limit(a, "max");
	handler_rests(a);
	referenced = read_field(rollup, "Referenced");
	act(actor, check, 0);
	ck_assert_uint_ge(read_field(rollup, "Referenced") - referenced, 790 * 4);
	/* on the inactive list already, they lose the flag all the same */
	act(actor, populate, 1);
	drain_batches();
	ck_assert_uint_eq(count_flag(actor, KPF_ACTIVE), 0);
	ck_assert_uint_eq(count_flag(actor, KPF_REFERENCED), 800);
	set_limit(a, "400");
	eventually(count_flag(actor, KPF_REFERENCED) == 0, 10);
	expect_untouched(next, 500);
	dismiss(actor);
	dismiss(next);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

#define DEACTIVATE_SAYS "reclaim refused by memory: policy deactivate frees nothing; /a has "

/* Is that the last word in DIR's `why`, and what number of all that was said there? */
static unsigned long says_deactivate(const char *dir)
{
	return strstr(read_file(at(dir, "why")), DEACTIVATE_SAYS) ? read_field(at(dir, "why"), "count") : 0;
}

/* A limit that does not hold is looked at every second, and said once: what else is refused stays to be read. */
TEST_LIMIT(deactivate_says_so_once, 60)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	unsigned long rounds, said, now_said;

	expect(write_file(at(a, "memory.overlimit"), "deactivate\n"), 0);
	act(actor, touch, 800);
	set_limit(a, "400");
	eventually(says_deactivate(a), 10);
	expect(write_file(at(a, "memory.page_max"), "1K"), ERANGE);
	ck_assert_ptr_ne(strstr(read_file(at(a, "why")), "less than a page"), NULL);
	said = read_field(at(a, "why"), "count");
	rounds = stat_of(a, "rounds");
	/* three times at least: each takes two laps, of a round or two */
	eventually(stat_of(a, "rounds") > rounds + 12, 20);
	ck_assert_ptr_ne(strstr(read_file(at(a, "why")), "less than a page"), NULL);
	ck_assert_uint_eq(read_field(at(a, "why"), "count"), said);
	/* another limit, or the same that is written again, is another matter */
	set_limit(a, "500");
	eventually((now_said = says_deactivate(a)) > said, 10);
	set_limit(a, "500");
	eventually((said = says_deactivate(a)) > now_said, 10);
	/* and so is one that was held meanwhile, when the handler comes back and sees it */
	eventually((act(actor, release, 0), usleep(1500000 * lib_slow), act(actor, touch, 800),
		    usleep(1500000 * lib_slow), says_deactivate(a) > said), 20);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(a_parents_limit_is_for_the_sum, 60)
{
	char *root = mount_hierarchy("memory"), *p = container_with(root, "p", "1000", NULL);
	char *a = container(p, "a"), *b = container(p, "b");
	struct actor *x, *y;

	swap_device();
	x = actor_in(a);
	y = actor_in(b);
	act(x, touch, 900);
	y->seed = 2;
	act(y, touch, 900);
	eventually_at_most(p, 1000, 10);
	/* the handler goes on to where it stops, and the three are read one after the other */
	eventually(usage(p) == usage(a) + usage(b), 10);
	ck_assert_uint_gt(swapped_out(x) + swapped_out(y), 700);
	/* counted with the rest of its round */
	eventually(stat_of(p, "swapped") > 700, 10);
	ck_assert_uint_eq(stat_of(a, "rounds") + stat_of(b, "rounds"), 0);
	act(x, check, 0);
	act(y, check, 0);
	dismiss(x);
	dismiss(y);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(p), 0);
}

TEST_LIMIT(without_swap_it_gives_up, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "500", NULL);
	char *device = swap_device();
	struct actor *actor;
	unsigned long giveups;

	ck_assert_msg(!swapoff(device), "swapoff %s: %s", device, error_name(errno));
	actor = actor_in(a);
	act(actor, touch, 2000);
	act(actor, check, 0);
	ck_assert_uint_eq(resident(actor), 2000);
	giveups = stat_of(a, "giveups");
	ck_assert_uint_ge(giveups, 1);
	/* and does not come back all the time */
	act(actor, rewrite, 2000);
	ck_assert_uint_le(stat_of(a, "giveups"), giveups + 3);
	ck_assert_msg(!swapon(device, 0), "swapon %s: %s", device, error_name(errno));
	/* with swap the same limit can be kept */
	set_limit(a, "500");
	eventually_at_most(a, 500, 10);
	act(actor, check, 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(processes_and_files_together, 120)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "1500", NULL);
	char *disk = make_disk(32), *data = make_data(disk, "data", 3000);
	struct actor *actor[3];

	swap_device();
	for (int i = 0; i < 3; i++) {
		actor[i] = actor_in(a);
		actor[i]->seed = i + 1;
		strcpy(actor[i]->path, i == 2 ? data : at(disk, "out%d", i));
	}
	act_begin(actor[0], touch, 1500);
	act_begin(actor[1], write_whole, 2000);
	actor[2]->seed = 1;
	act_begin(actor[2], map_whole, 0);
	for (int i = 0; i < 3; i++)
		act_end(actor[i]);
	eventually_at_most(a, 1500, 10);
	act(actor[0], check, 0);
	ck_assert_uint_eq(act(actor[1], check_whole, 0), 2000);
	ck_assert_uint_eq(act(actor[2], check_whole, 0), 3000);
	ck_assert_uint_eq(stat_of(a, "giveups"), 0);
	for (int i = 0; i < 3; i++)
		dismiss(actor[i]);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(rmdir_while_the_handler_works, 60)
{
	char *root = mount_hierarchy("memory");

	swap_device();
	for (int i = 0; i < 10; i++) {
		char *a = container(root, "a");
		struct actor *actor = actor_in(a);

		act(actor, touch, 1500);
		set_limit(a, "100");
		stop(actor->pid);
		eventually(remove_dir(a) == 0, 10);
	}
}
