/* SPDX-License-Identifier: GPL-2.0-only */
/* Mounting through fsopen(2) and fspick(2): the same errors, and what the context's log says. */
#ifndef TESTS_GUEST_LIB_LOG_H
#define TESTS_GUEST_LIB_LOG_H

#include "lib.h"

/* Each word of WORDS (up to a NULL) is an option, "key" or "key=value". Mounts nothing anywhere. */
int mount_logged(const char *const *words, char *log, size_t size);
/* OPTIONS as mount(8) has them, with commas. */
int remount_logged(const char *dir, const char *options, char *log, size_t size);

#endif /* TESTS_GUEST_LIB_LOG_H */
