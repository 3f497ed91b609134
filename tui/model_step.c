/* SPDX-License-Identifier: MIT */
/* The "Step" pane: everything recorded about the cursor's row, and where each value comes from. */
#include "model_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "text.h"
#include "tracer/hw_exit.h"

#define DERIVED "derived"

static void times(struct model *m, const struct row *r, struct lines *out)
{
	int64_t since = model_since(m, r), delta = model_delta(m, 0);
	char a[32], b[32];

	if (since != MODEL_NONE)
		line_field(out, "time",
			m->mode == MODEL_PATH ? "since the request began" : "since the start",
			"%s%s%s", text_ns_exact(since, a, sizeof(a)),
			delta == MODEL_NONE ? "" : ", Δ ",
			delta == MODEL_NONE ? "" : text_ns_exact(delta, b, sizeof(b)));
	else
		line_field(out, "time", NULL, "none of its own: it lies between its neighbours");
	if (r->dur != MODEL_NONE)
		line_field(out, "duration", NULL, "%s", text_ns(r->dur, a, sizeof(a)));
}

/* Whom the guest's kernel ran, and how good its clock is known. */
static void guest_lines(struct model *m, const struct row *r, struct lines *out)
{
	sqlite3_stmt *s = mq(m, Q_GUEST_EVENT, r->event, MODEL_NONE, MODEL_NONE);
	char who[64], ns[32];

	if (!mq_row(m, s))
		return;
	mq_text(s, 0, who, sizeof(who));
	line_field(out, "who", "the guest's task, or an interrupt", "%s", who);
	if (mq_col(s, 1) == MODEL_NONE)
		line_field(out, "time may be wrong by", NULL, "nobody knows how much");
	else
		line_field(out, "time may be wrong by", DERIVED ", from the guest's TSC", "±%s",
			text_ns(mq_int(s, 1), ns, sizeof(ns)));
	line_field(out, "TSC", "the guest's", "%" PRId64, mq_int(s, 2));
	sqlite3_reset(s);
}

static void place(struct model *m, const struct row *r, struct lines *out)
{
	(void)m;
	line_field(out, "layer", NULL, "%s", model_layer_name(r->layer));
	if (r->stage)
		line_field(out, "stage", NULL, "%d %s", r->stage, model_stage_name(r->stage));
}

static void bytes_text(const uint8_t *p, int n, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = 0;
	for (int i = 0; i < n && at + 4 < size; i++)
		at += (size_t)snprintf(buf + at, size - at, i ? " %02x" : "%02x", p[i]);
}

static void exit_access(struct model *m, sqlite3_stmt *s, struct lines *out)
{
	int64_t space = mq_col(s, 1), region = mq_col(s, 10), result = mq_col(s, 11);
	char name[96];

	if (space == MODEL_NONE)
		return;
	line_field(out, "access", "struct kvm_run",
		"%s %s 0x%" PRIx64 ", %" PRId64 " byte%s × %" PRId64,
		sqlite3_column_int(s, 5) ? "write to" : "read from",
		name_of(m, "space", space, name, sizeof(name)), mq_int(s, 2), mq_int(s, 3),
		mq_int(s, 3) == 1 ? "" : "s", mq_int(s, 4));
	line_field(out, "value", NULL, "0x%" PRIx64, mq_int(s, 6));
	if (region != MODEL_NONE && region)
		line_field(out, "region", NULL, "%s",
			thing_of(m, Q_REGION, region, name, sizeof(name)));
	if (result != MODEL_NONE)
		line_field(out, "result", NULL, "%s",
			name_of(m, "bus_result", result, name, sizeof(name)));
}

static void exit_rip(struct model *m, sqlite3_stmt *s, struct lines *out)
{
	int64_t rip = mq_col(s, 7), insn_rip = mq_col(s, 8);
	int n = sqlite3_column_bytes(s, 9);
	char sym[128], bytes[64];

	if (rip != MODEL_NONE)
		line_field(out, "rip", "as KVM reports it", "0x%" PRIx64 " %s", rip,
			symbol_of(m, (uint64_t)rip, sym, sizeof(sym)));
	if (insn_rip == MODEL_NONE)
		return;
	line_field(out, "instruction at", DERIVED " from the bytes around rip", "0x%" PRIx64 " %s",
		insn_rip, symbol_of(m, (uint64_t)insn_rip, sym, sizeof(sym)));
	bytes_text(sqlite3_column_blob(s, 9), n, bytes, sizeof(bytes));
	line_field(out, "bytes", NULL, "%s", bytes);
}

static void hardware_reason(struct model *m, sqlite3_stmt *s, struct lines *out)
{
	int64_t reason = mq_col(s, 16), isa = mq_col(s, 18);
	char name[96];

	(void)m;
	if (reason == MODEL_NONE) {
		line_field(out, "hardware reason", NULL,
			"not recorded: needs the kvm_exit tracepoint");
		return;
	}
	mq_text(s, 19, name, sizeof(name));
	line_field(out, "hardware reason", "kvm_exit", "%s (%s 0x%" PRIx64 ")", name,
		isa == HW_VMX   ? "VT-x"
		: isa == HW_SVM ? "SVM"
				: "ISA unknown",
		reason);
}

