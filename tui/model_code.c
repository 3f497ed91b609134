/* SPDX-License-Identifier: MIT */
/* The "Code" pane: the instruction that exited, among its neighbours where they were recorded. */
#include "model_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "tracer/insn.h"
#include "tracer/snapshot.h"

#define CONTEXT 3

/* Bytes recorded with an exit: `n` of them from `start` on, insn_rip among them. */
struct code {
	uint8_t byte[256];
	size_t n;
	uint64_t start, insn_rip;
	bool window; /* from a snapshot: with neighbours */
};

/* Instructions cannot be decoded backwards: begin where a function begins, else at the instruction. */
static void begin_at_symbol(struct model *m, struct code *c)
{
	sqlite3_stmt *s = mq(m, Q_SYMBOL, (int64_t)c->insn_rip, MODEL_NONE, MODEL_NONE);
	uint64_t begin = c->insn_rip;
	size_t skip;

	if (mq_row(m, s)) {
		uint64_t symbol = (uint64_t)sqlite3_column_int64(s, 1);

		if (symbol >= c->start && symbol <= c->insn_rip)
			begin = symbol;
		mq_done(s);
	}
	skip = begin - c->start;
	memmove(c->byte, c->byte + skip, c->n - skip);
	c->n -= skip;
	c->start = begin;
}

static void window_read(struct model *m, int64_t exit, int64_t exit_event, struct code *c)
{
	int64_t event = mq_one(m, Q_EXIT_SNAPSHOT, exit_event, EW_SNAPSHOT, exit);
	struct snapshot_parts p;
	sqlite3_stmt *s;

	if (event == MODEL_NONE)
		return;
	s = mq(m, Q_SNAPSHOT_DATA, event, MODEL_NONE, MODEL_NONE);
	if (!mq_row(m, s))
		return;
	if (snapshot_split(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0),
		    (uint64_t)sqlite3_column_int64(s, 1), (uint64_t)sqlite3_column_int64(s, 2),
		    &p) &&
		p.code_len <= sizeof(c->byte) && c->insn_rip >= p.code_start &&
		c->insn_rip - p.code_start < p.code_len) {
		memcpy(c->byte, p.code, p.code_len);
		c->n = p.code_len;
		c->start = p.code_start;
		c->window = true;
	}
	mq_done(s);
	if (c->window)
		begin_at_symbol(m, c);
}

static bool code_read(struct model *m, int64_t exit, struct code *c)
{
	sqlite3_stmt *s = mq(m, Q_EXIT_FULL, exit, MODEL_NONE, MODEL_NONE);
	int64_t event;
	int n;

	if (!mq_row(m, s))
		return false;
	n = sqlite3_column_bytes(s, 9);
	event = mq_col(s, 17);
	c->insn_rip = c->start = (uint64_t)mq_col(s, 8);
	if (mq_col(s, 8) == MODEL_NONE || n <= 0 || n > INSN_MAX + 1)
		n = 0;
	c->n = (size_t)n;
	if (n)
		memcpy(c->byte, sqlite3_column_blob(s, 9), c->n);
	mq_done(s);
	if (n)
		window_read(m, exit, event, c);
	return n > 0;
}

/* The exit that the cursor's step belongs to: its own, or that of the snapshot or the kick. */
static int64_t exit_here(struct model *m)
{
	const struct row *r = model_row(m, 0);
	const struct request *q = model_request(m);

	if (r->exit_id != MODEL_NONE && r->exit_id > 0)
		return r->exit_id;
	return q ? q->kick_exit : MODEL_NONE;
}

/* Where to begin so that CONTEXT instructions stand in front of the one that exited. */
static size_t first_shown(const struct code *c)
{
	size_t last[CONTEXT] = {0}, at = 0, n = 0;
	char text[INSN_TEXT_MAX];

	while (at < c->n && c->start + at < c->insn_rip) {
		unsigned len = insn_format(
			c->byte + at, c->n - at, c->start + at, text, sizeof(text));

		if (!len)
			return (size_t)(c->insn_rip - c->start);
		last[n++ % CONTEXT] = at;
		at += len;
	}
	return n < CONTEXT ? 0 : last[n % CONTEXT];
}

static void disassemble(struct model *m, const struct code *c, struct lines *out)
{
	size_t at = first_shown(c);

	while (at < c->n) {
		uint64_t ip = c->start + at;
		bool here = ip == c->insn_rip;
		char text[INSN_TEXT_MAX], bytes[64], sym[96];
		unsigned len = insn_format(c->byte + at, c->n - at, ip, text, sizeof(text));
		size_t p = 0;

		if (!len || (!c->window && !here))
			break;
		if (c->window && symbol_of(m, ip, sym, sizeof(sym)) && strstr(sym, "+0x0") &&
			!strcmp(strstr(sym, "+0x0"), "+0x0"))
			line_text(out, LINE_PRE, "%.*s:", (int)(strlen(sym) - 4), sym);
		bytes[0] = 0;
		for (unsigned i = 0; i < len && p < sizeof(bytes); i++)
			p += (size_t)snprintf(
				bytes + p, sizeof(bytes) - p, "%02x ", c->byte[at + i]);
		line_text(out, here ? LINE_HERE : LINE_PRE, "%s %016" PRIx64 "  %-12s %s",
			here ? "▶" : " ", ip, bytes, text);
		at += len;
	}
}

void pane_code(struct model *m, struct lines *out)
{
	const struct row *r = model_row(m, 0);
	int64_t exit = exit_here(m);
	struct code c = {0};
	char sym[96];

	if (exit == MODEL_NONE) {
		line_text(out, LINE_DIM,
			"No exit belongs to this step, so no code bytes were recorded; x goes to the next exit.");
		return;
	}
	if (!code_read(m, exit, &c)) {
		line_text(out, LINE_DIM,
			"The bytes at exit %" PRId64
			" do not tell which instruction it was, or could not be read.",
			exit);
		return;
	}
	symbol_of(m, c.insn_rip, sym, sizeof(sym));
	line_text(out, LINE_HEAD, "The instruction of exit %" PRId64, exit);
	line_text(out, LINE_PRE, "%s", sym[0] ? sym : "(no symbol)");
	disassemble(m, &c, out);
	if (r->what == WHAT_FRAME && r->frame > 0)
		line_text(out, LINE_DIM,
			"Code bytes are recorded around the exiting instruction only; this "
			"function was waiting for the ones it called.");
	line_text(out, LINE_DIM, "Decoded by Zydis from bytes copied at the exit.");
}
