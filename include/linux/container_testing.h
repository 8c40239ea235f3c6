/* SPDX-License-Identifier: GPL-2.0-only */
/* What the KUnit suites of the core and those of the subsystems have in common. */
#ifndef _LINUX_CONTAINER_TESTING_H
#define _LINUX_CONTAINER_TESTING_H

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>

/* What happens in kworkers and exiting threads is waited for, not guessed. */
#define EXPECT_SOON(test, cond)							\
do {										\
	unsigned long end = jiffies + 5 * HZ;					\
										\
	while (!(cond) && time_before(jiffies, end))				\
		msleep(20);							\
	KUNIT_EXPECT_TRUE(test, cond);						\
} while (0)

#endif /* _LINUX_CONTAINER_TESTING_H */
