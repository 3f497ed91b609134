# SPDX-License-Identifier: MIT
#
# The sample guest: $(BUILD)/guest/sample.elf. Included by the top Makefile, which may set CC,
# BUILD, Q and the function `say`. It runs without a C library in a machine of its own, so the flags
# of the host programs (CFLAGS, LDFLAGS, sanitizers, coverage) must not reach it.

BUILD ?= build
GUEST_DIR := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
GUEST_OUT := $(BUILD)/guest
GUEST_ELF := $(GUEST_OUT)/sample.elf

GUEST_SRCS := head.S entry.S io.S main.c trap.c console.c syscall.c read_write.c exitfs.c \
	exitfs_dir.c bio.c blk_mq.c virtio_blk.c virtio_ring.c virtio_pci.c \
	process/start.S process/unistd.c process/writer.c
GUEST_OBJS := $(addprefix $(GUEST_OUT)/,$(addsuffix .o,$(basename $(GUEST_SRCS))))

# No SSE (ring 0 may be emulated, and nobody saves the registers), no red zone (interrupts), and
# every function that calls keeps its frame (a stack is a chain of RBPs).
GUEST_CPPFLAGS := -I$(GUEST_DIR) -Ivmm -MMD -MP
GUEST_CFLAGS := -std=gnu17 -O2 -Wall -Wextra -Werror -ffreestanding -fno-pic -fno-pie \
	-fno-stack-protector -fcf-protection=none -fno-omit-frame-pointer \
	-mno-omit-leaf-frame-pointer -fno-optimize-sibling-calls -fno-asynchronous-unwind-tables \
	-fno-strict-aliasing -fno-common -mgeneral-regs-only -mno-red-zone
GUEST_KERNEL_CFLAGS := $(GUEST_CFLAGS) -mcmodel=kernel
GUEST_LDFLAGS := -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=0x1000

GUEST_SAY = $(if $(value say),$(call say,$(1),$(2)))

$(GUEST_OUT)/process/%.o: $(GUEST_DIR)/process/%.c
	@mkdir -p $(@D)
	$(call GUEST_SAY,CC,$@)
	$(Q)$(CC) $(GUEST_CPPFLAGS) $(GUEST_CFLAGS) -c -o $@ $<

$(GUEST_OUT)/%.o: $(GUEST_DIR)/%.c
	@mkdir -p $(@D)
	$(call GUEST_SAY,CC,$@)
	$(Q)$(CC) $(GUEST_CPPFLAGS) $(GUEST_KERNEL_CFLAGS) -c -o $@ $<

$(GUEST_OUT)/%.o: $(GUEST_DIR)/%.S
	@mkdir -p $(@D)
	$(call GUEST_SAY,AS,$@)
	$(Q)$(CC) $(GUEST_CPPFLAGS) -Wa,--fatal-warnings -c -o $@ $<

$(GUEST_OUT)/guest.lds: $(GUEST_DIR)/guest.lds.S
	@mkdir -p $(@D)
	$(call GUEST_SAY,LDS,$@)
	$(Q)$(CC) $(GUEST_CPPFLAGS) -MT $@ -MF $@.d -E -P -x assembler-with-cpp -o $@ $<

$(GUEST_OBJS) $(GUEST_OUT)/guest.lds: $(GUEST_DIR)/guest.mk

$(GUEST_ELF): $(GUEST_OBJS) $(GUEST_OUT)/guest.lds
	$(call GUEST_SAY,LD,$@)
	$(Q)$(CC) $(GUEST_LDFLAGS) -Wl,-T,$(GUEST_OUT)/guest.lds -o $@ $(GUEST_OBJS)

-include $(GUEST_OBJS:.o=.d) $(GUEST_OUT)/guest.lds.d
