// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control files: from kernfs to the callbacks of the core and the subsystems.
 *
 * Locking: none of ours. kernfs holds an active reference on the file during
 * a callback, and whoever removes or hides it waits for that, so the container
 * is alive and its states are online throughout. Only `tasks` and `procs` need container_mutex;
 * container_attach_pid() says how they get it.
 */
#include "internal.h"

#include <linux/container_files.h>
#include <linux/container_nodes.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/panic.h>
#include <linux/pid_namespace.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

static struct container_node *seq_node(struct seq_file *sf)
{
	struct kernfs_open_file *of = sf->private;

	return of->kn->priv;
}

static int file_show(struct seq_file *sf, void *v)
{
	struct container_node *node = seq_node(sf);

	if (node->file->show)
		return node->file->show(sf, node->cont, node->file);
	/* chmod can open a file in a direction that it has no callback for */
	if (!node->file->read_u64)
		return -EINVAL;
	seq_printf(sf, "%llu\n", node->file->read_u64(node->cont, node->file));
	return 0;
}

/* What is written to a file of one number. kstrtox.h takes signs. */
int container_parse_number(const char *buf, u64 *val)
{
	return isdigit(buf[0]) ? kstrtou64(buf, 10, val) : -EINVAL;
}

static ssize_t file_write(struct kernfs_open_file *of, char *buf, size_t nbytes, loff_t off)
{
	struct container_node *node = of->kn->priv;
	u64 val;
	int ret;

	if (node->file->flags & CONTAINER_FILE_ADMIN && !container_may_administer(of->file))
		return -EPERM;
	/* "1" and a NUL byte is no number */
	if (strlen(buf) != nbytes)
		return -EINVAL;
	if (node->file->flags & CONTAINER_FILE_WRITE_OF) {
		ret = ((container_write_of *)node->file->private)(node->cont, of, buf);
		return ret ?: nbytes;
	}
	buf = strstrip(buf);
	if (node->file->write) {
		ret = node->file->write(node->cont, node->file, buf);
	} else if (node->file->write_u64) {
		ret = container_parse_number(buf, &val);
		if (!ret)
			ret = node->file->write_u64(node->cont, node->file, val);
	} else {
		ret = -EINVAL;
	}
	return ret ?: nbytes;
}

/**
 * container_write_unprotect - let the container be removed during a write
 * @of: of a container_write_of that runs
 * @cont: its container; referenced until container_write_protect()
 *
 * See container_files.h. container_write_protect() must follow, in the same function.
 */
void container_write_unprotect(struct kernfs_open_file *of, struct container *cont)
{
	container_kn_enter(of->kn, cont);
}

/* The end of what container_write_unprotect() began; the container may be dead. */
void container_write_protect(struct kernfs_open_file *of, struct container *cont)
{
	container_kn_leave(of->kn, cont);
}

static const struct kernfs_ops file_ops = {
	.seq_show		= file_show,
	.write			= file_write,
	.atomic_write_len	= CONTAINER_WRITE_MAX,
};

/*
 * `tasks` and `procs`. The position is the number itself, which makes the
 * listing sorted, restartable anywhere and free of any snapshot.
 *
 * What seq_file takes for one record is as many lines as its buffer has room for: to be asked for
 * each line costs more than the line. Where the record ends, next() learns from kernfs_open_file.priv,
 * which of->mutex protects from start() to stop().
 */
enum { MEMBER_TASKS, MEMBER_PROCS };

/* Numbers that are found at a time. */
#define MEMBERS_AT_ONCE	64
/* The longest number and a newline. */
#define MEMBER_LEN	11

static unsigned int members_find(struct seq_file *sf, pid_t from, pid_t *pids, unsigned int max)
{
	struct container_node *node = seq_node(sf);

	return container_next_pids(node->cont, task_active_pid_ns(current), from,
				   node->file->private == MEMBER_PROCS, pids, max);
}

static void *members_from(struct seq_file *sf, loff_t *pos)
{
	pid_t pid;

	if (*pos > INT_MAX - 1 || !members_find(sf, *pos, &pid, 1))
		return NULL;
	*pos = pid;
	return (void *)(unsigned long)pid;
}

static void *members_start(struct seq_file *sf, loff_t *pos)
{
	return members_from(sf, pos);
}

static void *members_next(struct seq_file *sf, void *v, loff_t *pos)
{
	struct kernfs_open_file *of = sf->private;

	*pos = (unsigned long)of->priv + 1;
	return members_from(sf, pos);
}

