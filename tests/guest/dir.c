// SPDX-License-Identifier: GPL-2.0-only
/*
 * Containers as directories: mkdir, rmdir, rename, the files in them, and what
 * a descriptor kept over rmdir is worth.
 */
#include "lib.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/stat.h>

static int subdirs_and_files(const char *dir, int *files)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int dirs = 0;

	ck_assert_ptr_nonnull(d);
	*files = 0;
	while ((e = readdir(d))) {
		if (e->d_type == DT_REG)
			++*files;
		else if (e->d_name[0] != '.')
			dirs++;
	}
	closedir(d);
	return dirs;
}

TEST(mkdir_makes_a_whole_container)
{
	char *root = mount_hierarchy("cpuacct,memory"), *a = at(root, "a");
	int in_root, in_child;

	expect(make_dir(a), 0);
	ck_assert_int_eq(subdirs_and_files(root, &in_root), 1);
	ck_assert_int_eq(subdirs_and_files(a, &in_child), 0);
	ck_assert_int_ge(in_child, 6);
	ck_assert_str_eq(read_file(at(a, "tasks")), "");
	ck_assert_str_eq(read_file(at(a, "procs")), "");
	ck_assert_uint_eq(read_u64(at(a, "cpuacct.usage")), 0);
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 2);
	expect(remove_dir(a), 0);
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 1);
	ck_assert(!exists(a));
}

TEST(what_comes_after_a_nul_counts)
{
	char *a = at(mount_hierarchy("cpuacct"), "a");
	int fd;

	expect(make_dir(a), 0);
	fd = open(at(a, "notify_on_release"), O_WRONLY);
	ck_assert_int_ge(fd, 0);
	expect(write(fd, "1\0002", 3) == 3 ? 0 : errno, EINVAL);
	close(fd);
	ck_assert_uint_eq(read_u64(at(a, "notify_on_release")), 0);
	expect(remove_dir(a), 0);
}

/* A file that chmod opens the wrong way has no callback there; it panicked once. */
TEST(chmod_gives_no_new_direction)
{
	char *dir = mount_hierarchy("cpuacct"), *a = at(dir, "a"), *text;

	expect(make_dir(a), 0);
	ck_assert_int_eq(chmod(at(a, "cpuacct.load"), 0644), 0);
	expect(write_file(at(a, "cpuacct.load"), "1"), EINVAL);
	ck_assert_uint_eq(read_u64(at(a, "cpuacct.load")), 0);
	ck_assert_int_eq(chmod(at(a, "kill"), 0644), 0);
	expect(try_read(at(a, "kill"), &text), EINVAL);
	expect(remove_dir(a), 0);
}

TEST(mkdir_errors)
{
	char *root = mount_hierarchy("none,name=d"), name[400];

	expect(make_dir(at(root, "a")), 0);
	expect(make_dir(at(root, "a")), EEXIST);
	expect(make_dir(at(root, "tasks")), EEXIST);
	expect(make_dir(at(root, "no/parent")), ENOENT);
	expect(make_dir(at(root, "tasks/below_a_file")), ENOTDIR);
	expect(make_dir(at(root, "a\nb")), EINVAL);
	memset(name, 'n', sizeof(name));
	name[256] = 0;
	expect(make_dir(at(root, "%s", name)), ENAMETOOLONG);
	name[255] = 0;
	expect(make_dir(at(root, "%s", name)), 0);
	ck_assert_int_eq(hierarchy_of("name=d").containers, 3);
	expect(remove_dir(at(root, "%s", name)), 0);
	expect(remove_dir(at(root, "a")), 0);
}

TEST(mkdir_as_deep_as_a_path)
{
	char *root = mount_hierarchy("cpuacct"), *dir = root;
	pid_t pid;

	for (int i = 0; i < 64; i++)
		expect(make_dir(dir = at(dir, "level%d", i)), 0);
	pid = sleeper_in(dir);
	ck_assert_int_eq(strlen(container_of_pid(pid, "cpuacct")), strlen(dir) - strlen(root));
	stop(pid);
	for (int i = 0; i < 64; i++) {
		expect(remove_dir(dir), 0);
		*strrchr(dir, '/') = 0;
	}
}

