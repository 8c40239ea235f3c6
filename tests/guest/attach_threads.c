// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that moves whole while it makes threads: nobody is left behind. (jobs 1 4 4@debug)
 */
#include "lib.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a process that moves and whoever moves it have in common. */
static struct {
	unsigned long made;	/* threads, with the one that is next */
	unsigned long turn;	/* odd during a move */
	unsigned long seen;	/* threads that looked between two moves */
	unsigned long apart;	/* and were not where their leader was */
	bool over;
} *moving;

static unsigned long read_of(const unsigned long *where)
{
	return __atomic_load_n(where, __ATOMIC_SEQ_CST);
}

static void add_to(unsigned long *where)
{
	__atomic_add_fetch(where, 1, __ATOMIC_SEQ_CST);
}

static void read_into(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = read(fd, buf, size - 1);

	buf[got > 0 ? got : 0] = 0;
	close(fd);
}

static void move_begins_or_ends(void)
{
	add_to(&moving->turn);
}

static void *look_where_we_are(void *arg)
{
	char mine[512], leaders[512];
	unsigned long before;

	do {
		before = read_of(&moving->turn);
		read_into("/proc/thread-self/container", mine, sizeof(mine));
		read_into("/proc/self/container", leaders, sizeof(leaders));
	} while (before & 1 || before != read_of(&moving->turn));
	if (!*mine || strcmp(mine, leaders))
		add_to(&moving->apart);
	add_to(&moving->seen);
	return arg;
}

static void *shared_look(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(page, MAP_FAILED);
	return page;
}

static volatile bool storm_ends;

static void *make_threads(void *arg)
{
	pthread_t thread;

	while (!storm_ends)
		if (!pthread_create(&thread, NULL, look_where_we_are, NULL))
			pthread_join(thread, NULL);
	return arg;
}

TEST_LIMIT(procs_misses_no_thread_that_is_being_made, 60)
{
	char *root = mount_hierarchy("cpuacct"), *dirs[] = { at(root, "a"), at(root, "b") };
	pthread_t makers[4];

	moving = shared_look();
	expect(make_dir(dirs[0]), 0);
	expect(make_dir(dirs[1]), 0);
	storm_ends = false;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&makers[i], NULL, make_threads, NULL), 0);
	for (int i = 0; i < 300; i++) {
		move_begins_or_ends();
		enter(dirs[i % 2]);
		move_begins_or_ends();
		/* whoever is made from here on inherits; who was exiting goes by itself */
		eventually(!*read_file(at(dirs[!(i % 2)], "tasks")), 5);
	}
	storm_ends = true;
	for (int i = 0; i < 4; i++)
		pthread_join(makers[i], NULL);
	ck_assert_uint_gt(moving->seen, 0);
	ck_assert_uint_eq(moving->apart, 0);
	enter(root);
	eventually(!remove_dir(dirs[0]), 5);
	eventually(!remove_dir(dirs[1]), 5);
}

/* A process that has one thread, and often is just making its second. */
static void make_one_after_the_other(void *arg)
{
	pthread_t thread;

	while (!__atomic_load_n(&moving->over, __ATOMIC_SEQ_CST)) {
		add_to(&moving->made);
		if (!pthread_create(&thread, NULL, look_where_we_are, arg))
			pthread_join(thread, NULL);
	}
}

/* Moved without the semaphore that a new thread holds. The number of moves ends it. */
TEST_LIMIT(procs_misses_no_second_thread, 60)
{
	char *root = mount_hierarchy("cpuacct"), *dirs[] = { at(root, "a"), at(root, "b") };
	unsigned long moves, made;
	char number[16];
	int fds[2];
	pid_t pid;

	moving = shared_look();
	for (int i = 0; i < 2; i++) {
		expect(make_dir(dirs[i]), 0);
		fds[i] = open(at(dirs[i], "procs"), O_WRONLY | O_CLOEXEC);
		ck_assert_int_ge(fds[i], 0);
	}
	pid = start(make_one_after_the_other, NULL);
	snprintf(number, sizeof(number), "%d", pid);
	for (moves = 0; moves < 2000; moves++) {
		made = read_of(&moving->made);
		while (read_of(&moving->made) == made)
			sched_yield();
		/* each time at another moment of the making */
		for (volatile unsigned long i = 0; i < moves % 256 * 128; i++)
			;
		move_begins_or_ends();
		ck_assert_int_gt(write(fds[moves % 2], number, strlen(number)), 0);
		move_begins_or_ends();
	}
	__atomic_store_n(&moving->over, true, __ATOMIC_SEQ_CST);
	finish(pid);
	ck_assert_uint_eq(moving->apart, 0);
	ck_assert_uint_ge(moving->seen, moves);
	close(fds[0]);
	close(fds[1]);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/");
	eventually(!remove_dir(dirs[0]), 5);
	eventually(!remove_dir(dirs[1]), 5);
}
