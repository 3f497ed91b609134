// SPDX-License-Identifier: MIT
/* The state in which firmware would leave a processor, and in which a 64-bit kernel expects to be entered. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "layout.h"
#include "vcpu.h"

static int failed(const char *what, struct err *e)
{
	int error = errno;

	return err_set(e, -error, "%s failed (%s): run `exitwalk doctor` to see what works here",
		what, strerror(error));
}

static int set_cpuid(struct vcpu *v, const struct cpuid_config *cpu, bool *has_vmx, struct err *e)
{
	struct kvm_cpuid2 *c = NULL;
	int rc = -1;

	/* E2BIG: KVM has more entries than there is room for. */
	for (unsigned room = 128; room <= 4096; room *= 2) {
		free(c);
		c = calloc(1, sizeof(*c) + (room + CPUID_MORE) * sizeof(c->entries[0]));
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
		cpuid_shape(c, cpu);
		*has_vmx = cpuid_has_vmx(c);
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

/* SDM vol. 4, 2.1. An MSR whose feature CPUID does not announce is not there. */
#define MSR_IA32_FEATURE_CONTROL 0x3a
#define FEATURE_LOCKED 1
#define FEATURE_VMX_OUTSIDE_SMX 4
#define MSR_IA32_MISC_ENABLE 0x1a0
#define MISC_ENABLE_FAST_STRING 1
#define MISC_ENABLE_BTS_UNAVAILABLE (1 << 11)
#define MISC_ENABLE_PEBS_UNAVAILABLE (1 << 12)
#define MSR_IA32_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLED (1 << 11)
#define MTRR_WRITE_BACK 6

/*
 * The same on every processor. PAT, XCR0, the TSC and the local APIC are right as KVM resets them: PAT as the SDM
 * says, x87 alone in XCR0, all TSCs with the same offset, LINT pins masked.
 */
static int set_msrs(struct vcpu *v, bool has_vmx, struct err *e)
{
	const struct {
		bool there;
		uint32_t index;
		uint64_t value;
	} msr[] = {
		/* Firmware switches VMX on and locks the register; else Linux says it is off. */
		{has_vmx, MSR_IA32_FEATURE_CONTROL, FEATURE_LOCKED | FEATURE_VMX_OUTSIDE_SMX},
		/*
		 * Without FAST_STRING KVM clears ERMS but leaves FSRM in CPUID, and Linux picks a
		 * memmove that needs both. The other two are set because there is no PMU.
		 */
		{true, MSR_IA32_MISC_ENABLE,
			MISC_ENABLE_FAST_STRING | MISC_ENABLE_BTS_UNAVAILABLE |
				MISC_ENABLE_PEBS_UNAVAILABLE},
		/* All memory write-back, devices too: KVM makes their mapping uncacheable by itself.
		 * Disabled MTRRs would make Linux give up PAT. */
		{true, MSR_IA32_MTRR_DEF_TYPE, MTRR_ENABLED | MTRR_WRITE_BACK},
	};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < sizeof(msr) / sizeof(msr[0]); i++)
		if (msr[i].there)
			rc = vcpu_set_msr(v, msr[i].index, msr[i].value, e);
	return rc;
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

int vcpu_reset(struct vcpu *v, const struct cpuid_config *cpu, uint64_t entry, struct err *e)
{
	bool has_vmx = false;
	int rc = set_cpuid(v, cpu, &has_vmx, e);

	if (rc == 0)
		rc = set_msrs(v, has_vmx, e);
	if (rc || v->id != 0)
		return rc;
	rc = set_fpu(v, e);
	if (rc == 0)
		rc = set_lint(v, e);
	if (rc == 0)
		rc = set_registers(v, entry, e);
	return rc;
}
