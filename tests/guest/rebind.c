// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rebinding: -o remount,LIST on a tree with children and tasks. What comes and
 * goes is looked at through the files, /proc, and the numbers of the subsystems;
 * rebind_debug.c has failures half way, rebind_races.c what happens meanwhile.
 */
#include "lib-memory.h"
#include "lib-log.h"
#include "lib-rebind.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

/* Pages that others than the actor of a test may take or give back meanwhile. */
#define NOISE 200

static const char *const below[] = { "", "a", "a/b", "a/b/c", "d" };
#define NR_BELOW 5

static void make_tree(const char *root)
{
	for (int i = 1; i < NR_BELOW; i++)
		expect(make_dir(at(root, "%s", below[i])), 0);
}

static void remove_tree(const char *root)
{
	for (int i = NR_BELOW - 1; i > 0; i--)
		if (strcmp(below[i], "d"))
			expect(remove_dir(at(root, "%s", below[i])), 0);
	expect(remove_dir(at(root, "d")), 0);
}

/* Is FILE in every container of the tree, and to be read? */
static bool everywhere(const char *root, const char *file)
{
	int n = 0;
	char *text;

	for (int i = 0; i < NR_BELOW; i++) {
		char *path = at(root, "%s/%s", below[i], file);

		if (exists(path)) {
			expect(try_read(path, &text), 0);
			n++;
		}
	}
	ck_assert_msg(n == 0 || n == NR_BELOW, "%s is in %d of %d containers", file, n, NR_BELOW);
	return n;
}

TEST(files_come_and_go_everywhere)
{
	char *root = mount_hierarchy("cpuacct");

	make_tree(root);
	ck_assert(everywhere(root, "cpuacct.usage"));
	ck_assert(!everywhere(root, "memory.stat"));
	expect(remount(root, "cpuacct,memory"), 0);
	ck_assert(everywhere(root, "cpuacct.usage"));
	ck_assert(everywhere(root, "memory.stat"));
	/* this one is not for roots */
	ck_assert(!exists(at(root, "memory.page_limit")));
	ck_assert(exists(at(root, "a/b/memory.page_limit")));
	expect(remount(root, "memory"), 0);
	ck_assert(!everywhere(root, "cpuacct.usage"));
	ck_assert(everywhere(root, "memory.stat"));
	/* the core's stay; both at once, one in, one out */
	expect(remount(root, "cpuacct"), 0);
	ck_assert(everywhere(root, "cpuacct.usage"));
	ck_assert(!everywhere(root, "memory.stat"));
	ck_assert(everywhere(root, "tasks"));
	remove_tree(root);
}

TEST(proc_and_mounts_say_what_is_bound)
{
	char *root = mount_hierarchy("cpuacct"), *line;
	pid_t pid;

	make_tree(root);
	pid = sleeper_in(at(root, "a/b"));
	expect(remount(root, "cpuacct,memory"), 0);
	ck_assert_str_eq(hierarchy_of("cpuacct").subsystems, "cpuacct,memory");
	ck_assert_int_eq(hierarchy_of("memory").containers, NR_BELOW);
	/* those of earlier tests go after a grace period, by a worker */
	eventually(states_of("memory") == NR_BELOW, 10);
	ck_assert_str_eq(container_of_pid(pid, "memory"), "/a/b");
	expect(remount(root, "memory"), 0);
	ck_assert_int_eq(hierarchy_of("cpuacct").id, 0);
	ck_assert_ptr_null(container_of_pid(pid, "cpuacct"));
	ck_assert_str_eq(container_of_pid(pid, "memory"), "/a/b");
	line = strstr(read_file("/proc/self/mounts"), root);
	ck_assert_ptr_nonnull(line);
	line = strsep(&line, "\n");
	ck_assert_msg(strstr(line, ",memory") && !strstr(line, "cpuacct"), "%s", line);
	/* what left is free for another tree, and its states are gone */
	eventually(states_of("cpuacct") == 1, 10);
	unmount(mount_hierarchy("cpuacct"));
	stop(pid);
	remove_tree(root);
}

TEST(new_containers_have_what_is_bound)
{
	char *root = mount_hierarchy("cpuacct");

	make_tree(root);
	expect(remount(root, "memory"), 0);
	expect(make_dir(at(root, "a/new")), 0);
	ck_assert(exists(at(root, "a/new/memory.stat")));
	ck_assert(!exists(at(root, "a/new/cpuacct.usage")));
	expect(rename_dir(at(root, "a/new"), at(root, "a/newer")), 0);
	expect(remount(root, "memory,cpuacct"), 0);
	ck_assert(exists(at(root, "a/newer/cpuacct.usage")));
	expect(remove_dir(at(root, "a/newer")), 0);
	remove_tree(root);
	eventually(no_dying("memory"), 5);
	eventually(states_of("memory") == 1 && states_of("cpuacct") == 1, 10);
}

