// SPDX-License-Identifier: MIT
/* The marker protocol as a process under Linux speaks it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "marked.h"
#include "vmm/guest_abi.h"

/* Below 4 GiB, since the port takes 32 bits; NULL: no markers. A page of each process's own. */
static struct ew_marker *marker;

void marked_init(void)
{
	const char *wanted = getenv("ew_markers");
	void *page;

	if (wanted && !strcmp(wanted, "off"))
		return;
	if (ioperm(EW_MARKER_PORT, 4, 1) || ioperm(EW_EXIT_PORT, 1, 1)) {
		fprintf(stderr, "writer: no markers (ioperm: %s): run as root\n", strerror(errno));
		return;
	}
	page = mmap(NULL, sizeof(*marker), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (page == MAP_FAILED) {
		fprintf(stderr, "writer: no markers (mmap: %s)\n", strerror(errno));
		return;
	}
	marker = page;
	marker->magic = EW_MARKER_MAGIC;
	marker->version = 1;
	prctl(PR_GET_NAME, marker->comm);
}

static void mark(uint16_t phase, int64_t ret)
{
	if (!marker)
		return;
	marker->phase = phase;
	marker->ret = ret;
	/* The machine reads the page: the compiler must have written it. */
	__asm__ volatile("outl %0, %w1"
			 :
			 : "a"((uint32_t)(uintptr_t)marker), "Nd"(EW_MARKER_PORT)
			 : "memory");
}

long marked_call(long nr, const uint64_t args[6], const char *path)
{
	long ret;

	if (marker) {
		marker->nr = (uint32_t)nr;
		marker->pid = (uint32_t)getpid();
		memcpy(marker->args, args, sizeof(marker->args));
		snprintf(marker->path, sizeof(marker->path), "%s", path);
	}
	mark(EW_MARKER_ENTER, 0);
	ret = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
	if (ret == -1)
		ret = -errno;
	mark(EW_MARKER_EXIT, ret);
	return ret;
}

void marked_exit_status(uint8_t status)
{
	if (marker)
		__asm__ volatile("outb %0, %w1" : : "a"(status), "Nd"(EW_EXIT_PORT) : "memory");
}
