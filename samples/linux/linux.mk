# SPDX-License-Identifier: MIT
#
# What a Linux guest needs besides the distribution's kernel: $(LINUX_WRITER), a static program that
# runs in the guest to write and on the host to compare, and $(LINUX_AGENT), the agent of --guest-events
# (tracer/agent/). Included by the top Makefile, which may set CC, BUILD and Q. The initramfs and the disk are made by the scripts here when they are wanted.

LINUX_DIR := samples/linux
BUILD ?= build
LINUX_OUT := $(BUILD)/linux
LINUX_WRITER := $(LINUX_OUT)/writer
LINUX_AGENT := $(LINUX_OUT)/agent
LINUX_SRCS := $(wildcard $(LINUX_DIR)/*.c)
AGENT_SRCS := $(wildcard tracer/agent/*.c)
# All that `exitwalk run --linux` needs, in one folder.
LINUX_SCRIPTS := $(addprefix $(LINUX_OUT)/,kernel.sh mkinitramfs.sh mkdisk.sh init)
LINUX_FILES := $(LINUX_WRITER) $(LINUX_AGENT) $(LINUX_SCRIPTS)

$(LINUX_SCRIPTS): $(LINUX_OUT)/%: $(LINUX_DIR)/%
	@mkdir -p $(@D)
	$(Q)install -m 755 $< $@

# Not the top Makefile's flags: SAN=1 and PIE are for what runs on the host.
LINUX_CFLAGS = -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	$(if $(WERROR),-Werror) -I. -O2 -static

$(LINUX_WRITER): $(LINUX_SRCS) $(wildcard $(LINUX_DIR)/*.h) vmm/guest_abi.h $(LINUX_DIR)/linux.mk
	@mkdir -p $(@D)
	$(if $(Q),@printf '  %-6s %s\n' CC $@)
	$(Q)$(CC) $(LINUX_CFLAGS) -o $@ $(LINUX_SRCS)

$(LINUX_AGENT): $(AGENT_SRCS) $(wildcard tracer/agent/*.h tracer/agent/*.def) tracer/guest_stream.h $(LINUX_DIR)/linux.mk
	@mkdir -p $(@D)
	$(if $(Q),@printf '  %-6s %s\n' CC $@)
	$(Q)$(CC) $(LINUX_CFLAGS) -o $@ $(AGENT_SRCS)
