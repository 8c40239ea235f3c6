# SPDX-License-Identifier: GPL-2.0-only
# The script ./uml: subcommands, options, packages.
# status, out and err come from uml(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2034

uml()
{
	status=0
	"${tree:-$TOP}/uml" "$@" >"$WORK/o" 2>"$WORK/e" </dev/null || status=$?
	out=$(cat "$WORK/o")
	err=$(cat "$WORK/e")
}

test_uml_help()
{
	uml --help
	equal status 0 $status
	local all=$out
	for sub in demo check bench run shell gdb build doctor; do
		contains '--help' "  $sub " "$all"
		uml $sub --help
		equal "$sub --help: status" 0 $status
		contains "$sub --help" "uml $sub" "$out"
	done
}

# What somebody has who has only cloned it: $tree, nothing built in it, and no source of Linux to be had.
unbuilt()
{
	tree=$WORK/$1
	mkdir -p "$tree/tests"
	cp -r "$TOP/uml" "$TOP/Makefile" "$TOP/tools" "$tree"
	cp -r "$TOP/tests/tests.mk" "$TOP/tests/bench" "$tree/tests"
	unset UML_KERNEL
	export LINUX_TARBALL=/no/such/tarball
}

# All of it, also where nothing is built yet.
test_uml_help_of_run()
{
	unbuilt clone
	uml run --help
	equal status 0 $status
	contains 'run --help' "$("$TOP/build/tools/uml-run" --help)" "$out"
	uml gdb -ex run --help
	equal 'gdb: status' 0 $status
	contains 'gdb --help' 'uml gdb' "$out"
}

# A wrong word is told before a kernel is built, not after.
test_uml_words_before_a_build()
{
	unbuilt clone
	for sub in run shell gdb; do
		uml --no-install $sub --memory some -- true
		equal "$sub: status" 125 $status
		contains "$sub: message" 'uml-run: --memory some: not a size' "$err"
	done
	uml --no-install run --memory 4M -- true
	equal 'nothing wrong: status' 2 $status
	contains 'nothing wrong: message' /no/such/tarball "$err"
}

# Each option of the runner goes there, and none to gdb: it is the runner that refuses what no option takes.
test_uml_gdb_words()
{
	local option got=0
	for option in $("$TOP/build/tools/uml-run" --help | grep -o '^  --[a-z-]*'); do
		case $option in
		--help | --append) continue ;;
		esac
		uml --no-install gdb -ex quit $option= -- true
		equal "$option=: status" 125 $status
		contains "$option=: message" "uml-run: $option" "$err"
		got=$((got + 1))
	done
	[ $got -gt 20 ] || fail "options in uml-run --help: expected more than 20, got $got"
	uml --no-install gdb -ex quit --timeout soon -- true
	contains 'a value that is a word' 'uml-run: --timeout soon' "$err"
}

test_uml_unknown_words()
{
	uml frobnicate
	equal status 2 $status
	contains message frobnicate "$err"
	contains cure 'run shell gdb' "$err"
	uml --frobnicate run
	equal status 2 $status
	contains message --frobnicate "$err"
	for sub in build doctor; do
		uml $sub --frobnicate
		equal "$sub: status" 2 $status
		contains "$sub: message" --frobnicate "$err"
	done
	uml run --frobnicate -- true
	equal status 125 $status
	contains message --frobnicate "$err"
	uml build no-such-flavour
	equal status 2 $status
	contains message default "$err"
}

# Words only: a measurement is no test.
test_uml_bench_words()
{
	uml bench --list
	equal 'list: status' 0 $status
	contains list 'paths fork/user ' "$out"
	contains list 'groups fork_hooks/8 ' "$out"
	while IFS='|' read -r words message; do
		uml bench --no-build $words
		equal "$words: status" 2 $status
		contains "$words: message" "$message" "$err"
		contains "$words: cure" './uml bench --help' "$err"
	done <<-'EOT'
		--frobnicate|--frobnicate
		--only no/such|--only no/such: no line of that name
		--set paths --only attach|--only attach: no line of that name
		--set all|--set all: not one of paths, groups, places, memory, programs
		--rounds 0|'0' is not a number above 0
		--cpus|--cpus needs a value
	EOT
}

# Their rows would be one table.
test_uml_bench_beside_another()
{
	mkdir -p "$TOP/build/bench"
	exec 7<"$TOP/build/bench"
	flock -n 7 || :
	uml bench --no-build --quick --only fork/user 7<&-
	exec 7<&-
	equal status 1 $status
	contains message "another bench runs in $TOP; cure: wait" "$err"
}

test_uml_run()
{
	uml run -- sh -c 'echo out; exit 9'
	equal status 9 $status
	equal stdout out "$out"
}

