#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Spin over every variant of the models beside this file, a line each:
# `ok - NAME # N ms` or `not ok - NAME # N ms, WHAT`.
#
# What Spin says of the same model is always the same: a variant that ended as it must is not
# searched again until its model, its line below, this file, Spin or gcc has changed (build/models/NAME/key).
#
# The variants below that take a part of the protocol away must fail, and in the way that is
# said there: a model that finds nothing when the cure is missing says nothing.
set -u

cd "$(dirname "$0")" || exit 2
out=../../build/models
memory_mb=2000

# NAME MODEL EXPECTED SWITCH...; EXPECTED is ok, or what Spin must find:
#   stale    user code runs with a mapping whose flush has returned
#   copy     the kernel copies to a page that is free
#   stuck    somebody waits for ever, with everybody else at rest
#   endless  a flush that may never end, under weak fairness
#   freed    somebody looks at a group whose memory is gone
#   ghost    a reference or a membership without a task, at rest
#   dead     a task in a container that was removed
#   apart    a thread that was left behind when its process moved
#   lost     an interrupt that nobody handles, at rest
variants()
{
	cat <<-'EOT'
	protocol             shootdown ok
	progress             shootdown ok      -DLIVENESS -DTICKS=0
	copies               shootdown ok      -DCOPY -DTICKS=0
	entry_wakes_one      shootdown ok      -DENTRY_WAKES_ONE -DTICKS=0
	no_stall_no_wake     shootdown ok      -DNO_STALL -DFLUSHER_WAKES_NOBODY -DTICKS=0
	stock                shootdown stale   -DSTOCK
	no_recheck           shootdown stale   -DNO_RECHECK
	store_unlocked       shootdown stale   -DSTORE_UNLOCKED
	read_before_mark     shootdown stale   -DREAD_BEFORE_MARK
	copy_unlocked        shootdown copy    -DCOPY -DCOPY_UNLOCKED -DLEAVES=0 -DTICKS=0
	no_kick              shootdown stuck   -DNO_KICK
	no_kick_progress     shootdown endless -DNO_KICK -DLIVENESS -DTICKS=0
	kick_not_pending     shootdown stuck   -DKICK_NOT_PENDING
	no_generation        shootdown stuck   -DNO_GENERATION
	stub_wakes_one       shootdown stuck   -DSTUB_WAKES_ONE
	split_futex_wait     shootdown stuck   -DSPLIT_WAIT
	flusher_wakes_nobody shootdown stuck   -DFLUSHER_WAKES_NOBODY
	both_wake_one        shootdown stuck   -DNO_STALL -DFLUSHER_WAKES_NOBODY -DENTRY_WAKES_ONE
	stalled_under_lock   shootdown stuck   -DSTALLED_UNDER_LOCK
	batch                shootdown ok      -DBATCH -DNO_STALL
	batch_progress       shootdown ok      -DBATCH -DNO_STALL -DLIVENESS -DTICKS=0
	batch_oldest_stay    shootdown stale   -DBATCH -DNO_STALL -DOLDEST_STAY
	batch_not_flushed    shootdown stale   -DBATCH -DNO_STALL -DNO_BATCH_FLUSH
	batch_read_first     shootdown stale   -DBATCH -DNO_STALL -DREAD_BEFORE_MARK
	batch_no_kick        shootdown stuck   -DBATCH -DNO_STALL -DNO_KICK
	membership           membership ok
	threads              membership ok     -DTHREADS
	exiting_unlocked     membership ghost  -DEXITING_UNLOCKED
	get_unchecked        membership freed  -DGET_UNCHECKED
	no_grace             membership freed  -DNO_GRACE
	put_outside_lock     membership ok     -DPUT_OUTSIDE_LOCK
	lookup_unchecked     membership ghost  -DLOOKUP_UNCHECKED
	rmdir_unlocked       membership dead   -DRMDIR_UNLOCKED
	fork_reads_first     membership apart  -DTHREADS -DFORK_READS_FIRST
	thread_does_not_wait membership apart  -DTHREADS -DTHREAD_DOES_NOT_WAIT
	clones_not_looked_at membership apart  -DTHREADS -DCLONES_NOT_LOOKED_AT
	count_first          membership apart  -DTHREADS -DCOUNT_FIRST
	ipi                  ipi        ok
	ipi_no_look          ipi        lost   -DNO_LOOK
	ipi_look_first       ipi        lost   -DLOOK_FIRST
	ipi_sleep_anyhow     ipi        lost   -DSLEEP_ANYHOW
	ipi_mask_late        ipi        lost   -DMASK_LATE
	ipi_last_unmasked    ipi        lost   -DLAST_LOOK_UNMASKED
	ipi_signal_first     ipi        lost   -DSIGNAL_FIRST
	ipi_idle_ipis_only   ipi        lost   -DIPIS_ONLY
	ipi_idle_io_unmasked ipi        lost   -DIO_NOT_MASKED
	ipi_idle_pause       ipi        lost   -DUNMASK_THEN_PAUSE
	EOT
}

