/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The subsystem "debug": counts what the core calls, refuses when told to.
 * For the KUnit suites, and through debugfs (container_debug/) for suites that
 * run in the debug kernel.
 */
#ifndef _KERNEL_CONTAINER_DEBUG_H
#define _KERNEL_CONTAINER_DEBUG_H

/**
 * struct container_debug - one test's orders and findings
 * @fail_create: error for the next create(); 0 for none
 * @fail_online: error for the next online()
 * @fail_can_attach: error for every can_attach()
 * @fail_nth: the Nth callback from now that can fail fails with EXFULL; 0: none
 * @in_can_attach: called by every can_attach(), or NULL
 * @created: and the others: calls so far
 * @destroyer: the work item that the last destroy() was in
 * @destroyers: how many in turn there were
 *
 * Locking: container_mutex, but for @destroyed, which kworkers count, and the other two about
 * them, which are for a test of one tree.
 */
struct container_debug {
	int fail_create;
	int fail_online;
	int fail_can_attach;
	u32 fail_nth;
	void (*in_can_attach)(struct container_attach *set);
	unsigned int created;
	unsigned int onlined;
	unsigned int offlined;
	atomic_t destroyed;
	struct work_struct *destroyer;
	unsigned int destroyers;
	unsigned int attached;
	unsigned int cancelled;
	unsigned int bound;
	struct container *root;
};

extern struct container_debug container_debug;

#endif /* _KERNEL_CONTAINER_DEBUG_H */
