#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What the demo runs in a guest for the neighbours; tools/demo/neighbours.pl is what happens, and its output.
#
#   neighbours.sh MB MB MB ROUNDS
set -eu

dir=$(mktemp -d)
mount -t container -o memory none "$dir"
exec perl tools/demo/neighbours.pl "$dir" "$@"
