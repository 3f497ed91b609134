/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a trace.dat file of any content. What we read of it ourselves (import_mend.c) is read
 * here. libtracecmd and libtraceevent trust their input, and a file that they crash with is no finding: they
 * run in a process of their own, as always, and the importer must make a whole recording of what they had
 * decoded, or say in a sentence that it was nothing. That takes long, so only one of so many inputs goes
 * that way.
 *
 * sources: tracer/import.c tracer/import_mend.c tracer/import_process.c tracer/import_read.c tracer/import_write.c tracer/host_decode.c tracer/host_rows.c tracer/host_exit.c tracer/host_gather.c tracer/bulk.c tracer/btree.c tracer/page_journal.c tracer/event_row.c @BUILD@/libexitwalk.a
 * libs: -isystem /usr/include/trace-cmd -isystem /usr/include/tracefs -isystem /usr/include/traceevent -lsqlite3 -ltracecmd -ltracefs -ltraceevent -lZydis -lelf
 */
#include <stdint.h>
#include <sys/mman.h>

#include "tests/lib/import_attempt.h"
#include "tracer/import_mend.h"

#define IMPORT_EVERY 32 /* so much slower is it */

static struct attempts attempts;

static void check(int ok)
{
	if (!ok)
		abort();
}

static void end(void)
{
	attempts_end(&attempts);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* Copies are in memory then: there is no file without a name in that directory. */
	setenv("TMPDIR", "/nonexistent", 1);
	attempts_begin(&attempts);
	atexit(end);
	return 0;
}

/* What it gives has the input's length at least, and its own end leads nowhere. */
static void mend(const uint8_t *data, size_t size)
{
	int in = memfd_create("trace.dat", MFD_CLOEXEC), out;
	struct stat st;

	check(in >= 0 && write(in, data, size) == (ssize_t)size);
	out = import_mend(in);
	if (out >= 0) {
		check(fstat(out, &st) == 0 && st.st_size > 0);
		close(out);
	}
	close(in);
}

/* By the content, so that a finding is found again. */
static bool goes_to_the_library(const uint8_t *data, size_t size)
{
	uint32_t sum = (uint32_t)size;

	for (size_t i = 0; i < size; i++)
		sum = sum * 31 + data[i];
	return sum % IMPORT_EVERY == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	mend(data, size);
	if (goes_to_the_library(data, size))
		check(attempt_is_fine(attempt(&attempts, data, size, true)));
	return 0;
}
