/* SPDX-License-Identifier: MIT */
#include "host_mend.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"
#include "host_exit.h"
#include "sql.h"
#include "u64_map.h"

struct mend {
	sqlite3 *db;
	struct err *e;
	struct host_exit *exit;
	size_t n, cap;
	struct u64_map at; /* number of an exit → index + 1 */
};

static int no_memory(struct mend *m)
{
	return err_set(m->e, -ENOMEM, "out of memory for the exits");
}

static int without_end(struct mend *m)
{
	sqlite3_stmt *row = NULL;
	int ret = sql_prepare(
		m->db, &row, m->e, "SELECT id FROM vm_exit WHERE id > 0 AND t_entry IS NULL");

	while (!ret && (ret = sql_step(row, m->e)) > 0) {
		uint64_t *at = u64_map_put(&m->at, (uint64_t)sqlite3_column_int64(row, 0));

		ret = !at || array_grow((void **)&m->exit, &m->cap, m->n, sizeof(*m->exit))
			      ? no_memory(m)
			      : 0;
		if (ret)
			break;
		m->exit[m->n] = (struct host_exit){.open = false};
		*at = ++m->n;
	}
	sqlite3_finalize(row);
	return ret;
}

/* Columns id, ts, kind, exit_id, a0 … a5. */
static void one_event(struct mend *m, sqlite3_stmt *row)
{
	struct ew_rec rec = {.kind = (uint16_t)sqlite3_column_int(row, 2)};
	int64_t ts = sqlite3_column_int64(row, 1);
	struct host_exit *x;
	uint8_t present = 0;
	const uint64_t *at;

	at = u64_map_find(
		&m->at, (uint64_t)sqlite3_column_int64(row, rec.kind == EW_KVM_EXIT ? 4 : 3));
	if (!at)
		return;
	x = &m->exit[*at - 1];
	for (int i = 0; i < 6; i++) {
		rec.a[i] = (uint64_t)sqlite3_column_int64(row, 4 + i);
		present |= (uint8_t)((sqlite3_column_type(row, 4 + i) != SQLITE_NULL) << i);
	}
	if (rec.kind == EW_KVM_EXIT) {
		host_exit_open(x, &rec, present, sqlite3_column_int64(row, 0), (uint64_t)ts);
	} else if (rec.kind == EW_KVM_ENTRY && x->open) {
		x->t_entry = ts;
		x->open = false;
	} else {
		host_exit_note(x, &rec);
	}
}

static int read_events(struct mend *m)
{
	sqlite3_stmt *row = NULL;
	char sql[192];
	int ret;

	snprintf(sql, sizeof(sql),
		"SELECT id, ts, kind, exit_id, a0, a1, a2, a3, a4, a5 FROM event"
		" WHERE kind IN (%d, %d, %d, %d, %d, %d) ORDER BY id",
		EW_KVM_EXIT, EW_KVM_ENTRY, EW_KVM_PIO, EW_KVM_MMIO, EW_KVM_FAST_MMIO,
		EW_KVM_USERSPACE_EXIT);
	ret = sql_prepare(m->db, &row, m->e, sql);
	while (!ret && (ret = sql_step(row, m->e)) > 0) {
		one_event(m, row);
		ret = 0;
	}
	sqlite3_finalize(row);
	return ret;
}

static void bind(sqlite3_stmt *stmt, int n, int64_t value, bool known)
{
	if (known)
		sqlite3_bind_int64(stmt, n, value);
	else
		sqlite3_bind_null(stmt, n);
}

static int put_back(struct mend *m)
{
	sqlite3_stmt *update = NULL;
	int ret = sql_prepare(m->db, &update, m->e,
		"UPDATE vm_exit SET kvm_reason = ?, space = ?, addr = ?, size = ?, count = ?, is_write = ?,"
		" value = ?, t_entry = ? WHERE id = ?");

	for (size_t i = 0; !ret && i < m->n; i++) {
		const struct host_exit *x = &m->exit[i];

		if (!x->id) /* its beginning is not there */
			continue;
		bind(update, 1, x->kvm_reason, x->returned);
		bind(update, 2, x->space, x->access);
		bind(update, 3, x->addr, x->access);
		bind(update, 4, x->size, x->access && x->size);
		bind(update, 5, x->count, x->access && x->count);
		bind(update, 6, x->is_write, x->access);
		bind(update, 7, x->value, x->valued);
		bind(update, 8, x->t_entry, x->t_entry != 0);
		sqlite3_bind_int64(update, 9, x->id);
		ret = sql_step(update, m->e);
		sqlite3_reset(update);
	}
	sqlite3_finalize(update);
	return ret;
}

int host_mend_exits(sqlite3 *db, struct err *e)
{
	struct mend m = {.db = db, .e = e};
	int64_t imported = 0;
	int ret = sql_get_int(
		db, e, "SELECT count(*) FROM meta WHERE key = 'import.file'", &imported);

	if (ret || !imported)
		return ret;
	ret = without_end(&m);
	if (!ret && m.n)
		ret = read_events(&m);
	if (!ret)
		ret = put_back(&m);
	free(m.exit);
	u64_map_free(&m.at);
	return ret;
}
