// SPDX-License-Identifier: GPL-2.0-only
/*
 * model: random steps (mounts, remounts, directories, forks, threads, open files, limits of these, moves,
 * kills, nonsense), done to the kernel and to a reference model in user space; after each one the
 * answer and every file are compared. (jobs 1)
 *
 * Runs MODEL_STEPS steps (default 400, fewer in a slow kernel) in worlds of 50, each from nothing to nothing.
 * Choices follow from --seed. A difference is made small: steps are left out as long as it stays, and
 * what remains is printed as commands.
 */
#include "lib-model.h"

#include <sys/prctl.h>

#define WORLD 50

static void draw_steps(struct step *steps, unsigned int seed)
{
	/* how often; moves and directories make the most of it */
	static const unsigned char weight[STEP_KINDS] = {
		[STEP_MOUNT] = 10, [STEP_UMOUNT] = 4, [STEP_MKDIR] = 20, [STEP_RMDIR] = 10, [STEP_RENAME] = 5,
		[STEP_FORK] = 10, [STEP_THREAD] = 5, [STEP_EXIT] = 4, [STEP_MOVE_THREAD] = 10,
		[STEP_MOVE_PROCESS] = 15, [STEP_NOTIFY] = 4, [STEP_LIMIT] = 4, [STEP_KILL] = 3, [STEP_NONSENSE] = 6,
		[STEP_REMOUNT] = 10, [STEP_TASKS_LIMIT] = 10, [STEP_FILES_LIMIT] = 8, [STEP_OPEN] = 15, [STEP_CLOSE] = 6,
	};
	unsigned int sum = 0;

	for (int k = 0; k < STEP_KINDS; k++)
		sum += weight[k];
	for (int i = 0; i < WORLD; i++) {
		unsigned int at = rand_r(&seed) % sum, kind = 0;

		while (at >= weight[kind])
			at -= weight[kind++];
		steps[i] = (struct step){ kind, rand_r(&seed) >> 8, rand_r(&seed) >> 8, rand_r(&seed) >> 8 };
	}
}

struct search {
	struct step steps[WORLD];
	int n;
	char *why;
	size_t size;
	int worlds;		/* that it may still make */
};

/* Is there still a difference with these? Then they are what the search goes on with. */
static bool still_differs(struct search *s, const struct step *steps, int n)
{
	char text[16384];
	int failed;

	if (s->worlds-- <= 0)
		return false;
	failed = world_run(steps, n, text, sizeof(text));
	if (!lib_purge())
		s->worlds = 0;	/* nothing is certain after that */
	if (failed < 0)
		return false;
	memmove(s->steps, steps, n * sizeof(*steps));
	s->n = n;
	snprintf(s->why, s->size, "%s", text);
	return true;
}

static void leave_out(struct search *s, int first_chunk)
{
	struct step fewer[WORLD];

	for (int chunk = first_chunk; chunk; chunk /= 2)
		for (int i = 0; i < s->n;) {
			int out = chunk < s->n - i ? chunk : s->n - i;

			memcpy(fewer, s->steps, i * sizeof(*fewer));
			memcpy(fewer + i, s->steps + i + out, (s->n - i - out) * sizeof(*fewer));
			if (!still_differs(s, fewer, s->n - out))
				i += out;
		}
}

/* The first object in place of the one that was drawn: which one it is mostly does not matter. */
static void choose_first(struct search *s)
{
	struct step changed[WORLD];

	for (int i = 0; i < s->n; i++)
		for (int field = 1; field < 4; field++) {
			memcpy(changed, s->steps, sizeof(changed));
			if (!((unsigned char *)&changed[i])[field])
				continue;
			((unsigned char *)&changed[i])[field] = 0;
			still_differs(s, changed, s->n);
		}
}

/* How many steps are left. */
static int make_small(const struct step *steps, int n, char *why, size_t size)
{
	struct search s = { .n = n, .why = why, .size = size, .worlds = 200 };

	memcpy(s.steps, steps, n * sizeof(*steps));
	leave_out(&s, n / 2);
	choose_first(&s);
	leave_out(&s, 1);
	return s.n;
}

/* As many worlds as STEPS need, from SEED; 0 or the length of the smallest sequence found. */
static int run_worlds(unsigned int seed, unsigned long steps, char *why, size_t size)
{
	struct step s[WORLD];

	/* what a broken world leaves comes back to us */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (unsigned long done = 0; done < steps; done += WORLD, seed++) {
		int failed;

		draw_steps(s, seed);
		failed = world_run(s, WORLD, why, size);
		if (failed < 0)
			continue;
		printf("# seed %u: a difference after step %d\n", seed, failed);
		fflush(stdout);
		if (!lib_purge())
			return WORLD;
		return make_small(s, failed < WORLD ? failed + 1 : WORLD, why, size);
	}
	return 0;
}

static unsigned long wanted_steps(void)
{
	const char *text = getenv("MODEL_STEPS");
	long n = text ? atol(text) : 400 / lib_slow;

	return n > 0 ? n : 400;
}

TEST_LIMIT(kernel_and_model_agree, 3600)
{
	char why[16384];
	int left = run_worlds(lib_seed, wanted_steps(), why, sizeof(why));

	ck_assert_msg(!left, "%d steps are enough: %s", left, why);
}

/* A model in which a name can be there twice: this must be noticed, and made small. */
TEST_LIMIT(a_wrong_model_is_noticed, 240)
{
	char why[16384];
	int left;

	model_lies = true;
	left = run_worlds(1, 2000, why, sizeof(why));
	ck_assert_msg(left > 0, "2000 steps without a difference");
	/* mount, mkdir, mkdir; one more, as the numbers of steps depend on what there is */
	ck_assert_msg(left <= 4, "%d steps: %s", left, why);
	ck_assert_msg(strstr(why, "EEXIST"), "%s", why);
}
