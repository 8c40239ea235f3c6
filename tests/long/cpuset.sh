#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long cpuset`: 50,000 random steps (or STEPS=N) done to cpuset and to its reference
# model, and as many to memset (tests/guest/cpuset_model.c), in the default kernel (or FLAVOUR=F).
# SEED=N repeats the choices of another run. Then 1,000 changes of nodes, and 600 moves, while tasks
# fork and fault (tests/guest/memset_stress.c).
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
if [ $status = 0 ]; then
	echo "cpuset: nodes change 1,000 times"
	STRESS_TIMES=10 build/tools/uml-run --kernel "build/$flavour/linux" --cpus 4 --nodes 4 --timeout 3600 \
		--log "$out/kernel-stress" --failures "$out/failures" -- \
		"$PWD/build/tests/guest/memset_stress" --slow $((slow * 6)) --seed "$seed" </dev/null >>"$out/log" 2>>"$out/err"
	status=$?
fi
cat "$out/log" "$out/err"
[ $status = 0 ] && [ "$(grep -c '^ok ' "$out/log")" = 4 ] && exit 0
echo "cpuset: FAILED with status $status; see $out; repeat: SEED=$seed ./uml check --long cpuset" >&2
exit 1
