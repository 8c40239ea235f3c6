// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rebinding that fails half way, at every allocation and at every callback, and
 * moves that a subsystem refuses: everything is as it was. With cpuacct, memory and debug, and then with
 * the other six at once. Needs the subsystem
 * "debug" (kernel/container/debug.c) and failslab. (jobs 1@debug)
 */
#include "lib-log.h"
#include "lib-nomem.h"
#include "lib-rebind.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DEBUGFS "/tmp/debugfs"

static void mount_debugfs(void)
{
	expect(make_dir(DEBUGFS), 0);
	expect(mount("none", DEBUGFS, "debugfs", 0, NULL) ? errno : 0, 0);
}

static uint64_t calls(const char *what)
{
	return read_field(DEBUGFS "/container_debug/calls", what);
}

/* The NTHth callback from now that can fail does so; 0: none. */
static void fail_callback(unsigned int nth)
{
	expect(write_u64(DEBUGFS "/container_debug/fail_nth", nth), 0);
}

static unsigned int callbacks_to_go(void)
{
	return read_u64(DEBUGFS "/container_debug/fail_nth");
}

struct tree {
	char *root;
	char *before;
	pid_t pid[2];
};

/* /a with /a/b, a sleeper in each; settings that a rebinding might lose. */
static struct tree make_tree(const char *options)
{
	struct tree t = { .root = mount_hierarchy(options) };

	mount_debugfs();
	expect(make_dir(at(t.root, "a")), 0);
	expect(make_dir(at(t.root, "a/b")), 0);
	t.pid[0] = sleeper_in(at(t.root, "a"));
	t.pid[1] = sleeper_in(at(t.root, "a/b"));
	if (exists(at(t.root, "a/memory.page_limit")))
		expect(write_file(at(t.root, "a/memory.page_limit"), "54321"), 0);
	expect(write_file(at(t.root, "a/notify_on_release"), "1"), 0);
	/* the states of other tests must be gone, lest they go meanwhile */
	eventually(states_of("debug") == (in_list(options, "debug") ? 3 : 1) &&
		   states_of("cpuacct") == (in_list(options, "cpuacct") ? 3 : 1) &&
		   states_of("memory") == (in_list(options, "memory") ? 3 : 1), 5);
	t.before = snapshot(t.root);
	return t;
}

static void remove_tree(struct tree *t)
{
	ck_assert_int_eq(umount(DEBUGFS), 0);
	stop(t->pid[0]);
	stop(t->pid[1]);
	expect(remove_dir(at(t->root, "a/b")), 0);
	expect(remove_dir(at(t->root, "a")), 0);
}

/* Tasks are counted right by whoever counts them by callbacks. */
static void check_debug_tasks(struct tree *t)
{
	ck_assert_uint_eq(read_u64(at(t->root, "a/debug.members")), 1);
	ck_assert_uint_eq(read_u64(at(t->root, "a/b/debug.members")), 1);
}

/* Every callback that can fail fails once; the last try is the one that none stops. */
static void fail_each_callback(const char *from, const char *to, unsigned int least)
{
	struct tree t = make_tree(from);
	unsigned int nth;
	int err;

	for (nth = 1;; nth++) {
		fail_callback(nth);
		err = remount(t.root, to);
		if (!err)
			break;
		expect(err, EXFULL);
		same_as_before(t.root, t.before);
	}
	ck_assert_uint_gt(callbacks_to_go(), 0);
	fail_callback(0);
	ck_assert_uint_ge(nth - 1, least);
	if (in_list(to, "debug"))
		check_debug_tasks(&t);
	expect(remount(t.root, from), 0);
	same_as_before(t.root, t.before);
	remove_tree(&t);
}

/* create() and online() of two containers, can_attach() of two sets of tasks */
TEST_LIMIT(each_callback_fails_on_the_way_in, 40)
{
	fail_each_callback("cpuacct", "cpuacct,memory,debug", 6);
}

TEST_LIMIT(each_callback_fails_on_the_way_out, 40)
{
	fail_each_callback("cpuacct,debug", "cpuacct", 2);
}

TEST_LIMIT(each_callback_fails_in_an_exchange, 40)
{
	fail_each_callback("memory,debug", "memory", 2);
}

static void fail_each_allocation(const char *from, const char *to, int least)
{
	struct tree t = make_tree(from);
	int nth, failed = 0, err;
	bool reached;

	set_up_failslab();
	for (nth = 1;; nth++) {
		fail_allocation(nth);
		err = remount(t.root, to);
		reached = !allocations_to_go();
		if (err) {
			expect(err, ENOMEM);
			failed++;
			same_as_before(t.root, t.before);
			continue;
		}
		expect(remount(t.root, from), 0);
		if (!reached)
			break;
	}
	same_as_before(t.root, t.before);
	ck_assert_int_ge(failed, least);
	remove_tree(&t);
}

