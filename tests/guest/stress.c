// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two storms of one kind each, which storm.c has only now and then: mounts
 * against mounts, and attach against exit.
 *
 * Runs for STRESS_SECONDS (default 3) per test. Choices follow from --seed;
 * workers draw from streams of their own, so the same seed makes the same
 * choices, in whatever order the scheduler then takes them.
 */
#include "lib-stress.h"

#include <sys/mount.h>

#define WORKERS 6

static double end_of_test(void)
{
	return now() + seconds_of("STRESS_SECONDS", 3);
}

struct worker {
	char *root;
	unsigned int rand;
	double end;
};

static unsigned int draw(struct worker *w, unsigned int n)
{
	return draw_from(&w->rand, n);
}

static void mount_and_unmount(void *arg)
{
	static const char *const options[] = { "cpuacct", "memory", "all", "cpuacct,memory",
					       "none,name=s", "nosuch", "cpuacct,noprefix" };
	static const int mount_may[] = { EBUSY, ENOENT, 0 };
	static const int enter_may[] = { ENOENT, ENODEV, 0 };
	struct worker *w = arg;
	char *dir = new_dir();

	while (now() < w->end) {
		const char *o = options[draw(w, 7)];
		int err = mount("none", dir, "container", 0, o) ? errno : 0;

		may(err, o, mount_may);
		if (err)
			continue;
		if (!make_dir(at(dir, "a%u", w->rand & 7)))
			remove_dir(at(dir, "a%u", w->rand & 7));
		may(write_file(at(dir, "procs"), "0"), "procs", enter_may);
		expect(unmount(dir), 0);
	}
}

TEST_LIMIT(mounts_at_once, 120)
{
	struct worker w[WORKERS];
	pid_t pid[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ NULL, lib_seed + i, end_of_test() };
		pid[i] = start(mount_and_unmount, &w[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		finish(pid[i]);
}

static void exit_soon(void *arg)
{
	struct worker *w = arg;

	fork_and_exit_until(w->end);
}

/* The race of 2007: a task is moved while it exits; then some container stayed busy for ever. */
TEST_LIMIT(attach_against_exit, 120)
{
	char *root = mount_hierarchy("cpuacct,memory"), *a = at(root, "a"), *b = at(root, "b");
	struct worker w = { root, lib_seed, end_of_test() };
	char *text, *p, *line;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	/* a chain: each process forks the next and exits at once */
	for (int i = 0; i < 3; i++)
		start_in(a, exit_soon, &w);
	while (now() < w.end) {
		const char *from = draw(&w, 2) ? a : b, *to = from == a ? b : a;

		text = read_file(at(from, "tasks"));
		for (p = text; (line = strsep(&p, "\n")) && *line;) {
			int err = write_file(at(to, "tasks"), line);

			if (err && err != ESRCH)
				ck_abort_msg("tasks: got %s, wanted success or ESRCH", error_name(err));
		}
		free(text);
	}
	eventually(!remove_dir(a), 10);
	eventually(!remove_dir(b), 10);
}
