// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file `kill`: who dies, who does not, and that no fork gets away.
 * (jobs 1 4 4@debug)
 */
#include "lib.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define KILLED (128 + SIGKILL)

static bool alive(pid_t pid)
{
	return !kill(pid, 0);
}

static uint64_t populated(const char *container)
{
	return read_field(at(container, "events"), "populated");
}

TEST(kill_takes_everyone_below)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b"), *c = at(root, "c");
	pid_t in_a, in_b, in_c, in_root = sleeper();

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(make_dir(c), 0);
	in_a = sleeper_in(a);
	in_b = sleeper_in(b);
	in_c = sleeper_in(c);
	expect(write_file(at(a, "kill"), "1\n"), 0);
	ck_assert_int_eq(wait_for(in_a), KILLED);
	ck_assert_int_eq(wait_for(in_b), KILLED);
	ck_assert(alive(in_c));
	ck_assert(alive(in_root));
	/* who comes later lives */
	in_a = sleeper_in(a);
	usleep(50000);
	ck_assert(alive(in_a));
	ck_assert_int_eq(waitpid(in_a, NULL, WNOHANG), 0);
	expect(write_file(at(c, "kill"), "1"), 0);
	ck_assert_int_eq(wait_for(in_c), KILLED);
	stop(in_a);
	stop(in_root);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
	expect(remove_dir(c), 0);
}

TEST(kill_takes_only_one)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	pid = sleeper_in(a);
	expect(write_file(at(a, "kill"), "0"), ERANGE);
	expect(write_file(at(a, "kill"), "2"), ERANGE);
	expect(write_file(at(a, "kill"), "99999999999999999999"), ERANGE);
	expect(write_file(at(a, "kill"), "-1"), EINVAL);
	expect(write_file(at(a, "kill"), "yes"), EINVAL);
	expect(write_file(at(a, "kill"), "\n"), EINVAL);
	usleep(50000);
	ck_assert(alive(pid));
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	stop(pid);
	expect(remove_dir(a), 0);
}

/* A root's tasks are all others of the machine. */
TEST(kill_in_a_root_is_eperm)
{
	char *root = mount_hierarchy("cpuacct");
	pid_t pid = sleeper();

	expect(write_file(at(root, "kill"), "1"), EPERM);
	usleep(50000);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	stop(pid);
}

TEST(kill_of_the_empty_is_fine)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	expect(write_file(at(a, "kill"), "1"), 0);
	expect(remove_dir(a), 0);
}

static void kill_own(void *arg)
{
	write_file(at(arg, "kill"), "1");
	pause();
}

TEST(kill_takes_the_writer_too)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	ck_assert_int_eq(wait_for(start_in(a, kill_own, a)), KILLED);
	expect(remove_dir(a), 0);
}

static void *thread_in(void *arg)
{
	expect(write_file(at(arg, "tasks"), "0"), 0);
	for (;;)
		pause();
}

/* The process is in the root; only one thread of it is in the container. */
static void half_inside(void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, thread_in, arg))
		abort();
	for (;;)
		pause();
}

TEST(a_process_dies_with_its_thread)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	pid = start(half_inside, a);
	/* until the thread has moved itself */
	eventually(populated(a), 5);
	expect(write_file(at(a, "kill"), "1"), 0);
	ck_assert_int_eq(wait_for(pid), KILLED);
	expect(remove_dir(a), 0);
}

static void ignore_all(void *arg __attribute__((unused)))
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	raise(SIGSTOP);
	for (;;)
		pause();
}

TEST(the_stopped_die)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	int status;
	pid_t pid;

	expect(make_dir(a), 0);
	pid = start_in(a, ignore_all, NULL);
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert(WIFSTOPPED(status));
	expect(write_file(at(a, "kill"), "1"), 0);
	ck_assert_int_eq(wait_for(pid), KILLED);
	expect(remove_dir(a), 0);
}

static int first_of_namespace(void *arg)
{
	pid_t child = fork();

	if (!child)
		for (;;)
			pause();
	enter(arg);
	if (move_to(arg, child))
		return 1;
	for (;;)
		pause();
}

/* Seen from outside, the first process of a pid namespace is one like others. */
TEST(a_pid_namespace_dies)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	static char stack[1 << 16];
	pid_t pid, ids[4];

	expect(make_dir(a), 0);
	pid = clone(first_of_namespace, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD, a);
	ck_assert_msg(pid > 0, "clone(CLONE_NEWPID): %s", error_name(errno));
	eventually(read_ids(at(a, "procs"), ids, 4) == 2, 5);
	expect(write_file(at(a, "kill"), "1"), 0);
	ck_assert_int_eq(wait_for(pid), KILLED);
	ck_assert_uint_eq(populated(a), 0);
	expect(remove_dir(a), 0);
}

