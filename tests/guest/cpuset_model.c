// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuset_model: random writes, directories and moves, done to the kernel and to
 * a model in user space that is to be right by inspection. After each step the
 * answer, all files and the affinity of all tasks are compared; then the same for
 * memset, whose rules are the same for nodes. (jobs 4n4 4n4@debug)
 *
 * CPUSET_STEPS steps (default 1000, fewer in a slow kernel); choices follow from
 * --seed, which is printed.
 */
#include "lib-memset.h"

#define SETS 8
#define TASKS 4

/* What is compared: CPUs or nodes, of which there are four each. */
struct kind {
	const char *subsystem, *list, *flag, *effective;
	int (*set)(const char *container, unsigned int mask);
	unsigned int (*of_task)(pid_t pid);
	bool can_ask;
};

static const struct kind cpus_kind = {
	"cpuset", "cpuset.cpus", "cpuset.cpu_exclusive", "cpuset.effective_cpus",
	set_cpus, affinity, true
};

static const struct kind nodes_kind = {
	"memset", "memset.mems", "memset.mem_exclusive", "memset.mems", set_mems, allowed, false
};

static const struct kind *kind;

/* Index 0 is the root. A set has a slot for life; its parent has a lower one. */
static struct set {
	bool live;
	int parent;
	unsigned int cpus;
	bool exclusive;
	/* its directory, and the files in it by their names in struct kind */
	char *dir, *list, *flag, *effective;
} sets[SETS];

/* A sleeper, what it has asked for (0: nothing), and the set it is in. */
static struct task {
	pid_t pid;
	unsigned int asked;
	int in;
} tasks[TASKS];

static unsigned int seed;

static unsigned int draw(unsigned int n)
{
	return (rand_r(&seed) >> 8) % n;
}

static bool below(unsigned int cpus, unsigned int others)
{
	return !(cpus & ~others);
}

/* What the rules say to these settings of a set: 0 or -errno. */
static int judge(int i, unsigned int cpus, bool exclusive)
{
	struct set *parent = &sets[sets[i].parent];

	if (!below(cpus, parent->cpus) || (exclusive && !parent->exclusive))
		return -EACCES;
	for (int c = 1; c < SETS; c++)
		if (sets[c].live && sets[c].parent == i &&
		    (!below(sets[c].cpus, cpus) || (sets[c].exclusive && !exclusive)))
			return -EBUSY;
	for (int s = 1; s < SETS; s++)
		if (sets[s].live && s != i && sets[s].parent == sets[i].parent &&
		    (exclusive || sets[s].exclusive) && sets[s].cpus & cpus)
			return -EINVAL;
	return 0;
}

static int step_cpus(int i)
{
	unsigned int cpus = draw(8) ? draw(all_cpus() + 1) : all_cpus();
	int wanted = cpus ? -judge(i, cpus, sets[i].exclusive) : ENOSPC;
	int got = kind->set(sets[i].dir, cpus);

	ck_assert_msg(got == wanted, "list of %s to %s: got %s, the model says %s", sets[i].dir,
		      cpus_text(cpus), error_name(got), error_name(wanted));
	if (!got)
		sets[i].cpus = cpus;
	return got;
}

static int step_exclusive(int i)
{
	bool on = draw(2);
	int wanted = -judge(i, sets[i].cpus, on);
	int got = write_u64(sets[i].flag, on);

	ck_assert_msg(got == wanted, "exclusive of %s to %d: got %s, the model says %s",
		      sets[i].dir, on, error_name(got), error_name(wanted));
	if (!got)
		sets[i].exclusive = on;
	return got;
}

static bool in_use(int i)
{
	for (int c = 1; c < SETS; c++)
		if (sets[c].live && sets[c].parent == i)
			return true;
	for (int t = 0; t < TASKS; t++)
		if (tasks[t].in == i)
			return true;
	return false;
}

/* Long runs have many steps, so what each would leave behind in memory is made once or freed. */
static void be_a_set(int i, int parent, char *dir)
{
	struct set *s = &sets[i];

	free(s->list);
	free(s->flag);
	free(s->effective);
	free(s->dir);
	*s = (struct set){ .live = true, .parent = parent, .dir = dir };
	s->list = at(dir, "%s", kind->list);
	s->flag = at(dir, "%s", kind->flag);
	s->effective = at(dir, "%s", kind->effective);
}

