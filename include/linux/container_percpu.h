/* SPDX-License-Identifier: GPL-2.0-only */
/* Per-CPU memory that can be refused, for tests. */
#ifndef _LINUX_CONTAINER_PERCPU_H
#define _LINUX_CONTAINER_PERCPU_H

#include <linux/percpu.h>

/**
 * container_percpu_fails - is this to be an allocation that fails?
 *
 * Linux's fault injection knows of slab objects and of pages, not of per-CPU memory. In a kernel that has it
 * an object of no use is asked for first, and counts.
 *
 * Context: process; sleeps.
 * Return: true where failslab says so; false in kernels without it
 */
bool container_percpu_fails(void);

/* alloc_percpu(), which can be made to fail */
#define container_alloc_percpu(type) \
	(container_percpu_fails() ? (type __percpu *)NULL : alloc_percpu(type))

#endif /* _LINUX_CONTAINER_PERCPU_H */