static void burn_on_demand(void *arg)
{
	volatile int *ms = arg;

	for (;;) {
		if (*ms) {
			burn_ms(*ms);
			*ms = 0;
		}
		usleep(2000);
	}
}

TEST(time_goes_to_the_state_that_is_bound)
{
	char *root = mount_hierarchy("memory"), *b = at(root, "a/b");
	volatile int *ms = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t in_root, in_b;
	pid_t pid;

	make_tree(root);
	pid = start_in(b, burn_on_demand, (void *)ms);
	*ms = 300;
	eventually(!*ms, 20);
	expect(remount(root, "memory,cpuacct"), 0);
	/* what was burnt before stays with the root; it has had time for almost nothing since */
	in_b = read_u64(at(b, "cpuacct.usage"));
	ck_assert_uint_lt(in_b, 250000000);
	*ms = 300;
	eventually(!*ms, 20);
	ck_assert_uint_ge(read_u64(at(b, "cpuacct.usage")), in_b + 300000000);
	ck_assert_uint_ge(read_u64(at(root, "a/cpuacct.usage")), in_b + 300000000);
	ck_assert_uint_lt(read_u64(at(root, "d/cpuacct.usage")), 1000000);

	/* unbound: the root has all of it, and goes on */
	in_b = read_u64(at(b, "cpuacct.usage"));
	in_root = read_u64(at(root, "cpuacct.usage"));
	ck_assert_uint_ge(in_root, in_b);
	expect(remount(root, "memory"), 0);
	*ms = 300;
	eventually(!*ms, 20);
	expect(remount(root, "memory,cpuacct"), 0);
	ck_assert_uint_ge(read_u64(at(root, "cpuacct.usage")), in_root + 300000000);
	ck_assert_uint_lt(read_u64(at(b, "cpuacct.usage")), 250000000);
	stop(pid);
	remove_tree(root);
}

/* In the container before, forks after. */
static void fork_later(void *root)
{
	char *a = at(root, "a");
	volatile int *ms = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	expect(remount(root, "memory,cpuacct"), 0);
	pid = start(burn_on_demand, (void *)ms);
	*ms = 200;
	eventually(!*ms, 20);
	ck_assert_uint_ge(read_u64(at(a, "cpuacct.usage")), 200000000);
	stop(pid);
}

TEST(a_child_born_later_is_in_the_new_state)
{
	char *root = mount_hierarchy("memory");

	make_tree(root);
	finish(start_in(at(root, "a"), fork_later, root));
	remove_tree(root);
}

TEST(open_files_of_what_left_are_enodev)
{
	char *root = mount_hierarchy("cpuacct,memory"), text[64];
	int gone, stays, writes;

	make_tree(root);
	gone = open(at(root, "a/b/cpuacct.usage"), O_RDONLY);
	writes = open(at(root, "a/cpuacct.usage"), O_WRONLY);
	stays = open(at(root, "a/b/memory.anon_pages"), O_RDONLY);
	ck_assert(gone >= 0 && stays >= 0 && writes >= 0);
	expect(remount(root, "memory"), 0);
	expect(pread(gone, text, sizeof(text), 0) < 0 ? errno : 0, ENODEV);
	expect(write(writes, "0", 1) < 0 ? errno : 0, ENODEV);
	ck_assert_int_gt(pread(stays, text, sizeof(text), 0), 0);
	/* the same name again is another file */
	expect(remount(root, "cpuacct,memory"), 0);
	expect(pread(gone, text, sizeof(text), 0) < 0 ? errno : 0, ENODEV);
	ck_assert_int_gt(pread(stays, text, sizeof(text), 0), 0);
	expect(write_file(at(root, "a/cpuacct.usage"), "0"), 0);
	close(gone);
	close(stays);
	close(writes);
	remove_tree(root);
}

TEST(the_same_set_changes_nothing)
{
	char *root = mount_hierarchy("cpuacct,memory"), *before;
	int fd;
	char text[64];

	make_tree(root);
	expect(write_file(at(root, "a/memory.page_limit"), "12345"), 0);
	fd = open(at(root, "a/cpuacct.usage"), O_RDONLY);
	before = snapshot(root);
	expect(remount(root, "cpuacct,memory"), 0);
	expect(remount(root, "memory,cpuacct"), 0);
	expect(remount(root, NULL), 0);
	same_as_before(root, before);
	/* not even for a moment: the file would be gone */
	ck_assert_int_gt(pread(fd, text, sizeof(text), 0), 0);
	close(fd);
	remove_tree(root);
}

