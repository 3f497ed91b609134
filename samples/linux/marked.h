/* SPDX-License-Identifier: MIT */
/*
 * System calls that say to the machine's marker port that they begin and what they returned
 * (vmm/guest_abi.h). In a machine without that port nobody listens, and nothing else changes.
 */
#ifndef EXITWALK_SAMPLES_LINUX_MARKED_H
#define EXITWALK_SAMPLES_LINUX_MARKED_H

#include <stdint.h>

/* Gets the marker's page and the right to use the ports. Without that right there are no markers, and
 * a line on stderr says so. Call once; children of fork() may go on using it. */
void marked_init(void);

/* The system call `nr`; `path` is the file behind it. Returns what the kernel returned: -errno on
 * failure. */
long marked_call(long nr, const uint64_t args[6], const char *path);

/* Ends the run with this status, if the machine has EW_EXIT_PORT. */
void marked_exit_status(uint8_t status);

#endif
