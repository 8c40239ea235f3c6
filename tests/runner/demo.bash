# SPDX-License-Identifier: GPL-2.0-only
# `./uml demo`, all of it with an eighth of the data, into a directory of the test's own.
# status, out and err come from demo().
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2034

demo()
{
	status=0
	"$TOP/uml" --no-install demo --kernel "$UML_KERNEL" "$@" >"$WORK/o" 2>"$WORK/e" </dev/null || status=$?
	out=$(cat "$WORK/o")
	err=$(cat "$WORK/e")
}

# cell ROW COLUMN: a number of the table; column 1 is without the limit, 2 with it
cell()
{
	local value
	value=$(sed -n "s/^$1  *\([^ ]*\)  *\([^ ]*\)$/\\$2/p" "$WORK/out dir/table.txt")
	[[ $value =~ ^([0-9]+|max)$ ]] || fail "table, row '$1', column $2: expected a number, got '$value'"
	echo "$value"
}

# number ROW COLUMN COMPARISON BOUND
number()
{
	local got
	got=$(cell "$1" $2) || exit 1
	test "$got" "$3" "$4" || fail "$1, column $2: expected $3 $4, got $got"
}

# The limit of --quick is 2048 pages. With it, whoever is above 9/8 of that frees pages himself before he goes on
# in user mode. Until then one system call may read ahead, and each CPU may know of 32 pages that the sum does not: of
# the six programs of batch that is less than another limit. Without it, batch has 12 MB of files,
# 12 MB of sorted parts in /tmp and 6 MB of memory, and there is room for all of it: more than 7500 pages.
limit_held()
{
	equal 'limit in the first run' max "$(cell 'batch: page_limit' 1)"
	equal 'limit in the second run' 2048 "$(cell 'batch: page_limit' 2)"
	number 'batch: peak, pages' 1 -gt 4096
	number 'batch: peak, pages' 2 -lt 4096
	# it did come so far
	number 'batch: peak, pages' 2 -gt 1024
	number 'batch: times over the limit' 1 -eq 0
	number 'batch: times over the limit' 2 -gt 0
	local row freed=0
	for row in deactivated invalidated swapped; do
		number "batch: pages $row by the handler" 1 -eq 0
		freed=$((freed + $(cell "batch: pages $row by the handler" 2)))
	done
	[ $freed -gt 0 ] || fail "pages that the handler took in hand: expected some, got none"
	for row in 'batch: at the end, pages' 'batch: time, ms' 'service: refaults while batch ran' \
		'service: look-up rounds' 'service: a round, median, ms' 'service: the slowest round, ms'; do
		number "$row" 1 -ge 0
		number "$row" 2 -ge 0
	done
	number 'batch: time, ms' 1 -gt 0
	number 'batch: time, ms' 2 -gt 0
}

# beside NAME ALONE QUARTER NONE: a row of the neighbours' table; of each number a comparison and its bound, or -
beside()
{
	local name=$1 column=2 got
	shift
	while [ $# -gt 0 ]; do
		got=$(sed -n "s/^$name  *\([0-9.]*\)  *\([0-9.]*\)  *\([0-9.]*\)$/\1 \2 \3/p" "$WORK/out dir/neighbours.txt" |
			cut -d ' ' -f $((column - 1)))
		[[ $got =~ ^[0-9]+(\.[0-9])?$ ]] || fail "neighbours, row '$name', column $((column - 1)): expected a number, got '$got'"
		[ "$1" = - ] || test "${got%.*}" "${1%% *}" "${1##* }" || fail "neighbours, row '$name', column $((column - 1)): expected $1, got $got"
		column=$((column + 1))
		shift
	done
}

# service has 8 MB and 4 MB of files, 3072 pages, and a few of perl's. What it loses beside a batch that has a quarter of its
# working set (5632 of 22528 pages, and 1/8 above that while it works) is nothing; beside one without a limit most. Times are for people.
neighbours_are_left_alone()
{
	beside 'service: in memory, pages' '-ge 2900' '-ge 2900' -
	beside 'batch: in memory at most, pages' '-eq 0' '-le 6600' '-gt 6600'
	beside 'service: most that it lost in one turn, pages' '-eq 0' '-eq 0' '-gt 1536'
	beside 'service: refaults' '-eq 0' '-eq 0' '-gt 0'
	beside 'service: a look at all of it, median, ms' - - -
	beside 'service: the slowest look, ms' - - -
}

# One page: two plots with a line of many points for each tenant, the tables, the map; nothing of it elsewhere.
report_is_whole()
{
	local page="$WORK/out dir/report.html"
	contains 'last line' '</html>' "$(tail -n 1 "$page")"
	equal 'plots' 2 "$(grep -c '<svg' "$page")"
	equal 'ends of plots' 2 "$(grep -c '</svg>' "$page")"
	# of each tenant in each plot: a line in the key, and one that goes on to a second point at least
	equal 'lines of tenants' 'batch service batch service ' "$(awk '
		/<g id="gnuplot_plot_[12]"/ { tenant = $0; sub(/.*<title>/, "", tenant); sub(/<.*/, "", tenant) }
		tenant != "" && /d=.M[^M]*L[^M]*M[0-9.]+,[0-9.]+ L[0-9.]+,[0-9.]+/ { printf "%s ", tenant; tenant = "" }' "$page")"
	grep -q '>batch with page_limit 2048<' "$page" || fail "the title of the second plot: expected 'batch with page_limit 2048', got none such"
	equal 'what a browser would fetch' '' "$(grep -onE "(src|href|data|action) *= *[\"'][^#\"'][^\"']*|url\([^#)]*|@import[^;]*|<(script|link|iframe|object|embed)[^>]*" "$page")"
	# names of the kinds of XML are no addresses
	equal 'addresses' '' "$(grep -oE '[a-z:]*="?https?://[^ ">]*' "$page" | grep -v '^xmlns' | sort -u)"
	# no & < > in any
	cat "$WORK/out dir/table.txt" "$WORK/out dir/neighbours.txt" "$WORK/out dir/nodes.txt" | grep . >"$WORK/lines"
	while IFS= read -r line; do
		grep -qxF "$line" "$page" || fail "report: expected the line '$line', got none such"
	done <"$WORK/lines"
}

# pinned N0 N1 N2 N3 of a time: all of its 8 MB on one node, when that is said; a few pages elsewhere could be
# anybody's who has a map of them, so that a tenth is allowed
pinned_is_on()
{
	awk -v when="$1" -v node="$2" '$1 == "M" && $2 == when && $3 == "pinned" {
			for (i = 0; i < 4; i++) { sum += $(4 + i); if (i == node) there = $(4 + i) }
			print (there >= 2048 && sum - there <= there / 10 ? "yes" : $0)
		}' "$WORK/out dir/nodes"
}

