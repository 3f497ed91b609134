/* SPDX-License-Identifier: MIT */
/* Makes a recording of somebody else's trace: the importer's end of the pipe. */
#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bulk.h"
#include "host_join.h"
#include "host_rows.h"
#include "host_trace.h"
#include "import_pipe.h"
#include "import_process.h"
#include "recording.h"
#include "store_state.h"

#define COMMIT_EVENTS 50000
#define PROGRESS_NS 200000000u
#define METAS_MAX 65536

struct import {
	const struct import_opts *o;
	struct import_result *result;
	struct import_process reader;
	struct store store;
	struct host_rows rows;
	struct rows_counts n;
	struct host_join join;
	struct host_gather *gather; /* fills it */
	struct err why;             /* what join says */
	bool created;
	char meta[METAS_MAX]; /* "key\0value\0" of before the recording was created */
	size_t metas;
	uint64_t uncommitted, shown; /* events since the last commit; time of the last progress */
	uint64_t taken;              /* events of this reader */
	union {
		char text[IMPORT_MAX + 1];
		struct import_task task;
		struct import_loss loss;
	} msg;
};

/* --- the recording -------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int put_meta(struct import *m, const char *key, const char *value, struct err *e)
{
	int ret = store_begin(&m->store, e);

	return ret ? ret : store_meta_text(&m->store, key, value, e);
}

/* The recording begins with the first thing that is to stand in it: a file of nothing replaces nothing. */
static int create(struct import *m, struct err *e)
{
	int ret = 0;

	if (m->created)
		return 0;
	if (m->o->store)
		m->store = *m->o->store;
	else
		ret = store_create_bulk(&m->store, m->o->out, e);
	if (ret)
		return ret;
	store_replace(&m->store);
	m->created = true;
	host_rows_init(&m->rows, &m->store, &m->n, 0);
	m->join.e = &m->why;
	ret = host_gather_begin(&m->gather, &m->join);
	m->rows.gather = m->gather;
	if (!ret)
		ret = store_begins(&m->store, e);
	if (!ret)
		ret = put_meta(m, "import.file", base_name(m->o->in), e);
	for (size_t i = 0; !ret && i < m->metas;) {
		const char *key = m->meta + i, *value = key + strlen(key) + 1;

		ret = put_meta(m, key, value, e);
		i += strlen(key) + strlen(value) + 2;
	}
	return ret;
}

static int commit(struct import *m, struct err *e)
{
	int ret = store_begin(&m->store, e);

	if (!ret)
		ret = host_rows_flush(&m->rows, e);
	m->uncommitted = 0;
	if (!ret)
		ret = store_commit(&m->store, e);
	return ret ? ret : bulk_commit(m->store.bulk, e);
}

static int last_meta(struct import *m, struct err *e)
{
	const struct rows_counts *n = &m->n;
	const struct {
		const char *key;
		uint64_t value;
	} line[] = {
		{"events", n->events},
		{"exits", n->exits},
		{"records_lost", n->lost},
		{"duration_ns", n->last_ts - n->first_ts},
		{"recorder.late_records", n->late},
		{"recorder.late_max_ns", n->late_max_ns},
	};
	int ret = 0;

	for (size_t i = 0; !ret && i < sizeof(line) / sizeof(line[0]); i++)
		ret = store_meta_int(&m->store, line[i].key, (int64_t)line[i].value, e);
	if (!ret && (m->rows.isa == 1 || m->rows.isa == 2))
		ret = store_meta_text(
			&m->store, "kvm_backend", m->rows.isa == 1 ? "kvm_intel" : "kvm_amd", e);
	if (!ret && m->result->damage[0])
		ret = store_meta_text(&m->store, "import.damage", m->result->damage, e);
	return ret;
}

static int finish(struct import *m, struct err *e)
{
	int ret = commit(m, e);

	if (!ret)
		ret = store_end_bulk(&m->store, e);
	if (!ret)
		ret = store_begin(&m->store, e);
	if (!ret)
		ret = last_meta(m, e);
	if (!ret)
		ret = host_gather_end(&m->gather);
	if (!ret)
		ret = derive_gathered(m->store.db, &m->join, e);
	if (!ret)
		ret = store_ends(&m->store, e);
	m->result->made = !ret;
	m->result->events = m->n.events;
	m->result->exits = m->n.exits;
	m->result->lost = m->n.lost;
	m->result->gaps = m->n.losses;
	return ret;
}

