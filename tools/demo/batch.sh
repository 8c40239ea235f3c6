#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The tenant that needs much: read through a tree, then sort 96 MB of it in 48 MB of memory.
set -eu
tree=$1
find "$tree/include" "$tree/lib/gcc" "$tree/share/perl" -type f 2>/dev/null |
	sort | xargs cat 2>/dev/null | head -c 96M |
	LC_ALL=C sort -S 48M -T /tmp | tail -n 1 | wc -c
