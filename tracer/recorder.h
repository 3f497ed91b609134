/* SPDX-License-Identifier: MIT */
/*
 * The recorder: probes → rings → one writer thread → SQLite.
 *
 * Life: recorder_open → (describe: meta, tracks, devices, regions, symbols, stats "before") →
 * recorder_start → … the machine runs, vCPU threads emit … → recorder_stop (drains, joins the writer) →
 * (describe: stats "after", meta) → recorder_finish (derives requests and steps, builds indexes, seals
 * the file) . Describing calls are made by one thread and never while the writer runs.
 */
#ifndef EXITWALK_TRACER_RECORDER_H
#define EXITWALK_TRACER_RECORDER_H

#include "err.h"
#include "probe.h"
#include <stdbool.h>

/* 16 MiB per track: the writer may fall half a second behind a tight loop of exits. */
#define RECORDER_RING_SLOTS (1u << 18)

struct recorder;

struct recorder_opts {
	size_t ring_slots;  /* 64-byte slots per track, a power of two; 0: RECORDER_RING_SLOTS */
	uint64_t window_ns; /* reorder window of the merge; 0: the default (1 ms) */
	unsigned max_pages; /* the file may grow to so many pages of 8 KiB; 0: no bound */
};

/* Creates `path` (an existing file is replaced only if it is an exitwalk recording or empty; else
 * -EEXIST). */
int recorder_open(
	struct recorder **out, const char *path, const struct recorder_opts *opts, struct err *e);

/* One line of v_meta: what the recording says of itself. A key given twice keeps the last value. */
__attribute__((format(printf, 3, 4))) int recorder_meta(
	struct recorder *r, const char *key, const char *fmt, ...);

/* A new track = one thread that emits. kind is "vcpu" or "thread"; vcpu the vCPU's number or -1.
 * The probe belongs to the recorder and is for that thread alone. */
struct probe *recorder_track(struct recorder *r, const char *kind, int vcpu, const char *name);

/* The ids are chosen by the caller, from 1 up, and are what events carry. */
int recorder_device(struct recorder *r, unsigned id, const char *name, const char *model);
int recorder_region(struct recorder *r, unsigned id, enum ew_space space, uint64_t base,
	uint64_t len, unsigned device, const char *name);

/* Function symbols of an ELF file in memory (libelf), so that the recording can name addresses by
 * itself. `module` e.g. "sample guest". Returns the number stored or -errno. */
int recorder_symbols_elf(
	struct recorder *r, const void *elf, size_t len, const char *module, struct err *e);

/* The name of a value in a list of names.def to which each recording adds its own. */
int recorder_name(struct recorder *r, const char *list, int64_t value, const char *name);

/* One of KVM's counters; `after` false before the run, true after it. vcpu -1 for the VM's own. */
int recorder_kvm_stat(struct recorder *r, int vcpu, const char *name, bool after, uint64_t value);

/* Until then an earlier recording of that name is only put aside. */
int recorder_start(struct recorder *r, struct err *e);

/* 0, or the -errno with which the writer gave up (full disk …). Cheap: one relaxed atomic load; the
 * vCPU loop asks at every exit and stops the machine. */
int recorder_status(const struct recorder *r);

/* 64-byte slots that the writer has not taken yet, over all tracks: for a source that can wait. */
uint64_t recorder_backlog(const struct recorder *r);
/* Is a track's ring more than half full? */
bool recorder_behind(const struct recorder *r);

int recorder_stop(struct recorder *r, struct err *e);
int recorder_finish(struct recorder *r, struct err *e);

/* After recorder_finish: what became of the guest's own trace, one clause; "": there was none to be (recorder_clock). */
const char *recorder_guest_trace(const struct recorder *r);

/* Frees everything; without recorder_finish the file stays as "cut off", but where there was an earlier recording and
 * no recorder_start that one is back. NULL is fine. */
void recorder_free(struct recorder *r);

/* The same for what never began: no file stays, or the earlier recording. */
void recorder_discard(struct recorder *r);

#endif
