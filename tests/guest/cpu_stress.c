// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpu under load: tasks are born, end and move, shares change, containers come and go and the
 * subsystem with them, all at once. A task that runs in a group that is gone is the scheduler's
 * end, and KASAN's find. The number of rounds ends it, not the clock. (jobs 4 4@debug)
 */
#include "lib-cpu.h"
#include "lib-stress.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define LEAVES 4
#define FORKERS 6
#define ROUNDS 100

static char *root, *leaf[LEAVES];
static bool bound;

/* Children that end at once, so that many are on their way in and out. */
static void fork_and_reap(void *unused __attribute__((unused)))
{
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
}

/* Whoever is just there; who has gone meanwhile cannot be moved. */
static void move_all(const char *from, const char *to)
{
	static const int gone[] = { ESRCH, 0 };
	pid_t ids[256];
	int n = read_ids(at(from, "tasks"), ids, 256);

	for (int i = 0; i < n; i++)
		may(write_u64(at(to, "tasks"), ids[i]), "move", gone);
}

static void write_shares(unsigned int which, unsigned int shares)
{
	char text[64];

	if (!bound)
		return;
	/* few, so that we get time beside them, who have none: with all promised we would get a hundredth */
	snprintf(text, sizeof(text), "min_shares=%u", shares);
	expect(write_file(at(leaf[which], "cpu.shares"), text), 0);
	ck_assert_uint_eq(read_u64(at(leaf[which], "cpu.weight")), shares ? 1024 * shares : 2);
}

/* A child tree with somebody in it, who is killed while it runs. */
static void come_and_go(const char *parent)
{
	char *a = at(parent, "a"), *b = at(parent, "a/b");
	pid_t pid, other;

	expect(make_dir(a) | make_dir(b), 0);
	pid = start_in(b, spin_for_ever, NULL);
	other = start_in(a, spin_for_ever, NULL);
	expect(move_to(parent, other), 0);
	stop(pid);
	stop(other);
	expect(remove_dir(b) | remove_dir(a), 0);
}

static void rebind(void)
{
	bound = !bound;
	expect(mount("none", root, "container", MS_REMOUNT, bound ? "cpuacct,cpu" : "cpuacct") ? errno : 0, 0);
}

TEST_LIMIT(everything_at_once, 60)
{
	unsigned int rand = lib_seed;
	pid_t forker[FORKERS];
	int states = states_of("cpu");

	printf("# --seed %u\n", lib_seed);
	root = mount_hierarchy("cpuacct,cpu");
	bound = true;
	for (int i = 0; i < LEAVES; i++) {
		leaf[i] = at(root, "leaf%d", i);
		expect(make_dir(leaf[i]), 0);
	}
	for (int i = 0; i < FORKERS; i++)
		forker[i] = start_in(leaf[i % LEAVES], fork_and_reap, NULL);
	for (int i = 0; i < ROUNDS; i++) {
		char *one = leaf[draw_from(&rand, LEAVES)], *other = leaf[draw_from(&rand, LEAVES)];

		switch (draw_from(&rand, 8)) {
		case 0:
			come_and_go(one);
			break;
		case 1:
			rebind();
			break;
		case 2 ... 3:
			write_shares(draw_from(&rand, LEAVES), draw_from(&rand, 4));
			break;
		case 4:
			expect(move_to(one, forker[draw_from(&rand, FORKERS)]), 0);
			break;
		default:
			move_all(one, other);
		}
	}
	for (int i = 0; i < FORKERS; i++)
		stop(forker[i]);
	/* a child of a forker may end after it */
	for (int i = 0; i < LEAVES; i++)
		eventually(!remove_dir(leaf[i]), 20);
	if (!bound)
		rebind();
	eventually(states_of("cpu") == states, 20);
}
