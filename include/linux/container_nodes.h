/* SPDX-License-Identifier: GPL-2.0-only */
/* The files of a container's directory, made and removed many at a time: fs/container/nodes.c. */
#ifndef _LINUX_CONTAINER_NODES_H
#define _LINUX_CONTAINER_NODES_H

#include <linux/kernfs.h>
#include <linux/types.h>

struct kernfs_node *container_node_new(struct kernfs_node *dir, const char *name, umode_t mode,
				       const struct kernfs_ops *ops, void *priv);
void container_nodes_begin(struct kernfs_node *dir);
int container_node_link(struct kernfs_node *dir, struct kernfs_node *kn);
void container_nodes_end(struct kernfs_node *dir);
void container_nodes_remove_idle(struct kernfs_node *dir);

/* A file goes: who is in poll(2) looks again, and gets an error. */
static inline void container_node_wake(struct kernfs_node *kn)
{
	if (rcu_access_pointer(kn->attr.open))
		kernfs_notify(kn);
}

#endif /* _LINUX_CONTAINER_NODES_H */
