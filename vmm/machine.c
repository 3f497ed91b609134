// SPDX-License-Identifier: MIT
/* How the machine is made: read machine_create() from top to bottom. */
#include <errno.h>

#include "boot.h"
#include "guest_abi.h"
#include "kick.h"
#include "layout.h"
#include "machine.h"

static uint64_t current_cr3(void *ctx)
{
	struct machine *m = ctx;

	return vcpu_cr3(&m->vcpu);
}

static void guest_exit(void *ctx, int status)
{
	struct machine *m = ctx;

	vcpu_stop(&m->vcpu, EW_STOP_GUEST_EXIT, status);
}

static int create_devices(struct machine *m, const struct machine_config *c, struct err *e)
{
	const struct virtio_env env = {
		.mem = &m->mem,
		.irq = &m->blk_irq.line,
		.probe = &m->probe,
		.next_request = &m->next_request,
		.stop = &m->vcpu.stop,
	};
	int rc;

	kvm_irq_init(&m->uart_irq, m->kvm.vm_fd, EW_COM1_IRQ, MACHINE_DEV_COM1, &m->probe);
	kvm_irq_init(&m->blk_irq, m->kvm.vm_fd, EW_VIRTIO_BLK_IRQ, MACHINE_DEV_BLK0, &m->probe);
	m->ports = (struct marker_ports){
		.mem = &m->mem,
		.probe = &m->probe,
		.cr3 = current_cr3,
		.guest_exit = guest_exit,
		.ctx = m,
		.device = MACHINE_DEV_MARKER,
	};
	rc = marker_ports_add(&m->ports, &m->bus, e);
	if (rc)
		return rc;
	rc = uart_create(&m->uart, &m->bus, EW_COM1_PORT, &m->uart_irq.line, guest_output_put,
		c->output, MACHINE_DEV_COM1, e);
	if (rc)
		return rc;
	rc = pci_host_create(&m->pci, &m->bus, &m->probe, e);
	if (rc)
		return rc;
	return virtio_blk_pci_create(&m->blk, MACHINE_DEV_BLK0, "virtio-blk0", &env, &m->disk,
		m->pci, &m->bus, EW_VIRTIO_BLK_DEVFN, EW_VIRTIO_BLK_IOBASE, e);
}

static int load_guest(struct machine *m, const struct machine_config *c, struct err *e)
{
	uint64_t entry;
	int rc = boot_load_elf(&m->mem, c->kernel, c->kernel_len, &entry, e);

	if (rc == 0)
		rc = boot_zero_page(&m->mem, c->cmdline, e);
	if (rc == 0)
		rc = boot_page_tables(&m->mem, e);
	if (rc == 0)
		rc = boot_write_gdt(&m->mem, e);
	if (rc == 0)
		rc = vcpu_reset(&m->vcpu, 0, entry, e);
	return rc;
}

int machine_create(struct machine *m, const struct machine_config *c, struct err *e)
{
	int rc;

	*m = (struct machine){.vcpu.fd = -1, .disk.fd = -1, .next_request = 1};
	rc = kvm_open(&m->kvm, c->kvm_device, e);
	if (rc)
		return rc;
	rc = kvm_check_needed(&m->kvm, e);
	if (rc == 0)
		rc = disk_open(&m->disk, c->disk_path, c->disk_read_only, c->disk_create, e);
	if (rc == 0)
		rc = mem_alloc(&m->mem, c->ram, e);
	if (rc == 0)
		rc = kvm_create_vm(&m->kvm, e);
	if (rc == 0)
		rc = kvm_create_irqchip(&m->kvm, e); /* before the vCPU, which gets a LAPIC by it */
	if (rc == 0)
		rc = kvm_add_ram(&m->kvm, &m->mem, e);
	if (rc == 0)
		rc = vcpu_create(&m->vcpu, &m->kvm, 0, e);
	if (rc == 0) {
		m->vcpu.mem = &m->mem;
		m->vcpu.bus = &m->bus;
		rc = create_devices(m, c, e);
	}
	if (rc == 0)
		rc = load_guest(m, c, e);
	if (rc)
		machine_destroy(m);
	return rc;
}

/* KVM's file descriptors go before the memory that the VM uses. */
void machine_destroy(struct machine *m)
{
	if (m->blk)
		virtio_blk_pci_destroy(m->blk);
	if (m->pci)
		pci_host_destroy(m->pci);
	if (m->uart)
		uart_destroy(m->uart);
	vcpu_destroy(&m->vcpu);
	kvm_close(&m->kvm);
	if (m->mem.host)
		mem_free(&m->mem);
	if (m->disk.fd >= 0)
		disk_close(&m->disk);
	*m = (struct machine){.vcpu.fd = -1, .disk.fd = -1, .kvm = {.fd = -1, .vm_fd = -1}};
}

void machine_record(struct machine *m, struct probe *p, const struct recorder *r)
{
	m->probe = p;
	m->vcpu.probe = p;
	m->vcpu.recorder = r;
	m->bus.on_snapshot = vcpu_snapshot;
	m->bus.snapshot_ctx = &m->vcpu;
}

enum ew_stop machine_run(struct machine *m)
{
	return vcpu_run(&m->vcpu);
}
