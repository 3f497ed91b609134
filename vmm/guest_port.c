// SPDX-License-Identifier: MIT
/* The guest's port, wired up, and how it waits for the recorder. */
#include "guest_port.h"

#include <linux/virtio_ids.h>
#include <unistd.h>

#include "tracer/guest_stream.h"

#define CLASS_CODE 0x078000u /* communication controller, other */
#define WAIT_US 200

/*
 * What the ring has no room for would be lost, and the guest can wait: its agent's write() ends when the
 * chain comes back. Another vCPU that wants a device meanwhile waits too, and says so (lock_wait).
 */
static void wait_for_recorder(struct virtio_console_sink *s)
{
	const struct guest_port *p = (struct guest_port *)((char *)s -
							   offsetof(struct guest_port, sink));

	while (p->recorder && recorder_behind(p->recorder) && recorder_status(p->recorder) == 0 &&
		!__atomic_load_n(p->stop, __ATOMIC_RELAXED))
		usleep(WAIT_US);
}

int guest_port_attach(struct guest_port *p, unsigned device, const struct drive_choice *choice,
	const struct virtio_env *env, int vm_fd, struct pci_host *pci, struct bus *bus,
	struct err *e)
{
	const struct virtio_slot_name name = {GUEST_PORT_NAME, VIRTIO_TRANS_ID_CONSOLE, CLASS_CODE};
	struct virtio_env mine = *env;

	*p = (struct guest_port){
		.device = device, .sink.wait = wait_for_recorder, .stop = env->stop};
	kvm_irq_init(&p->line, vm_fd, virtio_slot_gsi(VIRTIO_SLOT_GUEST_PORT), device, env->probe);
	kvm_msi_init(&p->messages, vm_fd, device, env->probe);
	mine.irq = &p->line.line;
	virtio_console_init(&p->console, device, &mine, GUEST_STREAM_PORT, &p->sink);
	return virtio_slot_attach(&p->slot, VIRTIO_SLOT_GUEST_PORT, choice->transport, &name,
		&p->console.dev, choice->irq == DRIVE_IRQ_MSIX ? &p->messages.sink : NULL, pci, bus,
		e);
}
