// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.page_max: a limit that is not passed, and the container's OOM kill.
 * (uml-run --swap 256M) (jobs 1 8 4@debug)
 *
 * How far a reading may be above page_max: what CPUs have charged and not told
 * yet, and what each of them charges before it looks again (three times
 * unflushed_bound), and a page for each task. Nothing here depends on how fast
 * the disk is: what is waited for is that the program ends, or is killed.
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define NR_ACTORS 8

/* What an actor has of its own (10 to 90 pages): some may move between a reading of anon_pages and of file_pages. */
#define OWN_PAGES 100

static unsigned long usage(const char *dir)
{
	return anon_pages(dir) + file_pages(dir);
}

static unsigned long bound(const char *dir, unsigned long max, unsigned int tasks)
{
	return max + 3 * stat_of(dir, "unflushed_bound") + tasks;
}

/* Is the actor done, or dead? Without waiting. */
static bool act_done(struct actor *a)
{
	char byte;
	ssize_t got = recv(a->wire, &byte, 1, MSG_DONTWAIT | MSG_PEEK);

	return got >= 0;
}

/* Its end of the wire is closed: it is dead, or about to be. It may have been done before. */
static bool act_died(struct actor *a)
{
	char bytes[2];

	return recv(a->wire, bytes, 2, MSG_DONTWAIT | MSG_PEEK) == 0;
}

static unsigned int count_dead(struct actor **actor, unsigned int nr)
{
	unsigned int dead = 0;

	for (unsigned int i = 0; i < nr; i++)
		dead += act_died(actor[i]);
	return dead;
}

/* Until all are done; a reading of DIR above MOST on the way fails. */
static void watch(struct actor **actor, unsigned int nr, const char *dir, unsigned long most)
{
	unsigned int done = 0;

	while (done < nr) {
		unsigned long now_used = usage(dir);

		ck_assert_msg(now_used <= most, "%lu pages, wanted at most %lu; stat: %s", now_used,
			      most, read_file(at(dir, "memory.stat")));
		for (done = 0; done < nr && act_done(actor[done]); done++)
			;
		usleep(2000);
	}
}

/* Did it die of SIGKILL? */
static char *kernel_log(void)
{
	int size = klogctl(10, NULL, 0);
	char *text = calloc(1, size + 1);

	ck_assert_int_ge(klogctl(3, text, size), 0);
	return text;
}

static void expect_victim(const char *dir, struct actor *a)
{
	char *why = read_file(at(dir, "why"));

	ck_assert_msg(strstr(why, at("", "task %d (", a->pid) + 1), "%d is not in why: %s", a->pid, why);
	ck_assert_msg(strstr(kernel_log(), at("", "memory: killed task %d (", a->pid) + 1),
		      "%d is not in the kernel's log", a->pid);
}

TEST(max_reads_as_written)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	char *max = at(a, "memory.page_max");

	ck_assert_str_eq(read_file(max), "max\n");
	expect(write_file(max, "1000\n"), 0);
	ck_assert_str_eq(read_file(max), "1000\n");
	expect(write_file(max, "8m"), 0);
	ck_assert_str_eq(read_file(max), "2048\n");
	expect(write_file(max, "1G\n"), 0);
	ck_assert_str_eq(read_file(max), "262144\n");
	expect(write_file(max, "2T"), 0);
	ck_assert_str_eq(read_file(max), "536870912\n");
	expect(write_file(max, "x"), EINVAL);
	expect(write_file(max, "-1"), EINVAL);
	expect(write_file(max, "10Q"), EINVAL);
	expect(write_file(max, "99999999999999999999"), ERANGE);
	expect(write_file(max, "99999999999T"), ERANGE);
	/* nothing is half done; and the soft limit is another one */
	ck_assert_str_eq(read_file(max), "536870912\n");
	ck_assert_str_eq(read_file(at(a, "memory.page_limit")), "max\n");
	expect(write_file(max, "max\n"), 0);
	ck_assert_str_eq(read_file(max), "max\n");
	ck_assert(!exists(at(root, "memory.page_max")));
	expect(remove_dir(a), 0);
}

