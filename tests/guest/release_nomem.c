// SPDX-License-Identifier: GPL-2.0-only
/*
 * A release for which there is no memory is put off, not lost. Needs failslab.
 * (jobs 1@debug)
 */
#include "lib.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define DEBUGFS "/tmp/debugfs"
#define FAILSLAB DEBUGFS "/failslab/"
/* Of this size is the room for a path, which phase 3 of release.c allocates. */
#define CACHE "/sys/kernel/slab/kmalloc-4k/failslab"
/* Where the agent, which sees init's /tmp and not ours, leaves its word. */
#define LOG "/var/tmp/release_nomem.log"

static void fail_paths(bool fail)
{
	expect(write_file(CACHE, fail ? "1" : "0"), 0);
	expect(write_file(FAILSLAB "probability", fail ? "100" : "0"), 0);
}

static void set_up_failslab(void)
{
	expect(make_dir(DEBUGFS), 0);
	expect(mount("none", DEBUGFS, "debugfs", 0, NULL) ? errno : 0, 0);
	expect(write_file(FAILSLAB "cache-filter", "1"), 0);
	expect(write_file(FAILSLAB "ignore-gfp-wait", "N"), 0);
	expect(write_file(FAILSLAB "verbose", "0"), 0);
	expect(write_file(FAILSLAB "times", "-1"), 0);
}

/* Once, and with the path. */
static bool told(void)
{
	char *text;

	return !try_read(LOG, &text) && !strcmp(text, "/a\n");
}

TEST_LIMIT(a_release_without_memory_comes_later, 60)
{
	char *root = mount_hierarchy("none,name=nomem"), *a = at(root, "a");
	int fd = open("/var/tmp/release_nomem.sh", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	static const char agent[] = "#!/bin/sh\necho \"$1\" >>" LOG "\n";
	pid_t pid;

	ck_assert_int_eq(write(fd, agent, sizeof(agent) - 1), sizeof(agent) - 1);
	close(fd);
	unlink(LOG);
	expect(write_file(at(root, "release_agent"), "/var/tmp/release_nomem.sh"), 0);
	expect(make_dir(a), 0);
	expect(write_file(at(a, "notify_on_release"), "1"), 0);
	set_up_failslab();
	pid = sleeper_in(a);
	fail_paths(true);
	stop(pid);
	/* long enough for phases 2 and 3 on a busy machine: they take a few ms */
	usleep(500000 * lib_slow);
	fail_paths(false);
	/* it did fail: else the agent would have run by now */
	ck_assert(!exists(LOG));
	eventually(told(), 10);
	usleep(400000 * lib_slow);
	ck_assert(told());
	ck_assert_int_eq(umount(DEBUGFS), 0);
	expect(remove_dir(a), 0);
	unlink(LOG);
	unlink("/var/tmp/release_nomem.sh");
}