/*
 * At least: the list of containers; per container and subsystem the table of
 * files; per new state itself and its count of references; and the tasks.
 */
TEST_LIMIT(each_allocation_fails_on_the_way_in, 60)
{
	fail_each_allocation("cpuacct", "cpuacct,memory,debug", 1 + 6 + 8 + 2);
}

TEST_LIMIT(each_allocation_fails_on_the_way_out, 60)
{
	fail_each_allocation("cpuacct,debug", "cpuacct", 1 + 2);
}

/* ---- The other subsystems ---- */

#define OTHERS "cpuset,memset,bc,numtasks,cpu,ns"

/* Something that they would lose. */
static const struct {
	const char *file, *value;
} settings[] = {
	{ "cpuset.cpus", "0" }, { "memset.mems", "0" }, { "memset.memory_migrate", "1" }, { "bc.set", "numfiles 77 88" },
	{ "numtasks.limit", "66" }, { "numtasks.shares", "min_shares=5" }, { "cpu.shares", "min_shares=7" },
};

static void set(const char *dir)
{
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		char *file = at(dir, "%s", settings[i].file);

		if (exists(file))
			expect(write_file(file, settings[i].value), 0);
		free(file);
	}
}

/* /a, with a sleeper. */
static struct tree make_small_tree(const char *options)
{
	struct tree t = { .root = mount_hierarchy(options) };
	char *a = at(t.root, "a");

	mount_debugfs();
	hurry_grace_periods();
	expect(make_dir(a), 0);
	set(a);
	t.pid[0] = sleeper_in(a);
	await_states();
	t.before = snapshot(t.root);
	return t;
}

static void remove_small_tree(struct tree *t)
{
	ck_assert_int_eq(umount(DEBUGFS), 0);
	stop(t->pid[0]);
	expect(remove_dir(at(t->root, "a")), 0);
}

/* Everything that can fail does, in turn, until nothing is left to. How often it did. */
static int fail_each(struct tree *t, const char *from, const char *to, void (*arm)(int nth), int (*to_go)(void),
		     int wanted, void (*compare)(struct tree *t, int nth))
{
	int nth, failed = 0, left, err;

	for (nth = 1;; nth++) {
		arm(nth);
		err = remount(t->root, to);
		left = to_go();
		if (!err && left)
			break;
		if (err) {
			ck_assert_msg(err == wanted, "failure %d is %s", nth, error_name(err));
			failed++;
			compare(t, nth);
			continue;
		}
		/* the sanitizers' own, which they do without; what comes back begins anew */
		expect(remount(t->root, from), 0);
		set(at(t->root, "a"));
		await_states();
		t->before = snapshot(t->root);
	}
	printf("# %d of %d failures were errors\n", failed, nth - 1);
	return failed;
}

static void arm_callback(int nth)
{
	fail_callback(nth);
}

static int callback_to_go(void)
{
	int left = callbacks_to_go();

	fail_callback(0);
	return left;
}

static char *first_outline;

static void compare_outline(struct tree *t, int nth)
{
	same_outline(t->root, first_outline, nth);
}

static void compare_everything(struct tree *t, int nth)
{
	(void)nth;
	same_as_before(t->root, t->before);
}

/*
 * At least: the list of containers; in two of them the tables of files of the five that have any; six states
 * and their counts; sets of tasks, and these. Six states are made and taken back each time, and go after a grace
 * period: their numbers are compared when all is over, everything else each time.
 */
TEST_LIMIT(each_allocation_fails_on_the_way_in_of_the_others, 60)
{
	struct tree t = make_small_tree("cpuacct");

	first_outline = outline(t.root);
	set_up_failslab();
	ck_assert_int_ge(fail_each(&t, "cpuacct", "cpuacct," OTHERS, fail_allocation, allocations_to_go, ENOMEM,
				   compare_outline), 1 + 2 * 5 + 2 * 6 + 2);
	expect(remount(t.root, "cpuacct"), 0);
	same_as_before(t.root, t.before);
	remove_small_tree(&t);
}

