# SPDX-License-Identifier: GPL-2.0-only
# Programs that run in the guest: tests/guest/NAME.c is a Check suite, build/tests/guest/NAME.

GUEST	    := $(BUILD)/tests/guest
GUEST_LIB   := $(patsubst tests/guest/%.c,$(GUEST)/%.o,$(wildcard tests/guest/lib*.c))
GUEST_TESTS := $(patsubst tests/guest/%.c,$(GUEST)/%,$(filter-out tests/guest/lib%,$(wildcard tests/guest/*.c)))
GUEST_FLAGS := -D_GNU_SOURCE -std=gnu11 -O2 -g -Wall -Wextra -Werror
CHECK_FLAGS  = $(shell pkg-config --cflags check)
CHECK_LIBS   = $(shell pkg-config --libs check)

tests: $(GUEST_TESTS)

$(GUEST):
	@mkdir -p $@

$(GUEST)/%.o: tests/guest/%.c tests/tests.mk | $(GUEST)
	@pkg-config --exists check || { echo "tests: Check is missing; cure: apt-get install check pkg-config" >&2; exit 1; }
	@$(CCACHE) $(CC) $(GUEST_FLAGS) $(CHECK_FLAGS) -MMD -MP -c -o $@ $<

$(GUEST_TESTS): %: %.o $(GUEST_LIB)
	@$(CC) -o $@ $^ $(CHECK_LIBS)

.SECONDARY: $(addsuffix .o,$(GUEST_TESTS)) $(GUEST_LIB)

-include $(wildcard $(GUEST)/*.d)
