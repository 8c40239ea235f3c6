/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory subsystem, private part.
 *
 *	counter.c	numbers of a container and its ancestors
 *	charge.c	whose a folio is (folio->memcg_data); the hooks
 *	mapping.c	whose a file's page cache is
 *	swapped.c, swapped.h	whose a page in swap is
 *	files.c		num_files and files: the list of these
 *	claim.c		addfile and rmfile: another owner by hand
 *	overlimit.c	the handler that brings a container under its limit
 *	throttle.c	what a task does on its way to user mode that charged too much
 *	max.c		page_max: a charge that waits for the handler, or is refused
 *	oom.c, oom.h	whom to kill when that does not help
 *	oom_owned.c	how much of an address space a container is charged for
 *	events.c	the file `events`
 *	scan_tasks.c	its walk over address spaces
 *	scan_files.c	its walk over mappings
 *	scan_strays.c	its walk over all pages, when the others find nothing
 *	sweep.c		what would keep the states of removed containers
 *	scan.c		what the walks do with a folio
 *	trace.c, owners.c	trace events of the handler; whose each page is, for tests
 *	recharge.c	passing charges to another state: all to the root, when memory leaves a tree
 *	memory.c	states and control files
 *
 * Locks, outer first:
 *
 *	handler_mutex	(per container) one handler at a time
 *	memory_oom_mutex	one victim at a time; not held while anybody waits
 *	memory_list_mutex	the list of all states, for exact readings
 *	s_umount, read, trylock	a mapping's inode stays while the handler has it
 *	mmap_lock, read, trylock	an address space while the handler walks it
 *	page table locks
 *	lru_lock	(irq safe) on and off the LRU
 *	memory_owner_lock	(irq safe) lists of mappings, owners, ->dead
 *	container_mapping.lock	(irq safe) numbers and owner of one mapping
 *	memory_host_lock	container_mapping.mapping; i_lock nests inside
 *
 * addfile and rmfile look up files before they take any of these, and without
 * the control file's active reference (container_files.h).
 *
 * Lifetime:
 *
 *	- A directly charged folio pins its state with one css reference per
 *	  page. So the state outlives the directory until the last page goes.
 *	  Whose folio it is can change at any time to the root, or a state above (recharge.c).
 *	- A container_mapping is referenced by its address space, by having
 *	  pages at all, and by whoever walks it. It pins no state: a container
 *	  that goes offline hands its mappings to its parent first.
 *	- Both are freed after a grace period: a reader of folio->memcg_data
 *	  needs rcu_read_lock() and nothing else.
 */
#ifndef _MM_CONTAINER_MEMORY_H
#define _MM_CONTAINER_MEMORY_H

#include <linux/atomic.h>
#include <linux/container_files.h>
#include <linux/containers.h>
#include <linux/llist.h>
#include <linux/mm_types.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

/* What folio->memcg_data holds besides a pointer. */
#define MEMORY_MAPPING	BIT(0)	/* to a container_mapping, else to a container_memory */
#define MEMORY_IS_FILE	BIT(1)	/* a file's page, charged directly all the same */
#define MEMORY_IS_ACTIVE BIT(2)	/* counted in MEMORY_ACTIVE; changed under lru_lock */
#define MEMORY_TAGS	(MEMORY_MAPPING | MEMORY_IS_FILE | MEMORY_IS_ACTIVE)

/* Pages that a CPU keeps to itself before it tells a container's counters. */
#define MEMORY_BATCH	32
/* Pages that the handler looks at before it lets others run. */
#define MEMORY_ROUND	1000

/* Numbers with descendants. */
enum memory_item {
	MEMORY_ANON,
	MEMORY_FILE,
	MEMORY_MAPPED,
	MEMORY_ACTIVE,
	MEMORY_FILES,		/* not pages: mappings that have some */
	MEMORY_REFAULT,		/* an event: stays where it happened */
	NR_MEMORY_ITEMS,
};

/* What the handler did for this container's own limit. */
enum memory_event {
	MEMORY_ROUNDS,
	MEMORY_SCANNED,
	MEMORY_DEACTIVATED,
	MEMORY_INVALIDATED,
	MEMORY_WRITTEN_BACK,
	MEMORY_RECLAIMED,
	MEMORY_SWAPPED,
	MEMORY_GIVEUPS,
	MEMORY_THROTTLED_NS,
	MEMORY_MAX_HITS,
	MEMORY_OOMS,
	NR_MEMORY_EVENTS,
};

enum memory_policy {
	POLICY_RECLAIM,
	POLICY_DEACTIVATE,
};

