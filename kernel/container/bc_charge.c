// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: the arithmetic of charges.
 *
 * A charge counts in the beancounter of the task's container and, unless that
 * was made flat, in those above it up to the root. All have room, or nothing is charged.
 * The root, which has no bounds, is left out where Linux counts what the machine has: what a task
 * of the root opens is not charged at all, see bc_held().
 * First they are looked at, then the amounts are raised one by one, each only
 * as far as its bound: no amount is ever above what the bound allowed, not
 * even for a moment. Who is overtaken between the two takes back what he added.
 *
 * Locking: none. Amounts are atomic words, and one word is one decision. A bound
 * that is lowered meanwhile counts from the next look on. bc_mutex, which
 * writers of bounds hold, is bc.c's.
 *
 * Lifetime: each successful charge holds a reference to the beancounter that it
 * began with, which pins those above it. So one that is charged outlives its
 * directory, counting in those above it, and goes with the last uncharge.
 *
 * An open and a close of a file have a way of their own, with nothing to ask: the resource is known, and one below
 * the root, with room below the barrier, an open takes a reference and one word. charge_got() does the
 * rest, and is what decides.
 *
 * Surprises: a charge that is overtaken may have been seen in the amounts below
 * the bound that stopped it, in maxheld for good; what it takes back is an uncharge. A mark is told after the
 * amount, see bc_amount_reset(). An uncharge of more than is
 * held warns once, and leaves 0; but bc_leave() of who exits while bc leaves its tree may come after
 * bc_forget(), and the amount is below zero till the next binding, which everybody else takes for zero.
 */
#include "bc.h"

#include <linux/capability.h>
#include <linux/container_why.h>
#include <linux/cred.h>
#include <linux/sched.h>

/* The one above all that are charged. */
static struct bc *end_of(enum bc_resource res)
{
	return bc_resources[res].machine ? css_bc(bc_subsys.root_css) : NULL;
}

/*
 * What left no room, for `why`: read again, held may be less by then, and the bound another one. Set
 * by whatever returns false, or who is full.
 */
struct bc_seen {
	long held;
	unsigned long bound;
};

#define for_each_charged(pos, bc, end)	for (pos = bc; pos && pos != (end); pos = pos->up)

static unsigned long bound_of(const struct bc_amount *amount, enum bc_severity severity)
{
	if (severity == BC_FORCE)
		return ULONG_MAX;
	return severity == BC_LIMIT ? READ_ONCE(amount->bounds.limit) :
				      READ_ONCE(amount->bounds.barrier);
}

/* @held is below zero only for an instant, by somebody's mistake. */
static bool has_room(long held, unsigned long val, unsigned long bound)
{
	unsigned long has = max(held, 0L);

	return has <= bound && val <= bound - has;
}

/* The same, with what is to be said if it has none. */
static __always_inline bool has_seen_room(const struct bc_amount *amount, long held, unsigned long val,
					  enum bc_severity severity, struct bc_seen *seen)
{
	unsigned long bound = bound_of(amount, severity);

	if (likely(has_room(held, val, bound)))
		return true;
	*seen = (struct bc_seen) { .held = max(held, 0L), .bound = bound };
	return false;
}

static void raise_to(atomic_long_t *mark, long held)
{
	long old = atomic_long_read(mark);

	while (held > old && !atomic_long_try_cmpxchg(mark, &old, held))
		;
}

static void lower_to(atomic_long_t *mark, long held)
{
	long old = atomic_long_read(mark);

	while (held < old && !atomic_long_try_cmpxchg(mark, &old, held))
		;
}

/*
 * Also of a charge that was overtaken: who has uncharged beside it has left a mark that is as much too high. Below
 * zero it may be where something leaves before it enters.
 */
static void take_back(struct bc_amount *amount, unsigned long val)
{
	lower_to(&amount->minheld, max(atomic_long_sub_return(val, &amount->held), 0L));
}

