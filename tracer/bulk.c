/* SPDX-License-Identifier: MIT */
/* Rows of a recording that is made as fast as its source can be read. */
#include "bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "page_journal.h"
#include "schema/schema.h"
#include "sql.h"

/* Of the database's header, which is page 1's beginning. */
#define HEADER_CHANGES 24   /* a counter: who has pages in memory sees that they are old */
#define HEADER_PAGES 28     /* of the file */
#define HEADER_VALID_FOR 92 /* the counter, when the number of pages was written */

enum table { EVENT, VM_EXIT, PAYLOAD, TABLES };

static const char *const table_name[TABLES] = {"event", "vm_exit", "payload"};

/* At most: the old ones of the right edges, the roots, the header. */
#define OLD_MAX (TABLES * (2 * BTREE_LEVELS + 3) + 1)

/* A full leaf since the last commit. */
struct leaf {
	enum table table;
	uint32_t number; /* 0: it is a new page, the next one in `fresh` */
	int64_t key;
};

struct exit_row {
	bool have;
	uint32_t known;
	int64_t value[BULK_EXIT_COLUMNS];
};

struct bulk {
	sqlite3 *db;
	int fd;
	struct btree tree[TABLES];
	struct seal_digest digest[TABLES];
	struct seal_known known[TABLES + 1];
	/* Until the next commit. */
	uint32_t base;  /* pages of the file, while a commit goes on */
	uint8_t *fresh; /* pages to be put behind the end of the file */
	size_t fresh_n, fresh_cap;
	struct leaf *leaf;
	size_t leaves, leaves_cap;
	struct page_image *old; /* pages of the file that change */
	unsigned olds;
	struct btree_page full; /* for link_page() */
	/* Exits that wait for one with a lower id. */
	struct exit_row *exits; /* a ring, by id */
	size_t exits_cap;       /* a power of two */
	int64_t next_exit, last_exit;
	sqlite3_stmt *late; /* exits that a commit had stored and that come again */
};

/* --- pages ---------------------------------------------------------------------------------- */

static int room_for(void **array, size_t *cap, size_t n, size_t size, struct err *e)
{
	return array_grow(array, cap, n, size) ? err_set(e, -ENOMEM, "out of memory") : 0;
}

/* Room for the image of a page: of the one with this number, or of a new one, if it is 0. */
static uint8_t *image(struct bulk *b, uint32_t number, struct err *e)
{
	if (number) {
		b->old[b->olds].number = number;
		return b->old[b->olds++].bytes;
	}
	if (room_for((void **)&b->fresh, &b->fresh_cap, b->fresh_n, BTREE_PAGE, e))
		return NULL;
	return b->fresh + b->fresh_n++ * BTREE_PAGE;
}

static int full_leaf(struct bulk *b, enum table table, struct err *e)
{
	struct btree *t = &b->tree[table];
	int ret = room_for((void **)&b->leaf, &b->leaves_cap, b->leaves, sizeof(*b->leaf), e);
	uint8_t *bytes = ret ? NULL : image(b, t->leaf.number, e);

	if (!bytes)
		return -ENOMEM;
	btree_edge(t, 0, 0, bytes);
	b->leaf[b->leaves++] = (struct leaf){table, t->leaf.number, t->last};
	btree_next_leaf(t);
	return 0;
}

static int add(struct bulk *b, enum table table, int64_t id, const struct btree_record *r,
	uint64_t hash, struct err *e)
{
	int ret = seal_digest_add(&b->digest[table], hash, e);

	if (ret || btree_add(&b->tree[table], id, r))
		return ret;
	ret = full_leaf(b, table, e);
	if (!ret && !btree_add(&b->tree[table], id, r))
		ret = err_set(e, -EINVAL, "a row is longer than a page");
	return ret;
}

/* --- rows ----------------------------------------------------------------------------------- */

