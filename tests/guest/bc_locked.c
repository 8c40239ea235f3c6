// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: locked memory. What is held is compared with what /proc/PID/status says is
 * locked (VmLck), after each call that changes it. (jobs 1 4 4@debug)
 */
#include "lib-bc.h"
#include "lib-users.h"
#include "lib-vma.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

#define STEPS 200

/* An address space may have one user more for a moment: who looks at it in /proc. */
#define SOON 10

/* /a and /b. */
static void mount_both(void)
{
	mount_bc("b");
	expect(make_dir(b), 0);
}

#define locked(container, number) amount(container, "lockedpages", number)
#define pages(container) locked(container, "held")

static void set_pages(const char *container, unsigned long barrier, unsigned long limit)
{
	char text[64];

	snprintf(text, sizeof(text), "lockedpages %lu %lu", barrier, limit);
	expect(write_file(at(container, "bc.set"), text), 0);
}

/* What Linux counts, in pages. */
static unsigned long locked_of(pid_t pid)
{
	char *path = at("/proc", "%d/status", pid), *text = read_file(path), *line;
	unsigned long kb;

	line = strstr(text, "\nVmLck:");
	ck_assert_ptr_nonnull(line);
	ck_assert_int_eq(sscanf(line, "\nVmLck: %lu kB", &kb), 1);
	free(text);
	free(path);
	return kb / 4;
}

/* An actor whose address space is the container's: that of a fork in it. */
static struct actor *born_in(const char *container)
{
	return actor_born_in(container, root);
}

/* 0 or the errno of a call that says -1. */
static int result_of(long ret)
{
	return ret == -1 ? errno : 0;
}

/* Maps ARG pages, at a->mem, not locked. */
static void map_pages(struct actor *actor)
{
	actor->mem = map(NULL, actor->arg, RW, ANON);
	ck_assert_ptr_ne(actor->mem, MAP_FAILED);
}

/* Locks the first ARG of them; a->seed: the errno. */
static void lock(struct actor *actor)
{
	actor->seed = result_of(mlock(actor->mem, actor->arg * PAGE));
}

static void unlock(struct actor *actor)
{
	expect(result_of(munlock(actor->mem, actor->arg * PAGE)), 0);
}

TEST(a_new_container_has_no_bound)
{
	mount_both();
	ck_assert_str_eq(bounds(at(a, "bc.set"), "lockedpages"), "max max");
	ck_assert_uint_eq(pages(a), 0);
	ck_assert_ptr_nonnull(strstr(read_file("/proc/user_beancounters"), " lockedpages "));
	expect(write_file(at(a, "bc.lockedpages.barrier"), "1M"), 0);
	ck_assert_uint_eq(locked(a, "barrier"), 256);
	remove_all();
}

/* Each has 50 pages more; how many of them count. */
static void one_of_each(struct actor *actor)
{
	char *mem;

	switch (actor->arg) {
	case 0:
		mem = map(NULL, 50, RW, ANON);
		expect(result_of(mlock(mem, 20 * PAGE)), 0);
		expect(result_of(mlock(mem + 10 * PAGE, 20 * PAGE)), 0);
		break;
	case 1:
		mem = map(NULL, 50, RW, ANON);
		expect(result_of(mlock2(mem, 50 * PAGE, MLOCK_ONFAULT)), 0);
		break;
	case 2:
		mem = map(NULL, 50, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED);
		break;
	case 3:
		mem = map(NULL, 50, RW, ANON | MAP_LOCKED);
		expect(result_of(munlock(mem + 10 * PAGE, 10 * PAGE)), 0);
		expect(result_of(munmap(mem, 15 * PAGE)), 0);
		break;
	case 4:
		/* nothing is there, and locked it is all the same; the call says so */
		mem = map(NULL, 50, PROT_NONE, ANON);
		expect(result_of(mlock(mem, 50 * PAGE)), ENOMEM);
		break;
	default:
		mem = map(NULL, 50, RW, ANON);
	}
	ck_assert_ptr_ne(mem, MAP_FAILED);
}