/* Each has more than its share; all of it is there again when they look. */
TEST_LIMIT(max_holds_for_all_processors, 180)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor[NR_ACTORS];
	unsigned long most = bound(a, 1000, NR_ACTORS);

	for (int i = 0; i < NR_ACTORS; i++) {
		actor[i] = actor_in(a);
		actor[i]->seed = i + 1;
	}
	expect(write_file(at(a, "memory.page_max"), "1000"), 0);
	for (int i = 0; i < NR_ACTORS; i++)
		act_begin(actor[i], touch, 250);
	watch(actor, NR_ACTORS, a, most);
	for (int i = 0; i < NR_ACTORS; i++) {
		act_end(actor[i]);
		act_begin(actor[i], check, 0);
	}
	watch(actor, NR_ACTORS, a, most);
	for (int i = 0; i < NR_ACTORS; i++) {
		act_end(actor[i]);
		dismiss(actor[i]);
	}
	ck_assert_uint_gt(stat_of(a, "max_hits"), 0);
	/* 2000 are more than there can be at once; the handler counts what it has done at the end of a round */
	eventually(stat_of(a, "swapped") >= NR_ACTORS * 250 - most, 10);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	ck_assert_uint_eq(read_u64(at(a, "memory.page_limit_hits")), 0);
	expect(remove_dir(a), 0);
}

/* The policy is for page_limit: at page_max pages are reclaimed all the same. */
TEST_LIMIT(max_reclaims_with_policy_deactivate, 120)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "600");
	struct actor *actor = actor_in(a);
	unsigned long most = bound(a, 600, 1);

	expect(write_file(at(a, "memory.overlimit"), "deactivate\n"), 0);
	act_begin(actor, touch, 1500);
	watch(&actor, 1, a, most);
	act_end(actor);
	/* what is in memory is charged */
	ck_assert_uint_ge(swapped_out(actor), 1500 - most);
	act(actor, check, 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(max_holds_for_files, 120)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "600");
	char *disk = make_disk(16), *data = make_data(disk, "data", 1500);
	struct actor *actor = actor_in(a);
	unsigned long most = bound(a, 600, OWN_PAGES);

	strcpy(actor->path, data);
	act_begin(actor, check_whole, 0);
	watch(&actor, 1, a, most);
	ck_assert_uint_eq(act_end(actor), 1500);
	act_begin(actor, map_whole, 0);
	watch(&actor, 1, a, most);
	act_end(actor);
	strcpy(actor->path, at(disk, "out"));
	act_begin(actor, write_whole, 1500);
	watch(&actor, 1, a, most);
	act_end(actor);
	ck_assert_uint_eq(act(actor, check_whole, 0), 1500);
	ck_assert_uint_gt(stat_of(a, "max_hits"), 0);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}

/* The pages are the owner's, whoever brings them back from swap. */
TEST_LIMIT(max_holds_when_others_read, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "600");
	char *b = container(root, "b");
	struct actor *owner = actor_in(a), *reader = actor_in(b);
	unsigned long most = bound(a, 600, OWN_PAGES);

	strcpy(owner->path, "/tmp/big");
	strcpy(reader->path, "/tmp/big");
	act_begin(owner, write_whole, 1500);
	watch(&owner, 1, a, most);
	act_end(owner);
	act_begin(reader, check_whole, 0);
	watch(&reader, 1, a, most);
	ck_assert_uint_eq(act_end(reader), 1500);
	ck_assert_uint_eq(stat_of(a, "ooms") + stat_of(b, "ooms"), 0);
	dismiss(owner);
	dismiss(reader);
	ck_assert_int_eq(unlink("/tmp/big"), 0);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* Pages of one mapping that are its first container's and others', in turn, as they are on the swap device. */
#define MIXED 800
/* Pages of A that cannot be freed. */
#define LOCKED 300

static void touch_half(struct actor *a, unsigned long first)
{
	for (unsigned long i = first; i < MIXED; i += 2)
		a->mem[i * PAGE] = a->mem[i * PAGE + PAGE - 1] = (char)(i % 127 + 1);
}

