/* SPDX-License-Identifier: MIT */
/* What a file is, from its first 100 bytes. */
#include "recording_file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/schema.h"

#define HEADER_SIZE 100
#define OFFSET_PAGE_SIZE 16
#define OFFSET_WRITE_VERSION 18 /* 1: rollback journal, 2: WAL */
#define OFFSET_PAGE_COUNT 28
#define OFFSET_USER_VERSION 60
#define OFFSET_APPLICATION_ID 68

static uint32_t be32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum recording_file_kind recording_file_kind(int fd)
{
	unsigned char header[HEADER_SIZE];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return RECORDING_FILE_ERROR;
	if (!S_ISREG(st.st_mode))
		return RECORDING_FILE_IRREGULAR;
	if (st.st_size == 0)
		return RECORDING_FILE_EMPTY;
	n = pread(fd, header, sizeof(header), 0);
	if (n < 0)
		return RECORDING_FILE_ERROR;
	if (n < HEADER_SIZE || memcmp(header, "SQLite format 3", 16) != 0)
		return RECORDING_FILE_FOREIGN;
	if (be32(header + OFFSET_APPLICATION_ID) != SCHEMA_APPLICATION_ID)
		return RECORDING_FILE_SQLITE;
	return RECORDING_FILE_RECORDING;
}

uint64_t recording_file_missing(int fd)
{
	unsigned char header[HEADER_SIZE];
	uint64_t page, bytes;
	struct stat st;

	if (fstat(fd, &st) < 0 || pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
		header[OFFSET_WRITE_VERSION] != 1)
		return 0;
	page = (uint64_t)header[OFFSET_PAGE_SIZE] << 8 | header[OFFSET_PAGE_SIZE + 1];
	bytes = (page == 1 ? 65536 : page) * be32(header + OFFSET_PAGE_COUNT);
	return bytes > (uint64_t)st.st_size ? bytes - (uint64_t)st.st_size : 0;
}

uint32_t recording_file_version(int fd)
{
	unsigned char v[4] = {0};

	if (pread(fd, v, sizeof(v), OFFSET_USER_VERSION) != (ssize_t)sizeof(v))
		return 0;
	return be32(v);
}
