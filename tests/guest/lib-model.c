// SPDX-License-Identifier: GPL-2.0-only
/* See lib-model.h: the reference model, to be right by inspection. */
#include "lib-model.h"

bool model_lies;

const char *const model_subsystems[MODEL_SUBSYSTEMS] = { "cpuacct", "memory", "bc", "numtasks" };

static const struct model_marks no_marks = { .min = MODEL_NEVER };

static struct model_container new_container(int parent, const char *name)
{
	struct model_container c = { .live = true, .parent = parent, .limit = MODEL_NO_LIMIT,
				     .tasks_limit = MODEL_NO_LIMIT, .files_limit = MODEL_FILES_LIMIT,
				     .files = no_marks, .procs = no_marks };

	strcpy(c.name, name);
	return c;
}

int model_mount(struct model *m, unsigned int mask, const char *name)
{
	unsigned int bound = 0;
	int free_tree = -1;

	for (int t = MODEL_TREES - 1; t >= 0; t--) {
		struct model_tree *tree = &m->t[t];

		if (!tree->live) {
			free_tree = t;
			continue;
		}
		if (tree->mask == mask && !strcmp(tree->name, name))
			return t;
		bound |= tree->mask;
	}
	if (bound & mask)
		return -EBUSY;
	if (free_tree < 0)
		return -ENOSPC;
	memset(&m->t[free_tree], 0, sizeof(m->t[0]));
	m->t[free_tree].live = true;
	m->t[free_tree].mask = mask;
	strcpy(m->t[free_tree].name, name);
	m->t[free_tree].c[0] = new_container(-1, "");
	for (int p = 0; p < MODEL_PROCS; p++)
		for (int i = 0; i < MODEL_THREADS; i++)
			m->p[p].in[i][free_tree] = 0;
	return free_tree;
}

/* A tree with containers outlives its last mount. */
void model_umount(struct model *m, int tree, int mount)
{
	struct model_tree *t = &m->t[tree];

	t->mounted[mount] = false;
	for (int i = 0; i < MODEL_MOUNTS; i++)
		if (t->mounted[i])
			return;
	if (model_live(m, tree) == 1)
		t->live = false;
}

static int find_name(struct model_tree *t, int parent, const char *name)
{
	for (int c = 1; c < MODEL_CONTAINERS; c++)
		if (t->c[c].live && t->c[c].parent == parent && !strcmp(t->c[c].name, name))
			return c;
	return -1;
}

int model_mkdir(struct model *m, int tree, int parent, const char *name)
{
	struct model_tree *t = &m->t[tree];
	int c = 1, err = EEXIST;

	if (find_name(t, parent, name) >= 0 && !model_lies)
		return err;
	while (t->c[c].live)
		c++;
	t->c[c] = new_container(parent, name);
	t->c[c].notify = t->c[parent].notify;
	t->c[parent].used = true;
	return 0;
}

/* In the tree with bc: the files of one container are another's now. */
static void pass_files(struct model *m, int from, int to)
{
	for (int f = 0; f < MODEL_FILES; f++)
		if (m->f[f].owner == from)
			m->f[f].owner = to;
}

static void refused(struct model_container *c, const char *what, const char *subsystem, int error)
{
	c->why = (struct model_why){ what, subsystem, error, c->why.count + 1, .limiter = -1 };
}

static void refused_by_limit(struct model_container *c, const char *what, const char *subsystem, int error,
			     int limiter, uint64_t usage, uint64_t limit)
{
	refused(c, what, subsystem, error);
	c->why.limiter = limiter;
	c->why.usage = usage;
	c->why.limit = limit;
}

/* Its files, that somebody still has open elsewhere, count on in the parent. */
int model_rmdir(struct model *m, int tree, int cont)
{
	int err = EBUSY;

	if (model_children(m, tree, cont) || model_has_tasks(m, tree, cont)) {
		refused(&m->t[tree].c[cont], "rmdir", "core", err);
		return err;
	}
	m->t[tree].c[cont].live = false;
	m->taken++;
	for (int above = m->t[tree].c[cont].parent; above >= 0; above = m->t[tree].c[above].parent)
		m->t[tree].c[above].removed++;
	if (tree == model_tree_of(m, MODEL_BC))
		pass_files(m, cont, m->t[tree].c[cont].parent);
	return 0;
}

