// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a check that passes leaves behind (lib.h): a mark if it is the test's own, none if it is a child's. A child that is
 * killed while it writes one would leave half of it, and that ends the suite.
 */
#include "lib.h"

#include <sys/stat.h>

/* Of all files that this process has open; Check's is one of them. */
static uint64_t bytes_in_files(void)
{
	uint64_t bytes = 0;
	struct stat st;

	for (int fd = 0; fd < 64; fd++)
		if (!fstat(fd, &st) && S_ISREG(st.st_mode))
			bytes += st.st_size;
	return bytes;
}

static void check_often(void *arg)
{
	for (int i = 0; i < 1000; i++)
		ck_assert_ptr_eq(arg, NULL);
}

TEST(a_child_leaves_none)
{
	uint64_t before = bytes_in_files(), after;

	check_often(NULL);
	after = bytes_in_files();
	/* where it is looked for is where they are */
	ck_assert_uint_ge(after - before, 1000);

	before = bytes_in_files();
	finish(start(check_often, NULL));
	after = bytes_in_files();
	/* finish() leaves some of the test's own */
	ck_assert_uint_lt(after - before, 1000);
}