TEST(what_counts)
{
	static const unsigned int counts[] = { 30, 50, 50, 30, 50, 0 };
	struct actor *actor;
	uint64_t before;

	mount_both();
	actor = born_in(a);
	for (unsigned int i = 0; i < 6; i++) {
		before = pages(a);
		ck_assert_uint_eq(before, locked_of(actor->pid));
		act(actor, one_of_each, i);
		ck_assert_msg(pages(a) == before + counts[i], "kind %u: %lu more", i, pages(a) - before);
	}
	ck_assert_uint_eq(pages(a), locked_of(actor->pid));
	dismiss(actor);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* The last refusal, by the error that its call has just returned. */
static void why_names(const char *error)
{
	char *why = read_file(at(a, "why")), line[32];

	snprintf(line, sizeof(line), "\nerror %s\n", error);
	ck_assert_msg(strstr(why, line), "why reads \"%s\", wanted error %s", why, error);
	free(why);
}

/* At the bound, with ARG pages locked at a->mem: what needs more fails, as mlock(2) and others say. */
static void at_the_bound(struct actor *actor)
{
	unsigned long n = actor->arg;
	char *mem = actor->mem, *more = map(NULL, 10, RW, ANON), *got;

	ck_assert_ptr_ne(more, MAP_FAILED);
	expect(result_of(mlock(more, PAGE)), ENOMEM);
	expect(result_of(mlock2(more, PAGE, MLOCK_ONFAULT)), ENOMEM);
	expect(result_of(mlockall(MCL_CURRENT | MCL_ONFAULT)), ENOMEM);
	why_names("ENOMEM");
	ck_assert_ptr_eq(map(NULL, 1, RW, ANON | MAP_LOCKED), MAP_FAILED);
	expect(errno, EAGAIN);
	why_names("EAGAIN");
	ck_assert_ptr_eq(mremap(mem, n * PAGE, (n + 1) * PAGE, MREMAP_MAYMOVE), MAP_FAILED);
	expect(errno, EAGAIN);
	why_names("EAGAIN");
	/* what comes from now on is to be locked: that needs no room, only what comes */
	expect(result_of(mlockall(MCL_FUTURE | MCL_ONFAULT)), 0);
	ck_assert_ptr_eq(map(NULL, 1, RW, ANON), MAP_FAILED);
	expect(errno, EAGAIN);
	why_names("EAGAIN");
	ck_assert_ptr_eq(sbrk(PAGE), (void *)-1);
	expect(errno, ENOMEM);
	why_names("ENOMEM");
	/* in the place of what is locked, locked again, moved */
	ck_assert_ptr_eq(map(mem, n, RW, ANON | MAP_LOCKED), mem);
	expect(result_of(mlock(mem, n * PAGE)), 0);
	got = more + 5 * PAGE;
	ck_assert_ptr_eq(mremap(mem, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, got), got);
	/* one page less, and there is room for one */
	expect(result_of(munlock(got, PAGE)), 0);
	expect(result_of(mlock(more, 2 * PAGE)), ENOMEM);
	expect(result_of(mlock(more, PAGE)), 0);
}

TEST(the_bound)
{
	struct actor *actor;
	char *why;

	mount_both();
	actor = born_in(a);
	set_pages(a, 100, 100);
	act(actor, map_pages, 101);
	act(actor, lock, 101);
	expect(actor->seed, ENOMEM);
	/* nothing is, not what there was room for */
	ck_assert_uint_eq(pages(a), 0);
	ck_assert_uint_eq(locked_of(actor->pid), 0);
	why = read_file(at(a, "why"));
	ck_assert_ptr_nonnull(strstr(why, "lock of task "));
	ck_assert_ptr_nonnull(strstr(why, "refused by bc: unlock some, or raise bc.lockedpages.limit; /a has 0 of 100 pages, 101 more were asked for (ENOMEM)\n"));
	ck_assert_uint_eq(read_field(at(a, "why"), "asked"), 101);
	ck_assert_uint_eq(locked(a, "failcnt"), 1);
	act(actor, lock, 100);
	expect(actor->seed, 0);
	ck_assert_uint_eq(pages(a), 100);
	act(actor, at_the_bound, 100);
	ck_assert_uint_eq(pages(a), 100);
	ck_assert_uint_eq(locked_of(actor->pid), 100);
	ck_assert_uint_eq(locked(a, "failcnt"), 9);
	/* never above, in between */
	ck_assert_uint_eq(locked(a, "maxheld"), 100);
	dismiss(actor);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* Alice has no capability, and what RLIMIT_MEMLOCK gives her. */
static void become_alice_who_may_lock(struct actor *actor)
{
	struct rlimit some = { 64 * PAGE, 64 * PAGE };

	ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &some), 0);
	become_alice(actor);
}

