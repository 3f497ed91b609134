// SPDX-License-Identifier: MIT
/* CPUID of a guest's processor, made from what a KVM of either vendor offers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "vmm/cpuid.h"

#define ROOM 64

static struct kvm_cpuid2 *new_cpuid(const struct kvm_cpuid_entry2 *entries, unsigned n)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + ROOM * sizeof(c->entries[0]));

	assert_non_null(c);
	assert_true(n + CPUID_MORE <= ROOM);
	memcpy(c->entries, entries, n * sizeof(entries[0]));
	c->nent = n;
	return c;
}

/* All feature bits set, and the topology of some other machine, on which KVM ran. */
static struct kvm_cpuid2 *intel(void)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{.function = 0,
			.eax = 0x1f,
			.ebx = 0x756e6547,
			.ecx = 0x6c65746e,
			.edx = 0x49656e69},
		{.function = 1, .ebx = 0x05100800, .ecx = 0x7fffffff, .edx = ~0u},
		{.function = 4, .index = 0, .eax = 0x1c004121, .ebx = 1, .ecx = 63},
		{.function = 4, .index = 1, .eax = 0x1c03c163, .ebx = 2, .ecx = 4095},
		{.function = 4, .index = 2, .eax = 0},
		{.function = 6, .eax = 4, .ecx = 9},
		{.function = 7, .index = 0, .eax = 1, .ebx = ~0u, .ecx = ~0u, .edx = ~0u},
		{.function = 7, .index = 1, .eax = ~0u, .edx = ~0u},
		{.function = 0xa, .eax = 0x07300402},
		{.function = 0xb, .index = 0, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 5},
		{.function = 0xb, .index = 1, .eax = 4, .ebx = 16, .ecx = 0x201, .edx = 5},
		{.function = 0xd, .index = 0, .eax = 7},
		{.function = 0xd, .index = 1, .eax = 15},
		{.function = 0x1f, .index = 0, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 5},
		{.function = 0x40000000, .eax = 0x40000001},
		{.function = 0x80000001, .ecx = 0x121, .edx = 0x2c100800},
		{.function = 0x80000008, .eax = 0x3027},
	};

	return new_cpuid(e, sizeof(e) / sizeof(e[0]));
}

static struct kvm_cpuid2 *amd(void)
{
	static const struct kvm_cpuid_entry2 e[] = {
		{.function = 0,
			.eax = 0xd,
			.ebx = 0x68747541,
			.ecx = 0x444d4163,
			.edx = 0x69746e65},
		{.function = 1, .ebx = 0x05100800, .ecx = 0x7fffffff, .edx = ~0u},
		{.function = 0xb, .index = 0, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 5},
		{.function = 0x80000001, .ecx = ~0u, .edx = ~0u},
		{.function = 0x80000008, .eax = 0x3030, .ecx = 0x400f},
		{.function = 0x8000000a, .eax = 1},
		{.function = 0x8000001d, .index = 3, .eax = 0x3c163},
		{.function = 0x8000001e, .eax = 5, .ebx = 0x102, .ecx = 0x100},
		{.function = 0x80000026, .eax = 1, .ebx = 2},
	};

	return new_cpuid(e, sizeof(e) / sizeof(e[0]));
}

static void shape(struct kvm_cpuid2 *c, enum cpu_model model, unsigned apic_id, unsigned cpus)
{
	cpuid_shape(c, &(struct cpuid_config){model, cpus, apic_id, true});
	assert_true(c->nent <= ROOM);
}

static const struct kvm_cpuid_entry2 *get(struct kvm_cpuid2 *c, uint32_t function, uint32_t index)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, function, index);

	if (!e)
		fail_msg("no leaf 0x%x.%u", function, index);
	return e;
}

static void assert_leaf(struct kvm_cpuid2 *c, uint32_t function, uint32_t index, uint32_t eax,
	uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	const struct kvm_cpuid_entry2 *e = get(c, function, index);

	assert_int_equal(e->eax, eax);
	assert_int_equal(e->ebx, ebx);
	assert_int_equal(e->ecx, ecx);
	assert_int_equal(e->edx, edx);
}

