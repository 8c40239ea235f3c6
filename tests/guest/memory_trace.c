// SPDX-License-Identifier: GPL-2.0-only
/*
 * The trace events container_memory:*, read in tracefs and compared with
 * memory.stat.
 * (uml-run --swap 256M)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

static char *tracefs;

static void trace(void)
{
	tracefs = new_dir();
	ck_assert_msg(!mount("none", tracefs, "tracefs", 0, NULL), "mount -t tracefs: %s",
		      error_name(errno));
	fclose(fopen(at(tracefs, "trace"), "w"));
	expect(write_file(at(tracefs, "events/container_memory/enable"), "1"), 0);
}

static void off(void)
{
	expect(write_file(at(tracefs, "events/container_memory/enable"), "0"), 0);
	expect(unmount(tracefs), 0);
}

/* The sum of FIELD=N over the lines of EVENT with all of WORDS; how many lines there are. */
static unsigned long traced(const char *event, const char *words, const char *field,
			    unsigned long *sum)
{
	char *text = read_file(at(tracefs, "trace")), *p = text, *line, *value;
	unsigned long n = 0;

	*sum = 0;
	while ((line = strsep(&p, "\n"))) {
		if (!strstr(line, at("", "container_memory_%s: ", event) + 1) || !strstr(line, words))
			continue;
		n++;
		value = strstr(line, at("", " %s=", field) + 1);
		if (value)
			*sum += strtoul(value + strlen(field) + 2, NULL, 10);
	}
	free(text);
	return n;
}

/* The number behind FIELD= in LINE. */
static unsigned long number_in(const char *line, const char *field)
{
	const char *value = strstr(line, at("", " %s=", field) + 1);

	ck_assert_msg(value, "no %s in: %s", field, line);
	return strtoul(value + strlen(field) + 2, NULL, 10);
}

/*
 * Nobody charges anything meanwhile: what a round says is left above STOP is what the next one begins with, and
 * nothing is left by the last one.
 */
static void expect_left(unsigned long stop)
{
	char *text = read_file(at(tracefs, "trace")), *p = text, *line;
	unsigned long left = 0, usage, rounds = 0;

	while ((line = strsep(&p, "\n"))) {
		if (!strstr(line, "container_memory_round: path=/a "))
			continue;
		usage = number_in(line, "usage");
		if (rounds++)
			ck_assert_msg(labs((long)(usage - left - stop)) <= FEW, "%lu were left above %lu before: %s", left, stop, line);
		left = number_in(line, "left");
		ck_assert_msg(left + stop <= usage || !left, "more than before: %s", line);
	}
	ck_assert_uint_gt(rounds, 1);
	ck_assert_uint_eq(left, 0);
	free(text);
}

/* Do the lines of all rounds sum up to what stat has? */
static bool trace_agrees(const char *dir)
{
	static const char *const fields[] = {
		"scanned", "deactivated", "invalidated", "reclaimed", "swapped"
	};
	unsigned long sum;

	if (traced("round", "path=/a for=page_limit by=worker usage=", "scanned", &sum) !=
	    stat_of(dir, "rounds"))
		return false;
	for (unsigned int i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		traced("round", "path=/a ", fields[i], &sum);
		if (sum != stat_of(dir, fields[i]))
			return false;
	}
	return traced("giveup", "path=/a ", "limit", &sum) == stat_of(dir, "giveups");
}

TEST_LIMIT(trace_has_a_line_per_round, 60)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	unsigned long sum;

	act(actor, touch, 1000);
	trace();
	set_limit(a, "250");
	eventually(anon_pages(a) + file_pages(a) <= 250, 20);
	/* no other round begins, and one that has begun comes to its end, and its line */
	set_limit(a, "max");
	eventually(trace_agrees(a), 20);
	ck_assert_uint_gt(traced("round", " limit=250 ", "swapped", &sum), 0);
	/* what does not fit, less what went without a round: there is hardly any */
	ck_assert_uint_ge(sum, 500);
	ck_assert_uint_ge(swapped_out(actor), 750);
	/* 250 less a batch, which is more than 1/32, but not more than 1/8 */
	expect_left(250 - 250 / 8);
	off();
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* What each CPU has counted by itself is told first. */
static unsigned long written_by_linux(void)
{
	expect(write_file("/proc/sys/vm/stat_refresh", "1"), 0);
	return vmstat("nr_written");
}

/* Dirty pages of a file: what the rounds say they began to write is what stat has, and Linux wrote no less. */
TEST_LIMIT(trace_has_what_is_written, 60)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a"), *disk = make_disk(16);
	struct actor *actor = actor_in(a);
	unsigned long sum, linuxs;

	strcpy(actor->path, at(disk, "data"));
	act(actor, write_whole, 1000);
	trace();
	linuxs = written_by_linux();
	set_limit(a, "250");
	eventually(anon_pages(a) + file_pages(a) <= 250, 20);
	set_limit(a, "max");
	eventually(trace_agrees(a), 20);
	traced("round", "path=/a ", "written", &sum);
	ck_assert_uint_eq(sum, stat_of(a, "written_back"));
	ck_assert_uint_ge(sum, 1000 - 250);
	/* ours are counted when writing begins, Linux's when it has come to its end */
	sync();
	eventually(written_by_linux() - linuxs >= sum, 20);
	off();
	dismiss(actor);
	drop_cached(at(disk, "data"));
	expect(unmount(disk), 0);
	expect(remove_dir(a), 0);
}

/* More than 1/8 above the limit the task works itself, as its waiting shows; that the worker works is seen above. */
TEST_LIMIT(trace_tells_who_works, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", "400", NULL);
	struct actor *actor = actor_in(a);
	unsigned long sum;

	trace();
	/* whoever comes first works, and the other waits: so more than once */
	eventually((act(actor, touch, 1500), act(actor, check, 0), act(actor, release, 0),
		    traced("round", "path=/a for=page_limit by=task ", "scanned", &sum) > 0), 30);
	ck_assert_uint_gt(sum, 0);
	ck_assert_uint_gt(stat_of(a, "throttled_ns"), 0);
	off();
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(trace_tells_of_the_end, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "500");
	struct actor *actor;
	unsigned long sum;

	no_swap();
	actor = actor_in(a);
	trace();
	act_begin(actor, touch, 1000);
	expect_killed(actor);
	ck_assert_uint_gt(traced("round", "path=/a for=page_max by=", "scanned", &sum), 0);
	ck_assert_uint_gt(traced("giveup", "path=/a ", "limit", &sum), 0);
	ck_assert_uint_eq(traced("oom", at("", "path=/a pid=%d comm=memory_trace ", actor->pid) + 1,
				 "limit", &sum), 1);
	ck_assert_uint_eq(sum, 500);
	off();
	expect(remove_dir(a), 0);
}
