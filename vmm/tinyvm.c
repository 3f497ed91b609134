// SPDX-License-Identifier: MIT
/* A VM just large enough to ask the processor one question. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "boot.h"
#include "kick.h"
#include "tinyvm.h"

enum { PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, GDT = 0x4000, SIZE = 2 << 20 };

static void build_tables(struct tinyvm *t)
{
	enum { PRESENT_WRITABLE_USER = 7, LARGE = 0x80 };
	uint64_t pml4 = PDPT | PRESENT_WRITABLE_USER, pdpt = PD | PRESENT_WRITABLE_USER;
	uint64_t pd = PRESENT_WRITABLE_USER | LARGE;
	/* boot_gdt up to kernel data, then what SYSRET and ring 3 need. */
	uint64_t gdt[8] = {
		[TINYVM_KERNEL_CS / 8] = boot_gdt[BOOT_CS / 8],
		[BOOT_DS / 8] = boot_gdt[BOOT_DS / 8],
		[TINYVM_USER_DS / 8] = boot_gdt[BOOT_DS / 8] | 3ull << 45,
		[TINYVM_USER_CS / 8] = boot_gdt[BOOT_CS / 8] | 3ull << 45,
	};

	memcpy(t->mem.host + PML4, &pml4, sizeof(pml4));
	memcpy(t->mem.host + PDPT, &pdpt, sizeof(pdpt));
	memcpy(t->mem.host + PD, &pd, sizeof(pd));
	memcpy(t->mem.host + GDT, gdt, sizeof(gdt));
}

static int set_state(struct tinyvm *t, struct err *e)
{
	struct kvm_regs regs = {.rip = TINYVM_CODE, .rsp = TINYVM_STACK, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(t->vcpu.fd, KVM_GET_SREGS, &sregs))
		return err_set(e, -errno, "KVM_GET_SREGS failed: %s", strerror(errno));
	vcpu_long_mode(&sregs, PML4, GDT);
	sregs.gdt.limit = 8 * 8 - 1;
	if (ioctl(t->vcpu.fd, KVM_SET_SREGS, &sregs) || ioctl(t->vcpu.fd, KVM_SET_REGS, &regs))
		return err_set(
			e, -errno, "a test VM's registers cannot be set: %s", strerror(errno));
	return 0;
}

int tinyvm_create(struct tinyvm *t, const char *kvm_device, struct err *e)
{
	int rc;

	*t = (struct tinyvm){.vcpu.fd = -1};
	rc = kvm_open(&t->kvm, kvm_device, e);
	if (rc)
		return rc;
	rc = mem_alloc(&t->mem, SIZE, e);
	if (rc == 0)
		rc = kvm_create_vm(&t->kvm, e);
	if (rc == 0)
		rc = kvm_add_ram(&t->kvm, &t->mem, e);
	if (rc == 0)
		rc = vcpu_create(&t->vcpu, &t->kvm, 0, e);
	if (rc == 0) {
		build_tables(t);
		rc = set_state(t, e);
	}
	if (rc)
		tinyvm_destroy(t);
	return rc;
}

void tinyvm_destroy(struct tinyvm *t)
{
	vcpu_destroy(&t->vcpu);
	kvm_close(&t->kvm);
	if (t->mem.host)
		mem_free(&t->mem);
	t->mem.host = NULL;
}

void tinyvm_code(struct tinyvm *t, uint64_t gpa, const char *bytes, size_t len)
{
	memcpy(t->mem.host + gpa, bytes, len);
}

int tinyvm_run(struct tinyvm *t, unsigned ms, struct err *e)
{
	uint64_t end = probe_now() + ms * 1000000ull;
	timer_t timer;
	int rc = kick_init(e);

	if (rc == 0)
		rc = kick_timer_start(&timer, ms, e);
	if (rc)
		return rc;
	do {
		rc = ioctl(t->vcpu.fd, KVM_RUN, 0) < 0 ? -errno : (int)t->vcpu.run->exit_reason;
	} while ((rc == -EINTR || rc == -EAGAIN) && probe_now() < end);
	kick_timer_stop(timer);
	return rc == -EINTR || rc == -EAGAIN ? -ETIME : rc;
}
