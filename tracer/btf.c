/* SPDX-License-Identifier: MIT */
/* A reader of BTF. The bytes are a guest's: nothing in them is believed before it was looked at. */
#include "btf.h"

#include <errno.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>

enum {
	TYPES_MAX = 1 << 20,
	DEPTH_MAX = 16,        /* of typedefs, and of structures without a name */
	MEMBERS_MAX = 1 << 16, /* looked at to find one */
	POINTER_BYTES = 8,
};

/* Bytes behind struct btf_type, by kind; each of vlen elements, or one thing. False: unknown kind. */
static bool tail_len(uint32_t info, size_t *len)
{
	static const uint8_t one[] = {[BTF_KIND_INT] = 4,
		[BTF_KIND_ARRAY] = sizeof(struct btf_array),
		[BTF_KIND_VAR] = 4,
		[BTF_KIND_DECL_TAG] = 4,
		[BTF_KIND_ENUM64] = 0};
	static const uint8_t each[] = {[BTF_KIND_STRUCT] = sizeof(struct btf_member),
		[BTF_KIND_UNION] = sizeof(struct btf_member),
		[BTF_KIND_ENUM] = sizeof(struct btf_enum),
		[BTF_KIND_FUNC_PROTO] = sizeof(struct btf_param),
		[BTF_KIND_DATASEC] = sizeof(struct btf_var_secinfo),
		[BTF_KIND_ENUM64] = sizeof(struct btf_enum64)};
	uint32_t kind = BTF_INFO_KIND(info);

	if (kind == BTF_KIND_UNKN || kind >= sizeof(one))
		return false;
	*len = one[kind] + (size_t)each[kind] * BTF_INFO_VLEN(info);
	return true;
}

static void type_at(const struct btf *b, size_t at, struct btf_type *t)
{
	memcpy(t, b->types + at, sizeof(*t));
}

static bool get_type(const struct btf *b, uint32_t id, struct btf_type *t)
{
	if (id == 0 || id > b->n)
		return false; /* 0 is void */
	type_at(b, b->at[id - 1], t);
	return true;
}

static const char *name_at(const struct btf *b, uint32_t at)
{
	return at < b->strings_len ? (const char *)b->strings + at : "";
}

static int index_types(struct btf *b)
{
	size_t cap = 0;

	for (size_t at = 0; at < b->types_len;) {
		struct btf_type t;
		size_t tail;

		if (b->types_len - at < sizeof(t) || b->n == TYPES_MAX)
			return -ENOEXEC;
		type_at(b, at, &t);
		if (!tail_len(t.info, &tail) || tail > b->types_len - at - sizeof(t))
			return -ENOEXEC;
		if (b->n == cap) {
			void *bigger;

			cap = cap ? 2 * cap : 4096;
			bigger = reallocarray(b->at, cap, sizeof(*b->at));
			if (!bigger)
				return -ENOMEM;
			b->at = bigger;
		}
		b->at[b->n++] = (uint32_t)at;
		at += sizeof(t) + tail;
	}
	return b->n ? 0 : -ENOEXEC;
}

/* [from, from + len) behind the header, or NULL if it is not inside */
static const uint8_t *section(
	const uint8_t *data, size_t all, const struct btf_header *h, uint32_t from, uint32_t len)
{
	uint64_t begin = (uint64_t)h->hdr_len + from;

	return begin <= all && len <= all - begin ? data + begin : NULL;
}

int btf_open(struct btf *b, const void *data, size_t len)
{
	struct btf_header h;
	int ret;

	*b = (struct btf){0};
	if (len < sizeof(h))
		return -ENOEXEC;
	memcpy(&h, data, sizeof(h));
	if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.hdr_len < sizeof(h))
		return -ENOEXEC;
	b->types = section(data, len, &h, h.type_off, h.type_len);
	b->strings = section(data, len, &h, h.str_off, h.str_len);
	/* With a NUL as the last byte every name ends inside. */
	if (!b->types || !b->strings || !h.str_len || b->strings[h.str_len - 1])
		return -ENOEXEC;
	b->types_len = h.type_len;
	b->strings_len = h.str_len;
	ret = index_types(b);
	if (ret)
		btf_free(b);
	return ret;
}

