/* SPDX-License-Identifier: MIT */
/* Where a message-signalled interrupt goes. The KVM side is kvm_msi.[ch]; tests plug in an array. */
#ifndef EXITWALK_VMM_MSI_H
#define EXITWALK_VMM_MSI_H

#include <stdint.h>

struct msi_sink {
	/* The message of a vector: `data` written to the bus address `addr`. 0, or -errno if it cannot
	 * be sent. */
	int (*send)(struct msi_sink *sink, unsigned vector, uint64_t addr, uint32_t data);
};

#endif
