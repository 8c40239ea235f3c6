// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory subsystem: states and control files.
 *
 *	page_limit	pages; soft: going over starts the handler
 *	page_max	pages; hard: a charge waits for the handler (max.c)
 *	overlimit	what the handler may do: reclaim, or only deactivate
 *	page_limit_hits	batches of charges that found the limit passed
 *	anon_pages, file_pages, mapped_pages, active_pages
 *			exact readings, descendants included
 *	stat		what the handler did, one "name value" per line
 *	events		how often a limit was met; poll(2) and inotify wake
 *	num_files, files	whose page cache it owns: files.c
 *	addfile, rmfile	claim or release a file: claim.c
 *
 * Locking: container_mutex around the callbacks. A file's write stores one
 * word and starts the handler; readings flush.
 */
#include <linux/container_memory.h>
#include <linux/container_why.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"
#include "memory.h"

static const char * const memory_policy_names[] = {
	[POLICY_RECLAIM]	= "reclaim",
	[POLICY_DEACTIVATE]	= "deactivate",
};

static const char * const memory_event_names[] = {
	[MEMORY_ROUNDS]		= "rounds",
	[MEMORY_SCANNED]	= "scanned",
	[MEMORY_DEACTIVATED]	= "deactivated",
	[MEMORY_INVALIDATED]	= "invalidated",
	[MEMORY_WRITTEN_BACK]	= "written_back",
	[MEMORY_RECLAIMED]	= "reclaimed",
	[MEMORY_SWAPPED]	= "swapped",
	[MEMORY_GIVEUPS]	= "giveups",
	[MEMORY_THROTTLED_NS]	= "throttled_ns",
	[MEMORY_MAX_HITS]	= "max_hits",
	[MEMORY_OOMS]		= "ooms",
};

static struct container_subsys_state *memory_create(struct container_subsys_state *parent)
{
	struct container_memory *memory = kzalloc_obj(*memory, GFP_KERNEL);
	int err;

	if (!memory)
		return ERR_PTR(-ENOMEM);
	/* what is flushed goes up to the parent from the first moment on */
	memory->css.parent = parent;
	memory->limit = ULONG_MAX;
	memory->max = ULONG_MAX;
	memory->said = ULONG_MAX;
	memory->victim_giveups = -1;
	init_waitqueue_head(&memory->room);
	memory->retry_at = jiffies;
	INIT_LIST_HEAD(&memory->mappings);
	INIT_DELAYED_WORK(&memory->work, memory_handler_work);
	mutex_init(&memory->handler_mutex);
	err = memory_counter_init(memory);
	if (err)
		goto free;
	err = memory_home_init(memory);
	if (!err)
		return &memory->css;
	memory_counter_exit(memory);
free:
	kfree(memory);
	return ERR_PTR(err);
}

static int memory_online(struct container_subsys_state *css)
{
	memory_counter_online(css_memory(css));
	return 0;
}

/* Freed pages that wait in the CPUs' LRU batches would keep the state dying; so would strays (sweep.c). */
static void memory_offline(struct container_subsys_state *css)
{
	struct container_memory *memory = css_memory(css);

	lru_add_drain_all();
	container_mapping_release_all(memory);
	memory_home_release_all(memory);
	memory_sweep_dead(memory);
	/* a handler that waits for its next try has a reference, too; pairs with memory_look_again() */
	smp_mb();
	if (delayed_work_pending(&memory->work))
		memory_end_retry(memory);
}

static void memory_destroy(struct container_subsys_state *css)
{
	struct container_memory *memory = css_memory(css);

	memory_counter_exit(memory);
	memory_oom_exit(memory);
	memory_home_exit(memory);
	kfree(memory);
}

static struct container_memory *container_memory(struct container *cont)
{
	return css_memory(container_css(cont, &memory_subsys));
}

/* page_limit and page_max; .private of their files */
enum { LIMIT_SOFT, LIMIT_HARD };

static unsigned long *memory_limit_of(struct container *cont, const struct container_file *file)
{
	struct container_memory *memory = container_memory(cont);

	return file->private == LIMIT_HARD ? &memory->max : &memory->limit;
}

static int limit_show(struct seq_file *sf, struct container *cont,
		      const struct container_file *file)
{
	unsigned long limit = READ_ONCE(*memory_limit_of(cont, file));

	if (limit == ULONG_MAX)
		seq_puts(sf, "max\n");
	else
		seq_printf(sf, "%lu\n", limit);
	return 0;
}

