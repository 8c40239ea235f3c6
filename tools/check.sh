#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Everything that must pass: `./uml check`.
#
# Builds what is missing, then runs jobs, two at a time, each guest in a fresh
# kernel. A job leaves rows (tab-separated: status, job, test, milliseconds,
# message) in build/check/rows/JOB; what left no row has failed. tools/check/
# has a parser for each kind of output and the writer of the reports.
set -u

cd "$(dirname "$0")/.." || exit 1
build=build out=build/check
# job, seconds, seconds of CPU: what each took when it last ran
took=build/check.took
flavour='' only='' seed='' fresh='' debug=1 list=0 make=1 jobs_at_once=2
tab=$(printf '\t')
start=$(date +%s)
. tools/check/kept.sh

help()
{
	cat <<-'EOT'
	Usage: ./uml check [OPTION]...

	Builds the kernels and programs that are not up to date, runs every test in fresh
	kernels, names each failure with file:line, expected, got and the command that
	repeats it, writes build/check/junit.xml and build/check/results.json and ends with
	a line "N passed, N failed"; tests of the runner that this machine does not allow (mounts, say)
	are named before it and are neither. Exit status: 0 when all passed, 1 when anything failed
	or nothing ran, 2 for a wrong option.

	  --only JOB[:TEST]  run what matches (shell patterns; may be repeated), e.g.
	                     --only core, --only 'core@debug:mount_*', --only 'smp*'
	  --list             print the jobs and tests that would run, run none
	  --flavour F        only guest jobs of this kernel: default, kunit, debug, vanilla
	  --no-debug         leave the debug kernel out (it takes most of the time)
	  --seed N           start random choices from N (printed by each run)
	  --jobs N           guests that compute at once (default 2)
	  --fresh            keep no verdict of an earlier run of anything
	  --no-build         take kernels and programs as they are
	  --mutations [NAME] instead: show that the tests fail where the kernel is wrong
	  --long NAME        instead: tests/long/NAME.sh, which takes minutes
	  --help             this text
	EOT
}

usage_error()
{
	echo "check: $1; see ./uml check --help" >&2
	exit 2
}

number()
{
	case $2 in
	'' | *[!0-9]*) usage_error "$1 '$2': not a number" ;;
	esac
	[ ${#2} -le 9 ] || usage_error "$1 $2: too large"
}

while [ $# -gt 0 ]; do
	case $1 in
	--only | --flavour | --seed | --jobs | --long)
		[ $# -gt 1 ] || usage_error "$1 needs a value"
		;;
	esac
	case $1 in
	--help | -h) help; exit 0 ;;
	--only) only="$only$2
"; shift ;;
	--list) list=1 ;;
	--flavour)
		case $2 in
		default | kunit | debug | vanilla) flavour=$2 ;;
		*) usage_error "--flavour $2: not one of default, kunit, debug, vanilla" ;;
		esac
		shift ;;
	--no-debug) debug=0 ;;
	--no-build) make=0 ;;
	--fresh) fresh=--fresh ;;
	--seed) number --seed "$2"; seed=$2; shift ;;
	--jobs)
		case $2 in
		[1-9] | [1-5][0-9] | 6[0-4]) jobs_at_once=$2 ;;
		*) usage_error "--jobs '$2': not a number from 1 to 64" ;;
		esac
		shift ;;
	--long)
		case $2 in */*) usage_error "--long $2: a name, not a path" ;; esac
		[ -f "tests/long/$2.sh" ] || usage_error "--long $2: there is no tests/long/$2.sh"
		[ $# -eq 2 ] || usage_error "--long $2 $3: nothing may follow the name"
		exec "tests/long/$2.sh" ;;
	--mutations) shift; exec tools/check/mutations.sh "$@" ;;
	*) usage_error "unknown option '$1'" ;;
	esac
	shift
done
# who names a job, or the choices, wants to see it run
keeping=1
[ -z "$only$seed$fresh" ] || keeping=0
[ -n "$seed" ] || seed=$(($(date +%s) % 100000))

suites()
{
	for file in tests/guest/*.c; do
		case $file in
		*/lib*.c) ;;
		*) basename "$file" .c ;;
		esac
	done
}

