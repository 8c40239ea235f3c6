// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounting: every option and error of DESIGN.md section 4, hierarchies side by
 * side, and what stays when a hierarchy is unmounted.
 */
#include "lib-log.h"
#include "lib-rebind.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define MAX_HIERARCHIES 64
/* A byte too long for name=. */
#define LONG_NAME "0123456789012345678901234567890123456789012345678901234567890123"

static int nr_hierarchies(void)
{
	struct hierarchy_row rows[MAX_HIERARCHIES];

	return read_hierarchies(rows, MAX_HIERARCHIES);
}

/* Every subsystem, as a mount option. */
static char *all_subsystems(void)
{
	struct subsystem_row rows[MAX_HIERARCHIES];
	int n = read_subsystems(rows, MAX_HIERARCHIES);
	char *list = strdup(rows[0].name);

	for (int i = 1; i < n; i++)
		ck_assert_int_gt(asprintf(&list, "%s,%s", list, rows[i].name), 0);
	return list;
}

/* The error of a mount, which must have changed nothing. */
static int mount_error(const char *options)
{
	int before = nr_hierarchies();
	char *dir;
	int err = try_mount(options, &dir);

	if (err)
		ck_assert_int_eq(nr_hierarchies(), before);
	return err;
}

#define says(wanted, word, ...)							\
	do {									\
		const char *options_[] = { __VA_ARGS__, NULL };			\
		char log_[2048];						\
		expect(mount_logged(options_, log_, sizeof(log_)), wanted);	\
		ck_assert_msg(strstr(log_, word), "the log says \"%s\", wanted \"%s\" in it", \
			      log_, word);					\
	} while (0)

TEST(mount_unknown_subsystem_is_enoent)
{
	expect(mount_error("nosuch"), ENOENT);
	expect(mount_error("cpuacct,nosuch"), ENOENT);
	expect(mount_error("nosuch,cpuacct"), ENOENT);
	expect(mount_error("cpuacc"), ENOENT);
	expect(mount_error("cpuacctx"), ENOENT);
	expect(mount_error("CPUACCT"), ENOENT);
	/* and nothing of the list was kept busy: 2006 lost the slot here */
	mount_hierarchy("cpuacct");
}

TEST(mount_empty_word_is_einval)
{
	expect(mount_error("cpuacct,,memory"), EINVAL);
	expect(mount_error(",cpuacct"), EINVAL);
	expect(mount_error("cpuacct,"), EINVAL);
	expect(mount_error(","), EINVAL);
}

TEST(mount_words_that_do_not_go_together)
{
	expect(mount_error("none"), EINVAL);
	expect(mount_error("none,cpuacct,name=x"), EINVAL);
	expect(mount_error("none,all,name=x"), EINVAL);
	expect(mount_error("all,cpuacct"), EINVAL);
	expect(mount_error("cpuacct,name=x"), EINVAL);
	expect(mount_error("none,name="), EINVAL);
	expect(mount_error("none,name=x,name=y"), EINVAL);
	expect(mount_error("none,name"), EINVAL);
	expect(mount_error("none,name=a:b"), EINVAL);
	expect(mount_error("none,name=a b"), EINVAL);
	expect(mount_error("none,name=a\nb"), EINVAL);
	expect(mount_error("cpuacct=1"), EINVAL);
	expect(mount_error("cpuacct="), EINVAL);
	expect(mount_error("none=,name=x"), EINVAL);
	expect(mount_error("none,noprefix=1,name=x"), EINVAL);
	expect(mount_error("none,name=" LONG_NAME), EINVAL);
}

TEST(mount_unknown_option_is_an_error)
{
	expect(mount_error("cpuacct,release_agents=/bin/true"), EINVAL);
	expect(mount_error("cpuacct,release_agents"), ENOENT);
	expect(mount_error("cpuacct,release_agent"), EINVAL);
}

TEST(mount_bound_elsewhere_is_ebusy)
{
	char *dir = mount_hierarchy("cpuacct");

	expect(mount_error(all_subsystems()), EBUSY);
	expect(make_dir(at(dir, "still_works")), 0);
	expect(remove_dir(at(dir, "still_works")), 0);
	expect(unmount(dir), 0);
	mount_hierarchy(all_subsystems());
	expect(mount_error("cpuacct"), EBUSY);
}

