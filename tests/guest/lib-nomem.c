// SPDX-License-Identifier: GPL-2.0-only
/* Verbs of the suites without memory; see lib-nomem.h. */
#include "lib-nomem.h"

#include <fcntl.h>
#include <sys/mount.h>

static __thread int fail_nth;

void set_up_failslab(void)
{
	char *debugfs = new_dir();

	ck_assert_msg(!mount("none", debugfs, "debugfs", 0, NULL), "debugfs: %s", error_name(errno));
	expect(write_file(at(debugfs, "failslab/ignore-gfp-wait"), "N"), 0);
	expect(write_file(at(debugfs, "failslab/verbose"), "0"), 0);
	ck_assert_int_eq(umount(debugfs), 0);
}

void fail_allocation(int nth)
{
	char text[16];

	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ck_assert_msg(fail_nth >= 0, "fail-nth: %s", error_name(errno));
	snprintf(text, sizeof(text), "%d", nth);
	ck_assert_int_eq(pwrite(fail_nth, text, strlen(text), 0), strlen(text));
}

int allocations_to_go(void)
{
	char text[16] = "";

	ck_assert_int_gt(pread(fail_nth, text, sizeof(text) - 1, 0), 0);
	ck_assert_int_eq(pwrite(fail_nth, "0", 1, 0), 1);
	close(fail_nth);
	return atoi(text);
}
