/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the kernel finds the page behind a user address; see skas/user_pte.c.
 */
#ifndef __UM_USER_PTE_H
#define __UM_USER_PTE_H

#include <linux/mm_types.h>

pte_t *um_lock_user_pte(unsigned long addr, int is_write);
void um_unlock_user_pte(void);

#endif
