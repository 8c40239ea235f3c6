# SPDX-License-Identifier: GPL-2.0-only
# What CMD finds in the guest: directory, environment, files, limits.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2116,SC2059,SC2034

test_directory()
{
	mkdir "$WORK/some dir"
	cd "$WORK/some dir" || exit 1
	guest pwd
	equal pwd "$WORK/some dir" "$out"
}

test_directory_that_is_gone()
{
	mkdir "$WORK/gone"
	cd "$WORK/gone" || exit 1
	rmdir "$WORK/gone"
	guest pwd
	equal pwd / "$out"
	contains message 'the current directory: No such file' "$err"
}

test_pin_to_a_core()
{
	local core
	core=$(taskset -pc $$ | sed 's/.*: //; s/[,-].*//')
	"$uml" --pin "$core" sleep 2 &
	wait_for 10 kernel_pid >/dev/null || fail "a kernel process: expected one, got none"
	wait_for 5 eval '[ "$(taskset -pc "$(kernel_pid)" | sed "s/.*: //")" = '$core' ]' || fail "core: expected $core, got $(taskset -pc "$(kernel_pid)")"
	wait
}

test_environment()
{
	UML_TEST_A=$'two\nlines' guest printenv UML_TEST_A
	equal variable $'two\nlines' "$out"
	guest --env X=1 --env TERM=weird sh -c 'echo $X $TERM'
	equal 'set with --env' '1 weird' "$out"
	TERM=dumb guest --env X=1 --env X=2 --env TERM --env TERM=twice env
	equal 'set twice' $'TERM=twice\nX=2' "$(echo "$out" | grep '^X=\|^TERM=' | sort)"
	UML_TEST_A=1 UML_TEST_B=2 guest --clean-env --env UML_TEST_B env
	equal 'with --clean-env' 2 "$(echo "$out" | sed -n 's/^UML_TEST_B=//p')"
	equal 'with --clean-env' '' "$(echo "$out" | sed -n 's/^UML_TEST_A=//p')"
}

test_arguments()
{
	guest printf '<%s>' 'a b' '' $'c\nd' "e'f" '*'
	equal arguments "<a b><><c"$'\n'"d><e'f><*>" "$out"
}

test_large_arguments()
{
	guest sh -c 'echo ${#1}' x "$(head -c 120000 /dev/zero | tr '\0' a)"
	equal 'length of an argument' 120000 "$out"
}

test_umask()
{
	umask 027
	guest sh -c umask
	equal umask 0027 "$out"
}

test_writes_stay_in_the_guest()
{
	echo host >"$WORK/file"
	guest sh -c "echo guest >$WORK/file; rm $WORK/out; echo new >$WORK/new; cat $WORK/file $WORK/new"
	equal 'in the guest' $'guest\nnew' "$out"
	equal 'on the host' host "$(cat "$WORK/file")"
	[ ! -e "$WORK/new" ] || fail "a new file of the guest: expected none on the host, got one"
	[ -e "$WORK/out" ] || fail "a file removed in the guest: expected it on the host, got none"
}

test_guest_is_a_machine()
{
	guest sh -c 'mount -t tmpfs x /mnt && ls -d /proc/1 /sys/block /dev/null /dev/pts/ptmx /dev/shm && cat /proc/1/comm'
	equal status 0 $status
	contains 'process 1' init "$out"
}

test_loopback()
{
	guest bash -c 'exec 3<>/dev/udp/127.0.0.1/9 && echo up >&3'
	equal 'a packet to 127.0.0.1' 0 $status
}

test_swap()
{
	guest --swap 64M sh -c 'awk "NR==2 {print \$3}" /proc/swaps'
	equal 'size in K' $((65536 - 4)) "$out"
}

test_mem()
{
	guest --mem 128M awk '$1 == "MemTotal:" { print ($2 > 90000 && $2 < 131073) }' /proc/meminfo
	equal 'MemTotal near 128M' 1 "$out"
}

test_cpus()
{
	guest --cpus 2 nproc
	equal status 0 $status
	equal out 2 "$out"
	equal err '' "$err"
	guest nproc
	equal out 1 "$out"
}

