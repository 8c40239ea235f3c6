// SPDX-License-Identifier: GPL-2.0-only
/* Swap, and the container that CMD runs in. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "init.h"

#define CONTAINERS "/containers"

void limits_swap(struct guest *g)
{
	if (!(g->job.head.flags & JOIN_SWAP))
		return;
	if (swapon("/mnt/dev/" JOIN_DEV_SWAP, 0))
		die(g, 125, "swapon: %s (the kernel needs CONFIG_SWAP)", strerror(errno));
}

static void container_path(struct guest *g, char *buf, size_t room, const char *file)
{
	snprintf(buf, room, CONTAINERS "/%s%s%s", g->job.container, *file ? "/" : "", file);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* Each part of the path in turn, as mkdir -p does. */
static void make_container(struct guest *g, char *path)
{
	for (char *p = path + strlen(CONTAINERS) + 1; ; p++) {
		char c = *p;

		if (c && c != '/')
			continue;
		*p = 0;
		if (mkdir(path, 0755) && errno != EEXIST)
			die(g, 125, "make the container %s: %s", path, strerror(errno));
		*p = c;
		if (!c)
			break;
	}
}

/* Write @text to a file of CMD's container. */
static void set_limit(struct guest *g, const char *file, const char *text)
{
	char path[4096];
	int err;

	container_path(g, path, sizeof(path), file);
	err = write_file(path, text);
	if (err)
		die(g, 125, "write %s to %s: %s", text, path, strerror(err));
}

/*
 * A mount without options leaves out what must be named: @name joins the tree by itself. cpuset and
 * memset, whose new containers let nobody in, give what is there all that there is.
 */
static void add_subsystem(struct guest *g, const char *name, const char *option)
{
	char names[256] = "", options[300];
	FILE *f = fopen("/proc/containers", "re");
	int err;

	/* below the heading ours is the only hierarchy */
	if (!f || fscanf(f, "%*[^\n] %*d %*d %*d %255s", names) != 1)
		die(g, 125, "/proc/containers has no hierarchy of /containers");
	fclose(f);
	snprintf(options, sizeof(options), "%s,%s", names, name);
	if (!mount("none", CONTAINERS, "container", MS_REMOUNT, options))
		return;
	err = errno;
	if (err == ENOENT)
		die(g, 125, "mount -o remount,%s: this kernel has no %s, so %s cannot hold",
		    options, name, option);
	die(g, 125, "mount -o remount,%s: %s", options, strerror(err));
}

/* Before there are containers: only CMD's shall have a bound, not those above it. */
static void add_bc(struct guest *g)
{
	int err;

	add_subsystem(g, "bc", "--files");
	err = write_file(CONTAINERS "/bc.defaults", "numfiles max max");
	if (err)
		die(g, 125, "write to bc.defaults: %s", strerror(err));
}

static void set_files(struct guest *g)
{
	char text[64];

	snprintf(text, sizeof(text), "numfiles %s %s", g->job.files, g->job.files);
	set_limit(g, "bc.set", text);
}

void limits_container(struct guest *g)
{
	char path[4096];

	if (!(g->job.head.flags & JOIN_CONTAINER))
		return;
	mkdir(CONTAINERS, 0755);
	if (mount("none", CONTAINERS, "container", 0, NULL))
		die(g, 125, "mount -t container: %s%s", strerror(errno), errno == ENODEV ?
		    ": this kernel has no containers (flavour vanilla?), so --memory, "
		    "--cpuset, --memset, --files, --tasks and --container cannot hold" : "");
	if (*g->job.files)
		add_bc(g);
	container_path(g, path, sizeof(path), "");
	make_container(g, path);
	if (*g->job.page_limit)
		set_limit(g, "memory.page_limit", g->job.page_limit);
	if (*g->job.tasks)
		set_limit(g, "numtasks.limit", g->job.tasks);
	if (*g->job.files)
		set_files(g);
	/* once the containers are there: what joins then gives them all CPUs and nodes */
	if (*g->job.cpuset) {
		add_subsystem(g, "cpuset", "--cpuset");
		set_limit(g, "cpuset.cpus", g->job.cpuset);
	}
	if (*g->job.memset) {
		add_subsystem(g, "memset", "--memset");
		set_limit(g, "memset.mems", g->job.memset);
	}
}

/* In the child that becomes CMD: 0 is the writer itself. Return: 0 or errno. */
int limits_join(struct guest *g)
{
	char path[4096];

	if (!(g->job.head.flags & JOIN_CONTAINER))
		return 0;
	container_path(g, path, sizeof(path), "tasks");
	return write_file(path, "0");
}