int bulk_event(struct bulk *b, const int64_t *value, uint32_t known, struct err *e)
{
	struct btree_record r;

	btree_integers(&r, BULK_EVENT_COLUMNS, value, known);
	return add(b, EVENT, value[0], &r, seal_hash_integers(BULK_EVENT_COLUMNS, value, known), e);
}

int bulk_payload(struct bulk *b, int64_t event, const void *data, size_t len, struct err *e)
{
	struct btree_record r;

	btree_blob(&r, data, len);
	return add(b, PAYLOAD, event, &r, seal_hash_blob(event, data, len), e);
}

static struct exit_row *slot(const struct bulk *b, int64_t id)
{
	return &b->exits[(size_t)id & (b->exits_cap - 1)];
}

/* The exits from next_exit on that are there. all: and those behind one that is missing. */
static int add_exits(struct bulk *b, bool all, struct err *e)
{
	struct btree_record r;
	int ret = 0;

	for (; !ret && b->next_exit <= b->last_exit; b->next_exit++) {
		struct exit_row *x = slot(b, b->next_exit);

		if (!x->have && !all)
			return 0;
		if (!x->have)
			continue;
		x->have = false;
		btree_integers(&r, BULK_EXIT_COLUMNS, x->value, x->known);
		ret = add(b, VM_EXIT, b->next_exit, &r,
			seal_hash_integers(BULK_EXIT_COLUMNS, x->value, x->known), e);
	}
	return ret;
}

static int more_exits(struct bulk *b, struct err *e)
{
	size_t cap = 2 * b->exits_cap;
	struct exit_row *bigger = calloc(cap, sizeof(*bigger));

	if (!bigger)
		return err_set(e, -ENOMEM, "out of memory");
	for (int64_t id = b->next_exit; id <= b->last_exit; id++)
		bigger[(size_t)id & (cap - 1)] = *slot(b, id);
	free(b->exits);
	b->exits = bigger;
	b->exits_cap = cap;
	return 0;
}

static int late_exit(struct bulk *b, const int64_t *value, uint32_t known, struct err *e)
{
	int ret;

	for (int i = 0; i < BULK_EXIT_COLUMNS; i++) {
		if (known >> i & 1)
			sqlite3_bind_int64(b->late, i + 1, value[i]);
		else
			sqlite3_bind_null(b->late, i + 1);
	}
	ret = sql_step(b->late, e);
	sqlite3_reset(b->late);
	return ret < 0 ? ret : 0;
}

int bulk_exit(struct bulk *b, const int64_t *value, uint32_t known, struct err *e)
{
	struct exit_row *x;
	int ret = 0;

	if (value[0] < b->next_exit)
		return late_exit(b, value, known, e);
	while (!ret && value[0] - b->next_exit >= (int64_t)b->exits_cap)
		ret = more_exits(b, e);
	if (ret)
		return ret;
	if (value[0] > b->last_exit)
		b->last_exit = value[0];
	x = slot(b, value[0]);
	x->have = true;
	x->known = known;
	memcpy(x->value, value, sizeof(x->value));
	return add_exits(b, false, e);
}

/* --- a commit ------------------------------------------------------------------------------- */

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

/* Links a full page into the level above it, which may fill that one's. */
static int link_page(struct bulk *b, struct btree *t, unsigned level, uint32_t number, int64_t key,
	struct err *e)
{
	struct btree_page *full = &b->full;
	int64_t full_key;

	if (level > BTREE_LEVELS)
		return err_set(e, -EFBIG, "there are more events than a recording can have");
	while (!btree_link(t, level, number, key, full, &full_key)) {
		uint8_t *bytes = image(b, full->number, e);
		int ret;

		if (!bytes)
			return -ENOMEM;
		memcpy(bytes, full->bytes, BTREE_PAGE);
		ret = link_page(b, t, level + 1,
			full->number ? full->number : b->base + (uint32_t)b->fresh_n, full_key, e);
		if (ret)
			return ret;
	}
	return 0;
}

