// SPDX-License-Identifier: GPL-2.0-only
/*
 * bc: the beancounters' states and control files.
 *
 *	RESOURCE.held		charged now
 *	RESOURCE.maxheld, .minheld, .failcnt
 *	RESOURCE.barrier, .limit	what may be, of everybody and with CAP_SYS_ADMIN
 *	set			both bounds, of any number of resources, in one write
 *	defaults		the same, of children that are made from now on
 *	hierarchical		(root) 1: what is charged to containers that are made from
 *				now on counts in those above them, too
 *	events			which bound was met how often; wakes who waits for it
 *	reset			write 1: the marks and failcnt begin from now
 *
 * The charging is bc_charge.c's; the things that are charged are fs/container/numfiles.c's,
 * bc_numproc.c's, bc_numsiginfo.c's and mm/container/'s privvm.c's and lockedpages.c's; `events` is
 * bc_events.c's.
 *
 * Locking: bc_mutex, a leaf that sleeps, for bounds and defaults:
 * a write of several sees all and changes all. Chargers take no lock. The
 * callbacks run under container_mutex.
 *
 * Lifetime: a beancounter is what its container has, and goes with the last charge
 * after that has gone. The root's is there for ever, and is what tasks charge
 * while bc is bound nowhere, but for files and tasks: the former are Linux's to count, see bc_held(), and
 * the latter are counted when bc is bound. A thing that was charged, but for tasks, stays where it was: when its
 * task moves, when bc joins a tree (then it is the root's), when bc leaves a tree
 * or the directory is removed: then the beancounter has no directory any more,
 * and counts in those above it until the last uncharge. So there is nothing to
 * recharge, see bc_recharge().
 *
 * Surprise: the root has no bounds. It would keep them where nobody can reach
 * them, while bc is bound nowhere; file-max is the machine's limit.
 */
#include "bc.h"

#include <linux/container_why.h>
#include <linux/ctype.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

static DEFINE_MUTEX(bc_mutex);

/*
 * The file `hierarchical`. One for the tree: whoever was given a subtree could else
 * make containers in it that none of its bounds holds for.
 */
static bool bc_hierarchical = true;

const struct bc_resource_info bc_resources[BC_RESOURCES] = {
	[BC_NUMFILES] = {
		.name = "numfiles", .openvz_name = "numfile",
		.what = "open", .unit = "files", .error = -ENFILE,
		.machine = container_bc_open_files,
		.cure = {
			[BC_BARRIER] = "close some, or raise bc.numfiles.barrier",
			[BC_LIMIT] = "close some, or raise bc.numfiles.limit",
		},
		.defaults = { .barrier = 256, .limit = 512 },
	},
	[BC_NUMPROC] = {
		.name = "numproc", .openvz_name = "numproc",
		.what = "fork", .unit = "tasks", .error = -EAGAIN,
		.cure = {
			[BC_BARRIER] = "end some, or raise bc.numproc.barrier",
			[BC_LIMIT] = "end some, or raise bc.numproc.limit",
		},
		.defaults = { .barrier = BC_MAX, .limit = BC_MAX },
	},
	[BC_PRIVVMPAGES] = {
		.name = "privvmpages", .openvz_name = "privvmpages",
		.what = "growth", .unit = "pages", .in_pages = true, .error = -ENOMEM,
		.cure = {
			[BC_BARRIER] = "unmap some, or raise bc.privvmpages.barrier",
			[BC_LIMIT] = "unmap some, or raise bc.privvmpages.limit",
		},
		.defaults = { .barrier = BC_MAX, .limit = BC_MAX },
	},
	[BC_LOCKEDPAGES] = {
		.name = "lockedpages", .openvz_name = "lockedpages",
		.what = "lock", .unit = "pages", .in_pages = true, .error = -ENOMEM,
		.cure = {
			[BC_BARRIER] = "unlock some, or raise bc.lockedpages.barrier",
			[BC_LIMIT] = "unlock some, or raise bc.lockedpages.limit",
		},
		.defaults = { .barrier = BC_MAX, .limit = BC_MAX },
	},
	[BC_NUMSIGINFO] = {
		.name = "numsiginfo", .openvz_name = "numsiginfo",
		.what = "signal", .unit = "signals", .error = -EAGAIN,
		.cure = {
			[BC_BARRIER] = "take some, or raise bc.numsiginfo.barrier",
			[BC_LIMIT] = "take some, or raise bc.numsiginfo.limit",
		},
		.defaults = { .barrier = BC_MAX, .limit = BC_MAX },
	},
};

static struct bc *container_bc(struct container *cont)
{
	return css_bc(container_css(cont, &bc_subsys));
}