/* Processor 2 of 3: ids have 2 bits. */
static void test_topology(void **state)
{
	struct kvm_cpuid2 *c = intel();

	(void)state;
	shape(c, CPU_HOST, 2, 3);
	assert_int_equal(get(c, 1, 0)->ebx, 0x02040800);
	assert_int_equal(get(c, 1, 0)->edx >> 28 & 1, 1);
	for (uint32_t f = 0xb; f <= 0x1f; f += 0x14) {
		assert_leaf(c, f, 0, 0, 1, 0x100, 2);
		assert_leaf(c, f, 1, 2, 3, 0x201, 2);
		assert_leaf(c, f, 2, 0, 0, 2, 2);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(get(c, f, i)->flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	}
	/* L1 is one core's, L3 is everyone's; four ids of cores. */
	assert_int_equal(get(c, 4, 0)->eax, 0x0c000121);
	assert_int_equal(get(c, 4, 1)->eax, 0x0c00c163);
	assert_int_equal(get(c, 4, 2)->eax, 0);
	/* Not Intel's. */
	assert_int_equal(get(c, 0x80000001, 0)->ecx, 0x121);
	assert_int_equal(get(c, 0x80000008, 0)->ecx, 0);
	free(c);
}

static void test_one_processor(void **state)
{
	struct kvm_cpuid2 *c = intel();

	(void)state;
	shape(c, CPU_HOST, 0, 1);
	assert_int_equal(get(c, 1, 0)->ebx, 0x00010800);
	assert_int_equal(get(c, 1, 0)->edx >> 28 & 1, 0);
	assert_leaf(c, 0xb, 1, 0, 1, 0x201, 0);
	assert_int_equal(get(c, 4, 1)->eax, 0x163);
	free(c);
}

static void test_most_processors(void **state)
{
	struct kvm_cpuid2 *c = intel();

	(void)state;
	shape(c, CPU_HOST, 253, 254);
	assert_int_equal(get(c, 1, 0)->ebx, 0xfdff0800);
	assert_leaf(c, 0xb, 1, 8, 254, 0x201, 253);
	assert_int_equal(get(c, 4, 1)->eax, 0xfc3fc163);
	free(c);
}

static void test_amd_topology(void **state)
{
	struct kvm_cpuid2 *c = amd();

	(void)state;
	shape(c, CPU_HOST, 1, 2);
	assert_int_equal(get(c, 0x80000001, 0)->ecx >> 1 & 1, 1);
	assert_int_equal(get(c, 0x80000001, 0)->ecx >> 22 & 1, 1);
	assert_int_equal(get(c, 0x80000008, 0)->ecx, 0x1001);
	assert_int_equal(get(c, 0x8000001d, 3)->eax, 0x4163);
	assert_leaf(c, 0x8000001e, 0, 1, 1, 0, 0);
	assert_leaf(c, 0xb, 1, 1, 2, 0x201, 1);
	assert_null(cpuid_find(c, 0x1f, 0)); /* beyond the highest leaf */
	assert_null(cpuid_find(c, 0x80000026, 0));
	free(c);
	c = amd();
	shape(c, CPU_HOST, 0, 1);
	assert_int_equal(get(c, 0x80000001, 0)->ecx >> 1 & 1, 0);
	assert_int_equal(get(c, 0x80000008, 0)->ecx, 0);
	free(c);
}

/* TOPOEXT without the leaf that it stands for would give all processors APIC id 0. */
static void test_no_topoext(void **state)
{
	struct kvm_cpuid2 *c = amd();

	(void)state;
	cpuid_find(c, 0x8000001e, 0)->function = 0x8000001f;
	shape(c, CPU_HOST, 1, 2);
	assert_int_equal(get(c, 0x80000001, 0)->ecx >> 22 & 1, 0);
	free(c);
}

/* What host leaves out, and that it leaves out nothing else. */
static void test_host(void **state)
{
	struct kvm_cpuid2 *c = intel();

	(void)state;
	shape(c, CPU_HOST, 0, 2);
	/* DTES64, MONITOR, DS_CPL, PDCM */
	assert_int_equal(get(c, 1, 0)->ecx, ~0x0000801cu);
	assert_int_equal(get(c, 1, 0)->edx, ~(1u << 21));
	assert_int_equal(get(c, 6, 0)->ecx, 1);
	assert_null(cpuid_find(c, 0xa, 0));
	assert_int_equal(get(c, 7, 0)->ebx, ~0u);
	assert_int_equal(get(c, 7, 0)->ecx, ~(1u << 16));
	assert_int_equal(get(c, 7, 1)->eax, ~0u);
	assert_non_null(cpuid_find(c, 0xd, 1));
	assert_non_null(cpuid_find(c, 0x40000000, 0));
	assert_true(cpuid_has_vmx(c));
	free(c);
}

static void test_conservative(void **state)
{
	static const struct {
		uint32_t function, index;
		unsigned reg, bit;
	} gone[] = {
		{1, 0, 2, 13}, /* CX16 */
		{1, 0, 2, 23}, /* POPCNT */
		{1, 0, 2, 26}, /* XSAVE */
		{1, 0, 2, 28}, /* AVX */
		{1, 0, 2, 17}, /* PCID */
		{1, 0, 2, 24}, /* TSC deadline */
		{7, 0, 1, 20}, /* SMAP */
		{7, 0, 1, 11}, /* RTM */
		{7, 0, 1, 10}, /* INVPCID */
		{7, 0, 1, 16}, /* AVX512F */
		{7, 0, 2, 3},  /* PKU */
		{7, 0, 2, 5},  /* WAITPKG */
		{7, 0, 3, 24}, /* AMX_TILE */
	};
	struct kvm_cpuid2 *c = intel();

	(void)state;
	shape(c, CPU_CONSERVATIVE, 0, 2);
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		const struct kvm_cpuid_entry2 *e = get(c, gone[i].function, gone[i].index);
		const uint32_t reg[] = {e->eax, e->ebx, e->ecx, e->edx};

		if (reg[gone[i].reg] >> gone[i].bit & 1)
			fail_msg("leaf 0x%x register %u still has bit %u", gone[i].function,
				gone[i].reg, gone[i].bit);
	}
	assert_null(cpuid_find(c, 0xd, 0));
	assert_null(cpuid_find(c, 0xd, 1));
	assert_false(cpuid_has_vmx(c));
	/* What every kernel needs is there: SSE2, APIC, x2APIC, the hypervisor bit, SYSCALL, NX. */
	assert_int_equal(get(c, 1, 0)->edx & (1u << 26 | 1u << 9), 1u << 26 | 1u << 9);
	assert_int_equal(get(c, 1, 0)->ecx & (1u << 21 | 1u << 31), 1u << 21 | 1u << 31);
	assert_int_equal(get(c, 0x80000001, 0)->edx, 0x2c100800);
	free(c);
	c = amd();
	shape(c, CPU_CONSERVATIVE, 0, 2);
	assert_int_equal(get(c, 0x80000001, 0)->ecx >> 2 & 1, 0); /* SVM */
	assert_null(cpuid_find(c, 0x8000000a, 0));
	free(c);
}

