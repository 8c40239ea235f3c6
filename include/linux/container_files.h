/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control files that need more than <linux/containers.h> gives them: of which
 * not everybody reads the contents, and whose writes look at files or users.
 *
 * Locking: as for other control files. A write that opens or looks up files
 * must not do so with the active reference: rmdir of the container holds its
 * directories' locks while it waits for that, and the lookup may want these. In
 * between container_write_unprotect() and container_write_protect() the
 * container may be removed, or a remount may take the subsystem away from it, so
 * a state has to be referenced before; the file's own node (of->kn->priv) is gone.
 */
#ifndef _LINUX_CONTAINER_FILES_H
#define _LINUX_CONTAINER_FILES_H

#include <linux/containers.h>

struct kernfs_open_file;

/* Flags of a control file, besides those of <linux/containers.h>. */
enum {
	CONTAINER_FILE_OWNER_ONLY = 1 << 9,	/* 0400: only the directory's owner reads it */
	CONTAINER_FILE_WRITE_OF	= 1 << 10,	/* private is a container_write_of, instead of write */
};

/**
 * typedef container_write_of - a write that knows the open file
 * @cont: container, pinned and alive
 * @of: its ->file tells who opened it; permissions have to hold for that user,
 *	and for the writer
 * @buf: what was written, NUL-terminated and without a NUL; may be changed
 *
 * Return: 0 or -errno.
 */
typedef int container_write_of(struct container *cont, struct kernfs_open_file *of, char *buf);

#ifdef CONFIG_CONTAINERS

void container_write_unprotect(struct kernfs_open_file *of, struct container *cont);
void container_write_protect(struct kernfs_open_file *of, struct container *cont);

#endif /* CONFIG_CONTAINERS */
#endif /* _LINUX_CONTAINER_FILES_H */