# The word after "(WORD" in a suite's head comment, up to the ")".
head_word()
{
	sed -n "1,20s/.*($2 \\([^)]*\\)).*/\\1/p" "tests/guest/$1.c" 2>/dev/null
}

# The jobs of a suite: NAME and NAME@debug, or what its head comment says, e.g.
# "(jobs 1 4 1p 4n2 4@debug)": NAME-1 and NAME-4 with that many CPUs, NAME-1p with one in
# ptrace mode, NAME-4n2 with 4 CPUs and 2 memory nodes, NAME-4@debug.
jobs_of()
{
	words=$(head_word "$1" jobs)
	if [ -z "$words" ]; then
		printf '%s\n' "$1" "$1@debug"
		return
	fi
	for word in $words; do echo "$1-$word"; done
}

# Of a job of the guest.
suite_of()
{
	name=${1%@*}
	echo "${name%-[0-9]*}"
}

# What its word says, as options of the runner.
machine_of()
{
	name=${1%@*}
	case $name in
	*-[0-9]*n[0-9]*) word=${name##*-}; echo "--cpus ${word%n*} --nodes ${word#*n}" ;;
	*-[0-9]*p) word=${name##*-}; echo "--mode ptrace --cpus ${word%p}" ;;
	*-[0-9]*) echo "--cpus ${name##*-}" ;;
	*) echo '--cpus 1' ;;
	esac
}

# The kernel of a job, "-" for one that boots none of ours by itself.
flavour_of()
{
	case $1 in
	*@*) echo "${1#*@}" ;;
	kunit | kunit_*) echo kunit ;;
	lint | budget | spin) echo - ;;
	*) echo default ;;
	esac
}

# The jobs of standard input, the longest first, so that the last to end is a short one: by the
# seconds that each took here last time ($took). What never ran here comes first, in its order.
longest_first()
{
	awk -v took="$took" '
		BEGIN { while ((getline line < took) > 0) { split(line, word, "\t"); last[word[1]] = word[2] } }
		{ print ($0 in last ? last[$0] : 1000000), $0 }' | sort -s -n -r -k 1,1 | cut -d ' ' -f 2
}

all_jobs()
{
	# the debug kernel has the KUnit suites too: a third kernel only without it
	if [ $debug = 0 ] || [ "$flavour" = kunit ]; then
		echo kunit
		echo kunit_time-1p
		echo kunit_sweep-2
	else
		echo kunit@debug
		echo kunit_time-1p@debug
		echo kunit_sweep-2@debug
	fi
	for suite in $(suites); do jobs_of "$suite"; done | awk -v debug="$debug" '
		{ rank = /@debug$/ ? (debug ? 1 : 0) : /@vanilla$/ ? 2 : 4 }
		rank { print rank, $0 }
		END { print 3, "runner"; print 3, "spin"; print 4, "slots"; print 5, "budget"; print 5, "lint" }' |
		sort -s -n -k 1,1 | cut -d ' ' -f 2 | longest_first
}

# The test patterns that --only has for a job, one per line; fails if it is not wanted.
wanted()
{
	[ -z "$flavour" ] || [ "$(flavour_of "$1")" = "$flavour" ] || return 1
	[ -n "$only" ] || { echo '*'; return; }
	found=1
	# --only smp means every number of CPUs
	case $1 in
	*@*) without_cpus=$(suite_of "$1")@${1#*@} ;;
	*) without_cpus=$(suite_of "$1") ;;
	esac
	while read -r pattern; do
		# shellcheck disable=SC2254 # a pattern is meant
		case $1 in
		${pattern%%:*}) ;;
		*)
			case $without_cpus in
			${pattern%%:*}) ;;
			*) continue ;;
			esac ;;
		esac
		found=0
		case $pattern in
		*:*) echo "${pattern#*:}" ;;
		*) echo '*' ;;
		esac
	done <<-EOT
	${only%?}
	EOT
	return $found
}

