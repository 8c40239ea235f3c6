// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delegation: what a user may do below a directory that was given to him, and
 * everything that he may not; delegate_fds.c has what comes through a descriptor. Whether somebody moved is read from
 * /proc/PID/container; each refusal is followed by a look that nobody did.
 */
#include "delegate.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static pid_t one, two;

/* A move that must fail with EACCES, by either file, and change nothing. */
static void refused(const char *to, pid_t pid)
{
	char *before = place(pid);

	expect(write_u64(at(to, "procs"), pid), EACCES);
	expect(write_u64(at(to, "tasks"), pid), EACCES);
	ck_assert_str_eq(place(pid), before);
}

static void use_it(void)
{
	char *a = at(alices, "a"), *b = at(alices, "a/b");
	struct stat st;

	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	ck_assert_int_eq(stat(at(b, "procs"), &st), 0);
	ck_assert_int_eq(st.st_uid, ALICE);
	expect(move_to(b, one), 0);
	ck_assert_str_eq(place(one), "/alice/a/b");
	expect(remove_dir(b), EBUSY);
	expect(write_u64(at(alices, "tasks"), one), 0);
	ck_assert_str_eq(place(one), "/alice");
	expect(rename_dir(b, at(alices, "a/c")), 0);
	expect(write_u64(at(alices, "a/c/tasks"), one), 0);
	expect(move_to(a, one), 0);
	ck_assert_str_eq(place(one), "/alice/a");
	expect(remove_dir(at(alices, "a/c")), 0);
	expect(write_file(at(a, "notify_on_release"), "1"), 0);
	expect(write_file(at(a, "kill"), "1"), 0);
}

TEST(the_owner_makes_children_and_moves_inside)
{
	delegate();
	one = sleeper_of_in(ALICE, alices);
	alice(use_it);
	ck_assert_int_eq(wait_for(one), 128 + SIGKILL);
	expect(remove_dir(at(alices, "a")), 0);
	expect(remove_dir(alices), 0);
}

static void come_in(void)
{
	refused(alices, one);
	refused(at(alices, "a"), one);
	expect(write_file(at(alices, "procs"), "0"), EACCES);
	ck_assert_str_eq(place(getpid()), "/");
}

TEST(nobody_comes_in_from_elsewhere)
{
	delegate();
	expect(make_dir(at(alices, "a")), 0);
	give(at(alices, "a"), ALICE);
	one = sleeper_of(ALICE);
	alice(come_in);
	ck_assert(strstr(read_file(at(alices, "why")), "the common ancestor's file is not writable (EACCES)"));
	/* who owns both may */
	expect(move_to(alices, one), 0);
	stop(one);
	expect(remove_dir(at(alices, "a")), 0);
	expect(remove_dir(alices), 0);
}

static void get_out(void)
{
	refused(root, one);
	/* everybody may write these, and she owns those: the way there leads over the root */
	refused(at(root, "everybodys"), one);
	refused(at(root, "second"), one);
	refused(at(root, "second/deep"), one);
	expect(write_u64(at(root, "second/deep/procs"), two), EACCES);
	ck_assert_str_eq(place(two), "/");
}

TEST(nobody_leaves)
{
	char *everybodys, *second, *deep;

	delegate();
	everybodys = at(root, "everybodys");
	second = at(root, "second");
	deep = at(root, "second/deep");
	expect(make_dir(everybodys), 0);
	expect(make_dir(second), 0);
	expect(make_dir(deep), 0);
	give(second, ALICE);
	give(deep, ALICE);
	ck_assert_int_eq(chmod(at(everybodys, "tasks"), 0666) | chmod(at(everybodys, "procs"), 0666), 0);
	one = sleeper_of_in(ALICE, alices);
	two = sleeper_of(ALICE);
	alice(get_out);
	stop(one);
	stop(two);
	expect(remove_dir(everybodys), 0);
	expect(remove_dir(deep), 0);
	expect(remove_dir(second), 0);
	expect(remove_dir(alices), 0);
}

static void cross(void)
{
	expect(move_to(at(alices, "b"), one), 0);
	ck_assert_str_eq(place(one), "/alice/b");
}

