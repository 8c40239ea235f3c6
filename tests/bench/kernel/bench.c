// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/bench: write a line, "NAME COUNT BATCHES WORD...", read what one took in each batch, in
 * nanoseconds. tests/bench/guest/ has who writes, struct bench_op what can be measured.
 *
 * Locking: bench_mutex, one measurement at a time.
 */
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bench.h"

static const struct bench_op *const ops[] = {
	&bench_fork_hooks, &bench_fork_edge, &bench_charge, &bench_page,
	&bench_fault, &bench_file, &bench_munmap, &bench_fork, &bench_switch,
	&bench_move,
#ifdef CONFIG_VIRT_CPU_ACCOUNTING_NATIVE
	&bench_stay,
#endif
#if defined(CONFIG_CONTAINER_NUMTASKS) || defined(CONFIG_CGROUP_PIDS)
	&bench_tasks_charge, &bench_tasks_edge,
#endif
#ifdef CONFIG_CONTAINER_BC
	&bench_file_charge,
#endif
	&bench_write, &bench_mkdir, &bench_read,
};

static DEFINE_MUTEX(bench_mutex);

static const struct bench_op *find_op(const char *name)
{
	for (int i = 0; i < ARRAY_SIZE(ops); i++)
		if (!strcmp(ops[i]->name, name))
			return ops[i];
	return NULL;
}

/* "NAME COUNT BATCHES WORD..." */
static int parse(struct bench_job *job, char *line, const struct bench_op **op)
{
	char *name, *count, *batches, *word;

	line = strim(line);
	name = strsep(&line, " ");
	count = strsep(&line, " ");
	batches = strsep(&line, " ");
	if (!batches)
		return -EINVAL;
	*op = find_op(name);
	if (!*op)
		return -ENOENT;
	if (kstrtoul(count, 10, &job->count) || kstrtouint(batches, 10, &job->batches))
		return -EINVAL;
	if (!job->count || !job->batches || job->batches > BENCH_BATCHES)
		return -ERANGE;
	job->words = 0;
	while ((word = strsep(&line, " "))) {
		if (job->words == BENCH_WORDS)
			return -E2BIG;
		job->word[job->words++] = word;
	}
	return job->words == (*op)->words ? 0 : -EINVAL;
}

static int run(struct bench_job *job, const struct bench_op *op)
{
	int err = 0;
	u64 ns;

	if (op->start)
		err = op->start(job);
	if (err)
		return err;
	for (unsigned int i = 0; i < job->batches && !err; i++) {
		err = op->batch(job, &ns);
		job->ps[i] = err ? 0 : div64_ul(ns * 1000, job->count);
	}
	if (op->end)
		op->end(job);
	return err;
}

static ssize_t bench_write_line(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	struct bench_job *job = ((struct seq_file *)file->private_data)->private;
	const struct bench_op *op;
	char *line;
	int err;

	if (size > PAGE_SIZE)
		return -E2BIG;
	line = memdup_user_nul(buf, size);
	if (IS_ERR(line))
		return PTR_ERR(line);
	mutex_lock(&bench_mutex);
	err = parse(job, line, &op);
	if (!err)
		err = run(job, op);
	if (err)
		job->batches = 0;
	mutex_unlock(&bench_mutex);
	kfree(line);
	return err ? err : size;
}

static int bench_show(struct seq_file *seq, void *v)
{
	struct bench_job *job = seq->private;

	mutex_lock(&bench_mutex);
	for (unsigned int i = 0; i < job->batches; i++)
		seq_printf(seq, "%llu.%03llu\n", job->ps[i] / 1000, job->ps[i] % 1000);
	mutex_unlock(&bench_mutex);
	return 0;
}

static int bench_open(struct inode *inode, struct file *file)
{
	struct bench_job *job = kzalloc_obj(*job);
	int err;

	if (!job)
		return -ENOMEM;
	err = single_open(file, bench_show, job);
	if (err)
		kfree(job);
	return err;
}

static int bench_release(struct inode *inode, struct file *file)
{
	kfree(((struct seq_file *)file->private_data)->private);
	return single_release(inode, file);
}

static const struct proc_ops bench_proc_ops = {
	.proc_open	= bench_open,
	.proc_read	= seq_read,
	.proc_write	= bench_write_line,
	.proc_lseek	= seq_lseek,
	.proc_release	= bench_release,
};

static int __init bench_init(void)
{
	return proc_create("bench", 0600, NULL, &bench_proc_ops) ? 0 : -ENOMEM;
}
late_initcall(bench_init);
