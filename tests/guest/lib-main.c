// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the tests of a suite, one process each, and cleans up between them.
 *
 * Check forks for each test; what the test forked itself comes back to this
 * process (a subreaper) and is killed when the test is over. A test that passed
 * and left a container or a process that holds one has failed.
 */
#include "lib.h"

#include <dirent.h>
#include <fnmatch.h>
#include <getopt.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#define MAX_TESTS 256

static struct {
	const TTest *test;
	unsigned int limit;
	int cpus, nodes;
} tests[MAX_TESTS];
static int nr_tests;
/* Of the machine that the tests run on (--cpus, --nodes, for the plan of another). */
static int machine_cpus, machine_nodes;
static const char *suite_name;
bool lib_without_containers;
/* The process of the test that runs; 0 in the one that runs them. */
static pid_t test_pid;

void lib_register(const TTest *test, unsigned int limit, int cpus, int nodes)
{
	if (nr_tests == MAX_TESTS) {
		fprintf(stderr, "%s: more than %d tests: raise MAX_TESTS\n", test->name, MAX_TESTS);
		exit(2);
	}
	tests[nr_tests].test = test;
	tests[nr_tests].cpus = cpus;
	tests[nr_tests].nodes = nodes;
	tests[nr_tests++].limit = limit;
}

/* A child in a pid namespace of its own may have the number of the test; then it marks. */
void lib_mark_point(const char *file, int line)
{
	if (getpid() == test_pid)
		(_mark_point)(file, line);
}

/* In the test's process, before it. */
static void set_up(void)
{
	test_pid = getpid();
	ck_assert_msg(!unshare(CLONE_NEWNS), "unshare(CLONE_NEWNS): %s", error_name(errno));
	ck_assert_msg(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "mounts private: %s",
		      error_name(errno));
	ck_assert_msg(!mount("none", "/tmp", "tmpfs", 0, NULL), "tmpfs at /tmp: %s",
		      error_name(errno));
	srandom(lib_seed);
}

/* The rows of /proc/containers; none where the kernel has no such file. */
static int hierarchies(struct hierarchy_row *rows, int max)
{
	return access("/proc/containers", F_OK) ? 0 : read_hierarchies(rows, max);
}

/* "2 containers, 1 dying in cpuacct,memory" of what is not just an empty root; NULL if clean. */
static char *leftovers(void)
{
	struct hierarchy_row rows[64];
	int n = hierarchies(rows, 64);
	char *text;

	for (int i = 0; i < n; i++) {
		if (rows[i].containers == 1 && !rows[i].dying)
			continue;
		if (asprintf(&text, "hierarchy %s has %d containers (the root is one) and %d dying",
			     rows[i].subsystems, rows[i].containers, rows[i].dying) < 0)
			abort();
		return text;
	}
	return NULL;
}

/*
 * After a test that passed, still in its process: all hierarchies are back to
 * an empty root. Freeing waits for a grace period and a worker, which take up
 * to some 100 ms each on a busy machine, and of nested ones for that of each child before
 * its parent's: a hundred took five seconds. Five in which nothing goes mean a lost reference.
 */
static void tear_down(void)
{
	double end = now() + 5 * lib_slow;
	char *left, *before = NULL;

	while ((left = leftovers())) {
		if (before && strcmp(left, before))
			end = now() + 5 * lib_slow;
		ck_assert_msg(now() < end, "left behind: %s for %g s", left, 5 * lib_slow);
		free(before);
		before = left;
		usleep(10000);
	}
	free(before);
}

/* Kill what has come back to us from a test. */
static void reap_all(void)
{
	struct dirent *entry;
	char stat[512], *close;
	DIR *proc = opendir("/proc");
	int ppid;

	while (proc && (entry = readdir(proc))) {
		FILE *f;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		f = fopen(at("/proc", "%s/stat", entry->d_name), "r");
		if (!f)
			continue;
		close = fgets(stat, sizeof(stat), f) ? strrchr(stat, ')') : NULL;
		fclose(f);
		if (close && sscanf(close, ") %*c %d", &ppid) == 1 && ppid == getpid())
			kill(atoi(entry->d_name), SIGKILL);
	}
	if (proc)
		closedir(proc);
}

