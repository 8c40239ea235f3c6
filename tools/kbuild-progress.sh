#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run a kernel build with a progress line on a terminal, plain lines in a log.
#
#   tools/kbuild-progress.sh OBJDIR NAME EXPECTED COMMAND...
#
# The whole output goes to OBJDIR/build.log. EXPECTED is the number of objects
# of a full build, used until OBJDIR/objects knows this machine's own. On a terminal one line is
# written again each second, in a log there is a line each $PROGRESS_SECONDS (30).
set -u

objdir=$1 name=$2 expected=$3
shift 3
log=$objdir/build.log
[ ! -s "$objdir/objects" ] || read -r expected <"$objdir/objects"
objects()
{
	find "$objdir/" -name '*.o' 2>/dev/null | wc -l
}
term=0
[ ! -t 1 ] || term=1
{ true >>"$log" && true >"$objdir/build.lock"; } 2>/dev/null || {
	echo "$name: $log cannot be written; cure: the owner and mode of $objdir, or room there" >&2
	exit 1
}
# one at a time: who starts two guests in a new tree starts two builds
exec 9>"$objdir/build.lock"
flock -n 9 || {
	echo "$name: waits for another build of it"
	flock 9
}
: >"$log"
# what is built already does not count again
have=$(objects)
start=$(date +%s)
# mawk, Debian's awk, waits for 4096 bytes of its input unless it is told not to
live=
case $(awk -W version 2>&1 </dev/null) in mawk*) live='-W interactive' ;; esac

# shellcheck disable=SC2086 # words
{ "$@" 2>&1 9>&-; printf '\nexit=%s\n' $?; } | tee "$log" | awk $live -v name="$name" -v total="$expected" -v have="$have" -v term="$term" \
	-v every="${PROGRESS_SECONDS:-30}" '
	function left(   t) {
		t = done > have ? int((systime() - start) * (total - done) / (done - have)) : 0
		return t > 0 ? sprintf(", %dm%02ds left", t / 60, t % 60) : ""
	}
	BEGIN { start = shown = systime(); done = have }
	/^  (CC|AS|AR|LD|HOSTCC|CHK|GEN|UPD) / {
		if ($1 == "CC" || $1 == "AS")
			done++
		if (done > total)
			total = done
		now = systime()
		if (term && (now != shown || !line)) {
			printf "\r%s: %d of %d objects%s\033[K", name, done, total, left()
			fflush()
			shown = now
			line = 1
		} else if (!term && now - shown >= every) {
			printf "%s: %d of %d objects%s\n", name, done, total, left()
			fflush()
			shown = now
		}
	}
	END { if (line) printf "\r\033[K" }'

status=$(sed -n '$s/^exit=//p' "$log")
if [ "$status" != 0 ]; then
	echo "$name: the build failed; what the compiler said (all of it: $log):" >&2
	grep -E -B2 -A12 'error:|ERROR:|section mismatch|Error [0-9]|undefined reference|No rule to make|\*\*\*' "$log" | head -n 40 >&2
	exit 1
fi
done=$(grep -c '^  CC \|^  AS ' "$log")
[ "$done" -eq 0 ] || echo "$name: built $done objects in $(($(date +%s) - start)) s"
# A build of hundreds of objects that began with next to none was a whole one: remember its size. With
# more there, the same objects would count twice.
[ "$done" -le 400 ] || [ "$have" -ge 100 ] || echo $((have + done)) >"$objdir/objects"
exit 0
