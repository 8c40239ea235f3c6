// SPDX-License-Identifier: GPL-2.0-only
/*
 * What keeps a removed container, and what does not: pages over fork and exec,
 * descriptors over fork, exec and SCM_RIGHTS. `dying` of /proc/containers says
 * whether it is kept. It is 0 after a grace period and a worker; that it stays
 * 1 is looked at only where something is charged, which no delay can undo.
 */
#include "lib.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A grace period, a worker, and a batch of charges that another CPU gives back. */
#define SOON 10
#define PAGES 300
#define SIZE (PAGES * 4096UL)

static char *root, *a;

static void mount_memory(void)
{
	root = mount_hierarchy("memory");
	a = at(root, "a");
	expect(make_dir(a), 0);
}

static int dying(void)
{
	return hierarchy_of("memory").dying;
}

/* Steps of a child and its parent: each waits for the other's byte. */
static int down[2], up[2];

static void make_wires(void)
{
	ck_assert_int_eq(pipe2(down, O_CLOEXEC) | pipe2(up, O_CLOEXEC), 0);
}

static void tell(int fd)
{
	ck_assert_int_eq(write(fd, "", 1), 1);
}

static void hear(int fd)
{
	char byte;

	ck_assert_int_eq(read(fd, &byte, 1), 1);
}

static char *fill(void)
{
	char *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert(mem != MAP_FAILED);
	for (unsigned long i = 0; i < PAGES; i++)
		mem[i * 4096] = i % 100 + 1;
	return mem;
}

static void check(const char *mem)
{
	for (unsigned long i = 0; i < PAGES; i++)
		ck_assert_int_eq(mem[i * 4096], i % 100 + 1);
}

static void fork_and_end(void *arg)
{
	char *mem = fill();
	pid_t child;

	(void)arg;
	child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		/* the parent exits first */
		tell(up[1]);
		hear(down[0]);
		check(mem);
		_exit(0);
	}
	*(pid_t *)arg = child;
	enter(root);
	expect(move_to(root, child), 0);
}

TEST(pages_over_fork_are_kept_until_the_last_of_them_goes)
{
	volatile pid_t *child = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	mount_memory();
	make_wires();
	/* of the test's own, so that the child comes back to the suite's reaper */
	finish(start_in(a, fork_and_end, (void *)child));
	hear(up[0]);
	ck_assert_str_eq(container_of_pid(*child, "memory"), "/");
	expect(remove_dir(a), 0);
	/* the pages were the parent's, which has exited; the child shares them */
	ck_assert_int_eq(dying(), 1);
	usleep(100000);
	ck_assert_int_eq(dying(), 1);
	/* the name is free, and what comes there is another */
	expect(make_dir(a), 0);
	ck_assert_uint_eq(read_u64(at(a, "memory.anon_pages")), 0);
	tell(down[1]);
	eventually(dying() == 0, SOON);
	expect(remove_dir(a), 0);
	waitpid(-1, &status, WNOHANG);
}

static void fill_and_exec(void *arg)
{
	(void)arg;
	fill();
	enter(root);
	tell(up[1]);
	hear(down[0]);
	/* it lives on, as another program */
	execl("/bin/sleep", "sleep", "1000", NULL);
	abort();
}

TEST(exec_gives_them_back)
{
	pid_t pid;

	mount_memory();
	make_wires();
	pid = start_in(a, fill_and_exec, NULL);
	hear(up[0]);
	expect(remove_dir(a), 0);
	ck_assert_int_eq(dying(), 1);
	tell(down[1]);
	eventually(dying() == 0, SOON);
	ck_assert_int_eq(kill(pid, 0), 0);
	ck_assert_int_eq(waitpid(pid, NULL, WNOHANG), 0);
	stop(pid);
}

static int wire[2];

static void is_dead(int fd, const char *text)
{
	char buf[64];

	ck_assert_int_eq(pread(fd, buf, sizeof(buf), 0), -1);
	ck_assert_int_eq(errno, ENODEV);
	ck_assert_int_eq(pwrite(fd, text, strlen(text), 0), -1);
	ck_assert_int_eq(errno, ENODEV);
}

