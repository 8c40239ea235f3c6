// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subsystem ns without memory: the first, second, ... allocation of an
 * unshare or a clone fails, until one call has fewer. Each time the caller is
 * where it was and has the namespace it had, or the call has worked.
 * (jobs 1@debug): fault injection is not in the other kernels.
 */
#include "lib-nomem.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SOON 10

static char *uts(void)
{
	static char name[64];
	ssize_t n = readlink("/proc/thread-self/ns/uts", name, sizeof(name) - 1);

	ck_assert_int_gt(n, 0);
	name[n] = 0;
	return name;
}

#define WORKED 10
#define FAILED 11
#define ENOUGH 12

static void unshare_with(void *arg)
{
	char *before = strdup(uts());
	int ret, err;
	bool enough;

	fail_allocation((long)arg);
	ret = unshare(CLONE_NEWUTS);
	err = errno;
	enough = allocations_to_go() > 0;
	if (ret) {
		ck_assert_msg(err == ENOMEM, "allocation %ld: %s", (long)arg, error_name(err));
		ck_assert_str_eq(container_of_pid(getpid(), "ns"), "/");
		ck_assert_str_eq(uts(), before);
		_exit(FAILED);
	}
	ck_assert_str_ne(container_of_pid(getpid(), "ns"), "/");
	ck_assert_str_ne(uts(), before);
	_exit(enough ? ENOUGH : WORKED);
}

static void clone_with(void *arg)
{
	int err;
	bool enough;
	pid_t pid;

	fail_allocation((long)arg);
	pid = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, NULL, NULL, 0);
	err = errno;
	if (!pid)
		for (;;)
			pause();
	enough = allocations_to_go() > 0;
	ck_assert_str_eq(container_of_pid(getpid(), "ns"), "/");
	if (pid < 0) {
		ck_assert_msg(err == ENOMEM || err == EAGAIN, "allocation %ld: %s", (long)arg, error_name(err));
		/* at once: nobody else removes what never had a task */
		ck_assert_int_eq(hierarchy_of("ns").containers, 1);
		_exit(FAILED);
	}
	ck_assert_str_ne(container_of_pid(pid, "ns"), "/");
	stop(pid);
	_exit(enough ? ENOUGH : WORKED);
}

static void fail_each(void (*fn)(void *))
{
	int failed = 0, status;

	for (long n = 1;; n++) {
		status = wait_for(start(fn, (void *)n));
		eventually(hierarchy_of("ns").containers == 1, SOON);
		if (status == ENOUGH)
			break;
		ck_assert_int_lt(n, 1000);
		ck_assert(status == WORKED || status == FAILED);
		failed += status == FAILED;
	}
	/* the directory, its files, the states, the group: many more than these */
	ck_assert_int_ge(failed, 10);
}

TEST_LIMIT(every_allocation_of_unshare, 60)
{
	mount_hierarchy("ns");
	set_up_failslab();
	fail_each(unshare_with);
}

TEST_LIMIT(every_allocation_of_clone, 60)
{
	mount_hierarchy("cpuacct,memory,ns");
	set_up_failslab();
	fail_each(clone_with);
}
