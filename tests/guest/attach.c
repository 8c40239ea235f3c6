// SPDX-License-Identifier: GPL-2.0-only
/*
 * Membership: `tasks` and `procs`, the numbers in them. What was written is read
 * back through /proc/PID/container and the lists. inherit.c has fork and exit,
 * delegate.c who may move whom.
 */
#include "lib.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static pid_t gettid_(void)
{
	return syscall(SYS_gettid);
}

/* Threads that wait until they are told to end. */
#define NR_THREADS 8

static struct {
	pthread_t thread[NR_THREADS];
	pid_t tid[NR_THREADS];
	pthread_barrier_t ready;
	pthread_mutex_t end;
} crew;

static void *crew_member(void *arg)
{
	crew.tid[(long)arg] = gettid_();
	pthread_barrier_wait(&crew.ready);
	pthread_mutex_lock(&crew.end);
	pthread_mutex_unlock(&crew.end);
	return NULL;
}

static void start_crew(void)
{
	pthread_barrier_init(&crew.ready, NULL, NR_THREADS + 1);
	pthread_mutex_init(&crew.end, NULL);
	pthread_mutex_lock(&crew.end);
	for (long i = 0; i < NR_THREADS; i++)
		ck_assert_int_eq(pthread_create(&crew.thread[i], NULL, crew_member, (void *)i), 0);
	pthread_barrier_wait(&crew.ready);
}

/* A joined thread may be a moment from having left its container. */
static void end_crew(void)
{
	pthread_mutex_unlock(&crew.end);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(crew.thread[i], NULL);
}

TEST(tasks_lists_thread_ids_sorted)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t ids[64];

	expect(make_dir(a), 0);
	start_crew();
	enter(a);
	ck_assert_int_eq(read_ids(at(a, "tasks"), ids, 64), NR_THREADS + 1);
	ck_assert_int_eq(ids[0], getpid());
	for (int i = 0; i < NR_THREADS; i++)
		ck_assert(has_line(at(a, "tasks"), crew.tid[i]));
	ck_assert_int_eq(read_ids(at(a, "procs"), ids, 64), 1);
	ck_assert_int_eq(ids[0], getpid());
	end_crew();
	enter(root);
	eventually(!remove_dir(a), 5);
}

TEST(tasks_moves_one_thread)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t ids[64];

	expect(make_dir(a), 0);
	start_crew();
	expect(write_u64(at(a, "tasks"), crew.tid[3]), 0);
	ck_assert_int_eq(read_ids(at(a, "tasks"), ids, 64), 1);
	ck_assert_int_eq(ids[0], crew.tid[3]);
	ck_assert_str_eq(container_of_pid(crew.tid[3], "cpuacct"), "/a");
	ck_assert_str_eq(container_of_pid(crew.tid[2], "cpuacct"), "/");
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/");
	/* the process is where its leader is */
	ck_assert_str_eq(read_file(at(a, "procs")), "");
	end_crew();
	eventually(!remove_dir(a), 5);
}

TEST(zero_in_tasks_is_the_writing_thread)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	start_crew();
	expect(write_file(at(a, "tasks"), "0"), 0);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/a");
	for (int i = 0; i < NR_THREADS; i++)
		ck_assert_str_eq(container_of_pid(crew.tid[i], "cpuacct"), "/");
	end_crew();
	enter(root);
	eventually(!remove_dir(a), 5);
}

TEST(zero_in_procs_is_the_writing_process)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	start_crew();
	expect(write_file(at(a, "procs"), "0"), 0);
	for (int i = 0; i < NR_THREADS; i++)
		ck_assert_str_eq(container_of_pid(crew.tid[i], "cpuacct"), "/a");
	end_crew();
	enter(root);
	eventually(!remove_dir(a), 5);
}

TEST(procs_takes_the_id_of_any_thread)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	start_crew();
	expect(write_u64(at(a, "procs"), crew.tid[5]), 0);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/a");
	ck_assert_str_eq(container_of_pid(crew.tid[1], "cpuacct"), "/a");
	end_crew();
	enter(root);
	eventually(!remove_dir(a), 5);
}

TEST(procs_gathers_scattered_threads)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	start_crew();
	for (int i = 0; i < NR_THREADS; i += 2)
		expect(write_u64(at(a, "tasks"), crew.tid[i]), 0);
	enter(b);
	for (int i = 0; i < NR_THREADS; i++)
		ck_assert_str_eq(container_of_pid(crew.tid[i], "cpuacct"), "/b");
	ck_assert_str_eq(read_file(at(a, "tasks")), "");
	eventually(!remove_dir(a), 5);
	end_crew();
	enter(root);
	eventually(!remove_dir(b), 5);
}

