// SPDX-License-Identifier: GPL-2.0-only
/* Mounting with the context's log; see lib-log.h. */
#include "lib-log.h"

#include <fcntl.h>
#include <sys/syscall.h>

/* Check's headers and linux/mount.h do not go together everywhere: the numbers of the interface. */
enum { CLOEXEC = 1, SET_FLAG = 0, SET_STRING = 1, CMD_CREATE = 6, CMD_RECONFIGURE = 7 };

static int set_option(int context, const char *word)
{
	char *key = strdup(word), *value = strchr(key, '=');
	int err;

	if (value)
		*value++ = 0;
	err = syscall(SYS_fsconfig, context, value ? SET_STRING : SET_FLAG, key, value, 0) ? errno : 0;
	free(key);
	return err;
}

/* Ends what was begun in @context, and closes it. */
static int command_logged(int context, int err, int command, char *log, size_t size)
{
	size_t have = 0;
	ssize_t got;

	if (!err && syscall(SYS_fsconfig, context, command, NULL, NULL, 0))
		err = errno;
	while (have + 1 < size && (got = read(context, log + have, size - have - 1)) > 0)
		have += got;
	log[have] = 0;
	close(context);
	return err;
}

int mount_logged(const char *const *words, char *log, size_t size)
{
	int fd = syscall(SYS_fsopen, "container", CLOEXEC), err = 0;

	ck_assert_msg(fd >= 0, "fsopen: %s", error_name(errno));
	while (*words && !err)
		err = set_option(fd, *words++);
	return command_logged(fd, err, CMD_CREATE, log, size);
}

int remount_logged(const char *dir, const char *options, char *log, size_t size)
{
	int fd = syscall(SYS_fspick, AT_FDCWD, dir, CLOEXEC), err = 0;
	char *words = strdup(options), *rest = words, *word;

	ck_assert_msg(fd >= 0, "fspick %s: %s", dir, error_name(errno));
	while (!err && (word = strsep(&rest, ",")))
		err = set_option(fd, word);
	free(words);
	return command_logged(fd, err, CMD_RECONFIGURE, log, size);
}