/* --- messages ------------------------------------------------------------------------------- */

static void progress(struct import *m, bool last)
{
	uint64_t now;

	if (!m->o->progress)
		return;
	now = probe_now();
	if (!last && now - m->shown < PROGRESS_NS)
		return;
	m->shown = now;
	if (last)
		fputs("\r\033[K", stderr);
	else
		fprintf(stderr, "\r%s: %llu events", base_name(m->o->in),
			(unsigned long long)m->n.events);
	fflush(stderr);
}

static int take_meta(struct import *m, size_t len, struct err *e)
{
	size_t key;

	m->msg.text[len] = '\0';
	key = strlen(m->msg.text);
	if (key + 1 >= len)
		return err_set(e, -EPROTO, "a line of meta has no value");
	if (m->created)
		return put_meta(m, m->msg.text, m->msg.text + key + 1, e);
	len = key + 1 + strlen(m->msg.text + key + 1) + 1;
	if (m->metas + len <= METAS_MAX) {
		memcpy(m->meta + m->metas, m->msg.text, len);
		m->metas += len;
	}
	return 0;
}

/* The reader can write to a batch at any time: each event is a copy before it is looked at. */
static int take_events(struct import *m, const struct import_batch *b, struct err *e)
{
	uint32_t n = *(const volatile uint32_t *)&b->n;
	int ret = 0;

	if (n > IMPORT_BATCH)
		return err_set(e, -EPROTO, "a batch of %u events", n);
	for (uint32_t i = 0; !ret && i < n; i++) {
		const struct host_event ev = b->event[i];

		ret = host_rows_add(&m->rows, &ev, 0, e);
	}
	m->taken += n;
	m->uncommitted += n;
	progress(m, false);
	return ret || m->uncommitted < COMMIT_EVENTS ? ret : commit(m, e);
}

static int take(struct import *m, const struct import_header *h, struct err *e)
{
	int ret = 0;

	if (h->type == IMPORT_META)
		return take_meta(m, h->len, e);
	if (h->type == IMPORT_DAMAGE) {
		m->msg.text[h->len] = '\0';
		err_clean(m->msg.text);
		snprintf(m->result->damage, sizeof(m->result->damage), "%.500s", m->msg.text);
		return 0;
	}
	if (h->type == IMPORT_TASK && h->len == sizeof(m->msg.task)) {
		ret = create(m, e);
		if (!ret)
			ret = store_begin(&m->store, e);
		m->msg.task.name[sizeof(m->msg.task.name) - 1] = '\0';
		return ret ? ret : host_rows_task(&m->rows, m->msg.task.task, m->msg.task.name, e);
	}
	if (h->type == IMPORT_RING && m->created && h->len == 0) {
		ret = take_events(m, import_process_batch(&m->reader), e);
		import_process_taken(&m->reader);
		return ret;
	}
	if (h->type == IMPORT_LOSS && m->created && h->len == sizeof(m->msg.loss))
		return store_begin(&m->store, e)
			       ?: host_rows_lost(&m->rows, m->msg.loss.task, m->msg.loss.ts0,
					  m->msg.loss.ts1, m->msg.loss.n, e);
	return err_set(e, -EPROTO, "a message of type %u is not understood", h->type);
}

/* Until the end; *ended: the reader said that this is it. An error of the recording's, or 0. */
static int take_all(struct import *m, bool *ended, struct err *e)
{
	struct import_header h;
	int ret;

	*ended = false;
	for (;;) {
		ret = import_process_read(&m->reader, &h, sizeof(h));
		if (ret <= 0)
			return 0; /* the reader is gone */
		if (h.type == IMPORT_END) {
			*ended = true;
			return 0;
		}
		if (h.len > IMPORT_MAX)
			return 0;
		if (h.len && import_process_read(&m->reader, m->msg.text, h.len) <= 0)
			return 0;
		ret = take(m, &h, e);
		if (ret == -EPROTO) /* a reader that talks nonsense has been broken by its file */
			return 0;
		if (ret)
			return ret;
	}
}

/* --- the input ------------------------------------------------------------------------------ */

