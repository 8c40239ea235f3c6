#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long series`: each patch of arch/um/series, on those before it, builds without a warning, boots with 1
# and with 4 CPUs, and cures what it says: the tests that it names as its proof fail in the kernel before
# it and pass in its own. `PATCHES='*-ipi *-idle' ./uml check --long series` does it for these alone.
set -eu

cd "$(dirname "$0")/../.."
. tools/check/long.sh
build=$PWD/build
out=$build/check/long-series
tree=$build/series/linux
obj=$tree/obj
tests=0

failed()
{
	echo "series: FAILED: $*; logs in $out" >&2
	exit 1
}

# Linux as it is, in a tree of its own; what the patches change are copies, not links.
fresh_tree()
{
	tools/source.sh build
	rm -rf "$build/series"
	mkdir -p "$build/series"
	cp -al "$build/source" "$tree" 2>/dev/null || cp -a "$build/source/." "$tree"
	for dir in arch/um arch/x86/um; do
		rm -rf "${tree:?}/$dir"
		cp -a "$build/source/$dir" "$tree/$dir"
	done
	tools/config.sh "$tree" "$obj" um-configs/base.config um-configs/vanilla.config um-configs/series.config
}

# keep KERNEL NAME: as series/NAME. A new file: the guest of a test that has failed may still be on its way out of the one before.
keep()
{
	rm -f "$build/series/$2"
	cp "$1" "$build/series/$2"
}

# rcu_kernel NAME: what is in the tree now, with CONFIG_PROVE_RCU and kmemleak, which uses RCU for each kfree(), as series/NAME; for
# the proof of one patch
rcu_kernel()
{
	[ -e "$tree/obj-rcu/.config" ] ||
		tools/config.sh "$tree" "$tree/obj-rcu" um-configs/base.config um-configs/vanilla.config um-configs/series.config
	"$tree/scripts/config" --file "$tree/obj-rcu/.config" --enable DEBUG_KERNEL --enable PROVE_LOCKING \
		--enable DEBUG_KMEMLEAK --disable DEBUG_KMEMLEAK_AUTO_SCAN
	kbuild "$tree" "$tree/obj-rcu" >"$out/$1.build" 2>&1 || failed "$1 does not build"
	for symbol in PROVE_RCU DEBUG_KMEMLEAK; do
		grep -q "^CONFIG_$symbol=y$" "$tree/obj-rcu/.config" || failed "$1 has no CONFIG_$symbol"
	done
	keep "$tree/obj-rcu/linux" "$1"
}

# What a patch brings is on from there; KUnit itself costs the others nothing.
build_kernel()
{
	for symbol in VIRT_CPU_ACCOUNTING_NATIVE NUMA; do
		"$tree/scripts/config" --file "$obj/.config" --enable $symbol
	done
	! grep -q UML_KUNIT_TEST "$tree/arch/um/Kconfig.kunit" 2>/dev/null ||
		"$tree/scripts/config" --file "$obj/.config" --enable KUNIT --enable UML_KUNIT_TEST
	kbuild "$tree" "$obj" >"$out/$1.build" 2>&1 || failed "$1 does not build"
	! grep -i 'warning' "$out/$1.build" || failed "$1 builds with a warning"
}

# run NAME KERNEL CPUS PROGRAM...
run()
{
	log=$out/$1 kernel=$2 cpus=$3
	shift 3
	SMP_SECONDS=$seconds "$build/tools/uml-run" --kernel "$kernel" --cpus "$cpus" --swap 256M --mem 192M --timeout 420 --log "$log.kernel" \
		--failures "$out/failures" -- "$@" </dev/null >"$log" 2>"$log.err"
}

boots()
{
	seconds=2
	for cpus in 1 4; do
		run "$1.boot-$cpus" "$obj/linux" "$cpus" /bin/true || failed "$1 does not boot with $cpus CPUs"
	done
}

