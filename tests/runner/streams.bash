# SPDX-License-Identifier: GPL-2.0-only
# Standard input, output and error: separate, binary clean, complete, and their ends.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2116,SC2059,SC2034

test_output_and_error_are_separate()
{
	guest sh -c 'echo to-out; echo to-err >&2'
	equal stdout to-out "$out"
	equal stderr to-err "$err"
}

test_binary_round_trip()
{
	head -c 8000001 /dev/urandom >"$WORK/data"
	"$uml" cat <"$WORK/data" >"$WORK/back" || fail "status: expected 0, got $?"
	cmp "$WORK/data" "$WORK/back" || fail "8000001 bytes through cat: expected the same, got $(stat -c %s "$WORK/back") bytes, $(cmp "$WORK/data" "$WORK/back" 2>&1)"
}

test_binary_through_pipes_to_both()
{
	head -c 5000003 /dev/urandom >"$WORK/data"
	# shellcheck disable=SC2002 # a pipe is what is tested
	cat "$WORK/data" | "$uml" tee /dev/stderr 2>"$WORK/back2" | cat >"$WORK/back1"
	cmp "$WORK/data" "$WORK/back1" || fail "stdout: expected the data, got other bytes"
	cmp "$WORK/data" "$WORK/back2" || fail "stderr: expected the data, got other bytes"
}

test_every_byte_value()
{
	printf "$(printf '\\%03o' $(seq 0 255))" >"$WORK/data"
	"$uml" cat <"$WORK/data" >"$WORK/back"
	cmp "$WORK/data" "$WORK/back" || fail "bytes 0-255: expected the same, got $(od -An -c "$WORK/back" | head -n 3)"
}

test_slow_reader_loses_nothing()
{
	"$uml" -- seq 300000 | { sleep 1; while read -r -n 4000 _ && [ $SECONDS -lt 2 ]; do :; done; cat; } | tail -n 1 >"$WORK/last"
	equal 'last line' 300000 "$(cat "$WORK/last")"
}

test_unread_stdout_does_not_stop_stderr()
{
	mkfifo "$WORK/pipe"
	exec 7<>"$WORK/pipe"
	"$uml" sh -c 'yes & sleep 1; echo here >&2; exit 3' >&7 2>"$WORK/e" &
	wait_for 20 grep -qs here "$WORK/e" || fail "stderr while nobody reads stdout: expected 'here', got nothing"
	timeout 20 cat <"$WORK/pipe" >/dev/null &
	local cat=$!
	wait %1
	equal status 3 $?
	kill $cat
	exec 7>&-
}

test_end_of_input()
{
	out=$(printf 'a\nb' | "$uml" sh -c 'wc -c; echo end')
	equal 'wc of 3 bytes, then the end' '3 end' "$(echo $out)"
}

test_input_dev_null()
{
	out=$("$uml" wc -c </dev/null)
	equal wc 0 "$out"
}

test_input_closed()
{
	"$uml" sh -c 'exec 9<&0' <&- 2>"$WORK/e"
	equal 'status of a dup of closed stdin' 2 $?
}

test_output_closed()
{
	"$uml" sh -c 'echo x' >&- 2>"$WORK/e"
	equal 'status of echo to a closed stdout' 1 $?
}

test_all_closed()
{
	"$uml" sh -c 'exit 9' <&- >&- 2>&-
	equal status 9 $?
}

test_input_not_read()
{
	yes | head -c 3000000 | "$uml" sh -c 'exit 4'
	equal status 4 "${PIPESTATUS[2]}"
}

test_reader_goes_away()
{
	set -o pipefail
	"$uml" yes | head -n 1 >"$WORK/o"
	equal 'status of yes when nobody reads' 141 "${PIPESTATUS[0]}"
}

# What CMD has written is lost: it may have ended with 0 before anybody could tell it.
test_output_to_a_full_disk()
{
	for command in 'echo one line' 'seq 300000' 'echo one line; exit 3'; do
		status=0
		"$uml" sh -c "$command" >/dev/full 2>"$WORK/e" || status=$?
		equal "$command: status" 125 $status
		equal "$command: message" 'uml-run: standard output: No space left on device: what the command wrote there is not whole: make room there, or let it go elsewhere' "$(cat "$WORK/e")"
	done
	status=0
	"$uml" --verdict "$WORK/v" sh -c 'echo told; echo lost >&2' >"$WORK/o" 2>/dev/full || status=$?
	equal 'standard error: status and output' '125|told' "$status|$(cat "$WORK/o")"
	equal 'standard error: outcome' 'outcome=output' "$(head -n 1 "$WORK/v")"
}

test_input_that_cannot_be_read()
{
	"$uml" wc -c <"$WORK" >"$WORK/o" 2>"$WORK/e"
	equal 'wc of a directory' '0' "$(cat "$WORK/o")"
	equal message 'uml-run: standard input: Is a directory: for the command it ends there' "$(cat "$WORK/e")"
	# as nohup leaves it
	"$uml" wc -c 0>/dev/null >"$WORK/o" 2>"$WORK/e"
	equal 'a descriptor for writing only: output and message' '0|' "$(cat "$WORK/o")|$(cat "$WORK/e")"
}

test_idle_input_is_no_hang()
{
	mkfifo "$WORK/idle"
	exec 8<>"$WORK/idle"
	"$uml" sh -c 'exit 6' <&8
	equal status 6 $?
	exec 8>&-
}

test_not_a_terminal()
{
	guest sh -c 'test -t 0 || test -t 1 || test -t 2'
	equal 'no descriptor is a terminal' 1 $status
}

test_background_child_does_not_hold_the_end()
{
	guest sh -c 'sleep 1000 & echo started'
	equal status 0 $status
	equal stdout started "$out"
}
