/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The devices of memory_stress.c: a small disk (ext4 on the guest's swap device, at /tmp/disk), still less swap, and a
 * file system of its own to be mounted and unmounted (/dev/come); the last two are null_blk's, in memory.
 */
#ifndef TESTS_GUEST_STRESS_DEVICES_H
#define TESTS_GUEST_STRESS_DEVICES_H

#include "lib-memory.h"

#include <sys/mount.h>
#include <sys/swap.h>

#define DISK_MB 8		/* less than all workers want to write there */
#define SWAP_MB 12
#define NULLB "/sys/kernel/config/nullb/%s"

/* A block device of so many MB in memory: /dev/NAME. */
static void make_device(const char *name, unsigned int mb)
{
	static const char *const set[][2] = { { "memory_backed", "1" }, { "blocksize", "4096" }, { "power", "1" } };
	char *dir = at("", NULLB, name) + 1;

	expect(make_dir(dir), 0);
	expect(write_u64(at(dir, "size"), mb), 0);
	for (unsigned int i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		expect(write_file(at(dir, "%s", set[i][0]), set[i][1]), 0);
}

static void remove_device(const char *name)
{
	char *dir = at("", NULLB, name) + 1;

	expect(write_file(at(dir, "power"), "0"), 0);
	expect(remove_dir(dir), 0);
}

/* Swap and a small file system in memory; the guest's swap device is the disk. */
static void make_devices(void)
{
	no_swap();
	mount("none", "/sys/kernel/config", "configfs", 0, NULL);
	make_device("stress", SWAP_MB);
	make_device("come", 4);
	ck_assert_int_eq(system("PATH=/usr/sbin:/sbin:$PATH; mkswap /dev/stress >/dev/null && "
				"mkfs.ext4 -q -F -b 4096 -m 0 -O ^has_journal /dev/come"), 0);
	ck_assert_msg(!swapon("/dev/stress", 0), "swapon: %s", error_name(errno));
	ck_assert_int_eq(system(at("", "PATH=/usr/sbin:/sbin:$PATH; mkfs.ext4 -q -F -b 4096 -m 0 /dev/ubdb %dM", DISK_MB) + 1), 0);
	expect(make_dir("/tmp/disk"), 0);
	expect(make_dir("/tmp/files"), 0);
	expect(make_dir("/tmp/come"), 0);
	expect(make_dir("/tmp/accounting"), 0);
	mount("none", "/tmp/accounting", "debugfs", 0, NULL);
}

static void mount_disk(void)
{
	ck_assert_msg(!mount("/dev/ubdb", "/tmp/disk", "ext4", 0, NULL), "the disk: %s", error_name(errno));
}

/* The disk has been unmounted, and there is no swap any more. */
static void remove_devices(void)
{
	remove_device("stress");
	remove_device("come");
}

#endif /* TESTS_GUEST_STRESS_DEVICES_H */