TEST(rmdir_with_tasks_is_ebusy)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	pid = sleeper_in(a);
	expect(remove_dir(a), EBUSY);
	ck_assert(has_line(at(a, "tasks"), pid));
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/a");
	expect(move_to(root, pid), 0);
	expect(remove_dir(a), 0);
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/");
	stop(pid);
}

TEST(rmdir_with_children_is_ebusy)
{
	char *root = mount_hierarchy("cpuacct");

	expect(make_dir(at(root, "a")), 0);
	expect(make_dir(at(root, "a/b")), 0);
	expect(remove_dir(at(root, "a")), EBUSY);
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 3);
	ck_assert(exists(at(root, "a/b/tasks")));
	expect(remove_dir(at(root, "a/b")), 0);
	expect(remove_dir(at(root, "a")), 0);
}

TEST(rmdir_works_when_the_task_is_a_zombie)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	pid_t pid;

	expect(make_dir(a), 0);
	pid = sleeper_in(a);
	kill(pid, SIGKILL);
	/* not waited for: it is a zombie, and in no container */
	eventually(!has_line(at(a, "tasks"), pid), 5);
	expect(remove_dir(a), 0);
	wait_for(pid);
}

TEST(rmdir_errors)
{
	char *root = mount_hierarchy("cpuacct");

	expect(remove_dir(at(root, "nosuch")), ENOENT);
	expect(remove_dir(at(root, "tasks")), ENOTDIR);
	expect(remove_dir(root), EBUSY);
	ck_assert(exists(at(root, "tasks")));
}

TEST(name_is_reusable_at_once)
{
	char *root = mount_hierarchy("cpuacct,memory"), *a = at(root, "a");

	for (int i = 0; i < 200; i++) {
		expect(make_dir(a), 0);
		ck_assert_uint_eq(read_u64(at(a, "cpuacct.usage")), 0);
		expect(remove_dir(a), 0);
	}
	eventually(no_dying("cpuacct"), 10);
}

TEST(rename_within_the_parent)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), *b = at(root, "b");
	pid_t pid;

	expect(make_dir(a), 0);
	expect(make_dir(at(a, "below")), 0);
	pid = sleeper_in(at(a, "below"));
	expect(rename_dir(a, b), 0);
	ck_assert(!exists(a));
	ck_assert(has_line(at(b, "below/tasks"), pid));
	ck_assert_str_eq(container_of_pid(pid, "cpuacct"), "/b/below");
	expect(make_dir(a), 0);
	expect(remove_dir(a), 0);
	stop(pid);
	expect(remove_dir(at(b, "below")), 0);
	expect(remove_dir(b), 0);
}

TEST(rename_errors)
{
	char *root = mount_hierarchy("cpuacct"), *other = mount_hierarchy("memory");

	expect(make_dir(at(root, "a")), 0);
	expect(make_dir(at(root, "b")), 0);
	expect(make_dir(at(root, "a/c")), 0);
	expect(rename_dir(at(root, "a/c"), at(root, "c")), EXDEV);
	expect(rename_dir(at(root, "b"), at(root, "a/b")), EXDEV);
	expect(rename_dir(at(root, "a"), at(other, "a")), EXDEV);
	expect(rename_dir(at(root, "a"), at(root, "b")), EEXIST);
	expect(rename_dir(at(root, "tasks"), at(root, "t")), ENOTDIR);
	expect(rename_dir(at(root, "a"), at(root, "a\nb")), EINVAL);
	expect(rename_dir(at(root, "nosuch"), at(root, "x")), ENOENT);
	/* all as it was */
	ck_assert(exists(at(root, "a/c/tasks")));
	ck_assert(exists(at(root, "b/tasks")));
	ck_assert(exists(at(root, "tasks")));
	expect(remove_dir(at(root, "a/c")), 0);
	expect(remove_dir(at(root, "a")), 0);
	expect(remove_dir(at(root, "b")), 0);
}