static int link_leaves(struct bulk *b, struct err *e)
{
	uint32_t next = b->base;
	int ret = 0;

	for (size_t i = 0; !ret && i < b->leaves; i++) {
		const struct leaf *l = &b->leaf[i];

		ret = link_page(
			b, &b->tree[l->table], 1, l->number ? l->number : ++next, l->key, e);
	}
	b->leaves = 0;
	return ret;
}

/* The pages of the tree that are not full, as they are now. */
static int put_edge(struct bulk *b, struct btree *t, struct err *e)
{
	uint32_t below = 0;

	for (unsigned level = 0; level <= t->levels && (t->leaf.cells || t->levels); level++) {
		struct btree_page *p = level ? &t->level[level - 1].page : &t->leaf;
		bool top = level == t->levels;
		uint8_t *bytes = image(b, top ? t->root : p->number, e);

		if (!bytes)
			return -ENOMEM;
		btree_edge(t, level, below, bytes);
		if (!top && !p->number)
			p->number = b->base + (uint32_t)b->fresh_n;
		below = p->number;
	}
	return 0;
}

static int failed(struct err *e, const char *what)
{
	int ret = errno ? -errno : -EIO;

	return err_set(e, ret, "%s: %s", what, strerror(-ret));
}

static int put_header(struct bulk *b, struct err *e)
{
	uint8_t *header = image(b, 1, e);
	uint32_t changes;

	errno = 0;
	if (pread(b->fd, header, BTREE_PAGE, 0) != BTREE_PAGE)
		return failed(e, "its first page cannot be read");
	changes = get32(header + HEADER_CHANGES) + 1;
	put32(header + HEADER_CHANGES, changes);
	put32(header + HEADER_VALID_FOR, changes);
	put32(header + HEADER_PAGES, b->base + (uint32_t)b->fresh_n);
	return 0;
}

static int write_fresh(struct bulk *b, struct err *e)
{
	size_t len = b->fresh_n * BTREE_PAGE;
	off_t at = (off_t)b->base * BTREE_PAGE;

	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(b->fd, b->fresh + done, len - done, at + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int ret = failed(e, "it cannot be written");

			if (ftruncate(b->fd,
				    at)) /* then it is longer than it says; that is allowed */
				errno = 0;
			return ret;
		}
		done += (size_t)n;
	}
	/* It begins now, so that little is left to wait for at the end. */
	sync_file_range(b->fd, at, (off_t)len, SYNC_FILE_RANGE_WRITE);
	return 0;
}

static int file_pages(struct bulk *b, struct err *e)
{
	uint8_t pages[4];

	errno = 0;
	if (pread(b->fd, pages, sizeof(pages), HEADER_PAGES) != sizeof(pages))
		return failed(e, "its first page cannot be read");
	b->base = get32(pages);
	return 0;
}

static int commit_pages(struct bulk *b, struct err *e)
{
	int ret = file_pages(b, e);

	if (!ret)
		ret = link_leaves(b, e);
	for (int i = 0; !ret && i < TABLES; i++)
		ret = put_edge(b, &b->tree[i], e);
	if (!ret)
		ret = put_header(b, e);
	if (!ret)
		ret = write_fresh(b, e);
	if (!ret)
		ret = page_journal_replace(
			b->fd, sqlite3_db_filename(b->db, "main"), b->base, b->old, b->olds, e);
	b->fresh_n = 0;
	b->olds = 0;
	return ret;
}

int bulk_commit(struct bulk *b, struct err *e)
{
	int ret = add_exits(b, true, e);

	if (!ret) /* nobody reads or writes meanwhile; and SQLite itself has nothing to write */
		ret = sql_exec(b->db, e, "BEGIN EXCLUSIVE");
	if (ret)
		return ret;
	ret = commit_pages(b, e);
	sql_exec(b->db, NULL, "ROLLBACK");
	return ret;
}