/* A control file's private is its resource and which number of it. */
enum bc_attr { BC_HELD, BC_MAXHELD, BC_MINHELD, BC_FAILCNT, BC_SET_BARRIER, BC_SET_LIMIT };

#define BC_PRIVATE(res, attr) ((res) << 8 | (attr))

static enum bc_attr file_attr(const struct container_file *file)
{
	return file->private & 0xff;
}

static enum bc_resource file_resource(const struct container_file *file)
{
	return file->private >> 8;
}

static struct bc_amount *file_amount(struct container *cont, const struct container_file *file)
{
	return &container_bc(cont)->amount[file_resource(file)];
}

static u64 bc_amount_read(struct container *cont, const struct container_file *file)
{
	struct bc_amount *amount = file_amount(cont, file);
	long held = bc_held(container_bc(cont), file_resource(file));

	switch (file_attr(file)) {
	case BC_MAXHELD:
		return bc_maxheld(container_bc(cont), file_resource(file), held);
	case BC_MINHELD:
		return bc_minheld(amount);
	case BC_FAILCNT:
		return atomic_long_read(&amount->failcnt);
	default:
		return held;
	}
}

static void show_bound(struct seq_file *sf, const char *before, unsigned long bound)
{
	if (bound == BC_MAX)
		seq_printf(sf, "%smax", before);
	else
		seq_printf(sf, "%s%lu", before, bound);
}

/* What is counted in pages takes a size, too. */
static int parse_bound(int res, const char *word, unsigned long *bound)
{
	int ret;

	if (!strcmp(word, "max")) {
		*bound = BC_MAX;
		return 0;
	}
	if (bc_resources[res].in_pages)
		ret = container_parse_pages(word, bound);
	else
		/* kstrtoul() takes signs */
		ret = isdigit(word[0]) ? kstrtoul(word, 10, bound) : -EINVAL;
	if (!ret && *bound > BC_MAX)
		ret = -ERANGE;
	return ret;
}

static int check_bounds(struct container *cont, const struct bc_bounds *bounds)
{
	if (bounds->barrier <= bounds->limit)
		return 0;
	return container_refuse(cont, current, &bc_subsys, "write",
				"a barrier above its limit; write both at once to bc.set", -EINVAL);
}

/* Context: bc_mutex. A charger reads one of the two words, not both. */
static void store_bounds_locked(struct bc_bounds *to, const struct bc_bounds *bounds)
{
	lockdep_assert_held(&bc_mutex);
	WRITE_ONCE(to->barrier, bounds->barrier);
	WRITE_ONCE(to->limit, bounds->limit);
}

static int bound_show(struct seq_file *sf, struct container *cont,
		      const struct container_file *file)
{
	struct bc_bounds *bounds = &file_amount(cont, file)->bounds;

	show_bound(sf, "", file_attr(file) == BC_SET_LIMIT ? READ_ONCE(bounds->limit) :
							     READ_ONCE(bounds->barrier));
	seq_putc(sf, '\n');
	return 0;
}

static int bound_write(struct container *cont, const struct container_file *file, char *buf)
{
	struct bc_amount *amount = file_amount(cont, file);
	struct bc_bounds bounds;
	unsigned long bound;
	int ret = parse_bound(file_resource(file), buf, &bound);

	if (ret)
		return ret;
	mutex_lock(&bc_mutex);
	bounds = amount->bounds;
	if (file_attr(file) == BC_SET_LIMIT)
		bounds.limit = bound;
	else
		bounds.barrier = bound;
	ret = check_bounds(cont, &bounds);
	if (!ret)
		store_bounds_locked(&amount->bounds, &bounds);
	mutex_unlock(&bc_mutex);
	return ret;
}

/* The next word, or NULL at the end. */
static char *next_word(char **buf)
{
	char *word;

	*buf = skip_spaces(*buf);
	word = strsep(buf, " \t\n");
	if (!*buf)
		*buf = word + strlen(word);
	return *word ? word : NULL;
}

/* One "RESOURCE BARRIER LIMIT". Returns the resource, or an error. */
static int parse_resource(struct container *cont, const char *name, char **buf,
			  struct bc_bounds *bounds)
{
	char *barrier = next_word(buf), *limit = next_word(buf);
	int res, ret;

	for (res = 0; res < BC_RESOURCES; res++)
		if (!strcmp(name, bc_resources[res].name))
			break;
	if (res == BC_RESOURCES)
		return container_refuse(cont, current, &bc_subsys, "write",
					"no such resource; write RESOURCE BARRIER LIMIT", -EINVAL);
	if (!barrier || !limit)
		return container_refuse(cont, current, &bc_subsys, "write",
					"a bound is missing; write RESOURCE BARRIER LIMIT", -EINVAL);
	ret = parse_bound(res, barrier, &bounds->barrier);
	if (!ret)
		ret = parse_bound(res, limit, &bounds->limit);
	if (!ret)
		ret = check_bounds(cont, bounds);
	return ret ?: res;
}

