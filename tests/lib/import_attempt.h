/* SPDX-License-Identifier: MIT */
/*
 * One import after the other, of files of any content, each in a process of its own: a crash or a report of a
 * sanitizer there is that process's end, and its parent's to see. The recording is made once, and the process
 * uses up its copy of it: to make it anew would be nearly all the time that an import takes.
 */
#ifndef EXITWALK_TESTS_IMPORT_ATTEMPT_H
#define EXITWALK_TESTS_IMPORT_ATTEMPT_H

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/scratch.h"
#include "tracer/import.h"
#include "tracer/recording.h"
#include "tracer/store.h"

/* What may become of one: the exit status of its process. */
enum attempt_result {
	ATTEMPT_WHOLE,
	ATTEMPT_SALVAGED,
	ATTEMPT_REFUSED,
	ATTEMPT_RESULTS,
	ATTEMPT_FAILED
};

struct attempts {
	struct scratch s;
	char dat[192];      /* the trace */
	struct store store; /* a new recording, s.file */
	int fd;             /* its file */
	char *bytes;        /* and what is in it */
	size_t len;
};

static inline void attempts_begin(struct attempts *a)
{
	struct err e = {""};
	struct stat st;

	scratch_make(&a->s);
	snprintf(a->dat, sizeof(a->dat), "%s/t.dat", a->s.dir);
	if (store_create_bulk(&a->store, a->s.file, &e))
		abort();
	a->fd = open(a->s.file, O_RDWR | O_CLOEXEC);
	if (a->fd < 0 || fstat(a->fd, &st))
		abort();
	a->len = (size_t)st.st_size;
	a->bytes = malloc(a->len);
	if (!a->bytes || pread(a->fd, a->bytes, a->len, 0) != st.st_size)
		abort();
}

static inline void attempts_end(struct attempts *a)
{
	store_close(&a->store);
	close(a->fd);
	free(a->bytes);
	unlink(a->dat);
	scratch_remove(&a->s);
}

static inline _Noreturn void attempt_failed(const char *why)
{
	fprintf(stderr, "%s\n", why);
	_exit(ATTEMPT_FAILED);
}

/* Opens the recording, and looks whether it is what the importer says. */
static inline void attempt_look(struct attempts *a, const struct import_result *result)
{
	struct recording rec;
	struct err e = {""};

	if (recording_open(&rec, a->s.file, &e))
		attempt_failed(e.msg);
	if (rec.cut_off)
		attempt_failed("the recording is not complete");
	if (query_int(rec.db, "SELECT count(*) FROM event") != (int64_t)result->events ||
		query_int(rec.db, "SELECT count(*) FROM vm_exit") != (int64_t)result->exits)
		attempt_failed("rows are missing");
	if (query_int(rec.db, "SELECT count(*) FROM v_event WHERE text IS NULL"))
		attempt_failed("an event has no text");
	recording_close(&rec);
}

/* look: opening a recording costs more than making it. */
static inline _Noreturn void attempt_import(struct attempts *a, bool look)
{
	const struct import_opts o = {.in = a->dat, .out = a->s.file, .store = &a->store};
	struct import_result result;
	struct err e = {""};
	int ret = import_file(&o, &result, &e);

	if (ret && (!e.msg[0] || result.made))
		attempt_failed("an error without a sentence");
	if (ret)
		_exit(ATTEMPT_REFUSED);
	if (!result.made)
		attempt_failed("neither an error nor a recording");
	if (look)
		attempt_look(a, &result);
	_exit(result.damage[0] ? ATTEMPT_SALVAGED : ATTEMPT_WHOLE);
}

/* Imports these bytes. Its process's status, as wait() has it: fine if attempt_is_fine(). */
static inline int attempt(struct attempts *a, const void *bytes, size_t len, bool look)
{
	FILE *dat = fopen(a->dat, "we");
	int status = -1;
	pid_t pid;

	if (!dat || fwrite(bytes, 1, len, dat) != len || fclose(dat) ||
		pwrite(a->fd, a->bytes, a->len, 0) != (ssize_t)a->len ||
		ftruncate(a->fd, (off_t)a->len))
		abort();
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		attempt_import(a, look);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	return status;
}

static inline bool attempt_is_fine(int status)
{
	return WIFEXITED(status) && WEXITSTATUS(status) < ATTEMPT_RESULTS;
}

#endif
