/* SPDX-License-Identifier: MIT */
/* The recording's database as its recorder sees it. */
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulk.h"
#include "recording_file.h"
#include "schema/schema.h"
#include "sql.h"

static const char *const stmt_sql[STMT_MAX] = {
#define BUSY_MS 60000
#define STMT(id, sql) [STMT_##id] = sql,
#include "statements.def"
};

static const char *const exec_sql[EXEC_MAX] = {
#define EXEC(id, sql) [EXEC_##id] = sql,
#include "statements.def"
};

const char *store_sql(enum store_stmt id)
{
	return stmt_sql[id];
}

int store_exec(struct store *s, enum store_exec id, struct err *e)
{
	return sql_exec(s->db, e, exec_sql[id]);
}

/* Sidecars go with their recording: SQLite would take a stale log for a live one. */
static const char *const suffix[] = {"-wal", "-shm", "-journal", ""};
#define SUFFIXES (sizeof(suffix) / sizeof(suffix[0]))

static void unlink_recording(const char *path)
{
	char name[PATH_MAX + 48];

	for (size_t i = 0; i < SUFFIXES; i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
		unlink(name);
	}
}

/* False: the recording itself could not be renamed. */
static bool rename_recording(const char *from, const char *to)
{
	char old[PATH_MAX + 48], new[PATH_MAX + 48];
	bool done = false;

	for (size_t i = 0; i < SUFFIXES; i++) {
		snprintf(old, sizeof(old), "%s%s", from, suffix[i]);
		snprintf(new, sizeof(new), "%s%s", to, suffix[i]);
		done = rename(old, new) == 0; /* the last one is the recording */
	}
	return done;
}

/* Where the earlier recording waits. */
static void earlier_name(char name[PATH_MAX + 32], const char *path)
{
	snprintf(name, PATH_MAX + 32, "%s.earlier-%d", path, getpid());
}

/* False: there is no such name, and it is gone. */
static bool put_aside(const char *path)
{
	char name[PATH_MAX + 32];

	earlier_name(name, path);
	if (rename_recording(path, name))
		return true;
	unlink_recording(path);
	return false;
}

static int lock_file(int fd, const char *path, struct err *e)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(e, -EBUSY,
			"%s is being recorded into by another process; choose another file", path);
	return err_set(e, -errno, "%s cannot be locked: %s", path, strerror(errno));
}

static int open_new(const char *path, int flags, struct err *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | flags, 0644);

	if (fd < 0)
		return err_set(e, -errno, "%s cannot be created: %s", path, strerror(errno));
	return fd;
}

/*
 * Leaves an empty, locked file at `path`. A recording that is there is renamed rather than truncated,
 * so that a viewer that has it open keeps it. Returns the locked descriptor.
 */
static int claim(const char *path, bool *earlier, struct err *e)
{
	int ret, fd = open_new(path, O_NONBLOCK, e);

	if (fd < 0)
		return fd;
	ret = lock_file(fd, path, e);
	if (!ret) {
		switch (recording_file_kind(fd)) {
		case RECORDING_FILE_EMPTY:
			return fd;
		case RECORDING_FILE_RECORDING:
			*earlier = put_aside(path);
			close(fd);
			fd = open_new(path, O_EXCL, e);
			if (fd < 0)
				return fd;
			ret = lock_file(fd, path, e);
			if (!ret)
				return fd;
			break;
		default:
			ret = err_set(e, -EEXIST,
				"%s exists and is not an exitwalk recording; it is left alone, choose "
				"another file",
				path);
		}
	}
	close(fd);
	return ret;
}

static int create_schema(
	struct store *s, unsigned max_pages, enum store_exec journal, struct err *e)
{
	char pragma[160];
	int ret = store_exec(s, EXEC_CREATE_PAGES, e);

	snprintf(pragma, sizeof(pragma),
		"PRAGMA max_page_count = %u; PRAGMA application_id = %d; PRAGMA user_version = %d",
		max_pages ? max_pages : 4294967294u, SCHEMA_APPLICATION_ID, SCHEMA_VERSION);
	if (!ret)
		ret = sql_exec(s->db, e, pragma);
	if (!ret)
		ret = store_exec(s, journal, e);
	if (!ret)
		ret = store_begin(s, e);
	if (!ret)
		ret = sql_exec(s->db, e, schema_sql);
	for (int i = 0; !ret && i < STMT_MAX; i++)
		ret = sqlite3_prepare_v3(s->db, stmt_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			      &s->stmt[i], NULL) == SQLITE_OK
			      ? 0
			      : sql_error(s->db, sqlite3_errcode(s->db), e);
	return ret;
}

static int create(struct store *s, const char *path, unsigned max_pages, enum store_exec journal,
	struct err *e)
{
	struct err why = {""};
	char real[PATH_MAX];
	int rc, ret;

