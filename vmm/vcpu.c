// SPDX-License-Identifier: MIT
/* Creates a vCPU, and says what long mode looks like in its registers. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot.h"
#include "vcpu.h"

/* SDM vol. 3A 2.5, 2.2.1 */
#define CR0_PE (1u << 0)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

static int failed(const char *what, struct err *e)
{
	int error = errno;

	return err_set(e, -error, "%s failed (%s): run `exitwalk doctor` to see what works here",
		what, strerror(error));
}

int vcpu_create(struct vcpu *v, const struct kvm *k, unsigned id, struct err *e)
{
	int rc;

	*v = (struct vcpu){
		.fd = -1, .id = id, .kvm = k, .cr3_exit = UINT64_MAX, .regs_exit = UINT64_MAX};
	v->fd = ioctl(k->vm_fd, KVM_CREATE_VCPU, id);
	if (v->fd < 0)
		return failed("KVM_CREATE_VCPU", e);
	v->run = mmap(NULL, k->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED) {
		rc = failed("mmap of the vCPU", e);
		close(v->fd);
		v->fd = -1;
		v->run = NULL;
		return rc;
	}
	v->sync_regs = (unsigned)k->cap[KVM_HAS_SYNC_REGS] &
		       (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS);
	return 0;
}

void vcpu_destroy(struct vcpu *v)
{
	if (v->fd < 0)
		return;
	munmap(v->run, v->kvm->run_size);
	close(v->fd);
	v->fd = -1;
}

struct kvm_segment vcpu_segment(uint64_t d, uint16_t selector)
{
	uint32_t limit = (uint32_t)((d & 0xffff) | (d >> 32 & 0xf0000));
	bool g = d >> 55 & 1;

	return (struct kvm_segment){
		.base = (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000),
		.limit = g ? limit << 12 | 0xfff : limit,
		.selector = selector,
		.type = d >> 40 & 15,
		.s = d >> 44 & 1,
		.dpl = d >> 45 & 3,
		.present = d >> 47 & 1,
		.avl = d >> 52 & 1,
		.l = d >> 53 & 1,
		.db = d >> 54 & 1,
		.g = g,
	};
}

void vcpu_long_mode(struct kvm_sregs *s, uint64_t pml4, uint64_t gdt)
{
	s->cs = vcpu_segment(boot_gdt[BOOT_CS / 8], BOOT_CS);
	s->ds = s->es = s->fs = s->gs = s->ss = vcpu_segment(boot_gdt[BOOT_DS / 8], BOOT_DS);
	s->tr = vcpu_segment(boot_gdt[BOOT_TR / 8], BOOT_TR);
	s->gdt = (struct kvm_dtable){.base = gdt, .limit = sizeof(boot_gdt) - 1};
	s->idt = (struct kvm_dtable){.base = 0, .limit = 0};
	s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	s->cr3 = pml4;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA; /* LMA is not derived: KVM checks that they agree */
}