/* The exit during which it happened. */
static void exit_lines(struct model *m, int64_t id, struct lines *out)
{
	static const struct {
		const char *key;
		int from, to;
	} span[] = {{"until dispatch", 12, 13}, {"in the device", 13, 14}, {"exit in all", 12, 15}};
	sqlite3_stmt *s = mq(m, Q_EXIT_FULL, id, MODEL_NONE, MODEL_NONE);
	char name[64];

	if (!mq_row(m, s))
		return;
	line_text(out, LINE_HEAD, "VM exit %" PRId64, id);
	if (mq_col(s, 0) != MODEL_NONE)
		line_field(out, "KVM's reason", NULL, "%s",
			name_of(m, "kvm_exit", mq_int(s, 0), name, sizeof(name)));
	else
		line_field(out, "KVM's reason", NULL,
			"none recorded: KVM served it, or the recording has a gap");
	hardware_reason(m, s, out);
	exit_access(m, s, out);
	exit_rip(m, s, out);
	for (size_t i = 0; i < sizeof(span) / sizeof(span[0]); i++) {
		int64_t from = mq_col(s, span[i].from), to = mq_col(s, span[i].to);

		if (from != MODEL_NONE && to != MODEL_NONE)
			line_field(out, span[i].key, DERIVED, "%s",
				text_ns(to - from, name, sizeof(name)));
	}
	sqlite3_reset(s);
}

static void event_lines(struct model *m, const struct row *r, struct lines *out)
{
	sqlite3_stmt *s = mq(m, Q_EVENT_FULL, r->event, MODEL_NONE, MODEL_NONE);
	char template[256], doc[256], arg[32], value[160], name[96];

	if (!mq_row(m, s)) {
		line_text(out, LINE_WARN, "event %" PRId64 " is missing: try exitwalk check",
			r->event);
		return;
	}
	mq_text(s, 12, name, sizeof(name));
	mq_text(s, 13, template, sizeof(template));
	mq_text(s, 14, doc, sizeof(doc));
	line_text(out, LINE_DIM, "%s: %s", name[0] ? name : "unknown kind", doc);
	if (r->kind == EW_GUEST_FUNC &&
		explain_symbol(name_of(m, "guest_func", mq_int(s, 0), value, sizeof(value))))
		line_text(out, LINE_DIM, "%s", explain_symbol(value));
	times(m, r, out);
	guest_lines(m, r, out);
	place(m, r, out);
	for (int i = 0; i < 6; i++) {
		mq_text(s, 6 + i, arg, sizeof(arg));
		if (!arg[0] || strcmp(arg, "_") == 0 || mq_col(s, i) == MODEL_NONE)
			continue;
		argument(m, name, template, arg, mq_col(s, i), value, sizeof(value));
		line_field(out, arg, NULL, "%s", value);
	}
	line_field(out, "source", NULL, "%s",
		label_of(m, "source", mq_int(s, 15), name, sizeof(name)));
	line_field(out, "evidence", NULL, "event %" PRId64 " of %s", r->event,
		thing_of(m, Q_TRACK, mq_int(s, 16), name, sizeof(name)));
	sqlite3_reset(s);
	if (r->exit_id != MODEL_NONE)
		exit_lines(m, r->exit_id, out);
}

static void frame_lines(struct model *m, const struct row *r, struct lines *out)
{
	static const char *const how[][2] = {{"rip", "the instruction pointer itself"},
		{"fp", "a return address, found along the frame pointers"},
		{"orc", "a return address, found by the kernel's ORC tables"},
		{"scan", "a guess: the next word of the stack that stands behind a call"},
		{"pt_regs", "registers saved at the entry to the kernel"}};
	sqlite3_stmt *s = mq(m, Q_FRAME, r->event, r->frame, MODEL_NONE);
	char name[96], text[96];

	if (!mq_row(m, s)) {
		line_text(out, LINE_WARN, "the frame is missing: try exitwalk check");
		return;
	}
	mq_text(s, 2, name, sizeof(name));
	if (explain_symbol(name))
		line_text(out, LINE_DIM, "%s", explain_symbol(name));
	else
		line_text(out, LINE_DIM, "A function of the guest that had not returned yet.");
	line_field(out, "function", NULL, "%s", name[0] ? name : "no symbol for this address");
	line_field(out, "address", NULL, "0x%" PRIx64, mq_int(s, 0));
	if (name[0]) {
		mq_text(s, 5, text, sizeof(text));
		line_field(out, "module", NULL, "%s", text);
		line_field(out, "begins at", NULL, "0x%" PRIx64 ", %" PRId64 " bytes", mq_int(s, 3),
			mq_int(s, 4));
	}
	times(m, r, out);
	place(m, r, out);
	mq_text(s, 1, text, sizeof(text));
	sqlite3_reset(s);
	for (size_t i = 0; i < sizeof(how) / sizeof(how[0]); i++)
		if (strcmp(how[i][0], text) == 0)
			line_field(out, "found by", NULL, "%s", how[i][1]);
	line_field(out, "source", NULL, "%s, unwound and symbolised off-line",
		label_of(m, "source", EW_SRC_GUEST_MEM, name, sizeof(name)));
	line_field(out, "evidence", NULL, "frame %" PRId64 " of stack snapshot %" PRId64, r->frame,
		r->event);
}

