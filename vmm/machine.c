// SPDX-License-Identifier: MIT
/* How the machine is made: read machine_create() from top to bottom. */
#include <errno.h>

#include "acpi.h"
#include "backend.h"
#include "boot.h"
#include "guest_abi.h"
#include "kick.h"
#include "layout.h"
#include "linux_boot.h"
#include "machine.h"

static uint64_t current_cr3(void *ctx)
{
	struct machine *m = ctx;

	return m->turn.vcpu ? vcpu_cr3(m->turn.vcpu) : VCPU_NO_TABLES;
}

static void snapshot(void *ctx, enum ew_snapshot_why why)
{
	struct machine *m = ctx;

	if (m->turn.vcpu)
		vcpu_snapshot(m->turn.vcpu, why);
}

static void guest_ended(struct machine *m, enum machine_end how, int status)
{
	if (!m->guest_end)
		m->guest_end = how;
	stop_ask(&m->cpus.stop, EW_STOP_GUEST_EXIT, status,
		m->turn.vcpu ? (int)m->turn.vcpu->id : STOP_NO_VCPU);
}

static void guest_exit(void *ctx, int status)
{
	guest_ended(ctx, MACHINE_END_STATUS, status);
}

static void guest_power_off(void *ctx)
{
	guest_ended(ctx, MACHINE_END_POWER_OFF, 0);
}

/* The machine is not started again: the recording is of one boot. */
static void guest_reset(void *ctx)
{
	guest_ended(ctx, MACHINE_END_RESET, 0);
}

static int create_devices(struct machine *m, const struct machine_config *c, struct err *e)
{
	const struct virtio_env env = {
		.mem = &m->mem,
		.probe = &m->turn.probe,
		.next_request = &m->next_request,
		.stop = &m->cpus.stop.why,
	};
	unsigned next_device = c->is_linux ? MACHINE_DEV_END : MACHINE_DEV_ACPI;
	int rc;

	kvm_irq_init(&m->uart_irq, m->kvm.vm_fd, EW_COM1_IRQ, MACHINE_DEV_COM1, &m->turn.probe);
	m->ports = (struct marker_ports){
		.mem = &m->mem,
		.probe = &m->turn.probe,
		.cr3 = current_cr3,
		.guest_exit = guest_exit,
		.ctx = m,
		.device = MACHINE_DEV_MARKER,
	};
	m->acpi = (struct acpi_ports){
		.power_off = guest_power_off,
		.reset = guest_reset,
		.ctx = m,
		.device = MACHINE_DEV_ACPI,
	};
	rc = marker_ports_add(&m->ports, &m->bus, e);
	if (rc == 0 && c->is_linux)
		rc = acpi_ports_add(&m->acpi, &m->bus, e);
	if (rc)
		return rc;
	rc = uart_create(&m->uart, &m->bus, EW_COM1_PORT, &m->uart_irq.line, guest_output_put,
		c->output, MACHINE_DEV_COM1, e);
	if (rc)
		return rc;
	rc = pci_host_create(&m->pci, &m->bus, &m->turn.probe, e);
	if (rc)
		return rc;
	rc = drives_attach(&m->drives, &m->kvm, &env, &m->turn, m->pci, &m->bus, next_device, e);
	if (rc || !c->guest_events)
		return rc;
	return guest_port_attach(&m->port, next_device + (c->disks ? c->disks - 1 : 0), &c->drives,
		&env, m->kvm.vm_fd, m->pci, &m->bus, e);
}

/* The tables come first: the zero page points to them. */
static int load_linux(
	struct machine *m, const struct machine_config *c, uint64_t *entry, struct err *e)
{
	const struct linux_files files = {
		.kernel = c->kernel,
		.kernel_len = c->kernel_len,
		.initrd = c->initrd,
		.initrd_len = c->initrd_len,
	};
	struct acpi_config acpi = {.cpus = c->cpus};
	struct linux_start start;
	uint64_t rsdp;
	int rc;

	for (unsigned i = 0; i < c->disks; i++)
		virtio_slot_acpi(i, c->drives.transport, &acpi);
	if (c->guest_events)
		virtio_slot_acpi(VIRTIO_SLOT_GUEST_PORT, c->drives.transport, &acpi);
	rc = acpi_build(&m->mem, &acpi, &rsdp, e);
	if (rc == 0)
		rc = linux_boot(&m->mem, &files, c->cmdline, rsdp, &start, e);
	if (rc == 0)
		*entry = start.entry;
	return rc;
}