static int limit_write(struct container *cont, const struct container_file *file, char *buf)
{
	struct container_memory *memory = container_memory(cont);
	unsigned long limit;
	int err = container_parse_pages(buf, &limit);

	if (err == -ERANGE)
		return container_refuse(cont, current, &memory_subsys, "write",
					"a limit of less than a page, or too big; give pages, or 4K and more",
					err);
	if (err)
		return err;
	WRITE_ONCE(*memory_limit_of(cont, file), limit);
	memory_start_anew(memory, limit);
	/* a higher one lets go who waits */
	wake_up_all(&memory->room);
	return 0;
}

static u64 page_limit_hits_read(struct container *cont, const struct container_file *file)
{
	return atomic_long_read(&container_memory(cont)->hits);
}

/* Before a reading: without what is only charged because it waits in this CPU's LRU batch. */
static void memory_settle(struct container_memory *memory)
{
	lru_add_drain();
	memory_flush(memory);
	memory_recheck_limit(memory);
}

static u64 memory_item_read(struct container *cont, const struct container_file *file)
{
	struct container_memory *memory = container_memory(cont);

	memory_settle(memory);
	return memory_read(memory, file->private);
}

static int overlimit_show(struct seq_file *sf, struct container *cont,
			  const struct container_file *file)
{
	seq_printf(sf, "%s\n", memory_policy_names[READ_ONCE(container_memory(cont)->policy)]);
	return 0;
}

static int overlimit_write(struct container *cont, const struct container_file *file, char *buf)
{
	struct container_memory *memory = container_memory(cont);
	int policy = match_string(memory_policy_names, ARRAY_SIZE(memory_policy_names), buf);

	if (policy < 0)
		return -EINVAL;
	WRITE_ONCE(memory->policy, policy);
	memory_start_anew(memory, min(READ_ONCE(memory->limit), READ_ONCE(memory->max)));
	return 0;
}

static int memory_stat_show(struct seq_file *sf, struct container *cont,
			    const struct container_file *file)
{
	struct container_memory *memory = container_memory(cont);
	int event;

	memory_settle(memory);
	for (event = 0; event < NR_MEMORY_EVENTS; event++)
		seq_printf(sf, "%s %ld\n", memory_event_names[event],
			   atomic_long_read(&memory->events[event]));
	seq_printf(sf, "refaults %lu\n", memory_read(memory, MEMORY_REFAULT));
	/* the numbers here are exact; what a limit is compared with is not */
	seq_printf(sf, "unflushed_bound %lu\n", memory_unflushed_bound(memory));
	return 0;
}

static const struct container_file memory_files[] = {
	{ .name = "page_limit", .flags = CONTAINER_FILE_NOT_ON_ROOT, .private = LIMIT_SOFT,
	  .show = limit_show, .write = limit_write },
	{ .name = "page_max", .flags = CONTAINER_FILE_NOT_ON_ROOT, .private = LIMIT_HARD,
	  .show = limit_show, .write = limit_write },
	{ .name = "overlimit", .flags = CONTAINER_FILE_NOT_ON_ROOT,
	  .show = overlimit_show, .write = overlimit_write },
	{ .name = "page_limit_hits", .flags = CONTAINER_FILE_NOT_ON_ROOT,
	  .read_u64 = page_limit_hits_read },
	{ .name = "anon_pages", .private = MEMORY_ANON, .read_u64 = memory_item_read },
	{ .name = "file_pages", .private = MEMORY_FILE, .read_u64 = memory_item_read },
	{ .name = "mapped_pages", .private = MEMORY_MAPPED, .read_u64 = memory_item_read },
	{ .name = "active_pages", .private = MEMORY_ACTIVE, .read_u64 = memory_item_read },
	{ .name = "stat", .show = memory_stat_show },
	{ .name = "events", .flags = CONTAINER_FILE_NOT_ON_ROOT, .show = memory_events_show },
	{ .name = "num_files", .private = MEMORY_FILES, .read_u64 = memory_item_read },
	{ .name = "files", .flags = CONTAINER_FILE_OWNER_ONLY, .show = memory_files_show },
	{ .name = "addfile", .flags = CONTAINER_FILE_WRITE_OF,
	  .private = (unsigned long)memory_addfile_write },
	{ .name = "rmfile", .flags = CONTAINER_FILE_WRITE_OF | CONTAINER_FILE_NOT_ON_ROOT,
	  .private = (unsigned long)memory_rmfile_write },
	{ }
};

struct container_subsys memory_subsys = {
	.create		= memory_create,
	.online		= memory_online,
	.offline	= memory_offline,
	.destroy	= memory_destroy,
	.recharge	= memory_recharge,
	.files		= memory_files,
};
