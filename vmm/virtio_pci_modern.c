/* SPDX-License-Identifier: MIT */
/* The registers of the virtio 1.x PCI transport: common configuration, notify, ISR, device. */
#include "vmm/virtio_pci_modern_priv.h"

#include <linux/virtio_pci.h>

/*
 * The common configuration up to the last field of virtio 1.1. The driver's accesses are as wide as the
 * fields, and 32 bits for halves of 64 (4.1.3.1).
 */
#define COMMON_LEN sizeof(struct virtio_pci_common_cfg)
static const uint8_t common_size[COMMON_LEN] = {
	[VIRTIO_PCI_COMMON_DFSELECT] = 4,
	[VIRTIO_PCI_COMMON_DF] = 4,
	[VIRTIO_PCI_COMMON_GFSELECT] = 4,
	[VIRTIO_PCI_COMMON_GF] = 4,
	[VIRTIO_PCI_COMMON_MSIX] = 2,
	[VIRTIO_PCI_COMMON_NUMQ] = 2,
	[VIRTIO_PCI_COMMON_STATUS] = 1,
	[VIRTIO_PCI_COMMON_CFGGENERATION] = 1,
	[VIRTIO_PCI_COMMON_Q_SELECT] = 2,
	[VIRTIO_PCI_COMMON_Q_SIZE] = 2,
	[VIRTIO_PCI_COMMON_Q_MSIX] = 2,
	[VIRTIO_PCI_COMMON_Q_ENABLE] = 2,
	[VIRTIO_PCI_COMMON_Q_NOFF] = 2,
	[VIRTIO_PCI_COMMON_Q_DESCLO] = 4,
	[VIRTIO_PCI_COMMON_Q_DESCHI] = 4,
	[VIRTIO_PCI_COMMON_Q_AVAILLO] = 4,
	[VIRTIO_PCI_COMMON_Q_AVAILHI] = 4,
	[VIRTIO_PCI_COMMON_Q_USEDLO] = 4,
	[VIRTIO_PCI_COMMON_Q_USEDHI] = 4,
};

static void guest_error(const struct virtio_pci_modern *t, enum ew_guest_error error, uint64_t d0,
	uint64_t d1, uint64_t d2)
{
	PROBE(*t->v1.dev->env.probe, EW_GUEST_ERROR, error, t->v1.dev->id, d0, d1, d2);
}

void virtio_pci_modern_forget_vectors(struct virtio_pci_modern *t)
{
	t->config_vector = VIRTIO_MSI_NO_VECTOR;
	for (unsigned i = 0; i < VIRTIO_V1_QUEUES; i++)
		t->queue_vector[i] = VIRTIO_MSI_NO_VECTOR;
	msix_forget(&t->msix);
}

/* 4.1.5.1.2.1: what cannot be mapped reads back as NO_VECTOR. */
static uint16_t valid_vector(const struct virtio_pci_modern *t, uint16_t vector)
{
	if (vector != VIRTIO_MSI_NO_VECTOR && vector >= t->msix.vectors) {
		guest_error(t, EW_GERR_MSIX_VECTOR, vector, t->msix.vectors, 0);
		return VIRTIO_MSI_NO_VECTOR;
	}
	return vector;
}

/* 4.1.4.3.2: the driver writes nothing but 1; the way back is a reset. */
static void write_enable(struct virtio_pci_modern *t, uint32_t v)
{
	if (v == 1)
		virtio_v1_enable(&t->v1);
	else
		guest_error(t, EW_GERR_QUEUE_ENABLE, t->v1.queue_sel, v, 0);
}

static void write_status(struct virtio_pci_modern *t, uint8_t status)
{
	virtio_v1_set_status(&t->v1, status);
	if (!status)
		virtio_pci_modern_forget_vectors(t);
}

static void common_write(struct virtio_pci_modern *t, unsigned reg, uint32_t v)
{
	struct virtio_v1 *v1 = &t->v1;

	switch (reg) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		v1->device_feature_sel = v;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		v1->driver_feature_sel = v;
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_v1_accept(v1, v);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		t->config_vector = valid_vector(t, (uint16_t)v);
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		write_status(t, (uint8_t)v);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		v1->queue_sel = v;
		break;
	case VIRTIO_PCI_COMMON_Q_SIZE:
		virtio_v1_set_size(v1, v);
		break;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		if (virtio_device_queue(v1->dev, v1->queue_sel))
			t->queue_vector[v1->queue_sel] = valid_vector(t, (uint16_t)v);
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		write_enable(t, v);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO ... COMMON_LEN - 1:
		reg -= VIRTIO_PCI_COMMON_Q_DESCLO;
		virtio_v1_set_address(v1, reg / 8, reg % 8, v);
		break;
	default: /* read-only */
		break;
	}
}

static uint32_t queue_read(const struct virtio_pci_modern *t, unsigned reg)
{
	const struct virtq *q = virtio_v1_queue(&t->v1);

	switch (reg) {
	case VIRTIO_PCI_COMMON_Q_SIZE: /* 0: there is no such queue */
		return q ? q->size : 0;
	case VIRTIO_PCI_COMMON_Q_MSIX:
		return q ? t->queue_vector[q->index] : VIRTIO_MSI_NO_VECTOR;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		return virtio_v1_enabled(&t->v1);
	case VIRTIO_PCI_COMMON_Q_NOFF:
		return q ? q->index : 0;
	default:
		reg -= VIRTIO_PCI_COMMON_Q_DESCLO;
		return virtio_v1_address(&t->v1, reg / 8, reg % 8);
	}
}

