// SPDX-License-Identifier: MIT
/* Takes features away by cpu_features.def, and writes the topology into every leaf that tells it. */
#include <stdio.h>
#include <string.h>

#include "cpuid.h"

#define BIT(n) (1u << (n))

enum group {
#define CPU_WITHOUT(id, model, names, reason) WITHOUT_##id,
#include "cpu_features.def"
};

static const struct {
	enum cpu_model model; /* from this one on */
	const char *names;
} group[] = {
#define CPU_WITHOUT(id, model, names, reason) [WITHOUT_##id] = {CPU_##model, names},
#include "cpu_features.def"
};

enum reg { EAX, EBX, ECX, EDX };

static const struct {
	enum group group;
	uint32_t function, index;
	enum reg reg;
	uint32_t mask;
} bits[] = {
#define CPU_BITS(id, function, index, reg, mask) {WITHOUT_##id, function, index, reg, mask},
#include "cpu_features.def"
};

static const struct {
	enum group group;
	uint32_t function;
} leaf[] = {
#define CPU_LEAF(id, function) {WITHOUT_##id, function},
#include "cpu_features.def"
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const model_name[] = {
	[CPU_HOST] = "host",
	[CPU_CONSERVATIVE] = "conservative",
};

const char *cpu_model_name(enum cpu_model model)
{
	return model_name[model];
}

bool cpu_model_parse(const char *name, enum cpu_model *model)
{
	for (size_t i = 0; i < COUNT(model_name); i++)
		if (strcmp(name, model_name[i]) == 0) {
			*model = (enum cpu_model)i;
			return true;
		}
	return false;
}

void cpu_model_without(enum cpu_model model, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < COUNT(group) && used < size; i++)
		if (group[i].model <= model)
			used += (size_t)snprintf(
				text + used, size - used, "%s%s", used ? "; " : "", group[i].names);
}

struct kvm_cpuid_entry2 *cpuid_find(struct kvm_cpuid2 *c, uint32_t function, uint32_t index)
{
	for (unsigned i = 0; i < c->nent; i++)
		if (c->entries[i].function == function && c->entries[i].index == index)
			return &c->entries[i];
	return NULL;
}

bool cpuid_has_vmx(struct kvm_cpuid2 *c)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, 1, 0);

	return e && (e->ecx & BIT(5));
}

static uint32_t *field(struct kvm_cpuid_entry2 *e, enum reg reg)
{
	uint32_t *const r[] = {&e->eax, &e->ebx, &e->ecx, &e->edx};

	return r[reg];
}

/* What is not in the list answers zero (kvm_cpuid(), arch/x86/kvm/cpuid.c). */
static void drop(struct kvm_cpuid2 *c, uint32_t function)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < c->nent; i++)
		if (c->entries[i].function != function)
			c->entries[kept++] = c->entries[i];
	c->nent = kept;
}

static void take_away(struct kvm_cpuid2 *c, enum cpu_model model)
{
	for (size_t i = 0; i < COUNT(bits); i++) {
		struct kvm_cpuid_entry2 *e = cpuid_find(c, bits[i].function, bits[i].index);

		if (e && group[bits[i].group].model <= model)
			*field(e, bits[i].reg) &= ~bits[i].mask;
	}
	for (size_t i = 0; i < COUNT(leaf); i++)
		if (group[leaf[i].group].model <= model)
			drop(c, leaf[i].function);
}

/* How many bits of an APIC id tell `n` processors apart. */
static unsigned id_bits(unsigned n)
{
	unsigned b = 0;

	while (1u << b < n)
		b++;
	return b;
}

static bool is_amd(struct kvm_cpuid2 *c)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(c, 0, 0);

	/* "AuthenticAMD", "HygonGenuine" */
	return e && (e->ebx == 0x68747541 || e->ebx == 0x6f677948);
}

static void put_bits(uint32_t *word, unsigned low, unsigned width, uint32_t value)
{
	uint32_t mask = (BIT(width) - 1) << low;

	*word = (*word & ~mask) | (value << low & mask);
}

