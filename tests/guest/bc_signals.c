// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: signals that are queued, and POSIX timers. What the bounds do is looked for in what sigqueue(),
 * kill() and timer_create() say and in what the receiver gets, and what is held is compared with what
 * /proc/PID/status has of the user (SigQ). (jobs 1 4 4@debug)
 */
#include "lib-bc.h"
#include "lib-numtasks.h"
#include "lib-rebind.h"
#include "lib-users.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define SOON 10
#define TIMERS 50

#define signals(container, number) amount(container, "numsiginfo", number)

static void set_signals(const char *container, unsigned long barrier, unsigned long limit)
{
	char text[64];

	snprintf(text, sizeof(text), "numsiginfo %lu %lu\n", barrier, limit);
	expect(write_file(at(container, "bc.set"), text), 0);
}

/* Of all processes of its user. */
static unsigned long queued_for(pid_t pid)
{
	char *path = at("/proc", "%d/status", pid), *text = read_file(path);
	char *line = strstr(text, "\nSigQ:");
	unsigned long n;

	ck_assert_ptr_nonnull(line);
	ck_assert_int_eq(sscanf(line, "\nSigQ: %lu/", &n), 1);
	free(text);
	free(path);
	return n;
}

/* All that is not a default of the tests. */
static void block(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGUSR1);
	sigaddset(set, SIGUSR2);
	for (int sig = SIGRTMIN; sig <= SIGRTMAX; sig++)
		sigaddset(set, sig);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, set, NULL), 0);
}

static void be_deaf(struct actor *actor)
{
	sigset_t set;

	(void)actor;
	block(&set);
}

static struct actor *deaf_in(const char *container)
{
	struct actor *actor = actor_in(container);

	act(actor, be_deaf, 0);
	return actor;
}

/* 0 or an errno. */
static int queue_to(pid_t pid, int sig, int value)
{
	return sigqueue(pid, sig, (union sigval){ .sival_int = value }) ? errno : 0;
}

/* Sends itself up to ARG signals; how many, and a->seed: the errno of the next. */
static void send_self(struct actor *actor)
{
	for (actor->result = 0; actor->result < actor->arg; actor->result++) {
		actor->seed = queue_to(getpid(), SIGRTMIN, 0);
		if (actor->seed)
			return;
	}
}

/* Takes up to ARG of what is pending; how many there were. */
static void take(struct actor *actor)
{
	const struct timespec now = { 0 };
	siginfo_t info;
	sigset_t set;

	block(&set);
	for (actor->result = 0; actor->result < actor->arg; actor->result++)
		if (sigtimedwait(&set, &info, &now) < 0)
			return;
}

/* Takes one, and says its number, and what came with it, or 0 for SI_USER of nobody. */
static void take_one(struct actor *actor)
{
	const struct timespec now = { 0 };
	siginfo_t info;
	sigset_t set;

	block(&set);
	actor->result = sigtimedwait(&set, &info, &now);
	actor->seed = info.si_code == SI_QUEUE ? info.si_value.sival_int : info.si_pid;
}

/* Makes up to ARG timers; how many, and a->seed: the errno of the next. */
static void make_timers(struct actor *actor)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1 };
	int id;

	for (actor->result = 0; actor->result < actor->arg; actor->result++) {
		actor->seed = syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) ? errno : 0;
		if (actor->seed)
			return;
	}
}

/* Timer ARG goes off, and is waited for. */
static void run_timer(struct actor *actor)
{
	const struct itimerspec soon = { .it_value = { .tv_nsec = 1 } };
	siginfo_t info;
	sigset_t set;

	block(&set);
	ck_assert_int_eq(syscall(SYS_timer_settime, (int)actor->arg, 0, &soon, NULL), 0);
	ck_assert_int_eq(sigwaitinfo(&set, &info), SIGRTMIN + 1);
	ck_assert_int_eq(info.si_code, SI_TIMER);
}

static void delete_timer(struct actor *actor)
{
	ck_assert_int_eq(syscall(SYS_timer_delete, (int)actor->arg), 0);
}

