# SPDX-License-Identifier: GPL-2.0-only
# What containers add to Linux's own structures, against the vanilla kernel.
# shellcheck shell=bash disable=SC2154,SC2034

# Compiles $2 with the command that the kernel of flavour $1 compiled its first task with, after $3, and
# prints "NAME SIZE" of the variables in it: their sizes are the numbers asked for.
sizes_in()
{
	local command source="$WORK/size.c" object="$WORK/size-$1.o"
	cd -P "$TOP/build/$1" || return 1
	printf '%s\n#include <linux/sched.h>\n%s\n' "${3-}" "$2" >"$source"
	command=$(sed -n 's/^savedcmd_init\/init_task.o := //p' init/.init_task.o.cmd)
	command=${command/-MMD,init\/.init_task.o.d/-MMD,$WORK/size.d}
	command=${command/-o init\/init_task.o/-o $object}
	eval "${command/..\/init\/init_task.c/$source}" && nm -S "$object" |
		while read -r _ size _ name; do echo "$name $((16#$size))"; done
}

size_of()
{
	sed -n "s/^$1 //p" <<<"$2"
}

# From a field that stands before ours to the one after it. What the whole grows by says less: it
# is a multiple of a cache line, and measuring CPU time here takes 24 bytes out, elsewhere in it.
# Between the two Linux has 16 bytes for its own cpusets (mems_allowed, its sequence, a rotor), which
# memset uses and vanilla is built without. Before them are Linux's own fields of group scheduling,
# which cpu uses: 40 bytes in sched_entity, which is a multiple of a cache line, and a pointer.
test_task_struct_grows_by_one_pointer()
{
	local ask ours vanilla without='#undef CONFIG_CONTAINER_MEMSET'
	ask='char span[offsetof(struct task_struct, futex) - offsetof(struct task_struct, last_siginfo)];
		char whole[sizeof(struct task_struct)]; char entity[sizeof(struct sched_entity)];'
	[ -e "$TOP/build/vanilla/init/.init_task.o.cmd" ] ||
		fail "the vanilla kernel is not built; cure: make kernel FLAVOUR=vanilla"
	ours=$(sizes_in default "$ask")
	vanilla=$(sizes_in vanilla "$ask")
	equal 'growth with what memset has from Linux' 24 $(($(size_of span "$ours") - $(size_of span "$vanilla")))
	equal 'growth between the fields around ours' 8 \
		$(($(size_of span "$(sizes_in default "$ask" "$without")") - $(size_of span "$vanilla")))
	equal 'growth of the scheduler entity by what group scheduling has from Linux' 64 \
		$(($(size_of entity "$ours") - $(size_of entity "$vanilla")))
	[ "$(size_of whole "$ours")" -le $(($(size_of whole "$vanilla") + 64)) ] ||
		fail "task_struct is $(size_of whole "$ours") bytes, $(size_of whole "$vanilla") in vanilla"
}
