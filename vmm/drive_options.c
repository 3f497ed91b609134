/* SPDX-License-Identifier: MIT */
/* Words for transports, kicks, interrupts and I/O, and which of them contradict each other. */
#include "drive_options.h"

#include <string.h>

static int find(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, list[i]) == 0)
			return (int)i;
	return -1;
}

#define FIND(word, list) find(word, list, sizeof(list) / sizeof((list)[0]))

const char *drive_option_virtio(struct drive_options *o, const char *word)
{
	static const char *const words[] = {
		[VIRTIO_LEGACY] = "legacy", [VIRTIO_MODERN] = "modern", [VIRTIO_MMIO] = "mmio"};
	int n = FIND(word, words);

	if (n >= 0)
		o->choice.transport = (enum virtio_transport)n;
	return n < 0 ? "legacy, modern or mmio" : NULL;
}

const char *drive_option_kick(struct drive_options *o, const char *word)
{
	static const char *const words[] = {
		[DRIVE_KICK_EXIT] = "exit", [DRIVE_KICK_IOEVENTFD] = "ioeventfd"};
	int n = FIND(word, words);

	if (n >= 0)
		o->choice.kick = (enum drive_kick)n;
	return n < 0 ? "exit or ioeventfd" : NULL;
}

const char *drive_option_irq(struct drive_options *o, const char *word)
{
	static const char *const words[] = {
		[DRIVE_IRQ_LINE] = "line", [DRIVE_IRQ_IRQFD] = "irqfd", [DRIVE_IRQ_MSIX] = "msix"};
	int n = FIND(word, words);

	if (n < 0)
		return "line, irqfd or msix";
	o->choice.irq = (enum drive_irq)n;
	o->irq_given = true;
	return NULL;
}

const char *drive_option_io(struct drive_options *o, const char *word)
{
	static const char *const words[] = {[DRIVE_IO_VCPU] = "vcpu",
		[DRIVE_IO_THREAD] = "thread",
		[DRIVE_IO_THREAD_PLAIN] = "thread,pwrite"};
	int n = FIND(word, words);

	if (n < 0)
		return "vcpu, thread or thread,pwrite";
	o->choice.io = (enum drive_io)n;
	o->io_given = true;
	return NULL;
}

const char *drive_options_finish(struct drive_options *o, bool is_linux)
{
	struct drive_choice *c = &o->choice;

	if (c->transport != VIRTIO_LEGACY && !is_linux)
		return "the built-in guest knows legacy virtio only: leave out --virtio, or boot "
		       "Linux by -k or --linux";
	if (!o->irq_given && c->transport == VIRTIO_MODERN)
		c->irq = DRIVE_IRQ_MSIX;
	if (c->irq == DRIVE_IRQ_MSIX && c->transport != VIRTIO_MODERN)
		return "only modern PCI has MSI-X here: add --virtio modern, or leave out --irq msix";
	if (!o->io_given && c->kick == DRIVE_KICK_IOEVENTFD)
		c->io = DRIVE_IO_THREAD;
	if (c->io == DRIVE_IO_VCPU && c->kick == DRIVE_KICK_IOEVENTFD)
		return "by --kick ioeventfd no vCPU thread learns of a notify: leave out --io vcpu, or "
		       "use --kick exit";
	return NULL;
}
