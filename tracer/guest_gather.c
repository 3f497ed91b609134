/* SPDX-License-Identifier: MIT */
/* All that a guest's agent has said, in memory. */
#include "guest_gather.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "derive.h"
#include "guest_read.h"
#include "import_process.h"

#define TASKS_MAX (1u << 16)

/* enum trace_flag_type, include/linux/trace_events.h */
#define FLAG_HARDIRQ 0x08
#define FLAG_SOFTIRQ 0x10

void guest_gather_free(struct guest_gather *g)
{
	for (size_t i = 0; i < g->names; i++)
		free(g->named[i].text);
	for (size_t i = 0; i < g->metas; i++)
		free(g->meta[i].value);
	free(g->row);
	free(g->loss);
	free(g->mark);
	free(g->piece);
	free(g->named);
	free(g->comm);
	u64_map_free(&g->name_at);
	u64_map_free(&g->pid);
	*g = (struct guest_gather){0};
}

const char *guest_gather_meta(const struct guest_gather *g, const char *key)
{
	for (size_t i = 0; i < g->metas; i++)
		if (!strcmp(g->meta[i].key, key))
			return g->meta[i].value;
	return NULL;
}

/* --- names --------------------------------------------------------------------------------------- */

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory for the guest's events");
}

/* The number of an address in guest_func; 0: there is no more room. */
static int number_of(
	struct guest_gather *g, uint64_t addr, bool place, uint64_t *number, struct err *e)
{
	uint64_t key = addr << 1 | place, *at = u64_map_find(&g->name_at, key);
	int ret;

	*number = at ? *at : 0;
	if (at || !addr || key == UINT64_MAX || g->names == GUEST_NAMES_MAX)
		return 0;
	ret = derive_grow((void **)&g->named, &g->names_cap, g->names, sizeof(*g->named), e);
	if (ret)
		return ret;
	at = u64_map_put(&g->name_at, key);
	if (!at)
		return no_memory(e);
	g->named[g->names++] = (struct guest_named){.value = addr, .place = place};
	*number = *at = g->names;
	return 0;
}

static int take_comm(struct guest_gather *g, const struct import_name *n, struct err *e)
{
	uint64_t *at = u64_map_find(&g->pid, n->value);
	int ret;

	if (n->value > INT32_MAX)
		return -EPROTO;
	if (!at && g->pid.n >= TASKS_MAX)
		return 0;
	if (!at) {
		ret = derive_grow((void **)&g->comm, &g->comms_cap, g->comms, sizeof(*g->comm), e);
		if (ret)
			return ret;
		at = u64_map_put(&g->pid, n->value);
		if (!at)
			return no_memory(e);
		*at = ++g->comms;
	}
	snprintf(g->comm[*at - 1], sizeof(g->comm[0]), "%.15s", n->name);
	return 0;
}

static int take_name(struct guest_gather *g, const struct import_name *n, struct err *e)
{
	uint64_t number = 0;
	int ret;

	if (n->what == GUEST_NAME_PID)
		return take_comm(g, n, e);
	ret = number_of(g, n->value, n->what == GUEST_NAME_PLACE, &number, e);
	if (ret || !number || g->named[number - 1].text || !n->name[0])
		return ret;
	g->named[number - 1].text = strdup(n->name);
	return g->named[number - 1].text ? 0 : no_memory(e);
}

/* --- events -------------------------------------------------------------------------------------- */

/* Addresses become numbers in guest_func. */
static int number_addresses(struct guest_gather *g, struct guest_row *r, struct err *e)
{
	int ret = 0;

	if (r->kind == EW_GUEST_FUNC && r->present & 1)
		ret = number_of(g, r->a[0], false, &r->a[0], e);
	if (!ret && r->kind == EW_GUEST_FUNC && r->present & 2)
		ret = number_of(g, r->a[1], true, &r->a[1], e);
	if (!ret && r->kind >= EW_GUEST_WORK_QUEUE && r->kind <= EW_GUEST_WORK_END &&
		r->present & 2)
		ret = number_of(g, r->a[1], false, &r->a[1], e);
	return ret;
}

