# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
# Ten minutes of one suite, for tests/long/storm.sh and memory.sh, which source this in the top directory.

# long_suite NAME SUITE VARIABLE OPTION...: runs tests/guest/SUITE.c with these options of the runner and with VARIABLE
# set to the seconds (DURATION=N, or 600), with 4 CPUs (or CPUS=N), in the debug kernel (or FLAVOUR=F), there with a
# kmemleak scan at the end. SEED=N repeats the choices of another run.
long_suite()
{
	name=$1 suite=$2 variable=$3
	shift 3
	flavour=${FLAVOUR:-debug}
	seconds=${DURATION:-600}
	seed=${SEED:-$(($(date +%s) % 100000))}
	out=build/check/long-$name
	slow=1 leaks=''
	[ "$flavour" != debug ] || slow=6 leaks=--leaks

	make -s kernel FLAVOUR="$flavour" && make -s tools tests || exit 1
	mkdir -p "$out"
	echo "$name: $seconds s, seed $seed"
	env "$variable=$seconds" build/tools/uml-run --kernel "build/$flavour/linux" --cpus "${CPUS:-4}" "$@" $leaks \
		--timeout $((seconds + 600)) --log "$out/kernel" --failures "$out/failures" -- \
		"$PWD/build/tests/guest/$suite" --slow $slow --seed "$seed" </dev/null >"$out/log" 2>"$out/err"
	status=$?
	cat "$out/log" "$out/err"
	[ $status = 0 ] && grep -q '^ok 1' "$out/log" && exit 0
	echo "$name: FAILED with status $status; see $out; repeat: SEED=$seed ./uml check --long $name" >&2
	exit 1
}
