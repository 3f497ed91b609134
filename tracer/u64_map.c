/* SPDX-License-Identifier: MIT */
/* A hash table, open addressing, at most half full. */
#include "u64_map.h"

#include <stdlib.h>

#include "hash64.h"

void u64_map_free(struct u64_map *m)
{
	free(m->slot);
	*m = (struct u64_map){0};
}

/* Where the key is, or where it would be. */
static struct u64_slot *place(const struct u64_map *m, uint64_t key)
{
	size_t i = hash64(key, m->slots);

	while (m->slot[i].key && m->slot[i].key != key + 1)
		i = (i + 1) & (m->slots - 1);
	return &m->slot[i];
}

uint64_t *u64_map_find(const struct u64_map *m, uint64_t key)
{
	struct u64_slot *s = m->n && key != UINT64_MAX ? place(m, key) : NULL;

	return s && s->key ? &s->value : NULL;
}

static int grow(struct u64_map *m)
{
	struct u64_map bigger = {.slots = m->slots ? 2 * m->slots : 64, .n = m->n};

	bigger.slot = calloc(bigger.slots, sizeof(*bigger.slot));
	if (!bigger.slot)
		return -1;
	for (size_t i = 0; i < m->slots; i++)
		if (m->slot[i].key)
			*place(&bigger, m->slot[i].key - 1) = m->slot[i];
	free(m->slot);
	*m = bigger;
	return 0;
}

uint64_t *u64_map_put(struct u64_map *m, uint64_t key)
{
	struct u64_slot *s;

	if (key == UINT64_MAX || (m->slots < 2 * (m->n + 1) && grow(m)))
		return NULL;
	s = place(m, key);
	if (!s->key) {
		*s = (struct u64_slot){.key = key + 1};
		m->n++;
	}
	return &s->value;
}
