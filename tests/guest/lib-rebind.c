// SPDX-License-Identifier: GPL-2.0-only
/* Verbs of the suites about rebinding; see lib-rebind.h. */
#include "lib-rebind.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>

int remount(const char *dir, const char *options)
{
	return mount("none", dir, "container", MS_REMOUNT, options) ? errno : 0;
}

/* A growing text. */
struct text {
	char *at;
	size_t len;
};

static void add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *t, const char *format, ...)
{
	va_list args;
	char *more;
	int len;

	va_start(args, format);
	len = vasprintf(&more, format, args);
	va_end(args);
	ck_assert_int_ge(len, 0);
	t->at = realloc(t->at, t->len + len + 1);
	ck_assert_ptr_nonnull(t->at);
	memcpy(t->at + t->len, more, len + 1);
	t->len += len;
	free(more);
}

static bool volatile_file(const char *name)
{
	static const char *const names[] = { "why", "cpuacct.load", "debug.stat" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* A task that has just been started still uses time on its way to sleep. */
static void all_asleep(const char *tasks)
{
	char *text = read_file(tasks), *rest = text, *line;

	while ((line = strsep(&rest, "\n")) && *line) {
		char *stat = at("/proc", "%s/stat", line);

		eventually(strstr(read_file(stat), ") S "), 10);
		free(stat);
	}
	free(text);
}

/*
 * Only what rests can be compared: of the root, whose tasks run, the names; and the number of those that are dying, in
 * `events`, if these are waited for.
 */
static void add_dir(struct text *t, const char *dir, bool root, bool dying)
{
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort);

	ck_assert_msg(n >= 0, "%s: %s", dir, error_name(errno));
	if (!root)
		all_asleep(at(dir, "tasks"));
	for (int i = 0; i < n; i++) {
		char *name = list[i]->d_name, *path = at(dir, "%s", name), *text;
		struct stat st;

		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		ck_assert_msg(!lstat(path, &st), "%s: %s", path, error_name(errno));
		add(t, "%s %o %u\n", path, st.st_mode, st.st_uid);
		if (S_ISDIR(st.st_mode)) {
			add_dir(t, path, false, dying);
		} else if (!root && st.st_mode & 0444 && !volatile_file(name) && (dying || strcmp(name, "events"))) {
			text = read_file(path);
			add(t, "%s", text);
			free(text);
		}
		free(path);
		free(list[i]);
	}
	free(list);
}

char *snapshot(const char *root)
{
	struct text t = { NULL, 0 };

	add(&t, "%s", read_file("/proc/containers"));
	add_dir(&t, root, true, true);
	return t.at;
}

char *outline(const char *root)
{
	struct hierarchy_row rows[16];
	struct text t = { NULL, 0 };
	int n = read_hierarchies(rows, 16);

	for (int i = 0; i < n; i++)
		add(&t, "%d %d %s\n", rows[i].id, rows[i].containers, rows[i].subsystems);
	add(&t, "groups %u\n", nr_groups());
	add_dir(&t, root, true, false);
	return t.at;
}

/* The first line in which two texts differ. */
static char *first_difference(const char *a, const char *b)
{
	const char *line = a;
	char *text;

	for (; *a && *a == *b; a++, b++)
		if (*a == '\n')
			line = a + 1;
	ck_assert_int_gt(asprintf(&text, "\"%.*s\" became \"%.*s\"", (int)strcspn(line, "\n"), line,
				  (int)(strcspn(b, "\n") + (a - line)), b - (a - line)), 0);
	return text;
}

void same_as_before(const char *root, const char *before)
{
	double end = now() + 10 * lib_slow;
	char *after;

	for (;;) {
		after = snapshot(root);
		if (!strcmp(before, after))
			break;
		/* states that were made in vain go after a grace period, by a worker */
		ck_assert_msg(now() < end, "not as before: %s", first_difference(before, after));
		free(after);
		usleep(10000);
	}
	free(after);
}

void same_outline(const char *root, const char *before, int nth)
{
	char *after = outline(root);

	ck_assert_msg(!strcmp(before, after), "after failure %d: %s", nth, first_difference(before, after));
	free(after);
}

static bool states_are_of_containers(void)
{
	struct subsystem_row rows[64];
	int n = read_subsystems(rows, 64);

	while (n--)
		if (rows[n].states != rows[n].containers)
			return false;
	return true;
}

void await_states(void)
{
	eventually(states_are_of_containers(), 10);
}

void hurry_grace_periods(void)
{
	expect(write_file("/sys/kernel/rcu_expedited", "1"), 0);
}
