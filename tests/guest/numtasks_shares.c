// SPDX-License-Identifier: GPL-2.0-only
/*
 * numtasks: shares of what the parent has, all that there is, and how fast a container forks. A
 * worker in the container says what it gets. (jobs 1 4 4@debug)
 */
#include "lib-numtasks.h"
#include "lib-rebind.h"

#include <dirent.h>
#include <signal.h>

static int set_shares(const char *container, const char *text)
{
	return write_file(at(container, "numtasks.shares"), text);
}

static char *shares_of(const char *container)
{
	return read_file(at(container, "numtasks.shares"));
}

/* The root's shares are the machine's numbers of tasks, however many it has. */
static uint64_t one_share_a_task(const char *root)
{
	uint64_t total = numtasks_stat(root, "Maximum");
	char text[64];

	snprintf(text, sizeof(text), "child_shares_divisor=%llu\n", (unsigned long long)total);
	expect(set_shares(root, text), 0);
	return total;
}

TEST(shares_are_read_as_they_are_written)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");

	expect(make_dir(a), 0);
	ck_assert_str_eq(shares_of(a),
			 "res=numtasks,min_shares=-3,max_shares=-3,child_shares_divisor=100\n");
	expect(set_shares(a, "min_shares=10,max_shares=20\n"), 0);
	expect(set_shares(a, "res=numtasks,child_shares_divisor=7"), 0);
	ck_assert_str_eq(shares_of(a),
			 "res=numtasks,min_shares=10,max_shares=20,child_shares_divisor=7\n");
	expect(set_shares(a, "max_shares=-3,min_shares=0"), 0);
	ck_assert_str_eq(shares_of(a),
			 "res=numtasks,min_shares=0,max_shares=-3,child_shares_divisor=7\n");
	/* a new one of the name begins anew */
	expect(remove_dir(a), 0);
	expect(make_dir(a), 0);
	ck_assert_str_eq(shares_of(a),
			 "res=numtasks,min_shares=-3,max_shares=-3,child_shares_divisor=100\n");
	expect(remove_dir(a), 0);
}

/* A tree begins as any other, by whichever way numtasks has left the last one; the parameters are no tree's. */
TEST(what_is_said_of_the_root_goes_with_the_tree)
{
	char *root = mount_hierarchy("numtasks"), *again = NULL, *before = shares_of(root), *a;
	char *total = for_now(PARAMETER("total_numtasks"), "20000");
	char *rate = for_now(PARAMETER("forkrate"), "900000");

	for (int i = 0;; i++) {
		ck_assert_str_eq(shares_of(root), before);
		/* somebody else may have forked since */
		ck_assert_uint_lt(numtasks_stat(root, "Number of successes"), 30);
		ck_assert_uint_eq(numtasks_stat(root, "Maximum"), 20000);
		expect(set_shares(root, "child_shares_divisor=7"), 0);
		for (int n = 0; n < 30; n++)
			stop(sleeper());
		ck_assert_uint_ge(numtasks_stat(root, "Number of successes"), 30);
		if (i == 1)
			break;
		expect(unmount(root), 0);
		root = mount_hierarchy("cpuacct,numtasks");
	}
	a = at(root, "a");
	expect(make_dir(a), 0);
	expect(set_shares(a, "min_shares=2,max_shares=7"), 0);
	/* a tree with containers is there still */
	expect(unmount(root), 0);
	again = mount_hierarchy("cpuacct,numtasks");
	ck_assert(strstr(shares_of(again), "child_shares_divisor=7\n"));
	expect(remount(again, "cpuacct"), 0);
	expect(remount(again, "cpuacct,numtasks"), 0);
	ck_assert_str_eq(shares_of(again), before);
	ck_assert_uint_lt(numtasks_stat(again, "Number of successes"), 30);
	ck_assert_uint_eq(read_u64(PARAMETER("total_numtasks")), 20000);
	ck_assert_uint_eq(read_u64(PARAMETER("forkrate")), 900000);
	expect(write_file(PARAMETER("total_numtasks"), total), 0);
	expect(write_file(PARAMETER("forkrate"), rate), 0);
	expect(remove_dir(at(again, "a")), 0);
}

