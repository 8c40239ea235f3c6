// SPDX-License-Identifier: GPL-2.0-only
/*
 * Membership over fork, clone, exec and exit, and that nobody gets lost when
 * tasks are moved while they do these. (jobs 1 4 4@debug)
 */
#include "lib-numtasks.h"

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

/* Two trees, each with somebody who moves the forkers in it. Their subsystems count who is born and who exits. */
#define FORKERS 8
#define CHILDREN 1500
#define MOVES 1000

/* What another process writes. */
#define load(where) __atomic_load_n((where), __ATOMIC_SEQ_CST)

static const char *const trees[] = { "numtasks", "bc" };
static const char *const paths[] = { "/", "/a", "/b", "/c" };

struct hop {
	char *dirs[2][4];	/* of @paths */
	pid_t pids[FORKERS];
	int where[2][FORKERS];	/* the last that was said to each */
	unsigned long moves[2], children;
	int moved, over;	/* for the movers, for the forkers */
};

static void make_trees(struct hop **h)
{
	*h = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(*h, MAP_FAILED);
	for (int tree = 0; tree < 2; tree++) {
		(*h)->dirs[tree][0] = mount_hierarchy(trees[tree]);
		for (int i = 1; i < 4; i++) {
			(*h)->dirs[tree][i] = at((*h)->dirs[tree][0], "%s", paths[i] + 1);
			expect(make_dir((*h)->dirs[tree][i]), 0);
		}
	}
}

static void remove_trees(struct hop *h)
{
	for (int tree = 0; tree < 2; tree++)
		for (int i = 1; i < 4; i++)
			eventually(!remove_dir(h->dirs[tree][i]), 5);
}

/* Where we are in a tree, by /proc, of @paths. */
static int place(int tree)
{
	char *path = container_of_pid(getpid(), trees[tree]);

	for (int i = 0; i < 4; i++)
		if (!strcmp(path, paths[i]))
			return i;
	return -1;
}

/* And nowhere else: what each container lists. */
static void is_listed_there_only(struct hop *h, int tree, int where)
{
	for (int i = 0; i < 4; i++)
		ck_assert_msg(has_line(at(h->dirs[tree][i], "tasks"), getpid()) == (i == where),
			      "a child that is in %s of %s is%s in the file of %s", paths[where], trees[tree],
			      i == where ? " not" : "", paths[i]);
}

/* Nobody moves a child: it stays where it was born, in both trees, whatever becomes of its parent. */
static void be_in_one_place(struct hop *h)
{
	int where[] = { place(0), place(1) };

	for (int tree = 0; tree < 2; tree++) {
		ck_assert_int_ge(where[tree], 0);
		is_listed_there_only(h, tree, where[tree]);
		ck_assert_int_eq(place(tree), where[tree]);
	}
	__atomic_add_fetch(&h->children, 1, __ATOMIC_SEQ_CST);
}

/* Is moved by others while it forks; its children stay where they were born. */
static void fork_and_ask(struct hop *h, void (*ask)(struct hop *h))
{
	while (!load(&h->over)) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (!pid) {
			ask(h);
			_exit(0);
		}
		ck_assert_int_eq(wait_for(pid), 0);
	}
}

static void fork_and_be_in_one_place(void *h)
{
	fork_and_ask(h, be_in_one_place);
}

/* Everybody in turn to the next container, until the number of children that looked ends it. */
static void move_all(struct hop *h, int tree)
{
	for (int turn = 1; !load(&h->moved); turn++)
		for (int i = 0; i < FORKERS; i++) {
			h->where[tree][i] = (turn + i) % 4;
			expect(move_to(h->dirs[tree][h->where[tree][i]], h->pids[i]), 0);
			h->moves[tree]++;
		}
}

static void move_in_first(void *h)
{
	move_all(h, 0);
}

static void move_in_second(void *h)
{
	move_all(h, 1);
}

/* Who was charged for a child at its birth, and who is at its exit, are one: nothing is left of them. */
static bool counts_agree(struct hop *h)
{
	for (int i = 1; i < 4; i++)
		if (numtasks_stat(h->dirs[0][i], "Current usage") != (uint64_t)tasks_in(h->dirs[0][i]) ||
		    read_u64(at(h->dirs[1][i], "bc.numproc.held")) != (uint64_t)tasks_in(h->dirs[1][i]))
			return false;
	return true;
}

/* Until that many have looked, and everybody has been moved about; or somebody has failed. */
static void go_on(struct hop *h, unsigned long children)
{
	while (load(&h->children) < children || load(&h->moves[0]) < MOVES || load(&h->moves[1]) < MOVES) {
		ck_assert_msg(!waitpid(-1, NULL, WNOHANG), "a child is not where it has to be");
		usleep(10000);
	}
	__atomic_store_n(&h->moved, 1, __ATOMIC_SEQ_CST);
}

/* Who is not moved any more ends, whole. */
static void end_forkers(struct hop *h)
{
	__atomic_store_n(&h->over, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < FORKERS; i++)
		finish(h->pids[i]);
	printf("# %lu children, %lu and %lu moves\n", h->children, h->moves[0], h->moves[1]);
	eventually(counts_agree(h), 5);
	remove_trees(h);
}

TEST_LIMIT(everybody_is_in_exactly_one_container, 60)
{
	struct hop *h;
	pid_t movers[2];

	make_trees(&h);
	for (int i = 0; i < FORKERS; i++)
		h->pids[i] = start(fork_and_be_in_one_place, h);
	movers[0] = start(move_in_first, h);
	movers[1] = start(move_in_second, h);
	go_on(h, CHILDREN);
	finish(movers[0]);
	finish(movers[1]);
	/* what one mover said was not undone by the other */
	for (int i = 0; i < FORKERS; i++)
		for (int tree = 0; tree < 2; tree++)
			ck_assert_str_eq(container_of_pid(h->pids[i], trees[tree]), paths[h->where[tree][i]]);
	end_forkers(h);
}

/*
 * The forkers are moved in the first tree, then as far in the second, and so on: at no moment is one further in the
 * second, or two steps behind. Nor is a child: it has its parent's places of one moment.
 */
static void be_no_half(struct hop *h)
{
	int first = place(0), second = place(1);

	ck_assert_msg(first >= 0 && second >= 0 && ((first - second) & 3) < 2,
		      "a child is in %s of %s and in %s of %s, where its parent never was both", paths[first],
		      trees[0], paths[second], trees[1]);
	__atomic_add_fetch(&h->children, 1, __ATOMIC_SEQ_CST);
}

static void fork_and_be_no_half(void *h)
{
	fork_and_ask(h, be_no_half);
}

static void move_in_steps(void *arg)
{
	struct hop *h = arg;

	for (int turn = 1; !load(&h->moved); turn++)
		for (int i = 0; i < FORKERS; i++)
			for (int tree = 0; tree < 2; tree++) {
				expect(move_to(h->dirs[tree][turn % 4], h->pids[i]), 0);
				h->moves[tree]++;
			}
}

TEST_LIMIT(a_child_is_where_its_parent_was_in_both_trees, 60)
{
	struct hop *h;
	pid_t mover;

	make_trees(&h);
	for (int i = 0; i < FORKERS; i++)
		h->pids[i] = start(fork_and_be_no_half, h);
	mover = start(move_in_steps, h);
	go_on(h, 2 * CHILDREN);
	finish(mover);
	end_forkers(h);
}
