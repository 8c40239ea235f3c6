// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: the bounds of numfiles, and the control files. Where a file goes
 * is bc_files.c's. (jobs 1 1@debug)
 */
#include "lib-bc.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define says(container, wanted)							\
	do {									\
		char *why_ = read_file(at(container, "why"));			\
		ck_assert_msg(strstr(why_, wanted), "why reads \"%s\", wanted \"%s\" in it",	\
			      why_, wanted);					\
	} while (0)

TEST(a_new_container)
{
	mount_bc("a/b");
	ck_assert_uint_eq(numfiles(a, "barrier"), 256);
	ck_assert_uint_eq(numfiles(a, "limit"), 512);
	ck_assert_uint_eq(held(a), 0);
	ck_assert_uint_eq(numfiles(a, "maxheld"), 0);
	ck_assert_uint_eq(numfiles(a, "minheld"), 0);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 0);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "256 512");
	ck_assert_str_eq(bounds(at(a, "bc.defaults"), "numfiles"), "256 512");
	/* the machine's own bound is file-max */
	ck_assert(!exists(at(root, "bc.numfiles.barrier")) && !exists(at(root, "bc.numfiles.limit")));
	ck_assert(!exists(at(root, "bc.numfiles.failcnt")) && !exists(at(root, "bc.set")));
	ck_assert_str_eq(bounds(at(root, "bc.defaults"), "numfiles"), "256 512");
	ck_assert_uint_eq(read_u64(at(root, "bc.hierarchical")), 1);
	/* nobody makes his own subtree flat */
	ck_assert(!exists(at(a, "bc.hierarchical")));
	remove_all();
}

TEST(it_must_be_named)
{
	char *all = mount_hierarchy("all");

	ck_assert(!exists(at(all, "bc.defaults")));
	ck_assert_int_eq(hierarchy_of("bc").id, 0);
}

static const char *const read_only[] = { "held", "maxheld", "minheld", "failcnt" };

