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

# Whoever takes a page from a process sleeps on the word of its stub, as the CPU does that runs it. When the stub leaves user
# code all of them are woken, and not one, with the others at their next tick. The kernel is stopped here, three other processes
# sleep on the word, and the stub is told to leave as a flush does that.
test_stub_wakes_all_who_wait()
{
	local kernel stub nr word tries=0
	cat >"$WORK/sleepers.c" <<-'END_C'
		#include <dirent.h>
		#include <fcntl.h>
		#include <limits.h>
		#include <linux/futex.h>
		#include <sched.h>
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/mman.h>
		#include <sys/prctl.h>
		#include <sys/stat.h>
		#include <sys/syscall.h>
		#include <unistd.h>

		#define N 3
		static char path[300];
		static volatile unsigned int *word, *woken;

		struct mapping {
			unsigned long start, end, offset, inode;
		};

		/* the mapping of PID that has ADDR, or if that is 0, of the same page of the same file as *M */
		static int mapping(const char *pid, unsigned long addr, struct mapping *m)
		{
			struct mapping want = *m;
			char line[600];
			FILE *maps;

			sprintf(path, "/proc/%s/maps", pid);
			maps = fopen(path, "r");
			while (maps && fgets(line, sizeof(line), maps)) {
				if (sscanf(line, "%lx-%lx %*s %lx %*s %lu", &m->start, &m->end, &m->offset, &m->inode) != 4)
					continue;
				if (addr ? m->start <= addr && addr < m->end : m->inode == want.inode &&
				    m->offset <= want.offset && want.offset - m->offset < m->end - m->start)
					return 1;
			}
			return 0;
		}

		/* what the kernel has at ADDR, if it is STUB's as well */
		static void *at(const char *kernel, const char *stub, unsigned long addr)
		{
			struct mapping m, also;
			struct dirent *e;
			struct stat st;
			char *page;
			DIR *fds;
			int fd;

			if (!mapping(kernel, addr, &m))
				return NULL;
			m.offset += addr - m.start;
			also = m;
			if (!mapping(stub, 0, &also))
				return NULL;
			sprintf(path, "/proc/%s/fd", kernel);
			fds = opendir(path);
			while (fds && (e = readdir(fds))) {
				sprintf(path, "/proc/%s/fd/%.20s", kernel, e->d_name);
				if (stat(path, &st) || st.st_ino != m.inode || (fd = open(path, O_RDWR)) < 0)
					continue;
				page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, m.offset & ~4095UL);
				return page == MAP_FAILED ? NULL : page + (m.offset & 4095);
			}
			return NULL;
		}

		/* all are put where they are */
		static int asleep(void)
		{
			sched_yield();
			return syscall(SYS_futex, word, FUTEX_CMP_REQUEUE, 0, INT_MAX, word, *word);
		}

		static int awake(void)
		{
			int i, n = 0;

			for (i = 0; i < N; i++)
				n += woken[i];
			return n;
		}

		/* KERNEL STUB ADDR: 3 when that is not STUB's word, or STUB is outside user code */
		int main(int argc, char **argv)
		{
			unsigned int stay;
			int i, n;

			word = at(argv[1], argv[2], strtoul(argv[3], NULL, 16));
			woken = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
			if (!word || (stay = *word) & 1)
				return 3;
			for (i = 0; i < N; i++)
				if (!fork()) {
					prctl(PR_SET_PDEATHSIG, SIGKILL);
					syscall(SYS_futex, word, FUTEX_WAIT, stay, NULL, NULL, 0);
					woken[i] = 1;
					for (;;)
						pause();
				}
			while (asleep() != N)
				if (awake() || *word != stay)
					return 3;
			kill(atoi(argv[2]), SIGALRM);
			/* until the stub sleeps, who has woken whom it wakes, and these have said so */
			while (*word == stay)
				sched_yield();
			do
				n = awake();
			while (n + asleep() != N + 1);
			printf("%d\n", n);
			return 0;
		}
	END_C
	${CC:-cc} -w -o "$WORK/sleepers" "$WORK/sleepers.c" || fail 'the program does not compile'
	"$uml" --cpus 1 --timeout 50 sh -c 'echo ready; while :; do :; done' >"$WORK/o" 2>"$WORK/e" &
	wait_for 30 grep -q ready "$WORK/o" || fail "expected a guest, got $(tail -n 1 "$WORK/e")"
	kernel=$(kernel_pid)
	stub=$(pgrep -n -P $kernel uml-userspace)
	while [ $((tries += 1)) -lt 200 ]; do
		# futex(2), in which the CPU waits for the stub
		read -r nr word _ </proc/$kernel/syscall
		kill -STOP $kernel
		wait_for 5 grep -q '^State:.T' /proc/$kernel/status
		if [ "$nr" = 202 ] && "$WORK/sleepers" $kernel $stub $word >"$WORK/woken"; then
			break
		fi
		kill -CONT $kernel
		sleep 0.05
	done
	kill -CONT $kernel
	kill $!
	wait $!
	equal 'who was woken of three' 3 "$(cat "$WORK/woken")"
}
