// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.addfile and memory.rmfile: claim a file for a container, or pass one
 * that it owns to its parent, with all pages that are in memory.
 *
 * A text of digits is a descriptor of the writer, all else is a path, looked up
 * as the writer would open it. What an overlay shows is a file of the file
 * system below, whose page cache it is; d_real_inode() says which.
 *
 * Who may: a container over its limit drops the pages of its files, so claiming
 * one is as hard on its other users as writing to it. Who may write to a file or
 * owns it may claim it (that is mincore()'s and MADV_PAGEOUT's rule, too). Who
 * may write rmfile may as well raise the page_limit beside it.
 *
 * Locking: none during the lookup, see container_files.h; then one change under
 * memory_owner_lock, which is all or nothing. An inode that is looked at is
 * pinned by its path or its open file.
 *
 * Surprise: for a file without pages there is nothing to move, and its next
 * reader would own it. So a claim waits for the first page; a forgotten inode
 * takes it along.
 */
#include <linux/container_memory.h>
#include <linux/container_why.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernfs.h>
#include <linux/kstrtox.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/pagemap.h>

#include "memory.h"

/**
 * struct claim - what a write named
 * @path: of the file
 * @file: the descriptor, if it was one
 */
struct claim {
	struct path path;
	struct file *file;
};

static bool all_digits(const char *buf)
{
	const char *c = buf;

	while (isdigit(*c))
		c++;
	return c != buf && !*c;
}

/* May the current credentials write to it, or do they own it? */
static int may_claim(const struct path *path)
{
	struct mnt_idmap *idmap = mnt_idmap(path->mnt);
	struct inode *inode = d_inode(path->dentry);

	if (inode_owner_or_capable(idmap, inode) || !inode_permission(idmap, inode, MAY_WRITE))
		return 0;
	return -EACCES;
}

static int claim_find(struct claim *claim, const char *buf)
{
	unsigned int fd;

	/* for the kernel's own lookups that is the current directory */
	if (!*buf)
		return -ENOENT;
	if (!all_digits(buf))
		return kern_path(buf, LOOKUP_FOLLOW, &claim->path);
	if (kstrtouint(buf, 10, &fd) || fd > INT_MAX)
		return -ERANGE;
	claim->file = fget(fd);
	if (!claim->file)
		return -EBADF;
	claim->path = claim->file->f_path;
	path_get(&claim->path);
	return 0;
}

static void claim_put(struct claim *claim)
{
	path_put(&claim->path);
	if (claim->file)
		fput(claim->file);
}

/* The address space with its pages, or NULL for what has none. */
static struct address_space *claim_mapping(const struct claim *claim)
{
	struct inode *inode = d_real_inode(claim->path.dentry);
	struct address_space *mapping = NULL;

	/*
	 * A device's pages can be found when it is open. kernfs has a place for
	 * some, and none; so has the one inode of all eventfds, epolls and the like.
	 */
	if (S_ISBLK(inode->i_mode) && claim->file)
		mapping = claim->file->f_mapping;
	else if (S_ISREG(inode->i_mode) && !IS_ANON_FILE(inode) &&
		 !kernfs_node_from_dentry(claim->path.dentry))
		mapping = inode->i_mapping;
	if (!mapping || mapping->a_ops == &empty_aops || !mapping->host ||
	    mapping != &mapping->host->i_data)
		return NULL;
	return mapping;
}

/* For a reason that is no limit: of page_max tells who knows whose it is (max.c). Returns @err. */
static int claim_refuse(struct container_memory *memory, bool release, const char *reason, int err)
{
	struct container_refusal why = {
		.what = release ? "rmfile" : "addfile",
		.reason = reason,
		.ss = &memory_subsys,
		.error = err,
	};

	container_css_refuse(&memory->css, current, &why);
	return err;
}

/* Before page_max of @to, or of one above it, is compared: what CPUs have not told, there and in all that is below. */
static void claim_flush(struct container_memory *to)
{
	struct container_memory *memory, *top = to;

	for (memory = to; memory; memory = memory_parent(memory))
		if (READ_ONCE(memory->max) != ULONG_MAX)
			top = memory;
	memory_flush(top);
}

static int claim_move(const struct claim *claim, struct container_memory *memory, bool release)
{
	struct address_space *mapping = claim_mapping(claim);
	struct container_memory *to = release ? memory_parent(memory) : memory;
	struct container_mapping *cm;
	int err;

	if (!mapping)
		return claim_refuse(memory, release, "it has no page cache", -EINVAL);
	cm = container_mapping_find(mapping, GFP_KERNEL);
	if (!cm)
		return claim_refuse(memory, release, "no memory to note whose it is", -ENOMEM);
	claim_flush(to);
	err = container_mapping_move(cm, release ? memory : NULL, to);
	if (!err) {
		memory_home_move(mapping);
		memory_check_limit(to);
	} else if (err == -ENOENT) {
		claim_refuse(memory, release, "the file is not this container's own", err);
	}
	return err;
}

static int claim_write(struct container *cont, struct kernfs_open_file *of, char *buf, bool release)
{
	struct container_memory *memory = css_memory(container_css(cont, &memory_subsys));
	size_t len = strlen(buf);
	struct claim claim = { };
	int err;

	if (len && buf[len - 1] == '\n')
		buf[len - 1] = '\0';
	if (!memory_tryget(memory))
		return -ENODEV;
	container_write_unprotect(of, cont);
	err = claim_find(&claim, buf);
	if (!err) {
		err = may_claim(&claim.path);
		if (!err && of->file->f_cred != current_cred()) {
			scoped_with_creds(of->file->f_cred)
				err = may_claim(&claim.path);
		}
		if (!err)
			err = claim_move(&claim, memory, release);
		else
			claim_refuse(memory, release, "the file is neither the user's own nor writable", err);
		claim_put(&claim);
	}
	container_write_protect(of, cont);
	container_css_put(&memory->css);
	return err;
}

/**
 * memory_addfile_write - claim a file
 * @cont: container
 * @of: the open memory.addfile
 * @buf: path, or a descriptor of the writer
 *
 * Return: 0; -EINVAL (nothing with a page cache), -EACCES (neither writable nor
 * the user's own, or the path), -EBADF, -ERANGE, -ENODEV (removed meanwhile),
 * -ENOMEM (page_max, too), or what a lookup says. Nothing has changed after an error.
 */
int memory_addfile_write(struct container *cont, struct kernfs_open_file *of, char *buf)
{
	return claim_write(cont, of, buf, false);
}

/**
 * memory_rmfile_write - pass a file to the parent
 * @cont: container, not the root
 * @of: the open memory.rmfile
 * @buf: as for memory_addfile_write()
 *
 * Return: as memory_addfile_write(); -ENOENT for a file that is not @cont's own.
 */
int memory_rmfile_write(struct container *cont, struct kernfs_open_file *of, char *buf)
{
	return claim_write(cont, of, buf, true);
}
