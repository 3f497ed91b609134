// SPDX-License-Identifier: MIT
/* Opening /dev/kvm, making a VM, and saying in one sentence why that is not possible. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm.h"
#include "layout.h"

const struct kvm_cap_info kvm_cap_info[KVM_CAPS] = {
#define CAP(name, need, purpose, cost) {"KVM_CAP_" #name, KVM_CAP_##name, need, purpose, cost},
#include "kvm_caps.def"
#undef CAP
};

static int cannot_open(const char *path, int error, struct err *e)
{
	switch (error) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return err_set(e, -error,
			"%s is not there: load kvm_intel or kvm_amd (in a virtual machine: switch on "
			"nested virtualisation in its host)",
			path);
	case EACCES:
	case EPERM:
		return err_set(e, -error,
			"%s may not be opened: join the group that owns it (usually kvm) or use "
			"root",
			path);
	default:
		return err_set(e, -error, "%s cannot be opened (%s): run `exitwalk doctor`", path,
			strerror(error));
	}
}

int kvm_open(struct kvm *k, const char *path, struct err *e)
{
	int rc;

	*k = (struct kvm){.fd = -1, .vm_fd = -1};
	k->fd = open(path, O_RDWR | O_CLOEXEC);
	if (k->fd < 0)
		return cannot_open(path, errno, e);
	k->api_version = ioctl(k->fd, KVM_GET_API_VERSION, 0);
	if (k->api_version != KVM_API_VERSION) {
		rc = k->api_version < 0
			     ? err_set(e, -ENOTTY, "%s is not a KVM device: give it by --kvm", path)
			     : err_set(e, -ENOTSUP,
				       "%s speaks KVM API version %d, not %d: use a kernel since "
				       "2.6.22",
				       path, k->api_version, KVM_API_VERSION);
		kvm_close(k);
		return rc;
	}
	for (int i = 0; i < KVM_CAPS; i++) {
		int value = ioctl(k->fd, KVM_CHECK_EXTENSION, kvm_cap_info[i].number);

		k->cap[i] = value > 0 ? value : 0;
	}
	rc = ioctl(k->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (rc < (int)sizeof(struct kvm_run)) {
		kvm_close(k);
		return err_set(e, -ENOTSUP,
			"KVM's vCPU area is smaller than this program's headers say: use a newer "
			"kernel");
	}
	k->run_size = (size_t)rc;
	return 0;
}

int kvm_check_needed(const struct kvm *k, struct err *e)
{
	for (int i = 0; i < KVM_CAPS; i++)
		if (kvm_cap_info[i].needed && !k->cap[i])
			return err_set(e, -ENOTSUP,
				"this KVM lacks %s (%s): use another kernel or KVM backend",
				kvm_cap_info[i].name, kvm_cap_info[i].purpose);
	return 0;
}

static int failed(const char *what, struct err *e)
{
	int error = errno;

	return err_set(e, -error, "%s failed (%s): run `exitwalk doctor` to see what works here",
		what, strerror(error));
}

int kvm_create_vm(struct kvm *k, struct err *e)
{
	uint64_t identity_map = LAYOUT_KVM_IDENTITY_MAP;

	do
		k->vm_fd = ioctl(k->fd, KVM_CREATE_VM, 0);
	while (k->vm_fd < 0 && errno == EINTR); /* a signal while KVM allocates; nothing was made */
	if (k->vm_fd < 0)
		return failed("KVM_CREATE_VM", e);
	if (k->cap[KVM_HAS_SET_IDENTITY_MAP_ADDR] &&
		ioctl(k->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0)
		return failed("KVM_SET_IDENTITY_MAP_ADDR", e);
	if (ioctl(k->vm_fd, KVM_SET_TSS_ADDR, LAYOUT_KVM_TSS) < 0)
		return failed("KVM_SET_TSS_ADDR", e);
	return 0;
}

int kvm_create_irqchip(struct kvm *k, struct err *e)
{
	/* Without the dummy speaker port a Linux guest polls port 0x61 for ever. */
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

	if (ioctl(k->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return failed("KVM_CREATE_IRQCHIP", e);
	if (ioctl(k->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return failed("KVM_CREATE_PIT2", e);
	return 0;
}

int kvm_add_ram(struct kvm *k, const struct guest_mem *m, struct err *e)
{
	struct kvm_userspace_memory_region region = {
		.slot = 0,
		.guest_phys_addr = 0,
		.memory_size = m->size,
		.userspace_addr = (uint64_t)(uintptr_t)m->host,
	};

	if (ioctl(k->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return failed("KVM_SET_USER_MEMORY_REGION", e);
	return 0;
}

void kvm_close(struct kvm *k)
{
	if (k->vm_fd >= 0)
		close(k->vm_fd);
	if (k->fd >= 0)
		close(k->fd);
	k->vm_fd = k->fd = -1;
}