TEST(wrong_shares_change_nothing)
{
	static const struct wrong_shares wrong[] = {
		{ "min_shares=61", "the parent has not so many min_shares unused", EINVAL },
		{ "max_shares=101", "max_shares are more than the parent's divisor", EINVAL },
		{ "max_shares=10", "min_shares are more than max_shares", EINVAL },
		{ "child_shares_divisor=0", "the divisor is less than 1", EINVAL },
		{ "child_shares_divisor=-3", "the divisor is less than 1", EINVAL },
		{ "child_shares_divisor=14", "a child's max_shares are more than the divisor", EINVAL },
		/* a part of it was right */
		{ "min_shares=21,max_shares=101", "max_shares are more", EINVAL },
		/* no reason is needed */
		{ "min_shares=21,apples=5", NULL, EINVAL }, { "min_shares", NULL, EINVAL },
		{ "min_shares=x", NULL, EINVAL }, { "min_shares=-1", NULL, EINVAL },
		{ "min_shares=-2", NULL, EINVAL }, { "res=memory,min_shares=21", NULL, EINVAL },
		{ "min_shares=21,min_shares=21", NULL, EINVAL },
		{ "max_shares=2147483648", NULL, ERANGE },
	};
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "b");
	char *c = at(root, "a/c");

	expect(make_dir(a) | make_dir(b) | make_dir(c), 0);
	expect(set_shares(b, "min_shares=40"), 0);
	expect(set_shares(a, "min_shares=20,max_shares=90,child_shares_divisor=30"), 0);
	expect(set_shares(c, "min_shares=10,max_shares=15"), 0);
	refuses_shares(a, "numtasks", wrong, sizeof(wrong) / sizeof(*wrong));
	says(a, "what shares\nsubsystem numtasks\nerror EINVAL\n");
	expect(set_shares(root, "max_shares=10"), EINVAL);
	says(root, "the root has no parent to have shares of");
	expect(set_shares(a, "max_shares=-3"), 0);
	expect(set_shares(root, "child_shares_divisor=59"), EINVAL);
	says(root, "the children's min_shares are more than the divisor");
	expect(remove_dir(c) | remove_dir(a), 0);
	/* what a had is to be had again; not all, the root has some tasks itself, but not half of what it may */
	expect(set_shares(b, "min_shares=100"), EBUSY);
	ck_assert_uint_lt(numtasks_stat(root, "Current usage") * 2, numtasks_stat(root, "Maximum"));
	expect(set_shares(b, "min_shares=50"), 0);
	expect(remove_dir(b), 0);
}