TEST(modes)
{
	struct stat st;

	mount_bc("a/b");
	for (int i = 0; i < 4; i++)
		expect(write_file(at(a, "bc.numfiles.%s", read_only[i]), "0"), EACCES);
	ck_assert_int_eq(stat(at(a, "bc.numfiles.held"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0444);
	ck_assert_int_eq(stat(at(a, "bc.numfiles.limit"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0644);
	ck_assert_int_eq(stat(at(a, "bc.reset"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0200);
	remove_all();
}

TEST(the_barrier_is_everybodys)
{
	struct actor *actor;

	mount_bc("a/b");
	set_bounds(a, 5, 8);
	actor = actor_in(a);
	act(actor, become_alice, 0);
	ck_assert_uint_eq(act(actor, open_files, 100), 5);
	expect(actor->seed, ENFILE);
	ck_assert_uint_eq(held(a), 5);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 1);
	says(a, "open of task ");
	says(a, "(bc) refused by bc: close some, or raise bc.numfiles.barrier; /a has 5 of 5 files (ENFILE)\n");
	ck_assert_uint_eq(read_field(at(a, "why"), "task"), actor->pid);
	/* one goes, one may come */
	act(actor, close_files, 1);
	ck_assert_uint_eq(act(actor, open_files, 2), 1);
	dismiss(actor);
	ck_assert_uint_eq(held(a), 0);
	remove_all();
}

TEST(the_limit_is_the_administrators)
{
	struct actor *actor;

	mount_bc("a/b");
	set_bounds(a, 5, 8);
	actor = actor_in(a);
	ck_assert_uint_eq(act(actor, open_files, 100), 8);
	expect(actor->seed, ENFILE);
	says(a, "refused by bc: close some, or raise bc.numfiles.limit; /a has 8 of 8 files (ENFILE)\n");
	/* without the capability it is above the barrier: what is there stays, nothing comes */
	act(actor, become_alice, 0);
	act(actor, close_files, 2);
	ck_assert_uint_eq(act(actor, open_files, 1), 0);
	act(actor, close_files, 1);
	ck_assert_uint_eq(act(actor, open_files, 1), 0);
	act(actor, close_files, 1);
	ck_assert_uint_eq(act(actor, open_files, 9), 1);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 4);
	dismiss(actor);
	remove_all();
}

static void own_namespace(struct actor *actor)
{
	(void)actor;
	ck_assert_int_eq(unshare(CLONE_NEWUSER), 0);
}

TEST(an_administrator_of_a_namespace_is_everybody)
{
	struct actor *actor;

	mount_bc("a/b");
	set_bounds(a, 5, 8);
	actor = actor_in(a);
	act(actor, own_namespace, 0);
	ck_assert_uint_eq(act(actor, open_files, 100), 5);
	expect(actor->seed, ENFILE);
	dismiss(actor);
	remove_all();
}

/* With one file left: what needs two takes none, and what needs none works. */
static void at_the_edge(void *arg)
{
	int ends[2];

	(void)arg;
	expect(pipe(ends) ? errno : 0, ENFILE);
	expect(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ? errno : 0, ENFILE);
	ends[0] = memfd_create("the last", 0);
	ck_assert_int_ge(ends[0], 0);
	expect(memfd_create("one more", 0) < 0 ? errno : 0, ENFILE);
	expect(socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0, ENFILE);
	expect(execl("/bin/true", "true", NULL) ? errno : 0, ENFILE);
	/* no file: another descriptor, another process */
	ends[1] = dup(ends[0]);
	ck_assert_int_ge(ends[1], 0);
	ck_assert_int_eq(close(ends[0]) | close(ends[1]), 0);
	stop(sleeper());
}

static void edge(struct actor *actor)
{
	(void)actor;
	finish(start(at_the_edge, NULL));
}

TEST(what_needs_two_takes_none)
{
	struct actor *actor;

	mount_bc("a/b");
	set_bounds(a, 5, 5);
	actor = actor_in(a);
	ck_assert_uint_eq(act(actor, open_files, 4), 4);
	act(actor, edge, 0);
	ck_assert_uint_eq(held(a), 4);
	dismiss(actor);
	ck_assert_uint_eq(held(a), 0);
	remove_all();
}

TEST(lowering_below_held)
{
	struct actor *actor;

	mount_bc("a/b");
	actor = actor_in(a);
	ck_assert_uint_eq(act(actor, open_files, 6), 6);
	set_bounds(a, 2, 3);
	ck_assert_uint_ge(descriptors(actor->pid), 6);
	ck_assert_uint_eq(held(a), 6);
	ck_assert_uint_eq(act(actor, open_files, 1), 0);
	act(actor, close_files, 4);
	ck_assert_uint_eq(act(actor, open_files, 9), 1);
	/* 0 lets nothing in */
	set_bounds(a, 0, 0);
	act(actor, close_files, 3);
	ck_assert_uint_eq(act(actor, open_files, 1), 0);
	ck_assert_uint_eq(held(a), 0);
	/* and max everything */
	expect(write_file(at(a, "bc.numfiles.limit"), "max"), 0);
	expect(write_file(at(a, "bc.numfiles.barrier"), "max\n"), 0);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "max max");
	ck_assert_uint_eq(act(actor, open_files, 700), 700);
	dismiss(actor);
	remove_all();
}

TEST(marks_and_reset)
{
	struct actor *actor;

	mount_bc("a/b");
	set_bounds(a, 9, 9);
	actor = actor_in(a);
	act(actor, open_files, 5);
	/* nothing has been closed: what is held is the least */
	ck_assert_uint_eq(numfiles(a, "minheld"), 5);
	act(actor, close_files, 3);
	act(actor, open_files, 20);
	act(actor, close_files, 4);
	ck_assert_uint_eq(numfiles(a, "maxheld"), 9);
	ck_assert_uint_eq(numfiles(a, "minheld"), 2);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 1);
	expect(write_file(at(a, "bc.reset"), "0"), ERANGE);
	expect(write_file(at(a, "bc.reset"), "2"), ERANGE);
	expect(write_file(at(a, "bc.reset"), "x"), EINVAL);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 1);
	expect(write_file(at(a, "bc.reset"), "1\n"), 0);
	ck_assert_uint_eq(held(a), 5);
	ck_assert_uint_eq(numfiles(a, "maxheld"), 5);
	ck_assert_uint_eq(numfiles(a, "minheld"), 5);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 0);
	act(actor, open_files, 2);
	act(actor, close_files, 1);
	ck_assert_uint_eq(numfiles(a, "maxheld"), 7);
	ck_assert_uint_eq(numfiles(a, "minheld"), 5);
	dismiss(actor);
	ck_assert_uint_eq(numfiles(a, "minheld"), 0);
	remove_all();
}

