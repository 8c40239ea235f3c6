/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waking those who poll(2) or watch a subsystem's file `events`.
 */
#ifndef _LINUX_CONTAINER_EVENTS_H
#define _LINUX_CONTAINER_EVENTS_H

#include <linux/containers.h>

#ifdef CONFIG_CONTAINERS

void container_css_notify(struct container_subsys_state *css);

#endif /* CONFIG_CONTAINERS */
#endif /* _LINUX_CONTAINER_EVENTS_H */