/* The even ones. */
static void begin_mixed(struct actor *a)
{
	a->pages = MIXED;
	a->mem = mmap(NULL, MIXED * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(a->mem, MAP_FAILED);
	touch_half(a, 0);
}

static void end_mixed(struct actor *a)
{
	touch_half(a, 1);
}

static void page_out(struct actor *a)
{
	ck_assert_int_eq(madvise(a->mem, a->pages * PAGE, MADV_PAGEOUT), 0);
}

/* Those of one kind, from ARG on. */
static void check_half(struct actor *a)
{
	for (unsigned long i = a->arg; i < MIXED; i += 2)
		ck_assert_int_eq(a->mem[i * PAGE + PAGE - 1], (char)(i % 127 + 1));
}

static void move(struct actor *a, const char *dir)
{
	expect(write_file(at(dir, "procs"), at("", "%d", a->pid) + 1), 0);
}

/*
 * In this order; and what has been written is not kept in the swap cache by containers that may have nothing: not
 * one page, as a limit of 1 would leave, because how far Linux reads ahead follows the hits, and a page that is
 * there before is none. Where only every second one is asked for, a single miss is the end of it: 25 pages are read
 * ahead then, and not 240.
 */
static void all_to_swap(struct actor *actor, const char *a, const char *b)
{
	eventually((drain_batches(), act(actor, page_out, 0), swapped_out(actor) == actor->pages), 20);
	eventually((set_limit(a, "0"), set_limit(b, "0"), drain_batches(),
		    anon_pages(a) + anon_pages(b) <= LOCKED + FEW && !only_in_swap_cache()), 20);
	set_limit(a, "max");
	set_limit(b, "max");
}

/* In A it has the even pages, in B, where it stays, the odd ones; all of them go to swap. */
static void mix(struct actor *actor, const char *a, const char *b)
{
	move(actor, a);
	act(actor, begin_mixed, 0);
	move(actor, b);
	act(actor, end_mixed, 0);
	all_to_swap(actor, a, b);
}

/*
 * What is read from swap before anybody asks for it may be another container's, which is full: it is left there. B
 * does not wait for room in A, nobody in A is killed for it, and A gets no more than it may have.
 */
TEST_LIMIT(swap_readahead_stops_at_the_owners_max, 120)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *full = actor_in(a), *actor = actor_in(b);
	unsigned long before, read, hits;

	/* nothing of this can be freed */
	act(full, touch_and_mlock, LOCKED);
	mix(actor, a, b);
	drain_batches();
	before = anon_pages(a);
	read = vmstat("swap_ra");
	act(actor, check_half, 1);
	/* where there is room they do come: how many is Linux's choice, a window that follows the hits */
	ck_assert_uint_gt(vmstat("swap_ra") - read, MIXED / 16);
	ck_assert_uint_gt(anon_pages(a), before + MIXED / 32);
	act(actor, check_half, 0);
	act(actor, release, 0);

	mix(actor, a, b);
	drain_batches();
	before = anon_pages(a);
	ck_assert_uint_lt(before, LOCKED + FEW);
	expect(write_file(at(a, "memory.page_max"), "300"), 0);
	hits = stat_of(a, "max_hits");
	read = vmstat("swap_ra");
	act(actor, check_half, 1);
	/* the first batch of each CPU is not asked for */
	ck_assert_msg(stat_of(a, "max_hits") > hits, "nobody asked: %lu pages read ahead, %lu of a's in memory, %lu before; %s",
		      vmstat("swap_ra") - read, anon_pages(a), before, read_file(at(a, "memory.stat")));
	ck_assert_uint_le(anon_pages(a), bound(a, LOCKED, FEW));
	/* its own come all the same */
	ck_assert_uint_gt(vmstat("swap_ra") - read, MIXED / 32);
	ck_assert_uint_eq(stat_of(a, "ooms") + stat_of(b, "ooms"), 0);
	ck_assert_uint_eq(stat_of(b, "throttled_ns"), 0);
	ck_assert_uint_eq(resident(full), LOCKED);
	expect(write_file(at(a, "memory.page_max"), "max"), 0);
	act(actor, check_half, 0);
	act(full, check, 0);
	dismiss(actor);
	dismiss(full);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/*
 * Whoever had pages there has left; nothing of it can be freed, and nobody be killed. Who needs what
 * is in swap does not wait for ever for room in a container that he is not in: it is his then.
 */
TEST_LIMIT(swapped_pages_of_who_left_a_full_one, 60)
{
	char *root = mount_memory(), *a = container(root, "a"), *b = container(root, "b");
	struct actor *full = actor_in(a), *actor = actor_in(a);
	unsigned long had;

	act(full, touch_and_mlock, LOCKED);
	act(actor, touch, 150);
	all_to_swap(actor, a, b);
	move(full, b);
	move(actor, b);
	expect(write_file(at(a, "memory.page_max"), "300"), 0);
	had = anon_pages(b);
	act_begin(actor, check, 0);
	/* nor was anything refused, in the end: A's `why` has no word of it */
	while (!act_done(actor)) {
		ck_assert_ptr_eq(strstr(read_file(at(a, "why")), "charge of"), NULL);
		usleep(1000);
	}
	act_end(actor);
	ck_assert_ptr_eq(strstr(read_file(at(a, "why")), "charge of"), NULL);
	ck_assert_uint_le(anon_pages(a), bound(a, LOCKED, FEW));
	/* all but what went to A before anybody looked */
	ck_assert_uint_ge(anon_pages(b) + 3 * stat_of(a, "unflushed_bound"), had + 150);
	ck_assert_uint_eq(stat_of(a, "ooms") + stat_of(b, "ooms"), 0);
	dismiss(actor);
	dismiss(full);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}

/* A child that must be able to die: nobody waits for its answer. */
static void hog(struct actor *a, unsigned long pages)
{
	act_begin(a, touch, pages);
	expect_killed(a);
}

TEST_LIMIT(oom_takes_the_biggest, 120)
{
	char *root = mount_hierarchy("memory"), *p = container_with(root, "p", NULL, "1000");
	char *a = container(p, "a"), *b = container(p, "b");
	char *c = container(root, "c");
	struct actor *small, *big, *outside;

	no_swap();
	small = actor_in(a);
	big = actor_in(b);
	outside = actor_in(c);
	act(small, touch, 250);
	act(outside, touch, 1500);
	/* more than there can be, with what is not told yet */
	hog(big, 4000);
	expect_victim(p, big);
	ck_assert_uint_eq(stat_of(p, "ooms"), 1);
	/* the limit is the parent's, and so is what was done for it */
	ck_assert_uint_eq(stat_of(a, "ooms") + stat_of(b, "ooms") + stat_of(c, "ooms"), 0);
	ck_assert_uint_eq(resident(small), 250);
	ck_assert_uint_eq(resident(outside), 1500);
	/* there is room again for who was small */
	act(small, check, 0);
	act(small, touch, 500);
	act(outside, check, 0);
	ck_assert_uint_eq(stat_of(p, "ooms"), 1);
	dismiss(small);
	dismiss(outside);
	eventually((drain_batches(), usage(p) == 0), 10);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
	expect(remove_dir(c), 0);
	expect(remove_dir(p), 0);
}

/*
 * Who asks for the page that is too much need not be who has most. It gets there with
 * less than the other has: MAX is passed at 3 * unflushed_bound above it at the latest.
 */
TEST_LIMIT(oom_spares_who_asks, 120)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "2000");
	unsigned long over = 3 * stat_of(a, "unflushed_bound");
	struct actor *small, *big;

	no_swap();
	big = actor_in(a);
	small = actor_in(a);
	act(big, touch, 1700);
	act_begin(small, touch, 400 + over);
	expect_killed(big);
	expect_victim(a, big);
	act_end(small);
	act(small, check, 0);
	ck_assert_uint_eq(resident(small), 400 + over);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	dismiss(small);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(oom_spares_the_exempt, 120)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "2000");
	struct actor *small, *big;

	no_swap();
	small = actor_in(a);
	big = actor_in(a);
	expect(write_file(at("/proc", "%d/oom_score_adj", big->pid), "-1000"), 0);
	act(big, touch, 1500);
	hog(small, 4000);
	expect_victim(a, small);
	act(big, check, 0);
	ck_assert_uint_eq(resident(big), 1500);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	dismiss(big);
	expect(remove_dir(a), 0);
}

