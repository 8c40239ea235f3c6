# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
# What scripts of tests/long have in common; they source this in the top directory.

# kbuild TREE OBJECTS: the Linux of TREE, its output in OBJECTS, which has a .config; as the Makefile does it (KMAKE), for
# trees and objects that it does not know
kbuild()
{
	CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 nice make -C "$1" O="$2" ARCH=um CC="$(command -v ccache) gcc" \
		HOSTCC="$(command -v ccache) gcc" KBUILD_BUILD_USER=uml KBUILD_BUILD_HOST=containers KBUILD_BUILD_TIMESTAMP= \
		-j"$(nproc)" olddefconfig linux
}

# Ten minutes of one suite (storm.sh, memory.sh).

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
