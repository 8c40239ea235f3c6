// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delegation and descriptors: what is opened by one and written by another, or
 * when it is not his any more. Both must have the right, at the moment of the write.
 */
#include "delegate.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static pid_t one, two;
static int wire[2];

static void fd_refuses(int fd, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	ck_assert_int_eq(write(fd, text, strlen(text)), -1);
	ck_assert_int_eq(errno, EACCES);
}

static void send_file(const char *path)
{
	int fd = open(path, O_WRONLY);

	ck_assert_msg(fd >= 0, "%s: %s", path, error_name(errno));
	send_fd(wire[0], fd);
	close(fd);
}

static void send_her_procs(void)
{
	send_file(at(alices, "procs"));
}

/* As if a set-uid program wrote its diagnostics into what the user gave it. */
TEST(root_does_no_users_work)
{
	int fd;

	delegate();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	one = sleeper();
	two = sleeper_of(ALICE);
	alice(send_her_procs);
	fd = receive_fd(wire[1]);
	fd_refuses(fd, one);
	fd_refuses(fd, two);
	fd_refuses(fd, 0);
	ck_assert_str_eq(place(one), "/");
	ck_assert_str_eq(place(two), "/");
	ck_assert_str_eq(place(getpid()), "/");
	stop(one);
	stop(two);
	close(fd);
	expect(remove_dir(alices), 0);
}

static void write_roots(void)
{
	for (int i = 0; i < 2; i++) {
		int fd = receive_fd(wire[1]);

		fd_refuses(fd, one);
		fd_refuses(fd, two);
		fd_refuses(fd, 0);
		ck_assert_str_eq(place(getpid()), "/");
		close(fd);
	}
}

TEST(a_descriptor_of_roots_gives_no_right)
{
	delegate();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	one = sleeper();
	two = sleeper_of(ALICE);
	send_file(at(alices, "procs"));
	send_file(at(alices, "tasks"));
	alice(write_roots);
	ck_assert_str_eq(place(one), "/");
	ck_assert_str_eq(place(two), "/");
	stop(one);
	stop(two);
	expect(remove_dir(alices), 0);
}

static void kill_through_roots(void)
{
	int fd = receive_fd(wire[1]);

	fd_refuses(fd, 1);
	close(fd);
}

/* `kill` of the directory itself stays root's, that of her own child is hers. */
TEST(a_descriptor_of_kill_gives_no_right)
{
	char *a;

	delegate();
	a = at(alices, "a");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	one = sleeper_in(alices);
	send_file(at(alices, "kill"));
	alice(kill_through_roots);
	ck_assert_int_eq(kill(one, 0) | waitpid(one, NULL, WNOHANG), 0);
	ck_assert_str_eq(place(one), "/alice");
	/* and hers, when it is no more hers */
	expect(make_dir(a), 0);
	two = sleeper_in(a);
	ck_assert_int_eq(chown(at(a, "kill"), ALICE, ALICE), 0);
	send_file(at(a, "kill"));
	ck_assert_int_eq(chown(at(a, "kill"), 0, 0), 0);
	alice(kill_through_roots);
	ck_assert_int_eq(kill(two, 0) | waitpid(two, NULL, WNOHANG), 0);
	stop(one);
	stop(two);
	expect(remove_dir(a), 0);
	expect(remove_dir(alices), 0);
}

static void send_her_kill(void)
{
	send_file(at(at(alices, "a"), "kill"));
}

/* Root is made to write what she opened, when it is not hers any more. */
TEST(roots_write_does_no_users_kill)
{
	char *a;
	int fd;

	delegate();
	a = at(alices, "a");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	expect(make_dir(a), 0);
	two = sleeper_in(a);
	ck_assert_int_eq(chown(at(a, "kill"), ALICE, ALICE), 0);
	alice(send_her_kill);
	fd = receive_fd(wire[1]);
	ck_assert_int_eq(chown(at(a, "kill"), 0, 0), 0);
	fd_refuses(fd, 1);
	ck_assert_int_eq(kill(two, 0) | waitpid(two, NULL, WNOHANG), 0);
	ck_assert_int_eq(chown(at(a, "kill"), ALICE, ALICE), 0);
	ck_assert_int_eq(write(fd, "1", 1), 1);
	ck_assert_int_eq(wait_for(two), 128 + SIGKILL);
	close(fd);
	expect(remove_dir(a), 0);
	expect(remove_dir(alices), 0);
}

static void move_by_fd(void)
{
	int fd = receive_fd(wire[1]);
	char text[16];

	snprintf(text, sizeof(text), "%d", one);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	ck_assert_str_eq(place(one), "/alice/a");
}

TEST(a_passed_descriptor_works_for_whom_both_may)
{
	delegate();
	expect(make_dir(at(alices, "a")), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	one = sleeper_of_in(ALICE, alices);
	send_file(at(alices, "a/procs"));
	alice(move_by_fd);
	stop(one);
	expect(remove_dir(at(alices, "a")), 0);
	expect(remove_dir(alices), 0);
}

static void lose_it(void)
{
	int fd = open(at(alices, "procs"), O_WRONLY);
	char text[16];

	ck_assert_int_ge(fd, 0);
	snprintf(text, sizeof(text), "%d", one);
	ck_assert_int_eq(write(fd, text, strlen(text)), strlen(text));
	send_fd(wire[0], fd);
	ck_assert_int_eq(write(wire[0], "", 1), 1);
	/* root takes the directory back meanwhile */
	while (place(one)[1] != 'o')
		usleep(1000);
	fd_refuses(fd, one);
	ck_assert_str_eq(place(one), "/other");
}

TEST(what_is_taken_back_is_gone_at_once)
{
	char byte;
	pid_t pid;

	delegate();
	expect(make_dir(at(root, "other")), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	one = sleeper_of_in(ALICE, alices);
	pid = start(as_alice, lose_it);
	close(receive_fd(wire[1]));
	ck_assert_int_eq(read(wire[1], &byte, 1), 1);
	give(alices, 0);
	expect(move_to(at(root, "other"), one), 0);
	finish(pid);
	stop(one);
	expect(remove_dir(at(root, "other")), 0);
	expect(remove_dir(alices), 0);
}

static void lose_below(void)
{
	int fd = open(at(alices, "a/procs"), O_WRONLY);
	char byte;

	ck_assert_int_ge(fd, 0);
	send_fd(wire[0], fd);
	ck_assert_int_eq(read(wire[0], &byte, 1), 1);
	fd_refuses(fd, one);
	ck_assert_str_eq(place(one), "/alice");
}

/* The common ancestor is still hers, the destination is not. */
TEST(what_is_taken_back_below_ones_own_is_gone)
{
	char *a;
	pid_t pid;

	delegate();
	a = at(alices, "a");
	expect(make_dir(a), 0);
	give(a, ALICE);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	one = sleeper_of_in(ALICE, alices);
	pid = start(as_alice, lose_below);
	close(receive_fd(wire[1]));
	give(a, 0);
	ck_assert_int_eq(write(wire[1], "", 1), 1);
	finish(pid);
	stop(one);
	expect(remove_dir(a), 0);
	expect(remove_dir(alices), 0);
}
