#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Merge config fragments over allnoconfig; every line of them must hold in the result.
#
#   tools/config.sh LINUX OBJDIR FRAGMENT...
set -eu

mkdir -p "$2"
linux=$(cd "$1" && pwd)
obj=$(cd "$2" && pwd -P)
shift 2
log=$obj/config.log
# not beside another build of it (tools/kbuild-progress.sh)
exec 9>"$obj/build.lock"
flock 9
cat "$@" >"$obj/fragments"
(cd "$linux" && ARCH=um scripts/kconfig/merge_config.sh -n -Q -O "$obj" "$obj/fragments") >"$log" 2>&1 || {
	cat "$log" >&2
	echo "config: merging $* failed" >&2
	exit 1
}
# later fragments win: only the last word on a symbol has to hold
bad=$(cat "$@" | awk '
	/^CONFIG_[A-Z0-9_]*=/ { s = $0; sub(/=.*/, "", s); want[s] = $0 }
	/^# CONFIG_[A-Z0-9_]* is not set/ { want[$2] = $0 }
	END { for (s in want) print want[s] }' | while read -r line; do
	case $line in
	*=n) s=${line%=n}; ! grep -q "^$s=" "$obj/.config" || echo "$line" ;;
	'# '*) s=${line#\# }; s=${s% is not set}; ! grep -q "^$s=" "$obj/.config" || echo "$line" ;;
	*) grep -qxF "$line" "$obj/.config" || echo "$line" ;;
	esac
done)
if [ -n "$bad" ]; then
	rm -f "$obj/.config"
	echo "config: these lines of $* do not hold in this Linux (a symbol is gone, or a dependency is missing):" >&2
	echo "$bad" >&2
	exit 1
fi