TEST(settings_of_what_stays_stay)
{
	char *root = mount_hierarchy("memory"), *limit = at(root, "a/b/memory.page_limit");

	make_tree(root);
	expect(write_file(limit, "54321"), 0);
	expect(write_file(at(root, "a/notify_on_release"), "1"), 0);
	expect(remount(root, "memory,cpuacct"), 0);
	ck_assert_str_eq(read_file(limit), "54321\n");
	expect(remount(root, "memory"), 0);
	ck_assert_str_eq(read_file(limit), "54321\n");
	/* those of what leaves go with it */
	expect(remount(root, "cpuacct"), 0);
	expect(remount(root, "memory"), 0);
	ck_assert_str_eq(read_file(limit), "max\n");
	ck_assert_str_eq(read_file(at(root, "a/notify_on_release")), "1\n");
	remove_tree(root);
}

#define refused(root, options, wanted, word)					\
	do {									\
		char log_[2048], *before_ = snapshot(root);			\
		expect(remount(root, options), wanted);				\
		expect(remount_logged(root, options, log_, sizeof(log_)), wanted); \
		ck_assert_msg(strstr(log_, word), "the log of \"%s\" says \"%s\", wanted \"%s\" in it", \
			      options, log_, word);				\
		same_as_before(root, before_);					\
	} while (0)

TEST(refused_words_change_nothing)
{
	char *root = mount_hierarchy("cpuacct"), *named = mount_hierarchy("none,name=n");
	pid_t pid;

	make_tree(root);
	pid = sleeper_in(at(root, "a"));
	refused(root, "cpuacct,nosuch", ENOENT, "nosuch");
	refused(root, "memory,nosuch", ENOENT, "nosuch");
	expect(remount(root, "cpuacct,,memory"), EINVAL);
	refused(root, "all,memory", EINVAL, "all");
	refused(root, "none,memory", EINVAL, "none");
	refused(root, "none", EINVAL, "none");
	refused(root, "none,name=x", EINVAL, "none");
	refused(root, "memory,name=x", EINVAL, "name=");
	refused(root, "cpuacct,noprefix", EBUSY, "noprefix");
	refused(root, "noprefix", EBUSY, "noprefix");
	refused(named, "memory", EINVAL, "name=n");
	refused(named, "none,name=other", EINVAL, "name=n");
	expect(remount(named, "none,name=n"), 0);
	stop(pid);
	remove_tree(root);
}

TEST(bound_elsewhere_is_ebusy)
{
	char *root = mount_hierarchy("cpuacct"), *other = mount_hierarchy("memory");

	make_tree(root);
	refused(root, "cpuacct,memory", EBUSY, "'memory' is bound to hierarchy 2");
	refused(root, "memory", EBUSY, "'memory'");
	expect(make_dir(at(other, "x")), 0);
	expect(unmount(other), 0);
	/* a tree with containers keeps it, mounted or not */
	refused(root, "memory", EBUSY, "'memory'");
	other = mount_hierarchy("memory");
	expect(remove_dir(at(other, "x")), 0);
	expect(unmount(other), 0);
	eventually(hierarchy_of("memory").id == 0, 5);
	expect(remount(root, "memory"), 0);
	remove_tree(root);
}

TEST(noprefix_clash_changes_nothing)
{
	char *root = mount_hierarchy("cpuacct,noprefix");

	make_tree(root);
	/* both have a file `stat` */
	refused(root, "cpuacct,memory,noprefix", EEXIST, "stat");
	refused(root, "cpuacct,memory", EEXIST, "stat");
	/* memory has one that each container has, but the root */
	refused(root, "memory", EEXIST, "events");
	ck_assert(everywhere(root, "usage"));
	remove_tree(root);
	/* nor is there a root alone in which it would work */
	expect(remount(root, "memory"), EEXIST);
	expect(unmount(root), 0);
	/* they are compared below, and go when they like */
	eventually(states_of("cpuacct") == 1, 20);
	/* one at a time there is no clash: what leaves makes room in a second step only */
	root = mount_hierarchy("cpu,noprefix");
	make_tree(root);
	refused(root, "numtasks", EEXIST, "shares");
	remove_tree(root);
}

