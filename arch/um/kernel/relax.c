// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpu_relax() is inline, so modules call what it calls (os-Linux/cpu_relax.c,
 * which is the host's side and can export nothing).
 */

#include <linux/export.h>
#include <skas/shootdown.h>

#ifdef CONFIG_SMP
EXPORT_SYMBOL(os_cpu_relax);
#endif