static void members_stop(struct seq_file *sf, void *v)
{
}

static void members_put(struct seq_file *sf, pid_t pid)
{
	struct kernfs_open_file *of = sf->private;

	seq_put_decimal_ull(sf, "", pid);
	seq_putc(sf, '\n');
	of->priv = (void *)(unsigned long)pid;
}

/* To the last byte would be too many for seq_file. */
static bool members_fit(struct seq_file *sf)
{
	return sf->count + MEMBER_LEN < sf->size;
}

static int members_show(struct seq_file *sf, void *v)
{
	pid_t pids[MEMBERS_AT_ONCE], last = (unsigned long)v;
	unsigned int i, nr;

	/* if it does not fit, seq_file comes again with more room */
	members_put(sf, last);
	do {
		nr = members_fit(sf) ? members_find(sf, last + 1, pids, ARRAY_SIZE(pids)) : 0;
		for (i = 0; i < nr && members_fit(sf); i++) {
			last = pids[i];
			members_put(sf, last);
		}
	} while (nr == ARRAY_SIZE(pids));
	return 0;
}

static ssize_t members_write(struct kernfs_open_file *of, char *buf, size_t nbytes, loff_t off)
{
	struct container_node *node = of->kn->priv;
	u64 pid;
	int ret;

	ret = container_parse_number(strstrip(buf), &pid);
	if (ret)
		return ret;
	if (pid > INT_MAX)
		return -ERANGE;
	ret = container_attach_pid(node, of->kn, pid, node->file->private == MEMBER_PROCS,
				   of->file);
	return ret ?: nbytes;
}

static const struct kernfs_ops members_ops = {
	.seq_start		= members_start,
	.seq_next		= members_next,
	.seq_stop		= members_stop,
	.seq_show		= members_show,
	.write			= members_write,
	.atomic_write_len	= CONTAINER_WRITE_MAX,
};

const struct container_file container_core_files[] = {
	{ .name = "tasks", .private = MEMBER_TASKS },
	{ .name = "procs", .private = MEMBER_PROCS },
	{ .name = "notify_on_release", .read_u64 = container_notify_read,
	  .write_u64 = container_notify_write },
	{ .name = "releasable", .read_u64 = container_releasable_read },
	{ .name = "release_agent", .show = container_release_agent_show,
	  .write = container_release_agent_write,
	  .flags = CONTAINER_FILE_ROOT_ONLY | CONTAINER_FILE_ADMIN },
	{ .name = "events", .show = container_events_show },
	{ .name = "why", .show = container_why_show },
	{ .name = "kill", .flags = CONTAINER_FILE_WRITE_OF,
	  .private = (unsigned long)container_kill_write },
	{ }
};

/* `tasks` and `procs` are the files without callbacks. */
static bool lists_members(const struct container_file *file)
{
	return !file->show && !file->read_u64 && !file->write && !file->write_u64 &&
	       !(file->flags & CONTAINER_FILE_WRITE_OF);
}

static umode_t file_mode(const struct container_file *file)
{
	umode_t mode = 0;

	if (lists_members(file))
		return 0644;
	if (file->show || file->read_u64)
		mode |= file->flags & CONTAINER_FILE_OWNER_ONLY ? 0400 : 0444;
	if (file->write || file->write_u64 || file->flags & CONTAINER_FILE_WRITE_OF)
		mode |= 0200;
	return mode;
}

static bool file_wanted(struct container *cont, const struct container_file *file)
{
	if (file->flags & CONTAINER_FILE_ROOT_ONLY)
		return container_is_root(cont);
	if (file->flags & CONTAINER_FILE_NOT_ON_ROOT)
		return !container_is_root(cont);
	return true;
}

/**
 * container_file_name - what a control file is called in a hierarchy
 * @h: hierarchy
 * @ss: whose file it is; NULL for the core's
 * @file: its name without a prefix
 * @buf: result
 * @len: size of @buf, 2 * CONTAINER_FILE_NAME_MAX
 */
void container_file_name(const struct container_hierarchy *h, const struct container_subsys *ss,
			 const char *file, char *buf, size_t len)
{
	if (ss && !(h->flags & CONTAINER_NOPREFIX))
		snprintf(buf, len, "%s.%s", ss->name, file);
	else
		strscpy(buf, file, len);
}

