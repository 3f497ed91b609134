/* SPDX-License-Identifier: MIT */
/* The "Registers" and "Stack" panes: the guest's CPU at the exit the cursor stands at. */
#include "model_priv.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "tracer/snapshot.h"

#define WORDS_MAX 64

struct snapshot {
	int64_t event;
	struct ew_regs regs;
	uint64_t word[WORDS_MAX]; /* the stack from regs.rsp on */
	unsigned words;
};

/* The last snapshot taken at or before the cursor, in the current request. */
static bool snapshot_read(struct model *m, struct snapshot *snap)
{
	const struct row *r = model_row(m, 0);
	int64_t event = cursor_event(m);
	struct snapshot_parts parts;
	sqlite3_stmt *s;
	bool ok;

	if (event == MODEL_NONE)
		return false;
	snap->words = 0;
	if (r->what == WHAT_FRAME)
		snap->event = r->event;
	else
		snap->event = mq_one(m, Q_SNAPSHOT, event, EW_SNAPSHOT, r->exit_id);
	if (snap->event == MODEL_NONE)
		return false;
	s = mq(m, Q_SNAPSHOT_DATA, snap->event, MODEL_NONE, MODEL_NONE);
	if (!mq_row(m, s))
		return false;
	ok = snapshot_split(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0),
		(uint64_t)sqlite3_column_int64(s, 1), (uint64_t)sqlite3_column_int64(s, 2), &parts);
	if (ok) {
		size_t words = parts.stack_len / 8;

		snap->regs = parts.regs;
		snap->words = words > WORDS_MAX ? WORDS_MAX : (unsigned)words;
		memcpy(snap->word, parts.stack, (size_t)snap->words * 8);
	}
	mq_done(s);
	return ok;
}

static void no_snapshot(struct lines *out, const char *what)
{
	line_text(out, LINE_DIM,
		"No %s up to this step: the recorder copies them only when the driver notifies the "
		"device (stage 2) and when it reads the ISR (stage 9). 2 goes there.",
		what);
}

static void age(struct model *m, const struct snapshot *snap, struct lines *out)
{
	line_text(out, LINE_DIM, "Copied at the exit, event %" PRId64 "%s.", snap->event,
		cursor_event(m) > snap->event + 16 ? "; the guest has not been looked at since"
						   : "");
}

void pane_regs(struct model *m, struct lines *out)
{
#define R(n)                                                                                       \
	{                                                                                          \
#n, offsetof(struct ew_regs, n)                                                    \
	}
	static const struct {
		const char *name;
		size_t at;
	} reg[] = {R(rax), R(rbx), R(rcx), R(rdx), R(rsi), R(rdi), R(rbp), R(rsp), R(r8), R(r9),
		R(r10), R(r11), R(r12), R(r13), R(r14), R(r15), R(rip), R(rflags)};
#undef R
	static const struct {
		uint64_t bit;
		const char *name;
	} flag[] = {{1, "CF"}, {4, "PF"}, {0x40, "ZF"}, {0x80, "SF"}, {0x200, "IF"}, {0x400, "DF"},
		{0x800, "OF"}};
	struct snapshot snap;
	char sym[96], flags[64] = "";

	if (!snapshot_read(m, &snap)) {
		no_snapshot(out, "registers");
		return;
	}
	for (size_t i = 0; i + 1 < sizeof(reg) / sizeof(reg[0]); i += 2) {
		uint64_t v[2];

		for (int k = 0; k < 2; k++)
			memcpy(&v[k], (const char *)&snap.regs + reg[i + (size_t)k].at,
				sizeof(v[k]));
		line_text(out, LINE_PRE, "%-4s%016" PRIx64 "  %-7s%016" PRIx64, reg[i].name, v[0],
			reg[i + 1].name, v[1]);
	}
	symbol_of(m, snap.regs.rip, sym, sizeof(sym));
	line_field(out, "rip is", NULL, "%s", sym[0] ? sym : "no symbol for this address");
	for (size_t i = 0; i < sizeof(flag) / sizeof(flag[0]); i++)
		if (snap.regs.rflags & flag[i].bit) {
			strcat(flags, flag[i].name);
			strcat(flags, " ");
		}
	line_field(out, "rflags is", NULL, "%s", flags[0] ? flags : "none of CF PF ZF SF IF DF OF");
	line_field(out, "dx, ax", NULL, "port 0x%x, value 0x%x (for in and out)",
		(unsigned)(snap.regs.rdx & 0xffff), (unsigned)(snap.regs.rax & 0xffff));
	age(m, &snap, out);
}

static void frames(struct model *m, const struct snapshot *snap, struct lines *out)
{
	const struct row *r = model_row(m, 0);
	sqlite3_stmt *s = mq(m, Q_FRAMES, snap->event, MODEL_NONE, MODEL_NONE);
	bool any = false;

	while (mq_row(m, s)) {
		bool here = r->what == WHAT_FRAME && r->event == snap->event &&
			    r->frame == sqlite3_column_int64(s, 0);
		char name[96], how[16];
		uint64_t ip = (uint64_t)sqlite3_column_int64(s, 1);

		mq_text(s, 2, how, sizeof(how));
		mq_text(s, 3, name, sizeof(name));
		any = true;
		if (name[0])
			line_text(out, here ? LINE_HERE : LINE_PRE, "%s%2d %s+0x%" PRIx64 "  (%s)",
				here ? "▶" : " ", sqlite3_column_int(s, 0), name,
				ip - (uint64_t)sqlite3_column_int64(s, 4), how);
		else
			line_text(out, here ? LINE_HERE : LINE_PRE, "%s%2d 0x%" PRIx64 "  (%s)",
				here ? "▶" : " ", sqlite3_column_int(s, 0), ip, how);
	}
	if (!any)
		line_text(out, LINE_DIM, "the stack could not be unwound");
}

void pane_stack(struct model *m, struct lines *out)
{
	struct snapshot snap;
	char sym[96];

	if (!snapshot_read(m, &snap)) {
		no_snapshot(out, "stack");
		return;
	}
	line_text(out, LINE_HEAD, "Guest call chain, innermost first");
	frames(m, &snap, out);
	line_text(out, LINE_HEAD, "Raw words from rsp on");
	for (unsigned i = 0; i < snap.words; i++)
		line_text(out, LINE_PRE, "%016" PRIx64 "  %016" PRIx64 "  %s",
			snap.regs.rsp + 8u * i, snap.word[i],
			symbol_of(m, snap.word[i], sym, sizeof(sym)));
	if (!snap.words)
		line_text(out, LINE_DIM, "no byte of the stack could be read");
	age(m, &snap, out);
}
