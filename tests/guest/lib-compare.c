// SPDX-License-Identifier: GPL-2.0-only
/* See lib-model.h: every file that can be read, against the model. */
#include "lib-model.h"

#include <dirent.h>
#include <sys/stat.h>

char *mount_dir(int tree, int mount)
{
	static char dir[4][32];
	static int turn;
	char *d = dir[turn++ % 4];

	sprintf(d, "/tmp/w/%d-%d", tree, mount);
	return d;
}

/* A container's directory in one of the mounts. */
char *dir_of(struct world *w, int tree, int mount, int cont)
{
	static char dir[512];
	char path[256];

	model_path(&w->m, tree, cont, path, sizeof(path));
	snprintf(dir, sizeof(dir), "%s%s", mount_dir(tree, mount), cont ? path : "");
	return dir;
}

/* The files of one container that were compared so far; from file_of(). */
static struct {
	char name[128][32];
	int n;
} compared;

char *file_of(struct world *w, int tree, int mount, int cont, const char *file)
{
	static char path[600];

	if (compared.n < 128)
		snprintf(compared.name[compared.n++], sizeof(compared.name[0]), "%s", file);
	snprintf(path, sizeof(path), "%s/%s", dir_of(w, tree, mount, cont), file);
	return path;
}

static void compare_text(const char *path, const char *wanted)
{
	char *text = NULL;
	int err = try_read(path, &text);

	if (err)
		differ("%s: got %s", path, error_name(err));
	if (strcmp(text, wanted))
		differ("%s reads \"%s\", the model says \"%s\"", path, text, wanted);
	free(text);
}

static void compare_number(struct world *w, int tree, int mount, int cont, const char *file, uint64_t wanted)
{
	char text[32] = "max\n";

	if (wanted != MODEL_NO_LIMIT)
		snprintf(text, sizeof(text), "%llu\n", (unsigned long long)wanted);
	compare_text(file_of(w, tree, mount, cont, file), text);
}

static int by_number(const void *a, const void *b)
{
	return *(const pid_t *)a - *(const pid_t *)b;
}

/* `tasks` or `procs`; in a root stand others too. */
static void compare_ids(struct world *w, int tree, int mount, int cont, bool processes)
{
	char *path = file_of(w, tree, mount, cont, processes ? "procs" : "tasks"), text[512] = "";
	pid_t ids[MODEL_PROCS * MODEL_THREADS];
	int n = 0;

	for (int p = 0; p < MODEL_PROCS; p++)
		for (int i = 0; w->m.p[p].live && i < (processes ? 1 : w->m.p[p].threads); i++) {
			bool here = w->m.p[p].in[i][tree] == cont;

			if (here && cont)
				ids[n++] = w->actors[p].tid[i];
			if (!cont && has_line(path, w->actors[p].tid[i]) != here)
				differ("%s: %d is %sthere", path, w->actors[p].tid[i], here ? "not " : "");
		}
	if (!cont)
		return;
	qsort(ids, n, sizeof(ids[0]), by_number);
	for (int i = 0; i < n; i++)
		sprintf(text + strlen(text), "%d\n", ids[i]);
	compare_text(path, text);
}

/* Whose file it is: 1 for the first subsystem, 0 for none of them. */
static int subsystem_of(const char *name)
{
	for (int i = 0; i < MODEL_SUBSYSTEMS; i++) {
		size_t len = strlen(model_subsystems[i]);

		if (!strncmp(name, model_subsystems[i], len) && name[len] == '.')
			return i + 1;
	}
	return 0;
}

/* What else there is but directories: the core's files, and those of the bound subsystems. */
static bool file_belongs(struct world *w, int tree, int cont, const char *name)
{
	static const char *const core[] = { "tasks", "procs", "events", "notify_on_release", "releasable",
					    "why", "kill" };

	for (unsigned int i = 0; i < sizeof(core) / sizeof(core[0]); i++)
		if (!strcmp(name, core[i]))
			return true;
	if (subsystem_of(name))
		return w->m.t[tree].mask & 1 << (subsystem_of(name) - 1);
	return !cont && !strcmp(name, "release_agent");
}

