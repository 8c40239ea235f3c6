# SPDX-License-Identifier: GPL-2.0-only
# Verdicts that are kept (sourced by tools/check.sh): a job that passed whole is not run again while nothing
# that goes into its verdict has changed, but for those whose turn it is.
#
# build/kept/JOB: the key in the first line, the rows below; as old as the run they are of. A failure
# of any test of the job removes it. The key is a sum over what the outcome can depend on, but for luck. For luck's
# sake `again` seconds of jobs are run in any case, those that were not run for longest: each run of
# `./uml check` adds to what is known, and after a few of them everything has been run again.
# shellcheck shell=sh disable=SC2154 # build, out, took, tab are the caller's

kept=$build/kept

# Seconds of jobs, side by side two at a time: two minutes and a half.
again=300

# The key of a job, nothing for one whose verdict is not kept as a whole: lint, spin and the
# proofs on vanilla know better, file by file, what is left to do.
key_of()
{
	case $1 in
	lint | spin | budget | *@vanilla) return ;;
	runner)
		set -- "$1" default vanilla
		find uml Makefile tools tests/runner -type f | LC_ALL=C sort | tr '\n' '\0' | xargs -0 cat ;;
	slots)
		cat "$build/tests/guest/core" "$build/tests/guest/inherit" tests/long/builds.sh
		set -- "$1" default ;;
	kunit*)
		# what must be in the kernel may not be
		plan_of "$1" '*'
		set -- "$1" "$(flavour_of "$1")" ;;
	*)
		echo "$(machine_of "$1") $(head_word "$(suite_of "$1")" uml-run)"
		cat "$build/tests/guest/$(suite_of "$1")"
		set -- "$1" "$(flavour_of "$1")" ;;
	esac >"$out/sums/key"
	job=$1
	shift
	for sums_of in "$@" common; do
		cat "$out/sums/$sums_of" || return
	done 2>/dev/null >>"$out/sums/key"
	{ echo "$job"; cat "$out/sums/key"; } | sha256sum
}

# keys_make KERNEL...: the keys of the jobs in $out/jobs to $out/keys; what many have in common is read once.
keys_make()
{
	mkdir -p "$kept"
	for sums_of in "$@"; do
		[ ! -f "$build/$sums_of/linux" ] || sha256sum <"$build/$sums_of/linux" >"$out/sums/$sums_of"
	done
	# the guests' root is this machine's own, with its programs
	{ uname -srm; cat /var/lib/dpkg/status "$build/tools/uml-run" "$build/tools/guest/init" tools/check.sh tools/check/*tap.awk; } 2>/dev/null |
		sha256sum >"$out/sums/common"
	while read -r job; do
		key=$(key_of "$job")
		[ -z "$key" ] || echo "$key" >"$out/keys/$job"
	done <"$out/jobs"
}

# keep_ready: of the jobs in $out/jobs those that are kept and not in turn get their rows now, and a claim, so that
# no worker takes them.
keep_ready()
{
	while read -r job; do
		[ ! -f "$out/keys/$job" ] || ! sed 1q "$kept/$job" 2>/dev/null | cmp -s - "$out/keys/$job" || echo "$job"
	done <"$out/jobs" >"$out/sums/good"
	# the oldest first, until they fill the time that is left beside what must be run
	(cd "$kept" && xargs -r ls -tr) <"$out/sums/good" |
		awk -v took="$took" -v again=$again -v jobs="$out/jobs" -v good="$out/sums/good" -F "$tab" '
			BEGIN {
				while ((getline < took) > 0) last[$1] = $2
				while ((getline < good) > 0) is_kept[$1] = 1
				# what is kept file by file is not counted: it may take no time at all
				while ((getline < jobs) > 0)
					if (!is_kept[$1] && $1 !~ /^(lint|spin|budget)$|@vanilla$/) spent += last[$1]
			}
			# one that would fill more than the rest still gets its turn, when it is the oldest
			spent < again { spent += last[$1]; next }
			{ print }' >"$out/sums/take"
	while read -r job; do
		mkdir "$out/claims/$job"
		sed 1d "$kept/$job" >"$out/rows/$job"
		echo "$job: $(wc -l <"$out/rows/$job") passed, kept"
	done <"$out/sums/take"
}

# keep_end JOB PATTERN: what the rows of a job that has ended say. A part that passes says nothing of the whole.
keep_end()
{
	if grep -qv '^ok' "$out/rows/$1"; then
		rm -f "$kept/$1"
	elif [ -f "$out/keys/$1" ] && [ "$2" = '*' ]; then
		{ cat "$out/keys/$1"; awk -F "$tab" -v OFS="$tab" '{ $5 = "kept" } 1' "$out/rows/$1"; } >"$kept/.$1" &&
			mv "$kept/.$1" "$kept/$1"
	fi
}
