/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memory model that NUMA wants (FLATMEM has one node only). Memory is one
 * range without holes, so sections are as large as they can be: the unit of
 * an emulated node (kernel/numa.c), so that each is whole.
 */
#ifndef __UM_SPARSEMEM_H
#define __UM_SPARSEMEM_H

#define SECTION_SIZE_BITS	25
/* mem= up to 4 TB; the table of sections takes 4 KB */
#define MAX_PHYSMEM_BITS	42

#endif