static unsigned int mode_of(const char *path)
{
	struct stat s;

	ck_assert_msg(!stat(path, &s), "%s: %s", path, error_name(errno));
	return s.st_mode & 07777;
}

TEST(file_modes)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	ck_assert_int_eq(mkdir(a, 0750), 0);
	ck_assert_uint_eq(mode_of(a), 0750);
	ck_assert_uint_eq(mode_of(at(a, "tasks")), 0644);
	ck_assert_uint_eq(mode_of(at(a, "procs")), 0644);
	ck_assert_uint_eq(mode_of(at(a, "cpuacct.usage")), 0644);
	ck_assert_uint_eq(mode_of(at(a, "cpuacct.usage_self")), 0444);
	ck_assert_uint_eq(mode_of(at(a, "cpuacct.stat")), 0444);
	ck_assert_uint_eq(mode_of(at(a, "cpuacct.load")), 0444);
	expect(remove_dir(a), 0);
}

TEST(no_other_files)
{
	char *root = mount_hierarchy("cpuacct"), *path = at(root, "mine");

	ck_assert_int_eq(open(path, O_CREAT | O_WRONLY, 0600), -1);
	ck_assert_msg(errno == EPERM || errno == EACCES, "create: %s", error_name(errno));
	ck_assert_int_eq(unlink(at(root, "tasks")), -1);
	ck_assert_int_eq(errno, EPERM);
	ck_assert_int_eq(link(at(root, "tasks"), path), -1);
	ck_assert_int_eq(symlink("tasks", path), -1);
	ck_assert(exists(at(root, "tasks")));
	ck_assert(!exists(path));
}

TEST(write_through_a_descriptor_kept_over_rmdir_is_enodev)
{
	static const struct {
		const char *name;
		int flags;
	} files[] = {
		{ "tasks", O_RDWR }, { "procs", O_RDWR }, { "cpuacct.usage", O_RDWR }, { "notify_on_release", O_RDWR },
		{ "kill", O_WRONLY }, { "events", O_RDONLY }, { "why", O_RDONLY }, { "releasable", O_RDONLY },
		{ "cpuacct.stat", O_RDONLY },
	};
	enum { NR = sizeof(files) / sizeof(files[0]) };
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a"), byte;
	int fd[NR];

	expect(make_dir(a), 0);
	for (int i = 0; i < NR; i++)
		ck_assert_int_ge(fd[i] = open(at(a, "%s", files[i].name), files[i].flags), 0);
	expect(remove_dir(a), 0);
	for (int i = 0; i < NR; i++) {
		if (files[i].flags != O_RDONLY)
			ck_assert_msg(write(fd[i], "0\n", 2) == -1 && errno == ENODEV, "write to %s: %s, wanted ENODEV",
				      files[i].name, error_name(errno));
		if (files[i].flags != O_WRONLY)
			ck_assert_msg(read(fd[i], &byte, 1) == -1 && errno == ENODEV, "read of %s: %s, wanted ENODEV",
				      files[i].name, error_name(errno));
		close(fd[i]);
	}
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/");
}

TEST(a_kept_descriptor_does_not_reach_the_namesake)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	int fd;

	expect(make_dir(a), 0);
	fd = open(at(a, "procs"), O_WRONLY);
	expect(remove_dir(a), 0);
	expect(make_dir(a), 0);
	ck_assert(write(fd, "0\n", 2) == -1 && errno == ENODEV);
	ck_assert_str_eq(read_file(at(a, "procs")), "");
	close(fd);
	expect(remove_dir(a), 0);
}

