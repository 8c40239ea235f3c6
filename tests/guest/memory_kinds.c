// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: kinds of pages and of files, one by one: whose are they, and (under debug, here and
 * after each test) is every one accounted for. Transparent huge pages are not built, so all folios are single pages.
 * (jobs 1 4n2 1@debug)
 *
 * A process has a few pages besides those that a test asks for, so numbers of anonymous pages are
 * compared before and after; what a test makes is the only thing that changes in between, but for
 * FEW pages of the process itself.
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* What was freed may wait in another CPU's batch, and is charged until somebody empties that. */
static unsigned long settled(const char *dir)
{
	drain_batches();
	return file_pages(dir);
}

static void fill_pages(struct actor *a, char *mem, unsigned long pages)
{
	a->mem = mem;
	a->pages = pages;
	ck_assert_ptr_ne(mem, MAP_FAILED);
	for (unsigned long i = 0; i < pages; i++)
		mem[i * PAGE] = 1 + i;
}

/* Shared memory of System V: a->result is its id. */
static void make_segment(struct actor *a)
{
	int id = shmget(IPC_PRIVATE, a->arg * PAGE, IPC_CREAT | 0600);

	ck_assert_int_ge(id, 0);
	a->result = id;
	fill_pages(a, shmat(id, NULL, 0), a->arg);
}

static void use_segment(struct actor *a)
{
	fill_pages(a, shmat(a->arg, NULL, 0), 100);
}

static void leave_segment(struct actor *a)
{
	ck_assert_int_eq(shmdt(a->mem), 0);
	a->pages = 0;
}

TEST(segment_belongs_to_who_filled_it)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before = settled(a), others = settled(b);
	int id = act(x, make_segment, 100);

	ck_assert_uint_eq(settled(a), before + 100);
	act(y, use_segment, id);
	ck_assert_uint_eq(settled(a), before + 100);
	ck_assert_uint_eq(settled(b), others);
	ck_assert(lists(a, "100 /SYSV00000000 (deleted)"));
	/* it stays as long as somebody is attached */
	ck_assert_int_eq(shmctl(id, IPC_RMID, NULL), 0);
	act(x, leave_segment, 0);
	ck_assert_uint_eq(settled(a), before + 100);
	act(y, leave_segment, 0);
	ck_assert_uint_eq(settled(a), before);
	dismiss(x);
	dismiss(y);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

static void share(struct actor *a)
{
	fill_pages(a, mmap(NULL, a->arg * PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0), a->arg);
}

TEST(shared_anonymous_memory_is_a_file)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	unsigned long before = settled(a);

	act(actor, share, 100);
	ck_assert_uint_eq(settled(a), before + 100);
	ck_assert(lists(a, "100 /dev/zero (deleted)"));
	act(actor, release, 0);
	ck_assert_uint_eq(settled(a), before);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

static void map_and_write(struct actor *a)
{
	int fd = open(a->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, a->arg * PAGE), 0);
	fill_pages(a, mmap(NULL, a->arg * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), a->arg);
	close(fd);
	a->result = fd;
}

static void unlink_path(struct actor *a)
{
	ck_assert_int_eq(unlink(a->path), 0);
}

TEST(file_written_through_a_mapping)
{
	char *root = mount_memory(), *a = container(root, "a");
	char *disk = make_disk(16), *mapped = at(a, "memory.mapped_pages");
	struct actor *actor = actor_in(a);
	unsigned long before = settled(a), were_mapped = read_u64(mapped);

	strcpy(actor->path, "/tmp/disk/data");
	act(actor, map_and_write, 100);
	ck_assert_uint_eq(settled(a), before + 100);
	ck_assert_uint_eq(read_u64(mapped), were_mapped + 100);
	ck_assert_uint_eq(cached_pages("/tmp/disk/data"), 100);
	/* without its name it lives as long as the mapping */
	act(actor, unlink_path, 0);
	ck_assert(lists(a, "100 /tmp/disk/data (deleted)"));
	ck_assert_uint_eq(settled(a), before + 100);
	check_accounting();
	act(actor, release, 0);
	ck_assert_uint_eq(read_u64(mapped), were_mapped);
	eventually(settled(a) == before, 10);
	dismiss(actor);
	expect(unmount(disk), 0);
	expect(remove_dir(a), 0);
}

/*
 * An overlay has no pages of its own: they are those of the file below, in the lower tree, or,
 * when it has been written to, in the upper. Who comes by the other way finds them there.
 */
