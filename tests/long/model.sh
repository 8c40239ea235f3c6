#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long model`: 100,000 random steps (or STEPS=N) done to the kernel and to the
# reference model (tests/guest/model.c), in the default kernel (or FLAVOUR=F).
# SEED=N repeats the choices of another run.
set -u

cd "$(dirname "$0")/../.." || exit 1
flavour=${FLAVOUR:-default}
seed=${SEED:-$(($(date +%s) % 100000))}
out=build/check/long-model
slow=1
[ "$flavour" != debug ] || slow=6

make -s kernel FLAVOUR="$flavour" && make -s tools tests || exit 1
mkdir -p "$out"
echo "model: ${STEPS:-100000} steps, seed $seed"
MODEL_STEPS=${STEPS:-100000} build/tools/uml-run --kernel "build/$flavour/linux" --timeout 7000 \
	--log "$out/kernel" --failures "$out/failures" -- \
	"$PWD/build/tests/guest/model" --slow $slow --seed "$seed" --only kernel_and_model_agree \
	</dev/null >"$out/log" 2>"$out/err"
status=$?
cat "$out/log" "$out/err"
[ $status = 0 ] && grep -q '^ok 1' "$out/log" && exit 0
echo "model: FAILED with status $status; see $out; repeat: SEED=$seed ./uml check --long model" >&2
exit 1
