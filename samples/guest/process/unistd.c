// SPDX-License-Identifier: MIT
/*
 * System call wrappers with markers.
 */
#include <asm/unistd.h>

#include "guest_abi.h"
#include "layout.h"
#include "unistd.h"

#define PATH_SIZE sizeof(((struct ew_marker *)0)->path)

static enum kernel_entry kernel_entry;
static struct ew_marker marker = {
	.magic = EW_MARKER_MAGIC,
	.version = 1,
	.pid = 1,
	.comm = "writer",
};
static const char console_path[] = "/dev/console";
static const char *fd_path[8] = {console_path, console_path, console_path};

void set_kernel_entry(enum kernel_entry entry)
{
	kernel_entry = entry;
}

/* Ring 3 may do this: the TSS's I/O bitmap says so (head.S). */
__attribute__((noinline)) static void mark(uint16_t phase)
{
	marker.phase = phase;
	__asm__ volatile("outl %1, %w2"
			 : KEEP_FRAME
			 : "a"((uint32_t)(uint64_t)&marker), "d"(EW_MARKER_PORT)
			 : "memory");
}

static void set_path(const char *path)
{
	size_t i = 0;

	for (; path && path[i] && i < PATH_SIZE - 1; i++)
		marker.path[i] = path[i];
	for (; i < PATH_SIZE; i++)
		marker.path[i] = 0;
}

static void set_fd_path(int fd)
{
	set_path((unsigned int)fd < sizeof(fd_path) / sizeof(fd_path[0]) ? fd_path[fd] : NULL);
}

/*
 * Inlined into each wrapper, so that the instruction that enters the kernel is in write(), as it
 * is in libc. Nothing of R11 and RCX survives SYSCALL; int $0x80 keeps them, which does no harm.
 */
static inline __attribute__((always_inline)) long call(
	long nr, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	register uint64_t r10 __asm__("r10") = a3;
	register uint64_t r8 __asm__("r8") = 0;
	register uint64_t r9 __asm__("r9") = 0;
	long ret = nr;

	marker.nr = nr;
	marker.args[0] = a0;
	marker.args[1] = a1;
	marker.args[2] = a2;
	marker.args[3] = a3;
	marker.ret = 0;
	mark(EW_MARKER_ENTER);
	if (kernel_entry == ENTRY_INT80)
		__asm__ volatile("int $0x80"
				 : "+a"(ret)
				 : "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
				 : "rcx", "r11", "memory");
	else
		__asm__ volatile("syscall"
				 : "+a"(ret)
				 : "D"(a0), "S"(a1), "d"(a2), "r"(r10), "r"(r8), "r"(r9)
				 : "rcx", "r11", "memory");
	marker.ret = ret;
	mark(EW_MARKER_EXIT);
	return ret;
}

int openat(int dirfd, const char *path, int flags, int mode)
{
	int fd;

	set_path(path);
	fd = call(__NR_openat, dirfd, (uint64_t)path, flags, mode);
	if (fd >= 0 && (size_t)fd < sizeof(fd_path) / sizeof(fd_path[0]))
		fd_path[fd] = path;
	return fd;
}

int close(int fd)
{
	set_fd_path(fd);
	return call(__NR_close, fd, 0, 0, 0);
}

int64_t read(int fd, void *buf, size_t count)
{
	set_fd_path(fd);
	return call(__NR_read, fd, (uint64_t)buf, count, 0);
}

int64_t write(int fd, const void *buf, size_t count)
{
	set_fd_path(fd);
	return call(__NR_write, fd, (uint64_t)buf, count, 0);
}

int64_t pread(int fd, void *buf, size_t count, int64_t offset)
{
	set_fd_path(fd);
	return call(__NR_pread64, fd, (uint64_t)buf, count, offset);
}

int64_t pwrite(int fd, const void *buf, size_t count, int64_t offset)
{
	set_fd_path(fd);
	return call(__NR_pwrite64, fd, (uint64_t)buf, count, offset);
}

int64_t lseek(int fd, int64_t offset, int whence)
{
	set_fd_path(fd);
	return call(__NR_lseek, fd, offset, whence, 0);
}

int fsync(int fd)
{
	set_fd_path(fd);
	return call(__NR_fsync, fd, 0, 0, 0);
}

_Noreturn void _exit(int status)
{
	set_path(NULL);
	call(__NR_exit_group, status, 0, 0, 0);
	for (;;)
		continue;
}
