// SPDX-License-Identifier: GPL-2.0-only
/*
 * numtasks: how many tasks a container may have. What is written to its files is looked for in
 * what fork(), vfork(), clone() and pthread_create() say to a program inside, in /proc and
 * in the numbers that tasks get. numtasks_shares.c has the shares. (jobs 1 4 4@debug)
 */
#include "lib-numtasks.h"
#include "lib-rebind.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

TEST(fork_is_refused_at_the_limit)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");
	struct worker w;

	expect(make_dir(a), 0);
	ck_assert_str_eq(read_file(at(a, "numtasks.limit")), "max\n");
	expect(write_file(at(a, "numtasks.limit"), "4\n"), 0);
	w = worker_in(a);
	ck_assert_int_eq(forks_until_refused(&w), 3);
	expect(ask(&w, 'f'), EAGAIN);
	expect(ask(&w, 'v'), EAGAIN);
	expect(ask(&w, 't'), EAGAIN);
	ck_assert_int_eq(tasks_in(a), 4);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 4);
	ck_assert_uint_eq(numtasks_stat(a, "Number of successes"), 3);
	ck_assert_uint_eq(numtasks_stat(a, "Number of failures"), 4);
	says(a, "refused by numtasks: /a has 4 of 4 tasks (EAGAIN)\n");
	says(a, "\nwhat fork\n");
	/* one that has exited makes room, and is reaped by then */
	expect(ask(&w, 'k'), 0);
	expect(ask(&w, 'v'), 0);
	expect(ask(&w, 't'), 0);
	expect(ask(&w, 'v'), EAGAIN);
	worker_end(&w);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 0);
	expect(write_file(at(a, "numtasks.stats"), "1"), EINVAL);
	expect(write_file(at(a, "numtasks.stats"), "none"), EINVAL);
	expect(write_file(at(a, "numtasks.stats"), "18446744073709551616"), ERANGE);
	ck_assert_uint_eq(numtasks_stat(a, "Number of failures"), 5);
	expect(write_file(at(a, "numtasks.stats"), "0"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Number of failures"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Number of successes"), 0);
	expect(remove_dir(a), 0);
}

TEST(limit_takes_a_number_or_max)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{ "12", 0 }, { "0\n", 0 }, { "max\n", 0 }, { "2147483647", 0 }, { "7", 0 },
		{ "", EINVAL }, { "x", EINVAL }, { "-1", EINVAL }, { "+5", EINVAL }, { "0x5", EINVAL },
		{ "5 6", EINVAL }, { "5K", EINVAL }, { "maximum", EINVAL }, { "2147483648", ERANGE },
		{ "99999999999999999999", ERANGE },
	};
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");

	expect(make_dir(a), 0);
	ck_assert(!exists(at(root, "numtasks.limit")));
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int err = write_file(at(a, "numtasks.limit"), cases[i].text);

		/* write(2) of nothing writes nothing */
		if (*cases[i].text)
			ck_assert_msg(err == cases[i].err, "\"%s\": got %s, wanted %s", cases[i].text,
				      error_name(err), error_name(cases[i].err));
	}
	ck_assert_str_eq(read_file(at(a, "numtasks.limit")), "7\n");
	expect(remove_dir(a), 0);
}

TEST(threads_count)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");
	struct worker w;

	expect(make_dir(a), 0);
	w = worker_in(a);
	expect(ask(&w, 't'), 0);
	expect(ask(&w, 't'), 0);
	ck_assert_int_eq(tasks_in(a), 3);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 3);
	expect(write_file(at(a, "numtasks.limit"), "4"), 0);
	expect(ask(&w, 't'), 0);
	expect(ask(&w, 't'), EAGAIN);
	expect(ask(&w, 'f'), EAGAIN);
	/* below what it has: nobody dies of it, nobody is born */
	expect(write_file(at(a, "numtasks.limit"), "1"), 0);
	ck_assert_int_eq(tasks_in(a), 4);
	expect(ask(&w, 'v'), EAGAIN);
	expect(write_file(at(a, "numtasks.limit"), "max"), 0);
	expect(ask(&w, 'v'), 0);
	worker_end(&w);
	expect(remove_dir(a), 0);
}