int model_rename(struct model *m, int tree, int cont, const char *name)
{
	struct model_container *c = &m->t[tree].c[cont];
	int other = find_name(&m->t[tree], c->parent, name), err = EEXIST;

	if (other == cont)
		return 0;
	if (other >= 0)
		return err;
	strcpy(c->name, name);
	return 0;
}

/* What leaves forgets its settings and counts; what it has charged is the root's. */
int model_remount(struct model *m, int tree, unsigned int mask)
{
	struct model_tree *t = &m->t[tree];
	unsigned int leaves = t->mask & ~mask;
	int err = t->mask ? EBUSY : EINVAL;

	if (!t->mask)
		return err;
	for (int other = 0; other < MODEL_TREES; other++)
		if (other != tree && m->t[other].live && m->t[other].mask & mask)
			return err;
	t->mask = mask;
	m->taken += leaves ? model_live(m, tree) - 1 : 0;
	for (int i = 0; i < MODEL_CONTAINERS; i++) {
		struct model_container *c = &t->c[i];

		if (leaves & MODEL_CPUACCT)
			c->usage = 0;
		if (leaves & MODEL_MEMORY)
			c->limit = MODEL_NO_LIMIT;
		if (leaves & MODEL_NUMTASKS) {
			c->tasks_limit = MODEL_NO_LIMIT;
			c->forks = c->forks_refused = 0;
		}
		if (leaves & MODEL_BC) {
			c->files_limit = MODEL_FILES_LIMIT;
			c->files_refused = c->files_passed = 0;
			c->files = c->procs = no_marks;
			pass_files(m, i, 0);
		}
	}
	return 0;
}

void model_move(struct model *m, int tree, int cont, int proc, int thread)
{
	m->p[proc].in[thread][tree] = cont;
	m->t[tree].c[cont].used = true;
}

int model_fork(struct model *m, int parent)
{
	int p = 0;

	while (p < MODEL_PROCS && m->p[p].live)
		p++;
	if (p == MODEL_PROCS)
		return -1;
	memset(&m->p[p], 0, sizeof(m->p[p]));
	m->p[p].live = true;
	m->p[p].threads = 1;
	if (parent < 0)
		return p;
	memcpy(m->p[p].in[0], m->p[parent].in[0], sizeof(m->p[p].in[0]));
	for (int f = 0; f < MODEL_FILES; f++)
		m->f[f].in[p] = m->f[f].in[parent];
	return p;
}

void model_exit(struct model *m, int proc)
{
	m->p[proc].live = false;
	for (int f = 0; f < MODEL_FILES; f++)
		m->f[f].in[proc] = false;
}

static void raised(struct model_marks *marks, unsigned int now)
{
	marks->last = now;
	if (now > marks->max)
		marks->max = now;
}

static void fell(struct model_marks *marks, unsigned int now)
{
	marks->last = now;
	if (now < marks->min)
		marks->min = now;
}

static void follow(struct model_marks *marks, unsigned int now)
{
	if (now > marks->last)
		raised(marks, now);
	else if (now < marks->last)
		fell(marks, now);
}

void model_marks_follow(struct model *m)
{
	int tree = model_tree_of(m, MODEL_BC);

	for (int c = 0; tree >= 0 && c < MODEL_CONTAINERS; c++) {
		follow(&m->t[tree].c[c].files, model_files(m, tree, c));
		follow(&m->t[tree].c[c].procs, model_tasks(m, tree, c));
	}
}

/* bc is asked before numtasks: it has counted the task for a moment. */
static void counted_in_vain(struct model *m, int proc)
{
	int tree = model_tree_of(m, MODEL_BC);

	for (int i = tree < 0 ? 0 : m->p[proc].in[0][tree]; i; i = m->t[tree].c[i].parent) {
		raised(&m->t[tree].c[i].procs, model_tasks(m, tree, i) + 1);
		fell(&m->t[tree].c[i].procs, model_tasks(m, tree, i));
	}
}

/* No container but the root, from the process's on upwards, may get more than its limit. */
int model_charge_task(struct model *m, int proc)
{
	int tree = model_tree_of(m, MODEL_NUMTASKS), at, err = EAGAIN;
	struct model_container *c;

	if (tree < 0)
		return 0;
	c = m->t[tree].c;
	at = m->p[proc].in[0][tree];
	for (int i = at; i; i = c[i].parent)
		if (model_tasks(m, tree, i) + 1 > c[i].tasks_limit) {
			c[at].forks_refused++;
			refused_by_limit(&c[at], "fork", "numtasks", err, i, model_tasks(m, tree, i), c[i].tasks_limit);
			counted_in_vain(m, proc);
			return err;
		}
	c[at].forks++;
	return 0;
}

