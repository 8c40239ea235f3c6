# SPDX-License-Identifier: GPL-2.0-only
# The progress line of a kernel's build (tools/kbuild-progress.sh), on a terminal and in a log.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2034

# A build that compiles three objects.
fake_build()
{
	mkdir -p "$WORK/obj"
	cat >"$WORK/build" <<-'EOF'
	#!/bin/bash
	n=0
	while [ $n -lt 3 ]; do
		n=$((n + 1))
		echo "  CC      kernel/$n.o"
		echo "  AR      kernel/built-in.a"
		# the next one when this was shown, and in another second
		for _ in $(seq 400); do
			grep -qs "$((n + HAVE)) of" "$WORK/seen" && break
			sleep 0.05
		done
		now=$EPOCHSECONDS
		until [ $EPOCHSECONDS != $now ]; do sleep 0.05; done
	done
	exit "${1:-0}"
	EOF
	chmod +x "$WORK/build"
}

test_progress_on_a_terminal()
{
	fake_build
	touch "$WORK/obj/a.o" "$WORK/obj/b.o"
	: >"$WORK/seen"
	HAVE=2 script -qefc "'$TOP/tools/kbuild-progress.sh' '$WORK/obj' name 9 '$WORK/build'" "$WORK/seen" >/dev/null </dev/null ||
		fail "status: expected 0, got $?"
	# the line is written again in place, one more after it
	equal 'lines' 1 "$(grep -c 'built 3 objects in' "$WORK/seen")"
	# what script says of itself aside
	tr '\r' '\n' <"$WORK/seen" | grep -a ' of ' >"$WORK/lines"
	equal 'first' $'name: 3 of 9 objects\033[K' "$(sed -n 1p "$WORK/lines")"
	contains 'last' 'name: 5 of 9 objects, 0m' "$(tail -n 1 "$WORK/lines")"
	contains 'last' 's left' "$(tail -n 1 "$WORK/lines")"
	equal 'lines that stay' 0 "$(tr -d '\r' <"$WORK/seen" | grep -a -c 'objects, 0m..s left.\[K$')"
	contains 'log' 'CC      kernel/3.o' "$(cat "$WORK/obj/build.log")"
}

test_progress_in_a_log()
{
	fake_build
	touch "$WORK/obj/a.o"
	HAVE=1 PROGRESS_SECONDS=0 "$TOP/tools/kbuild-progress.sh" "$WORK/obj" name 9 "$WORK/build" >"$WORK/seen" 2>&1 ||
		fail "status: expected 0, got $?"
	contains first $'name: 2 of 9 objects\n' "$(cat "$WORK/seen")"
	grep -q '^name: 4 of 9 objects, 0m..s left$' "$WORK/seen" || fail "expected a plain line for each, got $(cat "$WORK/seen")"
	contains last 'name: built 3 objects in' "$(tail -n 1 "$WORK/seen")"
	# nothing for a terminal
	equal 'characters for a terminal' 0 "$(tr -dc '\r\033' <"$WORK/seen" | wc -c)"
	# a short one has its last line only
	equal 'lines of a build of no time' 1 "$("$TOP/tools/kbuild-progress.sh" "$WORK/obj" name 9 echo '  CC      x.o' 2>&1 | wc -l)"
	# nothing was to be built: nothing is said
	equal 'no object' '' "$("$TOP/tools/kbuild-progress.sh" "$WORK/obj" name 9 echo nothing 2>&1)"
}

test_progress_of_a_failure()
{
	mkdir "$WORK/obj"
	status=0
	"$TOP/tools/kbuild-progress.sh" "$WORK/obj" name 9 sh -c 'echo "  CC      a.o"; echo "a.c:7: error: no such thing" >&2; printf end; exit 2' \
		>"$WORK/o" 2>"$WORK/e" || status=$?
	equal status 1 $status
	contains 'what the compiler said' 'a.c:7: error: no such thing' "$(cat "$WORK/e")"
	contains 'where all of it is' "$WORK/obj/build.log" "$(cat "$WORK/e")"
	equal 'objects that are known' no "$([ -e "$WORK/obj/objects" ] && echo yes || echo no)"
	# a build without an end of line
	"$TOP/tools/kbuild-progress.sh" "$WORK/obj" name 9 printf end || fail "status of one that ends well: expected 0, got $?"
	# how many a whole one has is kept, and does not grow when all is built once more
	for _ in 1 2; do
		"$TOP/tools/kbuild-progress.sh" "$WORK/obj" name 9 sh -c 'for i in $(seq 500); do echo "  CC      $i.o"; : >"$0/$i.o"; done' "$WORK/obj" >"$WORK/o"
		equal 'objects of a whole build' 500 "$(cat "$WORK/obj/objects")"
	done
	"$TOP/tools/kbuild-progress.sh" "$WORK/none" name 9 true 2>"$WORK/e" && fail 'no directory: expected a failure, got 0'
	contains 'no directory' "$WORK/none/build.log cannot be written" "$(cat "$WORK/e")"
}
