/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Beancounters, what bc.c (states and control files), bc_charge.c (the arithmetic),
 * bc_events.c (notifications), bc_numproc.c (tasks) and bc_numsiginfo.c (signals) share. Other resources see
 * <linux/container_bc.h> only.
 */
#ifndef _KERNEL_CONTAINER_BC_H
#define _KERNEL_CONTAINER_BC_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/container_bc.h>
#include <linux/containers.h>
#include <linux/limits.h>
#include <linux/llist.h>

/* Bounds are at most this, which is none. */
#define BC_MAX	((unsigned long)LONG_MAX)
/* @minheld as long as nothing has been uncharged. */
#define BC_NEVER LONG_MAX

/* Both bounds of a resource; barrier <= limit <= BC_MAX. */
struct bc_bounds {
	unsigned long barrier;
	unsigned long limit;
};

/**
 * struct bc_amount - one resource of one beancounter
 * @held: charged now; atomic
 * @maxheld: the most that a charge has made of it; atomic
 * @minheld: the least that an uncharge has made of it, or BC_NEVER; atomic
 * @failcnt: charges that one of these bounds has refused; atomic
 * @hits: by severity, for `events`: how often a bound was met; atomic
 * @bounds: written under bc_mutex, word by word; chargers read one of the words
 *
 * On lines of its own: who forks does not wait for who opens.
 */
struct bc_amount {
	atomic_long_t held;
	atomic_long_t maxheld;
	atomic_long_t minheld;
	atomic_long_t failcnt;
	atomic_long_t hits[BC_FORCE];
	struct bc_bounds bounds;
} ____cacheline_aligned_in_smp;

/**
 * struct bc - the beancounter of one container
 * @css: the core's part
 * @up: the beancounter that each charge counts in, too: the parent's, or NULL in
 *	the root and in what was made flat; immutable, pinned by @css.parent
 * @defaults: what children made from now on start with; bc_mutex
 * @hit: in the list of those whose `events` is to be told, while BC_HIT is set
 * @flags: BC_HIT; atomic
 * @amount: by resource
 */
struct bc {
	struct container_subsys_state css;
	struct bc *up;
	struct bc_bounds defaults[BC_RESOURCES];
	struct llist_node hit;
	unsigned long flags;
	struct bc_amount amount[BC_RESOURCES];
};

/**
 * struct bc_resource_info - what is particular to a resource
 * @name: in names of files and in what is written to them
 * @openvz_name: in /proc/user_beancounters
 * @what: that is refused, in `why`
 * @unit: of the amounts, in `why`
 * @machine: what Linux counts of it, exactly; then the root is not charged, and has no marks.
 *	NULL where Linux does not count
 * @in_pages: a bound may also be written as a size, with K, M, G or T
 * @cure: in `why`, by severity
 * @error: what a refused charge returns
 * @defaults: bounds in a new container, unless its parent says otherwise
 */
struct bc_resource_info {
	const char *name;
	const char *openvz_name;
	const char *what;
	const char *unit;
	long (*machine)(void);
	bool in_pages;
	const char *cure[BC_FORCE];
	int error;
	struct bc_bounds defaults;
};

extern const struct bc_resource_info bc_resources[BC_RESOURCES];

static inline struct bc *css_bc(struct container_subsys_state *css)
{
	return container_of(css, struct bc, css);
}

struct bc *bc_get(struct task_struct *task);
struct bc *bc_try_charge(struct bc *bc, enum bc_resource res, unsigned long val,
			 enum bc_severity severity);
void bc_leave(struct bc *bc, const struct bc *end, enum bc_resource res, unsigned long val);
void bc_forget(struct bc *bc, enum bc_resource res);
bool bc_tryget(struct bc *bc);
unsigned long bc_amount_uncharge(struct bc_amount *amount, unsigned long val);
void bc_amount_init(struct bc_amount *amount, const struct bc_bounds *bounds);
void bc_amount_reset(struct bc_amount *amount);
long bc_held(struct bc *bc, enum bc_resource res);
long bc_maxheld(struct bc *bc, enum bc_resource res, long held);
long bc_minheld(struct bc_amount *amount);
void bc_check_empty(struct bc *bc);

/* bc_events.c */
void bc_hit(struct bc *bc, enum bc_resource res, enum bc_severity severity);
int bc_events_show(struct seq_file *sf, struct container *cont, const struct container_file *file);

/* bc_numproc.c */
struct bc *bc_common(struct bc *a, struct bc *b);
int bc_can_fork(struct task_struct *child, struct container_subsys_state *css);
void bc_cancel_fork(struct task_struct *child, struct container_subsys_state *css);
void bc_moved(struct container_subsys_state *css, struct container_subsys_state *from,
	      struct task_struct *task);
void bc_exit(struct task_struct *task, struct container_subsys_state *css);
void bc_count(struct container_subsys_state *root_css, unsigned int tasks);

#endif /* _KERNEL_CONTAINER_BC_H */