test_one_cpu_is_pinned()
{
	"$uml" sleep 2 &
	wait_for 10 kernel_pid >/dev/null || fail "a kernel process: expected one, got none"
	local pid
	pid=$(kernel_pid)
	equal 'cores of the kernel process' 1 "$(taskset -pc "$pid" | sed 's/.*: //' | awk -F'[,-]' '{ print NF }')"
	wait
}

test_mode_ptrace()
{
	guest --mode ptrace sh -c 'exit 3'
	equal status 3 $status
}

small_root()
{
	mkdir -p "$WORK/root/bin"
	cat >"$WORK/p.c" <<-'EOF'
	#include <stdio.h>
	#include <unistd.h>
	int main(void)
	{
		FILE *f = fopen("/written", "w");
		puts(access("/marker", F_OK) ? "no marker" : "marker");
		puts(f ? "writable" : "not writable");
		return 7;
	}
	EOF
	gcc -static -o "$WORK/root/bin/prog" "$WORK/p.c" || fail "a static program: expected gcc to make it, got an error"
	echo >"$WORK/root/marker"
}

test_rootfs_directory()
{
	small_root
	guest --rootfs "$WORK/root" /bin/prog
	equal status 7 $status
	equal output $'marker\nwritable' "$out"
	[ ! -e "$WORK/root/written" ] || fail "the directory: expected it unchanged, got a new file"
}

test_rootfs_ext4()
{
	small_root
	PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -d "$WORK/root" "$WORK/root, 1:2.img" 16M || fail "mke2fs: expected an image, got an error"
	sum=$(md5sum <"$WORK/root, 1:2.img")
	guest --rootfs "$WORK/root, 1:2.img" /bin/prog
	equal status 7 $status
	equal output $'marker\nwritable' "$out"
	equal 'the image' "$sum" "$(md5sum <"$WORK/root, 1:2.img")"
}

# Told before a boot, by what the file is, and nothing of what mount(2) thinks of it.
test_rootfs_that_is_none()
{
	: >"$WORK/empty"
	echo 'not an image' >"$WORK/short"
	head -c 100000 /dev/zero >"$WORK/zero"
	for root in "$WORK/empty" "$WORK/short" "$WORK/zero" /dev/null /etc/passwd; do
		guest --rootfs "$root" -- true
		equal "$root: status" 125 $status
		equal "$root: message" "uml-run: --rootfs $root: neither a directory nor an image of ext4 or squashfs; mkfs.ext4 -d DIR makes one" "$err"
	done
}

test_container()
{
	if ! "$uml" grep -q container /proc/filesystems; then
		guest --memory 1000 true
		equal 'status without containers in the kernel' 125 $status
		contains message 'no containers' "$err"
		return
	fi
	guest --container a/b sh -c 'cat /containers/a/b/tasks; echo $$; exit 5'
	equal status 5 $status
	contains 'tasks' "$(echo "$out" | tail -n 1)" "$(echo "$out" | head -n -1)"
}

test_memory_limit()
{
	guest --memory 32M cat /containers/run/memory.page_limit
	equal page_limit 8192 "$out"
	guest --memory 5000 cat /containers/run/memory.page_limit
	equal page_limit 5000 "$out"
}

test_cpuset()
{
	guest --cpus 4 --cpuset 1,3 --container a/b sh -c 'grep Cpus_allowed_list /proc/self/status; cat /containers/a/b/cpuset.cpus'
	equal 'CPUs of the command' $'Cpus_allowed_list:\t1,3\n1,3' "$out"
	guest --cpuset 0 --memory 5000 sh -c 'cd /containers/run; cat cpuset.cpus memory.page_limit'
	equal 'both limits' $'0\n5000' "$out"
	guest --cpus 2 --cpuset 2 true
	contains message 'CPUs 0 to 1' "$err"
}

test_memset()
{
	guest --nodes 4 --cpus 2 --memset 1,3 --container a/b sh -c 'grep Mems_allowed_list /proc/self/status; cat /containers/a/b/memset.mems'
	equal 'nodes of the command' $'Mems_allowed_list:\t1,3\n1,3' "$out"
	guest --nodes 2 --memset 1 --cpuset 0 --memory 5000 sh -c 'cd /containers/run; cat memset.mems cpuset.cpus memory.page_limit'
	equal 'all limits' $'1\n0\n5000' "$out"
	guest --memset 0 sh -c 'cat /containers/run/memset.mems'
	equal 'one node' 0 "$out"
	guest --nodes 2 --memset 2 true
	contains message 'nodes 0 to 1' "$err"
}

