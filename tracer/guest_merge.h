/* SPDX-License-Identifier: MIT */
/* Puts a guest's events into the table event in order of time: all ids are given anew. */
#ifndef EXITWALK_TRACER_GUEST_MERGE_H
#define EXITWALK_TRACER_GUEST_MERGE_H

#include "guest_place.h"

/*
 * The rows are sorted. Events get new ids, and what names one (payload, vm_exit) goes with it; rows of guest_event
 * come to it; the payloads of guest_stream go. The caller has a transaction open.
 */
int guest_merge(sqlite3 *db, const struct guest_gather *g, const struct guest_vcpu vcpu[GUEST_CPUS],
	struct err *e);

#endif
