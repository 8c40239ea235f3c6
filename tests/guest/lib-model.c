// SPDX-License-Identifier: GPL-2.0-only
/* See lib-model.h: the reference model, to be right by inspection. */
#include "lib-model.h"

bool model_lies;

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
	m->t[free_tree].c[0] = (struct model_container){ true, -1, "", false, false, MODEL_NO_LIMIT };
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
	t->c[c] = (struct model_container){ true, parent, "", t->c[parent].notify, false,
					    MODEL_NO_LIMIT };
	strcpy(t->c[c].name, name);
	t->c[parent].used = true;
	return 0;
}

int model_rmdir(struct model *m, int tree, int cont)
{
	int err = EBUSY;

	if (model_children(m, tree, cont) || model_has_tasks(m, tree, cont))
		return err;
	m->t[tree].c[cont].live = false;
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
	if (parent >= 0)
		memcpy(m->p[p].in[0], m->p[parent].in[0], sizeof(m->p[p].in[0]));
	return p;
}

void model_exit(struct model *m, int proc)
{
	m->p[proc].live = false;
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

const char *model_words(struct model *m, int tree)
{
	static const char *const words[] = { "", "cpuacct", "memory", "cpuacct,memory" };
	static char name[20];

	if (m->t[tree].mask)
		return words[m->t[tree].mask];
	snprintf(name, sizeof(name), "none,name=%s", m->t[tree].name);
	return name;
}
