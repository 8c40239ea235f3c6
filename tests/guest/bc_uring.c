// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: a file that io_uring has, in a request, in its table or from a thread of its own, is charged to
 * who opened it until the last one lets it go. (jobs 1 4 4@debug)
 */
#include "lib-bc.h"

#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* io_uring lets go from a worker, or from a task's way back to user code. */
#define SOON 10

/* The actor's. */
static struct {
	int fd;
	struct io_uring_params p;
	char *ring;
	struct io_uring_sqe *sqe;
} uring;
static int ends[2];
static char byte;

static unsigned int *word_at(unsigned int offset)
{
	return (unsigned int *)(uring.ring + offset);
}

static void *map_ring(size_t size, off_t what)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring.fd, what);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	return mem;
}

/* One file, however often it is mapped. Closed on exec, so a program of ours has it as long as it lives. */
static void make_ring(struct actor *actor)
{
	(void)actor;
	uring.fd = syscall(SYS_io_uring_setup, 4, &uring.p);
	ck_assert_msg(uring.fd >= 0, "io_uring_setup: %s", error_name(errno));
	ck_assert_uint_ne(uring.p.features & IORING_FEAT_SINGLE_MMAP, 0);
	uring.ring = map_ring(uring.p.cq_off.cqes + uring.p.cq_entries * sizeof(struct io_uring_cqe), IORING_OFF_SQ_RING);
	uring.sqe = map_ring(uring.p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

static void close_ring(struct actor *actor)
{
	(void)actor;
	ck_assert_int_eq(munmap(uring.sqe, uring.p.sq_entries * sizeof(struct io_uring_sqe)), 0);
	ck_assert_int_eq(munmap(uring.ring, uring.p.cq_off.cqes + uring.p.cq_entries * sizeof(struct io_uring_cqe)), 0);
	ck_assert_int_eq(close(uring.fd), 0);
}

/* The kernel has taken it when this returns. */
static void submit(struct io_uring_sqe sqe)
{
	unsigned int tail = *word_at(uring.p.sq_off.tail), slot = tail & *word_at(uring.p.sq_off.ring_mask);

	uring.sqe[slot] = sqe;
	*word_at(uring.p.sq_off.array + slot * sizeof(unsigned int)) = slot;
	__atomic_store_n(word_at(uring.p.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	ck_assert_int_eq(syscall(SYS_io_uring_enter, uring.fd, 1, 0, 0, NULL, 0), 1);
}

/* Waits for one that is done: what it returned. */
static int completed(void)
{
	unsigned int head = *word_at(uring.p.cq_off.head);
	struct io_uring_cqe *cqe = (struct io_uring_cqe *)(uring.ring + uring.p.cq_off.cqes);
	int res;

	while (head == __atomic_load_n(word_at(uring.p.cq_off.tail), __ATOMIC_ACQUIRE))
		ck_assert_int_ge(syscall(SYS_io_uring_enter, uring.fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0), 0);
	res = cqe[head & *word_at(uring.p.cq_off.ring_mask)].res;
	__atomic_store_n(word_at(uring.p.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return res;
}

static void read_of(int fd, unsigned int flags)
{
	submit((struct io_uring_sqe){ .opcode = IORING_OP_READ, .fd = fd, .flags = flags,
				      .addr = (uintptr_t)&byte, .len = 1 });
}

/* A read of an empty pipe, whose descriptor is closed; ARG: what the request is given to. */
static void read_and_close(struct actor *actor)
{
	ck_assert_int_eq(pipe(ends), 0);
	read_of(ends[0], actor->arg);
	ck_assert_int_eq(close(ends[0]), 0);
}

static void answer(struct actor *actor)
{
	(void)actor;
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	ck_assert_int_eq(completed(), 1);
	ck_assert_int_eq(byte, 'x');
}

static void close_the_other_end(struct actor *actor)
{
	(void)actor;
	ck_assert_int_eq(close(ends[1]), 0);
}

/* The pipe's other end and the ring: then nothing is held. */
static void close_what_is_left(struct actor *actor)
{
	act(actor, close_the_other_end, 0);
	act(actor, close_ring, 0);
	eventually(held(a) == 0, SOON);
	dismiss(actor);
}

/* Waiting for the pipe, or in a thread that sleeps in read(). */
static const unsigned int ways[] = { 0, IOSQE_ASYNC };

TEST(a_request_keeps_its_file)
{
	struct actor *actor;

	mount_bc("b");
	for (int i = 0; i < 2; i++) {
		actor = quiet_actor_in(a);
		act(actor, make_ring, 0);
		ck_assert_uint_eq(held(a), 1);
		act(actor, read_and_close, ways[i]);
		/* the ring, and the pipe with both its ends */
		ck_assert_uint_eq(held(a), 3);
		usleep(20000);
		ck_assert_uint_eq(held(a), 3);
		act(actor, answer, 0);
		eventually(held(a) == 2, SOON);
		close_what_is_left(actor);
	}
	expect(remove_dir(a), 0);
}

/* Who did @ask in b, after which @files were held there, has moved, and b has gone. The ring is the root's. */
static struct actor *asked_in_what_has_gone(void (*ask)(struct actor *actor), uint64_t files)
{
	struct actor *actor;

	mount_bc("b");
	expect(make_dir(b), 0);
	actor = quiet_actor_in(root);
	act(actor, make_ring, 0);
	expect(move_to(b, actor->pid), 0);
	act(actor, ask, 0);
	ck_assert_uint_eq(held(b), files);
	expect(move_to(root, actor->pid), 0);
	expect(remove_dir(b), 0);
	ck_assert_int_eq(hierarchy_of("bc").dying, 1);
	return actor;
}

/* The request is where it was. */
TEST(a_request_outlives_the_container)
{
	struct actor *actor = asked_in_what_has_gone(read_and_close, 2);

	/* the request is answered by the end of the file, and then nobody has anything of b's */
	act(actor, close_the_other_end, 0);
	eventually(hierarchy_of("bc").dying == 0, SOON);
	act(actor, close_ring, 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* A file that nobody else has, and that nothing will ever be read from. */
static void read_for_ever_and_close(struct actor *actor)
{
	int fd = inotify_init1(IN_CLOEXEC);

	(void)actor;
	ck_assert_int_ge(fd, 0);
	read_of(fd, 0);
	ck_assert_int_eq(close(fd), 0);
}

/* Neither a descriptor nor the ring, which is the root's: the request alone has the file. */
TEST(a_request_alone_keeps_the_container)
{
	struct actor *actor = asked_in_what_has_gone(read_for_ever_and_close, 1);

	act(actor, close_ring, 0);
	eventually(hierarchy_of("bc").dying == 0, SOON);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* The ring goes and takes its requests along, closed or killed. */
TEST(a_ring_that_goes_gives_back)
{
	struct actor *actor;

	mount_bc("b");
	for (int i = 0; i < 4; i++) {
		actor = quiet_actor_in(a);
		act(actor, make_ring, 0);
		act(actor, read_and_close, ways[i / 2]);
		ck_assert_uint_eq(held(a), 3);
		if (i % 2) {
			stop(actor->pid);
			close(actor->wire);
		} else {
			act(actor, close_ring, 0);
			eventually(held(a) == 1, SOON);
			dismiss(actor);
		}
		eventually(held(a) == 0, SOON);
	}
	expect(remove_dir(a), 0);
}

static void keep_in_table(struct actor *actor)
{
	(void)actor;
	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(syscall(SYS_io_uring_register, uring.fd, IORING_REGISTER_FILES, ends, 1), 0);
	ck_assert_int_eq(close(ends[0]), 0);
}

static void read_by_table(struct actor *actor)
{
	read_of(0, IOSQE_FIXED_FILE);
	answer(actor);
}

static void empty_table(struct actor *actor)
{
	(void)actor;
	ck_assert_int_eq(syscall(SYS_io_uring_register, uring.fd, IORING_UNREGISTER_FILES, NULL, 0), 0);
}

TEST(the_table_keeps_files)
{
	struct actor *actor;

	mount_bc("b");
	actor = quiet_actor_in(a);
	act(actor, make_ring, 0);
	act(actor, keep_in_table, 0);
	ck_assert_uint_eq(held(a), 3);
	act(actor, read_by_table, 0);
	ck_assert_uint_eq(held(a), 3);
	act(actor, empty_table, 0);
	eventually(held(a) == 2, SOON);
	close_what_is_left(actor);
	expect(remove_dir(a), 0);
}

/* An open by a request: what it said. It stays open. */
static void open_by_request(struct actor *actor)
{
	submit((struct io_uring_sqe){ .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .flags = actor->arg,
				      .addr = (uintptr_t)"/dev/null", .open_flags = O_RDONLY });
	actor->result = completed() + 1000;
}

TEST(an_open_by_a_request_is_bounded)
{
	struct actor *actor;

	mount_bc("b");
	actor = quiet_actor_in(a);
	act(actor, make_ring, 0);
	for (int i = 0; i < 2; i++) {
		uint64_t failcnt = numfiles(a, "failcnt");

		set_bounds(a, 2 + i, 2 + i);
		ck_assert_uint_ge(act(actor, open_by_request, ways[i]), 1000);
		ck_assert_uint_eq(held(a), 2 + i);
		ck_assert_uint_eq(act(actor, open_by_request, ways[i]), 1000 - ENFILE);
		ck_assert_uint_eq(numfiles(a, "failcnt"), failcnt + 1);
	}
	dismiss(actor);
	eventually(held(a) == 0, SOON);
	expect(remove_dir(a), 0);
}
