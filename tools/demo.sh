#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml demo`: two tenants in one kernel, without and with a memory limit on one of them; then what one that
# needs far more than there is costs its neighbour; then two programs on four memory nodes, one of
# them pinned to a node.
#
# tools/demo/guest.sh is what happens in the guest and what its output means. This script boots
# it twice, draws the pages while they change, and makes the table and build/demo/report.html.
# tools/demo/neighbours.pl is the guest with neighbours, tools/demo/nodes.sh that with nodes.
set -eu

# where names on the command line are meant from
from=${UML_FROM:-$PWD}
cd "$(dirname "$0")/.."
out=build/demo
limit='' mem=192M cpus=1 kernel=
# MB that batch reads and sorts, and of which trees; headers that service has words of; MB of the two
# programs with nodes
data=96 trees='/usr/include /usr/lib/gcc /usr/share/perl' headers=9999 free=60 pinned=32
# MB of service's memory and files, and of batch, beside each other; looks; MB of that guest
ours=24 files=12 theirs=192 looks=5 small=160

die()
{
	echo "demo: $*" >&2
	exit 1
}

help()
{
	cat <<-EOF
	  --limit SIZE   page_limit of the tenant "batch" in the second run (default 64M)
	  --mem SIZE     memory of the guest (default $mem)
	  --cpus N       CPUs of the guest (default $cpus)
	  --kernel FILE  the kernel (default: ./linux.uml, built first)
	  --out DIR      where samples, table and report.html go (default build/demo)
	  --quick        an eighth of everything, the default limit too: seconds, not minutes, but
	                 the neighbour feels little of it
	EOF
}