/* Of files of the core, of a subsystem, and of the directory; while they travel, too. */
static void receive_and_try(void *arg)
{
	int tasks, limit, dir;

	(void)arg;
	/* until the container is gone, and another one of its name is there */
	hear(down[0]);
	tasks = receive_fd(wire[1]);
	limit = receive_fd(wire[1]);
	dir = receive_fd(wire[1]);
	is_dead(tasks, "0");
	is_dead(limit, "1M");
	ck_assert_int_eq(openat(dir, "tasks", O_RDONLY), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(mkdirat(dir, "sub", 0755), -1);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_str_eq(container_of_pid(getpid(), "memory"), "/");
}

TEST(descriptors_that_travel_keep_no_container)
{
	int tasks, limit, dir;
	pid_t pid;

	mount_memory();
	make_wires();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	pid = start(receive_and_try, NULL);
	tasks = open(at(a, "tasks"), O_RDWR);
	limit = open(at(a, "memory.page_limit"), O_RDWR);
	dir = open(a, O_RDONLY | O_DIRECTORY);
	ck_assert(tasks >= 0 && limit >= 0 && dir >= 0);
	send_fd(wire[0], tasks);
	send_fd(wire[0], limit);
	send_fd(wire[0], dir);
	close(tasks);
	close(limit);
	close(dir);
	/* they are in flight, and nowhere else */
	expect(remove_dir(a), 0);
	eventually(dying() == 0, SOON);
	expect(make_dir(a), 0);
	expect(write_file(at(a, "memory.page_limit"), "77"), 0);
	tell(down[1]);
	finish(pid);
	/* the new one has felt nothing */
	ck_assert_uint_eq(read_u64(at(a, "memory.page_limit")), 77);
	expect(remove_dir(a), 0);
}

static void receive_and_read(void *arg)
{
	char *mem;
	int fd;

	(void)arg;
	fd = receive_fd(wire[1]);
	tell(up[1]);
	hear(down[0]);
	mem = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert(mem != MAP_FAILED);
	check(mem);
}

static void make_and_send(void *arg)
{
	int fd = memfd_create("travels", 0);
	char *mem;

	(void)arg;
	ck_assert_int_eq(ftruncate(fd, SIZE), 0);
	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert(mem != MAP_FAILED);
	for (unsigned long i = 0; i < PAGES; i++)
		mem[i * 4096] = i % 100 + 1;
	send_fd(wire[0], fd);
}

/* A file's pages pass to the container above: nothing is kept, nothing is lost. */
TEST(a_file_that_travels_is_the_parents)
{
	pid_t pid;

	mount_memory();
	make_wires();
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wire), 0);
	pid = start(receive_and_read, NULL);
	finish(start_in(a, make_and_send, NULL));
	hear(up[0]);
	ck_assert_uint_ge(read_u64(at(a, "memory.file_pages")), PAGES);
	expect(remove_dir(a), 0);
	eventually(dying() == 0, SOON);
	tell(down[1]);
	finish(pid);
}

static void child_tries(void *arg)
{
	hear(down[0]);
	is_dead(*(int *)arg, "1M");
}

TEST(a_descriptor_over_fork_and_exec)
{
	int limit, status;
	pid_t pid;

	mount_memory();
	make_wires();
	limit = open(at(a, "memory.page_limit"), O_RDWR);
	ck_assert_int_ge(limit, 0);
	pid = start(child_tries, &limit);
	expect(remove_dir(a), 0);
	eventually(dying() == 0, SOON);
	tell(down[1]);
	finish(pid);
	/* over exec: the shell's cat says ENODEV and ends with 1 */
	ck_assert_int_eq(dup2(limit, 7), 7);
	fflush(stdout);
	status = system("cat <&7 2>/dev/null");
	ck_assert_int_eq(WEXITSTATUS(status), 1);
}

/* Open files, tasks' working directories and mounts keep no state either. */
static void stand_in_it(void *arg)
{
	(void)arg;
	ck_assert_int_eq(chdir(a), 0);
	tell(up[1]);
	hear(down[0]);
	ck_assert_int_eq(open("tasks", O_RDONLY), -1);
	ck_assert_int_eq(errno, ENOENT);
}

TEST(a_working_directory_keeps_nothing)
{
	pid_t pid;

	mount_memory();
	make_wires();
	pid = start(stand_in_it, NULL);
	hear(up[0]);
	expect(remove_dir(a), 0);
	eventually(dying() == 0, SOON);
	tell(down[1]);
	finish(pid);
}
