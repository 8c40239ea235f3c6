// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory without memory: the first, second, ... allocation of each operation fails, until one call has
 * fewer. Each is an error after which all is as it was, or a success with all that belongs to it; after
 * each test all pages are accounted for (accounting.h). For moves see nomem.c, for remounts rebind_debug.c.
 * (uml-run --swap 64M) (jobs 1@debug): fault injection is not in the other kernels.
 */
#include "accounting.h"
#include "lib-memory.h"
#include "lib-nomem.h"
#include "lib-rebind.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MOST 1000

/* What an actor is told: to do OP with its ARGth allocation failing; it says how that ended. */
struct outcome {
	int err;
	bool enough;	/* there were not so many */
};

static struct outcome outcome_of(struct actor *a)
{
	return (struct outcome) { .err = a->result & 0xffff, .enough = a->result >> 16 };
}

static void try(struct actor *a, int (*op)(struct actor *a))
{
	int err, to_go;

	fail_allocation(a->arg);
	err = op(a);
	to_go = allocations_to_go();
	a->result = err | (to_go > 0) << 16;
}

/* Each allocation of TRY_OP in turn. LOOK is told what came of it, and undoes it. How many were errors. */
static int fail_each(struct actor *a, void (*try_op)(struct actor *a), void (*look)(struct actor *a, int err))
{
	struct outcome outcome = { .enough = false };
	int failed = 0, nth;

	set_up_failslab();
	for (nth = 1; !outcome.enough; nth++) {
		ck_assert_int_lt(nth, MOST);
		act(a, try_op, nth);
		outcome = outcome_of(a);
		ck_assert_msg(!outcome.err || outcome.err == ENOMEM, "allocation %d: %s", nth, error_name(outcome.err));
		failed += outcome.err > 0;
		look(a, outcome.err);
	}
	ck_assert_int_eq(outcome.err, 0);
	printf("# %d of %d failures were errors\n", failed, nth - 2);
	return failed;
}

/* The tree that all of them have: containers A and B, and what is charged there at first. */
static char *root, *dir_a, *dir_b;
static unsigned long files_of_a, files_of_b;
static const char *path = "/tmp/file";

static struct actor *make_tree(void)
{
	struct actor *a;

	root = mount_memory();
	dir_a = container(root, "a");
	dir_b = container(root, "b");
	a = actor_in(dir_a);
	/* where it has been once it needs no page any more */
	act(a, touch, 10);
	act(a, release, 0);
	drain_batches();
	files_of_a = file_pages(dir_a);
	files_of_b = file_pages(dir_b);
	return a;
}

static void remove_tree(struct actor *a)
{
	dismiss(a);
	eventually(!remove_dir(dir_a), 5);
	eventually(!remove_dir(dir_b), 5);
}

static void expect_files(unsigned long a, unsigned long b)
{
	drain_batches();
	ck_assert_uint_eq(file_pages(dir_a), files_of_a + a);
	ck_assert_uint_eq(file_pages(dir_b), files_of_b + b);
}