TEST(a_new_container_has_no_bound)
{
	mount_bc("b");
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numsiginfo"), "max max");
	ck_assert_uint_eq(signals(a, "held"), 0);
	ck_assert(!exists(at(root, "bc.numsiginfo.limit")) && exists(at(root, "bc.numsiginfo.maxheld")));
	ck_assert_ptr_nonnull(strstr(read_file("/proc/user_beancounters"), " numsiginfo "));
	expect(write_file(at(a, "bc.numsiginfo.barrier"), "1M"), EINVAL);
	expect(write_file(at(a, "bc.numsiginfo.barrier"), "7"), 0);
	ck_assert_str_eq(bounds(at(a, "bc.set"), "numsiginfo"), "7 max");
	remove_all();
}

TEST(the_barrier_and_the_limit)
{
	struct actor *alice, *admin;

	mount_bc("b");
	set_signals(a, 5, 8);
	alice = deaf_in(a);
	act(alice, become_alice, 0);
	ck_assert_uint_eq(act(alice, send_self, 50), 5);
	expect(alice->seed, EAGAIN);
	says(a, "signal of task ");
	says(a, " refused by bc: take some, or raise bc.numsiginfo.barrier; /a has 5 of 5 signals (EAGAIN)\n");
	ck_assert_uint_eq(read_field(at(a, "why"), "task"), alice->pid);
	ck_assert_uint_eq(signals(a, "held"), 5);
	ck_assert_uint_eq(signals(a, "failcnt"), 1);
	ck_assert_uint_eq(queued_for(alice->pid), 5);
	/* who has CAP_SYS_ADMIN has what lies between */
	admin = deaf_in(a);
	ck_assert_uint_eq(act(admin, send_self, 50), 3);
	expect(admin->seed, EAGAIN);
	says(a, "raise bc.numsiginfo.limit; /a has 8 of 8 signals (EAGAIN)\n");
	ck_assert_uint_eq(signals(a, "maxheld"), 8);
	ck_assert_uint_eq(read_field(at(a, "bc.events"), "numsiginfo.barrier_hit"), 2);
	ck_assert_uint_eq(read_field(at(a, "bc.events"), "numsiginfo.limit_hit"), 1);
	ck_assert_uint_eq(act(alice, take, 50), 5);
	ck_assert_uint_eq(signals(a, "held"), 3);
	ck_assert_uint_eq(act(alice, send_self, 50), 2);
	ck_assert_uint_eq(act(admin, take, 2), 2);
	ck_assert_uint_eq(signals(a, "minheld"), 3);
	dismiss(alice);
	dismiss(admin);
	eventually(signals(a, "held") == 0, SOON);
	remove_all();
}

/* It is for the task that has to take it, whoever sends it. */
TEST(whom_it_is_for_is_charged)
{
	struct actor *alice;

	mount_bc("a/b");
	expect(make_dir(b), 0);
	set_signals(a, 2, 2);
	alice = deaf_in(b);
	act(alice, become_alice, 0);
	expect(queue_to(alice->pid, SIGRTMIN, 1), 0);
	expect(queue_to(alice->pid, SIGRTMIN, 2), 0);
	ck_assert_uint_eq(signals(b, "held"), 2);
	/* of all above, and we are in the root, which has no bound */
	expect(queue_to(alice->pid, SIGRTMIN, 3), EAGAIN);
	says(b, "/a has 2 of 2 signals (EAGAIN)\n");
	ck_assert_str_eq(read_file(at(a, "why")), "");
	ck_assert_uint_eq(signals(a, "failcnt"), 1);
	ck_assert_uint_eq(signals(b, "failcnt"), 0);
	/* what was sent is there, what was refused is not */
	for (unsigned int i = 1; i <= 2; i++) {
		ck_assert_int_eq(act(alice, take_one, 0), SIGRTMIN);
		ck_assert_uint_eq(alice->seed, i);
	}
	ck_assert_uint_eq(act(alice, take, 5), 0);
	dismiss(alice);
	ck_assert_uint_eq(signals(a, "held"), 0);
	remove_all();
}

