/* SPDX-License-Identifier: MIT */
/*
 * Damaged traces: truncated anywhere, bytes changed anywhere. Whatever the libraries do with them, the
 * importer ends, and either says in one sentence that nothing could be read or makes a whole recording.
 * IMPORT_DAMAGE=N: so many of each instead of a few; IMPORT_SEED: other ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/scratch.h"
#include "tests/lib/trace_dat.h"
#include "tracer/hw_exit.h"
#include "tracer/import.h"
#include "tracer/recording.h"

struct file {
	uint8_t *bytes;
	size_t len;
};

static struct scratch scratch;
static char dat[192], scratch_trace[192];
static uint64_t seed;
static unsigned rounds, made, salvaged, refused;

static uint64_t random_number(void)
{
	seed ^= seed << 13; /* xorshift64 */
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static struct file slurp(const char *path)
{
	struct file f = {0};
	FILE *in = fopen(path, "re");

	assert_non_null(in);
	fseek(in, 0, SEEK_END);
	f.len = (size_t)ftell(in);
	rewind(in);
	f.bytes = malloc(f.len);
	assert_int_equal(fread(f.bytes, 1, f.len, in), f.len);
	fclose(in);
	return f;
}

static void spit(const uint8_t *bytes, size_t len)
{
	FILE *out = fopen(dat, "we");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(out);
}

static void one(const char *what, size_t where)
{
	const struct import_opts o = {dat, scratch.file, false};
	struct import_result result;
	struct recording rec;
	struct err e = {""};
	int ret = import_file(&o, &result, &e);

	if (ret) {
		refused++;
		if (!e.msg[0] || result.made)
			fail_msg("%s at %zu: error %d without a sentence", what, where, ret);
		return;
	}
	made++;
	salvaged += result.damage[0] != 0;
	if (!result.made || recording_open(&rec, scratch.file, &e))
		fail_msg("%s at %zu: %s", what, where, e.msg);
	assert_false(rec.cut_off);
	assert_int_equal(query_int(rec.db, "SELECT count(*) FROM event"), (int64_t)result.events);
	assert_int_equal(query_int(rec.db, "SELECT count(*) FROM vm_exit"), (int64_t)result.exits);
	assert_int_equal(query_int(rec.db, "SELECT count(*) FROM v_event WHERE text IS NULL"), 0);
	recording_close(&rec);
}

static void truncations(const struct file *f)
{
	for (unsigned i = 0; i < rounds; i++) {
		size_t len = random_number() % f->len;

		spit(f->bytes, len);
		one("truncated", len);
	}
}

static void flips(struct file *f)
{
	for (unsigned i = 0; i < rounds; i++) {
		size_t at = random_number() % f->len;
		uint8_t was = f->bytes[at];

		f->bytes[at] ^= (uint8_t)(1 + random_number() % 255);
		spit(f->bytes, f->len);
		one("changed", at);
		f->bytes[at] = was;
	}
}

static void damage(struct file f)
{
	truncations(&f);
	flips(&f);
	free(f.bytes);
}

static void own_file(void **state)
{
	struct td t;

	td_init(&t, *(const int *)*state, 2);
	t.buffers = 2;
	t.buffer_name[1] = "calls";
	for (uint64_t i = 1; i <= 200; i++) {
		unsigned cpu = i & 1;

		TD(&t, 0, cpu, i * 1000, 100 + (int)cpu, TD_EXIT, 0, 0x62100001, HW_VMX, 30, 0xabc,
			0, cpu);
		TD(&t, 0, cpu, i * 1000 + 100, 100 + (int)cpu, TD_PIO, 7, 1, 0x6210, 2, 1);
		TD(&t, 1, cpu, i * 1000 + 200, 200, TD_SYS_ENTER_PWRITE, 18, 12, 0x7f00, 512,
			i * 512);
		TD(&t, 1, cpu, i * 1000 + 300, 200, TD_SYS_EXIT_PWRITE, 18, 512);
		TD(&t, 0, cpu, i * 1000 + 400, 100 + (int)cpu, TD_ENTRY, 0xabe, cpu);
	}
	td_write(&t, dat);
	td_free(&t);
	damage(slurp(dat));
}

/* Cut anywhere in its trace data, a file is imported up to there: the more of it, the more. */
static void cut(const char *path, size_t from, size_t step)
{
	struct file f = slurp(path);
	uint64_t before = 0;

	for (size_t len = from; len < f.len; len += step) {
		const struct import_opts o = {dat, scratch.file, false};
		struct import_result result;
		struct err e = {""};

		spit(f.bytes, len);
		if (import_file(&o, &result, &e))
			fail_msg("%s cut at %zu: %s", path, len, e.msg);
		assert_true(result.made && result.events >= before && result.events > 0);
		assert_string_equal(result.damage, "its end is missing");
		before = result.events;
	}
	assert_true(before > 0);
	free(f.bytes);
}

static void cut_in_the_data(void **state)
{
	struct td t;

	(void)state;
	cut("tests/import/svm-qemu.trace.dat", 20000, 9973);
	td_init(&t, 6, 2);
	for (uint64_t i = 1; i <= 3000; i++) {
		unsigned cpu = i & 1;

		TD(&t, 0, cpu, i * 1000, 100 + (int)cpu, TD_EXIT, 0, 0, HW_SVM, 0x72, 0xabc, 0,
			cpu);
		TD(&t, 0, cpu, i * 1000 + 400, 100 + (int)cpu, TD_ENTRY, 0xabe, cpu);
	}
	td_write(&t, dat);
	td_free(&t);
	rename(dat, scratch_trace);
	cut(scratch_trace, 30000, 49999);
	unlink(scratch_trace);
}

static void real_file(void **state)
{
	(void)state;
	damage(slurp("tests/import/vmx-sync.trace.dat"));
}

static int set_up(void **state)
{
	const char *n = getenv("IMPORT_DAMAGE"), *s = getenv("IMPORT_SEED");

	(void)state;
	rounds = n ? (unsigned)strtoul(n, NULL, 10) : 25;
	seed = s ? strtoull(s, NULL, 10) : 4;
	scratch_make(&scratch);
	snprintf(dat, sizeof(dat), "%s/t.dat", scratch.dir);
	snprintf(scratch_trace, sizeof(scratch_trace), "%s/whole.dat", scratch.dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	print_message(
		"# %u whole recordings, %u of them of files with damage that was seen; %u refused\n",
		made, salvaged, refused);
	unlink(dat);
	scratch_remove(&scratch);
	return 0;
}

int main(void)
{
	static int six = 6, seven = 7;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(own_file, &six),
		cmocka_unit_test_prestate(own_file, &seven),
		cmocka_unit_test(real_file),
		cmocka_unit_test(cut_in_the_data),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
