// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: kinds of pages and of files, one by one: whose are they, and (under debug, here and
 * after each test) is every one accounted for. Transparent huge pages are not built, so all folios are single pages.
 * (uml-run --swap 256M) (jobs 1 4n2 1@debug)
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

static void page_out(struct actor *a)
{
	ck_assert_msg(!madvise(a->mem, a->pages * PAGE, MADV_PAGEOUT), "MADV_PAGEOUT: %s", error_name(errno));
}

/*
 * All pages of the actor leave memory. When they have been written they may stay, in no page table, charged
 * until somebody needs the room; so somebody does.
 */
static void swap_out(struct actor *a, const char *dir)
{
	act(a, page_out, 0);
	/* told again until it is so: what CPUs have not told yet is found by writing a limit */
	eventually((set_limit(dir, "20"), drain_batches(), anon_pages(dir) + file_pages(dir) < 100), 20);
	set_limit(dir, "max");
	act(a, page_out, 0);
}

TEST_LIMIT(page_from_swap_goes_back_to_its_owner, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *x = actor_in(a);
	unsigned long had, others;

	act(x, touch, 400);
	had = anon_pages(a);
	swap_out(x, a);
	/* MADV_PAGEOUT leaves out what the handler, or the batch of a CPU, has at that moment */
	eventually((drain_batches(), act(x, page_out, 0), swapped_out(x) == 400), 20);
	ck_assert_uint_lt(anon_pages(a), 100);
	check_accounting();
	/* its process is somewhere else now, and has what it needs read */
	expect(move_to(b, x->pid), 0);
	others = anon_pages(b);
	act(x, check, 0);
	ck_assert_uint_eq(swapped_out(x), 0);
	near(anon_pages(a), had);
	near(anon_pages(b), others);
	check_accounting();
	/* a page that it makes is its new container's */
	act(x, release, 0);
	act(x, touch, 100);
	near(anon_pages(b), others + 100);
	dismiss(x);
	eventually((drain_batches(), anon_pages(a) + anon_pages(b) == 0), 10);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* Charged to DIR, descendants and dead ones not included; needs a look. */
static long own_anon_pages(const char *dir)
{
	long pages = 0;

	for (int s = 0; s < acc.nr_states; s++)
		for (int i = 0; !strcmp(acc.state[s].path, dir) && i < acc.nr_pages; i++)
			if (acc.page[i].charged && acc.page[i].state == acc.state[s].serial && !acc.page[i].file)
				pages += acc.page[i].nr;
	return pages;
}

/* What a removed container has in swap does not keep it, and comes back to its parent. */
TEST_LIMIT(page_from_swap_of_a_removed_container, 60)
{
	char *root = mount_memory(), *p = container(root, "p"), *a = container(p, "a"), *b = container(root, "b");
	struct actor *x = actor_in(a);
	unsigned long had, others, left;

	act(x, touch, 400);
	had = anon_pages(p);
	swap_out(x, a);
	eventually((drain_batches(), act(x, page_out, 0), swapped_out(x) == 400), 20);
	/* in the swap cache still, or the program's own: these stay the removed one's, if they are used before its sweep */
	left = anon_pages(a);
	ck_assert_uint_lt(left, 100);
	expect(move_to(b, x->pid), 0);
	expect(remove_dir(a), 0);
	others = anon_pages(b);
	act(x, check, 0);
	near(anon_pages(p), had);
	near(anon_pages(b), others);
	if (check_accounting())
		ck_assert_int_ge(own_anon_pages("/p"), 400 - (long)left);
	dismiss(x);
	eventually((drain_batches(), anon_pages(p) + anon_pages(b) == 0), 10);
	eventually(no_dying("memory"), 10);
	expect(remove_dir(p), 0);
	expect(remove_dir(b), 0);
}

static void check_marks(struct actor *a)
{
	for (unsigned long i = 0; i < a->pages; i++)
		ck_assert_int_eq(a->mem[i * PAGE], (char)(1 + i));
}

/* The same for a file of the actor's that DIR owns. */
static void file_out(struct actor *a, const char *dir)
{
	swap_out(a, dir);
	eventually((act(a, page_out, 0), set_limit(dir, "0"), cached_pages(a->path) == 0), 20);
	set_limit(dir, "max");
}

static void append(struct actor *a)
{
	static char page[PAGE];
	int fd = open(a->path, O_WRONLY | O_APPEND | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	for (unsigned long i = 0; i < a->arg; i++)
		ck_assert_int_eq(write(fd, page, PAGE), PAGE);
	close(fd);
}

/* A file of tmpfs is its owner's as long as it has pages anywhere, in memory or not. */
TEST_LIMIT(file_from_swap_goes_back_to_its_owner, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before = settled(a), others = settled(b);

	strcpy(x->path, "/tmp/big");
	act(x, map_and_write, 400);
	ck_assert_uint_eq(settled(a), before + 400);
	file_out(x, a);
	ck_assert_uint_eq(settled(a), before);
	check_accounting();
	/* a page that was never there, before any of those in swap is back */
	strcpy(y->path, "/tmp/big");
	act(y, append, 1);
	ck_assert_uint_eq(cached_pages("/tmp/big"), 1);
	ck_assert_uint_eq(settled(a), before + 1);
	ck_assert_uint_eq(settled(b), others);
	read_as(y, "/tmp/big");
	ck_assert_uint_eq(cached_pages("/tmp/big"), 401);
	ck_assert_uint_eq(settled(a), before + 401);
	ck_assert_uint_eq(settled(b), others);
	act(x, check_marks, 0);
	check_accounting();
	act(x, unlink_path, 0);
	act(x, release, 0);
	eventually(settled(a) == before, 10);
	dismiss(x);
	dismiss(y);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* Nor does it matter who had it when the page left. */
TEST_LIMIT(file_from_swap_goes_to_who_claimed_it, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	char *c = container(root, "c");
	struct actor *x = actor_in(a), *y = actor_in(b), *z = actor_in(c);
	unsigned long before = settled(a), had = settled(c), here;

	strcpy(x->path, "/tmp/big");
	act(x, map_and_write, 400);
	act(x, page_out, 0);
	set_limit(a, "200");
	eventually(settled(a) <= 200, 20);
	set_limit(a, "max");
	here = settled(a) - before;
	ck_assert_uint_gt(here, 0);
	expect(write_file(at(c, "memory.addfile"), "/tmp/big"), 0);
	ck_assert_uint_eq(settled(c), had + here);
	file_out(x, c);
	ck_assert_uint_eq(settled(c), had);
	/* the handler that walks over c's files comes by one without pages */
	strcpy(z->path, "/tmp/other");
	act(z, write_whole, 100);
	set_limit(c, "20");
	eventually(settled(c) <= 20, 20);
	set_limit(c, "max");
	read_as(y, "/tmp/big");
	ck_assert_uint_eq(cached_pages("/tmp/big"), 400);
	ck_assert_uint_ge(settled(c), 400);
	ck_assert(lists(c, "400 /tmp/big"));
	ck_assert_uint_eq(settled(a), before);
	act(x, check_marks, 0);
	check_accounting();
	/* claimed while nothing of it is in memory */
	file_out(x, c);
	expect(write_file(at(a, "memory.addfile"), "/tmp/big"), 0);
	read_as(y, "/tmp/big");
	ck_assert_uint_eq(settled(a), before + 400);
	act(x, check_marks, 0);
	act(x, unlink_path, 0);
	act(x, release, 0);
	act(z, unlink_path, 0);
	eventually(settled(a) == before, 10);
	dismiss(x);
	dismiss(y);
	dismiss(z);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(c), 0);
}

/* Released with all its pages in swap, it passes to the parent, as with pages in memory. */
TEST_LIMIT(file_in_swap_passes_to_the_parent, 60)
{
	char *root = mount_memory(), *p = container(root, "p"), *a = container(p, "a"), *b = container(root, "b");
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before = settled(a), others = settled(b);

	strcpy(x->path, "/tmp/big");
	act(x, map_and_write, 400);
	file_out(x, a);
	ck_assert_uint_eq(settled(a), before);
	expect(write_file(at(a, "memory.rmfile"), "/tmp/big"), 0);
	expect(write_file(at(a, "memory.rmfile"), "/tmp/big"), ENOENT);
	read_as(y, "/tmp/big");
	ck_assert_uint_eq(cached_pages("/tmp/big"), 400);
	ck_assert_uint_eq(settled(a), before);
	ck_assert_uint_eq(settled(p), before + 400);
	ck_assert_uint_eq(settled(b), others);
	act(x, check_marks, 0);
	check_accounting();
	act(x, unlink_path, 0);
	act(x, release, 0);
	eventually(settled(p) == before, 10);
	dismiss(x);
	dismiss(y);
	expect(remove_dir(a), 0);
	expect(remove_dir(p), 0);
	expect(remove_dir(b), 0);
}

/* Maps ARG pages of a->path and reads each. */
static void read_mapped(struct actor *a)
{
	int fd = open(a->path, O_RDONLY | O_CLOEXEC);
	volatile char byte;

	ck_assert_int_ge(fd, 0);
	a->pages = a->arg;
	a->mem = mmap(NULL, a->pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	close(fd);
	for (unsigned long i = 0; i < a->pages; i++)
		byte = a->mem[i * PAGE];
	(void)byte;
}

/* The program that runs here is a file of the host; mounted anew it has no pages yet. */
static char *host_file(void)
{
	char exe[128] = "";

	ck_assert_int_gt(readlink("/proc/self/exe", exe, sizeof(exe) - 1), 0);
	expect(make_dir("/tmp/host"), 0);
	*strrchr(exe, '/') = 0;
	ck_assert_msg(!mount("none", "/tmp/host", "hostfs", MS_RDONLY, exe), "hostfs of %s: %s", exe,
		      error_name(errno));
	return at("/tmp/host", "%s", exe + strlen(exe) + 1);
}

/*
 * The file system of the host's files forgets a name, and with it the file and its pages, when nobody has it open any
 * more (or an overlay shows it).
 */
TEST(pages_of_a_file_of_the_host)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b"), *c = container(root, "c");
	struct actor *x = actor_in(a), *y = actor_in(b);
	unsigned long before = settled(a), others = settled(b), pages;
	char *file = host_file();
	struct stat st;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fstat(fd, &st), 0);
	pages = (st.st_size + PAGE - 1) / PAGE;
	read_as(x, file);
	ck_assert_uint_eq(settled(a), before + pages);
	ck_assert(lists(a, at("", "%lu %s", pages, file) + 1));
	read_as(y, file);
	ck_assert_uint_eq(settled(b), others);
	check_accounting();
	expect(write_file(at(c, "memory.addfile"), file), 0);
	ck_assert_uint_eq(settled(a), before);
	ck_assert_uint_eq(settled(c), pages);
	/* they are clean: the handler drops them, and reads nothing of the host for that */
	set_limit(c, "20");
	eventually(settled(c) <= 20, 10);
	set_limit(c, "max");
	/* mapped, too; the file is the next reader's again if not one page was left */
	expect(write_file(at(c, "memory.addfile"), file), 0);
	strcpy(x->path, file);
	act(x, read_mapped, pages);
	ck_assert_uint_eq(settled(c), pages);
	ck_assert_uint_eq(read_u64(at(c, "memory.mapped_pages")), pages);
	ck_assert_uint_eq(cached_pages(file), st.st_size / PAGE);
	check_accounting();
	act(x, release, 0);
	close(fd);
	eventually(settled(c) == 0, 10);
	ck_assert_uint_eq(settled(a), before);
	/* the next to open it is who brings it in */
	fd = open(file, O_RDONLY | O_CLOEXEC);
	read_as(y, file);
	ck_assert_uint_eq(settled(b), others + pages);
	close(fd);
	ck_assert_int_eq(umount("/tmp/host"), 0);
	eventually(settled(b) == others, 10);
	dismiss(x);
	dismiss(y);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(c), 0);
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