# Four boots, and what they do takes seconds; where others have the machine, it may take long.
# (limit of demo: 180 s)
test_demo()
{
	local none='[                ]'
	mkdir "$WORK/out dir"
	echo mine >"$WORK/out dir/a file of the user"
	cd "$WORK" || exit 1
	demo --quick --out 'out dir'
	equal "status ($err)" 0 $status
	limit_held
	neighbours_are_left_alone
	contains 'live pages' ' s  batch [' "$out"
	contains 'the table is shown' "$(cat "$WORK/out dir/table.txt")" "$out"
	contains 'where the page is' "$WORK/out dir/report.html" "$out"
	equal 'pinned is on node 3' yes "$(pinned_is_on mems=3 3)"
	equal 'pinned is on node 2' yes "$(pinned_is_on mems=2 2)"
	contains 'the map' 'node 0             node 1             node 2             node 3' "$out"
	contains 'the map of pinned' "pinned   $none $none $none [##" "$out"
	contains 'the map of pinned, later' "pinned   $none $none [##" "$out"
	report_is_whole
	equal 'a file of the user' mine "$(cat "$WORK/out dir/a file of the user")"
}

# A guest that ends in another way is no demo, even after its last line.
test_demo_fails()
{
	printf '#!/bin/sh\necho "the reason of the host"; exit 1\n' >"$WORK/kernel"
	chmod +x "$WORK/kernel"
	UML_KERNEL=$WORK/kernel
	cd "$WORK" || exit 1
	demo --quick --out "$WORK/d" --kernel kernel
	[ $status -ne 0 ] || fail 'no guest: expected a failure, got 0'
	contains 'no guest: why' 'the reason of the host' "$err"
	contains 'no guest' 'did not come to its end, status 125' "$err"
	[ ! -e "$WORK/d/report.html" ] || fail 'no guest: expected no report, got one'
	echo earlier >"$WORK/d/table.txt"
	while IFS='|' read -r words message; do
		demo --out "$WORK/d" $words
		[ $status -ne 0 ] || fail "$words: expected a failure, got 0"
		contains "$words" "$message" "$err"
	done <<-'EOT'
		--frobnicate|unknown option '--frobnicate'
		--limit|--limit needs a value
		--limit 10Q|--limit: '10Q' is not a size
		--limit 5M5|--limit: '5M5' is not a size
		--limit -1|--limit: '-1' is not a size
		--limit 1M|--limit 1M leaves the tenant no room
		--limit 99999999999999999999999M|is too large
		--mem 16M|--mem 16M is too small
		--mem x|--mem: 'x' is not a size
		--cpus 0|--cpus '0': the kernel has 1 to 8
		--cpus 99|--cpus '99': the kernel has 1 to 8
		--kernel /no/such/kernel|--kernel /no/such/kernel: no file that can be executed
		--kernel /etc|--kernel /etc: no file that can be executed
		--out /proc/none|/proc/none: no directory that can be written
		--out /dev/null|/dev/null: no directory that can be written
	EOT
	exec 7<"$WORK/d"
	flock 7
	demo --quick --out "$WORK/d" 7<&-
	exec 7<&-
	[ $status -ne 0 ] || fail 'beside another: expected a failure, got 0'
	contains 'beside another' "another demo writes to $WORK/d; cure: wait" "$err"
	equal 'what an earlier demo left' earlier "$(cat "$WORK/d/table.txt")"
	demo --limit ''
	contains 'an empty limit' "--limit: '' is not a size" "$err"
	demo --out ''
	contains 'an empty name' "--out '': not a name" "$err"
}