/* The list of containers, and the sets of tasks; their settings stay. */
TEST_LIMIT(each_allocation_fails_on_the_way_out_of_the_others, 60)
{
	struct tree t = make_small_tree("cpuacct," OTHERS);

	set_up_failslab();
	ck_assert_int_ge(fail_each(&t, "cpuacct," OTHERS, "cpuacct", fail_allocation, allocations_to_go, ENOMEM,
				   compare_everything), 1 + 2);
	remove_small_tree(&t);
}

/* "debug" is the last to be asked: create(), online(), can_attach(). */
TEST_LIMIT(each_callback_fails_behind_the_others, 60)
{
	struct tree t = make_small_tree("cpuacct");

	ck_assert_int_ge(fail_each(&t, "cpuacct", "cpuacct,debug," OTHERS, arm_callback, callback_to_go, EXFULL,
				   compare_everything), 3);
	expect(remount(t.root, "cpuacct"), 0);
	same_as_before(t.root, t.before);
	remove_small_tree(&t);
}

TEST_LIMIT(each_callback_fails_on_the_way_out_of_the_others, 60)
{
	struct tree t = make_small_tree("cpuacct,debug," OTHERS);

	ck_assert_int_ge(fail_each(&t, "cpuacct,debug," OTHERS, "cpuacct", arm_callback, callback_to_go, EXFULL,
				   compare_everything), 1);
	remove_small_tree(&t);
}

#define says(root, options, wanted, word)					\
	do {									\
		char log_[2048];						\
		expect(remount_logged(root, options, log_, sizeof(log_)), wanted); \
		ck_assert_msg(strstr(log_, word), "the log says \"%s\", wanted \"%s\" in it", \
			      log_, word);					\
	} while (0)

TEST(a_held_state_is_ebusy_and_named)
{
	struct tree t = make_tree("cpuacct,debug");
	int fd = open(at(t.root, "a/debug.members"), O_RDONLY);
	char *why, text[16];

	expect(write_file(at(t.root, "a/b/debug.hold"), "1"), 0);
	expect(remount(t.root, "cpuacct"), EBUSY);
	same_as_before(t.root, t.before);
	/* not another file of that name */
	ck_assert_int_gt(pread(fd, text, sizeof(text), 0), 0);
	close(fd);
	says(t.root, "cpuacct,memory", EBUSY, "'debug' refuses, for container /a/b");
	same_as_before(t.root, t.before);
	why = read_file(at(t.root, "a/b/why"));
	ck_assert_msg(strstr(why, "unbind refused by debug: something is still charged to it (EBUSY)"),
		      "%s", why);
	check_debug_tasks(&t);
	/* the state still gives out references, and takes them back */
	expect(write_file(at(t.root, "a/b/debug.hold"), "0"), 0);
	expect(write_file(at(t.root, "a/debug.hold"), "1"), 0);
	says(t.root, "cpuacct", EBUSY, "for container /a:");
	expect(write_file(at(t.root, "a/debug.hold"), "0"), 0);
	expect(remount(t.root, "cpuacct"), 0);
	eventually(states_of("debug") == 1, 5);
	expect(remount(t.root, "cpuacct,debug"), 0);
	check_debug_tasks(&t);
	same_as_before(t.root, t.before);
	remove_tree(&t);
}

TEST(a_refusal_on_the_way_in_is_in_why)
{
	struct tree t = make_tree("cpuacct");
	uint64_t cancelled;
	char *why;

	fail_callback(1);
	says(t.root, "cpuacct,debug", EXFULL, "'debug' refuses, for container /a:");
	why = read_file(at(t.root, "a/why"));
	ck_assert_msg(strstr(why, "bind refused by debug (EXFULL)"), "%s", why);
	/* the last to be asked are the tasks: those of one container had agreed, and are told */
	cancelled = calls("cancelled");
	fail_callback(6);
	expect(remount(t.root, "cpuacct,debug"), EXFULL);
	ck_assert_uint_eq(callbacks_to_go(), 0);
	ck_assert_uint_eq(calls("cancelled"), cancelled + 1);
	same_as_before(t.root, t.before);
	remove_tree(&t);
}

