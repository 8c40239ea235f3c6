// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuset: what may be written, with which error, and where tasks run then.
 * (jobs 1 4 4@debug)
 *
 * With one CPU there is nothing to be divided: a test that needs several is not
 * in that job (TEST_CPUS). cpuset_domains.c has
 * scheduler domains, cpuset_trees.c mounts, namespaces and rebinding.
 */
#include "lib-cpuset.h"
#include "lib-users.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define CPU(n) (1u << (n))

static char *root, *a, *b;

/* /a and /a/b, empty. */
static void make_tree(void)
{
	root = mount_hierarchy("cpuset");
	a = at(root, "a");
	b = at(root, "a/b");
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
}

static void remove_tree(void)
{
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

static int set_exclusive(const char *container, int value)
{
	return write_u64(at(container, "cpuset.cpu_exclusive"), value);
}

static unsigned int effective(const char *container)
{
	return cpus_of_text(read_file(at(container, "cpuset.effective_cpus")));
}

/* A write that must fail, say why, and change nothing. */
#define refused(call, error, container, words)						\
	do {										\
		unsigned int cpus_ = get_cpus(container);				\
		uint64_t exclusive_ = read_u64(at(container, "cpuset.cpu_exclusive"));	\
											\
		expect(call, error);							\
		ck_assert_uint_eq(get_cpus(container), cpus_);				\
		ck_assert_uint_eq(effective(container), cpus_);				\
		ck_assert_uint_eq(read_u64(at(container, "cpuset.cpu_exclusive")),	\
				  exclusive_);						\
		ck_assert_msg(strstr(read_file(at(container, "why")), words),		\
			      "%s/why reads \"%s\", wanted \"%s\"", container,		\
			      read_file(at(container, "why")), words);			\
	} while (0)

TEST(a_new_container_has_no_cpus_and_lets_nobody_in)
{
	pid_t pid;

	make_tree();
	pid = sleeper();
	ck_assert_str_eq(read_file(at(a, "cpuset.cpus")), "\n");
	ck_assert_str_eq(read_file(at(a, "cpuset.effective_cpus")), "\n");
	ck_assert_uint_eq(read_u64(at(a, "cpuset.cpu_exclusive")), 0);
	refused(write_u64(at(a, "tasks"), pid), ENOSPC, a,
		"refused by cpuset: it has no CPUs (ENOSPC)");
	refused(write_u64(at(a, "procs"), pid), ENOSPC, a, "it has no CPUs");
	refused(write_file(at(a, "tasks"), "0"), ENOSPC, a, "it has no CPUs");
	ck_assert_str_eq(container_of_pid(pid, "cpuset"), "/");
	bound_to(pid, all_cpus());
	expect(set_cpus(a, CPU(0)), 0);
	expect(move_to(a, pid), 0);
	bound_to(pid, CPU(0));
	stop(pid);
	remove_tree();
}

TEST(the_root_has_what_is_online)
{
	static const char *const files[] = { "cpus", "cpu_exclusive", "effective_cpus" };
	char *online = read_file("/sys/devices/system/cpu/online");

	make_tree();
	ck_assert_str_eq(read_file(at(root, "cpuset.cpus")), online);
	ck_assert_str_eq(read_file(at(root, "cpuset.effective_cpus")), online);
	ck_assert_uint_eq(read_u64(at(root, "cpuset.cpu_exclusive")), 1);
	for (int i = 0; i < 3; i++)
		expect(write_file(at(root, "cpuset.%s", files[i]), "0\n"), EACCES);
	expect(write_file(at(a, "cpuset.effective_cpus"), "0\n"), EACCES);
	ck_assert_str_eq(read_file(at(root, "cpuset.cpus")), online);
	remove_tree();
}

TEST(nonsense_changes_nothing)
{
	make_tree();
	expect(set_cpus(a, CPU(0)), 0);
	takes_only_lists(at(a, "cpuset.cpus"), nr_cpus());
	expect(write_file(at(a, "cpuset.cpu_exclusive"), "x"), EINVAL);
	expect(write_file(at(a, "cpuset.cpu_exclusive"), "2"), ERANGE);
	expect(write_file(at(a, "cpuset.cpu_exclusive"), "-1"), EINVAL);
	ck_assert_uint_eq(read_u64(at(a, "cpuset.cpu_exclusive")), 0);
	remove_tree();
}

TEST_CPUS(lists_are_printed_as_they_are_written, 4)
{
	make_tree();
	for (unsigned int cpus = 1; cpus <= 15; cpus++) {
		expect(set_cpus(a, cpus), 0);
		ck_assert_str_eq(read_file(at(a, "cpuset.cpus")), at(".", "%s\n", cpus_text(cpus)) + 2);
		ck_assert_uint_eq(effective(a), cpus);
	}
	remove_tree();
}

TEST_CPUS(a_subset_of_the_parents, 4)
{
	make_tree();
	refused(set_cpus(b, CPU(0)), EACCES, b, "its parent has not all of these CPUs (EACCES)");
	expect(set_cpus(a, CPU(0) | CPU(1)), 0);
	refused(set_cpus(b, CPU(2)), EACCES, b, "its parent has not all");
	refused(set_cpus(b, CPU(1) | CPU(2)), EACCES, b, "its parent has not all");
	expect(set_cpus(b, CPU(1)), 0);
	refused(set_cpus(a, CPU(0)), EBUSY, a, "a child has other CPUs (EBUSY)");
	refused(set_cpus(a, CPU(2) | CPU(3)), EBUSY, a, "a child has other CPUs");
	/* another set that has room for the child */
	expect(set_cpus(a, CPU(1) | CPU(3)), 0);
	ck_assert_uint_eq(get_cpus(b), CPU(1));
	expect(remove_dir(b), 0);
	expect(set_cpus(a, CPU(0)), 0);
	expect(make_dir(b), 0);
	remove_tree();
}

TEST(exclusive_only_below_exclusive)
{
	make_tree();
	expect(set_cpus(a, CPU(0)), 0);
	expect(set_cpus(b, CPU(0)), 0);
	refused(set_exclusive(b, 1), EACCES, b, "its parent is not exclusive (EACCES)");
	expect(set_exclusive(a, 1), 0);
	expect(set_exclusive(b, 1), 0);
	refused(set_exclusive(a, 0), EBUSY, a, "a child is exclusive (EBUSY)");
	expect(set_exclusive(b, 0), 0);
	expect(set_exclusive(a, 0), 0);
	expect(set_exclusive(a, 0), 0);
	remove_tree();
}

TEST_CPUS(exclusive_sets_overlap_no_sibling, 4)
{
	char *c;

	make_tree();
	c = at(root, "c");
	expect(make_dir(c), 0);
	expect(set_cpus(a, CPU(0) | CPU(1)), 0);
	expect(set_cpus(c, CPU(1) | CPU(2)), 0);
	refused(set_exclusive(a, 1), EINVAL, a, "a sibling has some of these CPUs");
	expect(set_cpus(c, CPU(2)), 0);
	expect(set_exclusive(a, 1), 0);
	/* the one that is not exclusive may not come near, either */
	refused(set_cpus(c, CPU(1) | CPU(2)), EINVAL, c, "and one of the two is exclusive (EINVAL)");
	refused(set_cpus(a, CPU(1) | CPU(2)), EINVAL, a, "a sibling has some of these CPUs");
	/* the parent's and the child's are no siblings' */
	expect(set_cpus(b, CPU(0) | CPU(1)), 0);
	expect(set_exclusive(b, 1), 0);
	expect(set_cpus(c, CPU(2) | CPU(3)), 0);
	expect(set_exclusive(b, 0), 0);
	expect(set_exclusive(a, 0), 0);
	expect(set_cpus(c, CPU(1) | CPU(2)), 0);
	/* with a it goes what it had for itself */
	expect(set_cpus(c, CPU(2)), 0);
	expect(set_exclusive(a, 1), 0);
	remove_tree();
	expect(set_cpus(c, all_cpus()), 0);
	expect(remove_dir(c), 0);
}

TEST_CPUS(a_change_moves_running_tasks_at_once, 4)
{
	static const unsigned int sets[] = { CPU(1), CPU(2) | CPU(3), CPU(0), CPU(3), CPU(0) | CPU(2) };
	struct loop *one, *two;
	pid_t pid;

	make_tree();
	expect(set_cpus(a, all_cpus()), 0);
	expect(set_cpus(b, all_cpus()), 0);
	one = loop_in(b);
	two = loop_in(b);
	pid = sleeper_in(b);
	for (int i = 0; i < 5; i++) {
		expect(set_cpus(b, sets[i]), 0);
		ck_assert_uint_eq(effective(b), sets[i]);
		bound_to(one->pid, sets[i]);
		bound_to(two->pid, sets[i]);
		bound_to(pid, sets[i]);
		runs_only_on(one, sets[i]);
		runs_only_on(two, sets[i]);
	}
	/* not those of the parent */
	bound_to(getpid(), all_cpus());
	loop_end(one);
	loop_end(two);
	stop(pid);
	remove_tree();
}

TEST_CPUS(a_busy_machine_does_not_drive_them_out, 4)
{
	struct loop *inside, *outside[8];
	int n = 2 * nr_cpus();

	make_tree();
	expect(set_cpus(a, CPU(1) | CPU(2)), 0);
	for (int i = 0; i < n && i < 8; i++)
		outside[i] = loop_in(root);
	inside = loop_in(a);
	for (int i = 0; i < 20; i++)
		runs_only_on(inside, CPU(1) | CPU(2));
	loop_end(inside);
	for (int i = 0; i < n && i < 8; i++)
		loop_end(outside[i]);
	remove_tree();
}

TEST_CPUS(entering_and_leaving, 4)
{
	struct loop *l;

	make_tree();
	expect(set_cpus(a, CPU(0) | CPU(1)), 0);
	expect(set_cpus(b, CPU(1)), 0);
	l = loop_in(root);
	expect(move_to(a, l->pid), 0);
	bound_to(l->pid, CPU(0) | CPU(1));
	runs_only_on(l, CPU(0) | CPU(1));
	expect(move_to(b, l->pid), 0);
	bound_to(l->pid, CPU(1));
	runs_only_on(l, CPU(1));
	expect(set_cpus(a, all_cpus()), 0);
	bound_to(l->pid, CPU(1));
	expect(move_to(a, l->pid), 0);
	bound_to(l->pid, all_cpus());
	expect(move_to(b, l->pid), 0);
	expect(move_to(root, l->pid), 0);
	bound_to(l->pid, all_cpus());
	loop_end(l);
	remove_tree();
}

static pid_t other_thread;

static void *be_a_thread(void *wire)
{
	other_thread = syscall(SYS_gettid);
	if (write(*(int *)wire, &other_thread, sizeof(other_thread)) != sizeof(other_thread))
		abort();
	for (;;)
		pause();
}

static void have_a_thread(void *wire)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, be_a_thread, wire), 0);
	for (;;)
		pause();
}

