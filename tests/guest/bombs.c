// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a neighbour has of a bomb: nothing fails for him, no bound of his is met, he does all that he set out to do, and
 * gets his part of the CPU. By counts and the scheduler's own time, not by the clock. In the debug kernel with one CPU
 * only: on four of these, of a host that has two, it is the same in twice the time. (jobs 1 4 1@debug)
 */
#include "lib-bc.h"
#include "lib-cpu.h"
#include "lib-numtasks.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#define FORKS 60
#define FILES 200

static char *bad, *good;
static struct actor *neighbour;

/* On every CPU there are several of a bomb's. */
#define BOMBERS 40

/* The neighbour has one CPU, on which the bomb is, too, as it is on all. */
static void to_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(set), &set), 0);
}

static void settle(struct actor *actor)
{
	(void)actor;
	to_one_cpu();
}

static void make_neighbours(void)
{
	root = mount_hierarchy("cpuacct,cpu,bc,numtasks");
	bad = at(root, "bad");
	good = at(root, "good");
	expect(make_dir(bad) | make_dir(good), 0);
	neighbour = quiet_actor_in(good);
	act(neighbour, settle, 0);
	expect(write_file(at(good, "bc.reset"), "1"), 0);
	expect(write_file(at(good, "numtasks.stats"), "0"), 0);
}

static void end_bomb(pid_t pid)
{
	expect(write_file(at(bad, "kill"), "1"), 0);
	wait_for(pid);
	/*
	 * Its children are init's to reap, and who exits is gone from `tasks` before it is given back, and given back
	 * before the container is without it, which rmdir asks for.
	 */
	eventually(!tasks_in(bad) && !numtasks_stat(bad, "Current usage") && !held(bad), 10);
	eventually(strstr(read_file(at(bad, "events")), "populated 0"), 10);
	dismiss(neighbour);
	expect(remove_dir(bad) | remove_dir(good), 0);
}

/* Children one by one; returns how many. */
static void fork_many(struct actor *actor)
{
	for (actor->result = 0; actor->result < actor->arg; actor->result++) {
		pid_t pid = fork();

		if (!pid)
			_exit(7);
		ck_assert_msg(pid > 0, "fork %lu: %s", actor->result, error_name(errno));
		ck_assert_int_eq(wait_for(pid), 7);
	}
}

/* Files of three kinds, in pieces that are all open at once. */
static void open_many(struct actor *actor)
{
	for (actor->result = 0; actor->result < actor->arg;) {
		int fd[40];

		for (int i = 0; i < 40; i += 4) {
			ck_assert_int_eq(pipe(fd + i), 0);
			fd[i + 2] = open("/etc/passwd", O_RDONLY);
			fd[i + 3] = open("/dev/null", O_RDWR);
			ck_assert_msg(fd[i + 2] >= 0 && fd[i + 3] >= 0, "open %lu: %s", actor->result + i, error_name(errno));
		}
		for (int i = 0; i < 40; i++)
			ck_assert_int_eq(close(fd[i]), 0);
		actor->result += 40;
	}
}

/* Nothing of his was ever refused, or came near a bound. */
static void noticed_nothing(void)
{
	static const char *const resources[] = { "numfiles", "numproc", "privvmpages", "lockedpages", "numsiginfo" };
	char *events = read_file(at(good, "bc.events")), *line;

	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(amount(good, resources[i], "failcnt"), 0);
	while ((line = strsep(&events, "\n")) && *line)
		ck_assert_str_eq(strrchr(line, ' '), " 0");
	ck_assert_uint_eq(numtasks_stat(good, "Number of failures"), 0);
	ck_assert_uint_eq(numtasks_stat(good, "Number of forkrate failures"), 0);
	ck_assert_str_eq(read_file(at(good, "why")), "");
}

/* What the neighbour does: N times, while the bomb is REFUSED. */
struct job {
	void (*work)(struct actor *actor);
	unsigned long n;
	uint64_t (*refused)(void);
};

/*
 * Again, until the bomb was refused ten times between begin and end of the work, as the one who does it reads it himself:
 * with one CPU it may be done before the bomb has its turn. Result: how often; seed: how many refusals.
 */
static void do_job(struct actor *actor)
{
	const struct job *job = (const struct job *)actor->arg;
	double end = now() + 20 * lib_slow;
	unsigned long times = 0;
	uint64_t during = 0;

	do {
		uint64_t before = job->refused();

		ck_assert_msg(now() < end, "%llu refusals in %lu times", (unsigned long long)during, times);
		actor->arg = job->n;
		job->work(actor);
		ck_assert_uint_eq(actor->result, job->n);
		during += job->refused() - before;
		times++;
	} while (during < 10);
	actor->result = times;
	actor->seed = during;
}