static int load_guest(
	struct machine *m, const struct machine_config *c, uint64_t *entry, struct err *e)
{
	int rc;

	if (c->is_linux) {
		rc = load_linux(m, c, entry, e);
	} else {
		rc = boot_load_elf(&m->mem, c->kernel, c->kernel_len, entry, e);
		if (rc == 0)
			rc = boot_zero_page(&m->mem, c->cmdline, e);
	}
	if (rc == 0)
		rc = boot_page_tables(&m->mem, e);
	if (rc == 0)
		rc = boot_write_gdt(&m->mem, e);
	return rc;
}

static int create_vm(struct machine *m, const struct machine_config *c, struct err *e)
{
	int rc = kvm_open(&m->kvm, c->kvm_device, e);

	if (rc == 0)
		rc = kvm_check_needed(&m->kvm, e);
	if (rc == 0)
		rc = cpus_check(&m->kvm, c->cpus, e);
	if (rc == 0)
		rc = drives_open(&m->drives, &c->drives, c->disk, c->disks, e);
	if (rc == 0)
		rc = kvm_create_vm(&m->kvm, e);
	if (rc == 0)
		rc = kvm_create_irqchip(&m->kvm, e); /* before the vCPUs, which get LAPICs by it */
	if (rc == 0)
		rc = kvm_add_ram(&m->kvm, &m->mem, e);
	if (rc == 0)
		rc = cpus_create(&m->cpus, &m->kvm, c->cpus, e);
	return rc;
}

int machine_create(struct machine *m, const struct machine_config *c, struct err *e)
{
	uint64_t entry = 0;
	int rc;

	*m = (struct machine){.kvm = {.fd = -1, .vm_fd = -1}, .next_request = 1};
	turn_init(&m->turn);
	cpus_init(&m->cpus);
	/* What is wrong with the guest's files is said first, whatever machine this is. */
	rc = mem_alloc(&m->mem, c->ram, e);
	if (rc == 0)
		rc = load_guest(m, c, &entry, e);
	if (rc == 0 && c->is_linux)
		rc = backend_check_linux(e);
	if (rc == 0)
		rc = create_vm(m, c, e);
	if (rc == 0) {
		guest_kernel_init(&m->linux_kernel, &m->mem);
		for (unsigned i = 0; i < m->cpus.count; i++) {
			m->cpus.vcpu[i].mem = &m->mem;
			m->cpus.vcpu[i].bus = &m->bus;
			m->cpus.vcpu[i].turn = &m->turn;
			m->cpus.vcpu[i].linux_kernel = c->is_linux ? &m->linux_kernel : NULL;
		}
		m->bus.on_snapshot = snapshot;
		m->bus.snapshot_ctx = m;
		rc = create_devices(m, c, e);
	}
	if (rc == 0)
		rc = cpus_reset(&m->cpus, c->cpu, entry, e);
	if (rc)
		machine_destroy(m);
	return rc;
}

/* KVM's file descriptors go before the memory that the VM uses. */
void machine_destroy(struct machine *m)
{
	drives_destroy(&m->drives);
	if (m->pci)
		pci_host_destroy(m->pci);
	if (m->uart)
		uart_destroy(m->uart);
	cpus_destroy(&m->cpus);
	kvm_close(&m->kvm);
	guest_kernel_free(&m->linux_kernel);
	if (m->mem.host)
		mem_free(&m->mem);
	turn_destroy(&m->turn);
	*m = (struct machine){.kvm = {.fd = -1, .vm_fd = -1}};
}

void machine_record(struct machine *m, unsigned vcpu, struct probe *p, const struct recorder *r)
{
	m->cpus.vcpu[vcpu].probe = p;
	m->cpus.vcpu[vcpu].recorder = r;
	m->port.recorder = r;
}

void machine_record_tsc(struct machine *m)
{
	for (unsigned i = 0; i < m->cpus.count; i++)
		m->cpus.vcpu[i].tsc_next = 1; /* at once */
}

int machine_start_io(struct machine *m, struct probe *p, struct err *e)
{
	return drives_start(&m->drives, p, e);
}

static void at_rest(void *ctx)
{
	drives_stop(&((struct machine *)ctx)->drives);
}

enum ew_stop machine_run(struct machine *m)
{
	m->cpus.at_rest = at_rest;
	m->cpus.ctx = m;
	return cpus_run(&m->cpus);
}