# The files with the KUnit suites of a job; one that is called kunit_... has one suite: what the stub tells depends on the
# mode, and the worker that looks after removed containers comes by while others run.
kunit_files()
{
	case $1 in
	kunit_time*) echo arch/um/kernel/vtime_test.c ;;
	kunit_sweep*) echo mm/container/sweep_test.c ;;
	*) printf '%s\n' kernel/container/*.c mm/container/*.c arch/um/kernel/*_test.c ;;
	esac
}

# What a job must report: a name per line.
plan_of()
{
	case $1 in
	kunit*) kunit_files "$1" | xargs sed -n 's/.*KUNIT_CASE[A-Z_]*(\([a-z0-9_]*\).*/\1/p' ;;
	runner) tests/runner/run.sh --kernel "$build/default/linux" --list ;;
	lint | budget | slots) echo "$1" ;;
	spin) tests/models/run.sh --list ;;
	*@vanilla)
		"$build/tests/guest/$(suite_of "$1")" --plan |
			grep -vxF "$(head_word "$(suite_of "$1")" 'no proof:' | tr ' ' '\n')" ;;
	*)
		# tests that need more CPUs or nodes than the job has are not in its plan
		machine=$(machine_of "$1")
		cpus=$(echo "$machine" | sed 's/.*--cpus \([0-9]*\).*/\1/')
		nodes=$(echo "$machine" | sed -n 's/.*--nodes \([0-9]*\).*/\1/p')
		"$build/tests/guest/$(suite_of "$1")" --plan --cpus "$cpus" --nodes "${nodes:-1}"
		;;
	esac | while read -r name; do
		# shellcheck disable=SC2254
		case $name in
		$2) echo "$name" ;;
		esac
	done
}

row()
{
	printf '%s\t%s\t%s\t%s\t%s\n' "$@"
}

# build NAME COMMAND...: a step whose failure fails what needs it
build()
{
	name=$1
	shift
	echo "build $name"
	began=$(date +%s)
	if "$@" >"$out/logs/build-$name" 2>&1; then
		row ok build "$name" $((($(date +%s) - began) * 1000)) '' >>"$out/rows/build"
		return 0
	fi
	tail -n 40 "$out/logs/build-$name" >&2
	row fail build "$name" $((($(date +%s) - began) * 1000)) \
		"$* failed: $(grep -m 1 -E 'error|rror:|\*\*\*|missing' "$out/logs/build-$name" | tr '\t' ' ')" >>"$out/rows/build"
	return 1
}

# Slots: as many as --jobs, each a newline in a FIFO on descriptor 9. A job that computes has one; a debug guest
# whose program has ended sleeps until what it allocated is old enough for kmemleak (6 s, of 12 s of most such
# jobs) and gives its own back before, so that there are more workers than slots.
slots_make()
{
	mkfifo "$out/slots" && exec 9<>"$out/slots" || exit 1
	for _ in $(seq "$1"); do echo >&9; done
}

slot_enter()
{
	read -r _ <&9
	: >"$out/claims/$1/slot"
}

# Does nothing when it was left before.
slot_leave()
{
	! rm "$out/claims/$1/slot" 2>/dev/null || echo >&9
}

