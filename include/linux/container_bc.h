/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Beancounters: what a resource calls, what the VFS calls for numfiles, memory management
 * for privvmpages and lockedpages, and the code of signals for numsiginfo.
 *
 * A beancounter (struct bc) is the state of the subsystem bc in one container:
 * for each resource how much is held, and two bounds. A resource charges the
 * current task's beancounter when a thing comes into being, remembers in the
 * thing which one that was, and uncharges it when the thing goes, wherever the
 * thing and the task are by then.
 */
#ifndef _LINUX_CONTAINER_BC_H
#define _LINUX_CONTAINER_BC_H

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm_types.h>
#include <linux/percpu_counter.h>
#include <linux/sched.h>

struct bc;
struct k_itimer;
struct kernel_siginfo;
struct sigqueue;

enum bc_resource {
	BC_NUMFILES,		/* struct file: what /proc/sys/fs/file-nr counts */
	BC_NUMPROC,		/* tasks that have not exited: threads */
	BC_PRIVVMPAGES,		/* pages of address space that are private and writable */
	BC_LOCKEDPAGES,		/* pages of address space that are locked */
	BC_NUMSIGINFO,		/* struct sigqueue: signals that are pending, POSIX timers */
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

struct bc *bc_get_current(void);
int bc_charge_task(struct bc *bc, struct task_struct *task, enum bc_resource res,
		   unsigned long val, int error);
void bc_enter(struct bc *bc, const struct bc *end, enum bc_resource res, unsigned long val);
void bc_give_back(struct bc *bc, enum bc_resource res, unsigned long val);
struct bc *bc_charge_current(enum bc_resource res, unsigned long val);
void bc_uncharge(struct bc *bc, enum bc_resource res, unsigned long val);
struct bc *bc_charge_file(void);
void bc_uncharge_file(struct bc *bc);

/**
 * bc_charge - charge a beancounter for the current task
 * @bc: as for bc_charge_task()
 * @res: resource
 * @val: how much
 * @error: as for bc_charge_task()
 *
 * Context: process.
 * Return: as bc_charge_task().
 */
static inline int bc_charge(struct bc *bc, enum bc_resource res, unsigned long val, int error)
{
	return bc_charge_task(bc, current, res, val, error);
}

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

/* fs/file_table.c, where it was static: what /proc/sys/fs/file-nr counts, and the root holds */
extern struct percpu_counter nr_files;

long container_bc_open_files(void);
struct file *container_bc_refuse_file(struct file *file, int error);

/**
 * container_bc_charge_file - a new struct file that counts
 * @file: not open, its one reference is the caller's; put here on failure
 *
 * Context: process.
 * Return: @file, or ERR_PTR(-ENFILE), what file-max says, too.
 */
static inline struct file *container_bc_charge_file(struct file *file)
{
	struct bc *bc = bc_charge_file();

	if (IS_ERR(bc))
		return container_bc_refuse_file(file, PTR_ERR(bc));
	container_of(file, struct bc_file, file)->bc = bc;
	return file;
}

/*
 * The end of a struct file, in any context. One with FMODE_NOACCOUNT was never
 * charged; if it is a backing file, what follows it is something else. One of the root's has
 * no beancounter.
 */
static inline void container_bc_uncharge_file(struct file *file)
{
	struct bc *bc;

	if (file->f_mode & FMODE_NOACCOUNT)
		return;
	bc = container_of(file, struct bc_file, file)->bc;
	if (bc)
		bc_uncharge_file(bc);
}

/*
 * The same with what is queued of signals, and with POSIX timers: how much more Linux allocates; and
 * __send_signal_locked(), __sigqueue_free(), alloc_posix_timer() and posixtimer_free_timer().
 */
#define BC_SIGNAL_EXTRA	sizeof(struct bc *)
/* which is a cache line of its own */
#define BC_TIMER_EXTRA	__alignof__(struct k_itimer)

struct sigqueue *container_bc_charge_signal(struct sigqueue *q, struct task_struct *task, int sig,
					    const struct kernel_siginfo *info, bool force);
void container_bc_uncharge_signal(struct sigqueue *q);
struct k_itimer *container_bc_charge_timer(struct k_itimer *timer);
void container_bc_uncharge_timer(struct k_itimer *timer);

/* mm_cache_init(), mm_init(), dup_mmap(), __mmput() */
unsigned int container_bc_mm_size(unsigned int size);
void container_bc_mm_init(struct mm_struct *mm);
int container_bc_may_copy(struct mm_struct *mm, struct mm_struct *oldmm);
void container_bc_mm_exit(struct mm_struct *mm);

/* beside may_expand_vm(), where Linux asks whether an address space may grow */
bool container_bc_may_map(struct mm_struct *mm, const vma_flags_t *flags, unsigned long grow,
			  unsigned long gone);
bool container_bc_may_change(struct mm_struct *mm, const vma_flags_t *old,
			     const vma_flags_t *new, unsigned long pages);
/* beside mlock_future_ok(), where it asks whether more may be locked; before mlock() locks anything */
bool container_bc_may_lock(struct mm_struct *mm, const vma_flags_t *flags, unsigned long grow,
			   unsigned long gone, int error);
int container_bc_may_mlock(unsigned long start, unsigned long len);
/* where that has ended, well or not; and before a munmap() that cannot fail any more */
void container_bc_settle(struct mm_struct *mm);
void container_bc_unmap(struct mm_struct *mm, unsigned long private, unsigned long locked);

#else

static inline unsigned int container_bc_mm_size(unsigned int size)
{
	return size;
}

static inline int container_bc_may_copy(struct mm_struct *mm, struct mm_struct *oldmm)
{
	return 0;
}

static inline bool container_bc_may_map(struct mm_struct *mm, const vma_flags_t *flags,
					unsigned long grow, unsigned long gone)
{
	return true;
}

static inline bool container_bc_may_change(struct mm_struct *mm, const vma_flags_t *old,
					   const vma_flags_t *new, unsigned long pages)
{
	return true;
}

static inline bool container_bc_may_lock(struct mm_struct *mm, const vma_flags_t *flags,
					 unsigned long grow, unsigned long gone, int error)
{
	return true;
}

static inline int container_bc_may_mlock(unsigned long start, unsigned long len)
{
	return 0;
}

#define BC_SIGNAL_EXTRA	0
#define BC_TIMER_EXTRA	0

static inline struct sigqueue *container_bc_charge_signal(struct sigqueue *q, struct task_struct *task,
							  int sig, const struct kernel_siginfo *info,
							  bool force)
{
	return q;
}

static inline struct k_itimer *container_bc_charge_timer(struct k_itimer *timer)
{
	return timer;
}

static inline void container_bc_uncharge_signal(struct sigqueue *q) {}
static inline void container_bc_uncharge_timer(struct k_itimer *timer) {}
static inline void container_bc_mm_init(struct mm_struct *mm) {}
static inline void container_bc_mm_exit(struct mm_struct *mm) {}
static inline void container_bc_settle(struct mm_struct *mm) {}
static inline void container_bc_unmap(struct mm_struct *mm, unsigned long private,
				      unsigned long locked) {}

#define BC_FILE_SIZE sizeof(struct file)

static inline struct file *container_bc_charge_file(struct file *file)
{
	return file;
}

static inline void container_bc_uncharge_file(struct file *file) {}

#endif /* CONFIG_CONTAINER_BC */
#endif /* _LINUX_CONTAINER_BC_H */
