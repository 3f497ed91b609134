/* SPDX-License-Identifier: MIT */
/* Opening a recording to read it. */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "host_mend.h"
#include "recording_file.h"
#include "schema/schema.h"
#include "seal.h"
#include "sql.h"
#include "store.h"
#include "untrusted.h"

#define BUSY_MS 2000 /* a writer holds the file for a commit, not longer */

/* A sentence for a file that SQLite cannot make sense of, or cannot read. */
static int unreadable(sqlite3 *db, int rc, const char *path, struct err *e)
{
	switch (rc & 0xff) {
	case SQLITE_NOMEM:
		return err_set(e, -ENOMEM, "out of memory");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, -EBUSY, "%s is locked by another process; try again", path);
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		return err_set(e, -EACCES,
			"%s was cut off, and its log %s-wal cannot be read here; copy both to a "
			"directory that you may write",
			path, path);
	case SQLITE_FULL:
		return err_set(e, -ENOSPC,
			"%s was cut off, and there is no room for a copy to complete; set "
			"SQLITE_TMPDIR to a directory with room",
			path);
	default:
		return err_set(e, -EIO,
			"%s is damaged or truncated (%s); record again, or use a backup", path,
			db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	}
}

static int holds_nothing(const char *path, struct err *e)
{
	return err_set(e, -EIO,
		"%s holds nothing: its recorder was ended before it began, or it is damaged; record again",
		path);
}

static int check_header(int fd, const char *path, struct err *e)
{
	uint64_t missing = recording_file_missing(fd);
	uint32_t version = recording_file_version(fd);

	if (version > SCHEMA_VERSION)
		return err_set(e, -ENOTSUP,
			"%s has schema version %u, this program knows up to %d; use a newer "
			"exitwalk",
			path, version, SCHEMA_VERSION);
	if (version == 0)
		return holds_nothing(path, e);
	if (missing)
		return err_set(e, -EIO,
			"%s is truncated: its last %" PRIu64
			" bytes are missing; copy it again, or record "
			"again",
			path, missing);
	return 0;
}

/* What the file is, before SQLite sees it. *live: a recorder has it open right now. *older: its schema
 * version is. */
static int check_file(const char *path, bool *live, bool *older, struct err *e)
{
	int ret = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return err_set(e, -errno, "%s cannot be opened: %s", path, strerror(errno));
	switch (recording_file_kind(fd)) {
	case RECORDING_FILE_ERROR:
		ret = err_set(e, -errno, "%s cannot be read: %s", path, strerror(errno));
		break;
	case RECORDING_FILE_EMPTY:
		ret = err_set(
			e, -ENODATA, "%s is empty; exitwalk run -o %s records into it", path, path);
		break;
	case RECORDING_FILE_IRREGULAR:
	case RECORDING_FILE_FOREIGN:
		ret = err_set(e, -EPROTO,
			"%s is not an exitwalk recording; exitwalk run -o FILE makes one", path);
		break;
	case RECORDING_FILE_SQLITE:
		ret = err_set(e, -EPROTO,
			"%s is an SQLite database of another program, not an exitwalk recording",
			path);
		break;
	case RECORDING_FILE_RECORDING:
		ret = check_header(fd, path, e);
		break;
	}
	*older = !ret && recording_file_version(fd) < SCHEMA_VERSION;
	if (!ret)
		*live = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return ret;
}

/* One row with one or two integers; text of the first column if `text` is given. */
static int read_row(sqlite3 *db, enum store_stmt id, char *text, size_t size, int64_t value[2])
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db, store_sql(id), -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		if (text)
			snprintf(text, size, "%s",
				sqlite3_column_text(s, 0) ? (const char *)sqlite3_column_text(s, 0)
							  : "");
		for (int i = 0; value && i < 2; i++)
			value[i] = sqlite3_column_int64(s, i);
	}
	sqlite3_finalize(s);
	return rc;
}