static int take_event(struct guest_gather *g, const struct host_event *ev, struct err *e)
{
	struct guest_row r = {.tsc = ev->rec.ts,
		.dur = -1,
		.pid = ev->task,
		.kind = ev->rec.kind,
		.cpu = ev->cpu,
		.present = ev->present,
		.flags = (uint8_t)((ev->flags & FLAG_HARDIRQ ? 1 : 0) |
				   (ev->flags & FLAG_SOFTIRQ ? 2 : 0))};
	int ret;

	if (r.kind < EW_GUEST_FUNC || r.kind > EW_GUEST_SOFTIRQ_RET || r.cpu >= GUEST_CPUS)
		return -EPROTO;
	if (g->rows == GUEST_EVENTS_MAX) {
		g->dropped++;
		return 0;
	}
	memcpy(r.a, ev->rec.a, sizeof(r.a));
	ret = number_addresses(g, &r, e);
	if (!ret)
		ret = derive_grow((void **)&g->row, &g->rows_cap, g->rows, sizeof(*g->row), e);
	if (!ret)
		g->row[g->rows++] = r;
	return ret;
}

static int take_events(struct guest_gather *g, const struct host_event *ev, size_t n, struct err *e)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < n; i++)
		ret = take_event(g, &ev[i], e);
	g->taken += n;
	return ret;
}

static int take_loss(struct guest_gather *g, const struct import_loss *l, struct err *e)
{
	int ret;

	if (l->cpu >= GUEST_CPUS)
		return -EPROTO;
	if (g->losses == GUEST_LOSSES_MAX) {
		g->dropped++;
		return 0;
	}
	ret = derive_grow((void **)&g->loss, &g->losses_cap, g->losses, sizeof(*g->loss), e);
	if (!ret)
		g->loss[g->losses++] = (struct guest_loss){l->ts0, l->ts1, l->n, l->cpu};
	return ret;
}

static int take_mark(struct guest_gather *g, const struct import_mark *m, struct err *e)
{
	int ret;

	if (m->cpu >= GUEST_CPUS)
		return -EPROTO;
	if (g->marks == GUEST_MARKS_MAX)
		return 0;
	ret = derive_grow((void **)&g->mark, &g->marks_cap, g->marks, sizeof(*g->mark), e);
	if (!ret)
		g->mark[g->marks++] = (struct guest_mark){m->tsc, m->end, m->cpu};
	return ret;
}

/* Nothing but what is said of the guest's trace: the decoding process has met what the guest sent. */
static int take_meta(struct guest_gather *g, const char *text, size_t len, struct err *e)
{
	const char *value = memchr(text, '\0', len);
	size_t i = 0;

	if (!value || value == text + len - 1 || text[len - 1] ||
		strncmp(text, "guest_trace.", 12) != 0 || strlen(text) >= sizeof(g->meta[0].key))
		return -EPROTO;
	while (i < g->metas && strcmp(g->meta[i].key, text) != 0)
		i++;
	if (i == GUEST_METAS)
		return 0;
	if (i == g->metas)
		snprintf(g->meta[g->metas++].key, sizeof(g->meta[0].key), "%s", text);
	free(g->meta[i].value);
	g->meta[i].value = strdup(value + 1);
	if (!g->meta[i].value)
		return no_memory(e);
	err_clean(g->meta[i].value);
	return 0;
}

int guest_gather_take(
	struct guest_gather *g, unsigned type, const void *data, size_t len, struct err *e)
{
	struct import_name name;

	switch (type) {
	case IMPORT_EVENTS:
		return take_events(g, data, len / sizeof(struct host_event), e);
	case IMPORT_LOSS:
		return len == sizeof(struct import_loss) ? take_loss(g, data, e) : -EPROTO;
	case IMPORT_MARK:
		return len == sizeof(struct import_mark) ? take_mark(g, data, e) : -EPROTO;
	case IMPORT_META:
		return len ? take_meta(g, data, len, e) : -EPROTO;
	case IMPORT_NAME:
		if (len != sizeof(name))
			return -EPROTO;
		memcpy(&name, data, sizeof(name));
		name.name[sizeof(name.name) - 1] = '\0';
		err_clean(name.name);
		return take_name(g, &name, e);
	case IMPORT_DAMAGE:
		snprintf(g->damage, sizeof(g->damage), "%.*s", (int)len, (const char *)data);
		err_clean(g->damage);
		return 0;
	default:
		return -EPROTO;
	}
}

