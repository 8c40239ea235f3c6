# SPDX-License-Identifier: GPL-2.0-only
# What service lost, and what that cost it. Every number is the kernel's (memory.* files) but the times, which service took.
$1 == "N" { n[$2, $3] = $4 }

function row(name, key, format)
{
	printf "%-48s " format " " format " " format "\n", name, n["alone", key], n["quarter", key], n["none", key]
}

END {
	printf "%-48s %12s %12s %12s\n", "", "alone", "a quarter", "no limit"
	printf "%-48s %12s %12d %12s\n", "batch: page_limit", "-", n["quarter", "page_limit"], "max"
	row("batch: in memory at most, pages", "batch", "%12d")
	row("service: in memory, pages", "pages", "%12d")
	row("service: most that it lost in one turn, pages", "lost", "%12d")
	row("service: refaults", "refaults", "%12d")
	row("service: a look at all of it, median, ms", "median_ms", "%12.1f")
	row("service: the slowest look, ms", "worst_ms", "%12.1f")
}