/* Was it at the barrier or below, and is it above? */
static bool has_passed(const struct bc_amount *amount, long held, unsigned long val)
{
	unsigned long barrier = READ_ONCE(amount->bounds.barrier);

	return has_room(held, 0, barrier) && !has_room(held, val, barrier);
}

static __always_inline bool try_charge_one(struct bc *bc, enum bc_resource res, unsigned long val,
					   enum bc_severity severity, struct bc_seen *seen)
{
	struct bc_amount *amount = &bc->amount[res];
	long held = atomic_long_read(&amount->held);

	do {
		if (!has_seen_room(amount, held, val, severity, seen))
			return false;
		/* fully ordered: pairs with the xchg in bc_amount_reset() */
	} while (!atomic_long_try_cmpxchg(&amount->held, &held, held + val));
	raise_to(&amount->maxheld, held + val);
	/* what has kept the barrier has not passed it */
	if (severity != BC_BARRIER && unlikely(has_passed(amount, held, val)))
		bc_hit(bc, res, BC_BARRIER);
	return true;
}

static __always_inline unsigned long uncharge_one(struct bc_amount *amount, unsigned long val)
{
	long held = atomic_long_sub_return(val, &amount->held);
	unsigned long excess = 0;

	if (unlikely(held < 0)) {
		/* of ours, not of somebody else who does the same */
		excess = min(val, (unsigned long)-held);
		atomic_long_add(excess, &amount->held);
		held = 0;
	}
	lower_to(&amount->minheld, held);
	return val - excess;
}

/* Returns what was taken: less than @val if less was held, which is somebody's mistake. */
unsigned long bc_amount_uncharge(struct bc_amount *amount, unsigned long val)
{
	return uncharge_one(amount, val);
}

static struct bc *try_charge_chain(struct bc *bc, struct bc *end, enum bc_resource res,
				   unsigned long val, enum bc_severity severity, struct bc_seen *seen)
{
	struct bc *pos, *undo;

	for_each_charged(pos, bc, end)
		if (!has_seen_room(&pos->amount[res], atomic_long_read(&pos->amount[res].held), val,
				   severity, seen))
			return pos;
	for_each_charged(pos, bc, end)
		if (!try_charge_one(pos, res, val, severity, seen))
			break;
	if (likely(pos == end || !pos))
		return NULL;
	for_each_charged(undo, bc, pos)
		take_back(&undo->amount[res], val);
	return pos;
}

/* As bc_try_charge(); @seen: of whom it returns. */
static __always_inline struct bc *try_charge(struct bc *bc, enum bc_resource res, unsigned long val,
					     enum bc_severity severity, struct bc_seen *seen)
{
	struct bc *end = end_of(res);

	/* nobody above who could have no room */
	if (bc->up == end)
		return likely(try_charge_one(bc, res, val, severity, seen)) ? NULL : bc;
	return try_charge_chain(bc, end, res, val, severity, seen);
}

/**
 * bc_try_charge - charge a beancounter and those above it
 * @bc: pinned by the caller
 * @res: resource
 * @val: how much
 * @severity: which bounds must be kept
 *
 * Context: any.
 * Return: NULL when all are charged, else the one that had no room, and nothing is.
 */
struct bc *bc_try_charge(struct bc *bc, enum bc_resource res, unsigned long val,
			 enum bc_severity severity)
{
	struct bc_seen seen;

	return try_charge(bc, res, val, severity, &seen);
}

static noinline void complain(enum bc_resource res, unsigned long val, unsigned long taken)
{
	WARN_ONCE(1, "bc: %lu %s uncharged where %lu were held\n", val, bc_resources[res].name, taken);
}

/**
 * bc_give_back - undo bc_try_charge()
 * @bc: what was charged, pinned by the caller
 * @res: resource
 * @val: how much
 *
 * Context: any.
 */
