# SPDX-License-Identifier: GPL-2.0-only
# The benchmark's part in the guest; its part in the kernel is linked into the flavours bench-*.
BENCH_SOURCES := $(wildcard tests/bench/guest/*.c)

.PHONY: bench-guest
bench-guest: $(BUILD)/bench/guest

$(BUILD)/bench/guest: $(BENCH_SOURCES) tests/bench/guest/bench.h tests/bench/bench.mk
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) -D_GNU_SOURCE -std=gnu11 -O2 -g -Wall -Wextra -Werror -pthread -o $@ $(BENCH_SOURCES)