static int step_dir(int i)
{
	int parent, got, wanted;

	if (sets[i].live) {
		wanted = in_use(i) ? EBUSY : 0;
		got = remove_dir(sets[i].dir);
		ck_assert_msg(got == wanted, "rmdir %s: got %s, the model says %s", sets[i].dir,
			      error_name(got), error_name(wanted));
		sets[i].live = got;
		return got;
	}
	do {
		parent = draw(i);
	} while (!sets[parent].live);
	be_a_set(i, parent, at(sets[parent].dir, "%d", i));
	expect(make_dir(sets[i].dir), 0);
	return 0;
}

static int step_move(int i)
{
	struct task *t = &tasks[draw(TASKS)];
	int wanted = sets[i].cpus ? 0 : ENOSPC;
	int got = move_to(sets[i].dir, t->pid);

	ck_assert_msg(got == wanted, "a move to %s: got %s, the model says %s", sets[i].dir,
		      error_name(got), error_name(wanted));
	if (!got)
		t->in = i;
	return got;
}

static int step_ask(void)
{
	struct task *t = &tasks[draw(TASKS)];
	unsigned int cpus = 1 + draw(all_cpus());
	int wanted = cpus & sets[t->in].cpus ? 0 : EINVAL;
	int got = set_affinity(t->pid, cpus);

	ck_assert_msg(got == wanted, "affinity of a task in %s to %s: got %s, the model says %s",
		      sets[t->in].dir, cpus_text(cpus), error_name(got), error_name(wanted));
	if (!got)
		t->asked = cpus;
	return got;
}

static void step(void)
{
	int i = 1 + draw(SETS - 1), what = draw(20);

	if (what < 2 || (what < 15 && !sets[i].live))
		step_dir(i);
	else if (what < 10)
		step_cpus(i);
	else if (what < 15)
		step_exclusive(i);
	else if (what < 18 || !kind->can_ask)
		step_move(sets[i].live ? i : 0);
	else
		step_ask();
}

static void compare_set(const struct set *s)
{
	char *cpus = read_file(s->list), *effective = read_file(s->effective);

	ck_assert_msg(cpus_of_text(cpus) == s->cpus, "%s has %s, the model %s", s->dir, cpus,
		      cpus_text(s->cpus));
	ck_assert_str_eq(effective, cpus);
	ck_assert_int_eq(read_u64(s->flag), s->exclusive);
	free(cpus);
	free(effective);
}

static void compare(void)
{
	for (int i = 0; i < SETS; i++)
		if (sets[i].live)
			compare_set(&sets[i]);
	for (int t = 0; t < TASKS; t++) {
		unsigned int wanted = sets[tasks[t].in].cpus & tasks[t].asked;

		if (!wanted)
			wanted = sets[tasks[t].in].cpus;
		ck_assert_msg(kind->of_task(tasks[t].pid) == wanted,
			      "a task in %s has %s, the model says %s", sets[tasks[t].in].dir,
			      cpus_text(kind->of_task(tasks[t].pid)), cpus_text(wanted));
	}
}

/* Everything that the rules allow to be taken away again is. */
static void take_down(void)
{
	for (int t = 0; t < TASKS; t++)
		stop(tasks[t].pid);
	for (int i = SETS - 1; i > 0; i--)
		if (sets[i].live)
			expect(remove_dir(sets[i].dir), 0);
}

static unsigned long wanted_steps(void)
{
	const char *text = getenv("CPUSET_STEPS");
	long n = text ? atol(text) : 1000 / lib_slow;

	return n > 0 ? n : 1000;
}

static void compare_kind(const struct kind *k)
{
	unsigned long n = wanted_steps();

	kind = k;
	ck_assert_uint_eq(all_cpus(), all_nodes());
	seed = lib_seed;
	printf("# --seed %u\n", seed);
	be_a_set(0, 0, mount_hierarchy(kind->subsystem));
	sets[0].cpus = all_cpus();
	sets[0].exclusive = true;
	for (int t = 0; t < TASKS; t++)
		tasks[t] = (struct task){ .pid = sleeper() };
	for (unsigned long i = 0; i < n; i++) {
		step();
		compare();
	}
	printf("# %lu steps\n", n);
	take_down();
}

TEST_LIMIT(kernel_and_model_agree, 3600)
{
	compare_kind(&cpus_kind);
}

TEST_LIMIT(kernel_and_model_agree_about_nodes, 3600)
{
	compare_kind(&nodes_kind);
}
