// SPDX-License-Identifier: MIT
/* exitwalk doctor: what works on this machine, what each missing thing costs, and what to do. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "doctor.h"
#include "kvm.h"
#include "tracer/cmd.h"
#include "tracer/json.h"

static const char *const status_text[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_MISSING] = "missing",
	[DOCTOR_FATAL] = "fatal",
	[DOCTOR_INFO] = "info",
};

void doctor_add(struct doctor *d, const char *group, const char *name, enum doctor_status status,
	const char *cost, const char *advice, const char *fmt, ...)
{
	bool missing = status == DOCTOR_MISSING || status == DOCTOR_FATAL;
	struct doctor_check *c;
	va_list ap;

	if (d->count == DOCTOR_MAX_CHECKS)
		return;
	c = &d->check[d->count++];
	*c = (struct doctor_check){
		.group = group,
		.name = name,
		.status = status,
		.cost = missing ? cost : NULL,
		.advice = missing ? advice : NULL,
	};
	va_start(ap, fmt);
	vsnprintf(c->value, sizeof(c->value), fmt, ap);
	va_end(ap);
}

bool doctor_can_record(const struct doctor *d)
{
	for (unsigned i = 0; i < d->count; i++)
		if (d->check[i].status == DOCTOR_FATAL)
			return false;
	return true;
}

/* Parameters as words, wrapped at this column. */
struct wrapped {
	FILE *out;
	char module[64];
	unsigned column;
};
#define WRAP_AT 96

static void print_parameter(void *ctx, const char *module, const char *parameter, const char *value)
{
	struct wrapped *w = ctx;
	unsigned len = (unsigned)(strlen(parameter) + strlen(value)) + 2;

	if (strcmp(module, w->module) != 0) {
		fprintf(w->out, "%s  %-10s", w->column ? "\n" : "", module);
		snprintf(w->module, sizeof(w->module), "%s", module);
		w->column = 12;
	} else if (w->column + len > WRAP_AT) {
		fprintf(w->out, "\n%12s", "");
		w->column = 12;
	}
	fprintf(w->out, " %s=%s", parameter, value);
	w->column += len;
}

static void print_table(const struct doctor *d, FILE *out)
{
	struct wrapped parameters = {.out = out};
	const char *group = "";

	for (unsigned i = 0; i < d->count; i++) {
		const struct doctor_check *c = &d->check[i];

		if (strcmp(c->group, group) != 0)
			fprintf(out, "%s%s\n", i ? "\n" : "", c->group);
		group = c->group;
		fprintf(out, "  %-8s %-30s %s\n", status_text[c->status], c->name, c->value);
		if (c->cost)
			fprintf(out, "  %-8s %-30s costs: %s\n", "", "", c->cost);
		if (c->advice)
			fprintf(out, "  %-8s %-30s do: %s\n", "", "", c->advice);
	}
	fprintf(out, "\nmodule parameters\n");
	backend_parameters(print_parameter, &parameters);
	fprintf(out, "\n\n%s\n",
		doctor_can_record(d) ? "A recording can be made here: exitwalk run"
				     : "No recording can be made here; recordings can be viewed.");
}

static void json_parameter(void *ctx, const char *module, const char *parameter, const char *value)
{
	char key[256];

	snprintf(key, sizeof(key), "%s.%s", module, parameter);
	json_string(ctx, key, value);
}

static void print_json(const struct doctor *d, FILE *out)
{
	struct json j;

	json_init(&j, out);
	json_object(&j, NULL);
	json_bool(&j, "can_record", doctor_can_record(d));
	json_array(&j, "checks");
	for (unsigned i = 0; i < d->count; i++) {
		const struct doctor_check *c = &d->check[i];

		json_object(&j, NULL);
		json_string(&j, "group", c->group);
		json_string(&j, "name", c->name);
		json_string(&j, "status", status_text[c->status]);
		json_string(&j, "value", c->value);
		json_string(&j, "cost", c->cost);
		json_string(&j, "advice", c->advice);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_object(&j, "module_parameters");
	backend_parameters(json_parameter, &j);
	json_end_object(&j);
	json_end_object(&j);
}

struct doctor_options {
	const char *kvm_device;
	bool json;
};

enum { KEY_JSON = 0x100, KEY_KVM };

static const struct argp_option options[] = {
	{"json", KEY_JSON, NULL, 0, "Print JSON", 0},
	{"kvm", KEY_KVM, "DEVICE", 0, "Look at this KVM device (" KVM_DEVICE ")", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct doctor_options *o = state->input;

	switch (key) {
	case KEY_JSON:
		o->json = true;
		break;
	case KEY_KVM:
		o->kvm_device = arg;
		break;
	case ARGP_KEY_ARG:
		argp_error(state, "there is nothing to do with '%s'", arg);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp doctor_argp = {
	.options = options,
	.parser = parse,
	.doc = "Look at what works on this machine: KVM, what a test guest shows of it, kernel tracing, "
	       "limits, the terminal. What is missing says what that costs and what to do.\v"
	       "The exit status is 0 if a recording can be made here, else 1.",
};

static int cmd_doctor_main(int argc, char **argv)
{
	struct doctor_options o = {.kvm_device = KVM_DEVICE};
	struct doctor *d;
	int status;

	if (argp_parse(&doctor_argp, argc, argv, 0, NULL, &o))
		return 1;
	d = calloc(1, sizeof(*d));
	if (!d) {
		fprintf(stderr, "exitwalk doctor: out of memory: free some\n");
		return 1;
	}
	doctor_kvm(d, o.kvm_device);
	doctor_host(d, ".");
	if (o.json)
		print_json(d, stdout);
	else
		print_table(d, stdout);
	status = doctor_can_record(d) ? 0 : 1;
	free(d);
	return status;
}

const struct cmd cmd_doctor = {
	.name = "doctor",
	.summary = "say what works on this machine, and what each missing thing costs",
	.argp = &doctor_argp,
	.run = cmd_doctor_main,
};
