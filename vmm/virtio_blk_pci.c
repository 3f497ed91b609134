/* SPDX-License-Identifier: MIT */
/* A virtio block device behind the legacy PCI transport: the two joined. */
#include "vmm/virtio_blk_pci.h"

#include <errno.h>
#include <stdlib.h>
#include <linux/virtio_ids.h>

#include "vmm/virtio_blk.h"
#include "vmm/virtio_pci_legacy.h"

#define CLASS_REV 0x01800000u /* mass storage, other; revision 0 */

struct virtio_blk_pci {
	struct virtio_blk blk;
	struct virtio_pci_legacy transport;
};

int virtio_blk_pci_create(struct virtio_blk_pci **out, unsigned device_id, const char *name,
	const struct virtio_env *env, struct disk *disk, struct pci_host *pci, struct bus *bus,
	unsigned devfn, uint16_t iobase, struct err *e)
{
	struct virtio_blk_pci *v = calloc(1, sizeof(*v));
	int ret;

	*out = NULL;
	if (!v)
		return err_set(e, -ENOMEM, "no memory for the disk %s", name);
	virtio_blk_init(&v->blk, device_id, env, disk);
	ret = virtio_pci_legacy_attach(&v->transport, &v->blk.dev, name, VIRTIO_TRANS_ID_BLOCK,
		CLASS_REV, pci, bus, devfn, iobase, e);
	if (ret) {
		free(v);
		return ret;
	}
	*out = v;
	return 0;
}

void virtio_blk_pci_destroy(struct virtio_blk_pci *v)
{
	free(v);
}