test_uml_gdb()
{
	uml gdb --cpus 1 --batch -ex 'break do_sys_openat2' -ex run -ex 'printf "token-%d\n", 40 + 2' -- true
	contains 'printed at the breakpoint' token-42 "$out"
}

# A machine without bison, where apt-get only writes down that it was called.
without_bison()
{
	mkdir "$WORK/bin"
	printf '#!/bin/sh\necho "$@" >>%s/apt\n' "$WORK" >"$WORK/bin/apt-get"
	chmod +x "$WORK/bin/apt-get"
	status=0
	$apart bash -c 'b=$(command -v bison) && mount --bind /dev/null "$b" && PATH=$1:$PATH && shift && exec "$@"' \
		x "$WORK/bin" "$TOP/uml" "$@" >"$WORK/o" 2>"$WORK/e" </dev/null || status=$?
	err=$(cat "$WORK/e")
}

test_uml_no_install()
{
	set_apart
	without_bison --no-install build
	equal status 2 $status
	contains message bison "$err"
	contains cure 'apt-get install' "$err"
	[ ! -e "$WORK/apt" ] || fail "with --no-install: expected no call of apt-get, got $(cat "$WORK/apt")"
}

test_uml_installs()
{
	set_apart
	without_bison build
	contains 'said before' 'installing packages: bison' "$err"
	contains 'what apt-get was told' 'install --no-install-recommends bison' "$(cat "$WORK/apt")"
	equal 'status when apt did not help' 2 $status
	contains 'message when apt did not help' 'still missing' "$err"
}

test_uml_doctor()
{
	uml doctor
	contains doctor 'ok        gcc' "$out"
}

test_uml_check_words()
{
	while IFS='|' read -r words message; do
		uml --no-install check --no-build $words
		equal "$words: status" 2 $status
		contains "$words: message" "$message" "$err"
		contains "$words: cure" './uml check --help' "$err"
	done <<-'EOT'
		--frobnicate|--frobnicate
		--only|--only needs a value
		--only no-such-job|nothing matches
		--flavour odd|--flavour odd: not one of default
		--seed x|--seed 'x': not a number
		--seed 99999999999999999999|too large
		--jobs 0|--jobs '0': not a number from 1 to 64
		--jobs 08|--jobs '08': not a number
		--jobs 100000|--jobs '100000': not a number from 1 to 64
		--long no-such|--long no-such: there is no
		--long ../../tools/check|a name, not a path
		--long builds --frobnicate|--long builds --frobnicate: nothing may follow
	EOT
}

# Two would take each other's files, and jobs would be missing without a word.
test_uml_check_beside_another()
{
	mkdir -p "$TOP/build/check"
	# the one that this test is part of has it; else we
	exec 7>"$TOP/build/check/lock"
	flock -n 7 || :
	uml --no-install check --no-build --only lint 7>&-
	exec 7>&-
	equal status 1 $status
	contains message "another check runs in $TOP; cure:" "$err"
}

# A clone of somebody else's: where nothing can be written, that is said, and nothing else is tried.
test_uml_check_read_only()
{
	set_apart
	status=0
	$apart sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$1/uml" --no-install check --only lint' x "$TOP" \
		>"$WORK/o" 2>"$WORK/e" </dev/null || status=$?
	equal status 1 $status
	contains message 'build/check cannot be written' "$(cat "$WORK/e")"
	equal 'lines of it' 1 "$(wc -l <"$WORK/e")"
	status=0
	$apart sh -c 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && exec "$1/uml" --no-install build' x "$TOP" \
		>"$WORK/o" 2>"$WORK/e" </dev/null || status=$?
	[ $status -ne 0 ] || fail 'build: expected a failure, got 0'
	contains 'build: message' 'build cannot be written' "$(cat "$WORK/e")"
}

test_uml_doctor_of_a_source()
{
	for bad in LINUX_SRC=/no/such/tree LINUX_SRC=/etc LINUX_TARBALL=/no/such/file LINUX_TARBALL=/etc; do
		out=$(env $bad "$TOP/uml" doctor 2>/dev/null | grep 'Linux source')
		contains "$bad" "missing   Linux source: $bad" "$out"
	done
}

# Where the Makefile refuses to build, doctor says so before.
test_uml_doctor_of_a_place()
{
	unbuilt "a place"
	unset LINUX_TARBALL
	uml doctor
	equal status 1 $status
	contains line "missing   the directory $tree: Linux cannot be built below a name with a space" "$out"
	contains cure 'cure: another place for this tree' "$out"
	unbuilt place
	unset LINUX_TARBALL
	uml doctor
	case $out in *'the directory'*) fail "a good place: expected no word about it, got $out" ;; esac
}
