// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel log says: clean, a report of a bug, or a panic. */
#include <string.h>

#include "run.h"

/* Any of these anywhere in a line; the kernel writes them for its own bugs only. */
static const char *const reports[] = {
	"BUG:", "kernel BUG at", "WARNING:", "------------[ cut here ]------------", "Oops:",
	"UBSAN:", "KASAN:", "KCSAN:", "KFENCE:", "KMSAN:",
	"INFO: possible recursive locking", "INFO: trying to register non-static key",
	"INFO: task ", "INFO: rcu", "rcu_sched kthread starved", "rcu_preempt kthread starved",
	"possible circular locking dependency", "suspicious RCU usage", "inconsistent lock state",
	"new suspected memory leaks", "unreferenced object", "Bad page state", "bad pte", "Bad rss",
	"refcount_t:", "list_add corruption", "list_del corruption", "nobody cared",
	"general protection fault", "stack-protector:", "DEBUG_LOCKS_WARN_ON", "Kernel mode fault",
	"sleeping function called from invalid context", "scheduling while atomic",
};
static const char panic_word[] = "Kernel panic - not syncing";
/* The arguments of the kernel are the caller's words, not the kernel's. */
static const char *const quotes[] = { "Kernel command line:", "Unknown kernel command line" };

static bool has(const char *line, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strstr(line, words[i]))
			return true;
	return false;
}

#define HAS(line, words) has(line, words, sizeof(words) / sizeof(*(words)))

static void keep(char *to, size_t room, const char *line)
{
	snprintf(to, room, "%.*s", (int)strcspn(line, "\r\n"), line);
}

/* The worst that the log holds; @line gets the line that says so. A log that cannot be read is no clean log. */
enum klog_kind klog_judge(const char *path, char *line, size_t room)
{
	enum klog_kind kind = KLOG_CLEAN;
	char *buf = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "re");

	if (!f) {
		snprintf(line, room, "the kernel log cannot be read");
		return KLOG_REPORT;
	}
	while (getline(&buf, &size, f) > 0) {
		if (HAS(buf, quotes))
			continue;
		if (strstr(buf, panic_word)) {
			keep(line, room, buf);
			kind = KLOG_PANIC;
			break;
		}
		if (kind == KLOG_CLEAN && HAS(buf, reports)) {
			keep(line, room, buf);
			kind = KLOG_REPORT;
		}
	}
	/* "cut here" says nothing; the next line does. */
	if (strstr(line, "cut here") && kind == KLOG_REPORT)
		klog_find(path, "WARNING:", line, room);
	fclose(f);
	return kind;
}

bool klog_find(const char *path, const char *word, char *line, size_t room)
{
	char *buf = NULL;
	size_t size = 0;
	bool found = false;
	FILE *f = fopen(path, "re");

	while (f && !found && getline(&buf, &size, f) > 0) {
		if (HAS(buf, quotes) || !strstr(buf, word))
			continue;
		keep(line, room, buf);
		found = true;
	}
	if (f)
		fclose(f);
	return found;
}

void klog_last_line(const char *path, char *line, size_t room)
{
	char *buf = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "re");

	*line = 0;
	while (f && getline(&buf, &size, f) > 0)
		if (strcspn(buf, " \r\n"))
			keep(line, room, buf);
	if (f)
		fclose(f);
}
