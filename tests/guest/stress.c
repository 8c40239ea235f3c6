// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once, for the debug kernel to look at: containers made and
 * removed, tasks moved, forked, killed, hierarchies mounted and unmounted.
 *
 * Runs for STRESS_SECONDS (default 3) per test. Choices follow from --seed;
 * workers draw from streams of their own, so the same seed makes the same
 * choices, in whatever order the scheduler then takes them.
 */
#include "lib.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#define WORKERS 6
#define NAMES 8

static double seconds(void)
{
	const char *text = getenv("STRESS_SECONDS");
	double s = text ? atof(text) : 3;

	return s > 0 ? s : 3;
}

struct worker {
	char *root;
	unsigned int rand;
	double end;
};

static unsigned int draw(struct worker *w, unsigned int n)
{
	return rand_r(&w->rand) % n;
}

/* Errors that a race may end in; any other is a failure. */
static void may(int err, const char *what, const int *allowed)
{
	if (!err)
		return;
	for (; *allowed; allowed++)
		if (err == *allowed)
			return;
	ck_abort_msg("%s: got %s, wanted success or an error of a lost race", what, error_name(err));
}

static void write_zero(const char *path)
{
	static const int allowed[] = { ENOENT, ENODEV, 0 };

	may(write_file(path, "0"), path, allowed);
}

static void one_step(struct worker *w)
{
	static const int mkdir_ok[] = { EEXIST, ENOENT, ENODEV, 0 };
	static const int rmdir_ok[] = { EBUSY, ENOENT, ENODEV, ENOTEMPTY, 0 };
	static const int rename_ok[] = { EEXIST, ENOENT, EXDEV, EINVAL, ENODEV, 0 };
	char *dir = at(w->root, "c%u", draw(w, NAMES)), *below = at(dir, "d%u", draw(w, 3));
	pid_t pid;

	switch (draw(w, 8)) {
	case 0: may(make_dir(dir), "mkdir", mkdir_ok); break;
	case 1: may(make_dir(below), "mkdir", mkdir_ok); break;
	case 2: may(remove_dir(dir), "rmdir", rmdir_ok); break;
	case 3: may(remove_dir(below), "rmdir", rmdir_ok); break;
	case 4: write_zero(at(draw(w, 2) ? dir : below, "procs")); break;
	case 5: write_zero(at(draw(w, 2) ? w->root : dir, "tasks")); break;
	case 6:
		may(rename_dir(dir, at(w->root, "c%u", draw(w, NAMES))), "rename", rename_ok);
		break;
	default:
		pid = fork();
		if (!pid) {
			write_zero(at(dir, "procs"));
			if (fork() == 0)
				_exit(0);
			_exit(0);
		}
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	free(dir);
	free(below);
}

static void work(void *arg)
{
	struct worker *w = arg;

	while (now() < w->end)
		one_step(w);
	write_zero(at(w->root, "procs"));
}

/* Move whatever is in the tree, in one step each, from outside. */
static void herd(void *arg)
{
	static const int allowed[] = { ENOENT, ENODEV, ESRCH, EINVAL, 0 };
	struct worker *w = arg;

	while (now() < w->end) {
		char *text = NULL, *p, *line, *list = at(w->root, "c%u/tasks", draw(w, NAMES));

		if (!try_read(list, &text)) {
			for (p = text; (line = strsep(&p, "\n")) && *line;)
				may(write_file(at(w->root, "c%u/procs", draw(w, NAMES)), line), "procs",
				    allowed);
			free(text);
		}
		free(list);
		free(read_file("/proc/containers"));
	}
}

/* Remove what the workers have left. */
static void clear(const char *root)
{
	for (int c = 0; c < NAMES; c++) {
		char *dir = at(root, "c%d", c);

		for (int d = 0; d < 3; d++)
			eventually(!exists(at(dir, "d%d", d)) || !remove_dir(at(dir, "d%d", d)), 5);
		eventually(!exists(dir) || !remove_dir(dir), 5);
	}
}

TEST_LIMIT(all_at_once, 120)
{
	char *root = mount_hierarchy("all");
	struct worker w[WORKERS];
	pid_t pid[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ root, lib_seed + i, now() + seconds() };
		pid[i] = start(i ? work : herd, &w[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		finish(pid[i]);
	clear(root);
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 1);
}

static void mount_and_unmount(void *arg)
{
	static const char *const options[] = { "cpuacct", "memory", "all", "cpuacct,memory",
					       "none,name=s", "nosuch", "cpuacct,noprefix" };
	static const int allowed[] = { EBUSY, ENOENT, 0 };
	struct worker *w = arg;
	char *dir = new_dir();

	while (now() < w->end) {
		const char *o = options[draw(w, 7)];
		int err = mount("none", dir, "container", 0, o) ? errno : 0;

		may(err, o, allowed);
		if (err)
			continue;
		if (!make_dir(at(dir, "a%u", w->rand & 7)))
			remove_dir(at(dir, "a%u", w->rand & 7));
		write_zero(at(dir, "procs"));
		expect(unmount(dir), 0);
	}
}

TEST_LIMIT(mounts_at_once, 120)
{
	struct worker w[WORKERS];
	pid_t pid[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ NULL, lib_seed + i, now() + seconds() };
		pid[i] = start(mount_and_unmount, &w[i]);
	}
	for (int i = 0; i < WORKERS; i++)
		finish(pid[i]);
}

static void exit_soon(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		pid_t pid = fork();

		if (pid)
			break;
		if (now() > w->end)
			_exit(0);
	}
	_exit(0);
}

/* The race of 2007: a task is moved while it exits; then some container stayed busy for ever. */
TEST_LIMIT(attach_against_exit, 120)
{
	char *root = mount_hierarchy("cpuacct,memory"), *a = at(root, "a"), *b = at(root, "b");
	struct worker w = { root, lib_seed, now() + seconds() };
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
