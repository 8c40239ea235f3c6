/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What mm/oom_kill.c had for itself: a victim of page_max may wait for a lock before it can die, too, and then its
 * memory has to be freed by somebody else. Included there, and not in a header that others have.
 */
#ifndef _MM_CONTAINER_OOM_H
#define _MM_CONTAINER_OOM_H

struct task_struct;

/* oom_lock held; @tsk's mm is there, and stays. */
void mark_oom_victim(struct task_struct *tsk);
/* Of one that is marked: in 2 s, if it is there still. Its mm has no other users that live on. */
void queue_oom_reaper(struct task_struct *tsk);

#endif /* _MM_CONTAINER_OOM_H */
