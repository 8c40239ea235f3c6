/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Control files that need more than <linux/containers.h> gives them.
 */
#ifndef _LINUX_CONTAINER_FILES_H
#define _LINUX_CONTAINER_FILES_H

#include <linux/containers.h>

/* Flags of a control file, besides those of <linux/containers.h>. */
enum {
	CONTAINER_FILE_OWNER_ONLY = 1 << 9,	/* 0400: only the directory's owner reads it */
};

#endif /* _LINUX_CONTAINER_FILES_H */
