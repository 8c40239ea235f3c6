// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.files: the files whose page cache a container and those below it own,
 * biggest first, a line each: device, inode, pages, path.
 *
 * One look is one list: it is made at once (container_mapping_list()), sorted,
 * and printed into the seq_file's buffer, without a lock that is held over a
 * copy to the reader. When the buffer is too small, seq_file asks anew with a
 * bigger one, and gets a new list.
 *
 * A path is what the reader could open: the first mount below the reader's root
 * through which one of the inode's names can be reached. A file with none that can, as in
 * a file system that is not mounted there (below an overlay, say), has its name in its file system,
 * after "(unreachable)"; one whose last name is gone has " (deleted)" after it.
 *
 * Locking: none of ours but for the list. One inode at a time is pinned with its
 * super block (container_mapping_pin()). The mounts are referenced, so that none
 * of them is unmounted but lazily while a list is printed.
 *
 * Who reads: the directory's owner. Names in directories of others, and what of
 * them is in memory, are not for everybody.
 */
#include <linux/blkdev.h>
#include <linux/container_memory.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/path.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "memory.h"

/* More than that before the list is made may come meanwhile. */
#define LIST_SLACK	16
/* So many names of a file are looked at; most have one. */
#define VIEW_NAMES	32

/**
 * struct list - one look
 * @file: the lines
 * @nr: entries of @file
 */
struct list {
	struct memory_file *file;
	unsigned long nr;
};

/**
 * struct view - where the reader stands
 * @root: its root directory
 * @mounts: at and below @root, ended by one without mnt; NULL when @root is not
 *	in the reader's mount namespace
 * @buf: PATH_MAX
 * @names: of the file that is looked at
 */
struct view {
	struct path root;
	const struct path *mounts;
	char *buf;
	struct dentry *names[VIEW_NAMES];
};

static void list_free(struct list *list)
{
	while (list->nr)
		container_mapping_put(list->file[--list->nr].cm);
	kvfree(list->file);
	list->file = NULL;
}

static int list_make(struct container_memory *memory, struct list *list)
{
	unsigned long room, found = container_mapping_list(memory, NULL, 0);

	do {
		room = found + LIST_SLACK;
		list->file = kvmalloc_array(room, sizeof(*list->file), GFP_KERNEL);
		if (!list->file)
			return -ENOMEM;
		found = container_mapping_list(memory, list->file, room);
		list->nr = min(found, room);
		if (found > room)
			list_free(list);
	} while (found > room && !fatal_signal_pending(current));
	return found > room ? -EINTR : 0;
}

static int by_pages(const void *left, const void *right)
{
	const struct memory_file *a = left, *b = right;

	if (a->pages != b->pages)
		return a->pages > b->pages ? -1 : 1;
	if (a->dev != b->dev)
		return a->dev < b->dev ? -1 : 1;
	return a->ino == b->ino ? 0 : a->ino < b->ino ? -1 : 1;
}

static int view_init(struct view *view)
{
	view->buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!view->buf)
		return -ENOMEM;
	get_fs_root(current->fs, &view->root);
	view->mounts = collect_paths(&view->root, NULL, 0);
	if (!IS_ERR(view->mounts))
		return 0;
	if (PTR_ERR(view->mounts) == -EINVAL) {
		view->mounts = NULL;
		return 0;
	}
	path_put(&view->root);
	kfree(view->buf);
	return -ENOMEM;
}

static void view_exit(struct view *view)
{
	if (view->mounts)
		drop_collected_paths(view->mounts, NULL);
	path_put(&view->root);
	kfree(view->buf);
}

/* The path by which the reader gets to a dentry, or NULL. */
static const char *view_path(const struct view *view, struct dentry *dentry)
{
	const struct path *mount;
	struct path path = { .dentry = dentry };
	char *name;

	for (mount = view->mounts; mount && mount->mnt; mount++) {
		if (mount->mnt->mnt_sb != dentry->d_sb || !is_subdir(dentry, mount->mnt->mnt_root))
			continue;
		path.mnt = mount->mnt;
		name = __d_path(&path, &view->root, view->buf, PATH_MAX);
		if (!IS_ERR_OR_NULL(name))
			return name;
	}
	return NULL;
}

