/* SPDX-License-Identifier: GPL-2.0-only */
/* Which node a CPU is on (asm/numa.h); there is nothing else to know of UML's processors. */
#ifndef __UM_TOPOLOGY_H
#define __UM_TOPOLOGY_H

#ifdef CONFIG_NUMA
#include <asm/numa.h>

/* A bus is near to no node. */
#define pcibus_to_node(bus)	((void)(bus), NUMA_NO_NODE)
#define cpumask_of_pcibus(bus)	((void)(bus), cpu_all_mask)
#endif

#include <asm-generic/topology.h>

#endif
