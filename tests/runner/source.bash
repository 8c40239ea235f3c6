# SPDX-License-Identifier: GPL-2.0-only
# Where the Linux source comes from (tools/source.sh): trees of two files, no network, in a build
# directory of each test's own.
# status, out and err come from source_from().
# (limit of source_that_is_none: 180 s)
# (limit of source_that_is_none_beside_a_good_one: 180 s)
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2034

# tree DIR VERSION [MARK]: what source.sh takes for Linux
tree()
{
	mkdir -p "$WORK/$1"
	printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = %s\nEXTRAVERSION =\n' ${2//./ } >"$WORK/$1/Makefile"
	echo "${3-$1}" >"$WORK/$1/mark"
}

# packed FILE VERSION [MARK]: such a tree as a tarball
packed()
{
	tree packing/linux "$2" "${3-$1}"
	mkdir -p "$(dirname "$WORK/$1")"
	tar -caf "$WORK/$1" -C "$WORK/packing" linux
	rm -r "$WORK/packing"
}

# [NAME=VALUE...]
source_from()
{
	status=0
	env -u LINUX_SRC -u LINUX_TARBALL "$@" "$TOP/tools/source.sh" "$WORK/b" >"$WORK/o" 2>"$WORK/e" </dev/null || status=$?
	out=$(cat "$WORK/o")
	err=$(cat "$WORK/e")
}

# taken MARK
taken()
{
	equal "status ($err)" 0 $status
	equal 'the tree that is there' "$1" "$(cat "$WORK/b/source/mark")"
	[ ! -e "$WORK/b/source.tmp" ] || fail 'source.tmp: expected none, got one'
}

# refused NAME=VALUE WORDS: it says so, leaves nothing, and what was there before
refused()
{
	source_from "$1"
	[ $status -ne 0 ] || fail "$1: expected a failure, got 0"
	contains "$1: message" "$2" "$err"
	contains "$1: what it is about" "${1#*=}" "$err"
	[ ! -e "$WORK/b/source.tmp" ] || fail "$1: expected no source.tmp, got one"
	equal "$1: what was there" "${3-}" "$(cat "$WORK/b/source/mark" 2>/dev/null)"
	equal "$1: source.stamp" "${3:+stamp}" "$([ ! -e "$WORK/b/source.stamp" ] || echo stamp)"
}

bad_sources()
{
	local good=${1-}
	tree old 7.2.9
	tree new 8.0.0
	tree built 7.3.4
	: >"$WORK/built/.config"
	tree around/b 7.3.4
	mkdir -p "$WORK/empty" "$WORK/other"
	echo 'all:' >"$WORK/other/Makefile"
	packed old.tar.gz 7.2.9
	packed whole.tar.gz 7.3.4
	head -c 100 "$WORK/whole.tar.gz" >"$WORK/broken.tar.gz"
	: >"$WORK/empty.tar.gz"
	tar -czf "$WORK/nothing.tar.gz" -C "$WORK/empty" .
	refused "LINUX_SRC=$WORK/old" 'is Linux 7.2.9' $good
	refused "LINUX_SRC=$WORK/new" 'is Linux 8.0.0' $good
	refused "LINUX_SRC=$WORK/built" 'make ARCH=um mrproper' $good
	refused "LINUX_SRC=$WORK/empty" 'no Makefile' $good
	refused "LINUX_SRC=$WORK/other" 'names no version' $good
	refused "LINUX_SRC=$WORK/missing" 'not a directory' $good
	refused "LINUX_SRC=$WORK/whole.tar.gz" LINUX_TARBALL=FILE $good
	refused "LINUX_TARBALL=$WORK/old.tar.gz" 'is Linux 7.2.9' $good
	refused "LINUX_TARBALL=$WORK/broken.tar.gz" 'does not unpack' $good
	refused "LINUX_TARBALL=$WORK/empty.tar.gz" '' $good
	refused "LINUX_TARBALL=$WORK/nothing.tar.gz" 'no Makefile' $good
	refused "LINUX_TARBALL=$WORK/missing.tar.gz" 'is not there' $good
	refused "LINUX_TARBALL=$WORK/old" LINUX_SRC=DIR $good
}

test_source_that_is_none()
{
	bad_sources
}

# A wrong word takes nothing away.
test_source_that_is_none_beside_a_good_one()
{
	tree good 7.3.4
	source_from "LINUX_SRC=$WORK/good"
	mkdir "$WORK/b/linux"
	bad_sources good
	[ -d "$WORK/b/linux" ] || fail 'what was built: expected it to be there, got nothing'
	tree good 7.3.4 edited
	mkdir "$WORK/good/b"
	tree b/inside 7.3.4
	refused "LINUX_SRC=$WORK/b/inside" 'is in this build directory' edited
}

