/* SPDX-License-Identifier: MIT */
/* The header's texts: where we are, and the request in words. */
#include "model_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "text.h"

/* Whom the guest's kernel ran there, if it is said. */
static const char *actor_at(const struct model *m)
{
	const struct row *r = model_row(m, 0);

	return r && m->mode == MODEL_PATH && strcmp(r->actor, r->track) != 0 ? r->actor : "";
}

/* On whose track the cursor is; a row that has none is where those in front of it are. */
static const char *track_at(const struct model *m)
{
	const struct row *r;

	for (int rel = 0; (r = model_row(m, rel)) != NULL; rel--)
		if (r->track[0] || r->what != WHAT_ASIDE)
			return r->track;
	return "";
}

const char *model_crumb(const struct model *m, char *buf, size_t size)
{
	const struct row *r = model_row(m, 0);
	const struct request *q = model_request(m);
	size_t at = (size_t)snprintf(buf, size, "%s", m->name);

	if (at < size && m->mode == MODEL_REQUESTS)
		at += (size_t)snprintf(buf + at, size - at, " ▸ requests");
	if (at < size && m->mode == MODEL_TIMELINE)
		at += (size_t)snprintf(buf + at, size - at, " ▸ timeline");
	if (at < size && *track_at(m))
		at += (size_t)snprintf(buf + at, size - at, " ▸ %s", track_at(m));
	if (at < size && *actor_at(m))
		at += (size_t)snprintf(buf + at, size - at, ": %s", actor_at(m));
	if (at < size && q)
		at += (size_t)snprintf(buf + at, size - at, " ▸ request %" PRId64 "/%" PRId64,
			q->id, m->last_request);
	else if (at < size && m->mode == MODEL_TIMELINE)
		at += (size_t)snprintf(buf + at, size - at, " ▸ outside requests");
	if (at < size && r && m->mode != MODEL_REQUESTS && r->stage)
		snprintf(buf + at, size - at, " ▸ %d %s", r->stage, model_stage_name(r->stage));
	return buf;
}

static void call_text(struct model *m, int64_t id, char *buf, size_t size)
{
	sqlite3_stmt *s = mq(m, Q_CALL, id, MODEL_NONE, MODEL_NONE);
	char text[160], path[48], comm[20], ret[48] = " (did not return)";

	buf[0] = 0;
	if (!mq_row(m, s))
		return;
	mq_text(s, 0, text, sizeof(text));
	mq_text(s, 1, path, sizeof(path));
	mq_text(s, 4, comm, sizeof(comm));
	if (mq_col(s, 2) != MODEL_NONE)
		snprintf(ret, sizeof(ret), " = %" PRId64, mq_col(s, 2));
	snprintf(buf, size, "%s%s  %s[%" PRId64 "]%s%s", text, ret, comm, mq_int(s, 3),
		path[0] ? " " : "", path);
	sqlite3_reset(s);
}

const char *model_call(struct model *m, char *buf, size_t size)
{
	const struct request *q = model_request(m);
	const char *type;
	char call[320] = "", bytes[48] = "", sector[48] = "";

	buf[0] = 0;
	if (!q)
		return buf;
	if (q->call != MODEL_NONE)
		call_text(m, q->call, call, sizeof(call));
	if (q->sector != MODEL_NONE)
		snprintf(sector, sizeof(sector), " sector %" PRId64, q->sector);
	if (q->bytes != MODEL_NONE && q->bytes)
		snprintf(bytes, sizeof(bytes), ", %" PRId64 " bytes", q->bytes);
	type = strncmp(q->type, "VIRTIO_BLK_T_", 13) == 0 ? q->type + 13 : q->type;
	if (!q->device) /* imported: a trace of the host does not see system calls */
		snprintf(call, sizeof(call), "the guest");
	snprintf(buf, size, "%s → %s%s%s", call[0] ? call : "the guest kernel itself",
		type[0] ? type : "a request whose system call was not recorded", sector, bytes);
	return buf;
}

void pane_budget(struct model *m, struct lines *out)
{
	int64_t ns[MODEL_LAYERS], sum = model_budget(m, ns);
	const struct request *q = model_request(m);
	char t[32];

	if (!q) {
		line_text(out, LINE_DIM,
			"No request here, so there is no budget; ] goes to the next one.");
		return;
	}
	line_text(out, LINE_TEXT, "Where request %" PRId64 " spent its %s", q->id,
		text_ns(q->t_last - q->t_first, t, sizeof(t)));
	for (int i = 1; i < MODEL_LAYERS; i++) {
		struct line *l;

		if (ns[i] == 0 && i != EW_LAYER_UNACCOUNTED)
			continue;
		l = line_add(out, LINE_BAR);
		if (!l)
			break;
		l->layer = i;
		l->share = sum > 0 && ns[i] > 0 ? (unsigned)((double)ns[i] * 1000.0 / (double)sum)
						: 0;
		snprintf(l->key, sizeof(l->key), "%s", model_layer_name(i));
		text_ns(ns[i], t, sizeof(t));
		snprintf(l->value, sizeof(l->value), "%*s%s %3u.%u%%",
			9 - (int)text_width(t, false), "", t, l->share / 10, l->share % 10);
	}
	line_field(out, "sum", NULL, "%s%s", text_ns(sum, t, sizeof(t)),
		sum == q->t_last - q->t_first ? " = wall time"
					      : " (the wall time differs: try exitwalk check)");
	line_text(out, LINE_DIM, "From recorded times only.");
	if (ns[EW_LAYER_IN_KVM_RUN] > 0)
		line_text(out, LINE_DIM,
			"guest + KVM, not separated: inside KVM_RUN nothing was recorded that tells the two "
			"apart; the tracepoints kvm_exit and kvm_entry would (--host-trace).");
	if (ns[EW_LAYER_IN_VMM] > 0)
		line_text(out, LINE_DIM,
			"VMM + waiting, not separated: nothing says whether its threads ran or waited; "
			"sched_waking would.");
	if (ns[EW_LAYER_UNACCOUNTED] > 0)
		line_text(out, LINE_WARN,
			"unaccounted: no row says who had the request in that time; a system call of the "
			"VMM is not in the recording, or records were lost.");
}

int64_t model_budget(struct model *m, int64_t ns[MODEL_LAYERS])
{
	const struct request *q = model_request(m);
	sqlite3_stmt *s;
	int64_t sum = 0;

	memset(ns, 0, sizeof(ns[0]) * MODEL_LAYERS);
	if (!q)
		return 0;
	s = mq(m, Q_BUDGET, q->id, MODEL_NONE, MODEL_NONE);
	while (mq_row(m, s)) {
		int layer = sqlite3_column_int(s, 0);

		if (layer < 0 || layer >= MODEL_LAYERS)
			layer = EW_LAYER_UNACCOUNTED;
		ns[layer] += sqlite3_column_int64(s, 1);
		sum += sqlite3_column_int64(s, 1);
	}
	return sum;
}