TEST(bind_is_told_where_the_root_is)
{
	char *first = mount_hierarchy("none,name=first"), *root = mount_hierarchy("cpuacct");
	uint64_t bound;

	mount_debugfs();
	expect(make_dir(at(root, "a")), 0);
	bound = calls("bound");
	ck_assert_int_eq(hierarchy_of("cpuacct").id, 2);
	expect(remount(root, "cpuacct,debug"), 0);
	ck_assert_uint_eq(calls("bound"), bound + 1);
	ck_assert_uint_eq(calls("root"), 2);
	/* the same again: nothing to tell */
	expect(remount(root, "cpuacct,debug"), 0);
	ck_assert_uint_eq(calls("bound"), bound + 1);
	expect(remount(root, "debug"), 0);
	ck_assert_uint_eq(calls("bound"), bound + 1);
	expect(remount(root, "cpuacct"), 0);
	ck_assert_uint_eq(calls("bound"), bound + 2);
	ck_assert_uint_eq(calls("root"), 0);
	expect(remount(root, "debug,cpuacct"), 0);
	expect(remove_dir(at(root, "a")), 0);
	expect(unmount(root), 0);
	eventually(calls("root") == 0, 5);
	root = mount_hierarchy("debug");
	ck_assert_uint_eq(calls("root"), hierarchy_of("debug").id);
	expect(unmount(root), 0);
	expect(unmount(first), 0);
	ck_assert_int_eq(umount(DEBUGFS), 0);
}

#define NR_THREADS 6

static void *park(void *tid)
{
	*(volatile pid_t *)tid = syscall(SYS_gettid);
	for (;;)
		pause();
	return NULL;
}

/*
 * All or nothing: "debug" is asked last, and refuses. No thread has moved, in
 * no subsystem, and nobody's attach() was called.
 */
TEST(a_refused_move_moves_nobody)
{
	struct tree t = make_tree("cpuacct,debug");
	char *a = at(t.root, "a"), *where = NULL;
	volatile pid_t tid[NR_THREADS] = { 0 };
	uint64_t attached, cancelled;
	unsigned int groups;
	pthread_t thread;

	for (int i = 0; i < NR_THREADS; i++) {
		ck_assert_int_eq(pthread_create(&thread, NULL, park, (void *)&tid[i]), 0);
		eventually(tid[i], 5);
	}
	expect(write_u64(at(t.root, "a/b/tasks"), tid[2]), 0);
	attached = calls("attached");
	cancelled = calls("cancelled");
	groups = nr_groups();
	fail_callback(1);
	expect(write_file(at(a, "procs"), "0"), EXFULL);
	fail_callback(1);
	expect(write_u64(at(a, "tasks"), tid[4]), EXFULL);
	ck_assert_uint_eq(calls("attached"), attached);
	ck_assert_uint_eq(calls("cancelled"), cancelled);
	ck_assert_uint_eq(nr_groups(), groups);
	for (int i = 0; i < NR_THREADS; i++) {
		where = container_of_pid(tid[i], "cpuacct");
		ck_assert_str_eq(where, i == 2 ? "/a/b" : "/");
	}
	ck_assert_uint_eq(read_u64(at(a, "debug.members")), 1);
	ck_assert_uint_eq(read_u64(at(t.root, "a/b/debug.members")), 2);
	expect(write_file(at(a, "procs"), "0"), 0);
	ck_assert_uint_eq(calls("attached"), attached + NR_THREADS + 1);
	ck_assert_uint_eq(read_u64(at(a, "debug.members")), 1 + NR_THREADS + 1);
	expect(write_file(at(t.root, "procs"), "0"), 0);
	ck_assert_uint_eq(read_u64(at(a, "debug.members")), 1);
	remove_tree(&t);
}

/* Tasks of a bound tree are counted over fork, move and exit, and from the first moment. */
TEST(tasks_are_counted_over_a_rebinding)
{
	struct tree t = make_tree("cpuacct");
	char *b = at(t.root, "a/b");
	pid_t pid[10];

	for (int i = 0; i < 10; i++)
		pid[i] = sleeper_in(b);
	expect(remount(t.root, "cpuacct,debug"), 0);
	ck_assert_uint_eq(read_u64(at(b, "debug.members")), 11);
	for (int i = 0; i < 5; i++)
		stop(pid[i]);
	ck_assert_uint_eq(read_u64(at(b, "debug.members")), 6);
	expect(move_to(at(t.root, "a"), pid[5]), 0);
	expect(move_to(t.root, pid[6]), 0);
	ck_assert_uint_eq(read_u64(at(b, "debug.members")), 4);
	expect(remount(t.root, "cpuacct"), 0);
	stop(pid[7]);
	expect(remount(t.root, "cpuacct,debug"), 0);
	ck_assert_uint_eq(read_u64(at(b, "debug.members")), 3);
	ck_assert_uint_eq(read_u64(at(t.root, "a/debug.members")), 2);
	stop(pid[5]);
	stop(pid[6]);
	stop(pid[8]);
	stop(pid[9]);
	check_debug_tasks(&t);
	expect(remount(t.root, "cpuacct"), 0);
	remove_tree(&t);
}
