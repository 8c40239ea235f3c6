#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long cpuset`: 50,000 random steps (or STEPS=N) done to cpuset and to its reference
# model, and as many to memset (tests/guest/cpuset_model.c), in the default kernel (or FLAVOUR=F).
# SEED=N repeats the choices of another run. Then 1,000 changes of nodes and 1,000 of CPUs, and moves, while tasks
# fork, fault and run (tests/guest/memset_stress.c, cpuset_stress.c).
set -u

cd "$(dirname "$0")/../.." || exit 1
flavour=${FLAVOUR:-default}
seed=${SEED:-$(($(date +%s) % 100000))}
out=build/check/long-cpuset
slow=1
[ "$flavour" != debug ] || slow=6

make -s kernel FLAVOUR="$flavour" && make -s tools tests || exit 1
mkdir -p "$out"
echo "cpuset: ${STEPS:-50000} steps for each of two models, seed $seed"
CPUSET_STEPS=${STEPS:-50000} build/tools/uml-run --kernel "build/$flavour/linux" --cpus 4 --nodes 4 --timeout 7200 \
	--log "$out/kernel" --failures "$out/failures" -- \
	"$PWD/build/tests/guest/cpuset_model" --slow $slow --seed "$seed" </dev/null >"$out/log" 2>"$out/err"
status=$?

# stress SUITE TIMES
stress()
{
	[ $status = 0 ] || return
	STRESS_TIMES=$2 build/tools/uml-run --kernel "build/$flavour/linux" --cpus 4 --nodes 4 --timeout 3600 \
		--log "$out/kernel-$1" --failures "$out/failures" -- \
		"$PWD/build/tests/guest/$1" --slow $((slow * 6)) --seed "$seed" </dev/null >>"$out/log" 2>>"$out/err"
	status=$?
}

echo "cpuset: nodes and CPUs change 1,000 times"
stress memset_stress 10
stress cpuset_stress 1
cat "$out/log" "$out/err"
[ $status = 0 ] && [ "$(grep -c '^ok ' "$out/log")" = 7 ] && exit 0
echo "cpuset: FAILED with status $status; see $out; repeat: SEED=$seed ./uml check --long cpuset" >&2
exit 1
