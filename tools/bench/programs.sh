#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The set "programs" of ./uml bench, in the guest: what whole programs take with as many CPUs as
# the guest has. Prints "NAME NANOSECONDS NANOSECONDS" (the smallest and the median, of one run) and
# "end".
#
#	programs.sh PATTERN
set -eu
pattern=$1
cd /tmp

compute() { perl -e '$x = ($x * 69069 + 1) % 4294967296 for 1 .. 2000000'; }
calls() { dd if=/dev/zero of=/dev/null bs=1 count=30000 2>/dev/null; }
forks() { for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do /bin/true; done; }
pipes() { perl -e 'print rand, "\n" for 1 .. 100000' | LC_ALL=C sort | md5sum >/dev/null; }
compile() { printf "%s\n" unit?.c | xargs -n 1 -P "$1" gcc -O1 -c -o /dev/null; }
compile1() { compile 1; }
compile4() { compile 4; }

for unit in 1 2 3 4 5 6 7 8; do
	printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f%d(char *s) { return printf("%%s", strdup(s)); }\n' $unit >unit$unit.c
done
for name in compute calls forks pipes compile1 compile4; do
	# shellcheck disable=SC2254 # a pattern is meant
	case programs/$name in
	$pattern) ;;
	*) continue ;;
	esac
	from=$(date +%s%N)
	$name
	ns=$(($(date +%s%N) - from))
	echo "programs/$name $ns.0 $ns.0"
done
echo end