static const struct {
	const char *file;
	const char *text;
	int error;
} wrong[] = {
	{ "bc.numfiles.barrier", "x", EINVAL },
	{ "bc.numfiles.barrier", "\n", EINVAL },
	{ "bc.numfiles.barrier", "-1", EINVAL },
	{ "bc.numfiles.barrier", "+1", EINVAL },
	{ "bc.numfiles.barrier", "1 2", EINVAL },
	{ "bc.numfiles.barrier", "9223372036854775808", ERANGE },
	{ "bc.numfiles.barrier", "99999999999999999999", ERANGE },
	{ "bc.numfiles.barrier", "201", EINVAL },	/* above the limit */
	{ "bc.numfiles.limit", "99", EINVAL },		/* below the barrier */
	{ "bc.set", "\n", EINVAL },
	{ "bc.set", "numfiles", EINVAL },
	{ "bc.set", "numfiles 10", EINVAL },
	{ "bc.set", "numfiles 20 10", EINVAL },
	{ "bc.set", "numfiles 10 20 30", EINVAL },
	{ "bc.set", "numfiles 10 x", EINVAL },
	{ "bc.set", "numfiles 10 9223372036854775808", ERANGE },
	{ "bc.set", "numfile 10 20", EINVAL },
	{ "bc.set", "10 20", EINVAL },
	{ "bc.set", "numfiles 10 20\nnumfiles 10 20", EINVAL },
	{ "bc.set", "numfiles 10 20\nnumflocks 10 20", EINVAL },
	{ "bc.defaults", "numfiles 20 10", EINVAL },
	{ "bc.defaults", "numfiles 10", EINVAL },
	{ "bc.defaults", "numfiles 10 99999999999999999999", ERANGE },
	{ "bc.defaults", "nothing 10 20", EINVAL },
};

TEST(after_an_error_nothing_has_changed)
{
	char big[4098] = "";

	mount_bc("a/b");
	expect(write_file(at(a, "bc.set"), "numfiles 100 200"), 0);
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		int got = write_file(at(a, "%s", wrong[i].file), wrong[i].text);

		ck_assert_msg(got == wrong[i].error, "\"%s\" to %s: got %s, wanted %s",
			      wrong[i].text, wrong[i].file, error_name(got),
			      error_name(wrong[i].error));
		ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "100 200");
		ck_assert_str_eq(bounds(at(a, "bc.defaults"), "numfiles"), "256 512");
	}
	says(a, "refused by bc: no such resource; write RESOURCE BARRIER LIMIT (EINVAL)\n");
	expect(write_file(at(a, "bc.set"), "numproc 7 8\nnumfiles 10"), EINVAL);
	says(a, "refused by bc: a bound is missing; write RESOURCE BARRIER LIMIT (EINVAL)\n");
	expect(write_file(at(a, "bc.set"), "numfiles 10 20\nnumproc 7 8\nnumfiles 10 20"), EINVAL);
	says(a, "refused by bc: a resource is there twice (EINVAL)\n");
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numproc"), "max max");
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "100 200");
	expect(write_file(at(a, "bc.numfiles.barrier"), "201"), EINVAL);
	says(a, "refused by bc: a barrier above its limit; write both at once to bc.set (EINVAL)\n");
	/* with and without a newline, words apart as one likes; both up, both down */
	expect(write_file(at(a, "bc.set"), " numfiles\t300\n400 \n"), 0);
	ck_assert_uint_eq(numfiles(a, "barrier"), 300);
	ck_assert_uint_eq(numfiles(a, "limit"), 400);
	expect(write_file(at(a, "bc.set"), "numfiles 0 0"), 0);
	expect(write_file(at(a, "bc.set"), "numfiles max max"), 0);
	expect(write_file(at(a, "bc.numfiles.barrier"), "9223372036854775807\n"), 0);
	ck_assert_str_eq(read_file(at(a, "bc.numfiles.barrier")), "max\n");
	/* it would be right, but for what stands behind it */
	memset(big, ' ', sizeof(big) - 1);
	memcpy(big, "numfiles 10 20", 14);
	expect(write_file(at(a, "bc.set"), big), E2BIG);
	expect(write_file(at(a, "bc.defaults"), big), E2BIG);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "max max");
	big[4096] = 0;
	expect(write_file(at(a, "bc.set"), big), 0);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "10 20");
	remove_all();
}

TEST(defaults_of_a_parent)
{
	mount_bc("a/b");
	expect(write_file(at(a, "bc.defaults"), "numfiles 7 max\n"), 0);
	/* not its own */
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "256 512");
	expect(make_dir(b), 0);
	ck_assert_str_eq(bounds(at(b, "bc.set"), "numfiles"), "7 max");
	ck_assert_str_eq(bounds(at(b, "bc.defaults"), "numfiles"), "7 max");
	expect(write_file(at(a, "bc.defaults"), "numfiles 8 9"), 0);
	ck_assert_str_eq(bounds(at(b, "bc.set"), "numfiles"), "7 max");
	remove_all();
	expect(write_file(at(root, "bc.defaults"), "numfiles 1 2\n"), 0);
	expect(write_file(at(root, "bc.hierarchical"), "0"), 0);
	expect(make_dir(a), 0);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "1 2");
	remove_all();
	/* these are the tree's, and end with it */
	expect(unmount(root), 0);
	mount_bc("a/b");
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numfiles"), "256 512");
	ck_assert_uint_eq(read_u64(at(root, "bc.hierarchical")), 1);
	remove_all();
}

