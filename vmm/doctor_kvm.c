// SPDX-License-Identifier: MIT
/* Doctor: /dev/kvm, its capabilities, and what only a test guest can tell. */
#include "backend.h"
#include "doctor.h"
#include "kvm.h"

#define KVM "KVM"
#define GUEST "tried with a test guest"

static void capabilities(struct doctor *d, const struct kvm *k)
{
	for (int i = 0; i < KVM_CAPS; i++) {
		const struct kvm_cap_info *c = &kvm_cap_info[i];
		enum doctor_status missing = c->needed ? DOCTOR_FATAL : DOCTOR_MISSING;

		doctor_add(d, KVM, c->name, k->cap[i] ? DOCTOR_OK : missing, c->cost,
			"use a newer kernel, or another KVM backend", "%s%s",
			k->cap[i] ? "" : "not there: ", c->purpose);
	}
}

static void open_device(struct doctor *d, const char *kvm_device)
{
	struct err e = {""};
	struct kvm k;

	if (kvm_open(&k, kvm_device, &e)) {
		doctor_add(d, KVM, kvm_device, DOCTOR_FATAL,
			"no guest can run, nothing be recorded",
			"the line above says what to do; recordings can still be viewed", "%s",
			e.msg);
		return;
	}
	doctor_add(d, KVM, kvm_device, DOCTOR_OK, NULL, NULL, "can be opened");
	doctor_add(d, KVM, "API version", DOCTOR_OK, NULL, NULL, "%d", k.api_version);
	capabilities(d, &k);
	if (kvm_create_vm(&k, &e) == 0)
		doctor_add(d, KVM, "virtual machine", DOCTOR_OK, NULL, NULL, "can be created");
	else
		doctor_add(d, KVM, "virtual machine", DOCTOR_FATAL,
			"no guest can run, nothing be recorded",
			"see the kernel's log (dmesg); is another hypervisor using the CPU?", "%s",
			e.msg);
	kvm_close(&k);
}

/* How the sample guest copes, or what else is to be done without it. */
static const struct {
	const char *name;
	enum backend_answer (*ask)(const char *kvm_device, char *detail, size_t size);
	const char *cost, *advice;
} questions[] = {
	{"SYSCALL from ring 3", backend_syscall,
		"the sample guest's process enters its kernel by int 0x80 instead",
		"nothing: `exitwalk run` tells the guest so by itself"},
	{"single-step", backend_single_step, "no traces of single guest instructions",
		"use kvm_intel or kvm_amd for those"},
	{"hardware breakpoints", backend_hw_breakpoint,
		"guest functions cannot be watched by address", "use kvm_intel for those"},
	{"int3 breakpoints", backend_int3, "guest code cannot be watched by patching in int3",
		"use hardware breakpoints or single-step"},
};

void doctor_kvm(struct doctor *d, const char *kvm_device)
{
	char text[256];
	bool opened;

	open_device(d, kvm_device);
	opened = doctor_can_record(d);
	backend_name(text, sizeof(text));
	doctor_add(d, KVM, "backend", DOCTOR_INFO, NULL, NULL, "%s", text);
	for (size_t i = 0; opened && i < sizeof(questions) / sizeof(questions[0]); i++) {
		enum backend_answer a = questions[i].ask(kvm_device, text, sizeof(text));

		doctor_add(d, GUEST, questions[i].name,
			a == BACKEND_YES ? DOCTOR_OK : DOCTOR_MISSING, questions[i].cost,
			questions[i].advice, "%s", text);
	}
}
