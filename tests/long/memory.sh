#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# `./uml check --long memory`: ten minutes (or DURATION=N) of memory under pressure (tests/guest/memory_stress.c) with
# 4 CPUs (or CPUS=N), in the debug kernel (or FLAVOUR=F), with a kmemleak scan at the end. SEED=N repeats the choices of
# another run.
set -u

cd "$(dirname "$0")/../.." || exit 1
. tools/check/long.sh
long_suite memory memory_stress MEMORY_STRESS_SECONDS --swap 64M --mem 256M
