# SPDX-License-Identifier: MIT
# The labs (docs/lab.md): make lab CMD='exitwalk doctor' FILES='…' OUT=dir LIMIT=seconds; no CMD: a shell.
# lab is SVM (QEMU, kvm-amd), lab-vmx VT-x (Bochs, kvm-intel).

CMD ?=
FILES ?=
LIMIT ?=
OUT ?= $(BUILD)/lab/out
lab_run = bash tests/lab/lab.sh -x $(EXITWALK) $(FILES:%=-f %) $(if $(LIMIT),-t $(LIMIT)) -o $(OUT) \
	-k $(BUILD)/lab/$(1).log $(1) $(if $(CMD),"$$CMD")

.PHONY: lab lab-vmx
lab lab-vmx: override export CMD := $(value CMD)
lab: all
	@mkdir -p $(BUILD)/lab
	$(Q)$(call lab_run,svm)

lab-vmx: all
	@mkdir -p $(BUILD)/lab
	$(Q)$(call lab_run,vmx)

# Which exits a write costs, by transport, kick and interrupt (docs/exits.md): LAB=svm or vmx.
LAB ?= svm
.PHONY: exits-table recordings recordings-derived bench-boot bench-record
exits-table: all
	$(Q)mkdir -p $(BUILD)/lab
	$(Q)EXITWALK="$(abspath $(EXITWALK))" BUILD="$(abspath $(BUILD))" ONLY="$(ONLY)" MANY=$(MANY) bash tests/lab/exits.sh $(LAB)

# The recordings of samples/recordings, anew. LABS="svm" makes only those of that lab.
recordings: all
	$(Q)mkdir -p $(BUILD)/lab
	$(Q)EXITWALK="$(abspath $(EXITWALK))" BUILD="$(abspath $(BUILD))" LABS="$(LABS)" bash tests/lab/recordings.sh

# The same recordings, with what this version derives from them: no lab is needed.
recordings-derived: all $(BUILD)/tests/lab/rederive
	$(Q)$(BUILD)/tests/lab/rederive samples/recordings/*.exw

# How long Linux takes to boot, against the distribution's other VMMs.
bench-boot: all
	$(Q)EXITWALK="$(abspath $(EXITWALK))" BUILD="$(abspath $(BUILD))" bash tests/bench/boot.sh

# What recording costs for each exit, against trace-cmd record -e kvm on the same guest. ROUNDS=5 EXITS=5000
bench-record: all
	$(Q)EXITWALK="$(abspath $(EXITWALK))" BUILD="$(abspath $(BUILD))" bash tests/bench/record.sh

# Each boots its lab once and prints TAP, for tests/run.sh. The one that takes longest first. LABS=svm: only
# that one.
LABS ?= $(if $(SAN),svm,vmx svm)
LAB_TESTS := $(LABS:%=tests/lab/%.sh)