/* What is above has no bound for it, and does not count it. */
TEST(flat)
{
	struct actor *actor;

	mount_flat();
	set_signals(a, 0, 0);
	actor = deaf_in(b);
	ck_assert_uint_eq(act(actor, send_self, 4), 4);
	ck_assert_uint_eq(signals(b, "held"), 4);
	ck_assert_uint_eq(signals(a, "held"), 0);
	set_signals(b, 5, 5);
	ck_assert_uint_eq(act(actor, send_self, 3), 1);
	expect(actor->seed, EAGAIN);
	ck_assert_uint_eq(signals(a, "failcnt"), 0);
	dismiss(actor);
	eventually(signals(b, "held") == 0, SOON);
	remove_all();
}

/* As with RLIMIT_SIGPENDING: kill() loses nothing, and sigqueue() of what is no real-time signal loses its value. */
TEST(kill_is_never_refused)
{
	struct actor *alice;

	mount_bc("b");
	set_signals(a, 0, 0);
	alice = deaf_in(a);
	act(alice, become_alice, 0);
	expect(kill(alice->pid, SIGUSR1) ? errno : 0, 0);
	ck_assert_uint_eq(signals(a, "held"), 1);
	ck_assert_int_eq(act(alice, take_one, 0), SIGUSR1);
	ck_assert_uint_eq(alice->seed, getpid());
	ck_assert_uint_eq(signals(a, "failcnt"), 0);
	expect(queue_to(alice->pid, SIGUSR2, 77), 0);
	ck_assert_uint_eq(signals(a, "failcnt"), 1);
	/* there is no error: it comes */
	says(a, "/a has 0 of 0 signals\n");
	ck_assert_ptr_null(strstr(read_file(at(a, "why")), "\nerror "));
	ck_assert_uint_eq(signals(a, "held"), 0);
	ck_assert_int_eq(act(alice, take_one, 0), SIGUSR2);
	ck_assert_uint_eq(alice->seed, 0);
	/* a real-time one by kill() is told, once and without more */
	expect(kill(alice->pid, SIGRTMIN) ? errno : 0, 0);
	says(a, "/a has 0 of 0 signals\n");
	expect(queue_to(alice->pid, SIGRTMIN + 1, 0), EAGAIN);
	says(a, "/a has 0 of 0 signals (EAGAIN)\n");
	expect(kill(alice->pid, SIGRTMIN) ? errno : 0, 0);
	says(a, "/a has 0 of 0 signals\n");
	ck_assert_uint_eq(act(alice, take, 5), 1);
	expect(write_file(at(a, "bc.set"), "numsiginfo max max"), 0);
	expect(queue_to(alice->pid, SIGUSR2, 78), 0);
	ck_assert_int_eq(act(alice, take_one, 0), SIGUSR2);
	ck_assert_uint_eq(alice->seed, 78);
	dismiss(alice);
	remove_all();
}

TEST(timers_count)
{
	struct actor *alice;

	mount_bc("b");
	set_signals(a, 4, 4);
	alice = deaf_in(a);
	act(alice, become_alice, 0);
	ck_assert_uint_eq(act(alice, make_timers, TIMERS), 4);
	expect(alice->seed, EAGAIN);
	ck_assert_uint_eq(queued_for(alice->pid), 4);
	ck_assert_uint_eq(signals(a, "held"), 4);
	says(a, "/a has 4 of 4 signals (EAGAIN)\n");
	/* its signal is the timer's own, and needs no room */
	act(alice, run_timer, 2);
	act(alice, run_timer, 2);
	ck_assert_uint_eq(signals(a, "maxheld"), 4);
	act(alice, delete_timer, 1);
	eventually(signals(a, "held") == 3, SOON);
	ck_assert_uint_eq(act(alice, send_self, 5), 1);
	ck_assert_uint_eq(act(alice, make_timers, 1), 0);
	dismiss(alice);
	eventually(signals(a, "held") == 0, SOON);
	remove_all();
}

