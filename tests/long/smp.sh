#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long smp`: ten minutes of the smp suites with 4 CPUs (or CPUS=N), in the kernel
# of flavour default (or FLAVOUR=F); at least 1,000,000 pages must have been moved, besides those that were
# paged out, without one wrong byte. Before that each reproducer is run on Linux as it is (flavour vanilla) with 2, 4
# and 8 CPUs, where it must lose bytes, as in `./uml check`, but anew. Ends with the counts.
set -u

cd "$(dirname "$0")/../.." || exit 1
cpus=${CPUS:-4}
flavour=${FLAVOUR:-default}
out=build/check/long-smp
slow=1
[ "$flavour" != debug ] || slow=6

make -s kernel FLAVOUR="$flavour" && make -s tools tests || exit 1
mkdir -p "$out"
: >"$out/log"
failed=0
runs=0
planned=0

# run SECONDS SUITE PATTERN [NODES]: one kernel; each test looks for SECONDS. The runner's status says what no
# line of a test can: that the kernel reported something, or ended before it was asked to
run()
{
	runs=$((runs + 1))
	echo "smp: $2:$3, $1 s each"
	planned=$((planned + $("build/tests/guest/$2" --plan --only "$3" --cpus "$cpus" --nodes "${4:-1}" | wc -l)))
	# shellcheck disable=SC2086 # two words, or none
	SMP_SECONDS=$1 build/tools/uml-run --kernel "build/$flavour/linux" --cpus "$cpus" ${4:+--nodes $4} --swap 256M --mem 192M \
		--timeout 3600 --log "$out/kernel-$runs-$2" --failures "$out/failures" -- \
		"$PWD/build/tests/guest/$2" --slow $((slow * 20)) --only "$3" </dev/null >"$out/tests" 2>>"$out/err"
	code=$?
	cat "$out/tests" >>"$out/log"
	grep '^not ok' "$out/tests"
	[ $code = 0 ] || { failed=1; echo "smp: $2:$3 ended with status $code"; }
}

tools/check.sh --fresh --only 'smp*@vanilla' || failed=1
run 30 smp compaction
run 330 smp_nodes migration 2
run 140 smp pageout
run 12 smp '[rsw]*'
run 12 smp_reclaim '*'
run 11 smp_threads '*'
run 11 smp_copies '*'

echo
grep '^# [a-z_]*: ' "$out/log"
# each that was planned has said something
awk -v planned=$planned '/^# [a-z_]+: [0-9]+ pages moved$/ { moved += $3 }
	/^# [a-z_]+: [0-9]+ pages written to swap$/ { out += $3 }
	/^(not )?ok / { tests++ }
	END { print moved + 0, "pages moved and", out + 0, "written to swap under processes that wrote,", tests + 0, "of", planned, "tests"
		exit moved < 1000000 || tests != planned }' "$out/log" || failed=1
[ $failed = 0 ] || echo "smp: FAILED; see $out/log and $out/err" >&2
exit $failed