TEST(the_barrier_is_everybodys)
{
	struct actor *admin, *alice;

	mount_both();
	admin = born_in(a);
	alice = born_in(a);
	act(alice, become_alice_who_may_lock, 0);
	set_pages(a, 10, 15);
	act(alice, map_pages, 11);
	act(alice, lock, 11);
	expect(alice->seed, ENOMEM);
	act(alice, lock, 10);
	expect(alice->seed, 0);
	act(admin, map_pages, 6);
	act(admin, lock, 6);
	expect(admin->seed, ENOMEM);
	act(admin, lock, 5);
	expect(admin->seed, 0);
	ck_assert_uint_eq(pages(a), 15);
	act(admin, unlock, 5);
	act(alice, unlock, 3);
	ck_assert_uint_eq(pages(a), 7);
	dismiss(alice);
	dismiss(admin);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* What is above has no bound for it, and does not count it. */
TEST(flat)
{
	struct actor *actor;

	mount_flat();
	set_pages(a, 0, 0);
	actor = born_in(b);
	act(actor, map_pages, 21);
	act(actor, lock, 20);
	expect(actor->seed, 0);
	ck_assert_uint_eq(pages(b), 20);
	ck_assert_uint_eq(pages(a), 0);
	set_pages(b, 20, 20);
	act(actor, lock, 21);
	expect(actor->seed, ENOMEM);
	ck_assert_uint_eq(locked(b, "failcnt"), 1);
	ck_assert_uint_eq(locked(a, "failcnt"), 0);
	dismiss(actor);
	eventually(pages(b) == 0, SOON);
	remove_all();
}

/* A random step in an arena of mappings; any may fail. */
static void random_map(char *where, unsigned long n, unsigned int *seed)
{
	static const int kinds[] = { ANON, ANON | MAP_LOCKED, MAP_SHARED | MAP_ANONYMOUS | MAP_LOCKED,
				     ANON | MAP_NORESERVE };
	static const int prots[] = { RW, RW, PROT_READ, PROT_NONE };
	int prot = prots[rand_r(seed) / 7 % 4], kind = kinds[rand_r(seed) / 7 % 4];

	switch (rand_r(seed) / 7 % 4) {
	case 0:
		mprotect(where, n * PAGE, prot);
		break;
	case 1:
		munmap(where, n * PAGE);
		break;
	default:
		map(where, n, prot, kind);
	}
}

static void random_lock(char *where, unsigned long n, unsigned int *seed)
{
	switch (rand_r(seed) / 7 % 4) {
	case 0:
		munlock(where, n * PAGE);
		break;
	case 1:
		mlock2(where, n * PAGE, MLOCK_ONFAULT);
		break;
	default:
		mlock(where, n * PAGE);
	}
}

/* Not of pages that are not there yet: that is Linux's affair, and takes long. */
static void random_lock_all(unsigned int *seed)
{
	static const int flags[] = { MCL_CURRENT, MCL_FUTURE, MCL_CURRENT | MCL_FUTURE };

	if (rand_r(seed) / 7 % 2)
		mlockall(flags[rand_r(seed) / 7 % 3] | MCL_ONFAULT);
	else
		munlockall();
}

static void lock_step(char *where, unsigned long n, unsigned int *seed)
{
	switch (rand_r(seed) / 7 % 12) {
	case 0:
		random_lock_all(seed);
		break;
	case 1: case 2: case 3: case 4: case 5:
		random_lock(where, n, seed);
		break;
	default:
		random_map(where, n, seed);
	}
}

static void random_steps(struct actor *actor)
{
	random_vma_steps(actor, lock_step);
}

static void after_each_step(unsigned long room)
{
	struct actor *actor = born_in(a);

	if (room)
		set_pages(a, room, room);
	actor->seed = lib_seed;
	for (int i = 0; i < STEPS; i++) {
		act(actor, random_steps, 1);
		ck_assert_msg(pages(a) == locked_of(actor->pid), "step %d, seed %u: held %lu, has %lu", i,
			      lib_seed, pages(a), locked_of(actor->pid));
	}
	dismiss(actor);
	eventually(pages(a) == 0, SOON);
}

TEST_LIMIT(held_is_the_truth_after_each_step, 40)
{
	mount_both();
	after_each_step(0);
	/* some were locked, or nothing has been compared */
	ck_assert_uint_gt(locked(a, "maxheld"), 0);
	remove_all();
}

/* The same where many of them are refused, and leave nothing. */
TEST_LIMIT(and_when_they_are_refused, 40)
{
	mount_both();
	after_each_step(30);
	ck_assert_uint_gt(locked(a, "failcnt"), 0);
	ck_assert_uint_le(locked(a, "maxheld"), 30);
	remove_all();
}

/* Locks what it has, and becomes another program, which has nothing locked. */
static void lock_all_and_exec(struct actor *actor)
{
	(void)actor;
	expect(result_of(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)), 0);
	execl("/bin/sleep", "sleep", "1000", NULL);
}

