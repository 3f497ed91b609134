/* SPDX-License-Identifier: MIT */
/* Interrupt routes: the default ones, and messages behind them. */
#include "kvm_routes.h"

#include <errno.h>
#include <stdlib.h>

enum {
	PIC_PINS = 8, /* of each of the two */
	IOAPIC_PINS = 24,
	DEFAULT_ROUTES = 2 * PIC_PINS + IOAPIC_PINS,
};

static void add_pin(struct kvm_routes *r, unsigned gsi, unsigned chip, unsigned pin)
{
	r->table->entries[r->table->nr++] = (struct kvm_irq_routing_entry){.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = {.irqchip = chip, .pin = pin}};
}

/* As arch/x86/kvm/irq_comm.c has them in default_routing: GSI n is pin n of the IOAPIC, and below 16
 * also a pin of the 8259s. */
int kvm_routes_init(struct kvm_routes *r, struct kvm_vm *vm, unsigned messages, struct err *e)
{
	unsigned room = DEFAULT_ROUTES + messages;

	*r = (struct kvm_routes){.vm = vm, .room = room, .next_gsi = IOAPIC_PINS};
	r->table = calloc(1, sizeof(*r->table) + room * sizeof(r->table->entries[0]));
	if (!r->table)
		return err_set(e, -ENOMEM, "no memory for interrupt routes: free some");
	for (unsigned gsi = 0; gsi < IOAPIC_PINS; gsi++) {
		if (gsi < 2 * PIC_PINS)
			add_pin(r, gsi,
				gsi < PIC_PINS ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE,
				gsi % PIC_PINS);
		add_pin(r, gsi, KVM_IRQCHIP_IOAPIC, gsi);
	}
	return 0;
}

void kvm_routes_free(struct kvm_routes *r)
{
	free(r->table);
	r->table = NULL;
}

unsigned kvm_routes_new_gsi(struct kvm_routes *r)
{
	return r->next_gsi - IOAPIC_PINS < r->room - DEFAULT_ROUTES ? r->next_gsi++ : 0;
}

int kvm_routes_message(struct kvm_routes *r, unsigned gsi, uint64_t addr, uint32_t data)
{
	struct kvm_irq_routing_entry *entry = &r->table->entries[DEFAULT_ROUTES], old;
	struct kvm_irq_routing_entry *end = &r->table->entries[r->table->nr];
	unsigned nr = r->table->nr;
	int rc;

	while (entry < end && entry->gsi != gsi)
		entry++;
	if (entry == end)
		r->table->nr++;
	old = *entry;
	*entry = (struct kvm_irq_routing_entry){.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {.address_lo = (uint32_t)addr,
			.address_hi = (uint32_t)(addr >> 32),
			.data = data}};
	rc = r->vm->ioctl(r->vm, KVM_SET_GSI_ROUTING, r->table);
	if (rc < 0) {
		*entry = old;
		r->table->nr = nr;
	}
	return rc < 0 ? rc : 0;
}