TEST(writing_again_changes_nothing)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	pid = sleeper_in(a);
	for (int i = 0; i < 10; i++)
		expect(move_to(a, pid), 0);
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/a");
	stop(pid);
	expect(remove_dir(a), 0);
}

static void check_number_errors(const char *file)
{
	char digits[5000];

	expect(write_file(file, "one"), EINVAL);
	expect(write_file(file, "\n"), EINVAL);
	expect(write_file(file, "1x"), EINVAL);
	expect(write_file(file, "0x1"), EINVAL);
	expect(write_file(file, "1 2"), EINVAL);
	expect(write_file(file, "1\n2\n"), EINVAL);
	expect(write_file(file, "1.5"), EINVAL);
	/* a sign is no part of a number */
	expect(write_file(file, "-1"), EINVAL);
	expect(write_file(file, "-0"), EINVAL);
	expect(write_file(file, "+0"), EINVAL);
	expect(write_file(file, "-2147483648"), EINVAL);
	expect(write_file(file, "2147483648"), ERANGE);
	expect(write_file(file, "99999999999999999999999"), ERANGE);
	memset(digits, '0', sizeof(digits));
	digits[4999] = 0;
	expect(write_file(file, digits), E2BIG);
	digits[4097] = 0;
	expect(write_file(file, digits), E2BIG);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/");
	/* as long as it may be, and still zero: the writer */
	digits[4096] = 0;
	expect(write_file(file, digits), 0);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/a");
}

TEST(numbers_in_tasks)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	check_number_errors(at(a, "tasks"));
	enter(root);
	expect(remove_dir(a), 0);
}

TEST(numbers_in_procs)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	check_number_errors(at(a, "procs"));
	enter(root);
	expect(remove_dir(a), 0);
}

TEST(white_space_around_a_number)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	expect(write_file(at(a, "tasks"), " 0 \n"), 0);
	expect(write_file(at(root, "tasks"), "0\n\n"), 0);
	expect(remove_dir(a), 0);
}

TEST(no_such_task_is_esrch)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t pid = sleeper();

	stop(pid);
	expect(make_dir(a), 0);
	expect(write_u64(at(a, "tasks"), pid), ESRCH);
	expect(write_u64(at(a, "procs"), pid), ESRCH);
	expect(write_u64(at(a, "tasks"), 2147483647), ESRCH);
	expect(remove_dir(a), 0);
}

TEST(a_zombie_is_esrch)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	pid = sleeper_in(b);
	make_zombie(pid);
	expect(write_u64(at(a, "tasks"), pid), ESRCH);
	expect(write_u64(at(a, "procs"), pid), ESRCH);
	ck_assert_str_eq(read_file(at(a, "tasks")), "");
	/* neither its old container nor the refused one is held */
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	wait_for(pid);
}

/* No subsystem is asked of one that exits: nobody else's error comes first, and nothing is in `why`. */
TEST(a_zombie_is_esrch_before_any_refusal)
{
	char *root = mount_hierarchy("cpuset"), *a = at(root, "a"), *b = at(root, "b");
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	expect(write_file(at(b, "cpuset.cpus"), "0"), 0);
	pid = sleeper_in(b);
	expect(write_u64(at(a, "tasks"), pid), ENOSPC);
	make_zombie(pid);
	expect(write_u64(at(a, "tasks"), pid), ESRCH);
	expect(write_u64(at(a, "procs"), pid), ESRCH);
	ck_assert_uint_eq(read_field(at(a, "why"), "count"), 1);
	wait_for(pid);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

TEST(kthreadd_is_einval)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	expect(make_dir(a), 0);
	expect(write_u64(at(a, "tasks"), 2), EINVAL);
	expect(write_u64(at(a, "procs"), 2), EINVAL);
	ck_assert_str_eq(container_of_pid(2, "cpuacct"), "/");
	expect(remove_dir(a), 0);
}

static void become(uid_t uid)
{
	ck_assert_int_eq(setresgid(uid, uid, uid) | setresuid(uid, uid, uid), 0);
}

static void sleep_as_1001(void *arg)
{
	become(1001);
	*(volatile bool *)arg = true;
	for (;;)
		pause();
}