TEST(overlay_pages_are_those_of_the_file_below)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	char *c = container(root, "c"), *disk = make_disk(16), *lower = make_data(disk, "data", 50);
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before = settled(a), others = settled(b);

	ck_assert_int_eq(system("mkdir /tmp/upper /tmp/work /tmp/merged"), 0);
	ck_assert_msg(!mount("none", "/tmp/merged", "overlay", 0,
			     "lowerdir=/tmp/disk,upperdir=/tmp/upper,workdir=/tmp/work"),
		      "overlay: %s", error_name(errno));
	read_as(x, "/tmp/merged/data");
	ck_assert_uint_eq(cached_pages(lower), 50);
	ck_assert_uint_eq(settled(a), before + 50);
	ck_assert(lists(a, "50 /tmp/disk/data"));
	read_as(y, lower);
	ck_assert_uint_eq(settled(b), others);
	/* the name in the overlay claims them */
	expect(write_file(at(c, "memory.addfile"), "/tmp/merged/data"), 0);
	ck_assert_uint_eq(settled(a), before);
	ck_assert_uint_eq(settled(c), 50);
	/* written to, it is another file, in the upper tree, and the writer's */
	strcpy(y->path, "/tmp/merged/data");
	act(y, write_whole, 20);
	ck_assert(lists(b, "20 /tmp/upper/data"));
	ck_assert_uint_eq(settled(b), others + 20);
	ck_assert_uint_eq(settled(c), 50);
	expect(write_file(at(c, "memory.addfile"), "/tmp/merged/data"), 0);
	ck_assert_uint_eq(settled(c), 70);
	check_accounting();
	ck_assert_int_eq(umount("/tmp/merged"), 0);
	dismiss(x);
	dismiss(y);
	drop_cached(lower);
	ck_assert_int_eq(system("rm -r /tmp/upper /tmp/work"), 0);
	ck_assert_uint_eq(settled(c), 0);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(c), 0);
}

/* Pages of the same contents, for ksmd. */
static void make_alike(struct actor *a)
{
	a->pages = a->arg;
	a->mem = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	memset(a->mem, 0x5a, a->pages * PAGE);
	ck_assert_int_eq(madvise(a->mem, a->pages * PAGE, MADV_MERGEABLE), 0);
}

static unsigned long ksm(const char *file)
{
	return read_u64(at("/sys/kernel/mm/ksm", "%s", file));
}

static void set_ksm(const char *file, const char *value)
{
	expect(write_file(at("/sys/kernel/mm/ksm", "%s", file), value), 0);
}

/*
 * A merged page stays charged to the one whose page it was; the others' pages are freed. Broken
 * up again, each copy is charged to who writes.
 */
TEST_LIMIT(merged_pages_are_charged_once, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before = anon_pages(a) + anon_pages(b);

	if (access("/sys/kernel/mm/ksm/run", F_OK))
		ck_assert_int_eq(mount("none", "/sys", "sysfs", 0, NULL), 0);
	set_ksm("sleep_millisecs", "5");
	set_ksm("pages_to_scan", "2000");
	act(x, make_alike, 200);
	act(y, make_alike, 200);
	near(anon_pages(a) + anon_pages(b) - before, 400);
	set_ksm("run", "1");
	/* one page may stand for at most max_page_sharing (256) */
	eventually(ksm("pages_sharing") + ksm("pages_shared") >= 400, 30);
	set_ksm("run", "0");
	near(anon_pages(a) + anon_pages(b) - before, ksm("pages_shared"));
	check_accounting();
	act(y, release, 0);
	act(y, make_alike, 100);
	near(anon_pages(a) + anon_pages(b) - before, 101);
	check_accounting();
	dismiss(x);
	dismiss(y);
	eventually((drain_batches(), anon_pages(a) + anon_pages(b) == 0), 10);
	set_ksm("run", "2");
	set_ksm("run", "0");
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

static void move_all(struct actor *a)
{
	int *to = malloc(a->pages * sizeof(*to)), *status = malloc(a->pages * sizeof(*status));
	void **page = malloc(a->pages * sizeof(*page));
	unsigned long moved = 0;

	for (unsigned long i = 0; i < a->pages; i++) {
		page[i] = a->mem + i * PAGE;
		to[i] = a->arg;
	}
	ck_assert_int_ge(syscall(SYS_move_pages, 0, a->pages, page, to, status, MPOL_MF_MOVE), 0);
	for (unsigned long i = 0; i < a->pages; i++)
		moved += status[i] == (int)a->arg;
	a->result = moved;
	free(to);
	free(status);
	free(page);
}

TEST_NODES(pages_keep_their_owner_on_another_node, 2)
{
	char *root = mount_memory(), *a = container(root, "a");
	struct actor *actor = actor_in(a);
	unsigned long anon;

	act(actor, touch, 200);
	act(actor, populate, 3);
	anon = anon_pages(a);
	for (int node = 1; node >= 0; node--) {
		eventually(act(actor, move_all, node) == 200, 5);
		near(anon_pages(a), anon);
		check_accounting();
	}
	act(actor, check, 0);
	dismiss(actor);
	eventually((drain_batches(), anon_pages(a) == 0), 10);
	expect(remove_dir(a), 0);
}
