/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one list of subsystems. Order gives the id and the order of callbacks;
 * a subsystem called NAME defines `struct container_subsys NAME_subsys`. Users see that name,
 * unless it has another one in @name.
 *
 * Included several times with SUBSYS() defined differently: no guard.
 */
#if IS_ENABLED(CONFIG_CONTAINER_CPUACCT)
SUBSYS(cpuacct)
#endif
#if IS_ENABLED(CONFIG_CONTAINER_MEMORY)
SUBSYS(memory)
#endif
#if IS_ENABLED(CONFIG_CONTAINER_CPUSET)
SUBSYS(cpuset)
#endif
#if IS_ENABLED(CONFIG_CONTAINER_MEMSET)
SUBSYS(memset)
#endif
#if IS_ENABLED(CONFIG_CONTAINER_BC)
SUBSYS(bc)
#endif
#if IS_ENABLED(CONFIG_CONTAINER_NUMTASKS)
SUBSYS(numtasks)
#endif
#if IS_ENABLED(CONFIG_CONTAINER_CPU)
SUBSYS(cpu_share)
#endif
#if IS_ENABLED(CONFIG_CONTAINER_NS)
SUBSYS(ns)
#endif
#if IS_ENABLED(CONFIG_CONTAINER_KUNIT_TEST)
SUBSYS(debug)
#endif