TEST_CPUS(threads_are_moved_one_by_one_or_together, 4)
{
	pid_t pid, tid;
	int wire[2];

	make_tree();
	expect(set_cpus(a, CPU(2)), 0);
	ck_assert_int_eq(pipe(wire), 0);
	pid = start(have_a_thread, &wire[1]);
	ck_assert_int_eq(read(wire[0], &tid, sizeof(tid)), sizeof(tid));
	expect(write_u64(at(a, "tasks"), tid), 0);
	ck_assert_uint_eq(affinity(tid), CPU(2));
	bound_to(pid, all_cpus());
	expect(write_u64(at(root, "tasks"), tid), 0);
	ck_assert_uint_eq(affinity(tid), all_cpus());
	expect(move_to(a, pid), 0);
	ck_assert_uint_eq(affinity(tid), CPU(2));
	bound_to(pid, CPU(2));
	stop(pid);
	remove_tree();
}

static void fork_and_report(void *wire)
{
	pid_t pids[2];

	pids[0] = sleeper();
	pids[1] = syscall(SYS_getpid);
	if (write(*(int *)wire, pids, sizeof(pids)) != sizeof(pids))
		abort();
	for (;;)
		pause();
}

TEST_CPUS(a_child_has_its_parents, 4)
{
	pid_t pids[2], pid;
	int wire[2];

	make_tree();
	expect(set_cpus(a, CPU(1) | CPU(3)), 0);
	ck_assert_int_eq(pipe(wire), 0);
	pid = start_in(a, fork_and_report, &wire[1]);
	ck_assert_int_eq(read(wire[0], pids, sizeof(pids)), sizeof(pids));
	ck_assert_int_eq(pids[1], pid);
	ck_assert_str_eq(container_of_pid(pids[0], "cpuset"), "/a");
	bound_to(pids[0], CPU(1) | CPU(3));
	expect(set_cpus(a, CPU(0)), 0);
	bound_to(pids[0], CPU(0));
	bound_to(pid, CPU(0));
	kill(pids[0], SIGKILL);
	stop(pid);
	eventually(!has_line(at(a, "tasks"), pids[0]), 10);
	remove_tree();
}

