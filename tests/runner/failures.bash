# SPDX-License-Identifier: GPL-2.0-only
# Everything that goes wrong comes out as failure, with its own code, and never hangs.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2116,SC2059,SC2034

test_timeout()
{
	local t=$SECONDS
	guest --timeout 1 sleep 1000
	equal status 124 $status
	[ $((SECONDS - t)) -le 10 ] || fail "a time-out of 1 s: expected an end within 10 s, got $((SECONDS - t))"
	dir=$(echo "$WORK"/fail/run-*)
	contains 'stacks of all tasks' 'task:sleep' "$(cat "$dir/stacks")"
	contains 'kernel log' 'Linux version' "$(cat "$dir/log")"
	contains 'line that repeats' '--timeout 1 sleep 1000' "$(cat "$dir/repeat")"
	contains 'the same on stderr' '--timeout 1 sleep 1000' "$err"
}

test_timeout_of_a_spinning_command()
{
	guest --timeout 1 sh -c 'while :; do :; done'
	equal status 124 $status
}

test_timeout_of_a_stopped_kernel()
{
	: >"$WORK/o"
	"$uml" --timeout 4 sh -c 'echo ready; sleep 1000' >"$WORK/o" 2>"$WORK/e" &
	wait_for 20 ready 1
	kill -STOP "$(kernel_pid)"
	wait %1
	equal status 124 $?
}

test_panic()
{
	guest sh -c 'echo c >/proc/sysrq-trigger'
	equal status 200 $status
	contains message 'sysrq triggered crash' "$err"
	contains 'kernel log' 'Kernel panic' "$(cat "$WORK"/fail/run-*/log)"
}

# An interrupt to another CPU is a signal of the host, which keeps only so many of some kinds. Here it
# keeps none from the boot on, which needs it for timers: nor at the end, when threads are cancelled.
test_no_signals_kept()
{
	mkfifo "$WORK/go"
	exec 4<>"$WORK/go"
	: >"$WORK/o"
	"$uml" --cpus 2 --timeout 50 sh -c 'echo ready; read -r go; for i in $(seq 40); do
			taskset -c 1 true; taskset -c 0 true
		done; echo moved; read -r end' <"$WORK/go" >"$WORK/o" 2>"$WORK/e" &
	wait_for 20 ready 1 || fail "expected a guest, got $(tail -n 1 "$WORK/e")"
	prlimit --pid "$(kernel_pid)" --sigpending=0:
	echo >&4
	wait_for 45 grep -q moved "$WORK/o" || fail 'expected 40 moves to each CPU, got fewer'
	echo >&4
	wait $!
	equal status 0 $?
}

# With one CPU there is nothing to lose but the end.
test_no_signals_kept_at_the_end()
{
	mkfifo "$WORK/go"
	exec 4<>"$WORK/go"
	: >"$WORK/o"
	"$uml" --timeout 50 sh -c 'echo ready; read -r end' <"$WORK/go" >"$WORK/o" 2>"$WORK/e" &
	wait_for 20 ready 1 || fail "expected a guest, got $(tail -n 1 "$WORK/e")"
	prlimit --pid "$(kernel_pid)" --sigpending=0:
	echo >&4
	wait $!
	equal status 0 $?
}

test_no_timers()
{
	status=0
	prlimit --sigpending=0:0 "$uml" --cpus 2 true 2>"$WORK/e" || status=$?
	equal status 125 $status
	contains message 'the host has timers for 0 of 2 CPUs' "$(cat "$WORK/e")"
	contains cure 'ulimit -i' "$(cat "$WORK/e")"
	# what may be raised is
	prlimit --sigpending=0: "$uml" --cpus 2 true || fail "a soft limit of 0: expected 0, got $?"
}

# The limits of the shell that starts it, told by their names.
test_no_files()
{
	for n in 5 12 24; do
		(ulimit -n $n; exec "$uml" true) >"$WORK/o" 2>"$WORK/e" && fail "ulimit -n $n: expected a failure, got 0"
		contains "ulimit -n $n" "uml-run: open files: the limit is $n, a guest takes 64: raise ulimit -n" "$(cat "$WORK/e")"
	done
	# what may be raised is raised
	(ulimit -S -n 8; exec "$uml" sh -c 'exit 7') 2>"$WORK/e"
	equal 'a soft limit' 7 $?
	status=0
	(ulimit -f 10; exec "$uml" true) 2>"$WORK/e" || status=$?
	equal 'ulimit -f: status' 125 $status
	contains 'ulimit -f' 'File too large: raise ulimit -f' "$(cat "$WORK/e")"
}

