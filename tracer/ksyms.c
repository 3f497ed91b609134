/* SPDX-License-Identifier: MIT */
/* A sorted array of symbols, and their names one behind the other. */
#include "ksyms.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ksyms_free(struct ksyms *s)
{
	free(s->v);
	free(s->names);
	free(s->module);
	*s = (struct ksyms){0};
}

bool ksyms_printable(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= ' ' || (unsigned char)name[i] > '~')
			return false;
	return len > 0;
}

int ksyms_module(struct ksyms *s, const char *name)
{
	void *bigger;

	for (size_t i = s->modules; i-- > 0;)
		if (strcmp(s->module[i], name) == 0)
			return (int)i;
	if (s->modules > UINT16_MAX)
		return -E2BIG;
	bigger = reallocarray(s->module, s->modules + 1, sizeof(*s->module));
	if (!bigger)
		return -ENOMEM;
	s->module = bigger;
	snprintf(s->module[s->modules], sizeof(*s->module), "%s", name);
	return (int)s->modules++;
}

static int make_room(struct ksyms *s, size_t len)
{
	size_t need = s->names_len + len + 1;

	if (s->n == KSYMS_MAX || need > KSYMS_NAMES_MAX)
		return -E2BIG;
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 1024;
		void *bigger = reallocarray(s->v, cap, sizeof(*s->v));

		if (!bigger)
			return -ENOMEM;
		s->v = bigger;
		s->cap = cap;
	}
	if (need > s->names_cap) {
		size_t cap = 2 * need + 4096;
		char *bigger = realloc(s->names, cap);

		if (!bigger)
			return -ENOMEM;
		s->names = bigger;
		s->names_cap = cap;
	}
	return 0;
}

int ksyms_add(struct ksyms *s, const struct ksym *y, const char *name, size_t len)
{
	int ret;

	if (!ksyms_printable(name, len))
		return 0;
	ret = make_room(s, len);
	if (ret)
		return ret;
	s->v[s->n] = *y;
	s->v[s->n++].name = (uint32_t)s->names_len;
	memcpy(s->names + s->names_len, name, len);
	s->names_len += len;
	s->names[s->names_len++] = '\0';
	s->sorted = false;
	return 0;
}

/* Names are stored in the order in which symbols are added. */
static int by_address(const void *a, const void *b)
{
	const struct ksym *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->name < y->name ? -1 : x->name > y->name;
}

void ksyms_sort(struct ksyms *s)
{
	for (size_t i = 1; i < s->n; i++)
		if (by_address(&s->v[i - 1], &s->v[i]) > 0) {
			qsort(s->v, s->n, sizeof(*s->v), by_address);
			break;
		}
	s->sorted = true;
}

const struct ksym *ksyms_by_name(const struct ksyms *s, const char *name)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(ksyms_name(s, &s->v[i]), name) == 0)
			return &s->v[i];
	return NULL;
}

const struct ksym *ksyms_by_addr(const struct ksyms *s, uint64_t addr, uint64_t *size)
{
	size_t low = 0, high = s->n, next;
	const struct ksym *found = NULL;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (s->v[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	next = low;
	for (; low > 0 && s->v[low - 1].addr == s->v[next - 1].addr; low--)
		if (ksym_is_function(&s->v[low - 1]))
			found = &s->v[low - 1];
	if (!found)
		return NULL;
	*size = found->size;
	if (!*size && next < s->n)
		*size = s->v[next].addr - found->addr;
	return addr - found->addr < (*size ? *size : 1) ? found : NULL;
}
