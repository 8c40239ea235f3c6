// SPDX-License-Identifier: GPL-2.0-only
/*
 * One outcome from all that happened.
 *
 * It fails closed: CMD's status is believed only if it came with the nonce of this run,
 * nothing went wrong before it, the
 * kernel then ended by itself with status 0, and its log is clean. Whatever is not such a
 * run has a code of the runner's.
 */
#include <string.h>
#include <sys/wait.h>

#include "run.h"

struct outcome {
	const char *name;
	int code;
	bool traces;		/* keep a failure directory */
	char line[1200];	/* what the user reads; empty: nothing to say */
};

static void set(struct outcome *o, const char *name, int code, bool traces)
{
	o->name = name;
	o->code = code;
	o->traces = traces;
}

static void how_it_ended(struct run *r, char *buf, size_t room)
{
	int st = r->facts.wait_status;

	if (!r->facts.exited)
		snprintf(buf, room, "it did not end");
	else if (WIFSIGNALED(st))
		snprintf(buf, room, "it was killed by signal %d (%s)", WTERMSIG(st),
			 strsignal(WTERMSIG(st)));
	else
		snprintf(buf, room, "it exited with %d", WEXITSTATUS(st));
}

/* The kernel's own words are the best reason; the cure where it is known. */
static void boot_reason(struct run *r, struct outcome *o)
{
	static const struct {
		const char *word, *cure;
	} known[] = {
		{ "SECCOMP userspace requested but not functional", "the host refuses seccomp: "
		  "--mode ptrace with one CPU" },
		{ "not mounted noexec", "name a directory with TMPDIR" },
		{ "SMP is not supported with PTRACE", "take --cpus 1" },
		{ "check_ptrace", "the host refuses ptrace (a container without SYS_PTRACE?)" },
		{ "Too many command line arguments", "fewer or shorter --append" },
		{ "Cannot allocate memory", "a smaller --mem" },
		{ "No init found", "the kernel needs CONFIG_HOSTFS" },
		{ "Failed to allocate", "another --mem" },
	};
	char how[120];
	char line[600];

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (klog_find(r->log_path, known[i].word, line, sizeof(line))) {
			snprintf(o->line, sizeof(o->line), "the boot failed: %s: %s", line,
				 known[i].cure);
			return;
		}
	how_it_ended(r, how, sizeof(how));
	klog_last_line(r->log_path, line, sizeof(line));
	snprintf(o->line, sizeof(o->line), "the boot failed, %s: %s",
		 r->facts.boot_timeout ? "the kernel fell silent after" : how,
		 *line ? line : "the kernel said nothing: is it a UML kernel?");
}

static void no_verdict(struct run *r, struct outcome *o)
{
	char how[120];

	how_it_ended(r, how, sizeof(how));
	set(o, "silent", EXIT_SILENT, true);
	if (r->facts.garbage)
		snprintf(o->line, sizeof(o->line), "no verdict: %s: something in the guest wrote to "
			 "the line that belongs to uml-run", r->facts.garbage_text);
	else if (r->facts.bad_nonce)
		snprintf(o->line, sizeof(o->line), "no verdict: the status did not carry this run's "
			 "nonce");
	else if (r->facts.verdict)
		snprintf(o->line, sizeof(o->line), "the command ended with %d, but then the kernel "
			 "failed: %s", r->facts.status.code, how);
	else
		snprintf(o->line, sizeof(o->line), "the kernel ended without a verdict: %s%s", how,
			 r->facts.wait_status ? "" : ": the guest was powered off before the command "
			 "ended");
}

/* What CMD wrote, and believes to be written, is not where it should be. */
static bool output_lost(struct run *r, struct outcome *o)
{
	for (int i = JOIN_STDOUT; i < JOIN_STREAMS; i++)
		if (r->out[i].err) {
			set(o, "output", EXIT_RUNNER, false);
			snprintf(o->line, sizeof(o->line), "standard %s: %s: what the command wrote "
				 "there is not whole: make room there, or let it go elsewhere",
				 i == JOIN_STDOUT ? "output" : "error", strerror(r->out[i].err));
			return true;
		}
	return false;
}

/* gdb's end is no failure of the kernel's: the user may have said quit. */
static bool good_end(struct run *r)
{
	return r->opt.gdb || (r->facts.exited && !r->facts.wait_status);
}

