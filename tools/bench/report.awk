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

# Fills ratio[], low[], high[] of @a against @b.
function compare(key, a, b,   r, n, list) {
	for (r = 1; r <= rounds; r++)
		if ((key, a, r) in min && (key, b, r) in min && min[key, b, r] > 0)
			list[++n] = min[key, a, r] / min[key, b, r]
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

function block(set, cpus, kernels, against,   k, a, i, j, nk, na, key, head, text, name) {
	nk = split(kernels, k, " ")
	na = split(against, a, " ")
	head = sprintf("%-18s", (set == "paths" ? "CPUs: " cpus : "groups"))
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
			numbers[++nn] = sprintf("{\"set\": \"%s\", \"cpus\": %d, \"line\": \"%s\", \"kernel\": \"%s\", \"min_ns\": %.3f, \"median_ns\": %.3f}", set, cpus, name, k[j], least, middle)
		}
		for (j = 1; j <= na; j++) {
			if (!compare(key, "default", a[j])) {
				text = text sprintf("  %20s", "-")
				continue
			}
			text = text sprintf("  %6.3f (%.3f-%.3f)", ratio, low, high)
			ratios[++nq] = sprintf("{\"set\": \"%s\", \"cpus\": %d, \"line\": \"%s\", \"of\": \"default\", \"against\": \"%s\", \"ratio\": %.4f, \"low\": %.4f, \"high\": %.4f}", set, cpus, name, a[j], ratio, low, high)
		}
		print text
	}
}

FNR == NR {
	if ($1 == "paths" || $1 == "groups") {
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
		else
			block("groups", part[2], "vanilla default cgroup1 cgroup2", "cgroup1 cgroup2")
	}
	printf "{\n\"rounds\": %d, \"cores\": %d, \"quick\": %s,\n\"numbers\": [", rounds, cores, quick ? "true" : "false" >json
	for (i = 1; i <= nn; i++)
		printf "%s\n%s", (i > 1 ? "," : ""), numbers[i] >json
	printf "\n],\n\"ratios\": [" >json
	for (i = 1; i <= nq; i++)
		printf "%s\n%s", (i > 1 ? "," : ""), ratios[i] >json
	printf "\n]\n}\n" >json
}