static void move_as_1001(void *arg)
{
	void **args = arg;
	char *a = args[0];
	pid_t roots = (long)args[1], ours = (long)args[2];

	become(1001);
	expect(move_to(a, roots), EACCES);
	expect(write_u64(at(a, "tasks"), roots), EACCES);
	expect(move_to(a, 1), EACCES);
	expect(move_to(a, ours), 0);
	expect(write_file(at(a, "procs"), "0"), 0);
	ck_assert_str_eq(container_of_pid(ours, "cpuacct"), "/a");
	ck_assert_str_eq(container_of_pid(roots, "cpuacct"), "/");
}

TEST(another_users_task_is_eacces)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	volatile bool *ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t roots = sleeper(), ours = start(sleep_as_1001, (void *)ready);
	void *args[] = { a, (void *)(long)roots, (void *)(long)ours };

	chmod(root, 0755);
	expect(make_dir(a), 0);
	ck_assert_int_eq(chmod(at(a, "tasks"), 0666) | chmod(at(a, "procs"), 0666), 0);
	/* where they come from must be his too: delegate.c */
	ck_assert_int_eq(chmod(at(root, "tasks"), 0666) | chmod(at(root, "procs"), 0666), 0);
	eventually(*ready, 5);
	finish(start(move_as_1001, args));
	/* root moves anybody's */
	expect(move_to(root, ours), 0);
	stop(ours);
	stop(roots);
	expect(remove_dir(a), 0);
}

/* It has these uids when this returns. */
static pid_t sleeper_with(uid_t real, uid_t effective, uid_t saved)
{
	int ends[2];
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		ck_assert_int_eq(setresuid(real, effective, saved), 0);
		ck_assert_int_eq(write(ends[1], "", 1), 1);
		for (;;)
			pause();
	}
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

enum { REAL, EFFECTIVE, SAVED };

struct suspects {
	char *a;
	pid_t pid[3];
};

static void move_what_is_ours(void *arg)
{
	struct suspects *s = arg;

	become(1001);
	expect(move_to(s->a, s->pid[REAL]), 0);
	expect(move_to(s->a, s->pid[SAVED]), 0);
	expect(move_to(s->a, s->pid[EFFECTIVE]), EACCES);
	expect(write_u64(at(s->a, "tasks"), s->pid[EFFECTIVE]), EACCES);
}

/* As with signals: what it may do at the moment does not say whose it is. */
TEST(the_real_and_the_saved_uid_say_whose_it_is)
{
	char *root = mount_hierarchy("cpuacct");
	struct suspects s = { .a = at(root, "a") };

	chmod(root, 0755);
	expect(make_dir(s.a), 0);
	ck_assert_int_eq(chmod(at(s.a, "tasks"), 0666) | chmod(at(s.a, "procs"), 0666), 0);
	ck_assert_int_eq(chmod(at(root, "tasks"), 0666) | chmod(at(root, "procs"), 0666), 0);
	s.pid[REAL] = sleeper_with(1001, 1002, 1002);
	s.pid[EFFECTIVE] = sleeper_with(1002, 1001, 1002);
	s.pid[SAVED] = sleeper_with(1002, 1002, 1001);
	finish(start(move_what_is_ours, &s));
	ck_assert_str_eq(container_of_pid(s.pid[REAL], "cpuacct"), "/a");
	ck_assert_str_eq(container_of_pid(s.pid[SAVED], "cpuacct"), "/a");
	ck_assert_str_eq(container_of_pid(s.pid[EFFECTIVE], "cpuacct"), "/");
	for (int i = 0; i < 3; i++)
		stop(s.pid[i]);
	expect(remove_dir(s.a), 0);
}

TEST(hierarchies_are_independent)
{
	char *a = mount_hierarchy("cpuacct"), *b = mount_hierarchy("memory"),
	     *c = mount_hierarchy("none,name=c");
	pid_t pid = sleeper();

	expect(make_dir(at(a, "one")), 0);
	expect(make_dir(at(b, "two")), 0);
	expect(make_dir(at(c, "three")), 0);
	expect(move_to(at(a, "one"), pid), 0);
	expect(move_to(at(b, "two"), pid), 0);
	expect(move_to(at(c, "three"), pid), 0);
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/one");
	ck_assert_str_eq(container_of_pid(pid, "memory"), "/two");
	ck_assert_str_eq(container_of_pid(pid, "name=c"), "/three");
	expect(move_to(b, pid), 0);
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/one");
	ck_assert_str_eq(container_of_pid(pid, "memory"), "/");
	ck_assert_str_eq(container_of_pid(pid, "name=c"), "/three");
	expect(remove_dir(at(b, "two")), 0);
	expect(remove_dir(at(a, "one")), EBUSY);
	stop(pid);
	expect(remove_dir(at(a, "one")), 0);
	expect(remove_dir(at(c, "three")), 0);
}