/* Leaf 1: the APIC id, and whether the package has more than one processor. */
static void shape_basic(struct kvm_cpuid2 *c, const struct cpuid_config *config)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(c, 1, 0);
	unsigned ids = 1u << id_bits(config->cpus);

	if (!e)
		return;
	put_bits(&e->ebx, 24, 8, config->apic_id);
	put_bits(&e->ebx, 16, 8, ids > 255 ? 255 : ids);
	put_bits(&e->edx, 28, 1, config->cpus > 1);     /* HTT */
	put_bits(&e->ecx, 31, 1, 1);                    /* under a hypervisor */
	put_bits(&e->ecx, 24, 1, config->tsc_deadline); /* KVM never offers it by itself */
}

/* Leaves 4 and 0x8000001d: who shares a cache. The last level is the package's, the others a core's. */
static void shape_caches(struct kvm_cpuid2 *c, const struct cpuid_config *config)
{
	uint32_t ids = BIT(id_bits(config->cpus)) - 1;

	for (unsigned i = 0; i < c->nent; i++) {
		struct kvm_cpuid_entry2 *e = &c->entries[i];
		unsigned level = e->eax >> 5 & 7;

		if ((e->function != 4 && e->function != 0x8000001d) || !(e->eax & 31))
			continue;
		put_bits(&e->eax, 14, 12, level >= 3 ? ids : 0);
		if (e->function == 4)
			put_bits(&e->eax, 26, 6, ids > 63 ? 63 : ids);
	}
}

/* Leaves 0xb and 0x1f: threads, cores, the end. KVM copies the host's. */
static void shape_extended(
	struct kvm_cpuid2 *c, uint32_t function, const struct cpuid_config *config)
{
	enum { SMT = 1, CORE = 2 };
	const struct {
		uint32_t shift, processors, type;
	} level[] = {{0, 1, SMT}, {id_bits(config->cpus), config->cpus, CORE}, {0, 0, 0}};
	const struct kvm_cpuid_entry2 *basic = cpuid_find(c, 0, 0);

	drop(c, function);
	if (!basic || basic->eax < function)
		return;
	for (uint32_t i = 0; i < COUNT(level); i++)
		c->entries[c->nent++] = (struct kvm_cpuid_entry2){
			.function = function,
			.index = i,
			.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			.eax = level[i].shift,
			.ebx = level[i].processors,
			.ecx = i | level[i].type << 8,
			.edx = config->apic_id, /* or Linux complains of a mismatch */
		};
}

/* APM vol. 3, E.4: CmpLegacy, the number of cores, and what belongs to TOPOEXT. */
static void shape_amd(struct kvm_cpuid2 *c, const struct cpuid_config *config)
{
	struct kvm_cpuid_entry2 *e = cpuid_find(c, 0x80000001, 0);

	if (e) {
		put_bits(&e->ecx, 1, 1, config->cpus > 1);
		if (!cpuid_find(c, 0x8000001e, 0))
			put_bits(&e->ecx, 22, 1, 0); /* TOPOEXT says that there is one */
	}
	e = cpuid_find(c, 0x80000008, 0);
	if (e) {
		put_bits(&e->ecx, 0, 8, config->cpus - 1);
		put_bits(&e->ecx, 12, 4, id_bits(config->cpus));
	}
	e = cpuid_find(c, 0x8000001e, 0);
	if (e) {
		e->eax = config->apic_id;
		e->ebx = config->apic_id & 255; /* this core, of one thread */
		e->ecx = 0;                     /* node 0, the only one */
		e->edx = 0;
	}
	drop(c, 0x80000026);
}

void cpuid_shape(struct kvm_cpuid2 *c, const struct cpuid_config *config)
{
	shape_basic(c, config);
	shape_caches(c, config);
	shape_extended(c, 0xb, config);
	shape_extended(c, 0x1f, config);
	if (is_amd(c))
		shape_amd(c, config);
	take_away(c, config->model);
}
