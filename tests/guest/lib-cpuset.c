// SPDX-License-Identifier: GPL-2.0-only
/* Verbs of the suites about cpuset; see lib-cpuset.h. */
#include "lib-cpuset.h"

#include <sched.h>
#include <sys/mman.h>

int nr_cpus(void)
{
	return sysconf(_SC_NPROCESSORS_CONF);
}

unsigned int all_cpus(void)
{
	return (1u << nr_cpus()) - 1;
}

char *cpus_text(unsigned int cpus)
{
	char *text = calloc(1, 256);
	int first, cpu, len = 0;

	for (cpu = 0; cpu < 32; cpu++) {
		if (!(cpus & 1u << cpu))
			continue;
		for (first = cpu; cpu < 31 && cpus & 1u << (cpu + 1); cpu++)
			;
		len += sprintf(text + len, first == cpu ? "%s%d" : "%s%d-%d", len ? "," : "", first,
			       cpu);
	}
	return text;
}

unsigned int cpus_of_text(const char *text)
{
	unsigned int cpus = 0;
	int first, last, len;

	while (sscanf(text, "%d%n", &first, &len) == 1) {
		text += len;
		last = first;
		if (*text == '-') {
			ck_assert_int_eq(sscanf(text + 1, "%d%n", &last, &len), 1);
			text += len + 1;
		}
		for (int cpu = first; cpu <= last; cpu++)
			cpus |= 1u << cpu;
		text += *text == ',';
	}
	ck_assert_msg(!*text || *text == '\n', "no list of CPUs, at \"%s\"", text);
	return cpus;
}

void takes_only_lists(const char *file, int count)
{
	static const struct {
		const char *text;
		int error;
	} lists[] = {
		{ "x", EINVAL }, { "0x0", EINVAL }, { "0-", EINVAL }, { "-1", EINVAL },
		{ "-0", EINVAL }, { "1-0", EINVAL }, { "0 - 0", EINVAL }, { "0;0", EINVAL },
		{ "\n", ENOSPC }, { " ", ENOSPC }, { ",", ENOSPC }, { ",,,", ENOSPC },
		{ "8", ERANGE }, { "0,8", ERANGE }, { "0-8", ERANGE }, { "0-64", ERANGE },
		{ "100000", ERANGE }, { "4294967296", ERANGE }, { "18446744073709551616", ERANGE },
	};
	char *many = malloc(5000), *past;

	for (unsigned int i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		int err = write_file(file, lists[i].text);

		ck_assert_msg(err == lists[i].error, "\"%s\": got %s, wanted %s", lists[i].text,
			      error_name(err), error_name(lists[i].error));
		ck_assert_str_eq(read_file(file), "0\n");
	}
	/* the first number that this machine has not got */
	ck_assert_int_gt(asprintf(&past, "0-%d", count), 0);
	expect(write_file(file, past), ERANGE);
	expect(write_file(file, past + 2), ERANGE);
	memset(many, ',', 5000);
	many[4096] = 0;
	expect(write_file(file, many), ENOSPC);
	many[4096] = ',';
	many[4097] = 0;
	expect(write_file(file, many), E2BIG);
	ck_assert_str_eq(read_file(file), "0\n");
	/* commas too many are none */
	expect(write_file(file, ",0,,0-0,"), 0);
	ck_assert_str_eq(read_file(file), "0\n");
}

int set_cpus(const char *container, unsigned int cpus)
{
	char *path = at(container, "cpuset.cpus"), *text;
	int err;

	ck_assert_int_gt(asprintf(&text, "%s\n", cpus_text(cpus)), 0);
	err = write_file(path, text);
	free(text);
	free(path);
	return err;
}

unsigned int get_cpus(const char *container)
{
	return cpus_of_text(read_file(at(container, "cpuset.cpus")));
}

unsigned int affinity(pid_t tid)
{
	unsigned int cpus = 0;
	cpu_set_t set;

	if (sched_getaffinity(tid, sizeof(set), &set)) {
		ck_assert_int_eq(errno, ESRCH);
		return 0;
	}
	for (int cpu = 0; cpu < 32; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus |= 1u << cpu;
	return cpus;
}

int set_affinity(pid_t tid, unsigned int cpus)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < 32; cpu++)
		if (cpus & 1u << cpu)
			CPU_SET(cpu, &set);
	return sched_setaffinity(tid, sizeof(set), &set) ? errno : 0;
}

void bound_to(pid_t pid, unsigned int cpus)
{
	char *status = read_file(at("/proc", "%d/status", pid)), *line;

	ck_assert_msg(affinity(pid) == cpus, "affinity of %d is %s, wanted %s", pid,
		      cpus_text(affinity(pid)), cpus_text(cpus));
	line = strstr(status, "Cpus_allowed_list:\t");
	ck_assert_ptr_nonnull(line);
	line = strchr(line, '\t') + 1;
	ck_assert_uint_eq(cpus_of_text(strsep(&line, "\n")), cpus);
}

int processor(pid_t pid)
{
	char *p = strrchr(read_file(at("/proc", "%d/stat", pid)), ')');

	/* what follows the name is field 3 */
	for (int field = 2; p && field < 39; field++)
		p = strchr(p + 1, ' ');
	ck_assert_ptr_nonnull(p);
	return atoi(p + 1);
}

static void run_in_circles(void *arg)
{
	struct loop *l = arg;
	unsigned int cpu;

	for (;;) {
		if (!getcpu(&cpu, NULL))
			atomic_fetch_or(&l->seen, 1u << cpu);
		atomic_fetch_add(&l->rounds, 1);
	}
}

void wait_for_rounds(struct loop *l)
{
	unsigned long before = atomic_load(&l->rounds);

	eventually(atomic_load(&l->rounds) >= before + 2, 20);
}

struct loop *loop_in(const char *container)
{
	struct loop *l = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(l, MAP_FAILED);
	l->pid = start_in(container, run_in_circles, l);
	wait_for_rounds(l);
	return l;
}

void runs_only_on(struct loop *l, unsigned int cpus)
{
	unsigned int seen;

	/* it is always on a runqueue, so that its CPU is where it will run next */
	for (int i = 0; i < 20; i++) {
		int cpu = processor(l->pid);

		ck_assert_msg(cpus & 1u << cpu, "%d is on CPU %d, wanted %s", l->pid, cpu,
			      cpus_text(cpus));
		if (!i) {
			wait_for_rounds(l);
			atomic_store(&l->seen, 0);
		}
		usleep(1000);
	}
	wait_for_rounds(l);
	seen = atomic_load(&l->seen);
	ck_assert_msg(!(seen & ~cpus), "%d has run on %s, wanted %s", l->pid, cpus_text(seen),
		      cpus_text(cpus));
}

void loop_end(struct loop *l)
{
	stop(l->pid);
	munmap(l, 4096);
}
