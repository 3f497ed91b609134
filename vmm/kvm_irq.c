// SPDX-License-Identifier: MIT
/* Interrupt lines by ioctl(KVM_IRQ_LINE), recorded before and after. */
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "kvm_irq.h"

/*
 * The line holds its level, as a wire does: KVM asks the controllers again after each end of
 * interrupt (kvm_pic_set_irq, kvm_ioapic_set_irq), so only a change has to be told.
 */
static void set_level(struct irq_line *line, int level)
{
	struct kvm_irq *i = (struct kvm_irq *)((char *)line - offsetof(struct kvm_irq, line));
	struct kvm_irq_level request = {.irq = line->irq, .level = (uint32_t)level};
	int64_t result;

	if (level == i->level)
		return;
	PROBE(*i->probe, EW_IRQ_LINE, line->irq, (uint64_t)level, i->device);
	result = ioctl(i->vm_fd, KVM_IRQ_LINE, &request);
	if (result < 0)
		result = -errno;
	else
		i->level = level;
	PROBE(*i->probe, EW_IRQ_LINE_RET, line->irq, (uint64_t)level, (uint64_t)result);
}

void kvm_irq_init(struct kvm_irq *i, int vm_fd, unsigned irq, unsigned device, struct probe **probe)
{
	*i = (struct kvm_irq){
		.line = {.set = set_level, .irq = irq},
		.vm_fd = vm_fd,
		.device = device,
		.probe = probe,
	};
}
