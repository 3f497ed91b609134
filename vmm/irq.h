/* SPDX-License-Identifier: MIT */
/* An interrupt line as a device sees it. The KVM side (KVM_IRQ_LINE) records; tests plug in a counter. */
#ifndef EXITWALK_VMM_IRQ_H
#define EXITWALK_VMM_IRQ_H

struct irq_line {
	void (*set)(struct irq_line *line, int level); /* level-triggered: 1 asserted, 0 not */
	unsigned irq; /* ISA line number, for humans and PCI config 0x3c */
};

#endif
