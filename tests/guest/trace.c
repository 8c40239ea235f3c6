// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace events container:*, read in tracefs: each change of state writes
 * its line, with the right names in it.
 */
#include "lib.h"

#include <sys/mount.h>
#include <sys/stat.h>

static char *tracefs;

/* Mounts tracefs, empties the buffer, starts the events of the comma list. */
static void trace(const char *events)
{
	char *list = strdup(events), *p = list, *event;

	tracefs = new_dir();
	ck_assert_msg(!mount("none", tracefs, "tracefs", 0, NULL), "mount -t tracefs: %s",
		      error_name(errno));
	expect(write_file(at(tracefs, "events/enable"), "0"), 0);
	/* opening it with O_TRUNC is what empties it */
	fclose(fopen(at(tracefs, "trace"), "w"));
	while ((event = strsep(&p, ",")))
		expect(write_file(at(tracefs, "events/container/container_%s/enable", event), "1"), 0);
}

/* How many lines of the trace have all of both words. */
static int lines_with(const char *event, const char *words)
{
	char *text = read_file(at(tracefs, "trace")), *p = text, *line;
	char *head;
	int n = 0;

	if (asprintf(&head, " container_%s: ", event) < 0)
		abort();
	while ((line = strsep(&p, "\n")))
		n += strstr(line, head) && strstr(line, words);
	free(text);
	return n;
}

#define traced(event, wanted, ...)						\
	do {									\
		char *words_;							\
		ck_assert_int_gt(asprintf(&words_, __VA_ARGS__), 0);		\
		ck_assert_msg(lines_with(event, words_) == (wanted),		\
			      "%d lines of container_%s have \"%s\", wanted %d; the trace:\n%s",	\
			      lines_with(event, words_), event, words_, wanted,	\
			      strchr(read_file(at(tracefs, "trace")), '#'));	\
	} while (0)

static void off(void)
{
	expect(write_file(at(tracefs, "events/enable"), "0"), 0);
	expect(unmount(tracefs), 0);
}

TEST(trace_of_a_directory)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "a/c");
	int id = hierarchy_of("cpuacct").id;
	struct stat st;

	trace("mkdir,rmdir,offline,free");
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	ck_assert_int_eq(stat(b, &st), 0);
	traced("mkdir", 1, "hierarchy=%d path=/a ino=", id);
	traced("mkdir", 1, "hierarchy=%d path=/a/b ino=%llu", id, (unsigned long long)st.st_ino);
	/* no line for what fails */
	expect(make_dir(b), EEXIST);
	expect(remove_dir(a), EBUSY);
	traced("mkdir", 2, "path=");
	traced("rmdir", 0, "path=");
	expect(rename_dir(b, c), 0);
	expect(remove_dir(c), 0);
	traced("rmdir", 1, "hierarchy=%d path=/a/c ino=%llu", id, (unsigned long long)st.st_ino);
	traced("offline", 1, "hierarchy=%d path=/a/c subsystem=cpuacct", id);
	/* a grace period and a worker */
	eventually(lines_with("free", "path=/a/c ino="), 5);
	traced("offline", 1, "path=");
	expect(remove_dir(a), 0);
	off();
}