static bool is_open(struct model_file *f)
{
	for (int p = 0; p < MODEL_PROCS; p++)
		if (f->in[p])
			return true;
	return false;
}

/* The same for files; the failure is counted where the limit is. */
int model_open(struct model *m, int proc)
{
	int tree = model_tree_of(m, MODEL_BC), at = tree < 0 ? 0 : m->p[proc].in[0][tree], file = 0;
	struct model_container *c = tree < 0 ? NULL : m->t[tree].c;

	while (file < MODEL_FILES && is_open(&m->f[file]))
		file++;
	if (file == MODEL_FILES)
		return -1;
	for (int i = at; i; i = c[i].parent)
		if (model_files(m, tree, i) + 1 > c[i].files_limit) {
			c[i].files_refused++;
			refused_by_limit(&c[at], "open", "bc", ENFILE, i, model_files(m, tree, i), c[i].files_limit);
			return -ENFILE;
		}
	for (int i = at; i; i = c[i].parent)
		if (model_files(m, tree, i) == c[i].files_limit / 2)
			c[i].files_passed++;
	m->f[file].in[proc] = true;
	m->f[file].owner = at;
	return file;
}

void model_close(struct model *m, int proc, int file)
{
	m->f[file].in[proc] = false;
}

/* Is CONT the container ABOVE, or below it? */
bool model_below(struct model *m, int tree, int cont, int above)
{
	while (cont >= 0 && cont != above)
		cont = m->t[tree].c[cont].parent;
	return cont == above;
}

bool model_has_tasks(struct model *m, int tree, int cont)
{
	for (int p = 0; p < MODEL_PROCS; p++)
		for (int i = 0; m->p[p].live && i < m->p[p].threads; i++)
			if (m->p[p].in[i][tree] == cont)
				return true;
	return false;
}

unsigned int model_tasks(struct model *m, int tree, int cont)
{
	unsigned int n = 0;

	for (int p = 0; p < MODEL_PROCS; p++)
		for (int i = 0; m->p[p].live && i < m->p[p].threads; i++)
			n += model_below(m, tree, m->p[p].in[i][tree], cont);
	return n;
}

unsigned int model_files(struct model *m, int tree, int cont)
{
	unsigned int n = 0;

	for (int f = 0; f < MODEL_FILES; f++)
		n += is_open(&m->f[f]) && model_below(m, tree, m->f[f].owner, cont);
	return n;
}

/* Tasks here or below; in a root there are always those of the machine. */
bool model_populated(struct model *m, int tree, int cont)
{
	for (int c = 0; c < MODEL_CONTAINERS; c++)
		if (m->t[tree].c[c].live && model_below(m, tree, c, cont) && model_has_tasks(m, tree, c))
			return true;
	return cont == 0;
}

int model_children(struct model *m, int tree, int cont)
{
	int n = 0;

	for (int c = 1; c < MODEL_CONTAINERS; c++)
		n += m->t[tree].c[c].live && m->t[tree].c[c].parent == cont;
	return n;
}

/* Containers of a tree, with the root. */
int model_live(struct model *m, int tree)
{
	int n = 0;

	for (int c = 0; c < MODEL_CONTAINERS; c++)
		n += m->t[tree].c[c].live;
	return n;
}

int model_tree_of(struct model *m, unsigned int subsystem)
{
	for (int t = 0; t < MODEL_TREES; t++)
		if (m->t[t].live && m->t[t].mask & subsystem)
			return t;
	return -1;
}

void model_path(struct model *m, int tree, int cont, char *path, size_t size)
{
	char below[256] = "", above[256];

	if (!cont)
		snprintf(below, sizeof(below), "/");
	for (; cont; cont = m->t[tree].c[cont].parent) {
		snprintf(above, sizeof(above), "/%s%.200s", m->t[tree].c[cont].name, below);
		strcpy(below, above);
	}
	snprintf(path, size, "%s", below);
}

const char *model_words(unsigned int mask, const char *name)
{
	static char words[64];

	words[0] = '\0';
	for (int i = 0; i < MODEL_SUBSYSTEMS; i++)
		if (mask & 1 << i)
			sprintf(words + strlen(words), "%s%s", *words ? "," : "", model_subsystems[i]);
	if (!mask)
		snprintf(words, sizeof(words), "none,name=%s", name);
	return words;
}
