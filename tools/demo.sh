#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml demo`: two tenants in one kernel, without and with a memory limit on one of them; then
# two programs on four memory nodes, one of them pinned to a node.
#
# tools/demo/guest.sh is what happens in the guest and what its output means. This script boots
# it twice, draws the pages while they change, and makes the table and build/demo/report.html.
# tools/demo/nodes.sh is the guest with nodes.
set -eu

cd "$(dirname "$0")/.."
out=build/demo
limit=64M
mem=192M
cpus=1
kernel=./linux.uml

die()
{
	echo "demo: $*" >&2
	exit 1
}

help()
{
	cat <<-EOF
	  --limit SIZE   page_limit of the tenant "batch" in the second run (default $limit)
	  --mem SIZE     memory of the guest (default $mem)
	  --cpus N       CPUs of the guest (default $cpus)
	  --kernel FILE  the kernel (default: ./linux.uml, built first)
	EOF
}

# pages SIZE: as a number of 4 KB pages
pages()
{
	case $1 in
	*[!0-9]*[!0-9] | '' | [!0-9]*) die "'$1' is not a size; cure: pages, or a number with K, M or G" ;;
	*[Kk]) echo $((${1%?} / 4)) ;;
	*[Mm]) echo $((${1%?} * 256)) ;;
	*[Gg]) echo $((${1%?} * 262144)) ;;
	*[!0-9]) die "'$1' is not a size; cure: pages, or a number with K, M or G" ;;
	*) echo "$1" ;;
	esac
}

while [ $# -gt 0 ]; do
	case $1 in
	--help) help; exit 0 ;;
	--limit | --mem | --cpus | --kernel)
		[ $# -gt 1 ] || die "$1 needs a value; see ./uml demo --help"
		case $1 in
		--limit) limit=$2 ;;
		--mem) mem=$2 ;;
		--cpus) cpus=$2 ;;
		--kernel) kernel=$2 ;;
		esac
		shift 2 ;;
	*) die "unknown option '$1'; see ./uml demo --help" ;;
	esac
done
limit_pages=$(pages "$limit")
mem_pages=$(pages "$mem")
[ "$limit_pages" -ge 1024 ] || die "a limit of $limit leaves the tenant no room to run; cure: 4M or more"
[ "$mem_pages" -ge 32768 ] || die "a guest of $mem is too small for both tenants; cure: 128M or more"
command -v gnuplot >/dev/null || die "gnuplot is missing; cure: apt-get install gnuplot-nox"

if [ "$kernel" = ./linux.uml ]; then
	make linux.uml || exit 1
else
	make -s tools || exit 1
fi
rm -rf $out
mkdir -p $out

# ended NAME: or what it said is why not
ended()
{
	grep -q '^end$' $out/"$1" || {
		cat $out/"$1".err >&2
		die "the guest did not come to its end (above: what it said)"
	}
}

# scene NAME LIMIT: one boot; the samples go to $out/NAME
scene()
{
	echo
	echo "$3"
	term=0
	[ ! -t 1 ] || term=1
	build/tools/uml-run --kernel "$kernel" --cpus "$cpus" --mem "$mem" --swap 512M --timeout 300 -- \
		sh tools/demo/guest.sh "$2" 2>$out/"$1".err | tee $out/"$1" |
		awk -v term=$term -v mem="$mem_pages" -f tools/demo/live.awk
	ended "$1"
}

echo "Two tenants share a kernel with $mem of memory:"
echo "  service  keeps an index of this machine's header files in memory and looks up in it all the time"
echo "  batch    reads through a file tree and sorts 96 MB of it"
scene free max "1. batch has no limit"
scene limited "$limit_pages" "2. batch has a page_limit of $limit_pages pages ($limit)"

echo
awk -f tools/demo/table.awk $out/free $out/limited | tee $out/table.txt

echo
echo "3. a guest of 256M with four memory nodes: \"free\" changes 60 MB all over and takes them from where"
echo "   they are to be had; \"pinned\" has 32 MB and a memset. Their pages (one # is 4 MB):"
build/tools/uml-run --kernel "$kernel" --cpus "$cpus" --nodes 4 --mem 256M --timeout 300 -- \
	sh tools/demo/nodes.sh 2>$out/nodes.err | tee $out/nodes | awk -f tools/demo/nodes.awk | tee $out/nodes.txt
ended nodes
tools/demo/report.sh $out "$limit_pages" "$mem"
echo
echo "The whole picture: $out/report.html"