# runner_says LOG KERNEL TEST RESULT: a test of tests/runner, and how it must end
runner_says()
{
	tests/runner/run.sh --kernel "$2" "$3" </dev/null >"$out/$1" 2>&1 || :
	grep -q "^$4 - $3 # [0-9]* ms" "$out/$1"
}

# proof PATCH SUITE:TEST: before it by a wrong byte or time, as in flavour vanilla, or in young by what that counts; of prove_rcu, by
# what such a kernel reports when it boots
proof()
{
	suite=${2%%:*} test=${2#*:} cpus=4
	tests=$((tests + 1))
	if [ "$suite" = prove_rcu ]; then
		seconds=2
		! run "$1.rcu.before" "$build/series/rcu-before" "$cpus" /bin/true || failed "$2 passes before $1"
		grep -q "$test" "$out/$1.rcu.before.kernel" || failed "$2 fails otherwise before $1"
		rcu_kernel rcu-after
		run "$1.rcu" "$build/series/rcu-after" "$cpus" /bin/true || failed "$2 fails after $1"
		return
	fi
	if [ "$suite" = runner ]; then
		runner_says "$1.$test.before" "$build/series/before" "$test" 'not ok' || failed "$2 passes before $1"
		runner_says "$1.$test" "$obj/linux" "$test" ok || failed "$2 fails after $1"
		return
	fi
	[ "$suite" != utime ] || cpus=1
	seconds=60
	! run "$1.$test.before" "$build/series/before" "$cpus" "$build/tests/guest/$suite" --slow 6 --only "$test" || failed "$2 passes before $1"
	case $suite in
	young) how='Assertion .(young_pages|faults_of_reading)' ;;
	utime) how='time:' ;;
	*) how='corrupt:' ;;
	esac
	grep -qE "^not ok.*$how" "$out/$1.$test.before" || failed "$2 does not fail by $how before $1"
	seconds=2
	run "$1.$test" "$obj/linux" "$cpus" "$build/tests/guest/$suite" --only "$test" || failed "$2 fails after $1"
	grep -q '^ok' "$out/$1.$test" || failed "$2 says nothing after $1"
}

# Is it one of PATCHES? All are without.
wanted()
{
	yes=1
	[ -n "${PATCHES:-}" ] || yes=0
	set -f # patterns of patches, not of files
	for pattern in ${PATCHES:-}; do
		# shellcheck disable=SC2254
		case $1 in $pattern) yes=0 ;; esac
	done
	set +f
	return $yes
}

make tools tests
mkdir -p "$out"
tools/series.sh check build
tools/series.sh list >"$out/list"
fresh_tree
last=00-linux built=
if wanted $last; then
	build_kernel $last
	boots $last
	built=yes
fi
while read -r n name proofs <&3; do
	if ! wanted "$name"; then
		tools/series.sh apply "$n" "$tree"
		last=$name built=
		continue
	fi
	[ -n "$built" ] || build_kernel "$last"
	keep "$obj/linux" before
	case $proofs in *prove_rcu:*) rcu_kernel rcu-before ;; esac
	tools/series.sh apply "$n" "$tree"
	last=$name built=yes
	build_kernel "$name"
	boots "$name"
	for which in $proofs; do
		proof "$name" "$which"
	done
	echo "series: $name: $(grep -c '^  CC ' "$out/$name.build" || :) objects, builds, boots${proofs:+, $proofs}"
done 3<"$out/list"
# what was built is what is here
for file in $(git ls-files arch/um ':!arch/um/series' ':!arch/um/hooks.patch'); do
	cmp "$file" "$tree/$file" || failed "the tree ends with another $file"
done
[ $tests -gt 0 ] || [ -n "${PATCHES:-}" ] || failed 'no patch has a proof'
echo "series: $(wc -l <"$out/list") patches${PATCHES:+, of which $PATCHES were built}, $tests tests that failed before one of them and passed after it"