static void handover_lines(struct model *m, const struct row *r, struct lines *out)
{
	int64_t from = mq_one(m, Q_STEP_FROM, m->request.id, r->id, MODEL_NONE);

	line_text(out, LINE_DIM,
		"Nobody works on the request: it waits until the other one runs and takes it on.");
	times(m, r, out);
	place(m, r, out);
	line_field(
		out, "evidence", NULL, "from event %" PRId64 " to event %" PRId64, from, r->event);
}

/* A folded aside. */
static void aside_lines(struct model *m, const struct row *r, struct lines *out)
{
	line_text(out, LINE_DIM,
		"Nothing of this request happens here: its vCPU left the guest for a timer, another device or the"
		" host's scheduler. a shows the steps, A those of all asides.");
	times(m, r, out);
	line_field(out, "stage", NULL, "%d %s", r->stage, model_stage_name(r->stage));
	line_field(out, "steps", NULL, "%" PRId64 " to %" PRId64, r->id, r->last);
	line_field(out, "evidence", NULL, "from event %" PRId64 " on", r->event);
}

static void request_lines(struct model *m, struct lines *out)
{
	const struct request *q = model_request(m);
	char a[160], way[64];

	if (!q)
		return;
	line_text(out, LINE_TEXT, "%s", model_call(m, a, sizeof(a)));
	line_field(out, "type", NULL, "%s", q->type[0] ? q->type : "not recorded");
	if (q->sector != MODEL_NONE)
		line_field(out, "sector", NULL, "%" PRId64, q->sector);
	if (q->bytes != MODEL_NONE)
		line_field(out, "bytes", NULL, "%" PRId64, q->bytes);
	line_field(out, "status", NULL, "%s", q->status[0] ? q->status : "not recorded");
	if (q->head != MODEL_NONE)
		line_field(out, "device", NULL, "%s, queue %" PRId64 ", head %" PRId64,
			q->device_name, q->queue, q->head);
	else
		line_field(out, "device", NULL, "%s, queue %" PRId64, q->device_name, q->queue);
	line_field(out, "wall time", DERIVED, "%s", text_ns(q->t_last - q->t_first, a, sizeof(a)));
	line_field(out, "exits", DERIVED, "%" PRId64, q->exits);
	line_field(out, "told by", NULL, "%s, %s", request_cell(q, REQUEST_COL_KICK, a, sizeof(a)),
		q->kick_exit == REQUEST_NONE && !q->kick[0]
			? "not for it alone: the device found it in its queue"
			: request_cell(q, REQUEST_COL_WAY, way, sizeof(way)));
	line_text(out, LINE_DIM, "Enter walks its path, Esc goes back.");
}

void pane_step(struct model *m, struct lines *out)
{
	const struct row *r = model_row(m, 0);
	char name[96];

	if (m->mode == MODEL_REQUESTS) {
		request_lines(m, out);
		return;
	}
	line_text(out, r->what == WHAT_ABSENT ? LINE_WARN : LINE_TEXT, "%s", r->text);
	if (r->uncertain)
		line_text(out, LINE_WARN,
			"~ It may have happened before the step above: two clocks, and they agree no better.");
	if (r->aside && r->what != WHAT_ASIDE)
		line_text(
			out, LINE_DIM, "Aside: nothing of this request happens here. a folds it.");
	switch (r->what) {
	case WHAT_EVENT:
		event_lines(m, r, out);
		break;
	case WHAT_FRAME:
		frame_lines(m, r, out);
		break;
	case WHAT_INSN:
		line_text(out, LINE_DIM,
			"The sensitive instruction: it cannot be carried out inside the "
			"guest, so it is what makes the CPU leave it.");
		place(m, r, out);
		line_field(out, "source", NULL, "%s",
			label_of(m, "source", EW_SRC_GUEST_MEM, name, sizeof(name)));
		line_field(out, "evidence", NULL, "the exit's bytes, event %" PRId64, r->event);
		if (r->exit_id != MODEL_NONE)
			exit_lines(m, r->exit_id, out);
		break;
	case WHAT_HANDOVER:
		handover_lines(m, r, out);
		break;
	case WHAT_ASIDE:
		aside_lines(m, r, out);
		break;
	case WHAT_ABSENT:
		line_text(out, LINE_DIM, "Nothing was recorded here, and nothing is made up.");
		place(m, r, out);
		break;
	}
	if (m->mode == MODEL_PATH) {
		line_text(out, LINE_HEAD, "Stage %d: %s", r->stage, model_stage_name(r->stage));
		line_text(out, LINE_DIM, "%s", explain_stage(r->stage));
	}
}
