// SPDX-License-Identifier: GPL-2.0-only
/* The kernel's arguments, and the start of the kernel, or of gdb on it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "run.h"

/* The line's two ends in the kernel process. */
#define FD_IN 3
#define FD_OUT 4

static void add(struct list *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct list *l, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		usage_error("no memory");
	va_end(ap);
	l->v = realloc(l->v, (l->n + 2) * sizeof(*l->v));
	if (!l->v)
		usage_error("no memory");
	l->v[l->n++] = s;
	l->v[l->n] = NULL;
}

static struct list kernel_arguments(struct run *r)
{
	const struct options *o = &r->opt;
	struct list l = { 0 };
	bool seccomp = !strcmp(o->mode, "seccomp") || o->cpus > 1;

	add(&l, "%s", o->kernel);
	add(&l, "mem=%lluM", (o->mem + (1 << 20) - 1) >> 20);
	/* Fresh and removed afterwards: killed kernels leave theirs behind. */
	add(&l, "uml_dir=%s/", r->dir);
	add(&l, "umid=guest");
	add(&l, "root=/dev/root");
	add(&l, "rootfstype=hostfs");
	add(&l, "rootflags=%s/boot", r->dir);
	add(&l, "ro");
	add(&l, "init=/init");
	/* A guest that reboots must end, not start again. */
	add(&l, "noreboot");
	add(&l, "panic=-1");
	/* printk goes straight into the log file: nothing is lost when this process is slow or stopped. */
	add(&l, "con=null");
	add(&l, "con0=null,fd:1");
	add(&l, "console=tty0");
	/* a test makes such disks when it wants one */
	add(&l, "null_blk.nr_devices=0");
	add(&l, "ssl0=fd:%d,fd:%d", FD_IN, FD_OUT);
	add(&l, "seccomp=%s", seccomp ? "on" : !strcmp(o->mode, "ptrace") ? "off" : "auto");
	if (o->cpus > 1)
		add(&l, "ncpus=%u", o->cpus);
	if (o->nodes)
		add(&l, "numa=fake=%u", o->nodes);
	add(&l, "ubd0rd=%s/job", r->dir);
	if (o->swap)
		add(&l, "ubd1d=%s/swap", r->dir);
	if (r->image)
		add(&l, "ubd2rd=%s/root", r->dir);
	for (size_t i = 0; i < o->append.n; i++)
		add(&l, "%s", o->append.v[i]);
	return l;
}

static struct list kernel_environment(struct run *r)
{
	const char *path = getenv("PATH");
	struct list l = { 0 };

	/* make_umid crashes without a HOME that can be written. */
	add(&l, "HOME=%s", r->dir);
	add(&l, "TMPDIR=%s", r->mem_dir);
	add(&l, "PATH=%s", path ? path : "/usr/bin:/bin");
	return l;
}

/*
 * What gdb has to know before it reads the kernel. In a file, because typed as -iex each "handle"
 * would print the table of all signals.
 */
static int write_gdb_file(struct run *r, const struct list *kernel, const struct list *env)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/gdb", r->dir);
	f = fopen(path, "we");
	if (!f) {
		say("%s: %s", path, strerror(errno));
		return -1;
	}
	/* UML lives on signals; only the one that ends a panic is news. */
	fputs("set pagination off\nset confirm off\nset breakpoint pending on\n"
	      "set print thread-events off\nset print inferior-events off\n"
	      "set debuginfod enabled off\n"
	      "handle all nostop noprint pass\nhandle SIGABRT stop print pass\n", f);
	for (size_t i = 0; i < env->n; i++)
		fprintf(f, "set environment %s\n", env->v[i]);
	/* gdb's shell sends the kernel's own output to the log; everything else is gdb's. */
	fputs("set args", f);
	for (size_t i = 1; i < kernel->n; i++)
		fprintf(f, " '%s'", kernel->v[i]);
	fprintf(f, " >>%s 2>&1 </dev/null\n", r->log_path);
	return fclose(f);
}

