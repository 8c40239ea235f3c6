#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The overlay: build/linux is build/source with our files in it and the hooks applied.
#
#   tools/hooks.sh apply BUILD   make build/linux, or bring it up to date
#   tools/hooks.sh stock BUILD   make build/stock: Linux as it is, for flavour vanilla
#   tools/hooks.sh save BUILD    write hooks.patch of every room from build/linux
#   tools/hooks.sh count BUDGET UM
#                                print each room's added lines; fails above BUDGET, or above UM in arch/um
#
# apply touches only what changed, so that make rebuilds only what depends on it.
set -eu

rooms="arch/um fs include kernel mm"
# What a hook may change, besides the Makefiles and Kconfigs in them.
edited="arch/um arch/x86/um fs include init kernel lib mm"
# Directories and files of ours that stand in the tree as links, besides each file of arch/um.
links="kernel/container mm/container fs/container include/linux/containers.h include/linux/container_hooks.h
include/linux/container_subsys.h include/linux/container_bc.h include/linux/container_cpuset.h include/linux/container_memory.h
include/linux/container_memset.h include/linux/container_nodes.h include/linux/container_files.h include/linux/container_fork.h include/linux/container_why.h
include/linux/container_events.h include/linux/container_percpu.h include/linux/container_testing.h
include/trace/events/container.h include/trace/events/container_memory.h
include/uapi/linux/container.h"

die()
{
	echo "hooks: $*" >&2
	exit 1
}

patches()
{
	for room in $rooms; do
		[ ! -e "$room/hooks.patch" ] || echo "$room/hooks.patch"
	done
}

# files_of PATCH...: the files of Linux that they change
files_of()
{
	[ $# -eq 0 ] || sed -n 's/^+++ b\/\([^	 ]*\).*/\1/p' "$@" | sort -u
}

# Which room's hooks.patch a file of Linux belongs to.
room_of()
{
	case $1 in
	arch/um/* | arch/x86/um/*) echo arch/um ;;
	fs/* | include/* | mm/*) echo "${1%%/*}" ;;
	*) echo kernel ;;
	esac
}

copy_tree()
{
	echo "hooks: making build/linux from build/source"
	rm -rf "$build/linux.tmp"
	# hard links where they are possible, copies of what hooks may edit
	if [ -L "$build/source" ] || ! cp -al "$build/source" "$build/linux.tmp" 2>/dev/null; then
		rm -rf "$build/linux.tmp"
		cp -a "$build/source/." "$build/linux.tmp"
	else
		for dir in $edited; do
			rm -rf "${build:?}/linux.tmp/$dir"
			cp -a "$build/source/$dir" "$build/linux.tmp/$dir"
		done
	fi
	mv "$build/linux.tmp" "$build/linux"
	: >"$build/hooked"
}

# A tree of its own, because a build wants none of another below it: nothing is edited here.
stock()
{
	[ ! -e "$build/stock" ] || return 0
	echo "hooks: making build/stock from build/source"
	rm -rf "$build/stock.tmp"
	if [ -L "$build/source" ] || ! cp -al "$build/source" "$build/stock.tmp" 2>/dev/null; then
		rm -rf "$build/stock.tmp"
		cp -a "$build/source/." "$build/stock.tmp"
	fi
	mv "$build/stock.tmp" "$build/stock"
}

link_ours()
{
	top=$(pwd)
	# what was ours and is gone
	find "$build/linux/arch/um" -xtype l -delete
	for path in $links $(find arch/um -type f ! -name hooks.patch ! -path 'arch/um/series/*'); do
		[ -e "$path" ] || continue
		[ -L "$build/linux/$path" ] || ln -s "$top/$path" "$build/linux/$path"
		[ "$(readlink "$build/linux/$path")" = "$top/$path" ] || ln -sfn "$top/$path" "$build/linux/$path"
	done
}

apply()
{
	[ -e "$build/linux" ] || copy_tree
	link_ours
	want=$build/hooks.tmp
	rm -rf "$want"
	mkdir "$want"
	for patch in $(patches); do
		for file in $(files_of "$patch"); do
			[ -e "$build/source/$file" ] || die "$patch changes $file, which this Linux does not have"
			mkdir -p "$want/$(dirname "$file")"
			[ -e "$want/$file" ] || cp "$build/source/$file" "$want/$file"
		done
		# without fuzz: with it, a line of ours would go to that line number whatever stands there
		patch -d "$want" -p1 -F0 --no-backup-if-mismatch <"$patch" >"$build/hooks.log" 2>&1 || {
			grep -B1 FAILED "$build/hooks.log" >&2 || cat "$build/hooks.log" >&2
			die "$patch does not apply to this Linux ($(make -s -C "$build/source" kernelversion 2>/dev/null)): the hook named above needs a new place"
		}
	done
	(cd "$want" && find . -type f | sed 's/^\.\///' | sort) >"$build/hooked.new"
	# what was hooked and is not any more goes back to what Linux has
	for file in $(sort -u "$build/hooked" "$build/hooked.new"); do
		from=$want/$file
		[ -e "$from" ] || from=$build/source/$file
		cmp -s "$from" "$build/linux/$file" || {
			rm -f "$build/linux/$file"
			cp "$from" "$build/linux/$file"
		}
	done
	mv "$build/hooked.new" "$build/hooked"
	rm -rf "$want"
}

# Files of Linux that differ in build/linux, whoever edited them there.
changed()
{
	for dir in $edited; do
		diff -rq "$build/source/$dir" "$build/linux/$dir" || true
	done | sed -n "s|^Files $build/source/\\(.*\\) and .* differ$|\\1|p" | sort
}

save()
{
	for room in $rooms; do
		: >"$build/hooks.$(echo "$room" | tr / -)"
	done
	for file in $(changed); do
		out=$build/hooks.$(room_of "$file" | tr / -)
		diff -U2 --label "a/$file" --label "b/$file" "$build/source/$file" "$build/linux/$file" >>"$out" || true
	done
	for room in $rooms; do
		out=$build/hooks.$(echo "$room" | tr / -)
		if [ -s "$out" ]; then
			mkdir -p "$room"
			# patch(1) begins at the first line that is one of a patch
			{ echo '# SPDX-License-Identifier: GPL-2.0-only'; cat "$out"; } >"$room/hooks.patch"
		fi
		rm -f "$out"
	done
	(for patch in $(patches); do files_of "$patch"; done) | sort -u >"$build/hooked"
}

count()
{
	total=0 over=
	for patch in $(patches); do
		added=$(grep -c '^+[^+]\|^+$' "$patch" || true)
		removed=$(grep -c '^-[^-]\|^-$' "$patch" || true)
		note=
		case $patch in
		arch/um/*)
			note=" of $2 (its own count)"
			[ "$added" -le "$2" ] || over="$patch: $added lines are above its budget of $2" ;;
		*) total=$((total + added)) ;;
		esac
		printf '%-24s %4d added %4d removed%s\n' "$patch" "$added" "$removed" "$note"
	done
	printf '%-24s %4d added of %d\n' total "$total" "$1"
	[ "$total" -le "$1" ] || over="$total lines are above the budget of $1"
	[ -z "$over" ] || die "$over; cure: move code out of the hooks into our rooms"
}

case ${1:-} in
apply | stock | save)
	build=$2
	mkdir -p "$build"
	# one at a time: two builds may be started beside each other
	exec 9>"$build/hooks.lock"
	flock 9
	"$1" ;;
count) count "$2" "$3" ;;
*) die "usage: hooks.sh apply|stock|save BUILD, hooks.sh count BUDGET UM" ;;
esac
