# SPDX-License-Identifier: GPL-2.0-only
# Draws which node has which program's pages. One # is 4 MB, a node has 64 MB.
function bar(pages,   n, s)
{
	n = int((pages + 512) / 1024)
	s = ""
	while (length(s) < n)
		s = s "#"
	return sprintf("[%-16s]", substr(s, 1, 16))
}

$1 == "M" {
	if ($2 != when) {
		when = $2
		printf "\npinned has %s%s\n", when, moved
		printf "%-8s %-18s %-18s %-18s %-18s\n", "", "node 0", "node 1", "node 2", "node 3"
	}
	printf "%-8s %s %s %s %s\n", $3, bar($4), bar($5), bar($6), bar($7)
	printf "%-8s %18d %18d %18d %18d pages\n", "", $4, $5, $6, $7
	fflush()
}

$1 == "R" && $2 == "moved_ms" { moved = " now; its pages had followed after " $3 " ms" }
