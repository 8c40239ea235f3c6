#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The tenant that needs much: read through trees, then sort MB megabytes of them in half as much memory.
#
#   batch.sh MB TREE...
set -eu
mb=$1
shift
length=$(find "$@" -type f 2>/dev/null |
	sort | xargs cat 2>/dev/null | head -c "${mb}M" |
	LC_ALL=C sort -S $((mb / 2))M -T /tmp | tail -n 1 | wc -c)
# no last line: sort came to no end
[ "$length" -gt 0 ]