/* Some of @inode's names, hard links, referenced. Returns how many. */
static unsigned int view_names(struct view *view, struct inode *inode)
{
	struct dentry *dentry;
	unsigned int nr = 0;

	guard(spinlock)(&inode->i_lock);
	hlist_for_each_entry(dentry, &inode->i_dentry, d_alias) {
		if (nr == VIEW_NAMES)
			break;
		/* one on this list is not being freed: that takes i_lock, too */
		if (!d_unhashed(dentry))
			view->names[nr++] = dget(dentry);
	}
	return nr;
}

/* The path by which the reader gets to a file, whichever of its names that is; or NULL. */
static const char *view_any_path(struct view *view, struct inode *inode)
{
	unsigned int nr = view_names(view, inode), i;
	const char *name = NULL;

	for (i = 0; i < nr; i++) {
		if (!name)
			name = view_path(view, view->names[i]);
		dput(view->names[i]);
	}
	return name;
}

static void show_dentry(struct seq_file *sf, const struct view *view, struct dentry *dentry)
{
	const char *name;

	/* memfd and System V shared memory: the name says "(deleted)" itself */
	if (dentry->d_op && dentry->d_op->d_dname) {
		name = dentry->d_op->d_dname(dentry, view->buf, PATH_MAX);
		seq_escape(sf, IS_ERR(name) ? "(name too long)" : name, "\n\\");
		return;
	}
	name = view_path(view, dentry);
	if (!name) {
		seq_puts(sf, "(unreachable)");
		name = dentry_path_raw(dentry, view->buf, PATH_MAX);
	}
	seq_escape(sf, IS_ERR(name) ? "(name too long)" : name, "\n\\");
	if (d_unlinked(dentry))
		seq_puts(sf, " (deleted)");
}

static void show_inode(struct seq_file *sf, struct view *view, struct inode *inode)
{
	const char *name = view_any_path(view, inode);
	struct dentry *dentry;

	if (name) {
		seq_escape(sf, name, "\n\\");
		return;
	}
	/* a name that is gone will do when there is no other */
	dentry = d_find_alias(inode) ?: d_find_any_alias(inode);
	if (dentry)
		show_dentry(sf, view, dentry);
	else if (S_ISBLK(inode->i_mode))
		seq_printf(sf, "(block device %u:%u)", imajor(inode), iminor(inode));
	else
		seq_puts(sf, "(no name in memory)");
	dput(dentry);
}

static void show_file(struct seq_file *sf, struct view *view, struct memory_file *file)
{
	struct inode *inode = container_mapping_pin(file->cm);

	seq_printf(sf, "%u:%u %llu %ld ", MAJOR(file->dev), MINOR(file->dev), file->ino,
		   file->pages);
	if (inode) {
		show_inode(sf, view, inode);
		container_mapping_unpin(inode);
	} else {
		seq_puts(sf, file->ino ? "(frozen, or being mounted or unmounted)" : "(gone)");
	}
	seq_putc(sf, '\n');
}

static int list_show(struct seq_file *sf, struct list *list)
{
	struct view view;
	unsigned long i;
	int err = view_init(&view);

	if (err)
		return err;
	for (i = 0; !err && i < list->nr; i++) {
		/* seq_file comes again with more room */
		if (seq_has_overflowed(sf))
			break;
		if (fatal_signal_pending(current))
			err = -EINTR;
		show_file(sf, &view, &list->file[i]);
		cond_resched();
	}
	view_exit(&view);
	return err;
}

/**
 * memory_files_show - print memory.files
 * @sf: where to
 * @cont: container
 * @file: unused
 *
 * Context: file callback; sleeps.
 * Return: 0, -ENOMEM, -EINTR (killed).
 */
int memory_files_show(struct seq_file *sf, struct container *cont,
		      const struct container_file *file)
{
	struct container_memory *memory = css_memory(container_css(cont, &memory_subsys));
	struct list list = { };
	unsigned long i;
	int err = list_make(memory, &list);

	for (i = 0; i < list.nr; i++)
		container_mapping_identify(&list.file[i]);
	if (!err) {
		sort_nonatomic(list.file, list.nr, sizeof(*list.file), by_pages, NULL);
		err = list_show(sf, &list);
	}
	list_free(&list);
	return err;
}
