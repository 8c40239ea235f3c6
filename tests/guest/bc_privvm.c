// SPDX-License-Identifier: GPL-2.0-only
/*
 * Beancounters: private address space. What is held is compared with what /proc/PID/statm says
 * is data and stack of the address spaces, after each call that changes one. (jobs 1 4 4@debug)
 */
#include "lib-bc.h"
#include "lib-vma.h"

#include <signal.h>
#include <sys/wait.h>

#define STEPS 400

/* An address space may have one user more for a moment: who looks at it in /proc. */
#define SOON 10

/* /a and /b. */
static void mount_both(void)
{
	mount_bc("b");
	expect(make_dir(b), 0);
}

static uint64_t privvm(const char *container, const char *number)
{
	return amount(container, "privvmpages", number);
}

#define pages(container) privvm(container, "held")

static void set_pages(const char *container, unsigned long barrier, unsigned long limit)
{
	char text[64];

	snprintf(text, sizeof(text), "privvmpages %lu %lu", barrier, limit);
	expect(write_file(at(container, "bc.set"), text), 0);
}

/* An actor whose address space is the container's: that of a fork in it. Its files are the root's. */
static struct actor *born_in(const char *container)
{
	return actor_born_in(container, root);
}

/* Maps ARG pages, at a->mem; a->seed: the errno. */
static void map_private(struct actor *actor)
{
	char *mem = map(NULL, actor->arg, RW, ANON);

	actor->seed = mem == MAP_FAILED ? errno : 0;
	if (!actor->seed)
		actor->mem = mem;
}

static void unmap_all(struct actor *actor)
{
	ck_assert_int_eq(munmap(actor->mem, actor->arg * PAGE), 0);
}

TEST(a_new_container_has_no_bound)
{
	mount_both();
	ck_assert_str_eq(bounds(at(a, "bc.set"), "privvmpages"), "max max");
	ck_assert_uint_eq(pages(a), 0);
	ck_assert_ptr_nonnull(strstr(read_file("/proc/user_beancounters"), " privvmpages "));
	remove_all();
}

/* A bound in pages, or as a size: what the memory of the machine is said in, too. */
TEST(sizes)
{
	static const char *const wrong[] = { "M", "1MB", "1 M", "-1M", "0x1M", "1B" };
	char *barrier, *set;

	mount_both();
	barrier = at(a, "bc.privvmpages.barrier");
	set = at(a, "bc.set");
	expect(write_file(barrier, "64M\n"), 0);
	ck_assert_str_eq(read_file(barrier), "16384\n");
	expect(write_file(barrier, "1t"), 0);
	ck_assert_str_eq(read_file(barrier), "268435456\n");
	/* part of a page is none */
	expect(write_file(set, "privvmpages 10K 1G\n"), 0);
	ck_assert_str_eq(bounds(set, "privvmpages"), "2 262144");
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		expect(write_file(barrier, wrong[i]), EINVAL);
	expect(write_file(barrier, "99999999T"), ERANGE);
	expect(write_file(barrier, "1K"), ERANGE);
	expect(write_file(set, "privvmpages 1G 1M"), EINVAL);
	/* files and tasks have no size */
	expect(write_file(at(a, "bc.numfiles.limit"), "1K"), EINVAL);
	expect(write_file(set, "privvmpages 1M 1M\nnumproc 1K 1K"), EINVAL);
	ck_assert_str_eq(bounds(set, "privvmpages"), "2 262144");
	remove_all();
}

/* What counts is not what is used, nor what was promised not to be. */
static void one_of_each(struct actor *actor)
{
	char *mem;

	switch (actor->arg) {
	case 0:
		mem = map(NULL, 50, RW, ANON);
		break;
	case 1:
		mem = map(NULL, 50, RW, ANON | MAP_NORESERVE);
		break;
	case 2:
		mem = map(NULL, 50, PROT_READ, ANON);
		break;
	case 3:
		mem = map(NULL, 50, RW, MAP_SHARED | MAP_ANONYMOUS);
		break;
	default:
		mem = map(NULL, 50, PROT_NONE, ANON);
		ck_assert_int_eq(mprotect(mem + 10 * PAGE, 30 * PAGE, RW), 0);
	}
	ck_assert_ptr_ne(mem, MAP_FAILED);
}