TEST(mounting_moves_nobody_who_is_elsewhere)
{
	char *a = mount_hierarchy("cpuacct"), *c;
	pid_t pid;

	expect(make_dir(at(a, "one")), 0);
	pid = sleeper_in(at(a, "one"));
	c = mount_hierarchy("none,name=late");
	ck_assert(has_line(at(c, "tasks"), pid));
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/one");
	ck_assert_str_eq(container_of_pid(pid, "name=late"), "/");
	stop(pid);
	expect(remove_dir(at(a, "one")), 0);
}

TEST(the_root_lists_everybody_else)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	ck_assert(has_line(at(root, "tasks"), 1));
	ck_assert(has_line(at(root, "tasks"), 2));
	ck_assert(has_line(at(root, "procs"), getpid()));
	pid = sleeper_in(a);
	ck_assert(!has_line(at(root, "tasks"), pid));
	expect(move_to(root, pid), 0);
	ck_assert(has_line(at(root, "tasks"), pid));
	stop(pid);
	expect(remove_dir(a), 0);
}

static void in_pid_namespace(void *arg)
{
	char *a = arg;

	ck_assert_int_eq(getpid(), 1);
	expect(write_u64(at(a, "tasks"), 1), 0);
	ck_assert_str_eq(read_file(at(a, "tasks")), "1\n");
	/* a task outside is neither shown nor reachable */
	expect(write_u64(at(a, "tasks"), 2), ESRCH);
}

TEST(numbers_are_those_of_the_pid_namespace)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t outside;

	expect(make_dir(a), 0);
	outside = sleeper_in(a);
	ck_assert_int_eq(unshare(CLONE_NEWPID), 0);
	finish(start(in_pid_namespace, a));
	stop(outside);
	expect(remove_dir(a), 0);
}

/* The whole file, read by at most so many bytes at a time. */
static char *read_by(const char *path, size_t step, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0, room;
	ssize_t got;

	ck_assert_int_ge(fd, 0);
	do {
		room = size - 1 - len;
		got = read(fd, text + len, step < room ? step : room);
		ck_assert_int_ge(got, 0);
		len += got;
	} while (got);
	text[len] = 0;
	close(fd);
	return text;
}

/* In small pieces, by pages, and from the end to the beginning. */
static void reads_the_same_in_pieces(const char *path)
{
	static char text[32768], again[sizeof(text)];
	int fd;

	read_by(path, sizeof(text), text, sizeof(text));
	ck_assert_str_eq(read_by(path, 7, again, sizeof(again)), text);
	ck_assert_str_eq(read_by(path, 4096, again, sizeof(again)), text);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (ssize_t offset = strlen(text) - 1; offset >= 0; offset -= 997) {
		ssize_t got = pread(fd, again, 99, offset);

		ck_assert_int_ge(got, 1);
		ck_assert_int_eq(memcmp(again, text + offset, got), 0);
	}
	close(fd);
}

/* However it is read, each task is there once, and nobody else. */
TEST_LIMIT(a_list_longer_than_a_page, 60)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	static pid_t pids[1000], ids[1000];
	int n = 1000, elsewhere = 0;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	enter(a);
	for (int i = 0; i < n; i++)
		pids[i] = sleeper();
	enter(root);
	ck_assert_int_eq(read_ids(at(a, "tasks"), ids, n), n);
	ck_assert_int_eq(memcmp(ids, pids, sizeof(ids)), 0);
	reads_the_same_in_pieces(at(a, "tasks"));
	reads_the_same_in_pieces(at(a, "procs"));
	for (int i = 0; i < n; i += 3) {
		expect(write_u64(at(b, "tasks"), pids[i]), 0);
		ids[elsewhere++] = pids[i];
	}
	ck_assert_int_eq(read_ids(at(a, "tasks"), ids + elsewhere, n - elsewhere), n - elsewhere);
	reads_the_same_in_pieces(at(a, "tasks"));
	for (int i = 0, j = elsewhere; i < n; i++)
		ck_assert(i % 3 == 0 || ids[j++] == pids[i]);
	ck_assert_int_eq(read_ids(at(b, "procs"), ids, n), elsewhere);
	for (int i = 0; i < n; i++) {
		ck_assert(i % 3 || ids[i / 3] == pids[i]);
		kill(pids[i], SIGKILL);
		wait_for(pids[i]);
	}
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}