/*
 * Two of 800 pages fit, with what each has of its own, and then nobody is killed any more.
 * A third may fit into what CPUs have not told (8 of them: 744), a fourth cannot.
 */
TEST_LIMIT(oom_one_after_the_other, 120)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "1900");
	unsigned long most = bound(a, 1900, 4);
	struct actor *actor[4];
	unsigned int killed;
	char byte;

	no_swap();
	for (int i = 0; i < 4; i++)
		actor[i] = actor_in(a);
	for (int i = 0; i < 4; i++)
		act_begin(actor[i], touch, 800);
	watch(actor, 4, a, most);
	/* who was done first may have been killed later: only the end of the wire tells */
	for (int i = 0; i < 4; i++)
		ck_assert_int_ge(recv(actor[i]->wire, &byte, 1, 0), 0);
	killed = stat_of(a, "ooms");
	eventually(count_dead(actor, 4) == killed, 10);
	for (int i = 0; i < 4; i++)
		if (act_died(actor[i])) {
			expect_killed(actor[i]);
		} else {
			act(actor[i], check, 0);
			dismiss(actor[i]);
		}
	ck_assert_uint_eq(stat_of(a, "ooms"), killed);
	ck_assert_uint_le(killed, 2);
	ck_assert_uint_le((4 - killed) * 800, most);
	expect(remove_dir(a), 0);
}

