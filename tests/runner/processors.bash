# SPDX-License-Identifier: GPL-2.0-only
# Several CPUs as the host sees them: threads of the kernel, and a stub for each process of the guest.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016

# Ticks of CPU that a process has had in user code.
ticks_of()
{
	sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 12
}

# The stub that has computed most, if that is much: $busy
busy_stub()
{
	local pid ticks most=100
	busy=
	for pid in $(pgrep -P "$kernel" uml-userspace); do
		ticks=$(ticks_of "$pid")
		[ "${ticks:-0}" -lt $most ] || { most=$ticks busy=$pid; }
	done
	[ -n "$busy" ]
}

# How many threads of the kernel are not in a system call of the host; futex(2) is the one that waits for a stub.
running()
{
	cat /proc/$kernel/task/*/syscall | grep -c running
}

none_runs()
{
	[ "$(running)" = 0 ]
}

# Milliseconds of CPU that the threads of the kernel have had.
cpu_ms()
{
	cat /proc/$kernel/task/*/schedstat | awk '{ ns += $1 } END { printf "%d", ns / 1000000 }'
}

# On CPU 0 a process computes; on CPU 1 another does nothing but take all pages from it (clear_refs is a
# flush of the whole process). The stub of the first is stopped for two seconds, as a host does that has
# too little to give: CPU 1 has nothing to do but to wait for it, and must cost the host next to nothing. What
# it costs are the ticks: a hundred a second, some 1 % of a core. In a loop it would be all that the host gives.
test_waiting_for_a_stub_sleeps()
{
	local kernel busy used
	mkfifo "$WORK/end"
	exec 4<>"$WORK/end"
	"$uml" --cpus 2 --timeout 50 sh -c 'taskset -c 0 sh -c "while :; do :; done" & taskset -c 1 perl -e '\''
			$| = 1; vec($stdin, 0, 1) = 1; open(F, ">", "/proc/$ARGV[0]/clear_refs") or die;
			until (select($ready = $stdin, undef, undef, 0)) {
				syswrite(F, "4") or die; print "ready\n" if ++$n == 100;
			} '\'' $!; echo status $?; kill -KILL $!' <"$WORK/end" >"$WORK/o" 2>"$WORK/e" &
	wait_for 30 grep -q ready "$WORK/o" || fail "expected a guest, got $(tail -n 1 "$WORK/e")"
	kernel=$(kernel_pid)
	wait_for 10 busy_stub || fail 'expected a stub that computes, got none'
	kill -STOP $busy
	wait_for 5 none_runs || fail "a stopped stub: expected both CPUs to wait for it, got $(running) running"
	used=$(cpu_ms)
	sleep 2
	used=$(($(cpu_ms) - used))
	kill -CONT $busy
	echo "two seconds of waiting: $used ms of CPU" >&2
	[ $used -lt 200 ] || fail "CPU time of 2 s of waiting: expected less than 200 ms, got $used ms"
	echo >&4
	wait $!
	equal status 0 $?
	contains 'what it printed' 'status 0' "$(cat "$WORK/o")"
}