TEST(mount_log_names_the_wrong_word)
{
	says(ENOENT, "no subsystem 'nosuch'", "cpuacct", "nosuch");
	says(EINVAL, "an option is empty", "cpuacct", "");
	says(EINVAL, "'none' needs name=", "none");
	says(EINVAL, "name= needs 'none'", "cpuacct", "name=x");
	says(EINVAL, "'all' does not go with names", "all", "cpuacct");
	says(EINVAL, "'none' does not go with subsystems", "none", "name=x", "cpuacct");
	says(EINVAL, "'none' does not go with subsystems", "none", "name=x", "all");
	says(EINVAL, "'cpuacct' takes no value", "cpuacct=3");
	says(EINVAL, "'noprefix' takes no value", "cpuacct", "noprefix=");
	says(EINVAL, "name= is empty", "none", "name=");
	says(EINVAL, "name= is given twice", "none", "name=x", "name=x");
	says(EINVAL, "'name' needs a value: name=", "none", "name");
	says(EINVAL, "name= has a ':' (0x3a) in it", "none", "name=a:b");
	says(EINVAL, "'release_agent' needs a value: release_agent=", "cpuacct", "release_agent");
	says(EINVAL, LONG_NAME " is longer than 63 bytes", "none", "name=" LONG_NAME);
	says(EINVAL, "release_agent=bin/x is no absolute path", "cpuacct", "release_agent=bin/x");
	says(EINVAL, "release_agent= is given twice", "cpuacct", "release_agent=/a", "release_agent=/a");
	ck_assert_int_eq(nr_hierarchies(), 0);
	mount_hierarchy("cpuacct");
	says(EBUSY, "cpuacct", "cpuacct", "memory");
	says(EBUSY, "noprefix", "cpuacct", "noprefix");
	/* and the rest is still to be had */
	mount_hierarchy("all");
}

TEST(mount_log_says_when_nothing_is_left)
{
	mount_hierarchy("cpuacct");
	mount_hierarchy("all");
	says(EBUSY, "every subsystem", "all");
}

TEST(mount_same_set_is_the_same_tree)
{
	char *one = mount_hierarchy("cpuacct,memory"), *two = mount_hierarchy("memory,cpuacct");
	struct stat a, b;

	ck_assert_int_eq(nr_hierarchies(), 1);
	expect(make_dir(at(one, "made_in_one")), 0);
	ck_assert(exists(at(two, "made_in_one/tasks")));
	ck_assert_int_eq(stat(one, &a) | stat(two, &b), 0);
	ck_assert_uint_eq(a.st_dev, b.st_dev);
	ck_assert_uint_eq(a.st_ino, b.st_ino);
	expect(remove_dir(at(two, "made_in_one")), 0);
	ck_assert(!exists(at(one, "made_in_one")));
	/* the tree lives as long as one of its mounts */
	expect(unmount(one), 0);
	ck_assert_int_eq(nr_hierarchies(), 1);
	expect(make_dir(at(two, "a")), 0);
	expect(remove_dir(at(two, "a")), 0);
}

static void check_all(const char *options)
{
	struct subsystem_row rows[MAX_HIERARCHIES];
	char *dir = mount_hierarchy(options), *again;
	int n = read_subsystems(rows, MAX_HIERARCHIES);

	ck_assert_int_ge(n, 2);
	/* these must be asked for by name */
	for (int i = 0; i < n; i++)
		ck_assert_msg(rows[i].hierarchy == !in_list("ns,cpuset,memset,bc,cpu", rows[i].name),
			      "%s is in hierarchy %d", rows[i].name, rows[i].hierarchy);
	ck_assert(exists(at(dir, "cpuacct.usage")));
	ck_assert(exists(at(dir, "memory.page_limit")) || exists(at(dir, "memory.stat")));
	/* all of them again is the same set, not "none left" */
	again = mount_hierarchy(options);
	expect(make_dir(at(dir, "a")), 0);
	ck_assert(exists(at(again, "a")));
	expect(remove_dir(at(dir, "a")), 0);
}

TEST(mount_all)
{
	check_all("all");
}

TEST(mount_without_options_is_all)
{
	check_all(NULL);
}

