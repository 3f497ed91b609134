/* SPDX-License-Identifier: MIT */
/* The JSON writer, and the order statistics that the report prints with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tracer/json.h"
#include "tracer/stats.h"

struct out {
	FILE *f;
	char *text;
	size_t len;
	struct json j;
};

static void begin(struct out *o)
{
	o->f = open_memstream(&o->text, &o->len);
	assert_non_null(o->f);
	json_init(&o->j, o->f);
}

static void end(struct out *o, const char *text)
{
	fclose(o->f);
	assert_string_equal(o->text, text);
	free(o->text);
}

static void containers(void **state)
{
	struct out o;

	(void)state;
	begin(&o);
	json_object(&o.j, NULL);
	json_int(&o.j, "a", -1);
	json_array(&o.j, "b");
	json_int(&o.j, NULL, 1);
	json_null(&o.j, NULL);
	json_object(&o.j, NULL);
	json_end_object(&o.j);
	json_end_array(&o.j);
	json_array(&o.j, "c");
	json_end_array(&o.j);
	json_bool(&o.j, "d", true);
	json_hex(&o.j, "e", 0xffffffff80000000u);
	json_end_object(&o.j);
	end(&o, "{\n  \"a\": -1,\n  \"b\": [\n    1,\n    null,\n    {}\n  ],\n  \"c\": [],\n"
		"  \"d\": true,\n  \"e\": \"0xffffffff80000000\"\n}\n");
}

static void writes(const char *value, const char *json)
{
	struct out o;

	begin(&o);
	json_string(&o.j, NULL, value);
	end(&o, json);
}

static void strings(void **state)
{
	(void)state;
	writes("a\"b\\c\nd\te\x01\x7f", "\"a\\\"b\\\\c\\nd\\u0009e\\u0001\\u007f\"");
	writes("\xc2\xb5s \xe2\x82\xac \xf0\x9f\x99\x82",
		"\"\xc2\xb5s \xe2\x82\xac \xf0\x9f\x99\x82\"");
	writes(NULL, "null");
}

/* Overlong, surrogate, beyond the end, cut off, stray: each bad byte becomes U+FFFD. */
static void bad_utf8(void **state)
{
#define BAD "\xef\xbf\xbd"
	(void)state;
	writes("\xff", "\"" BAD "\"");
	writes("\xc0\xaf", "\"" BAD BAD "\"");
	writes("\xed\xa0\x80", "\"" BAD BAD BAD "\"");
	writes("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"");
	writes("\xe2\x82", "\"" BAD BAD "\"");
	writes("\x80z", "\"" BAD "z\"");
}

static void numbers(void **state)
{
	struct out o;

	(void)state;
	begin(&o);
	json_array(&o.j, NULL);
	json_double(&o.j, NULL, 0.25);
	json_double(&o.j, NULL, NAN);
	json_int(&o.j, NULL, INT64_MIN);
	json_end_array(&o.j);
	end(&o, "[\n  0.25,\n  null,\n  -9223372036854775808\n]\n");
}

static void nearest_rank(void **state)
{
	int64_t v[200];
	struct stats s;

	(void)state;
	for (int i = 0; i < 200; i++)
		v[i] = 200 - i;
	stats_of(&s, v, 200);
	assert_int_equal(s.min, 1);
	assert_int_equal(s.median, 100);
	assert_int_equal(s.p99, 198);
	assert_int_equal(s.max, 200);
	assert_int_equal(s.sum, 20100);
	v[0] = 7;
	stats_of(&s, v, 1);
	assert_int_equal(s.median, 7);
	assert_int_equal(s.p99, 7);
	stats_of(&s, v, 0);
	assert_int_equal(s.max, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(containers),
		cmocka_unit_test(strings),
		cmocka_unit_test(bad_utf8),
		cmocka_unit_test(numbers),
		cmocka_unit_test(nearest_rank),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
