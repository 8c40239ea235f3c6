// SPDX-License-Identifier: GPL-2.0-only
/*
 * numfiles: open files of a container, the VFS side.
 *
 * One charge per struct file that /proc/sys/fs/file-nr counts: regular files,
 * directories, pipes (two), sockets, anonymous inodes, and what only a mapping
 * still holds. The container of the task that makes the file is charged, and
 * keeps the charge until the last reference is gone, whoever has it by then. Linux counts
 * all of them per CPU, which is what the root holds: who is in the root, as everybody is while bc is
 * bound nowhere, charges nothing.
 *
 * Locking: none. The word behind the file is written before anyone else can
 * have found the file for good, and read by the one who frees it. A reader of
 * a descriptor table that meets the slab object of an earlier file may take a
 * reference in between, and be the last to put it: so a file that is refused is
 * put, not freed, and the word is valid before that.
 *
 * Lifetime: the charge has a reference to the beancounter, bc_uncharge_file() puts it.
 *
 * Not counted is what the kernel opens for itself, in Linux's words kernel_file_open() and backing_file_open(): who reads
 * a directory of an overlay, or writes to a file of one for the first time, has one file open, whatever that opens
 * below. Linux opened these as if they were the task's; that they are not is what the hunks of fs/overlayfs are about.
 *
 * Surprise: the memory for the file is there before the charge is asked for;
 * a refusal costs an allocation, and an open that is granted has one way only.
 */
#include <linux/container_bc.h>
#include <linux/err.h>
#include <linux/file.h>

/**
 * container_bc_open_files - what the machine has
 *
 * Context: any.
 * Return: what /proc/sys/fs/file-nr says.
 */
long container_bc_open_files(void)
{
	return percpu_counter_sum_positive(&nr_files);
}

/**
 * container_bc_refuse_file - a new struct file that is one too many
 * @file: not open, its one reference is the caller's; put
 * @error: why
 *
 * Context: process.
 * Return: ERR_PTR(@error).
 */
struct file *container_bc_refuse_file(struct file *file, int error)
{
	container_of(file, struct bc_file, file)->bc = NULL;
	fput(file);
	return ERR_PTR(error);
}