test_source_from_a_tree()
{
	tree 'a tree of 7.3' 7.3.11 tree
	source_from "LINUX_SRC=$WORK/a tree of 7.3"
	taken tree
	# not a copy, and not touched
	equal 'what is in it' $'Makefile\nmark' "$(ls "$WORK/a tree of 7.3")"
	contains source.stamp "src:$WORK/a tree of 7.3 7.3.11" "$(cat "$WORK/b/source.stamp")"
	# nobody names one: what is there stays
	source_from
	taken tree
	# gone: nothing else takes its place in silence
	mv "$WORK/a tree of 7.3" "$WORK/elsewhere"
	source_from
	[ $status -ne 0 ] || fail 'a tree that is gone: expected a failure, got 0'
	contains message 'a tree of 7.3 7.3.11, which is gone' "$err"
	# a tree around the build directory would be copied into itself
	tree . 7.3.4
	source_from "LINUX_SRC=$WORK"
	contains message 'holds this build directory' "$err"
}

test_source_from_a_tarball()
{
	packed 'a.tar.gz' 7.3.4 first
	source_from "LINUX_TARBALL=$WORK/a.tar.gz"
	taken first
	touch "$WORK/b/source/unpacked-once"
	source_from "LINUX_TARBALL=$WORK/a.tar.gz"
	source_from
	[ -e "$WORK/b/source/unpacked-once" ] || fail 'the same tarball: expected it to be unpacked once, got twice'
	# another one of that name
	packed 'a.tar.gz' 7.3.5 'second one'
	source_from "LINUX_TARBALL=$WORK/a.tar.gz"
	taken 'second one'
}

# The new choice holds, what was made from the old one goes, and it is said.
test_source_that_is_another()
{
	tree one 7.3.4
	tree two 7.3.4
	packed three.tar.gz 7.3.4 three
	source_from "LINUX_SRC=$WORK/one"
	for next in "LINUX_SRC=$WORK/two" "LINUX_TARBALL=$WORK/three.tar.gz" "LINUX_SRC=$WORK/one"; do
		mkdir -p "$WORK/b/linux/obj-default" "$WORK/b/stock"
		source_from "$next"
		equal "$next" "$(basename "${next#*=}" .tar.gz)" "$(cat "$WORK/b/source/mark")"
		contains 'what is said' "${next#*=}" "$out"
		contains 'what is said' 'all is built again' "$out"
		[ ! -e "$WORK/b/linux" ] && [ ! -e "$WORK/b/stock" ] || fail "$next: expected no tree of the old source, got one"
	done
	# a tree that goes on is another
	tree one 7.3.5 later
	mkdir "$WORK/b/linux"
	source_from "LINUX_SRC=$WORK/one"
	[ ! -e "$WORK/b/linux" ] || fail 'the tree of 7.3.5: expected no copy of that of 7.3.4, got one'
	# the same one: nothing is said or done
	mkdir "$WORK/b/linux"
	source_from "LINUX_SRC=$WORK/one"
	equal 'the same again' '' "$out"
	[ -e "$WORK/b/linux" ] || fail 'the same source: expected its copy to stay, got none'
}

# Every build asks, whatever is there already.
test_source_through_make()
{
	tree one 7.3.4
	tree "two of o'them" 7.3.4 two
	for next in "LINUX_SRC=$WORK/one" "LINUX_SRC=$WORK/two of o'them"; do
		env -u MAKEFLAGS "$next" make -s -C "$TOP" "BUILD=$WORK/b" "$WORK/b/source.stamp" >"$WORK/o" 2>"$WORK/e"
		status=$? err=$(cat "$WORK/e")
		mark=${next##*/}
		taken "${mark%% *}"
	done
	env -u MAKEFLAGS make -s -C "$TOP" "BUILD=$WORK/b" "LINUX_SRC=$WORK/one" "$WORK/b/source.stamp" >"$WORK/o" 2>"$WORK/e"
	status=$? err=$(cat "$WORK/e")
	taken one
	# from where the user is, not from where make is
	cd "$WORK" || exit 1
	mkdir bin
	printf '#!/bin/sh\necho "$LINUX_SRC $LINUX_TARBALL"\n' >bin/make
	chmod +x bin/make
	equal './uml build: both names' "$WORK/one $WORK/sub/x.tar" \
		"$(PATH=$WORK/bin:$PATH LINUX_SRC=one LINUX_TARBALL=sub/x.tar "$TOP/uml" --no-install build)"
}

# An apt that gives a package with $WORK/package.tar.xz in it, and a dpkg-deb that opens it; while there is a
# file $WORK/no-network, the first fails; while there is $WORK/no-room, the second stops half way.
fake_apt()
{
	mkdir "$WORK/bin"
	cat >"$WORK/bin/apt-get" <<-'EOF'
	#!/bin/sh
	echo "$*" >>"$WORK/apt"
	case $* in
	indextargets*) echo 'http://mirror.invalid/debian Debian' ;;
	*update) [ ! -e "$WORK/no-network" ] ;;
	*download*) cp "$WORK/package.deb" ./linux-source-7.3_7.3.4-1_all.deb ;;
	esac
	EOF
	cat >"$WORK/bin/dpkg-deb" <<-'EOF'
	#!/bin/sh
	if [ -e "$WORK/no-room" ]; then head -c 2000 "$2"; else cat "$2"; fi
	EOF
	chmod +x "$WORK/bin/"*
	packed usr/src/linux-source-7.3.tar.xz 7.3.4 fetched
	# more than stops half way
	head -c 20000 /dev/urandom >"$WORK/usr/src/after"
	tar -cf "$WORK/package.deb" -C "$WORK" --transform 's,^,./,' usr/src/after usr/src/linux-source-7.3.tar.xz
}