/* Nobody in there to kill, and the pages stay: the writer, who is outside, gets an error. */
TEST_LIMIT(max_without_a_victim_is_an_error, 60)
{
	char *root = mount_hierarchy("memory"), *a = container_with(root, "a", NULL, "300");
	static char page[PAGE];
	struct actor *actor;
	unsigned long pages = 0;
	int fd;

	no_swap();
	actor = actor_in(a);
	strcpy(actor->path, "/tmp/big");
	act(actor, write_whole, 100);
	dismiss(actor);
	eventually((drain_batches(), anon_pages(a) == 0), 10);
	fd = open("/tmp/big", O_WRONLY | O_APPEND | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	while (pages < 2000 && write(fd, page, PAGE) == PAGE)
		pages++;
	ck_assert_uint_lt(pages, 2000);
	ck_assert_int_eq(errno, ENOMEM);
	/* nor is it silent; but when the handler gives up once more, the last word is its own */
	eventually((pages += write(fd, page, PAGE) == PAGE, strstr(read_file(at(a, "why")),
		    at("", "charge of task %d (memory_max) refused by memory: no room at page_max, and nothing more can be freed; "
		       "/a has ", getpid()) + 1)), 10);
	ck_assert_uint_ge(pages + 100, 300 - 31);
	ck_assert_uint_le(file_pages(a), bound(a, 300, 1));
	ck_assert_uint_eq(cached_pages("/tmp/big"), pages + 100);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	/* with room it goes on */
	expect(write_file(at(a, "memory.page_max"), "max"), 0);
	ck_assert_int_eq(write(fd, page, PAGE), PAGE);
	close(fd);
	ck_assert_int_eq(unlink("/tmp/big"), 0);
	expect(remove_dir(a), 0);
}

/* Lowering it kills nobody, and says so when it does not hold. */
TEST_LIMIT(lowering_max_says_why, 60)
{
	char *root = mount_hierarchy("memory"), *a = container(root, "a");
	struct actor *actor;

	no_swap();
	actor = actor_in(a);
	act(actor, touch, 600);
	/* now it has the stack that this needs */
	act(actor, check, 0);
	expect(write_file(at(a, "memory.page_max"), "300"), 0);
	eventually(stat_of(a, "giveups") > 0, 10);
	ck_assert_ptr_ne(strstr(read_file(at(a, "why")), "of 300 pages"), NULL);
	act(actor, check, 0);
	ck_assert_uint_eq(resident(actor), 600);
	ck_assert_uint_eq(stat_of(a, "ooms"), 0);
	expect(write_file(at(a, "memory.page_max"), "max"), 0);
	dismiss(actor);
	expect(remove_dir(a), 0);
}
