#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the demo runs in the guest.
#
#   guest.sh LIMIT MB TREES HEADERS    batch's page_limit, or max; what batch sorts, and of which directories; of how
#                                      many files service has the words
#
# Standard output, a line each:
#   S MS ANON FILE ANON FILE    a sample: milliseconds since batch began, pages of batch, of service
#   R TENANT NAME NUMBER        at the end: what the kernel counted, and the times
#   end                         all of it is there
set -eu

limit=$1 data=$2 trees=$3 headers=$4
dir=$(mktemp -d)
mount -t container -o memory none "$dir"
mkdir "$dir/batch" "$dir/service"
echo "$limit" >"$dir/batch/memory.page_limit"

number()
{
	read -r value <"$1"
	echo "$value"
}

# milliseconds of uptime
now()
{
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}0" | sed 's/^0*\(.\)/\1/'
}

sh -c "echo 0 >'$dir/service/procs'; exec perl tools/demo/service.pl '$dir.stop' $headers" &
service=$!
while [ ! -s "$dir.stop.ready" ]; do
	kill -0 $service || { echo "service ended before it was ready" >&2; exit 1; }
	sleep 0.1
done

refaults()
{
	sed -n 's/^refaults //p' "$dir/service/memory.stat"
}
before=$(refaults)

begin=$(now)
sh -c "echo 0 >'$dir/batch/procs'; exec sh tools/demo/batch.sh $data $trees" >"$dir.batch" 2>&1 &
batch=$!

# Reading needs no process of its own, so that the sampler disturbs little.
files="batch/memory.anon_pages batch/memory.file_pages service/memory.anon_pages service/memory.file_pages"
while kill -0 $batch 2>/dev/null; do
	line=
	for file in $files; do
		read -r value <"$dir/$file"
		line="$line $value"
	done
	echo "S $(($(now) - begin))$line"
	sleep 0.2
done
wait $batch || { echo "batch failed:"; cat "$dir.batch"; exit 1; } >&2
end=$(now)
: >"$dir.stop"
after=$(refaults)

for tenant in batch service; do
	sed "s/^/R $tenant /" "$dir/$tenant/memory.stat"
	for file in anon_pages file_pages page_limit_hits; do
		echo "R $tenant $file $(number "$dir/$tenant/memory.$file")"
	done
done
echo "R batch page_limit $(number "$dir/batch/memory.page_limit")"
echo "R batch ms $((end - begin))"
echo "R service refaults_meanwhile $((after - before))"
wait $service
sed 's/^/R service /' "$dir.stop.times"
echo end
