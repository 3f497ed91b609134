/* SPDX-License-Identifier: MIT */
/* The words of `exitwalk run` that say how disks are attached, and what of them goes together. */
#ifndef EXITWALK_VMM_DRIVE_OPTIONS_H
#define EXITWALK_VMM_DRIVE_OPTIONS_H

#include "drive.h"

struct drive_options {
	struct drive_choice choice;
	bool irq_given, io_given; /* else a default that depends on the others */
};

/* The value of --virtio, --kick, --irq, --io. NULL, or the words there are, for a sentence. */
const char *drive_option_virtio(struct drive_options *o, const char *word);
const char *drive_option_kick(struct drive_options *o, const char *word);
const char *drive_option_irq(struct drive_options *o, const char *word);
const char *drive_option_io(struct drive_options *o, const char *word);

/* All are known: fills in defaults. NULL, or a sentence that says what to do about a contradiction. */
const char *drive_options_finish(struct drive_options *o, bool is_linux);

#endif
