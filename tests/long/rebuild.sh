#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long rebuild`: what Linux's own build makes again after a change of ours.
#
# In a copy of the built tree: nothing after no change; after one, the objects of the files that
# include what changed, as the preprocessor lists them now (each object's own command, with -M), and
# the link.
# tests/runner/builds.bash has the same for the layer above, with a Linux of ten files.
set -u

cd "$(dirname "$0")/../.." || exit 1
. tools/check/copy.sh
tree=$PWD/build/rebuild/tree
obj=$tree/build/linux/obj-default
passed=0 failed=0

die()
{
	echo "rebuild: $*" >&2
	exit 2
}

verdict()
{
	if [ "$2" = "$3" ]; then
		passed=$((passed + 1))
		printf '%-52s passed  %s\n' "$1" "${4-}"
	else
		failed=$((failed + 1))
		printf '%-52s FAILED\n  expected %s\n  got      %s\n' "$1" "$2" "$3"
	fi
}

# What the last make compiled for the kernel, but for what each link makes anew.
compiled()
{
	sed -n 's/^  \(CC\|AS\|HOSTCC\|LD\) *\(\[M\]\)\? *//p' "$obj/build.log" |
		grep -v -e '^init/version-timestamp\.o$' -e '^\.\?\(tmp_\)\?vmlinux' -e '^\.tmp_' -e '^linux$' -e 'built-in\.a$' | sort | tr '\n' ' '
}

# again: makes the kernel, prints nothing; its seconds in $took
again()
{
	local began=$EPOCHREALTIME
	make -C "$tree" kernel >"$tree/../make.log" 2>&1 || die "does not build: $(tail -n 3 "$tree/../make.log")"
	took=$(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }')
}

# reads CMD: a line "OBJECT FILE" for each file that the preprocessor reads for the object of $obj
# which the remembered command CMD compiles from C.
reads()
{
	local command object
	command=$(sed -n 's/^savedcmd_[^ ]*\.o := //p' "$1")
	object=$(sed -n 's/^savedcmd_\([^ ]*\.o\) := .*/\1/p' "$1")
	[[ $command == *gcc*' -c '*.c* ]] || return 0
	# without its own list of dependencies and its output, and nothing that comes after compiling
	command=$(sed 's/-Wp,-MMD,[^ ]*//; s/ -o [^ ]* / /; s/ ;.*//; s/ -c / -M /' <<<"$command")
	(cd "$obj" && eval "$command" 2>/dev/null) | grep -o '[^ \\]*' | sed -n "s|^\.\./|$object |p"
}

# readers FILE: the objects of which reads() said FILE
readers()
{
	awk -v file="$1" '$2 == file { print $1 }' "$tree/../reads" | sort -u | tr '\n' ' '
}

make -s kernel FLAVOUR=default || die "the kernel does not build"
make -s tools || die "the tools do not build"
mkdir -p build/rebuild
echo "rebuild: copying the tree to ${tree#"$PWD/"}"
copy_tree "$tree" default
again
echo "rebuild: asking the preprocessor"
export obj
export -f reads
find "$obj" -name '.*.o.cmd' -print0 | xargs -0 -n 32 -P "$(nproc)" bash -c 'for f; do reads "$f"; done' x >"$tree/../reads"
again
verdict 'no change' '' "$(compiled)" "$took"

echo '/* changed */' >>"$tree/kernel/container/css.c"
again
verdict 'kernel/container/css.c' 'kernel/container/css.o ' "$(compiled)" "$took"
for header in mm/container/memory.h include/linux/container_files.h; do
	echo '/* changed */' >>"$tree/$header"
	expected=$(readers "$header")
	again
	verdict "$header ($(wc -w <<<"$expected") readers)" "$expected" "$(compiled)" "$took"
done
again
verdict 'no change after these' '' "$(compiled)" "$took"

printf '%s passed, %s failed\n' $passed $failed
[ $failed -eq 0 ] || exit 1
rm -rf build/rebuild