/**
 * struct memory_pending - what one CPU keeps to itself
 * @counted: all that this CPU has counted, modulo 2^32; only it writes here
 * @flushed: how much of @counted the container's numbers have; any CPU, by cmpxchg
 * @charged: pages charged here since a limit was last looked at
 * @asked: pages that were asked for here since somebody looked at page_max
 */
struct memory_pending {
	u32 counted[NR_MEMORY_ITEMS];
	atomic_t flushed[NR_MEMORY_ITEMS];
	unsigned int charged;
	unsigned int asked;
};

/**
 * struct memory_cursor - where the handler stopped; handler_mutex
 * @pid: the task to go on with
 * @addr: where in its address space
 * @tasks_done: this lap is over for address spaces
 * @files_done: and for mappings; when both are, the next begins
 * @owner: serial of the state whose mappings came last
 * @at: of the one whose turn it is; @class and @left are its
 * @class: mappings with less than 2^(class - 1) pages are not yet due; 0 to start over
 * @left: mappings of this owner still to look at in this class
 * @lap: which lap over this owner's mappings it is, of all that there were
 * @force: it takes what is in use, too
 */
struct memory_cursor {
	pid_t pid;
	unsigned long addr;
	bool tasks_done;
	bool files_done;
	u64 owner;
	u64 at;
	int class;
	long left;
	u64 lap;
	bool force;
};

/**
 * struct container_memory - the memory state of a container
 * @css: must be first
 * @serial: position in @node's list, ascending from parent to child; immutable
 * @node: entry in memory_list; memory_list_mutex
 * @count: pages with descendants, without what is pending
 * @pending: what a CPU has not told yet
 * @limit: page_limit, ULONG_MAX for none; READ_ONCE
 * @max: page_max, ULONG_MAX for none; READ_ONCE
 * @policy: enum memory_policy; READ_ONCE
 * @home: where its pages in swap return to; immutable, NULL without a number for it
 * @homes: its own, and those of states below that are gone; lock of swapped.c
 * @hits: batches of charges that found the container above its limit
 * @events: what the handler did
 * @mappings: container_mapping.node; memory_owner_lock
 * @nr_mappings: entries of @mappings; memory_owner_lock
 * @dead: offline, gets no more mappings; memory_owner_lock
 * @recharged: pages of it have been passed on; memory_list_mutex
 * @work: the handler; holds a css reference while queued
 * @handler_mutex: one handler at a time
 * @retry_at: jiffies before which a handler that gave up is not tried again by
 *	charges; racy on purpose, a hint
 * @retry_after: jiffies from the next giving up to the next try; @handler_mutex, but for a charge that finds the limit held
 * @anew: a limit or the policy was written: the next run does not rest, even if one that is under way gives up
 * @said: the limit of which `why` has been told that policy deactivate does not make it hold, ULONG_MAX for none;
 *	@handler_mutex, but for who writes a limit or a policy
 * @cursor: where the handler goes on; @handler_mutex
 * @waiters: charges that wait at page_max
 * @room: they wait here; woken after each round of the handler
 * @victim: mm_count reference on the address space of the last one that was killed;
 *	memory_oom_mutex
 * @victim_giveups: the handler's giveups when @victim was seen to be gone;
 *	memory_oom_mutex
 * @flags: of events.c, and
 * @hit: entry in its list
 */
struct container_memory {
	struct container_subsys_state css;
	u64 serial;
	struct list_head node;
	atomic_long_t count[NR_MEMORY_ITEMS];
	struct memory_pending __percpu *pending;
	unsigned long limit;
	unsigned long max;
	enum memory_policy policy;
	struct memory_home *home;
	struct list_head homes;
	atomic_long_t hits;
	atomic_long_t events[NR_MEMORY_EVENTS];
	struct list_head mappings;
	long nr_mappings;
	bool dead;
	bool recharged;
	struct delayed_work work;
	struct mutex handler_mutex;
	unsigned long retry_at;
	unsigned long retry_after;
	bool anew;
	unsigned long said;
	struct memory_cursor cursor;
	atomic_t waiters;
	wait_queue_head_t room;
	struct mm_struct *victim;
	long victim_giveups;
	unsigned long flags;
	struct llist_node hit;
};

