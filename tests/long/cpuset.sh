#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long cpuset`: 50,000 random steps (or STEPS=N) done to cpuset and to its reference
# model, and as many to memset (tests/guest/cpuset_model.c), in the default kernel. Then 1,000 changes
# of nodes and 1,000 of CPUs, and moves, while tasks fork, fault and run (tests/guest/memset_stress.c,
# cpuset_stress.c), in the debug kernel, where one report of it fails. FLAVOUR=F takes one kernel for all.
# SEED=N repeats the choices of another run.
set -u

cd "$(dirname "$0")/../.." || exit 1
seed=${SEED:-$(($(date +%s) % 100000))}
out=build/check/long-cpuset
failed=0

make -s tools tests || exit 1
mkdir -p "$out"
: >"$out/log"

# run FLAVOUR SUITE TESTS PATIENCE SECONDS: one kernel; of so many tests each must pass
run()
{
	slow=$4
	[ "$1" != debug ] || slow=$((slow * 6))
	make -s kernel FLAVOUR="$1" || exit 1
	build/tools/uml-run --kernel "build/$1/linux" --cpus 4 --nodes 4 --timeout "$5" \
		--log "$out/kernel-$2" --failures "$out/failures" -- \
		"$PWD/build/tests/guest/$2" --slow "$slow" --seed "$seed" </dev/null >"$out/tests" 2>"$out/err-$2"
	status=$?
	cat "$out/tests" "$out/err-$2"
	cat "$out/tests" >>"$out/log"
	passed=$(grep -c '^ok ' "$out/tests")
	[ "$status" = 0 ] && [ "$passed" = "$3" ] && return
	failed=1
	echo "cpuset: $2 ended with status $status, $passed of $3 tests passed"
}

models=${FLAVOUR:-default} stress=${FLAVOUR:-debug}
export CPUSET_STEPS="${STEPS:-50000}"
echo "cpuset: $CPUSET_STEPS steps for each of two models ($models), seed $seed"
run "$models" cpuset_model 2 1 7200
echo "cpuset: nodes change 1,000 times ($stress)"
export STRESS_TIMES=10
run "$stress" memset_stress 2 6 3600
echo "cpuset: CPUs change 1,000 times ($stress)"
export STRESS_TIMES=1
run "$stress" cpuset_stress 3 6 3600
[ $failed = 1 ] || exit 0
echo "cpuset: FAILED; see $out; repeat: SEED=$seed ./uml check --long cpuset" >&2
exit 1
