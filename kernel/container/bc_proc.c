// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/user_beancounters: all beancounters in one table, in the form of OpenVZ's
 * version 2.5, for programs that read that. Our resources have the names there that
 * they have in OpenVZ. For the number of a user it has that of the container: the
 * inode number of its directory, 0 for the root.
 *
 * Locking: RCU, for the walk. Each number is of its own moment; a line's bounds
 * may be one old and one new.
 *
 * Surprise: a beancounter without a directory is not in the table. The root's line
 * has what it holds; of files nobody marks the most, and maxheld is the most that was read here.
 */
#include "bc.h"
#include "internal.h"

#include <linux/init.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static void show_amount(struct seq_file *sf, struct bc *bc, enum bc_resource res)
{
	const struct bc_amount *amount = &bc->amount[res];
	long held = bc_held(bc, res);

	seq_printf(sf, "%-12s %20lu %20lu %20lu %20lu %20lu\n", bc_resources[res].openvz_name,
		   held, bc_maxheld(bc, res, held),
		   READ_ONCE(amount->bounds.barrier), READ_ONCE(amount->bounds.limit),
		   atomic_long_read(&amount->failcnt));
}

static int show_table(struct seq_file *sf, void *v)
{
	struct container_subsys_state *css;
	struct container *cont;
	int res;

	seq_puts(sf, "Version: 2.5\n");
	seq_printf(sf, "%10s  %-12s %20s %20s %20s %20s %20s\n", "uid", "resource", "held",
		   "maxheld", "barrier", "limit", "failcnt");
	rcu_read_lock();
	container_css_for_each_descendant(css, bc_subsys.root_css) {
		cont = rcu_dereference(css->container);
		for (res = 0; res < BC_RESOURCES; res++) {
			if (res)
				seq_printf(sf, "%10s  ", "");
			else
				seq_printf(sf, "%9llu:  ",
					   css->parent ? (u64)kernfs_ino(cont->kn) : 0);
			show_amount(sf, css_bc(css), res);
		}
	}
	rcu_read_unlock();
	return 0;
}

static int __init bc_proc_init(void)
{
	return proc_create_single("user_beancounters", 0400, NULL, show_table) ? 0 : -ENOMEM;
}
late_initcall(bc_proc_init);
