// SPDX-License-Identifier: MIT
/*
 * Exceptions and interrupts: IDT, the two 8259s, and the handlers that entry.S calls.
 */
#include "guest_abi.h"
#include "kernel.h"

/* 8259A data sheet; the ports are those of every PC. */
#define PIC1 0x20
#define PIC2 0xa0
#define PIC_EOI 0x20
#define PIC_CASCADE 2
/* Edge/level control registers (PCI-to-ISA bridges since the 82371FB): bit n is line n. */
#define ELCR1 0x4d0

#define GATE_INTERRUPT 0x8e00
#define GATE_USER 0x6000

struct idt_gate {
	uint16_t offset0;
	uint16_t selector;
	uint16_t flags;
	uint16_t offset1;
	uint32_t offset2;
	uint32_t zero;
};

extern const uint64_t exception_entries[20];
extern const char irq_entries_start[], entry_INT80_compat[], entry_SYSCALL_64[];
extern uint64_t gdt[10];
extern const char tss[], tss_end[];

static struct idt_gate idt[SYSCALL_VECTOR + 1];
static uint16_t irq_mask = 0xffff & ~(1 << PIC_CASCADE);
static struct {
	irq_handler_t handler;
	void *data;
} irq_actions[IRQ_COUNT];

static void set_gate(unsigned int vector, uint64_t handler, uint16_t flags)
{
	idt[vector] = (struct idt_gate){
		.offset0 = handler,
		.selector = KERNEL_CS,
		.flags = flags,
		.offset1 = handler >> 16,
		.offset2 = handler >> 32,
	};
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" ::"c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (uint64_t)high << 32;
}

static void syscall_init(void)
{
	/* MSR_STAR, MSR_LSTAR, MSR_SYSCALL_MASK (what Linux masks: TF IF DF IOPL NT AC), EFER.SCE */
	wrmsr(0xc0000081, (uint64_t)USER32_CS << 48 | (uint64_t)KERNEL_CS << 32);
	wrmsr(0xc0000082, (uint64_t)entry_SYSCALL_64);
	wrmsr(0xc0000084, 0x47700);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
}

static void tss_init(void)
{
	uint64_t base = (uint64_t)tss;

	gdt[TSS_SELECTOR / 8] = (tss_end - tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 |
				(base >> 24 & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
	__asm__ volatile("ltr %w0" ::"r"(TSS_SELECTOR));
}

static void pic_init(void)
{
	for (unsigned int chip = 0; chip < 2; chip++) {
		uint16_t port = chip ? PIC2 : PIC1;

		iowrite8(0x11, port);                           /* ICW1: cascaded, ICW4 follows */
		iowrite8(IRQ_VECTOR_BASE + 8 * chip, port + 1); /* ICW2: first vector */
		iowrite8(chip ? PIC_CASCADE : 1 << PIC_CASCADE, port + 1);
		iowrite8(1, port + 1); /* ICW4: 8086 mode, normal EOI */
		iowrite8(irq_mask >> 8 * chip, port + 1);
	}
}

void trap_init(void)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = {sizeof(idt) - 1, (uint64_t)idt};

	for (unsigned int v = 0; v < ARRAY_SIZE(exception_entries); v++)
		set_gate(v, exception_entries[v], GATE_INTERRUPT);
	idt[8].flags |= 1; /* IST1 */
	for (unsigned int i = 0; i < IRQ_COUNT; i++)
		set_gate(IRQ_VECTOR_BASE + i, (uint64_t)irq_entries_start + 16 * i, GATE_INTERRUPT);
	set_gate(SYSCALL_VECTOR, (uint64_t)entry_INT80_compat, GATE_INTERRUPT | GATE_USER);
	tss_init();
	__asm__ volatile("lidt %0" ::"m"(idtr));
	syscall_init();
	pic_init();
}

/* PCI lines are level-triggered and active as long as the device says so. */
void request_irq(unsigned int irq, irq_handler_t handler, void *data)
{
	uint16_t port = ELCR1 + irq / 8;

	irq_actions[irq].handler = handler;
	irq_actions[irq].data = data;
	iowrite8(ioread8(port) | 1 << irq % 8, port);
	irq_mask &= ~(1 << irq);
	iowrite8(irq_mask >> irq / 8 * 8, irq < 8 ? PIC1 + 1 : PIC2 + 1);
}

/* Lines 7 and 15 stand also for "the line went away": no handler, and no EOI to that chip. */
void common_interrupt(struct pt_regs *regs, unsigned long vector)
{
	unsigned int irq = vector - IRQ_VECTOR_BASE;

	(void)regs;
	if (irq_actions[irq].handler) {
		irq_actions[irq].handler(irq, irq_actions[irq].data);
		if (irq >= 8)
			iowrite8(PIC_EOI, PIC2);
		iowrite8(PIC_EOI, PIC1);
	} else if (irq >= 8) {
		iowrite8(PIC_EOI, PIC1);
	}
}

static _Noreturn void die(const struct pt_regs *regs, long error_code, long vector)
{
	printk("exception ");
	print_hex(vector);
	printk(" error ");
	print_hex(error_code);
	printk(" rip ");
	print_hex(regs->rip);
	printk("\n");
	machine_exit(0xff);
}

/*
 * On KVM backends that cannot deliver software interrupts from ring 3 (kvm_pvm), INT 0x80 arrives
 * as #UD at the instruction. Do what the processor would have done.
 */
void exc_invalid_op(struct pt_regs *regs, long error_code, long vector)
{
	const uint8_t *insn = (const uint8_t *)regs->rip;

	if ((regs->cs & 3) == 3 && insn[0] == 0xcd && insn[1] == SYSCALL_VECTOR) {
		regs->rip += 2;
		regs->orig_rax = regs->rax;
		regs->rax = -ENOSYS;
		do_syscall_64(regs, regs->orig_rax);
		return;
	}
	die(regs, error_code, vector);
}

/*
 * Nobody here sets TF. When the VMM single-steps and its KVM backend lets the trap through to the
 * guest (kvm_pvm in ring 3), go on.
 */
void exc_debug(struct pt_regs *regs, long error_code, long vector)
{
	(void)error_code;
	(void)vector;
	regs->eflags &= ~0x100ul;
}

/* Every other exception is fatal. */
#define FATAL(name)                                                                                \
	void name(struct pt_regs *regs, long error_code, long vector)                              \
	{                                                                                          \
		die(regs, error_code, vector);                                                     \
	}

FATAL(exc_divide_error)
FATAL(exc_nmi)
FATAL(exc_int3)
FATAL(exc_overflow)
FATAL(exc_bounds)
FATAL(exc_device_not_available)
FATAL(exc_double_fault)
FATAL(exc_coproc_segment_overrun)
FATAL(exc_invalid_tss)
FATAL(exc_segment_not_present)
FATAL(exc_stack_segment)
FATAL(exc_general_protection)
FATAL(exc_page_fault)
FATAL(exc_spurious)
FATAL(exc_coprocessor_error)
FATAL(exc_alignment_check)
FATAL(exc_machine_check)
FATAL(exc_simd_coprocessor_error)
