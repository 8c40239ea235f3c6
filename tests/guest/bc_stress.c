// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters with many at once: what is held is the truth, and never above a
 * bound. The number of rounds ends it, not the clock. (jobs 4 4@debug)
 */
#include "lib-bc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define CONTAINERS 8
#define ROUNDS 200
#define MOST 30

static char *top, *leaf[CONTAINERS];

static struct shared {
	atomic_uint opened;
	atomic_uint refused;
} *shared;

static void make_tree(void)
{
	root = mount_hierarchy("bc");
	top = at(root, "top");
	expect(make_dir(top), 0);
	for (int i = 0; i < CONTAINERS; i++) {
		leaf[i] = at(top, "leaf%d", i);
		expect(make_dir(leaf[i]), 0);
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(shared, MAP_FAILED);
}

static void remove_tree(void)
{
	for (int i = 0; i < CONTAINERS; i++)
		expect(remove_dir(leaf[i]), 0);
	expect(remove_dir(top), 0);
}

/* Opens and closes up to MOST, and at the end has five or what it got. */
static void open_and_close(struct actor *a)
{
	int fd[MOST];
	unsigned int n = 0, seed = a->arg;

	for (int round = 0; round < ROUNDS; round++) {
		if (n < MOST && rand_r(&seed) / 7 % 2) {
			fd[n] = open("/dev/null", O_RDONLY);
			if (fd[n] >= 0) {
				n++;
				atomic_fetch_add(&shared->opened, 1);
			} else {
				expect(errno, ENFILE);
				atomic_fetch_add(&shared->refused, 1);
			}
		} else if (n) {
			ck_assert_int_eq(close(fd[--n]), 0);
		}
	}
	while (n > 5)
		ck_assert_int_eq(close(fd[--n]), 0);
	a->result = n;
}

static void run_in_all(struct actor **actor)
{
	for (int i = 0; i < CONTAINERS; i++)
		actor[i] = actor_in(leaf[i]);
	for (int i = 0; i < CONTAINERS; i++)
		act_begin(actor[i], open_and_close, lib_seed + i);
}

TEST_LIMIT(held_is_the_truth, 40)
{
	struct actor *actor[CONTAINERS];
	unsigned long sum = 0, failed = 0;
	unsigned int before[CONTAINERS];

	make_tree();
	/* too little for all, so that they are refused above, and overtaken there */
	set_bounds(top, 25, 25);
	for (int i = 0; i < CONTAINERS; i++)
		actor[i] = quiet_actor_in(leaf[i]);
	for (int i = 0; i < CONTAINERS; i++)
		before[i] = descriptors(actor[i]->pid);
	for (int i = 0; i < CONTAINERS; i++)
		act_begin(actor[i], open_and_close, lib_seed + i);
	for (int i = 0; i < CONTAINERS; i++) {
		act_end(actor[i]);
		ck_assert_uint_eq(held(leaf[i]), actor[i]->result);
		ck_assert_uint_eq(descriptors(actor[i]->pid) - before[i], actor[i]->result);
		sum += actor[i]->result;
		failed += numfiles(leaf[i], "failcnt");
	}
	ck_assert_uint_eq(held(top), sum);
	ck_assert_uint_le(numfiles(top, "maxheld"), 25);
	/* each refusal is told once */
	ck_assert_uint_eq(numfiles(top, "failcnt") + failed, atomic_load(&shared->refused));
	ck_assert_uint_gt(atomic_load(&shared->opened), 0);
	/* who is left holds five each, and 25 are fewer than all of them want at once */
	ck_assert_uint_gt(atomic_load(&shared->refused), 0);
	for (int i = 0; i < CONTAINERS; i++)
		dismiss(actor[i]);
	ck_assert_uint_eq(held(top), 0);
	remove_tree();
}

TEST_LIMIT(nothing_is_left_after_kill, 40)
{
	struct actor *actor[CONTAINERS];

	make_tree();
	/* at once, and then later and later */
	for (int turn = 0; turn < 12; turn++) {
		run_in_all(actor);
		usleep(turn * 700);
		for (int i = 0; i < CONTAINERS; i++)
			kill(actor[i]->pid, SIGKILL);
		for (int i = 0; i < CONTAINERS; i++) {
			wait_for(actor[i]->pid);
			close(actor[i]->wire);
		}
		ck_assert_uint_eq(held(top), 0);
		for (int i = 0; i < CONTAINERS; i++)
			ck_assert_uint_eq(held(leaf[i]), 0);
	}
	remove_tree();
}

/* Bounds change, marks are reset, while charges are made. */
TEST_LIMIT(bounds_that_change_under_load, 40)
{
	struct actor *actor[CONTAINERS];

	make_tree();
	run_in_all(actor);
	for (int i = 0; i < 50; i++) {
		set_bounds(top, 5 + i % 7 * 5, 5 + i % 7 * 10);
		expect(write_file(at(top, "bc.reset"), "1"), 0);
	}
	for (int i = 0; i < CONTAINERS; i++)
		act_end(actor[i]);
	expect(write_file(at(top, "bc.reset"), "1"), 0);
	ck_assert_uint_eq(held(top), numfiles(top, "maxheld"));
	ck_assert_uint_eq(held(top), numfiles(top, "minheld"));
	for (int i = 0; i < CONTAINERS; i++)
		dismiss(actor[i]);
	ck_assert_uint_eq(held(top), 0);
	ck_assert_uint_eq(numfiles(top, "minheld"), 0);
	remove_tree();
}
