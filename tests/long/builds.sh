#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long builds`: the kernel has as many hierarchies as it was configured for.
#
# Builds the default kernel with CONFIG_MAX_CONTAINER_HIERARCHIES=2 and =32 from a copy of its
# objects (only what reads that value is compiled, kernel/container/) and runs the suites about
# slots and membership in it. They take the number from /proc/config.gz.
set -eu

cd "$(dirname "$0")/../.."
build=$PWD/build

make kernel FLAVOUR=default
make tools tests
for max in 2 32; do
	obj=$build/linux/obj-slots
	rm -rf "$obj"
	cp -a "$build/linux/obj-default" "$obj"
	sed -i 's|obj-default|obj-slots|g' "$obj/Makefile"
	"$build/linux/scripts/config" --file "$obj/.config" --set-val MAX_CONTAINER_HIERARCHIES $max
	CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1 make -s -C "$build/linux" O="$obj" ARCH=um \
		CC="$(command -v ccache) gcc" HOSTCC="$(command -v ccache) gcc" KBUILD_BUILD_USER=uml \
		KBUILD_BUILD_HOST=containers KBUILD_BUILD_TIMESTAMP= -j"$(nproc)" olddefconfig linux
	grep -q "^CONFIG_MAX_CONTAINER_HIERARCHIES=$max$" "$obj/.config"
	for suite in "core --only *slot*" "inherit"; do
		echo "with $max hierarchies: $suite"
		set -f
		# shellcheck disable=SC2086 # words
		"$build/tools/uml-run" --kernel "$obj/linux" --timeout 180 -- "$build/tests/guest/"$suite
		set +f
	done
done
rm -rf "$obj"
echo "builds: passed"
