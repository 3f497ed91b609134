/* SPDX-License-Identifier: MIT */
/*
 * PCI configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2): bus 0 only. Ports 0xcf8/0xcfc are two
 * regions of the bus; each function's 256 bytes are a region of EW_SPACE_PCI at devfn << 8, so the data
 * port looks its target up in the same table and the nested dispatch is recorded too.
 */
#ifndef EXITWALK_VMM_PCI_H
#define EXITWALK_VMM_PCI_H

#include "bus.h"

#define PCI_CFG_SIZE 256
#define PCI_BARS 6

/*
 * One function. cfg[] is what the guest reads; it writes only where `writable` has ones.
 *
 * BARs stay where they were pre-assigned: a BAR answers the sizing protocol (all address bits written
 * as ones read back as the size mask), and whatever else the guest writes, it reads the fixed base.
 * So a guest that tries to move one sees by reading back that it did not move, as if the address bits
 * were hard-wired, and a recording's table of regions, written once, stays true for all its events.
 */
struct pci_function {
	uint8_t cfg[PCI_CFG_SIZE];
	uint8_t writable[PCI_CFG_SIZE];
	uint32_t bar_base[PCI_BARS], bar_len[PCI_BARS];
	uint32_t bar_written[PCI_BARS]; /* the guest's last writes: all ones = it is sizing */
	uint8_t bar_flags[PCI_BARS];    /* the low bits that say what it is */
	unsigned cap_last, cap_end;     /* the last capability; where the next may begin */
	bool window; /* an access to a BAR by way of configuration space is under way */

	/*
	 * For registers that do more than remember, set after pci_function_init(); NULL = none.
	 * cfg_access comes first: true if it has done the access itself. cfg_written comes after a
	 * write that changed cfg[] (as far as it is writable).
	 */
	bool (*cfg_access)(struct pci_function *f, unsigned reg, unsigned size, bool is_write,
		uint64_t *value);
	void (*cfg_written)(struct pci_function *f, unsigned reg, unsigned size);

	/* COMMAND was written: whether the function answers at its BARs may have changed. Set by those
	 * who let KVM answer for it; NULL = nobody. */
	void (*decode_changed)(void *ctx);
	void *decode_ctx;
};

struct pci_host;

/* Adds the two ports and the host bridge at 00:00.0 (class 0x0600). *probe: as in struct virtio_env. */
int pci_host_create(struct pci_host **out, struct bus *bus, struct probe **probe, struct err *e);
void pci_host_destroy(struct pci_host *h);

/* Plugs f (borrowed) at devfn. -EEXIST if the place is taken. */
int pci_host_add(struct pci_host *h, unsigned devfn, struct pci_function *f, const char *name,
	unsigned device, struct err *e);

/* Fills in the standard header; everything read-only but COMMAND, INTERRUPT_LINE and BARs. */
void pci_function_init(struct pci_function *f, uint16_t vendor, uint16_t device, uint32_t class_rev,
	uint16_t subsystem_vendor, uint16_t subsystem);
/* I/O BAR `n` of `len` bytes (power of two, 4..256), pre-assigned at base, with COMMAND.IO set: the
 * device decodes from reset on. Sizing works by the mask. */
void pci_function_io_bar(struct pci_function *f, unsigned n, uint16_t base, uint16_t len);
/* 32-bit memory BAR `n`, not prefetchable, of `len` bytes (power of two, at least 16; base is a multiple
 * of it), pre-assigned likewise, with COMMAND.MEMORY set. */
void pci_function_mem_bar(struct pci_function *f, unsigned n, uint32_t base, uint32_t len);
/*
 * Appends a capability of `len` bytes (its two-byte header included) to the list and returns where it
 * is, with the header filled in and the rest 0 and read-only; 0 if configuration space is full.
 */
unsigned pci_function_add_capability(struct pci_function *f, uint8_t id, unsigned len);
/* INTERRUPT_LINE is a note to the driver: the guest may write it, the real line does not change. */
void pci_function_irq(struct pci_function *f, unsigned pin, unsigned line);
/* COMMAND.IO: does the function answer at its I/O BARs? If not, its BAR handlers say UNCLAIMED. */
bool pci_function_io_enabled(const struct pci_function *f);
/* COMMAND.MEMORY likewise; an access by way of configuration space (f->window) does not need it. */
bool pci_function_mem_enabled(const struct pci_function *f);

/* Little-endian fields of configuration space, for those who fill in capabilities. */
void pci_put16(uint8_t *p, uint16_t v);
void pci_put32(uint8_t *p, uint32_t v);
uint32_t pci_get32(const uint8_t *p);

#endif