void btf_free(struct btf *b)
{
	free(b->at);
	*b = (struct btf){0};
}

/* Through typedefs, qualifiers and arrays to what they are about. Returns its number; 0: nothing. */
static uint32_t resolve(const struct btf *b, uint32_t id, struct btf_type *t)
{
	for (unsigned depth = 0; depth < DEPTH_MAX && get_type(b, id, t); depth++) {
		struct btf_array array;

		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
			id = t->type;
			break;
		case BTF_KIND_ARRAY:
			memcpy(&array, b->types + b->at[id - 1] + sizeof(*t), sizeof(array));
			id = array.type;
			break;
		default:
			return id;
		}
	}
	return 0;
}

static uint32_t bits_of(const struct btf_type *t)
{
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_PTR:
		return 8 * POINTER_BYTES;
	case BTF_KIND_FWD:
	case BTF_KIND_FUNC:
	case BTF_KIND_FUNC_PROTO:
		return 0;
	default:
		return t->size < UINT32_MAX / 8 ? 8 * t->size : 0;
	}
}

static bool is_composite(const struct btf_type *t)
{
	return BTF_INFO_KIND(t->info) == BTF_KIND_STRUCT ||
	       BTF_INFO_KIND(t->info) == BTF_KIND_UNION;
}

/* A member and what it is; with KFLAG a bit field's length shares a word with its place. */
static uint32_t read_member(const struct btf *b, uint32_t id, const struct btf_type *in, uint32_t i,
	struct btf_member *m, struct btf_field *f)
{
	struct btf_type t;
	uint32_t type;

	memcpy(m, b->types + b->at[id - 1] + sizeof(*in) + i * sizeof(*m), sizeof(*m));
	type = resolve(b, m->type, &t);
	f->bit = BTF_INFO_KFLAG(in->info) ? BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
	f->bits = BTF_INFO_KFLAG(in->info) ? BTF_MEMBER_BITFIELD_SIZE(m->offset) : 0;
	if (!f->bits && type)
		f->bits = bits_of(&t);
	return type;
}

struct search {
	const struct btf *b;
	const char *name;
	size_t len;
	/* A guest's structures may contain themselves. */
	unsigned members, depth;
};

/* Looks for one name in a structure; descends into members without a name. */
static uint32_t find_member(struct search *s, uint32_t id, struct btf_field *f)
{
	struct btf_type t;

	if (s->depth == DEPTH_MAX || !get_type(s->b, id, &t) || !is_composite(&t))
		return 0;
	for (uint32_t i = 0; i < BTF_INFO_VLEN(t.info) && s->members < MEMBERS_MAX; i++) {
		struct btf_field inner = {0, 0};
		struct btf_member m;
		uint32_t type = read_member(s->b, id, &t, i, &m, f);
		const char *has = name_at(s->b, m.name_off);

		s->members++;
		if (strncmp(has, s->name, s->len) == 0 && has[s->len] == '\0')
			return type;
		if (*has || !type)
			continue;
		s->depth++;
		type = find_member(s, type, &inner);
		s->depth--;
		if (type) {
			f->bit += inner.bit;
			f->bits = inner.bits;
			return type;
		}
	}
	return 0;
}

static uint32_t find_struct(const struct btf *b, const char *name)
{
	for (uint32_t id = 1; id <= b->n; id++) {
		struct btf_type t;

		if (get_type(b, id, &t) && BTF_INFO_KIND(t.info) == BTF_KIND_STRUCT &&
			strcmp(name_at(b, t.name_off), name) == 0)
			return id;
	}
	return 0;
}

bool btf_field(const struct btf *b, const char *type, const char *path, struct btf_field *field)
{
	uint32_t id = find_struct(b, type);

	*field = (struct btf_field){0, 0};
	while (id && *path) {
		struct search s = {.b = b, .name = path, .len = strcspn(path, ".")};
		struct btf_field f = {0, 0};

		id = find_member(&s, id, &f);
		field->bit += f.bit;
		field->bits = f.bits;
		path += s.len + (path[s.len] == '.');
	}
	return id != 0;
}

uint32_t btf_size(const struct btf *b, const char *type)
{
	uint32_t id = find_struct(b, type);
	struct btf_type t;

	return get_type(b, id, &t) ? t.size : 0;
}