TEST(all_above_are_asked)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b");
	char *c = at(root, "a/b/c"), *d = at(root, "a/d"), *e = at(root, "e");
	struct worker in_c, in_d, in_e;

	expect(make_dir(a) | make_dir(b) | make_dir(c) | make_dir(d) | make_dir(e), 0);
	expect(write_file(at(a, "numtasks.limit"), "5"), 0);
	in_c = worker_in(c);
	in_d = worker_in(d);
	in_e = worker_in(e);
	expect(ask(&in_d, 'f'), 0);
	ck_assert_int_eq(forks_until_refused(&in_c), 2);
	expect(ask(&in_d, 'v'), EAGAIN);
	says(c, "refused by numtasks: /a has 5 of 5 tasks (EAGAIN)\n");
	says(d, "refused by numtasks: /a has 5 of 5 tasks (EAGAIN)\n");
	ck_assert_str_eq(read_file(at(a, "why")), "");
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 5);
	ck_assert_uint_eq(numtasks_stat(b, "Current usage"), 3);
	/* the neighbour is not below */
	expect(ask(&in_e, 'v'), 0);
	expect(ask(&in_e, 'f'), 0);
	/* a limit of its own, lower */
	expect(write_file(at(b, "numtasks.limit"), "3"), 0);
	expect(ask(&in_d, 'k'), 0);
	expect(ask(&in_c, 'v'), EAGAIN);
	says(c, "refused by numtasks: /a/b has 3 of 3 tasks (EAGAIN)\n");
	expect(ask(&in_d, 'v'), 0);
	worker_end(&in_c);
	worker_end(&in_d);
	worker_end(&in_e);
	expect(remove_dir(c) | remove_dir(b) | remove_dir(d) | remove_dir(a) | remove_dir(e), 0);
}

/* Who moves a task is not who forks: it is not refused, and the next fork is. */
TEST(moves_are_counted_and_not_refused)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "b");
	pid_t pids[3];
	struct worker w;

	expect(make_dir(a) | make_dir(b), 0);
	expect(write_file(at(a, "numtasks.limit"), "3"), 0);
	w = worker_in(a);
	for (int i = 0; i < 3; i++)
		pids[i] = sleeper_in(b);
	ck_assert_uint_eq(numtasks_stat(b, "Current usage"), 3);
	/* as a process, and as a single thread */
	expect(move_to(a, pids[0]), 0);
	expect(write_u64(at(a, "tasks"), pids[1]), 0);
	expect(ask(&w, 'v'), EAGAIN);
	expect(move_to(a, pids[2]), 0);
	ck_assert_int_eq(tasks_in(a), 4);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 4);
	ck_assert_uint_eq(numtasks_stat(b, "Current usage"), 0);
	expect(remove_dir(b), 0);
	/* to where they are is no move */
	expect(move_to(a, pids[2]), 0);
	stop(pids[0]);
	expect(ask(&w, 'v'), EAGAIN);
	expect(write_u64(at(root, "tasks"), pids[1]), 0);
	expect(ask(&w, 'v'), 0);
	stop(pids[1]);
	stop(pids[2]);
	worker_end(&w);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 0);
	expect(remove_dir(a), 0);
}

/* The numbers of a full idr are given again: 800 that are lost would be more than there are. */
TEST_LIMIT(a_refused_fork_keeps_no_number, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");
	char *pids = for_now("/proc/sys/kernel/pid_max", "500");
	struct worker w;

	expect(make_dir(a), 0);
	expect(write_file(at(a, "numtasks.limit"), "1"), 0);
	w = worker_in(a);
	for (int i = 0; i < 800; i++)
		expect(ask(&w, 'v'), EAGAIN);
	ck_assert_uint_eq(numtasks_stat(a, "Number of failures"), 800);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 1);
	for (int i = 0; i < 5; i++)
		stop(sleeper());
	worker_end(&w);
	expect(write_file("/proc/sys/kernel/pid_max", pids), 0);
	expect(remove_dir(a), 0);
}

/* Grows to what it may be, and tries for ever, with pauses, so that others get a CPU. */
static void bomb(void *arg)
{
	(void)arg;
	for (;;)
		if (fork() < 0)
			usleep(20000);
}

TEST_LIMIT(a_bomb_and_its_neighbour, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "b");
	struct worker w;
	pid_t pid;

	expect(make_dir(a) | make_dir(b), 0);
	expect(write_file(at(a, "numtasks.limit"), "12"), 0);
	w = worker_in(b);
	pid = start_in(a, bomb, NULL);
	/* with four at the edge the last one may be refused some times: they go on */
	eventually(tasks_in(a) == 12, 10);
	for (int i = 0; i < 10; i++)
		expect(ask(&w, 'v'), 0);
	stop(sleeper());
	ck_assert_int_eq(tasks_in(a), 12);
	/* SIGKILL to all at any moment of their forks: what was charged is given back */
	expect(write_file(at(a, "kill"), "1"), 0);
	wait_for(pid);
	/* who exits is gone from `tasks` before it is uncharged */
	eventually(tasks_in(a) == 0 && !numtasks_stat(a, "Current usage"), 10);
	expect(ask(&w, 'v'), 0);
	worker_end(&w);
	expect(remove_dir(a) | remove_dir(b), 0);
}