/**
 * struct container_mapping - whose the page cache of one file is
 * @lock: irq safe
 * @refs: see the head of this file
 * @owner: where the pages are charged; @lock and memory_owner_lock to change,
 *	either to read, RCU to follow. NULL without pages.
 * @nr: pages that are charged, mapped, active; indexed by item; @lock
 * @node: entry in @owner's mappings; memory_owner_lock
 * @mapping: NULL once the inode is gone; memory_host_lock
 * @claimed: by addfile, while it had no pages: the first one will not change the
 *	owner; @lock
 * @shmem: of tmpfs or shared memory: what is not in memory may be in swap; immutable
 * @lap: the latest of all laps that had begun when somebody walked it to its end; memory_owner_lock to change,
 *	READ_ONCE
 * @next: index at which the next handler goes on; READ_ONCE, whoever stops last writes it
 * @rcu: for freeing
 */
struct container_mapping {
	spinlock_t lock;
	refcount_t refs;
	struct container_memory *owner;
	long nr[NR_MEMORY_ITEMS];
	struct list_head node;
	struct address_space *mapping;
	bool claimed;
	bool shmem;
	u64 lap;
	pgoff_t next;
	struct rcu_head rcu;
};

/**
 * struct memory_round_report - what a round of the handler did, for the trace
 * @full: it was for page_max, else for page_limit
 * @usage: pages when it began
 * @limit: the limit that it was for
 * @did: by how much each number of enum memory_event grew
 * @left: pages above where the handler stops, after the round
 */
struct memory_round_report {
	bool full;
	unsigned long usage;
	unsigned long limit;
	long did[NR_MEMORY_EVENTS];
	unsigned long left;
};

/**
 * struct memory_file - a line of memory.files
 * @cm: referenced
 * @pages: when the list was made
 * @dev: of the inode; 0 when it is gone
 * @ino: its number
 */
struct memory_file {
	struct container_mapping *cm;
	long pages;
	dev_t dev;
	u64 ino;
};

static inline struct container_memory *css_memory(struct container_subsys_state *css)
{
	return container_of(css, struct container_memory, css);
}

/* For whoever has @memory pinned and may not be in an RCU section. */
static inline bool memory_tryget(struct container_memory *memory)
{
	guard(rcu)();
	return container_css_tryget(&memory->css);
}

static inline struct container_memory *memory_parent(const struct container_memory *memory)
{
	return memory->css.parent ? css_memory(memory->css.parent) : NULL;
}

/* Is @memory @top or below it? Parents are pinned by their children. */
static inline bool memory_within(const struct container_memory *memory,
				 const struct container_memory *top)
{
	for (; memory; memory = memory_parent(memory))
		if (memory == top)
			return true;
	return false;
}

/*
 * Where the handler stops: 31/32 of the limit, so that there is room for the next batch. Each page below is one less
 * of the set that is in use: at 7/8, where it stopped in 2006, writes at the limit took a tenth longer (Documentation/bench.md).
 */
static inline unsigned long memory_stop_at(unsigned long limit)
{
	return limit - max(limit / 32, min(limit / 8, (unsigned long)MEMORY_BATCH));
}

/* At page_max: 7/8 of it, and a batch less than it, so that there is room for one. */
static inline unsigned long memory_room_at(unsigned long max)
{
	return max - min(max, max(max / 8, (unsigned long)MEMORY_BATCH));
}

/* Above this the charging task works itself: 9/8 of the limit. */
static inline unsigned long memory_throttle_at(unsigned long limit)
{
	return limit + limit / 8 < limit ? ULONG_MAX : limit + limit / 8;
}

/* counter.c */
int memory_unflushed(const struct memory_pending *pending, enum memory_item item);
void memory_count(struct container_memory *memory, enum memory_item item, long nr);
bool memory_check_due(struct container_memory *memory, long nr);
bool memory_max_due(struct container_memory *memory, long nr);
void memory_max_looked(struct container_memory *memory, bool room);
void memory_transfer(struct container_memory *from, struct container_memory *to,
		     enum memory_item item, long nr);
void memory_flush(struct container_memory *top);
unsigned long memory_read(struct container_memory *memory, enum memory_item item);
unsigned long memory_usage(struct container_memory *memory);
unsigned long memory_unflushed_bound(struct container_memory *top);
struct container_memory *memory_next_within(struct container_memory *top, u64 *serial);
int memory_counter_init(struct container_memory *memory);
void memory_counter_online(struct container_memory *memory);
void memory_counter_exit(struct container_memory *memory);
bool memory_charged_below(struct container_memory *root);
bool memory_dead_charged(bool *files);
void memory_list_lock(void);
void memory_list_unlock(void);
struct container_memory *memory_list_next_locked(struct container_memory *top,
						 struct container_memory *prev);

static inline void memory_event(struct container_memory *memory, enum memory_event event,
				unsigned long nr)
{
	atomic_long_add(nr, &memory->events[event]);
}

