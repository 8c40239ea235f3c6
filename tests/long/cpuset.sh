#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long cpuset`: 50,000 random steps (or STEPS=N) done to cpuset and to its reference
# model, and as many to memset (tests/guest/cpuset_model.c), in the default kernel (or FLAVOUR=F).
# SEED=N repeats the choices of another run. Then 1,000 changes of nodes and 1,000 of CPUs, and moves, while tasks
# fork, fault and run (tests/guest/memset_stress.c, cpuset_stress.c), in the debug kernel (or FLAVOUR=F), where a
# report of a sanitizer fails it. How many steps and changes there were is the programs' word, counted here.
set -u

cd "$(dirname "$0")/../.." || exit 1
flavour=${FLAVOUR:-default}
stressed=${FLAVOUR:-debug}
steps=${STEPS:-50000}
seed=${SEED:-$(($(date +%s) % 100000))}
out=build/check/long-cpuset
case $steps in
0* | *[!0-9]*) echo "cpuset: STEPS=$steps is no number of steps" >&2; exit 2 ;;
esac

# How much longer than in the default kernel things may take in that of flavour $1.
slowness()
{
	[ "$1" = debug ] && echo 6 || echo 1
}

make -s kernel FLAVOUR="$flavour" && make -s kernel FLAVOUR="$stressed" && make -s tools tests || exit 1
mkdir -p "$out"
echo "cpuset: $steps steps for each of two models, seed $seed"
CPUSET_STEPS=$steps build/tools/uml-run --kernel "build/$flavour/linux" --cpus 4 --nodes 4 --timeout 7200 \
	--log "$out/kernel" --failures "$out/failures" -- \
	"$PWD/build/tests/guest/cpuset_model" --slow "$(slowness "$flavour")" --seed "$seed" </dev/null >"$out/log" 2>"$out/err"
status=$?

# stress SUITE TIMES
stress()
{
	[ $status = 0 ] || return
	STRESS_TIMES=$2 build/tools/uml-run --kernel "build/$stressed/linux" --cpus 4 --nodes 4 --timeout 3600 \
		--log "$out/kernel-$1" --failures "$out/failures" -- \
		"$PWD/build/tests/guest/$1" --slow $(($(slowness "$stressed") * 6)) --seed "$seed" </dev/null >>"$out/log" 2>>"$out/err"
	status=$?
}

echo "cpuset: nodes and CPUs change 1,000 times"
stress memset_stress 10
stress cpuset_stress 1
cat "$out/log" "$out/err"

# counted TIMES LINE: the log has it so often
counted()
{
	n=$(grep -cxE "$2" "$out/log")
	[ "$n" = "$1" ] || { echo "cpuset: the log has $n of $1 lines '$2'" >&2; status=1; }
}

counted 7 'ok .*'
counted 0 'not ok .*'
counted 2 "# $steps steps"
counted 2 '# 1000 changes'
[ $status != 0 ] || exit 0
echo "cpuset: FAILED with status $status; see $out; repeat: ${FLAVOUR:+FLAVOUR=$FLAVOUR }STEPS=$steps SEED=$seed ./uml check --long cpuset" >&2
exit 1