test_log_file()
{
	guest --log "$WORK/log" true
	equal status 0 $status
	contains log 'Linux version' "$(cat "$WORK/log")"
}

test_kernel_report()
{
	for word in 'BUG: KASAN: use-after-free' 'WARNING: CPU: 0' 'UBSAN: shift' 'INFO: possible recursive locking detected' \
		'kmemleak: 3 new suspected memory leaks'; do
		guest sh -c "echo '$word' >/dev/kmsg"
		equal "$word" 201 $status
		contains message "$word" "$err"
	done
}

test_killed_kernel()
{
	: >"$WORK/o"
	"$uml" sh -c 'echo ready; sleep 1000' >"$WORK/o" 2>"$WORK/e" &
	wait_for 20 ready 1
	kill -KILL "$(kernel_pid)"
	wait %1
	equal status 202 $?
	contains message 'signal 9' "$(cat "$WORK/e")"
}

test_powered_off_by_the_command()
{
	guest sh -c 'echo o >/proc/sysrq-trigger; sleep 100'
	equal status 202 $status
}

test_exit_code_file_is_not_believed()
{
	guest sh -c 'echo 0 >/proc/exitcode; echo o >/proc/sysrq-trigger; sleep 100'
	equal status 202 $status
}

test_garbage_on_the_line()
{
	guest sh -c 'mknod /dev/l c 4 64 && echo aaaaaaaaaaaaaaaaaaaa >/dev/l; sleep 100'
	equal status 202 $status
	contains message aaaa "$err"
}

# A kernel made of sh, that says on the line what the test wants: HELLO and STATUS with the
# true nonce or another.
fake_kernel()
{
	cat >"$WORK/kernel" <<-'EOF'
	#!/bin/bash
	for a; do
		case $a in ubd0rd=*) job=${a#*=} ;; esac
	done
	nonce() { dd if="$job" bs=1 skip=8 count=16 2>/dev/null; }
	frame() { printf '\301\353\340\047'"\\$(printf %03o "$1")"'\0\0\0'"\\$(printf %03o "$2")"'\0\0\0' >&4; }
	hello() { frame 1 16; nonce >&4; }
	status() { frame 10 24; "${2:-nonce}" >&4; printf "\\$(printf %03o "$1")"'\0\0\0\0\0\0\0' >&4; }
	other() { head -c 16 /dev/zero; }
	EOF
	echo "$1" >>"$WORK/kernel"
	chmod +x "$WORK/kernel"
}

test_fake_good()
{
	fake_kernel 'hello; status 42; exit 0'
	guest --kernel "$WORK/kernel" true
	equal 'status of a faithful imitation' 42 $status
}

test_wrong_nonce()
{
	fake_kernel 'hello; status 0 other; exit 0'
	guest --kernel "$WORK/kernel" true
	equal status 202 $status
}

test_no_verdict()
{
	fake_kernel 'hello; exit 0'
	guest --kernel "$WORK/kernel" true
	equal status 202 $status
}

test_verdict_then_bad_end()
{
	fake_kernel 'hello; status 0; exit 1'
	guest --kernel "$WORK/kernel" true
	equal status 202 $status
}

test_verdict_then_report()
{
	fake_kernel 'hello; status 0; echo "BUG: late"; exit 0'
	guest --kernel "$WORK/kernel" true
	equal status 201 $status
}

test_verdict_then_no_end()
{
	fake_kernel 'hello; status 0; exec sleep 1000'
	guest --kernel "$WORK/kernel" true
	equal status 203 $status
}

test_guest_that_writes_nothing()
{
	local t=$SECONDS
	fake_kernel 'exec sleep 1000'
	guest --kernel "$WORK/kernel" true
	equal status 125 $status
	[ $((SECONDS - t)) -le 15 ] || fail "a boot that says nothing: expected an end within 15 s, got $((SECONDS - t))"
	contains message 'boot failed' "$err"
}