static void compare_dir(struct world *w, int tree, int mount, int cont)
{
	char *path = dir_of(w, tree, mount, cont);
	int children = 0, own[1 + MODEL_SUBSYSTEMS] = { 0 };
	struct dirent *entry;
	DIR *dir = opendir(path);

	if (!dir)
		differ("%s: %s", path, error_name(errno));
	while ((entry = readdir(dir))) {
		bool known = false;

		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type != DT_DIR) {
			known = file_belongs(w, tree, cont, entry->d_name);
			own[subsystem_of(entry->d_name)]++;
		}
		for (int c = 1; entry->d_type == DT_DIR && c < MODEL_CONTAINERS; c++)
			if (w->m.t[tree].c[c].live && w->m.t[tree].c[c].parent == cont &&
			    !strcmp(w->m.t[tree].c[c].name, entry->d_name)) {
				known = true;
				children++;
			}
		if (!known)
			differ("%s/%s is there, the model has none", path, entry->d_name);
	}
	closedir(dir);
	if (children != model_children(&w->m, tree, cont))
		differ("%s has %d children, the model %d", path, children, model_children(&w->m, tree, cont));
	if (own[0] < 7)
		differ("%s has %d files of the core", path, own[0]);
	for (int i = 0; i < MODEL_SUBSYSTEMS; i++)
		if (!own[1 + i] != !(w->m.t[tree].mask & 1 << i))
			differ("%s has %d files of %s", path, own[1 + i], model_subsystems[i]);
}

static void compare_stat(struct world *w, int tree, int mount, int cont, const char *field, unsigned int wanted)
{
	char *path = file_of(w, tree, mount, cont, "numtasks.stats"), *text = read_file(path), line[64];

	sprintf(line, "numtasks: %s %u\n", field, wanted);
	if (!strstr(text, line))
		differ("%s reads \"%s\", the model says \"%s\"", path, text, line);
	free(text);
}

static void compare_setting(struct world *w, int tree, int mount, int cont, const char *file, const char *wanted)
{
	compare_text(file_of(w, tree, mount, cont, file), wanted);
}

/* A line that a file has. */
static void compare_line(struct world *w, int tree, int mount, int cont, const char *file, const char *line)
{
	char *path = file_of(w, tree, mount, cont, file), *text = NULL, whole[128];
	int err = try_read(path, &text);

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (err || (strncmp(text, whole + 1, strlen(whole) - 1) && !strstr(text, whole)))
		differ("%s reads \"%s\" (%s), the model says \"%s\"", path, text ?: "", error_name(err), line);
	free(text);
}

static void compare_marks(struct world *w, int tree, int mount, int cont, const char *resource,
			  const struct model_marks *marks)
{
	char file[64];

	sprintf(file, "bc.%s.held", resource);
	compare_number(w, tree, mount, cont, file, marks->last);
	sprintf(file, "bc.%s.maxheld", resource);
	compare_number(w, tree, mount, cont, file, marks->max);
	sprintf(file, "bc.%s.minheld", resource);
	compare_number(w, tree, mount, cont, file, marks->min == MODEL_NEVER ? marks->last : marks->min);
}

/* Pages, which the model knows nothing of: read in this order, each is at most the next one. */
static void compare_order(struct world *w, int tree, int mount, int cont, const char *resource)
{
	static const char *const files[] = { "minheld", "held", "maxheld" };
	uint64_t n[3];

	for (int i = 0; i < 3; i++) {
		char file[64];

		sprintf(file, "bc.%s.%s", resource, files[i]);
		n[i] = read_u64(file_of(w, tree, mount, cont, file));
	}
	if (n[1] > n[2] || n[0] > n[2])
		differ("%s: %s has been %llu, is %llu, and at most %llu", dir_of(w, tree, mount, cont), resource,
		       (unsigned long long)n[0], (unsigned long long)n[1], (unsigned long long)n[2]);
}

static void compare_bounds(struct world *w, int tree, int mount, int cont, const char *resource, uint64_t barrier,
			   uint64_t limit, unsigned int passed, unsigned int refused)
{
	char file[64], line[128], high[32] = "max", low[32] = "max";

	sprintf(file, "bc.%s.barrier", resource);
	compare_number(w, tree, mount, cont, file, barrier);
	sprintf(file, "bc.%s.limit", resource);
	compare_number(w, tree, mount, cont, file, limit);
	sprintf(file, "bc.%s.failcnt", resource);
	compare_number(w, tree, mount, cont, file, refused);
	if (barrier != MODEL_NO_LIMIT)
		sprintf(low, "%llu", (unsigned long long)barrier);
	if (limit != MODEL_NO_LIMIT)
		sprintf(high, "%llu", (unsigned long long)limit);
	sprintf(line, "%s %s %s", resource, low, high);
	compare_line(w, tree, mount, cont, "bc.set", line);
	sprintf(line, "%s.barrier_hit %u", resource, passed);
	compare_line(w, tree, mount, cont, "bc.events", line);
	sprintf(line, "%s.limit_hit %u", resource, refused);
	compare_line(w, tree, mount, cont, "bc.events", line);
}