static void kill_children(void)
{
	double end = now() + 10 * lib_slow;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0 && errno == ECHILD)
			return;
		if (now() > end) {
			printf("Bail out! a child of a test survives SIGKILL\n");
			exit(1);
		}
		if (pid == 0) {
			reap_all();
			usleep(2000);
		}
	}
}

/* Kill the members of a directory's containers and remove them, deepest first. */
static void purge_dir(const char *dir, bool root)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	char *text = NULL, *p, *line;

	while (d && (entry = readdir(d)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			purge_dir(at(dir, "%s", entry->d_name), false);
	if (d)
		closedir(d);
	if (root)
		return;
	for (int i = 0; i < 100 && rmdir(dir) && errno == EBUSY; i++) {
		if (!try_read(at(dir, "procs"), &text))
			for (p = text; (line = strsep(&p, "\n"));)
				if (atoi(line) > 1 && atoi(line) != getpid())
					kill(atoi(line), SIGKILL);
		kill_children();
		usleep(10000);
	}
}

bool lib_purge(void)
{
	struct hierarchy_row rows[64];
	double end = now() + 5 * lib_slow;
	int n = hierarchies(rows, 64);
	char dir[] = "/tmp/purge.XXXXXX";

	if (!n)
		return true;
	if (!mkdtemp(dir))
		return false;
	for (int i = 0; i < n; i++) {
		char *options = rows[i].subsystems;

		if (!strncmp(options, "name=", 5) && asprintf(&options, "none,%s", options) < 0)
			abort();
		if (mount("none", dir, "container", 0, options))
			continue;
		purge_dir(dir, true);
		umount(dir);
	}
	rmdir(dir);
	while (hierarchies(rows, 64)) {
		if (now() > end)
			return false;
		usleep(10000);
	}
	return true;
}

/* A message is one line of output. */
static char *one_line(const char *text)
{
	char *copy = strdup(text);

	for (char *p = copy; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	return copy;
}

/*
 * "memory has 3 states" when no tree is left, and so nobody but the root's is to be: of removed containers
 * somebody still refers to the others. What one test has left, *STAYS of each, the next ones are not blamed for.
 */
static char *states_left(int *stays)
{
	struct subsystem_row rows[64];
	int n = access("/proc/containers", F_OK) ? 0 : read_subsystems(rows, 64);
	char *text;

	for (int i = 0; i < n; i++) {
		if (rows[i].states - 1 <= stays[i])
			continue;
		if (asprintf(&text, "%s has %d states", rows[i].name, rows[i].states) < 0)
			abort();
		return text;
	}
	return NULL;
}

static void remember_states(int *stays)
{
	struct subsystem_row rows[64];
	int n = read_subsystems(rows, 64);

	for (int i = 0; i < n; i++)
		stays[i] = rows[i].states - 1;
}

/* They go one after the other, as in tear_down(): five seconds in which nothing does. */
static const char *wait_for_states(void)
{
	static int stays[64];
	double end = now() + 5 * lib_slow;
	char *left, *before = NULL, *text;

	while ((left = states_left(stays))) {
		if (before && strcmp(left, before))
			end = now() + 5 * lib_slow;
		free(before);
		before = left;
		if (now() > end) {
			remember_states(stays);
			if (asprintf(&text, "%s %g s after the last hierarchy went: a lost reference", left, 5 * lib_slow) < 0)
				abort();
			return text;
		}
		usleep(5000);
	}
	free(before);
	return NULL;
}

/* Is what the namespace of the test took with it really gone? */
static const char *after(void)
{
	struct hierarchy_row rows[64];
	double end = now() + 5 * lib_slow;
	char *text;
	int n;

	kill_children();
	while ((n = hierarchies(rows, 64)) && now() < end)
		usleep(5000);
	if (!n)
		return wait_for_states();
	if (asprintf(&text, "hierarchy %s with %d containers, %d dying is left %g s after its last mount went",
		     rows[0].subsystems, rows[0].containers, rows[0].dying, 5 * lib_slow) < 0)
		abort();
	return text;
}

/* Returns whether it passed. */
static bool run(int number, const TTest *test, unsigned int limit)
{
	Suite *suite = suite_create(suite_name);
	TCase *tc = tcase_create(test->name);
	const char *why = NULL, *file = "", *left;
	TestResult **results;
	double began = now();
	SRunner *runner;
	int line = 0;

	tcase_set_timeout(tc, limit * lib_slow);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, test);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_FORK);
	fflush(NULL);
	srunner_run_all(runner, CK_SILENT);

	results = srunner_results(runner);
	if (srunner_ntests_run(runner) != 1) {
		why = "Check did not run it";
	} else if (tr_rtype(results[0]) != CK_PASS) {
		why = one_line(tr_msg(results[0]));
		file = basename(strdup(tr_lfile(results[0]) ? tr_lfile(results[0]) : test->file));
		line = tr_lno(results[0]) > 0 ? tr_lno(results[0]) : test->line;
	}
	left = after();
	if (left && !why) {
		why = left;
		file = basename(strdup(test->file));
		line = test->line;
	}
	if (why)
		printf("not ok %d - %s # %.0f ms, %s:%d: %s\n", number, test->name,
		       (now() - began) * 1e3, file, line, why);
	else
		printf("ok %d - %s # %.0f ms\n", number, test->name, (now() - began) * 1e3);
	fflush(stdout);
	srunner_free(runner);
	if (left && !lib_purge()) {
		printf("Bail out! %s\n", left);
		exit(1);
	}
	return !why;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: %s [--plan] [--cpus N] [--nodes N] [--only PATTERN] [--slow FACTOR] [--seed N]\n"
		"  --plan         print the names of the tests that would run, run none\n"
		"  --cpus N       leave out the tests that need more CPUs than that (default: than there are)\n"
		"  --nodes N      the same with memory nodes\n"
		"  --only PATTERN run the tests whose names match (a shell pattern)\n"
		"  --slow FACTOR  multiply every time limit\n"
		"  --seed N       start random choices from N\n", suite_name);
}

