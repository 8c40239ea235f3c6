# SPDX-License-Identifier: GPL-2.0-only
# Verbs for the tests beside this file. A failed check says where, what, expected, got, and
# ends the test.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2116,SC2059,SC2034

uml=$TOP/build/tools/uml-run

fail()
{
	local depth=1
	# the line in the test, not in a verb of this file
	while [ "$(basename "${BASH_SOURCE[$depth]}")" = lib.bash ]; do depth=$((depth + 1)); done
	echo "tests/runner/$(basename "${BASH_SOURCE[$depth]}"):${BASH_LINENO[$((depth - 1))]}: $*" >&3
	exit 1
}

equal()
{
	[ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
}

contains()
{
	case $3 in
	*"$2"*) ;;
	*) fail "$1: expected something with '$2', got '$3'" ;;
	esac
}

# Runs uml-run; leaves $status, $out and $err.
guest()
{
	status=0
	"$uml" "$@" >"$WORK/o" 2>"$WORK/e" || status=$?
	out=$(tr -d '\0' <"$WORK/o")
	err=$(cat "$WORK/e")
}

# $1 seconds for a condition to come true.
wait_for()
{
	local until=$((SECONDS + $1 + 1))	# SECONDS may be about to turn
	shift
	while ! "$@"; do
		[ $SECONDS -lt $until ] || return 1
		sleep 0.05
	done
}

kernel_pid()
{
	pgrep -f "uml_dir=$TMPDIR/uml-run" | head -n 1
}

# ready N: has the guest said so N times?
ready()
{
	[ "$(grep -c ready "$WORK/o")" = "$1" ]
}

runs_in_guest()
{
	[ -s "$WORK/started" ]
}

# not_here WHY: this machine has no way to do this test. It counts as neither passed nor failed, and is named in the summary.
not_here()
{
	echo "NOT HERE: $*" >&3
	exit 77
}

# $apart: what starts a command with mounts of its own; as a user, by way of a user namespace.
set_apart()
{
	for apart in 'unshare -m' 'unshare -rm'; do
		! $apart true 2>/dev/null || return 0
	done
	not_here 'nobody may have mounts of his own here: unshare -m and unshare -rm are refused'
}
