# SPDX-License-Identifier: GPL-2.0-only
# Every build step. `make` builds ./linux.uml (flavour default); `make help` lists the rest.

BUILD	 := build
FLAVOUR	 ?= default
# Added lines in all hooks.patch together (DESIGN.md, the hook rule), and in that of arch/um, which
# has a count of its own.
BUDGET	 := 300
UM_BUDGET := 120
JOBS	 ?= $(shell nproc)
TOP	 := $(CURDIR)
# The tree a flavour is built from: with our rooms and hooks in it, or Linux as it is.
TREE	 := $(if $(filter vanilla bench-vanilla,$(FLAVOUR)),stock,hooks)
LINUX	 := $(BUILD)/$(if $(filter stock,$(TREE)),stock,linux)
# A link to $(LINUX)/obj-$(FLAVOUR): right below its source the kernel is built with relative
# paths, so that a compiler cache serves every clone.
OBJ	 := $(BUILD)/$(FLAVOUR)
# Where it has a place to write to: with HOME read-only it would fail each compilation.
CCACHE	 := $(shell d=$$(ccache -k cache_dir 2>/dev/null) && mkdir -p "$$d" 2>/dev/null && [ -w "$$d" ] && command -v ccache)
CC	 := gcc

# What each flavour is merged from, in order.
FRAGMENTS_default := base default
FRAGMENTS_kunit	  := base default kunit
FRAGMENTS_debug	  := base default kunit debug
FRAGMENTS_up	  := base default kunit up
FRAGMENTS_up-preempt := base default kunit up preempt
FRAGMENTS_vanilla := base vanilla
# What is compared, and nothing but the benchmark in it besides (tests/bench/kernel).
FRAGMENTS_bench-default := $(FRAGMENTS_default)
FRAGMENTS_bench-vanilla := $(FRAGMENTS_vanilla)
FRAGMENTS_bench-cgroup	:= base cgroup
FLAVOURS	  := default kunit debug up up-preempt vanilla bench-default bench-vanilla bench-cgroup
# Objects of a full build, for the first progress line.
OBJECTS		  := 1150

ifeq ($(FRAGMENTS_$(FLAVOUR)),)
$(error FLAVOUR=$(FLAVOUR) is not one of: $(FLAVOURS))
endif
# An empty one would be / for `make clean`.
ifeq ($(filter-out / . ./ .. ../,$(BUILD)),)
$(error BUILD=$(BUILD): not a directory of its own; cure: leave it out, or name one)
endif
# What neither make nor Linux's own build can have in a path.
HASH	 := \#
ODD	 := $(if $(word 2,$(TOP)),a space)$(foreach c,: ' " $$ % & ; \ * ? ( ) < > | $(HASH),$(findstring $c,$(TOP)))
ifneq ($(strip $(ODD)),)
$(error the directory $(TOP): Linux cannot be built below a name with $(strip $(ODD)) in it; cure: another place for this tree)
endif
CONFIGS	 := $(patsubst %,um-configs/%.config,$(FRAGMENTS_$(FLAVOUR)))
export CCACHE_BASEDIR := $(TOP)
export CCACHE_NOHASHDIR := 1
# A link in the tree, and a directory more for Kbuild, which no other flavour names: no line of
# the tree changes. UML has no ARCH_DRIVERS of its own.
BENCH	 := $(if $(filter bench-%,$(FLAVOUR)),ARCH_DRIVERS=bench/)
KMAKE	 = $(MAKE) -C $(LINUX) O=$(TOP)/$(LINUX)/obj-$(FLAVOUR) ARCH=um $(BENCH) CC="$(CCACHE) $(CC)" HOSTCC="$(CCACHE) $(CC)" \
	   KBUILD_BUILD_USER=uml KBUILD_BUILD_HOST=containers KBUILD_BUILD_TIMESTAMP=

.PHONY: all kernel hooks stock hooks-save series budget tools tests lint config clean clean-source help FORCE

all: linux.uml

# The kernel that a user boots.
linux.uml: FLAVOUR := default
linux.uml: kernel tools
	@# a new file: the old one may be running
	@cmp -s $(BUILD)/default/linux $@ || { cp $(BUILD)/default/linux $(BUILD)/$@.$$$$ && mv -f $(BUILD)/$@.$$$$ $@; }

# Always asked: LINUX_SRC or LINUX_TARBALL may name another than last time.
$(BUILD)/source.stamp: FORCE
	@tools/source.sh $(BUILD)

# build/linux: Linux with our rooms and hooks in it.
hooks: $(BUILD)/source.stamp
	@tools/hooks.sh apply $(BUILD)

# build/stock: Linux without a line of ours.
stock: $(BUILD)/source.stamp
	@tools/hooks.sh stock $(BUILD)

# For whoever edits a hook: change build/linux, then save it into the rooms.
hooks-save:
	@tools/hooks.sh save $(BUILD)
	@tools/hooks.sh count $(BUDGET) $(UM_BUDGET)

# For UML's maintainers: arch/um as mails.
series: $(BUILD)/source.stamp
	@rm -rf $(BUILD)/mails
	@tools/series.sh mails $(BUILD) $(BUILD)/mails

budget:
	@tools/hooks.sh count $(BUDGET) $(UM_BUDGET)

$(OBJ)/.config: $(CONFIGS) tools/config.sh | $(TREE)
	@mkdir -p $(LINUX)/obj-$(FLAVOUR)
	@[ "$$(readlink $(OBJ))" = $(notdir $(LINUX))/obj-$(FLAVOUR) ] || { rm -rf $(OBJ) && ln -s $(notdir $(LINUX))/obj-$(FLAVOUR) $(OBJ); }
	@tools/config.sh $(LINUX) $(OBJ) $(CONFIGS)

kernel: $(TREE) $(OBJ)/.config
	$(if $(BENCH),@ln -sfn $(TOP)/tests/bench/kernel $(LINUX)/bench)
	+@tools/kbuild-progress.sh $(OBJ) "linux ($(FLAVOUR))" $(OBJECTS) nice $(KMAKE) -j$(JOBS) linux

config: $(OBJ)/.config

include tools/tools.mk
include tests/tests.mk
include tests/bench/bench.mk

lint: hooks
	@tools/lint.sh $(BUILD)

# Everything built; the unpacked source stays.
clean:
	rm -rf linux.uml $(filter-out $(BUILD)/source $(BUILD)/source.stamp $(BUILD)/apt,$(wildcard $(BUILD)/*))

clean-source: clean
	rm -rf $(BUILD)

help:
	@echo 'make                    ./linux.uml, flavour default'
	@echo 'make kernel FLAVOUR=F   build/F/linux; F is one of: $(FLAVOURS)'
	@echo 'make tools tests        the runner and guest init; the guest test programs'
	@echo 'make budget             added lines of each hooks.patch against $(BUDGET), arch/um $(UM_BUDGET)'
	@echo 'make hooks-save         write hooks.patch of every room from build/linux'
	@echo 'make series             build/mails: arch/um as patches for UML, from arch/um/series'
	@echo 'make lint               checkpatch, clang-format, shellcheck, sparse where installed'
	@echo 'make clean              remove what was built; clean-source: the unpacked Linux too'
	@echo 'LINUX_SRC=DIR, LINUX_TARBALL=FILE choose the Linux 7.3 source'