# guest JOB FLAVOUR PATTERN: one suite in one kernel, output to the log. What the
# suite needs of the runner its head comment says: "(uml-run OPTIONS)".
guest()
{
	slow=1 limit=180
	# shellcheck disable=SC2046 # words
	set -- "$1" "$2" "$3" --kernel "$build/$2/linux" $(machine_of "$1") \
		$(head_word "$(suite_of "$1")" uml-run)
	case $2 in
	debug)
		slow=6 limit=420
		# as a user's, it would be given up after 4.5 s without a line; this one takes seconds to its first
		# where others have the machine
		set -- "$@" --leaks --boot-timeout 60
		;;
	vanilla) slow=6 limit=420 ;; # room for SMP_SECONDS
	esac
	case $1 in
	kunit*) set -- "$@" --boot-timeout 120 --append kunit.enable=1 --append kunit.autorun=1 ;;
	esac
	case $1 in
	kunit_*) set -- "$@" --append "kunit.filter_glob=$(kunit_files "$1" | xargs sed -n 's/.*\.name = "\(.*\)",/\1/p')" ;;
	esac
	job=$1 pattern=$3
	shift 3
	set -- "$@" --timeout $limit --log "$out/logs/$job.kernel" --failures "$out/failures" --
	case $job in
	kunit*) set -- "$@" true ;;
	*) set -- "$@" "$PWD/$build/tests/guest/$(suite_of "$job")" --slow $slow --seed "$seed" --only "$pattern" ;;
	esac
	mkfifo "$out/claims/$job/out" || return 1
	"$build/tools/uml-run" "$@" </dev/null >"$out/claims/$job/out" 2>"$out/logs/$job.err" 9>&- &
	# the output ends when the program has ended, the runner when the kernel has
	cat "$out/claims/$job/out" >"$out/logs/$job" 9>&-
	case $job in
	*@debug) slot_leave "$job" ;;
	esac
	wait $!
	set -- $?
	rm "$out/claims/$job/out"
	return "$1"
}

lint_rows()
{
	if "$@" >"$out/logs/$job" 2>&1; then
		row ok "$job" "$job" 0 ''
	else
		row fail "$job" "$job" 0 "$(grep -v '^ *$' "$out/logs/$job" | tail -n 5 | tr '\n\t' '; ')"
	fi
}

# All that the outcome of such a test can depend on, but for luck.
proof_of()
{
	{ echo "$1 $2 $(machine_of "$1") $(head_word "$(suite_of "$1")" uml-run)"
		cat "$build/vanilla/linux" "$build/tests/guest/$(suite_of "$1")" "$build/tools/uml-run" \
			"$build/tools/guest/init" tools/check/tap.awk tools/check/expected.awk; } | sha256sum
}

# Tests that show a bug of Linux must fail where it is not cured, and by a wrong byte or time. Each has a
# kernel of its own: what one corrupts is not the next one's. It ends at the first wrong byte, so
# the time that it has for that costs nothing. Most take seconds; munmap_private was seen to take 48 s,
# and the moment comes at random, so that 300 s leave one run in some hundred without it: that one is made again, once.
# That this program can see this bug in this kernel is proved by one such run: it is kept
# (build/proofs) and repeated when one of them changes.
expected_failures()
{
	mkdir -p "$build/proofs"
	while read -r name; do
		kept=$build/proofs/$job.$name
		key=$(proof_of "$job" "$name")
		if [ -z "$fresh" ] && [ "$(cat "$kept" 2>/dev/null)" = "$key" ]; then
			row ok "$job" "$name" 0 kept
			continue
		fi
		rm -f "$kept"
		echo "$name" >"$out/plans/$job.one"
		for _ in 1 2; do
			(export SMP_SECONDS=300; guest "$job" "$kernel" "$name")
			code=$?
			tap_rows tap "$out/plans/$job.one" | awk -F "$tab" -v OFS="$tab" -f tools/check/expected.awk >"$out/plans/$job.rows"
			grep -q "${tab}passes on vanilla: proves nothing$" "$out/plans/$job.rows" || break
		done
		cat "$out/plans/$job.rows"
		# one row, and that it failed as it must
		[ "$(cut -f 1-3 "$out/plans/$job.rows")" != "ok$tab$job$tab$name" ] || echo "$key" >"$kept"
		for file in "$out/logs/$job" "$out/logs/$job.err" "$out/logs/$job.kernel"; do
			[ ! -e "$file" ] || mv "$file" "$file.$name"
		done
	done <"$out/plans/$job"
}

