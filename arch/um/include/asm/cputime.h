/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kernel/sched/cputime.c includes this where an architecture measures CPU
 * time itself; what kernel/vtime.c does needs nothing of it here.
 */
#ifndef __UM_CPUTIME_H
#define __UM_CPUTIME_H

#endif
