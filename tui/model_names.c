/* SPDX-License-Identifier: MIT */
/* Numbers into names: enumerations, devices, symbols, arguments, and what they mean. */
#include "model_priv.h"

#include <stdio.h>
#include <string.h>

static bool look_up(
	struct model *m, enum model_sql q, const char *list, int64_t value, char *buf, size_t size)
{
	sqlite3_stmt *s = mq(m, q, MODEL_NONE, value, MODEL_NONE);
	bool ok;

	if (s)
		sqlite3_bind_text(s, 1, list, -1, SQLITE_TRANSIENT);
	ok = mq_row(m, s);
	if (ok) {
		mq_text(s, 0, buf, size);
		sqlite3_reset(s);
	}
	return ok;
}

const char *name_of(struct model *m, const char *list, int64_t value, char *buf, size_t size)
{
	if (!look_up(m, Q_NAME, list, value, buf, size))
		snprintf(buf, size, "unknown %lld", (long long)value);
	return buf;
}

const char *label_of(struct model *m, const char *list, int64_t value, char *buf, size_t size)
{
	if (!look_up(m, Q_LABEL, list, value, buf, size))
		snprintf(buf, size, "unknown %lld", (long long)value);
	return buf;
}

const char *thing_of(struct model *m, enum model_sql q, int64_t id, char *buf, size_t size)
{
	sqlite3_stmt *s = mq(m, q, id, MODEL_NONE, MODEL_NONE);

	if (mq_row(m, s)) {
		mq_text(s, 0, buf, size);
		sqlite3_reset(s);
	} else {
		snprintf(buf, size, "%lld", (long long)id);
	}
	return buf;
}

const char *symbol_of(struct model *m, uint64_t addr, char *buf, size_t size)
{
	sqlite3_stmt *s = mq(m, Q_SYMBOL, (int64_t)addr, MODEL_NONE, MODEL_NONE);

	buf[0] = 0;
	if (!mq_row(m, s))
		return buf;
	uint64_t start = (uint64_t)sqlite3_column_int64(s, 1);
	uint64_t len = (uint64_t)sqlite3_column_int64(s, 2);
	char name[96];

	mq_text(s, 0, name, sizeof(name));
	if (addr >= start && addr - start < (len ? len : 1))
		snprintf(buf, size, "%s+0x%llx", name, (unsigned long long)(addr - start));
	sqlite3_reset(s);
	return buf;
}

const char *explain_symbol(const char *name)
{
	static const char *const doc[][2] = {
#define SYMBOL_DOC(f, s) {f, s},
#include "explain.def"
	};

	for (size_t i = 0; i < sizeof(doc) / sizeof(doc[0]); i++)
		if (strcmp(doc[i][0], name) == 0)
			return doc[i][1];
	return NULL;
}

const char *explain_stage(int stage)
{
	static const char *const doc[MODEL_STAGES + 1] = {
#define STAGE_DOC(n, s) [n] = s,
#include "explain.def"
	};

	return doc[stage >= 0 && stage <= MODEL_STAGES ? stage : 0];
}

const char *model_stage_name(int stage)
{
	static const char *const name[MODEL_STAGES + 1] = {
#define STAGE(v, n) [v] = n,
#include "tracer/names.def"
	};

	return name[stage >= 0 && stage <= MODEL_STAGES ? stage : 0];
}

const char *model_layer_name(int layer)
{
	static const char *const label[MODEL_LAYERS] = {
#define LAYER(id, v, n, l) [v] = l,
#include "tracer/names.def"
	};

	return label[layer >= 0 && layer < MODEL_LAYERS ? layer : 0];
}

/*
 * How the template shows the argument: the part behind the colon of "{arg:how}", "" for "{arg}",
 * and "x" for a large number that it leaves out, which is an address more often than not.
 */
static void format_of(const char *template, const char *arg, int64_t value, char *how, size_t size)
{
	size_t len = strlen(arg);

	snprintf(how, size, "%s", value > 0xffff || value < -0xffff ? "x" : "");
	for (const char *p = strchr(template, '{'); p; p = strchr(p + 1, '{')) {
		if (strncmp(p + 1, arg, len) != 0 || (p[1 + len] != ':' && p[1 + len] != '}'))
			continue;
		p += 1 + len + (p[1 + len] == ':');
		snprintf(how, size, "%.*s", (int)strcspn(p, "}"), p);
		return;
	}
}

void argument(struct model *m, const char *kind, const char *template, const char *arg,
	int64_t value, char *buf, size_t size)
{
	const bool large = value > 0xffff || value < -0xffff;
	char how[32], name[128], list[64];

	format_of(template, arg, value, how, sizeof(how));
	if (strcmp(how, "caller") == 0)
		snprintf(how, sizeof(how), "host_func");
	snprintf(list, sizeof(list), "%s_%s", kind, arg); /* snapshot_why */
	if (!how[0] && look_up(m, Q_NAME, list, value, name, sizeof(name)))
		snprintf(buf, size, "%s (%lld)", name, (long long)value);
	else if (strcmp(how, "x") == 0 || strcmp(how, "hw_io") == 0 || strcmp(how, "bytes") == 0)
		snprintf(buf, size, "0x%llx", (unsigned long long)value);
	else if (!how[0] || strcmp(how, "hw_exit") == 0 || strcmp(how, "indent") == 0)
		snprintf(buf, size, "%lld", (long long)value);
	else if (strcmp(how, "dev") == 0)
		snprintf(buf, size, "%llu:%llu", (unsigned long long)value >> 20 & 0xfff,
			(unsigned long long)value & 0xfffff);
	else if (strcmp(how, "chars") == 0)
		snprintf(buf, size, "%.8s", (const char *)&value);
	else if (strcmp(how, "call") == 0)
		snprintf(buf, size, "%s (%lld)", name_of(m, "syscall", value, name, sizeof(name)),
			(long long)value);
	else if (strcmp(how, "track") == 0)
		snprintf(buf, size, "%s", thing_of(m, Q_TRACK, value, name, sizeof(name)));
	else if (strcmp(how, "device") == 0)
		snprintf(buf, size, "%s", thing_of(m, Q_DEVICE, value, name, sizeof(name)));
	else if (strcmp(how, "region") == 0)
		snprintf(buf, size, "%s",
			value ? thing_of(m, Q_REGION, value, name, sizeof(name))
			      : "nobody claims it");
	else
		snprintf(buf, size, large ? "%s (0x%llx)" : "%s (%lld)",
			name_of(m, how, value, name, sizeof(name)), (long long)value);
}