/* A name that @files and @others both have, in a container that has both files; or NULL. */
static const char *shared_name(const struct container_file *files,
			       const struct container_file *others)
{
	const struct container_file *file, *other;
	unsigned int flags;

	for (file = files; file && file->name[0]; file++) {
		for (other = others; other && other->name[0]; other++) {
			flags = file->flags | other->flags;
			if (!strcmp(file->name, other->name) &&
			    !(flags & CONTAINER_FILE_ROOT_ONLY && flags & CONTAINER_FILE_NOT_ON_ROOT))
				return file->name;
		}
	}
	return NULL;
}

static const char *clash_with(const struct container_file *files, unsigned long mask)
{
	struct container_subsys *ss;
	const char *name;
	int id;

	for_each_bound_subsys(ss, id, mask) {
		name = shared_name(ss->files, files);
		if (name)
			return name;
	}
	return NULL;
}

/**
 * container_files_clash - would a container without prefixes have two files of one name?
 * @mask: its subsystems
 *
 * What only children have is not there when a tree is made, and no mkdir would work in it.
 *
 * Context: any.
 * Return: the name, or NULL
 */
const char *container_files_clash(unsigned long mask)
{
	struct container_subsys *ss;
	const char *name;
	int id;

	for_each_bound_subsys(ss, id, mask) {
		name = clash_with(ss->files, mask & (BIT(id) - 1));
		if (name)
			return name;
	}
	return clash_with(container_core_files, mask);
}

/*
 * What the files of each subsystem are called with its prefix, one name behind the other. Made once:
 * to format forty names was a twentieth of a mkdir and its rmdir, and kernfs copies nothing that is
 * constant.
 */
static char file_names[4096] __ro_after_init;
static const char *first_name[CONTAINER_SUBSYS_COUNT] __ro_after_init;

static const char *name_after(const char *name)
{
	return name + strlen(name) + 1;
}

/**
 * container_files_init - make the names of control files
 *
 * Context: start_kernel(); the subsystems have their names.
 */
void __init container_files_init(void)
{
	char *next = file_names, *end = file_names + sizeof(file_names);
	const struct container_file *file;
	struct container_subsys *ss;
	int id;

	for_each_container_subsys(ss, id) {
		first_name[id] = next;
		for (file = ss->files; file && file->name[0]; file++) {
			next += scnprintf(next, end - next, "%s.%s", ss->name, file->name) + 1;
			if (next >= end)
				panic("containers: no room for the names of %s's files", ss->name);
		}
	}
}

/* @name: in the read-only data */
static int new_file(struct container *cont, struct container_files *files,
		    const struct container_file *file, const char *name)
{
	struct container_node *node = &files->node[files->nr];

	node->cont = cont;
	node->file = file;
	node->kn = container_node_new(cont->kn, name, file_mode(file),
				      lists_members(file) ? &members_ops : &file_ops, node);
	if (!node->kn)
		return -ENOMEM;
	files->nr++;
	return 0;
}

/* From this one on they are in no directory. */
static void drop_files(struct container_files *files, unsigned int first)
{
	while (files->nr > first)
		kernfs_put(files->node[--files->nr].kn);
}

/* Return: as container_files_add(); those before the one whose name is taken are there. */
static int link_files(struct container *cont, struct container_files *files, const char **clash)
{
	const struct container_file *file = NULL;
	unsigned int i;
	int ret = 0;

	container_nodes_begin(cont->kn);
	for (i = 0; i < files->nr && !ret; i++) {
		file = files->node[i].file;
		ret = container_node_link(cont->kn, files->node[i].kn);
		if (!ret && file->show == container_events_show) {
			kernfs_get(files->node[i].kn);
			cont->events_kn = files->node[i].kn;
		}
	}
	container_nodes_end(cont->kn);
	if (ret) {
		drop_files(files, i - 1);
		if (clash)
			*clash = file->name;
	}
	return ret;
}

static unsigned int count_files(const struct container_file *file)
{
	unsigned int n = 0;

	while (file && file[n].name[0])
		n++;
	return n;
}

/**
 * container_files_add - the control files of the core or of one subsystem
 * @cont: container
 * @id: of the subsystem, or CONTAINER_CORE_FILES
 * @clash: set to the file's name on failure; may be NULL
 *
 * They are not visible before kernfs_activate().
 *
 * Context: container_mutex.
 * Return: 0, -ENOMEM, or -EEXIST when two subsystems of a hierarchy without
 * prefixes have a file of the same name. What was made is there all the same:
 * for container_files_remove(), or to go with the directory.
 */
