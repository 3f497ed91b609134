/* SPDX-License-Identifier: MIT */
/*
 * The MSI-X capability of a PCI function (PCI Local Bus 3.0, 6.8.2): the table of messages and the
 * pending bits, both in a memory BAR, per-vector and per-function masks.
 */
#ifndef EXITWALK_VMM_MSIX_H
#define EXITWALK_VMM_MSIX_H

#include "vmm/msi.h"
#include "vmm/pci.h"

#define MSIX_MAX_VECTORS 64 /* as many as one qword of pending bits */

struct msix {
	struct pci_function *function; /* borrowed, as all pointers here */
	struct msi_sink *sink;
	struct probe **probe;
	unsigned device;                     /* of the recording */
	unsigned cap;                        /* where the capability is in configuration space */
	unsigned vectors;                    /* 0: the function has no MSI-X */
	uint32_t table[MSIX_MAX_VECTORS][4]; /* address low, high, data, vector control */
	uint64_t pending;
	char name[2][64]; /* of the two regions */
};

/* Where it all is: device and name are those of the regions, the BAR must have been set up. */
struct msix_config {
	unsigned vectors;
	unsigned bar;
	uint32_t table, pba; /* offsets in the BAR, multiples of 8 */
	const char *name;
	unsigned device;
	struct probe **probe;
};

/*
 * Adds capability, table and pending bits to f; all vectors masked, MSI-X off. The owner of f calls
 * msix_cfg_written() from its cfg_written. -EINVAL for 0 or more than MSIX_MAX_VECTORS vectors,
 * -ENOSPC, or what bus_add says.
 */
int msix_add(struct msix *x, const struct msix_config *c, struct pci_function *f,
	struct msi_sink *sink, struct bus *bus, struct err *e);

/* Has the driver switched it on? Then the function must not use its INTx line. */
bool msix_enabled(const struct msix *x);

/* Sends the vector's message, or makes it pending if it is masked. Nothing if MSI-X is off or there is
 * no such vector. */
void msix_notify(struct msix *x, unsigned vector);

/* Forgets what is pending: its causes have been reset. */
void msix_forget(struct msix *x);

/* Configuration space was written: a mask may be gone. */
void msix_cfg_written(struct msix *x);

#endif
