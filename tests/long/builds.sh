#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long builds`: kernels that are built otherwise than what users run.
#
# The default kernel with CONFIG_MAX_CONTAINER_HIERARCHIES=2 and =32, from a copy of its objects (only
# what reads that value is compiled, kernel/container/): it has as many hierarchies as it was configured
# for. The suites about slots and membership run in it; they take the number from /proc/config.gz.
#
# Flavour up, without CONFIG_SMP: the KUnit suites, the core, and time told from time with one CPU in
# either mode.
#
# Flavour up-preempt, the same with CONFIG_PREEMPT, which SMP excludes: the same again, and what takes pages from running
# programs.
#
# `BUILDS=up ./uml check --long builds` builds that one alone, BUILDS=up-preempt that one, BUILDS=slots the others, which
# `./uml check` does, too (its job `slots`).
set -eu

cd "$(dirname "$0")/../.."
. tools/check/long.sh
build=$PWD/build
out=$build/check/long-builds

failed()
{
	echo "builds: FAILED: $name: $1; logs in $out" >&2
	exit 1
}

# run KERNEL NAME OPTION... -- PROGRAM...
run()
{
	kernel=$1 name=$2 code=0
	shift 2
	"$build/tools/uml-run" --kernel "$kernel" --timeout 180 --log "$out/$name.kernel" --failures "$out/failures" \
		"$@" </dev/null >"$out/$name" || code=$?
	[ $code = 0 ] || { grep '^not ok' "$out/$name" || :; failed "status $code"; }
}

# suite KERNEL NAME OPTION... -- SUITE...: its status is 0 when every test passed
suite()
{
	run "$@"
	passed=$(grep -c '^ok ' "$out/$name") || failed 'no test ran'
	echo "builds: $name: $passed passed"
}

slots()
{
	make kernel FLAVOUR=default
	for max in 2 32; do
		obj=$build/linux/obj-slots
		rm -rf "$obj"
		cp -a "$build/linux/obj-default" "$obj"
		sed -i 's|obj-default|obj-slots|g' "$obj/Makefile"
		"$build/linux/scripts/config" --file "$obj/.config" --set-val MAX_CONTAINER_HIERARCHIES $max
		kbuild "$build/linux" "$obj" >"$out/build-$max" 2>&1 || { name=build-$max; failed 'it does not build'; }
		grep -q "^CONFIG_MAX_CONTAINER_HIERARCHIES=$max$" "$obj/.config"
		suite "$obj/linux" "core-$max" -- "$build/tests/guest/core" --only '*slot*'
		suite "$obj/linux" "inherit-$max" -- "$build/tests/guest/inherit"
	done
	rm -rf "$obj"
}

# kunit FLAVOUR: the KUnit suites that are there without SMP: all but the shootdown and what is about nodes.
kunit()
{
	for file in kernel/container/*_test.c mm/container/*_test.c arch/um/kernel/*_test.c; do
		case $file in
		*/shootdown_test.c | */memset_test.c) ;;
		*) sed -n 's/.*KUNIT_CASE[A-Z_]*(\([a-z0-9_]*\).*/\1/p' "$file" ;;
		esac
	done >"$out/kunit.plan"
	run "$build/$1/linux" "$1-kunit" --boot-timeout 120 --append kunit.enable=1 --append kunit.autorun=1 -- true
	awk -f tools/check/ktap.awk -v job=kunit -v code=0 -v why= -v plan="$out/kunit.plan" "$out/$1-kunit.kernel" >"$out/$1-kunit.rows"
	! grep -v '^ok' "$out/$1-kunit.rows" || failed 'above'
	echo "builds: $name: $(wc -l <"$out/$1-kunit.rows") passed"
}

# up FLAVOUR
up()
{
	make kernel FLAVOUR="$1"
	kunit "$1"
	suite "$build/$1/linux" "$1-core" -- "$build/tests/guest/core"
	suite "$build/$1/linux" "$1-utime" -- "$build/tests/guest/utime"
	suite "$build/$1/linux" "$1-stays" -- "$build/tests/guest/utime_stays"
	suite "$build/$1/linux" "$1-utime-ptrace" --mode ptrace -- "$build/tests/guest/utime"
	suite "$build/$1/linux" "$1-stays-ptrace" --mode ptrace -- "$build/tests/guest/utime_stays"
	suite "$build/$1/linux" "$1-cpuacct" -- "$build/tests/guest/cpuacct_stat"
	suite "$build/$1/linux" "$1-cpuacct-ptrace" --mode ptrace -- "$build/tests/guest/cpuacct_stat"
	suite "$build/$1/linux" "$1-tables" -- "$build/tests/guest/smp_tables"
}

up_preempt()
{
	up up-preempt
	for mode in seccomp ptrace; do
		for which in smp smp_copies smp_reclaim smp_tables smp_threads; do
			suite "$build/up-preempt/linux" "up-preempt-$which-$mode" --mode $mode --swap 256M --mem 192M -- "$build/tests/guest/$which"
		done
	done
}

mkdir -p "$out"
make tools tests
for what in ${BUILDS:-slots up up-preempt}; do
	case $what in
	slots) slots ;;
	up) up up ;;
	up-preempt) up_preempt ;;
	*) echo "builds: BUILDS=$what: not slots, up or up-preempt" >&2; exit 2 ;;
	esac
done
echo "builds: passed"
