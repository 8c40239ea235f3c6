# SPDX-License-Identifier: GPL-2.0-only
# The summary of a run, junit.xml and results.json, from rows of
# status, job, test, milliseconds, message. -v dir= -v seed= -v seconds=

# A test may quote any bytes; one that is no character would make the whole file unreadable.
function plain(s) {
	gsub(/[^ -~]/, "?", s)
	return s
}

function xml(s) {
	s = plain(s)
	gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); gsub(/"/, "\\&quot;", s)
	return s
}

function json(s) {
	s = plain(s)
	gsub(/\\/, "&&", s); gsub(/"/, "\\\"", s)
	return "\"" s "\""
}

# Every suite of the guest is given the seed (lib-main.c), and each may choose by it.
function repeat(i,   r) {
	if (job[i] == "build")
		return test[i] == "programs" ? "make tools tests" : "make kernel FLAVOUR=" test[i]
	r = job[i] (test[i] ~ /^[a-zA-Z0-9_.-]+$/ && test[i] != job[i] ? ":" test[i] : "")
	return "./uml check --only " r (job[i] ~ /^(kunit|runner$|spin$|lint$|budget$)/ ? "" : " --seed " seed)
}

{
	n++
	status[n] = $1; job[n] = $2; test[n] = $3; ms[n] = $4; message[n] = $5
	if (!(job[n] in tests))
		jobs[++nr_jobs] = job[n]
	tests[job[n]]++
	time[job[n]] += ms[n]
	kept += $1 == "ok" && $5 == "kept"
	if ($1 == "ok")
		passed++
	else if ($1 == "skip")
		skipped++
	else
		failures[job[n]]++
}

END {
	said["ok"] = "passed"; said["skip"] = "skipped"; said["fail"] = "failed"
	failed = n - passed - skipped
	out = dir "/junit.xml"
	printf "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"%d\" failures=\"%d\" skipped=\"%d\" time=\"%d\">\n", n, failed, skipped, seconds > out
	for (j = 1; j <= nr_jobs; j++) {
		printf "<testsuite name=\"%s\" tests=\"%d\" failures=\"%d\" time=\"%.3f\">\n", xml(jobs[j]), tests[jobs[j]], failures[jobs[j]], time[jobs[j]] / 1000 > out
		for (i = 1; i <= n; i++) {
			if (job[i] != jobs[j])
				continue
			printf "<testcase classname=\"%s\" name=\"%s\" time=\"%.3f\"", xml(job[i]), xml(test[i]), ms[i] / 1000 > out
			if (status[i] == "ok")
				print "/>" > out
			else if (status[i] == "skip")
				printf "><skipped message=\"%s\"/></testcase>\n", xml(message[i]) > out
			else
				printf "><failure message=\"%s\">%s</failure></testcase>\n", xml(message[i]), xml(repeat(i)) > out
		}
		print "</testsuite>" > out
	}
	print "</testsuites>" > out
	close(out)

	out = dir "/results.json"
	printf "{\n\"passed\": %d, \"failed\": %d, \"skipped\": %d, \"seconds\": %d, \"seed\": %d,\n\"tests\": [", passed, failed, skipped, seconds, seed > out
	for (i = 1; i <= n; i++) {
		printf("%s\n{\"job\": %s, \"test\": %s, \"status\": \"%s\", \"ms\": %d", (i == 1 ? "" : ","), json(job[i]),
		       json(test[i]), said[status[i]], ms[i]) > out
		if (status[i] == "ok" && message[i] == "kept")
			printf ", \"kept\": true" > out
		if (status[i] != "ok")
			printf ", \"message\": %s, \"repeat\": %s", json(message[i]), json(repeat(i)) > out
		printf "}" > out
	}
	print "\n]\n}" > out
	close(out)

	if (failed)
		print ""
	for (i = 1; i <= n; i++)
		if (status[i] == "fail")
			printf "FAILED %s:%s\n  %s\n  repeat: %s\n", job[i], test[i], message[i], repeat(i)
	printf "\nin %d min %02d s; %s/junit.xml, %s/results.json\n", seconds / 60, seconds % 60, dir, dir
	if (kept)
		printf "%d verdicts are kept from before, as nothing they depend on has changed; --fresh runs them all\n", kept
	if (skipped)
		printf "%d could not be done on this machine and are neither passed nor failed:\n", skipped
	for (i = 1; i <= n; i++)
		if (status[i] == "skip")
			printf "  %s:%s: %s\n", job[i], test[i], message[i]
	printf "%d passed, %d failed\n", passed, failed
	exit failed || !passed
}
