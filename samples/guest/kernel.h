/* SPDX-License-Identifier: MIT */
/*
 * What every file of the kernel needs: types, port I/O, interrupt flag, sleeping, the console.
 */
#ifndef GUEST_KERNEL_H
#define GUEST_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <asm/ptrace.h>
#include <linux/errno.h>

#include "layout.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define SECTOR_SIZE 512
#define PAGE_SIZE 4096

/*
 * The layers of the write path are real functions. Within one file the compiler must neither inline
 * them nor make copies under other names (foo.constprop.0).
 */
#ifdef __clang__
#define noinline __attribute__((noinline))
#else
#define noinline __attribute__((noinline, noclone))
#endif

/*
 * The compiler must not move memory accesses over this; on x86 it is enough for what Linux calls
 * virt_wmb and virt_rmb. The full barrier is a locked instruction, as in Linux: KVM's emulator has
 * no mfence.
 */
#define barrier() __asm__ volatile("" ::: "memory")
#define virt_mb() __asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc")
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))

static inline void *__va(uint64_t phys)
{
	return (void *)(phys + KERNEL_MAP);
}

static inline uint64_t __pa(const void *virt)
{
	return (uint64_t)virt - KERNEL_MAP;
}

static inline void local_irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}

static inline void local_irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}

static inline unsigned long local_irq_save(void)
{
	unsigned long flags;

	__asm__ volatile("pushf; pop %0; cli" : "=r"(flags)::"memory");
	return flags;
}

static inline void local_irq_restore(unsigned long flags)
{
	if (flags & 0x200)
		local_irq_enable();
}

/* io.S */
void iowrite8(uint8_t value, uint16_t port);
void iowrite16(uint16_t value, uint16_t port);
void iowrite32(uint32_t value, uint16_t port);
uint8_t ioread8(uint16_t port);
uint16_t ioread16(uint16_t port);
uint32_t ioread32(uint16_t port);
void post_loop(unsigned long n);

/* console.c */
void console_init(void);
void console_write(const char *s, size_t n);
void printk(const char *s);
void print_hex(uint64_t v);

/* trap.c */
typedef void (*irq_handler_t)(unsigned int irq, void *data);
void trap_init(void);
void request_irq(unsigned int irq, irq_handler_t handler, void *data);

/* main.c */
enum task_state { TASK_RUNNING, TASK_UNINTERRUPTIBLE };
void start_kernel(const uint8_t *zero_page);
void set_current_state(enum task_state state);
void io_schedule(void);
void wake_up_process(void);
_Noreturn void machine_exit(uint8_t status);

/* entry.S */
_Noreturn void ret_to_user(struct pt_regs *regs);

/* syscall.c */
void do_syscall_64(struct pt_regs *regs, long nr);

#endif
