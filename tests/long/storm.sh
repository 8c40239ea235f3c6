#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long storm`: ten minutes of everything at once (tests/guest/storm.c) with 4 CPUs (or
# CPUS=N) and 2 nodes, in the debug kernel (or FLAVOUR=F), with a kmemleak scan at the end.
# SEED=N repeats the choices of another run.
set -u

cd "$(dirname "$0")/../.." || exit 1
flavour=${FLAVOUR:-debug}
seed=${SEED:-$(($(date +%s) % 100000))}
out=build/check/long-storm
slow=1 leaks=''
[ "$flavour" != debug ] || slow=6 leaks=--leaks

make -s kernel FLAVOUR="$flavour" && make -s tools tests || exit 1
mkdir -p "$out"
echo "storm: ten minutes, seed $seed"
STORM_SECONDS=600 build/tools/uml-run --kernel "build/$flavour/linux" --cpus "${CPUS:-4}" --nodes 2 $leaks --timeout 1200 \
	--log "$out/kernel" --failures "$out/failures" -- \
	"$PWD/build/tests/guest/storm" --slow $slow --seed "$seed" </dev/null >"$out/log" 2>"$out/err"
status=$?
cat "$out/log" "$out/err"
[ $status = 0 ] && grep -q '^ok 1' "$out/log" && exit 0
echo "storm: FAILED with status $status; see $out; repeat: SEED=$seed ./uml check --long storm" >&2
exit 1
