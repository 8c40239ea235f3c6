# SPDX-License-Identifier: GPL-2.0-only
# A shell in the guest on a terminal of the host (tmux plays the terminal), and gdb.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2116,SC2059,SC2034

screen()
{
	tmux -L "umlt$$" "$@"
}

# Types a line, waits until the screen shows the text.
type_until()
{
	screen send-keys "$1" Enter
	shows "$2"
}

shows()
{
	local text
	for _ in $(seq 200); do
		text=$(screen capture-pane -p -J)
		case $text in *"$1"*) return 0 ;; esac
		sleep 0.05
	done
	screen kill-server
	fail "screen: expected '$1', got '$(echo "$text" | grep . | tail -n 5 | tr '\n' '|')'"
}

# With a shell of the host's: bash, or $1.
open_terminal()
{
	command -v tmux >/dev/null || fail "tmux: expected on this machine, got none"
	trap 'screen kill-server 2>/dev/null' EXIT
	screen -f /dev/null new-session -d -x 100 -y 30 "env PS1='host> ' TMPDIR=$TMPDIR UML_FAILURES=$UML_FAILURES UML_KERNEL=$UML_KERNEL ${1:-bash --norc}"
	type_until "stty -g >$WORK/before; echo sa''ved" saved
	type_until "$uml --env PS1='gu''est> ' --shell -- bash --norc" 'guest>'
}

terminal_is_as_before()
{
	type_until "stty -g >$WORK/after; echo sa''me" same
	equal 'stty -g' "$(cat "$WORK/before")" "$(cat "$WORK/after")"
}

# The program that has the terminal.
in_front()
{
	screen display-message -p '#{pane_current_command}'
}

at_the_host()
{
	[ "$(in_front)" = bash ]
}

test_shell()
{
	open_terminal
	type_until 'stty size' '30 100'
	screen send-keys 'echo abX' BSpace 'cd' Enter
	shows abcd
	type_until 'echo te''rm $TERM' 'term tmux'
	screen resize-window -x 90 -y 25
	sleep 0.3
	type_until 'stty size' '25 90'
	screen send-keys 'sleep 1000' Enter
	sleep 0.5
	screen send-keys C-c
	type_until 'echo in''t $?' 'int 130'
	screen send-keys 'exit 5' Enter
	# the prompt of before the guest may still be on the screen
	wait_for 10 at_the_host || fail "the terminal: expected the host's shell, got $(in_front)"
	type_until 'echo sta''tus $?' 'status 5'
	terminal_is_as_before
}

test_terminal_after_a_killed_kernel()
{
	open_terminal
	kill -KILL "$(kernel_pid)"
	shows 'killed by signal 9'
	type_until 'echo sta''tus $?' 'status 202'
	terminal_is_as_before
}

# And its janitor has done what it is there for.
kill_runner()
{
	local janitor
	janitor=$(pgrep -P "$(runner_pid)" -f "^$uml --env PS1")
	kill -KILL "$(runner_pid)"
	shows Killed
	wait_for 10 gone "$janitor" || fail "the janitor: expected it to end, got $(ps -o stat= -p "$janitor")"
}

test_terminal_after_a_killed_runner()
{
	open_terminal
	kill_runner
	terminal_is_as_before
}

runner_pid()
{
	pgrep -f "^$uml --env PS1" | head -n 1
}

# sh leaves the terminal as it finds it: the janitor has to restore it.
test_terminal_after_a_killed_runner_of_sh()
{
	open_terminal sh
	kill_runner
	terminal_is_as_before
}

# bash restores it, and edits the next line in modes of its own: a janitor who comes late leaves them alone.
test_terminal_that_bash_has_by_then()
{
	local janitor
	open_terminal
	janitor=$(pgrep -P "$(runner_pid)" -f "^$uml --env PS1")
	kill -STOP "$janitor"
	kill -KILL "$(runner_pid)"
	shows Killed
	sleep 0.3
	kill -CONT "$janitor"
	wait_for 5 gone "$janitor" || fail "the janitor: expected it to end, got $(ps -o stat= -p "$janitor")"
	type_until "echo twice; echo do''ne" 'done'
	equal 'lines that are the command' 1 "$(screen capture-pane -p | grep -c 'echo twice')"
}

gone()
{
	[ ! -e "/proc/$1" ] || grep -q '^State:.*zombie' "/proc/$1/status"
}

stopped_and_back()
{
	kill -$1 "$(runner_pid)"
	wait_for 10 at_the_host || fail "after SIG$1: expected the host's shell in front, got $(in_front)"
	type_until "stty -g >$WORK/after; echo ho''st after $1" "host after $1"
	equal "stty -g after SIG$1" "$(cat "$WORK/before")" "$(cat "$WORK/after")"
	screen send-keys fg Enter
	wait_for 10 in_the_guest || fail "after fg: expected the guest in front, got $(in_front)"
	screen send-keys 'clear; sleep 1000' Enter
	sleep 0.5
	screen send-keys C-c
	type_until "echo int of $1"' $?' "int of $1 130"
}

in_the_guest()
{
	! at_the_host
}

# The host's shell has its terminal while the guest is stopped, and the guest has it raw again afterwards.
test_terminal_of_a_stopped_runner()
{
	open_terminal
	stopped_and_back TSTP
	stopped_and_back STOP
	screen send-keys 'exit 5' Enter
	wait_for 10 at_the_host || fail "the terminal: expected the host's shell, got $(in_front)"
	terminal_is_as_before
}

test_shell_without_a_terminal()
{
	out=$(echo 'echo from $((1 + 1))' | "$uml" --shell -- sh)
	equal output 'from 2' "$out"
}

# gdb_token FUNCTION OPTION...: a breakpoint there, with these options of the runner
gdb_token()
{
	local function=$1
	shift
	cat >"$WORK/gdb" <<-EOF
	break $function
	commands
	silent
	printf "token-%d\n", 40 + 2
	delete
	continue
	end
	run
	EOF
	guest "$@" --gdb --gdb-arg=--batch --gdb-arg=-x --gdb-arg="$WORK/gdb" -- \
		sh -c 'head -c 12000000 /dev/zero | sort -S 12M | wc -c >/dev/null; cat /etc/hostname; exit 4'
	contains 'printed at the breakpoint' token-42 "$out"
	contains 'printed by the command' "$(cat /etc/hostname)" "$out"
	equal status 4 $status
}

# Somebody is moved: the command itself, before it starts.
test_gdb()
{
	gdb_token container_attach_pid --container a
}

# The over-limit handler, on a kernel thread of either CPU.
test_gdb_two_cpus()
{
	gdb_token memory_handler_work --cpus 2 --memory 4M
}
