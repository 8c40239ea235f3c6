// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/containers and /proc/PID/container.
 *
 * Locking: container_mutex keeps the table still; RCU keeps a task's group.
 */
#include "internal.h"

#include <linux/pid.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

static int containers_show(struct seq_file *m, void *v)
{
	struct container_hierarchy *h;
	struct container_subsys *ss;
	int id, slot;

	container_lock();
	seq_puts(m, "hierarchy  containers  dying  subsystems\n");
	for (slot = 0; slot < CONFIG_MAX_CONTAINER_HIERARCHIES; slot++) {
		h = container_hierarchies[slot];
		if (!h)
			continue;
		seq_printf(m, "%-9d  %-10u  %-5d  ", slot + 1, h->nr_containers,
			   atomic_read(&h->root->nr_dying));
		container_show_subsystems(m, h);
		seq_putc(m, '\n');
	}
	/* states: removed ones too, until nothing is charged to them */
	seq_puts(m, "\nsubsystem  hierarchy  containers  states\n");
	for_each_container_subsys(ss, id) {
		h = ss->hierarchy;
		seq_printf(m, "%-9s  %-9d  %-10u  %d\n", ss->name, h ? h->slot + 1 : 0,
			   h ? h->nr_containers : 1, atomic_read(&ss->nr_states));
	}
	seq_printf(m, "\ngroups %u\n", container_nr_groups());
	container_unlock();
	return 0;
}

/* One hierarchy's line: "id:subsystems:path". */
static void show_membership(struct seq_file *m, struct container_hierarchy *h,
			    struct task_struct *task, char *path)
{
	struct container *cont;

	seq_printf(m, "%d:", h->slot + 1);
	container_show_subsystems(m, h);
	rcu_read_lock();
	cont = container_of_group(to_membership(rcu_dereference(task->containers)), h);
	/* no rmdir while we hold the mutex: what a task is in stays */
	if (container_path(cont, path, PATH_MAX) < 0)
		strscpy(path, "?", PATH_MAX);
	rcu_read_unlock();
	seq_putc(m, ':');
	seq_puts(m, path);
	seq_putc(m, '\n');
}

/**
 * proc_container_show - /proc/PID/container
 * @m: output
 * @ns: unused
 * @pid: unused
 * @task: task
 *
 * Return: 0 or -ENOMEM.
 */
int proc_container_show(struct seq_file *m, struct pid_namespace *ns, struct pid *pid,
			struct task_struct *task)
{
	char *path = kmalloc(PATH_MAX, GFP_KERNEL);
	int slot;

	if (!path)
		return -ENOMEM;
	container_lock();
	for (slot = 0; slot < CONFIG_MAX_CONTAINER_HIERARCHIES; slot++)
		if (container_hierarchies[slot])
			show_membership(m, container_hierarchies[slot], task, path);
	container_unlock();
	kfree(path);
	return 0;
}

int __init container_proc_init(void)
{
	return proc_create_single("containers", 0444, NULL, containers_show) ? 0 : -ENOMEM;
}