# tap_rows PARSER PLAN: rows of $job from its log and its $code; in its last line the runner
# says why it gives a code of its own
tap_rows()
{
	[ -f "$out/logs/$job" ] || : >"$out/logs/$job"
	awk -f "tools/check/$1.awk" -v job="$job" -v code="$code" -v plan="$2" \
		-v why="$(grep -v '^ *$' "$out/logs/$job.err" | tail -n 3 | tr '\n\t' '; ')" "$out/logs/$job"
}

# run_pattern JOB PATTERN: rows on standard output
run_pattern()
{
	job=$1
	kernel=$(flavour_of "$job")
	plan_of "$job" "$2" >"$out/plans/$job"
	if [ "$kernel" != - ] && [ ! -x "$build/$kernel/linux" ]; then
		row fail "$job" '*' 0 "not run: there is no $build/$kernel/linux"
		return
	fi
	parser=tap
	case $job in
	lint)
		[ -z "$fresh" ] || rm -f "$build/lint.clean"
		lint_rows make -s lint
		return ;;
	budget) lint_rows make -s budget; return ;;
	slots) lint_rows env BUILDS=slots tests/long/builds.sh; return ;;
	spin)
		# shellcheck disable=SC2046 # names
		tests/models/run.sh $fresh $(cat "$out/plans/$job") </dev/null >"$out/logs/$job" 2>"$out/logs/$job.err"
		code=$?
		;;
	runner)
		# shellcheck disable=SC2046 # names
		tests/runner/run.sh --kernel "$build/default/linux" $(cat "$out/plans/$job") </dev/null >"$out/logs/$job" 2>"$out/logs/$job.err"
		code=$?
		;;
	*@vanilla) expected_failures; return ;;
	*)
		guest "$job" "$kernel" "$2"
		code=$?
		;;
	esac
	case $job in
	kunit*)
		parser=ktap
		cp "$out/logs/$job.kernel" "$out/logs/$job" 2>/dev/null
		;;
	esac
	tap_rows $parser "$out/plans/$job"
}

# Seconds of CPU of all that this shell has waited for, from what `times` wrote to a file.
cpu_of()
{
	sed -n '2s/[ms]/ /gp' "$1" | awk '{ printf "%.1f", $1 * 60 + $2 + $3 * 60 + $4 }'
}

run_job()
{
	began=$(date +%s)
	# not $(times): a subshell has waited for nobody
	times >"$out/times/$1.before"
	echo "$1: started"
	wanted "$1" | while read -r pattern; do
		[ -e "$out/claims/$1/slot" ] || slot_enter "$1"
		run_pattern "$1" "$pattern"
	done >"$out/rows/$1.part"
	slot_leave "$1"
	[ -s "$out/rows/$1.part" ] || row fail "$1" '*' 0 "no test of this job ran" >"$out/rows/$1.part"
	mv "$out/rows/$1.part" "$out/rows/$1"
	times >"$out/times/$1"
	cpu=$(awk -v a="$(cpu_of "$out/times/$1.before")" -v b="$(cpu_of "$out/times/$1")" 'BEGIN { printf "%.0f", b - a }')
	seconds=$(($(date +%s) - began))
	good=$(grep -c '^ok' "$out/rows/$1")
	rm "$out/times/$1" "$out/times/$1.before"
	keep_end "$1" "$(wanted "$1")"
	# the time of a part says nothing about the whole
	[ "$(wanted "$1")" != '*' ] || printf '%s\t%s\t%s\n' "$1" $seconds "$cpu" >"$out/times/$1"
	bad=$(grep -c '^fail' "$out/rows/$1")
	echo "$1: $good passed, $bad failed, $seconds s, $cpu s of CPU"
}

