/* SPDX-License-Identifier: MIT */
/*
 * Where the tables are is found from the one thing that looks alike in every kernel: names are
 * compressed by 256 tokens, and a character that is used has itself as token, so that the digits stand
 * in the token table one behind the other, each with a NUL. From there on every table must fit the one
 * found before: the index the tokens, the markers the compressed names, the addresses the image.
 *
 *   up to 6.1  offsets, relative_base, num_syms, names, markers, token_table, token_index
 *   6.2, 6.3   the same with seqs_of_names behind markers
 *   from 6.4   num_syms, names, markers, token_table, token_index, offsets, relative_base, seqs
 *
 * Each table begins at a multiple of 8. The guest may have put anything there.
 */
#include "kallsyms.h"

#include <errno.h>
#include <string.h>

enum {
	TOKENS = 256,
	GROUP = 256,              /* names per marker */
	SYMS_MIN = 300,           /* fewer symbols than that is no kernel */
	NAMES_LEN_MAX = 16 << 20, /* bytes of compressed names */
	TOKEN_TABLE_MAX = 16384,
	TRIES = 64, /* places that look like a token table; like markers */
	WALK_MAX = 32 << 20,
};

struct tables {
	const uint8_t *image;
	size_t len;
	uint64_t base;
	size_t tokens, index;      /* kallsyms_token_table, kallsyms_token_index */
	size_t markers, groups;    /* groups: how many entries look like markers */
	size_t num_at, names, num; /* kallsyms_num_syms, kallsyms_names */
	size_t offsets;
	uint64_t relative_base;
	size_t walked; /* names looked at while searching: a guest must not keep us at it */
};

static uint16_t u16_at(const struct tables *t, size_t at)
{
	uint16_t v;

	memcpy(&v, t->image + at, sizeof(v));
	return v;
}

static uint32_t u32_at(const struct tables *t, size_t at)
{
	uint32_t v;

	memcpy(&v, t->image + at, sizeof(v));
	return v;
}

static uint64_t u64_at(const struct tables *t, size_t at)
{
	uint64_t v;

	memcpy(&v, t->image + at, sizeof(v));
	return v;
}

