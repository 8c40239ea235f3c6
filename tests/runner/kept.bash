# SPDX-License-Identifier: GPL-2.0-only
# tools/check/kept.sh: when `./uml check` takes a job's verdict from an earlier run, and when not.
# shellcheck shell=bash disable=SC2034,SC1091

# A directory with two suites, a kernel and a runner, one byte each; the verbs of check.sh that kept.sh calls.
a_check()
{
	cd "$WORK" || exit 1
	build=b out=o took=b/took tab=$'\t'
	mkdir -p b/default b/tools/guest b/tests/guest o/sums o/keys o/rows o/claims tools/check
	echo k >b/default/linux
	echo r | tee b/tools/uml-run >b/tools/guest/init
	echo one >b/tests/guest/one
	echo two >b/tests/guest/two
	printf '%s\n' one two lint >o/jobs
	cp "$TOP/tools/check.sh" tools/
	cp "$TOP"/tools/check/*tap.awk tools/check/
	machine_of() { echo --cpus 1; }
	head_word() { :; }
	suite_of() { echo "$1"; }
	flavour_of() { echo default; }
	. "$TOP/tools/check/kept.sh"
	again=0
}

# a_run STATUS...: runs what is not kept, one and two end with these; leaves in $ran what was run.
a_run()
{
	rm -rf o/claims o/keys o/rows
	mkdir o/claims o/keys o/rows
	keys_make default
	keep_ready >o/said
	ran=
	for job in one two; do
		if mkdir "o/claims/$job" 2>/dev/null; then
			ran="$ran$job "
			printf '%s\t%s\ttest\t7\t\n' "$1" $job >o/rows/$job
			keep_end $job '*'
		fi
		shift
	done
}

test_kept_until_something_changes()
{
	a_check
	a_run ok ok
	equal 'nothing is known' 'one two ' "$ran"
	a_run ok ok
	equal 'nothing has changed' '' "$ran"
	contains 'it is said' 'two: 1 passed, kept' "$(cat o/said)"
	equal 'the row' "ok${tab}one${tab}test${tab}7${tab}kept" "$(cat o/rows/one)"
	echo other >b/tests/guest/two
	a_run ok ok
	equal 'a program' 'two ' "$ran"
	for file in b/default/linux b/tools/uml-run b/tools/guest/init tools/check.sh tools/check/tap.awk; do
		echo changed >>$file
		a_run ok ok
		equal $file 'one two ' "$ran"
	done
	machine_of() { echo --cpus 2; }
	a_run ok ok
	equal 'the machine' 'one two ' "$ran"
	a_run ok ok
	equal 'nothing again' '' "$ran"
}

test_kept_only_when_all_passed()
{
	a_check
	a_run ok fail
	a_run ok fail
	equal 'a failure' 'two ' "$ran"
	a_run ok ok
	equal 'again' 'two ' "$ran"
	a_run ok ok
	equal 'cured' '' "$ran"
	# a part of it, by name
	echo "fail${tab}two${tab}other${tab}1${tab}why" >o/rows/two
	keep_end two 'other*'
	a_run ok ok
	equal 'a part failed' 'two ' "$ran"
	rm b/kept/two
	keep_end two 'test'
	a_run ok ok
	equal 'a part passed' 'two ' "$ran"
}

test_kept_in_turn()
{
	a_check
	a_run ok ok
	printf 'one\t100\t1\ntwo\t50\t1\n' >b/took
	touch -d '1 hour ago' b/kept/two
	again=40
	a_run ok ok
	equal 'the oldest' 'two ' "$ran"
	touch -d '1 hour ago' b/kept/one
	a_run ok ok
	equal 'the other one' 'one ' "$ran"
	again=101
	a_run ok ok
	equal 'both' 'one two ' "$ran"
	# what must be run fills the time
	echo changed >b/tests/guest/one
	again=100
	a_run ok ok
	equal 'a changed one' 'one ' "$ran"
}
