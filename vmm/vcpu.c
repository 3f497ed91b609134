// SPDX-License-Identifier: MIT
/* Creates a vCPU and gives it the state in which a 64-bit kernel expects to be entered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot.h"
#include "layout.h"
#include "vcpu.h"

/* SDM vol. 3A 2.5, 2.2.1 */
#define CR0_PE (1u << 0)
#define CR0_ET (1u << 4)
#define CR0_NE (1u << 5)
#define CR0_PG (1u << 31)
#define CR4_PAE (1u << 5)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define MSR_IA32_MISC_ENABLE 0x1a0
#define MISC_ENABLE_FAST_STRING 1

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

/* What this machine does not have must not be announced. */
static void patch_cpuid(struct kvm_cpuid2 *c, unsigned apic_id)
{
	for (unsigned i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *f = &c->entries[i];

		switch (f->function) {
		case 1:
			f->ebx = (f->ebx & 0x00ffffff) | apic_id << 24;
			f->ecx |= 1u << 31; /* running under a hypervisor */
			break;
		case 6:
			f->ecx &= ~(1u << 3); /* no IA32_ENERGY_PERF_BIAS MSR */
			break;
		case 0xa:
			f->eax = f->ebx = f->ecx = f->edx = 0; /* no performance counters */
			break;
		case 0xb:
		case 0x1f:
			f->edx = apic_id; /* the x2APIC id, or Linux complains of a mismatch */
			break;
		default:
			break;
		}
	}
}

static int set_cpuid(struct vcpu *v, struct err *e)
{
	struct kvm_cpuid2 *c = NULL;
	int rc = -1;

	/* E2BIG: KVM has more entries than there is room for. */
	for (unsigned room = 128; room <= 4096; room *= 2) {
		free(c);
		c = calloc(1, sizeof(*c) + room * sizeof(c->entries[0]));
		if (!c)
			return err_set(e, -ENOMEM, "out of memory for CPUID: free some");
		c->nent = room;
		rc = ioctl(v->kvm->fd, KVM_GET_SUPPORTED_CPUID, c);
		if (rc == 0 || errno != E2BIG)
			break;
	}
	if (rc)
		rc = failed("KVM_GET_SUPPORTED_CPUID", e);
	if (rc == 0) {
		patch_cpuid(c, v->id);
		if (ioctl(v->fd, KVM_SET_CPUID2, c))
			rc = failed("KVM_SET_CPUID2", e);
	}
	free(c);
	return rc;
}

int vcpu_set_msr(struct vcpu *v, uint32_t index, uint64_t value, struct err *e)
{
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + sizeof(msrs->entries[0]));
	int done;

	if (!msrs)
		return err_set(e, -ENOMEM, "out of memory for an MSR: free some");
	msrs->nmsrs = 1;
	msrs->entries[0] = (struct kvm_msr_entry){.index = index, .data = value};
	done = ioctl(v->fd, KVM_SET_MSRS, msrs);
	free(msrs);
	return done == 1 ? 0
			 : err_set(e, -EIO, "KVM refuses to set MSR 0x%x: see `exitwalk doctor`",
				   index);
}

/* The values after FNINIT and after reset (SDM vol. 1 8.1.5, 10.2.3.1). */
static int set_fpu(struct vcpu *v, struct err *e)
{
	struct kvm_fpu fpu = {.fcw = 0x37f, .mxcsr = 0x1f80};

	return ioctl(v->fd, KVM_SET_FPU, &fpu) ? failed("KVM_SET_FPU", e) : 0;
}

/*
 * "Virtual wire" (MultiProcessor Specification 1.4, 3.6.2.2): the 8259's interrupts come through
 * LINT0, NMIs through LINT1. A kernel without ACPI or MP tables keeps what it finds here.
 */
static int set_lint(struct vcpu *v, struct err *e)
{
	enum { LVT0 = 0x350, LVT1 = 0x360, MODE_NMI = 4 << 8, MODE_EXTINT = 7 << 8 };
	struct kvm_lapic_state lapic;
	uint32_t lvt0 = MODE_EXTINT, lvt1 = MODE_NMI;

	if (ioctl(v->fd, KVM_GET_LAPIC, &lapic))
		return failed("KVM_GET_LAPIC", e);
	memcpy(lapic.regs + LVT0, &lvt0, sizeof(lvt0));
	memcpy(lapic.regs + LVT1, &lvt1, sizeof(lvt1));
	return ioctl(v->fd, KVM_SET_LAPIC, &lapic) ? failed("KVM_SET_LAPIC", e) : 0;
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

static int set_registers(struct vcpu *v, uint64_t entry, struct err *e)
{
	struct kvm_regs regs = {
		.rip = entry,
		.rsi = LAYOUT_ZERO_PAGE,
		.rsp = LAYOUT_STACK_TOP,
		.rflags = 2, /* bit 1 is always set; interrupts off */
	};
	struct kvm_sregs sregs;

	if (ioctl(v->fd, KVM_GET_SREGS, &sregs))
		return failed("KVM_GET_SREGS", e);
	vcpu_long_mode(&sregs, LAYOUT_PML4, LAYOUT_GDT);
	if (ioctl(v->fd, KVM_SET_SREGS, &sregs))
		return failed("KVM_SET_SREGS", e);
	if (ioctl(v->fd, KVM_SET_REGS, &regs))
		return failed("KVM_SET_REGS", e);
	return 0;
}

int vcpu_reset(struct vcpu *v, unsigned cpus, uint64_t entry, struct err *e)
{
	int rc = set_cpuid(v, e);

	(void)cpus;
	if (rc == 0)
		/*
		 * Without FAST_STRING KVM clears ERMS but leaves FSRM in CPUID, and Linux picks a
		 * memmove that needs both.
		 */
		rc = vcpu_set_msr(v, MSR_IA32_MISC_ENABLE, MISC_ENABLE_FAST_STRING, e);
	if (rc || v->id != 0)
		return rc;
	rc = set_fpu(v, e);
	if (rc == 0)
		rc = set_lint(v, e);
	if (rc == 0)
		rc = set_registers(v, entry, e);
	return rc;
}
