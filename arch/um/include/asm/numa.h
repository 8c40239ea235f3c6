/* SPDX-License-Identifier: GPL-2.0-only */
/* Emulated NUMA nodes (kernel/numa.c); what all architectures with mm/arch_numa.c share. */
#ifndef __UM_NUMA_H
#define __UM_NUMA_H

#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/nodemask.h>
#include <asm-generic/numa.h>

#ifdef CONFIG_NUMA
void um_numa_init(void);
#else
static inline void um_numa_init(void)
{
}
#endif

#endif