static void cross_with_tasks(void)
{
	/* `tasks` of the ancestor is hers, `procs` is not */
	expect(write_u64(at(alices, "a/tasks"), one), 0);
	ck_assert_str_eq(place(one), "/alice/a");
	expect(write_u64(at(alices, "b/procs"), one), EACCES);
	ck_assert_str_eq(place(one), "/alice/a");
}

TEST(the_ancestors_file_of_the_same_name_decides)
{
	char *a, *b;

	delegate();
	a = at(alices, "a");
	b = at(alices, "b");
	expect(make_dir(a), 0);
	expect(make_dir(b), 0);
	give(a, ALICE);
	give(b, ALICE);
	one = sleeper_of_in(ALICE, a);
	alice(cross);
	ck_assert_int_eq(chown(at(alices, "procs"), 0, 0), 0);
	alice(cross_with_tasks);
	stop(one);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(alices), 0);
}

static void take_bobs(void)
{
	refused(alices, one);
	refused(at(alices, "a"), one);
	refused(at(alices, "a"), two);
}

TEST(another_users_task_stays)
{
	delegate();
	expect(make_dir(at(alices, "a")), 0);
	give(at(alices, "a"), ALICE);
	/* both below the directory that is Alice's */
	one = sleeper_of_in(BOB, alices);
	two = sleeper_in(alices);
	alice(take_bobs);
	ck_assert(strstr(read_file(at(alices, "a/why")), "it is another user's (EACCES)"));
	stop(one);
	stop(two);
	expect(remove_dir(at(alices, "a")), 0);
	expect(remove_dir(alices), 0);
}

static struct {
	volatile int ready, end;
} *odd;

static void *one_thread_is_bobs(void *arg)
{
	(void)arg;
	/* libc's would change all threads */
	ck_assert_int_eq(syscall(SYS_setresuid, BOB, BOB, BOB), 0);
	odd->ready = 1;
	for (;;)
		pause();
}

static void two_users(void *arg)
{
	pthread_t thread;

	(void)arg;
	ck_assert_int_eq(pthread_create(&thread, NULL, one_thread_is_bobs, NULL), 0);
	while (!odd->ready)
		usleep(1000);
	ck_assert_int_eq(syscall(SYS_setresuid, ALICE, ALICE, ALICE), 0);
	odd->ready = 2;
	for (;;)
		pause();
}

static void move_half(void)
{
	pid_t ids[4];

	expect(move_to(at(alices, "a"), one), EACCES);
	ck_assert_int_eq(read_ids(at(alices, "a/tasks"), ids, 4), 0);
	/* the thread that is hers */
	expect(write_u64(at(alices, "a/tasks"), one), 0);
	ck_assert_int_eq(read_ids(at(alices, "a/tasks"), ids, 4), 1);
	ck_assert_int_eq(read_ids(at(alices, "tasks"), ids, 4), 1);
	expect(write_u64(at(alices, "a/tasks"), ids[0]), EACCES);
}

TEST(a_process_of_two_users_stays_whole)
{
	odd = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	delegate();
	expect(make_dir(at(alices, "a")), 0);
	give(at(alices, "a"), ALICE);
	one = start_in(alices, two_users, NULL);
	/* a thread has to be made and scheduled */
	eventually(odd->ready == 2, 10);
	alice(move_half);
	stop(one);
	/* a thread that was killed may leave a moment after wait(2) */
	eventually(!remove_dir(at(alices, "a")), 5);
	eventually(!remove_dir(alices), 5);
}