/* --- the process --------------------------------------------------------------------------------- */

/* The pieces of the stream, as guest_read() takes them. */
static int write_stream(struct guest_gather *g, sqlite3 *db, FILE *to, struct err *e)
{
	sqlite3_stmt *row = NULL;
	char sql[160];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT e.ts, e.a2, p.data FROM event e JOIN payload p ON p.event_id = e.id WHERE e.kind = %d"
		" ORDER BY e.id",
		EW_GUEST_STREAM);
	ret = sql_prepare(db, &row, e, sql);
	while (!ret && (ret = sql_step(row, e)) > 0) {
		const void *data = sqlite3_column_blob(row, 2);
		struct guest_piece piece = {(uint64_t)sqlite3_column_int64(row, 1),
			(uint64_t)sqlite3_column_bytes(row, 2)};

		ret = derive_grow(
			(void **)&g->piece, &g->pieces_cap, g->pieces, sizeof(*g->piece), e);
		if (ret)
			break;
		g->piece[g->pieces++] = (struct guest_piece_at){
			piece.position + piece.len, sqlite3_column_int64(row, 0)};
		g->bytes += piece.len;
		if (fwrite(&piece, sizeof(piece), 1, to) != 1 ||
			(piece.len && fwrite(data, piece.len, 1, to) != 1))
			ret = err_set(e, -errno, "no room for a copy of what the guest sent: %s",
				strerror(errno));
	}
	sqlite3_finalize(row);
	if (!ret && fflush(to))
		ret = err_set(e, -errno, "no room for a copy of what the guest sent: %s",
			strerror(errno));
	return ret;
}

/* *ended: the process said that this is it. */
static int take_all(
	struct guest_gather *g, struct import_process *p, char *msg, bool *ended, struct err *e)
{
	struct import_header h;
	int ret = 0;

	*ended = false;
	while (!ret && import_process_read(p, &h, sizeof(h)) > 0) {
		if (h.type == IMPORT_END) {
			*ended = true;
			break;
		}
		if (h.len > IMPORT_MAX || (h.len && import_process_read(p, msg, h.len) <= 0))
			break;
		ret = guest_gather_take(g, h.type, msg, h.len, e);
	}
	return ret;
}

/* What is nonsense has been made by what the guest sent: it ends the decoding, and is no error of ours. */
static int decode(struct guest_gather *g, int in, struct err *e)
{
	const struct import_reader reader = {guest_read, "libtraceevent", in, false};
	struct import_process *p = calloc(1, sizeof(*p));
	char *msg = aligned_alloc(64, IMPORT_MAX);
	bool ended = false;
	int ret = p && msg ? import_process_start(p, &reader, e) : no_memory(e);

	if (!ret) {
		ret = take_all(g, p, msg, &ended, e);
		import_process_end(p, ended, g->damage, sizeof(g->damage));
		if ((!ret || ret == -EPROTO) && !ended && p->batch->sent == g->taken &&
			p->batch->n <= IMPORT_BATCH)
			ret = take_events(g, p->batch->event, p->batch->n, e);
		import_process_free(p);
	}
	free(msg);
	free(p);
	return ret == -EPROTO ? 0 : ret;
}

int guest_gather(struct guest_gather *g, sqlite3 *db, struct err *e)
{
	FILE *stream = tmpfile();
	int ret = stream ? write_stream(g, db, stream, e)
			 : err_set(e, -errno, "no temporary file can be made: %s", strerror(errno));

	if (!ret)
		ret = decode(g, fileno(stream), e);
	if (stream)
		fclose(stream);
	return ret;
}
