#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# report.html of a demo: one page, nothing loaded from elsewhere.
#
#   tools/demo/report.sh DIR LIMIT-PAGES MEM MB MB MB MB MB MB MB    sorted by batch, of free, of pinned; beside
#                        each other: of service's memory, of its files, of batch, of the guest
set -eu

limit=$2 mem=$3 data=$4 free=$5 pinned=$6 ours=$7 files=$8 theirs=$9 small=${10}
# gnuplot's strings are no place for a name that may hold anything
cd "$1"

for run in free limited; do
	awk '$1 == "S" { print $2 / 1000, $3 + $4, $5 + $6 }' "$run" >"$run.dat"
done
most=$(cat free.dat limited.dat | awk '{ for (i = 2; i <= 3; i++) if ($i > m) m = $i } END { print int(m * 1.1) + 1 }')

plot()
{
	gnuplot <<-EOF
	set terminal svg size 860,320 font "sans-serif,12" background "#ffffff"
	set output "$1.svg"
	set title "$2" noenhanced
	set xlabel "seconds"
	set ylabel "pages (4 KB)"
	set yrange [0:$most]
	set grid
	set key top left
	$3
	plot "$1.dat" using 1:2 with lines lw 2 lc rgb "#c0392b" title "batch", \
	     "$1.dat" using 1:3 with lines lw 2 lc rgb "#2471a3" title "service"
	EOF
}

plot free "batch without a limit" ""
plot limited "batch with page_limit $limit" \
	"set arrow from graph 0, first $limit to graph 1, first $limit nohead dt 2 lc rgb '#555555'"

escape()
{
	sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g' "$1"
}

{
	cat <<-EOF
	<!DOCTYPE html>
	<html lang="en">
	<head><meta charset="utf-8"><title>uml-containers: a memory limit at work</title>
	<style>body { font-family: sans-serif; max-width: 56em; margin: 2em auto; }
	pre { background: #f4f4f4; padding: 1em; overflow-x: auto; } svg { width: 100%; height: auto; }</style></head>
	<body>
	<h1>A memory limit at work</h1>
	<p>Two tenants in one User-Mode Linux kernel with $mem of memory. <b>batch</b> reads through a
	file tree and sorts $data MB of it; <b>service</b> keeps an index in memory and uses all of it
	twice a second. First without a limit, then with a page_limit of $limit pages on batch (dashed).
	The limit is soft: the over-limit handler starts when batch passes it and works it down to 31/32.</p>
	EOF
	for run in free limited; do
		sed '1,/^<!DOCTYPE\|^ *"http/{/^<?xml/d;/^<!DOCTYPE/d;/^ *"http/d}' "$run.svg"
	done
	echo '<pre>'
	escape table.txt
	echo '</pre>'
	echo '<p>The numbers are the kernel'"'"'s (memory.* files), sampled five times a second; see'
	echo 'tools/demo/guest.sh.</p>'
	cat <<-EOF
	<h1>Neighbours</h1>
	<p>A guest of $small MB. <b>service</b> has $ours MB and reads $files MB of files; between two of its looks at all of that
	<b>batch</b> changes every page of $theirs MB. At first nobody is beside service, then batch has a page_limit of a quarter of its
	working set, and pays alone for what it has too little of; then it has none, and takes what service needs. Pages that are lost and
	come back are refaults (tools/demo/neighbours.pl).</p>
	<pre>
	EOF
	escape neighbours.txt
	echo '</pre>'
	cat <<-EOF
	<h1>Memory nodes</h1>
	<p>A guest of 256 MB that is cut into four nodes. <b>free</b> changes $free MB all over, and has them where its CPU is
	and then where they were to be had; <b>pinned</b> has $pinned MB and a container with one node. That gets another one, and its
	pages follow while it runs. One # is 4 MB; the numbers are from numa_maps (tools/demo/nodes.sh).</p>
	<pre>
	EOF
	escape nodes.txt
	echo '</pre>'
	echo '<p><code>./uml demo</code> makes this page again.</p>'
	echo '</body></html>'
} >report.part
mv report.part report.html
rm -f free.svg limited.svg free.dat limited.dat