/* Replaces r->db by a private copy on which derive_all() has run. */
static int complete_copy(struct recording *r, const char *path, struct err *e)
{
	struct err why = {""};
	sqlite3_backup *b;
	sqlite3 *copy = NULL;
	/* "" is a temporary database: SQLite unlinks its file as soon as it is open. */
	int ret, rc = sqlite3_open_v2("", &copy,
			 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	b = rc == SQLITE_OK ? sqlite3_backup_init(copy, "main", r->db, "main") : NULL;
	if (b) {
		sqlite3_backup_step(b, -1);
		rc = sqlite3_backup_finish(b);
	} else if (rc == SQLITE_OK) {
		rc = sqlite3_errcode(copy);
	}
	if (rc != SQLITE_OK) {
		ret = unreadable(copy, rc, path, e);
		sqlite3_close(copy);
		return ret;
	}
	sqlite3_close(r->db);
	r->db = copy;
	ret = untrusted_open(copy, &why);
	if (!ret && r->cut_off)
		ret = host_mend_exits(copy, &why);
	if (!ret)
		ret = derive_all(copy, &why);
	if (ret)
		err_set(e, ret, "%s %s: %s", path,
			r->cut_off ? "was cut off and cannot be completed"
				   : "is of an older exitwalk, and cannot be derived anew",
			why.msg);
	return ret;
}

static void make_banner(struct recording *r, bool live)
{
	int64_t lost[2] = {0, 0};
	size_t used = 0;

	if (live)
		used = (size_t)snprintf(r->banner, sizeof(r->banner),
			"STILL RECORDING: this is what was committed when it was opened");
	else if (r->cut_off)
		used = (size_t)snprintf(r->banner, sizeof(r->banner),
			"CUT OFF: the recorder did not finish; what was committed is shown, the end is "
			"missing");
	if (read_row(r->db, STMT_LOST, NULL, 0, lost) == SQLITE_ROW && lost[1] > 0) {
		char n[24] = "";

		if (lost[0]) /* else nobody counted them */
			snprintf(n, sizeof(n), "%lld ", (long long)lost[0]);
		snprintf(r->banner + used, sizeof(r->banner) - used,
			"%s%srecord%s LOST in %lld gap%s", used ? "; " : "", n,
			lost[0] == 1 ? "" : "s", (long long)lost[1], lost[1] == 1 ? "" : "s");
	}
}

/* It has its header, and no table yet. */
static bool is_bare(sqlite3 *db)
{
	int64_t tables = 1;

	return sql_get_int(db, NULL, "SELECT count(*) FROM sqlite_schema", &tables) == 0 && !tables;
}

static int open_database(struct recording *r, const char *path, bool live, struct err *e)
{
	struct err why = {""};
	char state[32] = "";
	int ret, rc = sqlite3_open_v2(
			 path, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);

	if (rc != SQLITE_OK)
		return unreadable(r->db, rc, path, e);
	sqlite3_busy_timeout(r->db, BUSY_MS);
	ret = untrusted_open(r->db, &why);
	rc = sqlite3_errcode(r->db);
	if (ret && rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
		return unreadable(r->db, rc, path, e);
	if (ret)
		return err_set(e, ret, "%s is not as exitwalk recorded it: %s; do not trust it",
			path, why.msg);
	rc = read_row(r->db, STMT_STATE, state, sizeof(state), NULL);
	if (rc == SQLITE_DONE)
		return err_set(
			e, -EIO, "%s is damaged: it does not say its state; record again", path);
	if (rc == SQLITE_ERROR && is_bare(r->db))
		return holds_nothing(path, e);
	if (rc != SQLITE_ROW)
		return unreadable(r->db, rc, path, e);
	r->cut_off = strcmp(state, "complete") != 0;
	if (r->cut_off || r->older)
		ret = complete_copy(r, path, e);
	if (ret)
		return ret;
	ret = untrusted_views(r->db, e);
	if (ret)
		return ret;
	make_banner(r, live && r->cut_off);
	sqlite3_exec(r->db, "PRAGMA query_only = ON", NULL, NULL, NULL);
	return 0;
}

/*
 * A journal beside a recording is of a commit in which its recorder, or --repair, was ended: who may only read
 * gets an error from SQLite, who may write gets what there was before the commit. What fails here fails
 * again when the recording is read, and is said then.
 */
static void undo_cut_commit(const char *path)
{
	char name[PATH_MAX + 16];
	sqlite3 *db = NULL;

	snprintf(name, sizeof(name), "%s-journal", path);
	if (access(name, F_OK) == 0 &&
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK)
		sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	sqlite3_close(db);
}

int recording_open(struct recording *r, const char *path, struct err *e)
{
	bool live = false;
	int ret;

	memset(r, 0, sizeof(*r));
	ret = check_file(path, &live, &r->older, e);
	if (!ret && !live)
		undo_cut_commit(path);
	if (!ret)
		ret = open_database(r, path, live, e);
	if (ret)
		recording_close(r);
	return ret;
}

void recording_close(struct recording *r)
{
	sqlite3_close(r->db);
	r->db = NULL;
}

int recording_derive_anew(const char *path, int (*note)(sqlite3 *db, struct err *e), struct err *e)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL);
	int ret = rc == SQLITE_OK ? sql_exec(db, e, "BEGIN IMMEDIATE") : sql_error(db, rc, e);

	if (!ret)
		ret = untrusted_open(db, e);
	if (!ret)
		ret = host_mend_exits(db, e);
	if (!ret)
		ret = derive_all(db, e);
	if (!ret && note)
		ret = note(db, e);
	if (!ret)
		ret = seal_write(db, e);
	if (!ret)
		ret = sql_exec(db, e, "COMMIT");
	if (!ret)
		ret = sql_exec(
			db, e, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
	sqlite3_close(db);
	return ret;
}
