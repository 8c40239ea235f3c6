#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run a kernel build with a progress line on a terminal, plain lines in a log.
#
#   tools/kbuild-progress.sh OBJDIR NAME EXPECTED COMMAND...
#
# The whole output goes to OBJDIR/build.log. EXPECTED is the number of objects
# of a full build, used until OBJDIR/objects knows this machine's own.
set -u

objdir=$1 name=$2 expected=$3
shift 3
log=$objdir/build.log
[ ! -s "$objdir/objects" ] || read -r expected <"$objdir/objects"
# what is built already does not count again
have=$(find "$objdir/" -name '*.o' 2>/dev/null | wc -l)
term=0
[ ! -t 1 ] || term=1
start=$(date +%s)

{ "$@" 2>&1; echo "exit=$?"; } | tee "$log" | awk -v name="$name" -v total="$expected" -v have="$have" -v term="$term" '
	function left(   t) {
		t = done > have ? int((systime() - start) * (total - done) / (done - have)) : 0
		return t > 0 ? sprintf(", %dm%02ds left", t / 60, t % 60) : ""
	}
	BEGIN { start = systime(); done = have }
	/^  (CC|AS|AR|LD|HOSTCC|CHK|GEN|UPD) / {
		if ($1 == "CC" || $1 == "AS")
			done++
		if (done > total)
			total = done
		now = systime()
		if (term && now != shown) {
			printf "\r%s: %d of %d objects%s\033[K", name, done, total, left()
			fflush()
			shown = now
		} else if (!term && now - shown >= 30) {
			if (shown)
				printf "%s: %d of %d objects%s\n", name, done, total, left()
			fflush()
			shown = now
		}
		next
	}
	/^exit=/ { if (term && shown) printf "\r\033[K" }'

status=$(sed -n '$s/^exit=//p' "$log")
if [ "$status" != 0 ]; then
	echo "$name: the build failed; what the compiler said (all of it: $log):" >&2
	grep -E -B2 -A12 'error:|ERROR:|section mismatch|Error [0-9]|undefined reference|No rule to make|\*\*\*' "$log" | head -n 40 >&2
	exit 1
fi
# A build of hundreds of objects was a whole one: remember its size.
done=$(grep -c '^  CC \|^  AS ' "$log")
if [ "$done" -gt 400 ]; then
	echo "$((have + done))" >"$objdir/objects"
	echo "$name: built $done objects in $(($(date +%s) - start)) s"
elif [ "$done" -gt 0 ]; then
	echo "$name: built $done objects in $(($(date +%s) - start)) s"
fi
exit 0