usage()
{
	cat <<-'EOT'
	Usage: tests/models/run.sh [--list | --trail NAME | [--fresh] NAME...]

	Checks all variants of the models, or those named; 1 if one did not end as it must. One that
	did and has not changed since is not searched again, unless --fresh says so.
	--list prints their names. --trail prints Spin's counterexample of one that was checked.
	EOT
}

die()
{
	echo "run.sh: $*" >&2
	exit 2
}

# What pan found, in one word.
found()
{
	case $(cat "$1") in
	*'max search depth too small'* | *'out of memory'* | *'memory bound'*) echo unfinished ;;
	*'assertion violated'*copied*) echo copy ;;
	*'assertion violated'*running*) echo stale ;;
	*'assertion violated'*alive*) echo freed ;;
	*'assertion violated'*ghosts*) echo ghost ;;
	*'assertion violated'*dead*) echo dead ;;
	*'assertion violated'*together*) echo apart ;;
	*'assertion violated'*lost*) echo lost ;;
	*'invalid end state (at'*) echo stuck ;;
	*'acceptance cycle (at'*) echo endless ;;
	*'errors: 0'*)
		# a part of the model that nothing reaches was not looked at; processes without end have no "-end-"
		if grep -q '^	.*, state [0-9]*, ' "$1" && grep '^	.*, state [0-9]*, ' "$1" | grep -qv -e '"-end-"$'; then
			echo "unreached: $(grep '^	.*, state [0-9]*, ' "$1" | grep -v -e '"-end-"$' | head -n 1 | tr '\t' ' ')"
		else
			echo ok
		fi ;;
	*) echo "nothing: $(tail -n 1 "$1")" ;;
	esac
}

# check MODEL EXPECTED SWITCH...: leaves $got
check()
{
	model=$1 expected=$2
	shift 2
	search=-DSAFETY fair='' level=-O0
	case $* in
	*-DLIVENESS*) search=-DNFAIR=3 fair='-a -f' ;;
	esac
	# the whole of the states is searched: there compiling longer pays
	[ "$expected" != ok ] || level=-O2
	cp "$model.pml" "$dir"
	printf '%s\n' "$*" >"$dir/switches"
	got=$(cd "$dir" &&
		{ spin -a "$@" "$model.pml" >log 2>&1 || { echo "spin: $(tail -n 1 log)"; exit; }; } &&
		{ gcc $level $search -DMEMLIM=$memory_mb -o pan pan.c >log 2>&1 || { echo "gcc: $(grep -m 1 error log)"; exit; }; } &&
		./pan $fair -m100000 >log 2>&1)
	[ -n "$got" ] || got=$(found "$dir/log")
}

trail()
{
	dir=$out/$1
	[ -e "$dir/switches" ] || die "$1: not checked yet, or no such variant; see --list"
	cd "$dir" || exit 2
	ls ./*.trail >/dev/null 2>&1 || die "$1: Spin found no counterexample"
	# shellcheck disable=SC2046 # words
	spin -t -p -g -l $(cat switches) ./*.pml
}

names='' fresh=''
while [ $# -gt 0 ]; do
	case $1 in
	--list) variants | cut -d ' ' -f 1; exit 0 ;;
	--trail) [ $# -gt 1 ] || die '--trail needs a name'
		trail "$2"; exit ;;
	--fresh) fresh=1 ;;
	--help) usage; exit 0 ;;
	-*) die "$1: no such option; see --help" ;;
	*) names="$names $1 " ;;
	esac
	shift
done
for need in spin gcc; do
	command -v $need >/dev/null || die "$need is missing; cure: apt-get install $need"
done

# All that goes into the verdict on a variant.
key_of()
{
	{ echo "$@"; echo "$versions"; cat "$1.pml" run.sh; } | sha256sum
}

mkdir -p "$out" || exit 2
versions=$(spin -V; gcc --version)
variants >"$out/variants"
ran=0 failed=0
while read -r name model expected switches; do
	case $names in
	'' | *" $name "*) ;;
	*) continue ;;
	esac
	dir=$out/$name
	# shellcheck disable=SC2086 # words
	key=$(key_of "$model" "$expected" $switches)
	if [ -z "$fresh" ] && [ "$(cat "$dir/key" 2>/dev/null)" = "$key" ]; then
		echo "ok - $name # 0 ms, kept"
		ran=$((ran + 1))
		continue
	fi
	rm -rf "$dir"
	mkdir -p "$dir" || exit 2
	began=$(date +%s%N)
	# shellcheck disable=SC2086 # words
	check "$model" "$expected" $switches
	ms=$((($(date +%s%N) - began) / 1000000))
	ran=$((ran + 1))
	if [ "$got" = "$expected" ]; then
		echo "ok - $name # $ms ms"
		echo "$key" >"$dir/key"
	else
		failed=$((failed + 1))
		echo "not ok - $name # $ms ms, tests/models/$model.pml $switches: wanted $expected, got $got; see tests/models/run.sh --trail $name"
	fi
done <"$out/variants"
[ $ran -gt 0 ] || die "no variant of that name; see --list"
echo "# $((ran - failed)) passed, $failed failed"
[ $failed -eq 0 ]
