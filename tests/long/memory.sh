#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long memory`: ten minutes (or DURATION=N) of memory under pressure (tests/guest/memory_stress.c) with
# 4 CPUs (or CPUS=N), in the debug kernel (or FLAVOUR=F), with a kmemleak scan at the end. SEED=N repeats the choices of
# another run.
set -u

cd "$(dirname "$0")/../.." || exit 1
flavour=${FLAVOUR:-debug}
seconds=${DURATION:-600}
seed=${SEED:-$(($(date +%s) % 100000))}
out=build/check/long-memory
slow=1 leaks=''
[ "$flavour" != debug ] || slow=6 leaks=--leaks

make -s kernel FLAVOUR="$flavour" && make -s tools tests || exit 1
mkdir -p "$out"
echo "memory: $seconds s, seed $seed"
MEMORY_STRESS_SECONDS=$seconds build/tools/uml-run --kernel "build/$flavour/linux" --cpus "${CPUS:-4}" --swap 64M --mem 256M $leaks \
	--timeout $((seconds + 600)) --log "$out/kernel" --failures "$out/failures" -- \
	"$PWD/build/tests/guest/memory_stress" --slow $slow --seed "$seed" </dev/null >"$out/log" 2>"$out/err"
status=$?
cat "$out/log" "$out/err"
[ $status = 0 ] && grep -q '^ok 1' "$out/log" && exit 0
echo "memory: FAILED with status $status; see $out; repeat: SEED=$seed ./uml check --long memory" >&2
exit 1
