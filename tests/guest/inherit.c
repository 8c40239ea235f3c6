// SPDX-License-Identifier: GPL-2.0-only
/*
 * Membership over fork, clone, exec and exit, and that nobody gets lost when
 * tasks are moved while they do these.
 */
#include "lib.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void *enter_and_fork(void *a)
{
	static pid_t child;

	expect(write_file(at(a, "tasks"), "0"), 0);
	child = sleeper();
	return &child;
}

TEST(fork_inherits_the_forking_thread)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pthread_t thread;
	void *child;

	expect(make_dir(a), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, enter_and_fork, a), 0);
	pthread_join(thread, &child);
	ck_assert_str_eq(container_of_pid(*(pid_t *)child, "cpuacct"), "/a");
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/");
	stop(*(pid_t *)child);
	eventually(!remove_dir(a), 5);
}

/* Processes that share their memory are cheap, for a UML above all. */
#define AT_ONCE 500
#define STACK 8192

static int wait_to_be_told(void *arg)
{
	char byte;

	return read(*(int *)arg, &byte, 1) != 0;
}

static void fork_at_once(const char *a, unsigned int groups)
{
	char *stacks = mmap(NULL, AT_ONCE * STACK, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid[AT_ONCE];
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	for (int i = 0; i < AT_ONCE; i++) {
		pid[i] = clone(wait_to_be_told, stacks + (i + 1) * STACK,
			       CLONE_VM | CLONE_FILES | SIGCHLD, &ends[0]);
		ck_assert_msg(pid[i] > 0, "clone: %s", error_name(errno));
	}
	ck_assert_uint_eq(nr_groups(), groups);
	ck_assert_str_eq(container_of_pid(pid[AT_ONCE - 1], "cpuacct"), "/a");
	ck_assert(has_line(at(a, "tasks"), pid[0]));
	close(ends[1]);
	for (int i = 0; i < AT_ONCE; i++)
		finish(pid[i]);
	close(ends[0]);
	munmap(stacks, AT_ONCE * STACK);
}

/* Ten thousand; in a kernel that is much slower, fewer. Not memory: our own pages would stay in it. */
TEST_LIMIT(forks_in_one_place_share_one_group, 60)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	int forks = lib_slow > 1 ? 2000 : 10000;
	unsigned int before;
	pid_t pid;

	expect(make_dir(a), 0);
	/* whoever left a group in a test before must be gone */
	eventually(nr_groups() == 1, 10);
	before = nr_groups();
	enter(a);
	ck_assert_uint_eq(nr_groups(), before + 1);
	/* whoever gets there another way shares it, too */
	pid = sleeper();
	expect(move_to(root, pid), 0);
	expect(move_to(a, pid), 0);
	ck_assert_uint_eq(nr_groups(), before + 1);
	stop(pid);
	for (int i = 0; i < forks; i += AT_ONCE)
		fork_at_once(a, before + 1);
	enter(root);
	/* freed with its last task */
	eventually(nr_groups() == before, 10);
	expect(remove_dir(a), 0);
}

static void check_in_a(void *depth)
{
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/a");
	if (depth)
		finish(start(check_in_a, (char *)depth - 1));
}

TEST(fork_inherits_down_the_generations)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	finish(start_in(a, check_in_a, (void *)5));
	expect(remove_dir(a), 0);
}

TEST(a_moved_parent_leaves_its_children)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t child;

	expect(make_dir(a), 0);
	enter(a);
	child = sleeper();
	enter(root);
	ck_assert_str_eq(container_of_pid(child, "cpuacct"), "/a");
	stop(child);
	expect(remove_dir(a), 0);
}

static void *where_am_i(void *arg __attribute__((unused)))
{
	ck_assert_str_eq(container_of_pid((pid_t)syscall(SYS_gettid), "cpuacct"), "/a");
	return NULL;
}

TEST(a_new_thread_inherits)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pthread_t thread;

	expect(make_dir(a), 0);
	enter(a);
	ck_assert_int_eq(pthread_create(&thread, NULL, where_am_i, NULL), 0);
	pthread_join(thread, NULL);
	enter(root);
	eventually(!remove_dir(a), 5);
}

static void exec_cat(void *out)
{
	dup2(*(int *)out, 1);
	execlp("cat", "cat", "/proc/self/container", NULL);
	ck_abort_msg("cat does not start: %s", error_name(errno));
}

static void *exec_from_thread(void *arg)
{
	void **args = arg;

	expect(write_file(at(args[0], "tasks"), "0"), 0);
	exec_cat(args[1]);
	return NULL;
}

static void exec_from_second_thread(void *args)
{
	pthread_t thread;

	pthread_create(&thread, NULL, exec_from_thread, args);
	for (;;)
		pause();
}