TEST(fork_exec_and_kill)
{
	struct actor *actor;

	mount_both();
	actor = born_in(a);
	act(actor, map_pages, 30);
	act(actor, lock, 30);
	/* a copy has nothing locked, and may lock as much */
	act(actor, make_child, 0);
	ck_assert_uint_eq(pages(a), 30);
	ck_assert_uint_eq(locked_of(actor->pages), 0);
	act(actor, end_child, 0);
	act(actor, make_child, 1);
	ck_assert_uint_eq(pages(a), 30);
	act(actor, end_child, 0);
	kill(actor->pid, SIGKILL);
	wait_for(actor->pid);
	close(actor->wire);
	eventually(pages(a) == 0, SOON);
	actor = born_in(a);
	act_begin(actor, lock_all_and_exec, 0);
	eventually(locked(a, "maxheld") > 30 && pages(a) == 0, SOON);
	ck_assert_uint_eq(locked_of(actor->pid), 0);
	stop(actor->pid);
	close(actor->wire);
	remove_all();
}

TEST(an_address_space_stays_where_it_began)
{
	struct actor *actor;

	mount_both();
	actor = born_in(a);
	act(actor, map_pages, 30);
	act(actor, lock, 10);
	expect(move_to(b, actor->pid), 0);
	act(actor, lock, 20);
	ck_assert_uint_eq(pages(a), 20);
	ck_assert_uint_eq(pages(b), 0);
	/* with the directory gone it counts above, and its bounds, which nobody could raise, are gone */
	set_pages(a, 20, 20);
	expect(remove_dir(a), 0);
	act(actor, lock, 30);
	expect(actor->seed, 0);
	ck_assert_uint_eq(locked(root, "held"), locked_of(actor->pid));
	dismiss(actor);
	eventually(no_dying("bc"), SOON);
	expect(remove_dir(b), 0);
}

TEST_LIMIT(many_at_once, 40)
{
	struct actor *actor[4];
	unsigned long sum;

	mount_both();
	for (int i = 0; i < 4; i++)
		actor[i] = born_in(a);
	set_pages(a, 100, 100);
	for (int turn = 0; turn < 2; turn++) {
		sum = 0;
		for (int i = 0; i < 4; i++) {
			actor[i]->seed = lib_seed + turn * 4 + i;
			act_begin(actor[i], random_steps, 40);
		}
		for (int i = 0; i < 4; i++)
			act_end(actor[i]);
		for (int i = 0; i < 4; i++)
			sum += locked_of(actor[i]->pid);
		ck_assert_uint_eq(pages(a), sum);
		ck_assert_uint_le(locked(a, "maxheld"), 100);
	}
	for (int i = 0; i < 4; i++)
		act_begin(actor[i], random_steps, 40);
	/* at any moment */
	for (int i = 0; i < 4; i++)
		kill(actor[i]->pid, SIGKILL);
	for (int i = 0; i < 4; i++) {
		wait_for(actor[i]->pid);
		close(actor[i]->wire);
	}
	eventually(pages(a) == 0, SOON);
	/* children of theirs are init's to reap */
	eventually(strstr(read_file(at(a, "events")), "populated 0"), SOON);
	remove_all();
}
