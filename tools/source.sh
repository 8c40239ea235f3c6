#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Unpack the Linux source into build/source, which nobody edits.
#
#   tools/source.sh BUILD
#
# From, in this order: $LINUX_SRC (a tree), $LINUX_TARBALL, an installed
# /usr/src/linux-source-7.3.tar.xz, Debian's package through apt with a sources
# list and state of its own under BUILD, so that nothing of the system's changes
# and apt checks the signatures.
#
# BUILD/source.stamp says what BUILD/source was made from, and is written last: without it nothing is there. Who names
# a source gets that one: when another was there, it and the trees made from it are replaced, but not before the new
# one has been seen to be good. Who names none keeps what is there.
set -eu

build=$1
series=7.3
package=linux-source-$series
installed=/usr/src/$package.tar.xz

die()
{
	rm -rf "$build/source.tmp"
	echo "source: $*" >&2
	exit 1
}

# The mirror that the machine's own apt uses for Debian itself.
mirror()
{
	apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
		awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }'
}

# Without downloaded lists apt names no origin: read the sources themselves.
mirror_from_sources()
{
	cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
		sed -n 's/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\/debian\)\/\{0,1\} .*/\2/p'
	cat /etc/apt/sources.list.d/*.sources 2>/dev/null |
		sed -n 's/^URIs: *\([^ ]*\/debian\)\/\{0,1\} *$/\1/p'
}

fetch()
{
	keyring=/usr/share/keyrings/debian-archive-keyring.gpg
	[ -r $keyring ] || die "$keyring is missing; cure: install debian-archive-keyring, or set LINUX_TARBALL="
	command -v apt-get >/dev/null || die "no apt-get here; cure: set LINUX_SRC= or LINUX_TARBALL= to Linux $series"
	uri=$(mirror)
	[ -n "$uri" ] || uri=$(mirror_from_sources | head -n 1)
	[ -n "$uri" ] || die "apt's configuration names no Debian mirror; cure: set LINUX_SRC= or LINUX_TARBALL= to Linux $series"

	apt=$(cd "$build" && pwd)/apt
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	echo "deb [signed-by=$keyring] $uri trixie-backports main" >"$apt/sources.list"
	: >"$apt/status"
	cat >"$apt/apt.conf" <<-EOF
	Dir::Etc::SourceList "$apt/sources.list";
	Dir::Etc::SourceParts "/dev/null";
	Dir::State "$apt";
	Dir::State::status "$apt/status";
	Dir::Cache "$apt/cache";
	APT::Sandbox::User "";
	Acquire::Languages "none";
	EOF
	echo "source: fetching $package from trixie-backports (about 160 MB), state under build/apt"
	APT_CONFIG=$apt/apt.conf apt-get -qq update ||
		die "apt cannot read trixie-backports; cure: check the network, or set LINUX_TARBALL="
	(cd "$apt" && rm -f ./*.deb && APT_CONFIG=$apt/apt.conf apt-get -qq download "$package") ||
		die "apt has no $package; cure: set LINUX_SRC= or LINUX_TARBALL= to Linux $series"
	dpkg-deb --fsys-tarfile "$apt"/${package}_*.deb |
		tar -xO "./usr/src/$package.tar.xz" >"$apt/$package.tar.xz.part" ||
		die "the package does not unpack (above: why); cure: make room in $apt, then again"
	mv "$apt/$package.tar.xz.part" "$apt/$package.tar.xz"
	rm -f "$apt"/*.deb
	tarball=$apt/$package.tar.xz
}

# check_version DIR NAME: the version, if it is one of the series
check_version()
{
	[ -d "$1" ] || die "$2 is not a directory; cure: LINUX_SRC=DIR is an unpacked tree, LINUX_TARBALL=FILE a packed one"
	[ -r "$1/Makefile" ] || die "$2 is not a Linux tree: it has no Makefile; cure: give one of Linux $series"
	version=$(awk '
		$2 == "=" && ($1 == "VERSION" || $1 == "PATCHLEVEL" || $1 == "SUBLEVEL") { v[$1] = $3 }
		$1 == "EXTRAVERSION" { extra = $3; exit }
		END { if (v["VERSION"] != "") print v["VERSION"] "." v["PATCHLEVEL"] "." v["SUBLEVEL"] extra }' "$1/Makefile")
	case $version in
	'') die "$2 is not a Linux tree: its Makefile names no version; cure: give one of Linux $series" ;;
	$series.*) ;;
	*) die "$2 is Linux $version, and the hooks are for $series.x; cure: give a $series tree" ;;
	esac
}

# What Linux's own build would refuse, and a tree that is copied into itself.
check_tree()
{
	for made in .config include/config arch/um/include/generated; do
		[ ! -e "$1/$made" ] ||
			die "LINUX_SRC=$1 holds a build of its own ($made); cure: make ARCH=um mrproper there, or a clean tree"
	done
	real=$(cd "$1" && pwd -P)
	below=$(cd "$build" && pwd -P)
	case $below/ in
	"$real"/*) die "LINUX_SRC=$1 holds this build directory; cure: a tree beside it" ;;
	esac
	case $real/ in
	"$below"/*) die "LINUX_SRC=$1 is in this build directory; cure: a tree beside it" ;;
	esac
}

# unpack TARBALL to source.tmp
unpack()
{
	[ -e "$1" ] || die "LINUX_TARBALL=$1 is not there"
	[ -f "$1" ] || die "LINUX_TARBALL=$1 is not a file; cure: LINUX_SRC=DIR for an unpacked tree"
	[ -r "$1" ] || die "LINUX_TARBALL=$1 cannot be read"
	echo "source: unpacking $(basename "$1")"
	mkdir "$build/source.tmp"
	cure='give a whole one'
	[ "$1" != "$build/apt/$package.tar.xz" ] || cure="rm $1, then it is fetched again"
	# whoever is root here may have no other users to give files to (a container without root)
	tar --no-same-owner -xf "$1" -C "$build/source.tmp" --strip-components=1 ||
		die "$1 does not unpack (above: why); cure: if there is room in $build, $cure"
}

# Names that mean the same wherever they are read again.
absolute()
{
	case $1 in
	'' | /*) echo "$1" ;;
	*) echo "$(pwd)/$1" ;;
	esac
}

mkdir -p "$build" 2>/dev/null && [ -w "$build" ] ||
	die "$build cannot be written; cure: its owner and mode, or a clone of your own"
# one at a time: two builds may be started beside each other
exec 9>"$build/source.lock"
flock 9

tree=$(absolute "${LINUX_SRC:-}")
tarball=$(absolute "${LINUX_TARBALL:-}")
[ -z "$tree" ] || tarball=
had=
[ ! -e "$build/source.stamp" ] || had=$(cat "$build/source.stamp")

# What is wanted, as source.stamp has it; nothing if nobody says.
if [ -n "$tree" ]; then
	check_version "$tree" "LINUX_SRC=$tree"
	origin="src:$tree $version"
elif [ -n "$tarball" ]; then
	origin="tar:$tarball $(stat -L -c '%s bytes of %y' "$tarball" 2>/dev/null || :)"
else
	origin=
fi
if [ -e "$build/source.stamp" ]; then
	if [ -z "$origin" ] || [ "$origin" = "$had" ]; then
		[ ! -e "$build/source/Makefile" ] || exit 0
		[ -n "$origin" ] || [ ! -L "$build/source" ] ||
			die "build/source was made from $had, which is gone; cure: bring it back, or LINUX_SRC=, LINUX_TARBALL=, or make clean-source"
	fi
fi

rm -rf "$build/source.tmp"
if [ -n "$tree" ]; then
	check_tree "$tree"
	ln -s "$real" "$build/source.tmp"
else
	[ -n "$tarball" ] || [ ! -r $installed ] || tarball=$installed
	[ -n "$tarball" ] || [ ! -r "$build/apt/$package.tar.xz" ] || tarball=$build/apt/$package.tar.xz
	[ -n "$tarball" ] || fetch
	unpack "$tarball"
	check_version "$build/source.tmp" "$tarball"
	[ -n "$origin" ] || origin=tar:$tarball
fi
# The new one is good. What was made from another goes with that.
rm -f "$build/source.stamp"
if [ "$origin" != "$had" ]; then
	[ ! -e "$build/linux" ] || echo "source: $origin takes the place of ${had:-what was there}: all is built again"
	rm -rf "$build/linux" "$build/stock" "$build/hooked"
fi
rm -rf "$build/source"
mv "$build/source.tmp" "$build/source"
echo "$origin" >"$build/source.stamp"