# It has made its console, and then hangs with interrupts off: what it said last is told in time, and the
# questions that it does not answer take no longer than one.
test_boot_that_hangs()
{
	local t=$SECONDS
	fake_kernel 'for a; do case $a in uml_dir=*) dir=${a#*=}guest ;; esac; done
		mkdir "$dir"; echo "its last words"
		exec perl -MSocket -e "socket(S, AF_UNIX, SOCK_DGRAM, 0); bind(S, pack_sockaddr_un(shift)) or die; sleep 1000" "$dir/mconsole"'
	"$uml" --kernel "$WORK/kernel" true 2>"$WORK/e" &
	wait_for 15 grep -qs 'does not go on after: its last words' "$WORK/e" ||
		fail "after 15 s at most: expected its last words, got '$(cat "$WORK/e")'"
	wait %1
	equal status 125 $?
	contains message 'the kernel fell silent after: its last words' "$(cat "$WORK/e")"
	[ $((SECONDS - t)) -le 20 ] || fail "expected an end within 20 s, got $((SECONDS - t))"
}

test_boot_without_init()
{
	guest --append init=/nothing true
	equal status 200 $status
	contains message 'init /nothing failed' "$err"
}

test_boot_reason_is_told()
{
	fake_kernel 'echo "the reason of the host"; exit 1'
	guest --kernel "$WORK/kernel" true
	equal status 125 $status
	contains message 'the reason of the host' "$err"
}

# What is printed is a command for a shell, however many lines a word has, and how long it is.
test_the_command_that_repeats_it()
{
	fake_kernel 'echo "the reason of the host"; exit 1'
	mkdir "$WORK/it's here"
	cd "$WORK/it's here" || exit 1
	for words in $'echo a\necho "b  c"\n' "$(seq 1000)"; do
		guest --kernel "$WORK/kernel" sh -c "$words" "o'dd"
		equal status 125 $status
		echo "${err#*to repeat: }" >"$WORK/repeat"
		status=0
		(cd / && sh "$WORK/repeat") >"$WORK/o" 2>"$WORK/e2" || status=$?
		equal 'again: status' 125 $status
		equal 'again: the same kernel' 1 "$(grep -c 'the reason of the host' "$WORK/e2")"
		find "$UML_FAILURES" -name repeat -exec cat {} + | sed 's/^cd /\x01&/' | tr -d '\n' | tr '\001' '\n' | sort -u | grep -c . >"$WORK/n"
		equal 'different commands' 1 "$(cat "$WORK/n")"
		rm -r "$UML_FAILURES"
	done
}

test_too_much_memory()
{
	guest --mem 100000G true
	equal status 125 $status
	contains cure --mem "$err"
}