int container_files_add(struct container *cont, int id, const char **clash)
{
	const struct container_file *file = container_core_files;
	struct container_files *files = &cont->files[id];
	const char *name = NULL;
	size_t prefix = 0;
	unsigned int nr;
	int ret;

	container_assert_locked();
	if (id != CONTAINER_CORE_FILES) {
		file = container_subsystems[id]->files;
		name = first_name[id];
		if (cont->hierarchy->flags & CONTAINER_NOPREFIX)
			prefix = strlen(container_subsystems[id]->name) + 1;
	}
	nr = count_files(file);
	if (!nr)
		return 0;
	files->node = kzalloc_objs(*files->node, nr);
	if (!files->node)
		return -ENOMEM;
	for (; file->name[0]; file++, name = name ? name_after(name) : NULL) {
		if (!file_wanted(cont, file))
			continue;
		ret = new_file(cont, files, file, name ? name + prefix : file->name);
		if (ret) {
			drop_files(files, 0);
			if (clash)
				*clash = file->name;
			return ret;
		}
	}
	return link_files(cont, files, clash);
}

/**
 * container_files_show - hide the files of a subsystem, or show them again
 * @cont: container
 * @id: of the subsystem
 * @show: which
 *
 * Waits for callbacks that run; none begins as long as they are hidden, and an
 * open file gives ENODEV. No memory is needed for the way back.
 *
 * Context: container_mutex.
 */
void container_files_show(struct container *cont, int id, bool show)
{
	struct container_files *files = &cont->files[id];
	unsigned int i;

	container_assert_locked();
	for (i = 0; i < files->nr; i++) {
		kernfs_show(files->node[i].kn, show);
		if (!show)
			container_node_wake(files->node[i].kn);
	}
}

/*
 * What container_files_add() made can be seen from now on, or with the container
 * if a fork still hides that. Context: container_mutex.
 */
void container_files_activate(struct container *cont, int id)
{
	struct container_files *files = &cont->files[id];
	unsigned int i;

	container_assert_locked();
	if (test_bit(CONTAINER_HIDDEN, &cont->flags))
		return;
	for (i = 0; i < files->nr; i++)
		kernfs_activate(files->node[i].kn);
}

/* For good. Waits for callbacks, too. Context: container_mutex. */
void container_files_remove(struct container *cont, int id)
{
	struct container_files *files = &cont->files[id];

	container_assert_locked();
	while (files->nr)
		kernfs_remove(files->node[--files->nr].kn);
	kfree(files->node);
	files->node = NULL;
}

/* At the end of a container: the nodes have gone with the directory. */
void container_files_free(struct container *cont)
{
	int id;

	for (id = 0; id < ARRAY_SIZE(cont->files); id++)
		kfree(cont->files[id].node);
}

/**
 * container_add_files - all control files of a new container
 * @cont: container whose directory is not active yet; no two files of it have one name (container_files_clash())
 *
 * Context: container_mutex.
 * Return: as container_files_add(). What was made goes with the directory.
 */
int container_add_files(struct container *cont)
{
	struct container_subsys *ss;
	int id, ret;

	ret = container_files_add(cont, CONTAINER_CORE_FILES, NULL);
	for_each_bound_subsys(ss, id, cont->hierarchy->subsys_mask) {
		if (ret)
			break;
		ret = container_files_add(cont, id, NULL);
	}
	return ret;
}

int container_parse_pages(const char *buf, unsigned long *pages)
{
	unsigned long long bytes;
	const char *suffixes = "KMGT", *suffix;
	char digits[24];
	size_t len = strlen(buf);
	int ret;

	if (!strcmp(buf, "max")) {
		*pages = ULONG_MAX;
		return 0;
	}
	if (!isdigit(buf[0]))
		return -EINVAL;
	suffix = strchr(suffixes, toupper(buf[len - 1]));
	if (!suffix)
		return kstrtoul(buf, 10, pages);
	if (len > sizeof(digits))
		return -ERANGE;
	/* kstrtoull() would overlook a newline before the suffix */
	if (!isdigit(buf[len - 2]))
		return -EINVAL;
	strscpy(digits, buf, len);
	ret = kstrtoull(digits, 10, &bytes);
	if (ret)
		return ret;
	if (check_mul_overflow(bytes, 1ULL << (10 * (suffix - suffixes + 1)), &bytes))
		return -ERANGE;
	*pages = bytes >> PAGE_SHIFT;
	/* who wrote that meant another letter, and would get a limit of nothing */
	return *pages || !bytes ? 0 : -ERANGE;
}
