// SPDX-License-Identifier: GPL-2.0-only
/*
 * smp_nodes: whole processes are moved from one memory node to another and back while they write
 * to their pages on other CPUs. That is migration as compaction does it (smp.c),
 * hundreds of pages in one call: the long run gets its numbers here. Stock UML has no
 * nodes, so nothing fails there. (jobs 2n2 4n2 8n2 4n2@debug)
 */
#include "lib-smp.h"

#include <sys/syscall.h>

WITHOUT_CONTAINERS

#define HERD_PAGES 512
/* Each call may find some pages in use, and leaves these. */
#define ENOUGH 4000

/* All pages of a process that are on node FROM go to node TO. */
static void migrate(pid_t pid, int from, int to)
{
	unsigned long old = 1UL << from, new = 1UL << to;

	ck_assert_msg(syscall(SYS_migrate_pages, pid, 8 * sizeof(old) + 1, &old, &new) >= 0,
		      "migrate_pages: %s", error_name(errno));
}

TEST_LIMIT(migration, 60)
{
	struct herd *h = herd_start(HERD_PAGES, false);
	uint64_t before = vmstat("pgmigrate_success"), moved = 0;
	double end = now() + smp_seconds();

	for (int i = 0, node = 0; !herd_wrong(h) && (now() < end || moved < ENOUGH); i++) {
		if (i == h->n) {
			i = 0;
			node = !node;
		}
		migrate(h->w[i].pid, node, !node);
		moved = vmstat("pgmigrate_success") - before;
	}
	smp_count("migration", moved, "pages moved");
	herd_finish(h);
}
