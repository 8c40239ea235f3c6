// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: are the counters exact, to a page, at any moment? Here while processes fault, read, write, swap, exit
 * and move, and files change their owner; in the other suites of memory after each of their tests
 * (accounting.h). Needs container_memory/owners, which only the debug flavour has.
 * (uml-run --swap 256M) (jobs 1@debug 4n2@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define LOOKS 5

TEST(kernel_says_whose_each_page_is)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(a, "b");
	struct actor *actor = actor_in(b);
	const struct acc_state *state = NULL;
	uint64_t *frames;
	int found = 0;

	act(actor, touch, 300);
	frames = frames_of(actor);
	ck_assert_msg(check_accounting(), "this kernel has no container_memory/owners");
	for (int s = 0; s < acc.nr_states; s++)
		if (!strcmp(acc.state[s].path, "/a/b"))
			state = &acc.state[s];
	ck_assert_ptr_ne(state, NULL);
	/* every page that pagemap shows of the process is there, once, and the container's */
	for (int i = 0; i < acc.nr_pages; i++)
		for (unsigned long p = 0; p < actor->pages; p++)
			if (acc.page[i].pfn == frames[p]) {
				ck_assert_uint_eq(acc.page[i].state, state->serial);
				ck_assert(!acc.page[i].file);
				found++;
			}
	ck_assert_int_eq(found, 300);
	dismiss(actor);
	expect(remove_dir(b), 0);
	expect(remove_dir(a), 0);
}

/* Pages of a container that has no directory any more are found, and count for who was above it. */
TEST(dead_containers_are_counted)
{
	char *root = mount_memory(), *p = container(root, "p"), *a = container(p, "a");
	struct actor *actor = actor_in(a);
	long dead = 0;

	act(actor, touch, 300);
	expect(move_to(root, actor->pid), 0);
	expect(remove_dir(a), 0);
	ck_assert(check_accounting());
	for (int s = 0; s < acc.nr_states; s++)
		if (!strcmp(acc.state[s].path, "-"))
			dead += acc.state[s].walked[ACC_ANON_PAGES];
	ck_assert_int_ge(dead, 300);
	ck_assert_uint_ge(anon_pages(p), 300);
	dismiss(actor);
	expect(remove_dir(p), 0);
}

/* What the others do as long as the looks take. */
static volatile bool *over;
static char *box[3];

static void make_over(void)
{
	over = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(over != MAP_FAILED);
	*over = false;
}

static void faults(void *unused __attribute__((unused)))
{
	while (!*over) {
		size_t size = (1 + random() % 400) * PAGE;
		char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		ck_assert_ptr_ne(mem, MAP_FAILED);
		for (size_t i = 0; i < size; i += PAGE)
			mem[i] = 1;
		munmap(mem, size);
	}
}

static void fault_once(void *pages)
{
	memset(malloc((long)pages * PAGE), 1, (long)pages * PAGE);
}

static void exits(void *unused __attribute__((unused)))
{
	while (!*over)
		finish(start(fault_once, (void *)50));
}

static void writes(void *name)
{
	char *path = at("/tmp", "%s", (char *)name), page[PAGE] = "";
	char *mem;
	int fd;

	while (!*over) {
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		for (int i = 0; i < 200; i++)
			ck_assert_int_eq(write(fd, page, PAGE), PAGE);
		mem = mmap(NULL, 100 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
		ck_assert_ptr_ne(mem, MAP_FAILED);
		for (int i = 0; i < 100; i++)
			(void)*(volatile char *)(mem + i * PAGE);
		munmap(mem, 100 * PAGE);
		close(fd);
	}
}

static void moves(void *unused __attribute__((unused)))
{
	while (!*over)
		for (int i = 0; i < 3; i++)
			enter(box[i]);
}

static void claims(void *unused __attribute__((unused)))
{
	while (!*over)
		for (int i = 0; i < 3; i++) {
			/* not made yet */
			write_file(at(box[i], "memory.addfile"), "/tmp/file0");
			write_file(at(box[i], "memory.addfile"), "/tmp/file1");
		}
}

/* What is charged in there outlives the directory, for as long as the process that moved out. */
static void makes_containers(void *root)
{
	char *dir = at(root, "short");

	while (!*over) {
		void *mem = mmap(NULL, 50 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		expect(make_dir(dir), 0);
		enter(dir);
		memset(mem, 1, 50 * PAGE);
		enter(root);
		expect(remove_dir(dir), 0);
		munmap(mem, 50 * PAGE);
	}
}

TEST_LIMIT(exact_while_everything_moves, 60)
{
	static char *const files[] = { "file0", "file1" };
	char *root = mount_memory();
	pid_t pid[16];
	int n = 0;

	make_over();
	box[0] = container_with(root, "a", "300", NULL);
	box[1] = container_with(box[0], "b", "200", NULL);
	box[2] = container_with(root, "c", "600", NULL);
	for (int i = 0; i < 3; i++)
		pid[n++] = start_in(box[i], faults, NULL);
	for (int i = 0; i < 2; i++)
		pid[n++] = start_in(box[i], writes, files[i]);
	pid[n++] = start_in(root, moves, NULL);
	pid[n++] = start_in(root, claims, NULL);
	pid[n++] = start_in(box[2], exits, NULL);
	pid[n++] = start_in(root, makes_containers, root);
	/* the others take all that there is, and each look is much work */
	ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, -20), 0);
	make_dir("/tmp/accounting");
	ck_assert_int_eq(mount("none", "/tmp/accounting", "debugfs", 0, NULL), 0);
	for (int i = 0; i < LOOKS; i++) {
		acc_take(acc_open());
		usleep(20000);
	}
	ck_assert_int_eq(umount("/tmp/accounting"), 0);
	*over = true;
	for (int i = 0; i < n; i++)
		finish(pid[i]);
	unlink("/tmp/file0");
	unlink("/tmp/file1");
	/* what was being written then lies in the swap cache until they need room (memory.md) */
	set_limit(box[0], "0");
	set_limit(box[2], "0");
	eventually((drain_batches(), file_pages(box[0]) + file_pages(box[2]) == 0), 5);
	expect(remove_dir(box[1]), 0);
	expect(remove_dir(box[0]), 0);
	expect(remove_dir(box[2]), 0);
}