/* charge.c */
struct container_memory *memory_of_current(void);
struct container_memory *memory_get_current(void);
struct container_memory *memory_get_online(struct container_memory *memory);
struct container_memory *memory_of_folio(struct folio *folio);
bool memory_owns(struct container_memory *top, struct folio *folio);

/* mapping.c */
struct container_mapping *container_mapping_find(struct address_space *mapping, gfp_t gfp);
void container_mapping_charge(struct container_mapping *cm, struct container_memory *memory,
			      long nr, bool swapped);
void container_mapping_uncharge(struct container_mapping *cm, long nr);
void container_mapping_count(struct container_mapping *cm, enum memory_item item, long nr);
void container_mapping_put(struct container_mapping *cm);
void container_mapping_release_all(struct container_memory *memory);
struct container_mapping *container_mapping_next(struct container_memory *owner,
						 struct memory_cursor *cursor);
bool container_mapping_walked(struct container_mapping *cm, struct memory_cursor *cursor);
void container_mapping_done(struct container_mapping *cm, struct memory_cursor *cursor);
void container_mapping_stay(struct container_mapping *cm, struct memory_cursor *cursor);
int container_mapping_move(struct container_mapping *cm, struct container_memory *from,
			   struct container_memory *to);
bool container_mapping_within(struct container_mapping *cm, struct container_memory *top);
unsigned long container_mapping_list(struct container_memory *top, struct memory_file *files,
				     unsigned long max);
void container_mapping_identify(struct memory_file *file);
struct inode *container_mapping_pin(struct container_mapping *cm);
void container_mapping_unpin(struct inode *inode);

/* swapped.c */
#ifdef CONFIG_SWAP
int memory_home_init(struct container_memory *memory);
void memory_home_release_all(struct container_memory *memory);
void memory_home_exit(struct container_memory *memory);
struct container_memory *memory_of_swapped(struct folio *folio);
struct container_memory *memory_of_place(swp_entry_t entry);
void memory_home_move(struct address_space *mapping);
#else
static inline int memory_home_init(struct container_memory *memory) { return 0; }
static inline void memory_home_release_all(struct container_memory *memory) {}
static inline void memory_home_exit(struct container_memory *memory) {}
static inline struct container_memory *memory_of_swapped(struct folio *folio) { return NULL; }
static inline struct container_memory *memory_of_place(swp_entry_t entry) { return NULL; }
static inline void memory_home_move(struct address_space *mapping) {}
#endif

/* files.c, claim.c */
int memory_files_show(struct seq_file *sf, struct container *cont,
		      const struct container_file *file);
int memory_addfile_write(struct container *cont, struct kernfs_open_file *of, char *buf);
int memory_rmfile_write(struct container *cont, struct kernfs_open_file *of, char *buf);

/* overlimit.c */
void memory_start_handler(struct container_memory *memory);
void memory_start_anew(struct container_memory *memory, unsigned long limit);
void memory_end_retry(struct container_memory *memory);
void memory_check_limit(struct container_memory *memory);
void memory_recheck_limit(struct container_memory *memory);
void memory_handler_work(struct work_struct *work);
void memory_handle_over_limit(struct container_memory *own, struct container_memory *others);

/* throttle.c */
void memory_owe_room(struct container_memory *full);
void memory_owe_work(struct container_memory *charged);

/* max.c */
unsigned long memory_max_stall(void);
bool memory_has_room(struct container_memory *memory, long nr);
int memory_wait_for_room(struct container_memory *memory, long nr);
int memory_try_max(struct container_memory *memory, long nr, gfp_t gfp, bool final);
int memory_may_move(struct container_memory *to, struct container_memory *from, long nr);

/* oom.c */
enum memory_verdict {
	OOM_WAIT,	/* for a victim, or for the handler to give up after it */
	OOM_KILLED,
	OOM_NOBODY,	/* there is none to kill */
};
enum memory_verdict memory_oom(struct container_memory *memory, long nr, bool hopeless);
bool memory_oom_pending(struct container_memory *memory);
void memory_oom_exit(struct container_memory *memory);

/* oom_owned.c */
bool memory_oom_owned(struct container_memory *top, struct mm_struct *mm, unsigned long *owned);

/* events.c */
void memory_tell(struct container_memory *memory);
int memory_events_show(struct seq_file *sf, struct container *cont,
		       const struct container_file *file);

/* sweep.c */
void memory_sweep_dead(struct container_memory *memory);

/* recharge.c */
void memory_recharge(struct container_subsys_state *root_css);
void memory_recharge_files(void);
void memory_recharge_to(struct folio *folio, struct container_memory *to);

#endif /* _MM_CONTAINER_MEMORY_H */
