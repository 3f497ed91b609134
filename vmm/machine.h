/* SPDX-License-Identifier: MIT */
/* The machine: everything of one guest, put together in machine.c as one ordered list of calls. */
#ifndef EXITWALK_VMM_MACHINE_H
#define EXITWALK_VMM_MACHINE_H

#include "acpi_ports.h"
#include "cpus.h"
#include "drives.h"
#include "guest_kernel.h"
#include "guest_output.h"
#include "guest_port.h"
#include "kvm.h"
#include "kvm_irq.h"
#include "marker.h"
#include "pci.h"
#include "uart.h"

/* Devices as events number them: DEVICE(ID, number, name, model). Those of the disks are in drive.c; the guest's
 * port comes behind them. */
#define MACHINE_DEVICES(DEVICE)                                                                    \
	DEVICE(COM1, 2, "com1", "16550A serial port")                                              \
	DEVICE(PCI, 3, "pci0", "PCI host bridge, configuration mechanism 1")                       \
	DEVICE(MARKER, 4, "marker", "marker, exit and POST ports")                                 \
	DEVICE(ACPI, 5, "acpi0", "ACPI sleep and reset registers")
enum machine_device {
#define DEVICE(id, number, name, model) MACHINE_DEV_##id = number,
	MACHINE_DEVICES(DEVICE)
#undef DEVICE
		MACHINE_DEV_END, /* from here on those of other disks; without ACPI its number is theirs */
};

struct machine_config {
	const char *kvm_device; /* KVM_DEVICE */
	bool is_linux;          /* the guest gets ACPI tables, and the registers behind them */
	const void *kernel;     /* the sample guest's ELF image, or what linux_boot.h takes */
	size_t kernel_len;
	const void *initrd; /* Linux; NULL: none */
	size_t initrd_len;
	const char *cmdline; /* of the guest */
	uint64_t ram;        /* bytes, a multiple of 4096 */
	unsigned cpus;       /* 1..ACPI_MAX_CPUS */
	enum cpu_model cpu;
	struct drive_choice drives; /* how the disks are attached */
	struct drive_image disk[DRIVES_MAX];
	unsigned disks;
	bool guest_events;           /* the port of the guest's agent is there */
	struct guest_output *output; /* of the serial port; borrowed */
};

/* How the guest ended the run, if it did. */
enum machine_end { MACHINE_END_NONE, MACHINE_END_STATUS, MACHINE_END_POWER_OFF, MACHINE_END_RESET };

struct machine {
	struct kvm kvm;
	struct guest_mem mem;
	struct bus bus;
	struct drives drives;
	struct guest_port port; /* device 0: there is none */
	struct cpus cpus;
	struct guest_kernel linux_kernel; /* looked at only if the guest is Linux */
	struct kvm_irq uart_irq;
	struct uart *uart;
	struct pci_host *pci;
	struct marker_ports ports;
	struct acpi_ports acpi;
	enum machine_end guest_end;
	struct turn turn; /* around the devices; its probe is what they record by */
	uint64_t next_request;
};

/*
 * m must stay where it is: devices point into it. The files in c are borrowed until it returns. On
 * failure nothing is left to destroy.
 */
int machine_create(struct machine *m, const struct machine_config *c, struct err *e);
void machine_destroy(struct machine *m);

/* The run of this vCPU is recorded by p. Before machine_run, once for each vCPU. */
void machine_record(struct machine *m, unsigned vcpu, struct probe *p, const struct recorder *r);

/* The vCPUs' TSC offsets are recorded too. After machine_record. */
void machine_record_tsc(struct machine *m);

/* Starts the I/O thread, if there is to be one (drives_need_thread); p: its probe. Before machine_run,
 * which ends it. */
int machine_start_io(struct machine *m, struct probe *p, struct err *e);

/* Runs the guest, vCPU 0 on the calling thread, until something ends it: m->cpus.stop has the details,
 * and is where other threads ask for the end. */
enum ew_stop machine_run(struct machine *m);

#endif
