// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: an open file is charged once, to who opened it, and until its
 * last user lets it go, wherever it went. (jobs 1 4 4@debug)
 */
#include "lib-bc.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

/* A grace period and a worker. */
#define SOON 10

static int wire[2];

static void mount_with_wire(void)
{
	mount_bc("b");
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire), 0);
}

/*
 * A number that all processes of the machine have a part in, once none of them is at it: ten
 * equal readings. Another process, if there is one, opens a file for some microseconds.
 */
static int64_t settled(int64_t (*reading)(void))
{
	int64_t last = reading(), now;

	for (int same = 0; same < 10; same++) {
		usleep(1000);
		now = reading();
		if (now != last)
			same = -1;
		last = now;
	}
	return last;
}

static int64_t held_by_root(void)
{
	return held(root);
}

static int dying(void)
{
	return hierarchy_of("bc").dying;
}

static void keep(int fd)
{
	ck_assert_msg(fd >= 0, "no descriptor: %s", error_name(errno));
}

static void open_one_of_each(struct actor *actor)
{
	int ends[2];

	(void)actor;
	/* the root is an overlay: one file for us, the one below is nobody's */
	keep(open("/etc/passwd", O_RDONLY));
	keep(open("/tmp", O_RDONLY | O_DIRECTORY));
	keep(open("/etc/passwd", O_PATH));
	keep(open("/tmp/new", O_RDWR | O_CREAT, 0600));
	keep(open("/proc/self/stat", O_RDONLY));
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	keep(eventfd(0, 0));
	keep(epoll_create1(0));
	keep(timerfd_create(CLOCK_MONOTONIC, 0));
	keep(memfd_create("memory", 0));
}

TEST(every_kind_of_file_counts_once)
{
	struct actor *actor;
	unsigned int before;

	mount_with_wire();
	actor = quiet_actor_in(a);
	/* what it has from its parent was opened in the root */
	before = descriptors(actor->pid);
	ck_assert_uint_ge(before, 3);
	ck_assert_uint_eq(held(a), 0);
	act(actor, open_one_of_each, 0);
	ck_assert_uint_eq(descriptors(actor->pid) - before, 13);
	ck_assert_uint_eq(held(a), 13);
	dismiss(actor);
	ck_assert_uint_eq(held(a), 0);
	expect(remove_dir(a), 0);
}

static int directory, copied;

static void open_in_an_overlay(struct actor *actor)
{
	struct statfs fs;

	(void)actor;
	keep(directory = open("/etc", O_RDONLY | O_DIRECTORY));
	ck_assert_int_eq(fstatfs(directory, &fs), 0);
	ck_assert_int_eq(fs.f_type, OVERLAYFS_SUPER_MAGIC);
}

static void read_directory(struct actor *actor)
{
	char entries[4096];
	long n = syscall(SYS_getdents64, directory, entries, sizeof(entries));

	(void)actor;
	ck_assert_msg(n > 0, "getdents: %s", n ? error_name(errno) : "nothing");
}

static void copy_up(struct actor *actor)
{
	int attributes;

	(void)actor;
	keep(copied = openat(directory, "passwd", O_RDWR));
	/* the overlay asks with a file of the one below */
	ck_assert_msg(!ioctl(copied, FS_IOC_GETFLAGS, &attributes), "flags: %s", error_name(errno));
}

/* What the overlay opens below, for a directory, a copy or a question, is nobody's. */
TEST(an_overlay_needs_no_room)
{
	struct actor *actor;
	unsigned int before;

	mount_with_wire();
	actor = quiet_actor_in(a);
	before = descriptors(actor->pid);
	set_bounds(a, 1, 1);
	act(actor, open_in_an_overlay, 0);
	ck_assert_uint_eq(held(a), 1);
	act(actor, read_directory, 0);
	set_bounds(a, 2, 2);
	act(actor, copy_up, 0);
	ck_assert_uint_eq(held(a), 2);
	ck_assert_uint_eq(descriptors(actor->pid) - before, 2);
	ck_assert_uint_eq(numfiles(a, "maxheld"), 2);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 0);
	dismiss(actor);
	ck_assert_uint_eq(held(a), 0);
	expect(remove_dir(a), 0);
}

/* What the root holds and what the machine has: either has the file that it is read from. */
static int64_t difference(void)
{
	uint64_t machine = strtoull(read_file("/proc/sys/fs/file-nr"), NULL, 10);

	return (int64_t)held(root) - (int64_t)machine;
}

