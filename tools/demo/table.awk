# SPDX-License-Identifier: GPL-2.0-only
# The two runs side by side. Every number is the kernel's but peak, which is the largest sample
# of the kernel's numbers, and the times, which the programs took.
FNR == 1 { run++ }

$1 == "S" && $3 + $4 > peak[run] { peak[run] = $3 + $4 }
$1 == "R" { r[run, $2, $3] = $4 }

function row(name, tenant, key)
{
	printf "%-44s %12s %12s\n", name, r[1, tenant, key], r[2, tenant, key]
}

END {
	printf "%-44s %12s %12s\n", "", "no limit", "limit"
	row("batch: page_limit", "batch", "page_limit")
	printf "%-44s %12d %12d\n", "batch: peak, pages", peak[1], peak[2]
	printf "%-44s %12d %12d\n", "batch: at the end, pages",
		r[1, "batch", "anon_pages"] + r[1, "batch", "file_pages"],
		r[2, "batch", "anon_pages"] + r[2, "batch", "file_pages"]
	row("batch: times over the limit", "batch", "page_limit_hits")
	row("batch: pages deactivated by the handler", "batch", "deactivated")
	row("batch: pages invalidated by the handler", "batch", "invalidated")
	row("batch: pages swapped by the handler", "batch", "swapped")
	row("batch: time, ms", "batch", "ms")
	row("service: refaults while batch ran", "service", "refaults_meanwhile")
	row("service: look-up rounds", "service", "rounds")
	row("service: a round, median, ms", "service", "round_median_ms")
	row("service: the slowest round, ms", "service", "round_worst_ms")
}