void bc_give_back(struct bc *bc, enum bc_resource res, unsigned long val)
{
	struct bc *pos, *end = end_of(res);
	unsigned long taken;

	for_each_charged(pos, bc, end) {
		taken = uncharge_one(&pos->amount[res], val);
		if (unlikely(taken != val))
			complain(res, val, taken);
	}
}

/**
 * bc_enter - charge what is there anyway, in part of a chain
 * @bc: pinned by the caller
 * @end: one above @bc that is not charged, nor those above it; NULL for all
 * @res: resource
 * @val: how much
 *
 * Context: any.
 */
void bc_enter(struct bc *bc, const struct bc *end, enum bc_resource res, unsigned long val)
{
	struct bc_seen nothing;

	for (; bc != end; bc = bc->up)
		try_charge_one(bc, res, val, BC_FORCE, &nothing);
}

/**
 * bc_leave - the reverse, before or after it
 * @bc: pinned by the caller
 * @end: as for bc_enter()
 * @res: resource
 * @val: how much
 *
 * Context: any.
 */
void bc_leave(struct bc *bc, const struct bc *end, enum bc_resource res, unsigned long val)
{
	for (; bc != end; bc = bc->up)
		take_back(&bc->amount[res], val);
}

/* What a charge wants, and for whom. */
struct bc_wish {
	struct bc *bc;
	struct task_struct *task;
	enum bc_resource res;
	unsigned long val;
	int error;
};

static void refuse(const struct bc_wish *wish, struct bc *full, enum bc_severity severity,
		   const struct bc_seen *seen)
{
	const struct bc_resource_info *info = &bc_resources[wish->res];
	struct container_refusal why = {
		.what = info->what, .reason = info->cure[severity], .ss = &bc_subsys,
		.limiter = &full->css, .unit = info->unit, .error = wish->error,
		.usage = seen->held, .limit = seen->bound, .asked = wish->val,
	};

	atomic_long_inc(&full->amount[wish->res].failcnt);
	bc_hit(full, wish->res, severity);
	container_css_refuse(&wish->bc->css, wish->task, &why);
}

/**
 * bc_tryget - take a reference
 * @bc: found under RCU
 *
 * Unlike container_css_tryget() also from one that is closed, because bc may be about to
 * leave its tree: that can fail, and then what is charged meanwhile is where it belongs. If it does
 * not, it is like whatever was charged before; nobody waits for its end, see bc_recharge().
 *
 * Context: any, under RCU.
 * Return: false if it is being freed.
 */
bool bc_tryget(struct bc *bc)
{
	return percpu_ref_tryget(&bc->css.refcnt);
}

/* As bc_get(), but for @end. */
static __always_inline struct bc *get_below(struct task_struct *task, const struct bc *end)
{
	struct container_subsys_state *css;

	/* container_init() has not been yet, or is at work */
	if (unlikely(!bc_subsys.root_css || !rcu_access_pointer(task->containers)))
		return NULL;
	guard(rcu)();
	for (css = container_task_css(task, bc_subsys_id); css && css_bc(css) != end; css = css->parent)
		if (likely(bc_tryget(css_bc(css))))
			return css_bc(css);
	return NULL;
}

/**
 * bc_get - whom a task charges, referenced
 * @task: current, or found under RCU
 *
 * Its container's, or if the task has just left that and it has gone, what is above.
 *
 * Context: any.
 * Return: NULL only early at boot, and for a task that is not visible yet.
 */
struct bc *bc_get(struct task_struct *task)
{
	return get_below(task, NULL);
}

/**
 * bc_get_current - the current task's
 *
 * Context: process.
 * Return: as bc_get().
 */
struct bc *bc_get_current(void)
{
	return bc_get(current);
}

/* @full has no room for it, by that severity. */
static noinline int charge_more(const struct bc_wish *wish, struct bc *full, enum bc_severity severity,
				struct bc_seen seen)
{
	if (has_capability_noaudit(wish->task, CAP_SYS_ADMIN)) {
		severity = BC_LIMIT;
		full = try_charge(wish->bc, wish->res, wish->val, severity, &seen);
	}
	if (!full)
		return 0;
	refuse(wish, full, severity, &seen);
	return bc_resources[wish->res].error;
}