/*
 * A rabbit lives for one fork: whoever walks over the process numbers meets
 * only some of them, and their children have numbers that it has passed.
 */
static void rabbit(void *arg __attribute__((unused)))
{
	for (;;) {
		pid_t child = fork();

		if (child > 0)
			_exit(0);
		if (child < 0)
			sched_yield();
	}
}

/* Sets a limit of numbers, and sets it back when the test's process is gone. */
static void few_numbers(const char *few)
{
	char *before = read_file("/proc/sys/kernel/pid_max"), byte;
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	if (!fork()) {
		close(ends[1]);
		if (read(ends[0], &byte, 1) == 0)
			write_file("/proc/sys/kernel/pid_max", before);
		_exit(0);
	}
	close(ends[0]);
	expect(write_file("/proc/sys/kernel/pid_max", few), 0);
}

static void herd(void *arg __attribute__((unused)))
{
	/* who sleeps takes the CPU from the writer when it is woken to die, and rabbits run */
	for (int i = 0; i < 60; i++)
		if (!fork())
			for (;;)
				pause();
	for (int i = 0; i < 20; i++)
		if (!fork())
			rabbit(NULL);
	rabbit(NULL);
}

TEST_LIMIT(no_fork_gets_away, 60)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b");
	double end;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	few_numbers("500");
	signal(SIGCHLD, SIG_IGN);
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	/* some 200 ms each; one walk misses somebody in about every second one */
	for (end = now() + 6; now() < end;) {
		start_in(a, herd, NULL);
		start_in(b, herd, NULL);
		usleep(20000 + random() % 50000);
		expect(write_file(at(a, "kill"), "1"), 0);
		/* each has the signal and only needs the CPU to die */
		eventually(!populated(a), 10);
		usleep(20000);
		ck_assert_uint_eq(populated(a), 0);
	}
	signal(SIGCHLD, SIG_DFL);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

static struct exec_race {
	atomic_int crowd, ready;
} *race;
/* The first of the crowd has the other end: it is closed when the kill has got there. */
static int first_dies[2];

static void *exec_when_one_dies(void *arg)
{
	char byte;

	expect(write_file(at(arg, "tasks"), "0"), 0);
	atomic_store(&race->ready, 1);
	if (read(first_dies[0], &byte, 1) == 0)
		execl("/bin/sleep", "sleep", "1000", NULL);
	abort();
}

/* The first thread is outside, the other one inside, and the crowd has the numbers between. */
static void across_the_crowd(void *arg)
{
	pthread_t thread;

	close(first_dies[1]);
	while (!atomic_load(&race->crowd))
		usleep(1000);
	if (pthread_create(&thread, NULL, exec_when_one_dies, arg))
		abort();
	for (;;)
		pause();
}

static void crowd(void *arg __attribute__((unused)))
{
	for (int i = 0; i < 150; i++) {
		if (!fork())
			for (;;)
				pause();
		close(first_dies[1]);
	}
	atomic_store(&race->crowd, 1);
	for (;;)
		pause();
}

TEST_LIMIT(no_exec_gets_away, 60)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(race, MAP_FAILED);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	expect(make_dir(a), 0);
	for (int i = 0; i < 10; i++) {
		pid_t across, between;
		int status;

		memset(race, 0, sizeof(*race));
		ck_assert_int_eq(pipe2(first_dies, O_CLOEXEC), 0);
		across = start(across_the_crowd, a);
		between = start_in(a, crowd, NULL);
		close(first_dies[0]);
		close(first_dies[1]);
		eventually(atomic_load(&race->ready), 10);
		expect(write_file(at(a, "kill"), "1"), 0);
		ck_assert_int_eq(wait_for(between), KILLED);
		eventually(waitpid(across, &status, WNOHANG) == across, 10);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		eventually(!populated(a), 10);
		/* the crowd has come back to us, and would fill the table of processes */
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
	expect(remove_dir(a), 0);
}

static void *start_threads(void *arg __attribute__((unused)))
{
	pthread_t thread;

	for (int i = 0; i < 200; i++)
		if (pthread_create(&thread, NULL, start_threads, NULL))
			usleep(1000);
		else
			pthread_detach(thread);
	return NULL;
}

static void spawn_threads(void *arg)
{
	for (;;)
		start_threads(arg);
}

TEST(no_thread_gets_away)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	for (int i = 0; i < 5; i++) {
		pid = start_in(a, spawn_threads, NULL);
		usleep(20000 + random() % 30000);
		expect(write_file(at(a, "kill"), "1"), 0);
		ck_assert_int_eq(wait_for(pid), KILLED);
		ck_assert_uint_eq(populated(a), 0);
	}
	expect(remove_dir(a), 0);
}
