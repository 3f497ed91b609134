/* SPDX-License-Identifier: MIT */
/*
 * The process's system calls, named as in libc. Each is announced by a marker before and after
 * (vmm/guest_abi.h). They return what the kernel returned: -errno, no errno.
 */
#ifndef GUEST_PROCESS_UNISTD_H
#define GUEST_PROCESS_UNISTD_H

#include <stddef.h>
#include <stdint.h>

/* How to enter the kernel: the VMM knows which instruction works (entry= in the command line). */
enum kernel_entry { ENTRY_SYSCALL, ENTRY_INT80 };
void set_kernel_entry(enum kernel_entry entry);

int openat(int dirfd, const char *path, int flags, int mode);
int close(int fd);
int64_t read(int fd, void *buf, size_t count);
int64_t write(int fd, const void *buf, size_t count);
int64_t pread(int fd, void *buf, size_t count, int64_t offset);
int64_t pwrite(int fd, const void *buf, size_t count, int64_t offset);
int64_t lseek(int fd, int64_t offset, int whence);
int fsync(int fd);
_Noreturn void _exit(int status);

#endif