/* Returns how often it was done. */
static unsigned long gets_on(const struct job *job)
{
	unsigned long times = act(neighbour, do_job, (unsigned long)job);

	printf("# %lu times, %lu refusals meanwhile\n", times, neighbour->seed);
	ck_assert_uint_ge(times, 1);
	ck_assert_uint_ge(neighbour->seed, 10);
	noticed_nothing();
	return times;
}

/* What it had of that CPU. */
static uint64_t usage_of(const char *container)
{
	char *text = read_file(at(container, "cpuacct.usage_percpu"));
	uint64_t ns = strtoull(text, NULL, 10);

	free(text);
	return ns;
}

static void spin(struct actor *actor)
{
	(void)actor;
	to_one_cpu();
	spin_for_ever(NULL);
}

/*
 * Of a CPU, a container beside another one has half, however many run there: 3/8 at the least, from now on, and
 * waited for as in cpu.c. As one of all tasks it would have a fortieth, with four CPUs a tenth.
 */
static void has_its_part(void)
{
	uint64_t of_bad = usage_of(bad), of_good = usage_of(good);
	struct actor *busy = actor_in(good);
	double part, end = now() + 20 * lib_slow;

	act_begin(busy, spin, 0);
	do {
		uint64_t good_ns = usage_of(good) - of_good;
		uint64_t bad_ns = usage_of(bad) - of_bad;

		ck_assert_msg(now() < end, "%llu ms, the bomb %llu ms", (unsigned long long)(good_ns / MS),
			      (unsigned long long)(bad_ns / MS));
		usleep(50000);
		part = good_ns < 500 * MS ? 0 : (double)good_ns / (good_ns + bad_ns);
	} while (part < 0.375);
	printf("# %g of what both had\n", part);
	/* it spins: nobody would hear of an answer */
	stop(busy->pid);
	close(busy->wire);
	noticed_nothing();
}

static void fork_bomb(void *unused)
{
	(void)unused;
	for (;;)
		fork();
}

static uint64_t forks_refused(void)
{
	return numtasks_stat(bad, "Number of failures");
}

static uint64_t forks_refused_by_bc(void)
{
	return numproc(bad, "failcnt");
}

TEST_LIMIT(a_fork_bomb, 60)
{
	static const struct job forks = { fork_many, FORKS, forks_refused };
	static const struct job opens = { open_many, FILES, forks_refused };
	unsigned long times;
	pid_t pid;

	make_neighbours();
	expect(write_u64(at(bad, "numtasks.limit"), BOMBERS), 0);
	pid = start_in(bad, fork_bomb, NULL);
	eventually(forks_refused() > 100, 10);
	times = gets_on(&forks);
	gets_on(&opens);
	/* all his forks and no other */
	ck_assert_uint_eq(numtasks_stat(good, "Number of successes"), times * FORKS);
	has_its_part();
	ck_assert_int_le(tasks_in(bad), BOMBERS);
	end_bomb(pid);
}

/* The same, held by numproc. */
TEST_LIMIT(a_fork_bomb_of_a_beancounter, 60)
{
	static const struct job forks = { fork_many, FORKS, forks_refused_by_bc };
	static const struct job opens = { open_many, FILES, forks_refused_by_bc };
	pid_t pid;

	make_neighbours();
	expect(write_u64(at(bad, "bc.numproc.barrier"), BOMBERS), 0);
	expect(write_u64(at(bad, "bc.numproc.limit"), BOMBERS), 0);
	pid = start_in(bad, fork_bomb, NULL);
	eventually(forks_refused_by_bc() > 100, 10);
	gets_on(&forks);
	gets_on(&opens);
	has_its_part();
	ck_assert_uint_le(numproc(bad, "maxheld"), BOMBERS);
	end_bomb(pid);
}

/* Each of many opens what it gets, for ever. */
static void descriptor_bomb(void *unused)
{
	(void)unused;
	for (int n = 1; n < BOMBERS; n *= 2)
		fork();
	for (;;)
		/* the descriptors' table has room for more than the bound */
		open("/dev/null", O_RDONLY);
}

static uint64_t files_refused(void)
{
	return numfiles(bad, "failcnt");
}

TEST_LIMIT(a_descriptor_bomb, 60)
{
	static const struct job forks = { fork_many, FORKS, files_refused };
	static const struct job opens = { open_many, FILES, files_refused };
	pid_t pid;

	make_neighbours();
	set_bounds(bad, 256, 256);
	pid = start_in(bad, descriptor_bomb, NULL);
	eventually(files_refused() > 100, 10);
	gets_on(&forks);
	gets_on(&opens);
	/* and it has its all the time */
	ck_assert_uint_eq(held(bad), 256);
	ck_assert_uint_eq(numfiles(bad, "maxheld"), 256);
	has_its_part();
	end_bomb(pid);
}
