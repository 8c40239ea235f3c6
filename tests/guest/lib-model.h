/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A reference model of containers, and a world that is driven beside it.
 *
 * The model (lib-model.c) is plain arrays: trees, containers, processes, who is
 * where, who has which file open. The world (lib-world.c) does each step to the kernel and to
 * the model, compares the kernel's answer with the model's, and then every file that can be
 * read. What is done by a process in a container is done by an actor (lib-actors.c).
 *
 * A step names its objects by number, taken modulo what there is, so that a
 * sequence stays a sequence when steps are taken out of it.
 */
#ifndef TESTS_GUEST_LIB_MODEL_H
#define TESTS_GUEST_LIB_MODEL_H

#include "lib.h"

#define MODEL_TREES	6
#define MODEL_CONTAINERS 12
#define MODEL_PROCS	6
#define MODEL_THREADS	3
#define MODEL_MOUNTS	2
#define MODEL_FILES	16
#define MODEL_NO_LIMIT	UINT64_MAX
/* bc.numfiles.limit of a new container. */
#define MODEL_FILES_LIMIT 512

/* What a hierarchy has; each bit is a subsystem, in the kernel's order. */
#define MODEL_CPUACCT	1
#define MODEL_MEMORY	2
#define MODEL_BC	4
#define MODEL_NUMTASKS	8
#define MODEL_SUBSYSTEMS 4
extern const char *const model_subsystems[MODEL_SUBSYSTEMS];

/* The last refusal in a container. */
struct model_why {
	const char *what, *subsystem;
	int error;
	unsigned int count;	/* 0: there was none */
	int limiter;		/* whose limit it was, and its numbers then; -1: no limit */
	uint64_t usage, limit;
};

/* The most and the least that were held; the least is NEVER as long as nothing was given back. */
struct model_marks {
	unsigned int last, max, min;
};

#define MODEL_NEVER	UINT32_MAX

struct model_container {
	bool live;
	int parent;		/* index; -1 for the root, which is index 0 */
	char name[8];
	bool notify;
	bool used;		/* has had a task or a child */
	unsigned int removed;	/* containers below it that were removed, and may be dying still */
	uint64_t limit;		/* memory.page_limit */
	uint64_t tasks_limit;	/* numtasks.limit; what its own tasks forked, and could not */
	unsigned int forks, forks_refused;
	/* bc.numfiles.limit, twice the barrier; what was refused for it, here or below, and what passed the barrier */
	uint64_t files_limit;
	unsigned int files_refused, files_passed;
	struct model_marks files, procs;	/* of bc.numfiles and bc.numproc */
	struct model_why why;
	/* no part of the model: the time that was read last, which does not go back */
	uint64_t usage;
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

/* An open file: who has it, under one number; and in the tree with bc, whose it is. */
struct model_file {
	bool in[MODEL_PROCS];
	int fd;
	int owner;
};

struct model {
	unsigned int taken;	/* states that were taken away, of any subsystem, and may be dying still */
	struct model_tree t[MODEL_TREES];
	struct model_proc p[MODEL_PROCS];
	struct model_file f[MODEL_FILES];
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
int model_remount(struct model *m, int tree, unsigned int mask);
/* May PROC make a task? 0 or an errno, which is counted. */
int model_charge_task(struct model *m, int proc);
/* PROC opens a file: its index, -1 when there are enough, or -errno. */
int model_open(struct model *m, int proc);
void model_close(struct model *m, int proc, int file);
/* After each step, in which an amount only rises or only falls: the marks follow. */
void model_marks_follow(struct model *m);
void model_move(struct model *m, int tree, int cont, int proc, int thread);
/* A process of PARENT (-1: somebody in all roots); its index, or -1 when there are enough. */
int model_fork(struct model *m, int parent);
void model_exit(struct model *m, int proc);

bool model_below(struct model *m, int tree, int cont, int above);
bool model_has_tasks(struct model *m, int tree, int cont);
bool model_populated(struct model *m, int tree, int cont);
int model_children(struct model *m, int tree, int cont);
int model_live(struct model *m, int tree);
/* The tree with a subsystem, or -1. */
int model_tree_of(struct model *m, unsigned int subsystem);
/* Threads, and open files, of a container and those below. */
unsigned int model_tasks(struct model *m, int tree, int cont);
unsigned int model_files(struct model *m, int tree, int cont);
/* "/a/b", and "cpuacct,memory" or "none,name=x". */
void model_path(struct model *m, int tree, int cont, char *path, size_t size);
const char *model_words(unsigned int mask, const char *name);

/* lib-world.c */
enum step_kind {
	STEP_MOUNT, STEP_UMOUNT, STEP_MKDIR, STEP_RMDIR, STEP_RENAME, STEP_FORK, STEP_THREAD, STEP_EXIT,
	STEP_MOVE_THREAD, STEP_MOVE_PROCESS, STEP_NOTIFY, STEP_LIMIT, STEP_KILL, STEP_NONSENSE, STEP_REMOUNT,
	STEP_TASKS_LIMIT, STEP_FILES_LIMIT, STEP_OPEN, STEP_CLOSE, STEP_KINDS
};

struct step {
	unsigned char kind, a, b, c;
};

/*
 * Runs the steps in a process of its own, from nothing to nothing. Returns -1 when kernel and model
 * agreed throughout, else the step after which they did not, and says how in WHY.
 */
int world_run(const struct step *steps, int n, char *why, size_t size);

/* lib-actors.c */
struct model_actor {
	int wire[2];		/* the world's end, the actor's */
	int pidfd;
	pid_t tid[MODEL_THREADS];
};

struct world {
	struct model m;
	struct model_actor actors[MODEL_PROCS];
};

void actors_init(struct world *w);
/* Actor WHO (-1: the world itself) makes actor NEW, a thread, a file, closes one: what it got, or -errno. */
int actor_fork(struct world *w, int who, int new);
int actor_thread(struct world *w, int who);
int actor_open(struct world *w, int who);
int actor_close(struct world *w, int who, int fd);
void actor_await_end(struct world *w, int who);

/* lib-world.c and lib-compare.c */
/* The kernel is not what the model is: ends the world. */
void differ(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* Paths below /tmp/w; in buffers that are soon used again. */
char *mount_dir(int tree, int mount);
char *dir_of(struct world *w, int tree, int mount, int cont);
char *file_of(struct world *w, int tree, int mount, int cont, const char *file);
void compare_all(struct world *w);

#endif /* TESTS_GUEST_LIB_MODEL_H */
