#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The rules that a program can look after: `make lint`.
#
#   tools/lint.sh BUILD
#
# Linux's checkpatch over our C, shellcheck over the scripts, an SPDX line in
# every file, no file above 600 lines, no path of this machine, mutations that
# apply, tests and functions that are where the pages about them say, a series (arch/um/series) that
# ends as what is built. Every finding
# is a line "FILE:LINE: ..."; exit status 1 if there was one.
set -u

cd "$(dirname "$0")/.." || exit 1
build=$1
out=$build/lint.out
: >"$out"

files()
{
	git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
		[ ! -f "$file" ] || echo "$file"
	done
}

# Rules that fail on the form of a list of subsystems (containers.h) and on
# for_each macros, which are what they are; a line of Linux's that is ours to go on with. A futex
# operation that there is not is ENOSYS by its interface. __initcall() is the one that UML's host code has.
# A KUnit test asks whether another task's lock is taken, which is no assertion (USE_LOCKDEP).
kernel_ignore=USE_LOCKDEP,ENOSYS,USE_DEVICE_INITCALL,LOGGING_CONTINUATION,BRACKET_SPACE,TRAILING_SEMICOLON,MULTISTATEMENT_MACRO_USE_DO_WHILE,FILE_PATH_CHANGES
# Kernel rules that do not hold in user space: attributes have no macros there,
# shared memory is volatile, help texts are long strings, types have capitals; the registering
# TEST() macro is a declaration.
user_ignore=PREFER_DEFINED_ATTRIBUTE_MACRO,VOLATILE,SPLIT_STRING,EMBEDDED_FUNCTION_NAME,NAKED_SSCANF
user_ignore=$user_ignore,STATIC_CONST_CHAR_ARRAY,TRAILING_STATEMENTS,MISSING_SPACE,MACRO_ARG_REUSE
# there is no strscpy() and no ARRAY_SIZE() either
user_ignore=$user_ignore,STRCPY,ARRAY_SIZE
user_ignore=$user_ignore,QUOTED_WHITESPACE_BEFORE_NEWLINE,PREFER_KERNEL_TYPES,CONST_STRUCT,LINE_SPACING

# What was found clean: a sum of the program, its options, a file's name and its bytes per line.
# Nothing else goes into the verdict (checkpatch is told that there is no tree), so a file that is
# in here need not be looked at again. Written only by a run in which nothing was found.
clean=$build/lint.clean

# unseen WHAT FILE...: the files that were not clean with these bytes; WHAT is all that the verdict
# depends on besides them. Notes the sums of all.
unseen()
{
	what=$(echo "$1" | sha256sum | cut -d ' ' -f 1)
	shift
	touch "$clean"
	[ $# -eq 0 ] || sha256sum -- "$@" | sed "s|^|$what |" | tee -a "$clean.new" | grep -vxFf "$clean" | sed 's|.* ||'
}

# checkpatch IGNORED FILE...
checkpatch()
{
	ignored=$1
	shift
	scripts=$build/linux/scripts
	version=$(cat "$scripts/checkpatch.pl" "$scripts/spelling.txt" "$scripts/const_structs.checkpatch" "$0" | sha256sum)
	# shellcheck disable=SC2046 # a list of files
	set -- $(unseen "checkpatch $ignored $(perl -v) $version" "$@")
	[ $# -eq 0 ] || perl "$scripts/checkpatch.pl" --no-tree --terse --quiet --no-summary \
		--show-types --max-line-length=100 --ignore "$ignored" -f "$@" || [ $? = 1 ] ||
		echo "lint.sh:1: checkpatch did not end well"
}

scripts()
{
	# shellcheck disable=SC2046 # a list of files
	set -- $(unseen "$(shellcheck --version) $(sha256sum <"$0")" "$@")
	[ $# -eq 0 ] || shellcheck --severity=warning --format=gcc "$@"
}

need()
{
	command -v "$1" >/dev/null || {
		echo "lint: $1 is missing; cure: apt-get install $2" >&2
		exit 1
	}
}

rm -f "$clean.new"
need perl perl
need shellcheck shellcheck
# shellcheck disable=SC2046 # lists of files without white space in their names
{
	checkpatch $kernel_ignore $(files 'kernel/*.[ch]' 'mm/*.[ch]' 'fs/*.[ch]' 'include/*.h' 'arch/*.[ch]' 'tests/bench/kernel/*.[ch]')
	checkpatch $user_ignore $(files 'tests/*.[ch]' 'tools/*.[ch]' ':!tests/bench/kernel')
	scripts $(files '*.sh' '*.bash' uml .ci/run)
} >>"$out" 2>&1

# how long a hooks.patch may be is said by the budget
# shellcheck disable=SC2046 # a list of files
awk '
	FNR == 1 { end_of_file(); file = FILENAME; licence = 0; lines = 0; seen[file] = 1 }
	FNR <= 5 && /SPDX-License-Identifier: GPL-2.0-only/ { licence = 1 }
	/\/wo[r]k\/|\/hom[e]\/[a-z]/ { print file ":" FNR ": a path of one machine" }
	{ lines = FNR }
	END {
		end_of_file()
		for (i = 1; i < ARGC; i++)
			if (!(ARGV[i] in seen))
				print ARGV[i] ":1: an empty file: no line SPDX-License-Identifier: GPL-2.0-only"
	}
	function end_of_file() {
		if (file == "")
			return
		if (!licence)
			print file ":1: no line SPDX-License-Identifier: GPL-2.0-only"
		if (lines > 600 && file !~ /(\.md|hooks\.patch)$/)
			print file ":600: " lines " lines; a file has one job and at most 600"
	}' $(files ':!LICENSE') </dev/null >>"$out"

# What patch(1) leaves behind is nobody's.
git ls-files -- '*.orig' '*.rej' | while read -r file; do
	[ ! -f "$file" ] || echo "$file:1: left by patch(1)"
done >>"$out"

# A mutation that does not apply any more proves nothing.
for patch in tests/mutations/*.patch; do
	grep -v '^# ' "$patch" | patch -p1 -F0 --dry-run --force --silent >/dev/null 2>&1 ||
		echo "$patch:1: does not apply"
done >>"$out"

# The patches for UML's maintainers are what is built.
tools/series.sh check "$build" >>"$out" 2>&1

# What a page says of tests and of models is there.
grep -no '[a-z_][a-z_]*:[a-z0-9_]*' Documentation/errors.md Documentation/promises.md | while IFS=: read -r page line suite name; do
	[ -n "$name" ] || continue
	case $suite in
	kunit) grep -qs "KUNIT_CASE($name)" ./*/container/*_test.c ;;
	*) grep -qsE "^TEST(_[A-Z]+)?\(${name}[,)]" "tests/guest/$suite.c" ;;
	esac || echo "$page:$line: there is no test $suite:$name"
done >>"$out"
tests/models/lines.sh "$build" | grep '^tests/models/README' >>"$out"

# Advice only: kernel style leaves alignment to the writer, clang-format does not.
if command -v clang-format >/dev/null; then
	# shellcheck disable=SC2046
	advice=$(clang-format --dry-run $(files '*.[ch]') 2>&1 | grep -c 'clang-format-violations')
	echo "lint: clang-format would change $advice places (advice, see .clang-format)"
fi

if [ -s "$out" ]; then
	cat "$out"
	echo "lint: $(wc -l <"$out") findings"
	exit 1
fi
mv "$clean.new" "$clean"
echo "lint: $(files | wc -l) files, nothing found"