TEST(an_ancestors_bound)
{
	struct actor *actor;
	char *c;

	mount_bc("a/b");
	c = at(b, "c");
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	set_bounds(a, 4, 4);
	actor = actor_in(c);
	ck_assert_uint_eq(act(actor, open_files, 100), 4);
	expect(actor->seed, ENFILE);
	/* told where it happened, counted where it was refused */
	says(c, "refused by bc: close some, or raise bc.numfiles.limit; /a has 4 of 4 files (ENFILE)\n");
	ck_assert_uint_eq(numfiles(a, "failcnt"), 1);
	ck_assert_uint_eq(numfiles(b, "failcnt") + numfiles(c, "failcnt"), 0);
	/* what was refused has left no trace below */
	ck_assert_uint_eq(held(a), 4);
	ck_assert_uint_eq(held(b), 4);
	ck_assert_uint_eq(held(c), 4);
	ck_assert_uint_eq(numfiles(b, "maxheld"), 4);
	ck_assert_uint_eq(numfiles(c, "maxheld"), 4);
	/* and nothing above: the bound in the middle is the nearest now */
	set_bounds(b, 4, 4);
	set_bounds(a, 9, 9);
	ck_assert_uint_eq(act(actor, open_files, 1), 0);
	ck_assert_uint_eq(numfiles(a, "maxheld"), 4);
	ck_assert_uint_eq(numfiles(b, "failcnt"), 1);
	dismiss(actor);
	ck_assert_uint_eq(held(a), 0);
	expect(remove_dir(c), 0);
	remove_all();
}

TEST(flat)
{
	struct actor *in_b, *in_c;
	char *c;

	mount_bc("a/b");
	c = at(root, "a/c");
	expect(write_file(at(root, "bc.hierarchical"), "2"), ERANGE);
	expect(write_file(at(root, "bc.hierarchical"), "no"), EINVAL);
	ck_assert_uint_eq(read_u64(at(root, "bc.hierarchical")), 1);
	expect(write_file(at(root, "bc.hierarchical"), "0\n"), 0);
	expect(make_dir(b), 0);
	expect(write_file(at(root, "bc.hierarchical"), "1\n"), 0);
	/* what is made from now on counts above it again */
	expect(make_dir(c), 0);
	set_bounds(a, 3, 3);
	in_b = actor_in(b);
	in_c = actor_in(c);
	ck_assert_uint_eq(act(in_b, open_files, 20), 20);
	ck_assert_uint_eq(held(b), 20);
	ck_assert_uint_eq(held(a), 0);
	ck_assert_uint_eq(act(in_c, open_files, 20), 3);
	ck_assert_uint_eq(held(a), 3);
	set_bounds(b, 20, 20);
	ck_assert_uint_eq(act(in_b, open_files, 1), 0);
	dismiss(in_b);
	dismiss(in_c);
	ck_assert_uint_eq(held(a) + held(b) + held(c), 0);
	expect(remove_dir(c), 0);
	remove_all();
}

/* The line of /proc/user_beancounters that has this number. */
static char *line_of(uint64_t id)
{
	char *text = read_file("/proc/user_beancounters"), *line, wanted[32];

	snprintf(wanted, sizeof(wanted), "%9lu:  ", id);
	while ((line = strsep(&text, "\n")))
		if (!strncmp(line, wanted, strlen(wanted)))
			return line;
	ck_abort_msg("/proc/user_beancounters has no line for %lu", id);
	return NULL;
}

static uint64_t inode_of(const char *path)
{
	struct stat st;

	ck_assert_int_eq(stat(path, &st), 0);
	return st.st_ino;
}