/* trace-cmd.dat.v6(5), trace-cmd.dat.v7(5), "INITIAL FORMAT" */
static int check_magic(int fd, const char *path, struct err *e)
{
	static const char magic[] = "\x17\x08\x44tracing";
	char head[16] = "";
	ssize_t n = pread(fd, head, sizeof(head) - 1, 0);

	if (n < 0)
		return err_set(e, -errno, "%s cannot be read: %s", path, strerror(errno));
	if (n == 0)
		return err_set(
			e, -ENODATA, "%s is empty; trace-cmd record makes a trace.dat", path);
	if (!strncmp(head, "SQLite format 3", 15))
		return err_set(e, -EPROTO,
			"%s is a recording or another database; exitwalk view shows a recording",
			path);
	if (memcmp(head, magic, sizeof(magic) - 1) != 0)
		return err_set(e, -EPROTO,
			"%s is not a trace.dat file; trace-cmd record -e kvm makes one", path);
	if (n < (ssize_t)sizeof(magic) + 1 || (strcmp(head + sizeof(magic) - 1, "6") != 0 &&
						      strcmp(head + sizeof(magic) - 1, "7") != 0))
		return err_set(e, -EPROTO,
			"%s is a trace.dat of another version than 6 and 7, or damaged", path);
	return 0;
}

static int open_input(const char *path, struct err *e)
{
	int ret, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return err_set(e, -errno, "%s cannot be opened: %s", path, strerror(errno));
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		ret = err_set(e, -EPROTO, "%s is not a file", path);
	else
		ret = check_magic(fd, path, e);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* What a reader that crashed had decoded and not sent; its tasks were announced before. */
static int take_rest(struct import *m, struct err *e)
{
	const struct import_batch *b = import_process_batch(&m->reader);

	if (!m->created || b->sent != m->taken || b->n > IMPORT_BATCH)
		return 0;
	return take_events(m, b, e);
}

/* One reader's whole life: what it says is stored. */
static int read_once(struct import *m, int in, bool mend, struct err *e)
{
	const struct import_reader reader = {import_read, "libtracecmd", in, mend};
	bool ended = false;
	int ret;

	m->metas = 0;
	m->taken = 0;
	m->result->damage[0] = '\0';
	ret = import_process_start(&m->reader, &reader, e);
	if (ret)
		return ret;
	ret = take_all(m, &ended, e);
	progress(m, true);
	import_process_end(&m->reader, ended, m->result->damage, sizeof(m->result->damage));
	if (!ret && !ended)
		ret = take_rest(m, e);
	import_process_free(&m->reader);
	return ret == -EPROTO ? 0 : ret;
}

/* libtracecmd refuses a file whose end is missing, or crashes: then another reader takes what there is. */
static int read_and_store(struct import *m, int in, struct err *e)
{
	struct err *why = &m->why;
	char first[sizeof(m->result->damage)];
	int ret = read_once(m, in, false, why);

	if (!ret && !m->created && m->result->damage[0]) {
		memcpy(first, m->result->damage, sizeof(first));
		ret = read_once(m, in, true, why);
		if (!m->created)
			memcpy(m->result->damage, first, sizeof(first));
	}
	if (ret)
		return err_set(e, ret, "%s cannot be written: %s", m->o->out, why->msg);
	if (m->created)
		ret = finish(m, why);
	if (ret)
		return err_set(e, ret, "%s could not be completed: %s", m->o->out, why->msg);
	if (m->created)
		return 0;
	if (m->result->damage[0])
		return err_set(
			e, -EIO, "nothing could be read of %s: %s", m->o->in, m->result->damage);
	return err_set(e, -ENODATA,
		"%s has no record of a tracepoint that exitwalk knows; trace-cmd record -e kvm -e block -e syscalls makes some",
		m->o->in);
}

int import_file(const struct import_opts *o, struct import_result *result, struct err *e)
{
	struct import *m = calloc(1, sizeof(*m));
	int ret, in;

	*result = (struct import_result){0};
	/* A file at its size limit is a full disk (EFBIG), not the end of the process. */
	signal(SIGXFSZ, SIG_IGN);
	if (!m)
		return err_set(e, -ENOMEM, "out of memory");
	m->o = o;
	m->result = result;
	in = open_input(o->in, e);
	ret = in < 0 ? in : read_and_store(m, in, e);
	if (in >= 0)
		close(in);
	if (m->created)
		store_close(&m->store);
	import_process_free(&m->reader);
	host_rows_destroy(&m->rows);
	host_gather_end(&m->gather);
	host_join_free(&m->join);
	free(m);
	return ret;
}
