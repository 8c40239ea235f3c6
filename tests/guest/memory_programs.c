// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory: programs of this machine in a container that is far too small for them say, to the byte, what
 * they say without a limit; and one that only grows is killed, and nobody else.
 * (uml-run --swap 256M) (jobs 1 1@debug)
 *
 * Sizes are multiples of SCENARIO_SCALE (1), which `./uml check --long scenarios` sets. Nothing depends on how fast
 * anything is: each program ends, or the test's time limit says that it does not.
 *
 * Files are on a disk of their own (ext4), so that they are read and written through the page cache of
 * whoever runs the program; all of its pages are forgotten between two runs.
 */
#include "accounting.h"
#include "lib-memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define DISK "/tmp/disk"
#define MB_PAGES (1024 * 1024 / PAGE)
/*
 * What one system call brings in before the handler gets its turn: with POSIX_FADV_SEQUENTIAL, which sort asks for, a
 * window of readahead is twice the 128 KB of the disk's read_ahead_kb, and one read(2) can begin two.
 */
#define SLACK (MB_PAGES / 2)

static unsigned long scale(void)
{
	const char *text = getenv("SCENARIO_SCALE");

	return text && atoi(text) > 0 ? atoi(text) : 1;
}

static unsigned long usage(const char *dir)
{
	return anon_pages(dir) + file_pages(dir);
}

static void shell(void *command)
{
	execl("/bin/sh", "sh", "-c", command, NULL);
	_exit(127);
}

/* The wait status of COMMAND, on the disk, in DIR; *MOST: the highest usage that was seen. */
static int run_in(const char *dir, char *command, unsigned long *most)
{
	pid_t pid = start_in(dir, shell, command);
	unsigned long seen;
	int status;

	*most = 0;
	while (!waitpid(pid, &status, WNOHANG)) {
		seen = usage(dir);
		*most = seen > *most ? seen : *most;
		usleep(20000);
	}
	return status;
}

/* Of the input not one may stay: its owner is who brings the first page in. */
static void forget_pages(const char *input)
{
	sync();
	expect(write_file("/proc/sys/vm/drop_caches", "1\n"), 0);
	if (!input)
		return;
	drop_cached(input);
	drain_batches();
	ck_assert_uint_eq(cached_pages(input), 0);
}

static unsigned long pages_of(const char *path)
{
	struct stat st;

	ck_assert_msg(!stat(path, &st), "%s: %s", path, error_name(errno));
	return (st.st_size + PAGE - 1) / PAGE;
}

/* A program that there is not must not look like one that the kernel broke. */
static void need_program(const char *path, const char *package)
{
	ck_assert_msg(!access(path, X_OK), "%s is missing; cure: apt-get install %s", path, package);
}

static unsigned long freed_by_handler(const char *dir)
{
	return stat_of(dir, "invalidated") + stat_of(dir, "reclaimed");
}

/*
 * COMMAND makes the file $WHO.out: once in a container without a limit, as "free", and once as
 * "job" with a limit of so many pages. The INPUT, which only the program reads, has been charged to the container page
 * by page, so what of it is above the limit was freed for it.
 */
static void same_with_limit(const char *command, unsigned long limit, const char *input)
{
	char *root = mount_memory(), *free_dir = container(root, "free"), text[32];
	char *line = at("", "cd " DISK "; export LC_ALL=C WHO=%s; %s", "free", command) + 1, *job;
	unsigned long most_free, most, bound;
	double began = now(), took;
	unsigned long had = input ? pages_of(input) : 0;
	int status;

	snprintf(text, sizeof(text), "%lu", limit);
	forget_pages(input);
	status = run_in(free_dir, line, &most_free);
	ck_assert_msg(!status, "without a limit: status 0x%x of %s", status, line);
	took = now() - began;
	job = container_with(root, "job", text, NULL);
	line = at("", "cd " DISK "; export LC_ALL=C WHO=%s; %s", "job", command) + 1;
	forget_pages(input);
	began = now();
	status = run_in(job, line, &most);
	ck_assert_msg(!status, "with a limit: status 0x%x of %s", status, line);
	printf("# without a limit %.1f s and %lu pages at most, with one of %lu: %.1f s, %lu\n", took,
	       most_free, limit, now() - began, most);
	ck_assert_int_eq(system("cmp " DISK "/free.out " DISK "/job.out"), 0);
	ck_assert_uint_gt(stat_of(job, "scanned"), 0);
	bound = limit + limit / 8 + stat_of(job, "unflushed_bound");
	ck_assert_uint_le(most, bound + SLACK);
	/* what its last charges left is worked off by a kernel thread */
	sync();
	eventually(usage(job) <= bound, 30);
	eventually(freed_by_handler(job) + bound >= had, 30);
	/* all was being written at times, and that is no reason to stop */
	ck_assert_msg(!stat_of(job, "giveups"), "it gave up; stat: %s", read_file(at(job, "memory.stat")));
	forget_pages(NULL);
	expect(remove_dir(job), 0);
	expect(remove_dir(free_dir), 0);
}

/* Lines of 64 bytes in no order. */
static void make_lines(const char *path, unsigned long pages)
{
	FILE *f = fopen(path, "w");
	uint64_t x = 1;

	ck_assert_msg(f, "%s: %s", path, error_name(errno));
	for (unsigned long i = 0; i < pages * (PAGE / 64); i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		fprintf(f, "%016llx %020lu %025llx\n", (unsigned long long)x, i, (unsigned long long)x >> 7);
	}
	ck_assert_int_eq(fclose(f), 0);
}