/* --- from beginning to end ------------------------------------------------------------------ */

/* What a later row changes in the digest of its table. */
static int merge_digests(struct bulk *b, struct err *e)
{
	sqlite3_stmt *now = NULL, *was = NULL;
	int ret = sql_prepare(b->db, &now, e, "SELECT * FROM temp.late_exit ORDER BY id");

	if (!ret)
		ret = sql_prepare(b->db, &was, e, "SELECT * FROM main.vm_exit WHERE id = ?");
	while (!ret && (ret = sql_step(now, e)) > 0) {
		int64_t id = sqlite3_column_int64(now, 0);

		sqlite3_bind_int64(was, 1, id);
		ret = sql_step(was, e);
		if (ret > 0)
			seal_digest_replace(
				&b->digest[VM_EXIT], id, seal_hash_row(was), seal_hash_row(now));
		ret = ret < 0 ? ret : 0;
		sqlite3_reset(was);
	}
	sqlite3_finalize(now);
	sqlite3_finalize(was);
	return ret;
}

int bulk_end(struct bulk *b, struct err *e)
{
	int ret = bulk_commit(b, e);

	if (!ret)
		ret = merge_digests(b, e);
	if (!ret)
		ret = sql_exec(b->db, e,
			"INSERT OR REPLACE INTO main.vm_exit SELECT * FROM temp.late_exit");
	for (int i = 0; i < TABLES; i++)
		b->known[i] = (struct seal_known){table_name[i], &b->digest[i]};
	return ret;
}

const struct seal_known *bulk_digests(const struct bulk *b)
{
	return b->known;
}

static int find_roots(struct bulk *b, struct err *e)
{
	int ret = 0;

	for (int i = 0; !ret && i < TABLES; i++) {
		int64_t root = 0;
		char sql[96];

		snprintf(sql, sizeof(sql), "SELECT rootpage FROM sqlite_schema WHERE name = '%s'",
			table_name[i]);
		ret = sql_get_int(b->db, e, sql, &root);
		if (!ret && root < 2)
			ret = err_set(e, -EINVAL, "it has no table %s", table_name[i]);
		btree_init(&b->tree[i], (uint32_t)root);
	}
	return ret;
}

/* Exits that come again wait in a table of the connection's own, like vm_exit. */
static int prepare_late(struct bulk *b, struct err *e)
{
	static const char columns[] =
		"?"
		", ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?";
	char sql[256];
	int ret = sql_exec(b->db, e,
		"CREATE TEMP TABLE late_exit AS SELECT * FROM main.vm_exit WHERE 0;"
		"CREATE UNIQUE INDEX temp.late_id ON late_exit(id)");

	snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO temp.late_exit VALUES(%s)", columns);
	return ret ? ret : sql_prepare(b->db, &b->late, e, sql);
}

int bulk_create(struct bulk **out, sqlite3 *db, int fd, struct err *e)
{
	struct bulk *b = calloc(1, sizeof(*b));
	int ret = 0;

	*out = b;
	if (b) {
		b->db = db;
		b->fd = fd;
		b->next_exit = 1;
		b->exits_cap = 1024;
		b->exits = calloc(b->exits_cap, sizeof(*b->exits));
		b->old = calloc(OLD_MAX, sizeof(*b->old));
	}
	if (!b || !b->exits || !b->old)
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret)
		ret = find_roots(b, e);
	if (!ret)
		ret = prepare_late(b, e);
	if (ret) {
		bulk_free(b);
		*out = NULL;
	}
	return ret;
}

void bulk_free(struct bulk *b)
{
	if (!b)
		return;
	for (int i = 0; i < TABLES; i++)
		free(b->digest[i].block);
	sqlite3_finalize(b->late);
	free(b->fresh);
	free(b->leaf);
	free(b->old);
	free(b->exits);
	free(b);
}