static bool wanted(int i, const char *only)
{
	return tests[i].cpus <= machine_cpus && tests[i].nodes <= machine_nodes &&
	       (!only || !fnmatch(only, tests[i].test->name, 0));
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "plan", no_argument, NULL, 'p' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "nodes", required_argument, NULL, 'n' },
		{ "only", required_argument, NULL, 'o' },
		{ "slow", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int opt, number = 0, failed = 0, planned = 0;
	const char *only = NULL;
	bool plan = false;

	suite_name = basename(argv[0]);
	lib_seed = time(NULL) ^ getpid();
	machine_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	machine_nodes = nr_nodes();
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'p': plan = true; break;
		case 'c': machine_cpus = atoi(optarg); break;
		case 'n': machine_nodes = atoi(optarg); break;
		case 'o': only = optarg; break;
		case 's': lib_slow = atof(optarg); break;
		case 'r': lib_seed = strtoul(optarg, NULL, 0); break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	if (optind < argc || lib_slow < 1) {
		usage(stderr);
		return 2;
	}
	for (int i = 0; i < nr_tests; i++) {
		planned += wanted(i, only);
		if (plan && wanted(i, only))
			puts(tests[i].test->name);
	}
	if (plan)
		return 0;
	if (access("/proc/containers", R_OK) && !lib_without_containers) {
		fprintf(stderr, "%s: /proc/containers is missing: this kernel has no containers; "
			"run it with ./uml check --only %s\n", suite_name, suite_name);
		return 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	/* the guest's init may have mounted one: the tests want all subsystems free */
	umount("/containers");
	printf("1..%d\n# seed %u\n", planned, lib_seed);
	for (int i = 0; i < nr_tests; i++)
		if (wanted(i, only) && !run(++number, tests[i].test, tests[i].limit))
			failed++;
	return failed || !number;
}
