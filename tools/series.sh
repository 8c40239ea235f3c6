#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# arch/um as the patches that UML's maintainers would take, one cure each (arch/um/series).
#
#   tools/series.sh check BUILD      all of them, applied in order to Linux as it is, are arch/um as it is here
#   tools/series.sh mails BUILD DIR  DIR/0000-cover-letter.patch and the others, for git send-email
#   tools/series.sh apply N TREE     the Nth patch on a tree that has those before it
#   tools/series.sh list             "N NAME PROOF..." for each
#
# A patch has a subject and a message, a line "Files: PATH" for each file of ours that goes in whole, and its part of
# arch/um/hooks.patch. A file of ours that grows with the series is written out until the patch that names it.
# "Proof: SUITE:TEST" names a test that fails on the tree before it and passes on the one after it (tests/long/series.sh): of a
# suite, of tests/runner (runner:TEST), or a word that a boot with CONFIG_PROVE_RCU reports (prove_rcu:WORD).
set -eu

cd "$(dirname "$0")/.."
dir=arch/um/series

die()
{
	echo "series: $*" >&2
	exit 1
}

# field NAME PATCH: what its lines "NAME: ..." say
field()
{
	sed -n "1,/^--- /s/^$1: //p" "$2"
}

# Which file is the Nth.
nth()
{
	set -- "$(printf '%s/%02d-' "$dir" "$1")"*.patch
	[ -e "$1" ] || die "there is no patch $1"
	echo "$1"
}

apply()
{
	patch=$(nth "$1")
	# without fuzz, as tools/hooks.sh
	patch -d "$2" -p1 -F0 --no-backup-if-mismatch -s -f <"$patch" >&2 || die "$patch does not apply on those before it"
	for file in $(field Files "$patch"); do
		[ -e "$file" ] || die "$patch names $file, which is not there"
		mkdir -p "$2/$(dirname "$file")"
		rm -f "$2/$file"
		cp "$file" "$2/$file"
	done
}

# stock BUILD TREE: what the series changes, as Linux has it
stock()
{
	rm -rf "$2"
	# shellcheck disable=SC2013 # names without white space
	for file in $(sed -n 's/^--- a\///p' "$dir"/*.patch arch/um/hooks.patch | sort -u); do
		[ -e "$1/source/$file" ] || continue
		mkdir -p "$2/$(dirname "$file")"
		cp "$1/source/$file" "$2/$file"
	done
}

# Each patch's number, in order.
numbers()
{
	seq "$(find "$dir" -name '*.patch' | wc -l)"
}

check()
{
	tree=$1/series.$$
	stock "$1" "$tree/want"
	patch -d "$tree/want" -p1 -F0 --no-backup-if-mismatch -s -f <arch/um/hooks.patch >&2
	for file in $(git ls-files --cached --others --exclude-standard arch/um 2>/dev/null || find arch/um -type f); do
		case $file in
		arch/um/hooks.patch | "$dir"/*) ;;
		*) mkdir -p "$tree/want/$(dirname "$file")" && cp "$file" "$tree/want/$file" ;;
		esac
	done
	stock "$1" "$tree/series"
	for n in $(numbers); do
		apply "$n" "$tree/series"
	done
	# its paths are those of a tree
	(cd "$tree" && diff -ru series want) >"$1/series.diff" || {
		sed -n 's/^+++ want\/\([^	]*\).*/\1/p; s/^Only in \(want\|series\)\(.*\): /arch\/um\/series: only in \1\2: /p' "$1/series.diff" |
			sed 's/$/:1: the series ends otherwise than hooks.patch and our files; cure: the difference in build\/series.diff goes into the patch of arch\/um\/series that it belongs to/'
		grep -q 'Only in\|^+++' "$1/series.diff" || echo "$dir:1: $(head -n 1 "$1/series.diff")"
		rm -rf "$tree"
		return 1
	}
	rm -rf "$tree" "$1/series.diff"
}

# message PATCH: what is said above the diff, without what is for us
message()
{
	sed -n '2,/^--- /p' "$1" | sed -e '/^--- /d' -e '/^Files: /d' -e '/^Proof: /d' -e 's/^Subject: //' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

mails()
{
	[ ! -e "$2" ] || [ -z "$(ls -A "$2")" ] || die "$2 is not empty; cure: name another directory"
	mkdir -p "$2"
	out=$(cd "$2" && pwd)
	tree=$1/series.$$
	stock "$1" "$tree"
	git_in()
	{
		git -C "$tree" -c core.autocrlf=false -c commit.gpgsign=false "$@"
	}
	git_in init -q
	# whoever sends them has a name, and signs off; for those who only look
	git_in config user.name >/dev/null || git_in config user.name 'uml-containers'
	git_in config user.email >/dev/null || git_in config user.email 'uml-containers@localhost'
	git_in add -A
	git_in commit -q -m 'Linux as it is'
	git_in tag stock
	for n in $(numbers); do
		apply "$n" "$tree"
		git_in add -A
		message "$(nth "$n")" | git_in commit -q -F -
	done
	git_in format-patch -q --signoff --cover-letter -o "$out" stock
	# git leaves two places in it
	sed -e '1d' "$dir/cover" >"$tree/.git/cover"
	awk -v cover="$tree/.git/cover" '
		/\*\*\* SUBJECT HERE \*\*\*/ { getline line <cover; sub(/\*\*\* SUBJECT HERE \*\*\*/, line) }
		/^\*\*\* BLURB HERE \*\*\*$/ { while ((getline line <cover) > 0) print line; next }
		{ print }' "$out/0000-cover-letter.patch" >"$tree/.git/mail"
	! grep -q 'BLURB HERE\|SUBJECT HERE' "$tree/.git/mail" || die "the cover letter of this git has other places to fill in"
	cp "$tree/.git/mail" "$out/0000-cover-letter.patch"
	rm -rf "$tree"
	ls "$out"
}

list()
{
	for n in $(numbers); do
		patch=$(nth "$n")
		echo "$n $(basename "$patch" .patch) $(field Proof "$patch" | tr '\n' ' ')"
	done
}

case ${1:-}:$# in
check:2) check "$2" ;;
mails:3) mails "$2" "$3" ;;
apply:3) apply "$2" "$3" ;;
list:1) list ;;
*) die "usage: series.sh check BUILD, series.sh mails BUILD DIR, series.sh apply N TREE, series.sh list" ;;
esac
