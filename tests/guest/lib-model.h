/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A reference model of containers, and a world that is driven beside it.
 *
 * The model (lib-model.c) is plain arrays: trees, containers, processes, who is
 * where. The world (lib-world.c) does each step to the kernel and to the model,
 * compares the kernel's answer with the model's, and then every file that can be read.
 *
 * A step names its objects by number, taken modulo what there is, so that a
 * sequence stays a sequence when steps are taken out of it.
 */
#ifndef TESTS_GUEST_LIB_MODEL_H
#define TESTS_GUEST_LIB_MODEL_H

#include "lib.h"

#define MODEL_TREES	4
#define MODEL_CONTAINERS 12
#define MODEL_PROCS	6
#define MODEL_THREADS	3
#define MODEL_MOUNTS	2
#define MODEL_NO_LIMIT	UINT64_MAX

/* What a hierarchy has; each bit is a subsystem. */
#define MODEL_CPUACCT	1
#define MODEL_MEMORY	2

struct model_container {
	bool live;
	int parent;		/* index; -1 for the root, which is index 0 */
	char name[8];
	bool notify;
	bool used;		/* has had a task or a child */
	uint64_t limit;		/* memory.page_limit */
};

/* Index is the hierarchy's number - 1: the kernel takes the lowest free one. */
struct model_tree {
	bool live;
	unsigned int mask;
	char name[8];		/* of a named one */
	bool mounted[MODEL_MOUNTS];
	struct model_container c[MODEL_CONTAINERS];
};

struct model_proc {
	bool live;
	int threads;		/* the leader included */
	int in[MODEL_THREADS][MODEL_TREES];
};

struct model {
	struct model_tree t[MODEL_TREES];
	struct model_proc p[MODEL_PROCS];
};

/* Makes it wrong: a second container of one name can be made. */
extern bool model_lies;

/* What a mount with these subsystems, or this name, ends in: the tree's index, or -errno. */
int model_mount(struct model *m, unsigned int mask, const char *name);
void model_umount(struct model *m, int tree, int mount);
/* 0 or an errno. */
int model_mkdir(struct model *m, int tree, int parent, const char *name);
int model_rmdir(struct model *m, int tree, int cont);
int model_rename(struct model *m, int tree, int cont, const char *name);
void model_move(struct model *m, int tree, int cont, int proc, int thread);
/* A process of PARENT (-1: somebody in all roots); its index, or -1 when there are enough. */
int model_fork(struct model *m, int parent);
void model_exit(struct model *m, int proc);

bool model_below(struct model *m, int tree, int cont, int above);
bool model_has_tasks(struct model *m, int tree, int cont);
bool model_populated(struct model *m, int tree, int cont);
int model_children(struct model *m, int tree, int cont);
int model_live(struct model *m, int tree);
/* "/a/b", and "cpuacct,memory" or "none,name=x". */
void model_path(struct model *m, int tree, int cont, char *path, size_t size);
const char *model_words(struct model *m, int tree);

/* lib-world.c */
enum step_kind {
	STEP_MOUNT, STEP_UMOUNT, STEP_MKDIR, STEP_RMDIR, STEP_RENAME, STEP_FORK, STEP_THREAD, STEP_EXIT,
	STEP_MOVE_THREAD, STEP_MOVE_PROCESS, STEP_NOTIFY, STEP_LIMIT, STEP_KILL, STEP_NONSENSE, STEP_KINDS
};

struct step {
	unsigned char kind, a, b, c;
};

/*
 * Runs the steps in a process of its own, from nothing to nothing. Returns -1 when kernel and model
 * agreed throughout, else the step after which they did not, and says how in WHY.
 */
int world_run(const struct step *steps, int n, char *why, size_t size);

/* lib-world.c and lib-compare.c */
struct model_actor {
	int wire[2];		/* the world's end, the actor's */
	int pidfd;
	pid_t tid[MODEL_THREADS];
};

struct world {
	struct model m;
	struct model_actor actors[MODEL_PROCS];
};

/* The kernel is not what the model is: ends the world. */
void differ(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Paths below /tmp/w; in buffers that are soon used again. */
char *mount_dir(int tree, int mount);
char *dir_of(struct world *w, int tree, int mount, int cont);
char *file_of(struct world *w, int tree, int mount, int cont, const char *file);
void compare_all(struct world *w);

#endif /* TESTS_GUEST_LIB_MODEL_H */
