/* SPDX-License-Identifier: MIT */
/* Features, status and queues as in virtio 1.x, for the PCI and the MMIO registers. */
#include "vmm/virtio_v1.h"

#include <errno.h>
#include <linux/virtio_config.h>

static void guest_error(
	const struct virtio_v1 *v, enum ew_guest_error error, uint64_t d0, uint64_t d1)
{
	PROBE(*v->dev->env.probe, EW_GUEST_ERROR, error, v->dev->id, d0, d1);
}

int virtio_v1_init(struct virtio_v1 *v, struct virtio_device *dev, struct err *e)
{
	if (dev->queues > VIRTIO_V1_QUEUES)
		return err_set(e, -EINVAL,
			"a virtio device with %u queues does not fit a transport for %d",
			dev->queues, VIRTIO_V1_QUEUES);
	*v = (struct virtio_v1){.dev = dev};
	virtio_device_offer(dev, VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
	return 0;
}

static uint32_t feature_window(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

uint32_t virtio_v1_offered(const struct virtio_v1 *v)
{
	return feature_window(v->dev->offered, v->device_feature_sel);
}

uint32_t virtio_v1_accepted(const struct virtio_v1 *v)
{
	return feature_window(v->driver_features, v->driver_feature_sel);
}

void virtio_v1_accept(struct virtio_v1 *v, uint32_t features)
{
	unsigned shift = 32 * (v->driver_feature_sel & 1);

	if (v->dev->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		guest_error(v, EW_GERR_FEATURES, features, v->dev->offered);
		return;
	}
	if (v->driver_feature_sel > 1) { /* none is offered there, and drivers write 0 */
		if (features)
			guest_error(v, EW_GERR_FEATURES, features, 0);
		return;
	}
	v->driver_features &= ~((uint64_t)UINT32_MAX << shift);
	v->driver_features |= (uint64_t)features << shift;
	virtio_device_accept_all(v->dev, v->driver_features);
}

static bool features_ok(const struct virtio_v1 *v)
{
	return !(v->driver_features & ~v->dev->offered) &&
	       (v->driver_features & VIRTIO_FEATURE(VIRTIO_F_VERSION_1));
}

void virtio_v1_set_status(struct virtio_v1 *v, uint8_t status)
{
	uint8_t before = v->dev->status;

	virtio_device_set_status(v->dev, status);
	if (!status) {
		*v = (struct virtio_v1){.dev = v->dev};
		return;
	}
	v->dev->status |= before & VIRTIO_CONFIG_S_NEEDS_RESET;
	if ((status & ~before & VIRTIO_CONFIG_S_FEATURES_OK) && !features_ok(v)) {
		guest_error(v, EW_GERR_FEATURES, v->driver_features, v->dev->offered);
		v->dev->status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	}
}

struct virtq *virtio_v1_queue(const struct virtio_v1 *v)
{
	return v->queue_sel < v->dev->queues ? &v->dev->queue[v->queue_sel] : NULL;
}

struct virtq *virtio_v1_idle_queue(const struct virtio_v1 *v, uint64_t value)
{
	struct virtq *q = virtio_device_queue(v->dev, v->queue_sel);

	if (!q || !virtq_is_set_up(q))
		return q;
	guest_error(v, EW_GERR_QUEUE_LIVE, q->index, value);
	return NULL;
}

uint32_t virtio_v1_address(const struct virtio_v1 *v, enum virtio_v1_part part, bool high)
{
	if (!virtio_v1_queue(v))
		return 0;
	return (uint32_t)(v->address[v->queue_sel][part] >> (high ? 32 : 0));
}

void virtio_v1_set_address(struct virtio_v1 *v, enum virtio_v1_part part, bool high, uint32_t value)
{
	unsigned shift = high ? 32 : 0;
	uint64_t *address;

	if (!virtio_v1_idle_queue(v, value))
		return;
	address = &v->address[v->queue_sel][part];
	*address = (*address & ~((uint64_t)UINT32_MAX << shift)) | (uint64_t)value << shift;
}

void virtio_v1_set_size(struct virtio_v1 *v, uint32_t size)
{
	struct virtq *q = virtio_v1_idle_queue(v, size);

	if (q)
		virtq_set_size(q, size);
}

bool virtio_v1_enabled(const struct virtio_v1 *v)
{
	const struct virtq *q = virtio_v1_queue(v);

	return q && virtq_is_set_up(q);
}

void virtio_v1_enable(struct virtio_v1 *v)
{
	struct virtq *q = virtio_v1_idle_queue(v, 1);
	const uint64_t *a;

	if (!q)
		return;
	a = v->address[v->queue_sel];
	if (virtq_setup(q, a[VIRTIO_V1_DESC], a[VIRTIO_V1_DRIVER], a[VIRTIO_V1_DEVICE]))
		virtio_device_needs_reset(v->dev);
}

void virtio_v1_disable(struct virtio_v1 *v)
{
	struct virtq *q = virtio_device_queue(v->dev, v->queue_sel);
	uint16_t size;

	if (!q)
		return;
	virtio_device_drain(v->dev);
	size = q->size;
	virtq_reset(q);
	q->size = size;
	PROBE(*q->probe, EW_QUEUE_SETUP, q->device, q->index, q->size, 0, 0, 0);
}