TEST(mount_with_an_empty_string_is_all)
{
	check_all("");
}

TEST(mount_all_takes_what_is_left)
{
	char *one = mount_hierarchy("cpuacct"), *rest = mount_hierarchy("all");

	ck_assert(!exists(at(rest, "cpuacct.usage")));
	ck_assert(exists(at(rest, "memory.stat")));
	ck_assert(!exists(at(one, "memory.stat")));
	ck_assert_int_ne(hierarchy_of("cpuacct").id, hierarchy_of("memory").id);
	expect(mount_error("all"), EBUSY);
	expect(mount_error(NULL), EBUSY);
}

TEST(hierarchies_side_by_side)
{
	char *a = mount_hierarchy("cpuacct"), *b = mount_hierarchy("memory"),
	     *c = mount_hierarchy("none,name=c");

	ck_assert_int_eq(nr_hierarchies(), 3);
	expect(make_dir(at(a, "x")), 0);
	ck_assert(!exists(at(b, "x")));
	ck_assert(!exists(at(c, "x")));
	ck_assert(!exists(at(c, "cpuacct.usage")));
	ck_assert(exists(at(c, "tasks")));
	ck_assert(exists(at(c, "procs")));
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 2);
	ck_assert_int_eq(hierarchy_of("memory").containers, 1);
	expect(remove_dir(at(a, "x")), 0);
}

TEST(mount_named)
{
	char *one = mount_hierarchy("none,name=one"), *two = mount_hierarchy("name=two,none"),
	     *again = mount_hierarchy("none,name=one");

	ck_assert_int_eq(nr_hierarchies(), 2);
	expect(make_dir(at(one, "a")), 0);
	ck_assert(exists(at(again, "a")));
	ck_assert(!exists(at(two, "a")));
	ck_assert_int_ne(hierarchy_of("name=one").id, hierarchy_of("name=two").id);
	expect(remove_dir(at(one, "a")), 0);
}

TEST(mount_noprefix)
{
	char *dir = mount_hierarchy("cpuacct,noprefix");

	ck_assert(exists(at(dir, "usage")));
	ck_assert(!exists(at(dir, "cpuacct.usage")));
	expect(make_dir(at(dir, "a")), 0);
	ck_assert_uint_eq(read_u64(at(dir, "a/usage")), 0);
	ck_assert(exists(at(dir, "a/tasks")));
	expect(remove_dir(at(dir, "a")), 0);
	/* the tree has one way to name its files */
	expect(mount_error("cpuacct"), EBUSY);
	mount_hierarchy("cpuacct,noprefix");
}

TEST(mount_noprefix_clash_is_eexist)
{
	/* both have a file `stat` */
	expect(mount_error("cpuacct,memory,noprefix"), EEXIST);
	says(EEXIST, "stat", "cpuacct", "memory", "noprefix");
	/* nor may it be one that each container has */
	expect(mount_error("bc,noprefix"), EEXIST);
	says(EEXIST, "events", "bc", "noprefix");
	/* what is not in the root, where it is mounted, would be in the way of the first mkdir */
	expect(mount_error("memory,noprefix"), EEXIST);
	says(EEXIST, "events", "memory", "noprefix");
	mount_hierarchy("cpuacct,memory");
}

/* What the kernel was built with. */
static int max_hierarchies(void)
{
	FILE *config = popen("zcat /proc/config.gz", "r");
	char line[256];
	int max = 0;

	ck_assert_ptr_nonnull(config);
	while (fgets(line, sizeof(line), config))
		sscanf(line, "CONFIG_MAX_CONTAINER_HIERARCHIES=%d", &max);
	pclose(config);
	ck_assert_msg(max > 0, "/proc/config.gz does not have CONFIG_MAX_CONTAINER_HIERARCHIES");
	return max;
}

TEST(mount_no_slot_is_enospc)
{
	int max = max_hierarchies();
	char options[64], *first = NULL;

	for (int i = 0; i < max; i++) {
		sprintf(options, "none,name=h%d", i);
		first = first ? first : mount_hierarchy(options);
		mount_hierarchy(options);
	}
	ck_assert_int_eq(nr_hierarchies(), max);
	expect(mount_error("none,name=one_too_many"), ENOSPC);
	expect(mount_error("cpuacct"), ENOSPC);
	says(ENOSPC, "CONFIG_MAX_CONTAINER_HIERARCHIES", "cpuacct");
	/* an existing one still can be mounted; a slot that was given up is free */
	mount_hierarchy("none,name=h1");
	expect(unmount(first), 0);
	expect(unmount(first), EINVAL);
}

