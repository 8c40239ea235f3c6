# SPDX-License-Identifier: GPL-2.0-only
# A stub (the process of the host that is the memory of one of the guest) that is killed, refused, or denied what it needs: that
# process ends, or the fork fails, and nothing else happens.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016

test_killed_stub()
{
	"$uml" --timeout 60 sh -c 'echo ready; sleep 30; echo status $?' >"$WORK/o" 2>"$WORK/e" &
	wait_for 20 grep -q ready "$WORK/o"
	sleep 1.5
	# the newest one's is that of sleep, or of the shell if that has not come so far
	kill -KILL "$(pgrep -n -P "$(kernel_pid)" uml-userspace)"
	wait %1
	status=$?
	[ $status = 139 ] || { equal status 0 $status; contains 'what sleep ended with' 'status 139' "$(cat "$WORK/o")"; }
}

# killed_stubs TIMES PROGRAM OPTION...: so many processes, one after the other, that run PROGRAM in perl and say "ready";
# soon after that their stub is killed. Each ends by that, and no other.
killed_stubs()
{
	local i guest times=$1 program=$2
	shift 2
	: >"$WORK/o"
	"$uml" "$@" --timeout 50 sh -c 'for i in $(seq '$times'); do
			perl -e "$0"
			echo status $?
		done' "$program" >"$WORK/o" 2>"$WORK/e" &
	guest=$!
	for i in $(seq $times); do
		wait_for 20 ready $i || fail "$program $*: kill $i: expected process $i, got $(tail -n 1 "$WORK/o")"
		sleep 0.0$((RANDOM % 90 + 10))
		kill -KILL "$(pgrep -n -P "$(kernel_pid)" uml-userspace)"
	done
	wait $guest
	equal "status of $program $*" 0 $?
	equal 'processes that ended with 139' $times "$(grep -c '^status 139' "$WORK/o")"
}

# mmap() with MAP_POPULATE and munmap() of 1024 pages: most of the time goes into syncs, where the kernel waits
# for the stub with locks held and interrupts off.
killed_in_syncs()
{
	killed_stubs 12 '$| = 1; print "ready\n";
		syscall(11, syscall(9, 0, 4 << 20, 3, 0x8022, -1, 0), 4 << 20) while 1' "$@"
}

test_killed_stub_in_a_sync()
{
	killed_in_syncs --cpus 1
	killed_in_syncs --cpus 2
}

test_killed_stub_in_a_sync_in_ptrace_mode()
{
	killed_in_syncs --mode ptrace
}

# Of two tasks that have one memory, and so one stub, one is in it or on the way when it is killed, and the other waits:
# for its turn, or to go on. Neither may be left there.
test_killed_stub_of_two_threads()
{
	killed_stubs 6 'use threads; $| = 1; async { getppid while 1 }; print "ready\n"; getppid while 1' --cpus 2
}

# vfork(2), whose child never goes on to exec
test_killed_stub_of_a_borrowed_memory()
{
	for how in '--cpus 1' '--cpus 2' '--mode ptrace'; do
		killed_stubs 6 '$| = 1; unless (syscall(58)) { print "ready\n"; 1 while 1 }' $how
	done
}

# unborn PID PARENT NAME: is it a child that runs its parent's program, NAME, still? Leaves $state.
unborn()
{
	local comm ppid

	{ read -r _ comm state ppid _ </proc/$1/stat; } 2>/dev/null && [ "$ppid" = "$2" ] && [ "$comm" = "($3)" ]
}

# has_ended PID: has its parent been told so?
has_ended()
{
	local state

	! { read -r _ _ state _ </proc/$1/stat; } 2>/dev/null || [ $state = Z ]
}

# newborn KERNEL: stops a stub of it, $child, that has no program of its own yet, so that the kernel does not have its number.
newborn()
{
	local last='' name seen='' state until=$((SECONDS + 20))

	read -r name </proc/$1/comm
	while [ $SECONDS -lt $until ]; do
		# the newest of all processes
		read -r _ _ _ _ last </proc/loadavg
		[ "$last" != "$seen" ] || continue
		seen=$last
		unborn $last $1 "$name" || continue
		kill -STOP $last 2>/dev/null
		while unborn $last $1 "$name"; do
			[ $state = T ] || continue
			child=$last
			return 0
		done
		kill -CONT $last 2>/dev/null	# too late
	done
	return 1
}