TEST(exec_keeps_the_container)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), text[64] = "";
	int ends[2];
	pid_t pid;

	expect(make_dir(a), 0);
	ck_assert_int_eq(pipe(ends), 0);
	pid = start_in(a, exec_cat, &ends[1]);
	finish(pid);
	ck_assert_int_gt(read(ends[0], text, sizeof(text) - 1), 0);
	ck_assert_str_eq(text, "1:cpuacct:/a\n");
	expect(remove_dir(a), 0);
}

TEST(exec_from_a_thread_keeps_that_threads_container)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b"), text[64] = "";
	int ends[2];
	void *args[] = { a, &ends[1] };

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	ck_assert_int_eq(pipe(ends), 0);
	/* the leader is in b; the thread that execs takes its place, not its container */
	finish(start_in(b, exec_from_second_thread, args));
	ck_assert_int_gt(read(ends[0], text, sizeof(text) - 1), 0);
	ck_assert_str_eq(text, "1:cpuacct:/a\n");
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(exit_leaves)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	for (int i = 0; i < 50; i++) {
		stop(sleeper_in(a));
		ck_assert_str_eq(read_file(at(a, "tasks")), "");
	}
	expect(remove_dir(a), 0);
}

/* Every process forks two and waits for them, DEPTH generations deep, and takes its time. */
static void fork_tree(void *arg)
{
	long depth = (long)arg;
	pid_t child[2];

	if (!depth) {
		usleep(2000);
		return;
	}
	for (int i = 0; i < 2; i++) {
		child[i] = fork();
		if (!child[i]) {
			fork_tree((void *)(depth - 1));
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++)
		if (child[i] > 0)
			waitpid(child[i], NULL, 0);
}

/* Move whoever is in FROM to TO until FROM is empty. */
static void drain(const char *from, const char *to)
{
	char *text, *p, *line;

	for (;;) {
		text = read_file(at(from, "procs"));
		if (!*text)
			break;
		for (p = text; (line = strsep(&p, "\n")) && *line;)
			write_file(at(to, "procs"), line);
		free(text);
	}
	free(text);
}

TEST_LIMIT(a_fork_storm_is_drained, 60)
{
	char *root = mount_hierarchy("cpuacct,memory"), *a = at(root, "a"), *b = at(root, "b");
	pid_t storm;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	for (int round = 0; round < 10; round++) {
		storm = start_in(a, fork_tree, (void *)5L);
		/* a child born while its parent moves is whole in one of them, so draining ends */
		drain(a, b);
		expect(remove_dir(a), 0);
		drain(b, root);
		expect(make_dir(a), 0);
		finish(storm);
	}
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

static const char *const paths[] = { "/a", "/b", "/" };

struct hop {
	char *dirs[3];			/* of these */
	volatile bool *over;		/* shared */
};

/* Is it where /proc says, and nowhere else? Nobody moves it. */
static bool is_in_one(struct hop *h)
{
	char *where = container_of_pid(getpid(), "cpuacct");
	int places = 0;

	for (int i = 0; i < 3; i++)
		if (has_line(at(h->dirs[i], "tasks"), getpid()))
			places += strcmp(where, paths[i]) ? 2 : 1;
	return places == 1;
}

/* Is moved by others while it forks; its children stay where they were born. */
static void fork_and_ask(void *arg)
{
	struct hop *h = arg;
	pid_t pid;

	do {
		pid = fork();
		ck_assert_int_ge(pid, 0);
		if (!pid)
			_exit(!is_in_one(h));
		ck_assert_int_eq(wait_for(pid), 0);
	} while (!*h->over);
}

/* The number of moves ends it. */
TEST_LIMIT(everybody_is_in_exactly_one_container, 60)
{
	struct hop h = { .dirs[2] = mount_hierarchy("cpuacct") };
	pid_t pids[8];

	h.over = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	expect(make_dir(h.dirs[0] = at(h.dirs[2], "a")), 0);
	expect(make_dir(h.dirs[1] = at(h.dirs[2], "b")), 0);
	for (int i = 0; i < 8; i++)
		pids[i] = start(fork_and_ask, &h);
	for (int turn = 0; turn < 60; turn++)
		for (int i = 0; i < 8; i++)
			expect(move_to(h.dirs[(turn + i) % 3], pids[i]), 0);
	for (int i = 0; i < 8; i++)
		ck_assert_str_eq(container_of_pid(pids[i], "cpuacct"), paths[(59 + i) % 3]);
	*h.over = true;
	for (int i = 0; i < 8; i++)
		finish(pids[i]);
	expect(remove_dir(h.dirs[0]), 0);
	expect(remove_dir(h.dirs[1]), 0);
}
