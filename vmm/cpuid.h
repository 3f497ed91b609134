/* SPDX-License-Identifier: MIT */
/*
 * What a processor of this machine says of itself (CPUID): what KVM supports, less what the machine does not
 * have, with the topology of one package of `cpus` cores. Needs no KVM.
 */
#ifndef EXITWALK_VMM_CPUID_H
#define EXITWALK_VMM_CPUID_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cpu_model { CPU_HOST, CPU_CONSERVATIVE };

struct cpuid_config {
	enum cpu_model model;
	unsigned cpus;     /* of the machine */
	unsigned apic_id;  /* of this one, below cpus */
	bool tsc_deadline; /* KVM's LAPIC has the mode (KVM_CAP_TSC_DEADLINE_TIMER) */
};

/* The entries that cpuid_shape may add. */
#define CPUID_MORE 8

/*
 * Changes c, what KVM_GET_SUPPORTED_CPUID gave, into what KVM_SET_CPUID2 is to have for one processor. There
 * must be room for CPUID_MORE further entries.
 */
void cpuid_shape(struct kvm_cpuid2 *c, const struct cpuid_config *config);

/* The first entry of this function and index, or NULL. */
struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *c, uint32_t function, uint32_t index);

/* Is VMX announced? */
bool cpuid_has_vmx(struct kvm_cpuid2 *c);

/* "host", "conservative" */
const char *cpu_model_name(enum cpu_model model);
bool cpu_model_parse(const char *name, enum cpu_model *model);

/* What the model leaves out, for people: "CX16, POPCNT, SMAP; XSAVE and …" */
void cpu_model_without(enum cpu_model model, char *text, size_t size);

#endif
