/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Beancounters: what an address space is charged for. privvm.c has the room for it, the first resource, and
 * how both are charged; lockedpages.c the second.
 */
#ifndef _MM_CONTAINER_BC_MM_H
#define _MM_CONTAINER_BC_MM_H

#include <linux/container_bc.h>

enum bc_mm_resource {
	BC_MM_PRIVATE,
	BC_MM_LOCKED,
	BC_MM_RESOURCES,
};

int bc_mm_reserve(struct mm_struct *mm, enum bc_mm_resource what, unsigned long pages, int error);

#endif /* _MM_CONTAINER_BC_MM_H */