	memset(s, 0, sizeof(*s));
	/* Nobody asks SQLite how much memory it has: counting it takes a lock at every allocation. Has no
	 * effect, and does no harm, if the library is already in use. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	/* Through a symbolic link, the file it leads to is replaced, not the link. */
	if (!realpath(path, real) &&
		snprintf(real, sizeof(real), "%s", path) >= (int)sizeof(real)) {
		s->lock = -1;
		return err_set(e, -ENAMETOOLONG, "the name of the recording is too long");
	}
	s->path = strdup(real);
	s->lock = s->path ? claim(real, &s->earlier, e) : err_set(e, -ENOMEM, "out of memory");
	if (s->lock < 0) {
		ret = s->lock;
		store_close(s);
		return ret;
	}
	rc = sqlite3_open_v2(real, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK) /* somebody who looks into the file meanwhile must not end it */
		sqlite3_busy_timeout(s->db, BUSY_MS);
	ret = rc == SQLITE_OK ? create_schema(s, max_pages, journal, &why)
			      : sql_error(s->db, rc, &why);
	if (ret) {
		store_close(s);
		return err_set(e, ret, "%s cannot be created: %s", path, why.msg);
	}
	return 0;
}

int store_create(struct store *s, const char *path, unsigned max_pages, struct err *e)
{
	return create(s, path, max_pages, EXEC_CREATE_WAL, e);
}

int store_create_bulk(struct store *s, const char *path, struct err *e)
{
	int ret = create(s, path, 0, EXEC_CREATE_BULK, e);

	if (ret)
		return ret;
	ret = store_commit(s, e);
	if (!ret)
		ret = bulk_create(&s->bulk, s->db, s->lock, e);
	if (ret)
		store_close(s);
	return ret;
}

int store_end_bulk(struct store *s, struct err *e)
{
	int ret = store_commit(s, e);

	if (!ret)
		ret = bulk_end(s->bulk, e);
	return ret ? ret : store_exec(s, EXEC_END_BULK, e);
}

void store_replace(struct store *s)
{
	char name[PATH_MAX + 32];

	if (!s->earlier)
		return;
	s->earlier = false;
	earlier_name(name, s->path);
	unlink_recording(name);
}

/* The lock is still there. */
static void put_back(struct store *s)
{
	char name[PATH_MAX + 32];

	if (!s->earlier)
		return;
	s->earlier = false;
	earlier_name(name, s->path);
	if (s->lock < 0 && access(s->path, F_OK) == 0)
		return; /* somebody else's by now; the earlier one keeps its other name */
	unlink_recording(s->path);
	rename_recording(name, s->path);
}

static void close_database(struct store *s, bool discard)
{
	bulk_free(s->bulk);
	s->bulk = NULL;
	if (s->in_transaction)
		store_exec(s, EXEC_ROLLBACK, NULL);
	s->in_transaction = false;
	for (int i = 0; i < STMT_MAX; i++) {
		sqlite3_finalize(s->stmt[i]);
		s->stmt[i] = NULL;
	}
	if (s->db && discard)
		unlink_recording(s->path);
	/* The lock's descriptor goes last: closing it drops SQLite's own POSIX locks on the file. */
	sqlite3_close(s->db);
	put_back(s);
	if (s->db)
		close(s->lock);
	s->db = NULL;
	s->lock = -1;
	free(s->path);
	s->path = NULL;
}

void store_close(struct store *s)
{
	close_database(s, false);
}

void store_discard(struct store *s)
{
	close_database(s, true);
}

int store_begin(struct store *s, struct err *e)
{
	int ret;

	if (s->in_transaction)
		return 0;
	ret = store_exec(s, EXEC_BEGIN, e);
	s->in_transaction = !ret;
	return ret;
}

int store_commit(struct store *s, struct err *e)
{
	int ret;

	if (!s->in_transaction)
		return 0;
	ret = store_exec(s, EXEC_COMMIT, e);
	s->in_transaction = ret != 0;
	return ret;
}

void store_int(struct store *s, enum store_stmt id, int n, int64_t value)
{
	sqlite3_bind_int64(s->stmt[id], n, value);
}

void store_null(struct store *s, enum store_stmt id, int n)
{
	sqlite3_bind_null(s->stmt[id], n);
}

void store_text(struct store *s, enum store_stmt id, int n, const char *value)
{
	sqlite3_bind_text(s->stmt[id], n, value, -1, SQLITE_STATIC);
}

int store_run(struct store *s, enum store_stmt id, struct err *e)
{
	int rc = sqlite3_step(s->stmt[id]);
	int ret = rc == SQLITE_DONE ? 0 : sql_error(s->db, rc, e);

	sqlite3_reset(s->stmt[id]);
	return ret;
}

int store_meta_int(struct store *s, const char *key, int64_t value, struct err *e)
{
	store_text(s, STMT_META, 1, key);
	store_int(s, STMT_META, 2, value);
	return store_run(s, STMT_META, e);
}

int store_meta_text(struct store *s, const char *key, const char *value, struct err *e)
{
	store_text(s, STMT_META, 1, key);
	store_text(s, STMT_META, 2, value);
	return store_run(s, STMT_META, e);
}

int store_one_file(struct store *s, struct err *e)
{
	int ret;

	/* Statements that are not finalized would keep the log in use. */
	for (int i = 0; i < STMT_MAX; i++) {
		sqlite3_finalize(s->stmt[i]);
		s->stmt[i] = NULL;
	}
	ret = store_exec(s, EXEC_CHECKPOINT, e);
	return ret ? ret : store_exec(s, EXEC_ONE_FILE, e);
}
