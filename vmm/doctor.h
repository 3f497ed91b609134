/* SPDX-License-Identifier: MIT */
/* What `exitwalk doctor` looks at: each check says what is, what its absence costs, and what to do. */
#ifndef EXITWALK_VMM_DOCTOR_H
#define EXITWALK_VMM_DOCTOR_H

#include <stdbool.h>

#define DOCTOR_MAX_CHECKS 64

enum doctor_status {
	DOCTOR_OK,
	DOCTOR_MISSING, /* something is lost without it */
	DOCTOR_FATAL,   /* no recording can be made without it */
	DOCTOR_INFO,    /* neither good nor bad */
};

struct doctor_check {
	const char *group, *name;
	enum doctor_status status;
	char value[320];
	const char *cost; /* what is lost; NULL unless MISSING or FATAL */
	const char *advice;
};

struct doctor {
	unsigned count;
	struct doctor_check check[DOCTOR_MAX_CHECKS];
};

/* Appends a check; cost and advice are kept only where something is missing. */
__attribute__((format(printf, 7, 8))) void doctor_add(struct doctor *d, const char *group,
	const char *name, enum doctor_status status, const char *cost, const char *advice,
	const char *fmt, ...);

void doctor_kvm(struct doctor *d, const char *kvm_device);
/* `dir`: where a recording would be written. */
void doctor_host(struct doctor *d, const char *dir);

/* Is there no FATAL check? */
bool doctor_can_record(const struct doctor *d);

#endif