TEST(what_counts)
{
	static const unsigned int counts[] = { 50, 50, 0, 0, 30 };
	struct actor *actor;
	uint64_t before;

	mount_both();
	actor = born_in(a);
	for (unsigned int i = 0; i < 5; i++) {
		before = pages(a);
		ck_assert_uint_eq(before, private_of(actor->pid));
		act(actor, one_of_each, i);
		ck_assert_uint_eq(pages(a), before + counts[i]);
	}
	dismiss(actor);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* At the bound, with ARG pages mapped at a->mem: what needs more fails, what does not does not. */
static void at_the_bound(struct actor *actor)
{
	char *mem = actor->mem, *got;
	unsigned long n = actor->arg;
	pid_t pid;

	ck_assert_ptr_eq(map(NULL, 1, RW, ANON), MAP_FAILED);
	expect(errno, ENOMEM);
	ck_assert_ptr_eq(map(NULL, 1, RW, ANON | MAP_NORESERVE), MAP_FAILED);
	expect(errno, ENOMEM);
	ck_assert_ptr_eq(sbrk(PAGE), (void *)-1);
	expect(errno, ENOMEM);
	ck_assert_ptr_eq(mremap(mem, n * PAGE, (n + 1) * PAGE, MREMAP_MAYMOVE), MAP_FAILED);
	expect(errno, ENOMEM);
	ck_assert_ptr_eq(mremap(mem, n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL),
			 MAP_FAILED);
	expect(errno, ENOMEM);
	got = map(NULL, 1, PROT_READ, ANON);
	ck_assert_ptr_ne(got, MAP_FAILED);
	expect(mprotect(got, PAGE, RW) ? errno : 0, ENOMEM);
	ck_assert_int_eq(munmap(got, PAGE), 0);
	pid = fork();
	if (!pid)
		_exit(0);
	ck_assert_int_lt(pid, 0);
	expect(errno, ENOMEM);
	/* in the place of what there is, the flags of what counts, a move */
	ck_assert_ptr_eq(map(mem, n, RW, ANON), mem);
	ck_assert_int_eq(mprotect(mem, PAGE, RW | PROT_EXEC), 0);
	ck_assert_int_eq(mprotect(mem, PAGE, PROT_READ), 0);
	ck_assert_int_eq(mprotect(mem, PAGE, RW), 0);
	got = map(NULL, n, PROT_NONE, ANON);
	ck_assert_ptr_ne(got, MAP_FAILED);
	ck_assert_ptr_eq(mremap(mem, n * PAGE, n * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, got), got);
	actor->mem = got;
}

TEST(the_bound)
{
	struct actor *actor;
	uint64_t bound;

	mount_both();
	actor = born_in(a);
	bound = pages(a) + 100;
	set_pages(a, bound, bound);
	act(actor, map_private, 101);
	expect(actor->seed, ENOMEM);
	ck_assert_ptr_nonnull(strstr(read_file(at(a, "why")), "growth of task "));
	ck_assert_ptr_nonnull(strstr(read_file(at(a, "why")), "refused by bc: unmap some, or raise bc.privvmpages.limit; /a has "));
	ck_assert_ptr_nonnull(strstr(read_file(at(a, "why")), " pages, 101 more were asked for (ENOMEM)\n"));
	ck_assert_uint_eq(privvm(a, "failcnt"), 1);
	act(actor, map_private, 100);
	expect(actor->seed, 0);
	ck_assert_uint_eq(pages(a), bound);
	act(actor, at_the_bound, 100);
	ck_assert_uint_eq(pages(a), bound);
	ck_assert_uint_eq(private_of(actor->pid), bound);
	ck_assert_uint_eq(privvm(a, "failcnt"), 8);
	act(actor, unmap_all, 100);
	ck_assert_uint_eq(pages(a), bound - 100);
	/* never above, in between */
	ck_assert_uint_eq(privvm(a, "maxheld"), bound);
	dismiss(actor);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* Alice has no capability, and the other one has what lies between. */
TEST(the_barrier_is_everybodys)
{
	struct actor *alice, *admin;
	uint64_t barrier;

	mount_both();
	alice = born_in(a);
	admin = born_in(a);
	act(alice, become_alice, 0);
	barrier = pages(a) + 10;
	set_pages(a, barrier, barrier + 5);
	act(alice, map_private, 11);
	expect(alice->seed, ENOMEM);
	act(alice, map_private, 10);
	expect(alice->seed, 0);
	act(alice, map_private, 1);
	expect(alice->seed, ENOMEM);
	ck_assert_ptr_nonnull(strstr(read_file(at(a, "why")), "raise bc.privvmpages.barrier; /a has "));
	act(admin, map_private, 6);
	expect(admin->seed, ENOMEM);
	act(admin, map_private, 5);
	expect(admin->seed, 0);
	ck_assert_uint_eq(pages(a), barrier + 5);
	dismiss(alice);
	dismiss(admin);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* What is above has no bound for it, and does not count it. */
TEST(flat)
{
	struct actor *actor;
	uint64_t before;

	mount_flat();
	set_pages(a, 0, 0);
	actor = born_in(b);
	before = pages(b);
	ck_assert_uint_eq(before, private_of(actor->pid));
	act(actor, map_private, 50);
	expect(actor->seed, 0);
	ck_assert_uint_eq(pages(b), before + 50);
	ck_assert_uint_eq(pages(a), 0);
	set_pages(b, before + 50, before + 50);
	act(actor, map_private, 1);
	expect(actor->seed, ENOMEM);
	ck_assert_uint_eq(privvm(a, "failcnt"), 0);
	dismiss(actor);
	eventually(pages(b) == 0, SOON);
	remove_all();
}

/* A program with ARG pages of arguments, in an address space of its own from the first; a->result: what became of it. */
static void execute(struct actor *actor)
{
	static char argument[3 * PAGE + 1];
	int status;
	pid_t pid;

	memset(argument, 'a', actor->arg * PAGE);
	argument[actor->arg * PAGE] = 0;
	pid = vfork();
	if (!pid) {
		execl("/proc/self/exe", "exe", argument, NULL);
		_exit(errno);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	actor->result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Not even the first page of a stack, which is there before it could be asked for. */
TEST(exec_passes_no_bound)
{
	struct actor *actor;
	uint64_t bound;

	mount_both();
	actor = born_in(a);
	bound = pages(a);
	set_pages(a, bound, bound);
	expect(write_file(at(a, "bc.reset"), "1"), 0);
	act(actor, execute, 0);
	expect(actor->result, 128 + SIGSEGV);
	act(actor, execute, 3);
	expect(actor->result, E2BIG);
	ck_assert_uint_eq(privvm(a, "failcnt"), 2);
	ck_assert_uint_eq(privvm(a, "maxheld"), bound);
	eventually(pages(a) == bound, SOON);
	dismiss(actor);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* Down the stack, ARG pages. */
static __attribute__((noinline)) char deep(unsigned long n)
{
	volatile char page[PAGE];

	page[0] = n;
	return n ? deep(n - 1) + page[0] : page[0];
}

static void grow_stack(struct actor *actor)
{
	actor->result = deep(actor->arg);
}

TEST(a_stack_grows_up_to_the_bound)
{
	struct actor *actor;
	uint64_t before;

	mount_both();
	actor = born_in(a);
	before = pages(a);
	act(actor, grow_stack, 200);
	ck_assert_uint_ge(pages(a), before + 150);
	ck_assert_uint_eq(pages(a), private_of(actor->pid));
	set_pages(a, pages(a) + 50, pages(a) + 50);
	act_begin(actor, grow_stack, 500);
	ck_assert_int_eq(wait_for(actor->pid), 128 + SIGSEGV);
	close(actor->wire);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* A random step in an arena of mappings; any may fail. */
static void random_map(char *where, unsigned long n, unsigned int *seed)
{
	static const int prots[] = { RW, RW, PROT_READ, PROT_NONE, RW | PROT_EXEC };
	static const int kinds[] = { ANON, ANON, ANON | MAP_NORESERVE, MAP_SHARED | MAP_ANONYMOUS,
				     ANON | MAP_LOCKED };
	int prot = prots[rand_r(seed) / 7 % 5], kind = kinds[rand_r(seed) / 7 % 5];

	switch (rand_r(seed) / 7 % 3) {
	case 0:
		mprotect(where, n * PAGE, prot);
		break;
	case 1:
		munmap(where, n * PAGE);
		break;
	default:
		map(where, n, prot, kind);
	}
}

static void random_steps(struct actor *actor)
{
	random_vma_steps(actor, random_map);
}

static void after_each_step(uint64_t room)
{
	struct actor *actor = born_in(a);

	if (room)
		set_pages(a, pages(a) + room, pages(a) + room);
	actor->seed = lib_seed;
	for (int i = 0; i < STEPS; i++) {
		act(actor, random_steps, 1);
		ck_assert_msg(pages(a) == private_of(actor->pid), "step %d, seed %u: held %lu, has %lu", i,
			      lib_seed, pages(a), private_of(actor->pid));
	}
	dismiss(actor);
	eventually(pages(a) == 0, SOON);
}

TEST_LIMIT(held_is_the_truth_after_each_step, 40)
{
	mount_both();
	after_each_step(0);
	remove_all();
}

/* The same where many of them are refused, and leave nothing. */
TEST_LIMIT(and_when_they_are_refused, 40)
{
	uint64_t bound;

	mount_both();
	after_each_step(60);
	ck_assert_uint_gt(privvm(a, "failcnt"), 0);
	bound = privvm(a, "limit");
	ck_assert_uint_le(privvm(a, "maxheld"), bound);
	remove_all();
}

static bool held_by_both(struct actor *actor, pid_t pid)
{
	return pages(a) == private_of(actor->pid) + private_of(pid);
}

TEST(fork_exec_and_kill)
{
	struct actor *actor;
	uint64_t alone;

	mount_both();
	actor = born_in(a);
	act(actor, map_private, 300);
	alone = pages(a);
	act(actor, make_child, 0);
	ck_assert_uint_eq(pages(a), 2 * alone);
	act(actor, end_child, 0);
	eventually(pages(a) == alone, SOON);
	act(actor, make_child, 1);
	eventually(is_sleep(actor->pages), SOON);
	/* ld.so is at it, until it is asleep */
	eventually(held_by_both(actor, actor->pages), SOON);
	ck_assert_uint_lt(pages(a), 2 * alone);
	act(actor, end_child, 0);
	eventually(pages(a) == alone, SOON);
	kill(actor->pid, SIGKILL);
	wait_for(actor->pid);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

/* Maps ARG pages that no child gets, at a->mem. */
static void map_for_itself(struct actor *actor)
{
	map_private(actor);
	expect(madvise(actor->mem, actor->arg * PAGE, MADV_DONTFORK) ? errno : 0, 0);
}

/* It is not charged for a moment, so that there is room for the child to the page. */
TEST(what_a_fork_leaves_out_needs_no_room)
{
	struct actor *actor;
	uint64_t alone, bound;

	mount_both();
	actor = born_in(a);
	act(actor, map_for_itself, 300);
	alone = pages(a);
	bound = alone + alone - 300;
	set_pages(a, bound - 1, bound - 1);
	act(actor, make_child, 0);
	ck_assert_int_lt((pid_t)actor->pages, 0);
	ck_assert_uint_eq(pages(a), alone);
	set_pages(a, bound, bound);
	act(actor, make_child, 0);
	ck_assert_int_gt((pid_t)actor->pages, 0);
	ck_assert_uint_eq(pages(a), bound);
	ck_assert_uint_eq(private_of(actor->pages), alone - 300);
	act(actor, end_child, 0);
	eventually(pages(a) == alone, SOON);
	dismiss(actor);
	eventually(pages(a) == 0, SOON);
	remove_all();
}

TEST(an_address_space_stays_where_it_began)
{
	struct actor *actor;
	uint64_t in_a;

	mount_both();
	actor = born_in(a);
	act(actor, map_private, 100);
	in_a = pages(a);
	expect(move_to(b, actor->pid), 0);
	ck_assert_uint_eq(pages(a), in_a);
	ck_assert_uint_eq(pages(b), 0);
	act(actor, map_private, 30);
	ck_assert_uint_eq(pages(a), in_a + 30);
	/* one that it makes begins where it is now */
	act(actor, make_child, 0);
	ck_assert_uint_eq(pages(a), in_a + 30);
	ck_assert_uint_eq(pages(b), in_a + 30);
	act(actor, end_child, 0);
	eventually(pages(b) == 0, SOON);
	/* with the directory gone it counts above, and its bounds, which nobody could raise, are gone */
	set_pages(a, pages(a), pages(a));
	expect(remove_dir(a), 0);
	ck_assert_int_eq(hierarchy_of("bc").dying, 1);
	act(actor, map_private, 5);
	dismiss(actor);
	eventually(no_dying("bc"), SOON);
	expect(remove_dir(b), 0);
}

TEST(a_refusal_without_a_directory_is_said_above)
{
	struct actor *actor;
	char inner[64];

	mount_both();
	snprintf(inner, sizeof(inner), "%s/inner", a);
	expect(make_dir(inner), 0);
	actor = born_in(inner);
	expect(move_to(a, actor->pid), 0);
	expect(remove_dir(inner), 0);
	set_pages(a, pages(a), pages(a));
	act(actor, map_private, 5);
	expect(actor->seed, ENOMEM);
	ck_assert_ptr_nonnull(strstr(read_file(at(a, "why")), "growth of task "));
	ck_assert_ptr_nonnull(strstr(read_file(at(a, "why")), "container /a\n"));
	dismiss(actor);
	eventually(no_dying("bc"), SOON);
	remove_all();
}

TEST_LIMIT(many_at_once, 40)
{
	struct actor *actor[6];
	unsigned long sum;
	uint64_t bound;

	mount_both();
	for (int i = 0; i < 6; i++)
		actor[i] = born_in(a);
	bound = pages(a) + 200;
	set_pages(a, bound, bound);
	for (int turn = 0; turn < 3; turn++) {
		sum = 0;
		for (int i = 0; i < 6; i++) {
			actor[i]->seed = lib_seed + turn * 6 + i;
			act_begin(actor[i], random_steps, 150);
		}
		for (int i = 0; i < 6; i++)
			act_end(actor[i]);
		for (int i = 0; i < 6; i++)
			sum += private_of(actor[i]->pid);
		ck_assert_uint_eq(pages(a), sum);
		ck_assert_uint_le(privvm(a, "maxheld"), bound);
	}
	for (int i = 0; i < 6; i++)
		act_begin(actor[i], random_steps, 150);
	/* at any moment */
	for (int i = 0; i < 6; i++)
		kill(actor[i]->pid, SIGKILL);
	for (int i = 0; i < 6; i++) {
		wait_for(actor[i]->pid);
		close(actor[i]->wire);
	}
	eventually(pages(a) == 0, SOON);
	/* children of theirs are init's to reap */
	eventually(strstr(read_file(at(a, "events")), "populated 0"), SOON);
	remove_all();
}
