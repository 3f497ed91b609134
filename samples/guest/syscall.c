// SPDX-License-Identifier: MIT
/*
 * System calls: x86-64 Linux numbers and convention, whichever instruction was used.
 */
#include <asm/unistd.h>

#include "blk.h"
#include "exitfs.h"

typedef long (*sys_call_ptr_t)(const struct pt_regs *regs);

noinline long __x64_sys_read(const struct pt_regs *regs)
{
	return ksys_read(regs->rdi, regs->rsi, regs->rdx);
}

noinline long __x64_sys_write(const struct pt_regs *regs)
{
	return ksys_write(regs->rdi, regs->rsi, regs->rdx);
}

noinline long __x64_sys_close(const struct pt_regs *regs)
{
	return do_close(regs->rdi);
}

noinline long __x64_sys_lseek(const struct pt_regs *regs)
{
	return ksys_lseek(regs->rdi, regs->rsi, regs->rdx);
}

noinline long __x64_sys_pread64(const struct pt_regs *regs)
{
	return ksys_pread64(regs->rdi, regs->rsi, regs->rdx, regs->r10);
}

noinline long __x64_sys_pwrite64(const struct pt_regs *regs)
{
	return ksys_pwrite64(regs->rdi, regs->rsi, regs->rdx, regs->r10);
}

noinline long __x64_sys_fsync(const struct pt_regs *regs)
{
	struct file *file = fdget(regs->rdi);

	return file ? vfs_fsync(file) : -EBADF;
}

noinline long __x64_sys_exit_group(const struct pt_regs *regs)
{
	machine_exit(regs->rdi);
}

/* The directory of the path is the root whatever the first argument says. */
noinline long __x64_sys_openat(const struct pt_regs *regs)
{
	char path[40];
	size_t i = 0;

	do {
		if (i == sizeof(path))
			return -ENAMETOOLONG;
		if (!user_range_ok(regs->rsi + i, 1, false))
			return -EFAULT;
		path[i] = *(const char *)(regs->rsi + i);
	} while (path[i++]);
	return do_sys_openat(path, regs->rdx);
}

static const sys_call_ptr_t sys_call_table[] = {
	[__NR_read] = __x64_sys_read,
	[__NR_write] = __x64_sys_write,
	[__NR_close] = __x64_sys_close,
	[__NR_lseek] = __x64_sys_lseek,
	[__NR_pread64] = __x64_sys_pread64,
	[__NR_pwrite64] = __x64_sys_pwrite64,
	[__NR_fsync] = __x64_sys_fsync,
	[__NR_exit] = __x64_sys_exit_group,
	[__NR_exit_group] = __x64_sys_exit_group,
	[__NR_openat] = __x64_sys_openat,
};

/* entry.S calls it with interrupts off, and needs them off again for the way back. */
noinline void do_syscall_64(struct pt_regs *regs, long nr)
{
	local_irq_enable();
	if ((unsigned long)nr < ARRAY_SIZE(sys_call_table) && sys_call_table[nr])
		regs->rax = sys_call_table[nr](regs);
	local_irq_disable();
}