static uint32_t common_read(const struct virtio_pci_modern *t, unsigned reg)
{
	const struct virtio_v1 *v1 = &t->v1;

	switch (reg) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		return v1->device_feature_sel;
	case VIRTIO_PCI_COMMON_DF:
		return virtio_v1_offered(v1);
	case VIRTIO_PCI_COMMON_GFSELECT:
		return v1->driver_feature_sel;
	case VIRTIO_PCI_COMMON_GF:
		return virtio_v1_accepted(v1);
	case VIRTIO_PCI_COMMON_MSIX:
		return t->config_vector;
	case VIRTIO_PCI_COMMON_NUMQ:
		return v1->dev->queues;
	case VIRTIO_PCI_COMMON_STATUS:
		return v1->dev->status;
	case VIRTIO_PCI_COMMON_CFGGENERATION: /* the configuration never changes */
		return 0;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		return v1->queue_sel;
	default:
		return queue_read(t, reg);
	}
}

static enum ew_bus_result common_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct virtio_pci_modern *t = opaque;

	if (!pci_function_mem_enabled(&t->function))
		return EW_BUS_UNCLAIMED;
	if (size != common_size[offset])
		return EW_BUS_BAD_SIZE;
	if (is_write)
		common_write(t, (unsigned)offset, (uint32_t)*value);
	else
		*value = common_read(t, (unsigned)offset);
	return EW_BUS_HANDLED;
}

/* The address says which queue, as it would to an ioeventfd; the value, the same number, is not used. */
static enum ew_bus_result notify_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct virtio_pci_modern *t = opaque;

	if (!pci_function_mem_enabled(&t->function))
		return EW_BUS_UNCLAIMED;
	if (size != 2 || offset % VIRTIO_PCI_MODERN_MULTIPLIER)
		return EW_BUS_BAD_SIZE;
	if (is_write)
		virtio_device_notify(t->v1.dev, (unsigned)offset / VIRTIO_PCI_MODERN_MULTIPLIER);
	else
		*value = 0;
	return EW_BUS_HANDLED;
}

static enum ew_bus_result isr_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct virtio_pci_modern *t = opaque;

	(void)offset;
	(void)size; /* the region is one byte long */
	if (!pci_function_mem_enabled(&t->function))
		return EW_BUS_UNCLAIMED;
	if (!is_write)
		*value = virtio_device_read_isr(t->v1.dev);
	return EW_BUS_HANDLED;
}

static enum ew_bus_result device_access(
	void *opaque, uint64_t offset, unsigned size, bool is_write, uint64_t *value)
{
	struct virtio_pci_modern *t = opaque;

	if (!pci_function_mem_enabled(&t->function))
		return EW_BUS_UNCLAIMED;
	if (!is_write) /* read-only */
		*value = virtio_device_read_config(t->v1.dev, offset, size);
	return EW_BUS_HANDLED;
}

static enum ew_snapshot_why notify_snapshot(void *opaque, uint64_t offset, bool is_write)
{
	const struct virtio_pci_modern *t = opaque;

	(void)offset;
	return is_write && pci_function_mem_enabled(&t->function) ? EW_SNAPSHOT_NOTIFY
								  : EW_SNAPSHOT_NONE;
}

static enum ew_snapshot_why isr_snapshot(void *opaque, uint64_t offset, bool is_write)
{
	const struct virtio_pci_modern *t = opaque;

	(void)offset;
	return !is_write && pci_function_mem_enabled(&t->function) ? EW_SNAPSHOT_ISR_READ
								   : EW_SNAPSHOT_NONE;
}

void virtio_pci_modern_structures(const struct virtio_pci_modern *t,
	struct virtio_pci_modern_structure all[VIRTIO_PCI_MODERN_STRUCTURES])
{
	const struct virtio_device *dev = t->v1.dev;

	all[VIRTIO_PCI_MODERN_COMMON] = (struct virtio_pci_modern_structure){
		VIRTIO_PCI_CAP_COMMON_CFG, "common configuration", COMMON_LEN, common_access, NULL};
	all[VIRTIO_PCI_MODERN_NOTIFY] = (struct virtio_pci_modern_structure){
		VIRTIO_PCI_CAP_NOTIFY_CFG, "notify", dev->queues * VIRTIO_PCI_MODERN_MULTIPLIER,
		notify_access, notify_snapshot};
	all[VIRTIO_PCI_MODERN_ISR] = (struct virtio_pci_modern_structure){
		VIRTIO_PCI_CAP_ISR_CFG, "ISR", 1, isr_access, isr_snapshot};
	all[VIRTIO_PCI_MODERN_DEVICE] = (struct virtio_pci_modern_structure){
		VIRTIO_PCI_CAP_DEVICE_CFG, "device configuration", dev->config_len, device_access,
		NULL};
}
