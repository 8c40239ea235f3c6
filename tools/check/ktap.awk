# SPDX-License-Identifier: GPL-2.0-only
# Rows from the KTAP of KUnit in a kernel log. A case that the sources have and
# the log has not, a plan that is not kept and a skip are failures.
# -v job= -v code= -v why= -v plan=, as in tap.awk

function row(status, test, message) {
	gsub(/\t/, " ", message)
	printf "%s\t%s\t%s\t0\t%s\n", status, job, test, message
}

# A level ends: did it keep its plan?
function close_level(what, planned, had) {
	if (planned != had)
		row("fail", what, "its plan says " planned " tests, " had " ended")
}

BEGIN {
	while ((getline name < plan) > 0)
		if (!(name in wanted)) {
			wanted[name] = 1
			order[++n] = name
		}
	top_plan = suites = 0
}

{
	sub(/\r$/, "")
	sub(/^(<[0-9]+>)?\[ *[0-9]+\.[0-9]+\](\[ *[A-Z]?[0-9]+\])? ?/, "")
}

/^1\.\.[0-9]+$/ && !top_plan { top_plan = substr($0, 4) + 0; next }
/^    # Subtest: / { suite = $3; cases = bad = 0; suite_plan = -1; message = ""; next }
/^    1\.\.[0-9]+$/ { suite_plan = substr($0, 8) + 0; next }

/^    (not )?ok [0-9]+ / {
	line = $0
	good = /^    ok/
	sub(/^    (not )?ok [0-9]+ (- )?/, "", line)
	name = line
	sub(/ .*/, "", name)
	cases++
	seen[name] = 1
	if (line ~ /# SKIP/)
		row("fail", name, "skipped: " line)
	else
		row(good ? "ok" : "fail", name, good ? "" : message)
	bad += !good
	message = ""
	next
}

/^(not )?ok [0-9]+ / && suite != "" {
	close_level(suite, suite_plan, cases)
	# its own beginning or end went wrong
	if (/^not/ && !bad)
		row("fail", suite, "not ok, although no case of it failed " message)
	suites++
	suite = message = ""
	next
}

# "# case: EXPECTATION FAILED at FILE:LINE", then what was expected and got
/(EXPECTATION|ASSERTION) FAILED at / {
	sub(/.*FAILED at /, "")
	message = message (message == "" ? "" : "; ") $0 ":"
	next
}

message != "" && !/^ *#/ { gsub(/^ +/, ""); message = message " " $0 }

END {
	if (suite != "")
		row("fail", suite, "the kernel ended inside this suite: exit status " code ", " why)
	close_level("(suites)", top_plan, suites)
	for (i = 1; i <= n; i++)
		if (!seen[order[i]])
			row("fail", order[i], "the source has this case, the log has no result of it: exit status " code ", " why)
	if (n == 0)
		row("fail", "*", "there is no KUNIT_CASE in the sources")
	if (code != 0)
		row("fail", "(kernel)", "exit status " code ": " why)
}
