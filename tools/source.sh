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
set -eu

build=$1
series=7.3
package=linux-source-$series
installed=/usr/src/$package.tar.xz

die()
{
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
		tar -xO "./usr/src/$package.tar.xz" >"$apt/$package.tar.xz.part"
	mv "$apt/$package.tar.xz.part" "$apt/$package.tar.xz"
	rm -f "$apt"/*.deb
	tarball=$apt/$package.tar.xz
}

check_version()
{
	[ -r "$1/Makefile" ] || die "$2 is not a Linux tree: it has no Makefile"
	version=$(awk '$1 == "VERSION" || $1 == "PATCHLEVEL" { v = v s $3; s = "." } END { print v }' "$1/Makefile")
	[ "$version" = $series ] ||
		die "$2 is Linux $version, and the hooks are for $series.x; cure: give a $series tree"
}

# What build/source was made from, so that another choice is noticed.
origin="${LINUX_SRC:+src:$LINUX_SRC}"
[ -n "$origin" ] || origin="${LINUX_TARBALL:+tar:$LINUX_TARBALL}"
if [ -e "$build/source/Makefile" ] && [ -e "$build/source.stamp" ]; then
	had=$(cat "$build/source.stamp")
	[ -z "$origin" ] || [ "$origin" = "$had" ] || die "build/source was made from $had, not from $origin; cure: make clean-source first"
	exit 0
fi

mkdir -p "$build"
rm -rf "$build/source" "$build/source.tmp"
if [ -n "${LINUX_SRC:-}" ]; then
	check_version "$LINUX_SRC" "LINUX_SRC=$LINUX_SRC"
	[ ! -e "$LINUX_SRC/.config" ] ||
		die "LINUX_SRC=$LINUX_SRC holds a build of its own; cure: make mrproper there"
	ln -s "$(cd "$LINUX_SRC" && pwd)" "$build/source"
else
	tarball=${LINUX_TARBALL:-}
	[ -z "$tarball" ] || [ -r "$tarball" ] || die "LINUX_TARBALL=$tarball cannot be read"
	[ -n "$tarball" ] || [ ! -r $installed ] || tarball=$installed
	[ -n "$tarball" ] || [ ! -r "$build/apt/$package.tar.xz" ] || tarball=$build/apt/$package.tar.xz
	[ -n "$tarball" ] || fetch
	echo "source: unpacking $(basename "$tarball")"
	mkdir "$build/source.tmp"
	tar -xf "$tarball" -C "$build/source.tmp" --strip-components=1 ||
		die "$tarball does not unpack; cure: fetch it again"
	check_version "$build/source.tmp" "$tarball"
	mv "$build/source.tmp" "$build/source"
fi
echo "$origin" >"$build/source.stamp"
