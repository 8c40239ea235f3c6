// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters with many at once: what is held is the truth, and never above a
 * bound; what is written to several bounds is read as one. The number of rounds ends it, not the clock. (jobs 4 4@debug)
 */
#include "lib-bc.h"
#include "lib-users.h"

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
	atomic_bool stop;
	atomic_uint rounds[CONTAINERS];
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

/*
 * As ck_assert(), without a word to Check: that is a message in a file, of which half may be there when who
 * writes it is killed ("Bad message type arg").
 */
static void must(bool so)
{
	if (!so)
		abort();
}

/* Opens and closes up to MOST, and at the end has five or what it got. May be killed at any moment. */
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
				must(errno == ENFILE);
				atomic_fetch_add(&shared->refused, 1);
			}
		} else if (n) {
			must(!close(fd[--n]));
		}
	}
	while (n > 5)
		must(!close(fd[--n]));
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

/* More than there is, whoever has how much of it. */
static void open_too_many(struct actor *a)
{
	int fd[MOST];
	unsigned int n = 0, refused = 0;

	for (unsigned int i = 0; i < MOST; i++) {
		fd[n] = open("/dev/null", O_RDONLY);
		if (fd[n] >= 0) {
			n++;
		} else {
			expect(errno, ENFILE);
			refused++;
		}
	}
	ck_assert_uint_gt(refused, 0);
	atomic_fetch_add(&shared->refused, refused);
	while (n)
		ck_assert_int_eq(close(fd[--n]), 0);
	open_and_close(a);
}

/* All in one, with nobody above that is charged: one below the root, or made flat. */
static void many_in(const char *container)
{
	struct actor *actor[CONTAINERS];
	unsigned int before[CONTAINERS];
	unsigned long sum = 0;

	atomic_store(&shared->refused, 0);
	set_bounds(container, 25, 25);
	for (int i = 0; i < CONTAINERS; i++)
		actor[i] = quiet_actor_in(container);
	for (int i = 0; i < CONTAINERS; i++)
		before[i] = descriptors(actor[i]->pid);
	for (int i = 0; i < CONTAINERS; i++)
		act_begin(actor[i], open_too_many, lib_seed + i);
	for (int i = 0; i < CONTAINERS; i++) {
		act_end(actor[i]);
		ck_assert_uint_eq(descriptors(actor[i]->pid) - before[i], actor[i]->result);
		sum += actor[i]->result;
	}
	ck_assert_uint_eq(held(container), sum);
	/* who was refused has met it full */
	ck_assert_uint_eq(numfiles(container, "maxheld"), 25);
	ck_assert_uint_ge(atomic_load(&shared->refused), CONTAINERS * (MOST - 25));
	ck_assert_uint_eq(numfiles(container, "failcnt"), atomic_load(&shared->refused));
	for (int i = 0; i < CONTAINERS; i++)
		dismiss(actor[i]);
	ck_assert_uint_eq(held(container), 0);
}

TEST_LIMIT(many_in_one, 40)
{
	make_tree();
	many_in(top);
	remove_tree();
}

TEST_LIMIT(many_in_a_flat_one, 40)
{
	char *flat;

	make_tree();
	flat = at(top, "flat");
	expect(write_file(at(root, "bc.hierarchical"), "0"), 0);
	expect(make_dir(flat), 0);
	set_bounds(top, 5, 5);
	many_in(flat);
	ck_assert_uint_eq(numfiles(top, "maxheld"), 0);
	ck_assert_uint_eq(numfiles(top, "failcnt"), 0);
	expect(remove_dir(flat), 0);
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
			ck_assert_int_eq(wait_for(actor[i]->pid), 128 + SIGKILL);
			close(actor[i]->wire);
		}
		ck_assert_uint_eq(held(top), 0);
		for (int i = 0; i < CONTAINERS; i++)
			ck_assert_uint_eq(held(leaf[i]), 0);
	}
	remove_tree();
}

#define LOOKS (lib_slow > 1 ? 300 : 2000)

