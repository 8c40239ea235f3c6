// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: whom the kill at page_max takes, and that others go on after it, whatever they and the
 * victim hold. (uml-run --swap 128M) (jobs 1 4 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static void move(struct actor *a, const char *dir)
{
	expect(move_to(dir, a->pid), 0);
}

static volatile bool mapper_ends;

static void *mapper(void *arg)
{
	(void)arg;
	while (!mapper_ends) {
		void *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ck_assert_ptr_ne(mem, MAP_FAILED);
		ck_assert_int_eq(munmap(mem, PAGE), 0);
	}
	return NULL;
}

/* Faults, while another thread of the process wants to change the address space all the time. */
static void touch_beside_mapper(struct actor *a)
{
	pthread_t thread;

	mapper_ends = false;
	ck_assert_int_eq(pthread_create(&thread, NULL, mapper, NULL), 0);
	touch(a);
	check(a);
	mapper_ends = true;
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}

/*
 * Who waits in a fault has mmap_lock for reading, and the other thread waits to write: nobody can read
 * the page tables until there is room. It is found without them, and nobody is killed.
 */
TEST_LIMIT(faults_beside_a_mapper, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "300");
	struct actor *actor = actor_in(a);

	act(actor, touch_beside_mapper, 1000);
	ck_assert_uint_gt(stat_of(a, "max_hits"), 0);
	ck_assert_uint_ge(swapped_out(actor), 1000 - 300 - 3 * stat_of(a, "unflushed_bound"));
	act(actor, check, 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* One read(2) of all of a->path, into memory that has no page yet. */
static void read_into_new(struct actor *a)
{
	int fd = open(a->path, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	a->pages = a->arg;
	a->mem = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	ck_assert_int_eq(read(fd, a->mem, a->pages * PAGE), a->pages * PAGE);
	close(fd);
}

/* An actor in A that has written a file of 1000 pages, outside of it. */
static struct actor *reader_in(const char *a, const char *root)
{
	struct actor *actor = actor_in(root);

	strcpy(actor->path, "/tmp/whole");
	act(actor, write_whole, 1000);
	move(actor, a);
	return actor;
}

/* The kernel's own copy to a process waits for room as a fault of the process does, and is whole then. */
TEST_LIMIT(read_fills_more_than_there_is_room_for, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "300");
	struct actor *actor = reader_in(a, root);

	act(actor, read_into_new, 1000);
	ck_assert_uint_gt(stat_of(a, "max_hits"), 0);
	ck_assert_uint_ge(swapped_out(actor), 1000 - 300 - 3 * stat_of(a, "unflushed_bound"));
	act(actor, check, 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	ck_assert_int_eq(unlink(actor->path), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/*
 * Who moved in has far more than the container may have, in swap, and nothing that it is charged
 * for: its end would free nothing. The one whose pages they are has less. It comes from a
 * container with a limit, as what a limit brought to swap is not in the swap cache either.
 */
TEST_LIMIT(who_moved_in_is_spared_in_swap, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "500");
	char *b = container_with(root, "b", "100", NULL);
	struct actor *big = actor_in(b), *hog;
	unsigned long swapped, slack = stat_of(b, "unflushed_bound");

	act(big, touch, 2000);
	eventually((drain_batches(), anon_pages(b) <= 100 + slack), 20);
	swapped = swapped_out(big);
	ck_assert_uint_ge(swapped, 2000 - 100 - slack);
	move(big, a);
	hog = actor_in(a);
	act(hog, touch_and_mlock, 100);
	act_begin(hog, touch_and_mlock, 1000);
	expect_killed(hog);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_ge(swapped_out(big), swapped);
	set_limit(b, "max");
	move(big, root);
	act(big, check, 0);
	dismiss(big);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/*
 * The same in memory, without swap. The hog has less when page_max is passed, at 3 * unflushed_bound
 * (4 CPUs: 372) above it at the latest.
 */
TEST_LIMIT(who_moved_in_is_spared, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "500");
	struct actor *big, *hog;

	no_swap();
	big = actor_in(root);
	act(big, touch, 2000);
	move(big, a);
	hog = actor_in(a);
	act_begin(hog, touch, 1000);
	expect_killed(hog);
	eventually((drain_batches(), anon_pages(a) <= FEW), 10);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_eq(resident(big), 2000);
	act(big, check, 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	dismiss(big);
	expect(remove_dir(a), 0);
}

/* One that nobody may kill, and that has come to where there is no room, and tries again and again. */
static struct actor *exempt_reader_in(const char *a, const char *root)
{
	struct actor *actor = reader_in(a, root);
	unsigned long hits = stat_of(a, "max_hits");

	expect(write_file(at("/proc", "%d/oom_score_adj", actor->pid), "-1000"), 0);
	act_begin(actor, read_into_new, 1000);
	eventually(stat_of(a, "max_hits") >= hits + 20, 20);
	return actor;
}

/* Without swap, and with nobody to kill: until there is room, or the reader is killed by somebody else. */
TEST_LIMIT(read_waits_where_nobody_can_be_killed, 120)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "300");
	struct actor *actor;

	no_swap();
	actor = exempt_reader_in(a, root);
	ck_assert_int_eq(kill(actor->pid, SIGKILL), 0);
	expect_killed(actor);

	actor = exempt_reader_in(a, root);
	expect(write_file(at(a, "memory.page_max"), "max"), 0);
	act_end(actor);
	act(actor, check, 0);
	ck_assert_uint_eq(resident(actor), 1000);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	ck_assert_int_eq(unlink("/tmp/whole"), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

static void append(struct actor *a)
{
	static const char page[PAGE] = "appended";
	int fd = open(a->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	for (unsigned long i = 0; i < a->arg; i++)
		ck_assert_msg(write(fd, page, PAGE) == PAGE, "write %lu: %s", i, error_name(errno));
	close(fd);
}

/* Into a page that is there, until somebody ends it. */
static void overwrite(struct actor *a)
{
	int fd = open(a->path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (;;)
		ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
}

/*
 * Two write to a file. One of them waits for room with the inode's lock; the other, which has most of the
 * pages, waits for that lock, and cannot die: a signal does not end that. Its pages come free all the
 * same, and the first goes on: 2 s is what Linux gives a victim to die by itself.
 */
TEST_LIMIT(a_victim_that_cannot_die, 50)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "1100");
	struct actor *writer, *victim;
	double start, took;

	no_swap();
	writer = actor_in(a);
	victim = actor_in(a);
	strcpy(writer->path, "/tmp/both");
	strcpy(victim->path, "/tmp/both");
	act(writer, append, 1);
	act(victim, touch, 700);
	act_begin(victim, overwrite, 0);
	/* more than there can be (4 CPUs: 1472), and without the victim there is room */
	start = now();
	act(writer, append, 899);
	took = now() - start;
	expect_killed(victim);
	ck_assert_msg(took < 15 * lib_slow, "it took %.1f s", took);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_eq(cached_pages("/tmp/both"), 900);
	ck_assert_int_eq(unlink("/tmp/both"), 0);
	dismiss(writer);
	expect(remove_dir(a), 0);
}

/* What two processes with one address space tell us; in memory that all share. */
struct shared {
	char procs[128];
	unsigned long pages;
	volatile pid_t inside;
	volatile bool full;
};

static struct shared *new_shared(const char *dir, unsigned long pages)
{
	struct shared *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(shared, MAP_FAILED);
	snprintf(shared->procs, sizeof(shared->procs), "%s/procs", dir);
	shared->pages = pages;
	return shared;
}

static void fill(unsigned long pages)
{
	char *mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(mem != MAP_FAILED, "mmap: %s", error_name(errno));
	for (unsigned long i = 0; i < pages; i++)
		mem[i * PAGE] = 1;
}

/* Nothing of libc's here but system calls: the other process has the same, and knows of no thread beside it. */
static int fill_inside(void *arg)
{
	struct shared *shared = arg;
	int fd = open(shared->procs, O_WRONLY | O_CLOEXEC);

	if (write(fd, "0", 1) != 1)
		return 1;
	close(fd);
	shared->inside = getpid();
	fill(shared->pages);
	shared->full = true;
	pause();
	return 0;
}

static pid_t with_our_memory(int (*fn)(void *), void *arg)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	pid_t pid = clone(fn, stack + sizeof(stack), CLONE_VM | SIGCHLD, arg);

	ck_assert_int_gt(pid, 0);
	return pid;
}

static void have_it_filled(void *arg)
{
	with_our_memory(fill_inside, arg);
	pause();
}

/* Its end would free nothing, and who is outside would lose what it has. */
TEST_LIMIT(who_shares_memory_with_one_outside_is_spared, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "2000");
	struct shared *shared = new_shared(a, 1500);
	struct actor *small;
	pid_t outside;

	no_swap();
	outside = start(have_it_filled, shared);
	eventually(shared->full, 20);
	small = actor_in(a);
	/* less than the other has when page_max is passed, at 3 * unflushed_bound (4 CPUs: 372) above it at the latest */
	act_begin(small, touch, 1000);
	expect_killed(small);
	eventually((drain_batches(), anon_pages(a) <= 1500 + FEW), 10);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_int_eq(kill(shared->inside, 0) | kill(outside, 0), 0);
	ck_assert_uint_ge(anon_pages(a), 1500);
	ck_assert_int_eq(kill(shared->inside, SIGKILL) | kill(outside, SIGKILL), 0);
	ck_assert_int_eq(waitpid(outside, NULL, 0), outside);
	eventually(remove_dir(a) == 0, 10);
}

static int wait_inside(void *arg)
{
	struct shared *shared = arg;

	shared->inside = getpid();
	pause();
	return 0;
}

static void fill_beside(void *arg)
{
	struct shared *shared = arg;

	with_our_memory(wait_inside, shared);
	while (!shared->inside)
		usleep(1000);
	fill(shared->pages);
	shared->full = true;
}

/* A process that does FN has more than there is room for: it is killed, with all who have a part in it, and not a small one. */
static void expect_fills_in_vain(void (*fn)(void *arg))
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "1000");
	struct shared *shared = new_shared(a, 4000);
	struct actor *small;
	pid_t big;
	int status;

	no_swap();
	small = actor_in(a);
	act(small, touch, 100);
	big = start_in(a, fn, shared);
	ck_assert_int_eq(waitpid(big, &status, 0), big);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
	ck_assert(!shared->full);
	eventually(!strcmp(read_file(at(a, "procs")), at("", "%d\n", small->pid) + 1), 10);
	eventually((drain_batches(), anon_pages(a) <= 100 + FEW), 10);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	act(small, check, 0);
	dismiss(small);
	expect(remove_dir(a), 0);
}

/* With one of two that share their memory killed, all of it would stay. */
TEST_LIMIT(all_who_share_the_memory_are_killed, 60)
{
	expect_fills_in_vain(fill_beside);
}

static void *fill_in_thread(void *arg)
{
	struct shared *shared = arg;

	/* the first thread is a zombie by then */
	usleep(100000);
	fill(shared->pages);
	shared->full = true;
	return NULL;
}

static void fill_without_first_thread(void *arg)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, fill_in_thread, arg), 0);
	syscall(SYS_exit, 0);
}

/* The first thread has exited, and has no memory: another says how much the process has. */
TEST_LIMIT(who_has_no_first_thread_is_killed, 60)
{
	expect_fills_in_vain(fill_without_first_thread);
}

/* Nor can the first process of the machine be killed: who has no room gets an error, though it is there. */
TEST_LIMIT(the_first_process_is_spared, 60)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "200");
	int fd = open("/tmp/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600), i;
	char page[PAGE] = "";

	no_swap();
	ck_assert_int_ge(fd, 0);
	expect(move_to(a, 1), 0);
	expect(write_file(at(a, "memory.addfile"), "/tmp/file"), 0);
	for (i = 0; i < 5000 && pwrite(fd, page, PAGE, i * PAGE) == PAGE; i++)
		;
	ck_assert_msg(i < 5000 && errno == ENOMEM, "%d pages are written, then: %s", i, error_name(errno));
	ck_assert_int_eq(i, file_pages(a));
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	close(fd);
	ck_assert_int_eq(unlink("/tmp/file"), 0);
	expect(move_to(root, 1), 0);
	eventually(remove_dir(a) == 0, 10);
}