/* Pending with a task that is moved: charged where it was, till it is taken; the directory may go. */
TEST(rmdir_meanwhile)
{
	struct actor *actor;

	mount_bc("a/b");
	expect(make_dir(b), 0);
	actor = deaf_in(b);
	ck_assert_uint_eq(act(actor, send_self, 3), 3);
	ck_assert_uint_eq(act(actor, make_timers, 2), 2);
	expect(move_to(a, actor->pid), 0);
	ck_assert_uint_eq(signals(b, "held"), 5);
	ck_assert_uint_eq(act(actor, send_self, 1), 1);
	ck_assert_uint_eq(signals(b, "held"), 5);
	expect(remove_dir(b), 0);
	ck_assert_int_eq(hierarchy_of("bc").dying, 1);
	ck_assert_uint_eq(signals(a, "held"), 6);
	ck_assert_uint_eq(act(actor, take, 50), 4);
	ck_assert_uint_eq(signals(a, "held"), 2);
	ck_assert_int_eq(hierarchy_of("bc").dying, 1);
	act(actor, delete_timer, 0);
	act(actor, delete_timer, 1);
	eventually(signals(a, "held") == 0 && !hierarchy_of("bc").dying, SOON);
	dismiss(actor);
	remove_all();
}

/* Nobody takes them any more: all is given back with the task, also with a thread of its own. */
TEST(kill_minus_nine)
{
	struct actor *actor;

	mount_bc("b");
	for (int i = 0; i < 5; i++) {
		actor = deaf_in(a);
		ck_assert_uint_eq(act(actor, send_self, 40), 40);
		ck_assert_uint_eq(act(actor, make_timers, TIMERS), TIMERS);
		ck_assert_uint_eq(signals(a, "held"), 40 + TIMERS);
		ck_assert_int_eq(kill(actor->pid, SIGKILL), 0);
		expect_killed(actor);
		eventually(signals(a, "held") == 0, SOON);
	}
	ck_assert_uint_eq(signals(a, "maxheld"), 40 + TIMERS);
	remove_all();
}

static void *sleep_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* Its first thread goes, and another stays. */
static void leave_a_thread(void *arg)
{
	pthread_t thread;
	sigset_t set;

	(void)arg;
	block(&set);
	if (!pthread_create(&thread, NULL, sleep_on, NULL))
		syscall(SYS_exit, 0);
}

/* What is sent to such a process comes to the first thread, which is in no container any more. */
TEST(a_first_thread_that_has_gone)
{
	pid_t pid;

	mount_bc("b");
	set_signals(a, 3, 3);
	pid = start_in(a, leave_a_thread, NULL);
	eventually(!strchr("RSD", *(strrchr(read_file(at("/proc", "%d/stat", pid)), ')') + 2)), SOON);
	for (int i = 0; i < 3; i++)
		expect(queue_to(pid, SIGRTMIN, i), 0);
	ck_assert_uint_eq(signals(a, "held"), 3);
	expect(queue_to(pid, SIGRTMIN, 3), EAGAIN);
	stop(pid);
	eventually(signals(a, "held") == 0, SOON);
	remove_all();
}

#define SENDERS 4

/* Sends to two of them as long as it may, and takes what is its own. */
static void send_and_take(void *arg)
{
	const struct timespec now = { 0 };
	pid_t *pids = arg;
	siginfo_t info;
	sigset_t set;

	block(&set);
	for (unsigned int i = 0; ; i++) {
		for (int n = 0; n < SENDERS; n++)
			if (pids[n])
				queue_to(pids[n], SIGRTMIN + 1 + i % 3, i);
		while (i % 7 == 0 && sigtimedwait(&set, &info, &now) > 0)
			;
	}
}

/* They send to each other on all CPUs, are moved, and killed while they do. */
TEST_LIMIT(all_at_once_add_up, 60)
{
	pid_t pids[SENDERS] = { };
	unsigned int seed = 2006;
	sigset_t set;

	/* they are sent some before they can say so themselves */
	block(&set);
	mount_bc("a/b");
	expect(make_dir(b), 0);
	set_signals(a, 30, 30);
	for (int i = 0; i < SENDERS; i++)
		pids[i] = start_in(i % 2 ? a : b, send_and_take, pids);
	for (int round = 0; round < 40; round++) {
		int i = rand_r(&seed) % SENDERS;

		expect(move_to(rand_r(&seed) % 2 ? a : b, pids[rand_r(&seed) % SENDERS]), 0);
		if (round % 5 == 0) {
			stop(pids[i]);
			pids[i] = start_in(i % 2 ? b : a, send_and_take, pids);
		}
		usleep(2000);
	}
	for (int i = 0; i < SENDERS; i++)
		stop(pids[i]);
	eventually(signals(a, "held") == 0 && signals(b, "held") == 0, SOON);
	remove_all();
}