static struct list gdb_arguments(struct run *r)
{
	struct list l = { 0 };

	add(&l, "gdb");
	add(&l, "-q");
	add(&l, "-ix");
	add(&l, "%s/gdb", r->dir);
	for (size_t i = 0; i < r->opt.gdb_args.n; i++)
		add(&l, "%s", r->opt.gdb_args.v[i]);
	add(&l, "%s", r->opt.kernel);
	return l;
}

void boot_print(struct run *r, FILE *f)
{
	struct list l = kernel_arguments(r);

	for (size_t i = 0; i < l.n; i++)
		fprintf(f, "%s%s", i ? " " : "", l.v[i]);
	fputc('\n', f);
}

static int make_pipes(struct run *r)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) {
		say("pipe: %s", strerror(errno));
		return -1;
	}
	r->guest_in = in[0];
	r->to_guest = in[1];
	r->from_guest = out[0];
	r->guest_out = out[1];
	/* Room for both output windows; where the host refuses it UML waits and loses nothing. */
	fcntl(r->guest_out, F_SETPIPE_SZ, 1 << 20);
	fcntl(r->from_guest, F_SETFL, O_NONBLOCK);
	fcntl(r->to_guest, F_SETFL, O_NONBLOCK);
	return 0;
}

static void pin(int core)
{
	cpu_set_t set;

	if (core < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Above the standard ones first, so that no dup2 overwrites what the next one needs. */
static void child_descriptors(struct run *r)
{
	int in = fcntl(r->guest_in, F_DUPFD, 20), out = fcntl(r->guest_out, F_DUPFD, 20);

	if (!r->opt.gdb) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 0);
		dup2(r->log_fd, 1);
		dup2(r->log_fd, 2);
	}
	dup2(in, FD_IN);
	dup2(out, FD_OUT);
}

static void child(struct run *r, struct list *argv, struct list *envp, int report)
{
	struct rlimit no_core, files;
	sigset_t none;
	int high = fcntl(report, F_DUPFD_CLOEXEC, 30);

	/* A panic does kill(0, SIGTERM): never in the caller's group. gdb needs the terminal. */
	if (!r->opt.gdb)
		setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	getrlimit(RLIMIT_CORE, &no_core);
	no_core.rlim_cur = 0;
	setrlimit(RLIMIT_CORE, &no_core);
	/* hostfs keeps a descriptor of the host for every file whose inode is cached. */
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	pin(r->core);
	child_descriptors(r);
	for (int fd = FD_OUT + 1; fd < high; fd++)
		close(fd);
	syscall(SYS_close_range, high + 1, ~0u, 0);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (r->opt.gdb)
		execvp(argv->v[0], argv->v);
	else
		execve(argv->v[0], argv->v, envp->v);
	int err = errno;

	if (write(high, &err, sizeof(err)) < 0)
		_exit(1);
	_exit(127);
}

int boot_start(struct run *r)
{
	struct list argv = kernel_arguments(r), envp = kernel_environment(r);
	int report[2], err = 0;

	if (r->opt.gdb) {
		if (write_gdb_file(r, &argv, &envp))
			return -1;
		argv = gdb_arguments(r);
	}
	if (make_pipes(r) || pipe2(report, O_CLOEXEC))
		return -1;
	r->started_at = now();
	r->kernel = fork();
	if (r->kernel < 0) {
		say("fork: %s", strerror(errno));
		return -1;
	}
	if (!r->kernel)
		child(r, &argv, &envp, report[1]);
	close(report[1]);
	close(r->guest_in);
	close(r->guest_out);
	if (read(report[0], &err, sizeof(err)) == sizeof(err))
		say("execute %s: %s%s", argv.v[0], strerror(err), r->opt.gdb ?
		    ": install gdb" : ": is it a UML kernel for this machine?");
	close(report[0]);
	return err ? -1 : 0;
}