TEST(a_child_called_like_a_file)
{
	char *root = mount_hierarchy("cpuacct"), *child = at(root, "a/memory.stat");

	make_tree(root);
	expect(make_dir(child), 0);
	refused(root, "cpuacct,memory", EEXIST,
		"a child of container /a is called like the file 'stat' of subsystem 'memory'");
	expect(rename_dir(child, at(root, "a/other")), 0);
	expect(remount(root, "cpuacct,memory"), 0);
	/* and the other way round */
	expect(make_dir(child), EEXIST);
	expect(rename_dir(at(root, "a/other"), child), ENOTDIR);
	expect(remove_dir(at(root, "a/other")), 0);
	remove_tree(root);
}

TEST(all_is_what_is_to_be_had)
{
	char *root = mount_hierarchy("cpuacct"), *other = mount_hierarchy("none,name=o");

	make_tree(root);
	expect(remount(root, "all"), 0);
	ck_assert_int_eq(hierarchy_of("memory").id, 1);
	ck_assert(everywhere(root, "memory.stat"));
	expect(remount(root, "all"), 0);
	expect(remount(root, "cpuacct"), 0);
	expect(unmount(other), 0);
	other = mount_hierarchy("memory");
	expect(remount(root, "all"), 0);
	ck_assert_int_eq(hierarchy_of("memory").id, 2);
	ck_assert_int_eq(hierarchy_of("cpuacct").id, 1);
	remove_tree(root);
}

TEST(release_agent_goes_with_the_list)
{
	char *root = mount_hierarchy("cpuacct"), *other = mount_hierarchy("memory");

	make_tree(root);
	expect(remount(root, "cpuacct,memory,release_agent=/bin/true"), EBUSY);
	ck_assert_str_eq(read_file(at(root, "release_agent")), "\n");
	expect(unmount(other), 0);
	eventually(hierarchy_of("memory").id == 0, 5);
	expect(remount(root, "cpuacct,memory,release_agent=/bin/true"), 0);
	ck_assert_str_eq(read_file(at(root, "release_agent")), "/bin/true\n");
	ck_assert(everywhere(root, "memory.stat"));
	remove_tree(root);
}

TEST(found_again_by_its_new_set)
{
	char *root = mount_hierarchy("cpuacct"), *again;
	pid_t pid;

	make_tree(root);
	pid = sleeper_in(at(root, "a/b/c"));
	expect(remount(root, "cpuacct,memory"), 0);
	expect(unmount(root), 0);
	expect(try_mount("cpuacct", &again), EBUSY);
	again = mount_hierarchy("memory,cpuacct");
	ck_assert(has_line(at(again, "a/b/c/tasks"), pid));
	expect(remount(again, "memory"), 0);
	expect(unmount(again), 0);
	again = mount_hierarchy("memory");
	ck_assert(has_line(at(again, "a/b/c/tasks"), pid));
	stop(pid);
	remove_tree(again);
	expect(unmount(again), 0);
	eventually(hierarchy_of("memory").id == 0, 5);
}

static void remount_as_nobody(void *arg)
{
	ck_assert_int_eq(setresgid(65534, 65534, 65534) | setresuid(65534, 65534, 65534), 0);
	expect(remount(arg, "cpuacct,memory"), EPERM);
}

TEST(remount_needs_privilege)
{
	char *root = mount_hierarchy("cpuacct");

	finish(start(remount_as_nobody, root));
	ck_assert(!exists(at(root, "memory.stat")));
}

#define MANY 200

TEST_LIMIT(many_containers_and_tasks, 60)
{
	char *root = mount_hierarchy("cpuacct");
	pid_t pid[20];

	for (int i = 0; i < MANY; i++)
		expect(make_dir(at(root, "c%d", i)), 0);
	for (int i = 0; i < 20; i++) {
		expect(make_dir(at(root, "c%d/below", i * 7)), 0);
		pid[i] = sleeper_in(at(root, "c%d/below", i * 7));
	}
	for (int round = 0; round < 3; round++) {
		expect(remount(root, "cpuacct,memory"), 0);
		eventually(states_of("memory") == MANY + 21, 20);
		for (int i = 0; i < MANY; i++)
			ck_assert(exists(at(root, "c%d/memory.stat", i)));
		expect(remount(root, "cpuacct"), 0);
		for (int i = 0; i < MANY; i++)
			ck_assert(!exists(at(root, "c%d/memory.stat", i)));
		eventually(states_of("memory") == 1, 20);
	}
	for (int i = 0; i < 20; i++) {
		ck_assert_str_eq(container_of_pid(pid[i], "cpuacct"),
				 at("/", "c%d/below", i * 7) + 1);
		stop(pid[i]);
		expect(remove_dir(at(root, "c%d/below", i * 7)), 0);
	}
	for (int i = 0; i < MANY; i++)
		expect(remove_dir(at(root, "c%d", i)), 0);
}