# A process whose stub is killed while it forks, in a loop, is the one that ends: not the child, which has its number until it
# has a stub of its own. The child's stub is stopped on its way there, every other time: otherwise the moment is any.
test_killed_stub_of_a_process_that_forks()
{
	local child guest how i kernel kills=6 stub
	cat >"$WORK/forks.c" <<-'END'
		#include <stdlib.h>
		#include <sys/wait.h>
		#include <unistd.h>

		int main(void)
		{
			char line[80];

			write(1, "ready\n", 6);
			read(0, line, sizeof(line));
			for (;;) {
				int pid = fork();

				if (!pid)
					_exit(0);
				waitpid(pid, NULL, 0);
			}
		}
	END
	${CC:-cc} -w -o "$WORK/forks" "$WORK/forks.c" || fail 'the program does not compile'
	mkfifo "$WORK/in"
	exec 4<>"$WORK/in"
	for how in '--cpus 1' '--cpus 2' '--mode ptrace'; do
		: >"$WORK/o"
		"$uml" $how --timeout 50 sh -c 'for i in $(seq '$kills'); do "$0"; echo status $?; done' "$WORK/forks" \
			<"$WORK/in" >"$WORK/o" 2>"$WORK/e" &
		guest=$!
		for i in $(seq $kills); do
			wait_for 10 ready $i || fail "$how: kill $i: expected process $i, got $(tail -n 1 "$WORK/o")"
			kernel=$(kernel_pid) child=''
			# the newest, until it forks
			stub=$(pgrep -n -P $kernel uml-userspace)
			echo >&4
			if [ $((i % 2)) = 0 ]; then
				sleep 0.0$((RANDOM % 90 + 10))
			else
				newborn $kernel || fail "$how: kill $i: expected that it forks, saw no child"
			fi
			kill -KILL $stub
			[ -z "$child" ] || { wait_for 10 has_ended $stub; kill -CONT $child; }
		done
		wait $guest
		equal "status of $how" 0 $?
		equal "$how: processes that ended with 139" $kills "$(grep -c '^status 139' "$WORK/o")"
	done
}

# too_many: sets pages. Those that are read before they are written are all one page of the host's file, and so each is a mapping of
# its own: one munmap() and mmap() more than the host lets a process have.
too_many()
{
	pages=$(($(cat /proc/sys/vm/max_map_count) + 1000))
	[ $pages -lt 2000000 ] || not_here "vm.max_map_count is $((pages - 1000)): a process of 8 GB would be needed to reach it"
}

# more_mappings PERL: $pages are mapped and read. It is told why that ends the process, and the kernel goes on.
more_mappings()
{
	local pages
	too_many
	for mode in seccomp ptrace; do
		guest --mode $mode --mem 512M --timeout 30 --log "$WORK/log" sh -c "perl -e '\$pages = $pages; $1; print qq(on)'; echo \$?"
		equal "$mode: status" 0 $status
		equal "$mode: what the process ended with" 139 "$(echo "$out" | tail -n 1)"
		contains "$mode: kernel log" 'vm.max_map_count has been reached' "$(cat "$WORK/log")"
		# ENOMEM, and no other number at the end of what is said of it
		equal "$mode: the errors told" 12 "$(sed -n 's/.*errno = //p; s/.*Error flushing stub syscalls: //p' "$WORK/log" | sort -u)"
	done
}

# all in one sync
test_host_has_no_more_mappings()
{
	more_mappings 'syscall(9, 0, $pages << 12, 1, 0x8022, -1, 0)'
}

# One by one: the call that fails is one of those with which the stub is sent into user code.
test_host_has_no_mapping_for_a_fault()
{
	more_mappings '$a = syscall(9, 0, $pages << 12, 1, 0x22, -1, 0); unpack("P1", pack("Q", $a + ($_ << 12))) for 0 .. $pages - 1'
}

