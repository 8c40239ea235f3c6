# SPDX-License-Identifier: GPL-2.0-only
# The judges of `./uml check` (tools/check): what a log makes of a plan, and the reports. No guest is needed.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2034

# judge PARSER CODE, a log on standard input: its rows, as "status test: message" lines, the plan is a, b
judge()
{
	printf 'a\nb\n' >"$WORK/plan"
	rows=$(awk -f "$TOP/tools/check/$1.awk" -v job=j -v code=$2 -v why=reason -v plan="$WORK/plan" |
		awk -F '\t' '{ print $1, $3 ": " $5 }')
}

# verdict WHAT PARSER CODE LOG ROWS
verdict()
{
	judge $2 $3 <<<"$4"
	equal "$1" "$5" "$rows"
}

test_tap_fails_closed()
{
	verdict 'all is well' tap 0 $'ok 1 - a # 2 ms\nok 2 - b # 3 ms' $'ok a: \nok b: '
	verdict 'one failed' tap 1 $'ok 1 - a # 2 ms\nnot ok 2 - b # 3 ms, b.c:4: what' $'ok a: \nfail b: b.c:4: what'
	verdict 'one is missing' tap 0 $'ok 1 - a # 2 ms' $'ok a: \nfail b: did not run to its end: exit status 0, reason'
	verdict 'nothing' tap 0 '' $'fail a: did not run to its end: exit status 0, reason\nfail b: did not run to its end: exit status 0, reason'
	verdict 'one too many' tap 0 $'ok - a\nok - b\nok - c' $'ok a: \nok b: \nfail c: reported, but not in the plan'
	verdict 'one twice' tap 0 $'ok - a\nok - b\nok - b' $'ok a: \nok b: \nfail b: reported twice'
	verdict 'a skip' tap 0 $'ok - a\nok - b # SKIP no disk' $'ok a: \nfail b: skipped: SKIP no disk'
	verdict 'a skip that failed' tap 1 $'ok - a\nnot ok - b # SKIP no disk' $'ok a: \nfail b: skipped: SKIP no disk'
	verdict 'a status of the runner' tap 201 $'ok - a\nok - b' $'ok a: \nok b: \nfail (kernel): exit status 201: reason'
	verdict 'a 1 without a failure' tap 1 $'ok - a\nok - b' $'ok a: \nok b: \nfail (kernel): exit status 1: reason'
	verdict 'a 0 with a failure' tap 0 $'ok - a\nnot ok - b' $'ok a: \nfail b: \nfail (status): exit status 0 although 1 failed'
}

# ktap SUITE_PLAN SUITE_LINE LINE...: a kernel's log with one suite
ktap()
{
	local plan=$1 end=$2
	shift 2
	{ printf '%s\n' 'Linux version 7.3.4' 'KTAP version 1' '1..1' '    KTAP version 1' '    # Subtest: s' "    1..$plan"
		printf '%s\n' "$@" ${end:+"$end 1 s"}; } | sed 's/^/[    0.100000][    T1] /'
}

test_ktap_fails_closed()
{
	verdict 'all is well' ktap 0 "$(ktap 2 ok '    ok 1 a' '    ok 2 b')" $'ok a: \nok b: '
	verdict 'one failed' ktap 0 "$(ktap 2 'not ok' '    ok 1 a' '    # b: EXPECTATION FAILED at core_test.c:9' \
		'    Expected x == 1, but' '        x == 2' '    not ok 2 b')" $'ok a: \nfail b: core_test.c:9: Expected x == 1, but x == 2'
	verdict 'a case that is not there' ktap 0 "$(ktap 1 ok '    ok 1 a')" \
		$'ok a: \nfail b: the source has this case, the log has no result of it: exit status 0, reason'
	verdict 'a plan that is not kept' ktap 0 "$(ktap 3 ok '    ok 1 a' '    ok 2 b')" $'ok a: \nok b: \nfail s: its plan says 3 tests, 2 ended'
	verdict 'a skip' ktap 0 "$(ktap 2 ok '    ok 1 a' '    ok 2 b # SKIP no')" $'ok a: \nfail b: skipped: b # SKIP no'
	verdict 'a suite whose own end fails' ktap 0 "$(ktap 2 'not ok' '    ok 1 a' '    ok 2 b')" \
		$'ok a: \nok b: \nfail s: not ok, although no case of it failed '
	verdict 'the end inside a suite' ktap 202 "$(ktap 2 '' '    ok 1 a')" \
		$'ok a: \nfail s: the kernel ended inside this suite: exit status 202, reason\nfail (suites): its plan says 1 tests, 0 ended\nfail b: the source has this case, the log has no result of it: exit status 202, reason\nfail (kernel): exit status 202: reason'
	verdict 'a kernel that failed afterwards' ktap 201 "$(ktap 2 ok '    ok 1 a' '    ok 2 b')" \
		$'ok a: \nok b: \nfail (kernel): exit status 201: reason'
}

