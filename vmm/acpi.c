// SPDX-License-Identifier: MIT
/* Lays out RSDP, XSDT, FADT, MADT and DSDT one behind the other and makes their checksums right. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "acpi_dsdt.h"

#define OEM_ID "EXITWK"
#define OEM_TABLE "EXITWALK"
#define PACKED __attribute__((packed))

/* 5.2.6; every table but the RSDP begins so. */
struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} PACKED;
_Static_assert(sizeof(struct header) == 36, "ACPI 6.4, 5.2.6");

/* 5.2.5.3 */
struct rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt, length;
	uint64_t xsdt;
	uint8_t extended_checksum, reserved[3];
} PACKED;
_Static_assert(sizeof(struct rsdp) == 36, "ACPI 6.4, 5.2.5.3");

/* 5.2.3.2 */
struct address {
	uint8_t space, bits, offset, access;
	uint64_t address;
} PACKED;

/* 5.2.9; what a hardware-reduced machine has to leave zero is reserved here. */
struct fadt {
	struct header head;
	uint32_t firmware_ctrl, dsdt;
	uint8_t reserved0[109 - 44];
	uint16_t iapc_boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct address reset;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor;
	uint64_t x_firmware_ctrl, x_dsdt;
	uint8_t reserved2[244 - 148];
	struct address sleep_control, sleep_status;
	char hypervisor[8];
} PACKED;
_Static_assert(offsetof(struct fadt, iapc_boot_arch) == 109, "ACPI 6.4, 5.2.9");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "ACPI 6.4, 5.2.9");
_Static_assert(offsetof(struct fadt, sleep_control) == 244, "ACPI 6.4, 5.2.9");
_Static_assert(sizeof(struct fadt) == 276, "ACPI 6.4, 5.2.9");

/* 5.2.12 */
struct madt {
	struct header head;
	uint32_t lapic, flags;
} PACKED;

struct madt_lapic {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} PACKED;

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} PACKED;

struct madt_lapic_nmi {
	uint8_t type, length, uid;
	uint16_t flags;
	uint8_t lint;
} PACKED;

enum {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_LAPIC_NMI = 4,
	LAPIC_ENABLED = 1,
	EVERY_CPU = 0xff,
	SPACE_IO = 1,
	ALIGN = 16,
};

/* FADT, 5.2.9 and 5.2.9.3 */
enum {
	WBINVD = 1 << 0,
	NO_POWER_BUTTON = 1 << 4, /* "control method" ones, and there is no such method */
	NO_SLEEP_BUTTON = 1 << 5,
	RESET_REGISTER = 1 << 10,
	HARDWARE_REDUCED = 1 << 20,
	BOOT_NO_VGA = 1 << 2,
	BOOT_NO_CMOS_CLOCK = 1 << 5,
	/* Bit 1, "8042", stays clear: the guest need not look for a keyboard. */
};

/* Where the next table goes. */
struct cursor {
	uint8_t *base;
	size_t len;
	int overflow;
};

static uint64_t here(const struct cursor *c)
{
	return ACPI_TABLES + c->len;
}

static void *append(struct cursor *c, const void *bytes, size_t len)
{
	void *to = c->base + c->len;

	if (c->overflow || len > ACPI_TABLES_SIZE - c->len) {
		c->overflow = 1;
		return c->base; /* somewhere to write to; the caller gives up at the end */
	}
	memcpy(to, bytes, len);
	c->len += len;
	return to;
}

static uint8_t checksum(const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint8_t sum = 0;

	while (len--)
		sum += *p++;
	return (uint8_t)-sum;
}

static struct header header(const char *signature, uint8_t revision)
{
	struct header h = {.revision = revision, .oem_revision = 1, .creator_revision = 1};

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table, OEM_TABLE, sizeof(h.oem_table));
	memcpy(h.creator, OEM_ID, sizeof(h.creator));
	return h;
}

/* Ends the table that began at offset `start`. */
static void finish(struct cursor *c, size_t start)
{
	static const uint8_t zero[ALIGN];
	struct header *h = (struct header *)(c->base + start);

	if (c->overflow)
		return;
	h->length = (uint32_t)(c->len - start);
	h->checksum = 0;
	h->checksum = checksum(h, h->length);
	append(c, zero, -c->len % ALIGN);
}

static uint64_t add_dsdt(struct cursor *c, const struct acpi_config *config)
{
	struct header h = header("DSDT", 2); /* 2: integers have 64 bits */
	uint64_t at = here(c);
	struct aml a;

	append(c, &h, sizeof(h));
	a = (struct aml){.buf = c->base + c->len, .size = ACPI_TABLES_SIZE - c->len};
	acpi_dsdt(&a, config);
	c->len += a.len;
	c->overflow |= a.overflow;
	finish(c, at - ACPI_TABLES);
	return at;
}

static struct address port(unsigned offset)
{
	return (struct address){
		.space = SPACE_IO, .bits = 8, .access = 1, .address = ACPI_PORTS + offset};
}