# As source_from, on a machine with that apt and without a tarball in /usr/src but $WORK/installed.
machine()
{
	status=0
	env -u LINUX_SRC -u LINUX_TARBALL -u MAKEFLAGS "PATH=$WORK/bin:$PATH" $apart sh -c 'mount -t tmpfs none /usr/src &&
		{ [ ! -e "$WORK/installed" ] || cp "$WORK/installed" /usr/src/linux-source-7.3.tar.xz; } && exec "$@"' x \
		env "$@" "$TOP/tools/source.sh" "$WORK/b" >"$WORK/o" 2>"$WORK/e" </dev/null || status=$?
	out=$(cat "$WORK/o")
	err=$(cat "$WORK/e")
}

test_source_in_order()
{
	set_apart
	fake_apt
	machine
	taken fetched
	contains 'what apt reads' 'http://mirror.invalid/debian trixie-backports main' "$(cat "$WORK/b/apt/sources.list")"
	# fetched once; source.stamp lost, for all that is known half of it is there
	rm "$WORK/b/source.stamp" "$WORK/apt"
	echo half >"$WORK/b/source/mark"
	machine
	taken fetched
	[ ! -e "$WORK/apt" ] || fail "the second time: expected apt not to be called, got $(cat "$WORK/apt")"
	packed installed.tar.xz 7.3.4 installed
	mv "$WORK/installed.tar.xz" "$WORK/installed"
	rm "$WORK/b/source.stamp"
	machine
	taken installed
	packed t.tar.gz 7.3.4 tarball
	machine "LINUX_TARBALL=$WORK/t.tar.gz"
	taken tarball
	tree t 7.3.4 tree
	machine "LINUX_TARBALL=$WORK/t.tar.gz" "LINUX_SRC=$WORK/t"
	taken tree
	# empty is not named
	machine LINUX_TARBALL= LINUX_SRC=
	taken tree
}

# What stops half way is begun again, and never taken for the whole.
test_source_half_done()
{
	set_apart
	fake_apt
	for trouble in no-network no-room; do
		: >"$WORK/$trouble"
		machine
		[ $status -ne 0 ] || fail "$trouble: expected a failure, got 0"
		contains "$trouble: cure" cure: "$err"
		[ ! -e "$WORK/b/source.stamp" ] && [ ! -e "$WORK/b/source" ] && [ ! -e "$WORK/b/apt/linux-source-7.3.tar.xz" ] ||
			fail "$trouble: expected nothing, got $(ls "$WORK/b" "$WORK/b/apt")"
		rm "$WORK/$trouble"
	done
	# killed while it unpacks
	cat >"$WORK/bin/tar" <<-'EOF'
	#!/bin/sh
	case $* in
	*source.tmp*) mkdir -p "$WORK/b/source.tmp"; echo half >"$WORK/b/source.tmp/mark"; kill -KILL $PPID; exit 1 ;;
	esac
	exec /bin/tar "$@"
	EOF
	chmod +x "$WORK/bin/tar"
	machine
	[ $status -ne 0 ] || fail 'killed: expected a failure, got 0'
	[ ! -e "$WORK/b/source.stamp" ] || fail 'killed: expected no source.stamp, got one'
	rm "$WORK/bin/tar"
	machine
	taken fetched
	# what apt brought is not whole: it says what to remove
	rm "$WORK/b/source.stamp"
	head -c 100 "$WORK/b/apt/linux-source-7.3.tar.xz" >"$WORK/cut"
	mv "$WORK/cut" "$WORK/b/apt/linux-source-7.3.tar.xz"
	machine
	[ $status -ne 0 ] || fail 'a broken download: expected a failure, got 0'
	contains cure "rm $WORK/b/apt/linux-source-7.3.tar.xz" "$err"
	rm "$WORK/b/apt/linux-source-7.3.tar.xz"
	machine
	taken fetched
}