/* KVM never offers the deadline mode; whether it has it is asked apart. */
static void test_deadline(void **state)
{
	struct kvm_cpuid2 *c = intel();

	(void)state;
	cpuid_shape(c, &(struct cpuid_config){.cpus = 1, .tsc_deadline = false});
	assert_int_equal(get(c, 1, 0)->ecx >> 24 & 1, 0);
	cpuid_shape(c, &(struct cpuid_config){.cpus = 1, .tsc_deadline = true});
	assert_int_equal(get(c, 1, 0)->ecx >> 24 & 1, 1);
	free(c);
}

static void test_names(void **state)
{
	enum cpu_model model = CPU_HOST;
	char text[512], small[8];

	(void)state;
	assert_true(cpu_model_parse("conservative", &model));
	assert_int_equal(model, CPU_CONSERVATIVE);
	assert_false(cpu_model_parse("Host", &model));
	assert_string_equal(cpu_model_name(CPU_HOST), "host");
	cpu_model_without(CPU_HOST, text, sizeof(text));
	assert_non_null(strstr(text, "LA57"));
	assert_null(strstr(text, "SMAP"));
	cpu_model_without(CPU_CONSERVATIVE, text, sizeof(text));
	assert_non_null(strstr(text, "LA57"));
	assert_non_null(strstr(text, "SMAP"));
	assert_true(strlen(text) < sizeof(text) - 1);
	cpu_model_without(CPU_CONSERVATIVE, small, sizeof(small));
	assert_true(strlen(small) < sizeof(small));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topology),
		cmocka_unit_test(test_one_processor),
		cmocka_unit_test(test_most_processors),
		cmocka_unit_test(test_amd_topology),
		cmocka_unit_test(test_no_topoext),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_conservative),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
