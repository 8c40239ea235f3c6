/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Beancounters: what a resource calls, and what the VFS calls for numfiles.
 *
 * A beancounter (struct bc) is the state of the subsystem bc in one container:
 * for each resource how much is held, and two bounds. A resource charges the
 * current task's beancounter when a thing comes into being, remembers in the
 * thing which one that was, and uncharges it when the thing goes, wherever the
 * thing and the task are by then.
 */
#ifndef _LINUX_CONTAINER_BC_H
#define _LINUX_CONTAINER_BC_H

#include <linux/fs.h>

struct bc;

enum bc_resource {
	BC_NUMFILES,		/* struct file: what /proc/sys/fs/file-nr counts */
	BC_NUMPROC,		/* tasks that have not exited: threads */
	BC_RESOURCES,
};

/**
 * enum bc_severity - which bound a charge must keep
 * @BC_BARRIER: the barrier
 * @BC_LIMIT: the limit, which is never below the barrier
 * @BC_FORCE: none, the charge cannot fail
 */
enum bc_severity {
	BC_BARRIER,
	BC_LIMIT,
	BC_FORCE,
};

#ifdef CONFIG_CONTAINER_BC

struct bc *bc_charge_current(enum bc_resource res, unsigned long val);
void bc_uncharge(struct bc *bc, enum bc_resource res, unsigned long val);

/*
 * What the VFS allocates for a struct file: the beancounter follows, as the
 * path does in a struct backing_file. The slab rounds both sizes up to the
 * same one, so that no file takes more memory, and struct file is as it was.
 */
struct bc_file {
	struct file file;
	struct bc *bc;
};

#define BC_FILE_SIZE sizeof(struct bc_file)

struct file *container_bc_charge_file(struct file *file);

/*
 * The end of a struct file, in any context. One with FMODE_NOACCOUNT was never
 * charged; if it is a backing file, what follows it is something else.
 */
static inline void container_bc_uncharge_file(struct file *file)
{
	struct bc *bc;

	if (file->f_mode & FMODE_NOACCOUNT)
		return;
	bc = container_of(file, struct bc_file, file)->bc;
	if (likely(bc))
		bc_uncharge(bc, BC_NUMFILES, 1);
}

#else

#define BC_FILE_SIZE sizeof(struct file)

static inline struct file *container_bc_charge_file(struct file *file)
{
	return file;
}

static inline void container_bc_uncharge_file(struct file *file) {}

#endif /* CONFIG_CONTAINER_BC */
#endif /* _LINUX_CONTAINER_BC_H */