static void compare_bc(struct world *w, int tree, int mount, int cont)
{
	static const char *const unlimited[] = { "numproc", "privvmpages", "lockedpages", "numsiginfo" };
	struct model_container *c = &w->m.t[tree].c[cont];

	compare_marks(w, tree, mount, cont, "numfiles", &c->files);
	compare_marks(w, tree, mount, cont, "numproc", &c->procs);
	compare_order(w, tree, mount, cont, "privvmpages");
	compare_order(w, tree, mount, cont, "lockedpages");
	compare_order(w, tree, mount, cont, "numsiginfo");
	compare_bounds(w, tree, mount, cont, "numfiles", c->files_limit / 2, c->files_limit, c->files_passed,
		       c->files_refused);
	for (int i = 0; i < 4; i++) {
		char line[64];

		compare_bounds(w, tree, mount, cont, unlimited[i], MODEL_NO_LIMIT, MODEL_NO_LIMIT, 0, 0);
		sprintf(line, "%s max max", unlimited[i]);
		compare_line(w, tree, mount, cont, "bc.defaults", line);
	}
	compare_line(w, tree, mount, cont, "bc.defaults", "numfiles 256 512");
}

static uint64_t sum_of(const char *path)
{
	char *text = read_file(path), *rest = text, *word;
	uint64_t sum = 0;

	while ((word = strsep(&rest, " \n")))
		sum += strtoull(word, NULL, 10);
	free(text);
	return sum;
}

/* Time only grows, so what is read first can only be less: own and children's, all, all CPUs'. */
static void compare_time(struct world *w, int tree, int mount, int cont)
{
	struct model_container *c = w->m.t[tree].c;
	uint64_t parts = read_u64(file_of(w, tree, mount, cont, "cpuacct.usage_self")), usage, percpu;

	for (int i = 1; i < MODEL_CONTAINERS; i++)
		if (c[i].live && c[i].parent == cont)
			parts += read_u64(file_of(w, tree, mount, i, "cpuacct.usage"));
	usage = read_u64(file_of(w, tree, mount, cont, "cpuacct.usage"));
	percpu = sum_of(file_of(w, tree, mount, cont, "cpuacct.usage_percpu"));
	if (parts > usage || usage > percpu || c[cont].usage > usage)
		differ("%s: cpuacct.usage was %llu and is %llu; its parts had %llu, all CPUs have %llu",
		       dir_of(w, tree, mount, cont), (unsigned long long)c[cont].usage, (unsigned long long)usage,
		       (unsigned long long)parts, (unsigned long long)percpu);
	c[cont].usage = usage;
}

static void compare_why(struct world *w, int tree, int mount, int cont)
{
	struct model_why *why = &w->m.t[tree].c[cont].why;
	char wanted[600], limiter[256] = "", *text;
	int n;

	if (!why->count) {
		compare_text(file_of(w, tree, mount, cont, "why"), "");
		return;
	}
	n = snprintf(wanted, sizeof(wanted), "\nwhat %s\nsubsystem %s\nerror %s\n", why->what, why->subsystem,
		     strerrorname_np(why->error));
	if (why->limiter >= 0) {
		model_path(&w->m, tree, why->limiter, limiter, sizeof(limiter));
		snprintf(wanted + n, sizeof(wanted) - n, "container %s\nusage %llu\nlimit %llu\n", limiter,
			 (unsigned long long)why->usage, (unsigned long long)why->limit);
	}
	text = read_file(file_of(w, tree, mount, cont, "why"));
	if (!strstr(text, wanted) || (why->limiter < 0 && strstr(text, "\nlimit ")))
		differ("%s reads \"%s\", the model says \"%s\"", file_of(w, tree, mount, cont, "why"), text, wanted);
	free(text);
	sprintf(wanted, "count %u", why->count);
	compare_line(w, tree, mount, cont, "why", wanted);
}