static __always_inline int charge_task(struct bc *bc, struct task_struct *task, enum bc_resource res,
				       unsigned long val, int error)
{
	enum bc_severity severity = READ_ONCE(task->flags) & PF_KTHREAD ? BC_FORCE : BC_BARRIER;
	struct bc_seen seen;
	struct bc *full = try_charge(bc, res, val, severity, &seen);

	if (likely(!full))
		return 0;
	return charge_more(&(struct bc_wish) { bc, task, res, val, error }, full, severity, seen);
}

/**
 * bc_charge_task - charge a beancounter for a task
 * @bc: pinned by the caller; undone with bc_give_back() or bc_leave()
 * @task: current, or under RCU
 * @res: resource
 * @val: how much
 * @error: for `why`: what the call says if this fails, -errno, or 0 if it does without
 *
 * Must keep the barriers; the limits, if the task has CAP_SYS_ADMIN in the first
 * user namespace by its own credentials, not by those that it works with for
 * somebody else. A kernel thread's charge does not fail.
 *
 * Context: any.
 * Return: 0 or the resource's error, whatever @error is.
 */
int bc_charge_task(struct bc *bc, struct task_struct *task, enum bc_resource res,
		   unsigned long val, int error)
{
	return charge_task(bc, task, res, val, error);
}

/* @bc: referenced, and that is what is returned, or given back. */
static noinline struct bc *charge_got(struct bc *bc, enum bc_resource res, unsigned long val)
{
	int ret = charge_task(bc, current, res, val, bc_resources[res].error);

	if (likely(!ret))
		return bc;
	container_css_put(&bc->css);
	return ERR_PTR(ret);
}

/**
 * bc_charge_current - charge the container of the current task
 * @res: resource
 * @val: how much
 *
 * As bc_charge().
 *
 * Context: process.
 * Return: what bc_uncharge() takes; NULL, for nothing to uncharge, early at
 * boot, and in the root of what the machine counts; or ERR_PTR() of the resource's error.
 */
struct bc *bc_charge_current(enum bc_resource res, unsigned long val)
{
	struct bc *bc = get_below(current, end_of(res));

	return bc ? charge_got(bc, res, val) : NULL;
}

/**
 * bc_uncharge - give back a charge
 * @bc: what bc_charge_current() returned
 * @res: resource
 * @val: how much
 *
 * Context: any.
 */
void bc_uncharge(struct bc *bc, enum bc_resource res, unsigned long val)
{
	bc_give_back(bc, res, val);
	container_css_put(&bc->css);
}

/**
 * bc_charge_file - bc_charge_current() of one file
 *
 * Context: process.
 * Return: as bc_charge_current(); for bc_uncharge_file().
 */
struct bc *bc_charge_file(void)
{
	struct bc *root = css_bc(bc_subsys.root_css), *bc = get_below(current, root);
	struct bc_seen nothing;

	if (!bc)
		return NULL;
	/* below the barrier it is all one who asks */
	if (likely(bc->up == root) && likely(try_charge_one(bc, BC_NUMFILES, 1, BC_BARRIER, &nothing)))
		return bc;
	return charge_got(bc, BC_NUMFILES, 1);
}

/**
 * bc_uncharge_file - bc_uncharge() of one file
 * @bc: what bc_charge_file() returned
 *
 * Context: any.
 */
void bc_uncharge_file(struct bc *bc)
{
	if (unlikely(bc->up != css_bc(bc_subsys.root_css)))
		bc_give_back(bc, BC_NUMFILES, 1);
	else if (unlikely(!uncharge_one(&bc->amount[BC_NUMFILES], 1)))
		complain(BC_NUMFILES, 1, 0);
	container_css_put(&bc->css);
}