TEST(mount_slot_is_reused)
{
	char *dir;

	for (int i = 0; i < 3 * max_hierarchies(); i++) {
		dir = mount_hierarchy("none,name=again");
		ck_assert_int_eq(hierarchy_of("name=again").id, 1);
		expect(unmount(dir), 0);
		eventually(nr_hierarchies() == 0, 5);
	}
}

TEST(mount_refusals_cost_no_slot)
{
	for (int i = 0; i < 3 * max_hierarchies(); i++) {
		expect(mount_error("cpuacct,nosuch"), ENOENT);
		expect(mount_error("cpuacct,memory,noprefix"), EEXIST);
	}
	mount_hierarchy("cpuacct,memory");
	mount_hierarchy("none,name=x");
}

static void burn_then_sleep(void *arg __attribute__((unused)))
{
	burn_ms(50);
	for (;;)
		pause();
}

TEST(umount_keeps_a_tree_with_children)
{
	char *dir = mount_hierarchy("cpuacct"), *again;
	pid_t pid;

	expect(make_dir(at(dir, "kept")), 0);
	expect(make_dir(at(dir, "kept/below")), 0);
	pid = start_in(at(dir, "kept/below"), burn_then_sleep, NULL);
	expect(unmount(dir), 0);

	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 3);
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/kept/below");
	expect(mount_error(all_subsystems()), EBUSY);

	again = mount_hierarchy("cpuacct");
	ck_assert(has_line(at(again, "kept/below/tasks"), pid));
	eventually(read_u64(at(again, "kept/below/cpuacct.usage")) > 0, 5);
	stop(pid);
	expect(remove_dir(at(again, "kept/below")), 0);
	expect(remove_dir(at(again, "kept")), 0);
	expect(unmount(again), 0);
	eventually(nr_hierarchies() == 0, 5);
}

TEST(umount_frees_the_subsystems)
{
	char *dir = mount_hierarchy("cpuacct,memory");

	expect(unmount(dir), 0);
	eventually(nr_hierarchies() == 0, 5);
	mount_hierarchy("cpuacct");
	mount_hierarchy("memory");
	ck_assert_int_eq(nr_hierarchies(), 2);
}

TEST(umount_while_a_file_is_open_is_ebusy)
{
	char *dir = mount_hierarchy("cpuacct");
	int fd = open(at(dir, "tasks"), O_RDONLY);

	ck_assert_int_ge(fd, 0);
	expect(unmount(dir), EBUSY);
	close(fd);
	expect(unmount(dir), 0);
}

TEST(lazy_umount_leaves_nothing)
{
	char *dir = mount_hierarchy("cpuacct"), text[16];
	int fd = open(at(dir, "cpuacct.usage"), O_RDONLY);

	expect(umount2(dir, MNT_DETACH) ? errno : 0, 0);
	ck_assert_int_gt(read(fd, text, sizeof(text)), 0);
	close(fd);
	eventually(nr_hierarchies() == 0, 5);
}

TEST(statfs_magic)
{
	char *dir = mount_hierarchy("none,name=m");
	struct statfs s;

	ck_assert_int_eq(statfs(dir, &s), 0);
	ck_assert_uint_eq((unsigned long)s.f_type, 0x27e0eb);
}

/* The options field of DIR in /proc/self/mounts. */
static char *shown_options(const char *dir)
{
	char *text = read_file("/proc/self/mounts"), *line, *p = text;
	static char where[512], type[64], options[512];

	while ((line = strsep(&p, "\n")))
		if (sscanf(line, "%*s %511s %63s %511s", where, type, options) == 3 &&
		    !strcmp(where, dir) && !strcmp(type, "container"))
			return options;
	ck_abort_msg("%s is not in /proc/self/mounts", dir);
	return NULL;
}