static void judge(struct run *r, struct outcome *o)
{
	struct facts *f = &r->facts;
	char line[600] = "";
	enum klog_kind log = klog_judge(r->log_path, line, sizeof(line));

	if (f->caught) {
		set(o, "signal", 128 + f->caught, false);
	} else if (log == KLOG_PANIC) {
		set(o, "panic", EXIT_PANIC, true);
		snprintf(o->line, sizeof(o->line), "the kernel panicked: %s", line);
	} else if (f->timeout) {
		set(o, "timeout", EXIT_TIMEOUT, true);
		snprintf(o->line, sizeof(o->line), "the time was up: %g s", r->opt.timeout);
	} else if (log == KLOG_REPORT) {
		set(o, "report", EXIT_KREPORT, true);
		snprintf(o->line, sizeof(o->line), "the kernel reported a bug: %s%s", line,
			 f->verdict ? "" : " (and the command gave no status)");
	} else if (!f->hello && !f->garbage && !r->opt.gdb) {
		set(o, "boot", EXIT_RUNNER, true);
		boot_reason(r, o);
	} else if (f->failed) {
		set(o, f->status.code == EXIT_RUNNER ? "setup" : "exec", f->status.code, false);
		snprintf(o->line, sizeof(o->line), "%s", f->fail_text);
	} else if (f->hung) {
		set(o, "hung", EXIT_HUNG, true);
		snprintf(o->line, sizeof(o->line), "the command ended with %d, the kernel did not "
			 "end", f->status.code);
	} else if (f->verdict && good_end(r) && !f->garbage && !f->bad_nonce) {
		if (!output_lost(r, o))
			set(o, "status", f->status.code, false);
	} else if (r->opt.gdb && f->exited) {
		set(o, "gdb", WIFEXITED(f->wait_status) ? WEXITSTATUS(f->wait_status) : 1, false);
	} else {
		no_verdict(r, o);
	}
}

/* seccomp=auto falls back by itself; the user shall know why things are slow. */
static void tell_mode(struct run *r)
{
	static const char word[] = "Checking that seccomp filters can be installed...";
	char line[200];

	if (strcmp(r->opt.mode, "auto") || !klog_find(r->log_path, word, line, sizeof(line)) ||
	    strstr(line, "...OK"))
		return;
	say("the host refused seccomp, user code ran under ptrace (2-3 times slower): --mode ptrace "
	    "says so without this line");
}

/* A kernel that has fewer CPUs than it was asked for takes what it has. */
static void tell_cpus(struct run *r)
{
	unsigned int nodes, cpus;
	char line[400];
	char *at;

	if (!klog_find(r->log_path, "Brought up ", line, sizeof(line)))
		return;
	at = strstr(line, "Brought up ");
	if (at && sscanf(at, "Brought up %u node%*[s,] %u CPU", &nodes, &cpus) == 2 && cpus < r->opt.cpus)
		say("the guest has fewer CPUs than --cpus %u: this kernel has at most %u", r->opt.cpus,
		    cpus);
}

/* A kernel that makes fewer nodes than it was asked for says why and boots; with "quiet" nothing is known. */
static void tell_nodes(struct run *r)
{
	char line[400], last[40];

	if (r->opt.nodes < 2 || !klog_find(r->log_path, "Linux version", line, sizeof(line)))
		return;
	snprintf(last, sizeof(last), "Faking node %u at", r->opt.nodes - 1);
	if (klog_find(r->log_path, last, line, sizeof(line)))
		return;
	if (!klog_find(r->log_path, "numa=fake=", line, sizeof(line)))
		strcpy(line, "this kernel is built without CONFIG_NUMA");
	say("the guest has fewer nodes than --nodes %u: %s", r->opt.nodes, line);
}

static void copy_log(struct run *r)
{
	char buf[65536];
	size_t n;
	FILE *from, *to;

	if (!r->opt.log)
		return;
	from = fopen(r->log_path, "re");
	to = fopen(r->opt.log, "we");
	if (!from || !to)
		say("--log %s: cannot be written", r->opt.log);
	while (from && to && (n = fread(buf, 1, sizeof(buf), from)) > 0)
		fwrite(buf, 1, n, to);
	if (from)
		fclose(from);
	if (to)
		fclose(to);
}

int verdict_give(struct run *r)
{
	struct outcome o = { .name = "silent", .code = EXIT_SILENT };

	judge(r, &o);
	tell_mode(r);
	tell_cpus(r);
	tell_nodes(r);
	copy_log(r);
	if (o.line[0])
		say("%s", o.line);
	if (o.traces)
		report_failure(r, o.name, o.code, o.line);
	report_verdict_file(r, o.name, o.code);
	return o.code;
}