#define near_pages(got, wanted)							\
	do {									\
		long g_ = (got), w_ = (wanted);					\
		ck_assert_msg(labs(g_ - w_) <= NOISE, "%s: got %ld, wanted %ld +- %d", #got, g_, w_, \
			      NOISE);						\
	} while (0)

/* Real pages: what was charged below is the root's, to the page, and goes from there. */
TEST(pages_pass_to_the_root)
{
	char *root = mount_hierarchy("cpuacct,memory"), *a = at(root, "a"), *b = at(root, "a/b");
	char *data = make_data(make_disk(16), "data", 1500);
	struct actor *actor;
	long anon, file, active;

	make_tree(root);
	actor = actor_in(b);
	strcpy(actor->path, data);
	act(actor, touch, 2000);
	act(actor, read_whole, 1);
	ck_assert_int_ge(anon_pages(b), 2000);
	ck_assert_int_ge(file_pages(b), 1500);
	anon = anon_pages(root);
	file = file_pages(root);
	active = read_u64(at(root, "memory.active_pages"));

	expect(remount(root, "cpuacct"), 0);
	eventually(states_of("memory") == 1, 10);
	expect(remount(root, "cpuacct,memory"), 0);
	near_pages(anon_pages(root), anon);
	near_pages(file_pages(root), file);
	near_pages(read_u64(at(root, "memory.active_pages")), active);
	/* nothing of it is below, and nothing was lost on the way */
	near_pages(anon_pages(a), 0);
	near_pages(file_pages(a), 0);
	act(actor, check, 0);

	/* new pages are charged below again, freed ones where they are charged: the root */
	anon = anon_pages(root);
	act(actor, release, 0);
	near_pages(anon_pages(root), anon - 2000);
	near_pages(anon_pages(a), 0);
	act(actor, touch, 700);
	near_pages(anon_pages(b), 700);
	near_pages(anon_pages(root), anon - 1300);
	dismiss(actor);
	drop_cached(data);
	near_pages(file_pages(root), file - 1500);
	/* a page of the actor's may be in a batch of a CPU that has nothing to do since */
	drain_batches();
	eventually(anon_pages(a) == 0, 5);
	remove_tree(root);
	eventually(no_dying("memory"), 10);
	eventually(states_of("memory") == 1, 10);
}

/* A removed container that is kept by its pages is let go with the others. */
TEST(the_dying_are_let_go)
{
	char *root = mount_hierarchy("cpuacct,memory"), *x = at(root, "a/x");
	struct actor *actor;
	long anon;

	make_tree(root);
	expect(make_dir(x), 0);
	actor = actor_in(x);
	act(actor, touch, 1000);
	expect(move_to(root, actor->pid), 0);
	expect(remove_dir(x), 0);
	ck_assert_int_eq(hierarchy_of("memory").dying, 1);
	anon = anon_pages(root);
	expect(remount(root, "cpuacct"), 0);
	eventually(no_dying("cpuacct"), 10);
	eventually(states_of("memory") == 1, 10);
	expect(remount(root, "cpuacct,memory"), 0);
	near_pages(anon_pages(root), anon);
	act(actor, check, 0);
	dismiss(actor);
	near_pages(anon_pages(root), anon - 1000);
	remove_tree(root);
}

/* Limits are those of the states that are bound. */
TEST(a_limit_ends_with_its_state)
{
	char *root = mount_hierarchy("cpuacct,memory"), *a = at(root, "a");
	struct actor *actor;
	uint64_t hits;

	make_tree(root);
	actor = actor_in(a);
	expect(write_file(at(a, "memory.overlimit"), "deactivate"), 0);
	expect(write_file(at(a, "memory.page_limit"), "500"), 0);
	act(actor, touch, 1500);
	hits = read_u64(at(a, "memory.page_limit_hits"));
	ck_assert_uint_gt(hits, 0);
	expect(remount(root, "cpuacct"), 0);
	act(actor, release, 0);
	act(actor, touch, 1500);
	expect(remount(root, "cpuacct,memory"), 0);
	ck_assert_uint_eq(read_u64(at(a, "memory.page_limit_hits")), 0);
	dismiss(actor);
	remove_tree(root);
}
