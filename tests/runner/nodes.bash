# SPDX-License-Identifier: GPL-2.0-only
# --nodes, and what the kernel makes of numa=; what nodes are good for is the suite `nodes`.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2034

online='cat /sys/devices/system/node/online'

test_nodes()
{
	guest --nodes 4 --cpus 2 sh -c "$online"' /sys/devices/system/node/node2/cpulist'
	equal 'status, output and message' "0|0-3
1|" "$status|$out|$err"
	guest --dry-run --nodes 3 true
	contains --dry-run ' numa=fake=3 ' " $out "
	guest $online
	equal 'without --nodes' '0|0|' "$status|$out|$err"
}

test_nodes_that_are_not_a_number()
{
	for n in 0 -1 x 4x '' 65 ' 1' '1 ' +1 0x2 1-2 4294967297 18446744073709551617; do
		guest --nodes "$n" true
		equal "--nodes '$n': status" 125 $status
		contains "--nodes '$n'" 'not a number from 1 to 64' "$err"
	done
	guest --nodes
	equal '--nodes without a number: status' 125 $status
	contains '--nodes without a number' '--nodes needs a value' "$err"
}

# $1: words of the runner; $2: the nodes there must be; $3: what it must say
gets_fewer()
{
	guest $1 $online
	equal "$1: status and nodes" "0|$2" "$status|$out"
	contains "$1" 'fewer nodes than --nodes' "$err"
	contains "$1" "$3" "$err"
}

test_more_nodes_than_the_kernel_knows()
{
	gets_fewer '--nodes 64 --mem 1G' 0-7 'too large, reducing to 8'
}

test_more_nodes_than_memory_allows()
{
	gets_fewer '--nodes 8 --mem 64M' 0 'or fewer nodes'
	gets_fewer '--nodes 3 --mem 64M' 0 'or fewer nodes'
}

# The cure that the kernel names is one: so many nodes with so much memory.
test_the_memory_that_the_kernel_asks_for()
{
	local mem
	gets_fewer '--nodes 5 --mem 64M' 0 'mem='
	mem=${err##*mem=}
	guest --nodes 5 --mem ${mem%% *} $online
	equal "--mem ${mem%% *}" '0|0-4|' "$status|$out|$err"
}

test_nodes_of_a_kernel_without_them()
{
	[ -x "$TOP/build/vanilla/linux" ] || fail "the vanilla kernel is not built; cure: make kernel FLAVOUR=vanilla"
	guest --kernel "$TOP/build/vanilla/linux" --nodes 2 echo hello
	equal 'status and output' '0|hello' "$status|$out"
	contains message 'without CONFIG_NUMA' "$err"
}

# The kernel boots with whatever stands after numa=, has one node, and says what would be right.
test_numa_nonsense()
{
	for word in fake= fake=0 fake=4x:10 fake=64M fake=99999999999999999999 nonsense ''; do
		guest --append "numa=$word" sh -c "$online; dmesg -t | grep '^numa:'"
		equal "numa=$word: status" 0 $status
		equal "numa=$word" "0
numa: numa=$word: not off, fake=N or fake=N:DISTANCE,... with N from 1 to 8; one node" "$out"
	done
	guest --append numa=off sh -c "$online; dmesg -t | grep '^numa:'"
	equal numa=off '0' "$out"
}

# $1: numa=fake=2:$1; $2: both rows of distances
distances_are()
{
	guest --append "numa=fake=2:$1" sh -c 'cat /sys/devices/system/node/node[01]/distance; dmesg -t | grep "^numa:"'
	equal "fake=2:$1: status" "$3" "$status"
	equal "fake=2:$1" "$2" "$(echo "$out" | head -n 2 | tr '\n' ' ')"
	[ "$3" = 1 ] || contains "fake=2:$1" "numa: distances $1: not 4 numbers from 10 to 255" "$out"
}

# grep finds a message (0) or does not (1)
test_numa_distances()
{
	for list in '10,15,25,10' '10,15,25,10,'; do
		distances_are $list '10 15 25 10 ' 1
	done
	for list in '' 10,20,20 10,20,20,10,30 11,20,20,10 10,4294967316,20,10 10-13 10,20,20,10x; do
		distances_are "$list" '10 20 20 10 ' 0
	done
}

# Of one node, and of nodes that there are not.
test_distances_without_nodes()
{
	local distance='cat /sys/devices/system/node/node0/distance; dmesg -t | grep "^numa: distances"'
	for list in 10 '10,'; do
		guest --append "numa=fake=1:$list" sh -c "$distance"
		equal "fake=1:$list" 10 "$out"
	done
	for list in 20 10,10 junk; do
		guest --append "numa=fake=1:$list" sh -c "$distance"
		contains "fake=1:$list" "numa: distances $list: not 1 numbers from 10 to 255" "$out"
		equal "fake=1:$list" 10 "$(head -n 1 <<<"$out")"
	done
	# one line says what is wrong
	guest --mem 64M --append numa=fake=8:junk sh -c 'cat /sys/devices/system/node/online; dmesg -t | grep "^numa:"'
	equal 'nodes that do not fit: nodes and lines' '0 1' "$(head -n 1 <<<"$out") $(grep -c '^numa:' <<<"$out")"
	contains 'nodes that do not fit' 'or fewer nodes; one node' "$out"
}