TEST_CPUS(setaffinity_is_bounded_and_remembered, 4)
{
	pid_t pid;

	make_tree();
	expect(set_cpus(a, CPU(0) | CPU(1)), 0);
	pid = sleeper_in(a);
	/* a part of it can be had; what cannot is kept in mind */
	expect(set_affinity(pid, CPU(1) | CPU(2)), 0);
	bound_to(pid, CPU(1));
	/* nothing of it can be had */
	expect(set_affinity(pid, CPU(2) | CPU(3)), EINVAL);
	bound_to(pid, CPU(1));
	expect(set_cpus(a, all_cpus()), 0);
	bound_to(pid, CPU(1) | CPU(2));
	/* where none of it is left, all that there is */
	expect(set_cpus(a, CPU(0) | CPU(3)), 0);
	bound_to(pid, CPU(0) | CPU(3));
	expect(set_cpus(a, CPU(2) | CPU(3)), 0);
	bound_to(pid, CPU(2));
	expect(move_to(root, pid), 0);
	bound_to(pid, CPU(1) | CPU(2));
	expect(set_affinity(pid, all_cpus()), 0);
	expect(move_to(a, pid), 0);
	bound_to(pid, CPU(2) | CPU(3));
	stop(pid);
	remove_tree();
}

static void pin_and_fork(void *wire)
{
	expect(set_affinity(0, CPU(1) | CPU(2)), 0);
	fork_and_report(wire);
}

