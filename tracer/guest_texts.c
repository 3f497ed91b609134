/* SPDX-License-Identifier: MIT */
#include "guest_texts.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char more[] = " ...";

void guest_text_clean(char *to, size_t size, const char *from, size_t len)
{
	size_t n = 0;

	for (; n + 1 < size && n < len && from[n]; n++)
		to[n] = from[n] >= 0x20 && from[n] < 0x7f ? from[n] : '?';
	to[n] = '\0';
}

/* One line; false: there is no room for it. */
static bool add_line(struct guest_text *t, const char *line, size_t len, const char *between)
{
	size_t gap = t->used ? strlen(between) : 0;

	if (t->used + gap + len + sizeof(more) > sizeof(t->text))
		return false;
	if (gap)
		strcpy(t->text + t->used, between);
	guest_text_clean(t->text + t->used + gap, len + 1, line, len);
	t->used += strlen(t->text + t->used);
	return true;
}

void guest_texts_add(struct guest_text *t, const char *text, size_t len, const char *between)
{
	const char *end = text + len;
	bool room = t->used < sizeof(t->text) - sizeof(more);

	while (text < end && room) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);

		if (n)
			room = add_line(t, text, n, between);
		text += n + 1;
	}
	if (!room && !strstr(t->text, more))
		t->used += (size_t)sprintf(t->text + t->used, "%s", more);
}

uint64_t guest_text_number(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ':')
			return strtoull(line + len + 1, NULL, 10);
	}
	return 0;
}

void guest_text_tasks(const char *text, size_t len,
	void (*each)(void *ctx, int pid, const char *comm, size_t len), void *ctx)
{
	const char *end = text + len;

	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		const char *stop = nl ? nl : end, *blank = memchr(text, ' ', (size_t)(stop - text));
		char number[12] = "";
		int pid;

		if (blank && blank - text < (int)sizeof(number)) {
			memcpy(number, text, (size_t)(blank - text));
			pid = atoi(number);
			if (pid > 0)
				each(ctx, pid, blank + 1, (size_t)(stop - blank - 1));
		}
		text = stop + 1;
	}
}

void guest_text_symbol(
	char *to, size_t size, const struct ksyms *s, const struct ksym *y, uint64_t addr)
{
	char offset[24] = "";

	if (addr != y->addr)
		snprintf(offset, sizeof(offset), "+0x%llx", (unsigned long long)(addr - y->addr));
	snprintf(to, size, "%s%s", ksyms_name(s, y), offset);
}
