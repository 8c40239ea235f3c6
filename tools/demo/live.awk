# SPDX-License-Identifier: GPL-2.0-only
# Draws samples while they come: one line in place on a terminal, one in two seconds in a log.
function bar(pages,   n, s)
{
	n = int(pages * 30 / mem)
	s = ""
	while (length(s) < n)
		s = s "#"
	return sprintf("[%-30s]", s)
}

$1 == "S" {
	line = sprintf("%5.1f s  batch %s %6d  service %s %6d pages", $2 / 1000,
		       bar($3 + $4), $3 + $4, bar($5 + $6), $5 + $6)
	if (term)
		printf "\r%s\033[K", line
	else if (!seen++ || $2 - shown >= 2000) {
		print line
		shown = $2
	}
	fflush()
}

END {
	if (term)
		print "\r" line "\033[K"
}
