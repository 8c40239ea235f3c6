# SPDX-License-Identifier: GPL-2.0-only
# The kernel as a program of the host, without the runner, which hides what it does by itself.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2034

# Starts the kernel with the commands of $1 as init; the words after it are arguments of the
# kernel. Leaves its process id in $kernel; what it prints is in $WORK/log.
start_kernel()
{
	printf '#!/bin/sh\nmount -t proc proc /proc\n%s\n' "$1" >"$WORK/init"
	shift
	chmod +x "$WORK/init"
	"$UML_KERNEL" mem=64M root=/dev/root rootfstype=hostfs rootflags=/ ro init="$WORK/init" \
		con=null con0=null,fd:1 console=tty0 noreboot panic=-1 seccomp=on "$@" >"$WORK/log" 2>&1 </dev/null &
	kernel=$!
	trap 'kill -KILL $(jobs -p) 2>/dev/null' EXIT
}

power_off='echo o >/proc/sysrq-trigger; sleep 100'

# $1 what is wrong with the umid directory, $2 what the kernel says; then its arguments
boots_without_umid()
{
	local what=$1 said=$2
	shift 2
	start_kernel "$power_off" "$@"
	wait $kernel
	equal "status with $what" 0 $?
	contains "log with $what" "$said" "$(cat "$WORK/log")"
	contains "log with $what" 'cure: uml_dir=DIR' "$(cat "$WORK/log")"
}

test_kernel_without_home()
{
	unset HOME
	boots_without_umid 'HOME unset' 'no value in environment for $HOME'
}

test_kernel_with_a_home_that_cannot_be_written()
{
	HOME=/proc boots_without_umid 'HOME=/proc' "Failed to mkdir '/proc/.uml/'"
	boots_without_umid 'uml_dir=/proc/x' "Failed to mkdir '/proc/x/'" uml_dir=/proc/x umid=guest
}

test_kernel_removes_its_umid_directory()
{
	start_kernel "$power_off" uml_dir="$WORK/umid" umid=guest
	wait $kernel
	equal status 0 $?
	contains log "initialized on $WORK/umid/guest/mconsole" "$(cat "$WORK/log")"
	equal 'left in uml_dir' '' "$(ls -A "$WORK/umid")"
}

stubs()
{
	pgrep -x uml-userspace -g "$kernel" || pgrep -x uml-userspace -P "$kernel"
}

no_stubs()
{
	# a zombie waits for the host's PID 1, not for us
	for pid in $1; do
		case $(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null) in
		'' | Z) ;;
		*) return 1 ;;
		esac
	done
}

# $1 signal, $2 status, $3 what init does; then arguments of the kernel
ends_by_signal()
{
	local signal=$1 expected=$2 work=$3 pids
	shift 3
	start_kernel "echo up >/dev/kmsg; $work" uml_dir="$WORK/umid" umid=guest "$@"
	wait_for 30 grep -q '^up' "$WORK/log" || fail "$*: expected a boot, got $(tail -n 1 "$WORK/log")"
	wait_for 5 test -e "$WORK/umid/guest/pid" || fail 'umid/guest/pid: expected it, got none'
	sleep 0.5
	pids=$(stubs)
	[ -n "$pids" ] || fail 'stubs: expected some, got none'
	kill "-$signal" $kernel
	wait $kernel
	equal "status after SIG$signal, $work $*" "$expected" $?
	equal 'left in uml_dir' '' "$(ls -A "$WORK/umid")"
	wait_for 5 no_stubs "$pids" || fail "stubs $pids: expected none alive, got some"
	! grep -q 'Kernel panic\|Call Trace' "$WORK/log" || fail "log: expected no panic, got $(grep -m 1 'Kernel panic\|Call Trace' "$WORK/log")"
}

test_kernel_sigterm_while_idle()
{
	ends_by_signal TERM 143 'sleep 1000 & sleep 1000'
}

test_kernel_sigterm_in_user_code()
{
	ends_by_signal TERM 143 'while :; do :; done'
}

test_kernel_sigterm_with_two_cpus()
{
	ends_by_signal TERM 143 'sleep 1000' ncpus=2
	ends_by_signal TERM 143 'while :; do :; done' ncpus=2
}

test_kernel_sigterm_in_ptrace_mode()
{
	ends_by_signal TERM 143 'while :; do :; done' seccomp=off
}

# bash leaves SIGINT ignored in what it starts in the background without job control
test_kernel_sigint()
{
	set -m
	ends_by_signal INT 130 'sleep 1000'
}

# What the kernel's console did to the terminal is undone (tmux plays the terminal).
test_kernel_sigterm_restores_the_terminal()
{
	command -v tmux >/dev/null || fail 'tmux: expected on this machine, got none'
	trap 'tmux -L "umlk$$" kill-server 2>/dev/null' EXIT
	printf '#!/bin/sh\nmount -t proc proc /proc\nexec sleep 1000\n' >"$WORK/init"
	chmod +x "$WORK/init"
	cat >"$WORK/session" <<-EOF
	stty -g >$WORK/before
	$UML_KERNEL mem=64M root=/dev/root rootfstype=hostfs rootflags=/ ro init=$WORK/init con=null \
		con0=fd:0,fd:1 noreboot panic=-1 seccomp=on uml_dir=$WORK/umid umid=guest
	echo \$? >$WORK/status
	stty -g >$WORK/after.tmp
	mv $WORK/after.tmp $WORK/after
	EOF
	tmux -L "umlk$$" -f /dev/null new-session -d "stty -F \$(tty) sane; sh $WORK/session"
	wait_for 30 test -s "$WORK/umid/guest/pid" || fail 'umid/guest/pid: expected it, got none'
	tty=$(tmux -L "umlk$$" display-message -p '#{pane_tty}')
	wait_for 30 raw "$tty" || fail 'terminal: expected it raw under the console, got a cooked one'
	kill -TERM "$(cat "$WORK/umid/guest/pid")"
	wait_for 10 test -e "$WORK/after" || fail 'expected the kernel to end, got it running'
	equal status 143 "$(cat "$WORK/status")"
	equal 'stty -g' "$(cat "$WORK/before")" "$(cat "$WORK/after")"
}

raw()
{
	stty -F "$1" -a | grep -q -e '-icanon'
}