/* In a user namespace of her own she is root over her processes there, and over nothing else. */
static void in_a_user_namespace(void)
{
	pid_t inner;

	ck_assert_msg(!unshare(CLONE_NEWUSER), "unshare(CLONE_NEWUSER): %s", error_name(errno));
	inner = sleeper();
	/* her own process, as her uid says, but outside */
	refused(at(alices, "a"), one);
	expect(move_to(at(alices, "a"), inner), 0);
	ck_assert_str_eq(place(inner), "/alice/a");
	refused(root, inner);
	/* no power over modes, and no mount */
	expect(make_dir(at(root, "evil")), EACCES);
	ck_assert_int_eq(unshare(CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", root, "container", 0, "cpuacct"), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(mount("none", root, "container", MS_REMOUNT, "release_agent=/bin/evil"), -1);
	ck_assert_int_eq(errno, EPERM);
	stop(inner);
}

static void enter_a_user_namespace(void *arg)
{
	(void)arg;
	become(ALICE);
	in_a_user_namespace();
}

TEST(a_task_of_an_outer_user_namespace_stays)
{
	delegate();
	expect(make_dir(at(alices, "a")), 0);
	give(at(alices, "a"), ALICE);
	one = sleeper_of_in(ALICE, alices);
	finish(start_in(alices, enter_a_user_namespace, NULL));
	ck_assert(strstr(read_file(at(alices, "a/why")), "it is outside of the user namespace (EACCES)"));
	stop(one);
	expect(remove_dir(at(alices, "a")), 0);
	expect(remove_dir(alices), 0);
}

/* uid 0 of the machine, but in an inner namespace: a root without power. */
static void inner_root(void *arg)
{
	pid_t inner;

	(void)arg;
	ck_assert_int_eq(unshare(CLONE_NEWUSER), 0);
	inner = sleeper();
	refused(alices, one);
	refused(alices, 1);
	expect(move_to(alices, inner), 0);
	ck_assert_str_eq(place(inner), "/alice");
	stop(inner);
}

TEST(uid_0_of_an_inner_namespace_is_no_root)
{
	delegate();
	ck_assert_int_eq(chown(at(alices, "procs"), 0, 0) | chown(at(alices, "tasks"), 0, 0), 0);
	one = sleeper();
	finish(start(inner_root, NULL));
	stop(one);
	expect(remove_dir(alices), 0);
}

static void escape(void)
{
	char *bind = "/tmp/bind";

	ck_assert_int_eq(chdir(alices), 0);
	expect(make_dir("../evil"), EACCES);
	expect(make_dir("a/../../evil"), EACCES);
	expect(remove_dir("../other"), EACCES);
	expect(rename_dir("a", "../evil"), EACCES);
	expect(rename_dir("../other", "../evil"), EACCES);
	expect(rename_dir("../other", "b"), EACCES);
	expect(remove_dir("../alice"), EACCES);
	expect(rename_dir("../alice", "../evil"), EACCES);
	expect(write_file("../procs", "0"), EACCES);
	expect(write_file("../other/kill", "1"), EACCES);
	expect(write_file("../release_agent", "/bin/evil"), EACCES);
	ck_assert_int_eq(open("a/evil", O_WRONLY | O_CREAT, 0600), -1);
	ck_assert_int_eq(symlink("../..", "a/evil"), -1);
	ck_assert_int_eq(link("../procs", "a/evil"), -1);
	ck_assert_int_eq(unlink("a/procs"), -1);
	ck_assert_int_eq(chmod("../procs", 0666), -1);
	ck_assert_int_eq(chown("a", BOB, BOB), -1);
	/* what root kept in the directory that it gave away */
	expect(write_file("kill", "1"), EACCES);
	ck_assert_int_eq(chmod("kill", 0666), -1);
	/* another way to the same files changes no owner */
	ck_assert_int_eq(chdir("/"), 0);
	expect(make_dir(at(bind, "c")), 0);
	refused(bind, one);
	expect(make_dir(at(bind, "../evil")), EACCES);
	expect(remove_dir(at(bind, "c")), 0);
}

TEST(no_path_leads_out)
{
	delegate();
	expect(make_dir(at(alices, "a")), 0);
	expect(make_dir(at(root, "other")), 0);
	give(at(alices, "a"), ALICE);
	ck_assert_int_eq(mkdir("/tmp/bind", 0755), 0);
	ck_assert_int_eq(mount(alices, "/tmp/bind", NULL, MS_BIND, NULL), 0);
	one = sleeper_of(ALICE);
	alice(escape);
	stop(one);
	ck_assert_int_eq(umount("/tmp/bind"), 0);
	ck_assert(!exists(at(root, "evil")));
	expect(remove_dir(at(root, "other")), 0);
	expect(remove_dir(at(alices, "a")), 0);
	expect(remove_dir(alices), 0);
}

static void move_a_zombie(void)
{
	/* what exits is nowhere: not in the root, which is not hers */
	expect(move_to(alices, one), ESRCH);
	expect(write_u64(at(alices, "tasks"), one), ESRCH);
}

TEST(an_exited_task_is_esrch)
{

	delegate();
	one = sleeper_of_in(ALICE, alices);
	make_zombie(one);
	alice(move_a_zombie);
	wait_for(one);
	expect(remove_dir(alices), 0);
}
