// SPDX-License-Identifier: MIT
/*
 * The process: writes /data in pieces of three sizes, at the file's position and at given offsets,
 * makes them durable, reads everything back and compares.
 */
#include <linux/fcntl.h>

#include "unistd.h"

#define BUFFER_SIZE 65536
#define BUFFER __attribute__((section(".bss.buffers"), aligned(4096)))

enum { FAILED_CALL = 1, FAILED_COMPARE = 3 };

struct piece {
	uint32_t size;
	uint32_t offset;
	int positioned; /* pwrite and pread, not write and read */
};

/* To add a write, add a line. write goes on where the last one ended: offsets must say so. */
static const struct piece pieces[] = {
	{512, 0, 0},
	{4096, 512, 0},
	{65536, 4608, 0},
	{512, 0x20000, 1},
	{4096, 0x21000, 1},
	{65536, 0x24000, 1},
};

#define N_PIECES (sizeof(pieces) / sizeof(pieces[0]))

/* Their pages are scrambled in physical memory (head.S). */
static uint64_t out_buffer[BUFFER_SIZE / 8] BUFFER;
static uint64_t in_buffer[BUFFER_SIZE / 8] BUFFER;

static int fail(const char *message, int status)
{
	size_t n = 0;

	while (message[n])
		n++;
	write(2, message, n);
	return status;
}

/* The image alone must tell which write put a word there: EW_FS_MAGIC's comment in guest_abi.h. */
static uint64_t word(uint64_t n, uint64_t offset)
{
	return n << 48 | offset;
}

static int write_piece(int fd, const struct piece *p, uint64_t n)
{
	int64_t ret;

	for (uint32_t i = 0; i < p->size; i += 8)
		out_buffer[i / 8] = word(n, p->offset + i);
	ret = p->positioned ? pwrite(fd, out_buffer, p->size, p->offset)
			    : write(fd, out_buffer, p->size);
	return ret == p->size ? 0 : fail("writer: a write failed\n", FAILED_CALL);
}

static int check_piece(int fd, const struct piece *p, uint64_t n)
{
	int64_t ret = p->positioned ? pread(fd, in_buffer, p->size, p->offset)
				    : read(fd, in_buffer, p->size);

	if (ret != p->size)
		return fail("writer: a read failed\n", FAILED_CALL);
	for (uint32_t i = 0; i < p->size; i += 8)
		if (in_buffer[i / 8] != word(n, p->offset + i))
			return fail("writer: the disk returned other data\n", FAILED_COMPARE);
	return 0;
}

static int write_all(int fd, uint64_t *n)
{
	for (size_t i = 0; i < N_PIECES; i++) {
		int status = write_piece(fd, &pieces[i], ++*n);

		if (status)
			return status;
	}
	return fsync(fd) ? fail("writer: fsync failed\n", FAILED_CALL) : 0;
}

int main(enum kernel_entry entry, uint64_t repeat)
{
	uint64_t n = 0;
	int fd, status = 0;

	set_kernel_entry(entry);
	fd = openat(AT_FDCWD, "/data", O_RDWR | O_CREAT | O_DIRECT, 0644);
	if (fd < 0)
		return fail("writer: cannot open /data\n", FAILED_CALL);
	for (uint64_t r = 0; r < repeat && !status; r++) {
		if (r)
			lseek(fd, 0, 0);
		status = write_all(fd, &n);
	}
	if (n)
		lseek(fd, 0, 0);
	for (size_t i = 0; i < N_PIECES && n && !status; i++)
		status = check_piece(fd, &pieces[i], n - N_PIECES + i + 1);
	close(fd);
	return status;
}
