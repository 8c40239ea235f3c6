// SPDX-License-Identifier: GPL-2.0-only
/*
 * The paths of arch/um that every program takes, without the way into and out of user code.
 */
#include <linux/anon_inodes.h>
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/slab.h>

#include "bench.h"

/* A fresh anonymous mapping of @pages with a page everywhere; *ns: what that took. */
static unsigned long populated(unsigned long pages, u64 *ns)
{
	unsigned long addr;
	ktime_t begin;
	size_t left;

	addr = vm_mmap(NULL, 0, pages * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(addr))
		return addr;
	begin = ktime_get();
	left = fault_in_writeable((char __user *)addr, pages * PAGE_SIZE);
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	if (!left)
		return addr;
	vm_munmap(addr, pages * PAGE_SIZE);
	return -ENOMEM;
}

/* count: pages */
static int fault(struct bench_job *job, u64 *ns)
{
	unsigned long addr = populated(job->count, ns);

	return IS_ERR_VALUE(addr) ? (long)addr : vm_munmap(addr, job->count * PAGE_SIZE);
}

const struct bench_op bench_fault = { .name = "fault", .batch = fault };

/* count: pages; the time is that of one munmap() of all */
static int munmap(struct bench_job *job, u64 *ns)
{
	unsigned long addr = populated(job->count, ns);
	ktime_t begin = ktime_get();
	int err;

	if (IS_ERR_VALUE(addr))
		return (long)addr;
	err = vm_munmap(addr, job->count * PAGE_SIZE);
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return err;
}

const struct bench_op bench_munmap = { .name = "munmap", .batch = munmap };

static const struct file_operations nothing = {};

/* The inode is there already, so that most of it is the struct file. */
static int file(struct bench_job *job, u64 *ns)
{
	ktime_t begin = ktime_get();

	for (unsigned long i = 0; i < job->count; i++) {
		struct file *file = anon_inode_getfile("[bench]", &nothing, NULL, O_RDONLY);

		if (IS_ERR(file))
			return PTR_ERR(file);
		__fput_sync(file);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return 0;
}

const struct bench_op bench_file = { .name = "file", .batch = file };

static int child_exits(void *unused)
{
	do_exit(0);
}

/* A child that shares everything and exits in the kernel, and its end. */
static int fork(struct bench_job *job, u64 *ns)
{
	ktime_t begin = ktime_get();
	int pid, status, err = 0;

	for (unsigned long i = 0; i < job->count && err >= 0; i++) {
		pid = user_mode_thread(child_exits, NULL, SIGCHLD);
		err = pid < 0 ? pid : kernel_wait(pid, &status);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return err < 0 ? err : 0;
}

const struct bench_op bench_fork = { .name = "fork", .batch = fork };

struct ball {
	struct completion there, back;
	unsigned long count;
};

static int player(void *arg)
{
	struct ball *ball = arg;

	for (unsigned long i = 0; i < ball->count; i++) {
		wait_for_completion(&ball->there);
		complete(&ball->back);
	}
	do_exit(0);
}

/* One is two switches of the kernel's stacks and of the task. */
static int switch_tasks(struct bench_job *job, u64 *ns)
{
	struct ball ball = { .count = job->count };
	ktime_t begin;
	int pid, status;

	init_completion(&ball.there);
	init_completion(&ball.back);
	pid = user_mode_thread(player, &ball, SIGCHLD);
	if (pid < 0)
		return pid;
	begin = ktime_get();
	for (unsigned long i = 0; i < job->count; i++) {
		complete(&ball.there);
		wait_for_completion(&ball.back);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	pid = kernel_wait(pid, &status);
	return pid < 0 ? pid : 0;
}

const struct bench_op bench_switch = { .name = "switch", .batch = switch_tasks };

#ifdef CONFIG_VIRT_CPU_ACCOUNTING_NATIVE
#include <skas.h>
#include <skas/user_time.h>
#include <stub-data.h>

/* What telling user time from system time adds to the way into user code and back, if no tick ends it; the stub's two stamps are of it. */
static int stay(struct bench_job *job, u64 *ns)
{
	struct stub_data *data = kzalloc(sizeof(*data), GFP_KERNEL);
	struct mm_id id = { .stack = (unsigned long)data };
	ktime_t begin = ktime_get();

	if (!data)
		return -ENOMEM;
	for (unsigned long i = 0; i < job->count; i++) {
		um_user_enter(&id);
		data->stamps.entered = um_time_stamp();
		data->stamps.left = um_time_stamp();
		um_user_leave(&id, SIGIO);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	kfree(data);
	return 0;
}

const struct bench_op bench_stay = { .name = "stay", .batch = stay };
#endif
