# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# A second tree beside this one, whose objects count as built: for what changes a file, builds
# and throws away (tools/check/mutations.sh, tests/long/rebuild.sh). Sourced in the top directory;
# the caller has die().

# copy_tree TREE FLAVOUR...: what git has here (with what is not committed), and of build/ the
# tools, the tests and those kernels with their objects. The commands that Linux's build
# remembers hold paths; with these changed nothing is rebuilt.
copy_tree()
{
	local tree=$1 parts='tools tests hooked' part
	shift
	for part; do parts+=" linux/obj-$part $part"; done
	rm -rf "$tree"
	mkdir -p "$tree/build"
	git ls-files -z --cached --others --exclude-standard |
		xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' x |
		tar --null -T - -cf - | tar -xf - -C "$tree"
	cp -a build/source.stamp "$tree/build/"
	ln -s "$PWD/build/source" "$tree/build/source"
	# nothing writes into Linux's files, hooks.sh and patch replace them; objects are rewritten
	mkdir "$tree/build/linux"
	(cd build/linux && find . -maxdepth 1 ! -name . ! -name 'obj-*' -exec cp -al -t "$tree/build/linux" {} +) ||
		die "cannot make $tree"
	for part in $parts; do
		[ ! -e "build/$part" ] || cp -a "build/$part" "$tree/build/$part" || die "cannot make $tree"
	done
	find "$tree/build" -name '*.cmd' -print0 | xargs -0 sed -i "s|$PWD/build/|$tree/build/|g"
}