# What was measured now takes the place of what was known.
remember_times()
{
	cat "$out/times/"* "$took" 2>/dev/null | awk -F "$tab" 'NF == 3 && !seen[$1]++' >"$took.new" && mv "$took.new" "$took"
}

# Takes jobs that nobody has taken until there is none.
worker()
{
	while read -r claim; do
		# the slot first: whoever waits for one keeps no job from the others
		[ -e "$out/claims/$claim" ] && continue
		read -r _ <&9
		if mkdir "$out/claims/$claim" 2>/dev/null; then
			: >"$out/claims/$claim/slot"
			run_job "$claim"
		else
			echo >&9
		fi
	done <"$out/jobs"
}

# A process and all below it; the runner ends its guest when it is told to end.
end_tree()
{
	for under in $(pgrep -P "$1"); do end_tree "$under"; done
	kill "$1" 2>/dev/null
}

stop_all()
{
	trap - INT TERM HUP
	# nobody takes another job
	: >"$out/jobs"
	for pid in $workers; do end_tree "$pid"; done
	echo "check: interrupted" >&2
	exit 130
}

unready()
{
	echo "check: $1" >&2
	exit 1
}

mkdir -p "$out" 2>/dev/null && [ -w "$out" ] && [ -w "$build" ] ||
	unready "$PWD/$out cannot be written; cure: its owner and mode, or a clone of your own"
# a place where nothing can be built is told once, not by each job
make -s help >/dev/null || unready 'nothing can be built here (above: why)'
# Tests of a pattern that matches nothing are a mistake in the pattern.
jobs=$(all_jobs | while read -r job; do
	! wanted "$job" >/dev/null || echo "$job"
done)
[ -n "$jobs" ] || usage_error "nothing matches; --list prints what there is"

kernels=$(for job in $jobs; do flavour_of "$job"; done | sort -u)

if [ $list = 1 ]; then
	make -s tests || exit 1
	for job in $jobs; do
		wanted "$job" | while read -r pattern; do
			plan_of "$job" "$pattern" | sed "s/^/$job:/"
		done
	done
	exit 0
fi

# What is below $out is one run's.
exec 8>"$out/lock"
flock -n 8 || unready "another check runs in $PWD; cure: wait for its end, or a clone of your own"
echo "$jobs" >"$out/jobs"

rm -rf "$out/slots" "$out/sums" "$out/keys" "$out/rows" "$out/times" "$out/claims" "$out/plans" "$out/logs" "$out/failures" "$out/junit.xml" "$out/results.json"
mkdir -p "$out/sums" "$out/keys" "$out/rows" "$out/times" "$out/claims" "$out/plans" "$out/logs"
workers=''
trap stop_all INT TERM HUP

echo "check: $(wc -l <"$out/jobs") jobs, $jobs_at_once at once, seed $seed; logs in $out/logs"
built=1
case "$make$kernels" in
0* | 1-) ;;
*)
	build programs make tools tests || built=0
	for kernel in $kernels; do
		[ "$kernel" = - ] || build "$kernel" make kernel FLAVOUR="$kernel"
	done
	;;
esac
if [ $built = 1 ]; then
	# shellcheck disable=SC2086 # words
	keys_make $kernels vanilla
	[ $keeping = 0 ] || keep_ready
	slots_make "$jobs_at_once"
	more=$((2 * jobs_at_once))
	while [ $more -gt 0 ]; do
		more=$((more - 1))
		worker 8>&- &
		workers="$workers $!"
	done
	for pid in $workers; do wait "$pid"; done
	remember_times
fi
# each that was said to run above, whatever has become of $out/jobs meanwhile
for job in $jobs; do
	[ -s "$out/rows/$job" ] || row fail "$job" '*' 0 'this job left no result' >"$out/rows/$job"
done

cat "$out/rows/"* >"$out/rows.all"
LC_ALL=C awk -F "$tab" -f tools/check/report.awk -v dir="$out" -v seed="$seed" \
	-v seconds=$(($(date +%s) - start)) "$out/rows.all"
