# SPDX-License-Identifier: MIT
# The tests. `make check` sets up, builds everything with warnings as errors and runs what can run
# here; tests/run.sh adds up and prints the closing line.

TEST_OUT := $(BUILD)/tests
UNIT_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
UI_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/ui/*.c))
BENCH_BIN := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
SHELL_TESTS := $(wildcard tests/guest/*.sh tests/import/*.sh tests/ui/*.sh tests/project/*.sh)
SECONDS ?= 120
JOBS ?= 2
PARTS ?=

$(BUILD)/tests/%: tests/%.c $(LIB)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -MF $@.d $(ALL_LDFLAGS) -o $@ $< $(LIB) $(LIBS) \
		$(if $(findstring tests/unit,$<)$(findstring bench_derive,$<),-lcmocka) $(if $(findstring tests/ui,$<),-lvterm)
-include $(addsuffix .d,$(UNIT_BIN) $(UI_BIN) $(BENCH_BIN))

.PHONY: check check-build check-run check-lab bench fuzz
check:
	$(Q)bash .ci/deps check
	$(Q)$(MAKE) --no-print-directory WERROR=1 check-build
	$(Q)$(MAKE) --no-print-directory WERROR=1 check-run

check-build: all $(UNIT_BIN) $(UI_BIN) $(BENCH_BIN)

check-run: check-build
	$(Q)EXITWALK="$(abspath $(EXITWALK))" BUILD="$(abspath $(BUILD))" SAN=$(SAN) \
		UI_DRIVE="$(abspath $(BUILD))/tests/ui/drive" UI_FIXTURE="$(abspath $(BUILD))/tests/ui/fixture" \
		bash tests/run.sh -j $(JOBS) $(LAB_TESTS) $(UNIT_BIN) $(SHELL_TESTS)

# Only what runs in hosts with the real kvm-intel and kvm-amd modules, in emulation (docs/lab.md).
check-lab:
	$(Q)bash .ci/deps check
	$(Q)$(MAKE) --no-print-directory WERROR=1 check-build
	$(Q)EXITWALK="$(abspath $(EXITWALK))" BUILD="$(abspath $(BUILD))" SAN=$(SAN) PARTS="$(PARTS)" \
		UI_DRIVE="$(abspath $(BUILD))/tests/ui/drive" bash tests/run.sh -j $(JOBS) $(LAB_TESTS)

bench:
	$(Q)bash .ci/deps check
	$(Q)$(MAKE) --no-print-directory all $(BENCH_BIN)
	$(Q)EXITWALK="$(abspath $(EXITWALK))" BUILD="$(abspath $(BUILD))" bash tests/bench/run.sh

# Import speed against trace-cmd report, EVENTS=1000000 of them, and its peak memory.
.PHONY: bench-import
bench-import: all $(BENCH_BIN)
	$(Q)EXITWALK="$(abspath $(EXITWALK))" BUILD="$(abspath $(BUILD))" bash tests/bench/bench_import.sh

# Each libFuzzer target is built from the sources, since the library is not instrumented.
fuzz: $(LIB)
	$(Q)bash .ci/deps check
	$(Q)BUILD="$(abspath $(BUILD))" SECONDS_EACH=$(SECONDS) bash tests/fuzz/run.sh $(FUZZ_SRC)