/* What the subsystems count and limit; a root has no limits, and others are in it. */
static void compare_counts(struct world *w, int tree, int mount, int cont)
{
	struct model_container *c = &w->m.t[tree].c[cont];
	unsigned int mask = cont ? w->m.t[tree].mask : 0;

	if (mask & MODEL_MEMORY) {
		compare_number(w, tree, mount, cont, "memory.page_limit", c->limit);
		compare_number(w, tree, mount, cont, "memory.page_limit_hits", 0);
		compare_setting(w, tree, mount, cont, "memory.overlimit", "reclaim\n");
		compare_number(w, tree, mount, cont, "memory.page_max", MODEL_NO_LIMIT);
		compare_setting(w, tree, mount, cont, "memory.events", "limit_hits 0\nmax_hits 0\ngiveups 0\nooms 0\n");
	}
	if (mask & MODEL_NUMTASKS) {
		compare_setting(w, tree, mount, cont, "numtasks.shares",
				"res=numtasks,min_shares=-3,max_shares=-3,child_shares_divisor=100\n");
		compare_number(w, tree, mount, cont, "numtasks.limit", c->tasks_limit);
		compare_stat(w, tree, mount, cont, "Current usage", model_tasks(&w->m, tree, cont));
		compare_stat(w, tree, mount, cont, "Number of successes", c->forks);
		compare_stat(w, tree, mount, cont, "Number of failures", c->forks_refused);
		compare_stat(w, tree, mount, cont, "Number of forkrate failures", 0);
	}
	if (mask & MODEL_BC)
		compare_bc(w, tree, mount, cont);
	if (w->m.t[tree].mask & MODEL_CPUACCT)
		compare_time(w, tree, mount, cont);
}

/* How many are dying, only an end of them shows: that is after a grace period. */
static void compare_events(struct world *w, int tree, int mount, int cont)
{
	char *path = file_of(w, tree, mount, cont, "events"), *text = read_file(path);
	unsigned int populated, dying;
	int end = 0;

	if (sscanf(text, "populated %u\ndying %u\n%n", &populated, &dying, &end) != 2 || !end || text[end] ||
	    populated != model_populated(&w->m, tree, cont) || dying > w->m.t[tree].c[cont].removed)
		differ("%s reads \"%s\", the model says populated %d, dying %u at most", path, text,
		       model_populated(&w->m, tree, cont), w->m.t[tree].c[cont].removed);
	free(text);
}

/*
 * Each file that is neither compared nor one of these is a difference: what the model cannot know
 * can be read at least. In a root there is what the whole machine does, but in the core's files.
 */