TEST(mkdir_below_a_removed_directory)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");
	int dirfd;

	expect(make_dir(a), 0);
	dirfd = open(a, O_RDONLY | O_DIRECTORY);
	expect(remove_dir(a), 0);
	ck_assert_int_eq(mkdirat(dirfd, "b", 0755), -1);
	ck_assert_msg(errno == ENOENT, "%s", error_name(errno));
	close(dirfd);
}

static void as_nobody(void *arg)
{
	char *root = arg;

	ck_assert_int_eq(setresgid(65534, 65534, 65534) | setresuid(65534, 65534, 65534), 0);
	expect(make_dir(at(root, "mine")), EACCES);
	expect(remove_dir(at(root, "a")), EACCES);
	expect(write_file(at(root, "a/procs"), "0"), EACCES);
	expect(write_file(at(root, "a/cpuacct.usage"), "0"), EACCES);
	/* a directory that was given to this user */
	expect(make_dir(at(root, "given/mine")), 0);
	expect(write_file(at(root, "given/mine/procs"), "0"), 0);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/given/mine");
}

TEST(permissions_are_those_of_files)
{
	char *root = mount_hierarchy("cpuacct");

	/* /tmp is ours and the path to it, too */
	ck_assert_int_eq(chmod(root, 0755), 0);
	expect(make_dir(at(root, "a")), 0);
	expect(make_dir(at(root, "given")), 0);
	ck_assert_int_eq(chown(at(root, "given"), 65534, 65534), 0);
	ck_assert_int_eq(chown(at(root, "given/procs"), 65534, 65534), 0);
	/* from inside: delegate.c has who may move between which */
	finish(start_in(at(root, "given"), as_nobody, root));
	eventually(remove_dir(at(root, "given/mine")) == 0, 5);
	expect(remove_dir(at(root, "given")), 0);
	expect(remove_dir(at(root, "a")), 0);
}

#define CREW 2000

static void as_member(void *arg)
{
	gid_t crew = CREW;
	char *a = arg;

	ck_assert_int_eq(setgroups(1, &crew), 0);
	ck_assert_int_eq(setresgid(65534, 65534, 65534) | setresuid(65534, 65534, 65534), 0);
	expect(make_dir(at(a, "mine")), 0);
	expect(write_file(at(a, "mine/procs"), "0"), 0);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/a/mine");
}

static void as_no_member(void *arg)
{
	char *a = arg;

	ck_assert_int_eq(setgroups(0, NULL), 0);
	ck_assert_int_eq(setresgid(65534, 65534, 65534) | setresuid(65534, 65534, 65534), 0);
	expect(make_dir(at(a, "evil")), EACCES);
	expect(write_file(at(a, "procs"), "0"), EACCES);
	ck_assert_str_eq(container_of_pid(getpid(), "cpuacct"), "/a");
}

/* In and out of the new container leads over `procs` of the one that was given. */
TEST(a_group_may_what_the_modes_say)
{
	char *root = mount_hierarchy("cpuacct"), *a = at(root, "a");

	ck_assert_int_eq(chmod(root, 0755), 0);
	expect(make_dir(a), 0);
	ck_assert_int_eq(chown(a, 0, CREW) | chmod(a, 0775), 0);
	ck_assert_int_eq(chown(at(a, "procs"), 0, CREW) | chmod(at(a, "procs"), 0664), 0);
	finish(start_in(a, as_member, a));
	finish(start_in(a, as_no_member, a));
	eventually(!remove_dir(at(a, "mine")), 5);
	expect(remove_dir(a), 0);
}

TEST_LIMIT(a_thousand_siblings, 60)
{
	char *root = mount_hierarchy("cpuacct,memory");

	for (int i = 0; i < 1000; i++)
		expect(make_dir(at(root, "c%d", i)), 0);
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 1001);
	for (int i = 0; i < 1000; i++)
		expect(remove_dir(at(root, "c%d", i)), 0);
	ck_assert_int_eq(hierarchy_of("cpuacct").containers, 1);
	eventually(no_dying("cpuacct"), 20);
}