# pages OPTION SIZE: as a number of 4 KB pages
pages()
{
	digits=${2%[KkMmGg]}
	case $digits in
	'' | *[!0-9]*) die "$1: '$2' is not a size; cure: pages, or a number with K, M or G" ;;
	esac
	case $2 in
	*[Kk]) unit=1/4 ;;
	*[Mm]) unit=256 ;;
	*[Gg]) unit=262144 ;;
	*) unit=1 ;;
	esac
	[ ${#digits} -le 9 ] || die "$1: '$2' is too large; cure: what this machine has"
	echo "$digits" | awk "{ printf \"%d\\n\", \$1 * $unit }"
}

# absolute OPTION NAME
absolute()
{
	case $2 in
	'') die "$1 '': not a name; see ./uml demo --help" ;;
	/*) echo "$2" ;;
	*) echo "$from/$2" ;;
	esac
}

while [ $# -gt 0 ]; do
	case $1 in
	--limit | --mem | --cpus | --kernel | --out)
		[ $# -gt 1 ] || die "$1 needs a value; see ./uml demo --help" ;;
	esac
	case $1 in
	--help) help; exit 0 ;;
	--limit) limit=$2; pages --limit "$2" >/dev/null; shift ;;
	--mem) mem=$2; pages --mem "$2" >/dev/null; shift ;;
	--cpus) cpus=$2; shift ;;
	--kernel) kernel=$(absolute --kernel "$2"); shift ;;
	--out) out=$(absolute --out "$2"); shift ;;
	--quick) data=12 trees=/usr/lib/gcc headers=30 free=16 pinned=8 ours=8 files=4 theirs=88 looks=3 small=96 ;;
	*) die "unknown option '$1'; see ./uml demo --help" ;;
	esac
	shift
done
[ -n "$limit" ] || limit=$((data * 2 / 3))M
limit_pages=$(pages --limit "$limit")
mem_pages=$(pages --mem "$mem")
[ "$limit_pages" -ge 1024 ] || die "--limit $limit leaves the tenant no room to run; cure: 4M or more"
[ "$mem_pages" -ge 32768 ] || die "--mem $mem is too small for both tenants; cure: 128M or more"
case $cpus in
[1-8]) ;;
*) die "--cpus '$cpus': the kernel has 1 to 8" ;;
esac
command -v gnuplot >/dev/null || die "gnuplot is missing; cure: apt-get install gnuplot-nox"

if [ -z "$kernel" ]; then
	kernel=./linux.uml
	make linux.uml || exit 1
elif [ ! -f "$kernel" ] || [ ! -x "$kernel" ]; then
	die "--kernel $kernel: no file that can be executed; cure: ./uml build, or another name"
elif [ ! -x build/tools/uml-run ]; then
	make -s tools || exit 1
fi
mkdir -p "$out" 2>/dev/null && [ -w "$out" ] || die "$out: no directory that can be written; cure: another --out DIR"
# one at a time; the directory is what is locked, so that nothing of ours stays in it
exec 8<"$out"
flock -n 8 || die "another demo writes to $out; cure: wait for its end, or another --out DIR"
# what an earlier run left there, and nothing else
for file in free limited neighbours nodes; do
	rm -f "$out/$file" "$out/$file.err" "$out/$file.status"
done
rm -f "$out/table.txt" "$out/neighbours.txt" "$out/nodes.txt" "$out/report.html"
# mawk, Debian's awk, waits for 4096 bytes of its input unless it is told not to
live=
case $(awk -W version 2>&1 </dev/null) in mawk*) live='-W interactive' ;; esac

# boot NAME OPTION... -- CMD...: what it prints goes to $out/NAME too
boot()
{
	name=$1
	shift
	{
		status=0
		build/tools/uml-run --kernel "$kernel" --cpus "$cpus" --timeout 300 "$@" 2>"$out/$name.err" || status=$?
		echo $status >"$out/$name.status"
	} | tee "$out/$name"
}

# ended NAME: well, and with all that it had to say; or what it said is why not
ended()
{
	status=$(cat "$out/$1.status")
	rm "$out/$1.status"
	[ "$status" = 0 ] && grep -q '^end$' "$out/$1" || {
		cat "$out/$1.err" >&2
		die "the guest did not come to its end, status $status (above: what it said)"
	}
}

# scene NAME LIMIT TITLE: one boot; the samples go to $out/NAME
scene()
{
	echo
	echo "$3"
	term=0
	[ ! -t 1 ] || term=1
	# shellcheck disable=SC2086 # words
	boot "$1" --mem "$mem" --swap 512M -- sh tools/demo/guest.sh "$2" $data "$trees" $headers |
		awk $live -v term=$term -v mem="$mem_pages" -f tools/demo/live.awk
	ended "$1"
}

echo "Two tenants share a kernel with $mem of memory:"
echo "  service  keeps an index of this machine's header files in memory and looks up in it all the time"
echo "  batch    reads through a file tree and sorts $data MB of it"
scene free max "1. batch has no limit"
scene limited "$limit_pages" "2. batch has a page_limit of $limit_pages pages ($limit)"

echo
awk -f tools/demo/table.awk "$out/free" "$out/limited" | tee "$out/table.txt"

echo
echo "3. a guest of ${small}M: \"service\" has $ours MB and reads $files MB of files from time to time; \"batch\" goes through $theirs MB in"
echo "   between, at first with a page_limit of a quarter of that:"
boot neighbours --mem ${small}M --swap 512M -- sh tools/demo/neighbours.sh $ours $files $theirs $looks >/dev/null
ended neighbours
awk -f tools/demo/neighbours.awk "$out/neighbours" | tee "$out/neighbours.txt"

echo
echo "4. a guest of 256M with four memory nodes: \"free\" changes $free MB all over and takes them from where"
echo "   they are to be had; \"pinned\" has $pinned MB and a memset. Their pages (one # is 4 MB):"
# shellcheck disable=SC2086 # words
boot nodes --nodes 4 --mem 256M -- sh tools/demo/nodes.sh $free $pinned | awk $live -f tools/demo/nodes.awk | tee "$out/nodes.txt"
ended nodes
tools/demo/report.sh "$out" "$limit_pages" "$mem" "$data" "$free" "$pinned" "$ours" "$files" "$theirs" $small
echo
echo "The whole picture: $out/report.html"