static size_t align8(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/* --- tokens --------------------------------------------------------------------------------- */

/* Is there an index at `at` for a token table in which the digit 0 lies at `zero`? */
static bool fits_index(struct tables *t, size_t at, size_t zero)
{
	size_t start;

	if (u16_at(t, at) != 0 || u16_at(t, at + 2 * '0') > zero)
		return false;
	start = zero - u16_at(t, at + 2 * '0');
	if (start % 8)
		return false;
	for (size_t i = 1; i < TOKENS; i++) {
		uint16_t before = u16_at(t, at + 2 * (i - 1)), here = u16_at(t, at + 2 * i);

		if (here <= before || start + here > at || t->image[start + here - 1] != '\0')
			return false;
	}
	/* The last token ends in front of the index. */
	if (!memchr(t->image + start + u16_at(t, at + 2 * 255), '\0',
		    at - start - u16_at(t, at + 2 * 255)))
		return false;
	t->tokens = start;
	t->index = at;
	return true;
}

static bool find_tokens(struct tables *t, size_t from, size_t *zero)
{
	static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009"; /* and NUL */
	const uint8_t *p = memmem(t->image + from, t->len - from, digits, sizeof(digits));

	if (!p)
		return false;
	*zero = (size_t)(p - t->image);
	return true;
}

static bool find_index(struct tables *t, size_t zero)
{
	size_t end = zero + TOKEN_TABLE_MAX;

	for (size_t at = align8(zero); at < end && at + 2 * TOKENS <= t->len; at += 8)
		if (fits_index(t, at, zero))
			return true;
	return false;
}

/* --- markers and names ---------------------------------------------------------------------- */

/* How many entries from `at` on are in order, with steps as 256 names make them. */
static size_t count_markers(const struct tables *t, size_t at)
{
	size_t n = 1;

	if (u32_at(t, at) != 0)
		return 0;
	for (; at + 4 * n + 4 <= t->tokens; n++) {
		uint32_t before = u32_at(t, at + 4 * n - 4), here = u32_at(t, at + 4 * n);

		if (here <= before || here - before < 2 * GROUP ||
			here - before > GROUP * (KSYMS_NAME_MAX + 2) || here > NAMES_LEN_MAX)
			break;
	}
	return n;
}

/* The compressed length of the name at `at`, one byte or two (Linux 6.1 on); moves `at` behind it. */
static size_t name_len(const struct tables *t, size_t *at)
{
	size_t len = t->image[(*at)++];

	if (len & 0x80)
		len = (len & 0x7f) | (size_t)t->image[(*at)++] << 7;
	return len;
}

/* Do num names from t->names on pass every marker, and end where the markers begin? */
static bool fits_names(struct tables *t)
{
	size_t at = t->names;

	for (size_t i = 0; i < t->num; i++) {
		size_t len;

		if (t->walked++ > WALK_MAX)
			return false;
		if (i % GROUP == 0 && at - t->names != u32_at(t, t->markers + i / GROUP * 4))
			return false;
		if (at + 2 > t->markers)
			return false;
		len = name_len(t, &at);
		if (!len || len > t->markers || at > t->markers - len)
			return false;
		at += len;
	}
	return align8(at) == t->markers;
}

/* kallsyms_num_syms stands in front of the names, which end in front of the markers. */
static bool find_names(struct tables *t)
{
	for (size_t at = t->markers; at >= 16 && t->markers - at < NAMES_LEN_MAX;) {
		size_t last;

		at -= 8;
		t->num_at = at - 8;
		t->names = at;
		t->num = u32_at(t, t->num_at);
		if (t->num < SYMS_MIN || t->num > KSYMS_MAX || (t->num - 1) / GROUP >= t->groups)
			continue;
		last = u32_at(t, t->markers + (t->num - 1) / GROUP * 4);
		if (last < t->markers - at && fits_names(t))
			return true;
	}
	return false;
}

/* From 6.2 to 6.3 the sequence numbers, 3 bytes for each symbol, stand between markers and tokens. */
static bool find_markers(struct tables *t)
{
	size_t tries = 0;

	for (size_t at = t->tokens & ~(size_t)7; at >= 16 && tries < TRIES;) {
		at -= 8;
		if (t->tokens - at > KSYMS_MAX * 4)
			return false;
		t->markers = at;
		t->groups = count_markers(t, at);
		if (t->groups < SYMS_MIN / GROUP + 1)
			continue;
		tries++;
		if (find_names(t))
			return true;
	}
	return false;
}

/* --- addresses ------------------------------------------------------------------------------ */

/*
 * With CONFIG_KALLSYMS_ABSOLUTE_PERCPU (until 6.14) a negative offset counts back from the base, and
 * any other is the address of something per CPU.
 */
static uint64_t address(const struct tables *t, bool percpu, size_t i)
{
	int32_t offset = (int32_t)u32_at(t, t->offsets + 4 * i);

	if (!percpu)
		return t->relative_base + (uint32_t)offset;
	return offset >= 0 ? (uint64_t)offset : t->relative_base - 1 - (uint64_t)(int64_t)offset;
}

static bool has_percpu(const struct tables *t)
{
	for (size_t i = 0; i < t->num; i++)
		if ((int32_t)u32_at(t, t->offsets + 4 * i) < 0)
			return true;
	return false;
}

/* The base is where the image begins or near it, and the symbols are sorted. */
static bool fits_addresses(const struct tables *t)
{
	bool percpu = has_percpu(t);
	uint64_t before = 0;
	size_t inside = 0;

	if (t->relative_base < t->base || t->relative_base - t->base >= t->len)
		return false;
	for (size_t i = 0; i < t->num; i++) {
		uint64_t here = address(t, percpu, i);

		if (here < before)
			return false;
		before = here;
		inside += here >= t->base && here - t->base < t->len;
	}
	return inside > t->num / 2;
}

static bool find_addresses(struct tables *t)
{
	size_t bytes = align8(4 * t->num), behind = t->index + 2 * TOKENS;

	if (t->num_at >= bytes + 8) {
		t->offsets = t->num_at - 8 - bytes;
		t->relative_base = u64_at(t, t->num_at - 8);
		if (fits_addresses(t))
			return true;
	}
	if (behind + bytes + 8 > t->len)
		return false;
	t->offsets = behind;
	t->relative_base = u64_at(t, behind + bytes);
	return fits_addresses(t);
}

/* --- all of it ------------------------------------------------------------------------------ */

/* The first character is the symbol's type. Returns the length; 0: it is too long. */
static size_t expand(const struct tables *t, size_t *at, char name[KSYMS_NAME_MAX])
{
	size_t compressed = name_len(t, at), len = 0;

	for (size_t end = *at + compressed; *at < end; (*at)++) {
		const uint8_t *token = t->image + t->tokens +
				       u16_at(t, t->index + 2 * t->image[*at]);

		for (; *token; token++) {
			if (len == KSYMS_NAME_MAX) {
				*at = end;
				return 0;
			}
			name[len++] = (char)*token;
		}
	}
	return len;
}

static int take_all(const struct tables *t, struct ksyms *s)
{
	bool percpu = has_percpu(t);
	int ret = ksyms_module(s, "vmlinux");
	struct ksym y = {.module = (uint16_t)ret};
	char name[KSYMS_NAME_MAX];
	size_t at = t->names;

	for (size_t i = 0; ret >= 0 && i < t->num; i++) {
		size_t len = expand(t, &at, name);

		if (len < 2)
			continue;
		y.addr = address(t, percpu, i);
		y.type = name[0];
		ret = ksyms_add(s, &y, name + 1, len - 1);
	}
	return ret < 0 ? ret : (int)t->num;
}

int kallsyms_find(const uint8_t *image, size_t len, uint64_t base, struct ksyms *s)
{
	struct tables t = {.image = image, .len = len, .base = base};
	size_t zero = 0;

	for (size_t from = 0, i = 0; i < TRIES && find_tokens(&t, from, &zero); i++) {
		from = zero + 1;
		if (find_index(&t, zero) && find_markers(&t) && find_addresses(&t))
			return take_all(&t, s);
	}
	return -ENOENT;
}
