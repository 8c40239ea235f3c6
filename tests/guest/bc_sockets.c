// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: sockets that are in each other's queues, as SCM_RIGHTS makes them. Nobody has them, no count of
 * references comes to nothing, and still their charges have to end. (jobs 1 4 4@debug)
 */
#include "lib-bc.h"

#include <sys/socket.h>
#include <sys/stat.h>

/* A grace period and a worker. */
#define SOON 10

static int dying(void)
{
	return hierarchy_of("bc").dying;
}

/* Linux's collector of sockets is asked when one is closed, and works on its own. */
static void ask_the_collector(void)
{
	ck_assert_int_eq(close(socket(AF_UNIX, SOCK_STREAM, 0)), 0);
}

/* A socket in its own queue is nobody's: the collector finds it. */
static void send_it_to_itself(struct actor *actor)
{
	int ends[2];

	(void)actor;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	send_fd(ends[0], ends[1]);
	send_fd(ends[1], ends[0]);
	ck_assert_int_eq(close(ends[0]) | close(ends[1]), 0);
}

TEST(a_socket_in_its_own_queue)
{
	struct actor *actor;

	mount_bc("b");
	actor = actor_in(a);
	act(actor, send_it_to_itself, 0);
	dismiss(actor);
	eventually((ask_the_collector(), held(a) == 0), SOON);
	expect(remove_dir(a), 0);
}

static int last_end;

static unsigned long inode_of(int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

/* Each of two sockets is in the queue of the other; result and seed: their inodes. One of them has a descriptor. */
static void send_each_to_the_other(struct actor *actor)
{
	int one[2], two[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, one) | socketpair(AF_UNIX, SOCK_STREAM, 0, two), 0);
	send_fd(one[0], two[1]);
	send_fd(two[0], one[1]);
	actor->result = inode_of(one[1]);
	actor->seed = inode_of(two[1]);
	last_end = one[1];
	ck_assert_int_eq(close(one[0]) | close(two[0]) | close(two[1]), 0);
}

static void close_the_last_end(struct actor *actor)
{
	(void)actor;
	ck_assert_int_eq(close(last_end), 0);
}

/* In /proc/net/unix a line has the inode before the name, which these have not. */
static bool is_a_socket(unsigned long inode)
{
	char end[32];

	snprintf(end, sizeof(end), " %lu\n", inode);
	return strstr(read_file("/proc/net/unix"), end);
}

/*
 * No count of references comes to nothing in a cycle, and closing the last descriptor closes no socket: so both are there, and
 * charged, until somebody asks the collector, and gone after.
 */
TEST(a_cycle_of_sockets)
{
	unsigned long one, two;
	struct actor *actor;

	mount_bc("b");
	actor = quiet_actor_in(a);
	one = act(actor, send_each_to_the_other, 0);
	two = actor->seed;
	ck_assert(is_a_socket(one) && is_a_socket(two));
	/* who has a descriptor can still receive what is in them */
	for (int i = 0; i < 10; i++) {
		ask_the_collector();
		usleep(20000);
		ck_assert_uint_eq(held(a), 2);
	}
	/* nor may it be on its way still when they are nobody's */
	usleep(200000);
	act(actor, close_the_last_end, 0);
	usleep(200000);
	ck_assert_uint_eq(held(a), 2);
	ck_assert(is_a_socket(one) && is_a_socket(two));
	/* while it is at work it does not listen */
	eventually((ask_the_collector(), held(a) == 0), SOON);
	ck_assert(!is_a_socket(one) && !is_a_socket(two));
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* The same whose container has gone: it is kept by the cycle, and not for ever. */
TEST(a_cycle_of_sockets_after_rmdir)
{
	struct actor *actor;

	mount_bc("b");
	actor = quiet_actor_in(a);
	act(actor, send_each_to_the_other, 0);
	/* the ends that it has closed have asked the collector, too: that is to be done while there is a descriptor */
	usleep(200000);
	act(actor, close_the_last_end, 0);
	expect(move_to(root, actor->pid), 0);
	expect(remove_dir(a), 0);
	usleep(200000);
	ck_assert_int_eq(dying(), 1);
	eventually((ask_the_collector(), dying() == 0), SOON);
	dismiss(actor);
}