TEST_LIMIT(sort_of_four_times_the_limit, 170)
{
	unsigned long limit = 2 * MB_PAGES * scale();

	need_program("/usr/bin/sort", "coreutils");
	make_disk(64 * scale());
	make_lines(DISK "/lines", 4 * limit);
	ck_assert_uint_ge(pages_of(DISK "/lines"), 4 * limit);
	same_with_limit(at("", "sort -S %luM -T . -o $WHO.out lines", scale()) + 1, limit, DISK "/lines");
	ck_assert_int_eq(system("LC_ALL=C sort -c " DISK "/job.out"), 0);
}

TEST_LIMIT(python_with_twice_the_limit, 170)
{
	unsigned long mb = 12 * scale();

	need_program("/usr/bin/python3", "python3");
	make_disk(16);
	/* a list of random bytes, looked at from both ends */
	same_with_limit(at("", "/usr/bin/python3 -S -E -c '"
			   "import random, zlib; random.seed(1); "
			   "l = [random.randbytes(65536) for i in range(%lu)]; "
			   "print([zlib.crc32(x) for x in l] + [zlib.crc32(x) for x in reversed(l)])"
			   "' >$WHO.out", mb * 16) + 1, mb * MB_PAGES / 2, NULL);
}

TEST_LIMIT(gcc_of_a_large_file, 170)
{
	FILE *f;

	need_program("/usr/bin/gcc", "build-essential");
	make_disk(64 * scale());
	f = fopen(DISK "/large.c", "w");
	ck_assert_ptr_ne(f, NULL);
	for (unsigned long i = 0; i < 300 * scale(); i++)
		fprintf(f, "long f%lu(long a, long b)\n{\n\tfor (long i = 0; i < a; i++) {\n"
			"\t\tswitch ((a + i) %% 5) {\n\t\tcase 0: b += a * %lu; break;\n"
			"\t\tcase 1: b ^= a >> 3; break;\n\t\tcase 2: b -= i * i; break;\n"
			"\t\tdefault: b = b * 31 + i;\n\t\t}\n\t}\n\treturn b;\n}\n", i, i * 7 + 1);
	ck_assert_int_eq(fclose(f), 0);
	/* cc1 takes 50 MB, a third of which is the compiler itself, and 100 KB for each function */
	same_with_limit("TMPDIR=. gcc -O1 -c -o $WHO.out large.c", (16 + 8 * scale()) * MB_PAGES, NULL);
}

TEST_LIMIT(sqlite_with_twice_the_limit, 170)
{
	unsigned long limit = 4 * MB_PAGES * scale();

	need_program("/usr/bin/sqlite3", "sqlite3");
	make_disk(80 * scale());
	same_with_limit(at("", "sqlite3 $WHO.db \""
			   "create table t(a integer primary key, b text, c int);"
			   "with recursive n(i) as (select 1 union all select i + 1 from n where i < %lu) "
			   "insert into t select i, printf('%%032d %%d', i * 48271, i), i * 7919 %% 100003 from n;"
			   "create index by_c on t(c);"
			   "update t set b = b || 'x' where c %% 7 = 3;"
			   "delete from t where c %% 11 = 5;"
			   "pragma integrity_check;"
			   "select c, count(*), min(b), max(b) from t group by c order by max(b) limit 5000;"
			   "\" >$WHO.out", 150000 * scale()) + 1, limit, NULL);
	ck_assert_uint_ge(pages_of(DISK "/job.db"), 2 * limit);
	ck_assert_int_eq(system("cmp " DISK "/free.db " DISK "/job.db && grep -q '^ok$' " DISK "/job.out"), 0);
}

TEST_LIMIT(tar_of_a_tree, 170)
{
	unsigned long limit = 4 * MB_PAGES * scale();

	need_program("/usr/bin/tar", "tar");
	make_disk(80 * scale());
	make_lines(DISK "/lines", 4 * limit);
	ck_assert_int_eq(system("cd " DISK "; mkdir tree; cd tree; split -a 5 -b 10000 ../lines; mkdir -p a/b/c; "
				"ln x* a; cp xaaaa* a/b; ln -s ../xaaaab a/b/c/link; rm ../lines"), 0);
	same_with_limit("tar --sort=name -cf $WHO.out tree", limit, NULL);
	ck_assert_int_eq(system("cd " DISK "; tar -df job.out"), 0);
}

/* The last one: there is no swap any more. */
TEST_LIMIT(python_that_only_grows_is_killed, 170)
{
	char *root = mount_memory(), *a = container_with(root, "a", NULL, "24M");
	char *b = container(root, "b");
	char *grow = "exec /usr/bin/python3 -S -E -c 'l = []\nwhile True: l.append(bytes(65536) + b\"x\")'";
	unsigned long most;
	struct actor *beside;
	int status;

	need_program("/usr/bin/python3", "python3");
	make_dir(DISK);
	no_swap();
	beside = actor_in(b);
	act(beside, touch, 1000);
	status = run_in(a, grow, &most);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "wait status 0x%x, wanted SIGKILL", status);
	ck_assert_uint_eq(stat_of(a, "ooms"), 1);
	ck_assert_uint_eq(stat_of(b, "ooms"), 0);
	ck_assert_ptr_ne(strstr(read_file(at(a, "why")), "python3"), NULL);
	/* who is beside it has lost nothing */
	ck_assert_uint_eq(resident(beside), 1000);
	act(beside, check, 0);
	dismiss(beside);
	expect(remove_dir(a), 0);
	expect(remove_dir(b), 0);
}