# Of two that have one memory the first maps too much, and ends; the other, which waits for that (vfork), may not go on either: the
# host does not have what the page table says. It waits in clone(), which perl cannot: the first would leave its stack to it changed.
test_host_has_no_more_mappings_of_a_borrowed_memory()
{
	local pages
	too_many
	cat >"$WORK/borrower.c" <<-'END'
		#define _GNU_SOURCE
		#include <sched.h>
		#include <signal.h>
		#include <stdlib.h>
		#include <sys/mman.h>
		#include <unistd.h>

		static char stack[1 << 16];

		static int borrower(void *pages)
		{
			mmap(0, (size_t)pages << 12, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
			write(1, "borrower went on\n", 17);
			_exit(0);
		}

		int main(int argc, char **argv)
		{
			int pid = clone(borrower, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)atol(argv[1]));

			write(1, "lender went on\n", 15);
			return pid < 0;
		}
	END
	${CC:-cc} -w -o "$WORK/borrower" "$WORK/borrower.c" || fail 'the program does not compile'
	for mode in seccomp ptrace; do
		guest --mode $mode --mem 512M --timeout 30 --log "$WORK/log" sh -c "'$WORK/borrower' 10; '$WORK/borrower' $pages; echo \$?"
		equal "$mode: status" 0 $status
		equal "$mode: who went on, with few pages and then with too many, and how that ended" \
			$'borrower went on\nlender went on\n139' "$out"
		contains "$mode: kernel log" 'vm.max_map_count has been reached' "$(cat "$WORK/log")"
	done
}

# said WORD: has the guest said it?
said()
{
	grep -q "$1" "$WORK/o"
}

# The host has no descriptor for another stub's socket, so there is no fork: and no trace of the process that was not made, which
# would be found when the next stub dies. The one that is killed is older than it.
test_fork_that_the_host_refuses()
{
	local guest kernel stub
	mkfifo "$WORK/in"
	exec 4<>"$WORK/in"
	"$uml" --timeout 50 perl -e '$| = 1; unless ($old = fork) { select(undef, undef, undef, 0.1) while 1 } print "ready\n"; <STDIN>;
			for (1 .. 20) { $p = fork; $p // last; $p or exit 0; waitpid $p, 0 } print $p // "refused: $!", "\n"; <STDIN>;
			for (1 .. 20) { $p = fork; $p or exit 0; waitpid $p, 0; $n += !$? } print "forked $n\n"; <STDIN>;
			waitpid $old, 0; print "old ended by $?\n"' <"$WORK/in" >"$WORK/o" 2>"$WORK/e" &
	guest=$!
	wait_for 20 said ready || fail "expected a guest, got $(tail -n 1 "$WORK/e")"
	kernel=$(kernel_pid)
	stub=$(pgrep -n -P "$kernel" uml-userspace)
	prlimit --pid "$kernel" --nofile=3:
	echo >&4
	wait_for 10 said refused || fail "with no descriptor left: expected that fork is refused, got $(tail -n 1 "$WORK/o")"
	prlimit --pid "$kernel" --nofile=1024:
	echo >&4
	wait_for 10 said 'forked 20' || fail "expected 20 forks, got $(tail -n 1 "$WORK/o")"
	kill -KILL "$stub"
	echo >&4
	wait $guest
	equal status 0 $?
	contains 'what it printed' 'old ended by 11' "$(cat "$WORK/o")"
}

# A stub that dies before it is one: the host refuses it a stack. Its process ends, and whoever made it goes on.
test_stub_that_never_runs()
{
	local guest kernel
	mkfifo "$WORK/in"
	exec 4<>"$WORK/in"
	"$uml" --timeout 50 perl -e '$| = 1; print "ready\n"; <STDIN>;
			for (1 .. 200) { $p = fork; $p or exit 0; waitpid $p, 0; $n += $? == 11 } print "ended $n\n"; <STDIN>;
			$p = fork; $p or exit 3; waitpid $p, 0; printf "then %d\n", $? >> 8' <"$WORK/in" >"$WORK/o" 2>"$WORK/e" &
	guest=$!
	wait_for 20 said ready || fail "expected a guest, got $(tail -n 1 "$WORK/e")"
	kernel=$(kernel_pid)
	prlimit --pid "$kernel" --stack=1:
	echo >&4
	wait_for 20 said "ended 200" || fail "stubs without a stack: expected 200 that end by SIGSEGV, got $(tail -n 1 "$WORK/o")"
	prlimit --pid "$kernel" --stack=8388608:
	echo >&4
	wait $guest
	equal status 0 $?
	contains 'what it printed' 'then 3' "$(cat "$WORK/o")"
}