/* Until they are to stop: two files more, of which there may be room for none, for one or for both. */
static void open_two(struct actor *a)
{
	(void)a;
	while (!atomic_load(&shared->opened)) {
		int first = open("/dev/null", O_RDONLY), second = open("/dev/null", O_RDONLY);

		if (first >= 0)
			close(first);
		if (second >= 0)
			close(second);
		atomic_fetch_add(&shared->refused, first < 0 || second < 0);
	}
}

/* Others close while a refusal is told: it had no room then, and is not told to have had some. */
TEST_LIMIT(a_refusal_shows_no_room, 60)
{
	struct actor *actor[CONTAINERS];
	unsigned int looks = 0;

	make_tree();
	set_bounds(top, 6, 6);
	for (int i = 0; i < CONTAINERS; i++)
		actor[i] = quiet_actor_in(top);
	for (int i = 0; i < CONTAINERS; i++)
		act_begin(actor[i], open_two, 0);
	eventually(atomic_load(&shared->refused), 10);
	for (; looks < LOOKS; looks++)
		ck_assert_uint_eq(read_field(at(top, "why"), "usage"), 6);
	atomic_store(&shared->opened, 1);
	for (int i = 0; i < CONTAINERS; i++) {
		act_end(actor[i]);
		dismiss(actor[i]);
	}
	printf("# %u refusals\n", atomic_load(&shared->refused));
	remove_tree();
}

#define CHANGES (lib_slow > 1 ? 20 : 50)

