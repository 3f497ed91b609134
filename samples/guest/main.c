// SPDX-License-Identifier: MIT
/*
 * Start of the kernel, its command line, its one process, and the end of the machine.
 */
#include "exitfs.h"
#include "guest_abi.h"
#include "kernel.h"
#include "virtio.h"

#define EXIT_NO_DISK 2

/* Interrupts on; bit 1 is always set. IOPL is 0: the marker's port is in the TSS's I/O bitmap. */
#define PROCESS_RFLAGS 0x202

extern char _start[]; /* process/start.S */

static enum task_state current_state;

void set_current_state(enum task_state state)
{
	WRITE_ONCE(current_state, state);
}

/*
 * Wait for wake_up_process(). STI holds interrupts off until the next instruction has begun, so
 * the wake-up cannot fall between the check and the HLT.
 */
void io_schedule(void)
{
	local_irq_disable();
	while (READ_ONCE(current_state) != TASK_RUNNING)
		__asm__ volatile("sti; hlt; cli" : KEEP_FRAME : : "memory");
	local_irq_enable();
}

void wake_up_process(void)
{
	set_current_state(TASK_RUNNING);
}

_Noreturn void machine_exit(uint8_t status)
{
	iowrite8(status, EW_EXIT_PORT);
	for (;;)
		__asm__ volatile("cli; hlt" : KEEP_FRAME : : "memory");
}

/* The text after "name=" in the command line, or NULL. */
static const char *find_word(const char *line, const char *name)
{
	while (*line) {
		const char *p = line, *q = name;

		while (*q && *p == *q) {
			p++;
			q++;
		}
		if (!*q)
			return p;
		while (*line && *line != ' ')
			line++;
		while (*line == ' ')
			line++;
	}
	return NULL;
}

static unsigned long find_number(const char *line, const char *name, unsigned long fallback)
{
	const char *p = find_word(line, name);
	unsigned long v = 0;

	if (!p)
		return fallback;
	while (*p >= '0' && *p <= '9')
		v = v * 10 + (*p++ - '0');
	return v;
}

static _Noreturn void start_process(const char *cmdline)
{
	const char *entry = find_word(cmdline, "entry=");
	struct pt_regs regs = {
		.rdi = entry && *entry == 'i',
		.rsi = find_number(cmdline, "repeat=", 1),
		.rip = (uint64_t)_start,
		.cs = USER_CS,
		.eflags = PROCESS_RFLAGS,
		.rsp = USER_STACK_TOP,
		.ss = USER_DS,
	};

	local_irq_disable();
	ret_to_user(&regs);
}

void start_kernel(const uint8_t *zero_page)
{
	const uint8_t *p = (const uint8_t *)__va((uint64_t)zero_page) + EW_ZERO_PAGE_CMDLINE_PTR;
	uint32_t cmd_line_ptr = *(const uint32_t *)p;
	const char *cmdline = cmd_line_ptr ? __va(cmd_line_ptr) : "";
	unsigned long loops = find_number(cmdline, "outloop=", 0);

	trap_init();
	console_init();
	if (loops) {
		post_loop(loops);
		machine_exit(0);
	}
	local_irq_enable();
	if (virtblk_probe()) {
		printk("no virtio-blk disk\n");
		machine_exit(EXIT_NO_DISK);
	}
	if (exitfs_mount()) {
		printk("cannot mount the disk\n");
		machine_exit(EXIT_NO_DISK);
	}
	start_process(cmdline);
}