/* total_numtasks was never written: in 2006 nothing was limited then. */
TEST(max_shares_are_a_limit)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b");
	uint64_t total = one_share_a_task(root), max, pids;
	struct worker w;

	max = read_u64("/proc/sys/kernel/threads-max");
	pids = read_u64("/proc/sys/kernel/pid_max");
	ck_assert_uint_eq(total, max < pids ? max : pids);
	ck_assert_int_eq(read_u64(PARAMETER("total_numtasks")), 2147483647);
	expect(make_dir(a) | make_dir(b), 0);
	expect(set_shares(a, "max_shares=5"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Maximum"), 5);
	/* nothing is said of b: it has what a has */
	ck_assert_uint_eq(numtasks_stat(b, "Maximum"), 5);
	w = worker_in(b);
	ck_assert_int_eq(forks_until_refused(&w), 4);
	says(b, "refused by numtasks: /a has 5 of 5 tasks (EAGAIN)\n");
	/* 60 of 100 of these 5 */
	expect(set_shares(b, "max_shares=60"), 0);
	expect(ask(&w, 'k') | ask(&w, 'k'), 0);
	expect(ask(&w, 'v'), EAGAIN);
	says(b, "refused by numtasks: /a/b has 3 of 3 tasks (EAGAIN)\n");
	expect(set_shares(a, "max_shares=10"), 0);
	ck_assert_int_eq(forks_until_refused(&w), 3);
	worker_end(&w);
	expect(remove_dir(b) | remove_dir(a), 0);
}

/* The machine may get more, or less. */
TEST(shares_follow_the_machine)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), text[32], *threads;
	uint64_t total = numtasks_stat(root, "Maximum"), few;
	struct worker w;

	expect(make_dir(a), 0);
	expect(set_shares(a, "max_shares=50"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Maximum"), total / 2);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)total - 10);
	threads = for_now("/proc/sys/kernel/threads-max", text);
	ck_assert_uint_eq(numtasks_stat(root, "Maximum"), total - 10);
	ck_assert_uint_eq(numtasks_stat(a, "Maximum"), total / 2 - 5);
	/* a fork finds out by itself */
	few = numtasks_stat(root, "Current usage") + 20;
	w = worker_in(a);
	expect(set_shares(a, "max_shares=10"), 0);
	expect(write_u64("/proc/sys/kernel/threads-max", few), 0);
	ck_assert_int_lt(forks_until_refused(&w), few / 10 + 1);
	says(a, "refused by numtasks: /a has ");
	worker_end(&w);
	expect(write_file("/proc/sys/kernel/threads-max", threads), 0);
	expect(set_shares(a, "max_shares=100"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Maximum"), total);
	expect(remove_dir(a), 0);
}

/* a has ten, which are guaranteed to it, in ten shares for b and c in it. */
struct ten {
	char *a, *b, *c;
};

static struct ten a_tree_of_ten(void)
{
	char *root = mount_hierarchy("numtasks");
	struct ten t = { at(root, "a"), at(root, "a/b"), at(root, "a/c") };

	one_share_a_task(root);
	expect(make_dir(t.a) | make_dir(t.b) | make_dir(t.c), 0);
	expect(set_shares(t.a, "min_shares=10,max_shares=10,child_shares_divisor=10"), 0);
	return t;
}

/* a has ten; four of them are b's, whether it uses them or not. */
TEST(min_shares_are_kept_free)
{
	struct ten t = a_tree_of_ten();
	char *a = t.a, *b = t.b, *c = t.c;
	struct worker in_b, in_c;

	expect(set_shares(b, "min_shares=4"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Guaranteed to children"), 4);
	in_c = worker_in(c);
	ck_assert_int_eq(forks_until_refused(&in_c), 5);
	says(c, "what is guaranteed to containers below is kept free; /a has 10 of 10 tasks (EAGAIN)\n");
	ck_assert_uint_eq(numtasks_stat(c, "Borrowed"), 6);
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 6);
	in_b = worker_in(b);
	ck_assert_int_eq(forks_until_refused(&in_b), 3);
	ck_assert_uint_eq(numtasks_stat(b, "Borrowed"), 0);
	/* what c gives back b may borrow, and c has to wait till b gives it back */
	expect(ask(&in_c, 'k'), 0);
	ck_assert_int_eq(forks_until_refused(&in_b), 1);
	ck_assert_uint_eq(numtasks_stat(b, "Borrowed"), 1);
	expect(ask(&in_c, 'v'), EAGAIN);
	expect(ask(&in_b, 'k'), 0);
	ck_assert_uint_eq(numtasks_stat(b, "Borrowed"), 0);
	expect(ask(&in_c, 'v'), 0);
	/* what is within its guarantee is nobody else's */
	expect(ask(&in_b, 'k'), 0);
	expect(ask(&in_c, 'f'), 0);
	expect(ask(&in_c, 'f'), EAGAIN);
	expect(ask(&in_b, 'f'), 0);
	worker_end(&in_b);
	worker_end(&in_c);
	expect(remove_dir(b) | remove_dir(c) | remove_dir(a), 0);
}

/*
 * p has ten, all of them y's; what y has forked is moved to x, beside it. It is not to be had again: as much as
 * there is in x is taken off what y is guaranteed.
 */
TEST(what_is_moved_out_of_a_guarantee_is_not_to_be_had_again)
{
	char *root = mount_hierarchy("numtasks"), *p = at(root, "p"), *x = at(root, "p/x");
	char *y = at(root, "p/y");
	struct worker w;

	one_share_a_task(root);
	expect(make_dir(p) | make_dir(x) | make_dir(y), 0);
	expect(set_shares(p, "min_shares=10,max_shares=10"), 0);
	expect(set_shares(y, "min_shares=100"), 0);
	w = worker_in(y);
	ck_assert_int_eq(forks_until_refused(&w), 9);
	for (char *line, *rest = read_file(at(y, "procs")); (line = strsep(&rest, "\n")) && *line;)
		if (atoi(line) != w.pid)
			expect(write_file(at(x, "procs"), line), 0);
	ck_assert_int_eq(tasks_in(x), 9);
	ck_assert_int_eq(tasks_in(y), 1);
	ck_assert_uint_eq(numtasks_stat(y, "Guaranteed"), 10);
	expect(ask(&w, 'f'), EAGAIN);
	says(y, "is kept free; /p has 19 of 10 tasks (EAGAIN)\n");
	expect(ask(&w, 't'), EAGAIN);
	ck_assert_uint_eq(numtasks_stat(p, "Current usage"), 10);
	/* one that has exited makes room for one, as above */
	expect(ask(&w, 'k'), 0);
	ck_assert_int_eq(forks_until_refused(&w), 1);
	ck_assert_uint_eq(numtasks_stat(p, "Current usage"), 10);
	expect(ask(&w, 'k') | ask(&w, 'k') | ask(&w, 'k'), 0);
	ck_assert_int_eq(forks_until_refused(&w), 3);
	worker_end(&w);
	/* what is over is forgotten with who was too many */
	w = worker_in(y);
	ck_assert_int_eq(forks_until_refused(&w), 9);
	worker_end(&w);
	expect(remove_dir(x) | remove_dir(y) | remove_dir(p), 0);
}

TEST(what_others_have_is_not_guaranteed)
{
	struct ten t = a_tree_of_ten();
	char *a = t.a, *b = t.b, *c = t.c;
	struct worker w;

	w = worker_in(c);
	ck_assert_int_eq(forks_until_refused(&w), 9);
	expect(set_shares(b, "min_shares=2"), EBUSY);
	says(b, "shares of task ");
	says(b, "refused by numtasks: others have what it would guarantee (EBUSY)\n");
	ck_assert_uint_eq(numtasks_stat(b, "Guaranteed"), 0);
	expect(ask(&w, 'k') | ask(&w, 'k'), 0);
	expect(set_shares(b, "min_shares=2"), 0);
	expect(ask(&w, 'v'), EAGAIN);
	/* a container that goes leaves its guarantee to the others */
	expect(remove_dir(b), 0);
	ck_assert_int_eq(forks_until_refused(&w), 2);
	worker_end(&w);
	expect(remove_dir(c) | remove_dir(a), 0);
}

/* A limit takes b's guarantee of 5 away, and c has what was free then: raised again it would promise that twice. */
TEST(a_limit_may_not_promise_what_others_have)
{
	struct ten t = a_tree_of_ten();
	char *a = t.a, *b = t.b, *c = t.c;
	struct worker w;

	expect(set_shares(b, "min_shares=5"), 0);
	ck_assert_uint_eq(numtasks_stat(a, "Guaranteed to children"), 5);
	expect(write_file(at(b, "numtasks.limit"), "2"), 0);
	ck_assert_uint_eq(numtasks_stat(b, "Guaranteed"), 2);
	w = worker_in(c);
	ck_assert_int_eq(forks_until_refused(&w), 7);
	expect(write_file(at(b, "numtasks.limit"), "3"), EBUSY);
	says(b, "limit of task ");
	says(b, "refused by numtasks: others have what it would guarantee (EBUSY)\n");
	expect(write_file(at(b, "numtasks.limit"), "max"), EBUSY);
	/* nothing has changed, for anybody */
	ck_assert_uint_eq(read_u64(at(b, "numtasks.limit")), 2);
	ck_assert_uint_eq(numtasks_stat(b, "Guaranteed"), 2);
	ck_assert_uint_eq(numtasks_stat(a, "Guaranteed to children"), 2);
	expect(ask(&w, 'f'), EAGAIN);
	expect(ask(&w, 'k'), 0);
	expect(write_file(at(b, "numtasks.limit"), "4"), EBUSY);
	expect(write_file(at(b, "numtasks.limit"), "3"), 0);
	expect(ask(&w, 'f'), EAGAIN);
	worker_end(&w);
	expect(write_file(at(b, "numtasks.limit"), "max"), 0);
	ck_assert_uint_eq(numtasks_stat(b, "Guaranteed"), 5);
	expect(remove_dir(b) | remove_dir(c) | remove_dir(a), 0);
}

#define THREADS_MAX "/proc/sys/kernel/threads-max"

/* Of 1000 a is guaranteed 10, of which b 5; c has 15 of a's 20. With 2000 b would be guaranteed 10. */
struct thousand {
	char *root, *a, *b, *c;
	/* who says that there are 1000, and what it said before */
	const char *file, *before;
	struct worker in_c;
};

static struct thousand a_tree_of_a_thousand(const char *file)
{
	char *root = mount_hierarchy("numtasks");
	struct thousand t = {
		.root = root, .a = at(root, "a"), .b = at(root, "a/b"), .c = at(root, "a/c"),
		.file = file, .before = for_now(file, "1000"),
	};

	expect(make_dir(t.a) | make_dir(t.b) | make_dir(t.c), 0);
	expect(set_shares(t.a, "min_shares=1"), 0);
	expect(write_file(at(t.a, "numtasks.limit"), "20"), 0);
	expect(set_shares(t.b, "min_shares=50"), 0);
	t.in_c = worker_in(t.c);
	ck_assert_int_eq(forks_until_refused(&t.in_c), 14);
	return t;
}

/* But for b. */
static void end_of_a_thousand(struct thousand *t)
{
	worker_end(&t->in_c);
	expect(write_file(t->file, t->before), 0);
	expect(remove_dir(t->c) | remove_dir(t->a), 0);
}

TEST(more_in_all_may_not_promise_what_others_have)
{
	struct thousand t = a_tree_of_a_thousand(PARAMETER("total_numtasks"));
	char *root = t.root, *b = t.b, *threads;

	expect(write_file(PARAMETER("total_numtasks"), "2000"), EBUSY);
	ck_assert_uint_eq(read_u64(PARAMETER("total_numtasks")), 1000);
	ck_assert_uint_eq(numtasks_stat(root, "Maximum"), 1000);
	ck_assert_uint_eq(numtasks_stat(b, "Guaranteed"), 5);
	expect(ask(&t.in_c, 'f'), EAGAIN);
	/* the machine can be told so all the same: then it has more than is divided, and forks go on as they were */
	threads = for_now(THREADS_MAX, "1000");
	expect(write_file(PARAMETER("total_numtasks"), "2147483647"), 0);
	expect(write_file(THREADS_MAX, "2000"), 0);
	ck_assert_uint_eq(numtasks_stat(root, "Maximum"), 1000);
	ck_assert_uint_eq(numtasks_stat(b, "Guaranteed"), 5);
	expect(ask(&t.in_c, 'f'), EAGAIN);
	expect(ask(&t.in_c, 'k') | ask(&t.in_c, 'f'), 0);
	/* who looks when c has less finds that it can be done, a second after it was last tried */
	for (int i = 0; i < 5; i++)
		expect(ask(&t.in_c, 'k'), 0);
	eventually(numtasks_stat(root, "Maximum") == 2000, 10);
	ck_assert_uint_eq(numtasks_stat(b, "Guaranteed"), 10);
	expect(ask(&t.in_c, 'f'), EAGAIN);
	expect(write_file(THREADS_MAX, threads), 0);
	expect(remove_dir(b), 0);
	end_of_a_thousand(&t);
}

/* Each try makes all forks wait, and anybody may look. */
TEST(looks_try_a_refused_total_once_in_a_second)
{
	struct thousand t = a_tree_of_a_thousand(THREADS_MAX);
	double tried;

	/* one that nobody has tried yet is tried at once */
	expect(write_file(THREADS_MAX, "2002"), 0);
	tried = now();
	ck_assert_uint_eq(numtasks_stat(t.root, "Maximum"), 1000);
	for (int i = 0; i < 5; i++)
		expect(ask(&t.in_c, 'k'), 0);
	eventually(numtasks_stat(t.root, "Maximum") == 2002, 10);
	/* a second of jiffies, which come late at times, several at once; without a pause it is some ms */
	ck_assert_double_ge(now() - tried, 0.5);
	expect(remove_dir(t.b), 0);
	end_of_a_thousand(&t);
}

/*
 * As above, but b goes: then forks alone find that the machine has 2000. d has one of 100 parts. Nobody looks at
 * `stats` meanwhile, nor writes to `shares`, which would be to try it.
 */
TEST(a_refused_total_is_tried_again_by_forks)
{
	struct thousand t = a_tree_of_a_thousand(THREADS_MAX);
	char *d = at(t.root, "d");
	struct worker in_d;

	expect(make_dir(d), 0);
	expect(set_shares(d, "max_shares=1"), 0);
	in_d = worker_in(d);
	expect(write_file(THREADS_MAX, "2000"), 0);
	ck_assert_int_eq(forks_until_refused(&in_d), 9);
	expect(remove_dir(t.b), 0);
	/* not at each fork: once in a second */
	usleep(1200000);
	eventually(!ask(&in_d, 'f'), 10);
	ck_assert_int_eq(forks_until_refused(&in_d), 9);
	says(d, "/d has 20 of 20 tasks");
	worker_end(&in_d);
	expect(remove_dir(d), 0);
	end_of_a_thousand(&t);
}

TEST(total_numtasks_is_what_there_is)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "b");
	const char *file = PARAMETER("total_numtasks"), *before;
	uint64_t few;
	struct worker w;
	int n;

	before = for_now(file, "100000");
	expect(make_dir(a) | make_dir(b), 0);
	expect(set_shares(a, "max_shares=1"), 0);
	ck_assert_uint_eq(numtasks_stat(root, "Maximum"), 100000);
	ck_assert_uint_eq(numtasks_stat(a, "Maximum"), 1000);
	expect(write_file(file, "0"), EINVAL);
	expect(write_file(file, "-5"), EINVAL);
	expect(write_file(file, "many"), EINVAL);
	expect(write_file(file, "2147483648"), ERANGE);
	/* no more than there are: the worker and the test are two already */
	expect(write_file(file, "2"), EINVAL);
	ck_assert_uint_eq(read_u64(file), 100000);
	w = worker_in(b);
	few = numtasks_stat(root, "Current usage") + 20;
	expect(write_u64(file, few), 0);
	n = forks_until_refused(&w);
	expect(write_file(file, "100000"), 0);
	/* kernel threads come and go meanwhile; they are never refused */
	ck_assert_int_gt(n, 0);
	says(b, "refused by numtasks: / has ");
	ck_assert_uint_eq(read_field(at(b, "why"), "limit"), few);
	expect(ask(&w, 'v'), 0);
	worker_end(&w);
	expect(write_file(file, before), 0);
	expect(remove_dir(a) | remove_dir(b), 0);
}

/* An interval of an hour counts from boot: the guest is in its first one. */
TEST(forkrate_is_of_each_container)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a"), *b = at(root, "a/b");
	struct worker in_a, in_b;
	char *seconds;

	ck_assert_double_lt(atof(read_file("/proc/uptime")), 3000);
	seconds = for_now(PARAMETER("forkrate_interval"), "3600");
	expect(write_file(PARAMETER("forkrate"), "3"), 0);
	expect(write_file(PARAMETER("forkrate"), "0"), EINVAL);
	expect(write_file(PARAMETER("forkrate"), "some"), EINVAL);
	expect(write_file(PARAMETER("forkrate"), "2147483648"), ERANGE);
	expect(write_file(PARAMETER("forkrate_interval"), "-1"), EINVAL);
	expect(write_file(PARAMETER("forkrate_interval"), "99999999999"), ERANGE);
	ck_assert_uint_eq(read_u64(PARAMETER("forkrate")), 3);
	expect(make_dir(a) | make_dir(b), 0);
	in_a = worker_in(a);
	in_b = worker_in(b);
	for (int i = 0; i < 3; i++)
		expect(ask(&in_a, 'v'), 0);
	expect(ask(&in_a, 'v'), EAGAIN);
	expect(ask(&in_a, 't'), EAGAIN);
	says(a, "refused by numtasks: it has had all forks of this forkrate_interval (EAGAIN)\n");
	ck_assert_uint_eq(numtasks_stat(a, "Number of forkrate failures"), 2);
	ck_assert_uint_eq(numtasks_stat(a, "Number of failures"), 0);
	/* nothing stays charged of what was refused */
	ck_assert_uint_eq(numtasks_stat(a, "Current usage"), 2);
	/* by itself, though it is below; and what a limit refuses is no fork */
	expect(write_file(at(b, "numtasks.limit"), "1"), 0);
	expect(ask(&in_b, 'v'), EAGAIN);
	expect(write_file(at(b, "numtasks.limit"), "max"), 0);
	ck_assert_int_eq(forks_until_refused(&in_b), 3);
	/* the root has none */
	for (int i = 0; i < 5; i++)
		stop(sleeper());
	/* a new rate begins anew */
	expect(write_file(PARAMETER("forkrate"), "1"), 0);
	expect(ask(&in_a, 'v'), 0);
	expect(ask(&in_a, 'v'), EAGAIN);
	/* and so does an interval, if it is as long as before */
	expect(write_file(PARAMETER("forkrate_interval"), "3600"), 0);
	expect(ask(&in_a, 'v'), 0);
	expect(ask(&in_a, 'v'), EAGAIN);
	expect(write_file(PARAMETER("forkrate"), "2147483647"), 0);
	expect(write_file(PARAMETER("forkrate_interval"), seconds), 0);
	for (int i = 0; i < 5; i++)
		expect(ask(&in_a, 'v'), 0);
	worker_end(&in_a);
	worker_end(&in_b);
	expect(remove_dir(b) | remove_dir(a), 0);
}

/* Regression of what nobody would have noticed: one interval for ever. */
TEST_LIMIT(forkrate_comes_back_with_each_interval, 60)
{
	char *root = mount_hierarchy("numtasks"), *a = at(root, "a");
	char *seconds = for_now(PARAMETER("forkrate_interval"), "1");
	struct worker in_a;

	expect(write_file(PARAMETER("forkrate"), "2"), 0);
	expect(make_dir(a), 0);
	in_a = worker_in(a);
	for (int i = 0; i < 3; i++) {
		/* two, and as many more as intervals begin meanwhile */
		ck_assert_int_ge(forks_until_refused(&in_a), 1);
		eventually(!ask(&in_a, 'v'), 5);
	}
	expect(write_file(PARAMETER("forkrate"), "2147483647"), 0);
	expect(write_file(PARAMETER("forkrate_interval"), seconds), 0);
	worker_end(&in_a);
	expect(remove_dir(a), 0);
}
