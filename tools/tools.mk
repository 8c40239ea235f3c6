# SPDX-License-Identifier: GPL-2.0-only
# The runner, and the guest's init. The runner finds the init as guest/init beside itself. Each is there whole or
# not at all, for whoever starts one meanwhile.
TOOLS_CFLAGS	:= -O2 -g -Wall -Wextra -Werror
RUN_SOURCES	:= $(wildcard tools/run/*.c)
INIT_SOURCES	:= $(wildcard tools/init/*.c)
JOIN_HEADER	:= tools/common/join.h

tools: $(BUILD)/tools/uml-run $(BUILD)/tools/uml-init $(BUILD)/tools/guest/init

$(BUILD)/tools/uml-run: $(RUN_SOURCES) tools/run/run.h $(JOIN_HEADER) tools/tools.mk
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(TOOLS_CFLAGS) -o $@.$$$$ $(RUN_SOURCES) && mv $@.$$$$ $@

$(BUILD)/tools/uml-init: $(INIT_SOURCES) tools/init/init.h $(JOIN_HEADER) tools/tools.mk
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(TOOLS_CFLAGS) -static -o $@.$$$$ $(INIT_SOURCES) && mv $@.$$$$ $@

# The directory that is the kernel's first root: its init, and a place to mount on.
$(BUILD)/tools/guest/init: $(BUILD)/tools/uml-init
	@mkdir -p $(@D)/mnt
	@cp $< $@.$$$$ && mv $@.$$$$ $@
