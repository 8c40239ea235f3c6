/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For a subsystem whose can_fork() has to sleep, now and then. A fork is an RCU section if it can be, as
 * that costs nothing (kernel/container/fork.c): so can_fork() asks whether it may, and if not says that
 * it has to. Then all subsystems are told that the fork is off, and asked again where all may sleep.
 */
#ifndef _LINUX_CONTAINER_FORK_H
#define _LINUX_CONTAINER_FORK_H

#include <linux/types.h>

struct task_struct;

/* What can_fork() returns then; neither 0 nor an error. */
#define CONTAINER_FORK_SLEEPS 1

bool container_fork_may_sleep(const struct task_struct *child);

#endif /* _LINUX_CONTAINER_FORK_H */