/* Any number of these, each resource at most once; @given: which. */
static int parse_set(struct container *cont, char *buf, struct bc_bounds *bounds,
		     unsigned long *given)
{
	struct bc_bounds one;
	char *name;
	int res;

	for (name = next_word(&buf); name; name = next_word(&buf)) {
		res = parse_resource(cont, name, &buf, &one);
		if (res < 0)
			return res;
		if (*given & BIT(res))
			return container_refuse(cont, current, &bc_subsys, "write",
						"a resource is there twice", -EINVAL);
		*given |= BIT(res);
		bounds[res] = one;
	}
	return *given ? 0 : -EINVAL;
}

/* `set` and `defaults` differ in where the bounds are. */
enum { BC_FILE_SET, BC_FILE_DEFAULTS };

static struct bc_bounds *set_bounds(struct bc *bc, const struct container_file *file, int res)
{
	return file->private == BC_FILE_DEFAULTS ? &bc->defaults[res] : &bc->amount[res].bounds;
}

static int set_show(struct seq_file *sf, struct container *cont, const struct container_file *file)
{
	struct bc *bc = container_bc(cont);
	struct bc_bounds *bounds;
	int res;

	mutex_lock(&bc_mutex);
	for (res = 0; res < BC_RESOURCES; res++) {
		bounds = set_bounds(bc, file, res);
		seq_puts(sf, bc_resources[res].name);
		show_bound(sf, " ", bounds->barrier);
		show_bound(sf, " ", bounds->limit);
		seq_putc(sf, '\n');
	}
	mutex_unlock(&bc_mutex);
	return 0;
}

/* All or nothing: what is wrong is found before anything is stored. */
static int set_write(struct container *cont, const struct container_file *file, char *buf)
{
	struct bc_bounds bounds[BC_RESOURCES];
	struct bc *bc = container_bc(cont);
	unsigned long given = 0;
	int res, ret;

	ret = parse_set(cont, buf, bounds, &given);
	if (ret)
		return ret;
	mutex_lock(&bc_mutex);
	for (res = 0; res < BC_RESOURCES; res++)
		if (given & BIT(res))
			store_bounds_locked(set_bounds(bc, file, res), &bounds[res]);
	mutex_unlock(&bc_mutex);
	return 0;
}

static u64 hierarchical_read(struct container *cont, const struct container_file *file)
{
	return READ_ONCE(bc_hierarchical);
}

static int hierarchical_write(struct container *cont, const struct container_file *file, u64 val)
{
	if (val > 1)
		return -ERANGE;
	WRITE_ONCE(bc_hierarchical, val);
	return 0;
}

static int reset_write(struct container *cont, const struct container_file *file, u64 val)
{
	struct bc *bc = container_bc(cont);
	int res;

	if (val != 1)
		return -ERANGE;
	for (res = 0; res < BC_RESOURCES; res++)
		bc_amount_reset(&bc->amount[res]);
	return 0;
}

/* One of each for each resource, called RESOURCE.NAME. */
static const struct container_file resource_files[] = {
	{ .name = "held", .private = BC_HELD, .read_u64 = bc_amount_read },
	{ .name = "maxheld", .private = BC_MAXHELD, .read_u64 = bc_amount_read },
	{ .name = "minheld", .private = BC_MINHELD, .read_u64 = bc_amount_read },
	{ .name = "failcnt", .private = BC_FAILCNT, .flags = CONTAINER_FILE_NOT_ON_ROOT,
	  .read_u64 = bc_amount_read },
	{ .name = "barrier", .private = BC_SET_BARRIER, .flags = CONTAINER_FILE_NOT_ON_ROOT,
	  .show = bound_show, .write = bound_write },
	{ .name = "limit", .private = BC_SET_LIMIT, .flags = CONTAINER_FILE_NOT_ON_ROOT,
	  .show = bound_show, .write = bound_write },
};

/* And one of each for all. */
static const struct container_file common_files[] = {
	{ .name = "set", .private = BC_FILE_SET, .flags = CONTAINER_FILE_NOT_ON_ROOT,
	  .show = set_show, .write = set_write },
	{ .name = "defaults", .private = BC_FILE_DEFAULTS, .show = set_show, .write = set_write },
	{ .name = "hierarchical", .flags = CONTAINER_FILE_ROOT_ONLY,
	  .read_u64 = hierarchical_read, .write_u64 = hierarchical_write },
	{ .name = "events", .flags = CONTAINER_FILE_NOT_ON_ROOT, .show = bc_events_show },
	{ .name = "reset", .write_u64 = reset_write },
};

