# SPDX-License-Identifier: GPL-2.0-only
# Rows of a test that must fail, turned round: with a wrong byte ("corrupt:"), or time that is told
# wrongly ("time:"), it has done what it is for. One that passes proves nothing, and a time-out, a
# failed call or a crash is no proof.
# What the kernel says after a wrong byte is its consequence. A wrong byte may be one of the message, too: it
# has been seen to begin "test\357\305\237:261: corrupt:". In and out: rows as of tap.awk; -F, OFS tab.

function out(status, message) {
	print status, $2, $3, $4, message
}

$1 == "ok" { out("fail", "passes on vanilla: proves nothing"); next }
$5 ~ /:[0-9]+: (corrupt|time): / { out("ok", ""); proved = 1; next }
# a copy through an entry that went away meanwhile may end in the kernel's own first page; where none goes away
# it is something else
$2 ~ /^smp_copies/ && $3 ~ /^(read_into|write_from)/ && $5 ~ /the kernel panicked: Kernel panic - not syncing: Segfault without recovery/ {
	out("ok", "")
	proved = 1
	next
}
proved { next }
{ out("fail", "fails on vanilla, but not by a wrong byte or time: " $5) }