TEST_CPUS(what_was_asked_for_is_inherited, 4)
{
	pid_t pids[2], pid;
	int wire[2];

	make_tree();
	expect(set_cpus(a, CPU(0) | CPU(1)), 0);
	ck_assert_int_eq(pipe(wire), 0);
	pid = start_in(a, pin_and_fork, &wire[1]);
	ck_assert_int_eq(read(wire[0], pids, sizeof(pids)), sizeof(pids));
	bound_to(pids[0], CPU(1));
	expect(set_cpus(a, CPU(2) | CPU(3)), 0);
	bound_to(pids[0], CPU(2));
	kill(pids[0], SIGKILL);
	stop(pid);
	eventually(!has_line(at(a, "tasks"), pids[0]), 10);
	remove_tree();
}

/* The pid of a kernel thread with this name, 0 for none. */
static pid_t kernel_thread(const char *name)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	pid_t pid = 0;
	char *comm;

	ck_assert_ptr_nonnull(proc);
	while (!pid && (e = readdir(proc)))
		if (atoi(e->d_name) > 0 && !try_read(at("/proc", "%s/comm", e->d_name), &comm) &&
		    !strcmp(strsep(&comm, "\n"), name))
			pid = atoi(e->d_name);
	closedir(proc);
	return pid;
}

TEST(a_kernel_thread_that_is_bound_stays_outside)
{
	pid_t pid = kernel_thread("ksoftirqd/0");
	unsigned int cpus = affinity(pid);

	ck_assert_int_gt(pid, 0);
	make_tree();
	expect(set_cpus(a, all_cpus()), 0);
	refused(write_u64(at(a, "tasks"), pid), EINVAL, a, "it is bound to its CPUs (EINVAL)");
	refused(write_u64(at(a, "procs"), pid), EINVAL, a, "it is bound to its CPUs");
	ck_assert_str_eq(container_of_pid(pid, "cpuset"), "/");
	/* where it is it may go again */
	expect(write_u64(at(root, "tasks"), pid), 0);
	ck_assert_uint_eq(affinity(pid), cpus);
	remove_tree();
}

/* struct sched_attr, version 0 */
struct deadline {
	uint32_t size, policy;
	uint64_t flags;
	uint32_t nice, priority;
	uint64_t runtime, deadline, period;
};

TEST(a_deadline_task_stays_outside)
{
	struct deadline how = { sizeof(how), 6 /* SCHED_DEADLINE */, 0, 0, 0, 1000000, 100000000,
				100000000 };
	pid_t pid = sleeper();

	make_tree();
	expect(set_cpus(a, all_cpus()), 0);
	ck_assert_msg(!syscall(SYS_sched_setattr, pid, &how, 0), "sched_setattr: %s",
		      error_name(errno));
	refused(move_to(a, pid), EBUSY, a, "it is a deadline task (EBUSY)");
	ck_assert_str_eq(container_of_pid(pid, "cpuset"), "/");
	stop(pid);
	remove_tree();
}

TEST(who_has_more_capabilities_stays)
{
	make_tree();
	expect(set_cpus(a, all_cpus()), 0);
	expect(set_cpus(b, all_cpus()), 0);
	more_capable_stays(root, a, b, "cpuset", "its affinity is not the mover's to change (EPERM)");
	remove_tree();
}