# What the machine does not allow is said, and counted as neither; but never for a guest, and never without a reason.
test_what_cannot_be_done_here()
{
	rows=$(printf 'ok - a # 3 ms\nok - b # SKIP no mounts\n' | awk -f "$TOP/tools/check/tap.awk" -v job=runner -v code=0 -v plan=<(printf 'a\nb\n'))
	equal rows $'ok\trunner\ta\t3\t\nskip\trunner\tb\t0\tskipped: SKIP no mounts' "$rows"
	status=0
	awk -F '\t' -f "$TOP/tools/check/report.awk" -v dir="$WORK" -v seed=1 -v seconds=2 <<<"$rows" >"$WORK/o" || status=$?
	equal status 0 $status
	contains summary $'1 could not be done on this machine and are neither passed nor failed:\n  runner:b: skipped: SKIP no mounts' "$(cat "$WORK/o")"
	equal 'last line' '1 passed, 0 failed' "$(tail -n 1 "$WORK/o")"
	equal results.json '1 0 1 skipped' "$(python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
print(r["passed"], r["failed"], r["skipped"], r["tests"][1]["status"])' "$WORK/results.json" 2>&1 | tail -n 1)"
	equal junit.xml '2 1' "$(python3 -c '
import sys, xml.etree.ElementTree as e
r = e.parse(sys.argv[1]).getroot()
print(len(r.findall(".//testcase")), len(r.findall(".//skipped")))' "$WORK/junit.xml" 2>&1 | tail -n 1)"
	# nothing but such: nobody has seen anything work
	status=0
	sed 1d <<<"$rows" | awk -F '\t' -f "$TOP/tools/check/report.awk" -v dir="$WORK" -v seed=1 -v seconds=2 >"$WORK/o" || status=$?
	equal 'status of nothing' 1 $status
	# a machine where unshare is refused
	mkdir "$WORK/bin"
	printf '#!/bin/sh\nexit 1\n' >"$WORK/bin/unshare"
	chmod +x "$WORK/bin/unshare"
	out=$(PATH="$WORK/bin:$PATH" "$TOP/tests/runner/run.sh" --kernel "$UML_KERNEL" read_only_host)
	contains 'a test that needs mounts' 'ok - read_only_host # SKIP nobody may have mounts' "$out"
	contains totals '0 passed, 0 failed, 1 not done here' "$out"
}

# Only who says it in that way is excused, and leaves nothing behind.
test_what_is_no_excuse()
{
	mkdir -p "$WORK/t/tests/runner" "$WORK/t/build/tools"
	cp "$TOP/tests/runner/run.sh" "$TOP/tests/runner/lib.bash" "$WORK/t/tests/runner"
	cp /bin/true "$WORK/t/build/tools/uml-run"
	cat >"$WORK/t/tests/runner/x.bash" <<-'EOT'
		test_no_reason()
		{
			exit 77
		}
		test_failed_before()
		{
			(fail 'what was wrong')
			exit 77
		}
		test_leaves_a_file()
		{
			touch "$TMPDIR/uml-run.left"
			not_here 'no disk'
		}
		test_excused()
		{
			not_here 'no disk'
		}
	EOT
	status=0
	out=$("$WORK/t/tests/runner/run.sh" --kernel /bin/true) || status=$?
	equal status 1 $status
	contains totals '0 passed, 3 failed, 1 not done here' "$out"
	contains 'the one' 'ok - excused # SKIP no disk' "$out"
}

# repeats JOB TEST COMMAND: what is said of one that failed, in a run with seed 4711
repeats()
{
	printf 'fail\t%s\t%s\t3\ta.c:1: what\n' "$1" "$2" |
		LC_ALL=C awk -F '\t' -f "$TOP/tools/check/report.awk" -v dir="$WORK" -v seed=4711 -v seconds=2 >"$WORK/o" || :
	equal "$1:$2" "repeat: $3" "$(sed -n 's/^  repeat/repeat/p' "$WORK/o")"
}

# Regression: of eight suites that choose at random the command said no seed: what it repeated was another run.
test_what_repeats_a_failure()
{
	for path in "$TOP"/tests/guest/*.c; do
		suite=$(basename "$path" .c)
		case $suite in lib*) continue ;; esac
		for job in "$suite" "$suite@debug" "$suite-4n4@debug"; do
			repeats "$job" a_test "./uml check --only $job:a_test --seed 4711"
		done
	done
	repeats core '*' './uml check --only core --seed 4711'
	repeats storm-4n2 '(kernel)' './uml check --only storm-4n2 --seed 4711'
	repeats runner jobs './uml check --only runner:jobs'
	repeats kunit a_case './uml check --only kunit:a_case'
	repeats kunit_time-1p@debug a_case './uml check --only kunit_time-1p@debug:a_case'
	repeats spin threads './uml check --only spin:threads'
	repeats lint lint './uml check --only lint'
	repeats budget budget './uml check --only budget'
	repeats build debug 'make kernel FLAVOUR=debug'
}

# Both files can be read, whatever bytes a failed test has quoted.
test_report_of_any_bytes()
{
	for byte in $(seq 1 255); do
		[ $byte -eq 10 ] || printf "fail\tj\tt$byte\t3\ta.c:1: \\\\$(printf %03o $byte) <&>\"\\\\]]>\n"
	done >"$WORK/rows"
	printf 'ok\tj\tlast\t3\t\n' >>"$WORK/rows"
	status=0
	LC_ALL=C awk -F '\t' -f "$TOP/tools/check/report.awk" -v dir="$WORK" -v seed=1 -v seconds=2 "$WORK/rows" >"$WORK/o" || status=$?
	equal status 1 $status
	equal 'last line' '1 passed, 254 failed' "$(tail -n 1 "$WORK/o")"
	equal results.json '1 254 255' "$(python3 -c '
import json, sys
r = json.load(open(sys.argv[1], encoding="utf-8"))
print(r["passed"], r["failed"], len(r["tests"]))' "$WORK/results.json" 2>&1 | tail -n 1)"
	equal junit.xml '255 254' "$(python3 -c '
import sys, xml.etree.ElementTree as e
r = e.parse(sys.argv[1]).getroot()
print(len(r.findall(".//testcase")), len(r.findall(".//failure")))' "$WORK/junit.xml" 2>&1 | tail -n 1)"
}
