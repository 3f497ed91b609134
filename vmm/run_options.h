/* SPDX-License-Identifier: MIT */
/* The options of `exitwalk run`. */
#ifndef EXITWALK_VMM_RUN_OPTIONS_H
#define EXITWALK_VMM_RUN_OPTIONS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include "cpuid.h"
#include "drive_options.h"
#include "run_host.h"
#include "tracer/err.h"

/* Is standard input the guest's? AUTO: if it is a terminal, and so is standard output. */
enum run_console_mode { RUN_CONSOLE_AUTO, RUN_CONSOLE_ON, RUN_CONSOLE_OFF };

struct run_disk {
	char *path; /* owned */
	enum disk_mode mode;
};

struct run_options {
	const char *file; /* the recording */
	struct run_disk disk[DRIVES_MAX];
	unsigned disks;  /* at least one */
	bool disk_given; /* by -d; else there is one, whose name is derived from `file` */
	struct drive_options drives;
	const char *kernel, *initrd; /* -k, -i; NULL: not given */
	const char *symbols;         /* --symbols; NULL: not given */
	bool linux_demo;             /* --linux */
	unsigned mem_mib, cpus;
	enum cpu_model cpu;
	char *append;     /* owned, never NULL */
	unsigned timeout; /* s, 0: none */
	bool timeout_given;
	unsigned watchdog; /* s, 0: none */
	bool watchdog_given;
	unsigned repeat;
	size_t ring_slots; /* 0: the recorder's default */
	bool record, quiet;
	enum run_console_mode console;
	enum run_host_trace host_trace;
	bool host_functions;
	unsigned host_buffer; /* KiB, 0: the default */
	bool guest_events;
	const char *kvm_device;
};

extern const struct argp run_argp;

/* A usage error ends the process with status 64, as argp does; -ENOMEM otherwise. */
int run_options_parse(struct run_options *o, int argc, char **argv, struct err *e);
void run_options_free(struct run_options *o);

/* A Linux guest, not the built-in one? */
bool run_options_linux(const struct run_options *o);

#endif