static uint64_t add_fadt(struct cursor *c, uint64_t dsdt)
{
	uint64_t at = here(c);
	struct fadt f = {
		.head = header("FACP", 6),
		.dsdt = (uint32_t)dsdt,
		.x_dsdt = dsdt,
		.iapc_boot_arch = BOOT_NO_VGA | BOOT_NO_CMOS_CLOCK,
		.flags = WBINVD | NO_POWER_BUTTON | NO_SLEEP_BUTTON | RESET_REGISTER |
			 HARDWARE_REDUCED,
		.reset = port(ACPI_PORT_RESET),
		.reset_value = ACPI_RESET_VALUE,
		.sleep_control = port(ACPI_PORT_SLEEP_CONTROL),
		.sleep_status = port(ACPI_PORT_SLEEP_STATUS),
	};

	append(c, &f, sizeof(f));
	finish(c, at - ACPI_TABLES);
	return at;
}

/*
 * No interrupt source overrides. An ISA interrupt n arrives at GSI n (KVM's default routing, also of
 * n = 0), and what _PRT names is level-triggered, active low without being told. An override that says
 * active high would make Linux refuse the line to the PCI device; KVM's IOAPIC ignores the polarity.
 */
static uint64_t add_madt(struct cursor *c, const struct acpi_config *config)
{
	uint64_t at = here(c);
	/* flags 0: no 8259 that would have to be masked first */
	struct madt m = {.head = header("APIC", 5), .lapic = ACPI_LAPIC};
	struct madt_ioapic ioapic = {MADT_IOAPIC, sizeof(ioapic), 0, 0, ACPI_IOAPIC, 0};
	struct madt_lapic_nmi nmi = {MADT_LAPIC_NMI, sizeof(nmi), EVERY_CPU, 0, 1};

	append(c, &m, sizeof(m));
	for (unsigned i = 0; i < config->cpus; i++) {
		struct madt_lapic l = {
			MADT_LAPIC, sizeof(l), (uint8_t)i, (uint8_t)i, LAPIC_ENABLED};

		append(c, &l, sizeof(l));
	}
	append(c, &ioapic, sizeof(ioapic));
	append(c, &nmi, sizeof(nmi));
	finish(c, at - ACPI_TABLES);
	return at;
}

static uint64_t add_xsdt(struct cursor *c, uint64_t fadt, uint64_t madt)
{
	struct header h = header("XSDT", 1);
	uint64_t at = here(c), tables[] = {fadt, madt};

	append(c, &h, sizeof(h));
	append(c, tables, sizeof(tables));
	finish(c, at - ACPI_TABLES);
	return at;
}

static void write_rsdp(uint8_t *at, uint64_t xsdt)
{
	struct rsdp r = {.revision = 2, .length = sizeof(r), .xsdt = xsdt};

	memcpy(r.signature, "RSD PTR ", sizeof(r.signature));
	memcpy(r.oem_id, OEM_ID, sizeof(r.oem_id));
	r.checksum = checksum(&r, offsetof(struct rsdp, length));
	r.extended_checksum = checksum(&r, sizeof(r));
	memcpy(at, &r, sizeof(r));
}

/*
 * A hardware-reduced Linux leaves the reset register alone: it tries EFI's reset, which is not there,
 * and then jumps to the BIOS in real mode (native_machine_emergency_restart()). So this is our BIOS.
 */
static int write_reset_vector(struct guest_mem *m, struct err *e)
{
	enum { PORT = ACPI_PORTS + ACPI_PORT_RESET };
	/* mov dx, PORT; mov al, ACPI_RESET_VALUE; out dx, al; and hlt for ever */
	static const uint8_t code[] = {
		0xba, PORT & 0xff, PORT >> 8, 0xb0, ACPI_RESET_VALUE, 0xee, 0xf4, 0xeb, 0xfd};
	void *to = mem_ptr(m, ACPI_RESET_VECTOR, sizeof(code));

	if (!to)
		return err_set(e, -E2BIG, "guest memory is too small for a BIOS: give more by -m");
	memcpy(to, code, sizeof(code));
	return 0;
}

static int check(const struct acpi_config *config, struct err *e)
{
	if (config->cpus == 0 || config->cpus > ACPI_MAX_CPUS)
		return err_set(e, -EINVAL,
			"a guest can have 1 to %d processors, not %u: see --cpus", ACPI_MAX_CPUS,
			config->cpus);
	if (config->mmio_count > ACPI_MAX_MMIO)
		return err_set(e, -EINVAL, "a guest can have up to %d virtio-mmio devices, not %u",
			ACPI_MAX_MMIO, config->mmio_count);
	return 0;
}

int acpi_build(struct guest_mem *m, const struct acpi_config *config, uint64_t *rsdp, struct err *e)
{
	struct cursor c = {.base = mem_ptr(m, ACPI_TABLES, ACPI_TABLES_SIZE)};
	uint64_t dsdt, fadt, madt, xsdt;
	int rc = check(config, e);

	if (rc)
		return rc;
	if (!c.base)
		return err_set(
			e, -E2BIG, "guest memory is too small for ACPI tables: give more by -m");
	memset(c.base, 0, ACPI_TABLES_SIZE);
	c.len = (sizeof(struct rsdp) + ALIGN - 1) / ALIGN * ALIGN;
	dsdt = add_dsdt(&c, config);
	fadt = add_fadt(&c, dsdt);
	madt = add_madt(&c, config);
	xsdt = add_xsdt(&c, fadt, madt);
	if (c.overflow)
		return err_set(e, -E2BIG, "the ACPI tables do not fit: give fewer devices");
	write_rsdp(c.base, xsdt);
	*rsdp = ACPI_TABLES;
	return write_reset_vector(m, e);
}