/* The act of an actor that does NAME_op. */
#define TRY(name)					\
	static void name(struct actor *a)		\
	{						\
		try(a, name##_op);			\
	}

static int make_child_op(struct actor *a)
{
	return mkdir(a->path, 0755) ? errno : 0;
}
TRY(make_child)

static void look_at_child(struct actor *a, int err)
{
	ck_assert_int_eq(directories_in(dir_b), !err);
	if (!err)
		expect(remove_dir(a->path), 0);
	ck_assert_int_eq(hierarchy_of("memory").containers, 3);
}

/* At least: the container, its node, its table of files; of memory the state, its home, and where that is found. */
TEST_LIMIT(each_allocation_of_a_mkdir, 60)
{
	struct actor *a = make_tree();

	strcpy(a->path, at(dir_b, "child"));
	ck_assert_int_ge(fail_each(a, make_child, look_at_child), 5);
	eventually(no_dying("memory"), 10);
	remove_tree(a);
}

static bool owned_directly;

/* A new file of tmpfs, with its first page. */
static int first_page_op(struct actor *a)
{
	static const char page[PAGE] = "first";
	int fd = open(a->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err = 0;

	/* tmpfs says that of an inode for which there is no memory */
	if (fd < 0)
		return errno == ENOSPC ? ENOMEM : errno;
	if (pwrite(fd, page, PAGE, 0) != PAGE)
		err = errno;
	close(fd);
	return err;
}
TRY(first_page)

static void look_at_first_page(struct actor *a, int err)
{
	uint64_t files = read_u64(at(dir_a, "memory.num_files"));
	char text[8] = "";
	int fd;

	if (!err) {
		expect_files(1, 0);
		fd = open(a->path, O_RDONLY | O_CLOEXEC);
		ck_assert_int_eq(read(fd, text, 5), 5);
		ck_assert_str_eq(text, "first");
		close(fd);
	}
	ck_assert_msg(!unlink(a->path) || err, "unlink: %s", error_name(errno));
	expect_files(0, 0);
	/* without memory for who owns it, the page is charged all the same, and to no file */
	if (!err && read_u64(at(dir_a, "memory.num_files")) == files)
		owned_directly = true;
}

TEST_LIMIT(each_allocation_of_a_first_page, 60)
{
	struct actor *a = make_tree();

	strcpy(a->path, path);
	ck_assert_int_ge(fail_each(a, first_page, look_at_first_page), 2);
	ck_assert(owned_directly);
	remove_tree(a);
}

/* The same through a mapping, which stays: the page has been charged to its task before it becomes the file's. */
static int mapped_page_op(struct actor *a)
{
	int fd = open(a->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), err = 0;

	a->mem = MAP_FAILED;
	if (fd < 0)
		return errno == ENOSPC ? ENOMEM : errno;
	if (ftruncate(fd, PAGE))
		err = errno;
	a->mem = err ? MAP_FAILED : mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (a->mem != MAP_FAILED)
		strcpy(a->mem, "first");
	else if (!err)
		err = errno;
	close(fd);
	return err;
}
TRY(mapped_page)

static void unmap_page(struct actor *a)
{
	if (a->mem != MAP_FAILED)
		ck_assert_int_eq(munmap(a->mem, PAGE), 0);
}

/*
 * A file's first page is a container's that is removed then: whether there was memory for who owns the file or
 * not, its parent, B, has the page, mapped or not, and nothing keeps the container. How many had no mapping.
 */
static int first_page_of_removed(struct actor *a, void (*try_op)(struct actor *a), unsigned long mapped)
{
	char *child = at(dir_b, "child"), *num_files = at(dir_b, "memory.num_files"), *maps = at(dir_b, "memory.mapped_pages");
	uint64_t files = read_u64(num_files), mapped_before = read_u64(maps);
	struct outcome outcome = { .enough = false };
	int directly = 0, nth;

	set_up_failslab();
	for (nth = 1; !outcome.enough; nth++) {
		ck_assert_int_lt(nth, MOST);
		expect(make_dir(child), 0);
		expect(move_to(child, a->pid), 0);
		act(a, try_op, nth);
		outcome = outcome_of(a);
		expect(move_to(dir_a, a->pid), 0);
		eventually((drain_batches(), anon_pages(child) == 0), 5);
		expect(remove_dir(child), 0);
		if (!outcome.err) {
			expect_files(0, 1);
			ck_assert_uint_eq(read_u64(maps) - mapped_before, mapped);
			directly += read_u64(num_files) == files;
		}
		eventually(no_dying("memory"), 5);
		if (mapped)
			act(a, unmap_page, 0);
		unlink(path);
		expect_files(0, 0);
		ck_assert_uint_eq(read_u64(maps), mapped_before);
	}
	return directly;
}

TEST_LIMIT(file_pages_of_a_removed_container, 120)
{
	struct actor *a = make_tree();

	strcpy(a->path, path);
	ck_assert_int_ge(first_page_of_removed(a, first_page, 0), 1);
	ck_assert_int_ge(first_page_of_removed(a, mapped_page, 1), 1);
	remove_tree(a);
}

static int claim_op(struct actor *a)
{
	return write_file(at(dir_b, "memory.addfile"), a->path);
}
TRY(claim)

static int release_claim_op(struct actor *a)
{
	return write_file(at(dir_a, "memory.rmfile"), a->path);
}
TRY(release_claim)

static void new_file(void)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

/* Of an empty file: who has the first page then? */
static void look_at_claim(struct actor *a, int err)
{
	act(a, write_whole, 20);
	expect_files(err ? 20 : 0, err ? 0 : 20);
	act(a, check_whole, 0);
	ck_assert_int_eq(unlink(path), 0);
	expect_files(0, 0);
	new_file();
}

TEST_LIMIT(each_allocation_of_a_claim, 60)
{
	struct actor *a = make_tree();

	strcpy(a->path, path);
	new_file();
	ck_assert_int_ge(fail_each(a, claim, look_at_claim), 3);
	ck_assert_int_eq(unlink(path), 0);
	remove_tree(a);
}

/* Of a file that has pages. */
static void look_at_pages(struct actor *a, int err)
{
	expect_files(err ? 20 : 0, err ? 0 : 20);
	act(a, check_whole, 0);
	expect(write_file(at(dir_a, "memory.addfile"), path), 0);
}

static void look_at_released(struct actor *a, int err)
{
	(void)a;
	expect_files(err ? 20 : 0, 0);
	expect(write_file(at(dir_a, "memory.addfile"), path), 0);
	expect_files(20, 0);
}

TEST_LIMIT(each_allocation_of_a_claim_with_pages, 60)
{
	struct actor *a = make_tree();

	strcpy(a->path, path);
	act(a, write_whole, 20);
	ck_assert_int_ge(fail_each(a, claim, look_at_pages), 2);
	ck_assert_int_ge(fail_each(a, release_claim, look_at_released), 2);
	ck_assert_int_eq(unlink(path), 0);
	remove_tree(a);
}

static const struct {
	const char *file, *was, *becomes;
} settings[] = {
	{ "page_limit", "5000\n", "6000\n" },
	{ "page_max", "max\n", "7000\n" },
	{ "overlimit", "reclaim\n", "deactivate\n" },
};

/* Which of them is in the actor's memory, as PAGES of nothing. */
static int set_op(struct actor *a)
{
	return write_file(at(dir_a, "memory.%s", settings[a->seed].file), settings[a->seed].becomes);
}
TRY(set)

static void look_at_setting(struct actor *a, int err)
{
	char *file = at(dir_a, "memory.%s", settings[a->seed].file);

	ck_assert_str_eq(read_file(file), err ? settings[a->seed].was : settings[a->seed].becomes);
	expect(write_file(file, settings[a->seed].was), 0);
}

TEST_LIMIT(each_allocation_of_a_setting, 60)
{
	struct actor *a = make_tree();

	set_limit(dir_a, "5000");
	for (a->seed = 0; a->seed < sizeof(settings) / sizeof(settings[0]); a->seed++)
		ck_assert_int_ge(fail_each(a, set, look_at_setting), 1);
	remove_tree(a);
}

static const char *const readable[] = { "page_limit", "page_max", "overlimit", "page_limit_hits", "anon_pages", "file_pages",
	"mapped_pages", "active_pages", "num_files", "files", "stat", "events" };

static int look_op(struct actor *a)
{
	char text[2 * PAGE];
	int fd = open(at(dir_b, "memory.%s", readable[a->seed]), O_RDONLY | O_CLOEXEC), err;
	ssize_t got;

	if (fd < 0)
		return errno;
	while ((got = read(fd, text, sizeof(text))) > 0)
		;
	err = got < 0 ? errno : 0;
	close(fd);
	return err;
}
TRY(look)

static void look_again(struct actor *a, int err)
{
	(void)a;
	(void)err;
	ck_assert_int_eq(file_pages(dir_b), files_of_b + 20);
	ck_assert(lists(dir_b, "20 /tmp/file"));
}

TEST_LIMIT(each_allocation_of_a_reading, 120)
{
	struct actor *a = make_tree();

	strcpy(a->path, path);
	a->seed = 1;
	act(a, write_whole, 20);
	expect(write_file(at(dir_b, "memory.addfile"), path), 0);
	for (a->seed = 0; a->seed < sizeof(readable) / sizeof(readable[0]); a->seed++)
		ck_assert_int_ge(fail_each(a, look, look_again), 1);
	ck_assert_int_eq(unlink(path), 0);
	remove_tree(a);
}

static int fork_op(struct actor *a)
{
	pid_t pid;
	int status;

	a->arg = 50;
	pid = fork();
	if (pid < 0)
		return errno;
	if (!pid) {
		/* pages of its own, one by one */
		rewrite(a);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	return 0;
}

static void fork_once(struct actor *a)
{
	unsigned long nth = a->arg;

	try(a, fork_op);
	a->arg = nth;
}

static void look_at_parent(struct actor *a, int err)
{
	(void)err;
	act(a, check, 0);
	drain_batches();
	near(anon_pages(dir_a), a->pages);
}

/* The child's address space, and all that a process is made of. */
TEST_LIMIT(each_allocation_of_a_fork, 120)
{
	struct actor *a = make_tree();

	act(a, touch, 100);
	ck_assert_int_ge(fail_each(a, fork_once, look_at_parent), 20);
	remove_tree(a);
}

/* Far more than the limit: the task itself works, or sleeps, on its way to user mode. */
static int over_limit_op(struct actor *a)
{
	unsigned long nth = a->arg;

	a->pages = a->arg = 250;
	a->mem = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a->mem == MAP_FAILED) {
		a->pages = 0;
		a->arg = nth;
		return errno;
	}
	rewrite(a);
	check(a);
	a->arg = nth;
	return 0;
}
TRY(over_limit)

static void look_at_limit(struct actor *a, int err)
{
	if (err)
		return;
	act(a, check, 0);
	act(a, release, 0);
	eventually((drain_batches(), anon_pages(dir_a) <= 100 + stat_of(dir_a, "unflushed_bound")), 10);
}

/*
 * What fails after mmap(2) is seen by nobody: the pages are there, and the limit is kept. Hundreds of allocations,
 * most of them the swap device's: of those after the tenth a sample.
 */
TEST_LIMIT(allocations_of_who_is_over_the_limit, 120)
{
	struct actor *a = make_tree();
	struct outcome outcome = { .enough = false };

	set_up_failslab();
	set_limit(dir_a, "100");
	for (int nth = 1; nth < 100 * MOST && !outcome.enough; nth += 1 + nth / 10) {
		act(a, over_limit, nth);
		outcome = outcome_of(a);
		ck_assert_msg(!outcome.err || outcome.err == ENOMEM, "allocation %d: %s", nth, error_name(outcome.err));
		look_at_limit(a, outcome.err);
	}
	/* the last one had all it asked for */
	ck_assert(outcome.enough);
	ck_assert_uint_gt(stat_of(dir_a, "rounds"), 0);
	ck_assert_uint_gt(stat_of(dir_a, "swapped"), 0);
	remove_tree(a);
}

/* Kernel threads, the handler's worker among them and those that come, and nobody else. */
static void let_workers_fail(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	ck_assert_ptr_ne(proc, NULL);
	while ((entry = readdir(proc))) {
		char *stat = NULL, *field;

		if (!isdigit(entry->d_name[0]) || try_read(at("/proc", "%s/stat", entry->d_name), &stat))
			continue;
		/* PID (NAME) STATE PARENT: kthreadd is their parent, and has none */
		field = strrchr(stat, ')');
		if (field && (atoi(field + 4) == 2 || atoi(stat) == 2))
			write_file(at("/proc", "%s/make-it-fail", entry->d_name), "1");
		free(stat);
	}
	closedir(proc);
}

/*
 * The worker has no file that says which allocation fails: here it is one in ten of what kernel threads ask for,
 * while it brings a container under its limit.
 */
TEST_LIMIT(allocations_of_the_handler, 60)
{
	struct actor *a = make_tree();
	char *debugfs = new_dir(), *slab = at(debugfs, "failslab");
	unsigned long slack = stat_of(dir_a, "unflushed_bound"), swapped = stat_of(dir_a, "swapped");

	act(a, touch, 600);
	set_up_failslab();
	ck_assert_msg(!mount("none", debugfs, "debugfs", 0, NULL), "debugfs: %s", error_name(errno));
	expect(write_file(at(slab, "task-filter"), "Y"), 0);
	expect(write_file(at(slab, "times"), "1000000"), 0);
	let_workers_fail();
	for (int turn = 0; turn < 5; turn++) {
		set_limit(dir_a, "max");
		act(a, check, 0);
		ck_assert_uint_ge(anon_pages(dir_a), 600);
		expect(write_file(at(slab, "probability"), "10"), 0);
		set_limit(dir_a, "100");
		usleep(200000 * lib_slow);
		expect(write_file(at(slab, "probability"), "0"), 0);
		/* it may have given up, for up to 32 s; who writes the limit has it begin at once */
		eventually((set_limit(dir_a, "100"), drain_batches(), anon_pages(dir_a) <= 100 + slack), 20);
	}
	ck_assert_uint_gt(stat_of(dir_a, "swapped"), swapped + 1000);
	ck_assert_msg(read_u64(at(slab, "times")) < 1000000, "no allocation failed");
	printf("# %lu allocations failed\n", 1000000 - (unsigned long)read_u64(at(slab, "times")));
	expect(write_file(at(slab, "task-filter"), "N"), 0);
	expect(write_file(at(slab, "times"), "-1"), 0);
	set_limit(dir_a, "max");
	act(a, check, 0);
	ck_assert_int_eq(umount(debugfs), 0);
	remove_tree(a);
}
