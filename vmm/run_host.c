// SPDX-License-Identifier: MIT
/* The host kernel's side of a run: whether it is recorded, and what is said of that. */
#include <string.h>
#include <unistd.h>

#include "backend.h"
#include "run_host.h"

const char *run_host_option(enum run_host_trace *how, const char *word)
{
	static const char *const words[] = {"off", "auto", "on"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], word) == 0) {
			*how = (enum run_host_trace)i;
			return NULL;
		}
	return "off, auto or on";
}

int run_host_create(struct host_live **live, struct recorder *r, enum run_host_trace how,
	const struct host_live_opts *also, struct err *e)
{
	struct host_live_opts o = *also;
	struct err why = {""};
	char backend[128];
	int rc;

	*live = NULL;
	o.pid = getpid();
	if (o.functions)
		how = RUN_HOST_ON;
	if (how == RUN_HOST_OFF)
		return recorder_meta(r, "host_trace", "off");
	backend_name(backend, sizeof(backend));
	o.emulated = strstr(backend, "kvm_pvm") != NULL;
	rc = host_live_create(live, r, &o, &why);
	if (rc && how == RUN_HOST_ON)
		return err_set(
			e, rc, "--host-%s: %s", o.functions ? "functions" : "trace on", why.msg);
	if (rc == 0)
		return recorder_meta(r, "host_trace", "on");
	fprintf(stderr, "exitwalk run: the host kernel's side is not recorded: %s\n", why.msg);
	return recorder_meta(r, "host_trace", "not possible: %s", why.msg);
}

int run_host_describe(struct host_live *live)
{
	return live ? host_live_describe(live) : 0;
}
