/* SPDX-License-Identifier: GPL-2.0-only */
/* Chains: what has a pointer to the next one above it, and at the end none. */
#ifndef _KERNEL_CONTAINER_CHAIN_H
#define _KERNEL_CONTAINER_CHAIN_H

/**
 * chain_common - where two chains meet
 * @a: the lowest of one; pinned, and with it all above
 * @b: that of the other
 * @up: name of the pointer
 *
 * From where they meet on they are one, so it is as far from the end of both.
 *
 * Return: the lowest that is in both; NULL if there is none.
 */
#define chain_common(a, b, up)							\
({										\
	typeof(a) __a = (a), __b = (b), __pos;					\
	int __deeper = 0;							\
										\
	for (__pos = __a; __pos; __pos = __pos->up)				\
		__deeper++;							\
	for (__pos = __b; __pos; __pos = __pos->up)				\
		__deeper--;							\
	for (; __deeper > 0; __deeper--)					\
		__a = __a->up;							\
	for (; __deeper < 0; __deeper++)					\
		__b = __b->up;							\
	for (; __a != __b; __a = __a->up)					\
		__b = __b->up;							\
	__a;									\
})

#endif /* _KERNEL_CONTAINER_CHAIN_H */
