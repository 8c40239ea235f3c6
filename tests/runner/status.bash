# SPDX-License-Identifier: GPL-2.0-only
# Exit codes: CMD's, and the runner's own for a CMD that cannot start or a bad command line.
# status, out and err come from guest(); words in single quotes are the guest's to expand.
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2116,SC2059,SC2034

test_status_0()
{
	guest true
	equal status 0 $status
	equal stderr '' "$err"
}

test_status_1()
{
	guest false
	equal status 1 $status
}

test_status_255()
{
	guest sh -c 'exit 255'
	equal status 255 $status
}

test_status_signal()
{
	for n in 1 2 9 15 11; do
		guest sh -c "kill -$n \$\$"
		equal "kill -$n" $((128 + n)) $status
	done
}

test_command_not_found()
{
	guest no-such-command-here
	equal status 127 $status
	contains message no-such-command-here "$err"
}

test_command_not_executable()
{
	guest /etc/passwd
	equal status 126 $status
	contains message /etc/passwd "$err"
}

test_unknown_option()
{
	guest --no-such-option true
	equal status 125 $status
	contains message --no-such-option "$err"
}

test_bad_values()
{
	for o in '--memory x' '--memory 1k' '--memory 3K' '--memory 10Q' '--memory -1' '--cpus 0' '--cpus two' '--mem 1K' '--swap 1' '--swap 3T' '--swap 17592186085376' \
		'--files 0' '--files some' '--files -1' '--cpuset x' '--cpuset 1' '--cpuset 0-' '--cpuset ,' '--memset x' '--memset 1' '--memset 0-' '--tasks 0' '--tasks x' '--timeout soon' '--mode fast' '--pin here' '--container /' '--container a/../b' \
		'--rootfs /no/such/dir' '--env NOT_SET_AT_ALL' \
		'--env =x' '--pin 1023' '--pin 99999999999' '--log /no/such/dir/log' '--log /' '--verdict /no/such/dir/v' '--verdict /proc' '--memory'; do
		# shellcheck disable=SC2086 # two words
		guest $o -- true
		equal "$o: status" 125 $status
		# it is this that is wrong, and nothing else
		contains "$o: message" "uml-run: ${o%% *}" "$err"
	done
}

# What it is, and what to give instead; 4K is a page.
test_less_than_a_page()
{
	guest --memory 1k -- true
	contains '1k' '--memory 1k: less than a page' "$err"
	contains 'the cure' 'give pages, or 4K and more' "$err"
	guest --memory 0 -- true
	contains '0' '--memory 0: less than a page' "$err"
	equal '0: status' 125 $status
	guest --memory 4K --dry-run -- true
	equal '4K: status' 0 $status
}

# Neither the default nor nothing: a variable of a script that is not set.
test_empty_values()
{
	for o in --memory --cpus --mem --swap --files --tasks --nodes --cpuset --memset --timeout --mode --pin --container --env \
		--kernel --rootfs --log --verdict --failures; do
		guest $o '' true
		equal "$o '': status" 125 $status
		contains "$o '': message" "uml-run: $o" "$err"
	done
}

test_more_cpus_than_the_kernel_has()
{
	guest --cpus 64 nproc
	equal status 0 $status
	[ "$out" -lt 64 ] || fail "CPUs: expected a kernel with fewer than 64, got $out"
	contains message "fewer CPUs than --cpus 64: this kernel has at most $out" "$err"
	guest --cpus 2 --nodes 2 true
	equal 'as many as asked for' '' "$err"
}

# $1 option; $2 words of the message; then lists of CPUs or nodes, of which the guest would have two each
refused_lists()
{
	local o=$1 what=$2 list
	shift 2
	for list; do
		guest --cpus 2 --nodes 2 $o "$list" true
		equal "$o '$list': status" 125 $status
		contains "$o '$list': message" "uml-run: $o $list: $what" "$err"
	done
}

test_bad_lists()
{
	refused_lists --cpuset 'not a list of CPUs' '' , x 0- -0 1-0 0, ,0 0,,1 ' 0' '0 ' 0x0 +0 0--1 0-1-1 0:1
	refused_lists --memset 'not a list of nodes' '' 1-0
	refused_lists --cpuset 'the guest has CPUs 0 to 1' 2 0-2 0,2 4294967296 18446744073709551616 0-18446744073709551616
	refused_lists --memset 'the guest has nodes 0 to 1' 2
	for o in --cpuset --memset; do
		guest $o
		equal "$o without a list: status" 125 $status
		contains "$o without a list: message" "$o needs a value" "$err"
	done
	guest --memset 1 true
	contains 'without --nodes' 'the guest has nodes 0 to 0; more with --nodes' "$err"
}

test_lists_for_a_kernel_without_containers()
{
	[ -x "$TOP/build/vanilla/linux" ] || fail "the vanilla kernel is not built; cure: make kernel FLAVOUR=vanilla"
	for o in --cpuset --memset; do
		guest --kernel "$TOP/build/vanilla/linux" $o 0 echo hello
		equal "$o: status and output" '125|' "$status|$out"
		contains "$o: message" 'this kernel has no containers' "$err"
	done
}

test_no_command()
{
	guest
	equal status 125 $status
	contains message 'no command' "$err"
}

test_help()
{
	guest --help
	equal status 0 $status
	for o in --memory --cpuset --memset --files --tasks --container --cpus --mem --swap --rootfs --timeout --gdb --shell --kernel 124 125 200 201 202; do
		contains help "$o" "$out"
	done
}

test_kernel_missing()
{
	guest --kernel "$WORK/nothing" true
	equal status 125 $status
	contains message "$WORK/nothing" "$err"
	contains cure make "$err"
}

test_kernel_not_executable()
{
	cp /bin/true "$WORK/k"
	chmod -x "$WORK/k"
	guest --kernel "$WORK/k" true
	equal status 125 $status
	contains message 'cannot be executed' "$err"
}

test_kernel_is_no_kernel()
{
	guest --kernel /bin/true true
	equal status 125 $status
	contains message 'boot failed' "$err"
}

test_dry_run()
{
	guest --dry-run true
	equal status 0 $status
	contains line 'init=/init' "$out"
}

test_verdict_file()
{
	guest --verdict "$WORK/v" sh -c 'exit 200'
	equal status 200 $status
	equal outcome 'outcome=status' "$(head -n 1 "$WORK/v")"
	guest --verdict "$WORK/v" sh -c 'echo c >/proc/sysrq-trigger'
	equal status 200 $status
	equal outcome 'outcome=panic' "$(head -n 1 "$WORK/v")"
}
