// SPDX-License-Identifier: GPL-2.0-only
/*
 * The root file system: the host's files (or a disk) read-only, below an overlay whose
 * upper part is memory.
 *
 * The kernel starts with a root that has this program and an empty /mnt, read-only. All is
 * built under /mnt, which then
 * becomes the root.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init.h"

void root_early(struct guest *g)
{
	static const char *const dirs[] = {
		"/mnt/dev", "/mnt/lower", "/mnt/upper", "/mnt/work", "/mnt/root",
	};

	if (mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755,size=75%")) {
		printf("uml-init: mount tmpfs on /mnt: %s\n", strerror(errno));
		power_off(g);
	}
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		mkdir(dirs[i], 0755);
	if (mount("devtmpfs", "/mnt/dev", "devtmpfs", 0, "mode=755")) {
		printf("uml-init: mount devtmpfs: %s (the kernel needs CONFIG_DEVTMPFS)\n",
		       strerror(errno));
		power_off(g);
	}
}

static void mount_lower(struct guest *g)
{
	static const char *const types[] = { "ext4", "squashfs", "ext3", "ext2" };
	unsigned long flags = MS_RDONLY;

	if (!(g->job.head.flags & JOIN_IMAGE)) {
		if (mount("hostfs", "/mnt/lower", "hostfs", flags, g->job.root))
			die(g, 125, "mount the host's %s through hostfs: %s", g->job.root,
			    strerror(errno));
		return;
	}
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!mount("/mnt/dev/" JOIN_DEV_ROOT, "/mnt/lower", types[i], flags, NULL))
			return;
	die(g, 125, "mount the image given with --rootfs: %s: it holds neither ext4 nor squashfs "
	    "that this kernel reads", strerror(errno));
}

/* A mount that CMD can do without: the kernel may not have it. */
static int mount_if(const char *type, const char *dir, unsigned long flags, const char *opts)
{
	mkdir(dir, 0755);
	return mount(type, dir, type, flags, opts);
}

static void populate_dev(void)
{
	mount_if("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=666,mode=620");
	unlink("/dev/ptmx");
	symlink("pts/ptmx", "/dev/ptmx");
	mount_if("tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777");
	symlink("/proc/self/fd", "/dev/fd");
	symlink("/proc/self/fd/0", "/dev/stdin");
	symlink("/proc/self/fd/1", "/dev/stdout");
	symlink("/proc/self/fd/2", "/dev/stderr");
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	ioctl(fd, SIOCSIFFLAGS, &r);
	close(fd);
}

void root_enter(struct guest *g)
{
	unsigned long quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;

	mount_lower(g);
	if (mount("overlay", "/mnt/root", "overlay", 0,
		  "lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work"))
		die(g, 125, "mount an overlay over %s: %s (the kernel needs CONFIG_OVERLAY_FS)",
		    g->job.root, strerror(errno));
	mkdir("/mnt/root/dev", 0755);
	mkdir("/mnt/root/tmp", 01777);
	if (mount("/mnt/dev", "/mnt/root/dev", NULL, MS_MOVE, NULL))
		die(g, 125, "move /dev into the new root: %s", strerror(errno));
	if (chdir("/mnt/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") ||
	    chdir("/"))
		die(g, 125, "enter the new root: %s", strerror(errno));
	if (mount_if("proc", "/proc", quiet, NULL))
		die(g, 125, "mount /proc: %s", strerror(errno));
	mount_if("sysfs", "/sys", quiet, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", quiet, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", quiet, NULL);
	g->debug_files = open("/sys/kernel/debug/kmemleak", O_RDWR | O_CLOEXEC);
	if (g->debug_files < 0 && (g->job.head.flags & JOIN_LEAKS))
		die(g, 125, "--leaks: this kernel has no kmemleak: take flavour debug");
	populate_dev();
	loopback_up();
	sethostname("uml", 3);
}
