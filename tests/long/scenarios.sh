#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long scenarios`: sort, python, gcc, sqlite3 and tar with far too little memory, four times as big (or
# SCALE=N) as in `./uml check` (tests/guest/memory_programs.c), in the kernel of flavour default (or FLAVOUR=F).
set -u

cd "$(dirname "$0")/../.." || exit 1
flavour=${FLAVOUR:-default}
out=build/check/long-scenarios
slow=4
[ "$flavour" != debug ] || slow=24

make -s kernel FLAVOUR="$flavour" && make -s tools tests || exit 1
mkdir -p "$out"
SCENARIO_SCALE=${SCALE:-4} build/tools/uml-run --kernel "build/$flavour/linux" --cpus "${CPUS:-1}" --mem 2G --swap 2G --timeout 3600 \
	--log "$out/kernel" --failures "$out/failures" -- \
	"$PWD/build/tests/guest/memory_programs" --slow $slow </dev/null >"$out/log" 2>"$out/err"
status=$?
cat "$out/log" "$out/err"
[ $status = 0 ] && [ "$(grep -c '^ok ' "$out/log")" = 6 ] && exit 0
echo "scenarios: FAILED with status $status; see $out" >&2
exit 1