/* A bomb that is killed while it grows; several times, so that forks are called off, too. */
TEST_LIMIT(counts_are_exact_after_kill, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");
	struct worker w;
	pid_t pid;

	expect(make_dir(a), 0);
	expect(write_file(at(a, "numtasks.limit"), "15"), 0);
	for (int i = 0; i < 6; i++) {
		pid = start_in(a, bomb, NULL);
		usleep(i * 1000);
		expect(write_file(at(a, "kill"), "1"), 0);
		wait_for(pid);
		eventually(tasks_in(a) == 0 && !numtasks_stat(a, "Current usage"), 10);
	}
	/* nothing is left over, and nothing too few */
	w = worker_in(a);
	ck_assert_int_eq(forks_until_refused(&w), 14);
	worker_end(&w);
	expect(remove_dir(a), 0);
}

#define FORKERS 4
#define ROOM 6

struct crowd {
	atomic_int alive;	/* children between their birth and their end */
	atomic_int most;
	atomic_int born;
	atomic_int done;	/* forkers that want no more */
};

static struct crowd *crowd;

static void fork_and_reap(void *arg)
{
	(void)arg;
	for (int i = 0; i < 15; i++) {
		pid_t pids[3];

		for (int n = 0; n < 3; n++) {
			pids[n] = fork();
			if (!pids[n]) {
				int alive = atomic_fetch_add(&crowd->alive, 1) + 1;
				int most = atomic_load(&crowd->most);

				while (alive > most &&
				       !atomic_compare_exchange_weak(&crowd->most, &most, alive))
					;
				atomic_fetch_add(&crowd->born, 1);
				atomic_fetch_sub(&crowd->alive, 1);
				_exit(0);
			}
		}
		for (int n = 0; n < 3; n++)
			if (pids[n] > 0)
				waitpid(pids[n], NULL, 0);
	}
	/* stay, so that nobody gets our room */
	atomic_fetch_add(&crowd->done, 1);
	while (atomic_load(&crowd->done) < FORKERS)
		usleep(5000);
}

/* Four that want twelve where there is room for six: never are there seven. */
TEST_LIMIT(never_one_too_many, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");
	pid_t pids[FORKERS];
	struct worker w;

	crowd = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(crowd, MAP_FAILED);
	expect(make_dir(a), 0);
	expect(write_u64(at(a, "numtasks.limit"), FORKERS + ROOM), 0);
	for (int i = 0; i < FORKERS; i++)
		pids[i] = start_in(a, fork_and_reap, NULL);
	for (int i = 0; i < FORKERS; i++)
		finish(pids[i]);
	ck_assert_int_le(crowd->most, ROOM);
	ck_assert_int_ge(crowd->born, FORKERS);
	/* all forks are over: it is exact */
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Number of successes"), crowd->born);
	w = worker_in(a);
	ck_assert_int_eq(forks_until_refused(&w), FORKERS + ROOM - 1);
	worker_end(&w);
	expect(remove_dir(a), 0);
}

/* A tree with tasks gets numtasks, loses it, and gets it again. */
TEST(binding_counts_who_is_there)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "a/b");
	struct worker w;
	pid_t pid;

	expect(make_dir(a) | make_dir(b), 0);
	w = worker_in(b);
	expect(ask(&w, 't'), 0);
	expect(ask(&w, 'f'), 0);
	pid = sleeper_in(a);
	for (int i = 0; i < 2; i++) {
		expect(remount(root, "cpuacct,numtasks"), 0);
		ck_assert_uint_eq(numtasks_stat(b, "Current usage"), 3);
		ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 4);
		expect(ask(&w, 'v'), 0);
		/* the limits of last time are forgotten */
		expect(write_file(at(a, "numtasks.limit"), "4"), 0);
		expect(ask(&w, 'v'), EAGAIN);
		expect(remount(root, "cpuacct"), 0);
		ck_assert(!exists(at(a, "numtasks.limit")));
		expect(ask(&w, 'v'), 0);
	}
	/* somebody is born and somebody exits while nobody counts here */
	expect(ask(&w, 'f'), 0);
	stop(pid);
	expect(remount(root, "cpuacct,numtasks"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 4);
	worker_end(&w);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 0);
	expect(remove_dir(b) | remove_dir(a), 0);
}

