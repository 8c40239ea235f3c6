/* SPDX-License-Identifier: GPL-2.0-only */
/* Alice, to whom a directory was given: what the suites of delegation have in common. */
#ifndef TESTS_GUEST_DELEGATE_H
#define TESTS_GUEST_DELEGATE_H

#include "lib-users.h"

#include <sys/stat.h>

static inline char *place(pid_t pid)
{
	return container_of_pid(pid, "cpuacct");
}

static char *root, *alices;

/* Alice has /alice. Names and processes of a test are set before its user() runs. */
static inline void delegate(void)
{
	root = mount_hierarchy("cpuacct");
	alices = at(root, "alice");
	ck_assert_int_eq(chmod("/tmp", 0755) | chmod(root, 0755), 0);
	expect(make_dir(alices), 0);
	give(alices, ALICE);
}

static inline void as_alice(void *arg)
{
	void (*fn)(void) = arg;

	become(ALICE);
	fn();
}

static inline void alice(void (*fn)(void))
{
	finish(start(as_alice, fn));
}

#endif
