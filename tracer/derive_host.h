/* SPDX-License-Identifier: MIT */
/* The host's tracepoints in the path of a request that a VMM recorded. */
#ifndef EXITWALK_TRACER_DERIVE_HOST_H
#define EXITWALK_TRACER_DERIVE_HOST_H

#include "derive_steps.h"

/* An event of a tracepoint of the host's kernel? */
bool derive_is_host(int64_t kind);

/* After the window's events were loaded: fills w->side. */
int derive_host_load(struct writer *w);

/* The VMM's own events say where the request is: each one, in order. */
void derive_host_note(struct writer *w, const struct event_row *ev);

/* Is this event of the host's tracepoints a step of the request? */
bool derive_host_concerns(struct writer *w, const struct event_row *ev);

/* Does it say what becomes of the request, whose interrupt has that vector (-1: it is not known)? What else a
 * vCPU does while it carries the request does not. */
bool derive_host_own(const struct writer *w, const struct event_row *ev, int64_t vector);
/* The vector of the request's interrupt: the first one that a local APIC took in when it was raised; -1: not seen. */
int64_t derive_host_vector(const struct writer *w);

/* The exit that ev[i] is part of; in front of kvm_exit, or of the return where there is none, the one that follows.
 * 0: none. */
int64_t derive_exit_of(const struct writer *w, size_t i);

/*
 * An interrupt, injected or acknowledged in front of the request's own: another one's, a timer's. Where the guest acknowledges
 * by memory (PV EOI) KVM finds it at the next exit, which may be the notification.
 */
bool derive_host_is_others(const struct writer *w, const struct event_row *ev);

/* The stage of a tracepoint that stands in no exit of the path's. */
int derive_host_stage(const struct writer *w, const struct event_row *ev);

/* May one of another thread concern it? */
bool derive_host_elsewhere(int64_t kind);

/* Which layer a vCPU's thread is in after, and was in before, one of its tracepoints; now: what it was in. */
enum ew_layer derive_host_after(const struct event_row *ev, enum ew_layer now);
enum ew_layer derive_host_before(const struct event_row *ev);

#endif