/* All of them, and an empty one; made with the root state, before there is a tree. */
static struct container_file bc_control_files[BC_RESOURCES * ARRAY_SIZE(resource_files) +
					      ARRAY_SIZE(common_files) + 1] __ro_after_init;

/* Who counts for the root does not tell of each charge. */
static bool has_no_mark_in_root(enum bc_resource res, enum bc_attr attr)
{
	return bc_resources[res].machine && (attr == BC_MAXHELD || attr == BC_MINHELD);
}

static void make_control_files(void)
{
	struct container_file *file = bc_control_files;
	int res, i;

	for (res = 0; res < BC_RESOURCES; res++) {
		for (i = 0; i < ARRAY_SIZE(resource_files); i++, file++) {
			*file = resource_files[i];
			file->private = BC_PRIVATE(res, resource_files[i].private);
			snprintf(file->name, sizeof(file->name), "%s.%s", bc_resources[res].name,
				 resource_files[i].name);
			if (has_no_mark_in_root(res, resource_files[i].private))
				file->flags |= CONTAINER_FILE_NOT_ON_ROOT;
		}
	}
	memcpy(file, common_files, sizeof(common_files));
}

/* What a tree starts with. */
static void reset_root(struct bc *root)
{
	int res;

	mutex_lock(&bc_mutex);
	for (res = 0; res < BC_RESOURCES; res++)
		store_bounds_locked(&root->defaults[res], &bc_resources[res].defaults);
	mutex_unlock(&bc_mutex);
	WRITE_ONCE(bc_hierarchical, true);
}

static void init_root(struct bc *root)
{
	static const struct bc_bounds none = { .barrier = BC_MAX, .limit = BC_MAX };
	int res;

	make_control_files();
	reset_root(root);
	for (res = 0; res < BC_RESOURCES; res++)
		bc_amount_init(&root->amount[res], &none);
}

static void init_child(struct bc *bc, struct bc *parent)
{
	int res;

	if (READ_ONCE(bc_hierarchical))
		bc->up = parent;
	mutex_lock(&bc_mutex);
	for (res = 0; res < BC_RESOURCES; res++) {
		bc->defaults[res] = parent->defaults[res];
		bc_amount_init(&bc->amount[res], &parent->defaults[res]);
	}
	mutex_unlock(&bc_mutex);
}

static struct container_subsys_state *bc_create(struct container_subsys_state *parent)
{
	struct bc *bc = kzalloc_obj(*bc);

	if (!bc)
		return ERR_PTR(-ENOMEM);
	if (parent)
		init_child(bc, css_bc(parent));
	else
		init_root(bc);
	return &bc->css;
}

/*
 * Nobody can raise its bounds any more, and an address space may go on to charge it: it only counts
 * from now on. Those above it refuse as before.
 */
static void bc_offline(struct container_subsys_state *css)
{
	static const struct bc_bounds none = { .barrier = BC_MAX, .limit = BC_MAX };
	int res;

	mutex_lock(&bc_mutex);
	for (res = 0; res < BC_RESOURCES; res++)
		store_bounds_locked(&css_bc(css)->amount[res].bounds, &none);
	mutex_unlock(&bc_mutex);
}

static void bc_destroy(struct container_subsys_state *css)
{
	struct bc *bc = css_bc(css);

	bc_check_empty(bc);
	kfree(bc);
}

/* The root's settings are those of a tree, not of the next one. Nobody counts tasks till then. */
static void bc_bind(struct container_subsys_state *root_css, struct container *root)
{
	bc_forget(css_bc(root_css), BC_NUMPROC);
	if (!bc_subsys.hierarchy)
		reset_root(css_bc(root_css));
}

/*
 * bc leaves a tree: what is charged to the states that were in it counts in the
 * root already, but for what was flat and is no file, and does so until it is uncharged. What
 * holds it, an open file, is not to be found from here.
 */
static void bc_recharge(struct container_subsys_state *root_css)
{
}

struct container_subsys bc_subsys = {
	.create		= bc_create,
	.offline	= bc_offline,
	.destroy	= bc_destroy,
	.can_fork	= bc_can_fork,
	.cancel_fork	= bc_cancel_fork,
	.moved		= bc_moved,
	.exit		= bc_exit,
	.count		= bc_count,
	.bind		= bc_bind,
	.recharge	= bc_recharge,
	.files		= bc_control_files,
	/* a new container has bounds, which is for those who ask for them */
	.named_only	= true,
};