TEST(options_in_proc_mounts)
{
	char *set = mount_hierarchy("memory,cpuacct"), *named = mount_hierarchy("none,name=x");
	char *shown = shown_options(set);

	ck_assert_msg(in_list(shown, "cpuacct") && in_list(shown, "memory") &&
		      !in_list(shown, "noprefix"), "%s", shown);
	shown = shown_options(named);
	ck_assert_msg(in_list(shown, "none") && in_list(shown, "name=x"), "%s", shown);
	expect(unmount(set), 0);
	shown = shown_options(mount_hierarchy("cpuacct,noprefix"));
	ck_assert_msg(in_list(shown, "cpuacct") && in_list(shown, "noprefix"), "%s", shown);
}

TEST(options_shown_mount_the_same_tree)
{
	char *set = mount_hierarchy("none,name=round.trip"), *shown = strdup(shown_options(set));
	char *words = strchr(shown, ',');

	/* "rw,relatime,none,name=..": what follows the generic ones */
	words = strstr(shown, "none,");
	ck_assert_ptr_nonnull(words);
	mount_hierarchy(words);
	ck_assert_int_eq(nr_hierarchies(), 1);
}

/* rebind.c has the rest. */
TEST(remount_same_passes_another_kind_is_ebusy)
{
	char *dir = mount_hierarchy("cpuacct");

	expect(remount(dir, "cpuacct"), 0);
	expect(remount(dir, NULL), 0);
	expect(remount(dir, "cpuacct,noprefix"), EBUSY);
	expect(remount(dir, "nosuch"), ENOENT);
	ck_assert(exists(at(dir, "cpuacct.usage")));
	ck_assert(!exists(at(dir, "memory.stat")));
	ck_assert_int_eq(hierarchy_of("memory").id, 0);
}

TEST(remount_read_only)
{
	char *dir = mount_hierarchy("cpuacct");

	expect(mount("none", dir, "container", MS_REMOUNT | MS_RDONLY, NULL) ? errno : 0, 0);
	expect(make_dir(at(dir, "a")), EROFS);
	expect(remount(dir, NULL), 0);
	expect(make_dir(at(dir, "a")), 0);
	expect(remove_dir(at(dir, "a")), 0);
}

/* root of a user namespace, with a mount namespace of its own, whose mounts it may change */
static void mount_as_inner_root(void *arg)
{
	int fs = fsopen("container", 0);

	expect(unshare(CLONE_NEWUSER | CLONE_NEWNS) ? errno : 0, 0);
	expect(mount("none", arg, "tmpfs", 0, NULL) ? errno : 0, 0);
	expect(mount("none", arg, "container", 0, "cpuacct") ? errno : 0, EPERM);
	/* what was opened before is no way around it */
	if (fs >= 0 && !fsconfig(fs, FSCONFIG_SET_FLAG, "cpuacct", NULL, 0))
		expect(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) ? errno : 0, EPERM);
	else
		ck_abort_msg("fsopen, fsconfig: %s", error_name(errno));
}

TEST(mount_is_not_for_an_inner_root)
{
	finish(start(mount_as_inner_root, new_dir()));
	ck_assert_int_eq(nr_hierarchies(), 0);
}

static void mount_as_nobody(void *arg)
{
	char *dir = arg;

	ck_assert_int_eq(setresgid(65534, 65534, 65534) | setresuid(65534, 65534, 65534), 0);
	expect(mount("none", dir, "container", 0, "cpuacct") ? errno : 0, EPERM);
}

TEST(mount_needs_privilege)
{
	finish(start(mount_as_nobody, new_dir()));
	ck_assert_int_eq(nr_hierarchies(), 0);
}

TEST(source_is_ignored_and_shown)
{
	char *dir = new_dir(), *mounts;

	expect(mount("a_device", dir, "container", 0, "none,name=s") ? errno : 0, 0);
	mounts = read_file("/proc/self/mounts");
	ck_assert_ptr_nonnull(strstr(mounts, "a_device "));
}

TEST(type_is_in_proc_filesystems)
{
	ck_assert_ptr_nonnull(strstr(read_file("/proc/filesystems"), "nodev\tcontainer\n"));
	/* the place for it in sysfs, as other kernel file systems have theirs */
	ck_assert(exists("/sys/fs/container"));
}
