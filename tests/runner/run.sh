#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The runner's own tests, one line each: `ok - NAME # N ms` or `not ok - NAME # N ms, FILE:LINE: WHAT:
# expected E, got G`.
# Each test_* function of the files beside this one runs in a shell and a TMPDIR of its
# own, under a time limit (60 s, or what a line "# (limit of NAME: N s)" says), and must
# leave neither files there nor processes. What needs something of the machine that it does not have (not_here() in
# lib.bash) says `ok - NAME # SKIP WHY`.
set -u

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)

usage()
{
	cat <<-EOF
	Usage: tests/runner/run.sh [--kernel FILE] [--list] [NAME...]

	Runs the tests of uml-run with FILE (default ./linux.uml), or only those named. Ends with the
	totals; 1 if one failed.
	EOF
}

kernel=$top/linux.uml
list=
names=()
while [ $# -gt 0 ]; do
	case $1 in
	--kernel) [ $# -ge 2 ] || { echo "run.sh: --kernel needs a file" >&2; exit 2; }
		kernel=$(readlink -f "$2"); shift ;;
	--list) list=yes ;;
	--help) usage; exit 0 ;;
	-*) echo "run.sh: $1: no such option; see --help" >&2; exit 2 ;;
	*) names+=("$1") ;;
	esac
	shift
done
[ -n "$list" ] || [ -x "$kernel" ] || { echo "run.sh: the kernel $kernel: not there; cure: make, or --kernel FILE" >&2; exit 2; }
[ -n "$list" ] || [ -x "$top/build/tools/uml-run" ] || { echo "run.sh: build/tools/uml-run: not there; cure: make tools" >&2; exit 2; }

tests_of()
{
	sed -n 's/^test_\([a-z0-9_]*\)()$/\1/p' "$1"
}

wanted()
{
	[ ${#names[@]} -eq 0 ] && return 0
	for n in "${names[@]}"; do
		[ "$n" = "$1" ] && return 0
	done
	return 1
}

# What a test left behind: in its TMPDIR, or running with that name on its command line.
leftovers()
{
	local files pids
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		files=$(find "$1" -mindepth 1 -maxdepth 1 -name 'uml-run.*' | tr '\n' ' ')
		pids=$(pgrep -f "$1/uml-run" | tr '\n' ' ')
		[ -n "$files$pids" ] || return 0
		sleep 0.1
	done
	echo "left behind: files ${files:-none}, processes ${pids:-none}"
}

one()
{
	local file=$1 name=$2 work why rc began ms limit left
	limit=$(sed -n "s/^# (limit of $name: \([0-9]*\) s)$/\1/p" "$file")
	limit=${limit:-60}
	began=$(date +%s%N)
	work=$(mktemp -d /tmp/umlt.XXXXXX)
	mkdir "$work/tmp" "$work/fail"
	# shellcheck disable=SC2016 # the inner shell expands
	TMPDIR=$work/tmp UML_FAILURES=$work/fail UML_KERNEL=$kernel TOP=$top WORK=$work \
		timeout -k 5 $limit bash -c '. "$1"/lib.bash; . "$2"; "test_$3"' x "$here" "$file" "$name" \
		>"$work/out" 2>"$work/err" </dev/null 3>"$work/why"
	rc=$?
	why=$(head -n 1 "$work/why")
	[ $rc -ne 124 ] || why="tests/runner/$(basename "$file"):$(grep -n "^test_$name()" "$file" | cut -d: -f1): expected an end within $limit s, got none"
	[ $rc -eq 0 ] || [ -n "$why" ] || why="tests/runner/$(basename "$file"): expected 0, got exit status $rc: $(tail -n 1 "$work/err")"
	[ -n "$why" ] || why=$(leftovers "$work/tmp")
	# not_here() said so, and nothing else is wrong
	case $rc:$why in
	'77:NOT HERE: '*)
		left=$(leftovers "$work/tmp")
		if [ -z "$left" ]; then
			echo "ok - $name # SKIP ${why#NOT HERE: }"
			absent=$((absent + 1))
			rm -rf "$work"
			return
		fi
		why=$left ;;
	esac
	ms=$((($(date +%s%N) - began) / 1000000))
	if [ -z "$why" ]; then
		echo "ok - $name # $ms ms"
		passed=$((passed + 1))
	else
		echo "not ok - $name # $ms ms, $why"
		failed=$((failed + 1))
		sed 's/^/#   stderr: /' "$work/err" | tail -n 5
	fi
	rm -rf "$work"
}

passed=0
failed=0
absent=0
for file in "$here"/*.bash; do
	[ "$(basename "$file")" != lib.bash ] || continue
	for name in $(tests_of "$file"); do
		wanted "$name" || continue
		if [ -n "$list" ]; then echo "$name"; else one "$file" "$name"; fi
	done
done
[ -z "$list" ] || exit 0
if [ $((passed + failed + absent)) -eq 0 ]; then
	echo "run.sh: no test of that name; see --list" >&2
	exit 2
fi
echo "# $passed passed, $failed failed, $absent not done here"
[ $failed -eq 0 ]
