// SPDX-License-Identifier: MIT
/*
 * Writes to a disk in the ways worth looking at, one per mode; with -c compares an image with what was
 * to be written. Its payload says which write each word comes from.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "marked.h"
#include "together.h"

static int single_writes(const struct file *f, enum plan_mode mode)
{
	int rc = 0;

	for (unsigned i = 0; i < plan_mode_info[mode].count && rc == 0; i++) {
		struct plan_step s = plan_step(mode, i);

		rc = one_pwrite(f, &s);
	}
	return rc;
}

static int buffered(const struct file *f)
{
	return single_writes(f, PLAN_FILE_BUFFERED) ?: one_fsync(f);
}

static int write_with(enum plan_mode mode, const char *path)
{
	struct file f;
	int rc = file_open(&f, path,
		(mode == PLAN_FILE_BUFFERED ? 0 : O_DIRECT) |
			(plan_mode_info[mode].on_file ? O_CREAT : 0));

	if (rc)
		return rc;
	if (mode == PLAN_BATCH || mode == PLAN_MERGE)
		rc = write_batches(&f, mode, 0, 1, MAX_IN_FLIGHT, false);
	else
		rc = mode == PLAN_FILE_BUFFERED ? buffered(&f) : single_writes(&f, mode);
	close(f.fd);
	return rc;
}

static int write_mode(enum plan_mode mode, const char *path)
{
	int rc;

	switch (mode) {
	case PLAN_TWO:
	case PLAN_MANY:
		rc = write_by_two(path, mode);
		break;
	case PLAN_SHARED:
		rc = write_shared(path);
		break;
	case PLAN_WRITEBACK:
		rc = write_back(path);
		break;
	default:
		rc = write_with(mode, path);
		break;
	}
	tell_end();
	return rc;
}

static int check_mode(enum plan_mode mode, const char *path)
{
	struct file f = {path, open(path, O_RDONLY | O_CLOEXEC)};
	void *buf = malloc(PLAN_MAX_LEN);
	int rc = 0;

	if (f.fd < 0 || !buf)
		rc = complain("open", path, errno);
	for (unsigned i = 0; rc == 0 && i < plan_mode_info[mode].count; i++) {
		struct plan_step s = plan_step(mode, i);
		uint64_t wrong = s.offset;

		if (pread(f.fd, buf, s.len, (off_t)s.offset) == (ssize_t)s.len)
			wrong = plan_compare(&s, buf);
		if (wrong != UINT64_MAX) {
			fprintf(stderr, "writer: %s: write %u of %s is wrong at byte %llu\n", path,
				s.n, plan_mode_info[mode].name, (unsigned long long)wrong);
			rc = -1;
		}
	}
	free(buf);
	if (f.fd >= 0)
		close(f.fd);
	return rc;
}

static void print_mode(enum plan_mode mode)
{
	for (unsigned i = 0; i < plan_mode_info[mode].count; i++) {
		struct plan_step s = plan_step(mode, i);

		printf("%s %u %llu %zu\n", plan_mode_info[mode].name, s.n,
			(unsigned long long)s.offset, s.len);
	}
}

static int usage(void)
{
	fprintf(stderr,
		"usage: writer MODE PATH     write\n"
		"       writer -c MODE PATH  compare PATH with what MODE writes\n"
		"       writer -p MODE       print MODE, number, offset and length of each write\n"
		"       writer -x STATUS     end the run with this status (exitwalk only)\n"
		"MODE is one of\n");
	for (unsigned i = 0; i < PLAN_COUNT; i++)
		fprintf(stderr, "  %-14s %s\n", plan_mode_info[i].name, plan_mode_info[i].what);
	return 64;
}

int main(int argc, char **argv)
{
	char what = 'w';
	unsigned mode = 0;

	if (argc > 2 && argv[1][0] == '-' && strlen(argv[1]) == 2 && strchr("cpx", argv[1][1])) {
		what = argv[1][1];
		argv++;
		argc--;
	}
	if (argc != (what == 'w' || what == 'c' ? 3 : 2))
		return usage();
	if (what == 'x') {
		marked_init();
		marked_exit_status((uint8_t)strtoul(argv[1], NULL, 10));
		return 0;
	}
	while (mode < PLAN_COUNT && strcmp(plan_mode_info[mode].name, argv[1]))
		mode++;
	if (mode == PLAN_COUNT)
		return usage();
	if (what == 'p') {
		print_mode((enum plan_mode)mode);
		return 0;
	}
	if (what == 'c')
		return check_mode((enum plan_mode)mode, argv[2]) ? 1 : 0;
	marked_init();
	return write_mode((enum plan_mode)mode, argv[2]) ? 1 : 0;
}
