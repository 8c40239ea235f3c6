#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long storm`: ten minutes (or DURATION=N) of everything at once (tests/guest/storm.c) with 4 CPUs (or
# CPUS=N) and 2 nodes, in the debug kernel (or FLAVOUR=F), with a kmemleak scan at the end.
# SEED=N repeats the choices of another run.
set -u

cd "$(dirname "$0")/../.." || exit 1
. tools/check/long.sh
long_suite storm storm STORM_SECONDS --nodes 2