TEST(trace_of_tasks)
{
	char *one = mount_hierarchy("none,name=one"), *two = mount_hierarchy("none,name=two");
	char *a = at(one, "a"), *b = at(two, "b");
	int id1 = hierarchy_of("name=one").id, id2 = hierarchy_of("name=two").id;
	pid_t pid, in_root;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	trace("attach,fork,exit");
	in_root = sleeper();
	traced("fork", 1, "pid=%d comm=trace containers=-", in_root);
	expect(move_to(a, in_root), 0);
	traced("attach", 1, "hierarchy=%d from=/ to=/a pid=%d comm=trace", id1, in_root);
	/* it is there already: nothing changes */
	expect(move_to(a, in_root), 0);
	traced("attach", 1, "to=/a pid=%d ", in_root);
	expect(move_to(one, in_root), 0);
	traced("attach", 1, "from=/a to=/ pid=%d ", in_root);
	stop(in_root);
	traced("exit", 1, "pid=%d comm=trace containers=-", in_root);

	enter(a);
	enter(b);
	pid = sleeper();
	enter(one);
	enter(two);
	traced("fork", 1, "pid=%d comm=trace containers=%d:/%s %d:/%s", pid, id1 < id2 ? id1 : id2,
	       id1 < id2 ? "a" : "b", id1 < id2 ? id2 : id1, id1 < id2 ? "b" : "a");
	stop(pid);
	traced("exit", 1, "pid=%d comm=trace containers=%d:/", pid, id1 < id2 ? id1 : id2);
	off();
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(trace_of_bindings)
{
	char *root;
	int id;

	trace("bind");
	root = mount_hierarchy("cpuacct");
	id = hierarchy_of("cpuacct").id;
	traced("bind", 1, "subsystem=cpuacct from=0 to=%d", id);
	expect(unmount(root), 0);
	traced("bind", 1, "subsystem=cpuacct from=%d to=0", id);
	traced("bind", 2, "subsystem=");
	off();
}

TEST(trace_of_releases_and_refusals)
{
	char *root = mount_hierarchy("cpuacct,release_agent=/bin/true"), *a = at(root, "a");
	int id = hierarchy_of("cpuacct").id;
	pid_t pid;

	trace("release,refusal");
	expect(make_dir(a), 0);
	expect(write_file(at(a, "notify_on_release"), "1"), 0);
	pid = sleeper_in(a);
	expect(remove_dir(a), EBUSY);
	traced("refusal", 1, "hierarchy=%d path=/a what=rmdir subsystem=core pid=%d error=-16 usage=0 limit=0 asked=0",
	       id, pid);
	stop(pid);
	eventually(lines_with("release", "path=/a agent=/bin/true"), 10);
	traced("release", 1, "hierarchy=%d ", id);
	expect(remove_dir(a), 0);
	off();
}

/* Agents start sixteen in a tenth of a second, however many containers wait. */
TEST_LIMIT(releases_come_in_bursts, 60)
{
	char *root = mount_hierarchy("cpuacct"), *p, *line;
	unsigned long first = 0, last = 0, t;
	enum { MANY = 40 };

	for (int i = 0; i < MANY; i++) {
		expect(make_dir(at(root, "%d", i)), 0);
		expect(write_file(at(root, "%d/notify_on_release", i), "1"), 0);
		stop(sleeper_in(at(root, "%d", i)));
	}
	trace("release");
	/* the kernel's own ticks, which it counts by: on a busy host they come late, and then several at once */
	expect(write_file(at(tracefs, "trace_clock"), "uptime"), 0);
	/* one that is not there: programs that run would take as long as that by themselves */
	expect(write_file(at(root, "release_agent"), "/no/agent"), 0);
	eventually(lines_with("release", "path=") == MANY, 20);
	for (p = read_file(at(tracefs, "trace")); (line = strsep(&p, "\n"));) {
		if (!strstr(line, " container_release: "))
			continue;
		/* " ... 1234: container_release: ...": hundredths of a second */
		line[strstr(line, ": container_release: ") - line] = 0;
		t = strtoul(strrchr(line, ' '), NULL, 10);
		first = first ? first : t;
		last = t;
	}
	/*
	 * At most sixteen begin in a tenth of a second, so the first and the last have a whole one between them,
	 * however late the first was told on a busy host.
	 */
	ck_assert_uint_ge(last - first, 10);
	for (int i = 0; i < MANY; i++)
		expect(remove_dir(at(root, "%d", i)), 0);
	expect(write_file(at(tracefs, "trace_clock"), "local"), 0);
	off();
}

/* A path that does not fit is cut, and hurts nobody. */
TEST(trace_of_a_long_path)
{
	char *root = mount_hierarchy("cpuacct"), name[200], *a, *b;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	a = at(root, "%s", name);
	b = at(a, "%s", name);
	trace("mkdir,rmdir,fork,exit");
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	stop(sleeper_in(b));
	traced("mkdir", 2, "path=/nnnnnnnnnnnn");
	expect(remove_dir(b), 0);
	traced("rmdir", 1, "path=/nnnnnnnnnnnn");
	off();
	expect(remove_dir(a), 0);
}
