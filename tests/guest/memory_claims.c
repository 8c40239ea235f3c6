// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.addfile and memory.rmfile: who owns a file, pages included. The consequence is read from
 * the counters of all that are concerned. (jobs 1 4 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"
#include "lib-rebind.h"
#include "lib-users.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int addfile(const char *dir, const char *text)
{
	return write_file(at(dir, "memory.addfile"), text);
}

static int rmfile(const char *dir, const char *text)
{
	return write_file(at(dir, "memory.rmfile"), text);
}

/* The last thing that was refused in DIR; without the command's name. */
#define expect_why(dir, what, reason)						\
	do {									\
		char *why_ = read_file(at(dir, "why")), *paren_ = strchr(why_, '(');	\
		char *head_ = at("", "%s of task %d ", what, getpid()) + 1;	\
										\
		ck_assert_msg(!strncmp(why_, head_, strlen(head_)) && paren_ && strstr(paren_, reason),	\
			      "why reads \"%s\", wanted \"%s\" and \"%s\"", why_, head_, reason);	\
	} while (0)

/* A tree with p above a and b, and nobody in it: all numbers are what a test makes of them. */
struct tree {
	char *root, *p, *a, *b;
};

static struct tree make_tree(void)
{
	struct tree t = { .root = mount_memory() };

	t.p = container(t.root, "p");
	t.a = container(t.p, "a");
	t.b = container(t.p, "b");
	return t;
}

static void remove_tree(struct tree t)
{
	expect(remove_dir(t.a), 0);
	expect(remove_dir(t.b), 0);
	expect(remove_dir(t.p), 0);
}

/* File pages: of a, of b, and of p with both. */
static void expect_pages(struct tree t, unsigned long a, unsigned long b, unsigned long p)
{
	ck_assert_uint_eq(file_pages(t.a), a);
	ck_assert_uint_eq(file_pages(t.b), b);
	ck_assert_uint_eq(file_pages(t.p), p);
}

TEST(pages_move_with_the_file)
{
	struct tree t = make_tree();
	char *data = make_data(make_disk(16), "data", 400);
	struct actor *reader = actor_in(t.root);

	read_as(reader, data);
	expect_pages(t, 0, 0, 0);
	expect(addfile(t.a, data), 0);
	expect_pages(t, 400, 0, 400);
	ck_assert_uint_eq(read_u64(at(t.a, "memory.num_files")), 1);
	/* what is mapped and active comes along */
	act(reader, map_whole, 0);
	ck_assert_uint_eq(read_u64(at(t.a, "memory.mapped_pages")), 400);
	expect(addfile(t.b, "/tmp/disk/data\n"), 0);
	expect_pages(t, 0, 400, 400);
	ck_assert_uint_eq(read_u64(at(t.a, "memory.mapped_pages")), 0);
	ck_assert_uint_eq(read_u64(at(t.b, "memory.mapped_pages")), 400);
	/* it is not a's any more, and nothing happens */
	expect(rmfile(t.a, data), ENOENT);
	expect_pages(t, 0, 400, 400);
	expect(rmfile(t.b, data), 0);
	expect_pages(t, 0, 0, 400);
	expect(rmfile(t.p, data), 0);
	expect_pages(t, 0, 0, 0);
	ck_assert_uint_eq(read_u64(at(t.p, "memory.mapped_pages")), 0);
	act(reader, release, 0);
	dismiss(reader);
	remove_tree(t);
}

TEST(descriptors_are_the_writers)
{
	struct tree t = make_tree();
	int disk, gone, memfd;
	char text[4096] = { 1 };

	make_data(make_disk(16), "data", 50);
	disk = open("/tmp/disk/data", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(disk, 0);
	while (read(disk, text, sizeof(text)) > 0)
		;
	expect(addfile(t.a, at("", "%d\n", disk) + 1), 0);
	expect_pages(t, 50, 0, 50);
	/* without a name left, too */
	gone = open("/tmp/gone", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(unlink("/tmp/gone"), 0);
	ck_assert_int_eq(write(gone, text, sizeof(text)), sizeof(text));
	memfd = memfd_create("m", MFD_CLOEXEC);
	ck_assert_int_eq(write(memfd, text, sizeof(text)), sizeof(text));
	expect(addfile(t.b, at("", "%d", gone) + 1), 0);
	expect(addfile(t.b, at("", "%d", memfd) + 1), 0);
	expect_pages(t, 50, 2, 52);
	expect(rmfile(t.b, at("", "%d", memfd) + 1), 0);
	expect_pages(t, 50, 1, 52);
	close(gone);
	close(memfd);
	/* another CPU's batch may still hold a page of theirs */
	drain_batches();
	expect_pages(t, 50, 0, 50);
	expect(addfile(t.b, "512"), EBADF);
	ck_assert_int_eq(fcntl(disk, F_DUPFD_CLOEXEC, 512), 512);
	expect(addfile(t.b, "512"), 0);
	expect(addfile(t.a, "512"), 0);
	close(512);
	expect(addfile(t.b, "512"), EBADF);
	expect(addfile(t.b, "2147483648"), ERANGE);
	expect(addfile(t.b, "99999999999999999999"), ERANGE);
	/* a number is no name, but ./ makes it one */
	ck_assert_int_eq(chdir("/tmp"), 0);
	ck_assert_int_eq(system("echo x >7777"), 0);
	expect(addfile(t.b, "7777"), EBADF);
	expect(addfile(t.b, "./7777"), 0);
	expect_pages(t, 50, 1, 51);
	close(disk);
	ck_assert_int_eq(unlink("/tmp/7777"), 0);
	remove_tree(t);
}

TEST(errors_change_nothing)
{
	static const struct {
		const char *text;
		int err;
	} bad[] = {
		{ "/tmp/none", ENOENT }, { "\n", ENOENT }, { "/tmp/file/x", ENOTDIR },
		{ "/tmp", EINVAL }, { "/proc/version", EINVAL }, { "/dev/null", EINVAL },
		{ "/tmp/pipe", EINVAL }, { "/tmp/dangling", ENOENT }, { "/tmp/loop", ELOOP },
		{ "-1", ENOENT }, { "1000000", EBADF }, { "/tmp/file ", ENOENT }, { "/tmp/file\n\n", ENOENT },
	};
	struct tree t = make_tree();
	char *big = malloc(8192);
	int fd;

	ck_assert_int_eq(system("echo x >/tmp/file; ln -s none /tmp/dangling; ln -s loop /tmp/loop; "
				"ln -s file /tmp/link; mkfifo /tmp/pipe"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int got = addfile(t.a, bad[i].text);

		ck_assert_msg(got == bad[i].err, "addfile \"%s\": got %s, wanted %s", bad[i].text,
			      error_name(got), error_name(bad[i].err));
		got = rmfile(t.a, bad[i].text);
		ck_assert_msg(got == bad[i].err, "rmfile \"%s\": got %s, wanted %s", bad[i].text,
			      error_name(got), error_name(bad[i].err));
	}
	expect(addfile(t.a, at(t.a, "procs")), EINVAL);
	expect_why(t.a, "addfile", " refused by memory: it has no page cache (EINVAL)\n");
	memset(big, '/', 8191);
	big[8191] = 0;
	expect(addfile(t.a, big), E2BIG);
	fd = open(at(t.a, "memory.addfile"), O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(write(fd, "/tmp/file\0x", 11), -1);
	ck_assert_int_eq(errno, EINVAL);
	close(fd);
	expect(rmfile(t.a, "/tmp/file"), ENOENT);
	expect_why(t.a, "rmfile", " refused by memory: the file is not this container's own (ENOENT)\n");
	expect_pages(t, 0, 0, 0);
	/* a link is followed */
	expect(addfile(t.a, "/tmp/link"), 0);
	expect_pages(t, 1, 0, 1);
	/* what a root has nobody above it to give to */
	ck_assert(exists(at(t.root, "memory.addfile")));
	ck_assert(!exists(at(t.root, "memory.rmfile")));
	expect(addfile(t.root, "/tmp/file"), 0);
	expect_pages(t, 0, 0, 0);
	ck_assert_int_eq(system("rm /tmp/file /tmp/dangling /tmp/loop /tmp/link /tmp/pipe"), 0);
	remove_tree(t);
}

TEST(claim_waits_for_the_first_page)
{
	struct tree t = make_tree();
	char *data = make_data(make_disk(16), "data", 40);
	struct actor *reader = actor_in(t.root);
	int fd = open(data, O_RDONLY | O_CLOEXEC);	/* the inode stays */

	expect(addfile(t.a, data), 0);
	expect_pages(t, 0, 0, 0);
	read_as(reader, data);
	expect_pages(t, 40, 0, 40);
	/* with the last page it is over */
	drop_cached(data);
	read_as(reader, data);
	expect_pages(t, 0, 0, 0);
	drop_cached(data);
	/* released before it came */
	expect(addfile(t.a, data), 0);
	expect(rmfile(t.b, data), ENOENT);
	expect(rmfile(t.a, data), 0);
	expect(rmfile(t.a, data), ENOENT);
	read_as(reader, data);
	expect_pages(t, 0, 0, 0);
	drop_cached(data);
	/* the last one who claims it has it */
	expect(addfile(t.a, data), 0);
	expect(addfile(t.b, data), 0);
	read_as(reader, data);
	expect_pages(t, 0, 40, 40);
	drop_cached(data);
	/* the parent of who is gone */
	expect(addfile(t.a, data), 0);
	expect(remove_dir(t.a), 0);
	expect(make_dir(t.a), 0);
	read_as(reader, data);
	expect_pages(t, 0, 0, 40);
	close(fd);
	drop_cached(data);
	dismiss(reader);
	remove_tree(t);
}

/* Descriptors of what has no page cache, and one that is good for nothing but its name. */
TEST(what_is_no_file_is_refused)
{
	struct tree t = make_tree();
	int fd[] = { eventfd(0, EFD_CLOEXEC), epoll_create1(EPOLL_CLOEXEC),
		     socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), open("/dev/null", O_RDWR | O_CLOEXEC),
		     open(t.a, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		     open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC),
		     open(at(t.a, "memory.addfile"), O_WRONLY | O_CLOEXEC) };
	int path = open("/tmp", O_PATH | O_CLOEXEC);

	for (size_t i = 0; i < sizeof(fd) / sizeof(fd[0]); i++) {
		int got = addfile(t.a, at("", "%d", fd[i]) + 1);

		ck_assert_int_ge(fd[i], 0);
		ck_assert_msg(got == EINVAL, "descriptor %zu: got %s, wanted EINVAL", i,
			      error_name(got));
		close(fd[i]);
	}
	ck_assert_int_ge(path, 0);
	expect(addfile(t.a, at("", "%d", path) + 1), EBADF);
	close(path);
	expect_pages(t, 0, 0, 0);
	remove_tree(t);
}

/* Who may: alice's process, with what the test opened for it. */
static struct tree tree;
static int opened_by_root;

static void alice_claims(void *arg)
{
	const char *own = arg;

	become(ALICE);
	expect(addfile(tree.a, "/tmp/roots"), EACCES);
	expect(rmfile(tree.a, "/tmp/roots"), EACCES);
	expect(addfile(tree.a, "/tmp/locked/own"), EACCES);
	expect_why(tree.a, "rmfile", " refused by memory: the file is neither the user's own nor writable (EACCES)\n");
	expect(addfile(tree.b, own), EACCES);
	expect(addfile(tree.a, own), 0);
	expect(addfile(tree.a, "/tmp/everybodys"), 0);
	/* what root has opened is not more hers */
	ck_assert_int_eq(write(opened_by_root, "/tmp/roots", 10), -1);
	ck_assert_int_eq(errno, EACCES);
}

static void alice_opens(void *arg)
{
	int *wire = arg, fd;

	become(ALICE);
	fd = open(at(tree.a, "memory.addfile"), O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	send_fd(wire[1], fd);
}

TEST(who_may_claim)
{
	int wire[2], fd;

	tree = make_tree();
	ck_assert_int_eq(chmod("/tmp", 0755) | chmod(tree.root, 0755), 0);
	ck_assert_int_eq(system("cd /tmp; echo x >roots; echo x >own; echo x >everybodys; mkdir locked; "
				"ln own locked/own; chown 1001 own; chmod 400 own; chmod 644 roots; "
				"chmod 666 everybodys; chmod 700 locked"), 0);
	ck_assert_int_eq(chown(at(tree.a, "memory.addfile"), ALICE, ALICE), 0);
	ck_assert_int_eq(chown(at(tree.a, "memory.rmfile"), ALICE, ALICE), 0);
	opened_by_root = open(at(tree.b, "memory.addfile"), O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(opened_by_root, 0);
	finish(start(alice_claims, "/tmp/own"));
	expect_pages(tree, 2, 0, 2);
	/* nor is it root's, who writes to what alice has opened */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire), 0);
	finish(start(alice_opens, wire));
	fd = receive_fd(wire[0]);
	ck_assert_int_eq(write(fd, "/tmp/roots", 10), -1);
	ck_assert_int_eq(errno, EACCES);
	expect_pages(tree, 2, 0, 2);
	close(fd);
	close(opened_by_root);
	ck_assert_int_eq(system("cd /tmp; rm -r own roots everybodys locked"), 0);
	remove_tree(tree);
}

/* What comes over a limit by a claim is worked off like what comes by a charge. */
TEST(claim_beyond_the_limit)
{
	struct tree t = make_tree();
	char *data = make_data(make_disk(16), "data", 400);
	struct actor *reader = actor_in(t.root);

	read_as(reader, data);
	set_limit(t.a, "200");
	expect(addfile(t.a, data), 0);
	ck_assert_uint_gt(read_u64(at(t.a, "memory.page_limit_hits")), 0);
	eventually(file_pages(t.a) <= 200, 10);
	ck_assert_uint_le(cached_pages(data), 200);
	dismiss(reader);
	drop_cached(data);
	remove_tree(t);
}

static void set_max(const char *dir, const char *max)
{
	expect(write_file(at(dir, "memory.page_max"), max), 0);
}

/*
 * What does not fit below a page_max, of the container or of one above it, stays where it is. One that
 * has the pages already does not count. Nobody else has a page in these containers, so all is exact.
 */
TEST(claim_beyond_page_max)
{
	struct tree t = make_tree();
	char *data = make_data(make_disk(16), "data", 400);
	struct actor *reader = actor_in(t.root);

	set_max(t.a, "399");
	/* without pages it is claimed for those that come */
	expect(addfile(t.a, data), 0);
	expect(rmfile(t.a, data), 0);
	read_as(reader, data);
	expect(addfile(t.a, data), ENOMEM);
	expect_why(t.a, "addfile", " refused by memory: the file's pages do not fit below page_max; /p/a has 0 of 399 pages (ENOMEM)\n");
	expect_pages(t, 0, 0, 0);
	ck_assert_uint_eq(read_u64(at(t.a, "memory.num_files")), 0);
	expect(rmfile(t.a, data), ENOENT);
	/* with a page to spare: the handler, which the refusal has started, makes room in who is full */
	set_max(t.a, "401");
	set_max(t.p, "399");
	expect(addfile(t.a, data), ENOMEM);
	/* it is the other one that has no room */
	expect_why(t.a, "addfile", "; /p has 0 of 399 pages (ENOMEM)\n");
	expect_pages(t, 0, 0, 0);
	set_max(t.p, "401");
	expect(addfile(t.a, data), 0);
	expect_pages(t, 400, 0, 400);
	/* p has room for no other 400, and has these */
	set_max(t.b, "399");
	expect(addfile(t.b, data), ENOMEM);
	expect_pages(t, 400, 0, 400);
	set_max(t.b, "max");
	expect(addfile(t.b, data), 0);
	expect_pages(t, 0, 400, 400);
	/* to the parent it fits always */
	expect(rmfile(t.b, data), 0);
	expect_pages(t, 0, 0, 400);
	ck_assert_uint_eq(cached_pages(data), 400);
	dismiss(reader);
	drop_cached(data);
	remove_tree(t);
}

/*
 * Claims, releases, first and last pages, and a container that comes and goes, all at once. Each
 * answer is one that fits some order; then everything has to be accounted for.
 */
#define FILES 6
#define STEPS 400

static void claimer(void *arg)
{
	unsigned int seed = lib_seed + (uintptr_t)arg;
	char *dirs[] = { tree.a, tree.b, at(tree.p, "c"), tree.p };

	for (int i = 0; i < STEPS; i++) {
		char *dir = dirs[rand_r(&seed) % 4], file[32];
		bool add = rand_r(&seed) % 3;
		int err;

		snprintf(file, sizeof(file), "/tmp/%u", rand_r(&seed) % FILES);
		err = add ? addfile(dir, file) : rmfile(dir, file);
		/* the file, the container, or the container's ownership may be gone */
		ck_assert_msg(!err || err == ENOENT || err == ENODEV, "%s %s: %s", dir, file,
			      error_name(err));
	}
}

static void filler(void *arg)
{
	unsigned int seed = lib_seed + (uintptr_t)arg;
	char page[4096] = { 1 }, file[32];
	int fd;

	for (int i = 0; i < STEPS; i++) {
		snprintf(file, sizeof(file), "/tmp/%u", rand_r(&seed) % FILES);
		if (rand_r(&seed) % 8 == 0)
			unlink(file);
		fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ck_assert_int_ge(fd, 0);
		for (int n = rand_r(&seed) % 8; n; n--)
			ck_assert_int_eq(write(fd, page, sizeof(page)), sizeof(page));
		if (rand_r(&seed) % 2)
			ck_assert_int_eq(ftruncate(fd, 0), 0);
		close(fd);
	}
}

/* Its own directory as the path: the lookup wants what rmdir holds. */
static void inside(void *arg)
{
	char *c = at(tree.p, "c"), *none = at(c, "none");
	int err;

	for (int i = 0; i < STEPS; i++) {
		err = addfile(c, i % 2 ? none : c);
		ck_assert_msg(err == ENOENT || err == EINVAL || err == ENODEV, "inside: %s",
			      error_name(err));
	}
	(void)arg;
}

static void remover(void *arg)
{
	char *c = at(tree.p, "c");

	for (int i = 0; i < STEPS / 4; i++) {
		expect(make_dir(c), 0);
		sched_yield();
		expect(remove_dir(c), 0);
	}
	(void)arg;
}

TEST_LIMIT(everything_at_once, 60)
{
	void (*const doers[])(void *) = { claimer, claimer, filler, filler, inside, remover };
	pid_t pid[6];

	tree = make_tree();
	for (uintptr_t i = 0; i < 6; i++)
		pid[i] = start(doers[i], (void *)i);
	for (int i = 0; i < 6; i++)
		finish(pid[i]);
	for (int i = 0; i < FILES; i++)
		unlink(at("/tmp", "%d", i));
	/* what another CPU's batch still holds is charged until somebody empties it */
	eventually((drain_batches(), file_pages(tree.p) == 0), 10);
	remove_tree(tree);
}

/*
 * Memory leaves the tree while files are looked up for it, and comes back: who is under way is told
 * that the container, or its file, is gone, or claims for a state that is there. The way is long, so
 * that the lookup is what mostly goes on.
 */
#define REMOUNTS 60

static volatile int *enough;

static void claim_by_a_long_way(void *dir)
{
	char path[4000] = "";
	int err;

	while (strlen(path) < sizeof(path) - 32)
		strcat(path, "/tmp/..");
	strcat(path, "/tmp/file");
	while (!*enough) {
		err = addfile(dir, path);
		ck_assert_msg(!err || err == ENOENT || err == ENODEV, "addfile: %s",
			      error_name(err));
		err = rmfile(dir, path);
		ck_assert_msg(!err || err == ENOENT || err == ENODEV, "rmfile: %s",
			      error_name(err));
	}
}

TEST_LIMIT(memory_leaves_during_a_claim, 60)
{
	char *root = mount_hierarchy("cpuacct,memory"), *a = container(root, "a");
	pid_t pid[2];

	enough = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_int_eq(system("echo x >/tmp/file"), 0);
	for (int i = 0; i < 2; i++)
		pid[i] = start(claim_by_a_long_way, a);
	for (int i = 0; i < REMOUNTS; i++) {
		expect(remount(root, "cpuacct"), 0);
		expect(remount(root, "cpuacct,memory"), 0);
	}
	*enough = 1;
	for (int i = 0; i < 2; i++)
		finish(pid[i]);
	/* all is as if nothing had been */
	expect(addfile(a, "/tmp/file"), 0);
	ck_assert_uint_eq(file_pages(a), 1);
	ck_assert_uint_eq(read_u64(at(a, "memory.num_files")), 1);
	ck_assert_int_eq(unlink("/tmp/file"), 0);
	drain_batches();
	ck_assert_uint_eq(file_pages(a), 0);
	expect(remove_dir(a), 0);
}
