/* SPDX-License-Identifier: MIT */
/*
 * Damaged traces: truncated anywhere, bytes changed anywhere. Whatever the libraries do with them, the
 * importer ends, and either says in one sentence that nothing could be read or makes a whole recording.
 * IMPORT_DAMAGE=N: so many changed bytes in each file (and as many cuts, but at most 1,000) instead of a few;
 * IMPORT_FLIPS: so many bytes at once; IMPORT_SEED: other ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/lib/import_attempt.h"
#include "tests/lib/trace_dat.h"
#include "tracer/hw_exit.h"

#define TRUNCATED_MAX 1000
#define FLIPS_MAX 64

struct file {
	uint8_t *bytes;
	size_t len;
};

static char scratch_trace[192], scratch_cut[192];
static uint64_t seed;
static unsigned truncated, changed; /* of each file */
static unsigned at_once;            /* changed bytes in one attempt */
static unsigned tried, look_every;  /* at every so many recordings it is looked */

static unsigned results[ATTEMPT_RESULTS];
static struct attempts attempts;

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
	FILE *out = fopen(attempts.dat, "we");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(out);
}

static void one(const struct file *f, size_t len, const char *what, size_t where)
{
	int status = attempt(&attempts, f->bytes, len, ++tried % look_every == 0);

	if (!attempt_is_fine(status))
		fail_msg("%s at %zu: status %x", what, where, status);
	results[WEXITSTATUS(status)]++;
}

/* --- damage --------------------------------------------------------------------------------- */

static void truncations(const struct file *f)
{
	for (unsigned i = 0; i < truncated; i++) {
		size_t len = random_number() % f->len;

		one(f, len, "truncated", len);
	}
}

static void flips(struct file *f)
{
	for (unsigned i = 0; i < changed; i++) {
		size_t at[FLIPS_MAX];
		uint8_t was[FLIPS_MAX];

		for (unsigned k = 0; k < at_once; k++) {
			at[k] = random_number() % f->len;
			was[k] = f->bytes[at[k]];
			f->bytes[at[k]] ^= (uint8_t)(1 + random_number() % 255);
		}
		one(f, f->len, "changed", at[0]);
		for (unsigned k = at_once; k-- > 0;)
			f->bytes[at[k]] = was[k];
	}
}

static void damage(struct file f)
{
	truncations(&f);
	flips(&f);
	free(f.bytes);
}

struct kind {
	int version;
	int64_t shift;
};

static void own_file(void **state)
{
	const struct kind *kind = *state;
	struct td t;

	td_init(&t, kind->version, 2);
	t.shift = kind->shift;
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
	td_write(&t, attempts.dat);
	td_free(&t);
	damage(slurp(attempts.dat));
}

/* Cut anywhere in its trace data, a file is imported up to there: the more of it, the more. */
static void cut(const char *path, size_t from, size_t step)
{
	struct file f = slurp(path);
	uint64_t before = 0;

	for (size_t len = from; len < f.len; len += step) {
		const struct import_opts o = {.in = attempts.dat, .out = scratch_cut};
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
	td_write(&t, attempts.dat);
	td_free(&t);
	rename(attempts.dat, scratch_trace);
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
	const char *n = getenv("IMPORT_DAMAGE"), *s = getenv("IMPORT_SEED"),
		   *k = getenv("IMPORT_FLIPS");

	(void)state;
	changed = n ? (unsigned)strtoul(n, NULL, 10) : 25;
	look_every = changed > TRUNCATED_MAX ? 50 : 1;
	truncated = changed < TRUNCATED_MAX ? changed : TRUNCATED_MAX;
	at_once = k ? (unsigned)strtoul(k, NULL, 10) % FLIPS_MAX : 1;
	seed = s ? strtoull(s, NULL, 10) : 4;
	attempts_begin(&attempts);
	snprintf(scratch_trace, sizeof(scratch_trace), "%s/whole.dat", attempts.s.dir);
	snprintf(scratch_cut, sizeof(scratch_cut), "%s/cut.exw", attempts.s.dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	print_message(
		"# %u whole recordings, %u more of files with damage that was seen; %u refused\n",
		results[ATTEMPT_WHOLE], results[ATTEMPT_SALVAGED], results[ATTEMPT_REFUSED]);
	unlink(scratch_cut);
	attempts_end(&attempts);
	return 0;
}

int main(void)
{
	static struct kind kind[] = {{6, 0}, {7, 0}, {6, 5000000}, {7, 5000000}};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(own_file, &kind[0]),
		cmocka_unit_test_prestate(own_file, &kind[1]),
		cmocka_unit_test_prestate(own_file, &kind[2]),
		cmocka_unit_test_prestate(own_file, &kind[3]),
		cmocka_unit_test(real_file),
		cmocka_unit_test(cut_in_the_data),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
