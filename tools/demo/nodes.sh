#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the demo runs in a guest with four memory nodes: two programs that use all of their memory
# all the time, "free" in the root, "pinned" in a container that has one node.
#
#   nodes.sh MB MB              of free, of pinned
#
# Standard output, a line each:
#   M WHEN TENANT N0 N1 N2 N3   its anonymous pages on each node, from numa_maps
#   R NAME NUMBER               times and counts
#   end                         all of it is there
set -eu

dir=$(mktemp -d)
mount -t container -o memset none "$dir"
mkdir "$dir/pinned"
echo 3 >"$dir/pinned/memset.mems"
echo 1 >"$dir/pinned/memset.memory_migrate"

map()
{
	awk -v what="$1" '/ anon=/ && !/ file=/ {
		for (i = 3; i <= NF; i++)
			if (split($i, n, "=") == 2 && n[1] ~ /^N[0-9]$/)
				on[substr(n[1], 2)] += n[2]
	}
	END { printf "M %s %d %d %d %d\n", what, on[0], on[1], on[2], on[3] }' "/proc/$2/numa_maps"
}

# milliseconds of uptime
now()
{
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}0" | sed 's/^0*\(.\)/\1/'
}

perl tools/demo/walker.pl "$1" "$dir.free" &
free=$!
sh -c "echo 0 >'$dir/pinned/procs' && exec perl tools/demo/walker.pl $2 '$dir.pinned'" &
pinned=$!
while [ ! -e "$dir.free" ] || [ ! -e "$dir.pinned" ]; do
	kill -0 $free && kill -0 $pinned || exit 1
	sleep 0.1
done
map "mems=3 free" $free
map "mems=3 pinned" $pinned

# it runs on meanwhile; the write returns when the pages are there
begin=$(now)
echo 2 >"$dir/pinned/memset.mems"
echo "R moved_ms $(($(now) - begin))"
map "mems=2 free" $free
map "mems=2 pinned" $pinned
kill $free $pinned
echo end
