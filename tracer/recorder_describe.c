/* SPDX-License-Identifier: MIT */
/* The recorder's describing calls: what the recording says besides events. */
#include "recorder_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "elf_symbols.h"

int recorder_described(struct recorder *r, int ret)
{
	if (ret < 0 && !r->failed)
		r->failed = ret;
	return ret;
}

static int describe_begin(struct recorder *r)
{
	return recorder_described(r, store_begin(&r->store, &r->why));
}

static int describe_run(struct recorder *r, enum store_stmt id)
{
	return recorder_described(r, store_run(&r->store, id, &r->why));
}

int recorder_meta(struct recorder *r, const char *key, const char *fmt, ...)
{
	char *value = NULL;
	va_list ap;
	int ret;

	va_start(ap, fmt);
	ret = vasprintf(&value, fmt, ap);
	va_end(ap);
	if (ret < 0)
		return recorder_described(r, err_set(&r->why, -ENOMEM, "out of memory"));
	ret = describe_begin(r);
	if (!ret)
		ret = recorder_described(r, store_meta_text(&r->store, key, value, &r->why));
	free(value);
	return ret;
}

struct probe *recorder_track(struct recorder *r, const char *kind, int vcpu, const char *name)
{
	struct store *s = &r->store;
	struct recorder_track *t;
	int error;

	if (r->tracks == ROWS_TRACKS_MAX) {
		recorder_described(
			r, err_set(&r->why, -ENOSPC, "more than %d threads cannot be recorded",
				   ROWS_TRACKS_MAX));
		return NULL;
	}
	t = recorder_track_create(r->ring_slots, &error);
	if (!t) {
		recorder_described(r, err_set(&r->why, error, "no memory for a ring of %zu slots",
					      r->ring_slots));
		return NULL;
	}
	r->track[r->tracks++] = t;
	store_int(s, STMT_TRACK, 1, r->tracks);
	store_text(s, STMT_TRACK, 2, kind);
	if (vcpu >= 0)
		store_int(s, STMT_TRACK, 3, vcpu);
	else
		store_null(s, STMT_TRACK, 3);
	store_text(s, STMT_TRACK, 4, name);
	if (recorder_described(r, writer_add_ring(&r->writer, &t->ring, &t->task, &r->why)) ||
		describe_begin(r) || describe_run(r, STMT_TRACK))
		return NULL;
	return &t->probe;
}

int recorder_device(struct recorder *r, unsigned id, const char *name, const char *model)
{
	int ret = describe_begin(r);

	store_int(&r->store, STMT_DEVICE, 1, id);
	store_text(&r->store, STMT_DEVICE, 2, name);
	store_text(&r->store, STMT_DEVICE, 3, model);
	return ret ? ret : describe_run(r, STMT_DEVICE);
}

int recorder_region(struct recorder *r, unsigned id, enum ew_space space, uint64_t base,
	uint64_t len, unsigned device, const char *name)
{
	struct store *s = &r->store;
	int ret = describe_begin(r);

	store_int(s, STMT_REGION, 1, id);
	store_int(s, STMT_REGION, 2, space);
	store_int(s, STMT_REGION, 3, (int64_t)base);
	store_int(s, STMT_REGION, 4, (int64_t)len);
	if (device)
		store_int(s, STMT_REGION, 5, device);
	else
		store_null(s, STMT_REGION, 5);
	store_text(s, STMT_REGION, 6, name);
	return ret ? ret : describe_run(r, STMT_REGION);
}

struct symbol_target {
	struct recorder *r;
	const char *module;
};

static int store_symbol(void *ctx, uint64_t addr, uint64_t size, const char *name)
{
	struct symbol_target *t = ctx;
	struct store *s = &t->r->store;

	store_int(s, STMT_SYMBOL, 1, (int64_t)addr);
	store_int(s, STMT_SYMBOL, 2, (int64_t)size);
	store_text(s, STMT_SYMBOL, 3, name);
	store_text(s, STMT_SYMBOL, 4, t->module);
	return describe_run(t->r, STMT_SYMBOL);
}

int recorder_symbols_elf(
	struct recorder *r, const void *elf, size_t len, const char *module, struct err *e)
{
	struct symbol_target target = {r, module};
	int ret = describe_begin(r);

	if (!ret)
		ret = elf_symbols(elf, len, store_symbol, &target, module, e);
	if (ret < 0 && r->failed)
		err_set(e, ret, "%s", r->why.msg);
	return ret;
}

int recorder_name(struct recorder *r, const char *list, int64_t value, const char *name)
{
	int ret = describe_begin(r);

	store_text(&r->store, STMT_NAME, 1, list);
	store_int(&r->store, STMT_NAME, 2, value);
	store_text(&r->store, STMT_NAME, 3, name);
	return ret ? ret : describe_run(r, STMT_NAME);
}

int recorder_kvm_stat(struct recorder *r, int vcpu, const char *name, bool after, uint64_t value)
{
	enum store_stmt id = after ? STMT_STAT_AFTER : STMT_STAT_BEFORE;
	int ret = describe_begin(r);

	store_int(&r->store, id, 1, vcpu);
	store_text(&r->store, id, 2, name);
	store_int(&r->store, id, 3, (int64_t)value);
	return ret ? ret : describe_run(r, id);
}