TEST(the_root_holds_what_the_machine_has)
{
	struct actor *actor;
	int64_t before;
	int fd[7];

	mount_with_wire();
	actor = quiet_actor_in(a);
	before = settled(held_by_root);
	act(actor, open_files, 200);
	for (int i = 0; i < 7; i++)
		keep(fd[i] = open("/dev/null", O_RDONLY));
	/* what others do meanwhile comes to an end */
	eventually(held_by_root() == before + 207, SOON);
	eventually(difference() == 0, SOON);
	ck_assert_uint_eq(held(a), 200);
	for (int i = 0; i < 7; i++)
		ck_assert_int_eq(close(fd[i]), 0);
	act(actor, close_files, 150);
	eventually(held_by_root() == before + 50, SOON);
	eventually(difference() == 0, SOON);
	ck_assert_uint_eq(held(a), 50);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* The machine has them, whoever counts them below. */
TEST(the_root_holds_what_is_flat)
{
	struct actor *actor;
	int64_t before;

	mount_with_wire();
	expect(write_file(at(root, "bc.hierarchical"), "0"), 0);
	expect(make_dir(b), 0);
	actor = quiet_actor_in(b);
	before = settled(held_by_root);
	act(actor, open_files, 10);
	eventually(held_by_root() == before + 10, SOON);
	/* without the container, too */
	expect(move_to(root, actor->pid), 0);
	expect(remove_dir(b), 0);
	ck_assert_int_eq(dying(), 1);
	eventually(held_by_root() == before + 10, SOON);
	act(actor, close_files, 10);
	eventually(held_by_root() == before, SOON);
	eventually(dying() == 0, SOON);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* The root's line of files. */
static void read_table(unsigned long *holds, unsigned long *maxheld)
{
	char *text = strstr(read_file("/proc/user_beancounters"), "\n        0:  numfile ");

	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(sscanf(text, " 0: numfile %lu %lu", holds, maxheld), 2);
}

TEST(the_root_has_no_marks)
{
	unsigned long holds, maxheld, most;
	struct actor *actor;

	mount_with_wire();
	ck_assert(!exists(at(root, "bc.numfiles.maxheld")) && !exists(at(root, "bc.numfiles.minheld")));
	ck_assert(exists(at(a, "bc.numfiles.maxheld")) && exists(at(root, "bc.numproc.maxheld")));
	actor = quiet_actor_in(root);
	act(actor, open_files, 300);
	read_table(&holds, &most);
	ck_assert_uint_gt(holds, 300);
	ck_assert_uint_ge(most, holds);
	/* but the table has one, the most that was read there */
	act(actor, close_files, 250);
	read_table(&holds, &maxheld);
	ck_assert_uint_lt(holds, most - 200);
	ck_assert_uint_ge(maxheld, most);
	/* which begins again */
	expect(write_file(at(root, "bc.reset"), "1"), 0);
	read_table(&holds, &maxheld);
	ck_assert_uint_eq(holds, maxheld);
	ck_assert_uint_gt(holds, 50);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

static pid_t clone_of_it;

static void dup_and_fork(struct actor *actor)
{
	int fd = memfd_create("one", 0);

	keep(fd);
	for (int i = 0; i < 20; i++)
		keep(dup(fd));
	keep(fcntl(fd, F_DUPFD, 500));
	clone_of_it = sleeper();
	actor->pages = clone_of_it;
}

static void end_it(struct actor *actor)
{
	(void)actor;
	stop(clone_of_it);
}

TEST(dup_and_fork_do_not_count)
{
	struct actor *actor;

	mount_with_wire();
	actor = actor_in(a);
	act(actor, dup_and_fork, 0);
	ck_assert_uint_eq(held(a), 1);
	ck_assert_uint_ge(descriptors(actor->pages), 22);
	act(actor, end_it, 0);
	ck_assert_uint_eq(held(a), 1);
	dismiss(actor);
	ck_assert_uint_eq(held(a), 0);
	expect(remove_dir(a), 0);
}

TEST(a_child_keeps_what_its_parent_opened)
{
	struct actor *actor;
	pid_t child;

	mount_with_wire();
	actor = actor_in(a);
	act(actor, dup_and_fork, 0);
	child = actor->pages;
	/* the child elsewhere, the parent gone */
	expect(move_to(root, child), 0);
	kill(actor->pid, SIGKILL);
	wait_for(actor->pid);
	ck_assert_uint_eq(held(a), 1);
	kill(child, SIGKILL);
	eventually(held(a) == 0, SOON);
	expect(remove_dir(a), 0);
}

TEST(kill_minus_nine)
{
	struct actor *actor;

	mount_with_wire();
	for (int i = 0; i < 5; i++) {
		actor = actor_in(a);
		ck_assert_uint_eq(act(actor, open_files, 200), 200);
		/* at any moment of this */
		act_begin(actor, i % 2 ? close_files : open_files, 200);
		stop(actor->pid);
		ck_assert_uint_eq(held(a), 0);
	}
	ck_assert_uint_le(numfiles(a, "maxheld"), 400);
	expect(remove_dir(a), 0);
}

TEST(a_moved_task_leaves_its_files_behind)
{
	struct actor *actor;

	mount_with_wire();
	expect(make_dir(b), 0);
	actor = actor_in(a);
	act(actor, open_files, 30);
	expect(move_to(b, actor->pid), 0);
	ck_assert_uint_eq(held(a), 30);
	ck_assert_uint_eq(held(b), 0);
	act(actor, open_files, 4);
	ck_assert_uint_eq(held(a), 30);
	ck_assert_uint_eq(held(b), 4);
	act(actor, close_files, 14);
	ck_assert_uint_eq(held(a), 20);
	ck_assert_uint_eq(held(b), 0);
	/* bounds of where it is, not of where it was */
	set_bounds(a, 0, 0);
	ck_assert_uint_eq(act(actor, open_files, 1), 1);
	dismiss(actor);
	ck_assert_uint_eq(held(a) + held(b), 0);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

static void send_a_file(struct actor *actor)
{
	int fd = memfd_create("travels", 0);

	(void)actor;
	keep(fd);
	ck_assert_int_eq(write(fd, "text", 4), 4);
	send_fd(wire[1], fd);
	ck_assert_int_eq(close(fd), 0);
}

static void has_text(int fd)
{
	char text[5] = "";

	ck_assert_int_eq(pread(fd, text, 4, 0), 4);
	ck_assert_str_eq(text, "text");
	ck_assert_int_eq(pwrite(fd, "text", 4, 0), 4);
}

TEST(a_file_in_flight)
{
	struct actor *actor;
	int fd;

	mount_with_wire();
	actor = actor_in(a);
	act(actor, send_a_file, 0);
	dismiss(actor);
	/* nobody has it, and it is there */
	ck_assert_uint_eq(held(a), 1);
	fd = receive_fd(wire[0]);
	has_text(fd);
	ck_assert_uint_eq(held(a), 1);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_uint_eq(held(a), 0);
	expect(remove_dir(a), 0);
}

TEST(io_after_rmdir)
{
	struct actor *actor;
	char *in;
	int fd;

	mount_with_wire();
	in = at(a, "in");
	expect(make_dir(in), 0);
	actor = actor_in(in);
	act(actor, send_a_file, 0);
	dismiss(actor);
	expect(remove_dir(in), 0);
	ck_assert_int_eq(dying(), 1);
	/* what was above counts on, another one of the name knows nothing */
	expect(make_dir(in), 0);
	ck_assert_uint_eq(held(in), 0);
	ck_assert_uint_eq(held(a), 1);
	actor = actor_in(in);
	act(actor, open_files, 2);
	ck_assert_uint_eq(held(a), 3);
	fd = receive_fd(wire[0]);
	has_text(fd);
	ck_assert_int_eq(dying(), 1);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_uint_eq(held(a), 2);
	ck_assert_uint_eq(held(in), 2);
	eventually(dying() == 0, SOON);
	dismiss(actor);
	expect(remove_dir(in), 0);
	ck_assert_uint_eq(held(a), 0);
	expect(remove_dir(a), 0);
}

static void map_and_close(struct actor *actor)
{
	int fd = memfd_create("mapped", 0);

	keep(fd);
	ck_assert_int_eq(ftruncate(fd, PAGE), 0);
	actor->mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(actor->mem, MAP_FAILED);
	ck_assert_int_eq(close(fd), 0);
}

static void unmap(struct actor *actor)
{
	actor->mem[0] = 1;
	ck_assert_int_eq(munmap(actor->mem, PAGE), 0);
}

TEST(a_mapping_outlives_the_descriptor)
{
	struct actor *actor;
	unsigned int before;

	mount_with_wire();
	actor = quiet_actor_in(a);
	before = descriptors(actor->pid);
	act(actor, map_and_close, 0);
	ck_assert_uint_eq(descriptors(actor->pid), before);
	ck_assert_uint_eq(held(a), 1);
	expect(move_to(root, actor->pid), 0);
	expect(remove_dir(a), 0);
	ck_assert_int_eq(dying(), 1);
	act(actor, unmap, 0);
	eventually(dying() == 0, SOON);
	dismiss(actor);
}

static char *shared_map(void)
{
	return mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Shared memory without a file that anybody opened: a mapping, a segment and where that is. Its number. */
static void share_memory(struct actor *actor)
{
	actor->mem = shared_map();
	ck_assert_ptr_ne(actor->mem, MAP_FAILED);
	actor->result = shmget(IPC_PRIVATE, PAGE, 0600);
	ck_assert_int_ne(actor->result, -1);
	ck_assert_ptr_ne(shmat(actor->result, NULL, 0), (void *)-1);
}

static void share_no_more(struct actor *actor)
{
	expect(shared_map() == MAP_FAILED ? errno : 0, ENFILE);
	expect(shmget(IPC_PRIVATE, PAGE, 0600) < 0 ? errno : 0, ENFILE);
	expect(shmat(actor->arg, NULL, 0) == (void *)-1 ? errno : 0, ENFILE);
}

/* They are files, and a segment is one without any process. */
TEST(shared_memory_is_a_file)
{
	struct actor *actor;
	int segment;

	mount_with_wire();
	actor = quiet_actor_in(a);
	segment = act(actor, share_memory, 0);
	ck_assert_uint_eq(held(a), 3);
	set_bounds(a, 3, 3);
	act(actor, share_no_more, segment);
	ck_assert_uint_eq(numfiles(a, "failcnt"), 3);
	dismiss(actor);
	eventually(held(a) == 1, SOON);
	expect(remove_dir(a), 0);
	ck_assert_int_eq(dying(), 1);
	ck_assert_int_eq(shmctl(segment, IPC_RMID, NULL), 0);
	eventually(dying() == 0, SOON);
}

static aio_context_t aio;

/* A request that waits has the file, whatever became of the descriptor. */
static void poll_and_close(struct actor *actor)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_POLL, .aio_buf = POLLIN }, *cbs = &cb;
	int fd = eventfd(0, 0);

	(void)actor;
	keep(fd);
	cb.aio_fildes = fd;
	ck_assert_int_eq(syscall(SYS_io_setup, 4, &aio), 0);
	ck_assert_int_eq(syscall(SYS_io_submit, aio, 1, &cbs), 1);
	ck_assert_int_eq(close(fd), 0);
}

static void destroy_aio(struct actor *actor)
{
	(void)actor;
	ck_assert_int_eq(syscall(SYS_io_destroy, aio), 0);
}

TEST(io_in_flight)
{
	struct actor *actor;

	mount_with_wire();
	actor = actor_in(a);
	act(actor, poll_and_close, 0);
	/* the ring is one, too */
	ck_assert_uint_eq(held(a), 2);
	act(actor, destroy_aio, 0);
	eventually(held(a) == 0, SOON);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* Binding: what is open stays with the root, and goes there. */
TEST(binding_under_open_files)
{
	struct actor *actor;
	int64_t before;

	root = mount_hierarchy("cpuacct");
	a = at(root, "a");
	expect(make_dir(a), 0);
	actor = actor_in(a);
	act(actor, open_files, 20);
	expect(mount("none", root, "container", MS_REMOUNT, "cpuacct,bc") ? errno : 0, 0);
	ck_assert_uint_eq(held(a), 0);
	ck_assert_uint_eq(numfiles(a, "barrier"), 256);
	before = settled(held_by_root);
	act(actor, open_files, 5);
	ck_assert_uint_eq(held(a), 5);
	eventually(held_by_root() == before + 5, SOON);
	/* 5 of its own, 15 of the root's */
	act(actor, close_files, 20);
	ck_assert_uint_eq(held(a), 0);
	eventually(held_by_root() == before - 15, SOON);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* Unbinding: what is open counts on in the root until it is closed. */
TEST(unbinding_under_open_files)
{
	struct actor *actor;
	int64_t before;

	root = mount_hierarchy("cpuacct,bc");
	a = at(root, "a");
	expect(make_dir(a), 0);
	set_bounds(a, 9, 9);
	actor = quiet_actor_in(a);
	before = settled(held_by_root);
	ck_assert_uint_eq(act(actor, open_files, 20), 9);
	expect(mount("none", root, "container", MS_REMOUNT, "cpuacct") ? errno : 0, 0);
	ck_assert(!exists(at(a, "bc.set")));
	/* no bound any more */
	ck_assert_uint_eq(act(actor, open_files, 20), 20);
	expect(mount("none", root, "container", MS_REMOUNT, "cpuacct,bc") ? errno : 0, 0);
	ck_assert_uint_eq(held(a), 0);
	ck_assert_uint_eq(numfiles(a, "barrier"), 256);
	eventually(held_by_root() == before + 29, SOON);
	act(actor, close_files, 29);
	eventually(held_by_root() == before, SOON);
	dismiss(actor);
	expect(remove_dir(a), 0);
	eventually(dying() == 0, SOON);
}