/* Opens and closes up to MOST until it is to stop; each round, for who waits for ARG's next one, is one open or close. */
static void open_until_told(struct actor *a)
{
	int fd[MOST];
	unsigned int n = 0, seed = lib_seed + a->arg;

	while (!atomic_load(&shared->stop)) {
		/* rather more opens than closes, so that it is at a bound most of the time */
		if (n < MOST && rand_r(&seed) / 7 % 5 < 3) {
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
		atomic_fetch_add(&shared->rounds[a->arg], 1);
	}
	a->result = n;
}

/* Whatever anybody was at has ended, and what he is at now he has begun since. */
static void each_begins_anew(void)
{
	for (int i = 0; i < CONTAINERS; i++) {
		unsigned int since = atomic_load(&shared->rounds[i]);

		eventually(atomic_load(&shared->rounds[i]) - since >= 2, 10);
	}
}

static unsigned long most_of(unsigned long a, unsigned long b)
{
	return a > b ? a : b;
}

/*
 * Bounds change, and marks are reset, while charges are made: never is more held than the old bound allowed, the new
 * one does, or was held already. USER: whose barrier it is, or 0: it is the limit, of who is privileged.
 */
static void bounds_change_under(uid_t user)
{
	struct actor *actor[CONTAINERS];
	unsigned long sum = 0, most = 25;

	make_tree();
	set_bounds(top, user ? 25 : 3, user ? 1000 : 25);
	for (int i = 0; i < CONTAINERS; i++) {
		actor[i] = quiet_actor_in(leaf[i]);
		if (user)
			act(actor[i], become_alice, 0);
	}
	ck_assert_uint_eq(held(top), 0);
	for (int i = 0; i < CONTAINERS; i++)
		act_begin(actor[i], open_until_told, i);
	for (int i = 0; i < CHANGES; i++) {
		unsigned long bound = 5 + i % 7 * 10;

		set_bounds(top, user ? bound : 3, user ? 1000 : bound);
		each_begins_anew();
		most = most_of(most, bound);
		ck_assert_uint_le(numfiles(top, "maxheld"), most);
		/* nobody has seen the old one who is still at work, so from now on there is no more than that */
		most = most_of(bound, held(top));
		expect(write_file(at(top, "bc.reset"), "1"), 0);
	}
	atomic_store(&shared->stop, true);
	for (int i = 0; i < CONTAINERS; i++) {
		act_end(actor[i]);
		sum += actor[i]->result;
	}
	ck_assert_uint_eq(held(top), sum);
	ck_assert_uint_le(numfiles(top, "maxheld"), most);
	ck_assert_uint_gt(atomic_load(&shared->opened), 0);
	ck_assert_uint_gt(atomic_load(&shared->refused), 0);
	expect(write_file(at(top, "bc.reset"), "1"), 0);
	ck_assert_uint_eq(numfiles(top, "maxheld"), sum);
	ck_assert_uint_eq(numfiles(top, "minheld"), sum);
	for (int i = 0; i < CONTAINERS; i++)
		dismiss(actor[i]);
	ck_assert_uint_eq(held(top), 0);
	ck_assert_uint_eq(numfiles(top, "minheld"), 0);
	printf("# %u opened, %u refused\n", atomic_load(&shared->opened), atomic_load(&shared->refused));
	remove_tree();
}

TEST_LIMIT(bounds_that_change_under_load, 60)
{
	bounds_change_under(0);
}

TEST_LIMIT(barriers_that_change_under_load, 60)
{
	bounds_change_under(ALICE);
}

#define WRITERS 3
#define SETS 4
/* Half of them were of another write when there was no lock, so a few are enough where all is slow. */
#define READINGS (lib_slow > 1 ? 500 : 3000)

/* What writer W writes in its round R: all numbers say whose it is, and which. */
static char *set_of(unsigned int w, unsigned int r)
{
	static char text[160];
	unsigned int n = 1000 * (w + 1) + 10 * (r % SETS);

	snprintf(text, sizeof(text), "numfiles %u %u\nnumproc %u %u\nnumsiginfo %u %u\n", n, n + 1, n + 2, n + 3, n + 4, n + 5);
	return text;
}

static void write_sets(struct actor *a)
{
	for (unsigned int r = 0; !atomic_load(&shared->refused); r++)
		expect(write_file(at(top, "bc.set"), set_of(a->arg, r)), 0);
}

/* One bound at a time; what the other one allows changes meanwhile, so some are refused. */
static void write_single_bounds(struct actor *a)
{
	static const char *const files[] = { "bc.privvmpages.barrier", "bc.privvmpages.limit" };
	unsigned int seed = a->arg;
	char text[16];

	while (!atomic_load(&shared->refused)) {
		int err;

		snprintf(text, sizeof(text), "%d", 1000000 + rand_r(&seed) % 100);
		err = write_file(at(top, "%s", files[rand_r(&seed) / 7 % 2]), text);
		ck_assert_msg(!err || err == EINVAL, "%s", error_name(err));
	}
}

/* The numbers of a line of bc.set, and that they are two. */
static void read_set(const char *text, const char *resource, unsigned long *bound)
{
	const char *line = strstr(text, resource);

	ck_assert_ptr_nonnull(line);
	ck_assert_int_eq(sscanf(line + strlen(resource), " %lu %lu", &bound[0], &bound[1]), 2);
}

/* Several write several bounds; who reads has what one of them wrote in one write. */
TEST_LIMIT(a_set_is_of_one_write, 60)
{
	struct actor *writer[WRITERS + 2];
	unsigned int seen[WRITERS] = {};

	make_tree();
	for (int i = 0; i < WRITERS + 2; i++)
		writer[i] = actor_in(root);
	expect(write_file(at(top, "bc.set"), set_of(0, 0)), 0);
	expect(write_file(at(top, "bc.set"), "privvmpages 1000050 1000050"), 0);
	for (int i = 0; i < WRITERS + 2; i++)
		act_begin(writer[i], i < WRITERS ? write_sets : write_single_bounds, i);
	for (int i = 0; i < READINGS || !seen[0] || !seen[1] || !seen[2]; i++) {
		char *text = read_file(at(top, "bc.set"));
		unsigned long n[8];

		read_set(text, "numfiles", n);
		read_set(text, "numproc", n + 2);
		read_set(text, "privvmpages", n + 6);
		read_set(text, "numsiginfo", n + 4);
		for (int k = 1; k < 6; k++)
			ck_assert_msg(n[k] == n[0] + k, "of two writes:\n%s", text);
		ck_assert_msg(n[6] <= n[7], "a barrier above its limit:\n%s", text);
		seen[n[0] / 1000 - 1]++;
		free(text);
	}
	atomic_store(&shared->refused, 1);
	for (int i = 0; i < WRITERS + 2; i++) {
		act_end(writer[i]);
		dismiss(writer[i]);
	}
	printf("# readings of each writer: %u %u %u\n", seen[0], seen[1], seen[2]);
	remove_tree();
}
