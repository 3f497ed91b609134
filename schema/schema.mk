# SPDX-License-Identifier: MIT
#
# The SQL that is built into the program: schema.sql, what gen.c makes of tracer/events.def and
# tracer/names.def, and views.sql. Included by the top Makefile, which sets BUILD, Q, CPPFLAGS,
# ALL_CFLAGS and the function `say`.

HOSTCC ?= $(CC)
SCHEMA_OUT := $(BUILD)/schema
SCHEMA_GEN := $(SCHEMA_OUT)/gen
SCHEMA_GENERATED := $(SCHEMA_OUT)/generated.sql $(SCHEMA_OUT)/schema_sql.c $(SCHEMA_OUT)/events.md
SCHEMA_OBJS := $(SCHEMA_OUT)/schema_sql.o

$(SCHEMA_GEN): schema/gen.c schema/gen_text.c schema/gen.h tracer/events.def tracer/names.def \
		tracer/hw_exits.def tracer/hw_exit.h tracer/probe.h
	@mkdir -p $(@D)
	$(call say,HOSTCC,$@)
	$(Q)$(HOSTCC) -std=gnu17 -O1 -Wall -Wextra -D_GNU_SOURCE -I. -o $@ schema/gen.c schema/gen_text.c

$(SCHEMA_OUT)/generated.sql: $(SCHEMA_GEN)
	$(call say,GEN,$@)
	$(Q)$(SCHEMA_GEN) sql >$@
$(SCHEMA_OUT)/events.md: $(SCHEMA_GEN)
	$(call say,GEN,$@)
	$(Q)$(SCHEMA_GEN) md >$@
$(SCHEMA_OUT)/schema_sql.c: $(SCHEMA_GEN) schema/schema.sql $(SCHEMA_OUT)/generated.sql schema/views.sql
	$(call say,GEN,$@)
	$(Q)$(SCHEMA_GEN) c schema/schema.sql $(SCHEMA_OUT)/generated.sql schema/views.sql >$@

$(SCHEMA_OUT)/schema_sql.o: $(SCHEMA_OUT)/schema_sql.c schema/schema.h
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -c -o $@ $<

# docs/events.md is kept in the tree so that it can be read there; a test compares the two.
.PHONY: docs-events
docs-events: $(SCHEMA_OUT)/events.md
	$(Q)cp $< docs/events.md
