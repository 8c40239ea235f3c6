#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml bench`: what this project costs, against Linux as it is and against cgroups.
#
# One boot of one kernel is one round of it (tests/bench/guest); the kernels take turns, so that
# what the machine does meanwhile meets all of them, and ratios are made within a round. Rows (set,
# CPUs, kernel, round, name, min, median) go to build/bench/rows; tools/bench/report.awk makes the
# table and build/bench/results.json of them.
set -eu

cd "$(dirname "$0")/.."
out=build/bench
lines=tools/bench/lines
sets="paths groups places memory programs" cpus="1 2 4 8" rounds=8 only='' quick='' build=1

die()
{
	echo "bench: $*" >&2
	exit 1
}

usage_error()
{
	echo "bench: $1; see ./uml bench --help" >&2
	exit 2
}

help()
{
	cat <<-EOF
	  --set paths     only what every program pays, this kernel against Linux as it is
	  --set groups    only what process groups cost, against cgroups v1 and v2
	  --set places    only what it costs to say where tasks run and memory is, against cgroups
	  --set memory    only what a limit on memory costs, against cgroups
	  --set programs  only whole programs of this machine, with 1 CPU against several
	  --only NAME     one line, or a shell pattern: --only fork/user, --only 'fork*'
	  --cpus LIST     CPUs of the guest, but for groups, places and memory (default "$cpus")
	  --rounds N      boots of each kernel (default $rounds)
	  --quick         3 rounds, fewer batches, 1 CPU: a minute; no number to quote
	  --no-build      take the kernels as they are
	  --list          the lines, and what each is

	Results: the table, $out/results.json. Documentation/bench.md says what they mean. Nothing else
	should run on the machine meanwhile.
	EOF
}

numbers()
{
	for number in $2; do
		case $number in
		*[!0-9]* | 0) usage_error "$1 '$2': '$number' is not a number above 0" ;;
		esac
	done
	[ -n "$2" ] || usage_error "$1: an empty list"
}

while [ $# -gt 0 ]; do
	case $1 in
	--set | --only | --cpus | --rounds) [ $# -gt 1 ] || usage_error "$1 needs a value" ;;
	esac
	case $1 in
	--help | -h) help; exit 0 ;;
	--list) sed -n 's/^\([a-z][a-z]*\) \([^ ]*\) /\1 \2	/p' $lines | expand -t 30; exit 0 ;;
	--set)
		case $2 in
		paths | groups | places | memory | programs) sets=$2 ;;
		*) usage_error "--set $2: not one of paths, groups, places, memory, programs" ;;
		esac
		shift ;;
	--only) only=$2; shift ;;
	--cpus) numbers --cpus "$2"; cpus=$2; shift ;;
	--rounds) numbers --rounds "$2"; rounds=$2; shift ;;
	--quick) quick=1 rounds=3 cpus=1 ;;
	--no-build) build=0 ;;
	*) usage_error "unknown option '$1'" ;;
	esac
	shift
done

# The sets that have a line of that name.
if [ -n "$only" ]; then
	some=''
	for set in $sets; do
		while read -r of name _; do
			# shellcheck disable=SC2254 # a pattern is meant
			case $of:$name in
			"$set":$only) some="$some $set"; break ;;
			esac
		done <$lines
	done
	sets=$some
	[ -n "$sets" ] || usage_error "--only $only: no line of that name; --list prints what there is"
fi

kernels_of()
{
	case $1 in
	paths) echo vanilla default ;;
	groups) echo vanilla default cgroup1 cgroup2 ;;
	places | memory) echo default cgroup1 cgroup2 ;;
	programs) echo default ;;
	esac
}

# cgroup1 and cgroup2 are the same kernel, in two boots
flavour_of()
{
	echo "bench-${1%[12]}"
}

mkdir -p $out/logs
exec 8<$out
flock -n 8 || die "another bench runs in $PWD; cure: wait for its end"
if [ $build = 1 ]; then
	make -s tools bench-guest || die "the programs were not built (above: why)"
	flavours=$(for set in $sets; do for kernel in $(kernels_of "$set"); do flavour_of "$kernel"; done; done | sort -u)
	for flavour in $flavours; do
		make -s kernel FLAVOUR="$flavour" || die "kernel $flavour was not built (above: why)"
	done
fi

# Before everybody else, where that is allowed.
first=''
[ "$(nice -n -10 nice 2>/dev/null)" != -10 ] || first='nice -n -10'

# one SET CPUS KERNEL ROUND
one()
{
	kernel=build/$(flavour_of "$3")/linux
	[ -x "$kernel" ] || die "$kernel: not there; cure: without --no-build"
	row="$1 $2 $3 $4" ncpus=$2 log=$out/logs/$1-$2-$3 more='' data='' limit=180
	[ "$1" != places ] || more='--nodes 2'
	[ "$1" != memory ] || more='--swap 512M' data=$PWD/$out/data limit=600
	which="round $4 of $3 with $2 CPUs"
	if [ "$1" = programs ]; then
		set -- "$PWD/tools/bench/programs.sh" "${only:-*}"
	else
		set -- "$PWD/$out/guest" -k "$3" -s "$1" -o "${only:-*}" ${data:+-d "$data"} ${quick:+-q}
	fi
	# shellcheck disable=SC2086 # words, or nothing
	$first build/tools/uml-run --kernel "$kernel" --cpus "$ncpus" $more --mem 1G --timeout $limit --log "$log.kernel" -- \
		"$@" </dev/null >"$log" 2>"$log.err" ||
		die "$which: $(grep -v '^ *$' "$log.err" | head -n 1) (more in $log*)"
	[ "$(tail -n 1 "$log")" = end ] || die "$which: no last line in $log"
	sed -n "s/^\([^ ]*\) \([0-9.]*\) \([0-9.]*\)$/$row \1 \2 \3/p" "$log" >>$out/rows
}

backwards()
{
	back=''
	for word in "$@"; do back="$word $back"; done
	echo "$back"
}

# What the set memory reads, through hostfs.
case $sets in
*memory*) [ -e $out/data ] || { head -c 128M /dev/urandom >$out/data.new && mv $out/data.new $out/data; } || die "$out/data: cannot make 128 MB" ;;
esac
: >$out/rows
start=$(date +%s)
round=1
while [ "$round" -le "$rounds" ]; do
	[ ! -t 2 ] || printf '\rround %d of %d\033[K' "$round" "$rounds" >&2
	for set in $sets; do
		list=$cpus
		case $set in groups | memory) list=1 ;; esac
		[ "$set" != places ] || list=2
		for n in $list; do
			# shellcheck disable=SC2046 # words
			order=$(kernels_of "$set")
			# shellcheck disable=SC2086
			[ $((round % 2)) = 1 ] || order=$(backwards $order)
			for kernel in $order; do one "$set" "$n" "$kernel" "$round"; done
		done
	done
	round=$((round + 1))
done
[ ! -t 2 ] || printf '\r\033[K' >&2
[ -s $out/rows ] || die "nothing was measured; cure: another --only, or more --cpus"

awk -f tools/bench/report.awk -v json=$out/results.json -v rounds="$rounds" -v cores="$(nproc)" \
	-v quick="${quick:+true}" $lines $out/rows
echo
echo "$rounds rounds, $(($(date +%s) - start)) s, $(nproc) cores; all numbers: $out/results.json"
