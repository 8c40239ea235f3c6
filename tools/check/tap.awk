# SPDX-License-Identifier: GPL-2.0-only
# Rows from the output of a guest suite or of the runner's tests:
#   ok 3 - name # 12 ms            not ok 4 - name # 3 ms, core.c:40: what was wrong
# -v job= -v code= (exit status) -v why= (the runner's last words) -v plan= (file of names)
# A name of the plan without a line has failed, so has a line without a plan. A skip is a failure in a guest, which has
# all that we gave it; of the runner's tests it says what the machine around us does not allow.

function row(status, test, ms, message) {
	gsub(/\t/, " ", message)
	printf "%s\t%s\t%s\t%d\t%s\n", status, job, test, ms, message
}

BEGIN {
	while ((getline name < plan) > 0)
		if (!(name in wanted)) {
			wanted[name] = 1
			order[++n] = name
		}
}

{ sub(/\r$/, "") }

/^Bail out!/ { bail = substr($0, 11) }

/^(not )?ok ([0-9]+ )?- / {
	good = /^ok/
	line = $0
	sub(/^(not )?ok ([0-9]+ )?- /, "", line)
	name = line
	sub(/ # .*/, "", name)
	message = line == name ? "" : substr(line, length(name) + 4)
	ms = 0
	if (match(message, /^[0-9]+ ms,? ?/)) {
		ms = message + 0
		message = substr(message, RLENGTH + 1)
	}
	if (!(name in wanted)) {
		row("fail", name, ms, "reported, but not in the plan")
	} else if (seen[name]++) {
		row("fail", name, ms, "reported twice")
	} else if (message ~ /^SKIP/) {
		row(good && job == "runner" ? "skip" : "fail", name, ms, "skipped: " message)
	} else {
		row(good ? "ok" : "fail", name, ms, message)
	}
	failed += !good
}

END {
	reason = bail != "" ? bail : why
	for (i = 1; i <= n; i++)
		if (!seen[order[i]])
			row("fail", order[i], 0, "did not run to its end: exit status " code ", " reason)
	if (n == 0)
		row("fail", "*", 0, "the plan is empty: exit status " code ", " reason)
	# a failed test makes 1; every other status is the runner's own
	if (code != 0 && !(code == 1 && failed))
		row("fail", "(kernel)", 0, "exit status " code ": " reason)
	else if (code == 0 && failed)
		row("fail", "(status)", 0, "exit status 0 although " failed " failed")
}
