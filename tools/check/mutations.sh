#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --mutations`: do the tests notice when the kernel is wrong?
#
# Each tests/mutations/NAME.patch puts one defect into our rooms; the first
# lines say which test must turn red:
#   # SPDX-License-Identifier: GPL-2.0-only
#   # Test: attach:a_zombie_is_esrch        (job:pattern, as for --only)
#   # What goes wrong, in a sentence.
# The tree is copied to build/mutations/tree1, 2, ... with the objects of build/default (and of
# build/debug, for a KUnit suite's tests and those that say NAME@debug:...), so that a mutation
# recompiles a file or two and links. A mutation survives when its test still passes; then the
# tests are not good enough, and this fails. One that hangs or panics the kernel counts as found.
#
# All of them take hours; as many trees as there are processors share them. One that was killed
# is not built again (build/mutations/kept) while the patch, the files that it changes and the
# sources of its test are what they were: the same defect is seen by the same test. --fresh before
# the names builds all; so does a name.
set -u

cd "$(dirname "$0")/../.." || exit 1
top=$PWD
work=$top/build/mutations
fresh=0
[ "${1:-}" != --fresh ] || { fresh=1; shift; }
names=("$@")
[ ${#names[@]} -eq 0 ] || fresh=1
start=$(date +%s)
. tools/check/copy.sh

die()
{
	echo "mutations: $*" >&2
	exit 2
}

for name in "${names[@]}"; do
	case $name in
	--help | -h) sed -n '3,18s/^# \{0,1\}//p' "$0"; exit 0 ;;
	-*) die "unknown option '$name'" ;;
	esac
	[ -f "tests/mutations/$name.patch" ] || die "there is no tests/mutations/$name.patch"
done
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd tests/mutations && ls ./*.patch | sed 's|^\./||; s/\.patch$//')

# What the verdict on a mutation depends on, but for the rest of the kernel.
key_of()
{
	local patch=tests/mutations/$1.patch suite
	suite=$(header "$patch" Test)
	suite=${suite%%[:@-]*}
	# shellcheck disable=SC2046 # files without white space in their names
	cat "$patch" $(sed -n 's|^+++ b/||p' "$patch") tests/guest/lib*.[ch] "tests/guest/$suite.c" 2>/dev/null | sha256sum
	case $suite in
	kunit*) cat ./*/container/*_test.c kernel/container/testing.h mm/container/memory_testing.h include/linux/container_testing.h arch/um/kernel/*_test.c ;;
	runner) cat tests/runner/* tools/run/* ;;
	esac 2>/dev/null | sha256sum
}

# header FILE WORD
header()
{
	sed -n "s/^# $2: *//p" "$1"
}

# Prints the verdict of one mutation: killed, survived or broken, and why.
judge()
{
	local patch=tests/mutations/$1.patch test out=$work/$1 flavour=default args=--no-debug
	test=$(header "$patch" Test)
	case $test in
	kunit:*) flavour=debug args='' test=kunit@debug:${test#*:} ;;
	*@debug*) flavour=debug args='' ;;
	esac
	[ -n "$test" ] || { echo "broken	its header names no test"; return; }
	mkdir -p "$out"
	grep -v '^# ' "$patch" | patch -d "$tree" -p1 -F0 -s --no-backup-if-mismatch >"$out/patch.log" 2>&1 || {
		echo "broken	does not apply: $(head -n 1 "$out/patch.log")"
		return
	}
	if ! make -C "$tree" kernel FLAVOUR=$flavour >"$out/build.log" 2>&1; then
		echo "broken	does not compile: $(grep -m 1 'error:' "$out/build.log")"
	else
		# shellcheck disable=SC2086 # a word or none
		(cd "$tree" && tools/check.sh --only "$test" --jobs 1 $args --no-build) >"$out/check.log" 2>&1
		case $? in
		0) echo "survived	$test passed" ;;
		1)
			# no test that passed is not one that failed: it may not have been done
			if grep -q '^FAILED' "$out/check.log"; then
				echo "killed	$(grep -m 1 -A 1 '^FAILED' "$out/check.log" | tail -n 1 | sed 's/^ *//')"
			else
				echo "broken	no test failed: $(tail -n 1 "$out/check.log")"
			fi ;;
		*) echo "broken	$(tail -n 1 "$out/check.log")" ;;
		esac
	fi
	grep -v '^# ' "$patch" | patch -R -d "$tree" -p1 -s --no-backup-if-mismatch >>"$out/patch.log" 2>&1 ||
		die "$patch cannot be taken back from $tree"
}

mkdir -p "$work/kept"
passed=0 failed=0 kept=0 left=()
# of what is copied below
declare -A key
for name in "${names[@]}"; do
	key[$name]=$(key_of "$name")
	if [ $fresh = 0 ] && [ "$(cat "$work/kept/$name" 2>/dev/null)" = "${key[$name]}" ]; then
		kept=$((kept + 1))
	else
		left+=("$name")
		rm -f "$work/kept/$name"
	fi
done
if [ $kept -gt 0 ]; then
	passed=$kept
	echo "mutations: $kept were killed before, and neither they nor their tests have changed; --fresh builds them again"
fi
if [ ${#left[@]} -eq 0 ]; then
	echo "$passed passed, 0 failed"
	exit 0
fi

make -s kernel tools tests || die "the kernel without mutations does not build"
debug=''
for name in "${left[@]}"; do
	case $(header "tests/mutations/$name.patch" Test) in
	kunit:* | *@debug*) debug=debug ;;
	esac
done
[ -z "$debug" ] || make -s kernel FLAVOUR=debug || die "the debug kernel without mutations does not build"
lanes=$(nproc)
[ "$lanes" -le ${#left[@]} ] || lanes=${#left[@]}
for lane in $(seq "$lanes"); do
	tree=$work/tree$lane
	echo "mutations: copying the tree to ${tree#"$top/"}"
	# shellcheck disable=SC2086 # words
	copy_tree "$tree" default $debug
	make -C "$tree" kernel >"$work/build.log" 2>&1 || die "the copy does not build: $(tail -n 3 "$work/build.log")"
done

# The next of the names that are left, each given to one lane.
next()
{
	local n
	{
		flock 9
		read -r n <"$work/next"
		echo $((n + 1)) >"$work/next"
	} 9>"$work/lock"
	name=${left[n]:-}
	[ -n "$name" ]
}

# A lane takes names and judges them in its tree, till none is left.
lane()
{
	local began verdict why
	while next; do
		began=$(date +%s)
		IFS=$'\t' read -r verdict why < <(judge "$name")
		printf '%-28s %-9s %5d  %s\n' "$name" "${verdict:-broken}" $(($(date +%s) - began)) "${why:0:150}"
		[ "$verdict" != killed ] || echo "${key[$name]}" >"$work/kept/$name"
	done
}

echo 0 >"$work/next"
printf '%-28s %-9s %5s  %s\n' mutation verdict s 'what the test said'
for lane in $(seq "$lanes"); do
	(tree=$work/tree$lane && lane) &
done
wait
# none is passed over: what no lane has seen killed failed
for name in "${left[@]}"; do
	if [ -e "$work/kept/$name" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
printf '\nin %d min %02d s; logs in build/mutations\n' $((($(date +%s) - start) / 60)) $((($(date +%s) - start) % 60))
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ] || exit 1
rm -rf "$work"/tree[0-9]*
