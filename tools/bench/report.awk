# SPDX-License-Identifier: GPL-2.0-only
# The table, and results.json, of rows "set CPUs kernel round name min median" (nanoseconds). The
# first file is tools/bench/lines. -v json= -v rounds= -v cores= -v quick=
#
# A kernel's min is the smallest of all, its median that of the rounds' medians. A ratio is made of
# the minima of two kernels in the same round; what is shown is the median of those, and the
# quartiles around it.

function sorted(list, n,   i, j, x) {
	for (i = 2; i <= n; i++) {
		x = list[i]
		for (j = i - 1; j >= 1 && list[j] > x; j--)
			list[j + 1] = list[j]
		list[j + 1] = x
	}
}

# the value at part @q of a sorted list
function at(list, n, q,   place, low) {
	place = 1 + q * (n - 1)
	low = int(place)
	return low >= n ? list[n] : list[low] + (place - low) * (list[low + 1] - list[low])
}

function time(ns) {
	if (ns < 1000)
		return sprintf("%.1f ns", ns)
	if (ns < 1000000)
		return sprintf("%.2f us", ns / 1000)
	return sprintf("%.2f ms", ns / 1000000)
}

# Sets ratio, low and high: @key of kernel @a against @other of kernel @b.
function compare(key, a, other, b,   r, n, list) {
	for (r = 1; r <= rounds; r++)
		if ((key, a, r) in min && (other, b, r) in min && min[other, b, r] > 0)
			list[++n] = min[key, a, r] / min[other, b, r]
	if (!n)
		return 0
	sorted(list, n)
	ratio = at(list, n, 0.5)
	low = at(list, n, 0.25)
	high = at(list, n, 0.75)
	return 1
}

function summary(key, kernel,   r, n, mins, medians) {
	for (r = 1; r <= rounds; r++) {
		if (!((key, kernel, r) in min))
			continue
		mins[++n] = min[key, kernel, r]
		medians[n] = median[key, kernel, r]
	}
	if (!n)
		return 0
	sorted(mins, n)
	sorted(medians, n)
	least = mins[1]
	middle = at(medians, n, 0.5)
	return 1
}

# One kernel with several numbers of CPUs, against the first of them.
function programs(list,   c, n, i, j, key, text, shown) {
	n = split(list, c, " ")
	for (i = 1; i <= nr; i++) {
		if (of[i] != "programs" || !(("programs", c[1], names[i]) in seen))
			continue
		if (!shown++) {
			text = sprintf("%s%-22s", blocks++ ? "\n" : "", "programs")
			for (j = 1; j <= n; j++)
				text = text sprintf(j == 1 ? " %10s" : "  %31s", c[j] " CPU" (c[j] > 1 ? "s" : ""))
			print text
		}
		text = sprintf("%-22s", names[i])
		for (j = 1; j <= n; j++) {
			key = "programs" SUBSEP c[j] SUBSEP names[i]
			if (!summary(key, "default"))
				continue
			text = text sprintf(" %10s", time(least))
			number(key, "default")
			if (j > 1 && compare(key, "default", "programs" SUBSEP c[1] SUBSEP names[i], "default")) {
				text = text sprintf(" %6.3f (%.3f-%.3f)", ratio, low, high)
				quotient(key, c[1] " CPUs")
			}
		}
		print text
	}
}

function number(key, kernel,   part) {
	split(key, part, SUBSEP)
	numbers[++nn] = sprintf("{\"set\": \"%s\", \"cpus\": %d, \"line\": \"%s\", \"kernel\": \"%s\", \"min_ns\": %.3f, \"median_ns\": %.3f}", part[1], part[2], part[3], kernel, least, middle)
}

function quotient(key, against,   part) {
	split(key, part, SUBSEP)
	ratios[++nq] = sprintf("{\"set\": \"%s\", \"cpus\": %d, \"line\": \"%s\", \"of\": \"default\", \"against\": \"%s\", \"ratio\": %.4f, \"low\": %.4f, \"high\": %.4f}", part[1], part[2], part[3], against, ratio, low, high)
}

function block(set, cpus, kernels, against,   k, a, i, j, nk, na, key, head, text, name) {
	nk = split(kernels, k, " ")
	na = split(against, a, " ")
	head = sprintf("%-18s", (set == "paths" ? "CPUs: " cpus : set))
	for (i = 1; i <= nk; i++)
		head = head sprintf(" %21s", k[i])
	for (j = 1; j <= na; j++)
		head = head sprintf("  %20s", "/ " a[j])
	for (i = 1; i <= nr; i++) {
		if (of[i] != set)
			continue
		name = names[i]
		key = set SUBSEP cpus SUBSEP name
		if (!(key in seen))
			continue
		if (head) {
			print (blocks++ ? "\n" : "") head
			head = ""
		}
		text = sprintf("%-18s", name)
		for (j = 1; j <= nk; j++) {
			if (!summary(key, k[j])) {
				text = text sprintf(" %21s", "-")
				continue
			}
			text = text sprintf(" %10s %10s", time(least), time(middle))
			number(key, k[j])
		}
		for (j = 1; j <= na; j++) {
			if (!compare(key, "default", key, a[j])) {
				text = text sprintf("  %20s", "-")
				continue
			}
			text = text sprintf("  %6.3f (%.3f-%.3f)", ratio, low, high)
			quotient(key, a[j])
		}
		print text
	}
}

BEGIN {
	known["paths"]
	known["groups"]
	known["places"]
	known["memory"]
	known["programs"]
}

FNR == NR {
	if ($1 in known) {
		of[++nr] = $1
		names[nr] = $2
	}
	next
}

{
	key = $1 SUBSEP $2 SUBSEP $5
	seen[key]
	if (!(($1, $2) in counted)) {
		counted[$1, $2]
		sets[++ns] = $1 " " $2
	}
	min[key, $3, $4] = $6
	median[key, $3, $4] = $7
}

END {
	print "each: the smallest, and the median of the rounds' medians; ratio of default: median (quartiles)\n"
	for (s = 1; s <= ns; s++) {
		split(sets[s], part, " ")
		if (part[1] == "paths")
			block("paths", part[2], "vanilla default", "vanilla")
		else if (part[1] == "programs")
			of_programs = of_programs " " part[2]
		else if (part[1] == "places" || part[1] == "memory")
			block(part[1], part[2], "default cgroup1 cgroup2", "cgroup1 cgroup2")
		else
			block("groups", part[2], "vanilla default cgroup1 cgroup2", "cgroup1 cgroup2")
	}
	programs(of_programs)
	printf "{\n\"rounds\": %d, \"cores\": %d, \"quick\": %s,\n\"numbers\": [", rounds, cores, quick ? "true" : "false" >json
	for (i = 1; i <= nn; i++)
		printf "%s\n%s", (i > 1 ? "," : ""), numbers[i] >json
	printf "\n],\n\"ratios\": [" >json
	for (i = 1; i <= nq; i++)
		printf "%s\n%s", (i > 1 ? "," : ""), ratios[i] >json
	printf "\n]\n}\n" >json
}