/**
 * bc_forget - nothing of a resource is held any more, nor ever was
 * @bc: the root's; nobody charges the resource meanwhile
 * @res: resource
 *
 * Context: any.
 */
void bc_forget(struct bc *bc, enum bc_resource res)
{
	struct bc_amount *amount = &bc->amount[res];

	atomic_long_set(&amount->held, 0);
	bc_amount_reset(amount);
}

/* Nobody knows it yet. */
void bc_amount_init(struct bc_amount *amount, const struct bc_bounds *bounds)
{
	atomic_long_set(&amount->minheld, BC_NEVER);
	amount->bounds = *bounds;
}

/**
 * bc_amount_reset - marks and failures start again from now
 * @amount: anyone's
 *
 * Of charges and uncharges that are on their way: no mark is lost, so that when they are done maxheld is at least
 * what was held at any time since, and minheld at most. It may be more, and less: by what was reached before the reset by
 * one who tells of it after. To tell that apart each charge would need a word that has amount and mark
 * in it, or a lock; the reset is for a person who looks, and a charge is between the two for some instructions.
 *
 * Context: any.
 */
void bc_amount_reset(struct bc_amount *amount)
{
	/*
	 * Whoever has raised held before we read it, and mark before we cleared it, is
	 * found in held: the xchg pairs with the cmpxchg in try_charge_one().
	 */
	atomic_long_xchg(&amount->maxheld, 0);
	raise_to(&amount->maxheld, atomic_long_read(&amount->held));
	/* the same with the subtraction in uncharge_one() and bc_leave() */
	atomic_long_xchg(&amount->minheld, BC_NEVER);
	lower_to(&amount->minheld, max(atomic_long_read(&amount->held), 0L));
	atomic_long_set(&amount->failcnt, 0);
}

/**
 * bc_held - what is charged
 * @bc: anyone's
 * @res: resource
 *
 * In the root, what the machine has, if Linux counts that: with what was there before the first
 * container, and what is in flat ones.
 *
 * Context: any.
 * Return: exact for a moment.
 */
long bc_held(struct bc *bc, enum bc_resource res)
{
	if (bc == end_of(res))
		return bc_resources[res].machine();
	return max(atomic_long_read(&bc->amount[res].held), 0L);
}

/**
 * bc_maxheld - the most that was held, for /proc/user_beancounters
 * @bc: anyone's
 * @res: resource
 * @held: what bc_held() has just said
 *
 * In the root, of what the machine counts, nobody is told of each charge: the most that was ever read. So
 * it does not fall but by bc_amount_reset(), beside which a reader may put back what he has read before.
 *
 * Context: any.
 * Return: at least @held.
 */
long bc_maxheld(struct bc *bc, enum bc_resource res, long held)
{
	atomic_long_t *maxheld = &bc->amount[res].maxheld;

	if (bc == end_of(res))
		raise_to(maxheld, held);
	/* a charge is seen in the amount before it is in the mark */
	return max(held, atomic_long_read(maxheld));
}

/* The least that was held since something was first uncharged; before that, what is held. */
long bc_minheld(struct bc_amount *amount)
{
	/* an uncharge is seen in the amount before it is in the mark */
	return min(max(atomic_long_read(&amount->held), 0L), atomic_long_read(&amount->minheld));
}

/**
 * bc_check_empty - the end of a beancounter
 * @bc: nobody knows it any more
 *
 * What is left by mistake goes, and those above forget it.
 */
void bc_check_empty(struct bc *bc)
{
	struct bc *pos, *end;
	int res;
	long left;

	for (res = 0; res < BC_RESOURCES; res++) {
		left = atomic_long_read(&bc->amount[res].held);
		WARN_ONCE(left, "bc: ends with %ld %s\n", left, bc_resources[res].name);
		if (!left)
			continue;
		end = end_of(res);
		for_each_charged(pos, bc->up, end)
			atomic_long_sub(left, &pos->amount[res].held);
	}
}
