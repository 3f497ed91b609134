/* SPDX-License-Identifier: MIT */
/* The guest's own events in the path of a request: which of them are steps, and who hands it to whom. */
#ifndef EXITWALK_TRACER_DERIVE_GUEST_STEPS_H
#define EXITWALK_TRACER_DERIVE_GUEST_STEPS_H

#include "derive_steps.h"

/* A row of guest_event and event, as writer.guest.window reads it. */
void derive_guest_read(sqlite3_stmt *s, struct event_row *ev);

/* Reads the guest's events with ids from … to, and sorts them in among w->ev[start …]. */
int derive_guest_rows(struct writer *w, int64_t from, int64_t to, size_t start);
/* After all events of the window were read: fills w->guest. */
int derive_guest_load(struct writer *w);
/* The step of such an event, with the hand-over in front of it if there is one. */
int derive_guest_put(struct writer *w, size_t i);
/* The same for what stands in front of a window that was cut: the request's way through the block layer. */
int derive_guest_front(struct writer *w);
/* The earliest of the guest's events that is the request's; `from` if that is earlier. */
int64_t derive_guest_from(const struct writer *w, int64_t from);
void derive_guest_free(struct guest_side *g);

/* The guest's part of who carries a request (derive_carriers); each returns true if it knew. */
bool derive_guest_carried_in(const struct writer *w, struct carriers *c);
bool derive_guest_carried_out(const struct writer *w, struct carriers *c, struct mark done);

#endif
