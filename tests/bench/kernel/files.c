// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control files and directories of groups, without the way into and out of user code.
 */
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <../fs/internal.h>
#include "bench.h"

struct pair {
	struct file *file[2];
};

static void write_end(struct bench_job *job)
{
	struct pair *pair = job->data;

	for (int i = 0; i < 2; i++)
		if (!IS_ERR_OR_NULL(pair->file[i]))
			filp_close(pair->file[i], NULL);
	kfree(pair);
}

/* words: two files, maybe one, and a text for each; they are written in turns */
static int write_start(struct bench_job *job)
{
	struct pair *pair = kzalloc_obj(*pair);
	int err = 0;

	if (!pair)
		return -ENOMEM;
	job->data = pair;
	for (int i = 0; i < 2 && !err; i++) {
		pair->file[i] = filp_open(job->word[i], O_WRONLY, 0);
		err = PTR_ERR_OR_ZERO(pair->file[i]);
	}
	if (err)
		write_end(job);
	return err;
}

static int write_text(struct bench_job *job, u64 *ns)
{
	struct pair *pair = job->data;
	const char *const *text = (const char *const *)job->word + 2;
	ssize_t size[2] = { strlen(text[0]), strlen(text[1]) }, done;
	ktime_t begin = ktime_get();

	for (unsigned long i = 0; i < job->count; i++) {
		loff_t pos = 0;

		done = kernel_write(pair->file[i & 1], text[i & 1], size[i & 1], &pos);
		if (done != size[i & 1])
			return done < 0 ? done : -EIO;
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return 0;
}

const struct bench_op bench_write = {
	.name	= "write",
	.words	= 4,
	.start	= write_start,
	.batch	= write_text,
	.end	= write_end,
};

/* words: a directory that is made and removed */
static int make_and_remove(struct bench_job *job, u64 *ns)
{
	ktime_t begin = ktime_get();
	int err = 0;

	for (unsigned long i = 0; i < job->count && !err; i++) {
		CLASS(filename_kernel, name)(job->word[0]);

		err = filename_mkdirat(AT_FDCWD, name, 0755) ?: filename_rmdir(AT_FDCWD, name);
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return err;
}

const struct bench_op bench_mkdir = { .name = "mkdir", .words = 1, .batch = make_and_remove };

static int read_start(struct bench_job *job)
{
	job->data = kvmalloc(SZ_64K, GFP_KERNEL);
	return job->data ? 0 : -ENOMEM;
}

static void read_end(struct bench_job *job)
{
	kvfree(job->data);
}

/* words: a file, and how many lines it must have; one is open, read to the end, close */
static int read_all(struct bench_job *job, u64 *ns)
{
	unsigned long lines = 0, want;
	ktime_t begin = ktime_get();
	ssize_t got;

	if (kstrtoul(job->word[1], 10, &want))
		return -EINVAL;
	for (unsigned long i = 0; i < job->count; i++) {
		struct file *file = filp_open(job->word[0], O_RDONLY, 0);
		loff_t pos = 0;

		if (IS_ERR(file))
			return PTR_ERR(file);
		lines = 0;
		while ((got = kernel_read(file, job->data, SZ_64K, &pos)) > 0)
			for (char *p = job->data; p < (char *)job->data + got; p++)
				lines += *p == '\n';
		filp_close(file, NULL);
		if (got < 0)
			return got;
	}
	*ns = ktime_to_ns(ktime_sub(ktime_get(), begin));
	return lines == want ? 0 : -EILSEQ;
}

const struct bench_op bench_read = {
	.name	= "read",
	.words	= 2,
	.start	= read_start,
	.batch	= read_all,
	.end	= read_end,
};