static bool may_be_unknown(int cont, const char *name)
{
	static const char *const unknown[] = {
		/* how much memory the programs of the test need; tests/guest/accounting.h compares these */
		"memory.anon_pages", "memory.file_pages", "memory.mapped_pages", "memory.active_pages",
		"memory.num_files", "memory.files", "memory.stat",
		/* ticks, and an average of them; the time itself is compared */
		"cpuacct.stat", "cpuacct.load",
	};

	if (!cont && subsystem_of(name))
		return true;
	for (unsigned int i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		if (!strcmp(name, unknown[i]))
			return true;
	return false;
}

static bool was_compared(const char *name)
{
	for (int i = 0; i < compared.n; i++)
		if (!strcmp(compared.name[i], name))
			return true;
	return false;
}

static void read_the_others(int cont, const char *path)
{
	struct dirent *entry;
	struct stat st;
	char file[600], *text;
	DIR *dir = opendir(path);
	int err;

	while (dir && (entry = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_type != DT_REG || stat(file, &st) || !(st.st_mode & 0444) || was_compared(entry->d_name))
			continue;
		if (!may_be_unknown(cont, entry->d_name))
			differ("%s: nobody compares it", file);
		err = try_read(file, &text);
		if (err)
			differ("%s: got %s", file, error_name(err));
		free(text);
	}
	if (dir)
		closedir(dir);
}

static void compare_container(struct world *w, int tree, int mount, int cont)
{
	struct model_container *c = &w->m.t[tree].c[cont];
	bool empty = !model_children(&w->m, tree, cont) && !model_has_tasks(&w->m, tree, cont);

	compared.n = 0;
	compare_dir(w, tree, mount, cont);
	compare_ids(w, tree, mount, cont, false);
	compare_ids(w, tree, mount, cont, true);
	compare_number(w, tree, mount, cont, "notify_on_release", c->notify);
	compare_number(w, tree, mount, cont, "releasable", cont && c->used && empty);
	compare_counts(w, tree, mount, cont);
	compare_why(w, tree, mount, cont);
	compare_events(w, tree, mount, cont);
	if (!cont)
		compare_setting(w, tree, mount, cont, "release_agent", "\n");
}

static void compare_task(struct world *w, int p, int i)
{
	char path[64], text[1024] = "", where[256];

	sprintf(path, "/proc/%d/task/%d/container", w->actors[p].tid[0], w->actors[p].tid[i]);
	for (int t = 0; t < MODEL_TREES; t++) {
		if (!w->m.t[t].live)
			continue;
		model_path(&w->m, t, w->m.p[p].in[i][t], where, sizeof(where));
		sprintf(text + strlen(text), "%d:%s:%s\n", t + 1, model_words(w->m.t[t].mask, w->m.t[t].name), where);
	}
	compare_text(path, text);
}

static void compare_tables(struct world *w)
{
	struct hierarchy_row h[16];
	struct subsystem_row s[16];
	int n = read_hierarchies(h, 16), row = 0;

	for (int t = 0; t < MODEL_TREES; t++) {
		const char *words = model_words(w->m.t[t].mask, w->m.t[t].name);

		if (!w->m.t[t].live)
			continue;
		if (row == n)
			differ("/proc/containers has no hierarchy %d", t + 1);
		if (h[row].id != t + 1 || h[row].containers != model_live(&w->m, t) ||
		    h[row].dying > (int)w->m.t[t].c[0].removed || strcmp(h[row].subsystems, words))
			differ("/proc/containers has \"%d %d %d %s\", the model \"%d %d %u at most %s\"", h[row].id,
			       h[row].containers, h[row].dying, h[row].subsystems, t + 1, model_live(&w->m, t),
			       w->m.t[t].c[0].removed, words);
		row++;
	}
	if (row != n)
		differ("/proc/containers has a hierarchy %d (%s), the model none", h[row].id, h[row].subsystems);
	n = read_subsystems(s, 16);
	for (int i = 0; i < n; i++) {
		int id = 0, live;

		for (int k = 0; k < MODEL_SUBSYSTEMS; k++)
			if (!strcmp(s[i].name, model_subsystems[k]))
				id = model_tree_of(&w->m, 1 << k) + 1;
		live = id ? model_live(&w->m, id - 1) : 1;
		if (s[i].hierarchy != id || s[i].containers != live || s[i].states < live ||
		    s[i].states > live + (int)w->m.taken)
			differ("/proc/containers has \"%s %d %d %d\", the model hierarchy %d, %d, and %d to %d states",
			       s[i].name, s[i].hierarchy, s[i].containers, s[i].states, id, live, live,
			       live + w->m.taken);
	}
}

/* Each set of containers that some thread is in, the roots only once. */
static void compare_groups(struct world *w)
{
	int *seen[MODEL_PROCS * MODEL_THREADS + 1], none[MODEL_TREES] = { 0 };
	unsigned int n = 1;

	seen[0] = none;
	for (int p = 0; p < MODEL_PROCS; p++)
		for (int i = 0; w->m.p[p].live && i < w->m.p[p].threads; i++) {
			unsigned int g = 0;

			while (g < n && memcmp(seen[g], w->m.p[p].in[i], sizeof(none)))
				g++;
			if (g == n)
				seen[n++] = w->m.p[p].in[i];
		}
	if (nr_groups() != n)
		differ("/proc/containers has %u groups, the model %u", nr_groups(), n);
}

void compare_all(struct world *w)
{
	model_marks_follow(&w->m);
	compare_tables(w);
	compare_groups(w);
	for (int p = 0; p < MODEL_PROCS; p++)
		for (int i = 0; w->m.p[p].live && i < w->m.p[p].threads; i++)
			compare_task(w, p, i);
	for (int t = 0; t < MODEL_TREES; t++) {
		int read_in = w->m.t[t].mounted[0] ? 0 : 1;

		for (int i = 0; w->m.t[t].live && i < MODEL_MOUNTS; i++)
			for (int c = 0; w->m.t[t].mounted[i] && c < MODEL_CONTAINERS; c++)
				if (w->m.t[t].c[c].live) {
					compare_container(w, t, i, c);
					if (i == read_in)
						read_the_others(c, dir_of(w, t, i, c));
				}
	}
}
