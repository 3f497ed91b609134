/* SPDX-License-Identifier: MIT */
/* From the arguments of read, write and their kin to pieces of guest-physical memory. */
#include "marker_buffer.h"

#include <linux/aio_abi.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGE 4096u
#define NOWHERE UINT64_MAX
#define MAX_VECTORS 1024u /* UIO_MAXIOV; Linux takes no more */

enum how { BUFFER, VECTORS, CONTROL_BLOCKS };

/* Which argument is the address, and which the length in bytes or the number of what lies there. */
static const struct call {
	uint32_t nr;
	enum how how;
	unsigned addr, count;
} calls[] = {
	{SYS_read, BUFFER, 1, 2},
	{SYS_write, BUFFER, 1, 2},
	{SYS_pread64, BUFFER, 1, 2},
	{SYS_pwrite64, BUFFER, 1, 2},
	{SYS_readv, VECTORS, 1, 2},
	{SYS_writev, VECTORS, 1, 2},
	{SYS_preadv, VECTORS, 1, 2},
	{SYS_pwritev, VECTORS, 1, 2},
	{SYS_preadv2, VECTORS, 1, 2},
	{SYS_pwritev2, VECTORS, 1, 2},
	{SYS_io_submit, CONTROL_BLOCKS, 2, 1},
};

struct walk {
	const struct guest_mem *mem;
	uint64_t cr3;
	struct probe *probe;
	uint32_t pid;
	unsigned pieces, pages; /* so far */
	bool full;              /* no more is looked up */
	bool said;              /* and that has been recorded */
};

static void piece(struct walk *w, uint64_t va, uint64_t gpa, uint64_t len)
{
	if (len)
		PROBE(w->probe, EW_MARKER_BUFFER, w->pid, va, gpa, len);
	w->pieces += len != 0;
}

/* The guest-physical address, if there is memory behind it. */
static uint64_t look_up(const struct walk *w, uint64_t va)
{
	uint64_t gpa;

	if (mem_translate(w->mem, w->cr3, va, &gpa) || !mem_ptr(w->mem, gpa, 1))
		return NOWHERE;
	return gpa;
}

static void buffer(struct walk *w, uint64_t va, uint64_t len)
{
	uint64_t start = va, start_gpa = NOWHERE, done = 0;

	/* The address space ends at 2^64; a buffer does not wrap. */
	if (len && len - 1 > UINT64_MAX - va)
		len = UINT64_MAX - va + 1;
	while (done < len && !w->full) {
		uint64_t at = va + done, in_piece = at - start;
		uint64_t n = PAGE - at % PAGE, gpa = look_up(w, at);
		bool joins = start_gpa == NOWHERE ? gpa == NOWHERE : gpa == start_gpa + in_piece;

		if (n > len - done)
			n = len - done;
		if (!joins || !in_piece) {
			piece(w, start, start_gpa, in_piece);
			start = at;
			start_gpa = gpa;
		}
		done += n;
		w->pages++;
		w->full = w->pages >= MARKER_BUFFER_PAGES || w->pieces + 2 >= MARKER_BUFFER_PIECES;
	}
	piece(w, start, start_gpa, va + done - start);
	piece(w, va + done, NOWHERE, len - done);
	w->said |= done < len;
}

static void vectors(struct walk *w, uint64_t va, uint64_t count)
{
	struct iovec v;

	for (uint64_t i = 0; i < count && i < MAX_VECTORS && !w->said; i++) {
		if (mem_read_virt(w->mem, w->cr3, va + i * sizeof(v), &v, sizeof(v)) != sizeof(v))
			return;
		buffer(w, (uint64_t)(uintptr_t)v.iov_base, v.iov_len);
	}
}

/* io_submit(2): an array of pointers. */
static void control_blocks(struct walk *w, uint64_t va, uint64_t count)
{
	for (uint64_t i = 0; i < count && i < MAX_VECTORS && !w->said; i++) {
		struct iocb cb;
		uint64_t at;

		if (mem_read_virt(w->mem, w->cr3, va + i * sizeof(at), &at, sizeof(at)) !=
				sizeof(at) ||
			mem_read_virt(w->mem, w->cr3, at, &cb, sizeof(cb)) != sizeof(cb))
			return;
		if (cb.aio_lio_opcode == IOCB_CMD_PREAD || cb.aio_lio_opcode == IOCB_CMD_PWRITE)
			buffer(w, cb.aio_buf, cb.aio_nbytes);
		else if (cb.aio_lio_opcode == IOCB_CMD_PREADV ||
			 cb.aio_lio_opcode == IOCB_CMD_PWRITEV)
			vectors(w, cb.aio_buf, cb.aio_nbytes);
	}
}

void marker_buffer_record(
	const struct guest_mem *mem, uint64_t cr3, const struct ew_marker *m, struct probe *p)
{
	struct walk w = {.mem = mem, .cr3 = cr3, .probe = p, .pid = m->pid};

	for (size_t i = 0; p && i < sizeof(calls) / sizeof(calls[0]); i++) {
		const struct call *c = &calls[i];

		if (c->nr != m->nr)
			continue;
		if (c->how == BUFFER)
			buffer(&w, m->args[c->addr], m->args[c->count]);
		else if (c->how == VECTORS)
			vectors(&w, m->args[c->addr], m->args[c->count]);
		else
			control_blocks(&w, m->args[c->addr], m->args[c->count]);
	}
}
