# SPDX-License-Identifier: MIT
# exitwalk. The two commands are `make demo` and `make check`; `make help` lists the rest.
#
#   V=1       print the commands            SAN=1     ASan + UBSan, in a build folder of its own
#   CC=clang  another compiler              WERROR=1  warnings are errors (make check sets it)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
comma := ,

SAN ?=
WERROR ?=
V ?=
BUILD ?= build$(if $(SAN),-san)
PREFIX ?= /usr/local
DESTDIR ?=
ifeq ($(origin CC),default)
CC := gcc
endif
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' '$(1)' '$(2)')

# --- flags --------------------------------------------------------------------------------------
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wformat=2 $(if $(WERROR),-Werror)
HARDEN := -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection=full \
	$(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANITIZE := $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined)
CPPFLAGS += -D_GNU_SOURCE -I. -I$(BUILD) $(TRACE_CPPFLAGS)
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(WARN) $(HARDEN) $(SANITIZE) -fno-omit-frame-pointer $(CFLAGS)
# Shadow stacks are marked by hand because Debian's crt1.o carries no CET property; its code returns
# where it was called from. IBT is not marked: crt1.o has functions without endbr64.
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack,-z,shstk $(SANITIZE) $(LDFLAGS)
# Headers of libtracecmd, libtracefs and libtraceevent include one another without their folders.
TRACE_CPPFLAGS := -isystem /usr/include/trace-cmd -isystem /usr/include/tracefs -isystem /usr/include/traceevent
LIBS := -lsqlite3 -luring -lZydis -lelf -lncursesw -ltinfo -ltracecmd -ltracefs -ltraceevent -lpthread

# --- what is built ------------------------------------------------------------------------------
include samples/guest/guest.mk
include samples/linux/linux.mk
include schema/schema.mk

SRCS := $(wildcard vmm/*.c tracer/*.c tui/*.c)
ASMS := $(wildcard vmm/*.S)
OBJS := $(SRCS:%.c=$(BUILD)/%.o) $(ASMS:%.S=$(BUILD)/%.o) $(SCHEMA_OBJS)
LIB := $(BUILD)/libexitwalk.a
EXITWALK := $(BUILD)/exitwalk
DOCS := $(BUILD)/exitwalk.1 $(BUILD)/exitwalk.bash

.PHONY: all
all: $(EXITWALK) $(DOCS) $(LINUX_FILES)

# A recording may hold any number, and what is computed from it is shown, never trusted: there it wraps.
$(BUILD)/tracer/%.o $(BUILD)/tui/%.o: ALL_CFLAGS += -fwrapv

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/vmm/sample_elf.o: $(GUEST_ELF)
$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(call say,AS,$@)
	$(Q)$(CC) $(CPPFLAGS) -DEW_SAMPLE_ELF='"$(GUEST_ELF)"' -MMD -MP -c -o $@ $<

# Generated C needs the schema's generated files first.
$(OBJS): | $(SCHEMA_GENERATED)

$(LIB): $(OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(OBJS)

$(EXITWALK): $(BUILD)/main.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(BUILD)/main.o $(LIB) $(LIBS)

# The man page's options and the completion come from the program's own argp tables.
$(BUILD)/exitwalk.1: $(EXITWALK) docs/exitwalk.1.in
	$(call say,GEN,$@)
	$(Q)$(EXITWALK) help --man docs/exitwalk.1.in >$@
$(BUILD)/exitwalk.bash: $(EXITWALK)
	$(call say,GEN,$@)
	$(Q)$(EXITWALK) help --bash >$@

-include $(SRCS:%.c=$(BUILD)/%.d) $(ASMS:%.S=$(BUILD)/%.d) $(BUILD)/main.d

include tests/tests.mk
include tests/lab/lab.mk

# --- the commands -------------------------------------------------------------------------------
.PHONY: deps demo install uninstall clean help format
deps:
	$(Q)bash .ci/deps build

demo:
	$(Q)bash .ci/deps build
	$(Q)$(MAKE) --no-print-directory -s all
	$(Q)bash samples/demo.sh $(EXITWALK)

install: all
	install -D -m 755 $(EXITWALK) $(DESTDIR)$(PREFIX)/bin/exitwalk
	install -D -m 644 $(BUILD)/exitwalk.1 $(DESTDIR)$(PREFIX)/share/man/man1/exitwalk.1
	install -D -m 644 $(BUILD)/exitwalk.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/exitwalk
	install -d $(DESTDIR)$(PREFIX)/share/exitwalk/linux
	install -m 755 $(LINUX_FILES) $(DESTDIR)$(PREFIX)/share/exitwalk/linux

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/exitwalk $(DESTDIR)$(PREFIX)/share/man/man1/exitwalk.1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/exitwalk
	rm -rf $(DESTDIR)$(PREFIX)/share/exitwalk

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build build-*

help:
	@echo 'make          build/exitwalk, its man page and its completion (make deps installs what it needs)'
	@echo 'make demo     set up, build, record the sample guest here, open the UI on it'
	@echo 'make check    set up, build, run every test that can run here, labs too (SAN=1: under ASan + UBSan)'
	@echo 'make lab      CMD=…: run it on an emulated host with kvm-amd (make lab-vmx: kvm-intel); no CMD: a shell'
	@echo 'make check-lab  only the tests in the labs; LABS=svm: only there; PARTS=linux: only tests/lab/guests/linux.sh'
	@echo 'make exits-table  which exits a write costs, by transport, kick and interrupt, in a lab (LAB=svm or vmx)'
	@echo 'make recordings   the recordings of samples/recordings, anew, in both labs'
	@echo 'make bench-boot  boot time of a Linux guest, against the distribution'"'"'s other VMMs, in the SVM lab'
	@echo 'make bench-record  cost of recording per exit, against trace-cmd record -e kvm, in the SVM lab (make bench does it too)'
	@echo 'make bench-import  speed of import against trace-cmd report (make bench does it too)'
	@echo 'make bench    ratios: recorder cost per exit, writer speed, UI latency'
	@echo 'make fuzz     the libFuzzer targets, SECONDS=120 each'
	@echo 'make install  PREFIX=$(PREFIX) DESTDIR=$(DESTDIR); make uninstall removes it again'
	@echo 'make format   clang-format over the tree; make clean removes what was built'
