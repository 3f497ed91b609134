/* SPDX-License-Identifier: MIT */
/* The two ends of making a recording, whatever its source: what stands in meta first, and its seal. */
#ifndef EXITWALK_TRACER_STORE_STATE_H
#define EXITWALK_TRACER_STORE_STATE_H

#include "store.h"

/* State `recording`, schema, version, time. Commits. */
int store_begins(struct store *s, struct err *e);

/* State `complete`, the seal, one file. What follows from the events was derived before. */
int store_ends(struct store *s, struct err *e);

#endif
