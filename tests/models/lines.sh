#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Which line of a model is which line of the code, today: the tables of README.md with line numbers.
#
#   tests/models/lines.sh [BUILD]       BUILD (build) has linux/, for what is Linux's
#
# A line for each row: what is `quoted` in the left column with its first line in the model, then the functions
# that are quoted in the right one with that of their definition. `make lint` calls it: it fails when one is nowhere any more.
set -u

cd "$(dirname "$0")/../.." || exit 2
linux=${1:-build}/linux
# shellcheck disable=SC2046 # files without white space in their names
set -- tests/models/README.md tests/models/*.pml kernel/container/*.c include/linux/container_hooks.h \
	$(find arch/um -name '*.[ch]' | sort) "$linux"/arch/um/os-Linux/*.c "$linux"/arch/um/os-Linux/skas/*.c \
	"$linux"/arch/um/kernel/*.c "$linux"/arch/um/kernel/skas/*.c "$linux"/arch/um/include/asm/*.h \
	"$linux"/lib/refcount.c "$linux"/include/linux/refcount.h "$linux"/include/linux/rcupdate.h

# what the libraries of the host define
awk -v host=' sigsuspend copy_to_user ' -v linux="$linux/" '
	function bare(word) { gsub(/[^A-Za-z0-9_].*/, "", word); return word }
	FNR == 1 { model = FILENAME ~ /\.pml$/ ? FILENAME : ""; sub(/.*\//, "", model); where = FILENAME; sub("^" linux, "", where) }
	FILENAME ~ /README/ {
		if (/^## .*\.pml:/) { of = $2; sub(/:.*/, "", of) }
		if (/^\| model \| code \|/) { table = 1; next }
		if (!/^\|/) table = 0
		if (!table || /^\|---/) next
		rows++; row_model[rows] = of; row_line[rows] = FNR
		split($0, cell, / \| /)
		left[rows] = cell[1]; right[rows] = substr($0, length(cell[1]) + 3)
		while (match(right[rows], /`[A-Za-z0-9_]+\(\)/)) {
			word = substr(right[rows], RSTART + 1, RLENGTH - 3)
			names[rows] = names[rows] " " word; wanted[word] = 1
			right[rows] = substr(right[rows], RSTART + RLENGTH)
		}
		next
	}
	model != "" {
		n = split($0, part, /[^A-Za-z0-9_]+/)
		for (i = 1; i <= n; i++)
			if (part[i] != "" && !((model, part[i]) in line) && $0 !~ /^[ \t]*(\/?\*|\/\/)/)
				line[model, part[i]] = FNR
		# its definition, should it be used before
		if (match($0, /^(inline|active proctype|proctype) [a-z_]+/)) {
			n = split(substr($0, 1, RLENGTH), part, " ")
			line[model, part[n]] = FNR
		}
		next
	}
	/^[a-zA-Z_#].*[A-Za-z0-9_]\(/ && !/;[ \t]*$/ {
		text = $0
		while (match(text, /[A-Za-z0-9_]+\(/)) {
			word = substr(text, RSTART, RLENGTH - 1)
			if (word in wanted && !(word in at)) at[word] = where ":" FNR
			text = substr(text, RSTART + RLENGTH)
		}
	}
	END {
		for (r = 1; r <= rows; r++) {
			text = ""; n = split(left[r], part, "`")
			for (i = 2; i <= n; i += 2) {
				word = bare(part[i])
				if ((row_model[r], word) in line) text = text " " word " " row_model[r] ":" line[row_model[r], word] ","
				else { print "tests/models/README.md:" row_line[r] ": " word " is not in " row_model[r]; bad = 1 }
			}
			sub(/,$/, "", text); text = text " ="
			n = split(names[r], part, " ")
			for (i = 1; i <= n; i++) {
				if (part[i] in at) text = text " " part[i] "() " at[part[i]] ","
				else if (!index(host, " " part[i] " ")) { print "tests/models/README.md:" row_line[r] ": " part[i] "() is nowhere in the code"; bad = 1 }
			}
			sub(/[,=]$/, "", text); print substr(text, 2)
		}
		exit bad || rows < 20
	}' "$@"
