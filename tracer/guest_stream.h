/* SPDX-License-Identifier: MIT */
/*
 * What the agent in a guest (tracer/agent/) sends through its virtio-console port: a stream of chunks, each a
 * header and `len` bytes. The agent passes on what the guest's tracefs gives, and understands nothing of
 * it; whoever decodes it must expect anything, since a guest may send anything.
 *
 * Order: HELLO, HEADER_PAGE, FORMATs, FUNCTIONS, SYMBOLS, MODULES, then, while the guest works, PAGEs and MARKs
 * in any order (pages of one CPU in theirs); at the end CMDLINES, STATS, END. After a gap a reader goes on at the next
 * magic number. All numbers are little-endian.
 */
#ifndef EXITWALK_TRACER_GUEST_STREAM_H
#define EXITWALK_TRACER_GUEST_STREAM_H

#include <stdint.h>

#define GUEST_STREAM_PORT "exitwalk.events" /* the port's name: /sys/class/virtio-ports/.../name */
#define GUEST_STREAM_VERSION 1
#define GUEST_STREAM_MAGIC 0x53475745u /* "EWGS" */
#define GUEST_STREAM_MAX (1u << 20)    /* of len */
#define GUEST_STREAM_NO_CPU 0xffffu

enum guest_stream_type {
	GUEST_STREAM_HELLO = 1,   /* struct guest_stream_hello */
	GUEST_STREAM_HEADER_PAGE, /* text: events/header_page */
	GUEST_STREAM_FORMAT,      /* text: "system/event\n", then its format file */
	GUEST_STREAM_FUNCTIONS,   /* text: the functions that are traced, one per line */
	GUEST_STREAM_SYMBOLS,     /* text: lines of /proc/kallsyms, of functions; may be left out */
	GUEST_STREAM_MODULES,     /* text: /proc/modules */
	GUEST_STREAM_PAGE,        /* a sub-buffer as trace_pipe_raw gave it, of header.cpu */
	GUEST_STREAM_MARK,        /* struct guest_stream_mark */
	GUEST_STREAM_CMDLINES,    /* text: saved_cmdlines */
	GUEST_STREAM_STATS,       /* text: per_cpu/cpuN/stats, of header.cpu */
	GUEST_STREAM_MISSING, /* text: what this kernel lacks or refused, one per line, with the reason */
	GUEST_STREAM_END, /* nothing: the agent has switched tracing off and sent everything */
};

struct guest_stream_header {
	uint32_t magic;
	uint16_t type;   /* enum guest_stream_type */
	uint16_t cpu;    /* of the guest, or GUEST_STREAM_NO_CPU */
	uint32_t len;    /* bytes that follow */
	uint32_t number; /* of this chunk in the stream, from 0 */
};
_Static_assert(sizeof(struct guest_stream_header) == 16, "no padding");

struct guest_stream_hello {
	uint32_t version;   /* GUEST_STREAM_VERSION */
	uint32_t page_size; /* of a sub-buffer */
	uint32_t cpus;
	uint32_t pid;     /* the agent's own, whose events are left out */
	char clock[16];   /* the trace clock in use: "x86-tsc" */
	char release[64]; /* uname -r */
};

/* The agent's reading of its own TSC, with RDTSC on header.cpu, when it sent this. */
struct guest_stream_mark {
	uint64_t tsc;
};

#endif
