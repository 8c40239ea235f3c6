// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: whom the kill at page_max takes, and that others go on after it, whatever they and the
 * victim hold. (uml-run --swap 128M) (jobs 1 4 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

static void move(struct actor *a, const char *dir)
{
	expect(move_to(dir, a->pid), 0);
}

static volatile bool mapper_ends;

static void *mapper(void *arg)
{
	(void)arg;
	while (!mapper_ends) {
		void *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ck_assert_ptr_ne(mem, MAP_FAILED);
		ck_assert_int_eq(munmap(mem, PAGE), 0);
	}
	return NULL;
}

/* Faults, while another thread of the process wants to change the address space all the time. */
static void touch_beside_mapper(struct actor *a)
{
	pthread_t thread;

	mapper_ends = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, mapper, NULL), 0);
	touch(a);
	check(a);
	mapper_ends = true;
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/*
 * Who waits in a fault has mmap_lock for reading, and the other thread waits to write: nobody can read
 * the page tables until there is room. It is found without them, and nobody is killed.
 */
TEST_LIMIT(faults_beside_a_mapper, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "300");
	struct actor *actor = actor_in(a);

	act(actor, touch_beside_mapper, 1000);
	ck_assert_uint_gt(stat_of(a, "max_hits"), 0);
	ck_assert_uint_ge(swapped_out(actor), 1000 - 300 - 3 * stat_of(a, "unflushed_bound"));
	act(actor, check, 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

static void lock(struct actor *a)
{
	touch(a);
	ck_assert_int_eq(mlock(a->mem, a->pages * PAGE), 0);
}

/*
 * Who moved in has far more than the container may have, in swap, and nothing that it is charged
 * for: its end would free nothing. The one whose pages they are has less. It comes from a
 * container with a limit, as what a limit brought to swap is not in the swap cache either.
 */
TEST_LIMIT(who_moved_in_is_spared_in_swap, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "500");
	char *b = container_with(root, "b", "100", NULL);
	struct actor *big = actor_in(b), *hog;
	unsigned long swapped, slack = stat_of(b, "unflushed_bound");

	act(big, touch, 2000);
	eventually((drain_batches(), anon_pages(b) <= 100 + slack), 20);
	swapped = swapped_out(big);
	ck_assert_uint_ge(swapped, 2000 - 100 - slack);
	move(big, a);
	hog = actor_in(a);
	act(hog, lock, 100);
	act_begin(hog, lock, 1000);
	expect_killed(hog);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_ge(swapped_out(big), swapped);
	set_limit(b, "max");
	move(big, root);
	act(big, check, 0);
	dismiss(big);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/*
 * The same in memory, without swap. The hog has less when page_max is passed, at 3 * unflushed_bound
 * (4 CPUs: 372) above it at the latest.
 */
TEST_LIMIT(who_moved_in_is_spared, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "500");
	struct actor *big, *hog;

	no_swap();
	big = actor_in(root);
	act(big, touch, 2000);
	move(big, a);
	hog = actor_in(a);
	act_begin(hog, touch, 1000);
	expect_killed(hog);
	eventually((drain_batches(), anon_pages(a) <= FEW), 10);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_eq(resident(big), 2000);
	act(big, check, 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	dismiss(big);
	expect(remove_dir(a), 0);
}

static void append(struct actor *a)
{
	static const char page[PAGE] = "appended";
	int fd = open(a->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	for (unsigned long i = 0; i < a->arg; i++)
		ck_assert_msg(write(fd, page, PAGE) == PAGE, "write %lu: %s", i, error_name(errno));
	close(fd);
}

/* Into a page that is there, until somebody ends it. */
static void overwrite(struct actor *a)
{
	int fd = open(a->path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (;;)
		ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
}

/*
 * Two write to a file. One of them waits for room with the inode's lock; the other, which has most of the
 * pages, waits for that lock, and cannot die: a signal does not end that. Its pages come free all the
 * same, and the first goes on: 2 s is what Linux gives a victim to die by itself.
 */
TEST_LIMIT(a_victim_that_cannot_die, 50)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "1100");
	struct actor *writer, *victim;
	double start, took;

	no_swap();
	writer = actor_in(a);
	victim = actor_in(a);
	strcpy(writer->path, "/tmp/both");
	strcpy(victim->path, "/tmp/both");
	act(writer, append, 1);
	act(victim, touch, 700);
	act_begin(victim, overwrite, 0);
	/* more than there can be (4 CPUs: 1472), and without the victim there is room */
	start = now();
	act(writer, append, 899);
	took = now() - start;
	expect_killed(victim);
	ck_assert_msg(took < 15 * lib_slow, "it took %.1f s", took);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_eq(cached_pages("/tmp/both"), 900);
	ck_assert_int_eq(unlink("/tmp/both"), 0);
	dismiss(writer);
	expect(remove_dir(a), 0);
}