test_files()
{
	guest --files 40 --container a/b sh -c 'cd /containers; grep -h numfiles a/b/bc.set a/bc.set; grep -c . a/b/why; exec 3</etc/passwd; cat a/b/bc.numfiles.held'
	equal 'bounds, and what is open' $'numfiles 40 40\nnumfiles max max\n0' "$(head -n 3 <<<"$out")"
	# the shell: its own file, what was before it does not count
	[ "$(tail -n 1 <<<"$out")" -ge 1 ] || fail "held is $out"
	guest --files 20 --cpuset 0 --memory 5000 sh -c 'cd /containers/run; cat cpuset.cpus memory.page_limit bc.numfiles.barrier'
	equal 'all limits' $'0\n5000\n20' "$out"
	# what opens more than that is refused, and told
	guest --files 20 bash -c 'while exec {fd}</dev/null; do :; done' </dev/null
	contains message 'Too many open files in system' "$err"
	guest --files 20 --container a bash -c '(while exec {fd}</dev/null; do :; done) 2>/dev/null; head -n 1 /containers/a/why' </dev/null
	contains why 'refused by bc: ' "$out"
	contains why '/a has 20 of 20 files (ENFILE)' "$out"
}

test_tasks()
{
	guest --tasks 1 grep -x 1 /containers/run/numtasks.limit
	equal 'status of one task' 0 $status
	guest --tasks 3 --memory 5000 sh -c 'cd /containers/run; cat numtasks.limit memory.page_limit'
	equal 'both limits' $'3\n5000' "$out"
	# dash gives up at once, and needs no task to read
	guest --tasks 4 --container a sh -c '(for i in 1 2 3 4 5 6; do sleep 9 >/dev/null 2>&1 & done) 2>/dev/null; read -r why </containers/a/why; echo "$why"'
	contains why 'refused by numtasks: /a has 4 of 4 tasks (EAGAIN)' "$out"
}

# dash needs no task to read. It forks for the brackets and for each of the others.
test_parameters_of_numtasks()
{
	local read='for p in total_numtasks forkrate forkrate_interval; do read -r n </sys/module/numtasks/parameters/$p; echo $n; done'
	local stats='while read -r _ line; do case $line in Max*|*succ*|*forkrate*) echo "$line" ;; esac; done </containers/a/numtasks.stats'

	guest --append numtasks.forkrate=3 --append numtasks.forkrate_interval=100000 --container a sh -c "$read"'
		(for i in 1 2 3 4 5 6; do : & done) 2>/dev/null
		'"$stats"'; read -r why </containers/a/why; echo "$why"'
	equal 'a rate from the first fork on' $'2147483647\n3\n100000' "$(head -n 3 <<<"$out")"
	contains stats $'Number of successes 3\nNumber of forkrate failures 1\n' "$out"
	contains why 'refused by numtasks: it has had all forks of this forkrate_interval (EAGAIN)' "$out"
	# what the root has, the kernel's own threads among them, is what everybody has
	guest --append numtasks.total_numtasks=150 --container a sh -c "$read; $stats"'
		(while :; do sleep 99 & done) >/dev/null 2>&1; read -r why </containers/a/why; echo "$why"'
	equal 'a total' $'150\n2147483647\n1' "$(head -n 3 <<<"$out")"
	contains stats $'\nMaximum 150\n' "$out"
	contains why 'refused by numtasks: / has 150 of 150 tasks (EAGAIN)' "$out"
	# what is no number of at least 1 is none
	guest --append numtasks.total_numtasks=0 --append numtasks.forkrate=x --append numtasks.forkrate_interval=-1 sh -c "$read"
	equal 'wrong ones' $'2147483647\n2147483647\n1' "$out"
}

test_many_files()
{
	ulimit -Sn 256
	guest sh -c 'find /usr/include -type f | head -n 2000 | xargs cat >/dev/null'
	equal 'status of reading 2000 files of the host' 0 $status
	equal errors '' "$err"
}
