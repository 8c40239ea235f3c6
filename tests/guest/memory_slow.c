// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory_slow: the handler and a swap device that takes a second for each megabyte. While it
 * writes, the pages on their way count as used; the handler must not take others in
 * their place. (jobs 4 4@debug)
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>

#define LIMIT 400UL
/* a batch below it */
#define STOP (LIMIT - 32)
#define TOUCHED 1000UL
/* What an actor has besides: stack, data. */
#define OWN_PAGES 64
#define DISK "/sys/kernel/config/nullb/slow"

static void set(const char *name, const char *value)
{
	expect(write_file(at(DISK, "%s", name), value), 0);
}

/* A disk of 32 MB in memory that takes so long for each page; its path. */
static const char *disk_of(const char *nsec)
{
	mount("none", "/sys/kernel/config", "configfs", 0, NULL);
	expect(make_dir(DISK), 0);
	set("size", "32");
	set("memory_backed", "1");
	/* one page at a time, and done when a timer says so */
	set("max_sectors", "8");
	set("hw_queue_depth", "1");
	set("irqmode", "2");
	set("completion_nsec", nsec);
	set("power", "1");
	return "/dev/slow";
}

static const char *slow_disk(void)
{
	return disk_of("4000000");
}

static void no_more_disk(void)
{
	set("power", "0");
	expect(remove_dir(DISK), 0);
}

/* That disk as the only swap device. */
static const char *slow_swap(void)
{
	char *swaps = read_file("/proc/swaps"), *line = strchr(swaps, '\n');
	const char *device = slow_disk();
	char command[128];

	ck_assert_msg(!line || !line[1], "there is other swap: %s", swaps);
	snprintf(command, sizeof(command), "PATH=/usr/sbin:/sbin:$PATH; mkswap %s >/dev/null", device);
	ck_assert_msg(!system(command), "%s: failed", command);
	ck_assert_msg(!swapon(device, 0), "swapon %s: %s", device, error_name(errno));
	return device;
}

static void no_more_swap(const char *device)
{
	ck_assert_msg(!swapoff(device), "swapoff %s: %s", device, error_name(errno));
	no_more_disk();
}

/*
 * The handler brings DIR below its limit, and rests. What it takes too much stays in the swap
 * cache, charged, until somebody frees it; but it has been written then.
 */
static void writes_no_more(const char *dir, uint64_t before)
{
	unsigned long slack = stat_of(dir, "unflushed_bound"), rounds, last;
	uint64_t written;

	eventually(anon_pages(dir) + file_pages(dir) <= LIMIT + slack, 60);
	/* a run that goes on makes rounds, or waits for something to be written */
	do {
		last = stat_of(dir, "rounds");
		usleep(500000 * lib_slow);
		rounds = stat_of(dir, "rounds");
	} while (rounds != last || read_field("/proc/meminfo", "Writeback"));
	written = vmstat("pswpout") - before;
	/* all above STOP, and of its own pages as many as it may have; not the other 350 */
	ck_assert_msg(written <= TOUCHED + OWN_PAGES - STOP + slack, "%lu pages were written; stat: %s",
		      (unsigned long)written, read_file(at(dir, "memory.stat")));
}

/* In a new container A: an actor that has used TOUCHED pages by USE, and was brought to LIMIT. */
static struct actor *actor_over_limit(const char *a, void (*use)(struct actor *actor), const char *path)
{
	uint64_t before = vmstat("pswpout");
	struct actor *actor;

	expect(make_dir(a), 0);
	actor = actor_in(a);
	strcpy(actor->path, path);
	act(actor, use, TOUCHED);
	set_limit(a, "400");
	writes_no_more(a, before);
	return actor;
}