TEST(the_table_of_openvz)
{
	unsigned long number, h, maxheld, barrier, limit, failcnt;
	struct actor *actor;
	char name[32], *text;

	mount_bc("a/b");
	expect(make_dir(b), 0);
	set_bounds(b, 5, 5);
	actor = actor_in(b);
	act(actor, open_files, 9);
	act(actor, close_files, 2);
	ck_assert_int_eq(sscanf(line_of(inode_of(b)), "%lu: %31s %lu %lu %lu %lu %lu", &number, name,
				&h, &maxheld, &barrier, &limit, &failcnt), 7);
	ck_assert_str_eq(name, "numfile");
	ck_assert_uint_eq(h, 3);
	ck_assert_uint_eq(maxheld, 5);
	ck_assert_uint_eq(barrier, 5);
	ck_assert_uint_eq(limit, 5);
	ck_assert_uint_eq(failcnt, 1);
	/* hierarchical, and the root without a bound */
	ck_assert_int_eq(sscanf(line_of(inode_of(a)), "%lu: %31s %lu", &number, name, &h), 3);
	ck_assert_uint_eq(h, 3);
	ck_assert_ptr_nonnull(strstr(line_of(0), "  9223372036854775807  9223372036854775807"));
	text = read_file("/proc/user_beancounters");
	/* "0:" ends where "uid" does */
	ck_assert_ptr_nonnull(strstr(text, "\n        0:  numfile "));
	dismiss(actor);
	remove_all();
}

static uint64_t bound(const char *resource, const char *what)
{
	char file[64], *text;

	snprintf(file, sizeof(file), "bc.%s.%s", resource, what);
	text = read_file(at(b, file));
	return strcmp(text, "max\n") ? strtoul(text, NULL, 10) : LONG_MAX;
}

/* Tools go by columns: the head, and each line of a container as its files have it. */
TEST(the_table_of_openvz_to_the_letter)
{
	static const char *const names[][2] = {
		{ "numfiles", "numfile" }, { "numproc", "numproc" }, { "privvmpages", "privvmpages" },
		{ "lockedpages", "lockedpages" }, { "numsiginfo", "numsiginfo" },
	};
	static const char head[] = "Version: 2.5\n"
		"       uid  resource                     held              maxheld"
		"              barrier                limit              failcnt\n";
	char uid[16], line[256], *text;
	struct actor *actor;

	mount_bc("a/b");
	expect(make_dir(b), 0);
	set_bounds(b, 5, 7);
	actor = actor_in(b);
	act(actor, open_files, 3);
	text = read_file("/proc/user_beancounters");
	ck_assert(!strncmp(text, head, strlen(head)));
	snprintf(uid, sizeof(uid), "%9lu:", inode_of(b));
	for (int i = 0; i < 5; i++) {
		snprintf(line, sizeof(line), "\n%10s  %-12s %20lu %20lu %20lu %20lu %20lu\n", i ? "" : uid,
			 names[i][1], bound(names[i][0], "held"), bound(names[i][0], "maxheld"),
			 bound(names[i][0], "barrier"), bound(names[i][0], "limit"),
			 bound(names[i][0], "failcnt"));
		/* each follows the one before */
		text = i ? text : strstr(text, line);
		ck_assert_msg(text && !strncmp(text, line, strlen(line)), "not in the table:%s", line);
		text += strlen(line) - 1;
	}
	dismiss(actor);
	remove_all();
}

/* A descriptor bomb has what its barrier allows, whatever it forks. */
static void bomb(struct actor *actor)
{
	struct actor mine = { .arg = 900 };

	if (fork() == 0)
		fork();
	open_files(&mine);
	if (getpid() != actor->pid)
		for (;;)
			pause();
	actor->result = mine.result;
}

TEST(a_descriptor_bomb)
{
	struct actor *actor, *neighbour;

	/* side by side, with the same bounds; neither may be above its barrier */
	mount_bc("b");
	expect(make_dir(b), 0);
	neighbour = quiet_actor_in(b);
	act(neighbour, become_alice, 0);
	actor = actor_in(a);
	act(actor, become_alice, 0);
	act(actor, bomb, 0);
	/* its children may be at it yet, and come to the same end */
	eventually(held(a) == 256, 10);
	ck_assert_uint_eq(numfiles(a, "maxheld"), 256);
	for (int i = 0; i < 300; i++)
		ck_assert_int_ge(open("/dev/null", O_RDONLY), 0);
	ck_assert_uint_eq(held(a), 256);
	act(neighbour, open_files, 200);
	ck_assert_uint_eq(neighbour->result, 200);
	ck_assert_uint_eq(numfiles(b, "failcnt"), 0);
	dismiss(neighbour);
	expect(write_file(at(a, "kill"), "1"), 0);
	wait_for(actor->pid);
	/* its children are init's to reap */
	eventually(strstr(read_file(at(a, "events")), "populated 0"), 10);
	ck_assert_uint_eq(held(a), 0);
	remove_all();
}
