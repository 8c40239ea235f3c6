// SPDX-License-Identifier: GPL-2.0-only
/* Users of the suites about delegation; see lib-users.h. */
#include "lib-users.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

void become(uid_t uid)
{
	ck_assert_int_eq(setresgid(uid, uid, uid) | setresuid(uid, uid, uid), 0);
}

static void become_and_sleep(void *arg)
{
	volatile uid_t *uid = arg;

	become(*uid);
	*uid = 0;
	for (;;)
		pause();
}

static void stay_able_and_sleep(void *arg)
{
	ck_assert_int_eq(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	become_and_sleep(arg);
}

static pid_t start_as(uid_t uid, void (*fn)(void *arg))
{
	volatile uid_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	*shared = uid;
	pid = start(fn, (void *)shared);
	/* the child has to be scheduled */
	eventually(!*shared, 10);
	return pid;
}

pid_t sleeper_of(uid_t uid)
{
	return start_as(uid, become_and_sleep);
}

pid_t sleeper_of_in(uid_t uid, const char *container)
{
	pid_t pid = sleeper_of(uid);

	expect(move_to(container, pid), 0);
	return pid;
}

pid_t able_sleeper_of_in(uid_t uid, const char *container)
{
	pid_t pid = start_as(uid, stay_able_and_sleep);

	expect(move_to(container, pid), 0);
	return pid;
}

void give(const char *dir, uid_t uid)
{
	ck_assert_int_eq(chown(dir, uid, uid), 0);
	ck_assert_int_eq(chown(at(dir, "tasks"), uid, uid), 0);
	ck_assert_int_eq(chown(at(dir, "procs"), uid, uid), 0);
}

static struct {
	const char *to;
	pid_t plain, able;
} moved;

static void move_both(void *unused)
{
	(void)unused;
	become(ALICE);
	expect(move_to(moved.to, moved.plain), 0);
	expect(write_u64(at(moved.to, "procs"), moved.able), EPERM);
	expect(write_u64(at(moved.to, "tasks"), moved.able), EPERM);
}

void more_capable_stays(const char *root, const char *a, const char *b, const char *subsys,
			const char *why)
{
	ck_assert_int_eq(chmod("/tmp", 0755) | chmod(root, 0755), 0);
	give(a, ALICE);
	give(b, ALICE);
	moved.to = b;
	moved.plain = sleeper_of_in(ALICE, a);
	moved.able = able_sleeper_of_in(ALICE, a);
	finish(start(move_both, NULL));
	ck_assert_str_eq(container_of_pid(moved.plain, subsys), "/a/b");
	ck_assert_str_eq(container_of_pid(moved.able, subsys), "/a");
	ck_assert_ptr_nonnull(strstr(read_file(at(b, "why")), why));
	/* root may do as much */
	expect(move_to(b, moved.able), 0);
	stop(moved.plain);
	stop(moved.able);
}
