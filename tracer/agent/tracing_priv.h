/* SPDX-License-Identifier: MIT */
#ifndef EXITWALK_TRACER_AGENT_TRACING_PRIV_H
#define EXITWALK_TRACER_AGENT_TRACING_PRIV_H

#include "tracer/agent/tracing.h"

/* Writes a file of the instance. 0 or -errno. */
int tracing_put(const struct tracing *t, const char *file, const char *text);
/* The same; a failure goes into `missing`. */
int tracing_try(struct tracing *t, const char *file, const char *text);

#endif