/* What the kernel makes for a child that is refused is gone with it, and the reason stays. */
TEST(a_refused_clone_leaves_no_container)
{
	char *root = mount_hierarchy("ns,numtasks"), *a = at(root, "a"), *why;
	struct worker w;

	expect(make_dir(a), 0);
	expect(write_file(at(a, "numtasks.limit"), "2"), 0);
	w = worker_in(a);
	expect(ask(&w, 'n'), 0);
	ck_assert_int_eq(directories_in(a), 1);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 2);
	ck_assert_str_eq(read_file(at(a, "why")), "");
	expect(ask(&w, 'n'), EAGAIN);
	ck_assert_int_eq(directories_in(a), 1);
	why = read_file(at(a, "why"));
	ck_assert_msg(strstr(why, " refused by numtasks: /a has 2 of 2 tasks (EAGAIN)\n"),
		      "why reads \"%s\"", why);
	ck_assert_uint_eq(read_field(at(a, "why"), "task"), w.pid);
	expect(ask(&w, 'n'), EAGAIN);
	ck_assert_uint_eq(read_field(at(a, "why"), "count"), 2);
	worker_end(&w);
	eventually(directories_in(a) == 0, 10);
	expect(remove_dir(a), 0);
}

/* Threads of all processes that have not exited, as /proc has them. */
static int living(void)
{
	DIR *d = opendir("/proc"), *t;
	struct dirent *e, *f;
	char path[600], *text, *state;
	int n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d))) {
		if (atoi(e->d_name) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task", e->d_name);
		t = opendir(path);
		while (t && (f = readdir(t))) {
			snprintf(path, sizeof(path), "/proc/%s/task/%s/stat", e->d_name, f->d_name);
			if (atoi(f->d_name) <= 0 || try_read(path, &text))
				continue;
			state = strrchr(text, ')');
			n += state && !strchr("ZX", state[2]);
			free(text);
		}
		if (t)
			closedir(t);
	}
	closedir(d);
	return n;
}

/* Kernel threads come and go: there must be a moment in which it is the same. */
TEST(the_root_has_all_tasks)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");
	struct worker w;

	expect(make_dir(a), 0);
	w = worker_in(a);
	expect(ask(&w, 'f'), 0);
	expect(ask(&w, 't'), 0);
	eventually((int)numtasks_stat(root, "Current usage") == living(), 10);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 3);
	worker_end(&w);
	eventually((int)numtasks_stat(root, "Current usage") == living(), 10);
	expect(remove_dir(a), 0);
}

static void *exit_at_once(void *unused)
{
	return unused;
}

/* Makes and reaps processes, with and without memory of their own, and threads, as fast as it can. */
static void come_and_go(void *unused)
{
	(void)unused;
	for (;;) {
		pid_t pid = fork();
		pthread_t thread;

		if (!pid)
			_exit(0);
		ck_assert_msg(pid > 0, "fork: %s", error_name(errno));
		if (!pthread_create(&thread, NULL, exit_at_once, NULL))
			pthread_join(thread, NULL);
		/* the first one after an exec has Linux make a table for futexes, which sleeps */
		pid_t young = vfork();

		if (!young)
			execl("/bin/true", "true", NULL), _exit(1);
		waitpid(young, NULL, 0);
		waitpid(pid, NULL, 0);
	}
}

static void signal_all(pid_t *pid, int nr, int sig)
{
	for (int i = 0; i < nr; i++)
		ck_assert_int_eq(kill(pid[i], sig), 0);
}

/*
 * While it is mounted nowhere numtasks is not told of forks and exits. So mounting counts who is
 * there, and then no birth is missed and no exit counted that it was not told of,
 * whoever is just being born or just leaving.
 */
TEST_LIMIT(mounting_counts_who_is_there, 60)
{
	pid_t pid[3];
	char *root;

	for (int i = 0; i < 3; i++)
		pid[i] = start(come_and_go, NULL);
	for (int i = 0; i < 12; i++) {
		root = mount_hierarchy("numtasks");
		/* some are born and leave after it has counted */
		usleep(10000);
		/* stopped: only kernel threads come and go, so there is a moment for the sum to be right */
		signal_all(pid, 3, SIGSTOP);
		eventually((int)numtasks_stat(root, "Current usage") == living(), 10);
		signal_all(pid, 3, SIGCONT);
		ck_assert_msg(!umount(root), "umount: %s", error_name(errno));
		usleep(10000);
	}
	for (int i = 0; i < 3; i++)
		stop(pid[i]);
}