TEST_LIMIT(what_is_being_written_is_not_replaced, 120)
{
	char *root = mount_hierarchy("memory"), *a = at(root, "a");
	const char *device = slow_swap();
	struct actor *actor = actor_over_limit(a, touch, "");

	/* the same in its page tables */
	ck_assert_uint_le(swapped_out(actor), TOUCHED + OWN_PAGES - STOP + stat_of(a, "unflushed_bound"));
	set_limit(a, "max");
	act(actor, check, 0);
	dismiss(actor);
	no_more_swap(device);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(nor_of_tmpfs, 120)
{
	char *root = mount_hierarchy("memory"), *a = at(root, "a");
	const char *device = slow_swap();
	struct actor *actor = actor_over_limit(a, write_whole, "/tmp/big");

	set_limit(a, "max");
	ck_assert_uint_eq(act(actor, check_whole, 0), TOUCHED);
	ck_assert_int_eq(unlink("/tmp/big"), 0);
	dismiss(actor);
	no_more_swap(device);
	expect(remove_dir(a), 0);
}

/* Pages that cannot be freed, as there is no swap, and dirty ones of a file on that disk: less than half of LIMIT2. */
#define STAY 750UL
#define DIRTY 480UL
#define LIMIT2 1000UL

/* An ext4 on the slow disk, which has nothing to do but what it is told. */
static void files_on_slow_disk(const char *dir)
{
	const char *device = slow_disk();
	char command[256];

	snprintf(command, sizeof(command), "PATH=/usr/sbin:/sbin:$PATH; mkfs.ext4 -q -F -b 4096 -m 0 -O ^has_journal "
		 "-E nodiscard,lazy_itable_init=1 %s && mount %s %s", device, device, dir);
	ck_assert_msg(!system(command), "%s: failed", command);
}

/*
 * All that can be freed has to be written first, and is in use before that: the lap that finds it
 * on its way is the third one that frees nothing. The handler waits, and does not give up.
 */
TEST_LIMIT(what_is_being_written_is_waited_for, 120)
{
	char *root = mount_memory(), *a = container(root, "a"), *dir = new_dir();
	struct actor *actor = actor_in(a);
	unsigned long slack = stat_of(a, "unflushed_bound");

	files_on_slow_disk(dir);
	act(actor, touch, STAY);
	strcpy(actor->path, at(dir, "data"));
	act(actor, write_whole, DIRTY);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(act(actor, check_whole, 0), DIRTY);
	drain_batches();
	ck_assert_uint_eq(cached_pages(actor->path), DIRTY);
	ck_assert_uint_ge(read_field("/proc/meminfo", "Dirty"), DIRTY * 3);
	ck_assert_uint_le(file_pages(a), LIMIT2 / 2);
	set_limit(a, "1000");
	eventually(anon_pages(a) + file_pages(a) <= LIMIT2 + slack, 30);
	ck_assert_uint_ge(stat_of(a, "written_back"), STAY + DIRTY - LIMIT2 - slack);
	ck_assert_uint_eq(resident(actor), STAY);
	ck_assert_msg(!stat_of(a, "giveups"), "it gave up; stat: %s", read_file(at(a, "memory.stat")));
	ck_assert_uint_eq(act(actor, check_whole, 0), DIRTY);
	dismiss(actor);
	expect(unmount(dir), 0);
	no_more_disk();
	expect(remove_dir(a), 0);
}

/* Writes the first word of each page of its file, mapped, over and over, until it is killed. */
static void dirty_for_ever(struct actor *a)
{
	int fd = open(a->path, O_RDWR | O_CLOEXEC);
	char *mem = mmap(NULL, a->arg * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	ck_assert_ptr_ne(mem, MAP_FAILED);
	for (unsigned long i = 0;; i = (i + 1) % a->arg)
		++*(volatile unsigned long *)(mem + i * PAGE);
}

/*
 * Somebody writes the same pages all the time, so that there is always something on its way to that disk, and
 * nothing comes free: the handler waits for it some times, and gives up.
 */
TEST_LIMIT(who_writes_all_the_time_is_not_waited_for, 120)
{
	char *root = mount_memory(), *a = container(root, "a"), *dir = new_dir();
	struct actor *stays = actor_in(a), *writer = actor_in(a);

	files_on_slow_disk(dir);
	act(stays, touch, STAY);
	strcpy(writer->path, at(dir, "data"));
	act(writer, write_whole, 20);
	act_begin(writer, dirty_for_ever, 20);
	set_limit(a, "500");
	eventually(stat_of(a, "written_back") >= 20, 10);
	eventually(stat_of(a, "giveups") >= 1, 15);
	ck_assert_uint_eq(resident(stays), STAY);
	ck_assert_int_eq(kill(writer->pid, SIGKILL), 0);
	expect_killed(writer);
	dismiss(stays);
	expect(unmount(dir), 0);
	no_more_disk();
	expect(remove_dir(a), 0);
}

/* Containers that are removed while their pages are on the way to that disk. */
#define REMOVED 6

static void page_out(struct actor *a)
{
	ck_assert_int_eq(madvise(a->mem, a->pages * PAGE, MADV_PAGEOUT), 0);
}

/*
 * Who exits while his pages are being written leaves them in the swap cache, where only the walk over all
 * page frames finds them. Pages that somebody else has taken along are still used, and stay; when he does the same, long after
 * the first walk, that is found, too.
 */
TEST_LIMIT(strays_of_removed_containers, 120)
{
	char *root = mount_hierarchy("memory"), *p = container(root, "p");
	const char *device = slow_swap();
	struct actor *actor[REMOVED], *stays;
	char *dir[REMOVED];

	for (int i = 0; i < REMOVED; i++) {
		dir[i] = container(p, at("", "c%d", i) + 1);
		actor[i] = actor_in(dir[i]);
		act(actor[i], touch, 100);
	}
	stays = actor[0];
	expect(move_to(root, stays->pid), 0);
	for (int i = 1; i < REMOVED; i++) {
		act(actor[i], page_out, 0);
		dismiss(actor[i]);
	}
	for (int i = 0; i < REMOVED; i++)
		expect(remove_dir(dir[i]), 0);
	eventually(anon_pages(p) <= 100 + OWN_PAGES, 20);
	ck_assert_uint_ge(anon_pages(p), 100);
	ck_assert(!no_dying("memory"));
	ck_assert_uint_eq(resident(stays), 100);
	act(stays, check, 0);
	act(stays, page_out, 0);
	dismiss(stays);
	eventually(no_dying("memory"), 10);
	eventually(anon_pages(p) == 0, 10);
	no_more_swap(device);
	expect(remove_dir(p), 0);
}

/* Makes a->path of ARG pages of tmpfs, has them written to swap, and unlinks it. */
static void write_and_unlink(struct actor *a)
{
	int fd;

	write_whole(a);
	fd = open(a->path, O_RDWR | O_CLOEXEC);
	a->pages = a->arg;
	a->mem = mmap(NULL, a->pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	drain_batches();
	populate(a);
	page_out(a);
	release(a);
	close(fd);
	ck_assert_int_eq(unlink(a->path), 0);
}

/* Makes as many as the disk has just then, and may find it done. */
static void leave_strays(const char *dir, bool tmpfs)
{
	struct actor *actor = actor_in(dir);

	strcpy(actor->path, "/tmp/file");
	act(actor, tmpfs ? write_and_unlink : touch, 40);
	if (!tmpfs)
		act(actor, page_out, 0);
	dismiss(actor);
	eventually(!read_field("/proc/meminfo", "Writeback"), 20);
	drain_batches();
}

/*
 * The same of memory, and of a file of tmpfs that is gone, in a container that stays: it has them, empty as it is, until
 * somebody needs the room: the container itself, at its limit, or whoever takes swap away.
 */
TEST_LIMIT(strays_of_empty_containers, 120)
{
	char *root = mount_memory(), *a = container(root, "a");
	const char *device = slow_swap();

	for (int swap = 0; swap < 2; swap++) {
		for (int i = 0; !anon_pages(a) && i < 10; i++)
			leave_strays(a, false);
		ck_assert_uint_gt(anon_pages(a), 0);
		for (int i = 0; !file_pages(a) && i < 10; i++)
			leave_strays(a, true);
		ck_assert_uint_gt(file_pages(a), 0);
		eventually((drain_batches(), anon_pages(a) + file_pages(a) == only_in_swap_cache()), 5);
		if (swap)
			no_more_swap(device);
		else
			set_limit(a, "0");
		eventually(anon_pages(a) + file_pages(a) == 0, 10);
		set_limit(a, "max");
	}
	expect(remove_dir(a), 0);
}

/* The reaper's answer, without waiting. */
static bool has_died(struct actor *a)
{
	return waitpid(a->pid, NULL, WNOHANG) == a->pid;
}

/*
 * A process is killed while the handler, it itself or the worker, writes its pages to that disk: 250 of them take the
 * disk a second, and to free a round of 1000 takes four. It dies meanwhile, whoever goes on writing: it
 * has neither to finish the round nor to wait for what is on its way.
 */
TEST_LIMIT(killed_process_does_not_wait_for_the_disk, 120)
{
	char *root = mount_hierarchy("memory"), *a = at(root, "a");
	const char *device = slow_swap();
	double most = 0, second = 0, start, took;

	expect(make_dir(a), 0);
	for (int i = 0; i < 5; i++) {
		struct actor *actor = actor_in(a);
		unsigned long rounds = stat_of(a, "rounds");

		set_limit(a, "400");
		act_begin(actor, touch, 3000);
		eventually(stat_of(a, "rounds") > rounds && read_field("/proc/meminfo", "Writeback"), 10);
		usleep(i * 30000);
		start = now();
		ck_assert_int_eq(kill(actor->pid, SIGKILL), 0);
		eventually(has_died(actor), 30);
		took = now() - start;
		second = took > most ? most : took > second ? took : second;
		most = took > most ? took : most;
		set_limit(a, "max");
		close(actor->wire);
	}
	/* the host may have left us without a CPU during one of five */
	ck_assert_msg(second < 1 * lib_slow, "killed processes were there for %.3f s more, and %.3f", most, second);
	eventually(!read_field("/proc/meminfo", "Writeback"), 30);
	eventually(!remove_dir(a), 30);
	no_more_swap(device);
}

/* Swap that takes no time, beside that disk. */
#define FAST "/sys/kernel/config/nullb/fast"

static void fast_swap(void)
{
	expect(make_dir(FAST), 0);
	expect(write_file(FAST "/memory_backed", "1"), 0);
	expect(write_file(FAST "/size", "32"), 0);
	expect(write_file(FAST "/power", "1"), 0);
	ck_assert_int_eq(system("PATH=/usr/sbin:/sbin:$PATH; mkswap /dev/fast >/dev/null"), 0);
	ck_assert_msg(!swapon("/dev/fast", 0), "swapon: %s", error_name(errno));
}

static void no_more_fast_swap(void)
{
	ck_assert_msg(!swapoff("/dev/fast"), "swapoff: %s", error_name(errno));
	expect(write_file(FAST "/power", "0"), 0);
	expect(remove_dir(FAST), 0);
}

/* Pages that cannot be freed, and some that can be in a while: one after the other, each by that disk. */
static void fill_up(struct actor *a)
{
	touch_and_mlock(a);
	a->arg = 30;
	write_whole(a);
}

/* It has no room for the next ten seconds, at half a second a page; nobody of it is to be killed. */
static struct actor *full_for_long(const char *dir, int disk)
{
	struct actor *full = actor_in(dir);

	ck_assert_int_ge(disk, 0);
	expect(write_file(at("/proc", "%d/oom_score_adj", full->pid), "-1000"), 0);
	strcpy(full->path, "/dev/slow");
	act(full, fill_up, 300);
	/* the kernel has looked for partitions before, and the first page was not ours */
	expect(write_file(at(dir, "memory.addfile"), at("", "%d", disk) + 1), 0);
	ck_assert_uint_ge(file_pages(dir), 30);
	expect(write_file(at(dir, "memory.page_max"), "305"), 0);
	return full;
}

/* Pages of one mapping, in turn of two containers. */
#define MIXED 800

static struct beside {
	volatile long at;	/* what is being read */
	volatile bool go, done;	/* the other one */
} *beside;

/* Those from ARG on of one kind. */
static void touch_half(struct actor *a)
{
	if (!a->pages) {
		a->pages = MIXED;
		a->mem = mmap(NULL, MIXED * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ck_assert_ptr_ne(a->mem, MAP_FAILED);
	}
	for (unsigned long i = a->arg; i < MIXED; i += 2)
		a->mem[i * PAGE] = (char)(i % 127 + 1);
}

/*
 * Every sixteenth page, and what Linux has read ahead around it, so that it goes on doing that. Somebody else, who has
 * the same pages, wants the one before that is being read.
 */
static void read_in_steps(struct actor *a)
{
	static const int around[] = { 0, -3, -1, 1, 3 };
	pid_t other = fork();

	ck_assert_int_ge(other, 0);
	if (!other) {
		while (!beside->go)
			usleep(1000);
		beside->done = a->mem[(beside->at - 1) * PAGE] == (char)((beside->at - 1) % 127 + 1);
		_exit(0);
	}
	for (long i = 8; i < MIXED - 8; i += 16) {
		beside->at = i;
		for (int n = 0; n < 5; n++)
			ck_assert_int_eq(a->mem[(i + around[n]) * PAGE], (char)((i + around[n]) % 127 + 1));
	}
	ck_assert_int_eq(waitpid(other, NULL, 0), other);
}

/* Before there are actors. */
static char *mount_beside(void)
{
	char *root = mount_memory();

	beside = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(beside, MAP_FAILED);
	/* the page is the root's */
	*beside = (struct beside){ };
	return root;
}

/* It stays where it is. */
static bool stands_still(void)
{
	long was = beside->at;

	usleep(300000 * lib_slow);
	return was && beside->at == was;
}

/*
 * B wants a page of A's, which has no room: that waits. What is read along with it, and before it, is B's
 * own, and is there for whoever wants it meanwhile.
 */
TEST_LIMIT(what_is_read_along_does_not_wait, 120)
{
	char *root = mount_beside(), *a = container(root, "a"), *b = container(root, "b");
	int disk = open(disk_of("500000000"), O_RDONLY | O_CLOEXEC);	/* its pages stay as long as that */
	struct actor *reader = actor_in(a), *full;
	char byte;

	fast_swap();
	act(reader, touch_half, 0);
	expect(move_to(b, reader->pid), 0);
	act(reader, touch_half, 1);
	eventually((drain_batches(), act(reader, page_out, 0), swapped_out(reader) == MIXED), 20);
	eventually((set_limit(a, "0"), set_limit(b, "0"), drain_batches(),
		    anon_pages(a) + anon_pages(b) <= OWN_PAGES && !only_in_swap_cache()), 20);
	set_limit(a, "max");
	set_limit(b, "max");
	full = full_for_long(a, disk);
	act_begin(reader, read_in_steps, 0);
	eventually(stands_still(), 10);
	beside->go = true;
	/* A is full for ten seconds at least */
	eventually(beside->done, 5);
	/* or it has not seen anything */
	ck_assert_int_eq(recv(reader->wire, &byte, 1, MSG_DONTWAIT | MSG_PEEK), -1);
	ck_assert(stands_still());
	expect(write_file(at(a, "memory.page_max"), "max"), 0);
	act_end(reader);
	dismiss(reader);
	dismiss(full);
	close(disk);
	no_more_fast_swap();
	no_more_disk();
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}