test_noexec_tmp()
{
	set_apart
	case $UML_KERNEL in /tmp/* | /var/tmp/* | /dev/shm/*) not_here "the mounts would hide the kernel, $UML_KERNEL" ;; esac
	status=0
	$apart bash -c 'for d in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o noexec none $d || exit 99; done
		TMPDIR= "$0" true' "$uml" 2>"$WORK/e" || status=$?
	equal status 125 $status
	contains message noexec "$(cat "$WORK/e")"
}

# Where /dev/shm is no place for the guest's memory, the next one is.
test_no_shared_memory()
{
	set_apart
	for how in ro size=1M noexec; do
		out=$($apart sh -c 'mount -t tmpfs -o '$how' none /dev/shm && exec "$0" echo x' "$uml" 2>&1)
		equal "/dev/shm with $how" x "$out"
	done
}

test_read_only_host()
{
	set_apart
	out=$($apart bash -c 'mount -o remount,bind,ro / || exit 99; cd / && TMPDIR= "$0" sh -c "echo x >/tmp/uml-x-$$ && cat /tmp/uml-x-$$"' "$uml" 2>&1)
	equal output x "$out"
}

# $nobody: what starts a command as somebody who is not root, which we may be already.
set_nobody()
{
	nobody=
	[ "$(id -u)" = 0 ] || return 0
	chmod 777 "$WORK" "$WORK/tmp" "$WORK/fail"
	nobody='setpriv --reuid 65534 --regid 65534 --clear-groups'
	$nobody test -x "$uml" || not_here "user 65534 may not look into this clone"
}

test_not_root()
{
	set_nobody
	cd /
	out=$(HOME=/nonexistent $nobody "$uml" sh -c 'id -u; echo w >/etc/w && cat /etc/w' 2>"$WORK/e")
	equal 'root in the guest, nobody on the host' '0 w' "$(echo $out)"
}

# What is in a directory of PATH that may not be looked into is not known, and so not there.
test_not_found_for_a_user()
{
	set_nobody
	mkdir -m 0 "$WORK/shut"
	status=0
	HOME=/nonexistent PATH="$WORK/shut:$PATH" $nobody "$uml" no-such-command-here >"$WORK/o" 2>"$WORK/e" || status=$?
	rmdir "$WORK/shut"
	equal status 127 $status
	contains message 'no such command' "$(cat "$WORK/e")"
	# one that is there and may not be executed is another thing
	mkdir -m 755 "$WORK/open"
	echo x >"$WORK/open/not-a-program"
	status=0
	HOME=/nonexistent PATH="$WORK/open:$PATH" $nobody "$uml" not-a-program >"$WORK/o" 2>"$WORK/e" || status=$?
	equal 'status of a file' 126 $status
}

signal_ends_it()
{
	"$uml" sh -c 'sleep 1000' 2>"$WORK/e" &
	local pid=$!
	wait_for 10 kernel_pid >/dev/null
	sleep 0.3
	kill "-$1" $pid
	wait $pid
	equal "status after SIG$1" "$2" $?
}

test_sigterm()
{
	signal_ends_it TERM 143
}

test_sighup()
{
	signal_ends_it HUP 129
}

test_sigint()
{
	# a background job of a shell without job control ignores SIGINT
	set -m
	signal_ends_it INT 130
}

test_sigkill_leaves_nothing()
{
	signal_ends_it KILL 137
}

test_many_at_once()
{
	local pids=()
	for i in 1 2 3 4 5 6 7 8; do
		"$uml" sh -c "exit $i" &
		pids[i]=$!
	done
	for i in 1 2 3 4 5 6 7 8; do
		wait "${pids[i]}"
		equal "status of guest $i" "$i" $?
	done
}

test_boot_under_a_second()
{
	local all=
	# one of three: another job of this machine may have had the CPU
	for _ in 1 2 3; do
		guest --verdict "$WORK/v" true
		equal status 0 $status
		ms=$(sed -n 's/^cmd_ms=//p' "$WORK/v")
		case $(basename "$(dirname "$UML_KERNEL")") in debug | kunit) return ;; esac
		[ "$ms" -ge 1000 ] || return 0
		all="$all $ms"
	done
	fail "boot to the command: expected under 1000 ms, got$all"
}

test_leaks_needs_kmemleak()
{
	guest --leaks true
	[ $status -ne 0 ] || "$uml" test -e /sys/kernel/debug/kmemleak ||
		fail "--leaks without kmemleak in the kernel: expected 125, got 0"
	[ $status -eq 0 ] || contains message kmemleak "$err"
}

# Cores that a runner has a claim on.
claims_of()
{
	local inodes
	inodes=$(find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' | tr -dc '0-9\n')
	awk -v inodes="$(echo $inodes)" 'BEGIN { n = split(inodes, i, " "); while (n) ours[i[n--]] }
		$7 in ours && $8 ~ /^@uml-run-core-/' /proc/net/unix | wc -l
}

# While kmemleak is waited for, the output is at its end and the core is another's to claim. The
# imitation says HELLO, waits, ends its output, waits, gives its verdict.
test_leaks_leave_the_core_to_others()
{
	local runner
	mkfifo "$WORK/go" "$WORK/output"
	exec 5<>"$WORK/go"
	fake_kernel "read -r _ <$WORK/go
		hello
		printf '\\301\\353\\340\\047\\004\\1\\0\\0\\0\\0\\0\\0' >&4
		read -r _ <$WORK/go
		status 0"
	"$uml" --leaks --pin auto --boot-timeout 30 --kernel "$WORK/kernel" true >"$WORK/output" 5>&- &
	runner=$!
	exec 6<"$WORK/output"
	wait_for 20 kernel_pid >/dev/null
	equal 'claims while it computes' 1 "$(claims_of $runner)"
	echo >&5
	# to its end, which comes before that of the runner
	cat <&6
	kill -0 $runner || fail 'the runner: expected it to wait for the kernel, got its end'
	wait_for 10 eval '[ "$(claims_of $runner)" = 0 ]' || fail "claims afterwards: expected 0, got $(claims_of $runner)"
	echo >&5
	wait $runner
	equal status 0 $?
}
