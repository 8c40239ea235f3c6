# SPDX-License-Identifier: GPL-2.0-only
# What make does again and what not (the Makefile, tools/hooks.sh, tools/config.sh), with a Linux of
# ten files whose objects are copies of their sources. What Linux's own build makes of it no test says.
# status, out and err come from make_it().
# Each is many processes and little work: no time where the machine is quiet, much where it is not.
# (limit of make_again_does_nothing: 180 s)
# (limit of make_again_after_a_change: 180 s)
# (limit of make_again_after_a_removal: 180 s)
# (limit of make_stops: 180 s)
# (limit of make_beside_another: 180 s)
# shellcheck shell=bash disable=SC2154,SC2086,SC2016,SC2034

# $WORK/linux: a Linux whose `make linux` prints what it compiles, as Linux's does.
fake_linux()
{
	local dir
	for dir in arch/um/kernel arch/x86/um fs include/linux init kernel lib mm scripts/kconfig; do
		mkdir -p "$WORK/linux/$dir"
	done
	cd "$WORK/linux" || exit 1
	cat >Makefile <<-'EOF'
	.RECIPEPREFIX := >
	VERSION = 7
	PATCHLEVEL = 3
	SUBLEVEL = 4
	EXTRAVERSION =
	sources := $(wildcard init/*.c kernel/*.c mm/*.c kernel/container/*.c arch/um/kernel/*.c)
	objects := $(patsubst %.c,$(O)/%.o,$(sources))
	linux: $(O)/linux
	$(O)/linux: $(objects)
	> @echo '  LD      linux'
	> @cat $^ >$@ && chmod +x $@
	$(filter $(O)/kernel/container/%,$(objects)): include/linux/containers.h
	$(O)/%.o: %.c
	> @mkdir -p $(@D)
	> @echo '  CC      $*.o'
	> @! grep -H 'error:' $<
	> @cp $< $@
	kernelversion:
	> @echo 7.3.4
	EOF
	printf '#!/bin/sh\ncp "$5" "$4/.config"\n' >scripts/kconfig/merge_config.sh
	chmod +x scripts/kconfig/merge_config.sh
	seq 1 20 >init/main.c
	seq 21 40 >kernel/fork.c
	seq 41 60 >mm/page.c
	seq 61 80 >arch/um/kernel/um.c
}

# $WORK/p: this project's build, with rooms of four files, two hooks and a runner that does nothing.
fake_project()
{
	fake_linux
	mkdir -p "$WORK/p/tools/run" "$WORK/p/tools/init"
	cd "$WORK/p" || exit 1
	cp -r "$TOP/Makefile" .
	cp "$TOP"/tools/*.sh "$TOP/tools/tools.mk" tools/
	cp -r "$TOP/tools/common" tools/
	mkdir -p um-configs tests/bench kernel/container mm/container include/linux arch/um/kernel
	cp "$TOP/tests/tests.mk" tests/
	cp "$TOP/tests/bench/bench.mk" tests/bench/
	printf 'CONFIG_BASE=y\n' | tee um-configs/base.config >um-configs/vanilla.config
	printf 'CONFIG_OURS=y\n' >um-configs/default.config
	echo 'int main(void) { return 0; }' | tee tools/run/main.c >tools/init/main.c
	: | tee tools/run/run.h >tools/init/init.h
	echo group >kernel/container/group.c
	echo css >kernel/container/css.c
	echo header >include/linux/containers.h
	echo numa >arch/um/kernel/numa.c
	hook kernel kernel/fork.c 21
	hook mm mm/page.c 41
}

# hook ROOM FILE LINE: a hooks.patch of that room which adds a line after the first one of FILE
hook()
{
	printf -- '--- a/%s\n+++ b/%s\n@@ -1,2 +1,3 @@\n %s\n+%s\n %s\n' $2 $2 $3 "${4-hook}" $(($3 + 1)) >$1/hooks.patch
}

make_it()
{
	status=0
	env -u MAKEFLAGS -u LINUX_TARBALL "LINUX_SRC=$WORK/linux" make "$@" >"$WORK/o" 2>"$WORK/e" </dev/null || status=$?
	out=$(cat "$WORK/o")
	err=$(cat "$WORK/e")
	# what is written from now on is newer than what was made, also where clocks of files are coarse
	until touch "$WORK/now"; [ "$WORK/now" -nt build/default/linux ]; do :; done
}

# What the last build of a kernel compiled, in one line; nothing when it did not even link.
compiled()
{
	sed -n 's/^  CC  *//p; s/^  LD  *//p' "build/${1-default}/build.log" | sort | tr '\n' ' '
}

# again WHAT OBJECTS: makes again ($targets), and just these are compiled
again()
{
	make_it $targets
	equal "$1: status ($err)" 0 $status
	equal "$1: what is compiled" "$2" "$(compiled)"
}

# All that is made, with its times; but for logs and locks.
made()
{
	find linux.uml build -type f ! -name '*.log' ! -name '*.lock' ! -name hooked -printf '%p %T@ %i\n' | sort
}

test_make_again_does_nothing()
{
	fake_project
	make_it
	equal "status ($err)" 0 $status
	contains 'the kernel' numa "$(cat linux.uml)"
	contains 'a file with a hook' $'21\nhook\n22' "$(cat linux.uml)"
	made >"$WORK/before"
	make_it
	equal "status ($err)" 0 $status
	equal 'what it says' '' "$(grep -v '^make' <<<"$out")"
	equal 'what is compiled' '' "$(compiled)"
	made | diff "$WORK/before" - >"$WORK/diff" || fail "expected nothing to be written, got $(sed -n 's/^> \([^ ]*\).*/\1/p' "$WORK/diff" | tr '\n' ' ')"
	# as new as before, and not more: what is touched has changed for make
	touch um-configs/default.config tools/config.sh
	again 'a fragment with the same lines' ''
}

test_make_again_after_a_change()
{
	fake_project
	make_it kernel
	equal "status ($err)" 0 $status
	echo more >>kernel/container/css.c
	targets=kernel again 'a file of a room' 'kernel/container/css.o linux '
	contains 'the kernel' more "$(cat build/default/linux)"
	echo more >>include/linux/containers.h
	targets=kernel again 'a header' 'kernel/container/css.o kernel/container/group.o linux '
	echo new >kernel/container/new.c
	echo new >arch/um/kernel/smp.c
	targets=kernel again 'a new file' 'arch/um/kernel/smp.o kernel/container/new.o linux '
	hook mm mm/page.c 41 another
	targets=kernel again 'a hook' 'linux mm/page.o '
	contains 'the kernel' $'41\nanother\n42' "$(cat build/default/linux)"
}

test_make_again_after_a_removal()
{
	fake_project
	echo new >arch/um/kernel/smp.c
	make_it
	equal "status ($err)" 0 $status
	rm mm/hooks.patch
	again 'a hook that is gone' 'linux mm/page.o '
	contains 'the kernel' $'41\n42' "$(cat linux.uml)"
	rm arch/um/kernel/smp.c
	again 'a file that is gone' ''
	[ ! -L build/linux/arch/um/kernel/smp.c ] || fail 'a file that is gone: expected no link to it, got one'
	made >"$WORK/before"
	echo 'int more;' >>tools/run/main.c
	again 'the runner' ''
	equal 'what is made' 'build/tools/uml-run' "$(made | diff "$WORK/before" - | sed -n 's/^> \([^ ]*\).*/\1/p')"
	echo CONFIG_MORE=y >>um-configs/default.config
	make_it
	contains '.config' CONFIG_MORE=y "$(cat build/default/.config)"
	# Linux as it is has no file of ours
	make_it kernel FLAVOUR=vanilla
	equal 'vanilla' 'arch/um/kernel/um.o init/main.o kernel/fork.o linux mm/page.o ' "$(compiled vanilla)"
}

# It stops, says where and why, and what was built before stays.
test_make_stops()
{
	fake_project
	make_it
	hook mm mm/page.c 70
	make_it
	[ $status -ne 0 ] || fail 'a hook without a place: expected a failure, got 0'
	contains message 'mm/hooks.patch does not apply to this Linux (7.3.4)' "$err"
	contains 'which one' $'patching file mm/page.c\nHunk #1 FAILED' "$err"
	# elsewhere, it is found: another 7.3.x
	seq 30 60 >"$WORK/linux/mm/page.c"
	hook mm mm/page.c 41
	make_it
	contains 'a hook whose lines are elsewhere' $'41\nhook\n42' "$(cat linux.uml)"
	made >"$WORK/before"
	hook mm mm/gone.c 41
	make_it
	contains message 'mm/hooks.patch changes mm/gone.c, which this Linux does not have' "$err"
	hook mm mm/page.c 41
	echo 'error: it is wrong' >kernel/container/wrong.c
	make_it
	[ $status -ne 0 ] || fail 'a wrong file: expected a failure, got 0'
	contains message 'linux (default): the build failed' "$err"
	contains message 'kernel/container/wrong.c:error: it is wrong' "$err"
	rm kernel/container/wrong.c
	cp um-configs/default.config "$WORK/good"
	echo CONFIG_OURS=n >>um-configs/default.config
	make_it
	[ $status -ne 0 ] || fail 'a fragment that does not hold: expected a failure, got 0'
	contains message 'do not hold' "$err"
	cp "$WORK/good" um-configs/default.config
	make_it FLAVOUR=odd
	contains message 'FLAVOUR=odd is not one of: default' "$err"
	equal 'what was built' "$(cd "$WORK/p" && grep '^linux.uml' "$WORK/before")" "$(made | grep '^linux.uml')"
	again 'all is well again' ''
}

# Linux's own build cannot be where such names are, and says something else about it.
test_make_in_an_odd_place()
{
	local place
	for place in 'a dir' 'a:b' "o'brien" 'a#b' 'a$b' 'a(b' 'good-1.2+x_~@,='; do
		mkdir -p "$WORK/$place"
		cd "$WORK/$place" || exit 1
		cp -r "$TOP/Makefile" "$TOP/um-configs" .
		mkdir -p tools tests/bench
		cp "$TOP"/tools/*.mk tools/
		cp "$TOP/tests/tests.mk" tests/
		cp "$TOP/tests/bench/bench.mk" tests/bench/
		make_it help
		case $place in
		good*) equal "$place: status ($err)" 0 $status; continue ;;
		esac
		equal "$place: status" 2 $status
		contains "$place: message" "the directory $WORK/$place: Linux cannot be built below a name with" "$err"
		contains "$place: cure" 'another place for this tree' "$err"
	done
}

# `make clean BUILD=` would begin at /.
test_make_with_bad_words()
{
	fake_project
	mkdir build
	for build in '' / . ..; do
		make_it -n clean "BUILD=$build"
		equal "BUILD=$build: status" 2 $status
		equal "BUILD=$build: what it would do" '' "$out"
		contains "BUILD=$build: message" "BUILD=$build: not a directory of its own" "$err"
	done
	make_it -n clean
	case $out in *' /'*) fail "make clean: expected names below this directory, got $out" ;; esac
	for flavour in '' odd ../default; do
		make_it "FLAVOUR=$flavour"
		equal "FLAVOUR=$flavour: status" 2 $status
		contains "FLAVOUR=$flavour: message" "FLAVOUR=$flavour is not one of: default" "$err"
	done
}

# A cache that cannot be written, as with a HOME that is read-only, would fail each compilation.
test_make_without_a_place_for_ccache()
{
	cd "$TOP" || exit 1
	command -v ccache >/dev/null || fail 'ccache is missing; cure: apt-get install ccache'
	equal 'with one' "$(command -v ccache)" "$(CCACHE_DIR=$WORK/cache make -pn help | sed -n 's/^CCACHE := //p')"
	for home in CCACHE_DIR=/proc/nowhere HOME=/proc/nowhere; do
		# it may have a place that does not depend on that
		case $(env -u CCACHE_DIR -u XDG_CACHE_HOME $home ccache -k cache_dir) in
		/proc/nowhere*) ;;
		*) continue ;;
		esac
		equal "$home" '' "$(env -u CCACHE_DIR -u XDG_CACHE_HOME $home make -pn help | sed -n 's/^CCACHE := //p')"
	done
}

# What hooks-save writes has a licence line, and is what makes the tree.
test_make_hooks_save()
{
	fake_project
	make_it
	equal "status ($err)" 0 $status
	make_it hooks-save
	equal "hooks-save: status ($err)" 0 $status
	contains counts '2 added of 300' "$out"
	for room in kernel mm; do
		equal "$room/hooks.patch, line 1" '# SPDX-License-Identifier: GPL-2.0-only' "$(head -n 1 $room/hooks.patch)"
		equal "$room/hooks.patch, line 2" "--- a/$room" "$(sed -n '2s,/[a-z]*\.c$,,p' $room/hooks.patch)"
	done
	again 'after hooks-save' ''
}

# A guest is open in one terminal, the kernel is built again in another.
test_make_while_it_runs()
{
	fake_project
	make_it
	cp "$(command -v sleep)" linux.uml
	./linux.uml 1000 &
	local running=$!
	make_it
	kill $running
	equal "status ($err)" 0 $status
	contains 'the kernel' numa "$(cat linux.uml)"
}

# Two in a new tree, as the first two runs start them: one builds, the other finds it built.
test_make_beside_another()
{
	fake_project
	sed -i 's/^> @cp \$< \$@$/> @sleep 0.1; echo $* >>begun; cp $< $@/' "$WORK/linux/Makefile"
	local make="env -u MAKEFLAGS -u LINUX_TARBALL LINUX_SRC=$WORK/linux make"
	$make >"$WORK/o1" 2>&1 &
	$make >"$WORK/o2" 2>&1 || fail "one: expected 0, got $?: $(tail -n 1 "$WORK/o2")"
	wait $! || fail "the other: expected 0, got $?: $(tail -n 1 "$WORK/o1")"
	contains 'objects that were made' kernel/container/group "$(cat build/linux/begun)"
	equal 'objects that were made twice' '' "$(sort build/linux/begun | uniq -d | tr '\n' ' ')"
	contains 'the kernel' numa "$(cat linux.uml)"
	contains 'who waited says so' 'linux (default): waits for another build of it' "$(cat "$WORK/o1" "$WORK/o2")"
}
